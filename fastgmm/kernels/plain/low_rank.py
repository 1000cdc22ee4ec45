"""Distances by few factors: a product of 2 D q operations per row and component, in place of D x D."""

from __future__ import annotations

import numpy as np

__all__ = ["squared_distances", "whitening"]


def whitening(factor) -> tuple[np.ndarray, np.ndarray]:
    """Return what turns ``(x - mean) / sd`` of the noise into what the factors explain of it, and ``1 / sd``.

    With F (n_components, n_features, n_factors) and the noise's ``u = (x - mean) / sd``, the squared distance is
    ``|u|^2 - |u F|^2``.
    """
    scaled, root = factor[..., :-1], factor[..., -1]
    along = scaled / root[..., None]
    return along / np.sqrt(1.0 + (along**2).sum(axis=1, keepdims=True)), root


def squared_distances(mixture, rows) -> np.ndarray:
    """Return the squared distance of each row from each component, (n_rows, n_components)."""
    squares = np.empty((len(rows), len(mixture.means)))
    explained, root = whitening(mixture.factor)
    for k, mean in enumerate(mixture.means):
        away = (rows - mean) * root[k]
        along = away @ explained[k]
        squares[:, k] = np.einsum("nd,nd->n", away, away) - np.einsum("nq,nq->n", along, along)
    return np.maximum(squares, 0.0, out=squares)
