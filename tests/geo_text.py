"""Small files in the forms that GEO serves."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

from consilience.sources.raw_folder import RawFolder, raw_folder_of

TITLES = ("tissue 1 (RA_1)", "tissue 2 (RA_2)", "tissue 3 (RA_3)")
GSM = ("GSM1", "GSM2", "GSM3")


def row(name: str, cells: Sequence[str]) -> str:
    return name + "".join(f'\t"{cell}"' for cell in cells)


def series_text(*extra: str, table: Sequence[str] = (), end: bool = True) -> str:
    """A sequencing series of three human samples whose characteristics are shifted."""
    lines = [
        row("!Series_title", ("A study",)),
        row("!Series_geo_accession", ("GSE1",)),
        "",
        row("!Sample_title", TITLES),
        row("!Sample_geo_accession", GSM),
        row("!Sample_organism_ch1", ("Homo sapiens",) * 3),
        row("!Sample_characteristics_ch1", ("Sex: F", "Sex: M", "Sex: F")),
        row("!Sample_characteristics_ch1", ("subject id: P1", "age: 44", "subject id: P3")),
        row(
            "!Sample_characteristics_ch1",
            ("disease state: RA: late", "subject id: P2", "disease state: healthy"),
        ),
        row("!Sample_characteristics_ch1", ("", "disease state: healthy", "")),
        *extra,
        "!series_matrix_table_begin",
        row('"ID_REF"', GSM),
        *table,
    ]
    return "\n".join([*lines, *(["!series_matrix_table_end"] if end else [])]) + "\n"


def matrix_text(
    samples: Sequence[str],
    *,
    platform: str = "GPL96",
    kind: str = "RNA",
    said: str = "Expression profiling by array",
    values: Mapping[str, Sequence[object]] | None = None,
    organisms: Sequence[str] = (),
    facts: Sequence[tuple[str, str]] = (),
    fields: Mapping[str, Sequence[str]] | None = None,
    accession: str = "GSE1",
) -> str:
    """A series matrix of one platform."""
    rows = {
        "title": [f"title of {one}" for one in samples], "geo_accession": list(samples),
        "type": [kind] * len(samples), "organism_ch1": list(organisms) or ["Homo sapiens"] * len(samples),
        "characteristics_ch1": [f"state: {'ill' if k % 2 else 'well'}" for k in range(len(samples))],
        "platform_id": [platform] * len(samples),
    } | {name: list(cells) for name, cells in (fields or {}).items()}  # fmt: skip
    lines = [row("!Series_geo_accession", [accession]), row("!Series_type", [said])]
    lines += [row(f"!Series_{name}", [value]) for name, value in facts]
    lines += [row(f"!Sample_{name}", cells) for name, cells in rows.items()]
    lines += ["!series_matrix_table_begin", row('"ID_REF"', samples)]
    lines += ["\t".join([f'"{one}"', *map(str, cells)]) for one, cells in (values or {}).items()]
    return "\n".join([*lines, "!series_matrix_table_end", ""])


def annotation_text(genes: Mapping[str, str], *, platform: str = "GPL96", end: bool = True) -> str:
    """What GEO serves as GPL….annot.gz."""
    lines = [
        "^Annotation", f"!Annotation_platform = {platform}", "#ID = ID from Platform data table",
        "#Gene symbol = Entrez Gene symbol", "!platform_table_begin", "ID\tGene title\tGene symbol\tGene ID",
        *(f"{probe}\ta title with a 5\" end\t{gene}\t1" for probe, gene in genes.items()),
        *(["!platform_table_end"] if end else []), "",
    ]  # fmt: skip
    return "\n".join(lines)


def write(path: Path, *, header: str, counts: str = "", name: str = "GSE1_raw_counts.tsv.gz") -> RawFolder:
    """A raw folder with a series matrix and, beside it, a table."""
    return folder_of(path, {"GSE1_series_matrix.txt.gz": header} | ({name: counts} if counts else {}))


def folder_of(path: Path, files: Mapping[str, str | bytes]) -> RawFolder:
    """A raw folder of these files and what lies there already; names in .gz are packed."""
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
    paths = sorted(one for one in path.rglob("*") if one.is_file())
    return raw_folder_of(path, tuple((one.relative_to(path).as_posix(), one) for one in paths))
