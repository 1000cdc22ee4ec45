"""What a fit reads: rows, block by block, behind one small interface.

`rows` says what may be asked of rows wherever they are: ``fold`` over their blocks, ``map``, ``sample``. `ArrayRows`
are rows in memory and in memory maps. Rows that don't fit in memory come as `StreamedRows`: made by `batches` from a
callable, by `parquet` from files, by `sliced` from HDF5, Zarr and memory maps. All of these are read in blocks of
`block_rows` rows, so the same rows give the same bits. `DistributedRows` are read where their blocks are; an engine
such as dask or Spark gives the blocks. `e_steps` are what a pass asks of a block: the third thing that a fit chooses,
beside rows and family.
"""

from fastgmm.data.dask_blocks import DaskRows
from fastgmm.data.distributed import Blocks, DistributedRows
from fastgmm.data.rows import ArrayRows, Block, Rows, block_rows, blocks_of
from fastgmm.data.sources import RowSource, batches, parquet, sliced, source_of
from fastgmm.data.spark_blocks import SparkRows
from fastgmm.data.standardised import Standardised, moments, standardise
from fastgmm.data.streamed_rows import StreamedRows

__all__ = [
    "ArrayRows",
    "Block",
    "Blocks",
    "DaskRows",
    "DistributedRows",
    "RowSource",
    "Rows",
    "SparkRows",
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
