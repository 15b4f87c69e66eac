"""The trained networks of a cohort: latents on common axes, denoised expression, and their folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.denoising.alignment import Alignment
from consilience.causal.denoising.offsets import Offsets
from consilience.foundation.errors import DataError, ModelError

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

    from consilience.causal.denoising.vae_network import DenoisingNetwork
    from consilience.pathways.wiring import Wiring

    Codes = npt.NDArray[np.intp]
    Floats = npt.NDArray[np.float64]

KIND = "denoising"
AT_ONCE = 512
"""Cells that go through a network at a time."""


@dataclass(frozen=True)
class Denoiser:
    """K networks; a donor's cells belong to the network `fold_of` (m,) says, which did not see the donor.

    With K = 1 the one network saw all donors. `genes`, `donors`, `batches`, `cell_types`: names in the order
    of codes; `pathways` rows (gene, pathway) of the first layer (empty: plain).
    """

    networks: tuple[DenoisingNetwork, ...]
    genes: tuple[str, ...]
    donors: tuple[str, ...]
    batches: tuple[str, ...]
    cell_types: tuple[str, ...]
    fold_of: Codes
    alignment: Alignment
    offsets: Offsets
    pathways: tuple[tuple[str, str], ...]
    settings: dict[str, Any] = field(default_factory=dict)

    def latents(self, counts: sparse.csr_matrix, size_factor: Floats, donor: Codes) -> Floats:
        """Common axes (b, L) of cells of donors (b,), each from its donor's network."""
        found = np.zeros((len(donor), self.networks[0].latent))
        for fold in np.unique(self.fold_of[donor]):
            mine = np.flatnonzero(self.fold_of[donor] == fold)
            own = encoded(self.networks[fold], counts[mine], size_factor[mine])
            found[mine] = self.alignment.onto(own, int(fold))
        return found

    def log_expected(
        self, counts: sparse.csr_matrix, size_factor: Floats, *, donor: Codes, batch: Codes, cell_type: Codes
    ) -> npt.NDArray[np.float32]:
        """Log of the expected count per size factor (b, G), with the donor's own levels."""
        found = np.zeros(counts.shape, dtype=np.float32)
        for fold in np.unique(self.fold_of[donor]):
            mine = np.flatnonzero(self.fold_of[donor] == fold)
            network = self.networks[fold]
            own = encoded(network, counts[mine], size_factor[mine])
            found[mine] = decoded(network, own, batch[mine])
        return found + self.offsets.of(donor, cell_type)


def encoded(network: DenoisingNetwork, counts: sparse.csr_matrix, size_factor: Floats) -> Floats:
    """A network's own latents (b, L): posterior means."""
    import torch

    found = np.zeros((counts.shape[0], network.latent))
    with torch.no_grad():
        for first in range(0, len(found), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            dense = torch.from_numpy(np.asarray(counts[part].toarray(), dtype=np.float32))
            size = torch.from_numpy(size_factor[part].astype(np.float32))
            found[part] = network.encode(network.standardised(dense, size))[0].numpy()
    return found


def decoded(network: DenoisingNetwork, latents: Floats, batch: Codes) -> npt.NDArray[np.float32]:
    """Log of expected counts (b, G) at size factor 1 for a donor the network does not know."""
    import torch

    with torch.no_grad():
        given = torch.from_numpy(latents.astype(np.float32))
        found = network.decode(given, torch.ones(len(given)), torch.from_numpy(batch))
    return np.asarray(found.numpy())


def denoised(
    model: Path | Denoiser, expression: Path, rows: npt.NDArray[np.integer[Any]] | None = None
) -> Iterator[tuple[Codes, npt.NDArray[np.float32]]]:
    """Yield (places in `rows`, denoised values (b, genes)) on the scale of log1p(counts / size factor).

    `rows` of the file (None: all), in any order; `places` are positions in it. Columns are `denoised_genes`.
    Cells of donors the model does not know are refused.
    """
    from consilience.causal.denoising.cohort import open_cells

    one = model if isinstance(model, Denoiser) else load_denoiser(model)
    cells = open_cells(expression, genes=0).of_genes(one.genes)
    asked = np.arange(len(cells)) if rows is None else np.asarray(rows, dtype=np.intp)
    wanted = np.zeros(len(cells), dtype=bool)
    wanted[asked] = True
    donor = _recoded(cells.donor, cells.donors, one.donors)
    if (donor[asked] < 0).any():
        unknown = cells.donors[cells.donor[asked][donor[asked] < 0][0]]
        raise DataError("a donor the model of denoising does not know", where=expression.name, value=unknown,
                        mend="denoise the cohort again")  # fmt: skip
    batch = _recoded(cells.batch, cells.batches, one.batches)
    cell_type = _recoded(cells.cell_type, cells.cell_types, one.cell_types)
    order = np.argsort(asked, kind="stable")
    for at, counts in cells.blocks(wanted):
        found = one.log_expected(counts, cells.size_factor[at], donor=donor[at], batch=batch[at],
                                 cell_type=cell_type[at])  # fmt: skip
        first, last = np.searchsorted(asked[order], [at[0], at[-1] + 1]) if at.size else (0, 0)
        places = order[first:last]
        values = np.log1p(np.exp(found))
        yield places, values[np.searchsorted(at, asked[places])]


def denoised_genes(model: Path | Denoiser) -> tuple[str, ...]:
    """Symbols of the columns of `denoised`, sorted."""
    from consilience.learning.bundles import describe_bundle

    if isinstance(model, Denoiser):
        return model.genes
    return tuple(describe_bundle(model, kind=KIND)["description"]["genes"])


def _recoded(codes: Codes, names: tuple[str, ...], known: tuple[str, ...]) -> Codes:
    place = {name: number for number, name in enumerate(known)}
    return np.array([*(place.get(name, -1) for name in names), -1], dtype=np.intp)[codes]


def save_denoiser(folder: Path, one: Denoiser, *, figures: dict[str, Any]) -> None:
    """Write the model folder."""
    from consilience.causal.denoising.card import card_text
    from consilience.learning.bundles import save_bundle

    tensors: dict[str, Any] = {
        "alignment.centre": one.alignment.centre, "alignment.turn": one.alignment.turn,
        "alignment.agreement": one.alignment.agreement,
        "offsets.donor": one.offsets.of_donor, "offsets.type": one.offsets.of_type,
    }  # fmt: skip
    for number, network in enumerate(one.networks):
        tensors |= {f"network{number}.{name}": value for name, value in network.state_dict().items()}
    tensors = {name: value for name, value in tensors.items() if np.prod(value.shape) > 0}
    description = {
        "genes": list(one.genes), "donors": list(one.donors), "batches": list(one.batches),
        "cell_types": list(one.cell_types), "fold_of": one.fold_of.tolist(),
        "n_types": one.offsets.n_types, "settings": one.settings,
        "pathways": [list(edge) for edge in one.pathways],
        "networks": [_sizes(network) for network in one.networks],
    }  # fmt: skip
    save_bundle(folder, kind=KIND, tensors=tensors, description=description, card=card_text(one, figures))


def _sizes(network: DenoisingNetwork) -> dict[str, Any]:
    return {
        "n_genes": len(network.level), "latent": network.latent, "n_batches": len(network.batch_effect),
        "n_donors": len(network.donor_numbers), "donor_size": network.donor_numbers.shape[1],
        "learned": network.pathways is None or network.pathways.learned, "zeros": network.zeros,
    }  # fmt: skip


def load_denoiser(folder: Path) -> Denoiser:
    """Read a model folder back; the networks give the same numbers."""
    import torch

    from consilience.causal.denoising.vae_network import DenoisingNetwork
    from consilience.learning.bundles import load_bundle

    bundle = load_bundle(folder, kind=KIND)
    told, tensors = bundle.description, bundle.tensors
    genes = tuple(told["genes"])
    pathways = tuple((gene, pathway) for gene, pathway in told["pathways"])
    wiring = wiring_of(pathways, genes)
    networks = []
    for number, sizes in enumerate(told["networks"]):
        network = DenoisingNetwork(wiring=wiring, **sizes)
        state = network.state_dict()
        for name, value in state.items():
            if value.numel():
                found = tensors.get(f"network{number}.{name}")
                if found is None or found.shape != value.shape:
                    raise ModelError("a tensor is missing or of another shape", where=str(folder),
                                     value=f"network{number}.{name}")  # fmt: skip
                state[name] = found
        network.load_state_dict(state)
        networks.append(network.eval())
    empty = torch.zeros((0, len(genes)))
    offsets = Offsets(tensors["offsets.donor"].numpy(), tensors.get("offsets.type", empty).numpy(),
                      told["n_types"])  # fmt: skip
    alignment = Alignment(*(
        tensors[f"alignment.{name}"].numpy() for name in ("centre", "turn", "agreement")
    ))  # fmt: skip
    return Denoiser(
        tuple(networks), genes, tuple(told["donors"]), tuple(told["batches"]), tuple(told["cell_types"]),
        np.array(told["fold_of"], dtype=np.intp), alignment, offsets, pathways, dict(told["settings"]),
    )  # fmt: skip


def wiring_of(edges: tuple[tuple[str, str], ...], genes: tuple[str, ...]) -> Wiring | None:
    """Structure of the first layer from rows (gene, pathway); None without any."""
    from consilience.pathways.wiring import wire

    if not edges:
        return None
    return wire({"gene": [gene for gene, _ in edges], "pathway": [name for _, name in edges]}, genes=genes)
