"""The blocks of a Spark frame: the rows of each partition, `block_rows` at a time.

A pass is one Spark job: every partition's rows come as Arrow batches to a Python process beside them, and what a task
makes of them is a row of the result. What all tasks need travels with the job's code, which Spark sends once to each
executor. A block never crosses a partition, so the same partitions give the same blocks, whoever reads them.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fastgmm.data.arrow import listed
from fastgmm.data.distributed import Part, Task
from fastgmm.data.table_blocks import TableBlocks, TableRows

__all__ = ["SparkBlocks", "SparkRows", "is_spark"]

#: Partitions up to which the driver joins all results itself.
FEW = 64

#: Spark's types of numbers, as its schemas print them, and NumPy's.
NUMBERS = {
    "boolean": "bool",
    "tinyint": "int8",
    "smallint": "int16",
    "int": "int32",
    "bigint": "int64",
    "float": "float32",
    "double": "float64",
}

#: Types of predictions by the kind of their NumPy dtype, or by kind and size.
TYPES = {"b": "boolean", "i": "bigint", "u": "bigint", "f4": "float", "f8": "double"}


def is_spark(X: Any) -> bool:
    """Return whether X is of pyspark; it is not imported to tell."""
    return type(X).__module__.split(".")[0] == "pyspark"


class SparkBlocks(TableBlocks):
    """The blocks of a Spark frame; parameters as `SparkRows` has them."""

    def __init__(
        self, frame: Any, columns: Sequence[str] | None, weights: str | None, along: Mapping[str, str | Sequence[str]]
    ) -> None:
        if not hasattr(frame, "mapInArrow"):
            hint = "; use its to_spark()" if hasattr(frame, "to_spark") else ""
            raise TypeError(f"X is a {type(frame).__module__}.{type(frame).__name__}; expected a Spark DataFrame{hint}")
        self.frame = frame
        self._n_results = 0
        super().__init__("Spark frame", dict(frame.dtypes), NUMBERS, columns, weights, along)

    def run(self, task: Task, *arguments: Any, join: Callable[[list[Any]], Any] | None = None) -> list[Any]:
        """Return ``task(parts, *arguments)`` of every partition, by one job."""
        reader = self.checked_reader()

        def of_partition(batches: Iterator[Any]) -> Iterator[Any]:
            try:
                yield _message(task(reader.parts(batches, _partition()), *arguments))
            except ValueError as error:
                # Of the rows, and the same in every attempt: raised where the fit was asked for.
                yield _message(error)

        def of_results(batches: Iterator[Any]) -> Iterator[Any]:
            results = [pickle.loads(content.as_py()) for batch in batches for content in batch.column(0)]
            errors = [result for result in results if isinstance(result, ValueError)]
            if results and join is not None:
                yield _message(errors[0] if errors else join(results))

        results = self.frame.select(*map(_quoted, reader.columns)).mapInArrow(of_partition, "result binary")
        if join is not None and self._n_results > FEW:
            # So that the driver is not sent the results of all partitions.
            results = results.repartition(math.isqrt(self._n_results)).mapInArrow(of_results, "result binary")
        received = [pickle.loads(row["result"]) for row in results.collect()]
        for result in received:
            if isinstance(result, ValueError):
                raise result
        self._n_results = max(self._n_results, len(received))
        return received

    def lazy(self, task: Task, *arguments: Any, like: np.ndarray, name: str, along: Sequence[str] = ()) -> Any:
        """Return the frame with a further column of ``task([part], *arguments)``, made batch by batch when asked for.

        Of several numbers for each row, the column has arrays.
        """
        import pandas as pd
        from pyspark.sql.functions import pandas_udf

        reader, dtype = self.checked_reader(), self.dtype
        self.check_new(name)
        riding = {what: listed(reader.along[what]) for what in along}
        names = [*reader.names, *(column for columns in riding.values() for column in columns)]

        def predicted(batches: Any) -> Any:
            for number, columns in enumerate(batches):
                numbers = np.column_stack([column.to_numpy(dtype=dtype, na_value=np.nan) for column in columns])
                ends = np.cumsum([len(reader.names), *map(len, riding.values())])
                rows, *others = map(np.ascontiguousarray, np.split(numbers, ends[:-1], axis=1))
                part = Part((_partition(), number), rows, None, dict(zip(riding, others, strict=True)))
                values = task([part], *arguments)
                yield pd.Series(values if values.ndim == 1 else values.tolist())

        # Types that Spark reads; in the signature they would be strings.
        predicted.__annotations__ = {"batches": Iterator[tuple[pd.Series, ...]], "return": Iterator[pd.Series]}
        kind = TYPES.get(like.dtype.kind) or TYPES.get(like.dtype.str[1:], "string")
        for _ in like.shape[1:]:
            kind = f"array<{kind}>"
        udf: Any = pandas_udf
        column = udf(predicted, kind)(*map(_quoted, names))
        return self.frame.withColumn(name, column)


class SparkRows(TableRows):
    """Rows over a Spark frame, which stay on its executors.

    Parameters
    ----------
    table : pyspark.sql.DataFrame
        Its partitions, and the order of rows in them, are to be the same whenever it is read: as of files or a table,
        or of what is cached; not what a shuffle leaves.
    columns : sequence of str, optional
        The features, in this order; all columns but those named below unless given.
    weights : str, optional
        The column of the rows' weights.
    labels : str, optional
        The column of known components, for ``GaussianMixture.fit``; negative or null where unknown.
    y : str or sequence of str, optional
        The column of classes, for a classifier, or one or more of targets, for a regressor.

    Raises
    ------
    TypeError
        If `table` is something else of pyspark.
    ValueError
        If there is no such column; and when it is read, if a feature is not of numbers.
    """

    engine = SparkBlocks


def _quoted(name: str) -> str:
    """Return a column's name as Spark reads it, whatever is in it."""
    return "`" + name.replace("`", "``") + "`"


# What runs on executors.


def _partition() -> int:
    from pyspark import TaskContext

    context = TaskContext.get()
    assert context is not None, "this is a task of Spark's"
    return context.partitionId()


def _message(result: Any) -> Any:
    import pyarrow as pa

    return pa.record_batch([pa.array([pickle.dumps(result)], pa.binary())], ["result"])
