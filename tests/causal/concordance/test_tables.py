"""Tables of both sides: what is read, what is refused, what is left out, and how genes are matched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from consilience.causal.concordance.join import join
from consilience.causal.concordance.left_out import left_out_of
from consilience.causal.concordance.tables import cells_side, population_side, read_table
from consilience.foundation.errors import DataError

IDS = [f"ENSG{number:011d}" for number in range(6)]


def population(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"gene": IDS, "alpha": [0.1, -0.2, 0.3, 0.1, 0.2, 0.1], "se": 0.1} | columns)


def cells(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"cell_type": "T", "gene": IDS, "theta": [1.0, 2, 3, 4, 5, 6], "se": 1.0} | columns)


def joined(left: pd.DataFrame, right: pd.DataFrame):
    return join(population_side(left, where="p"), cells_side(right, where="c"), block_kb=1000, n_strata=3)


def test_ids_lose_their_version_and_symbols_help_where_there_is_no_id() -> None:
    left = population(gene=[IDS[0] + ".7", *IDS[1:5], "CP"], symbol=["A", "B", "C", "D", "E", ""])
    right = cells(gene=["A", "other", IDS[2], "D", "nobody", "CP"], ensembl_id=["", IDS[1], "", "ENSG00000000999", "", ""])  # fmt: skip
    shared = joined(left, right)
    # D: two different ids are two genes, whatever their symbol
    assert shared.symbol == ("A", "B", "C", "CP") or set(shared.symbol) == {"A", "B", "C", "CP"}
    assert shared.unmatched["population"] == ("D", "E")
    assert shared.unmatched["cells"] == ("D", "nobody")
    theta = dict(zip(shared.symbol, shared.theta[0], strict=True))
    assert theta == {"A": 1.0, "B": 2.0, "C": 3.0, "CP": 6.0}


def test_rows_that_cannot_be_used_are_named() -> None:
    left = population_side(
        population(
            alpha=[np.nan, 0.2, np.inf, 0.1, 0.2, 0.1], se=[0.1, 0, 0.1, 0.1, 0.1, 0.1],
            flags=["", "", "", "weak_instruments", "weak_instruments;singular_ld", "ld_doubtful"],
        ), where="p",
    )  # fmt: skip
    assert left.left_out == {"not_estimated": IDS[:3], "singular_ld": [IDS[4]]}
    assert left.cautions == {"ld_doubtful": 1}
    assert left.table["ensembl_id"].tolist() == [IDS[3], IDS[5]]


def test_a_gene_that_is_there_twice_is_left_out_whole() -> None:
    twice = population_side(population(gene=[IDS[0], IDS[0], *IDS[2:]]), where="p")
    assert twice.left_out == {"twice": [IDS[0]]}
    assert IDS[0] not in set(twice.table["ensembl_id"])
    right = cells_side(pd.concat([cells(), cells(cell_type="B")]), where="c")
    assert right.left_out == {}
    again = cells_side(pd.concat([cells(), cells()]), where="c")
    assert again.left_out == {"twice": IDS}


def test_statistics_of_few_donors_become_normal_scores() -> None:
    plain = cells_side(cells(), where="c").table
    assert plain["z"].tolist() == [1, 2, 3, 4, 5, 6]
    few = cells_side(cells(df=4.0, statistic=[1.0, 2, 3, 4, 5, 6]), where="c").table
    assert (few["z"] < plain["z"]).all()
    by_p = cells_side(cells(p=0.05), where="c").table
    assert by_p["z"].to_numpy() == pytest.approx(1.959964)
    scaled = cells_side(cells(theta_sd=[0.5, 1, 1.5, 2, 2.5, 3]), where="c").table
    assert scaled["scaled_se"].tolist() == [0.5] * 6


def test_mr_tables_are_read_by_method() -> None:
    table = pd.concat([population().rename(columns={"alpha": "estimate"}).assign(method=name) for name in ("ivw_ld", "egger")])  # fmt: skip
    assert len(population_side(table, where="mr", method="egger").table) == 6
    with pytest.raises(DataError, match=r"no rows of this method.*egger, ivw_ld"):
        population_side(table, where="mr", method="twmr")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (population().drop(columns="se"), "columns are missing; found 'se'"),
        (population().iloc[:0], "no rows"),
        (population(alpha=["0.1", "x", "1", "1", "1", "1"]), "row 2, column alpha: not a number; found 'x'"),
        (population(se=-0.1), "below zero"),
        (population(z=[1.0, 2, 3, 1, 2, 1]), "opposite signs"),
    ],
)
def test_bad_tables_have_their_error(table: pd.DataFrame, words: str) -> None:
    with pytest.raises(DataError, match=words):
        population_side(table, where="p.tsv")


def test_sides_that_share_nothing_say_what_they_hold() -> None:
    with pytest.raises(DataError, match=r"share no gene.*ENSG0.*ABC"):
        joined(population(), cells(gene=[f"ABC{number}" for number in range(6)]))
    with pytest.raises(DataError, match=r"no such cell type.*T"):
        cells_side(cells(), where="c", cell_types=["B"])


@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".tsv.gz", ".parquet"])
def test_text_and_parquet_are_the_same(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"p{suffix}"
    table = population(se=[0.1, np.nan, 0.1, 0.1, 0.1, 0.1])
    if suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="," if suffix == ".csv" else "\t")
    found = population_side(read_table(path), where="p")
    pd.testing.assert_frame_equal(found.table, population_side(table, where="p").table)
    assert found.left_out == {"not_estimated": [IDS[1]]}


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="no table that can be read"):
        read_table(tmp_path / "broken.parquet")
    with pytest.raises(DataError, match="there is no such table"):
        read_table(tmp_path / "nothing.tsv")
    (tmp_path / "empty.tsv").write_text("")
    with pytest.raises(DataError, match="no table that can be read"):
        read_table(tmp_path / "empty.tsv")


def test_left_out_donors_find_their_genes() -> None:
    shared = joined(population(), cells(df=8.0, statistic=[1.0, 2, 3, 4, 5, 6]))
    table = pd.DataFrame([{"cell_type": "T", "gene": gene, "left_out": donor, "statistic": 1.0 + place} for donor in ("D2", "D1", "gone") for place, gene in enumerate([*IDS, "unknown"])])  # fmt: skip
    table.loc[table["left_out"] == "gone", "statistic"] = np.nan
    found = left_out_of(table.sample(frac=1, random_state=1), shared, where="l")["T"]
    assert found.donors == ("D1", "D2")
    order = [IDS.index(one) for one in shared.ensembl_id]
    whole = cells_side(cells(df=8.0, statistic=[1.0, 2, 3, 4, 5, 6]), where="c").table["z"].to_numpy()
    assert found.z == pytest.approx(np.tile(whole[order], (2, 1)))
    with pytest.raises(DataError, match="two statistics of the same"):
        left_out_of(pd.concat([table, table]), shared, where="l")
    with pytest.raises(DataError, match="columns are missing"):
        left_out_of(table.drop(columns="left_out"), shared, where="l")
