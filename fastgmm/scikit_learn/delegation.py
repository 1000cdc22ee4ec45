"""When a method of a patched class may be ours: nothing beneath it is overridden, and its attributes are understood."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import FunctionType
from typing import Any

import numpy as np
from sklearn import get_config

from fastgmm.data.sources import source_of
from fastgmm.families import get_covariance
from fastgmm.model import SHAPES

__all__ = ["Guard", "is_understood", "reads_rows_alike"]

#: Public methods that scikit-learn's methods call on the estimator itself.
BENEATH = {
    "fit": ("fit_predict",),
    "fit_predict": (),
    "predict": (),
    "predict_proba": (),
    "score_samples": (),
    "score": ("score_samples",),
    "aic": ("score", "score_samples"),
    "bic": ("score", "score_samples"),
}
#: What a class may say of its attributes that a look into their dictionary would not tell.
SAYS_OF_ATTRIBUTES = ("__getattr__", "__getattribute__", "__setattr__", "__delattr__", "__slots__")
#: What scikit-learn asks of an estimator while it checks rows and parameters.
ASKED_BY_CHECKS = (
    "_parameter_constraints",
    "_validate_params",
    "get_params",
    "__sklearn_tags__",
    "__sklearn_is_fitted__",
    "_check_feature_names",
    "_check_n_features",
)
FITTED = [
    "weights_",
    "means_",
    "covariances_",
    "precisions_",
    "precisions_cholesky_",
    "converged_",
    "n_iter_",
    "lower_bound_",
    "lower_bounds_",
    "n_features_in_",
    "feature_names_in_",
    "weight_concentration_",
    "mean_precision_",
    "degrees_of_freedom_",
    "mean_prior_",
    "covariance_prior_",
    "mean_precision_prior_",
    "degrees_of_freedom_prior_",
    "weight_concentration_prior_",
]


class Guard:
    """Tells whether anything that a method of scikit-learn's would call is not scikit-learn's own.

    Parameters
    ----------
    original : type
        scikit-learn's class.
    patched : type
        The class in its place, complete.
    """

    def __init__(self, original: type, patched: type) -> None:
        functions = vars(sys.modules[original.__module__])
        private = [
            name
            for cls in original.__mro__
            if cls.__module__.startswith("sklearn.mixture")
            for name, value in vars(cls).items()
            if name.startswith("_") and not name.startswith("__") and callable(value)
        ]
        names = (*private, *original._get_param_names(), *FITTED, *SAYS_OF_ATTRIBUTES, *ASKED_BY_CHECKS)  # type: ignore[attr-defined]
        self._original = original
        self._hooks = [(name, getattr(patched, name, None)) for name in dict.fromkeys(names)]
        self._on_instance = frozenset(private)
        self._ours, self._theirs = (
            {name: getattr(cls, name) for name in BENEATH if hasattr(cls, name)} for cls in (patched, original)
        )
        # Functions of its module that a test may have replaced.
        self._functions = [(functions, name, value) for name, value in functions.items() if _is_private(name, value)]

    def finds(self, estimator: Any, method: str) -> str | None:
        """Return the name of something beneath a method that is overridden, or None.

        Parameters
        ----------
        estimator : estimator
        method : str
            A key of `BENEATH`.
        """
        cls, attributes = type(estimator), estimator.__dict__
        for name, value in self._hooks:
            if getattr(cls, name, None) is not value:
                return name
        for name in BENEATH[method]:
            if getattr(cls, name) is not self._ours[name] or name in attributes:
                return name
        for name in (method, *BENEATH[method]):
            if getattr(self._original, name) is not self._theirs[name]:
                return name
        if not self._on_instance.isdisjoint(attributes):
            return next(iter(self._on_instance & attributes.keys()))
        for names, name, value in self._functions:
            if names.get(name) is not value:
                return name
        return None


def _is_private(name: str, value: Any) -> bool:
    """Return whether a module's name is a private function of scikit-learn's mixtures."""
    return isinstance(value, FunctionType) and name.startswith("_") and value.__module__.startswith("sklearn.mixture")


def reads_rows_alike(X: Any) -> bool:
    """Return whether X is rows to us if and only if it is to scikit-learn: arrays and frames, without dispatch."""
    return not get_config()["array_api_dispatch"] and (type(X) is np.ndarray or source_of(X) is None)


def is_understood(estimator: Any, posterior: bool) -> bool:
    """Return whether fitted attributes are of a kind that a fit sets; others are for scikit-learn's code to read.

    Parameters
    ----------
    estimator : estimator
    posterior : bool
        Whether they describe a variational posterior.
    """
    attributes = estimator.__dict__
    structure, n_components = attributes.get("covariance_type"), attributes.get("n_components")
    parts = [attributes.get(name) for name in ("weights_", "means_", "precisions_cholesky_")]
    if not isinstance(structure, str) or structure not in SHAPES or not _are_arrays(parts):
        return False
    weights, means, factor = parts
    if means.ndim != 2 or weights.shape != means.shape[:1] or len(means) != n_components:
        return False
    shape = get_covariance(structure).shape
    if factor.shape != shape.dims(*means.shape):
        return False
    covariances = attributes.get("covariances_")
    if covariances is not None and np.shape(covariances) != factor.shape:
        return False
    # Of another factor scikit-learn takes the determinant from the diagonal, whatever stands beneath.
    diagonal = np.diagonal(factor, axis1=-2, axis2=-1) if shape.is_matrix else factor
    if not (diagonal > 0).all() or not (weights >= 0).all() or (shape.is_matrix and np.tril(factor, -1).any()):
        return False
    return not posterior or _is_posterior(attributes, n_components, shape.is_shared)


def _is_posterior(attributes: dict[str, Any], n_components: Any, is_shared: bool) -> bool:
    concentration: Any = attributes.get("weight_concentration_")
    dof: Any = attributes.get("degrees_of_freedom_")
    is_process = attributes.get("weight_concentration_prior_type") == "dirichlet_process"
    if isinstance(concentration, tuple) != is_process:
        return False
    arrays = [*(concentration if is_process else (concentration,)), attributes.get("mean_precision_")]
    arrays += [] if is_shared else [dof]
    return (
        len(arrays) == 2 + is_process + (not is_shared)
        and _are_arrays(arrays)
        and all(array.shape == (n_components,) for array in arrays)
        and np.ndim(dof) == (not is_shared)
    )


def _are_arrays(values: Iterable[Any]) -> bool:
    return all(type(value) is np.ndarray and value.dtype.char in "df" for value in values)
