"""Benchmarks of fastgmm for asv, one file per question: all that is timed is timed here.

``time_`` is seconds, ``peakmem_`` bytes, ``track_`` the unit it states. scikit-learn stands beside fastgmm wherever a
speed is claimed, at as many iterations. `workloads` is the table of what is measured on and makes the data, `problems`
has real data and hard ones, `timing` measures, `targets` says what the figures have to come to, `internals` holds all
that is not public, `peers` the libraries to compare with. The scripts one folder up run the same benchmarks:
``figures.py`` against their targets, ``compare_versions.py`` on two installed versions in turn.

    cd asv_bench
    asv machine --yes                   # once
    asv run --quick                     # builds the last commit into an environment of its own
    asv run --quick -E existing         # this Python and the fastgmm that it imports
    asv run -E existing --bench bench_kernels
"""

import os

# OpenBLAS reads these when NumPy is loaded, after this file: a core type or cache size set for another purpose would
# slow scikit-learn, and the matrix product that kernels are measured against.
for _name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(_name, None)
