"""Associations of any layout: batches of rows checked cell by cell, under our names, as small columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from consilience.foundation.errors import DataError, did_you_mean
from consilience.foundation.jobs import log
from consilience.sources.summary_statistics.effects import (
    ROUTES,
    Effects,
    effective_n,
    neg_log10_p,
    resolve,
    route_of,
)
from consilience.sources.summary_statistics.findings import Findings
from consilience.sources.summary_statistics.layout import LEVELS, TEXT, Layout
from consilience.sources.summary_statistics.tables import (
    MISSING,
    Flags,
    Floats,
    Header,
    TextTable,
    read_batches,
    refuse_header,
)
from consilience.sources.summary_statistics.variants import (
    NOT_SINGLE,
    PLACE_NAME,
    UNKNOWN,
    Codes,
    allele_code,
    allele_codes,
    chromosome_code,
    chromosome_codes,
    place_names,
)

if TYPE_CHECKING:
    import pyarrow as pa

WORDS = {"gwas": "GWAS", "eqtl": "eQTL"}
_FINITE: tuple[Callable[[Floats], Any], str] = (np.isfinite, "a finite number")
_ABOVE: tuple[Callable[[Floats], Any], str] = (lambda v: v > 0, "a number above 0")
_SHARE: tuple[Callable[[Floats], Any], str] = (lambda v: (v >= 0) & (v <= 1), "a number from 0 to 1")
_WHOLE: tuple[Callable[[Floats], Any], str] = (
    lambda v: (v > 0) & (v == np.floor(v)),
    "a whole number above 0",
)
_FROM_0: tuple[Callable[[Floats], Any], str] = (lambda v: v >= 0, "a number from 0 on")
RULES: dict[str, tuple[Callable[[Floats], Any], str]] = {
    "position": _WHOLE,
    "gene_position": _WHOLE,
    "beta": _FINITE,
    "z": _FINITE,
    "odds_ratio": _ABOVE,
    "standard_error": _ABOVE,
    "ci_lower": _FINITE,
    "ci_upper": _FINITE,
    "p_value": _SHARE,
    "neg_log10_p": _FROM_0,
    "effect_allele_frequency": _SHARE,
    "n": _ABOVE,
    "n_cases": _FROM_0,
    "n_controls": _FROM_0,
    "alleles_counted": _ABOVE,
    "minor_count": _FROM_0,
    "minor_frequency": _SHARE,
}
"""What numbers may stand in each column."""


@dataclass(frozen=True)
class Source:
    """A table of associations: its header and layout, and the people where its rows do not say them.

    `n_of_gene` gives people by Ensembl id, for an eQTL table without a column of them.
    """

    header: Header
    layout: Layout
    n_people: float | None = None
    n_of_gene: Mapping[str, float] | None = None

    @property
    def what(self) -> str:
        """GWAS or eQTL, as messages say it."""
        return WORDS[self.layout.what]


@dataclass(frozen=True)
class Batch:
    """Usable rows of one batch: variants and effects (n,), and the `rows` they come from."""

    rows: TextTable
    name: pa.StringArray
    chromosome: Codes
    position: npt.NDArray[np.int64]
    effect: Codes
    other: Codes
    effects: Effects
    p_value: Floats
    frequency: Floats
    n: Floats
    n_effective: Floats


def read_associations(
    source: Source, *, findings: Findings, largest_p: float = 1.0
) -> Iterator[tuple[Batch, dict[str, str]]]:
    """Batches of rows that can be used, with the columns found (ours: theirs); the others are counted.

    Values that cannot be (p above 1, a standard error of 0, a chromosome 31) are refused with their place;
    missing values, indels and rows of other tests are set aside and counted by reason.
    """
    header, layout = source.header, source.layout
    refuse_header(header, required=[])
    found = layout.find(header.names)
    _refuse_missing(source, found)
    if layout.last_resort:
        findings.note(
            f"{header.path.name} follows no known standard: the effect allele is taken to be column "
            f"{found.get('effect_allele', found.get('variant', ''))} (else set summary_statistics: columns)"
        )
    words = [theirs for ours, theirs in found.items() if ours in TEXT]
    levels = [theirs for ours, theirs in found.items() if ours in LEVELS]
    levels += [name for name, _, _ in layout.only if name in header.names]
    numbers = [theirs for ours, theirs in found.items() if ours in RULES]
    route: tuple[str, ...] | None = None
    n_far = n_read = 0
    for rows in read_batches(header, words=words, levels=levels, numbers=numbers):
        n_read += rows.n_rows
        kept = _of_wanted_tests(rows, layout, findings)
        if route is None:
            found, route = _route(source, found, rows)
        if largest_p < 1 and "p_value" in found:
            p = _number(kept, found, "p_value")
            near = ~(p > largest_p)
            n_far += int((~near).sum())
            kept = kept.only(near)
        batch = _batch(source, kept, found, route, findings)
        if largest_p < 1:
            near = batch.p_value <= largest_p
            n_far += int((~near).sum())
            batch = _only(batch, near)
        log.info("%s: %d rows read", header.where, n_read)
        yield batch, found
    findings.read[source.what] += n_read
    findings.too_large[source.what] += n_far
    if n_far:
        findings.note(
            f"{n_far:,} of {n_read:,} {source.what} rows have p above {largest_p:g} and were left out "
            "(summary_statistics: eqtl_p)"
        )


def _refuse_missing(source: Source, found: Mapping[str, str]) -> None:
    header, layout = source.header, source.layout
    groups: list[tuple[str, ...]] = [*layout.needs]
    if "variant" not in found:
        groups += [("effect_allele",), ("other_allele", "ref"), ("rsid", "position")]
    if layout.what == "eqtl":
        groups.append(("ensembl_id",))
    missing = [group for group in groups if not any(name in found for name in group)]
    if route_of(found) is None:
        missing.append(("beta",) if "beta" not in found else ("standard_error",))
    if missing:
        name = layout.preferred(missing[0][0])
        raise DataError(
            f"no column {name}, which a table of layout {layout.title} needs here",
            where=f"{header.where}:{header.line}",
            value=" ".join(header.names),
            allowed="for the effect: " + "; ".join(said for _, said in ROUTES)
            if missing[0][0] in {"beta", "standard_error"}
            else "",
            mend=did_you_mean(name, header.names)
            or "name the column in summary_statistics: columns (configuration)",
        )


def _of_wanted_tests(rows: TextTable, layout: Layout, findings: Findings) -> TextTable:
    for name, wanted, others in layout.only:
        if rows.has(name):
            level, words = rows.levels(name)
            kept = np.isin(words, wanted)[level]
            findings.remove(f"{WORDS[layout.what]}: {others}", int((~kept).sum()))
            rows = rows.only(kept)
    return rows


def _route(source: Source, found: dict[str, str], rows: TextTable) -> tuple[dict[str, str], tuple[str, ...]]:
    """Which columns give the effect; columns of the first batch that are all empty are as good as absent."""
    used = {
        ours: theirs
        for ours, theirs in found.items()
        if ours not in RULES or not np.isnan(_number(rows, found, ours)).all()
    }
    route = route_of(used)
    return (used, route[0]) if route else (found, (route_of(found) or ROUTES[0])[0])


def _number(rows: TextTable, found: Mapping[str, str], ours: str) -> Floats:
    if ours not in found:
        return np.full(rows.n_rows, np.nan)
    fits, allowed = RULES[ours]
    return rows.numbers(found[ours], fits=fits, allowed=allowed)


def _batch(
    source: Source, rows: TextTable, found: dict[str, str], route: tuple[str, ...], findings: Findings
) -> Batch:
    chromosome, position, effect, other = _variants(rows, found)
    n, n_effective = _people(source, rows, found)
    columns = {ours: _number(rows, found, ours) for ours in {*route, "p_value", "effect_allele_frequency"}}
    effects = resolve(route, columns, n=n)
    p = columns["p_value"]
    if (unsaid := np.isnan(p)).any():
        p[unsaid] = 10.0 ** -neg_log10_p(effects.z[unsaid])
    names = rows.text(found["rsid"]) if "rsid" in found else _blank(rows.n_rows)
    batch = Batch(
        rows,
        names,
        chromosome,
        position,
        effect,
        other,
        effects,
        p,
        columns["effect_allele_frequency"],
        n,
        n_effective,
    )
    placed = (chromosome >= 0) & (position > 0)
    needs_place = any(name in found for name in ("position", "chromosome", "variant"))
    missing = ~np.isfinite(effects.z) | ~np.isfinite(effects.beta) | np.isnan(n)
    missing |= (effect == UNKNOWN) | (other == UNKNOWN)
    missing |= ~placed if needs_place else ~(placed | _named(names))
    odd = ~missing & ((effect == NOT_SINGLE) | (other == NOT_SINGLE))
    allele = found.get("other_allele") or found.get("ref") or found["variant"]
    rows.refuse_any((effect == other) & ~missing & ~odd, allele, "both alleles are the same")
    findings.remove(f"{source.what}: a missing value", int(missing.sum()))
    findings.remove(f"{source.what}: not a single-nucleotide variant", int(odd.sum()))
    return _with_names(_only(batch, ~(missing | odd)))


def _blank(n: int) -> pa.StringArray:
    import pyarrow as pa

    return pa.array([""] * n, pa.string())


def _named(names: pa.StringArray) -> Flags:
    import pyarrow as pa
    import pyarrow.compute as pc

    return np.asarray(pc.invert(pc.is_in(names, value_set=pa.array(MISSING))).to_numpy(zero_copy_only=False))


def _with_names(batch: Batch) -> Batch:
    """Variants without a name, or named by their place, are called chromosome:position:allele:allele."""
    import dataclasses

    import pyarrow as pa
    import pyarrow.compute as pc

    others = np.flatnonzero(~np.asarray(pc.starts_with(batch.name, "rs").to_numpy(zero_copy_only=False)))
    names = batch.name.take(pa.array(others))
    by_place = np.asarray(pc.match_substring_regex(names, PLACE_NAME).to_numpy(zero_copy_only=False))
    where = others[(~_named(names) | by_place) & (batch.position[others] > 0)]
    if not where.size:
        return batch
    nameless = np.zeros(len(batch.name), dtype=bool)
    nameless[where] = True
    made = place_names(
        batch.chromosome[where], batch.position[where], batch.effect[where], batch.other[where]
    )
    name = pc.replace_with_mask(batch.name, pa.array(nameless), pa.array(made))
    return dataclasses.replace(batch, name=name)


def _only(batch: Batch, kept: Flags) -> Batch:
    import pyarrow as pa

    if kept.all():
        return batch
    e = batch.effects
    return Batch(
        batch.rows.only(kept),
        batch.name.filter(pa.array(kept)),
        batch.chromosome[kept],
        batch.position[kept],
        batch.effect[kept],
        batch.other[kept],
        Effects(e.beta[kept], e.standard_error[kept], e.z[kept], e.scale),
        batch.p_value[kept],
        batch.frequency[kept],
        batch.n[kept],
        batch.n_effective[kept],
    )


def _variants(rows: TextTable, found: Mapping[str, str]) -> tuple[Codes, npt.NDArray[np.int64], Codes, Codes]:
    """Chromosome, position (-1 where unknown), effect and other allele (n,)."""
    parts = _place_parts(rows, found)
    if "chromosome" in found:
        chromosome = chromosome_codes(rows, found["chromosome"])
    else:
        chromosome = _coded(parts["chromosome"], chromosome_code)
    if "position" in found:
        values = _number(rows, found, "position")
        position = np.where(np.isnan(values), -1, values).astype(np.int64)
    else:
        position = np.array([int(word) if word else -1 for word in parts["position"]], dtype=np.int64)
    if "effect_allele" not in found:
        return chromosome, position, _coded(parts["alt"], allele_code), _coded(parts["ref"], allele_code)
    effect = allele_codes(rows, found["effect_allele"])
    if "other_allele" in found:
        return chromosome, position, effect, allele_codes(rows, found["other_allele"])
    ref, alt = allele_codes(rows, found["ref"]), allele_codes(rows, found["alt"])
    return chromosome, position, effect, np.where(effect == ref, alt, ref).astype(np.int8)


def _place_parts(rows: TextTable, found: Mapping[str, str]) -> dict[str, list[str]]:
    """Chromosome, position, ref and alt (n,) as the name of the variant says them; "" where it does not."""
    import pyarrow.compute as pc

    fields = ("chromosome", "position", "ref", "alt")
    unused = all(name in found for name in ("chromosome", "position", "effect_allele"))
    column = found.get("variant") or found.get("rsid")
    if unused or column is None:
        return dict.fromkeys(fields, [""] * rows.n_rows)
    parts = pc.extract_regex(rows.text(column), PLACE_NAME)
    return {name: [word or "" for word in pc.struct_field(parts, name).to_pylist()] for name in fields}


def _coded(words: list[str], code: Callable[[str], int]) -> Codes:
    known = {word: code(word.upper()) for word in set(words)}
    return np.array([max(known[word], UNKNOWN) for word in words], dtype=np.int8)


def _people(source: Source, rows: TextTable, found: Mapping[str, str]) -> tuple[Floats, Floats]:
    """People (n,) and effective people (n,) of each row."""
    n = _number(rows, found, "n")
    effective = np.full(rows.n_rows, np.nan)
    if "n_cases" in found and "n_controls" in found:
        cases, controls = _number(rows, found, "n_cases"), _number(rows, found, "n_controls")
        n = np.where(np.isnan(n), cases + controls, n)
        effective = effective_n(cases, controls)
    if "alleles_counted" in found:
        n = np.where(np.isnan(n), _number(rows, found, "alleles_counted") / 2, n)
    if "minor_count" in found and "minor_frequency" in found:
        with np.errstate(divide="ignore", invalid="ignore"):
            count = _number(rows, found, "minor_count") / (2 * _number(rows, found, "minor_frequency"))
        n = np.where(np.isnan(n), np.round(np.where(np.isfinite(count), count, np.nan)), n)
    if source.n_of_gene and "ensembl_id" in found:
        where, genes = rows.levels(found["ensembl_id"])
        known = np.array([source.n_of_gene.get(gene.partition(".")[0], np.nan) for gene in genes])
        n = np.where(np.isnan(n), known[where] if len(known) else n, n)
    if source.n_people:
        n = np.where(np.isnan(n), float(source.n_people), n)
    if rows.n_rows and np.isnan(n).all():
        key = f"n_{source.layout.what}"
        raise DataError(
            "no column n and no sample size in the metadata",
            where=source.header.where,
            mend="add a column with the number of people, "
            f"or set summary_statistics: {key} in the configuration",
        )
    return n, np.where(np.isfinite(effective) & (effective > 0), effective, n)


def shared_columns(batch: Batch) -> dict[str, Any]:
    """The columns of a batch that GWAS and eQTL have in common, as `columns.schema_of` names them."""
    return {
        "rsid": batch.name,
        "chromosome": batch.chromosome,
        "position": batch.position,
        "effect_allele": batch.effect,
        "other_allele": batch.other,
        "beta": batch.effects.beta,
        "standard_error": batch.effects.standard_error,
        "z": batch.effects.z,
        "p_value": batch.p_value,
        "effect_allele_frequency": batch.frequency,
        "n": batch.n,
        "n_effective": batch.n_effective,
    }
