"""One table for each sample, in the layouts of the counting programs, joined into one matrix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from consilience.foundation.errors import DataError
from consilience.sources.geo.per_sample import are_per_sample, join_tables, read_sample
from consilience.sources.geo.read import read_geo
from consilience.study.cohorts import Cohort
from geo_text import GSM, folder_of, matrix_text

COUNTS = {
    "GSM1": {"TP53": 5, "KIT": 7, "XIST": 0},
    "GSM2": {"TP53": 6, "KIT": 8, "XIST": 9},
    "GSM3": {"TP53": 1, "KIT": 2, "XIST": 3},
}
HEADER = matrix_text(
    GSM, kind="SRA", said="Expression profiling by high throughput sequencing", platform="GPL11154"
)


def htseq(counts: dict[str, int]) -> str:
    return (
        "".join(f"{gene}\t{n}\n" for gene, n in counts.items())
        + "__no_feature\t10\n__ambiguous\t2\n__not_aligned\t0\n"
    )


def star(counts: dict[str, int]) -> str:
    head = "N_unmapped\t5\t5\t5\nN_multimapping\t4\t4\t4\nN_noFeature\t3\t9\t9\nN_ambiguous\t0\t1\t1\n"
    return head + "".join(f"{gene}\t{n}\t0\t{n}\n" for gene, n in counts.items())


def feature_counts(counts: dict[str, int]) -> str:
    head = "# Program:featureCounts\nGeneid\tChr\tStart\tEnd\tStrand\tLength\tx.bam\n"
    return head + "".join(f"{gene}\tchr1\t1\t9\t+\t9\t{n}\n" for gene, n in counts.items())


def rsem(counts: dict[str, int]) -> str:
    head = "gene_id\ttranscript_id(s)\tlength\teffective_length\texpected_count\tTPM\tFPKM\n"
    return head + "".join(f"{gene}\tt\t9\t8.5\t{n}.00\t{n / 2}\t{n / 4}\n" for gene, n in counts.items())


def plain(counts: dict[str, int]) -> str:
    return "gene_symbol,count\n" + "".join(f"{gene},{n}\n" for gene, n in counts.items())


def blanks(counts: dict[str, int]) -> str:
    return "".join(f"{gene} {n}\n" for gene, n in counts.items())


@pytest.mark.parametrize("layout", [htseq, star, feature_counts, rsem, plain, blanks])
def test_every_layout_gives_the_same_matrix(tmp_path: Path, layout: object) -> None:
    files = {f"raw/{name}_x.txt.gz": layout(counts) for name, counts in COUNTS.items()}  # type: ignore[operator]
    matrix = read_geo(
        folder_of(tmp_path, files | {"GSE1_series_matrix.txt.gz": HEADER}), cohort=Cohort("c", "bulk", "geo")
    )
    assert matrix.samples == GSM
    assert matrix.genes == ("TP53", "KIT", "XIST")
    np.testing.assert_array_equal(matrix.values, [list(COUNTS[name].values()) for name in GSM])
    assert matrix.columns["state"] == ("well", "ill", "well")
    assert any("3 tables of one sample each were joined" in note for note in matrix.notes)


def test_reads_in_no_gene_become_a_metric(tmp_path: Path) -> None:
    paths = folder_of(tmp_path, {f"{name}_x.txt": htseq(counts) for name, counts in COUNTS.items()}).of_kind(
        "table"
    )
    joined = join_tables(paths, units="")
    in_genes = np.array([sum(counts.values()) for counts in COUNTS.values()])
    np.testing.assert_allclose(joined.metrics["assigned_share"], in_genes / (in_genes + 12))
    (tmp_path / "GSM3_x.txt").write_text(blanks(COUNTS["GSM3"]))
    assert join_tables(paths, units="").metrics == {}


def test_the_order_of_genes_is_free_but_not_the_set(tmp_path: Path) -> None:
    turned = dict(reversed(COUNTS["GSM2"].items()))
    paths = folder_of(
        tmp_path, {"GSM1_x.txt.gz": htseq(COUNTS["GSM1"]), "GSM2_x.txt.gz": htseq(turned)}
    ).of_kind("table")
    np.testing.assert_array_equal(join_tables(paths, units="").values, [[5, 6], [7, 8], [0, 9]])
    folder_of(tmp_path, {"GSM2_x.txt.gz": htseq(turned | {"MYC": 1})})
    with pytest.raises(DataError, match=r"GSM2_x.*not those of GSM1_x.*1 genes.*MYC"):
        join_tables(paths, units="")


def test_units_choose_the_column(tmp_path: Path) -> None:
    path = tmp_path / "GSM1.genes.results"
    path.write_text(rsem(COUNTS["GSM1"]))
    assert read_sample(path, units="tpm").values.tolist() == [2.5, 3.5, 0]
    assert read_sample(path, units="fpkm").column == "'FPKM'"
    assert read_sample(path, units="").column == "'expected_count'"
    with pytest.raises(DataError, match=r"no column .* known to hold.*FPKM'; allowed: a column of cpm"):
        read_sample(path, units="cpm")


def test_selected_samples_only_and_those_without_a_table_are_told(tmp_path: Path) -> None:
    files = {f"{name}.txt.gz": htseq(COUNTS[name]) for name in GSM[:2]} | {
        "GSE1_series_matrix.txt.gz": HEADER
    }
    folder = folder_of(tmp_path, files)
    well = read_geo(folder, cohort=Cohort("c", "bulk", "geo", select="state=well"))
    assert well.samples == ("GSM1",)
    assert any("1 samples of GSE1 have no counts: GSM3" in note for note in well.notes)
    with pytest.raises(DataError, match="none of the tables is of a selected sample"):
        read_geo(folder, cohort=Cohort("c", "bulk", "geo", select="geo_accession=GSM3"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("TP53\t1\nKIT\n", [":2", "1 cells"], id="cut row"),
        pytest.param("TP53\t1\nTP53\t2\n", ["two rows", "TP53"], id="twice"),
        pytest.param("TP53\t1\nKIT\tx\n", ["KIT", "not a number", "'x'"], id="word"),
        pytest.param("TP53\nKIT\n", [":1", "one column only"], id="one column"),
        pytest.param("# nothing\n", ["no genes"], id="comments"),
        pytest.param("__no_feature\t4\n", ["no genes"], id="only reads elsewhere"),
        pytest.param("a\tb\tc\nTP53\t1\t2\n", ["no column", "a, b, c", "units"], id="unknown columns"),
    ],
)
def test_refused_with_place_and_reason(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "GSM1_x.txt"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_sample(path, units="")
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_tables_of_different_kinds_are_not_mixed(tmp_path: Path) -> None:
    for name, text in {"GSM1": rsem(COUNTS["GSM1"]), "GSM2": plain(COUNTS["GSM2"])}.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match="different columns of values"):
        join_tables([tmp_path / "GSM1", tmp_path / "GSM2"], units="")


def test_per_sample_is_told_by_accessions_in_names() -> None:
    assert are_per_sample([Path("GSM1_a.txt"), Path("x/GSM2.txt")])
    assert not are_per_sample([Path("GSM1_a.txt"), Path("GSM1_b.txt")])
    assert not are_per_sample([Path("GSE1_counts.txt")])
    assert not are_per_sample([])
