"""A name that is none is told with the nearest one, and names are listed in the same order in every process."""

import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.utils._param_validation import InvalidParameterError

from fastgmm import GaussianMixture, GaussianMixtureClassifier, GaussianMixtureSearch, StudentMixture, set_config

X = np.random.default_rng(0).normal(size=(30, 2))


@pytest.mark.parametrize(
    ("estimator", "proposal"),
    [
        (GaussianMixture(2, covariance_type="ful"), "full"),
        (GaussianMixture(2, covariance_type="vev"), "VEV"),
        (GaussianMixture(2, init_params="kmean"), "kmeans"),
        (StudentMixture(2, covariance_type="Spherical"), "spherical"),
        (GaussianMixtureClassifier(covariance_type="diagonal"), "diag"),
    ],
)
def test_scikit_learns_words_stay_and_a_note_proposes(estimator, proposal):
    with pytest.raises(InvalidParameterError, match=r"must be a str among \{.*\}.* Got '.*' instead\.") as error:
        estimator.fit(X, X[:, 0] > 0)
    assert str(error.value).endswith(" instead.")
    assert error.value.__notes__ == [f"Did you mean {proposal!r}?"]


@pytest.mark.parametrize(
    ("call", "proposal"),
    [
        (lambda: GaussianMixture(2).fit(X).plot(X, kind="cluster"), "clusters"),
        (lambda: GaussianMixtureSearch(2, "vev").fit(X), "VEV"),
        (lambda: GaussianMixtureSearch(2, init_params="hcc").fit(X), "hc"),
        (lambda: GaussianMixtureSearch(2, criterion="BIC").fit(X), "bic"),
        (lambda: GaussianMixtureSearch(2, distribution="stduent").fit(X), "student"),
        (lambda: set_config(engine="nmba"), "numba"),
    ],
)
def test_our_own_errors_propose_in_their_text(call, proposal):
    with pytest.raises(ValueError, match=rf"\(did you mean '{proposal}'\?\); expected"):
        call()


def test_what_is_like_nothing_is_proposed_nothing_for():
    with pytest.raises(InvalidParameterError) as error:
        GaussianMixture(2, init_params="zzz").fit(X)
    assert not getattr(error.value, "__notes__", [])


def test_names_are_listed_in_one_order_the_usual_ones_first():
    code = (
        "import numpy, fastgmm\n"
        "try: fastgmm.GaussianMixture(covariance_type='x', init_params='kmeans').fit(numpy.eye(2))\n"
        "except ValueError as error: print(error)"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-P", "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1
    assert "among {'full', 'tied', 'diag', 'spherical', 'EII', " in texts.pop()
