"""VEI, VEE and VEV: components that share a shape and differ in volume.

With ``u_k = log lambda_k`` and the shared matrix ``C`` profiled out (``C(u) = sum_k exp(-u_k) W_k / n``), what is left
is a function of the log volumes alone::

    h(u) = n_features sum_k n_k u_k + n log det C(u)

The determinant is a polynomial in ``exp(-u_k)`` with coefficients that are not negative, so h is convex and Newton's
method with backtracking finds its one minimum in a few steps, where Celeux and Govaert's alternation needs tens. A
constant added to every u changes nothing; the scale is settled by C.

An M-step that starts from the one before makes a few steps of the alternation, ``u_k = log tr(W_k C^-1) / (D n_k)``,
each of which descends and costs a tenth of a Newton step; only where these stall is Newton called.

VEI takes the diagonals of ``W_k``; VEV is VEI on their sorted eigenvalues; VEE takes the whole matrices.

References
----------
Celeux and Govaert (1995), Gaussian parsimonious clustering models, sections 3.2, 3.4 and 3.6 (the objective).
"""

from __future__ import annotations

import numpy as np

from fastgmm.families.closed_form import principal_axes
from fastgmm.model.shapes.base import SHARED, collapse_error

__all__ = ["vee", "vei", "vev"]

#: The Newton steps end when the next one promises less than this, in nats per sample.
TOLERANCE = 1e-13
#: A warm start alternates until a step is this share of its first, or this small (both in log volumes), up to so often.
WARM_SHARE, WARM_CHANGE, WARM_STEPS = 0.2, 1e-7, 4
MAX_STEPS = 100
#: Longest change of a log volume in one step, and how often a step is halved before rounding is held to blame.
LONGEST_STEP = 3.0
MAX_HALVINGS = 20
TINY = np.finfo(np.float64).tiny
#: Log volumes further apart than this mean that one component has vanished beside another (sd ratio 1e13).
MAX_SPREAD = 60.0


def vei(scatter, counts, previous=None):
    """VEI: axis-aligned, one shape; `scatter` (n_components, n_features)."""
    return _volumes_and_variances(scatter, counts, previous)


def vev(scatter, counts, previous=None):
    """VEV: one shape, separate orientations; `scatter` (n_components, n_features, n_features)."""
    variances, axes = principal_axes(scatter)
    # Longest axis with longest axis: the pairing that minimises tr(W_k D_k A^-1 D_k^T) over D_k (von Neumann).
    shared = _volumes_and_variances(variances, counts, previous)
    return (axes * shared[:, None, :]) @ axes.transpose(0, 2, 1)


def vee(scatter, counts, previous=None):
    """VEE: one shape and orientation; `scatter` (n_components, n_features, n_features)."""
    n_components, n_features = scatter.shape[:2]
    scale = np.sqrt(np.diagonal(scatter, axis1=1, axis2=2).sum(axis=0))
    if not (scale > 0).all():
        raise collapse_error(SHARED)
    scaled = scatter / scale[:, None] / scale

    def parts(log_volumes):
        pieces = scaled * np.exp(-log_volumes)[:, None, None]
        try:
            factor = np.linalg.cholesky(pieces.sum(axis=0))
        except np.linalg.LinAlgError:
            raise collapse_error(SHARED) from None
        half = np.linalg.solve(factor, pieces.reshape(n_components * n_features, n_features).T)
        half = half.reshape(n_features, n_components, n_features).transpose(1, 2, 0)
        whitened = np.linalg.solve(factor, half)
        return (
            2.0 * np.log(np.diagonal(factor)).sum(),
            np.trace(whitened, axis1=1, axis2=2),
            whitened.reshape(n_components, -1),
        )

    sizes = np.trace(scaled, axis1=1, axis2=2)
    flat = scaled.reshape(n_components, -1)

    def shares(log_volumes):
        shared = (np.exp(-log_volumes) @ flat).reshape(n_features, n_features)
        try:
            return flat @ np.linalg.inv(shared).ravel()
        except np.linalg.LinAlgError:
            raise collapse_error(SHARED) from None

    log_volumes = _log_volumes(parts, shares, sizes, counts, n_features, previous)
    shared = (scaled * np.exp(-log_volumes)[:, None, None]).sum(axis=0) / counts.sum()
    return np.exp(log_volumes)[:, None, None] * (shared * scale[:, None] * scale)


def _volumes_and_variances(variances, counts, previous):
    n_features = variances.shape[1]
    exponents = np.frexp(variances.max(axis=0))[1]
    scaled = np.ldexp(variances, -exponents)
    if not (scaled.max(axis=0) > 0).all():
        raise collapse_error(SHARED)

    def parts(log_volumes):
        pieces = scaled * np.exp(-log_volumes)[:, None]
        total = pieces.sum(axis=0)
        shares = pieces / total
        return np.log(total).sum(), shares.sum(axis=1), shares

    def shares(log_volumes):
        return scaled @ (1.0 / (np.exp(-log_volumes) @ scaled))

    volumes = np.exp(_log_volumes(parts, shares, scaled.sum(axis=1), counts, n_features, previous))[:, None]
    with np.errstate(over="ignore"):  # what is infinite is refused by whoever factorises it
        return np.ldexp(volumes * ((scaled / volumes).sum(axis=0) / counts.sum()), exponents)


def _log_volumes(parts, shares, sizes, counts, n_features, previous):
    if previous is None and not (sizes > 0).all():
        raise collapse_error(int(np.argmin(sizes > 0)), counts, n_features, "all its samples coincide")
    # Starting from the volumes of the step before makes this step at least as good as they are.
    start = np.log(sizes / counts) if previous is None else -2.0 / n_features * previous.log_det_precision_factor
    start = start - start.max()
    found = None if previous is None else _alternate(shares, start, counts, n_features)
    return _minimise(parts, start, counts, n_features) if found is None else found


def _alternate(shares, log_volumes, counts, n_features):
    # shares(u) -> tr(W_k C(u)^-1) / n. Returns None where the steps do not shrink fast enough.
    expected = counts * (n_features / counts.sum())
    first = None
    for _ in range(WARM_STEPS):
        ratio = shares(log_volumes) / expected
        if not ratio.min() > 0:
            return None
        proposed = np.log(ratio)
        step = proposed - log_volumes
        change = step.max() - step.min()
        log_volumes = proposed
        if first is None:
            first = change
        if change < WARM_CHANGE or change < WARM_SHARE * first:
            _check_spread(log_volumes, counts, n_features)
            return log_volumes - log_volumes.max()
    return None


def _minimise(parts, log_volumes, counts, n_features):
    # parts(u) -> log det of sum_k exp(-u_k) W_k; and of its whitened pieces G_k the traces and the entries, so that
    # gradient_k = D n_k - n tr G_k and Hessian_kl = n (delta_kl tr G_k - <G_k, G_l>).
    total = counts.sum()
    if len(counts) == 1:
        return np.zeros(1)

    def value(log_volumes, log_det):
        return n_features * (counts @ log_volumes) + total * log_det

    # In units of 1 / sqrt(n_k) the Hessian's diagonal is near D whatever the counts, empty components included; the
    # rank-one term fills the null direction (all volumes scaled alike).
    unit = np.sqrt(counts)
    units = unit[:, None] * unit
    filler = units * (n_features / total)
    log_det, traces, pieces = parts(log_volumes)
    current = value(log_volumes, log_det)
    for _ in range(MAX_STEPS):
        gradient = n_features * counts - total * traces
        hessian = pieces @ pieces.T
        hessian *= -total
        hessian.flat[:: len(counts) + 1] += total * traces
        hessian /= units
        hessian += filler
        try:
            step = np.linalg.solve(hessian, gradient / -unit) / unit
        except np.linalg.LinAlgError:
            # Curvature lost beside that of larger components: the step of the alternation, which never ascends.
            step = np.log(np.maximum(traces * total, TINY) / (n_features * counts))
        promise = -(gradient @ step)
        if not promise > TOLERANCE * total:
            break
        size = min(1.0, LONGEST_STEP / np.abs(step).max())
        for _ in range(MAX_HALVINGS):
            proposed = log_volumes + size * step
            log_det, traces, pieces = parts(proposed)
            attempt = value(proposed, log_det)
            if attempt <= current - 1e-4 * size * promise:
                break
            size *= 0.5
        else:
            break
        log_volumes, current = proposed, attempt
        _check_spread(log_volumes, counts, n_features)
    return log_volumes - log_volumes.max()


def _check_spread(log_volumes, counts, n_features):
    if log_volumes.max() - log_volumes.min() > MAX_SPREAD:
        reason = "its volume vanishes beside the other components'"
        raise collapse_error(int(np.argmin(log_volumes)), counts, n_features, reason)
