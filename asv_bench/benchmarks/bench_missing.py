"""Rows with missing values: a pass over a few patterns, or one to each row, beside one over complete rows."""

import warnings

import numpy as np

from benchmarks.peers.incomplete import em_iteration
from fastgmm import GaussianMixture, GaussianMixtureImputer, StudentMixture, config_context
from fastgmm.data import ArrayRows
from fastgmm.data.e_steps import Incomplete, Plain
from fastgmm.families import Gaussian, get_covariance
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


class MissingTail:
    """One pass over rows of their own patterns under t components, and beside a background."""

    params = ("student", "background")
    param_names = ("kind",)

    def setup(self, kind):
        rng = np.random.default_rng(0)
        means = rng.normal(scale=0.5, size=(8, 16))
        X = with_holes(means[rng.integers(8, size=20_000)] + rng.normal(size=(20_000, 16)), "one a row", rng)
        estimator = StudentMixture if kind == "student" else GaussianMixture
        options = {} if kind == "student" else {"noise": 0.05}
        with config_context(n_threads=1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = estimator(8, missing="marginalise", max_iter=30, random_state=0, **options).fit(X)
        family = model._fitted_family()
        self.density = family.density(family.state(vars(model)))
        self.passes = Incomplete(Plain()).prepare(ArrayRows(X))
        self.time_pass(kind)

    def time_pass(self, kind):
        with config_context(n_threads=1):
            self.passes.accumulate(self.density)


class MissingPeer:
    """Five iterations from one start: fastgmm, and EM in vectorised NumPy."""

    params = ("fastgmm", "numpy")
    param_names = ("peer",)

    def setup(self, peer):
        rng = np.random.default_rng(0)
        self.means = rng.normal(scale=0.5, size=(8, 16))
        X = self.means[rng.integers(8, size=10_000)] + rng.normal(size=(10_000, 16))
        self.X = with_holes(X, "one a row", rng)
        self.passes, self.family = Incomplete(Plain()).prepare(ArrayRows(self.X)), Gaussian(get_covariance("full"))
        self.time_iterations(peer)

    def time_iterations(self, peer):
        state = np.full(8, 1 / 8), self.means, np.tile(np.eye(16), (8, 1, 1))
        if peer == "numpy":
            for _ in range(5):
                *state, _ = em_iteration(self.X, *state)
            return state
        shape = get_shape("full")
        state = MixtureParameters("full", *state, shape.factorise(state[2]))
        with config_context(n_threads=1):
            for _ in range(5):
                state = self.family.maximise(self.passes.accumulate(state), state)
        return state.weights, state.means, state.covariances


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
