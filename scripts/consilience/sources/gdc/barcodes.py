"""Barcodes of TCGA and TARGET: what kind of sample one is, from its two-digit code."""

from __future__ import annotations

import re

SAMPLE_TYPES = {
    "01": "Primary Tumor",
    "02": "Recurrent Tumor",
    "03": "Primary Blood Derived Cancer - Peripheral Blood",
    "04": "Recurrent Blood Derived Cancer - Bone Marrow",
    "05": "Additional - New Primary",
    "06": "Metastatic",
    "07": "Additional Metastatic",
    "08": "Human Tumor Original Cells",
    "09": "Primary Blood Derived Cancer - Bone Marrow",
    "10": "Blood Derived Normal",
    "11": "Solid Tissue Normal",
    "12": "Buccal Cell Normal",
    "13": "EBV Immortalized Normal",
    "14": "Bone Marrow Normal",
    "20": "Cell Lines",
    "40": "Recurrent Blood Derived Cancer - Peripheral Blood",
    "50": "Cell Lines",
    "60": "Primary Xenograft Tissue",
    "61": "Cell Line Derived Xenograft Tissue",
}
_BARCODE = re.compile(
    r"(?:TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}|TARGET-[0-9]{2}-[A-Z0-9]{5,7})-(\d\d)[A-Z.0-9]*(?:-.*)?"
)
_ALIQUOT = re.compile(r"(TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})-(\d\d[A-Z])-\d{2}[A-Z]-([A-Z0-9]{4})-(\d{2})")


def sample_type_of(barcode: str) -> str:
    """What the code of a sample's or aliquot's barcode says ("" for no such barcode or an unknown code)."""
    found = _BARCODE.fullmatch(barcode)
    return SAMPLE_TYPES.get(found[1], "") if found else ""


def aliquot_parts(barcode: str) -> tuple[str, str, str, str] | None:
    """(case, sample, plate, centre) of a TCGA aliquot such as TCGA-02-0001-01C-01R-0182-07."""
    found = _ALIQUOT.fullmatch(barcode)
    return (found[1], f"{found[1]}-{found[2]}", found[3], found[4]) if found else None
