"""The Numba engine: functions compiled at first use and kept on disk, an independent twin of the compiled ones.

`passes` and `nearest` are what Python calls; `lanes`, `blocks` and `exponential` are the vectors they are written in.
"""

import llvmlite.binding

from fastgmm.kernels.numba.estimate import estimate, factorise
from fastgmm.kernels.numba.merging import merge
from fastgmm.kernels.numba.mixture import accumulate, accumulate_labels, assign, log_density, responsibilities
from fastgmm.kernels.numba.nearest import assign_nearest, candidate_potentials, update_distances
from fastgmm.kernels.python_engine import PythonEngine

__all__ = ["ENGINE"]

ENGINE = PythonEngine(
    "numba",
    llvmlite.binding.get_host_cpu_name(),  # Numba compiles for the processor that it runs on, and no other
    {
        "accumulate": accumulate,
        "log_density": log_density,
        "responsibilities": responsibilities,
        "assign": assign,
        "accumulate_labels": accumulate_labels,
        "assign_nearest": assign_nearest,
        "candidate_potentials": candidate_potentials,
        "update_distances": update_distances,
        "estimate": estimate,
        "merge": merge,
        "factorise_precisions": factorise,
    },
    shapes=("full", "tied", "diag", "spherical"),
)
