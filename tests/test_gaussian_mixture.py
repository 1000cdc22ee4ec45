"""The estimator as users meet it: weights, starts, frames, criteria, copies, and scikit-learn's tools around it."""

import pickle
import tracemalloc
import warnings

import joblib
import numpy as np
import pytest
import sklearn.mixture
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris, make_blobs
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastgmm import BayesianGaussianMixture, GaussianMixture

FITTED = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")


@pytest.fixture(scope="module")
def iris():
    return load_iris().data


@pytest.fixture(scope="module")
def blobs():
    return make_blobs(600, centers=4, cluster_std=1.3, random_state=3)[0]


def assert_same_model(a, b, rtol=1e-10):
    for name in FITTED:
        assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=rtol, err_msg=name)


def test_same_iterations_as_scikit_learn(structure, iris):
    start = {"covariance_type": structure, "means_init": iris[[0, 60, 120]], "tol": 0, "random_state": 0}
    for max_iter in (1, 5, 30):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours = GaussianMixture(3, max_iter=max_iter, init_params="random", acceleration=None, **start).fit(iris)
            theirs = sklearn.mixture.GaussianMixture(3, max_iter=max_iter, init_params="random", **start).fit(iris)
        assert_same_model(ours, theirs, rtol=1e-7)
        assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, rtol=1e-9)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++"])
def test_integer_weight_is_a_repeated_row(structure, iris, init_params):
    weight = np.random.default_rng(0).integers(0, 4, size=len(iris))
    kwargs = {"covariance_type": structure, "init_params": init_params, "random_state": 1, "tol": 1e-8, "max_iter": 500}
    a = GaussianMixture(3, **kwargs).fit(iris, sample_weight=weight)
    repeated = np.repeat(iris, weight, axis=0)
    b = GaussianMixture(3, **kwargs).fit(repeated)
    assert a.n_iter_ == b.n_iter_
    assert_same_model(a, b, rtol=1e-10)
    assert_allclose(a.score(iris, sample_weight=weight), b.score(repeated), rtol=1e-10)
    for criterion in ("aic", "bic", "icl"):
        expected = getattr(b, criterion)(repeated)
        assert_allclose(getattr(a, criterion)(iris, sample_weight=weight), expected, rtol=1e-10)


def test_zero_weight_is_an_absent_row(structure, iris):
    weight = np.ones(len(iris))
    weight[::3] = 0
    X = iris.copy()
    X[::3] = 1e6
    a = GaussianMixture(3, covariance_type=structure, random_state=1).fit(X, sample_weight=weight)
    b = GaussianMixture(3, covariance_type=structure, random_state=1).fit(X[weight > 0])
    assert_same_model(a, b, rtol=1e-10)
    labels = GaussianMixture(3, covariance_type=structure, random_state=1).fit_predict(X, sample_weight=weight)
    assert_array_equal(labels[weight > 0], b.predict(X[weight > 0]))


def test_scaling_all_weights_changes_nothing(structure, iris):
    weight = np.random.default_rng(1).uniform(0.5, 2, size=len(iris))
    a = GaussianMixture(3, covariance_type=structure, random_state=1).fit(iris, sample_weight=weight)
    b = GaussianMixture(3, covariance_type=structure, random_state=1).fit(iris, sample_weight=weight * 1024)
    assert_same_model(a, b, rtol=1e-9)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(10), r"sample_weight has shape \(10,\); expected \(n_samples,\) = \(150,\)"),
        (np.full(150, -1.0), "sample_weight has minimum -1"),
        (np.zeros(150), "zero for every row"),
        (np.full(150, np.nan), "NaN or infinity"),
        (["a"] * 150, "cannot be read as numbers"),
    ],
)
def test_bad_weights(iris, weight, message):
    model = GaussianMixture(2, random_state=0)
    with pytest.raises(ValueError, match=message):
        model.fit(iris, sample_weight=weight)
    model.fit(iris)
    for method in (model.score, model.aic, model.bic, model.icl):
        with pytest.raises(ValueError, match=message):
            method(iris, sample_weight=weight)


def test_labels_and_responsibilities_as_start(structure, blobs):
    labels = np.arange(len(blobs)) % 3
    shares = np.eye(3)[labels]
    kwargs = {"covariance_type": structure, "max_iter": 0}
    a = GaussianMixture(3, init_params=labels, **kwargs).fit(blobs)
    b = GaussianMixture(3, init_params=shares, **kwargs).fit(blobs)
    assert_same_model(a, b, rtol=1e-12)
    assert_allclose(a.means_[1], blobs[1::3].mean(axis=0), rtol=1e-12)
    partly = np.where(np.arange(len(blobs)) < 30, labels, -1)
    c = GaussianMixture(3, init_params=partly, **kwargs).fit(blobs)
    assert_allclose(c.means_[2], blobs[2:30:3].mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("cls", [GaussianMixture, BayesianGaussianMixture])
def test_random_responsibilities_are_those_of_one_array_to_the_bit(cls, structure):
    # More rows than are held at a time, 2^19 numbers.
    X = np.random.default_rng(0).normal(size=(60_000, 2))
    share = np.random.RandomState(5).uniform(size=(len(X), 9))
    share /= share.sum(axis=1, keepdims=True)
    options = {"n_components": 9, "covariance_type": structure, "max_iter": 0}
    drawn = cls(init_params="random", random_state=5, **options).fit(X)
    given = cls(init_params=share, **options).fit(X)
    for name in FITTED:
        assert_array_equal(getattr(drawn, name), getattr(given, name), err_msg=name)


@pytest.mark.parametrize("cls", [GaussianMixture, BayesianGaussianMixture])
@pytest.mark.thread_unsafe(reason="tracemalloc counts the whole process, and stopping it beside another thread crashes")
def test_random_responsibilities_are_never_all_in_memory(cls):
    X = np.random.default_rng(0).normal(size=(150_000, 2))
    model = cls(n_components=64, covariance_type="diag", init_params="random", max_iter=0, random_state=0)
    model.fit(X[:100])
    tracemalloc.start()
    model.fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Of 150,000 rows and 64 components they would take 77 MB; 2^19 numbers of them, some of them twice, take 4 MB each.
    assert peak < 20e6


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (np.zeros(7, int), r"init_params has shape \(7,\)"),
        (np.full(600, 5), "has the label 5"),
        (np.zeros(600, int), "component 1 without rows"),
        (np.full((600, 3), 0.5), "do not sum to one"),
        (np.full((600, 3), -1.0), "negative or not finite"),
        (np.arange(600) % 3 + 0.5, "not whole numbers"),
    ],
)
def test_bad_starts(blobs, start, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(3, init_params=start).fit(blobs)


def test_unknown_start_lists_the_known_ones(blobs):
    with pytest.raises(ValueError, match=r"'init_params' parameter of GaussianMixture must be .*'kmeans'"):
        GaussianMixture(3, init_params="best").fit(blobs)


@pytest.mark.parametrize("as_given", [np.asarray, list], ids=["array", "list"])
def test_given_memberships_need_no_array_api(monkeypatch, blobs, as_given):
    shares = np.full((len(blobs), 3), 1 / 3)
    for memberships in (np.arange(len(blobs)) % 3, shares):
        expected = GaussianMixture(3, init_params=memberships).fit(blobs)
        with monkeypatch.context() as patch:
            patch.setattr("fastgmm.estimator.likelihood_mixture.get_config", lambda: {"array_api_dispatch": True})
            ours = GaussianMixture(3, init_params=as_given(memberships)).fit(blobs)
            with pytest.raises(NotImplementedError, match="init_params is 'multistart'"):
                GaussianMixture(3, init_params="multistart").fit(blobs)
        assert_array_equal(ours.means_, expected.means_)


def test_orders_and_memory_maps_give_the_same_bits(structure, tmp_path):
    X = np.random.default_rng(2).normal(size=(5000, 5))
    np.save(tmp_path / "rows.npy", X)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    reference = GaussianMixture(3, covariance_type=structure, random_state=0).fit(X)
    for rows in (np.asfortranarray(X), mapped, X[::-1][::-1]):
        model = GaussianMixture(3, covariance_type=structure, random_state=0).fit(rows)
        for name in FITTED:
            assert_array_equal(getattr(model, name), getattr(reference, name))
        assert_array_equal(model.score_samples(rows), reference.score_samples(X))
        assert_array_equal(model.predict_proba(rows), reference.predict_proba(X))
        assert_array_equal(model.predict(rows), reference.predict(X))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_keep_their_names(library, iris):
    frames = pytest.importorskip(library)
    names = ["a", "b", "c", "d"]
    frame = frames.DataFrame(dict(zip(names, iris.T, strict=True)))
    model = GaussianMixture(3, random_state=0).fit(frame)
    assert_array_equal(model.feature_names_in_, names)
    plain = GaussianMixture(3, random_state=0).fit(iris)
    assert_same_model(model, plain, rtol=0)
    assert_array_equal(model.predict(frame), plain.predict(iris))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[["b", "a", "c", "d"]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(iris)


def test_integers_become_float64():
    X = np.random.default_rng(3).integers(0, 50, size=(200, 3))
    a = GaussianMixture(2, random_state=0).fit(X)
    b = GaussianMixture(2, random_state=0).fit(X.astype(float))
    assert_same_model(a, b, rtol=0)
    assert a.predict_proba(X).dtype == np.float64


def test_dtype_of_results(iris):
    single, double = iris.astype(np.float32), iris
    for fitted, given, expected in [
        (single, single, np.float32),
        (single, double, np.float64),
        (double, single, np.float64),
        (double, double, np.float64),
    ]:
        model = GaussianMixture(2, random_state=0).fit(fitted)
        assert model.predict_proba(given).dtype == expected
        assert model.score_samples(given).dtype == expected
        assert isinstance(model.score(given), float)
        assert model.predict(given).dtype == np.int64
        for name in FITTED:
            assert getattr(model, name).dtype == fitted.dtype
        assert model.lower_bound_.dtype == fitted.dtype


def test_inputs_are_never_written(structure, blobs):
    X, weight = blobs.copy(), np.linspace(1, 2, len(blobs))
    start = {"means_init": X[:4].copy(), "weights_init": np.full(4, 0.25)}
    given = {name: value.copy() for name, value in start.items()}
    GaussianMixture(4, covariance_type=structure, random_state=0, **start).fit(X, sample_weight=weight)
    assert_array_equal(X, blobs)
    assert_array_equal(weight, np.linspace(1, 2, len(blobs)))
    for name, value in start.items():
        assert_array_equal(value, given[name])


def test_permuted_components_permute_the_answer(structure, blobs):
    order = np.array([2, 0, 3, 1])
    kwargs = {"covariance_type": structure, "random_state": 0, "init_params": "random", "tol": 1e-10, "max_iter": 1000}
    a = GaussianMixture(4, means_init=blobs[[0, 7, 30, 50]], **kwargs).fit(blobs)
    labels = a.predict(blobs)
    b = GaussianMixture(4, init_params=np.argsort(order)[labels], covariance_type=structure, tol=1e-10, max_iter=1000)
    c = GaussianMixture(4, init_params=labels, covariance_type=structure, tol=1e-10, max_iter=1000)
    b, c = b.fit(blobs), c.fit(blobs)
    assert_allclose(b.means_, c.means_[order], rtol=1e-9)
    assert_allclose(b.weights_, c.weights_[order], rtol=1e-9)


def test_affine_maps_of_the_data_map_the_answer(iris):
    rng = np.random.default_rng(4)
    labels = np.arange(len(iris)) % 3
    A, b = rng.normal(size=(4, 4)) + 3 * np.eye(4), rng.normal(size=4) * 100
    kwargs = {"init_params": labels, "reg_covar": 0, "tol": 1e-9, "max_iter": 60, "acceleration": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = GaussianMixture(3, **kwargs).fit(iris)
        y = GaussianMixture(3, **kwargs).fit(iris @ A.T + b)
    assert_allclose(y.means_, x.means_ @ A.T + b, rtol=1e-6)
    assert_allclose(y.covariances_, A @ x.covariances_ @ A.T, rtol=1e-5, atol=1e-6)
    assert_allclose(y.lower_bound_, x.lower_bound_ - np.log(abs(np.linalg.det(A))), rtol=1e-8)


def test_criteria(structure, iris):
    model = GaussianMixture(3, covariance_type=structure, random_state=0).fit(iris)
    theirs = model.to_sklearn()
    assert_allclose(model.aic(iris), theirs.aic(iris), rtol=1e-12)
    assert_allclose(model.bic(iris), theirs.bic(iris), rtol=1e-12)
    entropy = -np.log(theirs.predict_proba(iris).max(axis=1)).sum()
    assert_allclose(model.icl(iris), theirs.bic(iris) + 2 * entropy, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_to_sklearn_predicts_the_same(structure, iris, dtype):
    X = iris.astype(dtype)
    model = GaussianMixture(3, covariance_type=structure, random_state=0).fit(X)
    theirs = model.to_sklearn()
    assert type(theirs) is sklearn.mixture.GaussianMixture
    rtol = 1e-9 if dtype == "float64" else 1e-3
    assert_array_equal(theirs.predict(X), model.predict(X))
    assert_allclose(theirs.score_samples(X), model.score_samples(X), rtol=rtol, atol=rtol)
    assert_allclose(theirs.predict_proba(X), model.predict_proba(X), rtol=rtol, atol=rtol)
    rows, labels = model.sample(50)
    their_rows, their_labels = theirs.sample(50)
    assert_array_equal(labels, their_labels)
    assert_allclose(rows, their_rows, rtol=1e-5)
    theirs.means_ += 1
    assert not np.allclose(theirs.means_, model.means_), "the copy owns its arrays"


def test_from_parameters(structure, iris):
    fitted = GaussianMixture(3, covariance_type=structure, random_state=0).fit(iris)
    model = GaussianMixture.from_parameters(
        fitted.weights_, fitted.means_, fitted.covariances_, covariance_type=structure
    )
    assert_allclose(model.score_samples(iris), fitted.score_samples(iris), rtol=1e-10)
    assert_allclose(model.precisions_, fitted.precisions_, rtol=1e-8)
    assert model.sample(5, random_state=0)[0].shape == (5, 4)
    assert model.bic(iris) == pytest.approx(fitted.bic(iris))
    model.set_params(warm_start=True).fit(iris)
    assert model.score(iris) >= fitted.score(iris) - 1e-12


@pytest.mark.parametrize(
    ("weights", "means", "covariances", "message"),
    [
        ([0.5, 0.6], [[0.0], [1.0]], [[[1.0]], [[1.0]]], "should be normalized"),
        ([1.0], [[0.0], [1.0]], [[[1.0]], [[1.0]]], r"'weights' should have the shape of \(2,\)"),
        ([0.5, 0.5], [0.0, 1.0], [[[1.0]], [[1.0]]], r"means has shape \(2,\)"),
        ([0.5, 0.5], [[0.0], [1.0]], [[1.0]], r"'full covariance' should have the shape of \(2, 1, 1\)"),
        ([0.5, 0.5], [[0.0], [1.0]], [[[1.0]], [[-1.0]]], "symmetric, positive-definite"),
    ],
)
def test_bad_parameters(weights, means, covariances, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture.from_parameters(weights, means, covariances)


def test_sample_takes_a_seed(iris):
    model = GaussianMixture(3, random_state=0).fit(iris)
    a, b = model.sample(20, random_state=5), model.sample(20, random_state=5)
    assert_array_equal(a[0], b[0])
    assert not np.array_equal(a[0], model.sample(20, random_state=6)[0])
    rows, labels = model.sample(200_000, random_state=0)
    assert_allclose(np.bincount(labels) / 200_000, model.weights_, atol=0.005)
    for k in range(3):
        mine = rows[labels == k]
        assert_allclose(mine.mean(axis=0), model.means_[k], atol=0.02)
        assert_allclose(np.cov(mine.T), model.covariances_[k], atol=0.02)


@pytest.mark.parametrize("n_samples", [0, -1])
def test_sample_size(iris, n_samples):
    with pytest.raises(ValueError, match="Invalid value for 'n_samples'"):
        GaussianMixture(1).fit(iris).sample(n_samples)


def test_warm_start_continues(structure, blobs):
    warnings.simplefilter("ignore")
    once = GaussianMixture(4, covariance_type=structure, random_state=0, max_iter=6, tol=0).fit(blobs)
    twice = GaussianMixture(4, covariance_type=structure, random_state=0, max_iter=3, tol=0, warm_start=True)
    twice.fit(blobs).fit(blobs)
    assert_same_model(once, twice, rtol=1e-9)
    with pytest.raises(ValueError, match=r"warm_start=True continues a model whose means_ have shape \(4, 2\)"):
        twice.set_params(n_components=5).fit(blobs)


@pytest.mark.parametrize("cls", [GaussianMixture, BayesianGaussianMixture])
def test_warm_start_refuses_another_covariance_type(cls, structure, blobs):
    # As many components as features: one matrix of all components has the shape of a diagonal for each.
    X = blobs.astype(np.float32)
    for other in {"full", "tied", "diag", "spherical"} - {structure}:
        model = cls(n_components=2, covariance_type=structure, random_state=0, warm_start=True).fit(X).fit(X)
        means = model.means_
        with pytest.raises(ValueError, match=rf"covariances_ are of type '{structure}'; covariance_type='{other}'"):
            model.set_params(covariance_type=other).fit(X)
        assert model.means_ is means
    one = cls(n_components=1, covariance_type=structure, warm_start=True).fit(X).fit(X)
    assert one.converged_


def test_best_of_several_starts_is_kept(blobs):
    scores = []
    rng = np.random.RandomState(5)
    for _ in range(6):
        scores.append(GaussianMixture(4, init_params="random_from_data", random_state=rng).fit(blobs).lower_bound_)
    best = GaussianMixture(4, init_params="random_from_data", n_init=6, random_state=np.random.RandomState(5)).fit(
        blobs
    )
    assert best.lower_bound_ == max(scores)
    assert best.lower_bounds_[-1] == best.lower_bound_
    assert len(best.lower_bounds_) == best.n_iter_


def test_bounds_never_fall(structure, blobs):
    model = GaussianMixture(4, covariance_type=structure, reg_covar=0, tol=1e-9, max_iter=500, random_state=1)
    bounds = np.array(model.fit(blobs).lower_bounds_)
    # The sum over 600 rows rounds in its last places.
    assert (np.diff(bounds) >= -4 * np.spacing(np.abs(bounds[1:]))).all()


@pytest.mark.parametrize("copy", [clone, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(copy, blobs):
    model = GaussianMixture(4, covariance_type="tied", random_state=0)
    copied = copy(model).fit(blobs)
    assert_same_model(copied, model.fit(blobs), rtol=0)


def test_pickle_of_a_fitted_model_predicts_the_same(blobs):
    model = GaussianMixture(4, random_state=0).fit(blobs)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(blobs), model.predict_proba(blobs))


def test_pipelines_and_grids(iris):
    pipeline = make_pipeline(StandardScaler(), PCA(2), GaussianMixture(3, random_state=0))
    assert pipeline.fit(iris).predict(iris).shape == (150,)
    search = GridSearchCV(
        GaussianMixture(random_state=0),
        {"n_components": [1, 2, 3], "covariance_type": ["full", "tied"]},
        scoring=lambda model, X: -model.bic(X),
        cv=3,
    ).fit(iris)
    assert search.best_params_["n_components"] in (1, 2, 3)
    theirs = GridSearchCV(
        sklearn.mixture.GaussianMixture(random_state=0),
        {"n_components": [1, 2, 3], "covariance_type": ["full", "tied"]},
        scoring=lambda model, X: -model.bic(X),
        cv=3,
    ).fit(iris)
    # At one component full and tied are the same model, so the winner's name may differ, its score may not.
    assert search.best_params_["n_components"] == theirs.best_params_["n_components"]
    assert_allclose(search.best_score_, theirs.best_score_, rtol=1e-9)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_joblib(backend, blobs):
    serial = [GaussianMixture(3, random_state=seed).fit(blobs).means_ for seed in range(4)]
    with joblib.parallel_backend(backend, n_jobs=2):
        models = joblib.Parallel()(
            joblib.delayed(GaussianMixture(3, random_state=seed).fit)(blobs) for seed in range(4)
        )
    for means, model in zip(serial, models, strict=True):
        assert_array_equal(model.means_, means)


def test_verbose_says_what_scikit_learn_says(blobs, capsys):
    GaussianMixture(4, random_state=0, verbose=1, verbose_interval=1, init_params="random").fit(blobs)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Initialization 0"
    assert said[1] == "  Iteration 1"
    assert said[-1] == "Initialization converged."
    GaussianMixture(4, random_state=0).fit(blobs)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.array([[1.0, np.nan], [0.0, 1.0], [2.0, 2.0]]), ValueError, "contains NaN"),
        (np.array([[1.0, np.inf], [0.0, 1.0], [2.0, 2.0]]), ValueError, "contains infinity"),
        (np.ones(5), ValueError, "Expected 2D array"),
        (np.ones((1, 2)), ValueError, "minimum of 2 is required"),
        (np.array([["a", "b"], ["c", "d"]]), ValueError, "could not convert string to float"),
    ],
)
def test_bad_data(X, error, message):
    with pytest.raises(error, match=message):
        GaussianMixture().fit(X)
    model = GaussianMixture().fit(np.random.default_rng(0).normal(size=(10, 2)))
    if "minimum" not in message:
        with pytest.raises(error, match=message):
            model.predict(X)
    with pytest.raises(ValueError, match="X has 3 features, but GaussianMixture is expecting 2"):
        model.score_samples(np.ones((4, 3)))
