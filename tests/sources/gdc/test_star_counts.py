"""GDC answers and STAR-counts tables, in the shapes that the GDC serves."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from consilience.foundation.errors import DataError
from consilience.sources.gdc.hits import phenotype
from consilience.sources.gdc.read import read_gdc
from consilience.sources.gdc.star_counts import parse_star_counts
from consilience.sources.raw_folder import RawFolder, raw_folder_of

HEADER = (
    "gene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\t"
    "tpm_unstranded\tfpkm_unstranded\tfpkm_uq_unstranded"
)
GENES = ("ENSG00000141510.18", "ENSG00000182378.15", "ENSG00000182378.15_PAR_Y")


def star_text(counts: tuple[int, ...], unassigned: tuple[int, ...] = (100, 50, 30, 20)) -> str:
    kinds = ("N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous")
    rows = [f"{kind}\t\t\t{n}\t{n}\t{n}\t\t\t" for kind, n in zip(kinds, unassigned, strict=True)]
    rows += [
        f"{gene}\tNAME\tprotein_coding\t{n}\t0\t0\t1.5\t1.5\t1.5"
        for gene, n in zip(GENES, counts, strict=True)
    ]
    return "\n".join(["# gene-model: GENCODE v36", HEADER, *rows]) + "\n"


def hit_of(number: int, content: str) -> dict[str, Any]:
    kind, code = ("Primary Tumor", "01A") if number % 2 == 0 else ("Solid Tissue Normal", "11A")
    case = f"TCGA-KL-000{number // 2}"
    return {
        "id": f"id{number}", "file_id": f"id{number}", "data_format": "TSV",
        "file_name": f"f{number}.rna_seq.augmented_star_gene_counts.tsv",
        "md5sum": hashlib.md5(content.encode()).hexdigest(), "file_size": len(content),
        "cases": [{
            "case_id": f"uuid{number}", "submitter_id": case, "demographic": {"gender": "female", "vital_status": None},
            "samples": [{"sample_type": kind, "submitter_id": f"{case}-{code}", "sample_id": f"s{number}"}],
        }],
        "associated_entities": [{"entity_submitter_id": f"{case}-{code}-11R-2315-07", "entity_type": "aliquot"}],
    }  # fmt: skip


def write(path: Path, contents: list[str], **changes: Any) -> RawFolder:
    hits = [hit_of(number, content) for number, content in enumerate(contents)]
    for hit, content in zip(hits, contents, strict=True):
        target = path / hit["file_id"] / hit["file_name"]
        target.parent.mkdir()
        target.write_text(content)
    answer = {"data": {"hits": hits[::-1], "pagination": {"total": len(hits)}}, "warnings": {}} | changes
    (path / "files.json").write_text(json.dumps(answer))
    files = tuple(sorted((one.relative_to(path).as_posix(), one) for one in path.rglob("*") if one.is_file()))
    return raw_folder_of(path, files)


def test_files_become_one_matrix_with_phenotypes_and_mapping_rates(tmp_path: Path) -> None:
    matrix = read_gdc(write(tmp_path, [star_text((600, 200, 0)), star_text((7, 1, 2), (0, 0, 0, 0))]))
    assert matrix.samples == ("TCGA-KL-0000-01A", "TCGA-KL-0000-11A")
    assert matrix.values.tolist() == [[600, 200, 0], [7, 1, 2]]
    assert matrix.genes == ("ENSG00000141510.18", "ENSG00000182378.15", "ENSG00000182378.15")
    assert matrix.columns["sample_type"] == ("Primary Tumor", "Solid Tissue Normal")
    assert matrix.columns["case_id"] == ("TCGA-KL-0000", "TCGA-KL-0000")
    assert matrix.columns["plate"] == ("2315", "2315")
    assert matrix.columns["gender"] == ("female", "female")
    np.testing.assert_allclose(matrix.metrics["assigned_share"], [0.8, 1.0])
    np.testing.assert_allclose(matrix.metrics["unmapped_share"], [0.1, 0.0])
    assert any("pseudoautosomal" in note for note in matrix.notes)


def test_two_files_of_one_sample_are_told_apart_by_their_aliquots() -> None:
    rows = [
        {
            "file_id": "a",
            "cases.samples.submitter_id": "T-1",
            "associated_entities.entity_submitter_id": "T-1-x",
        },
        {
            "file_id": "b",
            "cases.samples.submitter_id": "T-1",
            "associated_entities.entity_submitter_id": "T-1-y",
        },
    ]
    assert phenotype(rows)["sample"] == ("T-1-x", "T-1-y")


def test_a_changed_file_is_refused_by_the_md5_of_the_gdc(tmp_path: Path) -> None:
    folder = write(tmp_path, [star_text((600, 200, 0)), star_text((7, 1, 2))])
    target = next(tmp_path.rglob("f1.*"))
    target.write_text(target.read_text().replace("\t7\t", "\t8\t"))
    with pytest.raises(DataError, match=r"f1\.rna_seq.*md5"):
        read_gdc(folder)


def test_one_page_of_several_is_refused(tmp_path: Path) -> None:
    content = star_text((1, 2, 3))
    folder = write(tmp_path, [content], data={"hits": [hit_of(0, content)], "pagination": {"total": 85}})
    with pytest.raises(DataError, match="1 of 85 files"):
        read_gdc(folder)


def test_files_with_other_genes_are_refused(tmp_path: Path) -> None:
    other = star_text((1, 2, 3)).replace("ENSG00000141510.18", "ENSG00000141510.17")
    with pytest.raises(DataError, match=r"gene 1 differs.*ENSG00000141510\.17"):
        read_gdc(write(tmp_path, [star_text((1, 2, 3)), other]))


def test_a_file_cut_at_a_line_is_refused_by_its_genes(tmp_path: Path) -> None:
    whole = star_text((1, 2, 3))
    short = whole[: whole.rstrip("\n").rindex("\n") + 1]
    with pytest.raises(DataError, match="gene 3 differs"):
        read_gdc(write(tmp_path, [whole, short]))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("\t600\t", "\t6.5\t", [":7:unstranded", "6.5"]),
        ("\t600\t", "\t-6\t", ["-6"]),
        ("\t600\t", "\t\t", [":7:unstranded"]),
        ("unstranded\tstranded_first", "counts\tstranded_first", ["no column unstranded", ":2"]),
        ("\t1.5\n", "\n", ["cells under"]),
    ],
)
def test_a_bad_table_is_refused_with_its_line(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    path = tmp_path / "f.tsv"
    path.write_text(star_text((600, 1, 2)).replace(old, new))
    with pytest.raises(DataError) as caught:
        parse_star_counts(path.read_bytes(), path)
    assert all(word in str(caught.value) for word in ["f.tsv", *words]), str(caught.value)


@pytest.mark.parametrize(
    "answer", [{"message": "internal error"}, {"data": {"hits": [{}]}}, {"data": {"hits": []}}, []]
)
def test_an_answer_that_is_none(tmp_path: Path, answer: object) -> None:
    folder = write(tmp_path, [star_text((1, 2, 3))])
    (tmp_path / "files.json").write_text(json.dumps(answer))
    with pytest.raises(DataError, match=r"files\.json"):
        read_gdc(folder)
