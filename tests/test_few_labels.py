"""A classifier whose labels are few chooses its covariances and tails by itself."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

import fastgmm
from fastgmm import GaussianMixtureClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def wine(n_labels, seed=0):
    """Return standardised rows, the labels of a few of each class, and those of all."""
    X, y = load_wine(return_X_y=True)
    rng = np.random.default_rng(seed)
    known = np.full(len(y), -1)
    for c in range(3):
        chosen = rng.choice(np.flatnonzero(y == c), n_labels, replace=False)
        known[chosen] = c
    return StandardScaler().fit_transform(X), known, y


def test_one_label_of_each_class_is_enough_for_wine():
    accuracy = []
    for seed in range(5):
        X, known, y = wine(1, seed)
        accuracy.append(GaussianMixtureClassifier().fit(X, known).score(X, y))
    # One full covariance per class has 0.6 here, and LabelSpreading 0.85.
    assert np.mean(accuracy) > 0.92


def test_one_feature_is_enough():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 100)
    X = (rng.normal(size=200) + 6.0 * y)[:, None]
    known = np.where(np.arange(200) % 100 == 0, y, -1)
    assert GaussianMixtureClassifier().fit(X, known).score(X, y) > 0.98


def test_the_fit_with_the_lowest_bic_is_taken():
    X, known, _ = wine(2)
    model = GaussianMixtureClassifier().fit(X, known)
    for heavy in (False, True):
        options = {"distribution": "student"} if heavy else {"shrinkage": X.shape[1] / 2}
        for name in ("EEI", "tied", "full"):
            other = GaussianMixtureClassifier(covariance_type=name, **options).fit(X, known)
            assert model.bic_ <= other.bic_ + 1e-9


@pytest.mark.parametrize("given", [{"distribution": "normal"}, {"distribution": "student"}, {"shrinkage": 3.0}])
def test_what_is_given_is_kept(given):
    X, known, _ = wine(1)
    model = GaussianMixtureClassifier(**given).fit(X, known)
    assert hasattr(model, "df_") == (given.get("distribution") == "student")


def test_many_labels_and_no_other_rows_give_one_full_covariance_per_class():
    X, known, y = wine(26)
    for labels, options in ((known, {}), (y, {}), (wine(5)[1], {"unlabelled_weight": 0.0})):
        plain = GaussianMixtureClassifier(covariance_type="full", distribution="normal", **options).fit(X, labels)
        default = GaussianMixtureClassifier(**options).fit(X, labels)
        assert default.covariance_type_ == "full"
        assert_array_equal(default.covariances_, plain.covariances_)


def test_predictions_do_not_depend_on_units():
    X, known, _ = wine(1)
    units = 2.0 ** np.arange(-6, 7)
    plain = GaussianMixtureClassifier(random_state=0).fit(X, known)
    scaled = GaussianMixtureClassifier(random_state=0).fit(X * units, known)
    assert plain.covariance_type_ == scaled.covariance_type_
    assert_array_equal(plain.predict(X), scaled.predict(X * units))


def test_a_whole_weight_is_a_repeated_row():
    X, known, _ = wine(2)
    weight = np.random.default_rng(0).integers(1, 3, size=len(X))
    weighted = GaussianMixtureClassifier().fit(X, known, sample_weight=weight)
    repeated = GaussianMixtureClassifier().fit(np.repeat(X, weight, axis=0), np.repeat(known, weight))
    assert weighted.covariance_type_ == repeated.covariance_type_
    assert_allclose(weighted.means_, repeated.means_, atol=1e-3)


def test_weights_that_sum_to_one_choose_nothing():
    X, known, _ = wine(2)
    model = GaussianMixtureClassifier(reg_covar=0.01).fit(X, known, sample_weight=np.full(len(X), 1 / len(X)))
    assert model.covariance_type_ == "full"


def test_the_choice_survives_a_file(tmp_path):
    X, known, _ = wine(1)
    model = GaussianMixtureClassifier().fit(X, known)
    assert hasattr(model, "df_"), "t components have the lowest BIC here"
    assert "t components" in str(model.summary())
    fastgmm.save(model, tmp_path / "model.npz")
    assert_array_equal(fastgmm.load(tmp_path / "model.npz").predict_proba(X), model.predict_proba(X))


def test_choice_is_the_same_from_a_source():
    X, known, _ = wine(2)
    from_rows = GaussianMixtureClassifier().fit(X, known)
    from_source = GaussianMixtureClassifier().fit(fastgmm.data.sliced(X, y=known))
    assert_allclose(from_source.means_, from_rows.means_, rtol=1e-6, atol=1e-8)
