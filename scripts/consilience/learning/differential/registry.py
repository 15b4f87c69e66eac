"""All methods of differential expression by name."""

from __future__ import annotations

from consilience.foundation.errors import ConfigError, did_you_mean
from consilience.learning.differential import moderated_t, negative_binomial, wilcoxon
from consilience.learning.differential.method import DifferentialMethod

METHODS: dict[str, DifferentialMethod] = {
    module.METHOD.name: module.METHOD for module in (wilcoxon, moderated_t, negative_binomial)
}


def differential_method(name: str) -> DifferentialMethod:
    """The method of this name."""
    if name not in METHODS:
        raise ConfigError("no such method of differential expression", value=name,
                          allowed=", ".join(METHODS), mend=did_you_mean(name, METHODS))  # fmt: skip
    return METHODS[name]
