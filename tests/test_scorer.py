"""The frozen scorer of servers: the model's own answers, whatever happens to the model."""

import pickle
import threading

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastgmm import BayesianGaussianMixture, GaussianMixture


@pytest.fixture(params=["full", "tied", "diag", "spherical"])
def fitted(request):
    X = np.random.default_rng(0).normal(size=(3000, 5))
    X[::2] += 2
    return X, GaussianMixture(3, covariance_type=request.param, random_state=0).fit(X)


def test_answers_are_the_models(fitted):
    X, model = fitted
    scorer = model.scorer()
    for rows in (X, X[:1]):
        assert_array_equal(scorer.predict(rows), model.predict(rows))
        assert_array_equal(scorer.predict_proba(rows), model.predict_proba(rows))
        assert_array_equal(scorer.score_samples(rows), model.score_samples(rows))
    out = np.empty((3000, 3))
    assert scorer.predict_proba(X, out=out) is out
    assert_array_equal(out, model.predict_proba(X))
    single = model.scorer(dtype="float32").score_samples(X.astype(np.float32))
    assert single.dtype == np.float32
    assert_allclose(single, model.score_samples(X), rtol=1e-4)


def test_scorers_are_frozen(fitted):
    X, model = fitted
    scorer = model.scorer()
    before = scorer.score_samples(X)
    model.means_ += 1
    model.fit(X * 3)
    assert_array_equal(scorer.score_samples(X), before)
    assert_array_equal(pickle.loads(pickle.dumps(scorer)).score_samples(X), before)
    with pytest.raises(AttributeError, match="a Scorer is frozen"):
        scorer.n_features = 4


def test_many_threads_share_one(fitted):
    X, model = fitted
    scorer = model.scorer()
    expected, wrong = scorer.predict_proba(X), []

    def work():
        for n in range(200):
            if not np.array_equal(scorer.predict_proba(X[n : n + 1]), expected[n : n + 1]):
                wrong.append(n)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([[0.0] * 5], TypeError, "X is of type list; expected a C-contiguous array of float64"),
        (np.zeros((2, 4)), ValueError, r"X has shape \(2, 4\)"),
        (np.zeros(5), ValueError, r"X has shape \(5,\)"),
        (np.zeros((2, 5), np.float32), TypeError, "X has dtype float32"),
        (np.full((3, 5), np.nan), ValueError, "NaN or infinity in row 0"),
        (np.zeros((4, 10))[:, ::2], ValueError, "contiguous"),
    ],
)
def test_wrong_rows(fitted, rows, error, message):
    scorer = fitted[1].scorer()
    for method in (scorer.predict, scorer.predict_proba, scorer.score_samples):
        with pytest.raises(error, match=message):
            method(rows)


def test_wrong_out(fitted):
    X, model = fitted
    with pytest.raises(ValueError, match=r"out has shape \(7,\)"):
        model.scorer().score_samples(X, out=np.empty(7))


def test_models_that_are_no_gaussian_mixture_say_so():
    X = np.random.default_rng(1).normal(size=(100, 2))
    with pytest.raises(ValueError, match="background or predicts with Student-t"):
        GaussianMixture(2, noise=0.1, random_state=0).fit(X).scorer()
    with pytest.raises(ValueError, match="background or predicts with Student-t"):
        BayesianGaussianMixture(predictive="student-t").fit(X).scorer()
