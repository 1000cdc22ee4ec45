"""Laws of fitted models, for data, weights, families and layouts that hypothesis draws."""

import pickle
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mixtures import random_parameters, random_rows
from numpy.testing import assert_allclose, assert_array_equal
from strategies import KERNEL_STRUCTURES, LAYOUTS, cases, families, laid_out, seeds, weights

import fastgmm
from fastgmm import GaussianMixture
from fastgmm.exceptions import ComponentCollapseError

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::fastgmm.exceptions.RegularisationWarning"),
]

structures = st.sampled_from(KERNEL_STRUCTURES)


@st.composite
def labelled_rows(draw, min_features=1):
    """Draw rows of 1 to 3 overlapping clusters and labels that are right for most of them."""
    rng = np.random.default_rng(draw(seeds))
    n_features = draw(st.integers(min_features, 5))
    n_components = draw(st.integers(1, 3))
    # Tens of rows per free parameter, so that no component collapses.
    n_samples = draw(st.integers(60, 120)) * n_components
    p = random_parameters("full", n_components, n_features, rng, spread=draw(st.sampled_from([1.0, 2.0, 6.0])))
    X = random_rows(p, n_samples, rng)
    labels = np.argmin(((X[:, None] - p.means) ** 2).sum(axis=2), axis=1)
    wrong = rng.uniform(size=n_samples) < 0.1
    labels[wrong] = rng.integers(n_components, size=wrong.sum())
    labels[:n_components] = np.arange(n_components)
    return X, labels


def fit(X, labels, family, sample_weight=None, **options):
    """Fit from given labels without regularisation; a start that collapses is no example."""
    options = {"max_iter": 8, "tol": 0, "reg_covar": 0, "acceleration": None, **options}
    model = GaussianMixture(labels.max() + 1, covariance_type=family, init_params=labels, **options)
    try:
        return model.fit(X, sample_weight=sample_weight)
    except ComponentCollapseError:
        assume(False)


@given(labelled_rows(), st.data(), st.sampled_from([None, "quasi-newton"]), st.sampled_from(["float64", "float32"]))
def test_em_never_descends(drawn, data, acceleration, dtype):
    X, labels = drawn
    family = data.draw(families(X.shape[1]))
    model = fit(X.astype(dtype), labels, family, max_iter=40, acceleration=acceleration)
    bounds = np.array(model.lower_bounds_, dtype=float)
    # Rounding of a mean of log densities; and the floor of counts, ten units, which every M-step adds.
    slack = (1e-10 if dtype == "float64" else 1e-4) * (1 + np.abs(bounds).max())
    assert np.diff(bounds).min(initial=0) >= -slack


@given(labelled_rows(), structures, seeds, st.floats(-3, 3))
def test_affine_maps_of_the_data_map_the_model(drawn, structure, seed, log_scale):
    X, labels = drawn
    n_features = X.shape[1]
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(n_features, n_features)))[0]
    scales = np.exp(rng.uniform(-2, 2, size=n_features))
    scale = np.exp(log_scale)
    A = (
        scale
        * {
            "full": rotation * scales,
            "tied": rotation * scales,
            "diag": np.diag(scales),
            "spherical": rotation,
        }[structure]
    )
    shift = rng.normal(size=n_features) * 10
    one, other = fit(X, labels, structure), fit(X @ A + shift, labels, structure)
    # A condition of about e^4 and eight iterations between them; measured in the map's own scale.
    size = scale * np.exp(2)
    assert_allclose(other.weights_, one.weights_, rtol=1e-7)
    assert_allclose(other.means_ / size, (one.means_ @ A + shift) / size, rtol=1e-7, atol=1e-7)
    log_det = np.linalg.slogdet(A)[1]
    assert_allclose(other.lower_bounds_, np.array(one.lower_bounds_) - log_det, rtol=1e-8, atol=1e-8)
    expected = {
        "full": lambda: A.T @ one.covariances_ @ A,
        "tied": lambda: A.T @ one.covariances_ @ A,
        "diag": lambda: one.covariances_ * np.diag(A) ** 2,
        "spherical": lambda: one.covariances_ * scale**2,
    }[structure]()
    assert_allclose(other.covariances_ / size**2, expected / size**2, rtol=1e-6, atol=1e-7 * np.abs(expected).max())


@given(labelled_rows(), structures, seeds)
def test_the_order_of_columns_and_components_does_not_matter(drawn, structure, seed):
    X, labels = drawn
    rng = np.random.default_rng(seed)
    columns, components = rng.permutation(X.shape[1]), rng.permutation(labels.max() + 1)
    one = fit(X, labels, structure)
    other = fit(np.ascontiguousarray(X[:, columns]), np.argsort(components)[labels], structure)
    assert_allclose(other.weights_, one.weights_[components], rtol=1e-8)
    assert_allclose(other.means_, one.means_[components][:, columns], rtol=1e-8, atol=1e-8)
    assert_allclose(other.lower_bounds_, one.lower_bounds_, rtol=1e-10, atol=1e-10)


@given(labelled_rows(), st.data())
def test_a_whole_weight_is_a_repeated_row(drawn, data):
    X, labels = drawn
    family = data.draw(families(X.shape[1]))
    weight = data.draw(weights(len(X), whole=True))
    assume(np.bincount(labels, weight, minlength=labels.max() + 1).min() > 4 * X.shape[1])
    weighted = fit(X, labels, family, sample_weight=weight)
    repeated = fit(np.repeat(X, weight, axis=0), np.repeat(labels, weight), family)
    # The same sums in another order, carried through eight iterations.
    assert_allclose(weighted.means_, repeated.means_, rtol=1e-6, atol=1e-6)
    assert_allclose(weighted.lower_bounds_, repeated.lower_bounds_, rtol=1e-8, atol=1e-8)


@given(cases(max_rows=200), st.sampled_from(list(LAYOUTS)))
def test_every_layout_in_memory_gives_the_same_bits(case, layout):
    p, X = case
    same = laid_out(X, layout)
    if layout == "other byte order":
        X = X.astype(np.float64)  # scikit-learn's validation makes doubles of it
    model = GaussianMixture.from_parameters(
        p.weights / p.weights.sum(), p.means, p.covariances, covariance_type=p.structure
    )
    for method in ("predict", "predict_proba", "score_samples"):
        assert_array_equal(getattr(model, method)(same), getattr(model, method)(X))
    assert model.score(same) == model.score(X)
    if len(X) < max(2, p.n_components):
        return
    labels = np.arange(len(X)) % p.n_components
    fits = [
        GaussianMixture(p.n_components, covariance_type=p.structure, init_params=labels, max_iter=2, reg_covar=1.0).fit(
            rows
        )
        for rows in (X, same)
    ]
    assert_array_equal(fits[1].means_, fits[0].means_)
    assert_array_equal(fits[1].covariances_, fits[0].covariances_)


@settings(max_examples=settings().max_examples // 3)
@given(structures, st.integers(1, 5), st.integers(1, 6), seeds)
def test_a_fit_to_samples_recovers_the_mixture(structure, n_components, n_features, seed):
    rng = np.random.default_rng(seed)
    p = random_parameters(structure, n_components, n_features, rng)
    # Twelve standard deviations apart along a diagonal: who drew a row is never in doubt.
    means = p.means * 0.1 + 25.0 * np.arange(n_components)[:, None]
    true = GaussianMixture.from_parameters(
        p.weights / p.weights.sum(), means, p.covariances, covariance_type=structure, random_state=seed
    )
    X, labels = true.sample(1500)
    counts = np.bincount(labels, minlength=n_components)
    assume(counts.min() > 60)
    found = GaussianMixture(n_components, covariance_type=structure, means_init=means, random_state=0).fit(X)
    deviation = 3.0 / np.sqrt(counts)[:, None]  # of the mean of variances below 9
    # Six deviations of each mean; variances of K D normal samples deviate by sqrt(2 / count), relatively.
    assert (np.abs(found.means_ - means) < 6 * deviation).all()
    assert_allclose(found.weights_, counts / 1500, atol=1e-6)
    variances, expected = (
        np.diagonal(part, axis1=-2, axis2=-1) if structure in ("full", "tied") else part
        for part in (found.covariances_, p.covariances)
    )
    assert_allclose(variances, expected, rtol=8 * np.sqrt(2 / counts.min()))


@settings(max_examples=settings().max_examples // 2)
@given(labelled_rows(), st.data(), st.sampled_from(["float64", "float32"]))
def test_kept_models_predict_the_same(drawn, data, dtype):
    X, labels = drawn[0].astype(dtype), drawn[1]
    family = data.draw(families(X.shape[1]))
    model = fit(X, labels, family, reg_covar=1e-4, max_iter=3)
    with tempfile.TemporaryDirectory() as folder:
        fastgmm.save(model, Path(folder, "kept.npz"))
        loaded = fastgmm.load(Path(folder, "kept.npz"))
    for again in (loaded, pickle.loads(pickle.dumps(model))):
        assert_array_equal(again.predict_proba(X), model.predict_proba(X))
        assert_array_equal(again.score_samples(X), model.score_samples(X))
        assert again.get_params().keys() == model.get_params().keys()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        theirs = model.to_sklearn()
    rtol = 1e-9 if dtype == "float64" else 2e-3
    assert_allclose(theirs.score_samples(X), model.score_samples(X), rtol=rtol, atol=rtol)
