"""RNAGAN's generator as one of the generators: references by class, other genes, and what is never written."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from consilience.augment.generators.rnagan import GENERATOR, fit_rnagan, on_genes
from consilience.foundation.errors import ConfigError, DataError, ModelError
from consilience.learning.samples import Samples
from consilience.rnagan.presets import DEFAULT
from rnagan.small_models import GENES, SYMBOLS, make_model, make_samples


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, str]:
    """Folders of a model of each preset, the default with loadings as after training."""
    folder = tmp_path_factory.mktemp("models")
    default = make_model(DEFAULT, calibration=None)
    with torch.no_grad():
        default.generator.loadings.normal_(0, 0.7, generator=torch.Generator().manual_seed(1))
        default.generator.pathway_loadings.normal_(0, 0.7, generator=torch.Generator().manual_seed(2))
    default.save(folder / "default")
    make_model().save(folder / "published")
    return {name: str(folder / name) for name in ("default", "published")}


@pytest.fixture
def samples() -> Samples:
    return make_samples(24)


LABELS = np.array(["sick", "well", "well", "sick", "well"])


def on_more_genes(samples: Samples, n_more: int) -> Samples:
    """The same, with genes that the model does not know among them, in another order."""
    more = np.random.default_rng(5).gamma(2, 1, (len(samples), n_more)).astype(np.float32)
    genes = (*samples.genes, *SYMBOLS[len(GENES) : len(GENES) + n_more])
    order = np.random.default_rng(6).permutation(len(genes))
    values = np.concatenate([samples.values, more], axis=1)[:, order]
    return replace(samples, values=values, genes=tuple(genes[place] for place in order))


class TestSampling:
    @pytest.mark.parametrize("preset", ["default", "published"])
    def test_samples_of_a_label_come_from_its_references_alone(self, models, samples, preset):
        found = fit_rnagan(samples, seed=1, options={"model": models[preset]})
        drawn = found.sample(LABELS, seed=4)
        assert np.array_equal(drawn.labels, LABELS)
        assert drawn.values.dtype == np.float32
        changed = samples.values.copy()
        changed[samples.labels == "well"] += 0.5
        other = fit_rnagan(replace(samples, values=changed), seed=1, options={"model": models[preset]})
        again = other.sample(LABELS, seed=4).values
        assert np.array_equal(again[LABELS == "sick"], drawn.values[LABELS == "sick"])
        assert not np.allclose(again[LABELS == "well"], drawn.values[LABELS == "well"])

    @pytest.mark.parametrize("preset", ["default", "published"])
    def test_on_the_models_genes_it_is_the_models_own_generator(self, models, samples, preset):
        from pathlib import Path

        from consilience.foundation.seeds import stream
        from consilience.rnagan.model import load_model

        own = int(stream(4, "rnagan", "sick").integers(2**31))
        mine = torch.from_numpy(samples.values[samples.labels == "sick"])
        with torch.no_grad():
            expected = load_model(Path(models[preset])).generator(mine, 6, own).numpy()
        found = fit_rnagan(samples, seed=1, options={"model": models[preset]})
        drawn = found.sample(np.full(6, "sick"), seed=4).values
        assert np.allclose(drawn, np.maximum(expected, samples.values.min()), atol=1e-6)

    def test_neither_order_of_samples_nor_seed_of_the_fit_matters(self, models, samples):
        turned = samples.take(np.random.default_rng(0).permutation(24))
        one, other = (
            fit_rnagan(given, seed=seed, options={"model": models["default"]}).sample(LABELS, seed=4).values
            for given, seed in ((samples, 1), (turned, 2))
        )
        assert np.array_equal(one, other)

    def test_a_round_keeps_the_references_means(self, models, samples):
        found = fit_rnagan(samples, seed=1, options={"model": models["default"]})
        drawn = found.sample(np.full(480, "sick"), seed=1).values
        real = samples.values[samples.labels == "sick"]
        assert np.corrcoef(drawn.mean(axis=0), real.mean(axis=0))[0, 1] > 0.99


class TestGenes:
    def test_genes_that_the_model_does_not_know_are_made_too(self, models, samples):
        given = on_more_genes(samples, 20)
        found = fit_rnagan(given, seed=1, options={"model": models["default"]})
        assert found.genes == given.genes
        drawn = found.sample(np.full(240, "well"), seed=1).values
        real = given.values[given.labels == "well"]
        assert drawn.shape[1] == 120
        assert np.corrcoef(drawn.mean(axis=0), real.mean(axis=0))[0, 1] > 0.98
        unknown = np.isin(given.genes, SYMBOLS[len(GENES) :])
        assert (drawn[:, unknown].std(axis=0) > 0).all()

    def test_what_was_learned_of_a_gene_goes_where_it_stands(self):
        generator = make_model(DEFAULT, calibration=None).generator
        with torch.no_grad():
            generator.pathway_loadings.normal_(generator=torch.Generator().manual_seed(2))
            generator.settings.add_(0.3)
        known = np.array([7, -1, 0])
        made = on_genes(generator, known, ("a", "b", "c"))
        whole = generator.factor_loadings()
        assert torch.equal(made.factor_loadings()[0], whole[7])
        assert torch.equal(made.factor_loadings()[2], whole[0])
        assert not made.factor_loadings()[1].any()
        assert torch.equal(made.settings, generator.settings)

    def test_genes_of_the_model_that_are_not_measured(self, models, samples):
        few = samples.of_genes(GENES[:60])
        for preset in ("default", "published"):
            found = fit_rnagan(few, seed=1, options={"model": models[preset]})
            drawn = found.sample(LABELS, seed=1).values
            assert drawn.shape == (5, 60)
            assert np.isfinite(drawn).all()

    def test_the_published_generator_refuses_what_it_cannot_make(self, models, samples):
        with pytest.raises(DataError, match="does not know"):
            fit_rnagan(on_more_genes(samples, 3), seed=1, options={"model": models["published"]})
        with pytest.raises(DataError, match="scale"):
            fit_rnagan(replace(samples, units="log1p_cpm"), seed=1, options={"model": models["published"]})

    def test_other_genes_altogether_are_refused(self, models, samples):
        other = replace(samples, genes=tuple(f"X{k}" for k in range(100)))
        for preset in ("default", "published"):
            with pytest.raises(DataError, match="knows only 0"):
                fit_rnagan(other, seed=1, options={"model": models[preset]})


class TestKeeping:
    def test_it_is_not_written_down_unless_asked_for(self, models, samples):
        found = fit_rnagan(samples, seed=1, options={"model": models["default"]})
        with pytest.raises(ModelError, match="patients"):
            found.to_arrays()

    @pytest.mark.parametrize("preset", ["default", "published"])
    def test_where_asked_for_it_says_so_and_samples_the_same(self, models, samples, preset):
        options = {"model": models[preset], "keeps_patients": True}
        found = fit_rnagan(samples, seed=1, options=options)
        arrays, description = found.to_arrays()
        assert description["keeps_patients"] is True
        again = GENERATOR.restore(arrays, json.loads(json.dumps(description)))
        assert np.array_equal(again.sample(LABELS, seed=3).values, found.sample(LABELS, seed=3).values)

    def test_another_model_in_the_same_place_is_noticed(self, models, samples, tmp_path):
        make_model(DEFAULT, seed=1, calibration=None).save(tmp_path / "model")
        options = {"model": str(tmp_path / "model"), "keeps_patients": True}
        arrays, description = fit_rnagan(samples, seed=1, options=options).to_arrays()
        make_model(DEFAULT, seed=2, calibration=None).save(tmp_path / "model")
        with pytest.raises(ModelError, match="another"):
            GENERATOR.restore(arrays, description)
        with pytest.raises(ModelError):
            GENERATOR.restore({}, description)
        with pytest.raises(ModelError):
            GENERATOR.restore(arrays, {**description, "labels": None})


class TestRefusals:
    def test_no_model_no_folder_no_such_option(self, samples, tmp_path):
        with pytest.raises(ConfigError, match="needs a model"):
            fit_rnagan(samples, seed=1)
        with pytest.raises(ModelError, match="no model folder"):
            fit_rnagan(samples, seed=1, options={"model": str(tmp_path / "none")})
        with pytest.raises(ConfigError, match="modelx"):
            fit_rnagan(samples, seed=1, options={"modelx": "x"})

    def test_a_class_of_one_patient(self, models, samples):
        donors = samples.donors.copy()
        donors[samples.labels == "well"] = "one"
        with pytest.raises(DataError, match="too few"):
            fit_rnagan(replace(samples, donors=donors), seed=1, options={"model": models["default"]})

    def test_it_has_no_temperature_and_knows_its_classes(self, models, samples):
        found = fit_rnagan(samples, seed=1, options={"model": models["default"]})
        assert np.array_equal(
            found.sample(LABELS, seed=1, temperature=1.0).values, found.sample(LABELS, seed=1).values
        )
        with pytest.raises(ConfigError, match="temperature"):
            found.sample(LABELS, seed=1, temperature=2.0)
        with pytest.raises(DataError, match="other"):
            found.sample(np.array(["other"]), seed=1)
