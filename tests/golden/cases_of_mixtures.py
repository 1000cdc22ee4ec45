"""Golden cases of `GaussianMixture`."""

from functools import partial

import numpy as np
from golden.ways import (
    LONG,
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

from fastgmm import GaussianMixture

__all__ = ["backgrounds_and_priors", "families", "features", "starts"]

#: Components with which plain EM converges so slowly on "slow" that it is accelerated even where passes are cheap.
SLOW = {"full": 5, "tied": 4, "diag": 4, "spherical": 3, "VVV": 4, "VVI": 5, "EEE": 3, "VII": 5}
#: Seeds with which the tenth start of a stream is the best.
TENTH = {"full": 11, "tied": 2, "diag": 6, "spherical": 13}


def families():
    for dtype in ("float64", "float32"):
        for name in (*TYPES, *MCLUST):
            model = GaussianMixture(3, covariance_type=name, **STEPS)
            yield Case(f"mixture/family/{name}/{dtype}", model, ("blobs", dtype))
        for name in (*TYPES, "E", "V"):
            model = GaussianMixture(2, covariance_type=name, **STEPS)
            yield Case(f"mixture/family/{name}/{dtype}/one feature", model, ("line", dtype))
    for name in (*TYPES, *MCLUST):
        model = GaussianMixture(3, covariance_type=name, **STEPS)
        yield Case(f"mixture/family/{name}/far", model, ("far",))
        model = GaussianMixture(2, covariance_type=name, **LONG)
        yield Case(f"mixture/family/{name}/faithful", model, ("faithful",))
        model = GaussianMixture(SLOW.get(name, 2), covariance_type=name, tol=1e-6, **LONG)
        yield Case(f"mixture/family/{name}/accelerated", model, ("slow" if name in SLOW else "overlap",))
    for name in (*TYPES, "EVE", "VVE", "VEV", "EEV"):
        for dtype in ("float64", "float32"):
            model = GaussianMixture(2, covariance_type=name, **STEPS)
            yield Case(f"mixture/family/{name}/{dtype}/wide", model, ("wide", dtype), predictions=name == "full")
    # Enough rows for several threads, whose sums are to come out the same.
    large = GaussianMixture(5, max_iter=3, tol=0.0, random_state=0)
    yield Case("mixture/family/full/large/batches", large, ("large",), from_batches, predictions=False)
    yield Case("mixture/family/full/large/float32", large, ("large", "float32"), predictions=False)
    for name in TYPES:
        for dtype in ("float64", "float32"):
            model = GaussianMixture(covariance_type=name, random_state=0)
            yield Case(f"mixture/one component/{name}/{dtype}", model, ("iris", dtype))
        yield Case(
            f"mixture/family/{name}/aside", GaussianMixture(3, covariance_type=name, **STEPS), ("aside", "float32")
        )
        model = clone(large).set_params(covariance_type=name)
        yield Case(f"mixture/family/{name}/large", model, ("large",), predictions=False)
        yield Case(f"mixture/family/{name}/many", GaussianMixture(4, covariance_type=name, **STEPS), ("many",))


PRECISIONS = {
    "full": [0.4 * np.eye(3)] * 3,
    "tied": 0.4 * np.eye(3),
    "diag": np.full((3, 3), 0.4),
    "spherical": np.full(3, 0.4),
}
STARTS = ("kmeans", "k-means++", "random", "random_from_data", "hc", "multistart")


def starts():
    for name in TYPES:
        for dtype in ("float64", "float32"):
            where = ("blobs", dtype)
            for start in STARTS:
                model = GaussianMixture(3, covariance_type=name, init_params=start, **STEPS)
                yield Case(f"mixture/start/{start}/{name}/{dtype}", model, where)
            model = GaussianMixture(3, covariance_type=name, **STEPS)
            for start in ("component", "few_labels", "responsibilities"):
                fit = made_with(init_params=start)
                yield Case(f"mixture/start/{start}/{name}/{dtype}", model, where, fit)
            fit = made_with(means_init="first_rows")
            yield Case(f"mixture/start/means/{name}/{dtype}", model, where, fit)
            precisions = np.array(
                {"full": [np.eye(3)] * 3, "tied": np.eye(3), "diag": np.ones((3, 3))}.get(name, [1] * 3)
            )
            model = clone(model).set_params(weights_init=[0.5, 0.3, 0.2], precisions_init=0.4 * precisions)
            yield Case(f"mixture/start/weights, precisions/{name}/{dtype}", model, where)
            yield Case(f"mixture/start/all parameters/{name}/{dtype}", model, where, fit)
        for start in STARTS:
            model = GaussianMixture(3, covariance_type=name, init_params=start, max_iter=0, random_state=1)
            yield Case(f"mixture/start alone/{start}/{name}", model, ("blobs",), predictions=False)
    for name in ("EEI", "VEV", "EVE"):
        for start in ("hc", "multistart", "random"):
            model = GaussianMixture(3, covariance_type=name, init_params=start, **STEPS)
            yield Case(f"mixture/start/{start}/{name}", model)
    for start in ("hc", "multistart", "kmeans"):
        yield Case(f"mixture/start/{start}/iris", GaussianMixture(3, init_params=start, **STEPS), ("iris",))


def features():
    fixed = {
        "weights": given(sample_weight="weight"),
        "whole weights": given(sample_weight="repeats"),
        "labels": given(labels="few_labels"),
        "labels, weights": given(labels="few_labels", sample_weight="repeats"),
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
    }
    for name in TYPES:
        model = GaussianMixture(3, covariance_type=name, **STEPS)
        for feature, fit in fixed.items():
            yield Case(f"mixture/{feature}/{name}", model, ("blobs",), fit, predictions=feature != "parquet")
        for feature in ("weights", "labels", "stream", "batches"):
            yield Case(f"mixture/{feature}/{name}/float32", model, ("blobs", "float32"), fixed[feature])
        ten = clone(model).set_params(n_init=10, random_state=TENTH[name])
        yield Case(f"mixture/stream, ten starts/{name}", ten, ("blobs",), partial(stream, start="random_from_data"))
        many = clone(model).set_params(n_components=4)
        yield Case(f"mixture/long stream/{name}", many, ("many",), partial(stream, n_batches=26))
        forgetful = clone(model).set_params(forgetting=0.3)
        yield Case(f"mixture/forgetting/{name}", forgetful, ("blobs",), partial(stream, weighted=True))
        for start in ("random_from_data", "k-means++", "random"):
            several = clone(model).set_params(n_init=3, init_params=start)
            yield Case(f"mixture/three starts/{start}/{name}", several)
        for stop_on in ("change", "gap"):
            for acceleration in ("quasi-newton", None):
                options = {
                    "acceleration": acceleration,
                    "stop_on": stop_on,
                    "tol": 1e-6 if stop_on == "change" else 1e-5,
                }
                slow = GaussianMixture(SLOW[name], covariance_type=name, **options, **LONG)
                yield Case(f"mixture/stop on {stop_on}/{acceleration}/{name}", slow, ("slow",))
        slow = GaussianMixture(2, covariance_type=name, **STEPS).set_params(reg_covar=0.1, max_iter=40)
        yield Case(f"mixture/regularised/{name}", slow, ("overlap",))
    for name in ("EII", "VEV", "EVE", "EEE"):
        model = GaussianMixture(3, covariance_type=name, **STEPS)
        for feature in ("weights", "labels", "stream", "batches"):
            yield Case(f"mixture/{feature}/{name}", model, ("blobs",), fixed[feature])


def backgrounds_and_priors():
    own = {"shrinkage": 0.5, "dof": 7.0}
    for name in (*TYPES, *MCLUST):
        model = GaussianMixture(2, covariance_type=name, **STEPS)
        yield Case(f"mixture/noise/{name}", clone(model).set_params(noise=0.08), ("spoiled",))
        yield Case(f"mixture/prior/{name}", clone(model).set_params(prior="default"), ("faithful",))
        both = clone(model).set_params(prior=own, noise=0.1)
        yield Case(f"mixture/prior, noise/{name}", both, ("spoiled",), predictions=False)
    for name in ("E", "V"):
        model = GaussianMixture(2, covariance_type=name, **STEPS)
        yield Case(f"mixture/prior/{name}", clone(model).set_params(prior=own), ("line",))
        yield Case(f"mixture/noise/{name}", clone(model).set_params(noise=0.05), ("line",))
    for name in TYPES:
        model = GaussianMixture(2, covariance_type=name, **STEPS)
        yield Case(f"mixture/noise mask/{name}", model, ("spoiled",), made_with(noise="isolated"))
        noisy, weighted = clone(model).set_params(noise=0.08), given(sample_weight="weight")
        yield Case(f"mixture/noise, weights/{name}", noisy, ("spoiled",), weighted)
        yield Case(f"mixture/noise, float32/{name}", noisy, ("spoiled", "float32"))
        prior = clone(model).set_params(prior={**own, "mean": [3.0, 60.0], "scale": [[1.0, 0.5], [0.5, 90.0]]})
        yield Case(f"mixture/given prior/{name}", prior, ("faithful",))
        yield Case(f"mixture/given prior, weights/{name}", prior, ("faithful",), weighted)
        yield Case(f"mixture/given prior, stream/{name}", prior, ("faithful",), stream)
