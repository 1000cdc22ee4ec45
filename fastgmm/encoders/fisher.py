"""Fisher vectors: how a bag of rows would change a mixture.

References
----------
Perronnin, Sanchez and Mensink (2010), Improving the Fisher kernel for large-scale image classification, ECCV: the
gradients, section 2, power and L2 normalisation, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import Interval

from fastgmm import kernels
from fastgmm.encoders.bags import BagEncoder, check_bags, check_width
from fastgmm.estimator.fit_context import fit_context
from fastgmm.estimator.mixture import BaseMixture
from fastgmm.model.moments import Components

__all__ = ["FisherVectorEncoder"]

#: The parts of a Fisher vector, in their order.
PARTS = ("weights", "means", "variances")


class FisherVectorEncoder(BagEncoder):
    """Encode bags of rows as Fisher vectors: how a bag would change the means and variances of a mixture.

    Parameters
    ----------
    mixture : GaussianMixture or BayesianGaussianMixture
        A mixture with covariance type 'diag', 'spherical' or a family whose name ends in I. A fitted mixture is used as
        it is, and `transform` needs no `fit`. Otherwise `fit` clones it and fits it to the rows of all bags. A
        background takes its share of the rows and adds nothing to the vector.
    parts : tuple of {'weights', 'means', 'variances'}, default=('means', 'variances')
        Which gradients make up the vector, in this order. The gradient of the weights adds little.
    power : float, default=0.5
        Every number is replaced by its absolute value to this power, with its sign. 1 changes nothing.
    normalise : bool, default=True
        Whether vectors have length one. A bag that is just as the mixture expects stays zero.

    Attributes
    ----------
    mixture_ : estimator
        The fitted mixture. Set by `fit`.
    n_features_in_ : int
        Number of features of a row.

    See Also
    --------
    VLADEncoder : Of centres in place of a mixture.

    Notes
    -----
    With a bag's counts n, sums F and scatter Q about the means, N rows, and standard deviations s::

        weights    (n / N - w) / sqrt(w)
        means      F / (N s sqrt(w))
        variances  (Q / s^2 - n) / (N sqrt(2 w))

    scikit-image's ``fisher_vector`` has the variances with the opposite sign.

    References
    ----------
    Perronnin, Sanchez and Mensink, "Improving the Fisher kernel for large-scale image classification", ECCV (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import FisherVectorEncoder, GaussianMixture
    >>> rng = np.random.default_rng(0)
    >>> bags = [rng.normal(size=(n, 3)) for n in (20, 35, 50)]
    >>> encoder = FisherVectorEncoder(GaussianMixture(4, covariance_type="diag", random_state=0)).fit(bags)
    >>> encoder.transform(bags).shape  # 2 * 4 components * 3 features
    (3, 24)
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "mixture": [object],
        "parts": [tuple, list],
        "power": [Interval(Real, 0.0, 1.0, closed="right")],
        "normalise": ["boolean"],
    }

    def __init__(
        self, mixture: Any, *, parts: Sequence[str] = ("means", "variances"), power: float = 0.5, normalise: bool = True
    ) -> None:
        self.mixture = mixture
        self.parts = parts
        self.power = power
        self.normalise = normalise

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "mixture_") or hasattr(self.mixture, "means_")

    @fit_context()
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the mixture to the rows of all bags, unless it is fitted.

        Parameters
        ----------
        X : list of array-like of shape (n_rows, n_features), or array of shape (n_bags, n_rows, n_features)
            Bags.
        y : Ignored
            Ignored. It is there so that pipelines work.

        Returns
        -------
        self : FisherVectorEncoder
            Fitted.

        See Also
        --------
        transform : Encodes bags.
        """
        if not isinstance(self.mixture, BaseMixture):
            raise TypeError(f"mixture is a {type(self.mixture).__name__}; expected a mixture of fastgmm")
        bags = check_bags(X, None)
        fitted = hasattr(self.mixture, "means_")
        self.mixture_ = self.mixture if fitted else clone(self.mixture).fit(np.concatenate(bags))
        _diagonal(self.mixture_)
        self.n_features_in_ = bags[0].shape[1]
        check_width(self.n_features_in_, np.shape(self.mixture_.means_)[1])
        return self

    @property
    def _n_features_out(self) -> int:
        n_components, n_features = np.shape(self._fitted().means_)
        sizes = {"weights": n_components, "means": n_components * n_features, "variances": n_components * n_features}
        return sum(sizes[part] for part in self._checked_parts())

    def _fitted(self) -> Any:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(
                "mixture is not fitted, and neither is this FisherVectorEncoder; call fit with bags, or give it a "
                "fitted mixture"
            )
        return getattr(self, "mixture_", self.mixture)

    def _checked_parts(self) -> list[str]:
        unknown = [part for part in self.parts if part not in PARTS]
        if unknown or isinstance(self.parts, str) or not self.parts:
            raise ValueError(f"parts is {self.parts!r}; expected a tuple of {', '.join(map(repr, PARTS))}")
        return [part for part in PARTS if part in self.parts]

    def transform(self, X: Any) -> Any:
        """Return the Fisher vector of each bag.

        Parameters
        ----------
        X : list of array-like of shape (n_rows, n_features), or array of shape (n_bags, n_rows, n_features)
            Bags, each of one row or more.

        Returns
        -------
        vectors : ndarray of shape (n_bags, n_features_out)
            The vectors: float32 if all bags are float32, otherwise float64. They have no unit.

        Raises
        ------
        ValueError
            If a bag is empty, not finite, or has other features than the mixture; the message gives its number.

        See Also
        --------
        fit : Learns the mixture.
        """
        density, weights = _diagonal(self._fitted())
        parts, (n_components, n_features), n_own = self._checked_parts(), density.means.shape, len(weights)
        # A component that has no weight gives nothing to the vector.
        scale = np.divide(1.0, np.sqrt(weights), out=np.zeros(n_own), where=weights > 0)
        factor = density.precisions_cholesky[:n_own]
        of_sums, of_scatter = factor * scale[:, None], factor**2 * scale[:, None] * np.sqrt(0.5)
        run = kernels.bind(density).on_engine("accumulate").accumulate

        def encode(bags: list[np.ndarray], out: np.ndarray) -> float:
            counts, at = np.zeros((len(bags), n_components)), 0
            views = {}
            for part in parts:
                dims = (n_own,) if part == "weights" else (n_own, n_features)
                width = int(np.prod(dims))
                views[part], at = out[:, at : at + width].reshape(len(bags), *dims), at + width
            # The kernel adds to the vectors themselves, unless it has a background that they have not.
            sums, scatter = (
                views[part] if part in views and n_own == n_components else np.zeros((len(bags), *density.means.shape))
                for part in ("means", "variances")
            )
            total = 0.0
            for bag, *totals in zip(bags, counts, sums, scatter, strict=True):
                total += run(bag, None, *totals, 1)
            if n_own < n_components:
                # A background has a density everywhere.
                total += sums.sum()
                counts, sums, scatter = (part[:, :n_own] for part in (counts, sums, scatter))
            n_rows = np.array([float(len(bag)) for bag in bags])
            if "weights" in views:
                np.multiply(counts - n_rows[:, None] * weights, scale, out=views["weights"])
            if "means" in views:
                np.multiply(sums, of_sums, out=views["means"])
            if "variances" in views:
                np.multiply(scatter, of_scatter, out=views["variances"])
                views["variances"] -= (counts * (scale * np.sqrt(0.5)))[..., None]
            if not self.normalise:
                out /= n_rows[:, None]
            return total

        return self._encode(X, n_features, self._n_features_out, encode)


def _diagonal(mixture: Any) -> tuple[Components, np.ndarray]:
    """Return a fitted mixture with a variance for each component and feature, and the weights of its components.

    Raises
    ------
    TypeError
        If it is no Gaussian mixture.
    ValueError
        If its components have covariances between features.
    """
    if not isinstance(mixture, BaseMixture):
        raise TypeError(f"mixture is a {type(mixture).__name__}; expected a mixture of fastgmm")
    state = mixture._fitted_state()
    if getattr(state, "tail", None) is not None:
        raise ValueError(
            f"mixture is a {type(mixture).__name__}, and Fisher vectors are gradients of Gaussian components; expected "
            "a GaussianMixture"
        )
    if state.shape.is_matrix:
        raise ValueError(
            f"mixture has covariance_type {mixture.covariance_type!r}, and Fisher vectors take features as independent "
            "within components; expected 'diag' or 'spherical'. Rotate the features by PCA(whiten=True) beforehand"
        )
    n_components, n_features = state.means.shape
    factor = np.broadcast_to(state.precisions_cholesky.reshape(n_components, -1), (n_components, n_features))
    density = Components("diag", state.log_offset, state.means, np.ascontiguousarray(factor))
    return density, getattr(state, "mixture", state).weights
