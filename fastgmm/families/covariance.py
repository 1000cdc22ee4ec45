"""The covariance families: which matrices the components of a mixture may have, one row for each.

mclust's names are three letters for volume, shape and orientation of ``Sigma_k = lambda_k D_k A_k D_k^T``: E equal
over components, V varying, I the identity. The estimates live beside this file: `closed_form`, `volume_families` (VEI,
VEE, VEV) and `common_axes` (EVE, VVE). Adding a row makes its name a valid ``covariance_type`` everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgmm.families import closed_form, common_axes, volume_families
from fastgmm.model.shapes import DIAGONAL, FULL, SPHERICAL, TIED, Shape

__all__ = ["COVARIANCES", "MULTIVARIATE", "UNIVARIATE", "CovarianceFamily"]


@dataclass(frozen=True)
class CovarianceFamily:
    """A family of covariance matrices.

    Attributes
    ----------
    name : str
        The value of ``covariance_type``.
    shape : Shape
        Of the covariances, and of the scatter that an M-step takes.
    estimate : callable
        ``estimate(scatter, counts, previous) -> covariances``: maximum-likelihood covariances in their shape, from the
        scatter about the new means. Iterative ones start from `previous` (`MixtureParameters` or None) and are never
        less likely than its covariances.
    n_parameters : callable
        ``n_parameters(n_components, n_features) -> float``: free covariance parameters.
    is_free : bool
        Whether every matrix of the shape is in the family, so that the estimate is the scatter over the count.
    is_shared : bool
        Whether the components have one covariance.
    is_clipped : bool
        Whether clipping the eigenvalues of the estimate gives the estimate under a bound on their ratio: where axes and
        eigenvalues are estimated apart.
    is_bounded : bool
        Whether the ratio of eigenvalues over all components has a bound (`bounded`), so that no component is singular.
    n_features : range
        Numbers of features that the family is for.
    elsewhere : tuple of str
        What to use with another number of features.
    """

    name: str
    shape: Shape
    estimate: Callable[..., np.ndarray]
    n_parameters: Callable[[int, int], float]
    is_free: bool = False
    is_shared: bool = False
    is_clipped: bool = False
    is_bounded: bool = False
    n_features: range = range(1, 1 << 62)
    elsewhere: tuple[str, ...] = ()

    def stored(self, covariances: np.ndarray) -> Shape:
        """Return the shape of covariances that the family has estimated."""
        return self.shape

    def check_n_features(self, n_features: int) -> None:
        """Raise ValueError where the name and the number of columns contradict each other.

        E and V are for one column; mclust's three-letter names distinguish shapes and orientations, which one column
        does not have. scikit-learn's four names go with any number of columns.
        """
        if n_features in self.n_features:
            return
        if n_features >= self.n_features.stop:
            raise ValueError(
                f"covariance_type is {self.name!r}, for data of one feature, and X has {n_features} features; use "
                f"{self.elsewhere[0]!r} for spherical or {self.elsewhere[1]!r} for ellipsoidal components"
            )
        raise ValueError(
            f"covariance_type is {self.name!r}, for data of two or more features, and X has 1 feature; use "
            f"{self.elsewhere[0]!r}, which is what it comes to for one feature"
        )


def _covariances() -> dict[str, CovarianceFamily]:
    # Parameters of one orientation: the rotations of d axes.
    def rotation(d: int) -> int:
        return d * (d - 1) // 2

    closed, volumes, axes = closed_form, volume_families, common_axes
    free: dict[str, Any] = {"is_free": True, "is_clipped": True}
    shared: dict[str, Any] = {"is_shared": True}
    clipped: dict[str, Any] = {"is_clipped": True}
    # scikit-learn's names, for any number of features.
    rows = [
        CovarianceFamily("full", FULL, closed.separate, lambda k, d: k * d * (d + 1) // 2, **free),
        CovarianceFamily("tied", TIED, closed.pooled, lambda k, d: d * (d + 1) // 2, **free, **shared),
        CovarianceFamily("diag", DIAGONAL, closed.separate, lambda k, d: k * d, **free),
        CovarianceFamily("spherical", SPHERICAL, closed.separate, lambda k, d: k, **free),
    ]
    # mclust's: spherical, axis-aligned, ellipsoidal.
    several: dict[str, Any] = {"n_features": range(2, 1 << 62)}
    equal, varying = {**several, "elsewhere": ("E",)}, {**several, "elsewhere": ("V",)}
    rows += [
        CovarianceFamily("EII", SPHERICAL, closed.eii, lambda k, d: 1, **shared, **clipped, **equal),
        CovarianceFamily("VII", SPHERICAL, closed.separate, lambda k, d: k, **free, **varying),
        CovarianceFamily("EEI", DIAGONAL, closed.eei, lambda k, d: d, **shared, **clipped, **equal),
        CovarianceFamily("VEI", DIAGONAL, volumes.vei, lambda k, d: k + d - 1, **varying),
        CovarianceFamily("EVI", DIAGONAL, closed.evi, lambda k, d: 1 + k * (d - 1), **equal),
        CovarianceFamily("VVI", DIAGONAL, closed.separate, lambda k, d: k * d, **free, **varying),
        CovarianceFamily("EEE", TIED, closed.pooled, lambda k, d: d * (d + 1) // 2, **free, **shared, **equal),
        CovarianceFamily("VEE", FULL, volumes.vee, lambda k, d: k + d - 1 + rotation(d), **varying),
        CovarianceFamily("EVE", FULL, axes.eve, lambda k, d: 1 + k * (d - 1) + rotation(d), **equal),
        CovarianceFamily("VVE", FULL, axes.vve, lambda k, d: k * d + rotation(d), **varying),
        CovarianceFamily("EEV", FULL, closed.eev, lambda k, d: d + k * rotation(d), **clipped, **equal),
        CovarianceFamily("VEV", FULL, volumes.vev, lambda k, d: k + d - 1 + k * rotation(d), **varying),
        CovarianceFamily("EVV", FULL, closed.evv, lambda k, d: 1 + k * (d - 1) + k * rotation(d), **equal),
        CovarianceFamily("VVV", FULL, closed.separate, lambda k, d: k * d * (d + 1) // 2, **free, **varying),
    ]
    one: dict[str, Any] = {"n_features": range(1, 2)}
    rows += [
        CovarianceFamily(
            "E", SPHERICAL, closed.eii, lambda k, d: 1, **shared, **clipped, **one, elsewhere=("EII", "EEE")
        ),
        CovarianceFamily("V", SPHERICAL, closed.separate, lambda k, d: k, **free, **one, elsewhere=("VII", "VVV")),
    ]
    return {row.name: row for row in rows}


COVARIANCES: dict[str, CovarianceFamily] = _covariances()

#: The names that mclust searches, for two or more features and for one.
MULTIVARIATE = tuple(name for name, row in COVARIANCES.items() if row.n_features.start == 2)
UNIVARIATE = tuple(name for name, row in COVARIANCES.items() if row.n_features.stop == 2)
