"""The published evaluation: done as it was done, and shown to praise samplers that know nothing of the disease."""

import numpy as np
import pytest

from consilience.augment.published_protocol import (
    RUNGS,
    _stratified_test,
    protocol_ladder,
    published_protocol,
)
from consilience.foundation.errors import DataError
from sample_makers import by_class, cohort, nonsense, truth
from samplers import Population, narrow, shrunk_gaussian

POPULATION = Population(n_genes=80)
POPULATION.shift = 0.3 * POPULATION.shift


def drawn(make, samples, fold=4):
    return make(samples, 0)(np.tile(samples.labels, fold), 1).values


def test_a_sampler_of_shuffled_labels_is_praised():
    """Rows of patients under any label: circular accuracy near 1, and the classes are not even looked at."""
    samples = cohort(96, population=POPULATION)
    found = published_protocol(real=samples.values, labels=samples.labels, synthetic=drawn(nonsense, samples))
    assert found.accuracy > 0.9
    assert found.auc > 0.97
    assert found.mean_r2 > 0.99
    assert found.n_test == 29  # as published: 30 % of 96
    assert found.n_components == 50
    assert abs(found.purity) < 0.2  # and what it predicts is not the disease
    other = published_protocol(
        real=samples.values, labels=samples.labels[::-1], synthetic=drawn(nonsense, samples)
    )
    assert (other.accuracy, other.f1, other.auc) == (found.accuracy, found.f1, found.auc)


def test_halved_spread_is_hidden_by_the_squared_correlation_and_shown_by_the_slope():
    samples = cohort(96, population=POPULATION)
    sampler = by_class(lambda rows, n, rng: narrow(rows, n, rng, width=0.45))
    found = published_protocol(real=samples.values, labels=samples.labels, synthetic=drawn(sampler, samples))
    assert found.sd_r2 > 0.9
    assert found.sd_slope < 0.6
    assert found.diversity < 0.6


def test_figures_of_moments_against_plain_formulas():
    samples = cohort(40, population=POPULATION)
    made = drawn(by_class(shrunk_gaussian), samples, fold=3)
    found = published_protocol(real=samples.values, labels=samples.labels, synthetic=made)
    real = samples.values.astype(np.float64)
    assert found.mean_r2 == pytest.approx(np.corrcoef(real.mean(0), made.mean(0))[0, 1] ** 2, rel=1e-6)
    assert found.sd_r2 == pytest.approx(np.corrcoef(real.std(0), made.std(0))[0, 1] ** 2, rel=1e-4)
    top = np.argsort(-real.var(0), kind="stable")[:50]
    similarity = np.corrcoef(np.corrcoef(real[:, top].T).ravel(), np.corrcoef(made[:, top].T).ravel())[0, 1]
    assert found.correlation == pytest.approx(similarity, rel=1e-6)

    def spread(rows):
        gaps = [np.linalg.norm(a - b) for i, a in enumerate(rows) for b in rows[:i]]
        return np.mean(gaps)

    assert found.diversity == pytest.approx(spread(made.astype(float)) / spread(real), rel=1e-5)


def test_against_the_published_steps_written_plainly():
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    samples = cohort(80, population=POPULATION)
    made = drawn(by_class(lambda rows, n, rng: narrow(rows, n, rng, width=0.3)), samples, fold=2)
    ours = [
        published_protocol(real=samples.values, labels=samples.labels, synthetic=made, seed=seed)
        for seed in range(5)
    ]
    scaler = StandardScaler().fit(samples.values)
    pca = PCA(50, random_state=0).fit(scaler.transform(samples.values))
    real, synthetic = (pca.transform(scaler.transform(rows)) for rows in (samples.values, made))
    plain = []
    for seed in range(5):
        clusters = KMeans(2, n_init=10, random_state=seed).fit(real)
        y, pseudo = clusters.labels_, clusters.predict(synthetic)
        _, test, _, truth_of = train_test_split(real, y, test_size=0.3, stratify=y, random_state=seed)
        forest = RandomForestClassifier(100, random_state=seed).fit(synthetic, pseudo)
        said = forest.predict(test)
        plain.append(
            (
                accuracy_score(truth_of, said),
                f1_score(truth_of, said),
                roc_auc_score(truth_of, forest.predict_proba(test)[:, 1]),
            )
        )
    mine = np.array([(one.accuracy, one.f1, one.auc) for one in ours])
    # other random numbers, the same procedure: means over seeds agree as far as their scatter allows
    error = np.sqrt((mine.var(0, ddof=1) + np.var(plain, axis=0, ddof=1)) / 5)
    assert (np.abs(mine.mean(0) - np.mean(plain, axis=0)) < 4 * error + 0.01).all()


@pytest.mark.parametrize(("n", "components"), [(8, 7), (20, 19), (51, 50), (60, 50)])
def test_few_samples_have_fewer_components(n, components):
    samples = cohort(n, population=POPULATION)
    found = published_protocol(real=samples.values, labels=samples.labels, synthetic=drawn(nonsense, samples))
    assert found.n_components == components
    assert found.n_test == int(np.ceil(0.3 * n))


def test_a_synthetic_set_that_reaches_one_cluster_only():
    samples = cohort(30, population=POPULATION)
    point = np.repeat(samples.values[:1], 20, axis=0)
    point += np.random.default_rng(0).normal(0, 1e-3, point.shape).astype(np.float32)
    found = published_protocol(real=samples.values, labels=samples.labels, synthetic=point)
    assert found.synthetic_share in (0.0, 1.0)
    assert found.auc == 0.5
    assert found.f1 < 1


def test_one_patient_far_off_is_a_cluster_of_its_own_and_no_crash():
    samples = cohort(30, population=POPULATION)
    values = samples.values.copy()
    values[3] += 50
    found = published_protocol(real=values, labels=samples.labels, synthetic=drawn(nonsense, samples))
    assert 0 <= found.accuracy <= 1
    constant = values.copy()
    constant[:, 5] = 1.0
    assert published_protocol(
        real=constant, labels=samples.labels, synthetic=constant
    ).mean_r2 == pytest.approx(1)


def test_the_test_rows_are_stratified_and_as_many_as_published():
    labels = np.array(["0"] * 60 + ["1"] * 36)
    for seed in range(20):
        test = _stratified_test(labels, seed=seed)
        assert test.sum() == 29
        assert abs((labels[test] == "1").sum() - 29 * 36 / 96) <= 1
    assert (_stratified_test(labels, seed=0) != _stratified_test(labels, seed=1)).any()


def test_the_ladder_tells_the_circular_figure_from_the_honest_one():
    samples = cohort(60, population=POPULATION)
    makers = {"nonsense": nonsense, "truth": truth(POPULATION)}
    found = protocol_ladder(samples, makers, n_splits=3, n_synthetic=120)
    assert tuple(found["protocol"].unique()) == RUNGS
    assert len(found) == 3 * 2 * len(RUNGS)
    mean = found.groupby(["generator", "protocol"])["auc"].mean()
    assert mean["nonsense", "published"] > 0.95
    assert abs(mean["nonsense", "honest"] - 0.5) < 0.15
    assert mean["truth", "honest"] > mean["nonsense", "honest"] + 0.1


def test_the_honest_rungs_show_no_test_patient_to_the_generator():
    samples = cohort(40, population=POPULATION, per_donor=2)
    seen = []

    def spy(train, seed):
        seen.append(set(train.donors.tolist()))
        return nonsense(train, seed)

    protocol_ladder(samples, {"spy": spy}, n_splits=2, n_synthetic=80)
    sizes = [len(one) for one in seen]
    # twice per split: everybody for the published rungs, the training donors for the honest ones
    assert sizes[0] == sizes[2] == 20
    assert max(sizes[1], sizes[3]) < 20
    order = np.random.default_rng(0).permutation(40)
    one, other = (
        protocol_ladder(given, {"n": by_class(shrunk_gaussian)}, n_splits=1, n_synthetic=80)
        for given in (samples, samples.take(order))
    )
    assert one.equals(other)


def test_bad_input_is_refused():
    samples = cohort(30, population=POPULATION)
    good = {"real": samples.values, "labels": samples.labels, "synthetic": samples.values}
    with pytest.raises(DataError, match="too few samples"):
        published_protocol(**{**good, "real": samples.values[:7], "labels": samples.labels[:7]})
    with pytest.raises(DataError, match="sizes do not agree"):
        published_protocol(**{**good, "synthetic": samples.values[:, :5]})
    with pytest.raises(DataError, match="missing or infinite"):
        published_protocol(**{**good, "synthetic": np.full_like(samples.values, np.nan)})
