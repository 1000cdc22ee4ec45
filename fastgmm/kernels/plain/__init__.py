"""The plain engine: every action in NumPy, in double precision, a tile of rows at a time.

It is here to be read, to run where nothing was compiled, and to hold a new kernel until it is.
"""

from fastgmm.kernels.plain.errors import accumulate_with_errors, answer_with_errors
from fastgmm.kernels.plain.estimate import estimate, factorise_precisions
from fastgmm.kernels.plain.merging import merge
from fastgmm.kernels.plain.mixture import accumulate, accumulate_labels, assign, log_density, responsibilities
from fastgmm.kernels.plain.nearest import assign_nearest, candidate_potentials, update_distances
from fastgmm.kernels.plain.truncated import accumulate_truncated, refine_neighbors
from fastgmm.kernels.python_engine import PythonEngine

__all__ = ["ENGINE"]

_PASSES = (
    accumulate,
    log_density,
    responsibilities,
    assign,
    accumulate_labels,
    accumulate_with_errors,
    answer_with_errors,
    assign_nearest,
    candidate_potentials,
    update_distances,
    estimate,
    merge,
    factorise_precisions,
    accumulate_truncated,
    refine_neighbors,
)

ENGINE = PythonEngine(
    "plain",
    "NumPy's",
    {function.__name__: function for function in _PASSES},
    shapes=("full", "tied", "diag", "spherical", "low_rank"),
    tails=("student",),
)
