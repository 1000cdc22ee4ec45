"""The blocks of a dask collection.

A pass is one graph: a task for each group of blocks, and tasks that join results by eights. Which scheduler runs it is
dask's own choice: the current `distributed.Client`, or the threads of this process.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

import numpy as np

from fastgmm.data.dask_columns import as_array, as_column, is_dask
from fastgmm.data.dask_groups import Recipe, Recipes, groups_of, outside_of, parts_of
from fastgmm.data.distributed import Blocks, DistributedRows, Key, Part, Task

__all__ = ["DaskBlocks", "DaskRows", "is_dask"]

# Results joined by one task. Depth costs latency, width costs transfers to one worker.
WIDTH = 8


class DaskBlocks(Blocks):
    """The blocks of a dask array or frame; parameters as `DaskRows` has them."""

    def __init__(self, X: Any, sample_weight: Any = None) -> None:
        self.array, self.names = as_array(X)
        kind = "dask frame" if self.names is not None else "dask array"
        self.n_features = int(self.array.shape[1])
        self.description = f"{kind} of {self.array.numblocks[0]} blocks of {self.n_features} columns"
        self.dtype = np.dtype(np.float32 if self.array.dtype == np.float32 else np.float64)
        self.weight = None if sample_weight is None else as_column(sample_weight, self.array, "sample_weight", "biuf")
        self.weighted = self.weight is not None
        self.along: dict[str, Any] = {}
        self.columns = {}
        self._recipes: Recipes | None = None

    def run(self, task: Task, *arguments: Any, join: Callable[[list[Any]], Any] | None = None) -> list[Any]:
        """Return ``task(parts, *arguments)`` of groups of blocks, computed as one graph; their join if there is one."""
        import dask.base
        import dask.threaded

        if self._recipes is None:
            # Once: the collection's own graph is optimised here.
            self._recipes = Recipes(self.array, self.weight, self.along)
        get = dask.base.get_scheduler() or dask.threaded.get
        client = getattr(get, "__self__", None)
        kept = _futures(client, self._recipes.kept)
        # What all tasks need is sent once to each worker.
        call = f"fastgmm-call-{uuid4().hex}"
        layers = {None: {**self._recipes.tasks, **kept, call: Call(task, arguments, join)}}
        results: list[Any] = []
        for worker, group in groups_of(self._recipes, client, kept):
            results.append(f"fastgmm-pass-{uuid4().hex}")
            layers.setdefault(worker, {})[results[-1]] = (_on_group, call, Group(group), outside_of(group))
        while join is not None and len(results) > 1:
            groups = [results[i : i + WIDTH] for i in range(0, len(results), WIDTH)]
            results = [f"fastgmm-join-{uuid4().hex}" for _ in groups]
            layers[None].update(zip(results, ((_join, call, group) for group in groups), strict=True))
        return list(get(_graph(layers), results))

    def lazy(self, task: Task, *arguments: Any, like: np.ndarray, name: str, along: Sequence[str] = ()) -> Any:
        """Return a dask array of ``task([part], *arguments)``."""
        shape: dict[str, Any] = {"drop_axis": 1}
        if like.ndim > 1:
            shape = {"chunks": (self.array.chunks[0], *like.shape[1:]), "new_axis": list(range(2, like.ndim))}
        # Side by side as matrices, whatever their dimensions: blocks are matched from the last dimension on.
        columns = [self.along[column].map_blocks(_flat, **_matrix_of(self.along[column])) for column in along]
        widths = {column: self.along[column].shape[1:] for column in along}
        options = {"task": task, "arguments": arguments, "widths": widths, "dtype": like.dtype, "meta": like}
        return self.array.map_blocks(_on_block, *columns, **options, **shape)

    def with_columns(self, columns: Mapping[str, Any], lengths: Mapping[Key, int] | None) -> DaskBlocks:
        """Return the same blocks with further columns riding along."""
        other = copy.copy(self)
        other._recipes = None
        further = {name: as_column(column, self.array, name, lengths=lengths) for name, column in columns.items()}
        other.along = {**self.along, **further}
        other.columns = {name: np.empty((0, *c.shape[1:]), dtype=c.dtype) for name, c in other.along.items()}
        return other


class DaskRows(DistributedRows):
    """Rows over a dask array or frame, which stay where they are.

    Parameters
    ----------
    X : dask.array.Array of shape (n_samples, n_features), or dask.dataframe.DataFrame
        Chunks may be of any and of unknown length. Blocks that split the columns are joined.
    sample_weight : array-like of shape (n_samples,), dask array or series, optional
        With the same chunks as X where those of X are of unknown length.

    Raises
    ------
    TypeError
        If X is another collection.
    ValueError
        If X is not two-dimensional or not of numbers, or the weights are not as many as its rows.
    """

    def __init__(self, X: Any, sample_weight: Any = None) -> None:
        super().__init__(DaskBlocks(X, sample_weight))


def _futures(client: Any, keys: list[Any]) -> dict[Any, Any]:
    if not keys:
        return {}
    from distributed import Future

    return {key: Future(key, client=client) for key in keys}


def _graph(layers: dict[Any, dict[Any, Any]]) -> Any:
    """Return tasks by worker as one graph; they run there, unless the worker is lost."""
    from dask.highlevelgraph import HighLevelGraph, MaterializedLayer

    made = {
        str(worker): MaterializedLayer(
            tasks, annotations={"workers": [worker], "allow_other_workers": True} if worker is not None else None
        )
        for worker, tasks in layers.items()
    }
    return HighLevelGraph(made, {name: set(made) - {name} for name in made})


class Call:
    """What all tasks of a pass need; opaque to dask, which looks for keys in tuples, lists and dicts."""

    def __init__(self, task: Task, arguments: tuple, join: Callable[[list[Any]], Any] | None) -> None:
        self.task, self.arguments, self.join = task, arguments, join


class Group:
    """Recipes, opaque to dask as well."""

    def __init__(self, recipes: list[Recipe]) -> None:
        self.recipes = recipes


# What runs on workers.


def _on_group(call: Call, group: Group, held: list[Any]) -> Any:
    return call.task(parts_of(group.recipes, held), *call.arguments)


def _join(call: Call, results: list[Any]) -> Any:
    assert call.join is not None, "results are joined"
    return call.join(results)


def _on_block(
    block: Any,
    *columns: Any,
    task: Task,
    arguments: tuple,
    widths: Mapping[str, tuple[int, ...]],
    block_id: tuple[int, ...] | None = None,
) -> Any:
    along = {name: column.reshape(-1, *width) for (name, width), column in zip(widths.items(), columns, strict=True)}
    return task([Part((0 if block_id is None else block_id[0],), block, None, along)], *arguments)


def _flat(column: Any) -> Any:
    return column.reshape(len(column), -1)


def _matrix_of(column: Any) -> dict[str, Any]:
    """Return what dask is to know of a column whose entries are laid out flat."""
    width = int(np.prod(column.shape[1:]))
    known: dict[str, Any] = {"chunks": (column.chunks[0], (width,)), "dtype": column.dtype}
    if column.ndim > 2:
        known["drop_axis"] = list(range(2, column.ndim))
    elif column.ndim == 1:
        known["new_axis"] = 1
    return known
