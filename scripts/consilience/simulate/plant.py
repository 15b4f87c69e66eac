"""Planting: what is drawn once for a whole study. Natural logs unless a name says log2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from consilience.foundation.errors import ConfigError
from consilience.foundation.seeds import stream
from consilience.simulate.catalogue import ACTIVE_TYPES, BLOOD_SHARES, MARKERS, TISSUE_SHARES, Catalogue
from consilience.study.sections import SimulationSection

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
N_PROGRAMS = 20
GROUP_SIZE = 4
MAX_PERTURBATIONS = 2_500
KNOCK_DOWN_LOG2 = -2.5
ALPHA_SCALE = 0.06
LOCUS_GAP, LOCUS_GENES = 500_000, 3
MHC = ("6", 25_000_000, 34_000_000)
SPECIAL = frozenset({"X", "Y", "MT"})


@dataclass(frozen=True)
class Expression:
    """Baseline: `base` (genes,) log abundance, `by_type` (types, genes) shift of each cell type, `dispersion`
    (genes,) factor on the trend; `shares`, `tissue_shares`, `active` (types,)."""

    types: tuple[str, ...]
    shares: Floats
    tissue_shares: Floats
    active: npt.NDArray[np.bool_]
    base: Floats
    by_type: Floats
    dispersion: Floats

    def cell_type_table(self) -> pd.DataFrame:
        """One row a cell type."""
        import pandas as pd

        return pd.DataFrame({
            "cell_type": self.types, "active": self.active, "share": self.shares, "tissue_share": self.tissue_shares,
        })  # fmt: skip

    def gene_table(self, symbols: Sequence[str]) -> pd.DataFrame:
        """One row a gene: base, dispersion factor, one column per cell type."""
        import pandas as pd

        columns = {f"type:{name}": self.by_type[row] for row, name in enumerate(self.types)}
        return pd.DataFrame({"gene": symbols, "base": self.base, "dispersion": self.dispersion, **columns})

    @classmethod
    def from_tables(cls, genes: pd.DataFrame, types: pd.DataFrame) -> Expression:
        """Inverse of the two tables."""
        names = tuple(types["cell_type"])
        return cls(
            types=names,
            shares=types["share"].to_numpy(),
            tissue_shares=types["tissue_share"].to_numpy(),
            active=types["active"].to_numpy(),
            base=genes["base"].to_numpy(),
            by_type=np.stack([genes[f"type:{name}"].to_numpy() for name in names]),
            dispersion=genes["dispersion"].to_numpy(),
        )


@dataclass(frozen=True)
class Disease:
    """`effect` (genes,) signed log2 fold change in active cell types, `alpha` (genes,) effect of expression on
    risk; `candidates` rows of the genes chosen (causal unless the study is null)."""

    pathways: tuple[str, ...]
    candidates: npt.NDArray[np.intp]
    pathway_of_candidate: tuple[str, ...]
    effect: Floats
    alpha: Floats

    @classmethod
    def from_genes(cls, genes: pd.DataFrame, pathways: pd.DataFrame) -> Disease:
        """Inverse of the truth's tables."""
        rows = np.flatnonzero(genes["candidate"].to_numpy())
        return cls(
            pathways=tuple(pathways.loc[pathways["candidate"], "pathway"]),
            candidates=rows,
            pathway_of_candidate=tuple(genes["pathway"].to_numpy()[rows]),
            effect=genes["effect"].to_numpy(),
            alpha=genes["alpha"].to_numpy(),
        )


@dataclass(frozen=True)
class Programs:
    """Latent factors behind gene-gene correlation: rows and loadings (log scale) of each program's genes."""

    names: tuple[str, ...]
    rows: tuple[npt.NDArray[np.intp], ...]
    loadings: tuple[Floats, ...]

    def table(self, symbols: Sequence[str]) -> pd.DataFrame:
        """Long: program, gene, loading."""
        import pandas as pd

        return pd.DataFrame({
            "program": np.repeat(np.array(self.names, dtype=object), [len(rows) for rows in self.rows]),
            "gene": [symbols[row] for rows in self.rows for row in rows],
            "loading": np.concatenate([*self.loadings, np.empty(0)]),
        })  # fmt: skip

    @classmethod
    def from_table(cls, table: pd.DataFrame, *, row_of: Mapping[str, int]) -> Programs:
        """Inverse of `table`."""
        parts = [(str(name), part) for name, part in table.groupby("program", sort=False)]
        return cls(
            names=tuple(name for name, _ in parts),
            rows=tuple(np.array([row_of[gene] for gene in part["gene"]], dtype=np.intp) for _, part in parts),
            loadings=tuple(part["loading"].to_numpy() for _, part in parts),
        )


@dataclass(frozen=True)
class Perturbations:
    """Programs in the order in which cohorts take them: target name, its group's pathway, rows and log2 effects."""

    names: tuple[str, ...]
    pathways: tuple[str, ...]
    rows: tuple[npt.NDArray[np.intp], ...]
    log2fc: tuple[Floats, ...]

    def table(self, symbols: Sequence[str]) -> pd.DataFrame:
        """Long: perturbation, gene, log2fc (mean over cell lines)."""
        import pandas as pd

        return pd.DataFrame({
            "perturbation": np.repeat(np.array(self.names, dtype=object), [len(rows) for rows in self.rows]),
            "gene": [symbols[row] for rows in self.rows for row in rows],
            "log2fc": np.concatenate([*self.log2fc, np.empty(0)]),
        })  # fmt: skip

    @classmethod
    def from_tables(cls, table: pd.DataFrame, groups: pd.DataFrame, *, row_of: Mapping[str, int]) -> Perturbations:
        """Inverse of the truth's tables."""
        parts = {str(name): part for name, part in table.groupby("perturbation", sort=False)}
        names = tuple(groups["perturbation"])
        return cls(
            names=names,
            pathways=tuple(groups["pathway"]),
            rows=tuple(np.array([row_of[g] for g in parts[name]["gene"]], dtype=np.intp) for name in names),
            log2fc=tuple(parts[name]["log2fc"].to_numpy() for name in names),
        )


def plant_expression(catalogue: Catalogue, *, seed: int) -> Expression:
    """Draw each gene's abundance, its dispersion factor, and what each cell type makes of it."""
    types = tuple(MARKERS)
    n_genes = len(catalogue.symbols)
    base = np.array([stream(seed, "gene", gene).normal(0.0, 1.6) for gene in catalogue.symbols])
    ribosomal = [row for row, gene in enumerate(catalogue.symbols) if gene.startswith(("RPL", "RPS")) and gene != "RPS4Y1"]
    base[ribosomal] = np.abs(base[ribosomal]) + 1.5
    special = [row for row, place in enumerate(catalogue.chromosomes) if place in {"MT", "Y"}]
    base[special] = np.clip(base[special], 0.5, 2.0)
    row_of = {gene: row for row, gene in enumerate(catalogue.symbols)}
    if "XIST" in row_of:
        base[row_of["XIST"]] = 1.5
    by_type = np.zeros((len(types), n_genes))
    all_markers = [row_of[gene] for gene in {g for genes in MARKERS.values() for g in genes} if gene in row_of]
    base[all_markers] = np.clip(base[all_markers], 0.0, 2.0)
    for position, name in enumerate(types):
        random = stream(seed, "cell type", name)
        by_type[position] = random.normal(0.0, 0.7, n_genes) * (random.random(n_genes) < 0.25)
        by_type[position, all_markers] = -3.0
        by_type[position, [row_of[gene] for gene in MARKERS[name] if gene in row_of]] = 1.5
        by_type[position, special] = 0.0
    dispersion = np.exp(stream(seed, "dispersion").normal(0.0, 0.35, n_genes))
    return Expression(
        types=types,
        shares=np.array(BLOOD_SHARES),
        tissue_shares=np.array(TISSUE_SHARES),
        active=np.array([name in ACTIVE_TYPES for name in types]),
        base=base,
        by_type=by_type,
        dispersion=dispersion,
    )


def _free_genes(catalogue: Catalogue, expression: Expression) -> npt.NDArray[np.bool_]:
    """Genes that may be causal or perturbed: autosomal, no marker, and expressed well enough to be seen."""
    markers = {gene for genes in MARKERS.values() for gene in genes}
    return np.array([
        place not in SPECIAL and gene not in markers and level > -0.5
        for gene, place, level in zip(catalogue.symbols, catalogue.chromosomes, expression.base, strict=True)
    ])  # fmt: skip


def plant_disease(
    catalogue: Catalogue, expression: Expression, *, settings: SimulationSection, seed: int
) -> Disease:
    """Choose pathways that share few genes, causal genes in them, and signed effects.

    Most genes of a pathway share its direction. The effect on risk `alpha` has the sign of the effect on
    expression and a size that follows it.
    """
    free = _free_genes(catalogue, expression)
    pathways = _separate_pathways(catalogue, free=free, n_wanted=settings.n_causal_pathways, seed=seed)
    quota = np.full(len(pathways), settings.n_causal_genes // len(pathways))
    quota[: settings.n_causal_genes % len(pathways)] += 1
    chosen: dict[int, tuple[str, float]] = {}
    for name, wanted, sign in zip(pathways, quota, np.resize([1.0, -1.0], len(pathways)), strict=True):
        random = stream(seed, "causal", name)
        pool = [row for row in catalogue.sets[name] if free[row] and row not in chosen]
        if len(pool) < wanted:
            raise ConfigError(
                f"{name} has only {len(pool)} genes that can be causal",
                where="simulation.n_causal_genes", value=settings.n_causal_genes,
                mend="ask for fewer causal genes, or more causal pathways or genes",
            )  # fmt: skip
        for row in random.choice(pool, size=wanted, replace=False):
            against = -1.0 if random.random() < 0.15 else 1.0
            chosen[int(row)] = (name, float(sign * against * random.uniform(0.7, 1.6)))
    rows = np.array(sorted(chosen), dtype=np.intp)
    effect, alpha = np.zeros(len(free)), np.zeros(len(free))
    size = np.array([chosen[row][1] for row in rows])
    noise = np.array([stream(seed, "alpha", catalogue.symbols[row]).normal(0.0, 0.3) for row in rows])
    effect[rows] = settings.effect * size
    alpha[rows] = settings.effect * ALPHA_SCALE * size * np.exp(noise)
    return Disease(tuple(pathways), rows, tuple(chosen[row][0] for row in rows), effect, alpha)


def _separate_pathways(
    catalogue: Catalogue, *, free: npt.NDArray[np.bool_], n_wanted: int, seed: int
) -> list[str]:
    """Pathways of middling size in random order, each sharing few genes with those before it."""
    random = stream(seed, "pathways")
    sized = [name for name, rows in catalogue.sets.items() if 12 <= int(free[list(rows)].sum()) and len(rows) <= 120]
    picked: list[str] = []
    for name in random.permutation(sorted(sized)).tolist():
        rows = set(catalogue.sets[name])
        shared = (len(rows & set(catalogue.sets[one])) / min(len(rows), len(catalogue.sets[one])) for one in picked)
        if all(share < 0.15 for share in shared):
            picked.append(str(name))
        if len(picked) == n_wanted:
            return picked
    raise ConfigError(
        f"these genes hold only {len(picked)} pathways that share few genes", where="simulation.n_causal_pathways",
        value=n_wanted, mend="ask for fewer pathways or raise simulation.n_genes",
    )  # fmt: skip


def plant_programs(catalogue: Catalogue, disease: Disease, *, seed: int) -> Programs:
    """Correlated gene programs: the causal pathways and others, each with its loadings."""
    sized = sorted(name for name, rows in catalogue.sets.items() if 15 <= len(rows) <= 120)
    order = stream(seed, "programs").permutation(sized).tolist()
    names = list(dict.fromkeys([*disease.pathways, *map(str, order)]))[:N_PROGRAMS]
    place = np.array(catalogue.chromosomes)
    rows, loadings = [], []
    for name in names:
        own = np.array([row for row in catalogue.sets[name] if place[row] not in SPECIAL], dtype=np.intp)
        random = stream(seed, "loading", name)
        signs = np.where(random.random(own.size) < 0.85, 1.0, -1.0)
        rows.append(own)
        loadings.append(signs * random.uniform(0.1, 0.4, own.size))
    return Programs(tuple(names), tuple(rows), tuple(loadings))


def plant_perturbations(
    catalogue: Catalogue, expression: Expression, disease: Disease, *, seed: int
) -> Perturbations:
    """Programs that follow function: targets of one pathway share most of their response.

    Targets come in groups of four from one pathway (the causal pathways first). A response is the target's
    own knock-down, the group's program (members of the pathway and downstream genes), and a smaller part of
    its own; every eighth target answers with its own knock-down only.
    """
    free = _free_genes(catalogue, expression)
    sized = sorted(name for name, rows in catalogue.sets.items() if len(rows) >= 8 and name not in disease.pathways)
    order = [*disease.pathways, *map(str, stream(seed, "perturbed pathways").permutation(sized).tolist())]
    wanted = min(MAX_PERTURBATIONS, len(catalogue.symbols) // 4)
    place = np.array(catalogue.chromosomes)
    answering = np.flatnonzero(~np.isin(place, list(SPECIAL)))
    taken: dict[str, str] = {}
    row_of = {gene: row for row, gene in enumerate(catalogue.symbols)}
    while len(taken) < wanted:
        before = len(taken)
        for name in order:
            pool = [row for row in catalogue.sets[name] if free[row] and catalogue.symbols[row] not in taken]
            if len(pool) >= 2:
                picks = stream(seed, "targets", name, before).permutation(pool)[:GROUP_SIZE]
                taken.update((catalogue.symbols[row], name) for row in picks)
        if len(taken) == before:
            break
    names = list(taken)[:wanted]
    shared = {name: _group_program(catalogue, name, answering, seed=seed) for name in {taken[n] for n in names}}
    rows, effects = [], []
    for position, target in enumerate(names):
        response = shared[taken[target]].copy() if position % 8 != 7 else {}
        random = stream(seed, "own program", target)
        own = random.choice(answering, size=min(15, answering.size), replace=False) if response else []
        for row in own:
            response[int(row)] = response.get(int(row), 0.0) + float(random.normal(0.0, 0.5))
        response[row_of[target]] = KNOCK_DOWN_LOG2
        rows.append(np.array(sorted(response), dtype=np.intp))
        effects.append(np.array([response[row] for row in sorted(response)]))
    return Perturbations(tuple(names), tuple(taken[name] for name in names), tuple(rows), tuple(effects))


def _group_program(
    catalogue: Catalogue, pathway: str, answering: npt.NDArray[np.intp], *, seed: int
) -> dict[int, float]:
    random = stream(seed, "group program", pathway)
    members = [row for row in catalogue.sets[pathway] if catalogue.chromosomes[row] not in SPECIAL]
    inside = random.permutation(members)[:30]
    outside = random.choice(answering, size=min(30, answering.size), replace=False)
    program = {int(row): float(value) for row, value in zip(outside, random.normal(0.0, 0.9, outside.size), strict=True)}
    program.update(
        (int(row), float(value)) for row, value in zip(inside, random.normal(-0.5, 0.7, inside.size), strict=True)
    )
    return program


def plant_loci(catalogue: Catalogue, disease: Disease, *, seed: int) -> list[str]:
    """Name the locus of each gene ("" for none): neighbours on the genome, at most three, outside the MHC.

    Loci are numbered in the order in which cohorts take them: those with chosen genes first.
    """
    groups: list[list[int]] = []
    last: tuple[str, int] = ("", 0)
    for row, (chromosome, position) in enumerate(zip(catalogue.chromosomes, catalogue.positions, strict=True)):
        in_mhc = chromosome == MHC[0] and MHC[1] <= position <= MHC[2]
        if chromosome in SPECIAL or in_mhc or not chromosome.isdigit():
            continue
        near = last[0] == chromosome and position - last[1] <= LOCUS_GAP
        if near and groups and len(groups[-1]) < LOCUS_GENES:
            groups[-1].append(row)
        else:
            groups.append([row])
        last = (chromosome, position)
    candidates: set[Any] = set(disease.candidates.tolist())
    shuffled = stream(seed, "loci").permutation(len(groups)).tolist()
    order = sorted(shuffled, key=lambda group: candidates.isdisjoint(groups[group]))
    names = [""] * len(catalogue.symbols)
    for number, group in enumerate(order, 1):
        for row in groups[group]:
            names[row] = f"L{number:05d}"
    return names
