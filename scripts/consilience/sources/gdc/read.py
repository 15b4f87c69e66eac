"""A GDC cohort from its raw folder: fetched by us, by gdc-client, or from the portal's cart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from consilience.foundation.errors import DataError
from consilience.sources.bulk.matrix import BulkMatrix, refuse_duplicates
from consilience.sources.gdc.counts import CountFile, join_counts
from consilience.sources.gdc.hits import Hit, flatten, hit_notes, phenotype, read_hits
from consilience.sources.gdc.portal import listed_files
from consilience.sources.raw_folder import RawFolder
from consilience.sources.text import FETCH_AGAIN, shown

PAR_Y = "_PAR_Y"


@dataclass(frozen=True, slots=True)
class GdcFiles:
    """The count files of a folder in their order, phenotype `columns` (files,), and notes."""

    files: tuple[CountFile, ...]
    columns: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]


def read_gdc(folder: RawFolder, *, scratch: Path | None = None) -> BulkMatrix:
    """Read every count table that the folder's lists name; size and md5 are checked where they are known.

    The counts are gathered in a file of the folder `scratch`, without one in memory.
    """
    found = gdc_files(folder)
    refuse_duplicates(found.columns["sample"], what="sample", where=shown(folder.path))
    joined = join_counts(found.files, scratch=scratch)
    par_y = sum(gene.endswith(PAR_Y) for gene in joined.genes)
    note = f"{par_y} genes of the pseudoautosomal regions (…{PAR_Y}) were added to their X copy"
    return BulkMatrix(
        values=joined.values,
        samples=found.columns["sample"],
        genes=tuple(gene.removesuffix(PAR_Y) for gene in joined.genes),
        columns=found.columns,
        metrics=joined.shares(),
        notes=found.notes + ((note,) if par_y else ()),
    )


def gdc_files(folder: RawFolder) -> GdcFiles:
    """Which count files there are and what is known of them, from files.json or the portal's own tables."""
    answers = folder.of_kind("gdc_answer") or [
        path for name, path in folder.files if Path(name).match("metadata.*.json")
    ]
    if not answers:
        return GdcFiles(*listed_files(folder))
    if len(answers) > 1:
        raise DataError(
            "several lists of files", where=shown(folder.path),
            value=", ".join(path.name for path in answers),
            mend="keep one cohort in one folder, or choose by 'files' in the cohort sheet",
        )  # fmt: skip
    hits, notes = read_hits(answers[0])
    columns = phenotype([flatten(hit) for hit in hits])
    return GdcFiles(
        tuple(_count_files(hits, folder=folder, where=shown(answers[0]))),
        columns,
        (*notes, *hit_notes(hits, columns)),
    )


def _count_files(hits: Sequence[Hit], *, folder: RawFolder, where: str) -> list[CountFile]:
    flat = {Path(name).name: path for name, path in folder.files}
    placed = {"/".join(Path(name).parts[-2:]): path for name, path in folder.files}
    names = [f"{hit['file_id']}/{hit['file_name']}" for hit in hits]
    paths = {name: placed.get(name) or flat.get(Path(name).name) for name in names}
    lost = [name for name, path in paths.items() if not path]
    if lost:
        more = f" ({len(lost)} of {len(names)} are missing)" if len(lost) > 1 else ""
        raise DataError(
            f"{Path(where).name} lists a file that was not fetched{more}", where=where, value=lost[0],
            mend=FETCH_AGAIN,
        )  # fmt: skip
    return [
        CountFile(path, int(hit["file_size"]), str(hit["md5sum"]))
        for path, hit in zip(paths.values(), hits, strict=True)
        if path
    ]


def peek_gdc(folder: RawFolder) -> dict[str, tuple[str, ...]] | None:
    """The phenotype columns alone; no count file is read."""
    return gdc_files(folder).columns
