"""What the GDC says of its files: the hits of an answer, and the phenotype columns they hold."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from consilience.foundation.errors import DataError
from consilience.sources.gdc.barcodes import SAMPLE_TYPES, aliquot_parts, sample_type_of
from consilience.sources.raw_folder import read_record
from consilience.sources.text import FETCH_AGAIN, shown

Hit = Mapping[str, Any]
COUNTS_NAMES = r".*(\.rna_seq\.augmented_star_gene_counts\.tsv|\.htseq\.counts)(\.gz)?"
ALIQUOT_PATHS = (
    "associated_entities.entity_submitter_id",
    "cases.samples.portions.analytes.aliquots.submitter_id",
)
_NO_PHENOTYPE = ("annotations", "data_category", "data_format", "data_type", "experimental_strategy")
FILE_ID = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
FILE_NAME = r"[A-Za-z0-9_][^/\\\x00-\x1f]{0,200}"
_SHOWN = 5


def is_counts(name: str) -> bool:
    """Whether a file's name is that of gene counts (STAR, or HTSeq before release 32)."""
    return re.fullmatch(COUNTS_NAMES, name, flags=re.IGNORECASE) is not None


def broken_hit(hit: object) -> str:
    """What makes a hit unusable ("" for a good one): fields of a file that are missing or cannot be."""
    if not isinstance(hit, Mapping):
        return "is no record of a file"
    for key, pattern in (("file_id", FILE_ID), ("file_name", FILE_NAME), ("md5sum", r"[0-9a-f]{32}")):
        value = hit.get(key)
        if not isinstance(value, str) or not value:
            return f"has no {key}"
        if not re.fullmatch(pattern, value):
            return f"has a {key} that cannot be: {value[:80]!a}"
    size = hit.get("file_size")
    if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
        return f"has no file_size, or one that cannot be: {size!r}"[:120]
    return ""


def read_hits(path: Path) -> tuple[list[Hit], list[str]]:
    """The hits that are counts, sorted by file id, and notes; an incomplete page is refused.

    `path` holds an answer of the files service, or the list of files that the portal gives as "Metadata".
    """
    where, answer = shown(path), read_record(path)
    if isinstance(answer, list):
        answer = {"data": {"hits": answer}}
    try:
        hits = list(answer["data"]["hits"])
        total = int(answer["data"].get("pagination", {}).get("total", len(hits)))
        if broken := next(filter(None, map(broken_hit, hits)), ""):
            raise ValueError(f"a file {broken}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"not an answer of the GDC files service ({error!r})", where=where, mend=FETCH_AGAIN
        ) from error
    if total != len(hits):
        raise DataError(
            f"holds {len(hits)} of {total} files: the answer is one page of several",
            where=where,
            mend="ask the service for all of them (size)",
        )
    notes = [f"the GDC answered with warnings: {answer['warnings']}"] if answer.get("warnings") else []
    chosen, left = counts_only(hits)
    if not chosen:
        raise DataError(
            "lists no counts file",
            where=where,
            allowed="files named *.rna_seq.augmented_star_gene_counts.tsv",
        )
    return chosen, notes + left


def counts_only(hits: Sequence[Hit]) -> tuple[list[Hit], list[str]]:
    """The hits that are gene counts, sorted by file id, and a note on the others."""
    chosen = sorted((hit for hit in hits if is_counts(hit["file_name"])), key=lambda hit: str(hit["file_id"]))
    n_left = len(hits) - len(chosen)
    return chosen, [f"{n_left} listed files are no STAR counts and were left out"] if n_left else []


def flatten(hit: Hit) -> dict[str, str]:
    """Scalars of a hit by dotted path ("cases.samples.sample_type").

    Of several entries the one that is about the file as a whole: the primary diagnosis, else the first by
    barcode, else the first.
    """

    def walk(value: object, path: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                if path or key not in _NO_PHENOTYPE:
                    yield from walk(inner, f"{path}.{key}" if path else str(key))
        elif isinstance(value, list):
            if value:
                yield from walk(_foremost(value), path)
        else:
            yield path, "" if value is None else str(value)

    return dict(walk(hit, ""))


def _foremost(entries: list[Any]) -> Any:
    if not all(isinstance(one, Mapping) for one in entries):
        return entries[0]
    primary = [one for one in entries if str(one.get("diagnosis_is_primary_disease")).casefold() == "true"]
    named = [one for one in primary or entries if isinstance(one.get("submitter_id"), str)]
    return min(named, key=lambda one: str(one["submitter_id"])) if named else (primary or entries)[0]


def phenotype(rows: Sequence[Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    """Columns from flattened hits: sample, case_id, plate, centre, then every other field by its last name.

    `sample` is the sample's barcode, or the aliquot's where one sample has several files; `case_id` is the
    patient's barcode; plate and centre are parts 6 and 7 of a TCGA aliquot barcode
    (TCGA-02-0001-01C-01R-0182-07). `sample_type` is told by the barcode where the GDC does not.
    """
    aliquots = [next((row[path] for path in ALIQUOT_PATHS if row.get(path)), "") for row in rows]
    parts = [aliquot_parts(aliquot) or ("", "", "", "") for aliquot in aliquots]
    samples = [
        row.get("cases.samples.submitter_id") or part[1] for row, part in zip(rows, parts, strict=True)
    ]
    columns = {
        "sample": _sample_names(rows, samples=samples, aliquots=aliquots),
        "case_id": tuple(
            row.get("cases.submitter_id") or part[0] or row.get("cases.case_id", "")
            for row, part in zip(rows, parts, strict=True)
        ),
        "aliquot": tuple(aliquots),
        "plate": tuple(part[2] for part in parts),
        "centre": tuple(part[3] for part in parts),
    }
    paths = {path for row in rows for path in row}
    for path in sorted(paths, key=lambda one: (one.count("."), one)):
        name = path.rpartition(".")[2]
        if name in columns:
            name = path.removeprefix("cases.")
        columns.setdefault(name, tuple(row.get(path, "") for row in rows))
    told = columns.get("sample_type", ("",) * len(rows))
    columns["sample_type"] = tuple(
        one or sample_type_of(aliquot) or sample_type_of(sample)
        for one, aliquot, sample in zip(told, aliquots, samples, strict=True)
    )
    if not any(columns["sample_type"]):
        del columns["sample_type"]
    return columns


def _sample_names(
    rows: Sequence[Mapping[str, str]], *, samples: Sequence[str], aliquots: Sequence[str]
) -> tuple[str, ...]:
    """One name for each file: the first of sample, aliquot and file id that no other file has."""
    ids = [row.get("file_id", "") for row in rows]
    names = list(samples)
    for finer in (aliquots, ids):
        often = Counter(names)
        names = [new if not old or often[old] > 1 else old for old, new in zip(names, finer, strict=True)]
    return tuple(name or file_id for name, file_id in zip(names, ids, strict=True))


def hit_notes(hits: Sequence[Hit], columns: Mapping[str, Sequence[str]]) -> list[str]:
    """What a reader should know: samples with several files, files of several samples, flags, odd types."""
    samples, ids = columns["sample"], [str(hit["file_id"]) for hit in hits]
    of_sample: dict[str, list[str]] = {}
    for hit, name in zip(hits, samples, strict=True):
        barcode = flatten(hit).get("cases.samples.submitter_id", "")
        if barcode and barcode != name:
            of_sample.setdefault(barcode, []).append(name)
    pooled = [one for hit, one in zip(hits, ids, strict=True) if len(_samples_of(hit)) > 1]
    notes = []
    if of_sample:
        notes.append(
            f"{len(of_sample)} samples have several files; each was kept as a sample of its own, named by "
            f"its aliquot: {some(f'{one} ({len(names)} files)' for one, names in of_sample.items())}"
        )
    if pooled:
        notes.append(f"{len(pooled)} files come from several samples and bear the first one's name and "
                     f"phenotype: {some(pooled)}")  # fmt: skip
    notes += annotation_notes(
        (str(hit["file_id"]), one)
        for hit in hits
        for one in hit.get("annotations") or ()
        if isinstance(one, Mapping)
    )
    return notes + type_notes(samples=samples, columns=columns)


def _samples_of(hit: Hit) -> set[str]:
    cases = hit.get("cases") or []
    return {
        str(sample.get("submitter_id"))
        for case in cases if isinstance(case, Mapping)
        for sample in case.get("samples") or [] if isinstance(sample, Mapping)
    }  # fmt: skip


def annotation_notes(flags: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """One note for each kind of annotation, naming the file ids; `flags` are (file id, annotation)."""
    files: dict[str, list[str]] = {}
    for file_id, one in flags:
        kind = f"{one.get('category') or 'flagged'} ({one.get('classification') or 'annotation'})"
        files.setdefault(kind, []).append(file_id)
    return [
        f"the GDC flags {len(set(ids))} files as {kind}; they were kept: {some(dict.fromkeys(ids))}"
        for kind, ids in sorted(files.items())
    ]


def type_notes(*, samples: Sequence[str], columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Samples whose stated type is another than that of their barcode."""
    stated = columns.get("sample_type", ("",) * len(samples))
    odd = []
    for sample, aliquot, one in zip(samples, columns["aliquot"], stated, strict=True):
        coded = sample_type_of(aliquot) or sample_type_of(sample)
        if coded and one in SAMPLE_TYPES.values() and one != coded:
            odd.append(f"{sample} ({one}, but its barcode says {coded})")
    return [f"{len(odd)} samples have another type than their barcode says; the stated one is used: "
            f"{some(odd)}"] if odd else []  # fmt: skip


def some(names: Iterable[str]) -> str:
    """The first few names and how many more there are."""
    given = list(names)
    more = f" and {len(given) - _SHOWN} more" if len(given) > _SHOWN else ""
    return ", ".join(given[:_SHOWN]) + more
