"""Planting: what is drawn once for a whole study. Natural logs unless a name says log2."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from consilience.foundation.errors import ConfigError
from consilience.foundation.seeds import stream
from consilience.simulate.catalogue import ACTIVE_TYPES, BLOOD_SHARES, MARKERS, TISSUE_SHARES, Catalogue
from consilience.simulate.planted import Disease, Expression, Perturbations, Programs
from consilience.study.sections import SimulationSection

N_PROGRAMS = 20
GROUP_SIZE = 4
MAX_PERTURBATIONS = 2_500
KNOCK_DOWN_LOG2 = -2.5
ALPHA_SCALE = 0.06
LOCUS_GAP, LOCUS_GENES = 500_000, 3
MHC = ("6", 25_000_000, 34_000_000)
SPECIAL = frozenset({"X", "Y", "MT"})


def plant_expression(catalogue: Catalogue, *, seed: int) -> Expression:
    """Draw each gene's abundance, its dispersion factor, and what each cell type makes of it."""
    types = tuple(MARKERS)
    n_genes = len(catalogue.symbols)
    base = np.array([stream(seed, "gene", gene).normal(0.0, 1.6) for gene in catalogue.symbols])
    ribosomal = [
        row
        for row, gene in enumerate(catalogue.symbols)
        if gene.startswith(("RPL", "RPS")) and gene != "RPS4Y1"
    ]
    base[ribosomal] = np.abs(base[ribosomal]) + 1.5
    special = [row for row, place in enumerate(catalogue.chromosomes) if place in {"MT", "Y"}]
    base[special] = np.clip(base[special], 0.5, 2.0)
    row_of = {gene: row for row, gene in enumerate(catalogue.symbols)}
    if "XIST" in row_of:
        base[row_of["XIST"]] = 1.5
    by_type = np.zeros((len(types), n_genes))
    all_markers = [
        row_of[gene] for gene in {g for genes in MARKERS.values() for g in genes} if gene in row_of
    ]
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
    pathways = _separate_pathways(
        catalogue,
        free=free,
        n_wanted=settings.n_causal_pathways,
        n_genes=settings.n_causal_genes,
        seed=seed,
    )
    quota = np.full(len(pathways), settings.n_causal_genes // len(pathways))
    quota[: settings.n_causal_genes % len(pathways)] += 1
    chosen: dict[int, tuple[str, float]] = {}
    for name, wanted, sign in zip(pathways, quota, np.resize([1.0, -1.0], len(pathways)), strict=True):
        random = stream(seed, "causal", name)
        members = [row for row in catalogue.sets[name] if row not in chosen]
        pool = [row for row in members if free[row]]
        if len(pool) < wanted:  # a toy study: weakly expressed members must do too
            pool = [row for row in members if catalogue.chromosomes[row] not in SPECIAL]
        if len(pool) < wanted:
            raise ConfigError(
                f"{name} has only {len(pool)} genes that can be causal",
                where="simulation.n_causal_genes",
                value=settings.n_causal_genes,
                mend="ask for fewer causal genes, or more causal pathways or genes",
            )
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
    catalogue: Catalogue, *, free: npt.NDArray[np.bool_], n_wanted: int, n_genes: int, seed: int
) -> list[str]:
    """Pathways in random order, each sharing few genes with those before it.

    They are well covered by the genes of the study, and small enough for their share of the causal genes
    to make a difference; a study of few genes must be content with less of both.
    """
    order = [str(name) for name in stream(seed, "pathways").permutation(sorted(catalogue.sets))]
    needed = -(-n_genes // n_wanted)
    n_free = {name: int(free[list(catalogue.sets[name])].sum()) for name in order}
    picked: list[str] = []
    for covered, shared, largest in ((0.6, 0.15, 45), (0.4, 0.25, 90), (0.0, 0.4, 10_000)):
        fitting = [
            name
            for name in order
            if n_free[name] >= needed + 2
            and len(catalogue.sets[name]) <= max(largest, 3 * needed)
            and len(catalogue.sets[name]) >= covered * catalogue.full_sizes[name]
        ]
        picked = _pick_apart(fitting, catalogue=catalogue, n_wanted=n_wanted, most_shared=shared)
        if len(picked) == n_wanted:
            return picked
    raise ConfigError(
        f"these genes hold only {len(picked)} pathways of fitting size that share few genes",
        where="simulation.n_causal_pathways",
        value=n_wanted,
        mend="ask for fewer pathways or causal genes, or raise simulation.n_genes",
    )


def _pick_apart(names: list[str], *, catalogue: Catalogue, n_wanted: int, most_shared: float) -> list[str]:
    picked: list[str] = []
    for name in names:
        rows = set(catalogue.sets[name])
        overlaps = (
            len(rows & set(own)) / min(len(rows), len(own)) for own in map(catalogue.sets.get, picked) if own
        )
        if all(overlap < most_shared for overlap in overlaps):
            picked.append(name)
        if len(picked) == n_wanted:
            break
    return picked


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
    sized = sorted(
        name for name, rows in catalogue.sets.items() if len(rows) >= 8 and name not in disease.pathways
    )
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
    shared = {
        name: _group_program(catalogue, name, answering, seed=seed) for name in {taken[n] for n in names}
    }
    rows, effects = [], []
    for position, target in enumerate(names):
        response = shared[taken[target]].copy() if position % 8 != 7 else {}
        random = stream(seed, "own program", target)
        own = random.choice(answering, size=min(15, answering.size), replace=False)
        for row in own if response else own[:0]:
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
    program = {
        int(row): float(value)
        for row, value in zip(outside, random.normal(0.0, 0.9, outside.size), strict=True)
    }
    program.update(
        (int(row), float(value))
        for row, value in zip(inside, random.normal(-0.5, 0.7, inside.size), strict=True)
    )
    return program


def plant_loci(catalogue: Catalogue, disease: Disease, *, seed: int) -> list[str]:
    """Name the locus of each gene ("" for none): neighbours on the genome, at most three, outside the MHC.

    Loci are numbered in the order in which cohorts take them: those with chosen genes first.
    """
    groups: list[list[int]] = []
    last: tuple[str, int] = ("", 0)
    for row, (chromosome, position) in enumerate(
        zip(catalogue.chromosomes, catalogue.positions, strict=True)
    ):
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
