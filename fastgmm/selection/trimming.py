"""How many rows to trim: the trimmed likelihood against the share left out, for several numbers of components."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sklearn.base import clone

from fastgmm.estimator.inner_mixture import unconverged_too
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.gaussian_mixture import GaussianMixture

__all__ = ["trimming_curves"]


def trimming_curves(
    X: Any,
    n_components: Iterable[int] = range(1, 6),
    trim: Iterable[float] = (0.0, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2),
    *,
    estimator: Any = None,
    sample_weight: Any = None,
    random_state: Any = 0,
) -> dict[int, dict[float, float]]:
    """Return the trimmed log-likelihood for every number of components and share of rows left out.

    R's tclust calls this ctlcurves, and `fastgmm.plotting.plot_trimming_curves` draws it. Choose the fewest components,
    and then the smallest share, beyond which another component gains little.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
        The rows asked about, with the features of the fit in the same order.
    n_components : iterable of int
        The numbers of components to compare.
    trim : iterable of float
        The shares of rows to leave out, from 0 to 0.5.
    estimator : GaussianMixture or StudentMixture, optional
        The estimator that is cloned for all fits. By default
        ``GaussianMixture(max_eigenvalue_ratio=12, init_params='multistart')``.
    sample_weight : array-like of shape (n_samples,), optional
        Weight of each row; by default every row counts once.
    random_state : int, RandomState or None
        Seed of the default estimator.

    Returns
    -------
    curves : dict of int to dict of float to float
        ``curves[n_components][trim]``: total over the rows kept, in nats; NaN where a component collapses.

    See Also
    --------
    fastgmm.plotting.plot_trimming_curves : Draws the curves.

    References
    ----------
    Garcia-Escudero, Gordaliza, Matran and Mayo-Iscar, "Exploring the number of groups in robust model-based
    clustering", Statistics and Computing 21 (2011).

    Examples
    --------
    >>> from fastgmm.datasets import load_faithful
    >>> from fastgmm.selection import trimming_curves
    >>> curves = trimming_curves(load_faithful(), [1, 2], [0.0, 0.1])
    >>> curves[2][0.0] > curves[1][0.0]
    True
    """
    if estimator is None:
        options = {"max_eigenvalue_ratio": 12.0, "init_params": "multistart", "random_state": random_state}
        estimator = GaussianMixture(**options)
    shares = [float(share) for share in trim]
    curves: dict[int, dict[float, float]] = {}
    for size in n_components:
        curves[int(size)] = {}
        for share in shares:
            model = clone(estimator).set_params(n_components=int(size), trim=share)
            try:
                with unconverged_too():
                    model.fit(X, sample_weight=sample_weight)
                value = model._log_likelihood(X, sample_weight)[0]
            except ComponentCollapseError:
                value = float("nan")
            curves[int(size)][share] = value
    return curves
