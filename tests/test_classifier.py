"""Laws of partial labels: the classifier and seeded clustering."""

import tracemalloc

import numpy as np
import pytest
from mixtures import random_parameters, random_rows
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.special import logsumexp
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.utils.estimator_checks import check_classifiers_classes, check_estimator

from fastgmm import GaussianMixture, GaussianMixtureClassifier
from fastgmm.data import ArrayRows, batches
from fastgmm.data.e_steps import LABELS, Labelled
from fastgmm.exceptions import ComponentCollapseError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def two_classes(n_samples=400, seed=0, n_features=2, distance=3.0):
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n_samples)
    scales = np.array([[1.0] * n_features, [2.0] + [0.5] * (n_features - 1)])
    X = rng.normal(size=(n_samples, n_features)) * scales[y]
    X[:, 0] += distance * y
    return X, y


def hide(y, n_known, seed=0):
    """Return y with all but `n_known` rows of each class at -1."""
    rng = np.random.default_rng(seed)
    known = np.concatenate([rng.choice(np.flatnonzero(y == c), n_known, replace=False) for c in np.unique(y)])
    hidden = np.full(len(y), -1)
    hidden[known] = y[known]
    return hidden


# The pass over partly labelled rows.


@pytest.mark.parametrize("n_unlabelled", [0, 100, 250, 300])
@pytest.mark.parametrize("weighted", [False, True])
def test_pass_is_that_of_explicit_responsibilities(structure, n_unlabelled, weighted):
    rng = np.random.default_rng(1)
    parameters = random_parameters(structure, 5, 3, rng)
    X = random_rows(parameters, 300, rng)
    weight = rng.uniform(0.5, 2.0, size=300) if weighted else None
    blocks = [slice(0, 1), slice(1, 4), slice(4, 5)]
    labels = rng.integers(3, size=300)
    labels[:n_unlabelled] = -1
    rows = ArrayRows(X, weight, {LABELS: labels})
    passes = Labelled(tuple(blocks), 0.25).prepare(rows)
    found = passes.accumulate(parameters)

    factor = parameters.precisions_cholesky
    joint = np.empty((300, 5))
    for k in range(5):
        difference = X - parameters.means[k]
        u = factor if structure == "tied" else factor[k]
        whitened = difference @ u if structure in ("full", "tied") else difference * u
        joint[:, k] = parameters.log_offset[k] - 0.5 * (whitened**2).sum(axis=1)
    for n, label in enumerate(labels):
        if label >= 0:
            joint[n, np.setdiff1d(np.arange(5), np.arange(5)[blocks[label]])] = -np.inf
    log_density = logsumexp(joint, axis=1)
    w = (np.ones(300) if weight is None else weight) * np.where(labels < 0, 0.25, 1.0)
    shares = np.exp(joint - log_density[:, None]) * w[:, None]
    assert_allclose(found.log_likelihood, w @ log_density, rtol=1e-12)
    assert_allclose(found.counts, shares.sum(axis=0), rtol=1e-12, atol=1e-12)
    centred = X[:, None, :] - parameters.means
    assert_allclose(found.sums, np.einsum("nk,nkd->kd", shares, centred), rtol=1e-10, atol=1e-10)
    scatter = np.einsum("nk,nkd,nke->kde", shares, centred, centred)
    expected = {
        "full": scatter,
        "tied": scatter.sum(axis=0),
        "diag": np.diagonal(scatter, axis1=1, axis2=2),
        "spherical": np.trace(scatter, axis1=1, axis2=2),
    }[structure]
    assert_allclose(found.scatter, expected, rtol=1e-10, atol=1e-9)
    assert_allclose(passes.total_weight, w.sum(), rtol=1e-12)


@pytest.mark.thread_unsafe(reason="tracemalloc counts the whole process, and stopping it beside another thread crashes")
def test_labels_cost_no_memory_per_component():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(20_000, 2))
    labels = np.where(rng.uniform(size=20_000) < 0.3, rng.integers(64, size=20_000), -1)
    model = GaussianMixture(64, covariance_type="diag", max_iter=2, tol=0.0)
    tracemalloc.start()
    model.fit(X, labels=labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Responsibilities of 20,000 rows and 64 components would take 10 MB.
    assert peak < 4e6


# Discriminant analysis: every row labelled.


def test_tied_is_linear_discriminant_analysis():
    X, y = two_classes(n_features=3)
    ours = GaussianMixtureClassifier(covariance_type="tied", reg_covar=0.0).fit(X, y)
    theirs = LinearDiscriminantAnalysis(solver="lsqr").fit(X, y)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-9)
    assert_allclose(ours.decision_function(X), theirs.decision_function(X), rtol=1e-7, atol=1e-7)
    assert_array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("shared", [True, False])
def test_full_is_quadratic_discriminant_analysis(shared):
    X, y = two_classes(n_features=3)
    y = np.where(X[:, 1] > 0.5, 2, y)
    model = GaussianMixtureClassifier(reg_covar=0.0, shared_covariance=shared).fit(X, y)
    joint = np.column_stack(
        [
            np.log(np.mean(y == c))
            + stats.multivariate_normal(X[y == c].mean(axis=0), np.cov(X[y == c].T, bias=True)).logpdf(X)
            for c in range(3)
        ]
    )
    assert_allclose(model.decision_function(X), joint, rtol=1e-9, atol=1e-9)
    assert_allclose(model.score_samples(X), logsumexp(joint, axis=1), rtol=1e-9)
    log_probabilities = joint - logsumexp(joint, axis=1, keepdims=True)
    assert_allclose(model.predict_log_proba(X), log_probabilities, rtol=1e-9, atol=1e-9)
    assert_array_equal(model.predict(X), joint.argmax(axis=1))


@pytest.mark.parametrize("covariance_type", ["full", "tied", "EEV"])
def test_classes_apart_are_mixtures_of_their_own_rows(covariance_type):
    rng = np.random.default_rng(3)
    centres = np.array([[-8.0, 0.0], [0.0, 8.0], [8.0, 0.0], [0.0, -8.0]])
    component = rng.integers(4, size=400)
    X = centres[component] + rng.normal(size=(400, 2)) @ np.array([[1.0, 0.4], [0.0, 0.7]])
    y = component % 2
    options = {"covariance_type": covariance_type, "tol": 1e-10, "max_iter": 200, "reg_covar": 1e-6}
    model = GaussianMixtureClassifier(2, shared_covariance=False, random_state=0, **options).fit(X, y)
    for c in range(2):
        own = GaussianMixture(2, random_state=0, **options).fit(X[y == c])
        block = model.component_classes_ == c
        ours, theirs = (np.argsort(means[:, 0] + means[:, 1]) for means in (model.means_[block], own.means_))
        assert_allclose(model.means_[block][ours], own.means_[theirs], rtol=1e-6, atol=1e-6)
        assert_allclose(model.weights_[block][ours] / model.priors_[c], own.weights_[theirs], rtol=1e-6)
        covariances = own.covariances_ if covariance_type != "tied" else np.array([own.covariances_] * 2)
        assert_allclose(model.covariances_[block][ours], covariances[theirs], rtol=1e-5, atol=1e-6)


# Partial labels.


@pytest.mark.parametrize("n_components", [1, 2])
@pytest.mark.parametrize("shared", [True, False])
def test_likelihood_of_rows_and_labels_never_falls(structure, n_components, shared):
    X, y = two_classes(distance=1.5)
    model = GaussianMixtureClassifier(
        n_components,
        covariance_type=structure,
        shared_covariance=shared,
        tol=0.0,
        reg_covar=0.0,
        max_iter=30,
        random_state=0,
    ).fit(X, hide(y, 10))
    assert np.diff(model.lower_bounds_).min() >= -1e-12
    assert model.lower_bounds_[-1] > model.lower_bounds_[0]
    assert_allclose(model.priors_.sum(), 1.0, rtol=1e-12)


def test_unlabelled_rows_make_up_for_labels():
    X, y = two_classes(n_samples=2000, distance=4.0)
    hidden = hide(y, 3)
    options = {"shrinkage": 5.0}
    alone = GaussianMixtureClassifier(unlabelled_weight=0.0, **options).fit(X, hidden)
    together = GaussianMixtureClassifier(**options).fit(X, hidden)
    everything = GaussianMixtureClassifier().fit(X, y)
    assert together.score(X, y) > alone.score(X, y)
    assert together.score(X, y) > everything.score(X, y) - 0.02


def test_no_weight_is_no_row():
    X, y = two_classes()
    hidden = hide(y, 30)
    without = GaussianMixtureClassifier().fit(X[hidden >= 0], hidden[hidden >= 0])
    ignored = GaussianMixtureClassifier(unlabelled_weight=0.0).fit(X, hidden)
    absent = GaussianMixtureClassifier().fit(X, y, sample_weight=(hidden >= 0).astype(float))
    for other in (ignored, absent):
        assert_allclose(other.means_, without.means_, rtol=1e-12)
        assert_allclose(other.covariances_, without.covariances_, rtol=1e-10)


def test_integer_weight_is_a_repeated_row():
    X, y = two_classes()
    hidden, weight = hide(y, 40), np.random.default_rng(4).integers(1, 4, size=len(X))
    weighted = GaussianMixtureClassifier(unlabelled_weight=0.5).fit(X, hidden, sample_weight=weight)
    repeated = GaussianMixtureClassifier(unlabelled_weight=0.5).fit(
        np.repeat(X, weight, axis=0), np.repeat(hidden, weight)
    )
    assert_allclose(weighted.means_, repeated.means_, rtol=1e-9)
    assert_allclose(weighted.covariances_, repeated.covariances_, rtol=1e-9)
    assert_allclose(weighted.bic_, repeated.bic_, rtol=1e-10)


def test_offset_moves_the_means_alone(dtype):
    X, y = two_classes()
    X = np.round(X * 64) / 64  # exact beside the offset in either precision
    offset = 1e8 if dtype == np.float64 else 2.0**14
    near = GaussianMixtureClassifier(max_iter=10, tol=0.0).fit(X.astype(dtype), hide(y, 20))
    far = GaussianMixtureClassifier(max_iter=10, tol=0.0).fit((X + offset).astype(dtype), hide(y, 20))
    assert_allclose(far.means_ - offset, near.means_, atol=1e-6)
    assert_allclose(far.covariances_, near.covariances_, rtol=1e-5, atol=1e-5)
    assert_array_equal(far.predict((X + offset).astype(dtype)), near.predict(X.astype(dtype)))


def test_given_priors_are_kept():
    X, y = two_classes()
    model = GaussianMixtureClassifier([2, 1], priors=[0.9, 0.1], random_state=0).fit(X, hide(y, 30))
    assert_allclose(model.priors_, [0.9, 0.1], rtol=1e-12)
    assert_array_equal(model.component_classes_, [0, 0, 1])


def test_structure_of_the_lowest_bic_is_taken():
    X, y = two_classes()
    hidden = hide(y, 30)
    names = ["spherical", "tied", "full"]
    single = {name: GaussianMixtureClassifier(covariance_type=name).fit(X, hidden).bic_ for name in names}
    chosen = GaussianMixtureClassifier(covariance_type=names).fit(X, hidden)
    assert chosen.covariance_type_ == min(single, key=single.get) == "full"
    assert_allclose(chosen.bic_, min(single.values()), rtol=1e-12)


def test_bic_finds_the_components_of_each_class():
    rng = np.random.default_rng(5)
    X = np.concatenate([rng.normal([c, 0], 0.7, size=(100, 2)) for c in (-6.0, 0.0, 6.0)])
    y = np.repeat([0, 1, 0], 100)
    model = GaussianMixtureClassifier("bic", random_state=0).fit(X, y)
    assert_array_equal(np.bincount(model.component_classes_), [2, 1])
    assert model.score(X, y) > 0.99


@pytest.mark.parametrize(
    ("names", "unlabelled", "options"),
    [
        (np.array(["ham", "spam"]), "", {}),
        (np.array(["ham", "spam"], dtype=object), None, {}),
        (np.array(["ham", "spam"], dtype=object), float("nan"), {}),
        (np.array(["ham", "spam"], dtype=object), -1, {}),
        (np.array(["ham", "spam"]), "?", {"unlabelled_label": "?"}),
        (np.array([-1, 1]), 0, {"unlabelled_label": 0}),
        (np.array([0.0, 5.0]), -1.0, {}),
    ],
)
def test_names_of_classes_do_not_matter(names, unlabelled, options):
    X, y = two_classes()
    hidden = hide(y, 20)
    expected = GaussianMixtureClassifier().fit(X, hidden)
    named = names[np.maximum(hidden, 0)]
    named[hidden < 0] = unlabelled
    model = GaussianMixtureClassifier(**options).fit(X, named)
    assert_array_equal(model.classes_, names)
    assert_array_equal(model.predict(X), names[expected.predict(X)])
    assert_array_equal(model.means_, expected.means_)


@pytest.mark.parametrize("dtype", [object, "string"])
def test_rows_without_a_name_are_unlabelled(dtype):
    pd = pytest.importorskip("pandas")
    X, y = load_iris(return_X_y=True)
    hidden = np.arange(150) % 3 == 0
    expected = GaussianMixtureClassifier().fit(X, np.where(hidden, -1, y))
    names = pd.Series(np.array(["a", "b", "c"], dtype=object)[y]).astype(dtype)
    names[hidden] = pd.NA
    model = GaussianMixtureClassifier().fit(X, names)
    assert_array_equal(model.means_, expected.means_)
    with pytest.raises(ValueError, match=r"y contains NaN; expected .* -1 for unlabelled rows"):
        GaussianMixtureClassifier().fit(X, np.where(hidden, np.nan, y))


def test_of_several_structures_one_that_collapses_is_passed_over():
    X, y = load_iris(return_X_y=True)
    X, y = X[:51], y[:51]  # one row of the second class
    options = {"reg_covar": 0.0}
    model = GaussianMixtureClassifier(covariance_type=["full", "tied", "VVI"], **options).fit(X, y)
    alone = GaussianMixtureClassifier(covariance_type="tied", **options).fit(X, y)
    assert model.covariance_type_ == "tied"
    assert model.bic_ == alone.bic_
    with pytest.raises(ComponentCollapseError):
        GaussianMixtureClassifier(covariance_type=["full", "VVI"], **options).fit(X, y)


def test_rows_too_far_for_any_density_are_of_any_class():
    X, y = load_iris(return_X_y=True)
    model = GaussianMixtureClassifier().fit(X, y)
    assert_allclose(model.predict_proba(np.full((1, 4), 1e200)), 1.0 / 3.0)
    assert_allclose(model.predict_proba(np.full((1, 4), 1e9)).sum(), 1.0)


def test_estimator_checks():
    # -1 and 1 as the only classes is what this check fits at the end: -1 means unlabelled here.
    expected = {
        "check_classifiers_classes": "-1 marks unlabelled rows, as in scikit-learn's semi-supervised classifiers"
    }
    results = check_estimator(GaussianMixtureClassifier(), expected_failed_checks=expected, on_fail=None, on_skip=None)
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []
    assert sum(r["status"] == "passed" for r in results) >= 55
    # scikit-learn knows by name which classifiers -1 has that meaning for, and leaves that part out for them.
    check_classifiers_classes("LabelSpreading", GaussianMixtureClassifier())


@pytest.mark.parametrize("n_components", [1, 2])
def test_a_start_from_a_sample_ends_where_all_rows_do(n_components, monkeypatch):
    for module in ("rows", "streamed_rows"):
        monkeypatch.setattr(f"fastgmm.data.{module}.block_rows", lambda n_features: 500)
    X, y = two_classes(4000)
    hidden = hide(y, 1200)
    options = {"tol": 1e-9, "max_iter": 2000, "random_state": 0}
    expected = GaussianMixtureClassifier(n_components, **options).fit(X, hidden)
    source = batches(lambda: ({"X": X[i : i + 300], "y": hidden[i : i + 300]} for i in range(0, 4000, 300)))
    model = GaussianMixtureClassifier(n_components, **options).fit(source)
    # Of several components per class, each may end in a maximum of its own, as high as the other to a few per cent.
    assert_allclose(model.lower_bound_, expected.lower_bound_, atol=1e-7 if n_components == 1 else 0.02)
    assert np.mean(model.predict(source) == expected.predict(X)) > 0.98
    assert_allclose(model.priors_, expected.priors_, atol=0.02)


@pytest.mark.parametrize(
    ("options", "y", "message"),
    [
        ({}, [0, 0, -1, -1, 0, 0], "y holds one class .* at least two classes"),
        ({}, [-1] * 6, "y holds no class"),
        ({}, [0, 0, 1, 1, 1], "inconsistent|y has length 5; expected one class for each of the 6 rows"),
        ({"n_components": 3}, [0, 0, 1, 1, 1, 1], r"class .*0.* has 2 labelled rows and n_components asks for 3"),
        ({"n_components": [1, 2, 3]}, [0, 0, 0, 1, 1, 1], "one positive int for each of the 2 classes"),
        ({"n_components": [1, 0]}, [0, 0, 0, 1, 1, 1], "expected a positive int"),
        ({"n_components": "aic"}, [0, 0, 0, 1, 1, 1], "n_components"),
        ({"priors": [1.0]}, [0, 0, 0, 1, 1, 1], r"priors has shape \(1,\); expected \(n_classes,\) = \(2,\)"),
        ({"priors": [0.5, 0.6]}, [0, 0, 0, 1, 1, 1], "sum to one"),
        ({"covariance_type": "round"}, [0, 0, 0, 1, 1, 1], "covariance_type"),
        ({"covariance_type": []}, [0, 0, 0, 1, 1, 1], "covariance_type is an empty list"),
        ({"unlabelled_weight": -1.0}, [0, 0, 0, 1, 1, 1], "unlabelled_weight"),
        ({}, None, "requires y to be passed"),
    ],
)
def test_bad_input_is_named(options, y, message):
    X = np.random.default_rng(6).normal(size=(6, 2))
    with pytest.raises(ValueError, match=message):
        GaussianMixtureClassifier(**options).fit(X, y)


# Seeded clustering.


def test_labels_of_every_row_settle_the_fit(structure):
    X, y = two_classes(n_features=3)
    model = GaussianMixture(2, covariance_type=structure, reg_covar=0.0).fit(X, labels=y)
    assert_allclose(model.means_, [X[y == k].mean(axis=0) for k in range(2)], rtol=1e-12)
    assert_allclose(model.weights_, np.bincount(y) / len(y), rtol=1e-12)
    scatter = [np.cov(X[y == k].T, bias=True) for k in range(2)]
    expected = {
        "full": scatter,
        "tied": np.average(scatter, axis=0, weights=model.weights_),
        "diag": [np.diag(s) for s in scatter],
        "spherical": [np.trace(s) / 3 for s in scatter],
    }[structure]
    assert_allclose(model.covariances_, expected, rtol=1e-10, atol=1e-12)


def test_labels_name_the_components():
    rng = np.random.default_rng(7)
    X = np.concatenate([rng.normal(4.0 * k, 1.0, size=(100, 2)) for k in range(4)])
    truth = np.repeat(np.arange(4), 100)
    for order in ([0, 1, 2, 3], [2, 0, 3, 1]):
        labels = np.full(400, -1)
        # Components 0 to 2 are known from three rows each, the last from none.
        for k in range(4):
            if order[k] != 3:
                labels[truth == k] = np.where(np.arange(100) < 3, order[k], -1)
        model = GaussianMixture(4, random_state=0).fit(X, labels=labels)
        assert np.mean(model.predict(X) == np.array(order)[truth]) > 0.97
        assert np.diff(model.lower_bounds_).min() >= 0


def test_no_known_label_is_the_plain_fit():
    X, _ = two_classes()
    plain = GaussianMixture(3, random_state=0).fit(X)
    seeded = GaussianMixture(3, random_state=0).fit(X, labels=np.full(len(X), -1))
    assert_array_equal(seeded.means_, plain.means_)
    assert seeded.lower_bound_ == plain.lower_bound_


def test_one_component_per_class_is_seeded_clustering():
    X, y = two_classes()
    hidden = hide(y, 20)
    options = {"tol": 1e-9, "max_iter": 500}
    model = GaussianMixture(2, random_state=0, **options).fit(X, labels=hidden)
    classifier = GaussianMixtureClassifier(**options).fit(X, hidden)
    # Two starts, one optimum: EM stops within sqrt(tol) of it.
    assert_allclose(model.means_, classifier.means_, atol=1e-3)
    assert_allclose(model.lower_bound_, classifier.lower_bound_, atol=1e-7)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([0, 1], {}, r"labels has shape \(2,\); expected one label per row, \(n_samples,\) = \(6,\)"),
        ([0, 1, 2, -1, -1, -1], {}, "labels has the value 2; expected -1 for unknown or a component from 0"),
        ([0, 1, -2, -1, -1, -1], {}, "labels has the value -2"),
        ([0.5] * 6, {}, "whole numbers"),
        ([0, 1, -1, -1, -1, -1], {"init_params": "random"}, "init_params is 'random' and labels are given"),
    ],
)
def test_bad_labels_are_named(labels, options, message):
    X = np.random.default_rng(8).normal(size=(6, 2))
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2, **options).fit(X, labels=labels)
