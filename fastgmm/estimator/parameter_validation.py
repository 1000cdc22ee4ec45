"""Checks of weights, means, covariances and precisions given by users, in scikit-learn's words."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_array

from fastgmm.estimator.input_validation import DTYPES
from fastgmm.exceptions import did_you_mean
from fastgmm.model import Shape

__all__ = [
    "Names",
    "add_proposal",
    "check_covariance_prior",
    "check_covariances",
    "check_factors",
    "check_mean_prior",
    "check_means",
    "check_precisions",
    "check_weights",
]


class Names(StrOptions):
    """Names that a parameter takes, listed in a message in their own order, which a set has not.

    Parameters
    ----------
    names : iterable of str
        The usual ones first.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        super().__init__(set(self.names))

    def __str__(self) -> str:
        return f"a str among {{{', '.join(map(repr, self.names))}}}"


def add_proposal(error: BaseException) -> None:
    """Add the nearest name as a note to scikit-learn's message that a parameter is none of some names.

    A note, which a traceback shows: the message itself is scikit-learn's, word for word.
    """
    found = re.search(r"must be .*?a str among \{(.*?)\}.* Got '(.*)' instead", str(error), re.DOTALL)
    proposal = did_you_mean(found[2], re.findall(r"'(.*?)'", found[1])) if found else ""
    if proposal:
        error.add_note(f"D{proposal.strip(' ()')[1:]}")


def _check_shape(array: np.ndarray, shape: tuple[int, ...], name: str) -> None:
    if array.shape != shape:
        raise ValueError(f"The parameter '{name}' should have the shape of {shape}, but got {array.shape}")


def check_weights(weights, n_components: int) -> np.ndarray:
    """Return mixture weights checked: shape (n_components,), in [0, 1], summing to one."""
    weights = check_array(weights, dtype=DTYPES, ensure_2d=False, input_name="weights")
    _check_shape(weights, (n_components,), "weights")
    if (weights < 0.0).any() or (weights > 1.0).any():
        # scikit-learn prints the minimum as the maximum and its tests ask for that.
        raise ValueError(
            "The parameter 'weights' should be in the range [0, 1], but got max value "
            f"{weights.min():.5f}, min value {weights.max():.5f}"
        )
    tolerance = 1e-6 if weights.dtype == np.float32 else 1e-8
    if abs(1.0 - float(weights.sum())) > tolerance:
        raise ValueError(f"The parameter 'weights' should be normalized, but got sum(weights) = {weights.sum():.5f}")
    return weights


def check_means(means, n_components: int, n_features: int) -> np.ndarray:
    """Return means checked: shape (n_components, n_features)."""
    means = check_array(means, dtype=DTYPES, ensure_2d=False, input_name="means")
    _check_shape(means, (n_components, n_features), "means")
    return means


def _check_positive(array: np.ndarray, shape: Shape, name: str) -> np.ndarray:
    if not shape.is_matrix:
        if (array <= 0.0).any():
            raise ValueError(f"'{name}' should be positive")
    elif not np.allclose(array, np.swapaxes(array, -1, -2)) or not (np.linalg.eigvalsh(array) > 0.0).all():
        raise ValueError(f"'{name}' should be symmetric, positive-definite")
    return array


def _check_matrices(array, shape: Shape, n_components: int, n_features: int, word: str) -> np.ndarray:
    dims = shape.dims(n_components, n_features)
    array = check_array(array, dtype=DTYPES, ensure_2d=False, allow_nd=len(dims) > 2, input_name=word)
    _check_shape(array, dims, f"{shape.name} {word}")
    return _check_positive(array, shape, f"{shape.name} {word}")


def check_precisions(precisions, shape: Shape, n_components: int, n_features: int) -> np.ndarray:
    """Return precisions checked: stored as `shape` does, symmetric, positive definite."""
    return _check_matrices(precisions, shape, n_components, n_features, "precision")


def check_covariances(covariances, shape: Shape, n_components: int, n_features: int) -> np.ndarray:
    """Return covariances checked: stored as `shape` does, symmetric, positive definite."""
    return _check_matrices(covariances, shape, n_components, n_features, "covariance")


def check_factors(given, n_components: int, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return loadings (n_components, n_features, n_factors) and noise variances (n_components, n_features) checked."""
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise ValueError("covariances of components with factors are expected as a pair: loadings, noise variances")
    loadings = check_array(given[0], dtype=np.float64, ensure_2d=False, allow_nd=True, ensure_min_features=0)
    noise = check_array(given[1], dtype=np.float64, input_name="noise variances")
    if loadings.ndim != 3 or loadings.shape[:2] != (n_components, n_features) or noise.shape != loadings.shape[:2]:
        raise ValueError(
            f"loadings and noise variances have shapes {loadings.shape} and {noise.shape}; expected (n_components, "
            f"n_features, n_factors) and (n_components, n_features), with ({n_components}, {n_features})"
        )
    if not noise.min() > 0:
        raise ValueError("noise variances should be positive")
    return loadings, noise


def check_mean_prior(mean, n_features: int) -> np.ndarray:
    """Return the prior mean checked: shape (n_features,)."""
    mean = check_array(mean, dtype=DTYPES, ensure_2d=False, input_name="mean_prior")
    _check_shape(mean, (n_features,), "means")
    return mean


def check_covariance_prior(covariance, shape: Shape, n_features: int) -> np.ndarray | float:
    """Return the prior covariance checked: (D, D) for matrices, (D,) for variances, a positive number for one."""
    name, dims = f"{shape.name} covariance_prior", shape.dims_of_one(n_features)
    if not dims:
        if np.ndim(covariance) != 0:
            raise ValueError(
                f"The parameter '{name}' should be a positive number, but got shape {np.shape(covariance)}"
            )
        return covariance
    array = check_array(covariance, dtype=DTYPES, ensure_2d=False, input_name="covariance_prior")
    _check_shape(array, dims, name)
    return _check_positive(array, shape, name)
