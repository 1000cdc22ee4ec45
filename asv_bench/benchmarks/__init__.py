"""Benchmarks of fastgmm for asv, one file per question; `workloads` makes the data, `timing` measures.

``time_`` is seconds, ``peakmem_`` bytes, ``track_`` the unit it states. scikit-learn stands beside fastgmm wherever a
speed is claimed. ``figures.py``, one folder up, prints the same measurements in one run with their targets.
"""

import os

# OpenBLAS reads these when NumPy is loaded, after this file: a core type or cache size set for another purpose would
# slow scikit-learn, and the matrix product that kernels are measured against.
for _name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(_name, None)
