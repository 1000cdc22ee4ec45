"""Errors of measurement: around each row the ellipse of one standard deviation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastgmm.model.errors import Errors
from fastgmm.plotting.palette import NOISE, colour
from fastgmm.plotting.views import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["add_error_ellipses", "errors_of", "errors_seen"]


def errors_of(errors: Any, n_rows: int) -> Errors:
    """Return errors of rows, or of all rows; what is wrong with them the model says, which is asked about the rows."""
    values = np.asarray(errors, dtype=np.float64)
    return Errors(np.diag(values) if values.ndim == 1 else values, is_common=len(values) != n_rows)


def errors_seen(plane: View, errors: np.ndarray) -> np.ndarray:
    """Return the covariances of errors as they are seen in a plane, (n, 2, 2); of what was not measured, zero.

    Parameters
    ----------
    plane : View
    errors : ndarray of shape (n, n_features) or (n, n_features, n_features)
        Variances or covariances.
    """
    if errors.ndim == 2:
        matrices = np.einsum("nd,di,dj->nij", np.where(np.isinf(errors), 0.0, errors), plane.axes, plane.axes)
    else:
        seen = np.isfinite(np.einsum("ndd->nd", errors))
        known = np.where(seen[:, :, None] & seen[:, None, :], errors, 0.0)
        matrices = plane.axes.T @ known @ plane.axes
    return matrices


def add_error_ellipses(ax: Axes, seen: np.ndarray, covariances: np.ndarray, labels: np.ndarray) -> None:
    """Draw the ellipse of one standard deviation around each row, in the colour of its component.

    Parameters
    ----------
    ax : Axes
    seen : ndarray of shape (n, 2)
    covariances : ndarray of shape (n, 2, 2)
        Of their errors, in the plane.
    labels : ndarray of shape (n,), int
    """
    from matplotlib.collections import EllipseCollection

    variances, vectors = np.linalg.eigh(covariances)
    lengths = 2.0 * np.sqrt(np.maximum(variances, 0.0))
    angles = np.degrees(np.arctan2(vectors[:, 1, 1], vectors[:, 0, 1]))
    for k in np.unique(labels).tolist():
        mine = labels == k
        shade = NOISE if k < 0 else colour(k)
        ellipses = EllipseCollection(
            lengths[mine, 1],
            lengths[mine, 0],
            angles[mine],
            units="xy",
            offsets=seen[mine],
            offset_transform=ax.transData,
            facecolors=shade,
            edgecolors=shade,
            linewidths=0.5,
            alpha=0.2,
        )
        ax.add_collection(ellipses)
    # Collections of ellipses in units of the data are not seen by the limits.
    reach = np.sqrt(np.einsum("nii->ni", covariances))
    ax.update_datalim(np.concatenate([seen - reach, seen + reach]))
