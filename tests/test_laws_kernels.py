"""Laws of one pass, for mixtures, rows, weights and layouts that hypothesis draws."""

import numpy as np
import pytest
from conftest import ENGINES, running
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from strategies import cases, seeds, weights
from test_kernels import accumulate, assert_statistics, evaluate

from fastgmm.model import SufficientStatistics

pytestmark = pytest.mark.thread_unsafe(reason="the engine that runs is set for the whole process")

# Rounding of the rows' type times the terms of a distance; see tests/test_kernels.py. Spread-out means add to it: a
# distance of 30^2 terms of a hundred, and its exponential, lose as many units.
RTOL = {"float64": 1e-10, "float32": 2e-3}
engines = st.sampled_from(ENGINES)


def statistics_size(s):
    """Return what scatter, sums and log-likelihood are measured in."""
    diagonal = s.scatter if s.scatter.ndim < 2 or s.structure == "diag" else np.diagonal(s.scatter, axis1=-2, axis2=-1)
    return float(np.abs(diagonal).max(initial=0)) + 1e-300


def assert_same_statistics(a, b, rtol, total):
    size = statistics_size(b)
    assert_allclose(a.counts, b.counts, rtol=rtol, atol=rtol * total)
    assert_allclose(a.scatter, b.scatter, rtol=rtol, atol=rtol * size)
    assert_allclose(a.sums, b.sums, rtol=rtol, atol=rtol * np.sqrt(size * total))
    assert_allclose(a.log_likelihood, b.log_likelihood, rtol=rtol, atol=rtol * total)


@given(engines, cases(max_rows=120), st.data())
def test_a_pass_is_the_oracle(name, case, data):
    p, X = case
    weight = data.draw(st.none() | weights(len(X)))
    with running(name):
        assert_statistics(accumulate(X, weight, p), X, weight, p, RTOL[X.dtype.name])


@given(cases(), st.data())
def test_every_engine_and_instruction_set_agrees(case, data):
    p, X = case
    weight = data.draw(st.none() | weights(len(X)))
    total = float(len(X) if weight is None else weight.sum())
    found = []
    for name in ENGINES:
        with running(name):
            found.append((accumulate(X, weight, p), evaluate("log_density", X, p, np.empty(len(X), X.dtype))))
    for statistics, density in found[1:]:
        assert_same_statistics(statistics, found[0][0], RTOL[X.dtype.name], total)
        assert_allclose(density, found[0][1], rtol=RTOL[X.dtype.name], atol=RTOL[X.dtype.name])


@given(engines, cases(), st.data())
def test_statistics_of_parts_merge_to_those_of_the_whole(name, case, data):
    p, X = case
    cut = data.draw(st.integers(0, len(X)))
    with running(name):
        whole, first, second = (accumulate(part, None, p) for part in (X, X[:cut], X[cut:]))
    first.merge(SufficientStatistics.from_bytes(second.to_bytes()))
    assert_same_statistics(first, whole, RTOL[X.dtype.name], len(X))


@given(engines, cases(), seeds)
def test_the_order_of_rows_does_not_matter(name, case, seed):
    p, X = case
    order = np.random.default_rng(seed).permutation(len(X))
    with running(name):
        one, other = accumulate(X, None, p), accumulate(np.ascontiguousarray(X[order]), None, p)
        density = evaluate("log_density", X, p, np.empty(len(X), X.dtype))
        again = evaluate("log_density", np.ascontiguousarray(X[order]), p, np.empty(len(X), X.dtype))
    assert_same_statistics(other, one, RTOL[X.dtype.name], len(X))
    assert_allclose(again, density[order], rtol=RTOL[X.dtype.name])


@given(engines, cases(), seeds)
def test_the_order_of_components_does_not_matter(name, case, seed):
    p, X = case
    order = np.random.default_rng(seed).permutation(p.n_components)
    factor = p.precisions_cholesky if p.structure == "tied" else np.ascontiguousarray(p.precisions_cholesky[order])
    q = type(p)(p.structure, p.weights[order], p.means[order].copy(), p.covariances, factor)
    with running(name):
        one, other = accumulate(X, None, p), accumulate(X, None, q)
        shares = evaluate("responsibilities", X, p, np.empty((len(X), p.n_components), X.dtype))
        again = evaluate("responsibilities", X, q, np.empty((len(X), p.n_components), X.dtype))
    permuted = SufficientStatistics(
        p.structure,
        q.means,
        one.counts[order],
        one.sums[order],
        one.scatter if p.structure == "tied" else one.scatter[order],
        one.log_likelihood,
    )
    assert_same_statistics(other, permuted, RTOL[X.dtype.name], len(X))
    assert_allclose(again, shares[:, order], rtol=RTOL[X.dtype.name], atol=RTOL[X.dtype.name])


@given(engines, cases())
def test_responsibilities_sum_to_one_and_densities_are_logsumexp(name, case):
    p, X = case
    eps = np.finfo(X.dtype).eps
    with running(name):
        shares = evaluate("responsibilities", X, p, np.empty((len(X), p.n_components), X.dtype))
        density = evaluate("log_density", X, p, np.empty(len(X), X.dtype))
        chosen = evaluate("assign", X, p, np.empty(len(X), np.int64))
        separate = np.empty((len(X), p.n_components), X.dtype)
        for k in range(p.n_components):
            alone = type(p)(
                p.structure,
                p.weights[k : k + 1],
                p.means[k : k + 1].copy(),
                p.covariances,
                p.precisions_cholesky if p.structure == "tied" else p.precisions_cholesky[k : k + 1].copy(),
            )
            separate[:, k] = evaluate("log_density", X, alone, np.empty(len(X), X.dtype))
    assert shares.min() >= 0
    assert_allclose(shares.sum(axis=1), 1, rtol=4 * (p.n_components + 4) * eps)
    rtol = RTOL[X.dtype.name]
    assert_allclose(density, np.logaddexp.reduce(separate.astype(float), axis=1), rtol=rtol, atol=rtol)
    rows = np.arange(len(X))
    assert_allclose(shares[rows, chosen], shares.max(axis=1), rtol=rtol)
    assert_allclose(np.exp(separate - density[:, None].astype(float)), shares, rtol=rtol, atol=rtol * 10)


@given(engines, cases(), st.data())
def test_a_whole_weight_is_a_repeated_row(name, case, data):
    p, X = case
    weight = data.draw(weights(len(X), whole=True))
    with running(name):
        weighted = accumulate(X, weight.astype(float), p)
        repeated = accumulate(np.repeat(X, weight, axis=0), None, p)
    assert_same_statistics(weighted, repeated, RTOL[X.dtype.name], float(weight.sum()))


@given(engines, cases(max_rows=5000), st.integers(2, 7))
def test_threads_give_the_same_bits(name, case, n_threads):
    p, X = case
    assume(not name.startswith("numba"))  # tests/test_kernels.py has it; here compiled passes on many sizes
    with running(name):
        one, many = accumulate(X, None, p), accumulate(X, None, p, n_threads)
    for part in ("counts", "sums", "scatter", "log_likelihood"):
        assert_array_equal(getattr(many, part), getattr(one, part))
