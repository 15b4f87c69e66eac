"""All attributions by name."""

from __future__ import annotations

from consilience.foundation.errors import ConfigError, did_you_mean
from consilience.rnagan.markers import elasticity, integrated_gradients, occlusion
from consilience.rnagan.markers.attribution import Attribution

ATTRIBUTIONS: dict[str, Attribution] = {
    method.name: method
    for method in (integrated_gradients.METHOD, occlusion.METHOD, elasticity.METHOD, elasticity.FINITE)
}
DEFAULT = ("integrated_gradients", "occlusion", "elasticity")


def attribution(name: str) -> Attribution:
    """The attribution of this name."""
    if name not in ATTRIBUTIONS:
        raise ConfigError("no such attribution", value=name, allowed=", ".join(ATTRIBUTIONS),
                          mend=did_you_mean(name, ATTRIBUTIONS))  # fmt: skip
    return ATTRIBUTIONS[name]
