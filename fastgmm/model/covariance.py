"""The M-step: from sufficient statistics to covariances, one structure at a time.

A structure says which kernel it needs (the shape of its precision factor), how covariances are estimated and how
many free parameters they have. Adding one to `STRUCTURES` makes it a valid ``covariance_type`` everywhere.

mclust's names are three letters for volume, shape and orientation of ``Sigma_k = lambda_k D_k A_k D_k^T``: E equal
over components, V varying, I the identity. The estimates live beside this file: `closed_form`, `volume_families` (VEI,
VEE, VEV) and `common_axes` (EVE, VVE).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastgmm import kernels
from fastgmm.model import closed_form, common_axes, volume_families
from fastgmm.model.factors import collapse_error, factorise
from fastgmm.model.parameters import MixtureParameters
from fastgmm.model.priors import ConjugatePrior
from fastgmm.model.statistics import SufficientStatistics

__all__ = ["STRUCTURES", "CovarianceStructure", "add_to_diagonal", "factorise", "get_structure", "maximise"]


@dataclass(frozen=True)
class CovarianceStructure:
    """A family of covariance matrices.

    Attributes
    ----------
    name : str
        The value of ``covariance_type``.
    kernel : {'full', 'tied', 'diag', 'spherical'}
        Which precision factor the kernels take.
    statistics : {'full', 'tied', 'diag', 'spherical'}
        Which scatter the M-step needs.
    estimate : callable
        ``estimate(scatter, counts, previous) -> covariances``: maximum-likelihood covariances in the kernel's shape,
        from the scatter about the new means. Iterative ones start from `previous` (`MixtureParameters` or None) and
        are never less likely than its covariances.
    n_parameters : callable
        ``n_parameters(n_components, n_features) -> int``: free covariance parameters.
    """

    name: str
    kernel: str
    statistics: str
    estimate: Callable[..., np.ndarray]
    n_parameters: Callable[[int, int], int]

    def check_n_features(self, n_features: int) -> None:
        """Raise ValueError where the name and the number of columns contradict each other.

        E and V are for one column; mclust's three-letter names distinguish shapes and orientations, which one column
        does not have. scikit-learn's four names go with any number of columns.
        """
        if len(self.name) == 1 and n_features != 1:
            raise ValueError(
                f"covariance_type is {self.name!r}, for data of one feature, and X has {n_features} features; use "
                f"'{self.name}II' for spherical or '{self.name * 3}' for ellipsoidal components"
            )
        if len(self.name) == 3 and n_features == 1:
            raise ValueError(
                f"covariance_type is {self.name!r}, for data of two or more features, and X has 1 feature; use "
                f"{self.name[0]!r}, which is what it comes to for one feature"
            )


def _structures() -> dict[str, CovarianceStructure]:
    # Parameters of one orientation: the rotations of d axes.
    def rotation(d):
        return d * (d - 1) // 2

    closed, volumes, axes = closed_form, volume_families, common_axes
    rows = [
        # scikit-learn's names. A spherical variance is trace / (count n_features): see `centred_scatter`.
        ("full", "full", closed.separate, lambda k, d: k * d * (d + 1) // 2),
        ("tied", "tied", closed.pooled, lambda k, d: d * (d + 1) // 2),
        ("diag", "diag", closed.separate, lambda k, d: k * d),
        ("spherical", "spherical", closed.separate, lambda k, d: k),
        # mclust's: spherical, axis-aligned, ellipsoidal; and for one feature.
        ("EII", "spherical", closed.eii, lambda k, d: 1),
        ("VII", "spherical", closed.separate, lambda k, d: k),
        ("EEI", "diag", closed.eei, lambda k, d: d),
        ("VEI", "diag", volumes.vei, lambda k, d: k + d - 1),
        ("EVI", "diag", closed.evi, lambda k, d: 1 + k * (d - 1)),
        ("VVI", "diag", closed.separate, lambda k, d: k * d),
        ("EEE", "tied", closed.pooled, lambda k, d: d * (d + 1) // 2),
        ("VEE", "full", volumes.vee, lambda k, d: k + d - 1 + rotation(d)),
        ("EVE", "full", axes.eve, lambda k, d: 1 + k * (d - 1) + rotation(d)),
        ("VVE", "full", axes.vve, lambda k, d: k * d + rotation(d)),
        ("EEV", "full", closed.eev, lambda k, d: d + k * rotation(d)),
        ("VEV", "full", volumes.vev, lambda k, d: k + d - 1 + k * rotation(d)),
        ("EVV", "full", closed.evv, lambda k, d: 1 + k * (d - 1) + k * rotation(d)),
        ("VVV", "full", closed.separate, lambda k, d: k * d * (d + 1) // 2),
        ("E", "spherical", closed.eii, lambda k, d: 1),
        ("V", "spherical", closed.separate, lambda k, d: k),
    ]
    # Each M-step works on the scatter of its own kernel.
    return {row[0]: CovarianceStructure(row[0], row[1], row[1], *row[2:]) for row in rows}


STRUCTURES: dict[str, CovarianceStructure] = _structures()


def get_structure(name: str) -> CovarianceStructure:
    """Return the structure called `name`.

    Raises
    ------
    ValueError
        If there is none; the message lists those there are.
    """
    try:
        return STRUCTURES[name]
    except (KeyError, TypeError):
        raise ValueError(f"covariance_type is {name!r}; expected one of {', '.join(STRUCTURES)}") from None


def centred_scatter(statistics: SufficientStatistics, counts: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Move the scatter from the centres to the new means, ``centres + shift``; spherical: per feature."""
    if statistics.structure == "full":
        return statistics.scatter - (counts[:, None] * shift)[:, :, None] * shift[:, None, :]
    if statistics.structure == "tied":
        return statistics.scatter - (counts[:, None] * shift).T @ shift
    if statistics.structure == "diag":
        return np.maximum(statistics.scatter - counts[:, None] * shift * shift, 0.0)
    return np.maximum(statistics.scatter - counts * np.einsum("kd,kd->k", shift, shift), 0.0) / shift.shape[1]


def add_to_diagonal(covariances: np.ndarray, kernel: str, amount) -> None:
    """Add `amount`, a number or one per component, to every variance, in place."""
    if kernel in ("full", "tied"):
        n_features = covariances.shape[-1]
        diagonals = covariances.reshape(-1, n_features * n_features)[:, :: n_features + 1]
        diagonals += np.reshape(amount, (-1, 1))
    elif kernel == "diag":
        covariances += np.reshape(amount, (-1, 1))
    else:
        covariances += amount


def _estimate(statistics: SufficientStatistics, reg_covar: float, count_floor: float) -> MixtureParameters | None:
    """Return the parameters where every covariance is free, or None if there are none."""
    centres, scatter = statistics.centres, statistics.scatter
    weights, means = np.empty(len(centres)), np.empty(centres.shape)
    covariances, factor, log_offset = np.empty(scatter.shape), np.empty(scatter.shape), np.empty(len(centres))
    if not kernels.estimate(statistics, reg_covar, count_floor, weights, means, covariances, factor, log_offset):
        return None
    return MixtureParameters.with_log_offset(statistics.structure, weights, means, covariances, factor, log_offset)


def maximise(
    statistics: SufficientStatistics,
    structure: CovarianceStructure,
    reg_covar: float,
    count_floor: float,
    previous: MixtureParameters | None = None,
    prior: ConjugatePrior | None = None,
) -> MixtureParameters:
    """Return the parameters that maximise the expected log-likelihood given the statistics.

    Parameters
    ----------
    statistics : SufficientStatistics
    structure : CovarianceStructure
    reg_covar : float
        Added to every variance of the scatter matrices, per sample, before the structure is imposed: scikit-learn's
        regularisation where the structure imposes nothing, and covariances that stay in their family where it does.
    count_floor : float
        Added to every count, so that an empty component keeps finite parameters.
    previous : MixtureParameters, optional
        Where an iterative structure starts from.
    prior : ConjugatePrior, optional
        The posterior is maximised instead.

    Raises
    ------
    ComponentCollapseError
        If a component is empty or its covariance is not positive definite.
    ValueError
        If the structure is not one for this number of features.
    """
    structure.check_n_features(statistics.centres.shape[1])
    if prior is None and structure.estimate in (closed_form.separate, closed_form.pooled):
        found = _estimate(statistics, reg_covar, count_floor)
        if found is not None:
            return found
        # What follows comes to the same and says what failed.
    counts = statistics.counts + count_floor
    if not counts.min() > 0:
        raise collapse_error(int(np.argmin(counts > 0)), statistics.counts, None, "no sample belongs to it")
    shift = statistics.sums / counts[:, None]
    scatter = centred_scatter(statistics, counts, shift)
    # A finite sum proves it; an infinite one may be an overflow.
    if not math.isfinite(scatter.sum()) and not np.isfinite(scatter).all():
        where = 0 if structure.statistics == "tied" else int(np.argwhere(~np.isfinite(scatter))[0, 0])
        raise collapse_error(where, statistics.counts, None, "its scatter is not finite; the data are out of range")
    if reg_covar:
        amount = counts.sum() if structure.statistics == "tied" else counts
        add_to_diagonal(scatter, structure.statistics, reg_covar * amount)
    weights, means = counts / counts.sum(), statistics.centres + shift
    if prior is not None:
        scatter, amended = prior.amend(structure.name, structure.kernel, scatter, counts, means)
        means, counts = prior.shift_means(counts, means), amended
    covariances = structure.estimate(scatter, counts, previous)
    return MixtureParameters(
        structure.kernel,
        weights,
        means,
        covariances,
        factorise(covariances, structure.kernel, statistics.counts),
    )
