"""Precision matrices: from them to what a mixture holds, and back."""

from __future__ import annotations

import numpy as np

__all__ = ["covariances_and_factors", "precisions_of"]


def covariances_and_factors(precisions: np.ndarray, kernel: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the covariances and the precision factors that belong to `precisions`.

    Parameters
    ----------
    precisions : ndarray
        Positive definite; (K, D, D), (D, D), (K, D) or (K,) for the kernels full, tied, diag, spherical.
    kernel : str

    Returns
    -------
    covariances, precisions_cholesky : ndarray, float64
        In the shape of `precisions`; the factor is upper triangular ``U`` with ``precision = U U^T``.
    """
    precisions = np.asarray(precisions, dtype=np.float64)
    if kernel not in ("full", "tied"):
        return 1.0 / precisions, np.sqrt(precisions)
    # Cholesky gives a lower factor first; of the matrix turned by 180 degrees it is the upper one wanted.
    factor = np.ascontiguousarray(np.linalg.cholesky(precisions[..., ::-1, ::-1])[..., ::-1, ::-1])
    inverse = np.linalg.inv(factor)
    return np.swapaxes(inverse, -1, -2) @ inverse, factor


def precisions_of(precisions_cholesky: np.ndarray, kernel: str) -> np.ndarray:
    """Return the precision matrices (or inverse variances) that `precisions_cholesky` factorises."""
    if kernel in ("full", "tied"):
        return precisions_cholesky @ np.swapaxes(precisions_cholesky, -1, -2)
    return precisions_cholesky**2
