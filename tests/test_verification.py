"""Laws of statistics that users ask for, of adaptation to few rows, and of scores against a background."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import sklearn.mixture
from mixtures import random_parameters
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from fastgmm import (
    BayesianGaussianMixture,
    GaussianMixture,
    StudentMixture,
    linear_scores,
    log_likelihood_ratio,
    supervectors,
)
from fastgmm.data import batches, sliced
from fastgmm.model import SufficientStatistics

ALL = ("weights", "means", "covariances")


def model_of(structure="full", n_components=3, n_features=4, seed=0, **options):
    p = random_parameters(structure, n_components, n_features, np.random.default_rng(seed), **options)
    return GaussianMixture.from_parameters(p.weights, p.means, p.covariances, covariance_type=structure, random_state=0)


def student_of(seed=0):
    p = random_parameters("full", 3, 4, np.random.default_rng(seed))
    return StudentMixture.from_parameters(p.weights, p.means, p.covariances, df=[3.0, 8.0, np.inf], random_state=0)


def rows_of(model, n=500, seed=1):
    return model.sample(n, random_state=seed)[0] + 0.3


def with_noise():
    X = np.concatenate([rows_of(model_of("full", 2, 3), 400), np.random.default_rng(0).uniform(-12, 12, (40, 3))])
    return GaussianMixture(2, noise=0.1, random_state=0).fit(X), X


# Statistics.


def test_statistics_are_the_weighted_sums_of_their_definition(structure):
    model, weight = model_of(structure), np.random.default_rng(2).uniform(size=500)
    X = rows_of(model)
    found = model.statistics(X, sample_weight=weight)
    r = model.predict_proba(X) * weight[:, None]
    centred = X[:, None, :] - model.means_
    assert_allclose(found.counts, r.sum(axis=0), rtol=1e-9)
    assert_allclose(found.sums, np.einsum("nk,nkd->kd", r, centred), rtol=1e-9, atol=1e-9)
    scatter = np.einsum("nk,nkd,nke->kde", r, centred, centred)
    expected = {
        "full": scatter,
        "tied": scatter.sum(axis=0),
        "diag": np.einsum("kdd->kd", scatter),
        "spherical": np.einsum("kdd->k", scatter),
    }
    assert_allclose(found.scatter, expected[structure], rtol=1e-9)
    assert_allclose(found.log_likelihood, model.score(X, sample_weight=weight) * weight.sum(), rtol=1e-12)


def test_statistics_of_parts_add_up_to_those_of_all_rows_wherever_they_come_from():
    model = model_of()
    X = rows_of(model)
    whole = model.statistics(X)
    parts = [pickle.loads(pickle.dumps(model.statistics(X[i : i + 170]))) for i in range(0, 500, 170)]
    joined = sum(parts)
    for name in ("counts", "sums", "scatter"):
        assert_allclose(getattr(joined, name), getattr(whole, name), rtol=1e-11, atol=1e-11)
    assert parts[0].counts.sum() == pytest.approx(170)  # the sum left the parts alone
    for source in (batches(lambda: iter([X[:333], X[333:]])), sliced(X)):
        assert_array_equal(model.statistics(source).scatter, whole.scatter)
    assert_array_equal(model.statistics(np.asfortranarray(X)).scatter, whole.scatter)


def test_statistics_know_backgrounds_tails_and_posteriors():
    noisy, X = with_noise()
    found = noisy.statistics(X)
    assert found.counts.shape == (3,)
    assert_allclose(found.counts, noisy.predict_proba(X).sum(axis=0), rtol=1e-9)
    student = student_of()
    assert student.statistics(rows_of(student)).tail_sums.shape == (2, 3)
    bayesian = BayesianGaussianMixture(n_components=3, random_state=0, max_iter=500).fit(X)
    assert_allclose(bayesian.statistics(X).counts, bayesian.predict_proba(X).sum(axis=0), rtol=1e-9)


# Adaptation.


@pytest.mark.parametrize("name", ["full", "tied", "diag", "spherical"])
def test_a_relevance_of_zero_is_one_step_of_em(name):
    model = model_of(name)
    X = rows_of(model)
    other = sklearn.mixture.GaussianMixture(3, covariance_type=name, reg_covar=model.reg_covar)
    for attribute in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        setattr(other, attribute, getattr(model, attribute))
    other._m_step(X, other._e_step(X)[1])
    found = model.adapt(X, relevance=0, update=ALL)
    for attribute in ("weights_", "means_", "covariances_"):
        assert_allclose(getattr(found, attribute), getattr(other, attribute), rtol=1e-8)


@pytest.mark.parametrize("make", [model_of, student_of, lambda: with_noise()[0]], ids=["normal", "student", "noise"])
def test_an_infinite_relevance_is_the_background_and_a_large_one_is_near_it(make):
    model = make()
    X = rows_of(model, 50)
    for relevance, tolerance in ((np.inf, 0.0), (1e12, 1e-9)):
        found = model.adapt(X, relevance=relevance, update=ALL)
        for attribute in ("weights_", "means_", "precisions_cholesky_"):
            assert_allclose(getattr(found, attribute), getattr(model, attribute), rtol=tolerance, atol=tolerance)


def test_adaptation_is_that_of_reynolds(structure):
    model, r = model_of(structure, offset=2.0), 16.0
    X = rows_of(model)
    p = model.predict_proba(X)
    n = p.sum(axis=0)
    a = n / (n + r)
    first = (p.T @ X) / n[:, None]
    means = a[:, None] * first + (1 - a[:, None]) * model.means_
    found = model.adapt(X, relevance=r, update=ALL)
    assert_allclose(found.means_, means, rtol=1e-10)
    weights = a * n / len(X) + (1 - a) * model.weights_
    assert_allclose(found.weights_, weights / weights.sum(), rtol=1e-10)
    if structure == "diag":
        second = (p.T @ X**2) / n[:, None]
        old = model.covariances_ + model.means_**2
        # The regularisation of an M-step is of the new rows.
        expected = a[:, None] * (second + model.reg_covar) + (1 - a[:, None]) * old - means**2
        assert_allclose(found.covariances_, expected, rtol=1e-9)


def test_adaptation_loses_no_digits_far_from_zero():
    model = model_of("diag")
    X = rows_of(model, 60)
    far = GaussianMixture.from_parameters(
        model.weights_, model.means_ + 2.0**24, model.covariances_, covariance_type="diag"
    )
    near = model.adapt(X, update=ALL)
    moved = far.adapt(np.round(X, 3) + 2.0**24, update=ALL)
    # X itself is known to 2^-28 there; variances by eq. 13 as printed would be known to about 0.1.
    assert_allclose(moved.covariances_, near.covariances_, rtol=2e-3)


def test_only_what_is_asked_for_is_adapted_and_the_model_itself_is_not():
    model = model_of()
    X = rows_of(model)
    before = pickle.dumps(model)
    for update, changed in (("means", {"means_"}), ("weights", {"weights_"}), (("covariances",), {"covariances_"})):
        found = model.adapt(X, update=update)
        for attribute in ("weights_", "means_", "covariances_"):
            same = np.array_equal(getattr(found, attribute), getattr(model, attribute))
            assert same != (attribute in changed), (update, attribute)
    assert pickle.dumps(model) == before
    # About means that are kept, the scatter is about them.
    far = model.adapt(X + 5.0, relevance=1.0, update="covariances")
    assert (np.trace(far.covariances_, axis1=1, axis2=2) > np.trace(model.covariances_, axis1=1, axis2=2)).all()


def test_a_component_without_rows_stays_as_it_is():
    model = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [1e3]], [[[1.0]], [[2.0]]])
    found = model.adapt([[0.1], [0.3], [0.9]], relevance=0.0, update=("means", "covariances"))
    assert found.means_[1] == 1e3
    assert found.covariances_[1] == pytest.approx(2.0)
    assert found.means_[0, 0] == pytest.approx(1.3 / 3)


def test_adaptation_stays_in_the_family_of_the_covariances():
    model = GaussianMixture(3, covariance_type="VEI", random_state=0).fit(rows_of(model_of()))
    found = model.adapt(rows_of(model_of(), 80, seed=5) * 1.1, update=ALL)
    shapes = found.covariances_ / found.covariances_.prod(axis=1, keepdims=True) ** 0.25
    assert_allclose(shapes, np.broadcast_to(shapes[0], shapes.shape), rtol=1e-4)
    assert (found.covariances_ != model.covariances_).all()


def test_a_relevance_of_zero_is_one_step_of_student_em_and_noise_takes_part():
    student = student_of()
    X = rows_of(student)
    family, state = student._fitted_family(), student._fitted_state()
    expected = family.maximise(student.statistics(X), state)
    found = student.adapt(X, relevance=0, update=ALL)
    assert_allclose(found.scales_, expected.covariances, rtol=1e-9)
    assert_allclose(found.df_, expected.degrees_of_freedom, rtol=1e-9)
    noisy, X = with_noise()
    found = noisy.adapt(X, relevance=0, update=ALL)
    assert_allclose(found.noise_weight_, noisy.predict_proba(X)[:, -1].mean(), rtol=1e-9)
    assert_allclose(found.weights_.sum() + found.noise_weight_, 1.0, rtol=1e-12)


def test_statistics_adapt_as_their_rows_do():
    model = model_of()
    X = rows_of(model)
    total = model.statistics(X[:200]) + model.statistics(X[200:])
    assert_allclose(model.adapt(total, update=ALL).covariances_, model.adapt(X, update=ALL).covariances_, rtol=1e-10)


def test_bad_input_to_adapt_is_named():
    model = model_of()
    X = rows_of(model, 20)
    with pytest.raises(ValueError, match="relevance is -1"):
        model.adapt(X, relevance=-1)
    with pytest.raises(ValueError, match="relevance is nan"):
        model.adapt(X, relevance=np.nan)
    with pytest.raises(ValueError, match="update is 'mean'; expected one or more of 'weights'"):
        model.adapt(X, update="mean")
    with pytest.raises(ValueError, match="update is"):
        model.adapt(X, update=())
    with pytest.raises(ValueError, match=r"X has structure 'full' and .* = \(2, 4\)"):
        model.adapt(model_of(n_components=2).statistics(X))
    with pytest.raises(AttributeError, match="has no adapt"):
        BayesianGaussianMixture(n_components=2).adapt(X)


# Scores.


def test_linear_scores_are_those_of_bob():
    # bob.learn.em's own test of linear scoring.
    background = GaussianMixture.from_parameters(
        [0.5, 0.5], [[3, 70], [4, 72]], [[1, 10], [2, 5]], covariance_type="diag"
    )
    models = []
    for means in ([[1, 2], [3, 4]], [[5, 6], [7, 8]]):
        models.append(GaussianMixture.from_parameters([0.5, 0.5], means, np.ones((2, 2)), covariance_type="diag"))
    about_zero = SufficientStatistics.zeros("diag", np.zeros((2, 2)))
    given = [([1, 2], [[1, 2], [3, 4]]), ([3, 4], [[5, 6], [7, 8]]), ([3, 4], [[5, 6], [7, 3]])]
    utterances = [replace(about_zero, counts=np.array(n, float), sums=np.array(s, float)) for n, s in given]
    expected = np.array([[2372.9, 5207.7, 5275.7], [2215.7, 4868.1, 4932.1]])
    assert_allclose(linear_scores(models, background, utterances, normalise=False), expected, rtol=1e-12)
    assert_allclose(linear_scores(models, background, utterances), expected / [3, 7, 7], rtol=1e-12)


@pytest.mark.parametrize("name", ["full", "tied", "diag", "spherical", "student"])
def test_linear_scores_are_the_slope_of_the_likelihood_ratio(name):
    background = student_of() if name == "student" else model_of(name)
    X = rows_of(background, 60)
    speaker = background.adapt(X + 0.5, relevance=1e7)  # hardly moved: the ratio is linear
    exact = log_likelihood_ratio(speaker, background, X, top=None)
    assert_allclose(linear_scores([speaker], background, background.statistics(X))[0, 0], exact, rtol=1e-3)


def test_the_ratio_is_the_difference_of_scores_and_few_components_come_close(structure):
    background = model_of(structure, n_components=8, spread=2.0)
    X = rows_of(background, 300)
    models = [background.adapt(X[:40] + s, update=ALL) for s in (0.0, 0.7)]
    exact = [model.score(X) - background.score(X) for model in models]
    for top in (None, 8, 20):
        assert_allclose(log_likelihood_ratio(models, background, X, top=top), exact, rtol=1e-9)
    assert_allclose(log_likelihood_ratio(models, background, X, top=5), exact, atol=0.02)
    # By hand, for one component of the background.
    best = background.predict(X)
    densities = [m.component_log_density(X)[np.arange(300), best] for m in (models[1], background)]
    found = log_likelihood_ratio(models[1], background, X, top=1)
    assert_allclose(found, (densities[0] - densities[1]).mean(), rtol=1e-9)


def test_a_background_component_and_tails_take_part_in_the_ratio():
    for model in (with_noise()[0], student_of()):
        X = rows_of(model, 80)
        other = model.adapt(X)
        exact = other.score(X) - model.score(X)
        assert_allclose(log_likelihood_ratio(other, model, X, top=None), exact, rtol=1e-9)
        assert np.isfinite(log_likelihood_ratio(other, model, X, top=2))


def test_distances_of_supervectors_are_divergences_of_components(structure):
    background = model_of(structure)
    models = [background.adapt(rows_of(background, 50, seed=s)) for s in (3, 4)]
    vectors = supervectors(models, background)
    assert vectors.shape == (2, 12)
    shape = background._covariance.shape
    covariances = shape.full(background.covariances_, 3, 4)
    moved = models[0].means_ - models[1].means_
    divergence = sum(
        w * 0.5 * d @ np.linalg.solve(c, d) for w, d, c in zip(background.weights_, moved, covariances, strict=True)
    )
    assert_allclose(((vectors[0] - vectors[1]) ** 2).sum(), 2 * divergence, rtol=1e-9)
    assert_array_equal(supervectors(models[0]), models[0].means_.reshape(1, -1))


def test_scores_tell_a_speaker_from_others():
    rng = np.random.default_rng(0)
    background = GaussianMixture(8, covariance_type="diag", random_state=0).fit(rng.normal(size=(4000, 5)) * 2)
    voices = rng.normal(size=(6, 5))
    models = [background.adapt(rng.normal(size=(80, 5)) + voice) for voice in voices]
    scores, linear, statistics = [], [], []
    for voice in voices:
        rows = rng.normal(size=(60, 5)) + voice
        scores.append(log_likelihood_ratio(models, background, rows))
        statistics.append(background.statistics(rows))
    linear = linear_scores(models, background, statistics)
    assert_array_equal(np.argmax(scores, axis=1), np.arange(6))
    assert_array_equal(linear.argmax(axis=0), np.arange(6))
    assert stats.spearmanr(np.ravel(scores), linear.T.ravel())[0] > 0.8


def test_bad_input_to_scores_is_named():
    background, X = model_of(), rows_of(model_of(), 20)
    with pytest.raises(ValueError, match=r"a model has .* = \(2, 4\); expected \(3, 4\)"):
        log_likelihood_ratio(model_of(n_components=2), background, X)
    with pytest.raises(ValueError, match="top is 0"):
        log_likelihood_ratio(background, background, X, top=0)
    with pytest.raises(TypeError, match="background is a list"):
        linear_scores([background], [], [])
    with pytest.raises(TypeError, match="statistics holds a ndarray"):
        linear_scores(background, background, [X])
    with pytest.raises(ValueError, match="models is empty"):
        linear_scores([], background, background.statistics(X))
    with pytest.raises(ValueError, match="statistics is empty"):
        linear_scores(background, background, [])
    with pytest.raises(ValueError, match="models is empty"):
        supervectors([])
    with pytest.raises(ValueError, match=r"statistics\[0\] has structure 'diag'"):
        linear_scores(background, background, model_of("diag").statistics(X))
    with pytest.raises(ValueError, match="X is a source"):
        log_likelihood_ratio(background, background, sliced(X))


def test_frames_that_miss_values_are_scored_and_adapted_to_by_what_they_have():
    X = rows_of(model_of("full", 3, 4), 400)
    background = GaussianMixture(3, missing="marginalise", random_state=0).fit(X)
    holes = np.where(np.random.default_rng(0).uniform(size=X.shape) < 0.2, np.nan, X)
    speaker = background.adapt(holes[:100])
    exact = speaker.score(holes) - background.score(holes)
    assert_allclose(log_likelihood_ratio(speaker, background, holes, top=None), exact, rtol=1e-9)
    assert_allclose(log_likelihood_ratio(speaker, background, holes, top=2), exact, atol=0.02)
    found = background.statistics(holes)
    assert_allclose(found.counts, background.predict_proba(holes).sum(axis=0), rtol=1e-9)
    plain = GaussianMixture.from_parameters(background.weights_, background.means_, background.covariances_)
    assert_allclose(background.statistics(X).scatter, plain.statistics(X).scatter, rtol=1e-10)


def test_factor_analysers_are_adapted_and_scored():
    X = rows_of(model_of("full", 2, 6), 600)
    background = GaussianMixture(2, covariance_type="factor", n_factors=2, random_state=0).fit(X)
    assert_allclose(background.statistics(X).counts, background.predict_proba(X).sum(axis=0), rtol=1e-9)
    speaker = background.adapt(X[:100] + 0.5)
    exact = speaker.score(X) - background.score(X)
    assert_allclose(log_likelihood_ratio(speaker, background, X, top=None), exact, rtol=1e-9)
    assert np.isfinite(log_likelihood_ratio(speaker, background, X, top=1))
    near = background.adapt(X[:100] + 0.5, relevance=1e7)
    claim = X[100:200] + 0.5
    exact = log_likelihood_ratio(near, background, claim, top=None)
    assert_allclose(linear_scores(near, background, background.statistics(claim))[0, 0], exact, rtol=1e-3)
    everything = background.adapt(X[:300], relevance=100.0, update=ALL)
    assert np.isfinite(everything.score(X))
    assert everything.loadings_.shape == background.loadings_.shape
