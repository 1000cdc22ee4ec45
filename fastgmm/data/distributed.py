"""Rows in blocks that lie elsewhere, as rows of passes that run where the blocks are.

An engine gives `Blocks`: it runs a task over its blocks, several of them in one call where that is cheaper, and no
more. All else about distributed rows is here: what a block is checked for, passes, samples, predictions. So only
statistics travel, and the same blocks give the same bits, whatever ran where and when.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from operator import itemgetter
from typing import Any, Self, TypeVar

import numpy as np

from fastgmm import config
from fastgmm.data.checks import check_column, check_finite, check_weights, with_stand_ins
from fastgmm.data.rows import MEASURED, ArrayRows, Block, Source, block_rows, rows_at, strata, with_further_features
from fastgmm.data.totals import Totals

__all__ = ["Blocks", "DistributedRows", "Key", "Part", "Task"]

T = TypeVar("T")

#: Names a block and sorts it among all: its number, or those of its partition and of the block in there.
Key = tuple[int, ...]


@dataclass(frozen=True)
class Part:
    """One block as an engine has it, not yet checked.

    Attributes
    ----------
    key : tuple of int
    rows : Any
    weight : Any or None
    columns : mapping of str to Any
        What rides along.
    """

    key: Key
    rows: Any
    weight: Any = None
    columns: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        names = ("partition", "block")[-len(self.key) :]
        return ", ".join(f"{name} {number}" for name, number in zip(names, self.key, strict=True))


#: ``task(parts, *arguments)``: what an engine runs over an iterator of some of its blocks.
Task = Callable[..., Any]


class Blocks(ABC):
    """What an engine must give.

    Attributes
    ----------
    description : str
        For messages.
    n_features : int
        Number of features of each row.
    dtype : dtype
        float32 or float64: what blocks are computed in.
    names : list of str or None
        The names of the features.
    columns : mapping of str to ndarray
        What rides along, as it is for no rows: its dtype and further dimensions.
    weighted : bool
        Whether rows have weights.
    """

    description: str
    n_features: int
    dtype: np.dtype
    names: list[str] | None = None
    columns: Mapping[str, np.ndarray]
    weighted: bool

    @abstractmethod
    def run(self, task: Task, *arguments: Any, join: Callable[[list[Any]], Any] | None = None) -> list[Any]:
        """Return ``task(parts, *arguments)`` of groups of blocks, which together are all blocks.

        Which blocks a group has, and the order of the results, are the engine's choice: no result may depend on it. A
        task takes its parts one after another, so that those that have to be made first are not in memory together.
        With `join`, several results may be replaced by ``join(results)``, wherever they are.
        """

    @abstractmethod
    def lazy(self, task: Task, *arguments: Any, like: np.ndarray, name: str, along: Sequence[str] = ()) -> Any:
        """Return the engine's own collection of ``task([part], *arguments)``, computed when it is asked for.

        Of what rides along, a part has `along`. `like` is a result of no rows: its dtype and further dimensions are the
        collection's. `name` is what a column of it is called, where columns have names.
        """

    @abstractmethod
    def with_columns(self, columns: Mapping[str, Any], lengths: Mapping[Key, int] | None) -> Blocks:
        """Return the same blocks with further columns riding along: arrays over all rows, or the engine's own.

        `lengths` are those of the blocks, where they are known.
        """

    def with_missing(self) -> Self:
        """Return the same blocks, whose features may be missing: NaN, in the arrays that these come to."""
        return self


@dataclass(frozen=True)
class Facts:
    """What a task must know of all blocks to read one.

    Attributes
    ----------
    description : str
    names : list of str or None
    lengths : mapping of Key to int, or None
        Rows of each block, once they are known.
    dtype : dtype
    views : tuple of callables
        ``view(block)`` returns a block with as many rows: what is to be read in its place.
    settings : dict
        `fastgmm.config` of the process that asks.
    allows_missing : bool
        Whether rows may have NaN for what is missing.
    """

    description: str
    names: list[str] | None
    lengths: Mapping[Key, int] | None
    dtype: np.dtype
    views: tuple[Callable[[Block], Block], ...]
    settings: dict[str, Any]
    allows_missing: bool = False

    def block(self, part: Part) -> Block:
        """Return a block that the kernels can read.

        Raises
        ------
        ValueError
            If it is not an array of finite numbers, or has changed since it was counted.
        """
        where = f"X, {self.description}, {part}"
        if not isinstance(part.rows, np.ndarray):
            raise ValueError(f"{where} is a {type(part.rows).__name__}; expected a NumPy array")
        if self.lengths is not None and len(part.rows) != self.lengths.get(part.key, 0):
            raise ValueError(
                f"{where} has changed since the first pass: {len(part.rows)} rows; expected "
                f"{self.lengths.get(part.key, 0)}"
            )
        allows_missing = self.allows_missing or MEASURED in part.columns
        weight = part.weight
        if weight is not None:
            weight = _aligned(check_weights(weight, len(part.rows), where), np.float64)
        rows = with_stand_ins(part.rows, weight, allows_missing)
        check_finite(rows, where, None, self.names, allows_missing=allows_missing)
        rows = _aligned(rows, self.dtype)
        columns = {
            name: check_column(column, len(rows), f"the {name} of {where}") for name, column in part.columns.items()
        }
        block = Block(rows, weight, columns)
        for view in self.views:
            block = view(block)
        before = (length for key, length in (self.lengths or {}).items() if key < part.key)
        return replace(block, first_row=sum(before))

    def blocks(self, parts: Iterable[Part]) -> Iterator[tuple[Key, Block]]:
        """Yield the blocks of a task, one after another, with the settings of the process that asks."""
        with config.config_context(**self.settings):
            for part in parts:
                key, block = part.key, self.block(part)
                # So that the next one is not made while this one is held; so do those who are given them.
                del part
                yield key, block
                del block


class DistributedRows(Source):
    """Rows over the blocks of an engine.

    Parameters
    ----------
    blocks : Blocks
        What is asked of an engine.

    Attributes
    ----------
    n_samples : int or None
        None until the first pass has ended.
    """

    def __init__(self, blocks: Blocks) -> None:
        self.of_engine = blocks
        self.n_features: int
        self.dtype: np.dtype
        self.n_features, self.dtype, self.names = blocks.n_features, blocks.dtype, blocks.names
        self.description = blocks.description
        self.n_samples: int | None = None
        self.total_weight = float("nan")
        self._views: tuple[Callable[[Block], Block], ...] = ()
        self._lengths: dict[Key, int] | None = None
        self._weights: dict[Key, float] | None = None

    @property
    def weighted(self) -> bool:  # type: ignore[override]
        """Whether rows have weights."""
        return self.of_engine.weighted

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]
        """What rides along."""
        return tuple(self.of_engine.columns)

    def fold(
        self,
        empty: Callable[[], T],
        add: Callable[[Block, T], None],
        join: Callable[[list[T]], T] | None = None,
        finite: Callable[[T], bool] | None = None,
    ) -> T:
        """Return the sum of what is left when each block has been added to an empty start; see `Source.fold`.

        The result depends on the blocks alone, not on which of them were worked on together: statistics and arrays of
        numbers are added up reproducibly, everything else is joined here in the order of the blocks. A method of an
        object is that of the object as it is now.
        """
        parts = self.of_engine.run(_folded, self._facts(), frozen(empty), frozen(add), join is None, join=Totals.of)
        totals = Totals.of(parts)
        if self.n_samples is not None and totals.n_rows != self.n_samples:
            raise ValueError(
                f"X, {self.description}, has changed since the first pass: {totals.n_rows} rows; expected "
                f"{self.n_samples}"
            )
        return totals.value(empty, join)

    def map(self, action: Callable[[Block], T]) -> Iterator[T]:
        """Yield ``action(block)`` of every block in turn; what it returns travels to this process."""
        yield from self._by_key(_mapped, frozen(action)).values()

    def lazy(self, action: Callable[..., np.ndarray], name: str, along: Sequence[str] = ()) -> Any:
        """Return the engine's collection of ``action(rows)``, computed when it is asked for.

        Parameters
        ----------
        action : callable
            Takes the rows of a block and returns an array with as many rows; pickled where workers are processes.
            A method is that of its object as it is now.
        name : str
            Of the column, where the collection is a table.
        along : sequence of str
            What rides along and `action` takes as well.
        """
        action = frozen(action)
        riding = [np.zeros((1, *self.of_engine.columns[column].shape[1:]), dtype=self.dtype) for column in along]
        like = action(np.zeros((1, self.n_features), dtype=self.dtype), *riding)[:0]
        facts = replace(self._facts(), lengths=None)
        return self.of_engine.lazy(_predicted, facts, action, tuple(along), like=like, name=name, along=along)

    def mapped(self, function: Callable[[np.ndarray], np.ndarray], names: list[str] | None) -> DistributedRows:
        """Return rows of ``function(rows)``, which has as many; `names` are those of its columns."""
        function = frozen(function)
        other = self._viewed(partial(_with_rows, function))
        like = function(np.zeros((1, self.n_features), dtype=self.dtype))
        other.n_features, other.dtype = like.shape[1], like.dtype
        other.names = None if names is None else list(names)
        if self.drawn is not None:
            other.drawn = ArrayRows(function(self.drawn.X), self.drawn.sample_weight, self.drawn.along)
        return other

    def joined(self, column: str) -> DistributedRows:
        """Return the rows with what rides along under the name `column` as further features."""
        other = self._viewed(partial(with_further_features, column, self.description))
        like = np.column_stack([np.empty((0, self.n_features), self.dtype), self.of_engine.columns[column]])
        other.n_features, other.dtype = like.shape[1], like.dtype
        other.names = None
        other.drawn = None
        return other

    def with_columns(self, **columns: Any) -> DistributedRows:
        """Return the same rows with further columns riding along, arrays over all rows or what the engine knows."""
        other = copy.copy(self)
        of_engine = other.of_engine = self.of_engine.with_columns(columns, self._lengths)
        if not self._views:
            # A table may have given a column of its own, which is then no feature.
            other.n_features, other.dtype, other.names = of_engine.n_features, of_engine.dtype, of_engine.names
            other.description = of_engine.description
        return other

    def with_missing(self) -> Self:
        """Return the same source, whose rows may miss values."""
        other = super().with_missing()
        other.of_engine = self.of_engine.with_missing()
        return other

    def _draw(self, n_rows: int | None, random_state: np.random.RandomState) -> ArrayRows:
        # As `ArrayRows.sample` draws: one row from each of `n_rows` strata of equal weight, one pass to count and weigh
        # and one to take them. The rows drawn travel to this process and weigh one each.
        n_rows = block_rows(self.n_features) if n_rows is None else n_rows
        weights = self._measured()
        if self.n_samples is not None and self.n_samples <= n_rows:
            return self._gathered(None)
        keys, sums = list(weights), np.array(list(weights.values()))
        ends = np.cumsum(sums)
        positions = strata(n_rows, ends[-1], random_state)
        present = np.flatnonzero(sums > 0)
        block = present[np.minimum(np.searchsorted(ends[present], positions, side="right"), len(present) - 1)]
        starts = ends - sums
        return self._gathered({keys[i]: positions[block == i] - starts[i] for i in np.unique(block)})

    # Work on the blocks.

    def _viewed(self, view: Callable[[Block], Block]) -> DistributedRows:
        other = copy.copy(self)
        other._views = (*self._views, view)
        return other

    def _facts(self) -> Facts:
        # A worker runs as many tasks at a time as it has threads: a task's kernel has one, unless more were asked for.
        settings = config.get_config()
        settings = {**settings, "n_threads": settings["n_threads"] or 1}
        engine = self.of_engine
        known = (engine.description, engine.names, self._lengths, engine.dtype)
        return Facts(*known, self._views, settings, self.allows_missing)

    def _by_key(self, task: Task, *arguments: Any) -> dict[Key, Any]:
        """Return what a task returns by key, in the order of the blocks."""
        results = self.of_engine.run(task, self._facts(), *arguments)
        return dict(sorted((pair for result in results for pair in result.items()), key=itemgetter(0)))

    def _measured(self) -> dict[Key, float]:
        """Return the weights of the blocks, which are counted and weighed once."""
        if self._weights is not None:
            return self._weights
        measured = self._by_key(_mapped, _measure)
        lengths = {key: length for key, (length, _) in measured.items()}
        weights = {key: weight for key, (_, weight) in measured.items()}
        n_samples, total = sum(lengths.values()), float(np.sum(list(weights.values())))
        if n_samples == 0:
            raise ValueError(f"X, {self.description}, has no rows; expected at least one")
        if not total > 0:
            raise ValueError(f"the weights of X, {self.description}, are zero everywhere; expected some weight")
        self.n_samples, self.total_weight = n_samples, total
        self._lengths, self._weights = lengths, weights
        return weights

    def _gathered(self, places: dict[Key, np.ndarray] | None) -> ArrayRows:
        parts = list(self._by_key(_taken, places).values())
        weights = [part.weight for part in parts]
        return ArrayRows(
            np.concatenate([part.rows for part in parts]),
            None if any(weight is None for weight in weights) else np.concatenate(weights),
            {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns},
        )


def frozen(action: Any) -> Any:
    """Return a method bound to a copy of its object, which a later fit does not change."""
    owner = getattr(action, "__self__", None)
    if owner is None or isinstance(owner, type):
        return action
    return getattr(copy.copy(owner), action.__name__)


# What runs on workers.


def _aligned(array: np.ndarray, dtype: Any) -> np.ndarray:
    # What came from another process may lie at any address of the message.
    return np.require(array, dtype=dtype, requirements=["C", "A"])


def _folded(
    parts: Iterable[Part], facts: Facts, empty: Callable[[], T], add: Callable[[Block, T], None], summed: bool
) -> Totals:
    # Each block from an empty start: what blocks a task has is no part of the result.
    totals = Totals()
    for key, block in facts.blocks(parts):
        total = empty()
        add(block, total)
        totals.add(key, len(block.rows), total, summed)
        del block
    return totals


def _mapped(parts: Iterable[Part], facts: Facts, action: Callable[[Block], T]) -> dict[Key, T]:
    found = {}
    for key, block in facts.blocks(parts):
        found[key] = action(block)
        del block
    return found


def _predicted(
    parts: Iterable[Part], facts: Facts, action: Callable[..., np.ndarray], along: tuple[str, ...]
) -> np.ndarray:
    ((_, block),) = facts.blocks(parts)
    return action(block.rows, *(block.columns[name] for name in along))


def _with_rows(function: Callable[[np.ndarray], np.ndarray], block: Block) -> Block:
    return Block(function(block.rows), block.weight, block.columns)


def _measure(block: Block) -> tuple[int, float]:
    return len(block.rows), block.total_weight


def _taken(parts: Iterable[Part], facts: Facts, places: Mapping[Key, np.ndarray] | None) -> dict[Key, Block]:
    """Return the rows at `places` along each block's cumulative weight; all, and their weights, without places."""
    return {
        key: block if places is None else rows_at(places[key], block)
        for key, block in facts.blocks(parts)
        if places is None or key in places
    }
