"""Types that a program under ``mypy --strict`` sees; ci/lint.sh checks this file, nothing runs it."""

from typing import assert_type

import numpy as np

import fastgmm
from fastgmm import (
    BayesianGaussianMixture,
    GaussianMixture,
    GaussianMixtureClassifier,
    GaussianMixtureOutlierDetector,
    GaussianMixtureRegressor,
    GaussianMixtureSearch,
)

X = np.zeros((10, 2))
y = np.zeros(10)

model = assert_type(GaussianMixture(3, covariance_type="VEV", random_state=0).fit(X), GaussianMixture)
assert_type(model.partial_fit(X), GaussianMixture)
assert_type(model.fit_predict(X), np.ndarray)
assert_type(model.predict(X), np.ndarray)
assert_type(model.predict_proba(X), np.ndarray)
assert_type(model.score_samples(X), np.ndarray)
assert_type(model.score(X), float)
assert_type(model.sample(5), tuple[np.ndarray, np.ndarray])
assert_type(model.bic(X), float)
assert_type(model.summary(X), str)
assert_type(model.scorer().predict_proba(X), np.ndarray)
assert_type(GaussianMixture.from_parameters([1.0], [[0.0]], [[[1.0]]]), GaussianMixture)
assert_type(BayesianGaussianMixture(n_components=3).fit(X), BayesianGaussianMixture)

search = assert_type(GaussianMixtureSearch(range(1, 4), ["full", "VEV"]).fit(X), GaussianMixtureSearch)
assert_type(search.predict(X), np.ndarray)
assert_type(GaussianMixtureClassifier().fit(X, y), GaussianMixtureClassifier)
assert_type(GaussianMixtureOutlierDetector().fit(X).pvalue(X), np.ndarray)
assert_type(GaussianMixtureRegressor().fit(X, y).predict(X), np.ndarray)

fastgmm.save(model, "model.npz")
fastgmm.load("model.npz").predict(X)
