"""A small GDC: answers the questions of the API (status, projects, files, versions, data) from a list of files.

    gdc = FakeGdc([StarFile("TCGA-KL-0001-01A", counts), ...])
    gdc.answer("files", body)                          # as bytes, for tests without a server
    gdc.serve(server)                                  # on a ReplayServer, as {API: server.url + "/gdc/"}

The shapes of its answers are those of the API's user guide (see tests/realdata/test_gdc_real.py).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

API = "https://api.gdc.cancer.gov/"
RELEASE = "Data Release 41.0 - August 28, 2024"
HEADER = (
    "gene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\t"
    "tpm_unstranded\tfpkm_unstranded\tfpkm_uq_unstranded"
)
UNASSIGNED = ("N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous")
GENES = ("ENSG00000141510.18", "ENSG00000182378.15", "ENSG00000182378.15_PAR_Y")
TYPES = {"01": "Primary Tumor", "11": "Solid Tissue Normal", "06": "Metastatic"}
SPACE = uuid.UUID("7b1c1d7c-3f0e-4a58-9d2b-0d6a0a1d1c11")


def star_text(
    counts: Sequence[int], *, genes: Sequence[str] = GENES, unassigned: Sequence[int] = (100, 50, 30, 20)
) -> str:
    rows = [f"{kind}\t\t\t{n}\t{n}\t{n}\t\t\t" for kind, n in zip(UNASSIGNED, unassigned, strict=True)]
    rows += [
        f"{gene}\tNAME\tprotein_coding\t{n}\t0\t0\t1.5\t1.5\t1.5"
        for gene, n in zip(genes, counts, strict=True)
    ]
    return "\n".join(["# gene-model: GENCODE v36", HEADER, *rows]) + "\n"


def file_id_of(name: str) -> str:
    return str(uuid.uuid5(SPACE, name))


def star_file(
    sample: str,
    counts: Sequence[int] = (600, 200, 0),
    *,
    project: str = "TCGA-KICH",
    plate: str = "2315",
    **changes: Any,
) -> tuple[dict[str, Any], bytes]:
    """A hit of the files service and the content of its file."""
    content = star_text(counts).encode()
    case, aliquot = sample.rpartition("-")[0], f"{sample}-11R-{plate}-07"
    code = sample.rpartition("-")[2][:2]
    file_id = file_id_of(f"{aliquot}/{changes.get('file_name', '')}")
    hit = {
        "id": file_id, "file_id": file_id,
        "file_name": f"{file_id_of('stem' + file_id)}.rna_seq.augmented_star_gene_counts.tsv",
        "md5sum": hashlib.md5(content).hexdigest(), "file_size": len(content), "access": "open",
        "state": "released", "data_type": "Gene Expression Quantification",
        "experimental_strategy": "RNA-Seq", "analysis": {"workflow_type": "STAR - Counts"},
        "associated_entities": [{"entity_submitter_id": aliquot, "entity_type": "aliquot"}],
        "cases": [{
            "case_id": file_id_of(case), "submitter_id": case, "project": {"project_id": project},
            "demographic": {"gender": "female", "race": "white", "vital_status": "Alive", "days_to_death": None},
            "diagnoses": [{"primary_diagnosis": "Renal cell carcinoma, chromophobe type", "age_at_diagnosis": 20000}],
            "samples": [{
                "submitter_id": sample, "sample_type": TYPES.get(code, ""), "sample_type_id": code,
                "tissue_type": "Normal" if code == "11" else "Tumor",
                "portions": [{"analytes": [{"aliquots": [{"submitter_id": aliquot}]}]}],
            }],
        }],
    } | changes  # fmt: skip
    return hit, content


def kich(n: int = 6, **changes: Any) -> list[tuple[dict[str, Any], bytes]]:
    """Pairs of tumour and normal of n / 2 patients, with different counts."""
    return [
        star_file(
            f"TCGA-KL-{k // 2 + 1:04d}-{'01A' if k % 2 == 0 else '11A'}", (600 + k, 200, k % 2), **changes
        )
        for k in range(n)
    ]


@dataclass
class FakeGdc:
    """`files` as (hit, content); `projects` that exist; `twist` may change an answer of /files (answer, question)."""

    files: list[tuple[dict[str, Any], bytes]]
    projects: Sequence[str] = ("TCGA-KICH", "TCGA-KIRC", "TCGA-KIRP", "TARGET-NBL")
    release: str = RELEASE
    latest: Mapping[str, str] = field(default_factory=dict)
    most: int = 10_000
    """files on one page, whatever is asked for"""
    twist: Callable[[dict[str, Any], dict[str, Any]], Any] | None = None
    extras: list[tuple[tarfile.TarInfo, bytes]] = field(default_factory=list)
    """members that the archives hold beside the files"""
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def answer(self, path: str, body: str = "") -> bytes | None:
        """The API's answer to GET path, or POST path with a body; None for 404."""
        question = json.loads(body) if body else {}
        self.asked.append((path, question))
        if path == "status":
            return _json({"data_release": self.release, "status": "OK", "tag": "7.2", "version": 1})
        if path == "projects":
            return _json(_page([{"id": one, "project_id": one} for one in self.projects]))
        if path == "files":
            return self._files(question)
        if path == "files/versions":
            return _json([{"id": one, "latest_id": self.latest.get(one)} for one in question["ids"]])
        if path == "data":
            return self.archive(question["ids"])
        return next((content for hit, content in self.files if path == f"data/{hit['file_id']}"), None)

    def _files(self, question: dict[str, Any]) -> bytes:
        hits = [hit for hit, _ in self.files if _holds(question["filters"], hit)]
        hits.sort(key=lambda hit: str(hit.get("file_id")))
        start, size = int(question.get("from", 0)), min(int(question["size"]), self.most)
        answer = _page(hits[start : start + size], total=len(hits), start=start, size=size)
        return _json(self.twist(answer, question) if self.twist else answer)

    def archive(self, ids: Sequence[str]) -> bytes:
        """The tar.gz of a batch, with MANIFEST.txt and `extras` in front."""
        wanted = [(hit, content) for hit, content in self.files if hit["file_id"] in ids]
        lines = ["id\tfilename\tmd5\tsize\tstate"] + [
            f"{hit['file_id']}\t{hit['file_id']}/{hit['file_name']}\t{hit['md5sum']}\t{hit['file_size']}\treleased"
            for hit, _ in wanted
        ]
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            members = [(tarfile.TarInfo("MANIFEST.txt"), ("\n".join(lines) + "\n").encode()), *self.extras]
            members += [
                (tarfile.TarInfo(f"{hit['file_id']}/{hit['file_name']}"), content) for hit, content in wanted
            ]
            for member, content in members:
                member.size = len(content) if member.isreg() else 0
                archive.addfile(member, io.BytesIO(content))
        return gzip.compress(packed.getvalue(), mtime=0)

    def serve(self, server: Any, prefix: str = "/gdc/") -> dict[str, str]:
        """Serve everything on a ReplayServer; returns the mirrors for `FetchSection`."""
        paths = ["status", "projects", "files", "files/versions", "data"]
        for path in paths + [f"data/{hit['file_id']}" for hit, _ in self.files]:
            server.serve(
                prefix + path, lambda request, path=path: self.answer(path, request.body.decode()) or b""
            )
        return {API: server.url + prefix}


def _json(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def _page(hits: list[Any], *, total: int | None = None, start: int = 0, size: int = 10) -> dict[str, Any]:
    total = len(hits) if total is None else total
    page = {"count": len(hits), "sort": "", "from": start, "page": start // size + 1, "total": total,
            "pages": -(-total // size), "size": size}  # fmt: skip
    return {"data": {"hits": hits, "pagination": page}, "warnings": {}}


def _holds(filters: Mapping[str, Any], hit: Mapping[str, Any]) -> bool:
    if filters["op"] == "and":
        return all(_holds(one, hit) for one in filters["content"])
    assert filters["op"] == "in", filters
    found = _values(hit, filters["content"]["field"].split("."))
    return bool(found & {str(one) for one in filters["content"]["value"]})


def _values(value: Any, path: list[str]) -> set[str]:
    if isinstance(value, list):
        return set().union(*(_values(one, path) for one in value))
    if not path:
        return {str(value)}
    return _values(value[path[0]], path[1:]) if isinstance(value, dict) and path[0] in value else set()
