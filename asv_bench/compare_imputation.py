"""Imputation of missing values: error, coverage, what a model makes of it, and time, beside scikit-learn's imputers.

Run as ``python asv_bench/compare_imputation.py [n_seeds [part of a name of data]]``. Columns are standardised and a
share of the values is removed: completely at random, or, in half of the columns, with a probability that rises with a
column that is never missing (MAR). Figures are means over seeds; times, of fit and transform, medians of one thread.
Every method has its defaults. An interval is that between two quantiles of 20 draws, so far out that it holds 0.9 of a
normal distribution that they are drawn from. The accuracy is that of logistic, or the R2 of ridge, regression on
completed columns, cross-validated over five folds; an imputer is fitted to the rows that the regression is fitted to.

``python asv_bench/compare_imputation.py tuned [n_seeds]`` compares the errors of defaults and of the best of four
settings of each imputer, the default among them, chosen for each number by the values removed, which no user has.
"""

import sys
import time
import warnings

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_linnerud, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from tables import Table

import fastgmm
from fastgmm import GaussianMixtureImputer

N_DRAWS = 20
#: What is tuned: tables small enough for a forest per column and round.
TUNED = ("diabetes", "breast cancer, 10 means", "wine", "iris")


def datasets():
    """Yield a name, rows in standard deviations, the target, and what predicts it."""
    diabetes, cancer, wine, digits = load_diabetes(), load_breast_cancer(), load_wine(), load_digits()
    yield "diabetes", diabetes.data, diabetes.target, Ridge()
    yield "breast cancer, 10 means", cancer.data[:, :10], cancer.target, LogisticRegression(max_iter=1000)
    yield "wine", wine.data, wine.target, LogisticRegression(max_iter=1000)
    iris, linnerud = load_iris(), load_linnerud()
    yield "iris", iris.data, iris.target, LogisticRegression(max_iter=1000)
    yield "breast cancer", cancer.data, cancer.target, LogisticRegression(max_iter=1000)
    yield "linnerud", np.hstack([linnerud.data, linnerud.target[:, :2]]), linnerud.target[:, 2], Ridge()
    yield "digits, 10 PCs", PCA(10).fit_transform(digits.data), digits.target, LogisticRegression(max_iter=1000)


def removed(X, share, at_random, rng):
    """Return which values are removed; no row loses all of them."""
    n_rows, n_features = X.shape
    if at_random:
        gone = rng.uniform(size=X.shape) < share
    else:
        gone = np.zeros(X.shape, dtype=bool)
        columns = rng.permutation(n_features)
        kept, lost = np.array_split(columns, 2)
        for j in lost:
            # The probability rises from zero to twice the share, up to one, with the ranks of a column that is kept.
            rank = X[:, rng.choice(kept)].argsort().argsort() / n_rows
            gone[:, j] = rng.uniform(size=n_rows) < np.minimum(2.0 * share * rank, 1.0)
    gone[gone.all(axis=1), 0] = False
    return gone


def methods(seed):
    """Return what is compared: name to estimator."""
    return {
        "fastgmm": GaussianMixtureImputer(random_state=seed),
        "IterativeImputer": IterativeImputer(random_state=seed),
        "KNNImputer": KNNImputer(),
        "mean": SimpleImputer(),
    }


def settings(seed):
    """Return four settings of each imputer, the default first."""
    trees = ExtraTreesRegressor(30, random_state=seed)
    iterative = [
        IterativeImputer(random_state=seed),
        IterativeImputer(max_iter=50, random_state=seed),
        IterativeImputer(trees, max_iter=5, random_state=seed),
        IterativeImputer(KNeighborsRegressor(15), random_state=seed),
    ]
    ours = [{}, {"n_components": 1}, {"n_components": 5}, {"covariance_type": "tied"}]
    return {
        "fastgmm": [GaussianMixtureImputer(random_state=seed, **options) for options in ours],
        "IterativeImputer": iterative,
        "KNNImputer": [KNNImputer(), *(KNNImputer(n_neighbors=n, weights="distance") for n in (5, 10, 20))],
    }


def draws_of(name, estimator, holes, seed):
    """Return draws of the rows, None of a method that has none."""
    if name == "fastgmm":
        return estimator.impute(holes, N_DRAWS, random_state=seed)
    if name == "IterativeImputer":
        # One imputer for each draw is what its documentation asks for.
        return np.array(
            [
                IterativeImputer(sample_posterior=True, random_state=seed + i).fit_transform(holes)
                for i in range(N_DRAWS)
            ]
        )
    return None


def level():
    """Return the quantile between which 20 normal draws hold nine tenths of the distribution, in the mean."""
    from scipy.stats import norm

    draws = np.random.default_rng(0).normal(size=(20_000, N_DRAWS))
    for tail in np.linspace(0.05, 0.0, 101):
        low, high = np.quantile(draws, [tail, 1.0 - tail], axis=1)
        if np.mean(norm.cdf(high) - norm.cdf(low)) >= 0.9:
            return tail
    raise AssertionError("the largest and smallest of 20 draws hold more than nine tenths")


def compare(n_seeds, part=""):
    """Print a line for each data set whose name has `part`, mechanism, share and method."""
    tail = level()
    head = ("data", "missing", "method", "RMSE", "90% intervals hold", "score", "seconds")
    table = Table(*head, n_texts=3)
    for name, X, y, predictor in (data for data in datasets() if part in data[0]):
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        for at_random in (True, False):
            for share in (0.1, 0.3, 0.5):
                found = {method: [] for method in methods(0)}
                for seed in range(n_seeds):
                    gone = removed(X, share, at_random, np.random.default_rng(seed))
                    holes = np.where(gone, np.nan, X)
                    for method, estimator in methods(seed).items():
                        began = time.process_time()
                        filled = estimator.fit_transform(holes)
                        seconds = time.process_time() - began
                        error = np.sqrt(np.mean((filled - X)[gone] ** 2))
                        draws, covers = draws_of(method, estimator, holes, seed), np.nan
                        if draws is not None:
                            low, high = np.quantile(draws[:, gone], [tail, 1.0 - tail], axis=0)
                            covers = np.mean((low <= X[gone]) & (high >= X[gone]))
                        pipeline = make_pipeline(methods(seed)[method], predictor)
                        score = cross_val_score(pipeline, holes, y).mean()
                        found[method].append((error, covers, score, seconds))
                words = f"{share:.0%} {'at random' if at_random else 'MAR'}"
                for method, figures in found.items():
                    error, covers, score, _ = np.mean(figures, axis=0)
                    seconds = np.median([figure[3] for figure in figures])
                    held = "" if np.isnan(covers) else f"{covers:.3f}"
                    table.row(name, words, method, f"{error:.3f}", held, f"{score:.3f}", f"{seconds:.3f}")


def compare_tuned(n_seeds):
    """Print the errors of defaults and of the best of four settings, for each data set, mechanism and share."""
    names = [f"{method}{kind}" for method in settings(0) for kind in ("", ", tuned")]
    table = Table("data", "missing", *names, n_texts=2)
    for name, X, _, _ in (data for data in datasets() if data[0] in TUNED):
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        for at_random in (True, False):
            for share in (0.1, 0.3, 0.5):
                errors = {method: [] for method in settings(0)}
                for seed in range(n_seeds):
                    gone = removed(X, share, at_random, np.random.default_rng(seed))
                    holes = np.where(gone, np.nan, X)
                    for method, estimators in settings(seed).items():
                        filled = [estimator.fit_transform(holes) for estimator in estimators]
                        errors[method].append([np.sqrt(np.mean((each - X)[gone] ** 2)) for each in filled])
                means = [np.mean(errors[method], axis=0) for method in errors]
                words = f"{share:.0%} {'at random' if at_random else 'MAR'}"
                table.row(name, words, *(f"{error:.3f}" for mean in means for error in (mean[0], mean.min())))
                print(f"# best: {[int(mean.argmin()) for mean in means]}", file=sys.stderr)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    fastgmm.set_config(n_threads=1)
    if sys.argv[1:2] == ["tuned"]:
        compare_tuned(int(sys.argv[2]) if len(sys.argv) > 2 else 3)
        raise SystemExit
    compare(int(sys.argv[1]) if len(sys.argv) > 1 else 3, *sys.argv[2:3])
