"""Tables in files, as they are: CSV with words, dates and empty cells, Parquet, Arrow and NumPy files.

The format is told by the first bytes: `compressed` is undone first, `delimited` reads text (`header` finds its names of
columns, `cells` tells what is in a column), `columnar` the others. `reading` chooses columns and rows, `report` says
what became of all of them; `read` is what a user calls.
"""

from fastgmm.tables.columns import Column
from fastgmm.tables.read import read_table
from fastgmm.tables.reading import Table
from fastgmm.tables.report import TableReport

__all__ = ["Column", "Table", "TableReport", "read_table"]
