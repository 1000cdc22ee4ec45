"""The O(N) work: a compiled, a Numba and a plain NumPy engine behind one interface.

Actions
-------
A mixture is bound to an engine by ``Mixture(shape, log_offset, means, precisions_cholesky, tail)``, which checks the
parameters once. It has four passes over rows:

``accumulate(X, sample_weight, counts, sums, scatter, n_threads, tail_sums, leading)``
    One fused pass: responsibilities, added to the statistics in place, taken about `means`. Returns the total
    weighted log-likelihood in nats. The last two are None unless given: `tail_sums` where components have a tail, and
    `leading` (N,), int32: a component near each row, negative for none. An engine may look for those that matter to a
    row from there, and write which was the most probable. The answer is the same without, up to rounding.
``log_density(X, out, n_threads)``
    ``out[n] = logsumexp_k(log_offset[k] - 0.5 |(X[n] - means[k]) U[k]|^2)``.
``responsibilities(X, out, n_threads)``
    ``out[n, k]``: posterior probability of component k; rows sum to one.
``assign(X, out, n_threads)``
    ``out[n]`` (int64): most probable component, the lowest index among equals.

The other actions are functions of the engine:

``accumulate_labels(shape, X, sample_weight, labels, centres, counts, sums, scatter, n_threads)``
    The statistics of hard memberships, about `centres`; a negative label leaves the row out. Labels are int64.
``assign_nearest(X, sample_weight, centres, labels, counts, sums, n_threads)``
    One Lloyd pass: ``labels[n]`` (int64) the nearest centre; counts and sums about it are added in place. Returns
    the weighted sum of squared distances.
``candidate_potentials(X, sample_weight, candidates, distances, potentials, n_threads)``
    ``potentials[j] = sum_n w[n] min(distances[n], |X[n] - candidates[j]|^2)``, written.
``update_distances(X, centre, distances, n_threads)``
    ``distances[n] = min(distances[n], |X[n] - centre|^2)`` in place, `centre` of shape (n_features,).
``choose_centres(X, sample_weight, positions, n_greedy, n_candidates, n_swaps, distances, chosen, n_threads)``
    k-means++: ``chosen[k]`` (int64) written, the k-th row drawn by weight times distance from those before it. For k in
    1 to `n_greedy` - 1 it is the best of `n_candidates`. `positions` in [0, 1) say where in the cumulative weight the
    rows drawn lie, in order. Then `n_swaps` more are drawn alike, and each takes the place of a centre where that
    lowers the cost by a quarter of a cluster's share; ``8 + K`` in a row that do not end it. `distances` are in
    the end those to the nearest centre.
``estimate(shape, centres, counts, sums, scatter, reg_covar, count_floor, weights, ..., log_offset, n_threads)``
    The M-step where every covariance is free: weights, means, covariances, precisions_cholesky and log_offset are
    written. Returns whether the estimate exists; where it does not, what was written means nothing.
``merge(shape, counts, means, matrices, floor, extra_count, entropy, shared, n_groups, labels, n_threads)``
    Gaussian groups merged greedily, in place; see `merge`. Not of the shape tied.
``accumulate_with_errors(log_weights, means, covariances, X, errors, sample_weight, labels, counts, ..., n_threads)``
    One pass over rows measured with normal errors: `errors` are the variances of each row (N, D) or their covariances
    (N, D, D), in the dtype of X; where a variance is infinite, nothing was measured, whatever X has there. With
    ``T = covariances[k] + errors[n]`` and ``g = T^-1 (X[n] - means[k])``, both over what was measured and zero
    elsewhere, it adds r to counts, ``r g`` to sums and ``r (g g^T - T^-1)`` to scatter, in place, and returns the total
    weighted log-likelihood of what was measured. ``labels[n]`` (int64), if given, confines a row to its component
    unless it is negative. Covariances are (K, D, D), or (K, D) with errors (N, D); scatter has the same shape.
    Without errors, None, what is NaN is missing, and rows are completed by what is expected of it: ``r E[x - mean]``
    is added to sums and ``r E[(x - mean) (x - mean)^T]`` to scatter. Each row may have a pattern of its own.
    Three more arguments, all of them None unless given: `other` (N,), the log density of what is no component, which
    has a share of its own and the last of the counts; `tail` of Student components, their degrees of freedom (K,) and
    a table (2, K, D + 1) of what the log normaliser and the expectation of log u have with so many features; and
    `tail_sums`, added to as in a pass over complete rows.
``answer_with_errors(question, log_weights, means, covariances, X, errors, out, n_threads)``
    'log_density', 'responsibilities' or 'assign' of such rows, written to `out`; `other` and `tail` as above.
``accumulate_truncated(mixture, X, sample_weight, neighbors, candidates, n_random, seed, first_row, counts, ...)``
    ``accumulate`` over few components: each row asks those in its line of `candidates` (int32, negative for none),
    those in their lines of `neighbors` (int32, (K, G)) and `n_random` drawn by `seed` and the row's number, counted
    from `first_row`. The best of them take their place, best first, and share the row; none of them would get less
    than e^-64 of what the best gets. Of `n_turns` turns, 1 by default, only those rows look for others whose best
    component c has ``c % n_turns == turn``; the rest share the candidates they have. Returns the log-likelihood of the
    candidates alone, which no later pass under the same parameters lowers, and how many densities were evaluated. With
    counts, sums and scatter None only the candidates are wanted, however little they would get.
``refine_neighbors(mixture, old, neighbors, n_random, seed, n_threads)``
    ``neighbors[k]`` written: the components that give the rows of component k the highest expected log density, of
    its neighbours in `old`, theirs, and some drawn. Its spread is taken as the same in all directions.
``fit_many(shape, X, first_rows, n_init, max_iter, tol, reg_covar, seed, weights, means, ..., outcomes, n_threads)``
    Many small fits, a thread to a problem; see `fit_many`. Of the compiled engine alone.
``factorise_precisions(covariances, precisions_cholesky, n_threads)``
    Upper triangular ``U[k]`` with ``inv(covariances[k]) = U[k] U[k]^T`` written; returns the index of the first
    matrix that is not positive definite, or -1.

Shapes are ``full`` (precisions_cholesky (K, D, D), scatter (K, D, D), both triangles), ``tied`` ((D, D), scatter
(D, D) summed over components), ``diag`` ((K, D)), ``spherical`` ((K,), scatter (K,) the traces). The four passes and,
of the plain engine, `accumulate_truncated` and `refine_neighbors` also take ``low_rank:q``, loadings of q factors and
noise ((K, D, q + 1), see `fastgmm.model.shapes.LowRank`), where scatter (K, D, q + 1) is its product with what expects
factors and, last, its diagonal. The tail is None for Gaussian
components, or an object with a `name` and what the density needs: a `StudentTail`.

Engines
-------
``supports(action, shape, tail)``
    Whether the engine runs the action. What it declines, the plain engine runs; `engine_for` tells. `ACTIONS` lists
    actions and shapes; the compiled engine declines none of them for Gaussian components. Those of `FURTHER_ACTIONS`
    have no Numba twin.
``describe()``
    What runs, as a dict: engine, isa, available_isas, openmp.

A new kernel is a function of the plain engine first. Once it is right it is compiled; Numba need not have it.

Contract
--------
X is C-contiguous float32 or float64 and may be read-only. `sample_weight` is None or float64 of shape (N,).
Parameters and statistics are C-contiguous float64 whatever the data; `out`, `distances` have the dtype of X.
A `log_offset` of -inf removes a component; a row to which every component gives no density has log-density -inf and
responsibilities 1/K. A responsibility below the floor (`RESPONSIBILITY_FLOOR`, tightened for rows far from every
component) contributes nothing. The result does not depend on `n_threads`. Shapes are the caller's duty; a wrapper
that allocates raises MemoryError.
"""

from __future__ import annotations

import numpy as np

from fastgmm import config
from fastgmm.kernels.actions import ACTIONS, FURTHER_ACTIONS, RESPONSIBILITY_FLOOR, STRUCTURES
from fastgmm.kernels.bound_mixture import BoundMixture, checked
from fastgmm.kernels.engines import engine_for, in_force
from fastgmm.kernels.tails import StudentTail

__all__ = [
    "ACTIONS",
    "FURTHER_ACTIONS",
    "RESPONSIBILITY_FLOOR",
    "STRUCTURES",
    "BoundMixture",
    "StudentTail",
    "accumulate",
    "accumulate_labels",
    "accumulate_truncated",
    "accumulate_with_errors",
    "answer_with_errors",
    "assign",
    "assign_nearest",
    "bind",
    "candidate_potentials",
    "choose_centres",
    "engine",
    "engine_for",
    "estimate",
    "factorise_precisions",
    "fit_many",
    "log_density",
    "merge",
    "refine_neighbors",
    "responsibilities",
    "update_distances",
]


def engine():
    """Return the engine that the settings ask for: the one named, or the best installed."""
    return in_force()


def bind(parameters) -> BoundMixture:
    """Return the parameters of a mixture checked once, for passes over many blocks.

    Parameters
    ----------
    parameters : object with structure, log_offset, means and precisions_cholesky
        As of a `MixtureParameters`; a `tail` is optional. One that is bound is returned as it is.
    """
    if hasattr(parameters, "on_engine"):
        return parameters
    return BoundMixture(
        parameters.structure,
        parameters.log_offset,
        parameters.means,
        parameters.precisions_cholesky,
        getattr(parameters, "tail", None),
    )


def accumulate(X, sample_weight, parameters, statistics, leading=None) -> None:
    """Add one pass over X under `parameters` to `statistics` (about ``parameters.means``), in place.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float32 or float64, C-contiguous
        The rows; they are not written to.
    sample_weight : ndarray of shape (n_samples,), float64, or None
        The weight of each row; None where all rows weigh one.
    parameters : MixtureParameters or BoundMixture
        The mixture that the rows are shared among.
    statistics : SufficientStatistics
        Mutated: counts, sums, scatter and log_likelihood are added to; tail_sums where components have a tail.
    leading : ndarray of shape (n_samples,), int32, or None
        Mutated: a component near each row, as the last pass left it; negative for none.
    """
    mixture, parts = checked("accumulate", parameters), (statistics.counts, statistics.sums, statistics.scatter)
    has_tail = getattr(parameters, "tail", None) is not None
    further = (statistics.tail_sums,) if has_tail else () if leading is None else (None, leading)
    statistics.log_likelihood += mixture.accumulate(X, sample_weight, *parts, config.n_threads(), *further)


def accumulate_labels(X, sample_weight, labels, statistics) -> None:
    """Add the rows of X, wholly owned by the component their label names, to `statistics`, in place.

    `labels` is int64 of shape (n_samples,); a negative label leaves its row out.
    """
    engine_for("accumulate_labels", statistics.structure).accumulate_labels(
        statistics.structure,
        X,
        sample_weight,
        labels,
        statistics.centres,
        statistics.counts,
        statistics.sums,
        statistics.scatter,
        config.n_threads(),
    )


def accumulate_with_errors(
    X, errors, sample_weight, labels, components, statistics, other=None, tail=None, counts=None
) -> None:
    """Add one pass over rows measured with errors (see the module's text) to `statistics`, in place.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float32 or float64, C-contiguous
        The rows; they are not written to.
    errors : ndarray of shape (n_samples, n_features) or (n_samples, n_features, n_features), or None
        Variances or covariances in the dtype of X, C-contiguous; None where X has NaN for what is missing, and no other
        errors.
    sample_weight : ndarray of shape (n_samples,), float64, or None
        The weight of each row; None where all rows weigh one.
    labels : ndarray of shape (n_samples,), int64, or None
        The component of each row, negative where it is not known.
    components : tuple of ndarray
        Log weights, means and covariances, float64.
    statistics : SufficientStatistics
        Mutated; of whole matrices or of diagonals, as the covariances are.
    other : ndarray of shape (n_samples,), float64, or None
        The log density of what is no component.
    tail : (ndarray of shape (n_components,), ndarray of shape (2, n_components, n_features + 1)), or None
        Degrees of freedom of Student components, and what their normalisers and log u have with so many features.
    counts : ndarray of shape (n_components + 1,), float64, or None
        Mutated in place of those of the statistics, where there is an `other`.
    """
    statistics.log_likelihood += engine_for("accumulate_with_errors", statistics.structure).accumulate_with_errors(
        *components,
        X,
        errors,
        sample_weight,
        labels,
        statistics.counts if counts is None else counts,
        statistics.sums,
        statistics.scatter,
        config.n_threads(),
        other,
        tail,
        statistics.tail_sums,
    )


def answer_with_errors(question, X, errors, components, out, other=None, tail=None):
    """Write 'log_density', 'responsibilities' or 'assign' of rows measured with errors to `out` and return it."""
    shape = "full" if components[2].ndim == 3 else "diag"
    engine_for("answer_with_errors", shape).answer_with_errors(
        question, *components, X, errors, out, config.n_threads(), other, tail
    )
    return out


def log_density(X, parameters, out):
    """Write the log density of each row, in nats, to `out` (n_samples,) and return it."""
    checked("log_density", parameters).log_density(X, out, config.n_threads())
    return out


def responsibilities(X, parameters, out):
    """Write the posterior probabilities to `out` (n_samples, n_components) and return it."""
    checked("responsibilities", parameters).responsibilities(X, out, config.n_threads())
    return out


def assign(X, parameters, out):
    """Write the most probable component of each row to `out` (n_samples,), int64, and return it."""
    checked("assign", parameters).assign(X, out, config.n_threads())
    return out


def assign_nearest(X, sample_weight, centres, labels, counts, sums) -> float:
    """Run one Lloyd pass (see the module's text) and return the inertia."""
    return engine_for("assign_nearest").assign_nearest(
        X, sample_weight, centres, labels, counts, sums, config.n_threads()
    )


def candidate_potentials(X, sample_weight, candidates, distances, potentials) -> None:
    """Write what the k-means potential would be with each candidate added to the centres."""
    engine_for("candidate_potentials").candidate_potentials(
        X, sample_weight, candidates, distances, potentials, config.n_threads()
    )


def choose_centres(X, sample_weight, positions, n_greedy, n_candidates, n_swaps, distances, chosen) -> None:
    """Choose rows as centres by k-means++ (see the module's text)."""
    engine_for("choose_centres").choose_centres(
        X, sample_weight, positions, n_greedy, n_candidates, n_swaps, distances, chosen, config.n_threads()
    )


def update_distances(X, centre, distances) -> None:
    """Lower each row's squared distance to its nearest centre by a new `centre`, in place."""
    engine_for("update_distances").update_distances(X, centre, distances, config.n_threads())


def estimate(statistics, reg_covar, count_floor, weights, means, covariances, precisions_cholesky, log_offset) -> bool:
    """Write the parameters that maximise the expected log-likelihood, every covariance being free.

    Returns whether they exist: counts plus `count_floor` are positive, and the covariances, with `reg_covar` added to
    every variance, are finite and positive definite to working precision. The arrays written are C-contiguous float64.
    """
    return engine_for("estimate", statistics.structure).estimate(
        statistics.structure,
        statistics.centres,
        statistics.counts,
        statistics.sums,
        statistics.scatter,
        reg_covar,
        count_floor,
        weights,
        means,
        covariances,
        precisions_cholesky,
        log_offset,
        config.n_threads(),
    )


def merge(
    structure, counts, means, matrices, n_groups, labels, *, floor=None, extra_count=0.0, entropy=0.0, shared=False
):
    """Merge the pair of Gaussian groups whose union costs least, until `n_groups` are left, in place.

    With n the count of a group and M its matrix, and sums over its parts i and j::

        (n + a) M = (n_i + a) M_i + (n_j + a) M_j - F + n_i n_j / n (m_i - m_j)(m_i - m_j)^T

    and a union costs ``n log det M - b n log n`` more than its parts.

    Parameters
    ----------
    structure : {'full', 'diag', 'spherical'}
        The shape of the matrices.
    counts : ndarray of shape (n,), float64
        The weight of each group.
    means : ndarray of shape (n, n_features), float64
        The mean of each group.
    matrices : ndarray of shape (n, n_features, n_features), (n, n_features) or (n,), float64
        M, of full matrices the upper triangle. A group is afterwards at the place of its first part; so for all three.
    n_groups : int
        How many groups are to be left.
    labels : ndarray of shape (n,), int64
        Written: the place of each one's group.
    floor : ndarray, float64, of the shape of one matrix, optional
        F. Zero unless given.
    extra_count, entropy : float
        a and b.
    shared : bool
        A union keeps the matrix of its parts.
    """
    if floor is None:
        floor = np.zeros(matrices.shape[1:])
    engine_for("merge", structure).merge(
        structure, counts, means, matrices, floor, extra_count, entropy, shared, n_groups, labels, config.n_threads()
    )


def fit_many(
    structure,
    X,
    first_rows,
    *,
    n_init,
    max_iter,
    tol,
    reg_covar,
    seed,
    weights,
    means,
    covariances,
    lower_bounds,
    n_iter,
    outcomes,
):
    """Fit a mixture to the rows of each of many problems, by k-means++, Lloyd's steps and EM, a thread to a problem.

    What a problem comes to depends on its rows, the seed and its number, not on the others. Only the compiled engine
    has it; ask `engine().supports("fit_many", structure)`.

    Parameters
    ----------
    structure : {'full', 'tied', 'diag', 'spherical'}
        The shape of the covariances.
    X : ndarray of shape (n_rows, n_features), float64
        The rows of problem after problem.
    first_rows : ndarray of shape (n_problems + 1,), int64
        Where each problem's rows begin; the last is n_rows.
    n_init : int
        Starts of each problem; the highest lower bound is kept.
    max_iter, tol, reg_covar
        As a mixture has them.
    seed : int
        From 0 to less than 2^64.
    weights : ndarray of shape (n_problems, n_components), float64
        Written for the problems fitted, as all that follows.
    means : ndarray of shape (n_problems, n_components, n_features), float64
        The means of each problem, written.
    covariances : ndarray of shape (n_problems, ...), float64
        In the structure's shape.
    lower_bounds : ndarray of shape (n_problems,), float64
        Mean log-likelihood before the last M-step, in nats per row.
    n_iter : ndarray of shape (n_problems,), int64
        The iterations of each problem, written.
    outcomes : ndarray of shape (n_problems,), int64
        0 for problems to be fitted, which have at least n_components rows; written: 1 converged, 2 not converged, 3
        every start collapsed.
    """
    engine_for("fit_many", structure).fit_many(
        structure,
        X,
        first_rows,
        n_init,
        max_iter,
        tol,
        reg_covar,
        seed,
        weights,
        means,
        covariances,
        lower_bounds,
        n_iter,
        outcomes,
        config.n_threads(),
    )


def factorise_precisions(covariances, precisions_cholesky) -> int:
    """Write upper triangular factors of the inverses; return the first failing index or -1."""
    return engine_for("factorise_precisions").factorise_precisions(covariances, precisions_cholesky, config.n_threads())


def accumulate_truncated(
    X,
    sample_weight,
    parameters,
    neighbors,
    candidates,
    n_random,
    seed,
    first_row,
    statistics=None,
    turn=0,
    n_turns=1,
) -> tuple[float, int]:
    """Ask a few components of each row (see the module's text), and add the best to `statistics`, where given.

    `candidates` is written. Returns the log-likelihood of the candidates, and the number of densities evaluated.
    """
    engine, mixture = _on_engine("accumulate_truncated", parameters)
    parts = (None,) * 3 if statistics is None else (statistics.counts, statistics.sums, statistics.scatter)
    log_likelihood, n_evaluated = engine.accumulate_truncated(
        mixture,
        X,
        sample_weight,
        neighbors,
        candidates,
        n_random,
        seed,
        first_row,
        *parts,
        config.n_threads(),
        turn,
        n_turns,
    )
    if statistics is not None:
        statistics.log_likelihood += log_likelihood
    return log_likelihood, n_evaluated


def refine_neighbors(parameters, old, n_random, seed) -> np.ndarray:
    """Return the components near each one, int32 of the shape of `old` (see the module's text)."""
    engine, mixture = _on_engine("refine_neighbors", parameters)
    neighbors = np.empty_like(old)
    engine.refine_neighbors(mixture, old, neighbors, n_random, seed, config.n_threads())
    return neighbors


def _on_engine(action, parameters):
    tail = getattr(parameters, "tail", None)
    return engine_for(action, parameters.structure, tail), checked(action, parameters)
