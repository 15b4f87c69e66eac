"""`consilience augment`: synthetic patients of a file, with how faithful and how private they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from consilience.commands.options import AsJson, LabelTable, Seed, Units
from consilience.commands.outputs import refuse_suffix, say, short
from consilience.foundation.errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    from consilience.augment.making import Recipe
    from consilience.augment.release import Released
    from consilience.commands.own_samples import Own
    from consilience.study.sections import AugmentSection

AUTO = "auto"
COMPARED_GENES = 2_000
SHOWN = ("class_mean_r2", "fold_change_r2", "spread", "diversity", "correlation", "two_sample_linear",
         "two_sample_spread")  # fmt: skip
"""Main figures of fidelity, told beside the ceiling."""


@dataclass(frozen=True)
class Choice:
    """The generator that is taken, why, and what was compared for it."""

    key: str
    why: str
    compared: list[dict[str, Any]]
    notes: tuple[str, ...] = ()


def augment(
    input_file: Annotated[
        Path, typer.Option("--input", help="Real samples: .h5ad, .parquet, .tsv or .csv (also .gz).")
    ],
    label: Annotated[str, typer.Option(help="Column of the samples that says their class.")],
    out: Annotated[Path, typer.Option(help="File to write: .h5ad; a table .parquet is written beside it.")],
    donor: Annotated[str, typer.Option(help="Column that says which patient a sample is from.")] = "",
    generator: Annotated[str, typer.Option(help="Name of a generator; auto compares some.")] = AUTO,
    compare: Annotated[
        list[str] | None, typer.Option(help="Generator for auto to compare (can be repeated).")
    ] = None,
    temperature: Annotated[str, typer.Option(help="Spread of the draws, 1 as learned; auto chooses.")] = AUTO,
    privacy: Annotated[
        str, typer.Option(help="What is refused: none (copies only), balanced or strict.")
    ] = "balanced",
    fold: Annotated[float, typer.Option(help="Synthetic samples for each real one.", min=0.01)] = 10.0,
    epsilon: Annotated[float, typer.Option(help="Differential privacy, where it can be had.", min=0.0)] = 0.0,
    splits: Annotated[int, typer.Option(help="Splits in which auto compares.", min=1)] = 3,
    effort: Annotated[float, typer.Option(help="Training steps, as a share of the usual.", min=0.01)] = 1.0,
    labels: LabelTable = None,
    units: Units = "",
    model: Annotated[Path | None, typer.Option(help="Folder to keep the fitted generator in.")] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Write synthetic patients like those of a file, if a trial finds them private enough."""
    settings = _settings(privacy=privacy, fold=fold, epsilon=epsilon, splits=splits, effort=effort,
                         temperature=temperature)  # fmt: skip
    keys = _known([generator] if generator != AUTO else compare or [])
    refuse_suffix(out, (".h5ad",))
    from consilience.commands.own_samples import describe, own_samples

    own = own_samples(input_file, label=label, donor=donor, labels=labels, units=units)
    lines = describe(own, input_file)
    choice = Choice(generator, "as asked", []) if generator != AUTO else _chosen(own, keys, settings, seed)
    made, recipe = _made(own, choice, settings, seed=seed)
    notes = [*own.notes, *choice.notes]
    made = replace(made, metrics=made.metrics | {"notes": notes, "compared": choice.compared})
    written = write_all(out, made, own, label=label, source=input_file.name)
    if model is not None:
        written += _keep(model, made, own, recipe)
    if not made.passed:
        _refuse(made, out)
    lines += [f"generator: {choice.key} ({choice.why})", *_told(made)]
    summary = {"generator": choice.key, "why": choice.why, "compared": choice.compared, "notes": notes,
               "metrics": made.metrics, "privacy": made.privacy, "out": str(out)}  # fmt: skip
    say([*lines, *(f"written: {path}" for path in written)], summary, as_json=as_json)


def write_all(out: Path, made: Released, own: Own, *, label: str, source: str) -> list[Path]:
    """The samples, where they are given out, and what is known of them beside; what was there before goes."""
    from consilience.augment.writing import obs_of, provenance, whole, write_samples, write_table, write_told

    table = out.with_suffix(".parquet")
    for path in (out, table):
        path.unlink(missing_ok=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = list(write_told(made, out.parent))
    if not made.passed:
        return beside
    values: Any = whole(made.values) if own.units.whole else made.values
    obs = obs_of(made.samples.names, **{label: made.samples.labels})
    write_samples(out, values, obs=obs, genes=own.genes, told=provenance(made, source=source))
    write_table(table, values, obs=obs, genes=own.samples.genes)
    return [out, table, *beside]


def _settings(
    *, privacy: str, fold: float, epsilon: float, splits: int, effort: float, temperature: str
) -> AugmentSection:
    from consilience.measures.release import LEVELS
    from consilience.study.sections import AugmentSection

    if privacy not in LEVELS:
        raise ConfigError("no such level of privacy", where="--privacy", value=privacy,
                          allowed=", ".join(LEVELS), mend=did_you_mean(privacy, LEVELS))  # fmt: skip
    warmth = _warmth(temperature)
    level: Any = privacy
    return AugmentSection(privacy=level, fold=fold, epsilon=epsilon, splits=splits, effort=effort,
                          temperature=warmth, temperatures=[], genes=COMPARED_GENES)  # fmt: skip


def _warmth(text: str) -> float | Literal["auto"]:
    if text == AUTO:
        return "auto"
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value <= 10:
        raise ConfigError("no temperature", where="--temperature", value=text, allowed="auto, or 0 to 10")
    return value


def _known(keys: Sequence[str]) -> list[str]:
    """The generators asked for, or those that auto compares: our own and the classical ones."""
    from consilience.augment.generators import generator, generators

    if keys:
        found = [generator(key) for key in keys]
        for one in found:
            if one.wants:
                raise ConfigError(f"this generator needs a {one.wants}", where="--generator", value=one.key,
                                  mend="use `consilience synthesise` with the model's folder")  # fmt: skip
        return list(keys)
    return [key for key, one in generators().items() if one.kind != "published" and not one.wants]


def _chosen(own: Own, keys: Sequence[str], settings: AugmentSection, seed: int) -> Choice:
    """Compare the generators on the patients of the file and take the best within the level's limits."""
    import pandas as pd

    from consilience.augment.study_choice import choose_generator
    from consilience.augment.study_cohort import recipe_of, variable_cohort
    from consilience.augment.study_compare import COLUMNS, compare_cohort
    from consilience.foundation.jobs import log

    if len(keys) == 1:
        return Choice(keys[0], "the only one to compare", [])
    cohort = variable_cohort(own.samples, settings.genes)
    rows, records = [], []
    for key in (None, *keys):
        log.info("comparing: %s", key or "the patients themselves")
        recipe = recipe_of(key, settings, fold=settings.fold) if key else None
        found = compare_cohort(cohort, recipe, settings=settings, seed=seed)
        rows += found.rows
        records.append(found.record)
    told = choose_generator(records, pd.DataFrame(rows, columns=list(COLUMNS)), settings=settings)
    if told.get("skipped"):
        raise DataError(str(told["skipped"]), where="--generator auto", mend="name one by --generator")
    failed = [f"{one['generator']}: {one['errors'][0]}" for one in records if one["errors"]]
    return Choice(told["generator"], told["why"], told["frontier"], tuple(failed))


def _made(own: Own, choice: Choice, settings: AugmentSection, *, seed: int) -> tuple[Released, Recipe]:
    from consilience.augment.release import released
    from consilience.augment.study_cohort import recipe_of

    recipe = recipe_of(choice.key, settings, fold=settings.fold)
    made = released(own.samples, recipe, units=own.units, level=settings.privacy, seed=seed,
                    shadows=0 if recipe.generator.neural else settings.shadows, why=choice.why)  # fmt: skip
    return made, recipe


def _keep(folder: Path, made: Released, own: Own, recipe: Recipe) -> list[Path]:
    from consilience.augment.release import save_model

    if not save_model(folder, made, recipe=recipe, units=own.units):
        raise DataError("this generator cannot be written down without the patients themselves",
                        where="--model", value=recipe.generator.key, mend="leave --model out")  # fmt: skip
    return [folder]


def _refuse(made: Released, out: Path) -> None:
    """The verdict no, with the reasons and a way on."""
    reasons = "".join(f"\n  {reason}" for reason in made.privacy["reasons"])
    raise DataError(
        f"the synthetic samples of {made.metrics['generator']} are not released (--privacy"
        f" {made.privacy['level']}):{reasons}\nmetrics.json, privacy.json, card.md in {out.parent} say more",
        mend="a smaller --fold tells less of each patient; try another --generator, give more patients, or"
        " lower --privacy if the samples stay in the house",
    )


def _told(made: Released) -> list[str]:
    """Main figures beside the ceiling, and the checks of privacy."""
    metrics, privacy = made.metrics, made.privacy
    lines = [f"temperature: {short(metrics['temperature'])}"] if metrics["temperature"] is not None else []
    lines += [f"{one['label']}: {one['synthetic']} synthetic samples from {one['real']} real ones"
              for one in metrics["kinds"]]  # fmt: skip
    if metrics["near_copies_removed"]:
        lines.append(f"near copies of patients drawn anew or left out: {metrics['near_copies_removed']}")
    judged = metrics["judged"]
    lines.append(
        f"fidelity ({judged['n_train']} patients learned from, {judged['n_held_out']} held out; in brackets"
        " real patients instead):"
    )
    lines += [
        f"  {name}: {short(metrics['fidelity'].get(name))} ({short(metrics['ceiling'].get(name))})"
        for name in SHOWN
    ]
    lines.append(f"privacy, level {privacy['level']}:")
    lines += [f"  {one['sentence']}" for one in privacy["checks"]]
    return lines + [f"  note: {note}" for note in privacy["notes"]]
