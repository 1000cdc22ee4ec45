"""The interface of an engine whose passes are functions of Python: it checks their arguments, and they trust them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastgmm.kernels import seeding
from fastgmm.kernels.actions import LOW_RANK, LOW_RANK_ACTIONS, PLAIN_LOW_RANK_ACTIONS, shapes_of

__all__ = ["PythonEngine"]


def _rows(X) -> tuple[int, int]:
    """Check rows; return their number and that of the features."""
    if not isinstance(X, np.ndarray):
        raise TypeError(f"X is a {type(X).__name__}; expected a NumPy array of float32 or float64")
    if X.dtype != np.float64 and X.dtype != np.float32:
        raise TypeError(f"X has dtype {X.dtype}; expected float32 or float64")
    if X.ndim != 2 or not X.flags.c_contiguous or not X.flags.aligned:
        raise ValueError(f"X has shape {X.shape}; expected a C-contiguous array of two dimensions, aligned")
    if X.shape[1] == 0:
        raise ValueError("X has no features; expected at least one column")
    return X.shape


def _values(array, name, shape, dtype=np.float64, *, written=False) -> np.ndarray:
    """Return an array with as many values of `dtype` as `shape` has, in that shape and as an ndarray proper."""
    size = math.prod(shape)
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} is a {type(array).__name__}; expected a NumPy array of {np.dtype(dtype)}")
    if array.dtype != dtype or not array.flags.c_contiguous or array.size != size:
        raise ValueError(
            f"{name} has dtype {array.dtype} and shape {array.shape}; expected {size} C-contiguous {np.dtype(dtype)} "
            "values"
        )
    if written and not array.flags.writeable:
        raise ValueError(f"{name} is read-only; expected a writeable array")
    return np.asarray(array).reshape(shape)


def _sizes(array, name) -> tuple[int, int]:
    """Return the sizes of an array of a row per component."""
    if np.ndim(array) != 2:
        raise ValueError(f"{name} has shape {np.shape(array)}; expected (n_components, n_features)")
    return array.shape


def _weight(sample_weight, n_samples):
    return None if sample_weight is None else _values(sample_weight, "sample_weight", (n_samples,))


def _matrices_shape(shape, k, d) -> tuple[int, ...]:
    kind, _, n_factors = shape.partition(":")
    if kind == LOW_RANK:
        return (k, d, int(n_factors) + 1)
    return {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}[shape]


def _statistics(shape, sizes, counts, sums, scatter) -> tuple[np.ndarray, ...]:
    k, d = sizes
    return (
        _values(counts, "counts", (k,), written=True),
        _values(sums, "sums", (k, d), written=True),
        _values(scatter, "scatter", _matrices_shape(shape, k, d), written=True),
    )


class _Mixture:
    """The parameters of a mixture, checked once: its passes check their rows and what they write to.

    Attributes
    ----------
    shape : str
    log_offset, means, factor : ndarray
    tail : object with a name, or None
    """

    def __init__(self, passes, shape, log_offset, means, precisions_cholesky, tail) -> None:
        k, d = _sizes(means, "means")
        self._passes = passes
        self.shape = shape
        self.log_offset = _values(log_offset, "log_offset", (k,))
        self.means = _values(means, "means", (k, d))
        self.factor = _values(precisions_cholesky, "precisions_cholesky", _matrices_shape(shape, k, d))
        self.tail = tail
        if tail is not None:
            _values(tail.degrees_of_freedom, "degrees_of_freedom", (k,))

    def _n_rows(self, X) -> int:
        n, d = _rows(X)
        if d != self.means.shape[1]:
            raise ValueError(f"X has {d} features; expected {self.means.shape[1]}, as means has")
        return n

    def accumulate(self, X, sample_weight, counts, sums, scatter, n_threads, tail_sums=None, leading=None) -> float:
        """Add one pass to the statistics, in place; return the log-likelihood. `leading` is left as it is."""
        n, n_threads = self._n_rows(X), operator.index(n_threads)
        statistics = _statistics(self.shape, self.means.shape, counts, sums, scatter)
        sample_weight = _weight(sample_weight, n)
        tails = () if self.tail is None else (_values(tail_sums, "tail_sums", (2, len(self.means)), written=True),)
        if n == 0 or len(self.means) == 0:
            return 0.0
        return self._passes["accumulate"](self, X, sample_weight, *statistics, n_threads, *tails)

    def _per_row(self, action, X, out, dtype, n_columns, n_threads) -> None:
        n, n_threads = self._n_rows(X), operator.index(n_threads)
        out = _values(out, "out", (n, n_columns), dtype or X.dtype, written=True)
        if n and len(self.means):
            self._passes[action](self, X, out, n_threads)

    def log_density(self, X, out, n_threads) -> None:
        """Write the log density of each row."""
        self._per_row("log_density", X, out, None, 1, n_threads)

    def responsibilities(self, X, out, n_threads) -> None:
        """Write the posterior probabilities of each row."""
        self._per_row("responsibilities", X, out, None, len(self.means), n_threads)

    def assign(self, X, out, n_threads) -> None:
        """Write the most probable component of each row."""
        self._per_row("assign", X, out, np.int64, 1, n_threads)


class PythonEngine:
    """An engine over passes in Python; see `fastgmm.kernels` for its methods.

    Parameters
    ----------
    name : str
    isa : str
        What passes are compiled for.
    passes : mapping of str to callable
        By action, with checked arguments; `choose_centres` comes by itself of `update_distances` and
        `candidate_potentials`. Actions that are not there are declined.
    shapes : sequence of str
        Of covariances that the passes know.
    tails : sequence of str
        Of components, beside Gaussian ones.
    """

    def __init__(self, name: str, isa: str, passes: Mapping[str, Callable[..., Any]], shapes, tails=()) -> None:
        self.name = name
        self._isa = isa
        self._passes = passes
        self._shapes = (None, *shapes)
        self._tails = (None, *tails)

    def available_isas(self) -> list[str]:
        """Return the one there is."""
        return [self._isa]

    def describe(self) -> dict[str, Any]:
        """Return what runs; threads, if any, come from Python, not from OpenMP."""
        return {"engine": self.name, "isa": self._isa, "available_isas": [self._isa], "openmp": False}

    def supports(self, action, shape=None, tail=None) -> bool:
        """Return whether this engine runs `action` on covariances of `shape` and components with `tail`."""
        has_action = action in self._passes or action == "choose_centres"
        kind = None if shape is None else shape.partition(":")[0]
        with_factors = (*LOW_RANK_ACTIONS, *PLAIN_LOW_RANK_ACTIONS)
        takes = action in with_factors if kind == LOW_RANK else kind in shapes_of(action)
        return has_action and takes and kind in self._shapes and tail in self._tails

    def Mixture(self, shape, log_offset, means, precisions_cholesky, tail=None) -> _Mixture:
        """Return the parameters of a mixture, checked."""
        return _Mixture(self._passes, shape, log_offset, means, precisions_cholesky, tail)

    def accumulate_labels(self, shape, X, sample_weight, labels, centres, counts, sums, scatter, n_threads) -> None:
        """Add rows, owned by the component that their label names, to the statistics, in place."""
        (n, d), k, n_threads = _rows(X), len(centres), operator.index(n_threads)
        centres, labels = _values(centres, "centres", (k, d)), _values(labels, "labels", (n,), np.int64)
        statistics = _statistics(shape, (k, d), counts, sums, scatter)
        sample_weight = _weight(sample_weight, n)
        if n and k:
            self._passes["accumulate_labels"](shape, X, sample_weight, labels, centres, *statistics, n_threads)

    def _measured(self, log_weights, means, covariances, X, errors) -> tuple[np.ndarray, ...]:
        """Return what passes over rows with errors read, checked."""
        (n, d), k = _rows(X), len(means)
        shape = "diag" if covariances.ndim == 2 else "full"
        if errors is not None:
            own = (n, d, d) if shape == "full" and errors.ndim == 3 else (n, d)
            errors = _values(errors, "errors", own, X.dtype)
        return (
            _values(log_weights, "log_weights", (k,)),
            _values(means, "means", (k, d)),
            _values(covariances, "covariances", _matrices_shape(shape, k, d)),
            X,
            errors,
        )

    def accumulate_with_errors(
        self,
        log_weights,
        means,
        covariances,
        X,
        errors,
        sample_weight,
        labels,
        counts,
        sums,
        scatter,
        n_threads,
        other=None,
        tail=None,
        tail_sums=None,
    ) -> float:
        """Add one pass over rows with errors to the statistics, in place; return the log-likelihood."""
        n_threads = operator.index(n_threads)
        measured = self._measured(log_weights, means, covariances, X, errors)
        counts = _values(counts, "counts", (len(means) + (other is not None),), written=True)
        shape = "diag" if covariances.ndim == 2 else "full"
        statistics = counts, *_statistics(shape, means.shape, counts[: len(means)], sums, scatter)[1:]
        further = _further(other, tail, X, means), tail_sums
        labels = None if labels is None else _values(labels, "labels", (len(X),), np.int64)
        sample_weight = _weight(sample_weight, len(X))
        if len(X) == 0 or len(means) == 0:
            return 0.0
        run = self._passes["accumulate_with_errors"]
        return run(*measured, sample_weight, labels, *statistics, n_threads, *further[0], further[1])

    def answer_with_errors(
        self, question, log_weights, means, covariances, X, errors, out, n_threads, other=None, tail=None
    ) -> None:
        """Write what a question about each row with errors is answered."""
        n_threads = operator.index(n_threads)
        measured = self._measured(log_weights, means, covariances, X, errors)
        n_columns = len(means) + (other is not None) if question == "responsibilities" else 1
        out = _values(out, "out", (len(X), n_columns), np.int64 if question == "assign" else X.dtype, written=True)
        if len(X) and len(means):
            further = _further(other, tail, X, means)
            self._passes["answer_with_errors"](question, *measured, out, n_threads, *further)

    def assign_nearest(self, X, sample_weight, centres, labels, counts, sums, n_threads) -> float:
        """Run one Lloyd pass; return the inertia."""
        (n, d), k, n_threads = _rows(X), len(centres), operator.index(n_threads)
        centres, labels = _values(centres, "centres", (k, d)), _values(labels, "labels", (n,), np.int64, written=True)
        counts, sums = _values(counts, "counts", (k,), written=True), _values(sums, "sums", (k, d), written=True)
        sample_weight = _weight(sample_weight, n)
        if n == 0 or k == 0:
            return 0.0
        return self._passes["assign_nearest"](X, sample_weight, centres, labels, counts, sums, n_threads)

    def candidate_potentials(self, X, sample_weight, candidates, distances, potentials, n_threads) -> None:
        """Write the potential that each candidate would give."""
        (n, d), k, n_threads = _rows(X), len(candidates), operator.index(n_threads)
        candidates = _values(candidates, "candidates", (k, d))
        potentials = _values(potentials, "potentials", (k,), written=True)
        sample_weight, distances = _weight(sample_weight, n), _values(distances, "distances", (n,), X.dtype)
        potentials[:] = 0.0
        if n and k:
            self._passes["candidate_potentials"](X, sample_weight, candidates, distances, potentials, n_threads)

    def update_distances(self, X, centre, distances, n_threads) -> None:
        """Lower the distances to those to `centre`, in place."""
        (n, d), n_threads = _rows(X), operator.index(n_threads)
        centre = _values(centre, "centre", (1, d))
        distances = _values(distances, "distances", (n,), X.dtype, written=True)
        if n:
            self._passes["update_distances"](X, centre, distances, n_threads)

    def choose_centres(
        self, X, sample_weight, positions, n_greedy, n_candidates, n_swaps, distances, chosen, n_threads
    ) -> None:
        """Choose rows far from each other by k-means++, and exchange them where that is better."""
        (n, _), k, n_threads = _rows(X), len(chosen), operator.index(n_threads)
        if n == 0 or n_candidates < 1:
            raise ValueError(f"X has {n} rows and n_candidates is {n_candidates}; expected one or more of both")
        n_drawn = k + max(0, min(n_greedy, k) - 1) * (n_candidates - 1) + n_swaps
        positions, sample_weight = _values(positions, "positions", (n_drawn,)), _weight(sample_weight, n)
        distances = _values(distances, "distances", (n,), X.dtype, written=True)
        chosen = _values(chosen, "chosen", (k,), np.int64, written=True)
        seeding.choose_centres(
            self._passes, X, sample_weight, positions, n_greedy, n_candidates, n_swaps, distances, chosen, n_threads
        )

    def factorise_precisions(self, covariances, precisions_cholesky, n_threads) -> int:
        """Write factors of the inverses; return the index of the first matrix that has none, or -1."""
        operator.index(n_threads)  # serial: the answer is the same
        k, d = covariances.shape[:2]
        covariances = _values(covariances, "covariances", (k, d, d))
        factors = _values(precisions_cholesky, "precisions_cholesky", (k, d, d), written=True)
        return self._passes["factorise_precisions"](covariances, factors)

    def estimate(
        self,
        shape,
        centres,
        counts,
        sums,
        scatter,
        reg_covar,
        count_floor,
        weights,
        means,
        covariances,
        precisions_cholesky,
        log_offset,
        n_threads,
    ) -> bool:
        """Write the parameters that the statistics give; return whether they exist."""
        operator.index(n_threads)
        k, d = _sizes(centres, "centres")
        matrices = _matrices_shape(shape, k, d)
        given = (
            _values(centres, "centres", (k, d)),
            _values(counts, "counts", (k,)),
            _values(sums, "sums", (k, d)),
            _values(scatter, "scatter", matrices),
        )
        written = (
            _values(weights, "weights", (k,), written=True),
            _values(means, "means", (k, d), written=True),
            _values(covariances, "covariances", matrices, written=True),
            _values(precisions_cholesky, "precisions_cholesky", matrices, written=True),
            _values(log_offset, "log_offset", (k,), written=True),
        )
        return self._passes["estimate"](shape, given, float(reg_covar), float(count_floor), written)

    def merge(
        self, shape, counts, means, matrices, floor, extra_count, entropy, shared, n_groups, labels, n_threads
    ) -> None:
        """Merge groups in place; see `fastgmm.kernels.merge`."""
        operator.index(n_threads)
        n, d = _sizes(means, "means")
        if not 1 <= n_groups <= n:
            raise ValueError(f"n_groups is {n_groups}; expected 1 to {n}, the number of groups to merge")
        # One form for all shapes: variances are a matrix of one row.
        one = (d, d) if shape == "full" else (1, d if shape == "diag" else 1)
        self._passes["merge"](
            _values(counts, "counts", (n,), written=True),
            _values(means, "means", (n, d), written=True),
            _values(matrices, "matrices", (n, *one), written=True),
            _values(floor, "floor", one),
            float(extra_count),
            float(entropy),
            bool(shared),
            int(n_groups),
            _values(labels, "labels", (n,), np.int64, written=True),
        )

    def accumulate_truncated(
        self,
        mixture,
        X,
        sample_weight,
        neighbors,
        candidates,
        n_random,
        seed,
        first_row,
        counts,
        sums,
        scatter,
        n_threads,
        turn=0,
        n_turns=1,
    ) -> tuple[float, int]:
        """Ask a few components of each row; see `fastgmm.kernels`."""
        operator.index(n_threads)
        n, k = mixture._n_rows(X), len(mixture.means)
        neighbors = _values(neighbors, "neighbors", np.shape(neighbors), np.int32)
        candidates = _values(candidates, "candidates", (n, *np.shape(candidates)[1:]), np.int32, written=True)
        for name, numbers in (("neighbors", neighbors), ("candidates", candidates)):
            if numbers.size and numbers.max() >= k:
                raise ValueError(f"{name} has {numbers.max()}; expected components below {k}")
        given = None
        if counts is not None:
            given = _statistics(mixture.shape, mixture.means.shape, counts, sums, scatter)
        sample_weight = _weight(sample_weight, n)
        return self._passes["accumulate_truncated"](
            mixture, X, sample_weight, neighbors, candidates, n_random, seed, first_row, given, turn, n_turns
        )

    def refine_neighbors(self, mixture, old, neighbors, n_random, seed, n_threads) -> None:
        """Write the components near each one; see `fastgmm.kernels`."""
        operator.index(n_threads)
        shape = (len(mixture.means), np.shape(neighbors)[1])
        old = _values(old, "old", shape, np.int32)
        neighbors = _values(neighbors, "neighbors", shape, np.int32, written=True)
        self._passes["refine_neighbors"](mixture, old, neighbors, n_random, seed)


def _further(other, tail, X, means):
    """Return the log density of what is no component, and what a tail has beside it, checked."""
    (n, d), k = X.shape, len(means)
    if tail is not None:
        tail = _values(tail[0], "degrees_of_freedom", (k,)), _values(tail[1], "tail_terms", (2, k, d + 1))
    return None if other is None else _values(other, "other", (n,)), tail
