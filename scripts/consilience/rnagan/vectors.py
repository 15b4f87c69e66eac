"""64 numbers per sample: computed, summed up by group, looked up.

Samples are already under the model's genes and on its scale (`alignment.align`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from consilience.foundation.errors import ModelError
from consilience.foundation.seeds import stream
from consilience.learning.samples import Samples

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    import torch

BATCH = 256
VECTOR_SIZE = 64


class Encoder(Protocol):
    """A network that gives a vector to every sample: (n, G) → (n, 64)."""

    def vectors(self, samples: torch.Tensor, *, observed: torch.Tensor | None = None) -> torch.Tensor:
        """`samples` (n, G) float32, `observed` (G,) truths."""


class WithEncoder(Protocol):
    """What is needed of a model; `Rnagan` has it, with more."""

    @property
    def genes(self) -> tuple[str, ...]:
        """In the order of the network's inputs."""

    @property
    def discriminator(self) -> Any:
        """An `Encoder` that is a torch module."""


@dataclass(frozen=True)
class GroupVectors:
    """One vector per label: `labels` (c,), `mean` (c, d), `spread` (c, d), `n_donors` (c,).

    `spread` is the standard deviation of the group's mean over resamples of its donors.
    """

    labels: tuple[str, ...]
    mean: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]
    n_donors: tuple[int, ...]


def sample_vectors(
    model: WithEncoder, samples: Samples, *, observed: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.float32]:
    """Vectors of `samples`, (n, 64); `observed` (G,): which genes the data really have.

    Raises
    ------
    ModelError
        When the samples are not under the model's genes, or a vector is not finite.
    """
    import torch

    if samples.genes != tuple(model.genes):
        raise ModelError("the samples are not under the model's genes",
                         value=f"{len(samples.genes)} genes", mend="align the samples first",
                         allowed=f"the model's {len(model.genes)}, in order")  # fmt: skip
    encoder = model.discriminator
    device = next((parameter.device for parameter in encoder.parameters()), torch.device("cpu"))
    mask = None if observed is None else torch.from_numpy(np.asarray(observed, dtype=bool)).to(device)
    training = encoder.training
    encoder.train(False)
    parts = []
    try:
        with torch.inference_mode():
            for start in range(0, len(samples), BATCH):
                rows = torch.from_numpy(np.ascontiguousarray(samples.values[start : start + BATCH])).to(
                    device
                )
                parts.append(encoder.vectors(rows, observed=mask).float().cpu().numpy())
    finally:
        encoder.train(training)
    vectors = np.concatenate(parts) if parts else np.empty((0, VECTOR_SIZE), dtype=np.float32)
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        raise ModelError("the model gives vectors that are no numbers", mend="look for NaN in these samples",
                         value=", ".join(samples.names[bad][:5]))  # fmt: skip
    return vectors


def group_vectors(
    *, vectors: npt.NDArray[np.floating], samples: Samples, n_resamples: int = 200, seed: int = 0
) -> GroupVectors:
    """Mean vector of each label over its donors, and its spread if donors are redrawn; `vectors` (n, d)."""
    labels, means, spreads, sizes = [], [], [], []
    for label in np.unique(samples.labels):
        rows = samples.labels == label
        donors, code = np.unique(samples.donors[rows], return_inverse=True)
        # a donor counts once, whatever number of samples it gave
        sums = np.zeros((len(donors), vectors.shape[1]))
        np.add.at(sums, code, vectors[rows])
        each = sums / np.bincount(code)[:, None]
        drawn = stream(seed, "group-vector", str(label)).integers(
            len(donors), size=(n_resamples, len(donors))
        )
        labels.append(str(label))
        means.append(each.mean(axis=0))
        spreads.append(each[drawn].mean(axis=1).std(axis=0, ddof=1))
        sizes.append(len(donors))
    return GroupVectors(tuple(labels), np.array(means), np.array(spreads), tuple(sizes))


def vectors_table(names: npt.NDArray[np.str_], vectors: npt.NDArray[np.floating]) -> pd.DataFrame:
    """Columns sample, v0 … v63, as the command line writes them (parquet or TSV by suffix)."""
    import pandas as pd

    numbers = pd.DataFrame(
        np.asarray(vectors, dtype=np.float32), columns=[f"v{k}" for k in range(vectors.shape[1])]
    )
    numbers.insert(0, "sample", [str(name) for name in names])
    return numbers


def nearest(
    *,
    query_vectors: npt.NDArray[np.floating],
    reference_vectors: npt.NDArray[np.floating],
    query_names: npt.NDArray[np.str_],
    names: npt.NDArray[np.str_],
    labels: npt.NDArray[np.str_],
    k: int = 5,
    donors: tuple[npt.NDArray[np.str_], npt.NDArray[np.str_]] | None = None,
) -> pd.DataFrame:
    """The `k` nearest patients: one row per query and rank (sample, rank, neighbour, label, distance).

    `names`, `labels` (m,) of the references; `donors` of queries and references: nobody is their own
    neighbour.
    """
    import pandas as pd

    from consilience.measures.distances import nearest as find

    k = min(k, len(reference_vectors))
    found = find(queries=query_vectors, references=reference_vectors, k=k, apart=donors)
    place = found.place.ravel()
    table = pd.DataFrame({
        "sample": np.repeat(query_names.astype(str), k),
        "rank": np.tile(np.arange(1, k + 1), len(query_vectors)),
        "neighbour": names.astype(str)[place],
        "label": labels.astype(str)[place],
        "distance": found.distance.ravel(),
    })  # fmt: skip
    return table[place >= 0].reset_index(drop=True)
