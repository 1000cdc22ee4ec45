"""Blocks of tables that lie elsewhere: which of their columns are features, weights, labels or targets.

Written once for every engine that has tables; what reads a table as blocks is sent to where it lies.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from fastgmm.data.arrow import column_of, listed, matrix_of
from fastgmm.data.distributed import Blocks, DistributedRows, Key, Part
from fastgmm.data.rows import MEASURED, block_rows

__all__ = ["TableBlocks", "TableReader", "TableRows"]


@dataclass(frozen=True)
class TableReader:
    """How Arrow batches of one table, or of a part of it, become blocks.

    Attributes
    ----------
    description : str
    names : tuple of str
        Columns of features.
    weight : str or None
    along : mapping of str to str or sequence of str
        Columns of what rides along.
    given : mapping of str to mapping of Key to ndarray
        What rides along and is no column of the table, by block.
    allows_missing : bool
        Whether features that are missing become NaN.
    """

    description: str
    names: tuple[str, ...]
    weight: str | None = None
    along: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    given: Mapping[str, Mapping[Key, np.ndarray]] = field(default_factory=dict)
    allows_missing: bool = False

    @property
    def columns(self) -> list[str]:
        """Of the table, that are read."""
        riding = [name for given in self.along.values() for name in listed(given)]
        return list(dict.fromkeys([*self.names, *listed(self.weight), *riding]))

    @property
    def features(self) -> TableReader:
        """What reads the features alone."""
        return TableReader(self.description, self.names, allows_missing=self.allows_missing)

    def parts(self, batches: Iterable[Any], partition: int) -> Iterator[Part]:
        """Yield the blocks of a partition, `block_rows` at a time, one after another."""
        for number, batch in enumerate(_cut(batches, block_rows(len(self.names)))):
            key = (partition, number)
            where = f"X, {self.description}, {Part(key, None)}"
            columns = {name: column_of(batch, given, f"{where}, column", name) for name, given in self.along.items()}
            columns.update({name: by_key[key] for name, by_key in self.given.items()})
            weight = None if self.weight is None else column_of(batch, self.weight, f"{where}, column", "sample_weight")
            rows = matrix_of(batch.select(list(self.names)), where, self.allows_missing or MEASURED in columns)
            yield Part(key, rows, weight, columns)


class TableBlocks(Blocks):
    """Blocks of a table with named columns.

    Parameters
    ----------
    kind : str
        Of table, for messages.
    types : mapping of str to str
        Of all columns, as the engine names them.
    numbers : mapping of str to str
        The engine's types of numbers, as NumPy names them.
    columns : sequence of str or None
        The features; all columns but those named below for None.
    weights : str or None
    along : mapping of str to str or sequence of str
    """

    allows_missing: bool = False

    def __init__(
        self,
        kind: str,
        types: Mapping[str, str],
        numbers: Mapping[str, str],
        columns: Sequence[str] | None,
        weights: str | None,
        along: Mapping[str, str | Sequence[str]],
    ) -> None:
        self.kind, self.types, self.numbers = kind, types, numbers
        self.chosen = None if columns is None else list(columns)
        riding = {name: self._checked(given, name) for name, given in along.items()}
        self._read(self._checked(weights, "sample_weight"), riding, {})

    def with_columns(self, columns: Mapping[str, Any], lengths: Mapping[Key, int] | None) -> Self:
        """Return the same blocks with further columns riding along: of the table, by name, or arrays over all rows.

        A column of the table that is named here is no feature.
        """
        other = copy.copy(self)
        along, given = dict(self.reader.along), dict(self.reader.given)
        for name, column in columns.items():
            if not isinstance(column, np.ndarray) or lengths is None:
                along[name] = self._checked(column, name)
                continue
            if len(column) != sum(lengths.values()):
                raise ValueError(
                    f"{name} has {len(column)} entries; expected {sum(lengths.values())}, one for each row of X"
                )
            ends = np.cumsum(list(lengths.values()))
            given[name] = dict(zip(lengths, np.split(column, ends[:-1]), strict=True))
            along.pop(name, None)
        other._read(self.reader.weight, along, given)
        return other

    def with_missing(self) -> Self:
        """Return the same blocks, whose features may be missing."""
        other = copy.copy(self)
        other.allows_missing, other.reader = True, replace(self.reader, allows_missing=True)
        return other

    def checked_reader(self) -> TableReader:
        """Return what reads a table, once its features are columns of numbers.

        Not before it is read: what is no feature may be named after the table has been given.
        """
        what = f"X, a {self.kind} of columns {', '.join(self.types)},"
        for name in self.reader.names:
            if name not in self.types:
                raise ValueError(f"{what} has no {name!r}; expected the columns {', '.join(self.reader.names)}")
            if self.types[name] not in self.numbers:
                raise ValueError(
                    f"{what} has {name!r} of type {self.types[name]}; expected numbers. Choose its columns, or name "
                    "those that are no features: sample_weight, labels, y"
                )
        if not self.reader.names:
            raise ValueError(f"{what} has no features; expected one or more columns of numbers")
        return self.reader

    def check_new(self, name: str) -> None:
        """Raise ValueError if the table has a column of this name, that of a prediction."""
        if name in self.types:
            raise ValueError(
                f"X, a {self.kind}, has a column {name!r} already, the name of the prediction's; rename or drop it"
            )

    def _read(
        self, weight: str | None, along: Mapping[str, Any], given: Mapping[str, Mapping[Key, np.ndarray]]
    ) -> None:
        used = {*listed(weight), *(name for columns in along.values() for name in listed(columns))}
        self.weighted = weight is not None
        self.names = [name for name in self.chosen or self.types if name not in used]
        self.n_features = len(self.names)
        self.description = f"{self.kind} of {len(self.names)} columns"
        single = all(self.numbers.get(self.types.get(name, "")) == "float32" for name in self.names)
        self.dtype = np.dtype("float32" if single else "float64")
        self.columns = {name: self._empty(columns) for name, columns in along.items()}
        self.columns.update({name: next(iter(by_key.values()))[:0] for name, by_key in given.items()})
        known = (self.description, tuple(self.names), weight, dict(along), dict(given))
        self.reader = TableReader(*known, self.allows_missing)

    def _checked(self, given: Any, name: str) -> Any:
        """Return what names one or more columns."""
        if given is None:
            return None
        for column in listed(given) if isinstance(given, (str, list, tuple)) else [given]:
            if not (isinstance(column, str) and column in self.types):
                raise ValueError(
                    f"{name} is {column!r} and X is a {self.kind}; expected the name of one of its columns: "
                    f"{', '.join(self.types)}"
                )
        return given

    def _empty(self, columns: str | Sequence[str]) -> np.ndarray:
        """Return what rides along as it is for no rows."""
        dtype = np.result_type(*(np.dtype(self.numbers.get(self.types[name], "O")) for name in listed(columns)))
        return np.empty(0 if isinstance(columns, str) else (0, len(columns)), dtype=dtype)


class TableRows(DistributedRows):
    """Rows over a table of an engine."""

    engine: ClassVar[Callable[..., TableBlocks]]

    def __init__(
        self,
        table: Any,
        columns: Sequence[str] | None = None,
        weights: str | None = None,
        labels: str | None = None,
        y: str | Sequence[str] | None = None,
    ) -> None:
        given = {"labels": labels, "y": y}
        along = {name: column for name, column in given.items() if column is not None}
        super().__init__(type(self).engine(table, columns, weights, along))


def _cut(batches: Iterable[Any], size: int) -> Iterator[Any]:
    """Yield Arrow batches of `size` rows, the last one shorter."""
    import pyarrow as pa

    held, n_held = [], 0
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            held.append(batch.slice(start, size - n_held))
            start += held[-1].num_rows
            n_held += held[-1].num_rows
            if n_held == size:
                yield _one(pa.Table.from_batches(held))
                held, n_held = [], 0
    if held:
        yield _one(pa.Table.from_batches(held))


def _one(table: Any) -> Any:
    (batch,) = table.combine_chunks().to_batches()
    return batch
