"""The settings of one cohort: the section of the configuration with what it says of this cohort alone."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from consilience.foundation.errors import ConfigError, did_you_mean
from consilience.study.sections import SummaryStatisticsSection

_OWN = tuple(key for key in SummaryStatisticsSection.model_fields if key not in {"columns", "cohorts"})


def settings_of(cohort: str, settings: SummaryStatisticsSection) -> SummaryStatisticsSection:
    """The section with the keys of `cohorts: <name>` in place of its own."""
    own: dict[str, Any] = dict(settings.cohorts.get(cohort, {}))
    where = f"summary_statistics: cohorts: {cohort}"
    for key in own:
        if key not in _OWN:
            raise ConfigError(
                "no such key for a cohort",
                where=where,
                value=key,
                allowed=", ".join(_OWN),
                mend=did_you_mean(key, _OWN),
            )
    try:
        return SummaryStatisticsSection.model_validate({**settings.model_dump(), **own})
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            str(first["msg"]), where=f"{where}: {'.'.join(map(str, first['loc']))}", value=first["input"]
        ) from None
