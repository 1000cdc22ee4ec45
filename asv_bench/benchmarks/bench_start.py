"""The start by k-means where there are many components: what comes before EM must not outgrow it."""

from benchmarks.internals import kmeans_start, seeding
from benchmarks.workloads import asked, make_rows, workload


class ManyClusters:
    """Rows of 16 features in as many clusters as the workload has components."""

    params = (asked("start"),)
    param_names = ("workload",)
    timeout = 600

    def setup(self, name):
        chosen = workload(name)
        X = make_rows(chosen)
        self.seeding, self.kmeans = seeding(X, chosen.n_components), kmeans_start(X, chosen.n_components)

    def time_kmeans_plusplus_with_swaps(self, name):
        self.seeding()

    def time_kmeans(self, name):
        self.kmeans()
