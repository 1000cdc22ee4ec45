"""What a fit reads: rows, block by block, behind one small interface.

A source knows its sizes and runs a kernel over all its rows; it never knows what the numbers mean. `ArrayRows` is the
one for arrays in memory and memory maps; `blocks_of` cuts any array-like into blocks a kernel can read.
"""

from fastgmm.data.rows import ArrayRows, blocks_of

__all__ = ["ArrayRows", "blocks_of"]
