"""Privacy of augmentation: what synthetic samples give away about training patients, and the release gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from consilience.augment.judging import GATED
from consilience.measures.release import BALANCED
from consilience.report.citations import MethodNote
from consilience.report.elements import (
    Block,
    Cell,
    Column,
    Fact,
    Facts,
    Figures,
    Group,
    Section,
    SectionMaker,
    Table,
    Text,
)
from consilience.report.figures import Axis, Colour, Figure, points, rule, segments
from consilience.report.results import StudyResults
from consilience.report.sections import _augment_methods as written
from consilience.report.sections._augment_reading import (
    FOLD_ABOVE,
    REAL_TRAIN,
    augmented_cohorts,
    frame,
    generator_words,
    in_detail,
    listed_values,
    over,
    rows_of,
    shown_words,
    told,
    told_of_all,
)
from consilience.report.sections._augment_shapes import Attack, Attribute, Choice, Closest, PrivacyRecord
from consilience.report.sections._rnagan_reading import group_of, two
from consilience.report.words import count, listed
from consilience.study.cohorts import Cohort

ATTRIBUTE_WORDS = {
    "nearest": "a gene, guessed from the most alike", "ridge": "a gene, guessed by regression",
    "label": "the class, guessed",
}  # fmt: skip
MINUS = "\N{MINUS SIGN}"
ATTACK_WORDS = {
    "distance": "by distance", "correlation": "by correlation", "profile": "by profile", "span": "by span",
}  # fmt: skip
COLOURS: tuple[Colour, ...] = ("c1", "c2", "c3", "c4", "c5")
_LEAD = (
    "A generator is fitted on a part of the patients; then it is asked whether its samples tell those "
    "patients from the ones it never saw. Membership AUC 0.5: nobody can tell; 1: everybody can. Samples of "
    "a model fitted to all patients are given out only where this trial stays within the limits."
)


def build(results: StudyResults) -> Section | None:
    """The verdict, attacks and closest records of each cohort."""
    found = told_of_all(results, "privacy.json", PrivacyRecord)
    attacked = {cohort: _attacked(results, cohort) for cohort in augmented_cohorts(results)}
    cohorts = [cohort for cohort, figure in attacked.items() if cohort in found or figure is not None]
    if not cohorts:
        return None
    groups = [
        _group(results, cohort, found.get(cohort), attacked[cohort], folded=len(cohorts) > FOLD_ABOVE)
        for cohort in cohorts
    ]
    judged = {cohort: record for cohort, record in found.items() if not record.skipped}
    passed = sum(record.passed for record in judged.values())
    headline = (
        f"The trial is passed in {passed} of {count(len(judged), 'cohort')}." if judged else "Not judged."
    )
    return Section(
        key="privacy", title="Augmentation: privacy", headline=headline,
        blocks=(Text(_LEAD, tone="lead"), *shown_words(results), *groups, *_tables(results, judged)),
    )  # fmt: skip


def _group(
    results: StudyResults, cohort: Cohort, record: PrivacyRecord | None, attacked: Figure | None, *,
    folded: bool,
) -> Group:  # fmt: skip
    hide = results.pseudonyms.text
    blocks: list[Block] = []
    figures: list[Figure | None] = []
    if record is not None and record.skipped:
        blocks.append(Text(f"Not judged: {hide(record.skipped)}."))
    elif record is not None:
        blocks += [_facts(record), _verdict(results, record)]
        if record.checks:
            blocks.append(_checks(results, cohort, record))
        figures.append(_attack_figure(cohort, record))
    drawn = tuple(figure for figure in (*figures, attacked) if figure is not None)
    if drawn and in_detail(results, cohort):
        blocks.append(Figures(drawn))
    if record is not None and not record.skipped:
        blocks += [Text(words) for words in _more(record)]
        if record.notes:
            blocks.append(Text(f"Mind: {'; '.join(map(hide, record.notes))}.", tone="small"))
    return group_of(f"privacy-{cohort.name}", cohort, blocks, folded=folded)


def _facts(record: PrivacyRecord) -> Facts:
    items = [Fact("given out", "yes" if record.passed else "no",
                  f"level {record.level}" if record.level else "")]  # fmt: skip
    if record.near_copies is not None:
        some = record.passed and record.removed is not None
        removed = f"{record.removed:,} taken out of the released ones" if some else ""
        items.append(Fact("near copies", f"{record.near_copies:,}", removed))
    if record.exact_copies is not None:
        items.append(Fact("exact copies", f"{record.exact_copies:,}"))
    worst = [attack.auc for attack in record.attacks if attack.auc is not None]
    if worst:
        items.append(Fact("best attack", two(max(worst)), "membership AUC"))
    if record.closest is not None and record.closest.share is not None:
        items.append(Fact("closer to training patients", _percent(record.closest.share), "50 % is ideal"))
    if record.epsilon is not None:
        items.append(Fact("differential privacy", f"ε = {record.epsilon:.3g}", "of the training"))
    if record.n_train and record.n_held_out:
        items.append(Fact("judged on", f"{record.n_train} + {record.n_held_out}", "learned from + held out"))
    return Facts(tuple(items))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _verdict(results: StudyResults, record: PrivacyRecord) -> Block:
    if record.passed:
        words = "Every figure is within the limits of the level, or chance explains it."
        told = [one.auc for one in record.attacks if one.name in GATED and one.auc is not None]
        best = max(told, default=0.5)
        if record.level == "none" and best > BALANCED.membership_auc:
            words += (
                " But level none does not ask who took part, and that can be told (membership AUC"
                f" {two(best)}): keep these samples among those who may know it."
            )
        return Text(words)
    if not record.reasons:
        return Text("Samples are not given out.")
    return Text(f"Not given out: {'; '.join(map(results.pseudonyms.text, record.reasons))}.")


def _checks(results: StudyResults, cohort: Cohort, record: PrivacyRecord) -> Table:
    """Each figure of the gate beside its limit."""
    return Table(
        key=f"release.{cohort.name}", title="The release gate", visible=12,
        rows=tuple((check.name, check.value, check.limit, "yes" if check.passed else "no",
                    results.pseudonyms.text(check.sentence)) for check in record.checks),
        columns=(Column("figure", "Figure", "words"), Column("value", "Value", "number"),
                 Column("limit", "Limit", "number"), Column("passed", "Passed"),
                 Column("sentence", "In words", "words")),
    )  # fmt: skip


def _attack_figure(cohort: Cohort, record: PrivacyRecord) -> Figure | None:
    """Attacks on the trial's samples: AUC with its interval, beside what chance gives."""
    known = [attack for attack in record.attacks if attack.auc is not None]
    if not known:
        return None
    places = list(range(len(known)))
    words = tuple(_attack_words(attack) for attack in known)
    marks: list[dict[str, Any]] = [
        segments(x0=[attack.low for attack in known], x1=[attack.high for attack in known], y0=places,
                 y1=places, colour="accent"),
        points(x=[attack.null_high for attack in known], y=places, name="95 % of chance", colour="muted",
               shape="ring", labels=[f"{word}: 95 % of chance stays below" for word in words]),
        points(x=[attack.auc for attack in known], y=places, name="attack", colour="accent", labels=words),
    ]  # fmt: skip
    limit = record.limits.get("membership")
    if limit is not None:
        marks.append(rule(axis="x", at=limit, label=f"limit {two(limit)}", shade="above"))
    return Figure(
        key=f"privacy-attacks-{cohort.name}", title="Who took part? Attacks on the trial",
        marks=tuple(marks), x=Axis(label="membership AUC", domain=(min(0.35, *_lows(known)), 1.02)),
        y=Axis(scale="category", categories=words), height=110 + 34 * len(known),
        caption="Bars: 95 % intervals. Rings: what is reached by chance with so few patients.",
        alt=listed(f"{word} {two(attack.auc)}" for word, attack in zip(words, known, strict=True)) + ".",
    )  # fmt: skip


def _lows(attacks: Sequence[Attack]) -> list[float]:
    return [attack.low for attack in attacks if attack.low is not None] or [0.35]


def _attack_words(attack: Attack) -> str:
    return ATTACK_WORDS.get(attack.name, attack.name.replace("_", " "))


def _attacked(results: StudyResults, cohort: Cohort) -> Figure | None:
    """Every generator's membership AUC, one series for each attack, means over splits."""
    table = frame(results, cohort, "attacks.parquet", needs=("generator", "attack", "auc"))
    if table is None:
        return None
    attacks = listed_values(table, "attack")
    keys = sorted(
        (key for key in listed_values(table, "generator") if key != REAL_TRAIN),
        key=lambda key: (over(rows_of(table, generator=key), "auc").mean or 0.0, key),
    )
    if not keys:
        return None
    choice = told(results, cohort, "generators.json", Choice)
    chosen = choice.generator if choice is not None else ""
    words = tuple(f"{generator_words(key)}{' (chosen)' if key == chosen else ''}" for key in keys)
    places = list(range(len(keys)))
    means = {name: [over(rows_of(table, generator=key, attack=name), "auc").mean for key in keys]
             for name in attacks}  # fmt: skip
    ends = [[value for own in means.values() if (value := own[place]) is not None] for place in places]
    lowest = min((value for own in ends for value in own), default=0.5)
    marks: list[dict[str, Any]] = [
        segments(x0=[min(own, default=0.5) for own in ends], x1=[max(own, default=0.5) for own in ends],
                 y0=places, y1=places),
        *(points(x=own, y=places, name=ATTACK_WORDS.get(name, name), colour=colour,
                 labels=[f"{word}, {ATTACK_WORDS.get(name, name)}" for word in words])
          for (name, own), colour in zip(means.items(), COLOURS, strict=False)),
    ]  # fmt: skip
    return Figure(
        key=f"privacy-generators-{cohort.name}", title="Who took part? Every generator", marks=tuple(marks),
        x=Axis(label="membership AUC, mean over splits", domain=(min(0.45, lowest - 0.02), 1.02)),
        y=Axis(scale="category", categories=words),
        height=90 + 26 * len(keys), wide=len(keys) > 12,
        alt=listed(f"{word} {two(max(own, default=0.5))}" for word, own in zip(words, ends, strict=True))
        + " by the best attack.",
    )  # fmt: skip


def _more(record: PrivacyRecord) -> list[str]:
    """Closest records, attribute inference and shadow models as sentences."""
    said = []
    closest = record.closest or Closest()
    if closest.share is not None:
        chance = "" if closest.null_high is None else f", chance gives up to {_percent(closest.null_high)}"
        said.append(f"Closest record: {_percent(closest.share)} of samples are nearer to a training patient "
                    f"than to any of as many held-out ones (50 % is ideal{chance}).")  # fmt: skip
    if closest.ratio_train is not None and closest.ratio_held_out is not None:
        said.append(
            f"Nearest neighbour beside the second nearest (5 % quantile): {two(closest.ratio_train)} among "
            f"training patients, {two(closest.ratio_held_out)} among held-out ones; a low one towards "
            "training patients only would tell of copies."
        )
    shadow = record.shadow
    if shadow is not None and shadow.auc is not None:
        error = "" if shadow.error is None else f" ± {two(shadow.error)}"
        said.append(f"Shadow models: an attacker who refits the generator on halves of the patients "
                    f"({count(shadow.n_shadows, 'fit')}) reaches an AUC of "
                    f"{two(shadow.auc)}{error}.")  # fmt: skip
    said += [words for words in (_attribute_words(one) for one in record.attribute) if words]
    return said


def _attribute_words(one: Attribute) -> str:
    """One attack on what is not known of a patient."""
    if one.train is None or one.held_out is None:
        return ""
    gap = "" if one.advantage is None else f": {one.advantage:+.3f}"
    gap += "" if one.low is None or one.high is None else f" [{one.low:.3f}, {one.high:.3f}]"
    chance = "" if one.p is None else f", p = {one.p:.2g}"
    return (
        f"Attribute inference: {ATTRIBUTE_WORDS.get(one.name, 'what is not known, guessed')} from "
        f"synthetic samples, is right for {_percent(one.train)} of training patients and "
        f"{_percent(one.held_out)} of others{gap.replace('-', MINUS)}{chance}."
    )


def _tables(results: StudyResults, judged: dict[Cohort, PrivacyRecord]) -> list[Block]:
    rows: list[tuple[Cell, ...]] = []
    for cohort, record in judged.items():
        closest = record.closest or Closest()
        for attack in record.attacks:
            rows.append((cohort.name, f"membership {_attack_words(attack)}", attack.auc, attack.low,
                         attack.high, attack.null_high, attack.p))  # fmt: skip
        rows.append((cohort.name, "share closer to training patients", closest.share, closest.low,
                     closest.high, closest.null_high, closest.p))  # fmt: skip
        for name, value in (
            ("near copies", record.near_share),
            ("near copies of held-out", record.near_held_out),
        ):
            rows.append((cohort.name, f"{name}, share", value, None, None, None, None))
        if record.shadow is not None:
            rows.append((cohort.name, "shadow models", record.shadow.auc, None, None, None, None))
        rows += [(cohort.name, f"attribute inference {one.name}".strip(), one.advantage, one.low, one.high,
                  one.null_high, one.p) for one in record.attribute]  # fmt: skip
    rows = [row for row in rows if row[2] is not None]
    if not rows:
        return []
    return [Table(
        key="privacy", title="All figures of privacy", visible=12, rows=tuple(rows),
        columns=(Column("cohort", "Cohort", "id"), Column("figure", "Figure"),
                 Column("value", "Value", "number"), Column("low", "from", "number"),
                 Column("high", "to", "number"), Column("null_high", "95 % of chance", "number"),
                 Column("p", "p without a leak", "number")),
    )]  # fmt: skip


def methods(results: StudyResults) -> Sequence[MethodNote]:
    """Attacks and the release gate."""
    return written.leaks(told_of_all(results, "privacy.json", PrivacyRecord).values())


SECTION = SectionMaker(order=73, key="privacy", title="Augmentation: privacy", build=build, methods=methods)
