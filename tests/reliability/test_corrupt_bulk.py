"""Raw bulk files that were damaged after they were fetched: always refused by name, never read as something else."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from consilience.expression.prepare import prepare_cohort
from consilience.foundation.errors import DataError
from consilience.foundation.files import sha256_of
from consilience.foundation.seeds import stream
from consilience.sources.bulk.read import read_bulk
from consilience.sources.raw_folder import RawFolder, raw_folder_of
from consilience.study.cohorts import Cohort
from consilience.study.sections import NormalisationSection, QualitySection

COHORT = Cohort("c", "bulk", "local")
N_SAMPLES, N_GENES, N_PLACES = 6, 40, 50
COUNTS = stream(1, "counts").poisson(30, (N_GENES, N_SAMPLES))
HTML = b"<!DOCTYPE html>\n<html><body><h1>503 Service Unavailable</h1></body></html>\n"


def table_text(header: list[str]) -> str:
    rows = [f"G{g}\t" + "\t".join(map(str, COUNTS[g])) for g in range(N_GENES)]
    return "\n".join(["\t".join(["gene", *header]), *rows]) + "\n"


def write_geo(folder: Path) -> None:
    def row(name: str, cells: list[str]) -> str:
        return name + "".join(f'\t"{cell}"' for cell in cells)

    titles, accessions = [f"T{k}" for k in range(N_SAMPLES)], [f"GSM{k}" for k in range(N_SAMPLES)]
    header = "\n".join([
        row("!Series_geo_accession", ["GSE1"]), row("!Sample_title", titles),
        row("!Sample_geo_accession", accessions),
        row("!Sample_characteristics_ch1", [f"state: {'ill' if k % 2 else 'well'}" for k in range(N_SAMPLES)]),
        "!series_matrix_table_begin", row('"ID_REF"', accessions), "!series_matrix_table_end", "",
    ])  # fmt: skip
    (folder / "GSE1_series_matrix.txt.gz").write_bytes(gzip.compress(header.encode(), mtime=0))
    (folder / "GSE1_raw_counts.tsv.gz").write_bytes(gzip.compress(table_text(titles).encode(), mtime=0))


def write_gdc(folder: Path) -> None:
    header = "gene_id\tgene_name\tgene_type\tunstranded"
    hits = []
    for k in range(N_SAMPLES):
        rows = [f"{kind}\t\t\t5" for kind in ("N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous")]
        rows += [f"ENSG{g:011d}.1\tG{g}\tcoding\t{COUNTS[g, k]}" for g in range(N_GENES)]
        content = "\n".join(["# gene-model: GENCODE v36", header, *rows, ""]).encode()
        name = f"f{k}.rna_seq.augmented_star_gene_counts.tsv"
        (folder / f"id{k}").mkdir()
        (folder / f"id{k}" / name).write_bytes(content)
        hits.append({
            "file_id": f"id{k}", "file_name": name, "file_size": len(content),
            "md5sum": hashlib.md5(content).hexdigest(),
            "cases": [{"submitter_id": f"P{k}", "samples": [{"submitter_id": f"P{k}-01A", "sample_type": "Tumor"}]}],
        })  # fmt: skip
    answer = {"data": {"hits": hits, "pagination": {"total": N_SAMPLES}}, "warnings": {}}
    (folder / "files.json").write_text(json.dumps(answer))


def write_text_table(folder: Path, compressed: bool = False) -> None:
    samples = [f"S{k}" for k in range(N_SAMPLES)]
    content = table_text(samples).encode()
    if compressed:
        (folder / "t.tsv.gz").write_bytes(gzip.compress(content, mtime=0))
    else:
        (folder / "t.tsv").write_bytes(content)
    (folder / "t.samples.tsv").write_text("sample\tstate\n" + "".join(f"{one}\till\n" for one in samples))


def write_gzip_table(folder: Path) -> None:
    write_text_table(folder, compressed=True)


def write_parquet_table(folder: Path) -> None:
    write_text_table(folder)
    (folder / "t.tsv").unlink()
    frame = pd.DataFrame(COUNTS, columns=[f"S{k}" for k in range(N_SAMPLES)])
    frame.insert(0, "gene", [f"G{g}" for g in range(N_GENES)])
    frame.to_parquet(folder / "t.parquet", write_page_checksum=True)


WRITERS: dict[str, Callable[[Path], None]] = {
    "geo": write_geo, "gdc": write_gdc, "text": write_text_table, "gzip": write_gzip_table,
    "parquet": write_parquet_table,
}  # fmt: skip


def record(folder: Path) -> None:
    files = [
        {"name": path.relative_to(folder).as_posix(), "bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    (folder / "provenance.json").write_text(json.dumps({"cohort": "c", "files": files}))


def unverified(folder: Path) -> RawFolder:
    """The folder as if nothing had been recorded of it: only what the formats themselves can notice is left."""
    names = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "provenance.json"]
    files = tuple((path.relative_to(folder).as_posix(), path) for path in names)
    return raw_folder_of(folder, files)


def damages(content: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    """Fifty flipped bytes, ten cuts, nothing, and a web page."""
    rng = stream(7, "damage", name)
    for place in rng.integers(0, len(content), N_PLACES):
        flipped = bytearray(content)
        flipped[place] ^= int(rng.integers(1, 256))
        yield f"byte {place} flipped", bytes(flipped)
    for place in rng.integers(1, len(content), 10):
        yield f"cut at {place}", content[:place]
    yield "empty", b""
    yield "web page", HTML


def raw_files(folder: Path) -> list[Path]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "provenance.json"]
    return [
        path for path in files if not path.parent.name.startswith("id") or path.parent.name in {"id0", "id5"}
    ]


@pytest.mark.parametrize("kind", WRITERS)
def test_damage_after_the_fetch_is_always_refused_by_name(kind: str, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    WRITERS[kind](raw)
    record(raw)
    for path in raw_files(raw):
        whole = path.read_bytes()
        for what, content in damages(whole, path.name):
            path.write_bytes(content)
            with pytest.raises(DataError) as caught:
                prepare_cohort(
                    cohort=COHORT, raw_dir=raw, quality=QualitySection(), normalisation=NormalisationSection(),
                    min_samples_per_arm=1, seed=1, expression_path=tmp_path / "e.h5ad",
                    removed_path=tmp_path / "r.parquet", qc_path=tmp_path / "qc.json",
                )  # fmt: skip
            assert path.name in str(caught.value), what
            assert "run again" in str(caught.value), what
        path.write_bytes(whole)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["raw"]


@pytest.mark.parametrize("kind", ["geo", "gdc", "gzip"])
def test_formats_with_checks_of_their_own_never_give_other_counts(kind: str, tmp_path: Path) -> None:
    """gzip has a CRC and the GDC gives md5 sums: even without our record, damage is refused or harmless."""
    WRITERS[kind](tmp_path)
    whole_matrix = read_bulk(unverified(tmp_path), cohort=COHORT)
    np.testing.assert_array_equal(whole_matrix.values, COUNTS.T)
    refused = 0
    for path in raw_files(tmp_path):
        if path.name in {"files.json", "t.samples.tsv"}:
            continue  # plain text of the service or the user: only the record can know
        whole = path.read_bytes()
        for what, content in damages(whole, path.name):
            path.write_bytes(content)
            try:
                found = read_bulk(unverified(tmp_path), cohort=COHORT)
            except DataError as error:
                refused += 1
                assert path.name in str(error) or path.parent.name in str(error), (what, str(error))  # noqa: PT017
            else:
                np.testing.assert_array_equal(found.values, COUNTS.T, err_msg=what)
                assert found.samples == whole_matrix.samples, what
                assert found.columns == whole_matrix.columns, what
        path.write_bytes(whole)
    assert refused > N_PLACES


@pytest.mark.parametrize("kind", WRITERS)
def test_no_damage_ends_in_anything_but_a_data_error(kind: str, tmp_path: Path) -> None:
    """Without our record plain text may change unseen, but never ends in a traceback, and a cut is always seen."""
    WRITERS[kind](tmp_path)
    for path in raw_files(tmp_path):
        whole = path.read_bytes()
        for what, content in damages(whole, path.name):
            path.write_bytes(content)
            try:
                found = read_bulk(unverified(tmp_path), cohort=COHORT)
            except DataError:
                continue
            whole_lines = content.endswith(b"\n") and whole.startswith(content)
            assert "cut" not in what or whole_lines or path.name == "t.samples.tsv", what
            assert found.values.shape[1] <= N_GENES
        path.write_bytes(whole)
