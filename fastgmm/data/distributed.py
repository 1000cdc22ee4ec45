"""Rows in blocks that lie elsewhere, as rows of passes that run where the blocks are.

An engine gives `Blocks`: it runs a function over its blocks and joins the results, no more. All else about distributed
rows is here: what a block is checked for, passes, samples, predictions. So only statistics travel, and the same blocks
give the same bits, whatever ran where and when.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np

from fastgmm import config
from fastgmm.data.checks import check_column, check_finite, check_weights
from fastgmm.data.rows import ArrayRows, Block, Rows, block_rows, join_statistics
from fastgmm.model import SufficientStatistics

__all__ = ["Blocks", "DistributedRows", "Facts", "Part"]

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """One block as an engine has it, not yet checked.

    Attributes
    ----------
    number : int
        Among all blocks.
    rows : Any
    weight : Any or None
    columns : mapping of str to Any
        What rides along.
    """

    number: int
    rows: Any
    weight: Any = None
    columns: Mapping[str, Any] = field(default_factory=dict)


#: ``task(parts, *arguments)``: what an engine runs over some of its blocks, in order.
Task = Callable[..., Any]


class Blocks(ABC):
    """What an engine must give.

    Attributes
    ----------
    description : str
        For messages.
    n_features : int
    dtype : dtype
        float32 or float64: what blocks are computed in.
    names : list of str or None
    columns : tuple of str
        What rides along.
    weighted : bool
    """

    description: str
    n_features: int
    dtype: np.dtype
    names: list[str] | None = None
    columns: tuple[str, ...] = ()
    weighted: bool = False

    @abstractmethod
    def map(self, task: Task, *arguments: Any, places: list[Any] | None = None) -> list[Any]:
        """Return ``task([part], *arguments)`` of every block in order.

        With `places`, one entry for each block, ``task([part], *arguments, place)``; a block whose place is None is
        left out.
        """

    @abstractmethod
    def reduce(self, task: Task, join: Callable[[list[Any]], Any], *arguments: Any) -> Any:
        """Return the join of ``task(parts, *arguments)`` over all blocks; a task may take several parts in a row.

        The result depends on the blocks alone, not on what ran where: parts and joins keep the order of the blocks.
        """

    @abstractmethod
    def lazy(self, task: Task, *arguments: Any, like: np.ndarray) -> Any:
        """Return the engine's own collection of ``task([part], *arguments)``, computed when it is asked for.

        `like` is a result of no rows: its dtype and further dimensions are the collection's.
        """

    @abstractmethod
    def mapped(self, task: Task, *arguments: Any, like: np.ndarray) -> Blocks:
        """Return blocks of ``task([part], *arguments)`` in place of the rows, with the same weights and columns."""

    @abstractmethod
    def joined(self, column: str) -> Blocks:
        """Return blocks of the rows with what rides along under that name as further features."""

    @abstractmethod
    def with_columns(self, columns: Mapping[str, Any], lengths: list[int] | None) -> Blocks:
        """Return the same blocks with further columns riding along: arrays over all rows, or the engine's own.

        `lengths` are those of the blocks, where they are known.
        """


@dataclass(frozen=True)
class Facts:
    """What a task must know of all blocks to check one.

    Attributes
    ----------
    description : str
    names : list of str or None
    lengths : list of int or None
        Rows of each block, once they are known.
    dtype : dtype
    settings : dict
        `fastgmm.config` of the process that asks.
    """

    description: str
    names: list[str] | None
    lengths: list[int] | None
    dtype: np.dtype
    settings: dict[str, Any]

    def checked(self, part: Part) -> Block:
        """Return a block that the kernels can read.

        Raises
        ------
        ValueError
            If it is not an array of finite numbers, or has changed since it was counted.
        """
        where = f"X, {self.description}, block {part.number}"
        if not isinstance(part.rows, np.ndarray):
            raise ValueError(f"{where} is a {type(part.rows).__name__}; expected a NumPy array")
        expected = None if self.lengths is None else self.lengths[part.number]
        if expected is not None and len(part.rows) != expected:
            raise ValueError(f"{where} has changed since the first pass: {len(part.rows)} rows; expected {expected}")
        check_finite(part.rows, where, None, self.names)
        rows = _aligned(part.rows, self.dtype)
        weight = None if part.weight is None else _aligned(check_weights(part.weight, len(rows), where), np.float64)
        columns = {
            name: check_column(column, len(rows), f"the {name} of {where}") for name, column in part.columns.items()
        }
        return Block(rows, weight, columns)


class DistributedRows(Rows):
    """Rows over the blocks of an engine.

    Parameters
    ----------
    blocks : Blocks

    Attributes
    ----------
    n_samples : int or None
        None until the first pass has ended.
    drawn : ArrayRows or None
        What `sample` returns, where it is known already.
    """

    def __init__(self, blocks: Blocks) -> None:
        self.of_engine = blocks
        self.n_features, self.dtype, self.names = blocks.n_features, blocks.dtype, blocks.names
        self.description = blocks.description
        self.n_samples: int | None = None
        self.total_weight = float("nan")
        self.drawn: ArrayRows | None = None
        self._lengths: list[int] | None = None
        self._sums: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"<rows of {self.description}>"

    @property
    def weighted(self) -> bool:  # type: ignore[override]
        """Whether rows have weights."""
        return self.of_engine.weighted

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]
        """What rides along."""
        return self.of_engine.columns

    def fold(
        self,
        empty: Callable[[], T],
        add: Callable[[Block, T], None],
        join: Callable[[list[T]], T] | None = None,
    ) -> T:
        """Return what is left when every block has been added to an empty start; see `Rows.fold`.

        A method of an object is that of the object as it is now.
        """
        join = _joined if join is None else join
        return self.of_engine.reduce(_folded, join, self._facts(), frozen(empty), frozen(add))

    def map(self, action: Callable[[Block], T]) -> Iterator[T]:
        """Yield ``action(block)`` of every block in turn; what it returns travels to this process."""
        yield from self.of_engine.map(_mapped, self._facts(), frozen(action))

    def blocks(self) -> Generator[np.ndarray, None, None]:
        """Yield the rows, block by block; each travels to this process."""
        yield from self.map(_rows_of)

    def lazy(self, action: Callable[[np.ndarray], np.ndarray]) -> Any:
        """Return the engine's collection of ``action(rows)``, computed when it is asked for, of the blocks' lengths.

        Parameters
        ----------
        action : callable
            Takes the rows of a block and returns an array with as many rows; pickled where workers are processes.
            A method is that of its object as it is now.
        """
        action = frozen(action)
        like = action(np.zeros((1, self.n_features), dtype=self.dtype))[:0]
        return self.of_engine.lazy(_predicted, self._facts(), action, like=like)

    def mapped(self, function: Callable[[np.ndarray], np.ndarray], names: list[str] | None) -> DistributedRows:
        """Return rows of ``function(rows)``, which has as many; `names` are those of its columns."""
        other = copy.copy(self)
        function = frozen(function)
        like = function(np.zeros((1, self.n_features), dtype=self.dtype))[:0]
        other.of_engine = self.of_engine.mapped(_predicted, self._facts(), function, like=like)
        other.of_engine.names = other.names = None if names is None else list(names)
        other.n_features, other.dtype = other.of_engine.n_features, other.of_engine.dtype
        if self.drawn is not None:
            other.drawn = ArrayRows(function(self.drawn.X), self.drawn.sample_weight, self.drawn.along)
        return other

    def joined(self, column: str) -> DistributedRows:
        """Return the rows with what rides along under the name `column` as further features."""
        other = DistributedRows(self.of_engine.joined(column))
        other.n_samples, other.total_weight = self.n_samples, self.total_weight
        return other

    def with_columns(self, **columns: Any) -> DistributedRows:
        """Return the same rows with further columns riding along."""
        other = copy.copy(self)
        other.of_engine = self.of_engine.with_columns(columns, self._lengths)
        return other

    def with_sample(self, rows: ArrayRows) -> DistributedRows:
        """Return the same rows with a sample already drawn, which `sample` will return."""
        other = copy.copy(self)
        other.drawn = rows
        return other

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
        lengths, sums = self._measured()
        if sum(lengths) <= n_rows:
            return self._gathered([()] * len(lengths))
        ends = np.cumsum(sums)
        positions = (np.arange(n_rows) + random_state.uniform(size=n_rows)) * (ends[-1] / n_rows)
        present = np.flatnonzero(sums > 0)
        block = present[np.minimum(np.searchsorted(ends[present], positions, side="right"), len(present) - 1)]
        starts = ends - sums
        places = [positions[block == i] - starts[i] for i in range(len(ends))]
        return self._gathered([place if len(place) else None for place in places])

    # Work on the blocks.

    def _facts(self) -> Facts:
        # A worker runs as many tasks at a time as it has threads: a task's kernel has one, unless more were asked for.
        settings = config.get_config()
        settings = {**settings, "n_threads": settings["n_threads"] or 1}
        return Facts(self.description, self.names, self._lengths, self.dtype, settings)

    def _measured(self) -> tuple[list[int], np.ndarray]:
        measured = self.of_engine.map(_measure, self._facts())
        lengths, sums = [length for length, _ in measured], np.array([weight for _, weight in measured])
        if sum(lengths) == 0:
            raise ValueError(f"X, {self.description}, has no rows; expected at least one")
        if not sums.sum() > 0:
            raise ValueError(f"the weights of X, {self.description}, are zero everywhere; expected some weight")
        self.n_samples, self.total_weight = sum(lengths), float(sums.sum())
        self._lengths, self._sums = lengths, sums
        return lengths, sums

    def _gathered(self, places: list[Any]) -> ArrayRows:
        parts = self.of_engine.map(_taken, self._facts(), places=places)
        weights = [part.weight for part in parts]
        return ArrayRows(
            np.concatenate([part.rows for part in parts]),
            None if any(weight is None for weight in weights) else np.concatenate(weights),
            {name: np.concatenate([part.columns[name] for part in parts]) for name in self.columns},
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


def _folded(parts: Iterable[Part], facts: Facts, empty: Callable[[], T], add: Callable[[Block, T], None]) -> T:
    total = empty()
    with config.config_context(**facts.settings):
        for part in parts:
            add(facts.checked(part), total)
    return total


def _mapped(parts: Iterable[Part], facts: Facts, action: Callable[[Block], T]) -> T:
    (part,) = parts
    with config.config_context(**facts.settings):
        return action(facts.checked(part))


def _rows_of(block: Block) -> np.ndarray:
    return block.rows


def _predicted(parts: Iterable[Part], facts: Facts, action: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return _mapped(parts, facts, partial(_of_rows, action))


def _of_rows(action: Callable[[np.ndarray], np.ndarray], block: Block) -> np.ndarray:
    return action(block.rows)


def _measure(parts: Iterable[Part], facts: Facts) -> tuple[int, float]:
    (part,) = parts
    block = facts.checked(part)
    return len(block.rows), block.total_weight


def _taken(parts: Iterable[Part], facts: Facts, places: Any) -> Block:
    """Return the rows at `places` along the block's cumulative weight; all, and their weights, where there are none."""
    (part,) = parts
    block = facts.checked(part)
    if len(places) == 0:
        return block
    if block.weight is None:
        index = np.clip(places.astype(np.int64), 0, len(block.rows) - 1)
    else:
        cumulative = np.cumsum(block.weight)
        last = np.searchsorted(cumulative, cumulative[-1], side="left")
        index = np.minimum(np.searchsorted(cumulative, places, side="right"), last)
    return Block(block.rows[index], None, {name: column[index] for name, column in block.columns.items()})


def _joined(totals: list[Any]) -> Any:
    first = totals[0]
    if isinstance(first, SufficientStatistics):
        return join_statistics(totals)
    if isinstance(first, list):
        return [item for total in totals for item in total]
    joined = np.zeros_like(first)
    for total in totals:
        joined += total
    return joined
