"""Golden cases of the estimators beside `GaussianMixture`."""

from functools import partial

import numpy as np
from golden.ways import (
    MCLUST,
    STEPS,
    TYPES,
    Case,
    from_batches,
    from_dask,
    from_parquet,
    from_slices,
    given,
    made_with,
    standardised,
    stream,
    twice,
)
from sklearn.base import clone

from fastgmm import (
    BayesianGaussianMixture,
    GaussianMixtureClassifier,
    GaussianMixtureOutlierDetector,
    GaussianMixtureRegressor,
    GaussianMixtureSearch,
)

__all__ = ["bayesian", "classifiers", "detectors", "regressors", "searches"]

#: Seeds with which the tenth start of a stream is the best.
TENTH = {"full": 26, "tied": 13, "diag": 6, "spherical": 28}


def bayesian():
    fixed = {
        "weights": given(sample_weight="weight"),
        "whole weights": given(sample_weight="repeats"),
        "stream": stream,
        "stream, weights": partial(stream, weighted=True),
        "stream after fit": partial(stream, after_fit=True),
        "warm start": twice,
        "batches": from_batches,
        "batches, weights": partial(from_batches, weighted=True),
        "slices": from_slices,
        "parquet": from_parquet,
        "standardised": standardised,
        "dask": from_dask,
        "labels": made_with(init_params="component"),
        "responsibilities": made_with(init_params="responsibilities"),
    }
    for name in TYPES:
        model = BayesianGaussianMixture(n_components=3, covariance_type=name, **STEPS)
        for dtype in ("float64", "float32"):
            for kind in ("dirichlet_process", "dirichlet_distribution"):
                for expected in ("wishart", "exact"):
                    chosen = clone(model).set_params(
                        weight_concentration_prior_type=kind, expected_log_precision=expected
                    )
                    yield Case(f"bayesian/{kind}/{expected}/{name}/{dtype}", chosen, ("blobs", dtype))
            for start in ("k-means++", "random", "random_from_data", "hc", "multistart"):
                chosen = clone(model).set_params(init_params=start)
                yield Case(f"bayesian/start/{start}/{name}/{dtype}", chosen, ("blobs", dtype))
        for feature, fit in fixed.items():
            yield Case(f"bayesian/{feature}/{name}", model, ("blobs",), fit, predictions=feature != "parquet")
        ten = clone(model).set_params(n_init=10, random_state=TENTH[name])
        yield Case(f"bayesian/stream, ten starts/{name}", ten, ("blobs",), partial(stream, start="random_from_data"))
        many = clone(model).set_params(n_components=4)
        yield Case(f"bayesian/long stream/{name}", many, ("many",), partial(stream, n_batches=26))
        yield Case(f"bayesian/far/{name}", model, ("far",))
        yield Case(f"bayesian/wide/{name}", clone(model).set_params(n_components=2), ("wide",), predictions=False)
        yield Case(f"bayesian/one feature/{name}", model, ("line",))
        yield Case(f"bayesian/student/{name}", clone(model).set_params(predictive="student-t"))
        several = clone(model).set_params(n_init=3, init_params="random_from_data")
        yield Case(f"bayesian/three starts/{name}", several)
        yield Case(f"bayesian/start alone/{name}", clone(model).set_params(max_iter=0), predictions=False)
        covariance = {"full": np.eye(2) * [0.5, 40.0], "tied": np.eye(2), "diag": [0.4, 30.0], "spherical": 8.0}[name]
        own = BayesianGaussianMixture(
            n_components=4,
            covariance_type=name,
            weight_concentration_prior=0.05,
            mean_precision_prior=0.3,
            mean_prior=[3.0, 70.0],
            degrees_of_freedom_prior=4.5,
            covariance_prior=covariance,
            **STEPS,
        )
        yield Case(f"bayesian/given priors/{name}", own, ("faithful",))
        ended = BayesianGaussianMixture(n_components=2, covariance_type=name, max_iter=200, random_state=0)
        yield Case(f"bayesian/converged/{name}", ended, ("faithful",))


def _labelled(model, given, labels="few_labels", names=None, weight=None):
    y = getattr(given, labels)
    if names is not None:
        y = np.array([*names, ""])[y]
    model.fit(given.X, y, sample_weight=None if weight is None else getattr(given, weight))


def classifiers():
    steps = {"max_iter": 6, "tol": 0.0, "random_state": 0}
    for name in (*TYPES, *MCLUST):
        for shared in (True, False):
            model = GaussianMixtureClassifier(covariance_type=name, shared_covariance=shared, **steps)
            which = "shared" if shared else "apart"
            yield Case(f"classifier/{name}/{which}", model, ("iris",), _labelled)
            two = clone(model).set_params(n_components=2)
            fit = partial(_labelled, labels="component")
            yield Case(f"classifier/two each/{name}/{which}", two, ("blobs",), fit, predictions=name in TYPES)
    for name in ("full", "tied", "spherical", "VEV"):
        model = GaussianMixtureClassifier(covariance_type=name, **steps)
        yield Case(f"classifier/float32/{name}", model, ("blobs", "float32"), _labelled)
        yield Case(f"classifier/far/{name}", model, ("far",), _labelled)
        yield Case(f"classifier/weights/{name}", model, ("blobs",), partial(_labelled, weight="weight"))
        yield Case(f"classifier/whole weights/{name}", model, ("blobs",), partial(_labelled, weight="repeats"))
        yield Case(f"classifier/names/{name}", model, ("blobs",), partial(_labelled, names=("b", "a", "c")))
        sizes = clone(model).set_params(n_components=[2, 1, 3])
        yield Case(f"classifier/sizes/{name}", sizes, ("blobs",), partial(_labelled, labels="component"))
        own = clone(model).set_params(priors=[0.2, 0.3, 0.5], unlabelled_weight=0.25)
        yield Case(f"classifier/priors, unlabelled weight/{name}", own, ("blobs",), _labelled)
        none = clone(model).set_params(unlabelled_weight=0.0)
        yield Case(f"classifier/unlabelled ignored/{name}", none, ("blobs",), _labelled)
        shrunk = clone(model).set_params(shrinkage=6.0)
        yield Case(f"classifier/shrinkage/{name}", shrunk, ("iris",), _labelled)
        shrunk = clone(shrunk).set_params(shared_covariance=False)
        yield Case(f"classifier/shrinkage, apart/{name}", shrunk, ("iris",), _labelled)
        ended = GaussianMixtureClassifier(covariance_type=name, random_state=0)
        yield Case(f"classifier/converged/{name}", ended, ("blobs",), _labelled)
    chosen = GaussianMixtureClassifier("bic", max_components=3, random_state=0)
    yield Case("classifier/bic", chosen, ("blobs",), partial(_labelled, labels="component"))
    listed = GaussianMixtureClassifier(covariance_type=["EII", "VVV", "EEE", "VEI"], random_state=0)
    yield Case("classifier/list of types", listed, ("iris",), _labelled)
    yield Case("classifier/one feature", GaussianMixtureClassifier(covariance_type="V", **steps), ("line",), _labelled)


def detectors():
    steps = {"max_iter": 6, "tol": 0.0, "n_simulations": 200, "random_state": 0}
    # What was trimmed by default when the states were recorded.
    then = {"robust_share": 0.1}
    weighted = given(sample_weight="weight")
    for name in (*TYPES, *MCLUST):
        for robust in ("trimming", "noise", None):
            model = GaussianMixtureOutlierDetector(2, covariance_type=name, robust=robust, **steps, **then)
            yield Case(f"detector/{robust}/{name}", model, ("spoiled",))
    for robust in ("trimming", "noise", None):
        for name in ("full", "tied", "diag", "spherical"):
            model = GaussianMixtureOutlierDetector(2, covariance_type=name, robust=robust, **steps, **then)
            share = clone(model).set_params(contamination=0.08, robust_share=None)
            yield Case(f"detector/contamination/{robust}/{name}", share, ("spoiled",))
            yield Case(f"detector/contamination, weights/{robust}/{name}", share, ("spoiled",), weighted)
            yield Case(f"detector/float32/{robust}/{name}", model, ("spoiled", "float32"))
            one = clone(model).set_params(n_components=1, robust_share=0.15)
            yield Case(f"detector/one component/{robust}/{name}", one, ("spoiled",))
        several = GaussianMixtureOutlierDetector(
            2, robust=robust, n_init=2, init_params="random_from_data", **steps, **then
        )
        yield Case(f"detector/two starts/{robust}", several, ("spoiled",), weighted)
        chosen = GaussianMixtureOutlierDetector(
            robust=robust, max_components=4, n_simulations=200, random_state=0, **then
        )
        yield Case(f"detector/bic/{robust}", chosen, ("spoiled",))


def _last_columns(model, given, n_targets=1, weight=None):
    X, y = given.X[:, :-n_targets], given.X[:, -n_targets:]
    weight = None if weight is None else getattr(given, weight)
    model.fit(X, y[:, 0] if n_targets == 1 else y, sample_weight=weight)


def regressors():
    steps = {"max_iter": 6, "tol": 0.0, "random_state": 0}
    for name in (*TYPES, *MCLUST):
        yield Case(f"regressor/{name}", GaussianMixtureRegressor(3, covariance_type=name, **steps), fit=_last_columns)
    for name in ("full", "tied", "VEV"):
        model = GaussianMixtureRegressor(2, covariance_type=name, **steps)
        yield Case(f"regressor/two targets/{name}", model, ("iris",), partial(_last_columns, n_targets=2))
        yield Case(f"regressor/weights/{name}", model, ("blobs",), partial(_last_columns, weight="weight"))
        yield Case(f"regressor/far/{name}", model, ("far",), _last_columns)
        yield Case(f"regressor/float32/{name}", model, ("blobs", "float32"), _last_columns)
        several = clone(model).set_params(n_init=2, init_params="random_from_data")
        yield Case(f"regressor/two starts/{name}", several, ("blobs",), _last_columns)
    chosen = GaussianMixtureRegressor(max_components=4, random_state=0)
    yield Case("regressor/bic", chosen, ("faithful",), _last_columns)
    yield Case("regressor/bic, weights", chosen, ("blobs",), partial(_last_columns, weight="weight"))


def searches():
    steps = {"max_iter": 40, "random_state": 0}
    yield Case("search/all", GaussianMixtureSearch(range(1, 4), **steps), ("faithful",))
    yield Case("search/one feature", GaussianMixtureSearch(range(1, 4), **steps), ("line",))
    few = GaussianMixtureSearch(range(1, 4), ["EII", "VVI", "EEE", "VVV"], **steps)
    for criterion in ("bic", "icl", "aic", "cv_log_likelihood"):
        yield Case(f"search/{criterion}", clone(few).set_params(criterion=criterion), ("blobs",))
    for start in ("kmeans", "multistart", "random"):
        yield Case(f"search/start/{start}", clone(few).set_params(init_params=start), ("blobs",))
    yield Case("search/weights", few, ("blobs",), given(sample_weight="repeats"))
    # Only a fixed number of iterations is the same everywhere: float32 bounds change by no less than their rounding.
    yield Case("search/float32", clone(few).set_params(tol=0.0, max_iter=8), ("blobs", "float32"))
    yield Case("search/noise", clone(few).set_params(noise=0.08), ("spoiled",))
    yield Case("search/prior", clone(few).set_params(prior="default"), ("faithful",))
    yield Case("search/jobs", clone(few).set_params(n_jobs=2), ("blobs",))
    yield Case("search/batches", few, ("blobs",), from_batches)
    yield Case("search/slices, weights", few, ("blobs",), partial(from_slices, weighted=True))
    yield Case("search/tol", clone(few).set_params(tol=1e-4, reg_covar=1e-3), ("iris",))
