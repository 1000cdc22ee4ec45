"""Rows in the blocks of a dask collection, as a source of passes that run where the blocks are.

A pass is one graph: a task for each block runs the fused kernel over it, and tasks merge the statistics by eights, in
the order of the blocks. So only statistics travel, and the same chunks give the same bits, whatever ran where and when.
Which scheduler runs it is dask's own choice: the current `distributed.Client`, or the threads of this process.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np

from fastgmm import config
from fastgmm.data.checks import check_finite, check_weights
from fastgmm.data.rows import ArrayRows, block_rows
from fastgmm.model import MixtureParameters, SufficientStatistics
from fastgmm.model.moments import Components

__all__ = ["DaskRows", "is_dask"]

# Results merged by one task. Depth costs latency, width costs transfers to one worker.
WIDTH = 8


def is_dask(X: Any) -> bool:
    """Return whether X is a dask collection; dask is not imported to tell."""
    return type(X).__module__.split(".")[0] in ("dask", "dask_expr") and hasattr(X, "__dask_graph__")


class DaskRows:
    """A source over a dask array or frame.

    Parameters
    ----------
    X : dask.array.Array of shape (n_samples, n_features), or dask.dataframe.DataFrame
        Chunks may be of any and of unknown length. Blocks that split the columns are joined.
    sample_weight : array-like of shape (n_samples,), dask array or series, optional
        With the same chunks as X where those of X are of unknown length.

    Attributes
    ----------
    n_samples : int or None
        None until the first pass has ended.
    n_features : int
    dtype : dtype
        float32 or float64: what blocks are computed in.
    names : list of str or None
        The columns of a frame.
    total_weight : float
        NaN until the first pass has ended.
    drawn : ArrayRows or None
        What `sample` returns, where it is known already.

    Raises
    ------
    TypeError
        If X is another collection.
    ValueError
        If X is not two-dimensional or not of numbers, or the weights are not as many as its rows.
    """

    def __init__(self, X: Any, sample_weight: Any = None) -> None:
        self.array, self.names = _as_array(X)
        kind = "dask frame" if self.names is not None else "dask array"
        self.n_features = int(self.array.shape[1])
        self.description = f"{kind} of {self.array.numblocks[0]} blocks of {self.n_features} columns"
        self.dtype = np.dtype(np.float32 if self.array.dtype == np.float32 else np.float64)
        self.weight = None if sample_weight is None else _as_weight(sample_weight, self.array)
        self.n_samples: int | None = None
        self.total_weight = float("nan")
        self.drawn: ArrayRows | None = None
        self._lengths: list[int] | None = None
        self._sums: np.ndarray | None = None
        self._delayed: list[tuple[Any, Any]] | None = None

    def __repr__(self) -> str:
        return f"<rows of {self.description}>"

    def accumulate(self, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of one pass under `parameters`, about their means."""
        # What the kernels read, and no more: a posterior has further arrays.
        components = Components(
            parameters.structure, parameters.log_offset, parameters.means, parameters.precisions_cholesky
        )
        return self._reduce(_accumulate, _merge, _unpacked(components))

    def sum_over_blocks(self, action: Callable[[np.ndarray, np.ndarray | None], Sequence[float]]) -> np.ndarray:
        """Return the sum over blocks of ``action(rows, weight)``, some numbers each; see `lazy` for the action."""
        return self._reduce(_numbers_of, _add, _frozen(action))

    def merged_over_blocks(
        self, action: Callable[[np.ndarray, np.ndarray | None], SufficientStatistics]
    ) -> SufficientStatistics:
        """Return the merged statistics of ``action(rows, weight)`` of all blocks, whatever their centres."""
        return self._reduce(_statistics_of, _merge, _frozen(action))

    def sample(self, n_rows: int | None = None, random_state: np.random.RandomState | None = None) -> ArrayRows:
        """Return `n_rows` rows drawn in proportion to their weight, in order; all of them if there are no more.

        As `ArrayRows.sample` draws: one row from each of `n_rows` strata of equal weight, one pass to count and weigh
        and one to take them. The rows drawn travel to this process and weigh one each.

        Parameters
        ----------
        n_rows : int, optional
            As many as a block has (`block_rows`), unless given.
        random_state : RandomState, optional
            An unseeded one unless given.
        """
        if self.drawn is not None:
            return self.drawn
        random_state = np.random.RandomState() if random_state is None else random_state
        n_rows = block_rows(self.n_features) if n_rows is None else n_rows
        self._measure()
        assert self.n_samples is not None, "just measured"
        assert self._sums is not None, "just measured"
        if self.n_samples <= n_rows:
            return self._gathered([None] * len(self._sums))
        ends = np.cumsum(self._sums)
        positions = (np.arange(n_rows) + random_state.uniform(size=n_rows)) * (ends[-1] / n_rows)
        present = np.flatnonzero(self._sums > 0)
        block = present[np.minimum(np.searchsorted(ends[present], positions, side="right"), len(present) - 1)]
        starts = ends - self._sums
        return self._gathered([positions[block == i] - starts[i] for i in range(len(ends))])

    def with_sample(self, rows: ArrayRows) -> DaskRows:
        """Return the same source with rows already drawn, which `sample` will return."""
        other = copy.copy(self)
        other.drawn = rows
        return other

    def blocks(self) -> Generator[np.ndarray, None, None]:
        """Yield the rows, block by block; each travels to this process."""
        for number, (block, weight) in enumerate(self._blocks()):
            yield _call(_rows_of, block, weight, self._facts(number)).compute()

    def lazy(self, action: Callable[[np.ndarray], np.ndarray]) -> Any:
        """Return a dask array of ``action(rows)``, computed when it is asked for, of the blocks' lengths.

        Parameters
        ----------
        action : callable
            Takes the rows of a block and returns an array with as many rows; pickled where workers are processes.
            A method is that of its object as it is now.
        """
        action = _frozen(action)
        trial = action(np.zeros((1, self.n_features), dtype=self.dtype))
        shape: dict[str, Any] = {"drop_axis": 1}
        if trial.ndim > 1:
            shape = {"chunks": (self.array.chunks[0], trial.shape[1])}
        return self.array.map_blocks(
            _predicted,
            action=action,
            facts=(self.description, self.names, None, None, self.dtype, _settings()),
            dtype=trial.dtype,
            meta=trial[:0],
            **shape,
        )

    # Graphs.

    def _blocks(self) -> list[tuple[Any, Any]]:
        # Once: the collection's own graph is optimised here.
        if self._delayed is None:
            blocks = self.array.to_delayed().ravel()
            weights = [None] * len(blocks) if self.weight is None else self.weight.to_delayed().ravel()
            self._delayed = list(zip(blocks, weights, strict=True))
        return self._delayed

    def _facts(self, number: int) -> tuple:
        expected = None if self._lengths is None else self._lengths[number]
        return self.description, self.names, number, expected, self.dtype, _settings()

    def _map(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        return [
            _call(function, block, weight, self._facts(number), *arguments)
            for number, (block, weight) in enumerate(self._blocks())
        ]

    def _reduce(self, function: Callable[..., Any], join: Callable[[list[Any]], Any], *arguments: Any) -> Any:
        parts = self._map(function, *arguments)
        while len(parts) > 1:
            parts = [_call(join, parts[i : i + WIDTH]) for i in range(0, len(parts), WIDTH)]
        return parts[0].compute()

    def _measure(self) -> None:
        measured = _call(list, self._map(_measured)).compute()
        lengths, sums = [length for length, _ in measured], np.array([weight for _, weight in measured])
        if sum(lengths) == 0:
            raise ValueError(f"X, {self.description}, has no rows; expected at least one")
        if not sums.sum() > 0:
            raise ValueError(f"the weights of X, {self.description}, are zero everywhere; expected some weight")
        self.n_samples, self.total_weight = sum(lengths), float(sums.sum())
        self._lengths, self._sums = lengths, sums

    def _gathered(self, places: list[np.ndarray | None]) -> ArrayRows:
        taken = [
            _call(_taken, block, weight, self._facts(number), places[number])
            for number, (block, weight) in enumerate(self._blocks())
            if places[number] is None or len(places[number]) > 0  # type: ignore[arg-type]
        ]
        parts = _call(list, taken).compute()
        weights = [weight for _, weight in parts]
        return ArrayRows(
            np.concatenate([rows for rows, _ in parts]),
            None if any(weight is None for weight in weights) else np.concatenate(weights),
        )


def _as_array(X: Any) -> tuple[Any, list[str] | None]:
    """Return X as a dask array with whole rows in each block, and the names of its columns if it is a frame."""
    # A Delayed has every attribute that it is asked for.
    if not isinstance(getattr(X, "ndim", None), int) or not (hasattr(X, "map_partitions") or hasattr(X, "map_blocks")):
        raise TypeError(f"X is a dask {type(X).__name__}; expected a dask.array or a dask.dataframe of rows")
    if X.ndim == 2 and hasattr(X, "map_partitions"):
        names = [str(name) for name in X.columns]
        dtypes = [np.dtype(getattr(dtype, "numpy_dtype", dtype)) if _is_number(dtype) else None for dtype in X.dtypes]
        wrong = [name for name, dtype in zip(names, dtypes, strict=True) if dtype is None]
        if wrong or not names:
            raise ValueError(
                f"X, a dask frame, has {f'column {wrong[0]!r}, not of numbers' if wrong else 'no columns'}; choose "
                "columns of numbers"
            )
        dtype = np.dtype(np.float32 if all(dtype == np.float32 for dtype in dtypes) else np.float64)
        return X.map_partitions(_matrix, dtype, meta=np.empty((0, len(names)), dtype=dtype)), names
    if X.ndim != 2 or not X.shape[1] >= 1:
        kind = type(X).__name__.lower()
        raise ValueError(f"X, a dask {kind}, has shape {X.shape}; expected (n_samples, n_features)")
    if X.dtype.kind not in "biuf" or X.dtype.itemsize > 8:
        raise ValueError(f"X, a dask array, has dtype {X.dtype}; expected real numbers of at most 64 bits")
    return (X if X.numblocks[1] == 1 else X.rechunk({1: -1})), None


def _is_number(dtype: Any) -> bool:
    return getattr(dtype, "kind", "O") in "biuf"


def _matrix(frame: Any, dtype: np.dtype) -> np.ndarray:
    return frame.to_numpy(dtype=dtype, na_value=np.nan)


def _as_weight(sample_weight: Any, array: Any) -> Any:
    import dask.array as da

    if hasattr(sample_weight, "to_dask_array"):
        sample_weight = sample_weight.to_dask_array()
    lengths = array.chunks[0]
    known = not np.isnan(lengths).any()
    if not is_dask(sample_weight):
        if not known:
            raise ValueError(
                "sample_weight is an array and the blocks of X are of unknown length; expected a dask array or series "
                "with the blocks of X"
            )
        sample_weight = da.from_array(np.asarray(sample_weight), chunks=-1)
    if sample_weight.ndim != 1 or sample_weight.dtype.kind not in "biuf":
        raise ValueError(
            f"sample_weight has {sample_weight.ndim} dimensions and dtype {sample_weight.dtype}; expected numbers of "
            "shape (n_samples,)"
        )
    if known and not np.isnan(sample_weight.shape[0]):
        if sample_weight.shape[0] != array.shape[0]:
            raise ValueError(f"sample_weight has shape {sample_weight.shape}; expected ({array.shape[0]},)")
        return sample_weight.rechunk((lengths,))
    if sample_weight.numblocks[0] != len(lengths):
        raise ValueError(
            f"sample_weight has {sample_weight.numblocks[0]} blocks of unknown length; expected {len(lengths)}, those "
            "of X"
        )
    return sample_weight


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    import dask

    return dask.delayed(function, pure=False, traverse=True)(*arguments)


def _unpacked(value: Any) -> Any:
    """Return a task that gives `value`: as a constant it would be sent with the task of every block."""
    return _call(_identity, value)


def _settings() -> dict[str, Any]:
    # A worker runs as many tasks at a time as it has threads, so a task's kernel has one, unless more were asked for.
    settings = config.get_config()
    return {**settings, "n_threads": settings["n_threads"] or 1}


def _frozen(action: Any) -> Any:
    """Return a method bound to a copy of its object, which a later fit does not change."""
    owner = getattr(action, "__self__", None)
    return action if owner is None else getattr(copy.copy(owner), action.__name__)


# What runs on workers.


def _identity(value: Any) -> Any:
    return value


def _rows_of(block: Any, weight: Any, facts: tuple) -> np.ndarray:
    return _checked(block, weight, facts)[0]


def _checked(block: Any, weight: Any, facts: tuple) -> tuple[np.ndarray, np.ndarray | None]:
    description, names, number, expected, dtype, _ = facts
    where = f"X, {description}, block {number}"
    if not isinstance(block, np.ndarray):
        raise ValueError(f"{where} is a {type(block).__name__}; expected a NumPy array")
    if expected is not None and len(block) != expected:
        raise ValueError(f"{where} has changed since the first pass: {len(block)} rows; expected {expected}")
    check_finite(block, where, None, names)
    rows = _aligned(block, dtype)
    return rows, None if weight is None else _aligned(check_weights(weight, len(rows), where), np.dtype(np.float64))


def _aligned(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    # What came from another process may lie at any address of the message.
    return np.require(array, dtype=dtype, requirements=["C", "A"])


def _measured(block: Any, weight: Any, facts: tuple) -> tuple[int, float]:
    rows, weight = _checked(block, weight, facts)
    return len(rows), float(len(rows) if weight is None else weight.sum())


def _accumulate(block: Any, weight: Any, facts: tuple, components: Components) -> SufficientStatistics:
    rows, weight = _checked(block, weight, facts)
    parts = (components.log_offset, components.means, components.precisions_cholesky)
    components = Components(components.structure, *(_aligned(part, np.dtype(np.float64)) for part in parts))
    with config.config_context(**facts[-1]):
        return ArrayRows(rows, weight).accumulate(components)


def _merge(parts: list[SufficientStatistics]) -> SufficientStatistics:
    # Into a new one: a result may be wanted again, if a worker is lost. About the centres of most rows, where they
    # differ: an empty block has none.
    most = max(parts, key=lambda part: float(part.counts.sum()))
    total = SufficientStatistics.zeros(most.structure, most.centres)
    for part in parts:
        total.merge(part)
    return total


def _numbers_of(block: Any, weight: Any, facts: tuple, action: Callable[..., Sequence[float]]) -> np.ndarray:
    rows, weight = _checked(block, weight, facts)
    with config.config_context(**facts[-1]):
        return np.array(action(rows, weight), dtype=np.float64)


def _statistics_of(block: Any, weight: Any, facts: tuple, action: Callable[..., Any]) -> SufficientStatistics:
    rows, weight = _checked(block, weight, facts)
    with config.config_context(**facts[-1]):
        return action(rows, weight)


def _add(parts: list[np.ndarray]) -> np.ndarray:
    total = np.zeros_like(parts[0])
    for part in parts:
        total += part
    return total


def _taken(block: Any, weight: Any, facts: tuple, places: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the rows at `places` along the block's cumulative weight, or all and their weights."""
    rows, weight = _checked(block, weight, facts)
    if places is None:
        return rows, weight
    if weight is None:
        return rows[np.clip(places.astype(np.int64), 0, len(rows) - 1)], None
    cumulative = np.cumsum(weight)
    last = np.searchsorted(cumulative, cumulative[-1], side="left")
    return rows[np.minimum(np.searchsorted(cumulative, places, side="right"), last)], None


def _predicted(
    block: np.ndarray, action: Callable[[np.ndarray], np.ndarray], facts: tuple, block_id: tuple[int, ...] | None = None
) -> np.ndarray:
    number = None if block_id is None else block_id[0]
    rows, _ = _checked(block, None, (*facts[:2], number, *facts[3:]))
    with config.config_context(**facts[-1]):
        return action(rows)
