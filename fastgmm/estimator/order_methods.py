"""The numbers that components go by: EM leaves them in any order."""

from __future__ import annotations

import copy
from collections.abc import Callable
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgmm.families.gaussian import FACTOR_ATTRIBUTES
from fastgmm.model import SufficientStatistics

__all__ = ["OrderMethods", "check_order_by", "component_order"]

#: What components may be ordered by, beside the mean of a feature.
PROPERTIES = ("weight", "volume")

#: Fitted attributes with an entry for each component; those with a matrix for each are permuted as its shape does.
PER_COMPONENT = (
    *("weights_", "means_", "df_", "weight_concentration_", "mean_precision_", "degrees_of_freedom_"),
    *FACTOR_ATTRIBUTES,
)
MATRICES = ("covariances_", "precisions_", "precisions_cholesky_", "scales_")
STATISTICS = ("statistics_", "_latest_statistics")


class OrderMethods:
    """The part of a mixture estimator that renumbers its components."""

    _covariance: Any

    def reorder(self, order: Any = None, *, by: Any = None) -> Self:
        """Return the same mixture with its components in another order.

        Parameters
        ----------
        order : array-like of shape (n_components,), optional
            The new order: component ``order[j]`` becomes component j. `fastgmm.match_components` returns such an order.
        by : int, str or callable, optional
            What to sort components by, instead of `order`. A number or name of a feature sorts by its mean, the
            smallest first. 'weight' puts the heaviest component first, and 'volume' the tightest one. A function
            ``f(model)`` returns a number for each component, and the smallest comes first.

        Returns
        -------
        model
            A new fitted estimator. Its predictions are the same except for the numbers of the components.

        Raises
        ------
        ValueError
            If `order` is no permutation, `by` is unknown, or both or neither are given; or if the model is a Dirichlet
            process, whose weights depend on the order.

        See Also
        --------
        fastgmm.match_components : Finds the order of another model.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([0.9, 0.1], [[5.0], [0.0]], [[[1.0]], [[1.0]]])
        >>> model.reorder(by=0).means_.ravel()
        array([0., 5.])
        """
        check_is_fitted(self)
        if (order is None) == (by is None):
            raise ValueError("reorder takes a permutation, order, or a property, by; expected exactly one of them")
        if by is not None:
            check_order_by(self, by)
            order = component_order(self, by)
        model = copy.copy(self)
        model._permute(_checked_permutation(order, len(model.weights_)))  # type: ignore[attr-defined]
        return model

    def _permute(self, order: np.ndarray) -> None:
        """Set the fitted attributes of the components in another order."""
        if isinstance(vars(self).get("weight_concentration_"), tuple):
            raise ValueError(
                "the model is a Dirichlet process, whose components' weights depend on their order, so it cannot be "
                "reordered; expected weight_concentration_prior_type='dirichlet_distribution'"
            )
        attributes, shape = vars(self), self._covariance.shape
        for name in PER_COMPONENT:
            if isinstance(attributes.get(name), np.ndarray) and attributes[name].ndim:
                attributes[name] = attributes[name][order]
        n_dims = len(shape.dims(1, 1))
        for name in MATRICES:
            if name in attributes:
                # Student components that share a scale may have covariances of their own.
                own = shape if np.ndim(attributes[name]) == n_dims else shape.per_component
                attributes[name] = own.take(attributes[name], order)
        for name in STATISTICS:
            if isinstance(attributes.get(name), SufficientStatistics):
                log_likelihood = attributes[name].log_likelihood
                attributes[name] = attributes[name].take(order)
                attributes[name].log_likelihood = log_likelihood


def _checked_permutation(order: Any, n_components: int) -> np.ndarray:
    array = np.asarray(order)
    whole = array.dtype.kind in "iu" and array.shape == (n_components,)
    if not whole or not np.array_equal(np.sort(array), np.arange(n_components)):
        raise ValueError(
            f"order is {order!r}; expected each number from 0 to n_components - 1 = {n_components - 1} once"
        )
    return array.astype(np.int64)


def check_order_by(model: Any, by: Any, labelled: bool = False) -> None:
    """Check what components are to be ordered by, before a fit is made.

    Raises
    ------
    ValueError
        If there is no such feature or property, it is one as well as the other, or labels number the components.
    """
    if labelled:
        raise ValueError("labels number the components, and order_by numbers them anew; expected one of them")
    names = list(getattr(model, "feature_names_in_", ()))
    if isinstance(by, str):
        if by in PROPERTIES and by in names:
            raise ValueError(f"{by!r} is a feature and a property of components; give the feature's number instead")
        if by not in PROPERTIES and by not in names:
            known = f", or the name of a feature among {names}" if names else "; X has no names of features"
            raise ValueError(f"components cannot be ordered by {by!r}; expected 'weight' or 'volume'{known}")
    elif isinstance(by, Integral) and not isinstance(by, bool):
        if not 0 <= int(by) < model.n_features_in_:
            raise ValueError(
                f"components cannot be ordered by feature {by}; expected 0 to n_features - 1 = "
                f"{model.n_features_in_ - 1}"
            )
    elif not callable(by):
        raise ValueError(
            f"components cannot be ordered by {by!r}; expected a feature, 'weight', 'volume' or a function"
        )


def component_order(model: Any, by: Any) -> np.ndarray:
    """Return the permutation that orders a fitted model's components, ascending; equals keep their order."""
    names = list(getattr(model, "feature_names_in_", ()))
    key: Callable[[Any], Any]
    if callable(by):
        key = by
    elif by == "weight" and by not in names:
        key = _lightness
    elif by == "volume" and by not in names:
        key = _volume
    else:
        column = names.index(by) if isinstance(by, str) else int(by)
        keys = np.asarray(model.means_)[:, column]
        return np.argsort(keys, kind="stable")
    keys = np.asarray(key(model), dtype=np.float64)
    n_components = len(model.weights_)
    if keys.shape != (n_components,) or np.isnan(keys).any():
        raise ValueError(
            f"order_by returned an array of shape {keys.shape}; expected a number for each component, "
            f"({n_components},), none of them NaN"
        )
    return np.argsort(keys, kind="stable")


def _lightness(model: Any) -> np.ndarray:
    return -np.asarray(model.weights_, dtype=np.float64)


def _volume(model: Any) -> np.ndarray:
    """Return the log of the determinant of each component's covariance, or scale."""
    factor = np.asarray(model.precisions_cholesky_, dtype=np.float64)
    return -2.0 * model._covariance.shape.half_log_det(factor, *np.shape(model.means_))
