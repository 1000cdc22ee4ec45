"""Models put together by hand, as scikit-learn's users do: the answers are scikit-learn's."""

import numpy as np
import pytest
import sklearn.mixture
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureClassifier

PARTS = ("weights_", "means_", "covariances_", "precisions_cholesky_")
POSTERIOR = ("weight_concentration_", "mean_precision_", "degrees_of_freedom_")
CLASSES = ("GaussianMixture", "BayesianGaussianMixture")


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return rng.normal(size=(400, 3)) @ [[1.0, 0.4, 0.0], [0.0, 1.0, -0.6], [0.0, 0.0, 0.5]] + np.repeat(
        [[0.0], [3.0]], 200, 0
    )


def pair(name, covariance_type, X, **changes):
    """Return scikit-learn's fitted mixture and ours with its attributes set by hand, both with `changes` to them."""
    theirs = getattr(sklearn.mixture, name)(3, random_state=0, max_iter=500) if name == CLASSES[0] else None
    if theirs is None:
        theirs = sklearn.mixture.BayesianGaussianMixture(n_components=3, random_state=0, max_iter=500)
    theirs.set_params(covariance_type=covariance_type).fit(X)
    ours = getattr(fastgmm, name)(n_components=3, covariance_type=covariance_type)
    for part in (*PARTS, *(POSTERIOR if name == CLASSES[1] else ())):
        setattr(ours, part, getattr(theirs, part))
    for part, value in changes.items():
        setattr(theirs, part, value)
        setattr(ours, part, value)
    return theirs, ours


def assert_same_answers(ours, theirs, X):
    # Rounding of densities of some tens of nats.
    assert_allclose(ours.score_samples(X), theirs.score_samples(X), atol=1e-11)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-11)
    assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.score(X) == pytest.approx(theirs.score(X), abs=1e-11)


@pytest.mark.parametrize("name", CLASSES)
def test_parts_set_by_hand_answer_as_in_scikit_learn(name, structure, X):
    theirs, ours = pair(name, structure, X)
    assert_same_answers(ours, theirs, X)
    if name == CLASSES[0]:
        assert ours.bic(X) == pytest.approx(theirs.bic(X), rel=1e-12)
        assert ours.aic(X) == pytest.approx(theirs.aic(X), rel=1e-12)
    assert ours.sample(7)[0].shape == (7, 3)
    assert "EM made no iteration" in ours.summary(X)
    with pytest.raises(ValueError, match="X has 2 features; expected 3"):
        ours.predict(X[:, :2])


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("covariance_type", ["full", "tied"])
@pytest.mark.parametrize("kind", ["lower", "any"])
def test_any_factor_of_the_precisions_gives_the_same_answers(name, covariance_type, kind, X, tmp_path):
    theirs, ours = pair(name, covariance_type, X)
    upper = ours.precisions_cholesky_
    factor = np.linalg.cholesky(upper @ np.swapaxes(upper, -1, -2))
    if kind == "any":
        factor = factor @ np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    expected = ours.score_samples(X)
    ours.precisions_cholesky_ = factor
    assert_allclose(ours.score_samples(X), expected, atol=1e-10)
    assert_same_answers(ours, theirs, X)
    if name == CLASSES[0]:
        assert_allclose(ours.scorer().score_samples(X), expected, atol=1e-10)
        assert_allclose(ours.mahalanobis(X).min(axis=1) >= 0, True)
        if kind == "lower":
            # Of any other factor scikit-learn takes the determinant from the diagonal.
            assert_allclose(ours.to_sklearn().score_samples(X), expected, atol=1e-10)
    ours.n_features_in_ = 3
    fastgmm.save(ours, tmp_path / "model.npz")
    assert_allclose(fastgmm.load(tmp_path / "model.npz").score_samples(X), expected, atol=1e-10)


def test_a_factor_changed_in_place_is_looked_at_again(X):
    _, ours = pair("GaussianMixture", "full", X)
    expected = ours.score_samples(X)
    lower = np.linalg.cholesky(ours.precisions_cholesky_ @ np.swapaxes(ours.precisions_cholesky_, -1, -2))
    ours.precisions_cholesky_ = ours.precisions_cholesky_.copy()
    ours.score_samples(X)
    ours.precisions_cholesky_[:] = lower
    assert_allclose(ours.score_samples(X), expected, atol=1e-10)


def test_a_warm_start_goes_on_from_any_factor(X):
    models = []
    for kind in ("upper", "lower"):
        model = GaussianMixture(2, random_state=0, warm_start=True, max_iter=3, tol=0.0)
        with pytest.warns(match="did not converge"):
            model.fit(X)
        if kind == "lower":
            model.precisions_cholesky_ = np.linalg.cholesky(model.precisions_)
        with pytest.warns(match="did not converge"):
            models.append(model.fit(X))
    assert_allclose(models[1].means_, models[0].means_, rtol=1e-10)


def test_a_classifier_takes_any_factor(X):
    model = GaussianMixtureClassifier().fit(X, np.repeat([0, 1], 200))
    expected = model.decision_function(X)
    upper = model.precisions_cholesky_
    model.precisions_cholesky_ = np.linalg.cholesky(upper @ np.swapaxes(upper, 1, 2))
    assert_allclose(model.decision_function(X), expected, atol=1e-9)


def test_covariances_or_factors_alone_are_enough(structure, X):
    _, ours = pair("GaussianMixture", structure, X)
    expected = ours.score_samples(X)
    for part in ("covariances_", "precisions_cholesky_"):
        kept = vars(ours).pop(part)
        assert_allclose(ours.score_samples(X), expected, atol=1e-10)
        setattr(ours, part, kept)


def test_parts_that_do_not_fit_together_are_named(X):
    _, ours = pair("GaussianMixture", "full", X)
    ours.weights_ = ours.weights_[:2]
    with pytest.raises(ValueError, match=r"have shapes \(2,\), \(3, 3\), \(3, 3, 3\), \(3, 3, 3\); expected"):
        ours.predict(X)
    ours = GaussianMixture(1)
    ours.weights_, ours.means_ = np.ones(1), np.zeros((1, 3))
    with pytest.raises(ValueError, match="covariances_ and precisions_cholesky_ are not set"):
        ours.predict(X)


def test_a_posterior_by_hand_needs_no_priors(X):
    _, ours = pair("BayesianGaussianMixture", "full", X)
    ours.predictive = "student-t"
    assert np.isfinite(ours.score_samples(X)).all()
    assert isinstance(ours, BayesianGaussianMixture)


def test_the_density_is_that_of_the_factor_not_of_the_covariances(X):
    # As in scikit-learn: a factor that contradicts the covariances is the user's wish.
    ours = GaussianMixture(1)
    ours.weights_, ours.means_, ours.covariances_ = np.ones(1), np.zeros((1, 3)), np.eye(3)[None]
    ours.precisions_cholesky_ = 2.0 * np.eye(3)[None]
    assert_allclose(ours.score_samples(X), multivariate_normal(np.zeros(3), np.eye(3) / 4).logpdf(X), atol=1e-10)


@pytest.mark.parametrize("name", CLASSES)
def test_nan_stays_nan_where_nobody_checks(name, structure, X):
    _, ours = pair(name, structure, X)
    rows = X.copy()
    rows[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        ours.predict_proba(rows)
    with sklearn.config_context(assume_finite=True):
        assert_array_equal(np.isnan(ours.predict_proba(rows)).any(axis=1), np.arange(400) == 3)
        assert_array_equal(np.isnan(ours.score_samples(rows)), np.arange(400) == 3)
        assert_array_equal(np.isnan(ours.component_log_density(rows)).any(axis=1), np.arange(400) == 3)
        assert np.isnan(ours.score(rows))
        if name == CLASSES[0]:
            assert np.isnan(ours.bic(rows))


def test_a_mean_that_is_no_number_is_named(X):
    _, ours = pair("GaussianMixture", "full", X)
    ours.means_ = ours.means_.copy()
    ours.means_[1, 0] = np.nan
    with pytest.raises(ValueError, match="means_ holds NaN or infinity"):
        ours.predict(X)


#: The same numbers in another layout, precision or container.
LAYOUTS = {
    "fortran": np.asfortranarray,
    "axes swapped": lambda part: np.ascontiguousarray(part.T).T,
    "strided": lambda part: np.repeat(part, 2, axis=0)[::2],
    "broadcast, read-only": lambda part: np.broadcast_to(part, part.shape),
    "other byte order": lambda part: part.astype(part.dtype.newbyteorder()),
    "float32": lambda part: part.astype(np.float32),
    "whole numbers": lambda part: part.astype(int),
    "list": lambda part: part.tolist(),
}
#: Numbers that float32 and, weights apart, int hold exactly.
WEIGHTS, MEANS = np.array([0.25, 0.25, 0.5]), np.array([[0.0, 0.0], [4.0, 1.0], [1.0, 6.0]])
COVARIANCES = {
    "full": np.array([[[1.0, 0.0], [0.0, 2.0]], [[2.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]]),
    "tied": np.array([[2.0, 1.0], [1.0, 1.0]]),
    "diag": np.array([[1.0, 2.0], [3.0, 1.0], [1.0, 1.0]]),
    "spherical": np.array([1.0, 2.0, 3.0]),
}


def answers(model, X):
    return [
        model.predict_proba(X),
        model.score_samples(X),
        model.mahalanobis(X),
        model.scorer(dtype="float64").score_samples(X),
        model.marginal(1).score_samples(X[:, 1:]),
        model.condition(0, [1.0]).mean(),
        model.summary(X),
    ]


# Weights are fractions.
CHANGES = [(layout, part) for layout in LAYOUTS for part in ("weights", "means", "covariances")]
CHANGES.remove(("whole numbers", "weights"))


@pytest.mark.parametrize(("layout", "part"), CHANGES)
def test_parameters_come_in_any_layout(structure, layout, part, X):
    """Covariances that were a view of one matrix ended in an error of a kernel."""
    X = np.ascontiguousarray(X[:, :2])
    parts = {"weights": WEIGHTS, "means": MEANS, "covariances": COVARIANCES[structure]}
    known = GaussianMixture.from_parameters(**parts, covariance_type=structure)
    expected = answers(known, X)
    changed = LAYOUTS[layout](parts[part])
    model = GaussianMixture.from_parameters(**{**parts, part: changed}, covariance_type=structure)
    for name in PARTS:
        assert getattr(model, name).flags.c_contiguous
    np.testing.assert_equal(answers(model, X), expected)
    by_hand = GaussianMixture(3, covariance_type=structure)
    for name in PARTS:
        setattr(by_hand, name, getattr(known, name))
    setattr(by_hand, f"{part}_", changed)
    for found, wanted in zip(answers(by_hand, X)[:-1], expected, strict=False):
        assert_allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_matrix_may_serve_all_components_and_starts_come_in_any_layout(structure, layout, X):
    X = np.ascontiguousarray(X[:, :2])
    if structure == "full":
        same = np.broadcast_to(COVARIANCES["tied"], (3, 2, 2))
        full = GaussianMixture.from_parameters(WEIGHTS, MEANS, same)
        tied = GaussianMixture.from_parameters(WEIGHTS, MEANS, same[0], covariance_type="tied")
        assert_allclose(full.score_samples(X), tied.score_samples(X), rtol=1e-13)
    start = {"means_init": MEANS, "precisions_init": COVARIANCES[structure]}
    models = [
        GaussianMixture(3, covariance_type=structure, weights_init=WEIGHTS, **given).fit(X)
        for given in (start, {name: LAYOUTS[layout](part) for name, part in start.items()})
    ]
    assert_allclose(models[1].means_, models[0].means_, rtol=1e-12)


def test_a_stream_goes_on_from_lists(structure, X):
    X = np.ascontiguousarray(X[:, :2])
    known = GaussianMixture.from_parameters(WEIGHTS, MEANS, COVARIANCES[structure], covariance_type=structure)
    by_hand = GaussianMixture(3, covariance_type=structure)
    for name in ("weights_", "means_", "covariances_"):
        setattr(by_hand, name, getattr(known, name).tolist())
    by_hand.partial_fit(X)
    known.n_samples_seen_ = float(len(X))
    assert_allclose(by_hand.means_, known.partial_fit(X).means_, rtol=1e-9)
