"""A stand-in for NCBI's GEO, laid out as it is, on top of a replay server; and the mirrors that lead there.

What it holds is given to it: the simulator's files, or files of the kit as they were really served. The GDC's
stand-in is fake_gdc.FakeGdc.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from fake_gdc import API as GDC
from replay import ReplayServer

GEO = "https://ftp.ncbi.nlm.nih.gov/geo/"
FILES = "https://data.example.org/"


def mirrors(server: ReplayServer) -> dict[str, str]:
    """The configuration's `fetch.mirrors` by which these addresses lead to the replay server."""
    return {GEO: f"{server.url}/geo/", GDC: f"{server.url}/gdc/", FILES: f"{server.url}/files/"}


def geo_folder(root: Path, accession: str) -> Path:
    """The folder of a series below the top of the site: series/GSE55nnn/GSE55235."""
    return root / "series" / f"{accession[:-3]}nnn" / accession


def lay_out_series(
    root: Path, accession: str, *, matrices: Mapping[str, Path], supplements: Mapping[str, Path]
) -> None:
    """Put a series' files where NCBI has them: by name in matrix/ and suppl/."""
    for part, files in (("matrix", matrices), ("suppl", supplements)):
        folder = geo_folder(root, accession) / part
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in files.items():
            shutil.copyfile(path, folder / name)


def lay_out_platform(root: Path, accession: str, annotation: Path) -> None:
    """Put a platform's annotation where NCBI has it (GPL96 and all below 1000 lie in GPLnnn)."""
    family = f"{accession[:-3]}nnn" if len(accession) > len("GPL999") else "GPLnnn"
    folder = root / "platforms" / family / accession / "annot"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(annotation, folder / f"{accession}.annot.gz")
