"""The settings of one cohort: the section of the configuration with what it says of this cohort alone."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from consilience.foundation.errors import ConfigError
from consilience.study.sections import SummaryStatisticsSection


def settings_of(cohort: str, settings: SummaryStatisticsSection) -> SummaryStatisticsSection:
    """The section with the keys of `cohorts: <name>` in place of its own."""
    own: dict[str, Any] = {str(key): value for key, value in settings.cohorts.get(cohort, {}).items()}
    where = f"summary_statistics: cohorts: {cohort}"
    try:
        return SummaryStatisticsSection.model_validate({**settings.model_dump(), **own})
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            str(first["msg"]), where=f"{where}: {'.'.join(map(str, first['loc']))}", value=first["input"]
        ) from None
