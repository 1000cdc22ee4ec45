"""Models to be pickled by one version of fastgmm and unpickled by later ones, and what they answer."""

import pickle
import warnings

import numpy as np
from golden.datasets import data
from sklearn.exceptions import ConvergenceWarning

from fastgmm.bayesian_mixture import BayesianGaussianMixture
from fastgmm.classifier import GaussianMixtureClassifier
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.outlier_detector import GaussianMixtureOutlierDetector
from fastgmm.regressor import GaussianMixtureRegressor
from fastgmm.selection import GaussianMixtureSearch

__all__ = ["MODELS", "PROTOCOL", "answers_of", "record"]

#: That of Python 3.4: every later one reads it.
PROTOCOL = 4
SEED = {"random_state": 0}


def _stream(model, given):
    for part in np.array_split(given.X, 3):
        model.partial_fit(part)
    return model


def _to_last_column(model, given):
    return model.fit(given.X[:, :2], given.X[:, 2])


def _to_classes(model, given):
    return model.fit(given.X, np.array(["b", "a", "c", ""])[given.few_labels])


def _fit(model, given):
    return model.fit(given.X)


#: Estimator, arguments of `golden.datasets.data`, and how it is fitted.
MODELS = {
    "gaussian": (GaussianMixture(3, **SEED), ("blobs",), _fit),
    "gaussian_float32": (GaussianMixture(3, covariance_type="tied", **SEED), ("blobs", "float32"), _fit),
    "gaussian_family": (GaussianMixture(2, covariance_type="VEV", **SEED), ("faithful",), _fit),
    "gaussian_noise": (GaussianMixture(2, noise=0.08, **SEED), ("spoiled",), _fit),
    "gaussian_stream": (GaussianMixture(3, covariance_type="diag", init_params="hc", **SEED), ("blobs",), _stream),
    "bayesian": (BayesianGaussianMixture(n_components=3, **SEED), ("blobs",), _fit),
    "bayesian_stream": (BayesianGaussianMixture(n_components=3, init_params="hc", **SEED), ("blobs",), _stream),
    "classifier": (GaussianMixtureClassifier(**SEED), ("blobs",), _to_classes),
    "detector": (GaussianMixtureOutlierDetector(2, n_simulations=200, **SEED), ("spoiled",), _fit),
    "detector_noise": (GaussianMixtureOutlierDetector(1, robust="noise", **SEED), ("spoiled",), _fit),
    "regressor": (GaussianMixtureRegressor(2, **SEED), ("blobs",), _to_last_column),
    "search": (GaussianMixtureSearch([1, 2], ["EII", "VVV"], **SEED), ("faithful",), _fit),
}


def answers_of(name, model):
    """Return what a model answers, a dict of lists, and where it is a stream, where it goes from here."""
    given = data(*MODELS[name][1])
    rows = given.asked[:, : model.n_features_in_]
    methods = ("predict", "predict_proba", "score_samples", "pvalue", "predict_covariance", "decision_function")
    answers = {method: getattr(model, method)(rows).tolist() for method in methods if hasattr(model, method)}
    # Those it was made with: defaults may be others by now, and parameters more.
    answers["parameters"] = {name: repr(value) for name, value in model.get_params(deep=False).items()}
    if name.endswith("stream"):
        answers["counts"] = model.statistics_.counts.tolist()
        answers["means after another batch"] = model.partial_fit(given.X[:60]).means_.tolist()
    if name == "gaussian_noise":
        answers["box"] = [model.noise_box_.low.tolist(), model.noise_box_.high.tolist()]
    return answers


def record(folder):
    """Write every model to a folder, and return what they answer."""
    answers = {}
    for name, (model, where, fit) in MODELS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = fit(model, data(*where))
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(fitted, protocol=PROTOCOL))
        answers[name] = answers_of(name, fitted)
    return answers
