"""What a search learns of the rows before it fits: the starts of all candidates, and the scale of the data."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fastgmm.data import ArrayRows
from fastgmm.data.standardised import mean_and_covariance
from fastgmm.starts.hierarchical import cluster_hierarchically
from fastgmm.starts.quantiles import quantile_labels

__all__ = ["default_tol", "starts_of"]

#: Of the mean log-likelihood of one Gaussian, and the bounds of the default `tol` in nats per sample.
TOL_SHARE, LEAST_TOL, LARGEST_TOL = 7.5e-6, 1e-5, 5e-5


def starts_of(rows: ArrayRows, sizes: list[int], init_params: Any, random_state: Any) -> dict:
    """Return what candidates of each size start from.

    Parameters
    ----------
    rows : ArrayRows
    sizes : list of int
    init_params : str or array-like
        'hc' clusters the rows once for all sizes; anything else is handed on as it is.
    random_state : RandomState

    Returns
    -------
    starts : dict
        By size: labels of shape (n_samples,), `init_params`, or the ValueError that says why there is no start.
    """
    if not isinstance(init_params, str) or init_params != "hc":
        return dict.fromkeys(sizes, init_params)
    if rows.n_features == 1:
        return {size: _labels(partial(quantile_labels, rows), size) for size in sizes}
    tree = cluster_hierarchically(rows, random_state)
    return {size: _labels(tree.labels, size) for size in sizes}


def _labels(clustering: Callable[[int], np.ndarray], n_clusters: int) -> Any:
    try:
        return clustering(n_clusters)
    except ValueError as error:
        return error


def default_tol(rows: ArrayRows) -> float:
    """Return the change of the mean log-likelihood that ends EM, in nats: a share of that of one Gaussian.

    Columns are taken in their standard deviations, so that units do not matter.
    """
    covariance = mean_and_covariance(rows)[1]
    sd = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
    if not (sd > 0).all():
        return LEAST_TOL
    sign, log_det = np.linalg.slogdet(covariance / sd[:, None] / sd)
    if not sign > 0:
        return LEAST_TOL
    log_likelihood = -0.5 * (log_det + rows.n_features * (1.0 + np.log(2.0 * np.pi)))
    return float(np.clip(TOL_SHARE * abs(log_likelihood), LEAST_TOL, LARGEST_TOL))
