"""Kinds of rows: the same rows, and what rides along with them, as an array, a map, batches, files, collections.

A new kind is a function and one line of `KINDS`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from fastgmm.data import batches, parquet, sliced


def cut(data, sizes=(1, 70, 5, 160)):
    """Yield what all entries of a dict have for the same few rows, over and over."""
    start = i = 0
    while start < len(data["X"]):
        part = slice(start, start + sizes[i % len(sizes)])
        yield {name: column[part] for name, column in data.items()}
        start, i = part.stop, i + 1


def without(data, *names):
    return {name: column for name, column in data.items() if name not in names}


def in_memory(data, folder):
    return data["X"], without(data, "X")


def memory_map(data, folder):
    np.save(folder / "X.npy", data["X"])
    return np.load(folder / "X.npy", mmap_mode="r"), without(data, "X")


def bare_batches(data, folder):
    """Arrays, or pairs with weights: what else there is goes to `fit`."""
    if "sample_weight" not in data:
        return batches(lambda: (part["X"] for part in cut(data))), without(data, "X")
    return batches(lambda: ((b["X"], b["sample_weight"]) for b in cut(data))), without(data, "X", "sample_weight")


def mappings(data, folder):
    return batches(lambda: cut(data)), {}


def parquet_file(data, folder):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    columns = {f"x{j}": data["X"][:, j] for j in range(data["X"].shape[1])}
    further = without(data, "X")
    for name, column in further.items():
        columns |= {name: column} if column.ndim == 1 else {f"{name}{j}": column[:, j] for j in range(column.shape[1])}
    pq.write_table(pa.table(columns), folder / "x.parquet", row_group_size=190)
    named = {n: n if column.ndim == 1 else [f"{n}0", f"{n}1"] for n, column in further.items()}
    named = {"weights" if name == "sample_weight" else name: column for name, column in named.items()}
    return parquet(folder / "x.parquet", batch_rows=110, **named), {}


def sliced_array(data, folder):
    further = {"weights" if name == "sample_weight" else name: column for name, column in without(data, "X").items()}
    return sliced(data["X"], batch_rows=130, **further), {}


def dask_array(data, folder):
    da = pytest.importorskip("dask.array")
    made = {name: da.from_array(column, chunks=(150, *column.shape[1:])) for name, column in data.items()}
    return made["X"], without(made, "X")


def dask_frame(data, folder):
    """A frame and series, whose lengths dask does not know."""
    dd, pd = pytest.importorskip("dask.dataframe"), pytest.importorskip("pandas")
    made = {
        name: dd.from_pandas(pd.DataFrame(column) if column.ndim == 2 else pd.Series(column), chunksize=150, sort=False)
        for name, column in data.items()
    }
    return made["X"].rename(columns={0: "x0", 1: "x1"}), without(made, "X")


@dataclass(frozen=True)
class Kind:
    """Where rows are: ``make(data, folder)`` returns X, and what `fit` is to be given beside it."""

    make: Callable
    same_bits: bool = True
    names: bool = False


KINDS = {
    "array": Kind(in_memory),
    "memory map": Kind(memory_map),
    "batches": Kind(bare_batches),
    "batches of mappings": Kind(mappings),
    "parquet": Kind(parquet_file, names=True),
    "sliced": Kind(sliced_array),
    "dask array": Kind(dask_array, same_bits=False),
    "dask frame": Kind(dask_frame, same_bits=False, names=True),
}
OTHERS = [kind for kind in KINDS if kind != "array"]
