"""The density of a fitted mixture as a landscape: slopes, modes, quantiles, the highest ground."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastgmm.estimator.inference_methods import InferenceMethods
from fastgmm.estimator.reading import refuse_source
from fastgmm.inference import derivatives, line
from fastgmm.inference.modes import find_modes
from fastgmm.inference.regions import HighestDensityRegion, density_level, line_region

__all__ = ["LandscapeMethods"]


class LandscapeMethods(InferenceMethods):
    """The part of a mixture estimator that says how its density rises and falls, from fitted attributes."""

    _density: Any
    _fitted_state: Any

    def gradient(self, X: Any) -> np.ndarray:
        """Return the gradient of the log density at each row: what statisticians call its score function.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            Rows without missing values.

        Returns
        -------
        gradient : ndarray of shape (n_samples, n_features), float64
            The gradient of `score_samples`, in nats per unit of each feature. It points to where the density rises.

        Raises
        ------
        ValueError
            If predictions are made with the Student t predictive of a variational mixture, or a value is missing.

        See Also
        --------
        hessian : The second derivatives.
        modes : Where the gradient is zero and the density highest.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([1.0], [[0.0]], [[[4.0]]])
        >>> model.gradient([[2.0]])
        array([[-0.5]])
        """
        self._smooth_density("gradient")
        return self._per_row(X, self._gradients, "gradient")

    def _gradients(self, rows: np.ndarray) -> np.ndarray:
        return derivatives.gradient(_complete(rows, "gradient"), self._smooth_density("gradient"))

    def hessian(self, X: Any) -> np.ndarray:
        """Return the matrix of second derivatives of the log density at each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows without missing values, in memory.

        Returns
        -------
        hessian : ndarray of shape (n_samples, n_features, n_features), float64
            The second derivatives of `score_samples`, a symmetric matrix for each row. At a peak it is negative
            definite, and minus its inverse is the covariance of the Gaussian that fits the top.

        Raises
        ------
        ValueError
            If predictions are made with the Student t predictive of a variational mixture, or a value is missing.

        See Also
        --------
        gradient : The first derivatives.
        """
        density = self._smooth_density("hessian")
        refuse_source(X, "hessian")
        return derivatives.hessian(_complete(self._check_rows(X), "hessian"), density)

    def modes(self, return_labels: bool = False) -> Any:
        """Return the peaks of the density, found by climbs from the means and from between overlapping components.

        There may be fewer peaks than components, since several components can make one peak together. A peak need not
        lie on a mean. With two or more features there may also be more peaks than components: climbs begin as well
        where the density has a peak along the ridge between two components, and in the middle of three. Of two
        components all peaks are found. Of more, one may be missed; in trials with 4 to 8 crossing components none was.

        Parameters
        ----------
        return_labels : bool, default=False
            Whether to return also which peak each component leads to. Components with the same peak look like one
            cluster.

        Returns
        -------
        modes : ndarray of shape (n_modes, n_features), float64
            The peaks, the highest one first. Two peaks are told apart if they are more than a thousandth of a standard
            deviation apart.
        labels : ndarray of shape (n_components,), int64
            The number of the peak that the mean of each component leads to; no mean leads to some peaks between
            components. Only with `return_labels`.

        Raises
        ------
        ValueError
            If predictions are made with the Student t predictive of a variational mixture.

        See Also
        --------
        gradient : The slope of the log density.
        fastgmm.selection.merge_components : Merges components of one peak.

        References
        ----------
        Carreira-Perpinan, "Mode-finding for mixtures of Gaussian distributions", IEEE PAMI 22 (2000). Ray and Lindsay,
        "The topography of multivariate normal mixtures", Annals of Statistics 33 (2005), theorem 1 (the ridge).

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> means = [[0.0], [1.0], [9.0]]  # the first two are too near to have a peak each
        >>> model = GaussianMixture.from_parameters([0.25, 0.25, 0.5], means, [[[1.0]], [[1.0]], [[1.0]]])
        >>> modes, labels = model.modes(return_labels=True)
        >>> modes.ravel().round(6), labels
        (array([9. , 0.5]), array([1, 1, 0]))
        """
        density = self._smooth_density("modes")
        density = getattr(density, "mixture", density)  # a background raises the density everywhere alike
        present = np.flatnonzero(np.asarray(self.weights_) > 0)
        modes, found = find_modes(density, density.means[present])
        if not return_labels:
            return modes
        labels = np.full(len(self.weights_), -1, dtype=np.int64)
        labels[present] = found
        return modes, labels

    def _smooth_density(self, method: str) -> Any:
        """Return the density that predictions of whole rows are made with, if its derivatives are known."""
        check_is_fitted(self)
        density = self._density()
        density = getattr(density, "density", density)  # of rows that miss nothing
        if not hasattr(density, "log_offset"):
            raise ValueError(
                f"{method} is known of Gaussian components and of Student t components of one scale matrix each, and "
                f"this {type(self).__name__} predicts with predictive='student-t', its posterior predictive; expected "
                "predictive='variational', which is smooth in the same places"
            )
        return density

    # One feature.

    def cdf(self, x: Any) -> np.ndarray:
        """Return the probability of values up to each x, for a model of one feature.

        Parameters
        ----------
        x : array-like of shape (n_samples,) or (n_samples, 1)
            The values asked about. Infinite ones are allowed.

        Returns
        -------
        probabilities : ndarray of shape (n_samples,), float64
            Probabilities from 0 to 1. Small ones are exact to full relative precision. A background counts within its
            box.

        Raises
        ------
        ValueError
            If the model has more than one feature, or x holds NaN.

        See Also
        --------
        quantile : The inverse.
        marginal : Makes a model of one feature.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
        >>> model.cdf([0.0])
        array([0.5])
        """
        state = self._one_feature("cdf")
        return line.cdf(_values(x, "x", "values"), state)

    def quantile(self, q: Any) -> np.ndarray:
        """Return the value below which each probability lies, for a model of one feature: the inverse of `cdf`.

        Parameters
        ----------
        q : array-like of shape (n,)
            The probabilities asked about, from 0 to 1.

        Returns
        -------
        values : ndarray of shape (n,), float64
            The values in units of the data, exact to rounding. They are infinite at 0 and 1.

        Raises
        ------
        ValueError
            If the model has more than one feature, or a probability is not between 0 and 1.

        See Also
        --------
        cdf : The inverse.
        marginal : Makes a model of one feature.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([0.9, 0.1], [[0.0], [0.0]], [[[1.0]], [[16.0]]])
        >>> model.quantile([0.01]).round(3)  # what one day in a hundred falls below
        array([-5.126])
        """
        state = self._one_feature("quantile")
        given = _values(q, "q", "probabilities")
        if given.size and not (given.min() >= 0.0 and given.max() <= 1.0):
            raise ValueError(f"q has values from {given.min():g} to {given.max():g}; expected probabilities, 0 to 1")
        return line.quantile(given, state)

    def _one_feature(self, method: str) -> Any:
        components = self._components()
        if components.n_features != 1:
            raise ValueError(
                f"the model has {components.n_features} features, and {method} is of one; take marginal(column)"
            )
        state = self._fitted_state()
        # With a background, as it is; of a posterior, the plug-in mixture.
        return state if hasattr(state, "mixture") else components

    def hdr(
        self, coverage: float = 0.95, *, n_simulations: int = 100_000, random_state: Any = None
    ) -> HighestDensityRegion:
        """Return the highest-density region: the smallest set of values that has probability `coverage`.

        Parameters
        ----------
        coverage : float in (0, 1), default=0.95
            The probability that the region holds.
        n_simulations : int, default=100000
            The number of draws from the mixture. Only needed if it has more than one component and more than one
            feature.
        random_state : int, RandomState or None
            Seed of the draws. None takes the estimator's own `random_state`.

        Returns
        -------
        region : HighestDensityRegion
            ``contains(X)``, the log density ``level`` at its edge, and, for one feature, its ``intervals``. A
            background is left out.

        Raises
        ------
        ValueError
            If `coverage` is not between 0 and 1, or `n_simulations` is not positive.

        See Also
        --------
        highest_density_level : Its level alone.
        highest_density_intervals : Its intervals, for one feature.

        References
        ----------
        Hyndman, "Computing and graphing highest density regions", The American Statistician 50 (1996).

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [9.0]], [[[1.0]], [[1.0]]])
        >>> region = model.hdr(0.9)
        >>> region.intervals.round(2)
        array([[-1.64,  1.64],
               [ 7.36, 10.64]])
        >>> region.contains([[0.0], [4.5]])
        array([ True, False])
        """
        components = self._components()
        if not 0.0 < coverage < 1.0:
            raise ValueError(f"coverage is {coverage!r}; expected a probability between 0 and 1, such as 0.95")
        if int(n_simulations) < 1:
            raise ValueError(f"n_simulations is {n_simulations!r}; expected a positive number")
        if components.n_features == 1:
            intervals, level = line_region(components, float(coverage))
            return HighestDensityRegion(float(coverage), level, intervals, components)
        random_state = check_random_state(self.random_state if random_state is None else random_state)
        level = density_level(components, float(coverage), int(n_simulations), random_state)
        return HighestDensityRegion(float(coverage), level, None, components)


def _complete(rows: np.ndarray, method: str) -> np.ndarray:
    if np.isnan(rows).any():
        raise ValueError(f"X has missing values (NaN), and {method} asks for the slope in every feature; impute first")
    return rows


def _values(given: Any, name: str, what: str) -> np.ndarray:
    array = np.asarray(given, dtype=np.float64)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim > 1 or np.isnan(array).any():
        raise ValueError(f"{name} has shape {array.shape} or holds NaN; expected {what} of shape (n,)")
    return np.atleast_1d(array)
