"""What blocks leave behind, added up so that the result does not depend on which of them were worked on together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastgmm.data.reproducible_sum import ReproducibleSum
from fastgmm.data.rows import join_statistics
from fastgmm.model import SufficientStatistics

__all__ = ["StatisticsAndParts", "Totals"]


@dataclass
class StatisticsAndParts:
    """What a pass leaves behind that has something to say of each block besides.

    Attributes
    ----------
    statistics : SufficientStatistics
        Added up over all blocks.
    parts : list
        What was found of the blocks, in their order.
    """

    statistics: SufficientStatistics
    parts: list[Any] = field(default_factory=list)


class Totals:
    """What some blocks of a pass leave behind.

    Statistics and arrays of float64 become one sum, which is reproducible; everything else is kept block by block, to
    be joined in the order of all blocks in the end. Of `StatisticsAndParts` the statistics are summed, the parts kept.

    Attributes
    ----------
    n_rows : int
        Of the blocks.
    """

    def __init__(self) -> None:
        self.n_rows = 0
        self._sum: ReproducibleSum | None = None
        self._by_key: dict[tuple[int, ...], Any] = {}

    @classmethod
    def of(cls, parts: list[Totals]) -> Totals:
        """Return those of all parts, which are left as they are: one may be wanted again, if a worker is lost."""
        totals = cls()
        for part in parts:
            totals.n_rows += part.n_rows
            totals._by_key.update(part._by_key)
            if part._sum is not None:
                totals._summed(len(part._sum.first)).merge(part._sum)
        return totals

    def add(self, key: tuple[int, ...], n_rows: int, total: Any, summed: bool) -> None:
        """Add what the block `key` of `n_rows` rows leaves behind; kept by itself unless `summed` and of numbers."""
        self.n_rows += n_rows
        if summed and isinstance(total, StatisticsAndParts):
            self._by_key[key], total = total.parts, total.statistics
        numbers = _numbers(total) if summed else None
        if numbers is None:
            self._by_key[key] = total
        else:
            self._summed(len(numbers)).add(numbers)

    def value(self, empty: Callable[[], Any], join: Callable[[list[Any]], Any] | None) -> Any:
        """Return what all blocks together leave behind, in the form of ``empty()``."""
        if self._sum is not None:
            total = empty()
            if isinstance(total, StatisticsAndParts):
                _filled(total.statistics, self._sum.value())
                total.parts.extend(part for key in sorted(self._by_key) for part in self._by_key[key])
                return total
            return _filled(total, self._sum.value())
        if not self._by_key:
            return empty()
        return (_joined if join is None else join)([self._by_key[key] for key in sorted(self._by_key)])

    def _summed(self, size: int) -> ReproducibleSum:
        if self._sum is None:
            self._sum = ReproducibleSum(size)
        return self._sum


def _numbers(total: Any) -> np.ndarray | None:
    """Return the numbers of a total as one array, or None where it is not made of numbers that add up."""
    if isinstance(total, SufficientStatistics):
        arrays = (*total.totals, np.array(total.log_likelihood))
        return np.concatenate([array.ravel() for array in arrays])
    if isinstance(total, np.ndarray) and total.dtype == np.float64:
        return total.ravel()
    return None


def _filled(total: Any, numbers: np.ndarray) -> Any:
    """Return an empty total with these numbers: the inverse of `_numbers`."""
    if isinstance(total, np.ndarray):
        return numbers.reshape(total.shape)
    at = 0
    for array in total.totals:
        array[...] = numbers[at : at + array.size].reshape(array.shape)
        at += array.size
    total.log_likelihood = float(numbers[-1])
    return total


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
