"""Stand-ins for NCBI's GEO and for the GDC, laid out as these are, on top of a replay server.

What they hold is given to them: the simulator's files, or files of the kit as they were really served.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from replay import Answer, ReplayServer, Request

GEO = "https://ftp.ncbi.nlm.nih.gov/geo/"
GDC = "https://api.gdc.cancer.gov/"
FILES = "https://data.example.org/"
RELEASE = "Data Release 41.0 - August 28, 2024"


def mirrors(server: ReplayServer) -> dict[str, str]:
    """The configuration's `fetch.mirrors` by which these addresses lead to the replay server."""
    return {GEO: f"{server.url}/geo/", GDC: f"{server.url}/gdc/", FILES: f"{server.url}/files/"}


def geo_folder(root: Path, accession: str) -> Path:
    """The folder of a series below the top of the site: series/GSE55nnn/GSE55235."""
    return root / "series" / f"{accession[:-3]}nnn" / accession


def lay_out_series(
    root: Path, accession: str, *, matrices: Mapping[str, Path], supplements: Mapping[str, Path | bytes]
) -> None:
    """Put a series' files where NCBI has them: by name in matrix/ and suppl/."""
    for part, files in (("matrix", matrices), ("suppl", supplements)):
        folder = geo_folder(root, accession) / part
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            if isinstance(content, bytes):
                (folder / name).write_bytes(content)
            else:
                shutil.copyfile(content, folder / name)


def lay_out_platform(root: Path, accession: str, annotation: Path) -> None:
    """Put a platform's annotation where NCBI has it."""
    folder = (
        root
        / "platforms"
        / (f"{accession[:-3]}nnn" if len(accession) > 6 else "GPLnnn")
        / accession
        / "annot"
    )
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(annotation, folder / f"{accession}.annot.gz")


def serve_gdc(server: ReplayServer, hits: Sequence[Mapping[str, Any]], files: Mapping[str, bytes]) -> None:
    """Answer status, projects, files (with filters and pages), single data and batches."""
    by_id = {str(hit["file_id"]): dict(hit) for hit in hits}
    projects = sorted({value for hit in hits for value in _values(hit, "cases.project.project_id")})

    def answer_files(request: Request) -> bytes:
        question = json.loads(request.body)
        found = [by_id[one] for one in sorted(by_id) if _fits(by_id[one], question.get("filters"))]
        start, size = int(question.get("from", 0)), int(question.get("size", 10))
        page = found[start : start + size]
        total = {"count": len(page), "total": len(found), "from": start, "size": size}
        return json.dumps({"data": {"hits": page, "pagination": total}, "warnings": {}}).encode()

    def answer_batch(request: Request) -> bytes:
        packed = io.BytesIO()
        ids = json.loads(request.body)["ids"]
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for one in ids:
                _add(archive, f"{one}/{by_id[one]['file_name']}", files[one])
            _add(archive, "MANIFEST.txt", b"id\tfilename\tmd5\tsize\tstate\n")
        return packed.getvalue()

    status = {"commit": "0" * 40, "data_release": RELEASE, "status": "OK", "tag": "7.0", "version": 1}
    server.serve("/gdc/status", json.dumps(status).encode())
    listed = {"data": {"hits": [{"project_id": one, "id": one} for one in projects]}}
    server.serve("/gdc/projects", lambda request: json.dumps(listed).encode())
    server.serve("/gdc/files", answer_files)
    server.serve("/gdc/data", answer_batch, ranges=False)
    for one, content in files.items():
        server.serve(f"/gdc/data/{one}", content)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _values(node: object, path: str) -> list[str]:
    """All values at a dotted path, through lists."""
    if isinstance(node, list):
        return [value for one in node for value in _values(one, path)]
    if not path:
        return [str(node)]
    first, _, rest = path.partition(".")
    return _values(node[first], rest) if isinstance(node, Mapping) and first in node else []


def _fits(hit: Mapping[str, Any], filters: Mapping[str, Any] | None) -> bool:
    """The GDC's filters "and" and "in"; a field that the hit does not have does not keep it out."""
    if not filters:
        return True
    if filters["op"] == "and":
        return all(_fits(hit, one) for one in filters["content"])
    assert filters["op"] == "in", filters["op"]
    values = _values(hit, filters["content"]["field"])
    return not values or bool(set(values) & set(map(str, filters["content"]["value"])))


__all__ = [
    "FILES",
    "GDC",
    "GEO",
    "Answer",
    "geo_folder",
    "lay_out_platform",
    "lay_out_series",
    "mirrors",
    "serve_gdc",
]
