"""What to beware of in the data and in the outcome of a search, by name.

Columns that tell nothing (constant ones), tell the same again (duplicated and collinear ones), number the rows, or
hold codes; and a best size at the end of the sizes tried, or with too few rows for its parameters. Nothing here stops a
search: such data have a best model, but seldom the one that was meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

__all__ = ["Caution", "column_cautions", "outcome_cautions"]

#: A column of which the others leave less than this share of the variance unexplained is collinear with them.
LEAST_SHARE = 1e-4
#: A column that is another one in other units, up to rounding.
SAME_SHARE = 1e-10
#: Whole numbers of at most so many values, each in so many rows in the mean, are codes or counts.
MOST_CODES, ROWS_PER_CODE = 10, 5
#: Rows from which whole numbers that are all different are believed to number the rows.
ID_ROWS = 20
ID_NAME = re.compile(r"(.*[\W_])?(id|idx|index|key|nr|rowid|rownames?|unnamed: \d+)", re.IGNORECASE)
#: Rows for each parameter below which a model says little about the next rows.
ROWS_PER_PARAMETER = 2.0
#: Rows that settle most questions about a column.
GLANCE = 1000
#: Dependences are told from so many rows, and not looked for among more columns, as that takes their number cubed.
DEPENDENCE_ROWS, DEPENDENCE_COLUMNS = 5000, 500
#: Columns of less than this share of the largest coefficient are not named as what determines another.
SMALL_PART = 0.05
#: Columns of one kind that are written out.
MOST_LISTED = 4
#: What to do, in Python.
ADVICE = {
    **dict.fromkeys(("constant", "duplicated", "collinear", "id"), "leave out what is not meant to be modelled"),
    "dimension": "use covariance_type=['spherical', 'diag'], prior='default', or the first principal components",
    "edge": "try others with n_components",
    "rows": "try fewer components, or covariance_type=['spherical', 'diag', 'tied']",
}


@dataclass(frozen=True)
class Caution:
    """Something to beware of.

    Attributes
    ----------
    kind : str
        'constant', 'duplicated', 'collinear', 'id', 'codes', 'dimension', 'edge' or 'rows'.
    text : str
        A sentence without its full stop.
    columns : tuple of str
        Those meant: which to leave out, of the first four kinds.
    """

    kind: str
    text: str
    columns: tuple[str, ...] = ()

    def advised(self) -> str:
        """Return the sentence with what to do about it in Python."""
        return self.text + (f"; {ADVICE[self.kind]}" if self.kind in ADVICE else "")


def column_cautions(X: Any, names: Sequence[str], n_samples: int | None = None) -> list[Caution]:
    """Return what to beware of in the columns of X.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        All rows, or a sample of them; NaN is a value that is missing.
    names : sequence of str
        Of the columns.
    n_samples : int, optional
        The number of all rows, of which X is a sample.

    Returns
    -------
    list of Caution
        At most one for each collinear or duplicated column, and one for each of the other kinds.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm.selection.cautions import column_cautions
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> X[:, 1] = 7.0
    >>> [caution.text for caution in column_cautions(X, ["a", "b", "c"])]
    ["column 'b' has the same value in every row, 7"]
    """
    X = np.asarray(X)
    n_samples = len(X) if n_samples is None else n_samples
    found: list[Caution] = []
    complete = ~np.isnan(X).any(axis=1) if X.dtype.kind == "f" else np.ones(len(X), dtype=bool)
    columns = list(X.T) if complete.all() else [column[~np.isnan(column)] for column in X.T]
    constant = [j for j, column in enumerate(columns) if _is_constant(column)]
    if constant:
        value = f", {columns[constant[0]][0]:g}" if len(constant) == 1 else ""
        found.append(_of_columns("constant", names, constant, f"the same value in every row{value}"))
    varying = [j for j in range(X.shape[1]) if j not in constant]
    whole = [j for j in varying if _is_whole(columns[j][:GLANCE]) and _is_whole(columns[j])]
    ids = [j for j in whole if _numbers_rows(columns[j], names[j], n_samples)]
    if ids:
        found.append(_of_columns("id", names, ids, "a different whole number in every row, as numbers of rows have"))
    codes = [j for j in whole if j not in ids and _holds_codes(columns[j])]
    if codes:
        values = ", ".join(f"{value:g}" for value in np.unique(columns[codes[0]]))
        which = f" ({values})" if len(codes) == 1 else ""
        words = f"few values, whole numbers{which}: codes or counts rather than measurements"
        found.append(_of_columns("codes", names, codes, words))
    others = [j for j in varying if j not in ids]
    if 1 < n_samples <= len(others):
        n_parameters = len(others) * (len(others) + 1) // 2
        text = (
            f"{n_samples} rows of {len(others)} columns: a full covariance has {n_parameters} parameters for each "
            "component, and from so few rows it is singular, which makes the likelihood infinite"
        )
        found.append(Caution("dimension", text))
    elif 1 < len(others) <= DEPENDENCE_COLUMNS:
        rows = X if complete.all() else X[complete]
        step = max(1, -(-len(rows) // DEPENDENCE_ROWS))
        chosen = rows[::step][:, others]
        # Of fewer rows than columns, or of rows that are all alike, every column depends on others.
        if len(chosen) > len(others) and (np.ptp(chosen, axis=0) > 0).all():
            found += _dependences(chosen, [names[j] for j in others])
    return found


def outcome_cautions(n_components: int, sizes: Iterable[int], n_parameters: float, n_samples: float) -> list[Caution]:
    """Return what to beware of in the best candidate of a search.

    Parameters
    ----------
    n_components : int
        Of the best candidate.
    sizes : iterable of int
        Numbers of components of the candidates that were fitted.
    n_parameters : float
        Free parameters of the best candidate.
    n_samples : float
        Rows, or the sum of weights that count them.

    Returns
    -------
    list of Caution

    Examples
    --------
    >>> from fastgmm.selection.cautions import outcome_cautions
    >>> [caution.kind for caution in outcome_cautions(9, range(1, 10), 53, 300)]
    ['edge']
    """
    sizes = set(sizes)
    found = []
    for end, edge, better in (("largest", max(sizes), "larger"), ("smallest", min(sizes), "smaller")):
        if len(sizes) > 1 and n_components == edge > 1:
            text = f"the best number of components, {edge}, is the {end} that was fitted; a {better} one may be better"
            found.append(Caution("edge", text))
    if n_samples < ROWS_PER_PARAMETER * n_parameters:
        which = f"{n_components} component{' has' if n_components == 1 else 's have'}"
        text = (
            f"the best model's {which} {n_parameters:.10g} parameters, many for {n_samples:g} rows: it may fit these "
            "rows and not new ones"
        )
        found.append(Caution("rows", text))
    return found


def _of_columns(kind: str, names: Sequence[str], positions: Sequence[int], what: str) -> Caution:
    columns = tuple(str(names[j]) for j in positions)
    return Caution(kind, f"{_listed(columns)} {'has' if len(columns) == 1 else 'have'} {what}", columns)


def _listed(columns: Sequence[str]) -> str:
    words = ", ".join(map(repr, columns[:MOST_LISTED]))
    more = f" and {len(columns) - MOST_LISTED} more" if len(columns) > MOST_LISTED else ""
    return f"column{'' if len(columns) == 1 else 's'} {words}{more}"


def _is_constant(column: np.ndarray) -> bool:
    if not len(column):
        return False
    low, high = float(column.min()), float(column.max())
    eps = np.finfo(column.dtype).eps if column.dtype.kind == "f" else 0.0
    return high - low <= 4.0 * eps * max(abs(low), abs(high))


def _is_whole(column: np.ndarray) -> bool:
    return bool((column == np.rint(column)).all())


def _numbers_rows(column: np.ndarray, name: str, n_samples: int) -> bool:
    if len(column) < ID_ROWS:
        return False
    steps = np.diff(column)
    if (steps > 0).all() or (steps < 0).all():
        return True
    if len(np.unique(column[:GLANCE])) < len(column[:GLANCE]) or len(np.unique(column)) < len(column):
        return False
    return ID_NAME.fullmatch(str(name)) is not None or float(column.max()) - float(column.min()) < n_samples


def _holds_codes(column: np.ndarray) -> bool:
    if len(np.unique(column[:GLANCE])) > MOST_CODES:
        return False
    n_values = len(np.unique(column))
    return n_values <= MOST_CODES and len(column) >= ROWS_PER_CODE * n_values


def _dependences(X: np.ndarray, names: Sequence[str]) -> list[Caution]:
    """Return a caution for each column that those before it determine, or one for all if they are many.

    A Cholesky factorisation of the correlations that passes over such columns: ``1 - y'y`` is the share of a column's
    variance that the columns kept so far leave.
    """
    centred = X / np.abs(X).max(axis=0).astype(np.float64)
    centred -= centred.mean(axis=0)
    centred /= np.abs(centred).max(axis=0)  # squares neither overflow nor vanish
    scaled = centred / np.sqrt(np.square(centred).mean(axis=0))
    correlations = scaled.T @ scaled / len(X)
    n_features = X.shape[1]
    factor, kept = np.zeros((n_features, n_features)), list[int]()
    found: list[Caution] = []
    for j in range(n_features):
        n_kept = len(kept)
        lower = factor[:n_kept, :n_kept]
        y = solve_triangular(lower, correlations[kept, j], lower=True) if kept else np.empty(0)
        share = 1.0 - y @ y
        if share > LEAST_SHARE:
            factor[n_kept, :n_kept], factor[n_kept, n_kept] = y, np.sqrt(share)
            kept.append(j)
            continue
        coefficients = np.abs(solve_triangular(lower, y, lower=True, trans="T"))
        partners = [
            names[kept[i]] for i in np.argsort(-coefficients) if coefficients[i] > SMALL_PART * coefficients.max()
        ]
        found.append(_dependence(names[j], partners, bool(share <= SAME_SHARE)))
    if len(found) > MOST_LISTED:
        columns = tuple(name for caution in found for name in caution.columns)
        return [Caution("collinear", f"{_listed(columns)} are nearly determined by the columns before them", columns)]
    return found


def _dependence(name: str, partners: list[str], exact: bool) -> Caution:
    if len(partners) == 1:
        text = "is a copy of" if exact else "is nearly a copy of"
        kind = "duplicated" if exact else "collinear"
        return Caution(kind, f"column {name!r} {text} column {partners[0]!r}, up to its units", (name,))
    text = "is" if exact else "is nearly"
    return Caution("collinear", f"column {name!r} {text} a linear combination of {_listed(partners)}", (name,))
