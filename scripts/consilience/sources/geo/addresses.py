"""Where GEO keeps what: the canonical addresses of a series, its files and its platforms."""

from __future__ import annotations

import re

GEO = "https://ftp.ncbi.nlm.nih.gov/geo"
DOWNLOAD_PAGE = "https://www.ncbi.nlm.nih.gov/geo/download/"
_ACCESSION = re.compile(r"(GSE|GPL|GDS|GSM)\d+")
_FOLDERS = {"GSE": "series", "GPL": "platforms", "GDS": "datasets", "GSM": "samples"}


def is_accession(text: str, *kinds: str) -> bool:
    """True for GSE55235 and the like, of one of these kinds."""
    found = _ACCESSION.fullmatch(text)
    return found is not None and found[1] in kinds


def record_folder(accession: str) -> str:
    """The folder of a record: the last three digits are nnn in the folder above it (GSE55nnn, GSEnnn)."""
    shelf = re.sub(r"\d{1,3}$", "nnn", accession)
    return f"{GEO}/{_FOLDERS[accession[:3]]}/{shelf}/{accession}/"


def matrix_folder(series: str) -> str:
    """Holds one series matrix for each platform."""
    return f"{record_folder(series)}matrix/"


def supplement_folder(series: str) -> str:
    """Holds what the authors added: tables of counts, archives of one file for each sample."""
    return f"{record_folder(series)}suppl/"


def family_file(series: str) -> str:
    """The whole series in one text file, its platforms' tables and its samples' values included."""
    return f"{record_folder(series)}soft/{series}_family.soft.gz"


def annotation_folder(platform: str) -> str:
    """Holds the annotation that GEO makes of a platform; many platforms have none."""
    return f"{record_folder(platform)}annot/"


def counts_page(series: str) -> str:
    """The page that offers the counts which NCBI itself made of a series' reads."""
    return f"{DOWNLOAD_PAGE}?acc={series}"
