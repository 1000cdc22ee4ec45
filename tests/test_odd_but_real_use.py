"""Ways of use that public programs have: names, masks, missing labels, callables, subclasses."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureOutlierDetector
from fastgmm.datasets import load_faithful
from fastgmm.selection import bootstrap_lrt

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

NAMES = ["eruptions", "waiting"]


@pytest.fixture(scope="module")
def X():
    return load_faithful()


@pytest.fixture(scope="module")
def three():
    rng = np.random.default_rng(0)
    return rng.normal(size=(90, 3)) + np.repeat([[0.0], [4.0], [9.0]], 30, axis=0)


# Names.


def pandas_frame(X, names):
    return pd.DataFrame(X, columns=names)


def polars_frame(X, names):
    return pl.DataFrame(X, schema=names)


@pytest.mark.parametrize("frame", [pandas_frame, polars_frame])
def test_values_to_condition_on_are_checked_by_name(frame, three):
    model = GaussianMixture(2, random_state=0).fit(pd.DataFrame(three, columns=["a", "b", "c"]))
    expected = model.condition(["a", "b"], three[:5, :2]).mean()
    assert_allclose(model.condition(["a", "b"], frame(three[:5, :2], ["a", "b"])).mean(), expected)
    with pytest.raises(ValueError, match="values has columns b, a; expected a, b, in that order"):
        model.condition(["a", "b"], frame(three[:5, :2], ["b", "a"]))
    conditional = model.condition(["a", "b"], three[:5, :2])
    with pytest.raises(ValueError, match="values has columns x; expected c"):
        conditional.log_density(frame(three[:5, 2:], ["x"]))


def test_a_series_is_one_column(three):
    frame = pd.DataFrame(three, columns=["a", "b", "c"])
    model = GaussianMixture(2, random_state=0).fit(frame)
    expected = model.condition("b", three[:7, 1:2]).mean()
    for values in (frame["b"][:7], pl.Series("b", three[:7, 1]), three[:7, 1], three[:7, 1].tolist()):
        assert_allclose(model.condition("b", values).mean(), expected)
    with pytest.raises(ValueError, match="values has columns c; expected b"):
        model.condition("b", frame["c"])


def test_draws_of_conditionals_are_counted_first(three):
    conditional = GaussianMixture(2, random_state=0).fit(three).condition(0, [[0.0], [9.0]])
    assert conditional.sample().shape == (2, 2)
    draws = conditional.sample(20_000, random_state=1)
    assert draws.shape == (2, 20_000, 2)
    # A standard error of a hundredth and less.
    assert_allclose(draws.mean(axis=1), conditional.mean(), atol=0.05)
    with pytest.raises(ValueError, match="n_samples is 0; expected a positive int"):
        conditional.sample(0)


# Memberships and labels.


def starts_of(groups):
    numbers = pd.Series(groups, dtype="Int64")
    numbers[::7] = pd.NA
    hidden = np.array(groups)
    hidden[::7] = -1
    with_nan = np.array(groups, dtype=float)
    with_nan[::7] = np.nan
    dummies = pd.get_dummies(pd.Series(groups))
    dummies.loc[::7] = False
    objects = np.array(groups, dtype=object)
    objects[::7] = None
    return hidden, [numbers, with_nan, dummies, objects, pl.Series([None if h < 0 else int(h) for h in hidden])]


def test_missing_memberships_are_unknown_however_they_are_written(three):
    hidden, others = starts_of(np.repeat([0, 1, 2], 30))
    for cls in (GaussianMixture, BayesianGaussianMixture):
        expected = cls(n_components=3, init_params=hidden).fit(three)
        for given in others:
            assert_array_equal(cls(n_components=3, init_params=given).fit(three).means_, expected.means_)


def test_missing_labels_are_unknown_however_they_are_written(three):
    hidden, others = starts_of(np.repeat([0, 1, 2], 30))
    expected = GaussianMixture(3, random_state=0).fit(three, labels=hidden)
    for given in others:
        assert_array_equal(GaussianMixture(3, random_state=0).fit(three, labels=given).means_, expected.means_)


def test_a_mask_is_a_start_of_two_components(X):
    mask = X[:, 1] > 70
    expected = GaussianMixture(2, init_params=mask.astype(int)).fit(X)
    assert_array_equal(GaussianMixture(2, init_params=mask).fit(X).means_, expected.means_)
    assert_array_equal(GaussianMixture(2, init_params=pd.Series(mask)).fit(X).means_, expected.means_)


def test_a_callable_starts_every_run(X):
    seen = []

    def start(rows, n_components, random_state):
        seen.append((rows.shape, n_components))
        return random_state.randint(n_components, size=len(rows))

    for cls in (GaussianMixture, BayesianGaussianMixture):
        seen.clear()
        model = cls(n_components=2, init_params=start, n_init=3, random_state=0, max_iter=500).fit(X)
        assert seen == [(X.shape, 2)] * 3
        assert model.converged_
    with pytest.raises(ValueError, match=r"init_params has shape \(3,\)"):
        GaussianMixture(2, init_params=lambda rows, n_components, random_state: [0, 1, 0]).fit(X)


# Subclasses, and what they would ask for.


@pytest.mark.parametrize(
    "hook", ["_m_step", "_e_step", "_estimate_log_prob", "_initialize_parameters", "_check_parameters"]
)
@pytest.mark.parametrize("cls", [GaussianMixture, BayesianGaussianMixture])
def test_hooks_that_would_never_be_called_are_refused_by_name(cls, hook):
    with pytest.raises(TypeError, match=f"Mine overrides {hook}, private to scikit-learn"):
        type("Mine", (cls,), {hook: lambda self: None})


def test_other_subclasses_are_welcome(X):
    class Named(GaussianMixture):
        def label(self):
            return f"{self.n_components} components"

    assert Named(2, random_state=0).fit(X).label() == "2 components"


@pytest.mark.parametrize("options", [{}, {"noise": 0.1}])
def test_densities_of_components_add_up_to_the_density(options, X, structure):
    model = GaussianMixture(2, covariance_type=structure, random_state=0, **options).fit(X)
    joint = model.component_log_density(X)
    assert joint.shape == (272, 2 + len(options))
    density = model.score_samples(X)
    assert_allclose(np.logaddexp.reduce(joint, axis=1), density, rtol=1e-12)
    assert_allclose(np.exp(joint - density[:, None]), model.predict_proba(X), atol=1e-12)


@pytest.mark.parametrize("predictive", ["variational", "student-t"])
def test_densities_of_components_of_a_posterior_add_up(predictive, X):
    model = BayesianGaussianMixture(n_components=2, predictive=predictive, random_state=0, max_iter=500).fit(X)
    joint = model.component_log_density(X)
    assert_allclose(np.logaddexp.reduce(joint, axis=1), model.score_samples(X), rtol=1e-12)


# Words.


def test_a_summary_counts_weights(X):
    model = GaussianMixture(2, random_state=0).fit(X)
    weight = np.random.default_rng(0).integers(1, 4, size=272)
    counted = model.summary(X, weight)
    assert counted == model.summary(np.repeat(X, weight, axis=0))
    assert counted != model.summary(X)
    detector = GaussianMixtureOutlierDetector(2, random_state=0).fit(X)
    assert f"of {weight.sum()} rows" in detector.summary(X, weight)


@pytest.mark.parametrize("criterion", ["aic", "bic", "icl"])
def test_a_posterior_says_what_to_compare_it_by(criterion, X):
    model = BayesianGaussianMixture(random_state=0).fit(X)
    assert not hasattr(model, criterion)
    with pytest.raises(AttributeError, match="compare models by elbo_"):
        getattr(model, criterion)


@pytest.mark.filterwarnings("ignore::fastgmm.exceptions.RegularisationWarning")
def test_finished_tests_are_kept_when_a_later_size_collapses():
    # Four distinct rows, many times over: a mixture of five has a component without spread.
    rng = np.random.default_rng(0)
    X = rng.permutation(np.repeat(np.r_[rng.normal(size=40), rng.normal(size=40) + 20.0], 2))[:, None]
    with pytest.raises(ValueError, match="n_components"):
        GaussianMixture(90, covariance_type="V", init_params="hc").fit(X)
    found = bootstrap_lrt(X[:4], "V", max_components=6, n_bootstrap=3, reg_covar=1e-2, random_state=0)
    assert 1 <= len(found.p_values) < 6
    assert f"{len(found.p_values) + 2} components: " in found.failure
