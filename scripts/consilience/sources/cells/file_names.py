"""What the name of a file of cells says: its sample, and whether it holds every barcode or only cells."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ENDINGS = re.compile(r"\.(gz|bgz|mtx|h5|h5ad|hdf5|loom|csv|tsv|txt|tab)$", re.IGNORECASE)
_GENERIC = re.compile(
    r"(^|[_. -])("
    r"(sample_)?(filtered|raw)?_?(feature|gene)s?_bc_matri(x|ces)(_h5)?(_mex)?|(sample_)?(filtered|raw)|matrix|matrices|"
    r"(raw_|umi_?|read_?|gene_?|exon_?)?counts?(_?(matrix|table|data))?|outs?|count|mex|dge|expression(_matrix)?|"
    r"GRCh3[78]|hg19|hg38"
    r")$",
    re.IGNORECASE,
)
_UNFILTERED = re.compile(r"(^|[/_. -])raw_?((feature|gene)s?_bc_matri(x|ces))", re.IGNORECASE)
_GSM = re.compile(r"(GSM\d+)(?![0-9])")


def sample_of(name: str) -> str:
    """Sample that a file is of: its stem without general words, else that of its folder ("all" at last)."""
    parts = name.split("/")
    while _ENDINGS.search(parts[-1]):
        parts[-1] = _ENDINGS.sub("", parts[-1])
    for part in reversed(parts):
        while _GENERIC.search(part):
            part = _GENERIC.sub("", part)
        if part.strip("_. -"):
            return part.strip("_. -")
    return "all"


def accession_of(sample: str) -> str:
    """The GEO accession at the beginning of a sample's name, "" where there is none."""
    found = _GSM.match(sample)
    return found[1] if found else ""


def is_unfiltered(name: str) -> bool:
    """Whether a Cell Ranger name says that all barcodes are there, empty droplets too."""
    return _UNFILTERED.search(name) is not None


def unfiltered_twins(samples: Mapping[str, str]) -> tuple[set[str], list[str]]:
    """Files (name -> sample) that hold all barcodes of a sample that has a filtered one too, and a note."""
    filtered = {sample for name, sample in samples.items() if not is_unfiltered(name)}
    left = sorted(name for name, sample in samples.items() if is_unfiltered(name) and sample in filtered)
    more = f" and {len(left) - 3} more" if len(left) > 3 else ""
    listed = ", ".join(left[:3]) + more
    notes = [f"unfiltered files of samples that have filtered ones were left out: {listed}"] if left else []
    return set(left), notes
