"""Benchmarks of fastgmm for asv, one file per question; `workloads` makes the data, `timing` measures.

``time_`` is seconds, ``peakmem_`` bytes, ``track_`` the unit it states. scikit-learn stands beside fastgmm wherever a
speed is claimed. ``figures.py``, one folder up, prints the same measurements in one run with their targets.

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
