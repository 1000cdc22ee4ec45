"""Covariance ellipses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Ellipse

__all__ = ["add_ellipse", "radius_of"]


def radius_of(probability: float) -> float:
    """Return how many standard deviations the ellipse that holds `probability` of a plane Gaussian reaches.

    Its square is a quantile of the chi-squared distribution with two degrees of freedom, ``-2 log(1 - p)``.
    """
    if not 0.0 < probability < 1.0:
        raise ValueError(f"probability is {probability}; expected a number between 0 and 1")
    return math.sqrt(-2.0 * math.log1p(-probability))


def add_ellipse(ax: Axes, mean: np.ndarray, covariance: np.ndarray, probability: float, **style: Any) -> Ellipse:
    """Draw the ellipse of equal density that holds `probability` of one component.

    Parameters
    ----------
    ax : Axes
    mean : ndarray of shape (2,)
    covariance : ndarray of shape (2, 2)
    probability : float
    **style
        Of the patch.

    Returns
    -------
    Ellipse
        Its half axes are square roots of the eigenvalues, times `radius_of`.
    """
    from matplotlib.patches import Ellipse

    values, vectors = np.linalg.eigh(covariance)
    width, height = 2.0 * radius_of(probability) * np.sqrt(np.maximum(values[::-1], 0.0))
    angle = math.degrees(math.atan2(vectors[1, 1], vectors[0, 1]))
    ellipse = Ellipse((float(mean[0]), float(mean[1])), width, height, angle=angle, **style)
    ax.add_patch(ellipse)
    return ellipse
