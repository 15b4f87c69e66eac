"""Somebody's own file, in every form and either orientation: the same samples, or one clear sentence."""

from __future__ import annotations

import gzip
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from consilience.expression.genes import load_gene_table
from consilience.foundation.errors import ConsilienceError, DataError
from consilience.rnagan.alignment import align
from consilience.rnagan.reading import column_of, read_given, rows_of
from rnagan.small_models import GENES, SYMBOLS, make_counts

N = 10
COUNTS, KINDS = make_counts(N)
NAMES = [f"P-{k:02d}" for k in range(N)]
EXPECTED = np.log1p(COUNTS / COUNTS.sum(axis=1, keepdims=True) * 1e4)[:, : len(GENES)]


def frame() -> pd.DataFrame:
    return pd.DataFrame(COUNTS.T, index=pd.Index(SYMBOLS, name="gene"), columns=NAMES)


def labels(path: Path) -> Path:
    table = pd.DataFrame({"sample": [*NAMES[::-1], "absent"], "kind": [*KINDS[::-1], "sick"]})
    table.to_csv(path, sep="\t", index=False)
    return path


def write(folder: Path, form: str) -> Path:
    by_gene, by_sample = frame(), frame().T.rename_axis("sample")
    path = folder / f"new.{form.split(' ')[0]}"
    match form:
        case "tsv":
            by_gene.to_csv(path, sep="\t")
        case "csv":
            by_gene.to_csv(path)
        case "tsv.gz":
            path.write_bytes(gzip.compress(by_gene.to_csv(sep="\t").encode()))
        case "tsv of samples":
            by_sample.to_csv(path, sep="\t")
        case "csv of samples":
            by_sample.to_csv(path)
        case "parquet":
            by_gene.reset_index().to_parquet(path)
        case "parquet of samples":
            by_sample.reset_index().to_parquet(path)
        case _:
            data = anndata.AnnData(
                by_sample.astype(np.float32), obs=pd.DataFrame({"kind": KINDS}, index=NAMES)
            )
            write_h5ad(data, path, form)
    return path


def write_h5ad(data: anndata.AnnData, path: Path, form: str) -> None:
    table = load_gene_table()
    if "sparse" in form:
        data.X = sparse.csc_matrix(data.X) if "csc" in form else sparse.csr_matrix(data.X)
    if "layer" in form:
        data.layers["counts"] = data.X.copy()
        data.X = np.log2(data.X + 3.5)
    if "log1p" in form:
        data.X = np.log1p(data.X / data.X.sum(axis=1, keepdims=True) * 1e4)
        data.uns["log1p"] = {"base": None}
    if "ensembl" in form:
        data.var["feature_name"] = list(data.var_names)
        data.var_names = [f"{table.ensembl_ids[table.row_of[name]]}.3" for name in data.var_names]
    if "probes" in form:
        data.var["gene_symbol"] = list(data.var_names)
        data.var_names = [f"probe{k}" for k in range(data.n_vars)]
    data.write_h5ad(path)


FORMS = [
    "tsv", "csv", "tsv.gz", "tsv of samples", "csv of samples", "parquet", "parquet of samples", "h5ad",
    "h5ad sparse", "h5ad sparse csc", "h5ad layer", "h5ad log1p", "h5ad ensembl", "h5ad log1p probes",
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_form_gives_the_same_samples(tmp_path: Path, form: str) -> None:
    path = write(tmp_path, form)
    given = read_given(path, labels=None if "h5ad" in form else labels(tmp_path / "what.tsv"))
    assert list(given.names) == NAMES
    assert list(column_of(given, "kind")) == list(KINDS)
    found = align(given, genes=GENES, scale="log1p_cp10k")
    np.testing.assert_allclose(found.samples.values, EXPECTED, rtol=1e-4, atol=1e-5)


def test_a_samples_table_beside_the_values_is_read_by_itself(tmp_path: Path) -> None:
    path = write(tmp_path, "tsv")
    labels(tmp_path / "new.samples.tsv")
    given = read_given(path)
    assert list(column_of(given, "kind")) == list(KINDS)
    assert any("labels are read from new.samples.tsv" in note for note in given.notes)


def test_values_that_the_file_says_are_on_the_models_scale_stay_as_they_are(tmp_path: Path) -> None:
    half = EXPECTED[:, ::2].astype(np.float32)
    data = anndata.AnnData(half, obs=pd.DataFrame(index=NAMES), var=pd.DataFrame(index=list(GENES[::2])))
    data.uns["consilience"] = {"units": "log1p_cp10k"}
    data.write_h5ad(tmp_path / "synthetic.h5ad")
    found = align(read_given(tmp_path / "synthetic.h5ad"), genes=GENES, scale="log1p_cp10k")
    np.testing.assert_array_equal(found.samples.values[:, ::2], half)
    assert found.n_matched == 50


def test_a_missing_column_or_level_is_answered_with_those_that_there_are(tmp_path: Path) -> None:
    given = read_given(write(tmp_path, "h5ad"))
    with pytest.raises(
        DataError, match=r"no such column.*'Kind'; allowed: kind\. To mend: did you mean 'kind'"
    ):
        column_of(given, "Kind")
    with pytest.raises(
        DataError, match=r"'sck'; allowed: 'sick' \(5\), 'well' \(5\)\. To mend: did you mean 'sick'"
    ):
        rows_of(given.columns["kind"], ["sck"], column="kind", where="x")
    with pytest.raises(DataError, match=r"it says nothing of its samples.*--labels"):
        column_of(read_given(write(tmp_path, "tsv")), "kind")


def spoil(path: Path, old: str, new: str) -> Path:
    path.write_text(path.read_text().replace(old, new, 1))
    return path


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    tsv = write(folder, "tsv")
    text = tsv.read_text()

    def file(name: str, content: str | bytes) -> Path:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return {
        "absent": (folder / "nothing.h5ad", "there is no such file"),
        "a folder": (folder, "there is no such file"),
        "another suffix": (file("new.xlsx", b"PK"), r"not a file of samples.*allowed: \.h5ad"),
        "no h5ad": (file("bad.h5ad", b"no hdf5 at all"), "cannot be read as an h5ad file"),
        "empty": (file("empty.tsv", b""), "the file is empty"),
        "a web page": (file("page.tsv", "<!doctype html><html>"), "web page"),
        "cut gzip": (file("cut.tsv.gz", gzip.compress(text.encode())[:200]), "damaged or cut"),
        "twins": (file("twins.tsv", text.replace("P-03", "P-04")), "P-04"),
        "a word": (file("word.tsv", text.replace(f"{SYMBOLS[5]}\t{COUNTS[0, 5]}", f"{SYMBOLS[5]}\tmany")), "many"),
        "no parquet": (file("bad.parquet", b"PAR1 and then nothing"), "not a readable parquet file"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "absent",
        "a folder",
        "another suffix",
        "no h5ad",
        "empty",
        "a web page",
        "cut gzip",
        "twins",
        "a word",
        "no parquet",
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(tmp_path: Path, name: str) -> None:
    path, message = bad_files(tmp_path)[name]
    with pytest.raises(DataError, match=message):
        read_given(path)


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
def test_twins_in_an_h5ad_file_are_refused(tmp_path: Path) -> None:
    obs = pd.DataFrame(index=["A", "A", *NAMES[2:]])
    data = anndata.AnnData(COUNTS.astype(np.float32), obs=obs, var=pd.DataFrame(index=list(SYMBOLS)))
    data.write_h5ad(tmp_path / "twins.h5ad")
    with pytest.raises(DataError, match="1 names are given to more than one sample: A"):
        read_given(tmp_path / "twins.h5ad")


def test_labels_without_a_sample_are_refused(tmp_path: Path) -> None:
    table = labels(tmp_path / "what.tsv")
    spoil(table, "P-03", "P-3")
    with pytest.raises(DataError, match=r"1 of 10 samples have no row in what\.tsv: P-03.*did you mean"):
        read_given(write(tmp_path, "tsv"), labels=table)


@pytest.mark.parametrize("place", ["X", "layer"])
def test_a_missing_value_in_an_h5ad_file_is_named(tmp_path: Path, place: str) -> None:
    values = COUNTS.astype(np.float32)
    values[4, 7] = np.nan
    data = anndata.AnnData(values, obs=pd.DataFrame(index=NAMES), var=pd.DataFrame(index=list(SYMBOLS)))
    if place == "layer":
        data.layers["counts"] = values
    data.write_h5ad(tmp_path / "gap.h5ad")
    with pytest.raises(DataError, match=rf"sample 'P-04', gene '{SYMBOLS[7]}'.*missing \(NaN\)"):
        align(read_given(tmp_path / "gap.h5ad"), genes=GENES, scale="log1p_cp10k")


@pytest.mark.parametrize("kind", ["flipped", "cut"])
@pytest.mark.parametrize("form", ["h5ad sparse", "h5ad log1p"])
def test_a_damaged_h5ad_file_is_refused_or_read_but_never_a_crash(
    tmp_path: Path, form: str, kind: str
) -> None:
    path = write(tmp_path, form)
    whole, random = path.read_bytes(), np.random.default_rng(5)
    for number, place in enumerate(random.integers(0, len(whole), 25)):
        damaged = tmp_path / f"damaged{number}.h5ad"
        flipped = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        damaged.write_bytes(whole[:place] if kind == "cut" else flipped)
        try:
            given = read_given(damaged)
            column_of(given, "kind")
            found = align(given, genes=GENES, scale="log1p_cp10k")
        except ConsilienceError:
            continue
        assert kind != "cut" or place > 0.9 * len(whole)
        assert np.isfinite(found.samples.values).all()


KIT = {
    "bulk/tcga_kich.counts.parquet": ("counts", 85, 15000),
    "bulk/gtex_kidney_bladder.counts.parquet": ("counts", 43, 15000),
    "geo_as_served/GSE97165_GEO_count_matrix.txt.gz": ("estimated_counts", 38, 13000),
    "singlecell/kang2018_ifnb_muscat.h5ad": ("counts", 1556, 900),
}


@pytest.mark.real_data
@pytest.mark.parametrize("name", KIT)
def test_real_files_come_to_the_scale_of_reads(kit: Path, name: str) -> None:
    genes = tuple(load_gene_table().symbols_of(gene_type="protein_coding"))
    units, n, least = KIT[name]
    found = align(read_given(kit / name), genes=genes, scale="log1p_cp10k", min_overlap=0.01)
    assert (found.units, len(found.samples)) == (units, n)
    assert found.n_matched >= least
    reads = np.expm1(found.samples.values.astype(np.float64)).sum(axis=1)
    assert (reads <= 1e4 * 1.001).all()
    assert np.median(reads) > 5e3


@pytest.mark.real_data
def test_regularised_logarithms_are_told_as_logarithms_of_base_2(kit: Path) -> None:
    genes = tuple(load_gene_table().symbols_of(gene_type="protein_coding"))
    given = read_given(kit / "bulk" / "peac_ra_synovium_500genes.rlog.tsv.gz")
    assert align(given, genes=genes, scale="log2", min_overlap=0.01).units == "log2"
    with pytest.raises(DataError, match="one cannot be turned into the other"):
        align(given, genes=genes, scale="log1p_cp10k", min_overlap=0.01)
