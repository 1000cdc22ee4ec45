"""A fitted mixture in tables: weights, means, covariances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastgmm.cli.screen import Screen, number

__all__ = ["as_json", "describe"]

# A matrix of more columns is not read on a screen; standard deviations are.
MOST_COLUMNS = 8


def describe(screen: Screen, model: Any, names: Sequence[str], sizes: np.ndarray | None = None) -> None:
    """Write weights, means and covariances of `model`.

    Parameters
    ----------
    screen : Screen
    model : fitted mixture
    names : sequence of str
        Of the features.
    sizes : ndarray of shape (n_components,), optional
        Rows that each component is the most probable one of.
    """
    kernel = model._structure.kernel
    shown = list(range(min(len(names), MOST_COLUMNS)))
    heads = [names[j] for j in shown]
    screen.line("Weights and means")
    extra = ["rows"] if sizes is not None else []
    screen.table(
        ["component", "weight", *extra, *heads],
        [
            [
                str(k + 1),
                f"{weight:.4f}",
                *([str(int(sizes[k]))] if sizes is not None else []),
                *(number(model.means_[k, j]) for j in shown),
            ]
            for k, weight in enumerate(model.weights_)
        ],
    )
    screen.line()
    if len(names) > MOST_COLUMNS:
        screen.line(f"Shown: the first {MOST_COLUMNS} of {len(names)} columns; the model file holds all.")
        screen.line()
    if kernel in ("diag", "spherical") or len(names) > MOST_COLUMNS:
        _variances(screen, model, kernel, heads)
        return
    titles = ["Covariance of every component"] if kernel == "tied" else []
    matrices = [model.covariances_] if kernel == "tied" else model.covariances_
    for k, matrix in enumerate(matrices):
        screen.line(titles[0] if titles else f"Covariance of component {k + 1}")
        screen.table(["", *heads], [[names[i], *(number(matrix[i, j]) for j in shown)] for i in shown])
        screen.line()


def _variances(screen: Screen, model: Any, kernel: str, heads: list[str]) -> None:
    if kernel == "spherical":
        screen.line("Variance of each component, the same for every column; no covariance")
        screen.table(["component", "variance"], [[str(k + 1), number(v)] for k, v in enumerate(model.covariances_)])
    elif kernel == "diag":
        screen.line("Variances; no covariance")
        _rows(screen, heads, model.covariances_)
    else:
        screen.line("Variances; covariances are in the model file")
        diagonals = np.diagonal(model.covariances_, axis1=-2, axis2=-1)
        _rows(screen, heads, np.atleast_2d(diagonals))
    screen.line()


def _rows(screen: Screen, heads: list[str], values: np.ndarray) -> None:
    labels = [str(k + 1) for k in range(len(values))] if len(values) > 1 else ["every"]
    screen.table(
        ["component", *heads],
        [[label, *(number(v) for v in row[: len(heads)])] for label, row in zip(labels, values, strict=True)],
    )


def as_json(model: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return the parameters of `model` as JSON takes them."""
    return {
        "n_components": int(model.means_.shape[0]),
        "covariance_type": model.covariance_type,
        "columns": list(names),
        "weights": model.weights_.tolist(),
        "means": model.means_.tolist(),
        "covariances": model.covariances_.tolist(),
        "converged": bool(model.converged_),
        "n_iter": int(model.n_iter_),
    }
