"""Random rows from a mixture."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgmm.model import MixtureParameters
from fastgmm.model.student import StudentParameters

__all__ = ["draw", "draw_by_factors", "sample", "student_stretch"]


def sample(
    n_samples: int,
    weights: np.ndarray,
    means: np.ndarray,
    covariances: np.ndarray,
    kernel: str,
    random_state: np.random.RandomState,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows from the mixture with these parameters; see `draw`.

    Parameters
    ----------
    n_samples : int
        Number of rows to draw.
    weights : ndarray of shape (n_components,)
        The share of each component.
    means : ndarray of shape (n_components, n_features)
        The mean of each component.
    covariances : ndarray
        (K, D, D), (D, D), (K, D) or (K,) for full, tied, diag, spherical.
    kernel : str
        The name of that shape.
    random_state : RandomState
        Where random numbers come from.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features), float64
        The rows drawn.
    y : ndarray of shape (n_samples,), int64
        The component each row was drawn from.

    See Also
    --------
    draw : Draws without the number of the component.
    """
    weights, means, covariances = (np.asarray(part, dtype=np.float64) for part in (weights, means, covariances))
    return draw(n_samples, MixtureParameters(kernel, weights, means, covariances, np.empty(0)), random_state)


def draw(n_samples: int, density: Any, random_state: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows component by component, in the order of draws that scikit-learn's mixtures make.

    Parameters
    ----------
    n_samples : int
        Number of rows to draw.
    density : MixtureParameters or MixtureWithNoise
        The density to draw from.
    random_state : RandomState
        Where random numbers come from.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features), float64
        Grouped by component, those of a background last.
    y : ndarray of shape (n_samples,), int64
        Component of each row, -1 for a background.

    See Also
    --------
    sample : Draws with the number of the component.
    """
    box = getattr(density, "box", None)
    if box is not None:
        n_noise = random_state.binomial(n_samples, density.noise_weight)
        parts = [(box.sample(n_noise, random_state), np.full(n_noise, -1, dtype=np.int64))]
        if n_noise < n_samples:
            parts.insert(0, draw(n_samples - n_noise, density.mixture, random_state))
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    shape = density.shape
    counts = random_state.multinomial(n_samples, density.weights / density.weights.sum())
    rows = [
        shape.draw(density.means[k], shape.one(density.covariances, k), int(count), random_state)
        for k, count in enumerate(counts)
    ]
    if isinstance(density, StudentParameters):
        dof = density.degrees_of_freedom
        rows = [
            density.means[k] + (part - density.means[k]) * student_stretch(dof[k], (len(part), 1), random_state)
            for k, part in enumerate(rows)
        ]
    return np.concatenate(rows), np.repeat(np.arange(len(counts), dtype=np.int64), counts)


def student_stretch(dof: Any, size: Any, random_state: np.random.RandomState) -> np.ndarray:
    """Return what normal draws are multiplied by to become t draws, ``1 / sqrt(u)``; one where df is infinite."""
    finite = np.where(np.isinf(dof), 1.0, dof)
    return np.where(np.isinf(dof), 1.0, np.sqrt(finite / random_state.chisquare(finite, size=size)))


def draw_by_factors(n_samples: int, parameters: MixtureParameters, random_state: np.random.RandomState) -> np.ndarray:
    """Draw rows by the precision factors of the components, shape (n_samples, n_features), float64.

    Unlike `draw`, whose rows follow the axes of each covariance, the same draws come out in any units of the columns.
    """
    counts = random_state.multinomial(n_samples, parameters.weights / parameters.weights.sum())
    factors = parameters.shape.untie(parameters.precisions_cholesky, parameters.n_components)
    parts = []
    for k, count in enumerate(counts):
        if parameters.shape.n_factors is not None:
            own = parameters.shape.one(parameters.covariances, k)
            parts.append(parameters.shape.draw(parameters.means[k], own, int(count), random_state))
            continue
        noise = random_state.standard_normal((int(count), parameters.n_features))
        factor = factors[k]
        away = np.linalg.solve(factor.T, noise.T).T if parameters.shape.is_matrix else noise / factor
        if isinstance(parameters, StudentParameters):
            away = away * student_stretch(parameters.degrees_of_freedom[k], (len(away), 1), random_state)
        parts.append(parameters.means[k] + away)
    return np.concatenate(parts)
