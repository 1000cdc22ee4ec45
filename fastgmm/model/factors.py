"""Precision factors of covariances, and the one error that says a covariance has none."""

from __future__ import annotations

import numpy as np

from fastgmm import kernels
from fastgmm.exceptions import ComponentCollapseError

__all__ = ["collapse_error", "factorise"]

SHARED = -1
EPS = float(np.finfo(np.float64).eps)


def factorise(covariances: np.ndarray, kernel: str, counts: np.ndarray | None = None) -> np.ndarray:
    """Return the precision factors of `covariances`.

    Parameters
    ----------
    covariances : ndarray, float64
        (K, D, D), (D, D), (K, D) or (K,) for full, tied, diag, spherical.
    kernel : {'full', 'tied', 'diag', 'spherical'}
    counts : ndarray of shape (K,), optional
        Effective counts, for the message only.

    Returns
    -------
    ndarray, float64, shape of `covariances`
        Upper triangular ``U`` with ``precision = U U^T`` for full and tied; ``1 / sd`` for diag and spherical.

    Raises
    ------
    ComponentCollapseError
        Naming the first component whose covariance is not positive definite to working precision.
    """
    if kernel in ("full", "tied"):
        n_features = covariances.shape[-1]
        stacked = covariances.reshape(-1, n_features, n_features)
        factor = np.empty_like(stacked)
        failed = kernels.factorise_precisions(stacked, factor)
        if failed < 0:
            failed = _first_without_rank(stacked, factor)
        if failed >= 0:
            raise collapse_error(SHARED if kernel == "tied" else failed, counts, n_features)
        return factor.reshape(covariances.shape)
    if not (covariances.min() > 0 and covariances.max() < np.inf):
        valid = np.isfinite(covariances) & (covariances > 0)
        failed = int(np.flatnonzero(~(valid if valid.ndim == 1 else valid.all(axis=1)))[0])
        raise collapse_error(failed, counts)
    return 1.0 / np.sqrt(covariances)


def _first_without_rank(covariances, factor):
    # A singular matrix often passes Cholesky on rounding errors alone: its last pivot (the variance of a feature
    # given those before it) is then within n_features roundings of that feature's variance.
    variances = np.einsum("kdd->kd", covariances)
    ratio = (np.sqrt(variances) * np.einsum("kdd->kd", factor)) ** 2
    limit = 1.0 / (covariances.shape[-1] * EPS)
    if ratio.max() <= limit:
        return -1
    return int((ratio > limit).any(axis=1).argmax())


def collapse_error(
    component: int,
    counts: np.ndarray | None = None,
    n_features: int | None = None,
    reason: str = "its covariance is not positive definite",
) -> ComponentCollapseError:
    """Return the error that says why `component` has no density.

    A negative `component` means the covariance that all share.
    """
    which = "the shared covariance" if component < 0 else f"component {component}"
    if counts is not None and component >= 0:
        reason += f" (effective count {counts[component]:.4g}"
        reason += f" in {n_features} features)" if n_features else ")"
    return ComponentCollapseError(
        "Fitting the mixture model failed because some components have ill-defined empirical covariance (for "
        "instance caused by singleton or collapsed samples). Try to decrease the number of components, increase "
        f"reg_covar, or scale the input data. What failed: {which}, {reason}.",
        max(component, 0),
        reason,
    )
