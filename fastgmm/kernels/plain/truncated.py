"""Passes that ask a few components of each row."""

from __future__ import annotations

import numpy as np

from fastgmm.kernels.plain.tiles import quietly

__all__ = ["accumulate_truncated", "refine_neighbors"]

_MASK = (1 << 64) - 1
#: A component that would get less of a row than e^-64 of what its best gets is no candidate of it.
CANDIDATE_SPAN = 64.0


def _drawn(seed, rows, turn, count) -> np.ndarray:
    """Return a number below `count` for each row that depends on seed, row and turn alone: SplitMix64's."""
    rows = np.asarray(rows, dtype=np.uint64)
    z = np.uint64(seed & _MASK) + rows * np.uint64(0x9E3779B97F4A7C15)
    z = z + np.uint64(turn * 0xD1B54A32D192ED03 & _MASK)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(32)) * np.uint64(count) >> np.uint64(32)).astype(np.int64)


def _values(mixture, x, components) -> np.ndarray:
    """Return the log of weight times density of one row under some components."""
    factor = mixture.factor if mixture.shape == "tied" else mixture.factor[components]
    away = x - mixture.means[components]
    if mixture.shape in ("full", "tied"):
        away = np.einsum("kd,kde->ke" if mixture.shape == "full" else "kd,de->ke", away, factor)
    else:
        away = away * (factor[:, None] if mixture.shape == "spherical" else factor)
    return mixture.log_offset[components] - 0.5 * np.einsum("kd,kd->k", away, away)


def _best(values, components, kept, span=np.inf) -> tuple[np.ndarray, np.ndarray]:
    """Return the components of highest value, the first of equals first, and their values, none further below."""
    there = (values > -np.inf) & (values >= values.max(initial=-np.inf) - span)
    values, components = values[there], components[there]
    order = np.lexsort((components, -values))[:kept]
    return components[order], values[order]


@quietly
def accumulate_truncated(
    mixture, X, sample_weight, neighbors, candidates, n_random, seed, first_row, statistics, turn=0, n_turns=1
) -> tuple[float, int]:
    """Ask a few components of each row, and add the best of them to the statistics, where there are any."""
    total, n_evaluated, kept = 0.0, 0, candidates.shape[1]
    span = np.inf if statistics is None else CANDIDATE_SPAN
    random = np.column_stack(
        [np.empty((len(X), 0), dtype=np.int64)]
        + [_drawn(seed, first_row + np.arange(len(X)), turn, len(mixture.means)) for turn in range(n_random)]
    )
    for n, x in enumerate(X.astype(np.float64)):
        held = candidates[n][candidates[n] >= 0]
        asked = held
        if candidates[n, 0] < 0 or candidates[n, 0] % n_turns == turn:
            asked = np.unique(np.concatenate([held, neighbors[held].ravel(), random[n]]))
        asked = asked[asked >= 0]
        n_evaluated += len(asked)
        best, values = _best(_values(mixture, x, asked), asked, kept, span)
        weight = 1.0 if sample_weight is None else sample_weight[n]
        if len(best) == 0:
            total -= np.inf if weight > 0 else 0.0
            continue
        candidates[n] = -1
        candidates[n, : len(best)] = best
        shares = np.exp(values - values[0])
        total += weight * (values[0] + np.log(shares.sum()))
        if statistics is not None:
            _add(mixture, x, best, weight * shares / shares.sum(), *statistics)
    return total, n_evaluated


def _add(mixture, x, components, shares, counts, sums, scatter) -> None:
    away = x - mixture.means[components]
    counts[components] += shares
    sums[components] += shares[:, None] * away
    if mixture.shape == "full":
        scatter[components] += shares[:, None, None] * away[:, :, None] * away[:, None, :]
    elif mixture.shape == "tied":
        scatter += np.einsum("k,kd,ke->de", shares, away, away)
    elif mixture.shape == "diag":
        scatter[components] += shares[:, None] * away**2
    else:
        scatter[components] += shares * np.einsum("kd,kd->k", away, away)


@quietly
def refine_neighbors(mixture, old, neighbors, n_random, seed) -> None:
    """Write the components near each one, of those near it before, theirs and some drawn."""
    k, d = mixture.means.shape
    factor = mixture.factor
    if mixture.shape == "spherical":
        traces, variances = d * factor**2, factor**-2.0
    elif mixture.shape == "diag":
        traces, variances = (factor**2).sum(axis=1), np.exp(-2.0 * np.log(factor).mean(axis=1))
    else:
        diagonal = np.diagonal(factor, axis1=-2, axis2=-1)
        traces = np.broadcast_to((factor**2).sum(axis=(-2, -1)), (k,))
        variances = np.broadcast_to(np.exp(-2.0 * np.log(diagonal).mean(axis=-1)), (k,))
    for i in range(k):
        held = old[i][old[i] >= 0]
        drawn = [_drawn(seed, [i], turn, k) for turn in range(n_random)]
        asked = np.unique(np.concatenate([held, old[held].ravel(), *drawn]))
        asked = asked[(asked >= 0) & (asked != i)].astype(np.int64)
        values = _values(mixture, mixture.means[i], asked) - 0.5 * variances[i] * traces[asked]
        best, _ = _best(values, asked, neighbors.shape[1])
        neighbors[i] = -1
        neighbors[i, : len(best)] = best
