"""The M-step: from sufficient statistics to covariances, one structure at a time.

A structure says which kernel it needs (the shape of its precision factor), how covariances are estimated and how
many free parameters they have. Adding one to `STRUCTURES` makes it a valid ``covariance_type`` everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastgmm import kernels
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.model.parameters import MixtureParameters
from fastgmm.model.statistics import SufficientStatistics

__all__ = ["STRUCTURES", "CovarianceStructure", "factorise", "get_structure", "maximise"]


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
        from the scatter about the new means.
    n_parameters : callable
        ``n_parameters(n_components, n_features) -> int``: free covariance parameters.
    """

    name: str
    kernel: str
    statistics: str
    estimate: Callable[..., np.ndarray]
    n_parameters: Callable[[int, int], int]


def _full(scatter, counts, previous=None):
    return scatter / counts[:, None, None]


def _tied(scatter, counts, previous=None):
    return scatter / counts.sum()


def _diag(scatter, counts, previous=None):
    return scatter / counts[:, None]


STRUCTURES: dict[str, CovarianceStructure] = {
    "full": CovarianceStructure("full", "full", "full", _full, lambda k, d: k * d * (d + 1) // 2),
    "tied": CovarianceStructure("tied", "tied", "tied", _tied, lambda k, d: d * (d + 1) // 2),
    "diag": CovarianceStructure("diag", "diag", "diag", _diag, lambda k, d: k * d),
    # The spherical variance is the mean of the diagonal ones: trace / (count * n_features), see `maximise`.
    "spherical": CovarianceStructure(
        "spherical", "spherical", "spherical", lambda scatter, counts, previous=None: scatter / counts, lambda k, d: k
    ),
}


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
    """Move the scatter from the centres to the new means, ``centres + shift``."""
    if statistics.structure == "full":
        return statistics.scatter - (counts[:, None] * shift)[:, :, None] * shift[:, None, :]
    if statistics.structure == "tied":
        return statistics.scatter - (counts[:, None] * shift).T @ shift
    if statistics.structure == "diag":
        return np.maximum(statistics.scatter - counts[:, None] * shift * shift, 0.0)
    return np.maximum(statistics.scatter - counts * np.einsum("kd,kd->k", shift, shift), 0.0) / shift.shape[1]


def add_to_diagonal(covariances: np.ndarray, kernel: str, amount: float) -> None:
    """Add `amount` to every variance, in place."""
    if kernel in ("full", "tied"):
        n_features = covariances.shape[-1]
        covariances.reshape(-1, n_features * n_features)[:, :: n_features + 1] += amount
    else:
        covariances += amount


def maximise(
    statistics: SufficientStatistics,
    structure: CovarianceStructure,
    reg_covar: float,
    count_floor: float,
    previous: MixtureParameters | None = None,
) -> MixtureParameters:
    """Return the parameters that maximise the expected log-likelihood given the statistics.

    Parameters
    ----------
    statistics : SufficientStatistics
    structure : CovarianceStructure
    reg_covar : float
        Added to every variance.
    count_floor : float
        Added to every count, so that an empty component keeps finite parameters.
    previous : MixtureParameters, optional
        Where an iterative structure starts from.

    Raises
    ------
    ComponentCollapseError
        If a covariance is not positive definite.
    """
    counts = statistics.counts + count_floor
    shift = statistics.sums / counts[:, None]
    scatter = centred_scatter(statistics, counts, shift)
    covariances = structure.estimate(scatter, counts, previous)
    add_to_diagonal(covariances, structure.kernel, reg_covar)
    return MixtureParameters(
        structure.kernel,
        counts / counts.sum(),
        statistics.centres + shift,
        covariances,
        factorise(covariances, structure.kernel, statistics.counts),
    )


def factorise(covariances: np.ndarray, kernel: str, counts: np.ndarray | None = None) -> np.ndarray:
    """Return the precision factors of `covariances`.

    Raises
    ------
    ComponentCollapseError
        Naming the first component whose covariance is not positive definite.
    """
    if kernel in ("full", "tied"):
        stacked = covariances.reshape(-1, *covariances.shape[-2:])
        factor = np.empty_like(stacked)
        failed = kernels.factorise_precisions(stacked, factor)
        if failed >= 0:
            raise _collapse(failed, kernel, counts, covariances.shape[-1])
        return factor.reshape(covariances.shape)
    valid = np.isfinite(covariances) & (covariances > 0)
    if not valid.all():
        failed = int(np.flatnonzero(~(valid if valid.ndim == 1 else valid.all(axis=1)))[0])
        raise _collapse(failed, kernel, counts, None)
    return 1.0 / np.sqrt(covariances)


def _collapse(component: int, kernel: str, counts, n_features) -> ComponentCollapseError:
    which = "the shared covariance" if kernel == "tied" else f"component {component}"
    reason = "its covariance is not positive definite"
    if counts is not None and kernel != "tied":
        reason += f" (effective count {counts[component]:.4g}"
        reason += f" in {n_features} features)" if n_features else ")"
    return ComponentCollapseError(
        "Fitting the mixture model failed because some components have ill-defined empirical covariance (for "
        "instance caused by singleton or collapsed samples). Try to decrease the number of components, increase "
        f"reg_covar, or scale the input data. What failed: {which}, {reason}.",
        component,
        reason,
    )
