"""What every block of a source is checked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["check_column", "check_finite", "check_weights", "is_finite", "with_stand_ins"]


#: What else is to be done about a value that is missing.
REMEDY = ", or use missing='marginalise'"


def is_finite(rows: np.ndarray) -> bool:
    """Return whether all numbers are finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        # A finite sum proves it; an infinite one may be an overflow.
        return rows.dtype.kind != "f" or bool(np.isfinite(rows.sum())) or bool(np.isfinite(rows).all())


def with_stand_ins(rows: np.ndarray, weight: np.ndarray | None, allows_missing: bool) -> np.ndarray:
    """Return rows with one that counts in place of each of weight 0 that holds NaN or infinity; the same if all do."""
    if weight is None or is_finite(rows):
        return rows
    wrong = np.isinf(rows) if allows_missing else ~np.isfinite(rows)
    absent = (weight == 0.0) & wrong.any(axis=1)
    if not absent.any():
        return rows
    counted = np.flatnonzero(weight > 0.0)
    rows = rows.copy()
    rows[absent] = rows[counted[0]] if len(counted) else 0.0
    return rows


def check_finite(
    rows: np.ndarray,
    where: str,
    first_row: int | None,
    names: Sequence[str] | None = None,
    row: int = 0,
    allows_missing: bool = False,
) -> None:
    """Raise ValueError if a number is not finite, naming its row and column.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
    where : str
        Which block, for the message.
    first_row : int or None
        Its first row's number among all, where that is known.
    names : sequence of str, optional
        Of the columns.
    row : int
        The first of these rows in the block.
    allows_missing : bool
        Whether NaN stands for what is missing.
    """
    if not is_finite(rows):
        found = np.argwhere(np.isinf(rows) if allows_missing else ~np.isfinite(rows))
        if not len(found):
            return
        wrong, column = found[0]
        kind = "NaN" if np.isnan(rows[wrong, column]) else "infinity"
        row += wrong
        of_all = "" if first_row is None else f" (row {first_row + row} of all)"
        raise ValueError(
            f"{where}, row {row}{of_all}, column {column if names is None else repr(names[column])}: {kind}; expected "
            "finite numbers. Fill or leave out such rows" + ("" if kind == "infinity" else REMEDY)
        )


def check_weights(weight: Any, n_rows: int, where: str) -> np.ndarray:
    """Return a block's weights as float64 of shape (n_rows,), or raise ValueError."""
    values = np.ascontiguousarray(weight)
    if values.shape != (n_rows,) or values.dtype.kind not in "biuf":
        raise ValueError(
            f"the weights of {where} have shape {values.shape} and dtype {values.dtype}; expected numbers of shape "
            f"({n_rows},), one for each row"
        )
    values = values.astype(np.float64, copy=False)
    wrong = np.flatnonzero(~((values >= 0.0) & np.isfinite(values)))
    if len(wrong):
        raise ValueError(
            f"the weights of {where}, row {wrong[0]}: {values[wrong[0]]}; expected finite numbers of at least 0, zero "
            "for an absent row"
        )
    return values


def check_column(column: Any, n_rows: int, what: str) -> np.ndarray:
    """Return what rides along with a block's rows as an array with an entry for each, or raise ValueError."""
    values = np.asarray(column)
    if values.ndim == 0 or len(values) != n_rows:
        raise ValueError(f"{what} have shape {values.shape}; expected {n_rows} entries, one for each row")
    return values
