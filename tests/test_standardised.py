"""Moments of sources in one pass, and columns of mean 0 and variance 1."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastgmm import GaussianMixture
from fastgmm.data import batches, moments, sliced, standardise


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    # Far from the origin, and in units that differ: what sums about the origin lose.
    return rng.normal(size=(4000, 3)) @ rng.normal(size=(3, 3)) * [1.0, 1e3, 1e-3] + [1e8, 0.0, 5.0]


@pytest.fixture(scope="module")
def weight():
    return np.random.default_rng(1).integers(0, 3, size=4000).astype(float)


def make_source(kind, X, weight):
    if kind == "array":
        return X
    if kind == "dask":
        da = pytest.importorskip("dask.array")
        from fastgmm.data import DaskRows

        # The first and last blocks are empty.
        blocks = da.concatenate([da.from_array(X[:0]), da.from_array(X, chunks=(700, 2)), da.from_array(X[:0])])
        return blocks if weight is None else DaskRows(blocks, weight)
    if weight is None:
        return batches(lambda: (X[start : start + 300] for start in range(0, 4000, 300)))
    return sliced(X, batch_rows=300, weights=weight)


@pytest.mark.parametrize("kind", ["array", "batches", "dask"])
def test_moments_are_those_of_the_rows(kind, X):
    mean, covariance = moments(make_source(kind, X, None))
    # Of rows about 1e8 with a deviation of about one, a mean is known to 1e-8 of that; the covariance is about it.
    assert_allclose(mean, X.mean(axis=0), rtol=1e-14, atol=1e-7)
    deviations = X - X.mean(axis=0)
    assert_allclose(covariance, deviations.T @ deviations / 4000, rtol=1e-9)


@pytest.mark.parametrize("kind", ["batches", "dask"])
def test_weights_are_repeated_rows(kind, X, weight):
    repeated = np.repeat(X, weight.astype(int), axis=0)
    found, expected = moments(make_source(kind, X, weight)), moments(repeated)
    assert_allclose(found[0], expected[0], rtol=1e-12)
    assert_allclose(found[1], expected[1], rtol=1e-9)


@pytest.mark.parametrize("kind", ["array", "batches", "dask"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_standardised_columns_have_mean_0_and_variance_1(kind, dtype, X):
    rows = (X - [1e8, 0, 0]).astype(dtype)
    standard = standardise(make_source(kind, rows, None))
    blocks = np.concatenate(list(standard.rows.blocks()))
    assert blocks.dtype == dtype
    tolerance = 10.0 * np.finfo(dtype).eps
    # The third mean is thousands of deviations from zero, of which float32 keeps so many digits.
    assert_allclose(blocks.mean(axis=0, dtype=float), 0.0, atol=1e4 * tolerance)
    assert_allclose(blocks.std(axis=0, dtype=float), 1.0, rtol=1e4 * tolerance)
    # In deviations. A kernel adds some thousand rows of float32 in their precision; in float64, a mean of 5 at a
    # deviation of 0.001 has lost four digits to begin with.
    bound = tolerance if dtype == np.float32 else 1e4 * tolerance
    assert_allclose((standard.shift - rows.mean(axis=0, dtype=float)) / standard.scale, 0.0, atol=bound)


@pytest.mark.parametrize("kind", ["batches", "dask"])
def test_a_fit_of_standardised_rows_is_that_of_the_array(kind, X, weight):
    standard = standardise(make_source(kind, X, weight))
    model = GaussianMixture(2, random_state=0, tol=1e-6).fit(standard.rows)
    rows = (X - standard.shift) / standard.scale
    expected = GaussianMixture(2, random_state=0, tol=1e-6).fit(rows, sample_weight=weight)
    assert_allclose(model.means_, expected.means_, rtol=1e-10, atol=1e-10)
    assert_allclose(model.score(standard.rows), expected.score(rows, sample_weight=weight), rtol=1e-10)


def test_other_rows_are_brought_to_the_same_units(X):
    passes = []

    def factory():
        passes.append(1)
        yield X[:100]

    standard = standardise(make_source("batches", X, None))
    other = standardise(batches(factory), like=standard)
    assert not passes
    assert_array_equal(next(other.rows.blocks()), (X[:100] - standard.shift) / standard.scale)
    with pytest.raises(ValueError, match="has 2 features; expected 3, those of like"):
        standardise(make_source("dask", X[:, :2], None), like=standard)


def test_a_constant_column_is_named(X):
    constant = np.where(np.arange(3) == 1, 7.0, X)
    for kind in ("array", "batches", "dask"):
        with pytest.raises(ValueError, match=r"column 1 of X, .*, has the same value in every row; expected a spread"):
            standardise(make_source(kind, constant, None))
