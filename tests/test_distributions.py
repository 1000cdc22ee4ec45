"""Student t components inside the classifier, the outlier detector and the regressor."""

import pickle

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import f, multivariate_t

from fastgmm import (
    GaussianMixtureClassifier,
    GaussianMixtureOutlierDetector,
    GaussianMixtureRegressor,
    StudentMixture,
)
from fastgmm.data import batches
from fastgmm.persistence import load, save
from fastgmm.selection import bootstrap_lrt, bootstrap_parameters

HEAVY = {"distribution": "student"}


def two_classes(n=400, seed=0):
    rng = np.random.default_rng(seed)
    parts = [
        multivariate_t([0.0, 0.0], [[1.0, 0.5], [0.5, 2.0]], 3.0, seed=rng).rvs(n),
        multivariate_t([5.0, 2.0], [[2.0, -0.5], [-0.5, 1.0]], 8.0, seed=rng).rvs(n),
    ]
    return np.concatenate(parts), np.repeat(["a", "b"], n)


def curve(n=500, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3, 3, n)
    return x[:, None], np.abs(x) + 0.1 * rng.standard_t(3.0, n)


def kept(model, path):
    save(model, path / "model.npz")
    return load(path / "model.npz"), pickle.loads(pickle.dumps(model))


# The classifier.


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("name", ["full", "tied", "VVE", "diag"])
def test_a_class_of_labelled_rows_is_a_student_mixture_of_them(name, shared):
    X, y = two_classes()
    options = {"covariance_type": name, "tol": 1e-7, "max_iter": 2000, "reg_covar": 0.0}
    model = GaussianMixtureClassifier(shared_covariance=shared, **HEAVY, **options).fit(X, y)
    if not shared or name in ("full", "diag"):
        for c in (0, 1):
            own = StudentMixture(**{**options, "tol": 1e-10}).fit(X[y == model.classes_[c]])
            assert_allclose(model.df_[c], own.df_[0], rtol=1e-2)
            assert_allclose(model.means_[c], own.means_[0], atol=1e-3)
            matrix = own.scales_ if own.scales_.shape == model.scales_.shape[1:] else own.scales_[0]
            assert_allclose(model.scales_[c], matrix, rtol=2e-2, atol=1e-3)
    bounds = np.diff(model.lower_bounds_)
    assert bounds.min() >= -1e-10
    assert model.df_.shape == (2,)


def test_unlabelled_rows_help_and_outliers_do_not_move_a_class(tmp_path):
    X, y = two_classes()
    far = np.random.default_rng(1).uniform(30, 90, size=(20, 2))
    spoilt, labels = np.concatenate([X, far]), np.concatenate([y, ["a"] * 20])
    labels[::3] = ""
    heavy, light = (GaussianMixtureClassifier(random_state=0, **options).fit(spoilt, labels) for options in (HEAVY, {}))
    assert np.abs(heavy.means_[0]).max() < 0.3 < np.abs(light.means_[0]).max()
    assert heavy.score(X, y) > light.score(X, y)
    assert_allclose(heavy.predict_proba(X).sum(axis=1), 1.0)
    from_source = GaussianMixtureClassifier(random_state=0, **HEAVY).fit(
        batches(lambda: iter([{"X": spoilt, "y": labels}]))
    )
    assert_allclose(from_source.df_, heavy.df_, rtol=1e-6)
    for other in kept(heavy, tmp_path):
        assert_array_equal(other.predict_proba(X), heavy.predict_proba(X))
    assert "degrees of freedom" in heavy.summary(X)
    heavy.plot(X, y, ax=Figure().subplots())


def test_sizes_and_types_are_chosen_by_bic_of_tails():
    X, y = two_classes()
    model = GaussianMixtureClassifier("bic", covariance_type=["tied", "full"], random_state=0, **HEAVY).fit(X, y)
    # A normal mixture explains the tails by a wide component.
    assert len(model.means_) == 2 < len(GaussianMixtureClassifier("bic", random_state=0).fit(X, y).means_)
    n_parameters = {"tied": 3, "full": 6}[model.covariance_type_] + 4 + 1 + 2
    total = model.lower_bound_ * len(X)
    assert model.bic_ == pytest.approx(-2 * total + n_parameters * np.log(len(X)))


def test_shrinkage_of_tails_is_refused():
    with pytest.raises(ValueError, match="shrinkage is 2 and distribution 'student'"):
        GaussianMixtureClassifier(shrinkage=2.0, **HEAVY).fit(*two_classes())


# The detector.


@pytest.mark.parametrize("robust", ["trimming", "noise", None])
def test_p_values_of_regular_rows_are_uniform_under_heavy_tails(robust, tmp_path):
    X, _ = two_classes(2000)
    # A background would take the rows of the tails.
    model = GaussianMixtureOutlierDetector(2, robust=robust, random_state=0, tol=1e-5, **HEAVY).fit(X)
    assert isinstance(model.mixture_, StudentMixture)
    if robust != "noise":
        p = model.pvalue(two_classes(2000, seed=1)[0])
        for level in (0.01, 0.1, 0.5):
            assert np.mean(p < level) == pytest.approx(level, abs=3.5 * np.sqrt(level / 4000) + 0.01 * level)
        normal = GaussianMixtureOutlierDetector(2, robust=robust, random_state=0).fit(X).pvalue(X)
        assert np.mean(normal < 0.01) > 2 * np.mean(p < 0.01)
    for other in kept(model, tmp_path):
        assert_array_equal(other.pvalue(X), model.pvalue(X))
    assert "threshold" in model.summary(X)


def test_one_component_has_exact_p_values():
    X = multivariate_t([1.0, 2.0], [[1.0, 0.3], [0.3, 1.0]], 4.0, seed=0).rvs(1000)
    model = GaussianMixtureOutlierDetector(1, significance=0.05, random_state=0, **HEAVY).fit(X)
    squares, df = model.mixture_.mahalanobis(X)[:, 0] ** 2, model.mixture_.df_[0]
    assert_allclose(model.pvalue(X), f(2, df).sf(squares / 2), rtol=1e-10)
    assert_array_equal(model.predict(X) == -1, model.pvalue(X) < 0.05)
    assert np.mean(model.predict(X) == -1) == pytest.approx(0.05, abs=0.02)


# The regressor.


def test_outliers_hardly_move_the_line_and_the_spread_has_tails(tmp_path):
    X, y = curve()
    spoilt = y.copy()
    spoilt[::25] += 40.0
    options = {"n_components": 2, "random_state": 0, "tol": 1e-6, "max_iter": 1000}
    heavy, light = (GaussianMixtureRegressor(**options, **more).fit(X, spoilt) for more in (HEAVY, {}))
    grid = np.linspace(-2.5, 2.5, 21)[:, None]
    wrong = [np.abs(model.predict(grid) - np.abs(grid[:, 0])).max() for model in (heavy, light)]
    assert wrong[0] < 0.4 < wrong[1]
    # The density of the target integrates to one; its draws and the mixture of a row are those of t components.
    values = np.linspace(-300, 300, 400_001)
    density = np.exp(heavy.log_density(np.repeat([[1.0]], len(values), axis=0), values))
    assert np.trapezoid(density, values) == pytest.approx(1.0, abs=5e-3)
    conditional = heavy.condition([[1.0]])
    assert isinstance(conditional[0], StudentMixture)
    assert_allclose(conditional[0].score_samples(values[:5, None]), np.log(density[:5]), rtol=1e-9)
    assert heavy.predict_covariance(grid).shape == (21,)
    assert np.median(heavy.sample(np.full((4000, 1), 1.0), random_state=0)) == pytest.approx(1.0, abs=0.2)
    for other in kept(heavy, tmp_path):
        assert_array_equal(other.predict(grid), heavy.predict(grid))
    assert "degrees of freedom" in heavy.summary()


def test_an_unknown_distribution_is_refused():
    X, _ = two_classes(50)
    for cls in (GaussianMixtureClassifier, GaussianMixtureOutlierDetector, GaussianMixtureRegressor):
        with pytest.raises(ValueError, match="'distribution' parameter"):
            cls(distribution="cauchy").fit(X, np.arange(100) % 2)


# The bootstrap.


@pytest.mark.parametrize("kind", ["nonparametric", "parametric", "weighted"])
def test_tails_have_standard_errors(kind):
    X, _ = two_classes(300)
    model = StudentMixture(2, random_state=0, tol=1e-6, max_iter=500).fit(X)
    found = bootstrap_parameters(model, X, kind=kind, n_bootstrap=12, random_state=0)
    assert found.df.shape == (12, 2)
    low, high = found.intervals(0.9)["df"]
    assert (low <= model.df_ * 1.2).all()
    assert (model.df_ <= high * 1.2).all()
    assert_allclose(found.covariances.mean(axis=0), model.scales_, atol=0.6)
    assert set(found.standard_errors()) == {"weights", "means", "covariances", "df"}


def test_heavy_tails_are_one_component_in_a_test_of_sizes():
    X = multivariate_t([0.0], [[1.0]], 3.0, seed=0).rvs(300).reshape(-1, 1)
    options = {"n_bootstrap": 19, "random_state": 0, "tol": 1e-4}
    assert bootstrap_lrt(X, "V", distribution="student", **options).chosen_n_components == 1
    assert bootstrap_lrt(X, "V", max_components=2, **options).p_values[0] <= 0.05
    with pytest.raises(ValueError, match="distribution is 'cauchy'"):
        bootstrap_lrt(X, distribution="cauchy")
