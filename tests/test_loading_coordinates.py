"""Coordinates of loadings and noise, and the fits that they accelerate."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from test_low_rank import simulated

from fastgmm import GaussianMixture
from fastgmm.families import sketched
from fastgmm.model.loading_coordinates import LoadingCoordinates
from fastgmm.model.shapes.low_rank import packed, unpacked


@pytest.fixture
def many(monkeypatch):
    """Take ten features for many."""
    monkeypatch.setattr(sketched, "MANY_FEATURES", 10)


def fitted(n_iter, **options):
    X, y = simulated(noise=(0.4, 0.6))
    options = {"covariance_type": "factor", "n_factors": 2, "init_params": y, "tol": 0.0, "random_state": 0, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GaussianMixture(2, max_iter=n_iter, **options).fit(X)


def test_coordinates_reproduce_the_mixture_in_any_rotation(many):
    states = [fitted(n)._fitted_state() for n in (1, 6)]
    coordinates = fitted(1)._fitted_family().coordinates(states[0])
    values = coordinates.encode(states[1])
    found = coordinates.decode(values)
    for part in ("weights", "means", "covariances", "precisions_cholesky"):
        assert_allclose(getattr(found, part), getattr(states[1], part), rtol=1e-9, atol=1e-12)
    loadings, noise = unpacked(states[1].covariances)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(2, 2)))[0]
    turned = type(states[1])(
        states[1].structure,
        states[1].weights,
        states[1].means,
        packed(loadings @ rotation, noise),
        states[1].precisions_cholesky,
    )
    assert_allclose(coordinates.encode(turned), values, rtol=1e-9, atol=1e-12)


def test_information_and_its_inverse(many):
    states = [fitted(n)._fitted_state() for n in (1, 6)]
    information = LoadingCoordinates(states[0], None).information(states[1])
    step = np.random.default_rng(0).normal(size=2 + 2 * 12 * 4)
    assert_allclose(information.solve(information.apply(step)), step, rtol=1e-9, atol=1e-9)
    # On means it is the precision of the rows.
    shift = np.zeros_like(step)
    shift[2:14] = np.random.default_rng(1).normal(size=12)
    unit = np.sqrt(states[0].covariances[0, :, -1])
    precision = states[1].shape.precisions(states[1].precisions_cholesky)[0]
    expected = states[1].weights[0] * unit * (precision @ (unit * shift[2:14]))
    assert_allclose(information.apply(shift)[2:14], expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["factor", "ppca", "UCU", "UUCU"])
def test_accelerated_fits_end_as_high_and_never_descend(many, name):
    options = {"covariance_type": name, "tol": 1e-7, "reg_covar": 1e-6}
    plain, model = (fitted(5000, acceleration=which, **options) for which in (None, "quasi-newton"))
    assert plain.converged_
    assert model.converged_
    assert model.n_iter_ < 0.7 * plain.n_iter_ or plain.n_iter_ < 20  # too few to begin
    assert model.lower_bound_ > plain.lower_bound_ - 1e-5
    assert np.diff(model.lower_bounds_).min() >= -1e-13
    # Noise of a family stays in it.
    noise = model.noise_variances_
    if name == "ppca":
        assert_allclose(noise, noise[:, :1].repeat(12, axis=1), rtol=1e-12)
    if name == "UCU":
        assert_allclose(noise[0], noise[1], rtol=1e-12)


def test_large_mixtures_are_not_accelerated(many, monkeypatch):
    monkeypatch.setattr(sketched, "MOST_COORDINATES", 12 * 3 * 2 - 1)
    plain, model = (fitted(60, acceleration=which) for which in (None, "quasi-newton"))
    assert model.lower_bounds_ == plain.lower_bounds_
