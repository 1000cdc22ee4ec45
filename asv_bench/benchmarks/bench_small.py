"""Small work: the example every user starts from, one row at a time, and the scorer for servers."""

import numpy as np
import sklearn.mixture
from sklearn.datasets import make_blobs

import fastgmm
from benchmarks.timing import SETTINGS, interleaved
from fastgmm import GaussianMixture

LIBRARIES = {"fastgmm": GaussianMixture, "scikit-learn": sklearn.mixture.GaussianMixture}
N_SCORED = 200_000


def example():
    """Return 300 rows of three blobs in two dimensions."""
    return make_blobs(n_samples=300, centers=3, random_state=42)[0]


def fitted(library):
    """Return the example's model."""
    return LIBRARIES[library](n_components=3, random_state=42).fit(example())


class SmallWork:
    """The public estimator on the 300-row example."""

    params = (tuple(LIBRARIES),)
    param_names = ("library",)

    def setup(self, library):
        self.X = example()
        self.row = self.X[:1].copy()
        self.model = fitted(library)

    def time_fit_300_rows(self, library):
        LIBRARIES[library](n_components=3, random_state=42).fit(self.X)

    def time_predict_proba_one_row(self, library):
        self.model.predict_proba(self.row)

    def time_predict_one_row(self, library):
        self.model.predict(self.row)

    def time_score_samples_one_row(self, library):
        self.model.score_samples(self.row)


class ManyFits:
    """A mixture for each of many groups of 200 rows: in one call, and in a loop over a tenth of the groups."""

    def setup(self):
        rng = np.random.default_rng(0)
        side = rng.integers(3, size=(10_000, 200, 1))
        self.X = rng.normal(size=(10_000, 200, 2)) + 3.0 * side

    def time_fit_many_10000_groups(self):
        fastgmm.fit_many(self.X, 3, random_state=0)

    def time_loop_over_1000_groups(self):
        for rows in self.X[:1000]:
            GaussianMixture(3, random_state=0).fit(rows)


class Scorer:
    """The frozen object of `model.scorer()`: one row, and a batch."""

    def setup(self):
        self.model = fitted("fastgmm")
        self.scorer = self.model.scorer()
        self.row, self.out = example()[:1].copy(), np.empty(1)
        self.batch, self.batch_out = np.resize(example(), (N_SCORED, 2)), np.empty(N_SCORED)

    def time_scorer_predict_one_row(self):
        self.scorer.predict(self.row)

    def time_scorer_predict_proba_one_row(self):
        self.scorer.predict_proba(self.row)

    def time_scorer_score_samples_one_row(self):
        self.scorer.score_samples(self.row)

    def time_scorer_score_samples_one_row_into_out(self):
        self.scorer.score_samples(self.row, out=self.out)

    def time_scorer_batch_into_out(self):
        self.scorer.score_samples(self.batch, out=self.batch_out)

    def track_scorer_batch_over_kernel(self):
        """Return how many times longer the batch takes than the kernel alone."""
        # Not at the top: everything else here is public, and runs on other versions too.
        from benchmarks import internals

        kernel = internals.log_density(self.model, self.batch, self.batch_out)
        calls = {"kernel": kernel, "scorer": self.time_scorer_batch_into_out}
        seconds = interleaved(calls, least_seconds=SETTINGS.least_seconds)
        return seconds["scorer"] / seconds["kernel"]

    track_scorer_batch_over_kernel.unit = "x"
