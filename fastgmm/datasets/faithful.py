"""Old Faithful: 272 eruptions of a geyser in Yellowstone National Park."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, overload

import numpy as np

__all__ = ["FAITHFUL_CSV", "load_faithful"]

FAITHFUL_CSV = Path(__file__).with_name("faithful.csv")


@overload
def load_faithful(return_names: Literal[False] = False) -> np.ndarray: ...
@overload
def load_faithful(return_names: Literal[True]) -> tuple[np.ndarray, list[str]]: ...
def load_faithful(return_names: bool = False) -> np.ndarray | tuple[np.ndarray, list[str]]:
    """Return the Old Faithful data: duration of an eruption and waiting time to the next, both in minutes.

    The data set `faithful` of R's package datasets, row for row.

    Parameters
    ----------
    return_names : bool, default=False
        Whether to return the column names too.

    Returns
    -------
    X : ndarray of shape (272, 2), float64
        Columns ``eruptions`` and ``waiting``, in minutes.
    names : list of str
        With `return_names` only.

    See Also
    --------
    sklearn.datasets.load_iris : A well-known set with three groups.

    References
    ----------
    Azzalini and Bowman, "A look at some data on the Old Faithful geyser", Applied Statistics 39 (1990).

    Examples
    --------
    >>> from fastgmm.datasets import load_faithful
    >>> load_faithful().shape
    (272, 2)
    """
    X = np.loadtxt(FAITHFUL_CSV, delimiter=",", skiprows=1)
    return (X, ["eruptions", "waiting"]) if return_names else X
