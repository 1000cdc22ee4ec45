"""Right where floating point makes it hard: offsets, scales, far rows, single precision, degenerate data."""

import warnings

import numpy as np
import oracle
import pytest
from mixtures import precisions_of, random_parameters, random_rows
from numpy.testing import assert_allclose
from sklearn.exceptions import ConvergenceWarning

from fastgmm import GaussianMixture
from fastgmm.exceptions import ComponentCollapseError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def one_iteration(X, p, reg_covar=0.0, sample_weight=None):
    """Return the model after one EM iteration from the parameters `p`."""
    return GaussianMixture(
        p.n_components,
        covariance_type=p.structure,
        weights_init=p.weights / p.weights.sum(),
        means_init=p.means,
        precisions_init=precisions_of(p.precisions_cholesky, p.structure),
        reg_covar=reg_covar,
        max_iter=1,
        tol=0,
    ).fit(X, sample_weight=sample_weight)


def exact_iteration(X, p, count_floor):
    """Return weights, means, covariances and mean log-likelihood of one iteration, in long double."""
    counts, sums, _, log_likelihood = oracle.accumulate(
        X, None, p.log_offset, p.means, p.precisions_cholesky, p.structure
    )
    shares = oracle.responsibilities(X, p.log_offset, p.means, p.precisions_cholesky, p.structure)
    counts = counts + np.longdouble(count_floor)
    means = p.means.astype(np.longdouble) + sums / counts[:, None]
    _, _, scatter = oracle.moments(X, shares, means, p.structure)
    if p.structure == "tied":
        covariances = scatter / counts.sum()
    elif p.structure == "full":
        covariances = scatter / counts[:, None, None]
    elif p.structure == "diag":
        covariances = scatter / counts[:, None]
    else:
        covariances = scatter / counts / p.n_features
    return counts / counts.sum(), means, covariances, log_likelihood / len(X)


def deviations(covariances, structure, shape):
    """Return each component's own standard deviation of each feature, (n_components, n_features)."""
    covariances = np.asarray(covariances)
    if structure in ("full", "tied"):
        variances = np.diagonal(covariances, axis1=-2, axis2=-1)
    else:
        variances = covariances if structure == "diag" else covariances[:, None]
    return np.broadcast_to(np.sqrt(variances), shape)


def assert_same_iteration(X, p, tolerance, lost=0.0):
    """Compare one iteration in units of each component's standard deviation; `lost` is what the offset took away."""
    model = one_iteration(X, p)
    weights, means, covariances, bound = exact_iteration(X, p, 10 * np.finfo(X.dtype).eps)
    sd = deviations(covariances, p.structure, means.shape)
    assert_allclose(model.weights_, weights.astype(float), rtol=tolerance, atol=tolerance)
    assert_allclose(((model.means_ - means) / sd).astype(float), 0, atol=tolerance + lost)
    if p.structure in ("full", "tied"):
        unit = sd[:, :, None] * sd[:, None, :]
        unit = unit[0] if p.structure == "tied" else unit
    else:
        unit = sd**2 if p.structure == "diag" else sd[:, 0] ** 2
    assert_allclose(((model.covariances_ - covariances) / unit).astype(float), 0, atol=tolerance + lost)
    assert_allclose(float(model.lower_bound_), float(bound), rtol=tolerance, atol=tolerance + 10 * lost)


@pytest.mark.parametrize("n_features", [2, 12])
@pytest.mark.parametrize("offset", [0.0, 1e4, 1e6, 1e8])
def test_one_iteration_with_an_offset(structure, offset, n_features):
    rng = np.random.default_rng(1)
    p = random_parameters(structure, 3, n_features, rng, spread=1.5, offset=offset)
    X = random_rows(p, 3000, rng)
    # The means themselves are stored to the offset's last place.
    assert_same_iteration(X, p, 1e-9, lost=4 * np.spacing(offset))


@pytest.mark.parametrize("n_features", [2, 12])
@pytest.mark.parametrize("scale", [1e-100, 1e-30, 1e30, 1e100])
def test_one_iteration_at_any_scale(structure, scale, n_features):
    rng = np.random.default_rng(2)
    p = random_parameters(structure, 3, n_features, rng, spread=1.5, scale=scale)
    assert_same_iteration(random_rows(p, 3000, rng), p, 1e-9)


@pytest.mark.parametrize("n_features", [2, 12])
def test_one_iteration_with_rows_far_away(structure, n_features):
    if n_features > 2 and structure in ("full", "tied"):
        n_features = 2  # no larger matrix of doubles holds unit variances beside one of 1e15 in a slanted direction
    rng = np.random.default_rng(3)
    p = random_parameters(structure, 3, n_features, rng, spread=1.5)
    X = random_rows(p, 3000, rng)
    X[[5, 500, 2999]] = 1e9
    assert_same_iteration(X, p, 1e-9)


@pytest.mark.parametrize("n_features", [2, 9])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_one_iteration_in_single_precision(structure, offset, n_features, monkeypatch):
    monkeypatch.setattr(oracle, "REAL", np.float64)  # nine digits more than the rows have
    rng = np.random.default_rng(4)
    p = random_parameters(structure, 3, n_features, rng, spread=1.5, offset=offset)
    X = random_rows(p, 400_000, rng, np.float32)
    assert_same_iteration(X, p, 1e-4, lost=4 * float(np.spacing(np.float32(offset))))


# The faults that were reproduced on scikit-learn 1.9.1.


def test_spherical_float32_variances_of_two_far_rows():
    X = np.array([[9999.0], [0.0]], dtype=np.float32)
    model = GaussianMixture(2, covariance_type="spherical", reg_covar=0.1, random_state=0).fit(X)
    assert_allclose(model.covariances_, [0.1, 0.1], rtol=1e-6)


def test_one_component_far_from_the_origin(structure):
    X = np.random.default_rng(5).normal(size=(1000, 2)) + 1e8
    model = GaussianMixture(1, covariance_type=structure, reg_covar=0).fit(X)
    # Exact moments of the rows as they are stored; the count floor takes 2e-18 relative.
    centred = X.astype(np.longdouble) - X.astype(np.longdouble).mean(axis=0)
    covariance = (centred.T @ centred / 1000).astype(float)
    expected = {
        "full": covariance[None],
        "tied": covariance,
        "diag": np.diag(covariance)[None],
        "spherical": np.array([np.trace(covariance) / 2]),
    }[structure]
    assert_allclose(model.covariances_, expected, rtol=1e-12, atol=1e-12)


def test_unit_clusters_far_from_the_origin(structure):
    rng = np.random.default_rng(6)
    centres = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
    near = centres[rng.integers(3, size=3000)] + rng.normal(size=(3000, 2))
    far = near + 1e6
    near = far - 1e6  # the same rows, to the last place
    kwargs = {"covariance_type": structure, "random_state": 0, "max_iter": 1, "means_init": None}
    a = GaussianMixture(3, **{**kwargs, "means_init": centres}).fit(near)
    b = GaussianMixture(3, **{**kwargs, "means_init": centres + 1e6}).fit(far)
    assert_allclose(a.means_, b.means_ - 1e6, atol=4e-10)
    assert_allclose(a.covariances_, b.covariances_, rtol=1e-9, atol=1e-9)


def test_single_precision_far_from_the_origin(structure):
    rng = np.random.default_rng(7)
    centres = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
    X = (centres[rng.integers(3, size=3000)] + rng.normal(size=(3000, 2)) + 1000).astype(np.float32)
    start = {"means_init": centres + 1000, "covariance_type": structure, "random_state": 0}
    single = GaussianMixture(3, **start).fit(X)
    double = GaussianMixture(3, **start).fit(X.astype(np.float64))
    # float32 keeps positions near 1000 to 6e-5.
    assert_allclose(single.means_, double.means_, atol=2e-4)
    assert_allclose(single.covariances_, double.covariances_, atol=2e-3)


def test_all_starts_given_and_no_iteration(structure):
    p = random_parameters(structure, 2, 3, np.random.default_rng(8))
    X = random_rows(p, 50, np.random.default_rng(9))
    model = GaussianMixture(
        2,
        covariance_type=structure,
        weights_init=p.weights / p.weights.sum(),
        means_init=p.means,
        precisions_init=precisions_of(p.precisions_cholesky, structure),
        max_iter=0,
    ).fit(X)
    assert_allclose(model.covariances_, p.covariances, rtol=1e-10)
    assert model.predict(X).shape == (50,)
    assert (model.n_iter_, model.lower_bound_, model.lower_bounds_, model.converged_) == (0, -np.inf, [], False)


def test_samples_of_a_float32_model_warn_of_nothing(structure):
    X = np.random.default_rng(10).normal(size=(200, 5)).astype(np.float32)
    model = GaussianMixture(2, covariance_type=structure, random_state=0).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows, labels = model.sample(100)
    assert rows.dtype == np.float64
    assert labels.dtype == np.int64


def test_precision_and_covariance_agree_in_single_precision(structure):
    X = np.random.default_rng(11).normal(size=(500, 4)).astype(np.float32)
    model = GaussianMixture(3, covariance_type=structure, random_state=0).fit(X)
    if structure in ("full", "tied"):
        product = model.precisions_ @ model.covariances_
        assert_allclose(product, np.broadcast_to(np.eye(4), product.shape), atol=2e-5)
    else:
        assert_allclose(model.precisions_ * model.covariances_, 1, rtol=1e-5)


# Degenerate data.


def degenerate_sets():
    rng = np.random.default_rng(12)
    points = np.array([[0.0, 0.0], [1.0, 1.0], [5.0, 2.0]])
    constant = rng.normal(size=(60, 3))
    constant[:, 1] = 7.0
    return {
        "fewer distinct rows than components": np.repeat(points, 20, axis=0),
        "one distinct row": np.full((30, 2), 3.0),
        "duplicated rows": np.repeat(rng.normal(size=(10, 2)), 10, axis=0),
        "constant column": constant,
        "all columns constant": np.full((40, 3), -2.5),
        "dependent columns": np.outer(rng.normal(size=50), [1.0, 2.0, 3.0]),
    }


@pytest.mark.parametrize("name", degenerate_sets())
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_degenerate_data_give_a_valid_model(structure, name, init_params, dtype):
    X = degenerate_sets()[name].astype(dtype)
    model = GaussianMixture(5, covariance_type=structure, init_params=init_params, random_state=0).fit(X)
    for part in (model.weights_, model.means_, model.covariances_, model.precisions_cholesky_):
        assert np.isfinite(part).all()
    assert_allclose(model.weights_.sum(), 1, rtol=1e-5)
    assert np.isfinite(model.lower_bound_)
    assert np.isfinite(model.score_samples(X)).all()
    assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-5)
    variances = model.covariances_
    if structure in ("full", "tied"):
        variances = np.linalg.eigvalsh(model.covariances_.astype(float))
    # Never below the regularisation, to the rounding of the data's own scale.
    assert variances.min() > 0.5e-6 if dtype == "float64" else variances.min() > 0


@pytest.mark.parametrize("name", ["fewer distinct rows than components", "one distinct row", "all columns constant"])
def test_without_regularisation_the_error_names_the_component(structure, name):
    X = degenerate_sets()[name]
    with pytest.raises(ValueError, match="ill-defined empirical covariance") as caught:
        GaussianMixture(5, covariance_type=structure, reg_covar=0, random_state=0).fit(X)
    assert isinstance(caught.value, ComponentCollapseError)
    assert ("shared" if structure == "tied" else f"component {caught.value.component}") in str(caught.value)
    assert caught.value.reason in str(caught.value)


def test_one_collapsing_start_does_not_spoil_the_others():
    rng = np.random.default_rng(13)
    X = np.r_[rng.normal(size=(40, 1)), rng.normal(size=(40, 1)) + 8, np.full((2, 1), 100.0)]
    collapsed = 0
    for seed in range(20):
        try:
            GaussianMixture(2, reg_covar=0, random_state=seed, init_params="random_from_data", n_init=1).fit(X)
        except ComponentCollapseError:
            collapsed += 1
    assert collapsed > 0, "the trap exists"
    # Labels that leave the two equal rows alone in a component collapse; k-means++ starts of many rows do not all.
    labels = np.r_[np.zeros(80, int), np.ones(2, int)]
    with pytest.raises(ComponentCollapseError, match="component 1"):
        GaussianMixture(2, reg_covar=0, init_params=labels).fit(X)


def test_empty_components_keep_finite_parameters(structure):
    rng = np.random.default_rng(14)
    X = rng.normal(size=(300, 2))
    means = np.array([[0.0, 0.0], [1e6, 1e6]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = GaussianMixture(2, covariance_type=structure, means_init=means, random_state=0).fit(X)
    assert np.isfinite(model.means_).all()
    assert np.isfinite(model.score(X))


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "VEE"])
def test_a_variance_beyond_float32_is_an_error(covariance_type):
    """The square of 3e38 over 40 rows is 2e75: no float32 attribute holds it."""
    X = np.zeros((40, 2), np.float32)
    X[7, 0] = 3e38
    model = GaussianMixture(1, covariance_type=covariance_type, init_params="random", random_state=0, max_iter=1)
    with pytest.raises(ComponentCollapseError, match="out of range"):
        model.fit(X)
    assert not hasattr(model, "means_")
    assert np.isfinite(model.fit(X.astype(np.float64)).covariances_).all()
