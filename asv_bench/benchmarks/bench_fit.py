"""A whole default fit, raw rows to fitted model, beside scikit-learn's and the price of its k-means."""

import warnings

import sklearn.datasets
import sklearn.mixture
from sklearn.cluster import KMeans

from benchmarks.targets import at_least, at_most, geometric_mean_at_least
from benchmarks.timing import interleaved_medians
from benchmarks.workloads import Workload, make_rows
from fastgmm import GaussianMixture

GENERATED = {
    workload.name: workload
    for workload in (
        Workload("full", 20_000, 2, 5),
        Workload("full", 150_000, 4, 3, overlapping=True),
        Workload("full", 200_000, 8, 16),
        Workload("full", 100_000, 16, 32, overlapping=True),
        Workload("full", 50_000, 32, 20, dtype="float32"),
        Workload("full", 20_000, 64, 10),
    )
}
#: Data sets that come with scikit-learn, and how many components they are fitted with.
REAL = {"iris": 3, "breast_cancer": 2, "digits": 10}
CASES = (*GENERATED, *REAL)
QUICK_CASES = (*list(GENERATED)[:3], "iris")


def load(case, shrink=1):
    """Return the rows of a case and the number of components."""
    if case in REAL:
        X = getattr(sklearn.datasets, f"load_{case}")().data
        # Pixels that are always blank leave a covariance with reg_covar alone on its diagonal; both fit it.
        return X.astype("float64"), REAL[case]
    workload = GENERATED[case].shrunk(shrink)
    return make_rows(workload), workload.n_components


def models(n_components):
    """Return default estimators of the same size by the name of their library."""
    return {
        "fastgmm": GaussianMixture(n_components, random_state=0),
        "scikit-learn": sklearn.mixture.GaussianMixture(n_components, random_state=0),
        "KMeans": KMeans(n_components, n_init=1, random_state=0),
    }


def compare_fits(case, repeats, shrink=1):
    """Return the seconds of each default fit, and how far fastgmm's log-likelihood is above, in nats per row."""
    X, n_components = load(case, shrink)
    fitted = models(n_components)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds = interleaved_medians({name: lambda m=m: m.fit(X) for name, m in fitted.items()}, repeats)
        return seconds, fitted["fastgmm"].score(X) - fitted["scikit-learn"].score(X)


def figure(quick):
    """Return figure 4: default fits against scikit-learn's default fits and k-means."""
    ratios = []
    for case in QUICK_CASES if quick else CASES:
        shrink = 10 if quick else 1
        seconds, gain = compare_fits(case, 2 if quick else 5, shrink)
        if case in GENERATED:
            case = GENERATED[case].shrunk(shrink).name
        ours, theirs, kmeans = seconds["fastgmm"], seconds["scikit-learn"], seconds["KMeans"]
        ratios.append(theirs / ours)
        yield at_least(f"fit over scikit-learn's, {case}", ratios[-1], 8, "x", f"{1e3 * ours:.3g} ms ")
        yield at_most(f"log-likelihood below scikit-learn's, {case}", -gain, 1e-3, " nats/row")
        yield at_most(f"fit over KMeans(K, n_init=1).fit, {case}", ours / kmeans, 1, "x", f"{1e3 * kmeans:.3g} ms ")
    yield geometric_mean_at_least("fit over scikit-learn's, geometric mean", ratios, 20)


class DefaultFit:
    """Seconds of `fit` at default settings."""

    params = (
        CASES,
        ("fastgmm", "scikit-learn", "KMeans"),
    )
    param_names = (
        "data",
        "library",
    )
    timeout = 900
    warmup_time = 0

    def setup(self, data, library):
        warnings.simplefilter("ignore")
        self.X, n_components = load(data)
        self.model = models(n_components)[library]
        models(2)[library].fit(self.X[:200])

    def time_fit(self, data, library):
        self.model.fit(self.X)

    def peakmem_fit(self, data, library):
        self.model.fit(self.X)


class LikelihoodOfDefaultFit:
    """What the fit came to: its mean log-likelihood, and how far above scikit-learn's."""

    params = (CASES,)
    param_names = ("data",)
    timeout = 900
    unit = "nats per row"

    def setup(self, data):
        warnings.simplefilter("ignore")
        self.X, n_components = load(data)
        self.models = models(n_components)

    def track_log_likelihood(self, data):
        return self.models["fastgmm"].fit(self.X).score(self.X)

    def track_log_likelihood_above_scikit_learn(self, data):
        ours, theirs = (self.models[name].fit(self.X).score(self.X) for name in ("fastgmm", "scikit-learn"))
        return ours - theirs
