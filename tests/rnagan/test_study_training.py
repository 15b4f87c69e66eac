"""Models of a study: who trained them, what they start from, and that an interrupted training goes on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from consilience.foundation.devices import Device
from consilience.foundation.errors import DataError
from consilience.rnagan import study_models, study_training
from consilience.rnagan.model import load_model
from consilience.rnagan.study_models import Run, adapted, preset_of, study_corpus, untrained, wiring_of
from consilience.rnagan.study_samples import read_cohort
from consilience.rnagan.study_training import adapt_cohort, pretrain_study
from consilience.study.sections import PathwaysSection, RnaganSection
from rnagan.prepared import GENES, SICK, bulk_file, cells_file, gene_sets_file

QUICK = RnaganSection(effort=0.0)
CPU = Run(Device("cpu", "a test"), None, 1)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("expression")
    return {
        "one": bulk_file(folder / "one.h5ad", seed=1), "two": bulk_file(folder / "two.h5ad", seed=2),
        "blood": cells_file(folder / "blood.h5ad"), "array": bulk_file(folder / "array.h5ad", seed=3, units="log2"),
    }  # fmt: skip


@pytest.fixture(scope="module")
def pathways(tmp_path_factory) -> PathwaysSection:
    sets = gene_sets_file(tmp_path_factory.mktemp("sets") / "own.gmt")
    return PathwaysSection(gene_sets=[str(sets)], min_genes=5)


def adapt(folder: Path, files, names, pathways, *, settings=QUICK, name="one", path=None):
    folder.mkdir(parents=True, exist_ok=True)
    adapt_cohort(
        path or files[name], {other: files[other] for other in names}, name=name, settings=settings, pathways=pathways,
        seed=1, gpus=0, checkpoints=folder / "checkpoints", base_out=folder / "base", model_out=folder / "model",
        history=folder / "history.parquet", record=folder / "training.json",
    )  # fmt: skip
    return load_model(folder / "base"), load_model(folder / "model")


def weights(model) -> str:
    digest = hashlib.sha256()
    for network in (model.discriminator, model.generator):
        for name, tensor in sorted(network.state_dict().items()):
            digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def test_no_patient_of_a_cohort_trains_its_base(tmp_path, files, pathways) -> None:
    base, model = adapt(tmp_path, files, ["two", "blood"], pathways)
    assert [cohort["name"] for cohort in base.record["cohorts"]] == ["blood", "two"]
    assert [cohort["name"] for cohort in model.record["cohorts"]] == ["blood", "two", "one"]
    record = json.loads((tmp_path / "training.json").read_text())
    assert [cohort["name"] for cohort in record["base"]["cohorts"]] == ["blood", "two"]
    assert weights(base) != weights(model)


def test_the_base_is_the_same_whatever_the_labels_of_its_cohort_say(tmp_path, files, pathways) -> None:
    import anndata

    base, model = adapt(tmp_path / "right", files, ["two"], pathways)
    data = anndata.read_h5ad(files["one"])
    arms = data.obs["arm"].astype(str).to_numpy()
    data.obs["arm"] = arms[np.random.default_rng(1).permutation(len(arms))]
    data.write_h5ad(tmp_path / "one.h5ad")
    other_base, other_model = adapt(tmp_path / "wrong", files, ["two"], pathways, path=tmp_path / "one.h5ad")
    assert weights(base) == weights(other_base)
    assert weights(model) != weights(other_model)


def test_without_other_cohorts_the_base_has_learned_nothing(tmp_path, files, pathways) -> None:
    base, model = adapt(tmp_path, files, [], pathways)
    assert base.record["cohorts"] == []
    assert not base.discriminator.gene_contrasts.detach().any()
    assert [cohort["name"] for cohort in model.record["cohorts"]] == ["one"]
    assert len(pd.read_parquet(tmp_path / "history.parquet")) == 0
    record = json.loads((tmp_path / "training.json").read_text())
    assert not record["base"]["pretrained"]
    assert record["base"].keys() == record["model"].keys()


def test_arrays_and_reads_do_not_train_each_other(tmp_path, files, pathways) -> None:
    base, _ = adapt(tmp_path / "array", files, ["two"], pathways, name="array")
    assert base.record["cohorts"] == []
    assert base.scale == "log2"
    record = json.loads((tmp_path / "array" / "training.json").read_text())
    assert "not on one scale" in record["base"]["notes"][0]
    _, model = adapt(tmp_path / "reads", files, ["two", "array"], pathways)
    assert {cohort["measured"] for cohort in model.record["cohorts"]} == {"counts"}


def test_a_cohort_of_other_genes_is_left_out(tmp_path, files, pathways) -> None:
    from consilience.expression.genes import load_gene_table

    others = (*load_gene_table().symbols_of(gene_type="protein_coding")[400:520], *GENES[:5])
    files = files | {"odd": bulk_file(tmp_path / "odd.h5ad", genes=others)}
    base, _ = adapt(tmp_path / "out", files, ["odd", "two"], pathways)
    assert [cohort["name"] for cohort in base.record["cohorts"]] == ["two"]
    notes = json.loads((tmp_path / "out" / "training.json").read_text())["base"]["notes"]
    assert notes[0] == "odd: left out, it has 4.2% of the model's genes"


def test_pretraining_takes_all_cohorts_on_its_scale(tmp_path, files, pathways) -> None:
    pretrain_study(
        files, settings=QUICK, pathways=pathways, seed=1, gpus=0, checkpoints=tmp_path / "checkpoints",
        out=tmp_path / "pretrained", history=tmp_path / "history.parquet", record=tmp_path / "pretrained.json",
    )  # fmt: skip
    model = load_model(tmp_path / "pretrained")
    assert [cohort["name"] for cohort in model.record["cohorts"]] == ["blood", "one", "two"]
    assert model.genes == tuple(sorted(GENES))
    assert model.moments is not None
    record = json.loads((tmp_path / "pretrained.json").read_text())
    assert record["notes"][0] == "array: left out, the model is of reads"
    assert any("two" in name for names in record["tasks"] for name in names)


def test_the_genes_of_all_cohorts_are_capped_by_variance(tmp_path, files, pathways) -> None:
    genes = study_training._most_variable_of({"one": files["one"], "two": files["two"]}, 30)
    variance = []
    for name in ("one", "two"):
        import anndata

        table = anndata.read_h5ad(files[name]).var["variance"]
        variance.append(table.rank(ascending=False))
    ranks = sum(variance)
    assert genes == tuple(sorted(sorted(ranks.index, key=lambda gene: (ranks[gene], gene))[:30]))
    assert len(set(genes) & set(GENES[:SICK])) > SICK / 2


def test_an_interrupted_training_ends_in_the_same_bits(tmp_path, files, pathways, monkeypatch) -> None:
    settings = RnaganSection(preset="published", effort=0.006, genes=40)
    whole = adapt(tmp_path / "whole", files, ["two"], pathways, settings=settings)
    monkeypatch.setattr(study_training, "adapted", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        adapt(tmp_path / "cut", files, ["two"], pathways, settings=settings)
    assert list((tmp_path / "cut" / "checkpoints" / "base").rglob("checkpoint.json"))
    monkeypatch.undo()
    again = adapt(tmp_path / "cut", files, ["two"], pathways, settings=settings)
    assert [weights(one) for one in whole] == [weights(one) for one in again]
    assert not (tmp_path / "cut" / "checkpoints").exists()
    assert set(pd.read_parquet(tmp_path / "whole" / "history.parquet")["model"]) == {"base", "model"}


def test_effort_scales_the_steps_of_each_stage() -> None:
    whole, part, none = (preset_of(RnaganSection(effort=share), scale="log2") for share in (1.0, 0.1, 0.0))
    for full, few, zero in zip(whole.stages, part.stages, none.stages, strict=True):
        assert few.epochs * few.steps == pytest.approx(0.1 * full.epochs * full.steps, abs=few.epochs)
        assert zero.steps == 0
    assert whole.adapting.steps > 0
    assert whole.scale == "log2"


def test_pathways_are_judged_by_all_measured_genes_and_kept_with_enough_of_the_models_own(pathways) -> None:
    all_genes = wiring_of(tuple(sorted(GENES)), measured={"one": GENES}, settings=pathways)
    assert "ILL" in all_genes.pathways
    own = tuple(sorted(GENES[:SICK]))
    few = wiring_of(own, measured={"one": GENES}, settings=pathways)
    assert "ILL" in few.pathways
    members = np.diff(few.start)
    assert members.min() >= study_models.LEAST_GENES


def test_conditions_are_told_apart_within_cell_types_only(files) -> None:
    corpus = study_corpus(read_cohort(files["blood"]), seed=1)
    (tasks,) = corpus.cohorts()
    assert {(family.column, family.within) for family in tasks.families} == {
        ("condition", "B"),
        ("condition", "T"),
    }


def test_one_patient_of_a_kind_cannot_be_adapted_to(files, pathways) -> None:
    cohort = read_cohort(files["one"])
    one = np.flatnonzero(cohort.samples.labels == "case")[:1]
    few = cohort.take(
        np.isin(np.arange(len(cohort.samples)), [*one, *np.flatnonzero(cohort.samples.labels == "control")])
    )
    wiring = wiring_of(cohort.samples.genes, measured={"one": cohort.samples.genes}, settings=pathways)
    base = untrained(preset_of(QUICK, scale="log1p_cp10k"), wiring, seed=1)
    with pytest.raises(DataError, match="two patients of each"):
        adapted(base, few, run=CPU)


def test_adapting_leaves_the_base_as_it_was_and_keeps_its_contrasts(files, pathways) -> None:
    cohort = read_cohort(files["one"])
    wiring = wiring_of(cohort.samples.genes, measured={"one": cohort.samples.genes}, settings=pathways)
    base = untrained(preset_of(QUICK, scale="log1p_cp10k"), wiring, seed=1)
    with torch.no_grad():
        base.discriminator.gene_contrasts[:3] = torch.eye(3, len(GENES))
    base.record["cohorts"].append({"name": "another"})
    before = weights(base)
    model = adapted(base, cohort, run=CPU).model
    assert weights(base) == before
    kept = model.discriminator.gene_contrasts.detach()
    assert torch.equal(kept[1:4], torch.eye(3, len(GENES)))
    leading = set(kept[0].abs().argsort(descending=True)[:SICK].tolist())
    assert len(leading & set(range(SICK))) >= SICK - 2  # the planted genes
    assert not kept[4:].any()


def test_order_of_samples_does_not_change_a_model(tmp_path, files, pathways) -> None:
    import anndata

    data = anndata.read_h5ad(files["one"])
    data[np.random.default_rng(3).permutation(data.n_obs)].copy().write_h5ad(tmp_path / "one.h5ad")
    first = adapt(tmp_path / "first", files, [], pathways)
    second = adapt(tmp_path / "second", files, [], pathways, path=tmp_path / "one.h5ad")
    assert weights(first[1]) == weights(second[1])
    assert replace(first[1]).record["cohorts"] == second[1].record["cohorts"]
