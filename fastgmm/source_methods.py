"""Estimators on rows that don't fit in memory: what a source is asked before a fit, and predictions block by block."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgmm.data import ArrayRows, DaskRows, RowSource, source_of
from fastgmm.data.rows import BLOCK_VALUES

__all__ = ["SourceMethods", "check_columns", "learn_columns"]


class SourceMethods:
    """The part of a mixture estimator that deals with sources (`fastgmm.data`) in place of arrays."""

    def predict_blocks(self, X: Any, method: str = "predict") -> Any:
        """Predict block by block, so that no prediction needs more memory than a block's.

        Parameters
        ----------
        X : source, or array-like of shape (n_samples, n_features)
            See `fastgmm.data`.
        method : {'predict', 'predict_proba', 'score_samples'}, default='predict'

        Yields
        ------
        ndarray
            What `method` returns, for each block of rows in turn.

        Raises
        ------
        ValueError
            If `method` is another, or a block is not valid (when it is reached).

        Examples
        --------
        >>> import numpy as np
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [[[1.0]], [[1.0]]])
        >>> [block.tolist() for block in model.predict_blocks(np.array([[1.0], [3.0]]))]
        [[0, 1]]
        """
        check_is_fitted(self)
        actions = {
            "predict": self._labels_of,
            "predict_proba": self._responsibilities,  # type: ignore[attr-defined]
            "score_samples": self._log_density,  # type: ignore[attr-defined]
        }
        if method not in actions:
            raise ValueError(f"method is {method!r}; expected one of {', '.join(actions)}")
        return self._map_blocks(X, actions[method])

    def _map_blocks(self, X: Any, action: Callable[[np.ndarray], Any]) -> Generator[Any, None, None]:
        source = source_of(X)
        if source is None:
            rows = self._check_rows(X)  # type: ignore[attr-defined]
            step = max(1, BLOCK_VALUES // rows.shape[1])
            for start in range(0, rows.shape[0], step):
                yield action(rows[start : start + step])
            return
        with closing(source.blocks()) as blocks:
            for block in blocks:
                check_columns(self, source, block.shape[1])
                yield action(block)

    def _per_row(self, X: Any, action: Callable[[np.ndarray], np.ndarray]) -> Any:
        """Return what `action` makes of the rows of an array, checked, or of a source; lazily for a dask collection."""
        source = source_of(X)
        if source is None:
            return action(self._check_rows(X))  # type: ignore[attr-defined]
        check_is_fitted(self)
        if isinstance(source, DaskRows):
            check_columns(self, source, source.n_features)
            return source.lazy(action)
        with closing(self._map_blocks(source, action)) as parts:
            return np.concatenate(list(parts))

    def _mean_over_blocks(self, source: RowSource) -> float:
        total, weight = self._sum_over_blocks(source, self._total_log_density)
        return total / weight

    def _sum_over_blocks(self, source: RowSource, action: Callable[..., tuple[float, ...]]) -> np.ndarray:
        check_is_fitted(self)
        if isinstance(source, DaskRows):
            # The action travels to the workers, without the source.
            check_columns(self, source, source.n_features)
            return source.sum_over_blocks(action)

        def checked(rows: np.ndarray, weight: np.ndarray | None) -> tuple[float, ...]:
            check_columns(self, source, rows.shape[1])
            return action(rows, weight)

        return source.sum_over_blocks(checked)

    def _total_log_density(self, rows: np.ndarray, weight: np.ndarray | None) -> tuple[float, float]:
        total = float(len(rows) if weight is None else weight.sum())
        if total == 0.0:
            return 0.0, 0.0
        return self._mean_log_density(rows, weight) * total, total  # type: ignore[attr-defined]

    def _labels_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the labels that `predict` gives."""
        return self._assign(rows)  # type: ignore[attr-defined]

    def _start_of(self, source: RowSource, labels: Any, random_state: np.random.RandomState) -> ArrayRows:
        """Read a source once: check all rows, set what is known of its columns, and return the rows a start is made of.

        These are as many as a block has, drawn at random; all rows if there are no more.
        """
        for name, given in (("labels", labels), ("noise", getattr(self, "noise", None))):
            if given is not None:
                raise ValueError(f"{name} is given and X is a source; expected None, or X as an array")
        if not isinstance(self.init_params, str) and source.drawn is None:  # type: ignore[attr-defined]
            raise ValueError("init_params are memberships of rows and X is a source; expected the name of a start")
        rows = source.sample(random_state=random_state)
        if rows.n_samples < 2:
            raise ValueError(f"X, {source.description}, has {rows.n_samples} row; expected at least 2")
        learn_columns(self, source)
        return rows


def learn_columns(estimator: Any, source: RowSource) -> None:
    """Set the number of an estimator's features and their names, if the source has names."""
    estimator.n_features_in_ = source.n_features
    estimator.__dict__.pop("feature_names_in_", None)
    if source.names is not None:
        estimator.feature_names_in_ = np.array(source.names, dtype=object)


def check_columns(estimator: Any, source: RowSource, n_features: int) -> None:
    """Raise ValueError unless a source's columns are those that an estimator was fitted to."""
    if n_features != estimator.n_features_in_:
        raise ValueError(
            f"X, {source.description}, has {n_features} features; expected {estimator.n_features_in_}, those fitted "
            "to. Choose its columns"
        )
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None and source.names is not None and list(names) != list(source.names):
        raise ValueError(
            f"X, {source.description}, has columns {', '.join(source.names)}; expected {', '.join(names)}, those "
            "fitted to, in that order. Choose them with columns="
        )
