"""GDC: the answer of the files service and one STAR-counts table per file."""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from consilience.expression.gene_table import load_gene_table
from consilience.foundation.seeds import stream
from consilience.simulate.bulk import BulkCohort
from consilience.simulate.plan import PlannedSample
from consilience.simulate.truth import Truth
from consilience.study.cohorts import Cohort

HEADER = (
    "gene_id", "gene_name", "gene_type", "unstranded", "stranded_first", "stranded_second",
    "tpm_unstranded", "fpkm_unstranded", "fpkm_uq_unstranded",
)  # fmt: skip
PROJECT = "TCGA-ZZZZ"
UNIVERSE = uuid.UUID("5f3c7f0e-6f53-4f0f-9a3e-2d6b7c1f9a10")
PAR1_END = 2_781_479


def write_gdc(folder: Path, *, cohort: Cohort, bulk: BulkCohort, truth: Truth) -> None:
    """Write ``files.json`` and one STAR-counts table for each sample in a folder of its file id."""
    genes = GeneColumns(truth)
    hits = []
    for row, one in enumerate(bulk.planned):
        file_id, stem = (
            str(uuid.uuid5(UNIVERSE, f"{truth.seed}/{cohort.name}/{one.sample}/{k}")) for k in "ab"
        )
        name = f"{stem}.rna_seq.augmented_star_gene_counts.tsv"
        content = genes.table(bulk.counts[row]).encode()
        (folder / file_id).mkdir(parents=True)
        (folder / file_id / name).write_bytes(content)
        hits.append(file_record(
            one, file_id=file_id, name=name, content=content, age=bulk.ages[row], row=row
        ))  # fmt: skip
    page = {
        "count": len(hits),
        "sort": "",
        "from": 0,
        "page": 1,
        "total": len(hits),
        "pages": 1,
        "size": 10_000,
    }
    answer = {"data": {"hits": hits, "pagination": page}, "warnings": {}}
    (folder / "files.json").write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")


def file_record(
    one: PlannedSample, *, file_id: str, name: str, content: bytes, age: int, row: int
) -> dict[str, Any]:
    """One hit of the files service."""
    aliquot = f"{one.sample}-{11 + row % 3}R-{one.batch}-07"
    return {
        "id": file_id,
        "file_id": file_id,
        "file_name": name,
        "file_size": len(content),
        "md5sum": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "access": "open",
        "state": "released",
        "experimental_strategy": "RNA-Seq",
        "data_type": "Gene Expression Quantification",
        "data_category": "Transcriptome Profiling",
        "analysis": {"workflow_type": "STAR - Counts"},
        "cases": [{
            "case_id": str(uuid.uuid5(UNIVERSE, one.donor)),
            "submitter_id": one.donor,
            "project": {"project_id": PROJECT},
            "demographic": {"gender": one.sex, "age_at_index": age},
            "samples": [{
                "sample_id": str(uuid.uuid5(UNIVERSE, one.sample)),
                "submitter_id": one.sample,
                "sample_type": one.level,
                "tissue_type": "Tumor" if one.arm == "case" else "Normal",
                "portions": [{"analytes": [{"aliquots": [{"submitter_id": aliquot}]}]}],
            }],
        }],
        "associated_entities": [{"entity_type": "aliquot", "entity_submitter_id": aliquot}],
    }  # fmt: skip


class GeneColumns:
    """What all tables of a release share: versioned ids in order, names, types, lengths."""

    def __init__(self, truth: Truth) -> None:
        table = load_gene_table()
        symbols, ids = truth.symbols, truth.genes["ensembl_id"].tolist()
        self.order = sorted(range(len(ids)), key=ids.__getitem__)
        self.lengths = np.exp(stream(0, "gene length").normal(7.6, 0.7, len(ids)))
        version = {gene_id: int(hashlib.sha256(gene_id.encode()).hexdigest(), 16) % 18 + 1 for gene_id in ids}
        places = zip(truth.genes["chromosome"], truth.genes["position"], strict=True)
        self.double = [chromosome == "X" and position < PAR1_END for chromosome, position in places]
        self.starts = [
            f"{ids[row]}.{version[ids[row]]}\t{symbols[row]}\t{table.gene_types[table.row_of[symbols[row]]]}"
            for row in range(len(ids))
        ]
        self.copies = [
            f"{ids[row]}.{version[ids[row]]}_PAR_Y\t{symbols[row]}\t{table.gene_types[table.row_of[symbols[row]]]}"
            for row in range(len(ids))
        ]

    def table(self, counts: np.ndarray[Any, np.dtype[np.int64]]) -> str:
        """One STAR-counts table of `counts` (genes,)."""
        per_base = counts / self.lengths
        tpm = 1e6 * per_base / max(per_base.sum(), 1e-9)
        fpkm = 1e9 * per_base / max(int(counts.sum()), 1)
        upper = 1e9 * per_base / max(float(np.quantile(counts, 0.75)) * counts.size, 1.0)
        total = int(counts.sum())
        lines = ["# gene-model: GENCODE v36", "\t".join(HEADER)]
        for name, share in (
            ("unmapped", 0.04),
            ("multimapping", 0.08),
            ("noFeature", 0.06),
            ("ambiguous", 0.05),
        ):
            number = int(total * share)
            lines.append(f"N_{name}\t\t\t{number}\t{number // 2}\t{number - number // 2}\t\t\t")
        for row in self.order:
            count = int(counts[row])
            lines.append(
                f"{self.starts[row]}\t{count}\t{count // 2}\t{count - count // 2}"
                f"\t{tpm[row]:.4f}\t{fpkm[row]:.4f}\t{upper[row]:.4f}"
            )
            if self.double[row]:
                lines.append(f"{self.copies[row]}\t0\t0\t0\t0.0000\t0.0000\t0.0000")
        return "\n".join(lines) + "\n"
