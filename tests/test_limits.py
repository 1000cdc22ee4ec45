"""Sizes at the ends of their ranges: indices past 2^31, a thousand features, ten thousand components, one row."""

import ctypes
import mmap
import os
from contextlib import ExitStack, contextmanager, suppress

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastgmm
from fastgmm import GaussianMixture, kernels
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.model import MixtureParameters, SufficientStatistics

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# Of one piece of memory that stands for many.
PIECE_BYTES = 1 << 26


@contextmanager
def zeros_of_little_memory(shape, dtype):
    """Yield zeros of any size: the same 64 MB, mapped one after the other; what is written to the last stays there."""
    size = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
    n_pieces = -(-size // PIECE_BYTES)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    file = os.memfd_create("zeros")
    os.ftruncate(file, PIECE_BYTES)
    fixed, no_access = 0x10, 0
    base = libc.mmap(None, n_pieces * PIECE_BYTES, no_access, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    try:
        for piece in range(n_pieces):
            kind = mmap.MAP_PRIVATE if piece == n_pieces - 1 else mmap.MAP_SHARED
            at = base + piece * PIECE_BYTES
            assert libc.mmap(at, PIECE_BYTES, mmap.PROT_READ | mmap.PROT_WRITE, kind | fixed, file, 0) == at
        content = (ctypes.c_byte * size).from_address(base)
        yield np.frombuffer(content, dtype=dtype).reshape(shape)
    finally:
        libc.munmap(base, n_pieces * PIECE_BYTES)
        os.close(file)


def spherical(n_components, n_features, rng):
    means = rng.normal(size=(n_components, n_features))
    variances = rng.uniform(0.5, 2.0, size=n_components)
    weights = np.full(n_components, 1 / n_components)
    return MixtureParameters("spherical", weights, means, variances, 1 / np.sqrt(variances))


def test_rows_past_two_to_the_31_numbers():
    """n_samples n_features is 1.05 2^31: the last rows are where a 32-bit index would not reach."""
    n_features = 16_411
    n_samples = int(1.05 * 2**31 / n_features)
    with zeros_of_little_memory((n_samples, n_features), np.float32) as X:
        assert X.size > 2**31
        rng = np.random.default_rng(0)
        p = spherical(2, n_features, rng)
        X[-5:] = rng.normal(size=(5, n_features)) + p.means[1]
        density = kernels.log_density(X, p, np.empty(n_samples, np.float32))
        away = ((X[-6:, None].astype(float) - p.means) * p.precisions_cholesky[:, None]) ** 2
        expected = np.logaddexp.reduce(p.log_offset - 0.5 * away.sum(axis=2), axis=1)
        assert_allclose(density[-6:], expected, rtol=1e-4)
        assert_array_equal(density[:-5], density[0])
        labels = np.full(n_samples, -1)
        labels[-5:] = 1
        s = SufficientStatistics.zeros("spherical", p.means)
        kernels.accumulate_labels(X, None, labels, s)
        assert_allclose(s.sums[1], (X[-5:] - p.means[1]).sum(axis=0), rtol=1e-3, atol=1e-3)
        assert_array_equal(s.counts, [0, 5])


def test_byte_offsets_past_two_to_the_31_in_doubles():
    n_features = 32_768
    n_samples = 2**28 // n_features + 3  # 2^31 bytes, and a little
    centres = np.zeros((2, n_features))
    centres[1] = 1.0
    labels, counts, sums = np.empty(n_samples, np.int64), np.zeros(2), np.zeros((2, n_features))
    model = GaussianMixture.from_parameters([0.5, 0.5], centres, np.ones(2), covariance_type="spherical")
    with zeros_of_little_memory((n_samples, n_features), np.float64) as X:
        X[-2:] = 1.0
        assert kernels.assign_nearest(X, None, centres, labels, counts, sums) == 0
        density = model.score_samples(X)
    assert_array_equal(counts, [n_samples - 2, 2])
    assert_array_equal(np.flatnonzero(labels), [n_samples - 2, n_samples - 1])
    assert_array_equal(density, density[0])


def test_responsibilities_past_two_to_the_31():
    """n_samples n_components is 1.02 2^31: the last rows of `out` are where a 32-bit index would not reach."""
    n_components = 10_000
    n_samples = int(1.02 * 2**31 / n_components)
    p = spherical(n_components, 1, np.random.default_rng(0))
    X = np.zeros((n_samples, 1), np.float32)
    X[-3:, 0] = [0.5, -1.0, 2.0]
    with zeros_of_little_memory((n_samples, n_components), np.float32) as shares:
        assert shares.size > 2**31
        kernels.responsibilities(X, p, shares)
        log_joint = p.log_offset - 0.5 * ((X[-4:].astype(float) - p.means.T) * p.precisions_cholesky) ** 2
        expected = np.exp(log_joint - np.logaddexp.reduce(log_joint, axis=1)[:, None])
        assert_allclose(shares[-4:], expected, rtol=2e-3, atol=1e-9)


# Bytes, or numbers, of all matrices past 2^31.
large_sizes = pytest.mark.parametrize(
    "size",
    [
        2**28,
        pytest.param(
            2**31,
            marks=pytest.mark.skipif(
                "FASTGMM_TEST_LARGE" not in os.environ, reason="18 GB, a minute: FASTGMM_TEST_LARGE=1 runs it"
            ),
        ),
    ],
)


@large_sizes
def test_many_large_covariances(size):
    """The M-step; all components are empty but the last two."""
    n_features = 16
    n_components = int(1.02 * size / n_features**2)
    matrices = (n_components, n_features, n_features)
    rng = np.random.default_rng(1)
    with ExitStack() as stack:
        scatter, covariances, factors = (
            stack.enter_context(zeros_of_little_memory(matrices, np.float64)) for _ in range(3)
        )
        centres, sums, means = (stack.enter_context(zeros_of_little_memory(matrices[:2], np.float64)) for _ in range(3))
        counts, weights, log_offset = (np.zeros(n_components) for _ in range(3))
        assert scatter.size > size
        rows = rng.normal(size=(2, 40, n_features))
        counts[-2:] = 40
        centres[-2:] = 1.0
        sums[-2:] = (rows - 1.0).sum(axis=1)
        scatter[-2:] = np.einsum("kni,knj->kij", rows - 1.0, rows - 1.0)
        s = SufficientStatistics("full", centres, counts, sums, scatter)
        with fastgmm.config_context(n_threads=1):  # components share memory here
            assert kernels.estimate(s, 1e-3, 1e-12, weights, means, covariances, factors, log_offset)
        assert_allclose(means[-2:], rows.mean(axis=1), rtol=1e-9)
        expected = [np.cov(part.T, bias=True) + 1e-3 * np.eye(n_features) for part in rows]
        assert_allclose(covariances[-2:], expected, rtol=1e-9, atol=1e-12)
        assert_allclose(factors[-2:] @ factors[-2:].swapaxes(1, 2) @ expected, [np.eye(n_features)] * 2, atol=1e-9)


@large_sizes
def test_many_large_precision_factors_and_scatters(size):
    n_features = 500
    n_components = int(1.02 * size / n_features**2)
    rng = np.random.default_rng(2)
    log_offset = np.full(n_components, -np.inf)
    log_offset[-1] = 0.0
    means = np.zeros((n_components, n_features))
    means[-1] = rng.normal(size=n_features)
    X = rng.normal(size=(5, n_features)).astype(np.float32)
    with zeros_of_little_memory((n_components, n_features, n_features), np.float64) as matrices:
        assert matrices.size > size
        matrices[-1] = np.triu(rng.normal(size=(n_features, n_features)))
        density = np.empty(5, np.float32)
        with fastgmm.config_context(n_threads=1):
            kernels.log_density(X, kernels.BoundMixture("full", log_offset, means, matrices), density)
            assert_allclose(density, -0.5 * (((X - means[-1]) @ matrices[-1]) ** 2).sum(axis=1), rtol=1e-4)
            matrices[-1] = 0.0
            s = SufficientStatistics("full", means, np.zeros(n_components), np.zeros_like(means), matrices)
            kernels.accumulate_labels(X, None, np.full(5, n_components - 1), s)
        away = X - means[-1]
        assert_allclose(matrices[-1], away.T @ away, rtol=0, atol=1e-3)


@pytest.mark.filterwarnings("ignore::fastgmm.exceptions.RegularisationWarning")
def test_a_thousand_features():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(1300, 1000))
    X[::2, 0] += 40
    model = GaussianMixture(2, init_params=(np.arange(1300) % 2), max_iter=1, reg_covar=1e-2).fit(X)
    for k in range(2):
        rows = X[k::2]
        expected = np.cov(rows.T, bias=True) + 1e-2 * np.eye(1000)
        # Responsibilities are one or zero to rounding; a sum of 650 products of about one.
        assert_allclose(model.covariances_[k], expected, rtol=0, atol=1e-12)
    assert_array_equal(model.predict(X), np.arange(1300) % 2)


def test_ten_thousand_components():
    rng = np.random.default_rng(2)
    centres = rng.permutation(10_000)[:, None] * np.array([[3.0, -2.0]])
    X = np.repeat(centres, 3, axis=0) + rng.normal(size=(30_000, 2)) * 0.1
    labels = np.repeat(np.arange(10_000), 3)
    model = GaussianMixture(10_000, covariance_type="spherical", init_params=labels, max_iter=2, reg_covar=1e-4).fit(X)
    assert_allclose(model.means_, X.reshape(10_000, 3, 2).mean(axis=1), rtol=1e-9)
    assert_array_equal(model.predict(X), labels)
    assert_allclose(model.predict_proba(X[:50]).sum(axis=1), 1, rtol=1e-12)


def test_one_row(structure):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(200, 3))
    model = GaussianMixture(2, covariance_type=structure, random_state=0).fit(X)
    whole = {name: getattr(model, name)(X) for name in ("predict", "predict_proba", "score_samples")}
    for n in (0, 117):
        for name, values in whole.items():
            assert_allclose(getattr(model, name)(X[n : n + 1])[0], values[n], rtol=1e-12, atol=1e-14)
    assert model.partial_fit(X[:1]).n_samples_seen_ == 201
    with pytest.raises(ValueError, match=r"1 sample"):
        GaussianMixture(1, covariance_type=structure).fit(X[:1])


def test_all_rows_equal(structure):
    X = np.full((50, 3), 7.25)
    model = GaussianMixture(1, covariance_type=structure).fit(X)
    assert_array_equal(model.means_, X[:1])
    variances = np.diagonal(model.covariances_, axis1=-2, axis2=-1) if structure in ("full", "tied") else None
    assert_allclose(model.covariances_ if variances is None else variances, 1e-6, rtol=1e-9)
    with pytest.raises(ComponentCollapseError, match=r"component|shared"):
        GaussianMixture(1, covariance_type=structure, reg_covar=0).fit(X)


@pytest.mark.parametrize("value", [1e150, -1e300, 1.7e308])
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random_from_data"])
def test_one_huge_row_gives_a_finite_model(structure, value, init_params):
    X = np.random.default_rng(4).normal(size=(300, 2))
    X[7] = value
    model = GaussianMixture(3, covariance_type=structure, init_params=init_params, random_state=0)
    # No double holds the variance of such a row and of an ordinary one together.
    with suppress(ComponentCollapseError):
        model.fit(X)
    if not hasattr(model, "means_"):
        return
    for part in (model.weights_, model.means_, model.covariances_):
        assert np.isfinite(part).all()
    shares = model.predict_proba(X)
    assert np.isfinite(shares).all()
    assert_allclose(shares.sum(axis=1), 1, rtol=1e-12)
    assert not np.isnan(model.score_samples(X)).any()


def test_denormal_rows(structure):
    X = np.random.default_rng(5).normal(size=(300, 2)) * 1e-310
    model = GaussianMixture(2, covariance_type=structure, random_state=0).fit(X)
    assert np.isfinite(model.score_samples(X)).all()
