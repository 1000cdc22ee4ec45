"""A fitted mixture in tables: weights, means, covariances. Components are numbered from 0, as by `predict`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastgmm.cli.screen import Screen

__all__ = ["as_json", "describe"]

# A matrix of more columns is not read on a screen; variances are.
MOST_COLUMNS = 8


def describe(screen: Screen, model: Any, names: Sequence[str], sizes: np.ndarray | None = None) -> None:
    """Write weights, means and covariances of `model`.

    Parameters
    ----------
    screen : Screen
    model : fitted mixture
    names : sequence of str
        The names of the features.
    sizes : ndarray of shape (n_components,), optional
        Rows that each component is the most probable one of.
    """
    shown = list(range(min(len(names), MOST_COLUMNS)))
    heads = [names[j] for j in shown]
    counted, tailed = sizes is not None, hasattr(model, "df_")
    covariances = model.scales_ if tailed else model.covariances_
    rows = [
        [
            str(k),
            f"{weight:.4f}",
            *([str(int(sizes[k]))] if sizes is not None else []),
            *([screen.number(model.df_[k])] if tailed else []),
            *(screen.number(model.means_[k, j]) for j in shown),
        ]
        for k, weight in enumerate(model.weights_)
    ]
    if hasattr(model, "noise_weight_"):
        rows.append(["noise", f"{model.noise_weight_:.4f}", *([""] if counted else []), *[""] * (tailed + len(shown))])
    columns = ["component", "weight", *["rows"] * counted, *["df"] * tailed, *heads]
    screen.table(columns, rows, title="Weights and means")
    if len(names) > MOST_COLUMNS:
        screen.line(f"Shown: the first {MOST_COLUMNS} of {len(names)} columns; the model file holds all.")
        screen.line()
    shape, spread = model._covariance.shape, "Scale" if tailed else "Covariance"
    if shape.n_axes == 0:
        title = "Variance of each component, the same for every column; no covariance"
        _variances(screen, ["variance"], covariances[:, None], title)
    elif not shape.is_matrix:
        _variances(screen, heads, covariances, "Variances; no covariance")
    elif len(names) > MOST_COLUMNS:
        diagonals = np.atleast_2d(np.diagonal(covariances, axis1=-2, axis2=-1))
        _variances(screen, heads, diagonals, "Variances; covariances are in the model file")
    else:
        matrices = [covariances] if shape.is_shared else covariances
        for k, matrix in enumerate(matrices):
            screen.table(
                ["", *heads],
                [[names[i], *(screen.number(matrix[i, j]) for j in shown)] for i in shown],
                title=f"{spread} of every component" if shape.is_shared else f"{spread} of component {k}",
            )


def _variances(screen: Screen, heads: list[str], values: np.ndarray, title: str) -> None:
    labels = [str(k) for k in range(len(values))] if len(values) > 1 else ["every"]
    screen.table(
        ["component", *heads],
        [[label, *(screen.number(v) for v in row[: len(heads)])] for label, row in zip(labels, values, strict=True)],
        title=title,
    )


def as_json(model: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return the parameters of `model` as JSON takes them."""
    parameters = {
        "n_components": int(model.means_.shape[0]),
        "covariance_type": model.covariance_type,
        "columns": list(names),
        "weights": model.weights_.tolist(),
        "means": model.means_.tolist(),
        "covariances": model.covariances_.tolist(),
        "converged": bool(model.converged_),
        "n_iter": int(model.n_iter_),
    }
    if hasattr(model, "df_"):
        # A covariance may be infinite, which JSON does not know; degrees of freedom that are become null.
        del parameters["covariances"]
        parameters["scales"] = model.scales_.tolist()
        parameters["df"] = [float(df) if np.isfinite(df) else None for df in model.df_]
    if hasattr(model, "noise_weight_"):
        parameters["noise_weight"] = float(model.noise_weight_)
    return parameters
