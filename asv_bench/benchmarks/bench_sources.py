"""A pass over the same rows from every kind of source: time beside the array's, and the memory it takes.

Files are written once and are in the page cache. `measure_sources.py` and `measure_dask.py` beside this folder measure
what is too large for here: files beyond a limit of memory, and clusters.
"""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.internals import em_pass
from benchmarks.workloads import asked, make_rows, make_start, true_parameters, workload
from fastgmm import GaussianMixture
from fastgmm.data import DaskRows, batches, parquet, sliced

KINDS = ("array", "memory map", "sliced memory map", "batches", "parquet", "dask")


CHUNK_ROWS = 1 << 20


def write_files(folder, size):
    """Write a workload's rows as ``rows.npy`` and ``rows.parquet``, never all in memory, unless they are there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    matrix, table = folder / "rows.npy", folder / "rows.parquet"
    shape = size.n_samples, size.n_features
    if matrix.exists() and table.exists() and np.load(matrix, mmap_mode="r").shape == shape:
        return
    mapped = np.lib.format.open_memmap(matrix, mode="w+", dtype=size.dtype, shape=shape)
    schema = pa.schema([(f"x{j}", pa.from_numpy_dtype(mapped.dtype)) for j in range(size.n_features)])
    with pq.ParquetWriter(table, schema, compression="none") as writer:
        for number, start in enumerate(range(0, size.n_samples, CHUNK_ROWS)):
            part = replace(size, n_samples=min(CHUNK_ROWS, size.n_samples - start))
            rows = make_rows(part, number)
            mapped[start : start + len(rows)] = rows
            writer.write_table(pa.table({f"x{j}": rows[:, j] for j in range(size.n_features)}, schema))
    mapped.flush()


def open_source(kind):
    """Return the rows as what passes are made over."""
    mapped = np.load("rows.npy", mmap_mode="r")
    if kind == "memory map":
        return mapped
    if kind == "sliced memory map":
        return sliced(mapped)
    if kind == "parquet":
        return parquet("rows.parquet")
    if kind == "dask":
        import dask.array as da

        return DaskRows(da.from_array(mapped, chunks=(1 << 18, -1)))
    X = np.array(mapped)
    if kind == "array":
        return X
    return batches(lambda: (X[start : start + 10_000] for start in range(0, len(X), 10_000)))


class SourcePasses:
    """One pass of EM over each kind of source."""

    params = (KINDS,)
    param_names = ("source",)
    timeout = 900
    warmup_time = 0
    number, repeat = 1, (2, 5, 30.0)

    def setup_cache(self):
        """Write the files."""
        write_files(Path(), workload(*asked("sources")))

    def setup(self, kind):
        """Open the source, which reads nothing but arrays and batches."""
        warnings.simplefilter("ignore")
        model = GaussianMixture.from_parameters(*make_start(workload(*asked("sources"))))
        self.one_pass = em_pass(model, open_source(kind))

    def time_pass(self, kind):
        """Time of a pass over 128 MB of rows."""
        self.one_pass()

    def peakmem_pass(self, kind):
        """Largest memory of the process; arrays and batches hold all rows."""
        self.one_pass()


class Streams:
    """`partial_fit` of batches, and forgetting, by the row."""

    params = ((1, 100, 1000, 10_000),)
    param_names = ("batch",)
    timeout = 300

    def setup(self, batch):
        """Learn the first batch."""
        warnings.simplefilter("ignore")
        self.X = make_rows(workload(*asked("stream")))
        self.model = GaussianMixture(16, random_state=0).partial_fit(self.X[:10_000])

    def time_batch(self, batch):
        """Time of one batch."""
        self.model.partial_fit(self.X[:batch])


class StreamRefits:
    """The first thousands of rows of a stream, in which the refit on a sample of them falls, and what it is for."""

    timeout = 300

    def setup(self):
        """Draw rows of components that overlap."""
        warnings.simplefilter("ignore")
        drawn = workload(*asked("refits"))
        self.X, self.held_out = make_rows(drawn), make_rows(drawn, 1)
        self.truth = GaussianMixture.from_parameters(*true_parameters(drawn))

    def learned(self):
        """Return the model after all batches."""
        model = GaussianMixture(8, random_state=0)
        for start in range(0, len(self.X), 1000):
            model.partial_fit(self.X[start : start + 1000])
        return model

    def time_stream(self):
        """Time of 60,000 rows in batches of 1000."""
        self.learned()

    def track_gap(self):
        """What the stream ends below the truth."""
        return self.truth.score(self.held_out) - self.learned().score(self.held_out)

    track_gap.unit = "nats per row"
