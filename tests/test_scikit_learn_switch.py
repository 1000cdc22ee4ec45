"""A patched scikit-learn answers as an unpatched one, is the same class to everyone, and goes back."""

import copy
import logging
import os
import pickle
import subprocess
import sys
import types

import numpy as np
import pytest
import sklearn.mixture
import sklearn.mixture._gaussian_mixture as private_module
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

import fastgmm
from fastgmm import start_up
from fastgmm.scikit_learn.companions import ORIGINALS

pytestmark = pytest.mark.thread_unsafe(reason="the switch is the whole process's")

NAMES = sorted(ORIGINALS)
STARTS = ("kmeans", "k-means++", "random", "random_from_data")


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 3)) + 3.0 * rng.integers(0, 4, size=(300, 1))


@pytest.fixture
def patched():
    fastgmm.patch_sklearn()
    yield sklearn.mixture
    fastgmm.unpatch_sklearn()


def run_python(*arguments, cwd=None, **environment):
    environment = {**os.environ, **environment}
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=cwd, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def was_delegated(caplog):
    """Return whether nothing was left to scikit-learn's code while the log was watched."""
    return not [record for record in caplog.records if record.name == "fastgmm"]


def assert_same_model(ours, theirs):
    assert vars(ours).keys() == vars(theirs).keys()
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        # Rounding through some tens of iterations.
        assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-6, atol=1e-8, err_msg=name)
    assert (ours.n_iter_, ours.converged_) == (theirs.n_iter_, theirs.converged_)
    # Of the first bounds of a start at single rows, whose variances are `reg_covar` alone, rounding is amplified; and
    # scikit-learn's bounds of a tied posterior are arrays of one number.
    assert_allclose(np.ravel(ours.lower_bounds_)[1:], np.ravel(theirs.lower_bounds_)[1:], rtol=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("init_params", STARTS)
@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_same_model(name, init_params, structure, X, patched, caplog):
    caplog.set_level(logging.DEBUG)
    settings = {"n_components": 4, "covariance_type": structure, "init_params": init_params}
    theirs = ORIGINALS[name](random_state=3, **settings).fit(X)
    ours = getattr(patched, name)(random_state=3, **settings).fit(X)
    assert was_delegated(caplog)
    assert_same_model(ours, theirs)
    for method in (
        "predict",
        "predict_proba",
        "score_samples",
        "score",
        *(("aic", "bic") if hasattr(ours, "aic") else ()),
    ):
        ask = np.argmax if method == "predict" else np.asarray
        assert_allclose(ask(getattr(ours, method)(X)), ask(getattr(theirs, method)(X)), rtol=1e-6, atol=1e-8)
    assert was_delegated(caplog)
    generators = [np.random.RandomState(7) for _ in range(2)]
    labels = [
        cls(random_state=generator, **settings).fit_predict(X)
        for cls, generator in zip((getattr(patched, name), ORIGINALS[name]), generators, strict=True)
    ]
    assert_array_equal(*labels)
    assert generators[0].uniform() == generators[1].uniform(), "as many numbers were drawn"


def test_own_starts_are_taken_on_request(X):
    fastgmm.patch_sklearn(same_fits=False)
    try:
        asked = sklearn.mixture.GaussianMixture(4, random_state=0).fit(X)
    finally:
        fastgmm.unpatch_sklearn()
    assert_array_equal(asked.means_, fastgmm.GaussianMixture(4, random_state=0).fit(X).means_)


# What overrides something beneath a method runs scikit-learn's code.


def e_step(self, X, **options):
    log_density, log_resp = private_module.BaseMixture._e_step(self, X, **options)
    return log_density, 0.9 * log_resp


def log_weights(self, **options):
    return np.zeros(self.n_components)


OVERRIDES = {"_e_step": e_step, "_estimate_log_weights": log_weights}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("hook", OVERRIDES)
@pytest.mark.parametrize("where", ["subclass", "instance", "class", "mixin"])
def test_an_overridden_hook_is_called(hook, where, X, patched, monkeypatch):
    def made(cls):
        if where == "subclass":
            return type("Own", (cls,), {hook: OVERRIDES[hook]})(3, random_state=0)
        if where == "mixin":
            return type("Own", (type("Mixin", (), {hook: OVERRIDES[hook]}), cls), {})(3, random_state=0)
        model = cls(3, random_state=0)
        if where == "class":
            monkeypatch.setattr(cls, hook, OVERRIDES[hook])
        else:
            setattr(model, hook, types.MethodType(OVERRIDES[hook], model))
        return model

    ours = made(patched.GaussianMixture).fit(X)
    found = ours.predict_proba(X)
    theirs = made(ORIGINALS["GaussianMixture"]).fit(X)
    assert_array_equal(ours.means_, theirs.means_)
    assert_array_equal(found, theirs.predict_proba(X))


def test_public_methods_beneath_are_called(X, patched):
    class Negated(patched.GaussianMixture):
        def score_samples(self, X):
            return -super().score_samples(X)

        def fit_predict(self, X, y=None):
            return super().fit_predict(X[:50], y)

    model = Negated(3, random_state=0).fit(X)
    assert_same_model(model, ORIGINALS["GaussianMixture"](3, random_state=0).fit(X[:50]))
    assert model.score(X) == pytest.approx(-patched.GaussianMixture.score_samples(model, X).mean())


def test_private_functions_that_are_replaced_are_called(X, patched, monkeypatch):
    calls = []
    replaced = private_module._estimate_gaussian_parameters

    def counted(*arguments, **options):
        calls.append(1)
        return replaced(*arguments, **options)

    monkeypatch.setattr(private_module, "_estimate_gaussian_parameters", counted)
    model = patched.GaussianMixture(3, random_state=0).fit(X)
    assert len(calls) == model.n_iter_ + 1


def test_private_methods_work_on_a_delegated_fit(X, patched):
    model = patched.GaussianMixture(3, random_state=0).fit(X)
    assert model._n_parameters() == 3 * (6 + 3) + 2
    assert_allclose(model._estimate_weighted_log_prob(X).argmax(axis=1), model.predict(X))
    patched.GaussianMixture._initialize(model, X, np.eye(3)[model.predict(X)])


def test_a_fit_of_another_objects_attributes(X, patched):
    """Unbound private methods on a self that is no mixture, as stepmix calls them."""
    borrowed = types.SimpleNamespace(weights_=np.array([0.25, 0.75]))
    assert_allclose(patched.GaussianMixture._estimate_log_weights(borrowed), np.log([0.25, 0.75]))


# Attributes that no fit sets are read by scikit-learn's code.


def lower(model):
    model.precisions_cholesky_ = np.swapaxes(model.precisions_cholesky_, 1, 2)


def rows_of_weights(model):
    model.weights_ = np.random.default_rng(0).dirichlet([1.0, 1.0, 1.0], size=300)


def listed(model):
    model.weights_ = list(model.weights_)


def signed(model):
    model.precisions_cholesky_ = -model.precisions_cholesky_


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("change", [lower, rows_of_weights, listed, signed])
def test_attributes_set_by_hand_mean_what_they_mean_to_scikit_learn(change, X, patched):
    models = [cls(3, random_state=0).fit(X) for cls in (patched.GaussianMixture, ORIGINALS["GaussianMixture"])]
    for model in models:
        change(model)
    assert_allclose(models[0].score_samples(X), models[1].score_samples(X), rtol=1e-8)
    assert_array_equal(models[0].predict(X), models[1].predict(X))


def test_a_model_put_together_by_hand(X, patched, caplog):
    caplog.set_level(logging.DEBUG)
    fitted = ORIGINALS["GaussianMixture"](3, random_state=0).fit(X)
    model = patched.GaussianMixture(3)
    for name in ("weights_", "means_", "precisions_cholesky_"):
        setattr(model, name, getattr(fitted, name))
    assert_allclose(model.score_samples(X), fitted.score_samples(X), rtol=1e-10)
    assert was_delegated(caplog)


# What is refused.


def test_what_fastgmm_refuses_falls_back_with_one_line(patched, caplog):
    X = np.repeat([[0.0, 0.0], [1.0, 1.0]], 20, axis=0)
    with pytest.warns(match="Number of distinct clusters"):
        ours = patched.GaussianMixture(5, random_state=np.random.RandomState(0)).fit(X)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "fastgmm"]
    assert "scikit-learn's own" in line
    assert "leaves component" in line
    with pytest.warns(match="Number of distinct clusters"):
        theirs = ORIGINALS["GaussianMixture"](5, random_state=np.random.RandomState(0)).fit(X)
    assert_array_equal(ours.means_, theirs.means_)


def test_errors_are_those_of_scikit_learn(X, patched, caplog):
    for cls in (patched.GaussianMixture, ORIGINALS["GaussianMixture"]):
        with pytest.raises(ValueError, match="must be a str among"):
            cls(init_params="multistart").fit(X)
        with pytest.raises(ValueError, match="This GaussianMixture instance is not fitted yet"):
            cls().predict(X)
        with pytest.raises(ValueError, match="contains NaN"):
            cls().fit(np.full((9, 2), np.nan))
    assert was_delegated(caplog), "nothing that scikit-learn refuses, too, is told of"


# To everyone else it is the same class.


@pytest.mark.parametrize("name", NAMES)
def test_the_class_is_the_one_it_stands_for(name, X, patched):
    original, current = ORIGINALS[name], getattr(patched, name)
    assert current is not original
    assert original in current.__mro__[1:]
    before, after = original(n_components=2).fit(X), current(n_components=2).fit(X)
    for cls in (original, current):
        assert isinstance(before, cls)
        assert isinstance(after, cls)
        assert issubclass(type(before), cls)
        assert issubclass(type(after), cls)
        assert {cls: 1}[type(after)] == {type(after): 1}[cls] == 1
    assert type(after).__name__ == name
    assert (current.__module__, repr(after)) == (original.__module__, repr(before))
    assert type(clone(after)) is current
    assert clone(after).get_params() == before.get_params()
    assert not isinstance(after, type("Own", (current,), {}))


@pytest.mark.parametrize("name", NAMES)
def test_pickles_go_both_ways(name, X, tmp_path):
    original = ORIGINALS[name]
    before = original(n_components=2, random_state=0).fit(X)
    plain = pickle.dumps(before)
    fastgmm.patch_sklearn()
    try:
        current = getattr(sklearn.mixture, name)
        after = current(n_components=2, random_state=0).fit(X)
        for model in (pickle.loads(plain), pickle.loads(pickle.dumps(before)), copy.deepcopy(before)):
            assert type(model) is current
            assert_allclose(model.score_samples(X), before.score_samples(X), rtol=1e-10)
        files = {"patched": pickle.dumps(after), "before": pickle.dumps(before)}
        assert copy.deepcopy(after).means_ is not after.means_
    finally:
        fastgmm.unpatch_sklearn()
    files["unpatched"] = pickle.dumps(after)
    for which, content in files.items():
        assert b"fastgmm" not in content, which
        model = pickle.loads(content)
        assert type(model) is original
        assert_allclose(model.score_samples(X), before.score_samples(X), rtol=1e-10)
    (tmp_path / "model.pkl").write_bytes(files["patched"])
    code = f"""import pickle, sys; sys.modules["fastgmm"] = None
model = pickle.load(open({str(tmp_path / "model.pkl")!r}, "rb")); print(type(model).__name__, len(model.means_))"""
    assert run_python("-c", code) == f"{name} 2"


def test_modules_that_have_the_class_are_patched_and_restored(X):
    module = types.ModuleType("a_module_of_somebody")
    module.Mixture = sklearn.mixture.GaussianMixture
    sys.modules[module.__name__] = module
    original = ORIGINALS["GaussianMixture"]
    try:
        fastgmm.patch_sklearn()
        fastgmm.patch_sklearn()
        current = sklearn.mixture.GaussianMixture
        assert module.Mixture is current is private_module.GaussianMixture is not original
        module.Later = current
        model = current(random_state=0).fit(X)
        fastgmm.unpatch_sklearn()
        assert (
            original
            is module.Mixture
            is module.Later
            is sklearn.mixture.GaussianMixture
            is private_module.GaussianMixture
        )
        assert_array_equal(model.score_samples(X), original.score_samples(model, X))
    finally:
        fastgmm.unpatch_sklearn()
        del sys.modules[module.__name__]


# From outside.

ASKED = "import sklearn.mixture as m; print(type(m.GaussianMixture).__name__)"


@pytest.mark.parametrize(("value", "expected"), [("1", "_InPlaceOf"), ("fast", "_InPlaceOf"), ("0", "ABCMeta")])
def test_a_variable_of_the_environment_patches(value, expected):
    assert run_python("-c", "import fastgmm; " + ASKED, FASTGMM_PATCH_SKLEARN=value) == expected
    assert run_python("-c", "import sklearn.mixture, fastgmm; " + ASKED, FASTGMM_PATCH_SKLEARN=value) == expected


def test_looking_for_the_module_before_it_is_imported_is_no_import():
    code = "import fastgmm, importlib.util; importlib.util.find_spec('sklearn.mixture'); " + ASKED
    assert run_python("-c", code, FASTGMM_PATCH_SKLEARN="1") == "_InPlaceOf"


def test_the_variable_costs_no_import_of_scikit_learn():
    code = "import fastgmm, sys; print('sklearn' in sys.modules)"
    assert run_python("-c", code, FASTGMM_PATCH_SKLEARN="1") == "False"


def test_another_value_of_the_variable_is_an_error(monkeypatch):
    monkeypatch.setenv("FASTGMM_PATCH_SKLEARN", "yes please")
    with pytest.raises(ValueError, match="FASTGMM_PATCH_SKLEARN is 'yes please'; expected '1'"):
        start_up.patch_as_asked()


@pytest.mark.parametrize("how", ["file", "module"])
def test_the_command_runs_a_program_with_its_arguments(how, tmp_path):
    (tmp_path / "beside.py").write_text("WORD = 'found'\n")
    program = "import sys, beside\nprint(__name__, sys.argv[1:], beside.WORD)\n" + ASKED
    (tmp_path / "program.py").write_text(program)
    command = [str(tmp_path / "program.py")] if how == "file" else ["-m", "program"]
    done = subprocess.run(
        [sys.executable, "-m", "fastgmm", "patch", *command, "--json", "-x"],
        capture_output=True,
        text=True,
        cwd=tmp_path if how == "module" else None,
    )
    assert done.stdout.split("\n")[:2] == ["__main__ ['--json', '-x'] found", "_InPlaceOf"], done.stderr


def test_scikit_learns_own_tests_of_private_methods_pass(tmp_path):
    tests = "precisions_init or setting_best_params or n_parameters or all_init_does_not or compare_covar_type"
    command = ("-m", "fastgmm", "patch", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "sklearn.mixture")
    assert "passed" in run_python(*command, "-k", tests, cwd=tmp_path)


# One model.


@pytest.mark.parametrize("name", NAMES)
def test_from_sklearn_predicts_the_same_and_goes_back(name, structure, X):
    theirs = ORIGINALS[name](n_components=3, covariance_type=structure, random_state=0, max_iter=500).fit(X)
    ours = fastgmm.from_sklearn(theirs)
    assert type(ours) is getattr(fastgmm, name)
    assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-10)
    assert ours.means_ is not theirs.means_
    back = ours.to_sklearn()
    assert back.get_params() == theirs.get_params()
    assert_allclose(back.predict_proba(X), theirs.predict_proba(X), rtol=1e-10)
    ours.set_params(warm_start=True, max_iter=1000)
    assert ours.fit(X).n_iter_ <= 3, "it goes on where scikit-learn's fit ended"
    assert fastgmm.from_sklearn(ORIGINALS[name](tol=0.5)).tol == 0.5


def test_from_sklearn_refuses_what_predicts_otherwise(X):
    own = type("Own", (ORIGINALS["GaussianMixture"],), {"_estimate_log_weights": log_weights})
    with pytest.raises(TypeError, match="Own, which overrides _estimate_log_weights"):
        fastgmm.from_sklearn(own(3).fit(X))
    with pytest.raises(TypeError, match="model is a GaussianMixture; expected"):
        fastgmm.from_sklearn(fastgmm.GaussianMixture())
