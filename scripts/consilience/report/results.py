"""Typed, lazy access to the results of a study; names are already pseudonyms when those are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from consilience.foundation.errors import DataError
from consilience.foundation.files import read_json
from consilience.report.pseudonyms import Pseudonyms
from consilience.report.shapes import (
    CohortChecks,
    Coverage,
    Embedding,
    ExpressionQuality,
    Found,
    RawProvenance,
    Shape,
    SummaryStatisticsQuality,
    read_shape,
)
from consilience.study.cohorts import Cohort
from consilience.study.sections import Config

if TYPE_CHECKING:
    import pandas as pd

ShapeType = TypeVar("ShapeType", bound=Shape)


@dataclass(slots=True, frozen=True)
class Benchmark:
    """One job: rule, target (cohort or ""), seconds, peak memory in MiB (None where not sampled)."""

    rule: str
    target: str
    seconds: float
    peak_mib: float | None
    cpu_seconds: float | None


@dataclass
class StudyResults:
    """What ran, and what it left under `root` = results/<study>."""

    config: Config
    cohorts: list[Cohort]
    root: Path
    benchmark_dir: Path
    _shapes: dict[Path, Shape] = field(default_factory=dict, repr=False)

    @property
    def expression_cohorts(self) -> list[Cohort]:
        """Cohorts with an expression matrix."""
        return [cohort for cohort in self.cohorts if cohort.kind != "summary_statistics"]

    @property
    def summary_cohorts(self) -> list[Cohort]:
        """Cohorts of summary statistics."""
        return [cohort for cohort in self.cohorts if cohort.kind == "summary_statistics"]

    @property
    def simulated(self) -> bool:
        """True when any cohort was simulated, so that a truth exists."""
        return any(cohort.source == "simulated" for cohort in self.cohorts)

    @cached_property
    def pseudonyms(self) -> Pseudonyms:
        """The mapping of names; empty unless `report.pseudonyms` is set."""
        if not self.config.report.pseudonyms:
            return Pseudonyms.off()
        samples = [row for cohort in self.expression_cohorts for row in self._raw_quality(cohort).samples]
        return Pseudonyms.of(samples=(row.sample for row in samples), donors=(row.donor for row in samples))

    def quality(self, cohort: Cohort) -> ExpressionQuality:
        """QC of an expression cohort."""
        return _hide_names(self._raw_quality(cohort), self.pseudonyms)

    def summary_quality(self, cohort: Cohort) -> SummaryStatisticsQuality:
        """QC of a summary-statistics cohort."""
        found = self._shape(
            self.root / "summary_statistics" / cohort.name / "qc.json", SummaryStatisticsQuality
        )
        return found.model_copy(update={"messages": _hide_messages(found.messages, self.pseudonyms)})

    def raw(self, cohort: Cohort) -> RawProvenance:
        """Where the raw files of a cohort came from; names inside paths are replaced too."""
        found = self._shape(self.root / "raw" / cohort.name / "provenance.json", RawProvenance)
        names = self.pseudonyms
        files = tuple(
            file.model_copy(update={"name": names.text(file.name), "url": names.text(file.url)})
            for file in found.files
        )
        return found.model_copy(update={"files": files, "location": names.text(found.location)})

    def removed(self, cohort: Cohort) -> pd.DataFrame:
        """What QC removed, one row per sample or cell; ids become running numbers under pseudonyms."""
        table = self.table(self.root / "expression" / f"{cohort.name}.removed.parquet")
        names = self.pseudonyms
        if not names.active:
            return table
        table = table.copy()
        for column, rename in (("sample", names.sample), ("donor", names.donor), ("id", names.sample)):
            if column in table:
                table[column] = [rename(str(value)) for value in table[column]]
        if cohort.kind != "bulk" and "id" in table:
            table["id"] = [f"cell {number}" for number in range(1, len(table) + 1)]
        return table

    @property
    def coverage(self) -> Coverage:
        """pathways/coverage.json."""
        return self._shape(self.root / "pathways" / "coverage.json", Coverage)

    @cached_property
    def found(self) -> Found | None:
        """truth/found.json: what was planted and what was found; None when nothing was simulated."""
        if not any(cohort.source == "simulated" for cohort in self.expression_cohorts):
            return None
        found = self._shape(self.root / "truth" / "found.json", Found)
        return found.model_copy(
            update={
                "cohorts": {name: _hide_checks(part, self.pseudonyms) for name, part in found.cohorts.items()}
            }
        )

    def shape(self, relative: str, shape: type[ShapeType]) -> ShapeType:
        """A JSON file under the study's folder as its shape; names in it are as they are."""
        return self._shape(self.root / relative, shape)

    def json(self, relative: str) -> dict[str, Any]:
        """A JSON object under the study's folder; names in it are replaced."""
        path = self.root / relative
        if not path.is_file():
            raise DataError(
                "the report needs this file and it is not there", where=str(path), mend="run again"
            )
        value = read_json(path)
        if not isinstance(value, dict):
            raise DataError("must hold a JSON object", where=str(path), value=type(value).__name__)
        return _replace_inside(value, self.pseudonyms) if self.pseudonyms.active else value

    def table(self, path: Path) -> pd.DataFrame:
        """A parquet table; a broken one is a `DataError` naming it."""
        import pandas as pd

        if not path.is_file():
            raise DataError(
                "the report needs this file and it is not there", where=str(path), mend="run again"
            )
        try:
            return pd.read_parquet(path)
        except (OSError, ValueError) as error:  # pyarrow's errors are both
            raise DataError(
                f"not a readable parquet table ({str(error).splitlines()[0]})",
                where=str(path),
                mend="delete the file and run again",
            ) from error

    @cached_property
    def benchmarks(self) -> list[Benchmark]:
        """Seconds and memory of every job that ran, sorted by rule and target."""
        paths = sorted(self.benchmark_dir.rglob("*.tsv")) if self.benchmark_dir.is_dir() else []
        return [job for path in paths for job in _read_benchmark(path, self.benchmark_dir)]

    def files_read(self) -> list[Path]:
        """Shapes read so far: the report's inputs."""
        return sorted(self._shapes)

    def _raw_quality(self, cohort: Cohort) -> ExpressionQuality:
        return self._shape(self.root / "expression" / f"{cohort.name}.qc.json", ExpressionQuality)

    def _shape(self, path: Path, shape: type[ShapeType]) -> ShapeType:
        if path not in self._shapes:
            self._shapes[path] = read_shape(path, shape)
        found = self._shapes[path]
        assert isinstance(found, shape)  # noqa: S101 - one shape per path
        return found


def _hide_names(quality: ExpressionQuality, names: Pseudonyms) -> ExpressionQuality:
    if not names.active:
        return quality
    samples = tuple(
        row.model_copy(update={"sample": names.sample(row.sample), "donor": names.donor(row.donor)})
        for row in quality.samples
    )
    thresholds = tuple(
        row.model_copy(update={"scope": names.text(row.scope), "explanation": names.text(row.explanation)})
        for row in quality.thresholds
    )
    embedding = quality.embedding and Embedding(
        kind=quality.embedding.kind,
        explained=quality.embedding.explained,
        points=tuple(
            point.model_copy(update={"sample": names.sample(point.sample)})
            for point in quality.embedding.points
        ),
    )
    return quality.model_copy(
        update={
            "samples": samples,
            "thresholds": thresholds,
            "embedding": embedding,
            "messages": _hide_messages(quality.messages, names),
        }
    )


def _hide_checks(part: CohortChecks, names: Pseudonyms) -> CohortChecks:
    checks = tuple(
        check.model_copy(
            update={key: names.text(getattr(check, key)) for key in ("planted", "found", "text")}
        )
        for check in part.checks
    )
    return part.model_copy(update={"checks": checks})


def _hide_messages(messages: Any, names: Pseudonyms) -> Any:
    return tuple(message.model_copy(update={"text": names.text(message.text)}) for message in messages)


def _replace_inside(value: Any, names: Pseudonyms) -> Any:
    if isinstance(value, str):
        return names.text(value)
    if isinstance(value, list):
        return [_replace_inside(item, names) for item in value]
    if isinstance(value, dict):
        return {names.text(key): _replace_inside(item, names) for key, item in value.items()}
    return value


def _read_benchmark(path: Path, root: Path) -> list[Benchmark]:
    """Read one Snakemake benchmark file: a header and one line per repeat; '-' and 'NA' mean not measured."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if len(lines) < 2:
        return []
    parts = path.relative_to(root).with_suffix("").parts
    jobs = []
    for line in lines[1:]:
        row = dict(zip(lines[0].split("\t"), line.split("\t"), strict=False))
        seconds = _number(row.get("s"))
        if seconds is not None:
            jobs.append(
                Benchmark(
                    rule=parts[0],
                    target="/".join(parts[1:]),
                    seconds=seconds,
                    peak_mib=_number(row.get("max_rss")),
                    cpu_seconds=_number(row.get("cpu_time")),
                )
            )
    return jobs


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
