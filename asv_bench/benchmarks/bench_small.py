"""Small work: the example every user starts from, one row at a time, and the scorer for servers."""

import numpy as np
import sklearn.mixture
from sklearn.datasets import make_blobs

from benchmarks.targets import at_most, reported, unavailable
from benchmarks.timing import interleaved_medians
from fastgmm import GaussianMixture, kernels

LIBRARIES = {"fastgmm": GaussianMixture, "scikit-learn": sklearn.mixture.GaussianMixture}
N_SCORED = 200_000


def example():
    """Return 300 rows of three blobs in two dimensions."""
    return make_blobs(n_samples=300, centers=3, random_state=42)[0]


def fitted(library):
    """Return the example's model."""
    return LIBRARIES[library](n_components=3, random_state=42).fit(example())


def scorer():
    """Return the frozen scorer of the example's model.

    Raises
    ------
    NotImplementedError
        In versions without one, which asv then passes over.
    """
    model = fitted("fastgmm")
    if not hasattr(model, "scorer"):
        raise NotImplementedError("GaussianMixture has no scorer()")
    return model.scorer()


def many_rows():
    """Return rows like the example's, as many as make a batch."""
    return np.resize(example(), (N_SCORED, 2))


def figure(quick):
    """Return figure 5: microseconds of small fits and of one row."""
    repeats, least = (5, 0.02) if quick else (15, 0.1)
    X, row = example(), example()[:1]
    ours, theirs = fitted("fastgmm"), fitted("scikit-learn")
    seconds = interleaved_medians(
        {
            "fit": lambda: GaussianMixture(n_components=3, random_state=42).fit(X),
            "their fit": lambda: sklearn.mixture.GaussianMixture(n_components=3, random_state=42).fit(X),
            "row": lambda: ours.predict_proba(row),
            "their row": lambda: theirs.predict_proba(row),
        },
        repeats,
        least,
    )
    yield at_most("fit, 300 x 2, K=3", 1e3 * seconds["fit"], 1, " ms")
    yield reported("scikit-learn's fit, 300 x 2, K=3", f"{1e3 * seconds['their fit']:.3g} ms")
    yield at_most("predict_proba of one row", 1e6 * seconds["row"], 50, " us")
    yield reported("scikit-learn's predict_proba of one row", f"{1e6 * seconds['their row']:.3g} us")
    try:
        frozen = scorer()
    except NotImplementedError as error:
        yield unavailable("scorer of one row", str(error))
        return
    out, batch, batch_out = np.empty(1), many_rows(), np.empty(N_SCORED)
    calls = {
        "predict": lambda: frozen.predict(row),
        "predict_proba": lambda: frozen.predict_proba(row),
        "score_samples": lambda: frozen.score_samples(row),
        "score_samples, out=": lambda: frozen.score_samples(row, out=out),
    }
    for name, value in interleaved_medians(calls, repeats, least).items():
        yield at_most(f"scorer, one row, {name}", 1e6 * value, 5, " us")
    density = ours._density()
    calls = {
        "kernel": lambda: kernels.log_density(batch, density, batch_out),
        "scorer": lambda: frozen.score_samples(batch, out=batch_out),
    }
    seconds = interleaved_medians(calls, repeats, least)
    yield at_most(f"scorer over the kernel, {N_SCORED // 1000}k rows", seconds["scorer"] / seconds["kernel"], 1.1, "x")


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


class Scorer:
    """The frozen object of `model.scorer()`."""

    def setup(self):
        self.scorer = scorer()
        self.row = example()[:1].copy()
        self.out = np.empty(1)
        self.batch = many_rows()
        self.batch_out = np.empty(N_SCORED)

    def time_predict_one_row(self):
        self.scorer.predict(self.row)

    def time_predict_proba_one_row(self):
        self.scorer.predict_proba(self.row)

    def time_score_samples_one_row(self):
        self.scorer.score_samples(self.row)

    def time_score_samples_one_row_into_out(self):
        self.scorer.score_samples(self.row, out=self.out)

    def time_score_samples_batch_into_out(self):
        self.scorer.score_samples(self.batch, out=self.batch_out)
