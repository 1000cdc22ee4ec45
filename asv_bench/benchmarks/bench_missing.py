"""Rows with missing values: a pass over a few patterns, or one to each row, beside one over complete rows."""

import warnings

import numpy as np

from fastgmm import GaussianMixture, GaussianMixtureImputer, config_context
from fastgmm.data import ArrayRows
from fastgmm.data.e_steps import Incomplete, Plain
from fastgmm.model import MixtureParameters, get_shape

SHARE = 0.3


def with_holes(X, patterns, rng):
    """Return rows of which a share of the values is missing, in so many patterns; None is one to each row."""
    if patterns == "complete":
        return X
    if patterns == "one a row":
        missing = rng.uniform(size=X.shape) < SHARE
    else:
        masks = rng.uniform(size=(int(patterns), X.shape[1])) < SHARE
        masks[0] = False
        missing = masks[rng.integers(len(masks), size=len(X))]
    missing[missing.all(axis=1), 0] = False
    return np.where(missing, np.nan, X)


class MissingPass:
    """One pass over overlapping components on one thread, its patterns found before."""

    params = (("full", "diag"), ("complete", "20", "one a row"))
    param_names = ("shape", "patterns")

    def setup(self, name, patterns):
        rng = np.random.default_rng(0)
        n_rows, n_features, n_components = (20_000 if patterns == "one a row" else 200_000), 16, 8
        means = rng.normal(scale=0.5, size=(n_components, n_features))
        X = means[rng.integers(n_components, size=n_rows)] + rng.normal(size=(n_rows, n_features))
        shape = get_shape(name)
        covariances = np.ones(shape.dims(n_components, n_features))
        if shape.is_matrix:
            covariances = 0.3 + 0.7 * np.broadcast_to(np.eye(n_features), covariances.shape)
        weights = np.full(n_components, 1 / n_components)
        self.mixture = MixtureParameters(name, weights, means, covariances, shape.factorise(covariances))
        e_step = Plain() if patterns == "complete" else Incomplete(Plain())
        self.passes = e_step.prepare(ArrayRows(with_holes(X, patterns, rng)))
        with config_context(n_threads=1):
            self.passes.accumulate(self.mixture)

    def time_pass(self, name, patterns):
        with config_context(n_threads=1):
            self.passes.accumulate(self.mixture)


class MissingFit:
    """A whole fit, and an imputer's, of rows that miss a third of their values at random."""

    def setup(self):
        rng = np.random.default_rng(1)
        means = rng.normal(scale=3.0, size=(4, 8))
        X = means[rng.integers(4, size=5000)] + rng.normal(size=(5000, 8))
        self.X = with_holes(X, "one a row", rng)

    def time_fit(self):
        with config_context(n_threads=1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            GaussianMixture(4, missing="marginalise", random_state=0).fit(self.X)

    def time_imputer(self):
        with config_context(n_threads=1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            GaussianMixtureImputer(4, random_state=0).fit_transform(self.X)
