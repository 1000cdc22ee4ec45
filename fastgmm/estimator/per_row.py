"""Estimators that answer for each row, wherever the rows are."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from fastgmm.data import Block, DistributedRows, RowSource, source_of
from fastgmm.data.distributed import frozen
from fastgmm.data.rows import BLOCK_VALUES
from fastgmm.estimator.input_validation import DTYPES
from fastgmm.estimator.missing_values import finite_of, takes_missing
from fastgmm.estimator.reading import check_columns

__all__ = ["PerRow", "Unchecked"]


class PerRow:
    """The part of an estimator that answers for each row: of an array, or block by block of a source."""

    # What a fitted estimator has.
    weights_: Any
    means_: Any
    n_features_in_: int
    random_state: Any

    #: What rows are computed in; the first is what anything else becomes.
    _row_dtypes: Any = DTYPES

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.allow_nan = takes_missing(self)
        return tags

    def _check_rows(self, X: Any) -> np.ndarray:
        """Return rows as an array, checked."""
        check_is_fitted(self)
        return validate_data(self, X, reset=False, dtype=self._row_dtypes, ensure_all_finite=finite_of(self))

    def _source_of(self, X: Any, sample_weight: Any = None) -> RowSource | None:
        """Return X as a source, if it is one: of a Spark frame, the columns that the estimator was fitted to."""
        source = source_of(X, sample_weight, getattr(self, "feature_names_in_", None))
        return source.with_missing() if source is not None and takes_missing(self) else source

    def _map_blocks(
        self, X: Any, action: Callable[..., Any], along: tuple[str, ...] = ()
    ) -> Generator[Any, None, None]:
        """Yield what `action` makes of rows, and of what rides along with them under the names `along`, if it does."""
        source = self._source_of(X)
        if source is None:
            rows = self._check_rows(X)
            step = max(1, BLOCK_VALUES // rows.shape[1])
            for start in range(0, rows.shape[0], step):
                yield action(rows[start : start + step])
            return
        if isinstance(source, DistributedRows):
            check_columns(self, source, source.n_features)
            yield from source.map(partial(_of_rows, frozen(action), along))
            return

        def checked(block: Block) -> Any:
            check_columns(self, source, block.rows.shape[1])
            return _of_rows(action, along, block)

        with closing(source.map(checked)) as found:
            yield from found

    def _per_row(self, X: Any, action: Callable[..., np.ndarray], name: str, along: tuple[str, ...] = ()) -> Any:
        """Return what `action` makes of the rows of an array, checked, or of a source and what rides along with it.

        For a distributed one lazily: a dask array, or a Spark frame with a further column, `name`.
        """
        source = self._source_of(X)
        if source is None:
            rows = self._check_rows(X)
            return action(rows) if type(rows) is np.ndarray else _with_nan(action, rows.view(np.ndarray))
        check_is_fitted(self)
        if isinstance(source, DistributedRows):
            check_columns(self, source, source.n_features)
            return source.lazy(action, name, [column for column in along if column in source.columns])
        with closing(self._map_blocks(source, action, along)) as parts:
            return np.concatenate(list(parts))

    def _sum_over_blocks(
        self, source: RowSource, action: Callable[..., tuple[float, ...]], along: tuple[str, ...] = ()
    ) -> np.ndarray:
        """Return the sums over blocks of ``action(rows, weight)``, two numbers."""
        check_is_fitted(self)
        if isinstance(source, DistributedRows):
            # The action travels to the workers, without the source.
            check_columns(self, source, source.n_features)
            return source.fold(partial(np.zeros, 2), partial(_add_numbers, frozen(action), along))

        def add(block: Block, total: np.ndarray) -> None:
            check_columns(self, source, block.rows.shape[1])
            _add_numbers(action, along, block, total)

        return source.fold(partial(np.zeros, 2), add)


class Unchecked(np.ndarray):
    """Rows that hold NaN or infinity, which a setting of scikit-learn lets pass; answers to them are NaN."""


def _with_nan(action: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> np.ndarray:
    found = action(rows)
    if found.dtype.kind == "f":
        found[np.isnan(rows).any(axis=1)] = np.nan
    return found


def _add_numbers(
    action: Callable[..., tuple[float, ...]], along: tuple[str, ...], block: Block, total: np.ndarray
) -> None:
    total += action(block.rows, block.weight, *_riding(along, block))


def _of_rows(action: Callable[..., Any], along: tuple[str, ...], block: Block) -> Any:
    return action(block.rows, *_riding(along, block))


def _riding(along: tuple[str, ...], block: Block) -> list[np.ndarray]:
    return [block.columns[name] for name in along if name in block.columns]
