"""The start by k-means where there are many components: what comes before EM must not outgrow it."""

import numpy as np

from benchmarks.workloads import Workload, make_rows
from fastgmm.data import ArrayRows
from fastgmm.em import kmeans, kmeans_plusplus


class ManyClusters:
    """Rows of 16 features in as many clusters as wanted."""

    params = ([100, 1000, 2000],)
    param_names = ("n_clusters",)
    timeout = 600

    def setup(self, n_clusters):
        self.rows = ArrayRows(make_rows(Workload("diag", 64_000, 16, n_clusters)))

    def time_kmeans_plusplus_with_swaps(self, n_clusters):
        kmeans_plusplus(self.rows, n_clusters, np.random.RandomState(0), n_swaps=2 * n_clusters + 8)

    def time_kmeans(self, n_clusters):
        kmeans(self.rows, n_clusters, np.random.RandomState(0))
