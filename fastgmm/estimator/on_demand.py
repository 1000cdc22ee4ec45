"""Attributes that are computed when they are asked for: whole matrices of components that have loadings and noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgmm.families.gaussian import fitted_mixture
from fastgmm.model.shapes import FULL
from fastgmm.model.student import variance_ratio

__all__ = ["OnDemand"]


class OnDemand:
    """A fitted attribute (n_components, n_features, n_features) of a model with ``loadings_``.

    Where a fit sets the attribute itself, that is what there is; where there are no loadings either, there is none.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, model: Any, owner: type | None = None) -> Any:
        """Return the matrices, in the dtype of the means."""
        if model is None or "loadings_" not in vars(model) or (self._name == "scales_" and "df_" not in vars(model)):
            raise AttributeError(f"{getattr(owner, '__name__', owner)!r} object has no attribute {self._name!r}")
        mixture = fitted_mixture(vars(model), FULL)
        shape = mixture.shape
        if self._name == "precisions_":
            found = shape.precisions(mixture.precisions_cholesky)
        else:
            found = shape.full(mixture.covariances, *mixture.means.shape)
            if self._name == "precisions_cholesky_":
                found = FULL.factorise(found)
            elif self._name == "covariances_" and "df_" in vars(model):
                ratio = np.broadcast_to(FULL.each(variance_ratio(np.asarray(model.df_, dtype=np.float64))), found.shape)
                found = np.multiply(found, ratio, out=np.zeros_like(found), where=found != 0)
        return found.astype(np.asarray(model.means_).dtype, copy=False)
