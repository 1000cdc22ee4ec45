"""Rows to draw: an array out of whatever the model was given, and not more points than a picture can show."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

__all__ = ["feature_names", "feature_number", "labels_of", "quietly", "rows_of", "some_rows"]


def rows_of(model: Any, X: Any) -> np.ndarray:
    """Return X as an array with the model's number of columns."""
    X = np.asarray(X)
    if X.ndim != 2 or X.shape[1] != model.means_.shape[1]:
        raise ValueError(f"X has shape {X.shape}; expected (n_samples, n_features) = (n, {model.means_.shape[1]})")
    return X


def feature_names(model: Any, X: Any, names: Any = None) -> list[str]:
    """Return names of the features: those given, or the frame's, or the model's, or ``x0, x1, ...``."""
    n_features = model.means_.shape[1]
    if names is None:
        names = getattr(X, "columns", None)
    if names is None:
        names = getattr(model, "feature_names_in_", None)
    names = [f"x{j}" for j in range(n_features)] if names is None else [str(name) for name in names]
    if len(names) != n_features:
        raise ValueError(f"names has {len(names)} entries; expected n_features = {n_features}")
    return names


def feature_number(argument: str, feature: int | str, names: Sequence[str]) -> int:
    """Return the number of a feature that `argument` gives by number or name."""
    if isinstance(feature, str) and feature in names:
        return list(names).index(feature)
    if isinstance(feature, Integral) and 0 <= feature < len(names):
        return int(feature)
    raise ValueError(
        f"{argument} has {feature!r}; expected a number from 0 to {len(names) - 1}, or one of the names "
        f"{', '.join(names)}"
    )


def some_rows(n_samples: int, max_points: int) -> np.ndarray:
    """Return the indices of at most `max_points` rows, always the same ones, in order."""
    if n_samples <= max_points:
        return np.arange(n_samples)
    return np.sort(np.random.RandomState(0).permutation(n_samples)[:max_points])


def labels_of(model: Any, X: np.ndarray, errors: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the most probable component of each row, -1 for noise, and one minus its probability."""
    responsibilities = quietly(model, "predict_proba", X, *([] if errors is None else [errors]))
    labels = responsibilities.argmax(axis=1)
    labels[labels == model.means_.shape[0]] = -1
    return labels, 1.0 - responsibilities.max(axis=1)


def quietly(model: Any, method: str, X: np.ndarray, *further: Any) -> Any:
    """Call a method with an array, for a model that was fitted to a frame and would miss its names."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        return getattr(model, method)(X, *further)
