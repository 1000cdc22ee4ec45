"""A pass over the same rows from every kind of source: time beside the array's, and the memory it takes.

Files are written once and are in the page cache. `measure_sources.py` and `measure_dask.py` beside this folder measure
what is too large for here: files beyond a limit of memory, and clusters.
"""

import warnings

import numpy as np

from benchmarks.workloads import Workload, make_rows, make_start
from fastgmm import GaussianMixture
from fastgmm.data import ArrayRows, batches, parquet, sliced

WORKLOAD = Workload("full", 2_000_000, 16, 16, overlapping=True, dtype="float32")
KINDS = ("array", "memory map", "sliced memory map", "batches", "parquet", "dask")


def write_files():
    """Write the rows as .npy and as Parquet in the current folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    X = make_rows(WORKLOAD)
    np.save("rows.npy", X)
    pq.write_table(pa.table({f"x{j}": X[:, j] for j in range(X.shape[1])}), "rows.parquet", compression="none")


def open_source(kind):
    """Return the rows as what makes passes over them."""
    mapped = np.load("rows.npy", mmap_mode="r")
    if kind == "memory map":
        return ArrayRows(mapped)
    if kind == "sliced memory map":
        return sliced(mapped)
    if kind == "parquet":
        return parquet("rows.parquet")
    if kind == "dask":
        import dask.array as da

        from fastgmm.data import DaskRows

        return DaskRows(da.from_array(mapped, chunks=(1 << 18, -1)))
    X = np.array(mapped)
    if kind == "array":
        return ArrayRows(X)
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
        write_files()

    def setup(self, kind):
        """Open the source, which reads nothing but arrays and batches."""
        warnings.simplefilter("ignore")
        model = GaussianMixture.from_parameters(*make_start(WORKLOAD))
        self.state = model._fitted_state()
        self.source = open_source(kind)

    def time_pass(self, kind):
        """Time of a pass over 128 MB of rows."""
        self.source.accumulate(self.state)

    def peakmem_pass(self, kind):
        """Largest memory of the process; arrays and batches hold all rows."""
        self.source.accumulate(self.state)


class Streams:
    """`partial_fit` of batches, and forgetting, by the row."""

    params = ((1, 100, 1000, 10_000),)
    param_names = ("batch",)
    timeout = 300

    def setup(self, batch):
        """Learn the first batch."""
        warnings.simplefilter("ignore")
        workload = Workload("full", 50_000, 8, 8, overlapping=True)
        self.X = make_rows(workload)
        self.model = GaussianMixture(8, random_state=0).partial_fit(self.X[:10_000])

    def time_batch(self, batch):
        """Time of one batch."""
        self.model.partial_fit(self.X[:batch])
