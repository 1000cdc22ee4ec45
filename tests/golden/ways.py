"""What a golden case is, and the ways to fit that cases choose from."""

import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from golden.datasets import data
from golden.states import state_of
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastgmm.data import batches, parquet, sliced, standardise

__all__ = [
    *("LONG", "MCLUST", "STEPS", "TYPES", "Case", "from_batches", "from_dask", "from_parquet", "from_slices", "given"),
    *("made_with", "run", "standardised", "stream", "twice"),
]

TYPES = ("full", "tied", "diag", "spherical")
MCLUST = ("EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV")
#: A fixed number of iterations: where a tolerance ends a run, rounding that differs between processors could end it an
#: iteration earlier or later.
STEPS = {"max_iter": 6, "tol": 0.0, "random_state": 0}
#: Runs that do end by their tolerance; their data leave room.
LONG = {"max_iter": 500, "random_state": 0}


@dataclass(frozen=True)
class Case:
    """An estimator, the data and what is done with them.

    Attributes
    ----------
    name : str
    estimator : object
        Not fitted.
    data : tuple
        Arguments of `golden.datasets.data`.
    fit : callable
        ``fit(estimator, data)`` fits it.
    predictions : bool
        Whether these are recorded too.
    """

    name: str
    estimator: Any
    data: tuple = ("blobs",)
    fit: Callable = lambda model, given: model.fit(given.X)
    predictions: bool = True

    @property
    def tolerance(self):
        """How far a state may be from one recorded on another processor; see `golden.states.differences`.

        Measured over the instruction sets (AVX-512, AVX2, none), Numba, OpenBLAS as for Haswell and for Nehalem, and
        NumPy without AVX-512 and without AVX2: float64 differs by up to 4e-11 where a nearly singular component has
        amplified rounding, and by 1e-12 elsewhere; by 2e-9 between orders of summation where acceleration over forty
        iterations has; float32 by up to
        4e-5, and by 5e-4 after a multistart, whose short runs are ended by tolerances near the rounding of float32.
        """
        if not any("float32" in part for part in self.data):
            return 1e-7 if "accelerated" in self.name or "quasi-newton" in self.name else 1e-9
        return 5e-3 if "multistart" in self.name else 3e-4


def run(case):
    """Return the state that a case comes to."""
    given, model = data(*case.data), clone(case.estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            case.fit(model, given)
        except Exception as error:
            error.add_note(f"in the golden case {case.name!r}")
            raise
        return state_of(model, given, case.predictions)


# Ways to fit, beside fit(X).


def with_options(model, given, **names):
    """Fit with arguments taken from the data: ``sample_weight="weight"``."""
    model.fit(given.X, **{option: getattr(given, name) for option, name in names.items()})


def given(**names):
    """Return a fit with arguments taken from the data."""
    return partial(with_options, **names)


def with_parameters(model, given, fit=None, **names):
    """Fit with constructor parameters taken from the data: ``init_params="component"``."""
    model.set_params(**{option: getattr(given, name) for option, name in names.items()})
    (fit or Case.fit)(model, given)


def made_with(fit=None, **names):
    """Return a fit with constructor parameters taken from the data."""
    return partial(with_parameters, fit=fit, **names)


def stream(model, given, weighted=False, after_fit=False, start="hc", n_batches=4):
    """Learn from batches, all or those after a fit to the first. Of few, each replaces a half of what is known.

    The first batch is fitted from several starts. Those by k-means come to one optimum in another order of components,
    and rounding says which is best; by 'hc' all are the same, and from random rows none is.
    """
    model.set_params(init_params=start)
    X, weight = given.X, given.weight if weighted else None
    parts = np.array_split(np.arange(len(X)), n_batches)
    if after_fit:
        model.fit(X[parts[0]])
    for part in parts[1:] if after_fit else parts:
        model.partial_fit(X[part], sample_weight=weight[part] if weighted else None)


def twice(model, given):
    """Fit, and continue with the same rows and then with others."""
    model.set_params(warm_start=True).fit(given.X)
    model.fit(given.X)
    model.fit(given.X[::2])


def from_batches(model, given, weighted=False):
    """Fit to batches of unequal sizes."""
    parts = np.array_split(np.arange(len(given.X)), [31, 32, 100])
    weight = given.weight
    model.fit(batches(lambda: ((given.X[p], weight[p]) if weighted else given.X[p] for p in parts)))


def from_slices(model, given, weighted=False):
    """Fit to slices of 50 rows."""
    model.fit(sliced(given.X, batch_rows=50, weights=given.weight if weighted else None))


def from_parquet(model, given):
    """Fit to three columns of a Parquet file, one of which is the weights."""
    import pyarrow as pa
    import pyarrow.parquet

    columns = {f"x{j}": given.X[:, j] for j in range(given.X.shape[1])}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        pa.parquet.write_table(pa.table({**columns, "w": given.weight}), path)
        model.fit(parquet(path, columns=list(columns), batch_rows=64, weights="w"))


def standardised(model, given):
    """Fit to batches whose columns were standardised."""
    parts = np.array_split(given.X, 3)
    model.fit(standardise(batches(lambda: iter(parts))).rows)


def from_dask(model, given):
    """Fit to a dask array of unequal blocks."""
    import dask.array

    model.fit(dask.array.from_array(given.X, chunks=((100, len(given.X) - 100), given.X.shape[1])))
