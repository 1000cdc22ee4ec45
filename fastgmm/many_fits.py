"""Thousands of small mixtures at once, one for each group of rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, validate_params

from fastgmm import kernels
from fastgmm.estimator.parameter_validation import Names
from fastgmm.exceptions import ComponentCollapseError, without_warnings
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.model.shapes import get_shape

__all__ = ["ManyFits", "fit_many"]

#: What the kernel is told of a problem, and what it answers.
WANTED, CONVERGED, UNCONVERGED, COLLAPSED, REFUSED = range(5)


@dataclass(frozen=True)
class ManyFits:
    """Mixtures of many problems, in arrays; NaN where there is none.

    Attributes
    ----------
    keys : ndarray of shape (n_problems,)
        What each problem is called: the groups, in order, or its number.
    covariance_type : {'full', 'tied', 'diag', 'spherical'}
        The shape of the covariances.
    weights : ndarray of shape (n_problems, n_components)
        Of the components.
    means : ndarray of shape (n_problems, n_components, n_features)
        Of the components.
    covariances : ndarray of shape (n_problems, ...)
        (n_problems, K, D, D), (n_problems, D, D), (n_problems, K, D) or (n_problems, K) for full, tied, diag,
        spherical.
    lower_bounds : ndarray of shape (n_problems,)
        Mean log-likelihood before the last M-step, in nats per row.
    n_iter : ndarray of shape (n_problems,), int64
        Iterations of the start that was kept.
    converged : ndarray of shape (n_problems,), bool
        Whether the change of the mean log-likelihood fell below `tol`.
    failures : dict
        Number of the problem to the reason, for problems that have no mixture.

    See Also
    --------
    fit_many : Makes it.
    """

    keys: np.ndarray
    covariance_type: str
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    lower_bounds: np.ndarray
    n_iter: np.ndarray
    converged: np.ndarray
    failures: dict[int, str]

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[tuple[Any, GaussianMixture | None]]:
        """Go through the problems: what each is called, and its mixture or None."""
        for number, key in enumerate(self.keys.tolist()):
            yield key, None if number in self.failures else self.model(number)

    def model(self, number: int) -> GaussianMixture:
        """Return the mixture of a problem as an estimator.

        Parameters
        ----------
        number : int
            Of the problem, from 0; ``np.flatnonzero(fits.keys == key)`` finds it.

        Returns
        -------
        model : GaussianMixture
            Fitted, with the iterations and the lower bound of its fit.

        Raises
        ------
        ValueError
            If the problem has no mixture; the message says why.

        See Also
        --------
        fastgmm.fit_many : Makes the fits.
        """
        if not 0 <= number < len(self):
            raise ValueError(f"number is {number}; expected 0 to {len(self) - 1}, one of the problems")
        if number in self.failures:
            raise ValueError(f"problem {number} has no mixture: {self.failures[number]}")
        # Sums of a thousand weights are one but for rounding.
        weights = self.weights[number] / self.weights[number].sum()
        model = GaussianMixture.from_parameters(
            weights, self.means[number], self.covariances[number], covariance_type=self.covariance_type
        )
        model.n_iter_, model.converged_ = int(self.n_iter[number]), bool(self.converged[number])
        model.lower_bound_ = float(self.lower_bounds[number])
        return model


@validate_params(
    {
        "X": "no_validation",
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "groups": "no_validation",
        "covariance_type": [Names(kernels.STRUCTURES)],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def fit_many(
    X: Any,
    n_components: Any,
    *,
    groups: Any = None,
    covariance_type: str = "full",
    tol: float = 1e-3,
    reg_covar: float = 1e-6,
    max_iter: Any = 100,
    n_init: Any = 1,
    random_state: Any = None,
) -> ManyFits:
    """Fit a Gaussian mixture to each of many small problems, without Python between their iterations.

    Each fit starts from k-means++ and Lloyd's steps, and is plain EM that stops by scikit-learn's rule, like
    `GaussianMixture` without acceleration. Problems are shared among threads, one thread to a problem, so that
    thousands of fits of a few hundred rows take about a twentieth of the time of a loop.

    Parameters
    ----------
    X : array-like of shape (n_problems, n_samples, n_features), list of arrays, or frame or array with `groups`
        The rows of every problem, all of one length or each of its own.
    n_components : int
        The number of components of every mixture.
    groups : str or array-like of shape (n_rows,), optional
        Which problem each row belongs to, if X is a frame or an array of all rows, or the column of the frame that says
        so. Groups are sorted.
    covariance_type : {'full', 'tied', 'diag', 'spherical'}, default='full'
        As `GaussianMixture` has it.
    tol : float, default=1e-3
        EM stops when the mean log-likelihood changes by less, in nats per row.
    reg_covar : float, default=1e-6
        Added to every variance in every M-step, in squared units of the data.
    max_iter : int, default=100
        The most EM iterations of a fit.
    n_init : int, default=1
        The number of starts of each problem. The fit with the highest lower bound is kept.
    random_state : int, RandomState or None
        Seed of everything that is drawn at random. The result for a problem depends on its rows, its number and this
        seed.

    Returns
    -------
    fits : ManyFits
        The mixtures in arrays, and the reasons where a fit failed: too few rows, values that are not finite, or a
        component that collapsed.

    Raises
    ------
    ValueError
        If a parameter is not valid, or X is no set of problems with the same features.

    See Also
    --------
    GaussianMixture : One fit, with acceleration, weights, priors and a background.
    fit_windows : Moving windows of one series.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import fit_many
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 50, 2)) + 6 * rng.integers(2, size=(1000, 50, 1))
    >>> fits = fit_many(X, 2, random_state=0)
    >>> fits.means.shape, bool(fits.converged.all())
    ((1000, 2, 2), True)
    >>> fits.model(7).predict(X[7]).shape
    (50,)
    """
    keys, rows, first_rows = _problems(X, groups)
    n_problems, n_features = len(keys), rows.shape[1]
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    sizes = np.diff(first_rows)
    outcomes = np.where(sizes < n_components, REFUSED, WANTED).astype(np.int64)
    failures = {
        int(i): f"it has {sizes[i]} rows; expected at least n_components = {n_components}"
        for i in np.flatnonzero(outcomes == REFUSED)
    }
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    for i in np.unique(np.searchsorted(first_rows, bad, side="right") - 1).tolist():
        outcomes[i] = REFUSED
        failures[i] = "it has values that are NaN or infinite; leave these rows out, or impute them"
    matrices = get_shape(covariance_type).dims(n_components, n_features)
    result: dict[str, np.ndarray] = {
        "weights": np.full((n_problems, n_components), np.nan),
        "means": np.full((n_problems, n_components, n_features), np.nan),
        "covariances": np.full((n_problems, *matrices), np.nan),
        "lower_bounds": np.full(n_problems, np.nan),
        "n_iter": np.zeros(n_problems, dtype=np.int64),
    }
    settings = {"tol": float(tol), "reg_covar": float(reg_covar), "max_iter": int(max_iter), "n_init": int(n_init)}
    if kernels.engine().supports("fit_many", covariance_type):
        kernels.fit_many(covariance_type, rows, first_rows, seed=seed, outcomes=outcomes, **settings, **result)
    else:
        _fit_one_by_one(covariance_type, rows, first_rows, seed, outcomes, settings, result)
    for i in np.flatnonzero(outcomes == COLLAPSED).tolist():
        failures[i] = "a component collapsed from every start; increase reg_covar or reduce n_components"
    return ManyFits(keys, covariance_type, converged=outcomes == CONVERGED, failures=failures, **result)


def _problems(X: Any, groups: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what the problems are called, all rows one after another, and where each problem's begin."""
    if groups is not None:
        return _grouped(X, groups)
    if isinstance(X, np.ndarray) or not isinstance(X, list | tuple):
        array = np.asarray(X, dtype=np.float64)
        if array.ndim != 3 or 0 in array.shape:
            raise ValueError(
                f"X has shape {array.shape}; expected (n_problems, n_samples, n_features), a list of arrays, or groups="
            )
        first_rows = np.arange(len(array) + 1, dtype=np.int64) * array.shape[1]
        return np.arange(len(array)), np.ascontiguousarray(array.reshape(-1, array.shape[2])), first_rows
    parts = [np.asarray(part, dtype=np.float64) for part in X]
    shapes = {part.shape[1] if part.ndim == 2 else part.shape for part in parts}
    if len(shapes) != 1 or not isinstance(next(iter(shapes)), int) or shapes == {0}:
        raise ValueError(
            f"X is a list of {len(parts)} with numbers of features or shapes {sorted(map(str, shapes))[:4]}; expected "
            "arrays of shape (n_samples, n_features), with the same features"
        )
    first_rows = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    return np.arange(len(parts)), np.ascontiguousarray(np.concatenate(parts)), first_rows


def _grouped(X: Any, groups: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if isinstance(groups, str):
        if groups not in getattr(X, "columns", ()):
            raise ValueError(f"groups is {groups!r}; expected a column of X, a frame, or an array of shape (n_rows,)")
        X, groups = X.drop(groups, axis=1) if hasattr(X, "iloc") else X.drop(groups), X[groups]
    rows = check_array(X, dtype=np.float64, ensure_all_finite=False, input_name="X")
    labels = np.asarray(groups)
    if labels.shape != (len(rows),):
        raise ValueError(f"groups has shape {labels.shape}; expected (n_rows,) = ({len(rows)},)")
    keys, numbers = np.unique(labels, return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    first_rows = np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=len(keys)))]).astype(np.int64)
    return keys, np.ascontiguousarray(rows[order]), first_rows


def _fit_one_by_one(
    covariance_type: str,
    rows: np.ndarray,
    first_rows: np.ndarray,
    seed: int,
    outcomes: np.ndarray,
    settings: dict[str, Any],
    result: dict[str, np.ndarray],
) -> None:
    """Do what the kernel does where the engine has none: in a loop, from other draws."""
    for i in np.flatnonzero(outcomes == WANTED).tolist():
        part = rows[first_rows[i] : first_rows[i + 1]]
        model = GaussianMixture(
            result["weights"].shape[1],
            covariance_type=covariance_type,
            acceleration=None,
            random_state=(seed + i) % (1 << 32),
            **settings,
        )
        try:
            with without_warnings(ConvergenceWarning):
                # One row has no spread of its own; twice the same row is the same mixture.
                model.fit(part if len(part) > 1 else part.repeat(2, axis=0))
        except ComponentCollapseError:
            outcomes[i] = COLLAPSED
            continue
        outcomes[i] = CONVERGED if model.converged_ else UNCONVERGED
        result["weights"][i], result["means"][i] = model.weights_, model.means_
        result["covariances"][i] = model.covariances_
        result["lower_bounds"][i], result["n_iter"][i] = model.lower_bound_, model.n_iter_
