"""The detector where rows are few for their features: its threshold holds for rows it has not seen."""

import numpy as np
import pytest
from sklearn.base import clone

from fastgmm import GaussianMixtureOutlierDetector
from fastgmm.estimator import held_out_scores


def rows(n_samples, n_features=400, seed=0):
    rng = np.random.default_rng(0)
    loadings, noise = rng.normal(size=(n_features, 4)), rng.uniform(0.5, 2.0, size=n_features)
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_samples, 4))
    return factors @ loadings.T + noise * rng.normal(size=(n_samples, n_features))


@pytest.mark.parametrize("robust", [None, "trimming"])
def test_few_new_regular_rows_are_anomalies_and_anomalies_still_are(robust, monkeypatch):
    X, new = rows(200, seed=1), rows(1000, seed=2)
    X[:10] += 3.0 * np.random.default_rng(3).normal(size=(10, 400))
    options = {"covariance_type": "factor", "n_factors": 4, "robust": robust, "random_state": 0}
    model = GaussianMixtureOutlierDetector(1, significance=0.02, **options).fit(X)
    assert (model.predict(new) == -1).mean() < 0.06
    assert (model.predict(X[:10]) == -1).all()
    assert (model.predict(new + 1.5 * np.random.default_rng(4).normal(size=new.shape)) == -1).mean() > 0.95
    assert (model.pvalue(new) < 0.02).mean() < 0.06
    # What it is for: the model's own draws are not what new rows score.
    monkeypatch.setattr("fastgmm.outlier_detector.are_few", lambda *sizes: False)
    naive = clone(model).fit(rows(200, seed=1))
    assert (naive.predict(new) == -1).mean() > 0.1


def test_many_rows_and_given_shares_are_left_alone(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("nothing is held out")

    monkeypatch.setattr("fastgmm.outlier_detector.held_out_quantiles", refuse)
    rng = np.random.default_rng(0)
    GaussianMixtureOutlierDetector(2, random_state=0).fit(rng.normal(size=(300, 4)))
    options = {"covariance_type": "factor", "n_factors": 4, "robust": None, "random_state": 0}
    GaussianMixtureOutlierDetector(1, contamination=0.1, **options).fit(rows(60))


def test_draws_are_moved_and_stretched_to_the_quantiles():
    drawn = np.random.default_rng(0).normal(size=1000)
    found = held_out_scores.as_held_out(drawn, (-3.0, 1.0))
    assert np.quantile(found, [0.5, 0.9]) == pytest.approx([-3.0, 1.0])
    # Rows that score higher than draws change nothing.
    assert held_out_scores.as_held_out(drawn, (2.0, 2.1)) == pytest.approx(drawn, abs=0.1)
