"""Random rows from a mixture."""

from __future__ import annotations

import numpy as np

__all__ = ["sample"]


def sample(
    n_samples: int,
    weights: np.ndarray,
    means: np.ndarray,
    covariances: np.ndarray,
    kernel: str,
    random_state: np.random.RandomState,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows component by component, in the order of draws that scikit-learn's mixtures make.

    Parameters
    ----------
    n_samples : int
    weights : ndarray of shape (n_components,)
    means : ndarray of shape (n_components, n_features)
    covariances : ndarray
        (K, D, D), (D, D), (K, D) or (K,) for the kernels full, tied, diag, spherical.
    kernel : str
    random_state : RandomState

    Returns
    -------
    X : ndarray of shape (n_samples, n_features), float64
        Grouped by component.
    y : ndarray of shape (n_samples,), int64
        Component of each row.
    """
    n_components, n_features = means.shape
    weights, means, covariances = (np.asarray(a, dtype=np.float64) for a in (weights, means, covariances))
    counts = random_state.multinomial(n_samples, weights / weights.sum())
    parts = []
    for k, count in enumerate(counts):
        if kernel in ("full", "tied"):
            covariance = covariances[k] if kernel == "full" else covariances
            # Rounding to float32 leaves a matrix that is not quite symmetric; the draw does not mind.
            parts.append(random_state.multivariate_normal(means[k], covariance, int(count), check_valid="ignore"))
        else:
            noise = random_state.standard_normal(size=(count, n_features))
            parts.append(means[k] + noise * np.sqrt(covariances[k]))
    return np.concatenate(parts), np.repeat(np.arange(n_components, dtype=np.int64), counts)
