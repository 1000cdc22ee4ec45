"""Mixtures on moving windows of a series, whose components keep their numbers, and what they say of later rows."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from fastgmm.estimator.order_methods import OrderMethods
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.matching import match_components

__all__ = ["WindowFits", "fit_windows"]


@dataclass(frozen=True)
class WindowFits:
    """The models of successive windows; a row is answered for by the last model that ended before it.

    So nothing that is said of a row knows the row or what came after it.

    Attributes
    ----------
    stops : ndarray of shape (n_windows,), int64
        Row that each window ends before.
    models : list
        Fitted, a component with the same number from window to window.

    See Also
    --------
    fastgmm.fit_windows : Makes it.
    """

    stops: np.ndarray
    models: list[Any]

    def __len__(self) -> int:
        return len(self.models)

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Go through the windows: where each ends, and its model."""
        return iter(zip(self.stops.tolist(), self.models, strict=True))

    def predict(self, X: Any) -> np.ndarray:
        """Return the component of each row, by the model before it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The series from its beginning; it may go on after the rows that were fitted.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            -1 before the end of the first window, and for noise.

        See Also
        --------
        predict_proba : How probable each component is.
        """
        return self._by_newest(X, "predict", np.full(_n_rows(X), -1, dtype=np.int64))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the posterior probability of each component for each row, by the model before it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The series from its beginning.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_components)
            NaN before the end of the first window.

        See Also
        --------
        predict : The most probable component.
        """
        model = self.models[0]
        n_columns = model.predict_proba(_safe_indexing(X, slice(0, 1))).shape[1]
        return self._by_newest(X, "predict_proba", np.full((_n_rows(X), n_columns), np.nan))

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the log density of each row, by the model before it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The series from its beginning.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            In nats; NaN before the end of the first window.

        See Also
        --------
        predict : The most probable component.
        """
        return self._by_newest(X, "score_samples", np.full(_n_rows(X), np.nan))

    def _by_newest(self, X: Any, method: str, out: np.ndarray) -> np.ndarray:
        ends = [*self.stops[1:], len(out)]
        for start, end, model in zip(self.stops, ends, self.models, strict=True):
            if start < min(end, len(out)):
                part = slice(int(start), int(min(end, len(out))))
                out[part] = getattr(model, method)(_safe_indexing(X, part))
        return out


def _n_rows(X: Any) -> int:
    return X.shape[0] if hasattr(X, "shape") else len(X)


def fit_windows(
    estimator: Any, X: Any, *, window: int, step: int = 1, expanding: bool = False, start: str = "previous"
) -> WindowFits:
    """Fit a mixture to each window of a series, and number its components as in the window before.

    Parameters
    ----------
    estimator : GaussianMixture or StudentMixture
        The mixture to fit, which is cloned for each window. Its `order_by` numbers the components of the first window.
    X : array-like of shape (n_samples, n_features)
        The rows in the order of time.
    window : int
        The number of rows of a window. With `expanding`, of the first window.
    step : int, default=1
        How many rows later each window begins than the one before.
    expanding : bool, default=False
        Whether every window begins with the first row.
    start : {'previous', 'fresh'}, default='previous'
        Where the fit of a window starts. 'previous' starts from the model of the window before: components stay what
        they were, and the fit takes a few iterations. 'fresh' uses the estimator's own start, which may find a better
        optimum with other components. A fit in which a component collapses starts afresh.

    Returns
    -------
    fits : WindowFits
        The models, with methods ``predict``, ``predict_proba`` and ``score_samples`` that do not look ahead.

    Raises
    ------
    TypeError
        If the estimator's components cannot be reordered.
    ValueError
        If `window` or `step` is not positive, the series is shorter than a window, or `start` is unknown.

    See Also
    --------
    fastgmm.match_components : Keeps the numbers of components.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixture, fit_windows
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(0.0, np.repeat([1.0, 5.0, 1.0, 5.0], 250))[:, None]
    >>> fits = fit_windows(GaussianMixture(2, order_by="volume", random_state=0), X, window=500, step=100)
    >>> fits.stops
    array([ 500,  600,  700,  800,  900, 1000])
    >>> all(model.covariances_[0] < model.covariances_[1] for model in fits.models)
    True
    """
    if not isinstance(estimator, OrderMethods):
        raise TypeError(f"estimator is a {type(estimator).__name__}; expected a GaussianMixture or StudentMixture")
    n_rows = _n_rows(X)
    for name, value in (("window", window), ("step", step)):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} is {value!r}; expected a positive number of rows")
    if window > n_rows:
        raise ValueError(f"window is {window} rows and X has {n_rows}; expected a window within the series")
    if start not in ("previous", "fresh"):
        raise ValueError(f"start is {start!r}; expected 'previous' or 'fresh'")
    stops = np.arange(window, n_rows + 1, step)
    models: list[Any] = []
    for stop in stops.tolist():
        rows = _safe_indexing(X, slice(0 if expanding else stop - window, stop))
        if not models:
            models.append(clone(estimator).fit(rows))
            continue
        model = _continued(models[-1], rows) if start == "previous" else None
        if model is None:
            model = clone(estimator).fit(rows)
        models.append(model.reorder(match_components(models[-1], model)))
    return WindowFits(stops, models)


def _continued(previous: Any, rows: Any) -> Any:
    """Return the model fitted to other rows from where it is, or None where a component collapses."""
    model = copy.copy(previous)
    given = {name: value for name, value in model.get_params().items() if name in ("warm_start", "order_by")}
    # A bound of other rows says nothing about convergence on these.
    model.lower_bound_ = -np.inf
    try:
        return model.set_params(**{**dict.fromkeys(given), "warm_start": True}).fit(rows).set_params(**given)
    except ComponentCollapseError:
        return None
