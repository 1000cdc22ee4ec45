"""Reading a file of rows for a model, as the command line does."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from fastgmm.exceptions import TableError, did_you_mean
from fastgmm.tables.cells import MissingWords
from fastgmm.tables.columns import Missing
from fastgmm.tables.reading import Request, Table, load_table

__all__ = ["read_table"]

MISSING_RULES = ("error", "drop", "marginalise")
#: What messages call the parameters, which are options of the command line.
OPTIONS = {
    "--no-header": "header=False",
    "--header": "header=True",
    "--missing drop": "missing='drop'",
    "--missing marginalise fits what is there": "missing='marginalise' keeps them with NaN",
    "--na": "na_values",
}


def read_table(
    path: str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    id: str | None = None,
    weights: str | None = None,
    missing: str = "error",
    na_values: Sequence[str] = (),
    header: bool | None = None,
) -> Table:
    """Read the columns of numbers of a CSV, Parquet, Arrow or NumPy file, and say what became of the others.

    It reads what ``fastgmm fit`` reads. The delimiter, the decimal mark, the encoding and the header are detected.
    Numbers may have a currency sign, a percent sign or marks of thousands, which are left out. Dates, categories and
    other text are left out, and the report names every column.

    Parameters
    ----------
    path : str or path-like
        A file, maybe compressed, or a folder of Parquet files; '-' is standard input.
    columns : sequence of str, optional
        The columns to read, in this order. By default all columns that hold numbers.
    exclude : sequence of str, optional
        The columns to leave out.
    id : str, optional
        The column with the names of the rows.
    weights : str, optional
        The column with the sample weights.
    missing : {'error', 'drop', 'marginalise'}, default='error'
        What to do about rows that lack a value in one of the columns: raise an error that counts them; leave the rows
        out; or keep them with NaN, which estimators take with ``missing='marginalise'``.
    na_values : sequence of str, optional
        What stands for a missing value beside the usual empty cell, NA, NaN, null, none, '-' and '?'; for example
        ``["-999", "unknown"]``.
    header : bool, optional
        Whether the first line of text names the columns. By default it is detected.

    Returns
    -------
    table : Table
        With `X` (ndarray of shape (n_samples, n_features)), `columns` (the names of its columns), `report` (what
        became of each column of the file, a `TableReport`), `notes` (what a reader might doubt, in sentences), `ids`
        and `weights` (of the rows, None unless asked for), and `numbers` (which rows of the file they are, from 1).

    Raises
    ------
    fastgmm.exceptions.TableError
        If the file is missing or damaged, a column is not there, a value is missing, or a cell of a column of numbers
        holds something else. The message names the place and counts such cells in all columns.

    See Also
    --------
    fastgmm.data.parquet : Rows of Parquet files that are larger than memory.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from fastgmm import read_table
    >>> text = "customer;joined;age;spent\\nA1;2020-01-31;31;12,5\\nB2;2021-03-01;NA;7,25\\nC3;2021-04-09;44;3,0\\n"
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "customers.csv")
    ...     _ = path.write_text(text)
    ...     table = read_table(path, missing="drop")
    >>> table.columns
    ['age', 'spent']
    >>> table.X
    array([[31. , 12.5],
           [44. ,  3. ]])
    >>> print("\\n".join(str(table.report).splitlines()[1:]))
    column    use       holds   missing
    customer  left out  text          0  different in every row, as 'A1'
    joined    left out  date          0  as '2020-01-31'
    age       used      number        1  31 to 44
    spent     used      number        0  3 to 12.5
    """
    if missing not in MISSING_RULES:
        raise ValueError(
            f"missing is {missing!r}{did_you_mean(missing, MISSING_RULES)}; expected 'error', 'drop' or 'marginalise'"
        )
    for name, given in (("columns", columns), ("exclude", exclude), ("na_values", na_values)):
        if isinstance(given, str):
            raise TypeError(f"{name} is the string {given!r}; expected a list, such as [{given!r}]")
    rule = Missing(missing, MissingWords([str(word) for word in na_values]))
    try:
        return load_table(path, Request(columns, exclude, id, weights, None, header, False, rule))
    except TableError as error:
        raise TableError(_in_parameters(str(error))) from None


def _in_parameters(text: str) -> str:
    """Return a message with parameters in place of the options of the command line."""
    for option, parameter in OPTIONS.items():
        text = text.replace(option, parameter)
    return re.sub(r"--([a-z]+)", r"\1", text)
