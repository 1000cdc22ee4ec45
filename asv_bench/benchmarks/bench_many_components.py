"""Mixtures of many components: the truncated pass beside the exact one, and the start."""

import warnings

import numpy as np

from fastgmm import GaussianMixture

SPREADS = {"apart": 20.0, "overlapping": 2.0}


class ManyComponents:
    """A fit of ten iterations from rows of the data, of 16 features."""

    params = (("truncated", "exact"), (250, 1000, 4000), ("diag", "full"), tuple(SPREADS))
    param_names = ("responsibilities", "n_components", "covariance_type", "components")
    timeout = 900

    def setup(self, responsibilities, n_components, covariance_type, components):
        if responsibilities == "exact" and n_components > 1000:
            raise NotImplementedError
        rng = np.random.default_rng(0)
        centres = rng.normal(scale=SPREADS[components], size=(n_components, 16))
        self.X = centres[rng.integers(n_components, size=100_000)] + rng.normal(size=(100_000, 16))
        self.model = GaussianMixture(
            n_components,
            covariance_type=covariance_type,
            responsibilities=responsibilities,
            means_init=centres,
            precisions_init=np.ones((n_components, 16))
            if covariance_type == "diag"
            else np.tile(np.eye(16), (n_components, 1, 1)),
            weights_init=np.full(n_components, 1 / n_components),
            max_iter=10,
            tol=0.0,
            acceleration=None,
            random_state=0,
        )

    def time_ten_iterations(self, *_):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.model.fit(self.X)


class ManyComponentsAnswers:
    """Exact answers about 100,000 rows of a mixture of many components, of 2 and of 16 features."""

    params = ((1000, 5000), (2, 16), ("diag", "full"), tuple(SPREADS))
    param_names = ("n_components", "n_features", "covariance_type", "components")
    timeout = 900

    def setup(self, n_components, n_features, covariance_type, components):
        rng = np.random.default_rng(0)
        # As far apart in the plane as there are more of them in less room.
        spread = SPREADS[components] * (n_components**0.5 / 4 if n_features == 2 else 1.0)
        centres = rng.normal(scale=spread, size=(n_components, n_features))
        self.X = centres[rng.integers(n_components, size=100_000)] + rng.normal(size=(100_000, n_features))
        scales = np.ones((n_components, n_features))
        self.model = GaussianMixture.from_parameters(
            np.full(n_components, 1 / n_components),
            centres,
            scales if covariance_type == "diag" else np.tile(np.eye(n_features), (n_components, 1, 1)),
            covariance_type=covariance_type,
        )

    def time_score_samples(self, *_):
        self.model.score_samples(self.X)

    def time_predict(self, *_):
        self.model.predict(self.X)
