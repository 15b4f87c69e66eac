"""What a preset is: every choice of the networks, of their training, and of the episodes drawn for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from consilience.foundation.errors import ConfigError, ModelError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

    from consilience.pathways.wiring import Wiring

PathwayMode = Literal["none", "fixed", "learned", "free"]
Rate = Literal["constant", "cosine"]
Scale = Literal["log1p_cp10k", "log1p_cpm", "log2"]
_CHOICES: dict[str, tuple[str, ...]] = {
    "pathways": get_args(PathwayMode), "scale": get_args(Scale), "rate": get_args(Rate),
}  # fmt: skip


@dataclass(frozen=True)
class EpisodeSettings:
    """How episodes are drawn.

    `episodes` per step, each with `queries` samples, half of them of the positive kind; one of
    `reference_sizes` is drawn for each step and used for both kinds. `positive_only` share of steps without
    negative references. `rest` share of tasks (of columns with three levels or more) that ask one level
    against all others. `hidden_strongest` largest share of the observed genes, the strongest of the task,
    that an episode hides (most tasks are too easy to learn from otherwise), `hidden_genes` of the others.
    `cells_per_sample` choices of how many cells of one donor are averaged to one sample, drawn for each
    episode of a single-cell cohort. `generated` share of queries whose group adds a generated one.
    """

    episodes: int = 10
    queries: int = 2
    reference_sizes: tuple[int, ...] = (10, 20, 30)
    positive_only: float = 0.0
    rest: float = 0.0
    hidden_strongest: float = 0.0
    hidden_genes: float = 0.0
    cells_per_sample: tuple[int, ...] = (1,)
    generated: float = 0.1

    def __post_init__(self) -> None:
        sizes = (self.episodes, *self.reference_sizes, *self.cells_per_sample)
        if self.queries < 2 or min(sizes) < 1 or not self.reference_sizes or not self.cells_per_sample:
            raise ConfigError("sizes of episodes must be 1 or more, queries 2 or more", value=str(self))
        shares = (self.positive_only, self.rest, self.hidden_strongest, self.hidden_genes, self.generated)
        if not all(0 <= share <= 1 for share in shares):
            raise ConfigError("shares of episodes lie between 0 and 1", value=str(self))


@dataclass(frozen=True)
class Stage:
    """One part of the training; `data` says which cohorts, `generator` whether it is trained as well."""

    name: str
    data: Literal["cells", "bulk", "any", "own"]
    generator: bool
    epochs: int
    steps: int
    rate_discriminator: float
    rate_generator: float = 0.0


@dataclass(frozen=True)
class Preset:
    """Every choice of one model; `name` says which networks are built.

    `hidden` sizes of the wide, the vector and the narrow layer (of `default` the vector counts alone);
    `noise` dimensions of the generator's noise; `scale` the logarithm in which samples are given (see
    `scales.SCALES`); `rate` and `clip_norm` as in `learning.schedule.Schedule`.
    """

    name: str
    pathways: PathwayMode = "learned"
    hidden: tuple[int, int, int] = (256, 64, 16)
    dropout: float = 0.5
    noise: int = 0
    scale: Scale = "log1p_cp10k"
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    rate: Rate = "constant"
    clip_norm: float | None = None
    episodes: EpisodeSettings = field(default_factory=EpisodeSettings)
    stages: tuple[Stage, ...] = ()
    adapting: Stage = Stage("adapt", "own", generator=True, epochs=10, steps=10, rate_discriminator=0.02,
                            rate_generator=0.02)  # fmt: skip

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ConfigError("no such choice", where=f"preset {self.name}: {name}",
                                  value=getattr(self, name), allowed=", ".join(allowed),
                                  mend=did_you_mean(str(getattr(self, name)), allowed))  # fmt: skip
        if min(self.hidden) < 1 or len(self.hidden) != 3 or not 0 <= self.dropout < 1 or self.noise < 0:
            raise ConfigError(
                "sizes or dropout out of range",
                where=f"preset {self.name}",
                value=f"hidden {self.hidden}, dropout {self.dropout}, noise {self.noise}",
            )

    @property
    def base2(self) -> bool:
        """Whether samples are logarithms to base 2 (natural ones otherwise)."""
        return self.scale == "log2"

    def to_params(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Preset:
        """Inverse of `to_params`, also after JSON made lists of the tuples."""
        unknown = sorted(set(params) - {entry.name for entry in fields(cls)})
        if unknown or "name" not in params:
            raise ModelError("not a description of a preset", value=", ".join(unknown) or "no name",
                             mend="the model was written by another version; train it again")  # fmt: skip
        values = _tuples(params)
        if "episodes" in values:
            values["episodes"] = EpisodeSettings(**_tuples(values["episodes"]))
        if "stages" in values:
            values["stages"] = tuple(Stage(**stage) for stage in values["stages"])
        if "adapting" in values:
            values["adapting"] = Stage(**values["adapting"])
        return cls(**values)


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """Lists as tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


PUBLISHED = Preset(
    name="published",
    stages=(
        Stage("cells", "cells", generator=False, epochs=10, steps=50, rate_discriminator=0.04),
        Stage("cells with generator", "cells", generator=True, epochs=10, steps=50,
              rate_discriminator=0.02, rate_generator=0.04),
        Stage("bulk", "bulk", generator=True, epochs=1, steps=1000, rate_discriminator=0.02,
              rate_generator=0.02),
    ),
)  # fmt: skip
"""As the authors trained it (Adam, learning rates and steps of their three stages).

Their batch of 10 positive and 10 negative groups is 10 episodes of two queries here. Not taken over: one
reference size for each network (10, 20 or 30 by turns here), and a free dense pathway layer
(`pathways="free"` gives it).
"""

DEFAULT = Preset(
    name="default",
    dropout=0.0,
    noise=64,
    rate="cosine",
    clip_norm=5.0,
    episodes=EpisodeSettings(
        episodes=4, queries=16, reference_sizes=(5, 10, 20, 30), rest=0.3, hidden_strongest=0.7,
        hidden_genes=0.9, cells_per_sample=(1, 10, 50), generated=0.0,
    ),
    stages=(Stage("pretrain", "any", generator=False, epochs=5, steps=10, rate_discriminator=0.003),),
    adapting=Stage("adapt", "own", generator=False, epochs=2, steps=10, rate_discriminator=0.001),
)  # fmt: skip
"""What we found better: heads solved from the references, contrasts remembered from pretraining, genes that
were not measured masked, the log loss of each example, and a generator with noise (docs/decisions/0011)."""


def preset_named(name: str, presets: Sequence[Preset] = (DEFAULT, PUBLISHED)) -> Preset:
    """A preset by its name."""
    for preset in presets:
        if preset.name == name:
            return preset
    known = [preset.name for preset in presets]
    raise ConfigError("no such preset", value=name, allowed=", ".join(known), mend=did_you_mean(name, known))


def build_networks(
    preset: Preset, genes: Sequence[str], wiring: Wiring, seed: int
) -> tuple[nn.Module, nn.Module]:
    """Discriminator and generator with their first weights, which depend on the arguments alone."""
    if tuple(genes) != wiring.genes:
        raise ModelError("the pathways were wired for other genes, or another order of them",
                         value=f"{len(wiring.genes)} genes wired, {len(genes)} given")  # fmt: skip
    if preset.name == "published":
        from consilience.rnagan.networks.published_network import build_published

        return build_published(preset, wiring, seed=seed)
    if preset.name == "default":
        from consilience.rnagan.networks.default_network import build_default

        return build_default(preset, wiring, seed=seed)
    raise ModelError("no networks belong to this preset", value=preset.name, allowed="default, published")
