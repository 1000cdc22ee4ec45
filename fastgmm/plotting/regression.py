"""A regression: the prediction along one input with its spread, or predictions against what was observed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgmm.plotting.backend import new_axes
from fastgmm.plotting.palette import COLOURS
from fastgmm.plotting.rows import quietly, some_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes


__all__ = ["plot_regression"]

# Points of the curve; standard deviations of the band.
RESOLUTION, WIDTH = 300, 2.0


def plot_regression(
    model: Any,
    X: Any,
    y: Any,
    *,
    target: int = 0,
    max_points: int = 5000,
    ax: Axes | None = None,
) -> Axes:
    """Draw the observed targets and what is predicted, with two standard deviations.

    With one feature, the prediction is a curve in a band. With more, observed targets are drawn against predicted ones,
    with the line where both are equal and bars of the spread for a hundred rows.

    Parameters
    ----------
    model : fitted GaussianMixtureRegressor
        The regressor to draw.
    X : array-like of shape (n_samples, n_features)
        The rows to draw.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        The targets of these rows.
    target : int, default=0
        The number of the target to draw, if there are several.
    max_points : int, default=5000
        The most rows that are drawn. Of more, an even selection is drawn.
    ax : Axes, optional
        The matplotlib axes to draw into; by default those of a new figure.

    Returns
    -------
    Axes
        The matplotlib axes that were drawn into.

    See Also
    --------
    fastgmm.GaussianMixtureRegressor : The regressor that is drawn.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fastgmm import GaussianMixtureRegressor
    >>> from fastgmm.datasets import load_faithful
    >>> from fastgmm.plotting import plot_regression
    >>> eruptions, waiting = load_faithful().T
    >>> model = GaussianMixtureRegressor(2, random_state=0).fit(eruptions[:, None], waiting)
    >>> plot_regression(model, eruptions[:, None], waiting, ax=Figure().subplots()).get_xlabel()
    'x0'
    """
    check_is_fitted(model)
    ax = new_axes(ax)
    names = [str(name) for name in getattr(X, "columns", getattr(model, "feature_names_in_", []))]
    label = getattr(y, "name", None) or "y"
    X, y = np.asarray(X), np.asarray(y, dtype=np.float64)
    if X.ndim != 2 or X.shape[1] != model.n_features_in_:
        raise ValueError(f"X has shape {X.shape}; expected (n_samples, n_features) = (n, {model.n_features_in_})")
    targets = y.reshape(len(y), -1)
    if len(targets) != len(X):
        raise ValueError(f"y has {len(targets)} rows; expected as many as X, {len(X)}")
    if not 0 <= target < targets.shape[1]:
        raise ValueError(f"target is {target}; expected a number from 0 to {targets.shape[1] - 1}")
    chosen = some_rows(len(X), max_points)
    rows, observed = X[chosen], targets[chosen, target]
    if X.shape[1] == 1:
        ax.scatter(rows[:, 0], observed, s=9, c="0.45", alpha=0.6, linewidths=0, label="observed")
        at = np.linspace(rows[:, 0].min(), rows[:, 0].max(), RESOLUTION)
        mean, sd = _mean_and_sd(model, at[:, None], target)
        ax.fill_between(at, mean - WIDTH * sd, mean + WIDTH * sd, color=COLOURS[5], alpha=0.3, lw=0, label="± 2 sd")
        ax.plot(at, mean, color=COLOURS[0], lw=2.0, label="predicted")
        ax.set(xlabel=names[0] if names else "x0", ylabel=label)
    else:
        mean, sd = _mean_and_sd(model, rows, target)
        barred = some_rows(len(rows), 100)
        ax.errorbar(
            mean[barred],
            observed[barred],
            xerr=WIDTH * sd[barred],
            fmt="none",
            ecolor=COLOURS[5],
            elinewidth=0.8,
            alpha=0.7,
            label="± 2 sd",
        )
        ax.scatter(mean, observed, s=12, c=COLOURS[0], alpha=0.6, linewidths=0, zorder=3, label="rows")
        ends = [min(mean.min(), observed.min()), max(mean.max(), observed.max())]
        ax.plot(ends, ends, color="black", lw=1.2, ls="--", zorder=4, label="equal")
        ax.set(xlabel=f"predicted {label}", ylabel=f"observed {label}")
    ax.legend(fontsize=8)
    return ax


def _mean_and_sd(model: Any, X: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
    mean = np.asarray(quietly(model, "predict", X)).reshape(len(X), -1)[:, target]
    covariance = np.asarray(quietly(model, "predict_covariance", X))
    variance = covariance.reshape(len(X), -1)[:, target * (int(np.sqrt(covariance[0].size)) + 1)]
    return mean, np.sqrt(variance)
