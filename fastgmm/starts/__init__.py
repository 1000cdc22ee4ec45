"""Where a run of EM begins: from k-means, a hierarchy, rows of the data, known labels, or a search of many starts.

`initialisation` makes the first statistics or parameters by the value of ``init_params``; `kmeans` is the compiled
k-means behind most of them, `seeding` and `labelled` keep rows of known components where they belong, `hierarchical` is
model-based agglomeration, `multistart` searches (`grouping`, `split_merge`, `short_runs`).
"""

from fastgmm.starts.initialisation import INIT_PARAMS, Start, initial_parameters, initial_statistics
from fastgmm.starts.kmeans import kmeans, kmeans_plusplus

__all__ = ["INIT_PARAMS", "Start", "initial_parameters", "initial_statistics", "kmeans", "kmeans_plusplus"]
