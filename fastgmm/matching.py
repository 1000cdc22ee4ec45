"""Which component of one mixture is which of another."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgmm.estimator.inference_methods import InferenceMethods
from fastgmm.inference.divergence import bhattacharyya

__all__ = ["match_components"]


def match_components(reference: Any, model: Any) -> np.ndarray:
    """Return the order that gives a model's components the numbers of those most like them in a reference.

    Components are paired one to one so that the sum of their Bhattacharyya distances is the smallest (the Hungarian
    algorithm). The distance is between densities, so it does not depend on the units of the features.

    Parameters
    ----------
    reference : fitted mixture
        The mixture whose numbers of components are kept, such as yesterday's model.
    model : fitted mixture
        The mixture to renumber. It has the same features, and as many components or more. Components left over come
        last, the heaviest first.

    Returns
    -------
    order : ndarray of shape (n_components,), int64
        For ``model.reorder(order)``: component ``order[j]`` is the one like component j of the reference. Of t
        components, scale matrices are compared; a background is left out.

    Raises
    ------
    TypeError
        If one of them is no mixture of this package.
    ValueError
        If the features differ in number, or `model` has fewer components than the reference.

    See Also
    --------
    fastgmm.GaussianMixture.reorder : Applies the order.

    References
    ----------
    Bhattacharyya, "On a measure of divergence between two statistical populations defined by their probability
    distributions", Bulletin of the Calcutta Mathematical Society 35 (1943). Kuhn, "The Hungarian method for the
    assignment problem", Naval Research Logistics Quarterly 2 (1955).

    Examples
    --------
    >>> from fastgmm import GaussianMixture, match_components
    >>> yesterday = GaussianMixture.from_parameters([0.6, 0.4], [[0.0], [5.0]], [[[1.0]], [[2.0]]])
    >>> today = GaussianMixture.from_parameters([0.5, 0.5], [[5.2], [0.1]], [[[2.0]], [[1.0]]])
    >>> order = match_components(yesterday, today)
    >>> today.reorder(order).means_.ravel()
    array([0.1, 5.2])
    """
    from scipy.optimize import linear_sum_assignment

    states = []
    for name, given in (("reference", reference), ("model", model)):
        if not isinstance(given, InferenceMethods):
            raise TypeError(f"{name} is a {type(given).__name__}; expected a fitted mixture of fastgmm")
        check_is_fitted(given)
        states.append(given._components())
    theirs, ours = states
    if theirs.n_features != ours.n_features:
        raise ValueError(f"model has {ours.n_features} features; expected {theirs.n_features}, as reference has")
    if ours.n_components < theirs.n_components:
        raise ValueError(
            f"model has {ours.n_components} components; expected at least {theirs.n_components}, as reference has: a "
            "number of the reference would be left without a component"
        )
    matched = linear_sum_assignment(bhattacharyya(theirs, ours))[1]
    rest = np.setdiff1d(np.arange(ours.n_components), matched)
    rest = rest[np.argsort(-ours.weights[rest], kind="stable")]
    return np.concatenate([matched, rest]).astype(np.int64)
