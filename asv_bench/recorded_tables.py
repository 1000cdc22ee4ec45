"""What record.py measures, table by table: generators of work, library, what is measured and a value for each round.

Libraries have the names of their packages; "seconds" are those of the clock that record.py was told.
"""

from __future__ import annotations

import io
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.mixture
from benchmarks import bench_bayesian, bench_fit, bench_scoring, bench_sizes, bench_small
from benchmarks.peers.install import PEERS
from benchmarks.peers.measure import compare_libraries
from benchmarks.problems import REAL, rows_and_components
from benchmarks.timing import SETTINGS, rounds
from benchmarks.workloads import asked, make_rows, workload

import fastgmm
from fastgmm.scikit_learn.patching import SETTINGS as patching
from fastgmm.selection import GaussianMixtureSearch

Measured = Iterator[tuple[str, str, str, list[float]]]
MCLUST = """
suppressMessages(library(mclust))
X <- as.matrix(read.csv(commandArgs(TRUE)[1], header = FALSE))
timed <- system.time(m <- Mclust(X, verbose = FALSE))
cat(if (commandArgs(TRUE)[2] == "wall") timed[3] else sum(timed[1:2]), -m$bic, m$modelName, m$G)
"""


def quietly(call: Callable[[], object]) -> Callable[[], object]:
    """Return the call with its warnings ignored: fits of few iterations say that they did not converge."""

    def wrapped() -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()

    return wrapped


def named(name: str) -> str:
    """Return the name of a workload with the rows that it has here."""
    return name if name.rpartition(" K=")[0] in REAL or name in REAL else workload(name).name


def timed(work: str, calls: dict[str, Callable[[], object]], **options: object) -> Measured:
    """Yield the seconds of calls that take turns."""
    for library, values in rounds({name: quietly(call) for name, call in calls.items()}, **options).items():
        yield work, library, "seconds", values


def iterations() -> Measured:
    """Seconds of an EM iteration, the same rows and start for all; each library in a process of its own."""
    for name in asked("page"):
        result = compare_libraries(workload(name), list(PEERS))
        for library, one in result.measured.items():
            yield result.workload.name, library, "seconds", one.rounds
            yield result.workload.name, library, "nats apart", [one.disagreement]


def fits() -> Measured:
    """A default fit, raw rows to model, beside scikit-learn's and its k-means, and what was reached."""
    for name in asked("fit"):
        X, n_components = rows_and_components(name)
        models = {library: make(n_components, random_state=0) for library, make in bench_fit.LIBRARIES.items()}
        yield from timed(named(name), {library: partial(model.fit, X) for library, model in models.items()})
        for library in ("fastgmm", "scikit-learn"):
            yield named(name), library, "nats a row", [float(models[library].score(X))]


def bayesian() -> Measured:
    """Two variational iterations from given labels."""
    for name in asked("bayesian"):
        starts = {library: bench_bayesian.FromLabels(library, name) for library in bench_bayesian.LIBRARIES}
        number = bench_bayesian.N_ITERATIONS
        yield from timed(
            named(name), {library: partial(start.run, number) for library, start in starts.items()}, repeats=3
        )


def scoring() -> Measured:
    """`predict_proba` of many rows."""
    for name in asked("scoring"):
        X = make_rows(workload(name))
        models = {library: bench_scoring.fitted(library, workload(name)) for library in bench_scoring.LIBRARIES}
        yield from timed(named(name), {library: partial(model.predict_proba, X) for library, model in models.items()})


def calls() -> Measured:
    """What one call costs: the 300-row example, and one row of a model's or a frozen scorer's."""
    X, least = bench_small.example(), {"least_seconds": min(SETTINGS.least_seconds, 0.05)}
    models = {library: bench_small.fitted(library) for library in bench_small.LIBRARIES}
    fresh = {library: make(3, random_state=42) for library, make in bench_small.LIBRARIES.items()}
    yield from timed("fit of 300 x 2, K=3", {name: partial(one.fit, X) for name, one in fresh.items()}, **least)
    row, scorer = X[:1].copy(), models["fastgmm"].scorer()
    for method in ("predict", "predict_proba", "score_samples"):
        of_row = {name: partial(getattr(model, method), row) for name, model in models.items()}
        of_row["fastgmm scorer"] = partial(getattr(scorer, method), row)
        yield from timed(f"{method} of one row", of_row, **least)
    groups = np.random.default_rng(0).normal(size=(max(20, 1000 // SETTINGS.shrink), 200, 2))
    groups += 3.0 * np.random.default_rng(1).integers(3, size=(len(groups), 200, 1))
    many = {
        "fastgmm": partial(fastgmm.fit_many, groups, 3, random_state=0),
        "scikit-learn": lambda: [sklearn.mixture.GaussianMixture(3, random_state=0).fit(rows) for rows in groups],
    }
    yield from timed(f"fits of {len(groups)} groups of 200 x 2, K=3", many, repeats=3)


def sizes() -> Measured:
    """Two iterations from k-means of few rows or features, many of either or both."""
    for size in ("2 x 1 K=1", "10 x 4 K=2", "300 x 2 K=3", "1000 x 100 K=8", "60 x 256 K=4", "200 x 400 K=4"):
        for covariance_type in ("full", "tied", "diag", "spherical"):
            for dtype in ("float64", "float32"):
                fit = bench_sizes.OverScikitLearn()
                fit.setup(size, covariance_type, dtype)
                of_library = {name: partial(fit.fit, name, covariance_type) for name in bench_sizes.LIBRARIES}
                least = min(SETTINGS.least_seconds, 0.03)
                yield from timed(f"{size}, {covariance_type}, {dtype}", of_library, least_seconds=least)


def search() -> Measured:
    """The search over fourteen families and nine sizes, beside R's mclust, and the BIC of the winners."""
    for name in asked("search"):
        X = rows_and_components(name)[0]
        ours, theirs = GaussianMixtureSearch(random_state=0), [mclust(X)]
        mine: list[float] = []
        for _ in range(min(3, SETTINGS.repeats)):
            mine += next(timed(name, {"fastgmm": partial(ours.fit, X)}, repeats=1))[3]
            theirs.append(mclust(X) if theirs[0] else None)
        yield named(name), "fastgmm", "seconds", mine
        yield named(name), "fastgmm", "BIC", [ours.best_score_]
        found = [result for result in theirs[1:] if result]
        if found:
            yield named(name), "mclust", "seconds", [taken for taken, _ in found]
            yield named(name), "mclust", "BIC", [found[-1][1]]


def mclust(X: np.ndarray) -> tuple[float, float] | None:
    """Return the seconds of mclust's search and its BIC in our sign; None where R or mclust is not installed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "X.csv"
        np.savetxt(path, X, delimiter=",", fmt="%.17g")
        command = ["Rscript", "-e", MCLUST, str(path), SETTINGS.clock]
        try:
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError):
            return None
    taken, bic = done.stdout.split()[:2]
    return float(taken), float(bic)


def imputation() -> Measured:
    """Filling in 30% of the values, missing at random, beside scikit-learn's imputers, and the error in deviations."""
    from compare_imputation import datasets, methods, removed

    for name, X, *_ in datasets():
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        gone = removed(X, 0.3, True, np.random.default_rng(0))
        holes = np.where(gone, np.nan, X)
        imputers = {library: imputer for library, imputer in methods(0).items() if library != "mean"}
        yield from timed(name, {library: partial(one.fit_transform, holes) for library, one in imputers.items()})
        for library, imputer in imputers.items():
            error = np.sqrt(np.mean((quietly(partial(imputer.fit_transform, holes))() - X)[gone] ** 2))
            yield name, library, "RMSE", [float(error)]


def errors() -> Measured:
    """Ten iterations on rows with measurement errors of their own, beside astroML's extreme deconvolution."""
    n_rows, n_features, n_components = max(500, 2000 // SETTINGS.shrink), 4, 10
    rng = np.random.default_rng(0)
    means = rng.normal(scale=4.0, size=(n_components, n_features))
    variances = rng.uniform(0.1, 0.5, size=(n_rows, n_features))
    noise = rng.normal(size=(2, n_rows, n_features))
    X = means[rng.integers(n_components, size=n_rows)] + noise[0] + np.sqrt(variances) * noise[1]
    covariances = variances[:, :, None] * np.eye(n_features)
    options = {"max_iter": 10, "random_state": 0, "tol": 0.0}
    ours = fastgmm.GaussianMixture(n_components, acceleration=None, **options)
    calls = {"fastgmm": lambda: ours.fit(X, errors=covariances)}
    if find_spec("astroML"):
        from astroML.density_estimation import XDGMM

        theirs = XDGMM(n_components, max_iter=10, tol=-np.inf, random_state=0)
        calls["astroML"] = lambda: theirs.fit(X, covariances)
    work = f"{n_rows} x {n_features}, K={n_components}, ten iterations"
    yield from timed(work, calls, repeats=min(3, SETTINGS.repeats))
    yield work, "fastgmm", "nats a row", [float(ours.score(X, errors=covariances))]
    if "astroML" in calls:
        yield work, "astroML", "nats a row", [float(theirs.logL(X, covariances)) / n_rows]


def truncated() -> Measured:
    """Whole fits of a thousand diagonal components and more by truncated EM, beside vamm, and rows that no fit saw."""
    for name in asked("truncated"):
        work = workload(name)
        X, unseen, k = make_rows(work), make_rows(work, 1)[:20_000], work.n_components
        found: dict[str, tuple] = {}

        def ours(X: np.ndarray = X, k: int = k, found: dict = found) -> None:
            model = fastgmm.GaussianMixture(k, covariance_type="diag", responsibilities="truncated", random_state=0)
            found["fastgmm"] = model.fit(X).weights_, model.means_, model.covariances_

        def theirs(X: np.ndarray = X, k: int = k, found: dict = found) -> None:
            model = vamm.Gaussian(C=k, D=X.shape[1], covariance_type="diagonal")
            with redirect_stdout(io.StringIO()):
                model.fit(X=X, rng=np.random.default_rng(0))
            found["vamm"] = tuple(np.asarray(part) for part in (model.prior, model.means, model.variance))

        calls = {"fastgmm": ours}
        if find_spec("vamm"):
            import vamm

            calls["vamm"] = theirs
        yield from timed(work.name, calls, repeats=1)
        for library, parameters in found.items():
            yield work.name, library, "nats a row", [scored_by_scikit_learn(parameters, unseen)]


def scored_by_scikit_learn(parameters: tuple, X: np.ndarray) -> float:
    """Return the mean log-likelihood of rows under weights, means and variances of diagonal components."""
    weights, means, variances = parameters
    model = sklearn.mixture.GaussianMixture(len(means), covariance_type="diag")
    model.weights_, model.means_, model.covariances_ = weights / weights.sum(), means, variances
    model.precisions_cholesky_ = 1.0 / np.sqrt(variances)
    return float(model.score(X))


def student() -> Measured:
    """Whole fits of Student mixtures of given degrees of freedom to a tolerance, beside studenttmixture."""
    n_rows = max(1000, 20_000 // SETTINGS.shrink)
    rng = np.random.default_rng(1)
    means = rng.normal(scale=4.0, size=(8, 8))
    X = means[rng.integers(8, size=n_rows)] + rng.standard_t(4, size=(n_rows, 8))
    options = {"df": 4.0, "tol": 1e-5, "max_iter": 1000, "random_state": 0}
    models: dict[str, Any] = {"fastgmm": fastgmm.StudentMixture(8, **options)}
    if find_spec("studenttmixture"):
        from studenttmixture import EMStudentMixture

        models["studenttmixture"] = EMStudentMixture(8, fixed_df=True, **options)
    work, calls = f"{n_rows} x 8, K=8", {library: partial(model.fit, X) for library, model in models.items()}
    yield from timed(work, calls, repeats=min(3, SETTINGS.repeats))
    for library, model in models.items():
        yield work, library, "nats a row", [float(model.score(X))]


def switch() -> Measured:
    """Default fits and predictions of scikit-learn's own class and of the one that the switch puts in its place."""
    originals = {name: getattr(sklearn.mixture, name) for name in ("GaussianMixture", "BayesianGaussianMixture")}
    for work, name, X, options in switched_works():
        options = {"random_state": 0, **options}
        fastgmm.patch_sklearn()
        patched = getattr(sklearn.mixture, name)
        models = {
            "scikit-learn": originals[name](**options),
            "patched": patched(**options),
            "patched, same_fits=False": patched(**options),
        }

        def fit(library: str, X: np.ndarray = X, models: dict = models) -> None:
            patching.same_fits = library == "patched"
            models[library].fit(X)

        yield from timed(work, {library: partial(fit, library) for library in models}, repeats=3)
        least = min(SETTINGS.least_seconds, 0.02)
        calls = {library: quietly(partial(models[library].predict_proba, X)) for library in ("scikit-learn", "patched")}
        for library, values in rounds(calls, 3, least).items():
            yield work, library, "seconds of predict_proba", values
        theirs, ours = (models[library].means_ for library in ("scikit-learn", "patched"))
        yield work, "patched", "means apart", [float(np.abs(ours - theirs).max() / np.abs(theirs).max())]
        fastgmm.unpatch_sklearn()


def switched_works() -> Iterator[tuple[str, str, np.ndarray, dict]]:
    """Yield a name, the estimator, rows and parameters."""
    for data, k in (("iris", 3), ("digits", 10)):
        yield f"{data}, K={k}", "GaussianMixture", rows_and_components(data)[0], {"n_components": k, "reg_covar": 1e-3}
    for n, d, k, spread, kind in (
        (300, 2, 3, 4, "full"),
        (20_000, 2, 5, 5, "full"),
        (20_000, 64, 10, 3, "full"),
        (100_000, 4, 8, 2, "full"),
        (100_000, 16, 16, 1, "diag"),
        (50_000, 16, 8, 1, "tied"),
        (20_000, 8, 10, 3, "Bayesian"),
    ):
        n = max(n // SETTINGS.shrink, min(n, 2000))
        rng = np.random.default_rng(0)
        centres = 6 if kind == "Bayesian" else k
        X = rng.normal(size=(n, d)) + spread * rng.normal(size=(centres, d))[rng.integers(0, centres, n)]
        name, covariance_type = ("BayesianGaussianMixture", "full") if kind == "Bayesian" else ("GaussianMixture", kind)
        yield f"{n:,} x {d}, K={k}, {kind}", name, X, {"n_components": k, "covariance_type": covariance_type}


TABLES: dict[str, Callable[[], Measured]] = {
    "iterations": iterations,
    "fits": fits,
    "bayesian": bayesian,
    "scoring": scoring,
    "calls": calls,
    "sizes": sizes,
    "switch": switch,
    "search": search,
    "imputation": imputation,
    "errors": errors,
    "truncated": truncated,
    "student": student,
}
