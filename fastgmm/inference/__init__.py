"""What a fitted mixture says about rows: densities, memberships, samples.

`density` runs the per-row kernels over whatever array it is given, `scorer` freezes a mixture for servers, `sampling`
draws from one. Nothing here
fits anything.
"""

from fastgmm.inference.density import (
    assign,
    component_log_density,
    log_density,
    mean_log_density,
    most_probable_log_responsibility,
    responsibilities,
)
from fastgmm.inference.sampling import draw, sample
from fastgmm.inference.scorer import Scorer

__all__ = [
    "Scorer",
    "assign",
    "component_log_density",
    "draw",
    "log_density",
    "mean_log_density",
    "most_probable_log_responsibility",
    "responsibilities",
    "sample",
]
