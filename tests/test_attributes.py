"""What the docstring of an estimator says it has once it is fitted, it has, and nothing else."""

import inspect
import re

import numpy as np
import pytest
import sklearn.mixture

import fastgmm
from fastgmm import (
    BayesianGaussianMixture,
    GaussianMixture,
    GaussianMixtureClassifier,
    GaussianMixtureClusterer,
    GaussianMixtureFeatureSelector,
    GaussianMixtureOutlierDetector,
    GaussianMixtureRegressor,
    GaussianMixtureSearch,
    StudentMixture,
)
from fastgmm.data import batches

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

#: Attributes that a model has under a condition, which its docstring names.
WITH_NOISE = {"noise_weight_", "noise_box_"}
AFTER_PARTIAL_FIT = {"statistics_"}
WITH_NAMES = {"feature_names_in_"}
WITH_AUTO = {"reg_covar_"}
WITH_FACTORS = {"loadings_", "noise_variances_", "n_factors_"}
WITH_TRIM, WITH_TRUNCATED = {"trim_threshold_"}, {"truncation_gap_"}
WITH_TAILS = {"scales_", "df_"}


def documented(cls):
    """Return the names in the section Attributes of a class's docstring."""
    section = re.search(r"^Attributes\n-+\n(.*?)(?=^\w[^\n]*\n-+\n|\Z)", inspect.getdoc(cls), re.DOTALL | re.MULTILINE)
    entries = re.findall(r"^(\w[^:\n]*) : ", section[1], re.MULTILINE)
    return {name.strip() for entry in entries for name in entry.split(",")}


def assert_as_documented(model, *conditional):
    """Check that a model has all that its class documents and no other public fitted attribute."""
    under_conditions = (WITH_NOISE, AFTER_PARTIAL_FIT, WITH_NAMES, WITH_AUTO, WITH_FACTORS, WITH_TRIM, WITH_TRUNCATED)
    expected = documented(type(model)).difference(*under_conditions, {"moves_"})
    # Looked up, where it is not stored.
    expected -= {name for name in expected if isinstance(getattr(type(model), name, None), property)}
    if hasattr(model, "component_classes_"):
        expected -= WITH_TAILS
    for names in conditional:
        assert names <= documented(type(model))
        expected |= names
    found = {name for name in vars(model) if name.endswith("_") and not name.startswith("_")}
    assert found == expected


def rows():
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(size=(60, 2)), rng.normal(6.0, 1.0, size=(60, 2))])


FITTED = {
    "mixture": lambda X: GaussianMixture(2, random_state=0).fit(X),
    "student": lambda X: StudentMixture(2, random_state=0).fit(X),
    "variational": lambda X: BayesianGaussianMixture(n_components=2, random_state=0).fit(X),
    "search": lambda X: GaussianMixtureSearch([1, 2], ["EII", "VVV"], random_state=0).fit(X),
    "classifier": lambda X: GaussianMixtureClassifier(random_state=0).fit(X, np.repeat([0, 1], 60)),
    "clusterer": lambda X: GaussianMixtureClusterer(2, random_state=0).fit(X),
    "selector": lambda X: GaussianMixtureFeatureSelector(GaussianMixtureSearch([1, 2], ["EEE"])).fit(X),
    "detector": lambda X: GaussianMixtureOutlierDetector(2, random_state=0).fit(X),
    "regressor": lambda X: GaussianMixtureRegressor(2, random_state=0).fit(X, np.repeat([0.0, 1.0], 60)),
}


def test_all_estimators_are_here():
    public = {name: getattr(fastgmm, name) for name in fastgmm.__all__}
    transformers = {"GaussianMixtureImputer", "FisherVectorEncoder", "VLADEncoder"}
    estimators = {name for name, value in public.items() if hasattr(value, "fit")} - transformers
    assert {type(fit(rows())).__name__ for fit in FITTED.values()} == estimators


@pytest.mark.parametrize("name", FITTED)
def test_a_fit_sets_what_is_documented(name):
    assert_as_documented(FITTED[name](rows()))


@pytest.mark.parametrize("name", FITTED)
def test_a_fit_to_named_columns_sets_their_names_too(name):
    pd = pytest.importorskip("pandas")
    assert_as_documented(FITTED[name](pd.DataFrame(rows(), columns=["a", "b"])), WITH_NAMES)


@pytest.mark.parametrize("robust", ["trimming", "noise", None])
def test_mixtures_inside_other_estimators_have_what_a_mixture_has(robust):
    X = rows()
    assert_as_documented(GaussianMixtureOutlierDetector(2, robust=robust, random_state=0).fit(X).mixture_)
    assert_as_documented(FITTED["search"](X).best_estimator_)
    assert_as_documented(FITTED["regressor"](X).mixture_)


def test_a_model_of_known_parameters_has_what_a_fitted_one_has(tmp_path):
    model = GaussianMixture.from_parameters([0.5, 0.5], [[0.0, 1.0], [4.0, 2.0]], [np.eye(2)] * 2)
    assert_as_documented(model)
    assert (model.n_iter_, model.n_passes_, model.n_samples_seen_) == (0, 0, 0.0)
    assert (model.converged_, model.stopped_, model.lower_bounds_) == (False, False, [])
    assert model.lower_bound_ == -np.inf
    assert np.isnan(model.log_likelihood_gap_)
    assert_as_documented(model.marginal(0))
    assert_as_documented(model.condition(0, [1.0])[0])
    assert_as_documented(BayesianGaussianMixture(random_state=0).fit(rows()).marginal(0))
    fastgmm.save(model, tmp_path / "model.npz")
    assert_as_documented(fastgmm.load(tmp_path / "model.npz"))


@pytest.mark.parametrize("cls", [GaussianMixture, BayesianGaussianMixture])
def test_a_stream_sets_what_is_documented(cls):
    model = cls(n_components=2, random_state=0)
    for _ in range(2):
        assert_as_documented(model.partial_fit(rows()), AFTER_PARTIAL_FIT)
    known = GaussianMixture.from_parameters([0.5, 0.5], [[0.0, 0.0], [4.0, 2.0]], [np.eye(2)] * 2)
    assert_as_documented(known.partial_fit(rows()), AFTER_PARTIAL_FIT)


def test_a_background_and_a_source_set_what_is_documented():
    X = rows()
    noisy = GaussianMixture(2, noise=0.1, random_state=0)
    assert_as_documented(noisy.fit(X), WITH_NOISE)
    assert_as_documented(noisy.fit(batches(lambda: iter([X]))), WITH_NOISE)
    assert_as_documented(noisy.set_params(noise=None).fit(X))
    assert_as_documented(BayesianGaussianMixture(max_iter=0, random_state=0).fit(X))
    assert_as_documented(noisy.set_params(reg_covar="auto").fit(X), WITH_AUTO)
    assert_as_documented(noisy.set_params(reg_covar=0.0).fit(X))
    assert_as_documented(noisy.set_params(trim=0.1).fit(X), WITH_TRIM)
    assert_as_documented(noisy.set_params(trim=0.0).fit(X))
    heavy = GaussianMixtureClassifier(distribution="student", random_state=0).fit(X, np.repeat([0, 1], 60))
    assert_as_documented(heavy, WITH_TAILS)


@pytest.mark.parametrize("name", ["GaussianMixture", "BayesianGaussianMixture"])
def test_a_constructor_begins_with_scikit_learns(name):
    ours, theirs = (inspect.signature(getattr(module, name)).parameters for module in (fastgmm, sklearn.mixture))
    first = [(each.name, each.kind, each.default) for each in ours.values()][: len(theirs)]
    assert first == [(each.name, each.kind, each.default) for each in theirs.values()]
    assert all(each.kind is each.KEYWORD_ONLY for each in list(ours.values())[len(theirs) :])
