"""What a fit reads: rows, block by block, behind one small interface.

A source knows its sizes and runs a kernel over all its rows; it never knows what the numbers mean. `ArrayRows` is the
one for arrays in memory and memory maps; `blocks_of` cuts any array-like into blocks a kernel can read. Rows that don't
fit in memory come as `StreamedRows`: made by `batches` from a callable, by `parquet` from files, by `sliced` from HDF5,
Zarr and memory maps. All of these are read in blocks of `block_rows` rows, so the same rows give the same bits. A dask
collection is read where its blocks are: `DaskRows`.
"""

from fastgmm.data.dask_rows import DaskRows
from fastgmm.data.rows import ArrayRows, block_rows, blocks_of
from fastgmm.data.sources import RowSource, batches, parquet, sliced, source_of
from fastgmm.data.standardised import Standardised, moments, standardise
from fastgmm.data.streamed_rows import StreamedRows

__all__ = [
    "ArrayRows",
    "DaskRows",
    "RowSource",
    "Standardised",
    "StreamedRows",
    "batches",
    "block_rows",
    "blocks_of",
    "moments",
    "parquet",
    "sliced",
    "source_of",
    "standardise",
]
