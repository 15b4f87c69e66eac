"""One simulated cohort: drawn from the truth, written as its source serves it, whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consilience.foundation.files import (
    atomic_path,
    explain_disk_full,
    sha256_of,
    temporary_beside,
    write_json,
    write_parquet,
)
from consilience.foundation.jobs import progress
from consilience.simulate.plan import planned_phenotypes, served_format
from consilience.study.cohorts import Cohort
from consilience.study.sections import SimulationSection

if TYPE_CHECKING:
    from consilience.simulate.case_control import CaseControlCells
    from consilience.simulate.cells import Block
    from consilience.simulate.screen import ScreenCells
    from consilience.simulate.truth import Truth

__all__ = ["planned_phenotypes", "write_cohort"]
FACT_ROWS = 1 << 16


def write_cohort(
    *,
    cohort: Cohort,
    settings: SimulationSection,
    seed: int,
    truth_dir: Path,
    served_dir: Path,
    samples_path: Path,
    threads: int,
) -> None:
    """Write the cohort's served files with a manifest, and the planted facts of its samples or cells.

    The bytes depend on the seed, the settings and the cohort's own row, never on `threads` or on which other
    cohorts there are.
    """
    from consilience.simulate.truth import read_truth

    form = served_format(cohort)
    truth = read_truth(truth_dir, settings=settings, seed=seed)
    with whole_folder(served_dir) as folder:
        if form in {"geo", "gdc"}:
            _write_bulk(
                folder, form, cohort=cohort, settings=settings, truth=truth, samples_path=samples_path
            )
        elif form == "gwas_ssf":
            from consilience.simulate.gwas import write_gwas

            write_parquet(samples_path, write_gwas(folder, cohort=cohort, settings=settings, truth=truth))
        else:
            _write_cells(
                folder,
                form,
                cohort=cohort,
                settings=settings,
                truth=truth,
                samples_path=samples_path,
                threads=threads,
            )
        write_manifest(folder)


def _write_bulk(
    folder: Path, form: str, *, cohort: Cohort, settings: SimulationSection, truth: Truth, samples_path: Path
) -> None:
    from consilience.simulate.bulk import simulate_bulk
    from consilience.simulate.gdc import write_gdc
    from consilience.simulate.geo import write_geo

    bulk = simulate_bulk(cohort=cohort, settings=settings, truth=truth)
    write: Callable[..., None] = write_geo if form == "geo" else write_gdc
    write(folder, cohort=cohort, bulk=bulk, truth=truth)
    write_parquet(samples_path, bulk.facts)


def _write_cells(
    folder: Path,
    form: str,
    *,
    cohort: Cohort,
    settings: SimulationSection,
    truth: Truth,
    samples_path: Path,
    threads: int,
) -> None:
    from consilience.simulate.h5ad import write_h5ad
    from consilience.simulate.parallel import in_order
    from consilience.simulate.tenx import TenxWriter, triplets

    source: Any = cell_source(cohort, settings, truth)
    names = {"symbols": truth.symbols, "ensembl_ids": truth.genes["ensembl_id"].tolist()}
    with atomic_path(samples_path) as temporary, FactsWriter(temporary) as facts:
        if form == "10x":

            def draw(task: Any) -> tuple[Block, bytes]:
                block = source.draw(task)
                return block, triplets(block)

            pairs = progress(
                in_order(draw, source.tasks(), threads=threads), label=f"{cohort.name}: blocks of cells"
            )
            TenxWriter(folder, **names).write(facts.passing(pairs, block_of=lambda pair: pair[0]))
        else:
            blocks = progress(
                in_order(source.draw, source.tasks(), threads=threads),
                label=f"{cohort.name}: blocks of cells",
            )
            write_h5ad(
                folder / f"{cohort.name}.h5ad", facts.passing(blocks, block_of=lambda block: block), **names
            )


def cell_source(cohort: Cohort, settings: SimulationSection, truth: Truth) -> CaseControlCells | ScreenCells:
    """The generator of a cohort of cells: `tasks()` in order, `draw(task)` in any thread."""
    from consilience.simulate.case_control import CaseControlCells
    from consilience.simulate.cells import CellModel
    from consilience.simulate.screen import ScreenCells

    kind: Any = ScreenCells if cohort.kind == "perturbation" else CaseControlCells
    source: CaseControlCells | ScreenCells = kind(cohort, settings, CellModel(truth))
    return source


class FactsWriter:
    """Writes planted facts of blocks to parquet as they pass, a row group at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer: Any = None
        self.waiting: list[dict[str, list[Any]]] = []
        self.n_waiting = 0

    def __enter__(self) -> FactsWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._flush()
        if self.writer is not None:
            self.writer.close()

    def passing(self, items: Iterable[Any], *, block_of: Callable[[Any], Block]) -> Iterator[Any]:
        """Yield the items, keeping the facts of each one's block."""
        for item in items:
            block = block_of(item)
            self.waiting.append(block.facts)
            self.n_waiting += len(block.barcodes)
            if self.n_waiting >= FACT_ROWS:
                self._flush()
            yield item

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self.waiting:
            return
        table = pa.table({key: [v for facts in self.waiting for v in facts[key]] for key in self.waiting[0]})
        if self.writer is None:
            self.writer = pq.ParquetWriter(self.path, table.schema, compression="zstd")
        self.writer.write_table(table)
        self.waiting, self.n_waiting = [], 0


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target`; put it in the place of `target` if the block succeeds."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(target)
    temporary.mkdir()
    try:
        with explain_disk_full(target):
            yield temporary
            if target.exists():
                shutil.rmtree(target)
            temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_manifest(folder: Path) -> None:
    """List every file of the folder with size and digest."""
    paths = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.as_posix())
    files = [
        {"name": path.relative_to(folder).as_posix(), "bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in paths
    ]
    write_json(folder / "manifest.json", {"files": files, "source": "simulated"})
