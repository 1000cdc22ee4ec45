"""What a fitted mixture says about rows: densities, memberships, samples.

`density` runs the per-row kernels over whatever array it is given, `sampling` draws from a mixture. Nothing here
fits anything.
"""

from fastgmm.inference.density import (
    assign,
    log_density,
    mean_log_density,
    most_probable_log_responsibility,
    responsibilities,
)
from fastgmm.inference.sampling import sample

__all__ = [
    "assign",
    "log_density",
    "mean_log_density",
    "most_probable_log_responsibility",
    "responsibilities",
    "sample",
]
