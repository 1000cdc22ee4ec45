"""Trimming and bounded shapes (TCLUST): published results, the exact M-step, and what any mixture promises."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal

from fastgmm import GaussianMixture, StudentMixture
from fastgmm.data import ArrayRows
from fastgmm.data.e_steps import Trimmed
from fastgmm.datasets import load_faithful
from fastgmm.families import COVARIANCES, bounded, get_covariance
from fastgmm.families.bounded import clip_to_ratio
from fastgmm.persistence import load, save
from fastgmm.plotting import plot_trimming_curves
from fastgmm.selection import trimming_curves

CLIPPED = [name for name, row in COVARIANCES.items() if row.is_clipped and row.n_features.stop > 2]
HARD, SOFT = "classification", "mixture"


def lagged_faithful():
    eruptions = load_faithful()[:, 0]
    return np.column_stack([eruptions[:-1], eruptions[1:]])


def contaminated(seed=0, n=150):
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=(n, 2)) @ [[1.0, 0.4], [0.0, 0.5]], rng.normal(8.0, 0.8, size=(n, 2))]
    return np.concatenate([*parts, rng.uniform(-60, 60, size=(n // 10, 2))])


def eigenvalues(model):
    matrices = getattr(model, "scales_", model.covariances_)
    shape, sizes = get_covariance(model.covariance_type).shape, model.means_.shape
    return np.linalg.eigvalsh(shape.full(np.asarray(matrices, dtype=np.float64), *sizes))


# Published results.


def test_lagged_old_faithful():
    # Of the same rows rounded to three digits, R's tclust reports -441.7624 and these centres (its tests, ttclust).
    X = lagged_faithful()
    centres = np.array([[2.020919, 4.501721], [4.199207, 4.093862], [4.340629, 2.026584]])
    options = {"max_eigenvalue_ratio": 12.0, "trim": 0.03, "likelihood": HARD, "init_params": "multistart"}
    for seed in range(20):
        model = GaussianMixture(3, random_state=seed, reg_covar=0.0, **options).fit(X)
        assert model.lower_bound_ * (271 - 9) >= -441.7625
        assert_allclose(model.means_[np.argsort(model.means_[:, 0])], centres, atol=5e-5)
    labels = model.predict(X)
    assert (labels == -1).sum() == 9
    # The objective, row by row.
    parts = zip(model.weights_, model.means_, model.covariances_, strict=True)
    joint = np.array([np.log(w) + multivariate_normal(m, c).logpdf(X) for w, m, c in parts]).max(axis=0)
    assert np.sort(joint)[9:].sum() == pytest.approx(model.lower_bound_ * 262, abs=1e-9)
    assert -2 * joint[labels >= 0].sum() + model._n_parameters() * np.log(262) == pytest.approx(model.bic(X))


# The exact M-step.


@pytest.mark.parametrize("ratio", [1.0, 3.0, 50.0])
def test_no_eigenvalues_within_the_bound_are_more_likely(ratio):
    rng = np.random.default_rng(0)
    for _ in range(60):
        shape = rng.integers(1, 5, size=2)
        values = np.exp(rng.normal(0, rng.choice([0.1, 1.0, 4.0]), size=shape))
        values[rng.random(shape) < 0.2] = 0.0
        counts = rng.integers(1, 50, size=len(values)).astype(float)
        if values.max() == 0:
            continue
        found = clip_to_ratio(values, counts, ratio)
        assert found.max() <= ratio * found.min() * (1 + 1e-14)

        def cost(at, values=values, counts=counts):
            return (counts[:, None] * (np.log(at) + values / at)).sum()

        lower = np.geomspace(values[values > 0].min() / ratio * 1e-3, values.max(), 2000)
        best = min(cost(np.clip(values, m, ratio * m)) for m in lower)
        assert cost(found) <= best + 1e-9 * abs(best)


@pytest.mark.parametrize("bound", ["max_eigenvalue_ratio", "max_determinant_ratio"])
def test_no_covariances_within_the_bound_are_more_likely(bound):
    rng = np.random.default_rng(1)
    factors = rng.normal(size=(3, 3, 3)) * np.array([0.2, 1.0, 4.0])[:, None, None]
    scatter, counts = factors @ factors.transpose(0, 2, 1) * 20.0, np.array([20.0, 50.0, 30.0])
    family = bounded(get_covariance("full"), *((6.0, None) if bound == "max_eigenvalue_ratio" else (None, 6.0)))

    def ratio(covariances):
        values = np.linalg.eigvalsh(covariances)
        values = values if bound == "max_eigenvalue_ratio" else values.prod(axis=1)
        return values.max() / values.min()

    def cost(covariances):
        traces = np.einsum("kij,kji->k", scatter, np.linalg.inv(covariances))
        return counts @ np.linalg.slogdet(covariances)[1] + traces.sum()

    found = family.estimate(scatter, counts)
    assert ratio(found) == pytest.approx(6.0)
    tried = 0
    for _ in range(500):
        step = np.eye(3) + rng.normal(scale=rng.choice([1e-3, 1e-2, 0.1]), size=(3, 3, 3))
        other = step @ found @ step.transpose(0, 2, 1)
        other = family.estimate(other * counts[:, None, None], counts)
        tried += ratio(other) <= 6.0 * (1 + 1e-9)
        assert cost(other) >= cost(found) - 1e-9
    assert tried == 500


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("cls", [GaussianMixture, StudentMixture])
@pytest.mark.parametrize("name", CLIPPED)
def test_the_ratio_is_bounded_and_the_likelihood_never_falls(name, cls):
    X = contaminated()
    options = {"covariance_type": name, "max_eigenvalue_ratio": 4.0, "random_state": 0, "reg_covar": 0.0}
    for likelihood, trim in [(SOFT, 0.0), (SOFT, 0.06), (HARD, 0.06)]:
        model = cls(3, likelihood=likelihood, trim=trim, acceleration=None, tol=1e-9, max_iter=60, **options).fit(X)
        assert np.diff(model.lower_bounds_).min(initial=0.0) >= -1e-12
        values = eigenvalues(model)
        assert values.max() <= 4.0 * values.min() * (1 + 1e-9)
        if likelihood == SOFT:
            fast = cls(3, trim=trim, tol=1e-9, max_iter=60, **options).fit(X)
            assert fast.lower_bound_ >= model.lower_bound_ - 1e-4


def test_a_bound_of_one_is_spheres_of_one_size_and_none_is_a_free_fit():
    X = contaminated()
    options = {"random_state": 0, "tol": 1e-10, "max_iter": 500}
    one = GaussianMixture(2, max_eigenvalue_ratio=1.0, acceleration=None, **options).fit(X)
    same = GaussianMixture(2, covariance_type="EII", acceleration=None, **options).fit(X)
    assert_allclose(one.covariances_, same.covariances_[:, None, None] * np.eye(2), atol=1e-9)
    assert one.lower_bound_ == pytest.approx(same.lower_bound_, abs=1e-11)
    free = GaussianMixture(2, **options).fit(X)
    for bound in ("max_eigenvalue_ratio", "max_determinant_ratio"):
        unbounded = GaussianMixture(2, **{bound: np.inf}, **options).fit(X)
        assert_array_equal(unbounded.covariances_, free.covariances_)
        wide = GaussianMixture(2, **{bound: 1e9}, **options).fit(X)
        assert_allclose(wide.covariances_, free.covariances_, rtol=1e-6)


def test_with_a_bound_nothing_is_singular():
    # Nine rows on one point: without a bound, the best likelihood is a component on them.
    X = np.concatenate([np.random.default_rng(2).normal(size=(200, 2)), np.full((9, 2), 3.0)])
    model = GaussianMixture(2, max_eigenvalue_ratio=20.0, init_params="multistart", random_state=0, reg_covar=0.0).fit(
        X
    )
    assert eigenvalues(model).min() > 1e-3


def test_parameters_are_counted_as_tclust_does():
    X = contaminated()
    model = GaussianMixture(3, max_eigenvalue_ratio=12.0, random_state=0).fit(X)
    means_and_weights, rotations, n_values = 6 + 2, 3, 6
    assert model._n_parameters() == pytest.approx(means_and_weights + rotations + (n_values - 1) * (1 - 1 / 12) + 1)
    family = get_covariance("full").n_parameters(3, 2)
    assert bounded(get_covariance("full"), 1e12, None).n_parameters(3, 2) == pytest.approx(family)
    assert bounded(get_covariance("EEV"), None, 5.0).n_parameters(3, 2) == get_covariance("EEV").n_parameters(3, 2)


# Trimming.


@pytest.mark.parametrize("likelihood", [SOFT, HARD])
@pytest.mark.parametrize("cls", [GaussianMixture, StudentMixture])
def test_what_is_trimmed_is_labelled_so(cls, likelihood, tmp_path):
    for dtype in (np.float64, np.float32):
        X = contaminated().astype(dtype)
        model = cls(2, trim=0.05, likelihood=likelihood, init_params="multistart", random_state=0)
        labels = model.fit_predict(X)
        assert (labels == -1).sum() == int(np.ceil(0.05 * len(X)))
        assert_array_equal(model.predict(X), labels)
        assert_array_equal(model.predict(np.asfortranarray(X)), labels)
        assert (labels[np.abs(X).max(axis=1) > 20] == -1).all()
        assert_allclose(np.sort(model.means_[:, 0]), [0.0, 8.0], atol=0.3)
        save(model, tmp_path / "model.npz")
        assert_array_equal(load(tmp_path / "model.npz").predict(X), labels)
    assert not hasattr(model.set_params(trim=0.0).fit(X), "trim_threshold_")


@pytest.mark.parametrize("likelihood", [SOFT, HARD])
def test_integer_weights_are_repeated_rows_and_units_of_weight_do_not_matter(likelihood):
    X = contaminated(n=60)
    weight = np.random.default_rng(3).integers(1, 4, size=len(X)).astype(float)
    start = np.repeat([0, 1, 0], [60, 60, 6])
    options = {"trim": 0.1, "likelihood": likelihood, "max_eigenvalue_ratio": 10.0, "tol": 1e-9, "max_iter": 200}
    model = GaussianMixture(2, init_params=start, **options).fit(X, sample_weight=weight)
    times = weight.astype(int)
    repeated = GaussianMixture(2, init_params=np.repeat(start, times), **options).fit(np.repeat(X, times, axis=0))
    scaled = GaussianMixture(2, init_params=start, **options).fit(X, sample_weight=weight * 0.3)
    for other in (repeated, scaled):
        assert_allclose(other.means_, model.means_, rtol=1e-7)
        assert_allclose(other.covariances_, model.covariances_, rtol=1e-6, atol=1e-9)
    assert model.bic(X, weight) == pytest.approx(repeated.bic(np.repeat(X, times, axis=0)), rel=1e-9)
    assert model.icl(X, weight) == pytest.approx(repeated.icl(np.repeat(X, times, axis=0)), rel=1e-9)


def test_rotations_shifts_and_units_of_all_columns_do_not_matter():
    X, start = contaminated(n=60), np.repeat([0, 1, 0], [60, 60, 6])
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    options = {"trim": 0.06, "max_eigenvalue_ratio": 3.0, "reg_covar": 0.0, "tol": 1e-10, "init_params": start}
    model = GaussianMixture(2, likelihood=HARD, **options).fit(X)
    moved = GaussianMixture(2, likelihood=HARD, **options).fit(X @ turn.T * 100.0 + 7.0)
    assert_allclose(moved.means_, model.means_ @ turn.T * 100.0 + 7.0, rtol=1e-9)
    assert_allclose(moved.covariances_, turn @ model.covariances_ @ turn.T * 1e4, rtol=1e-8, atol=1e-6)


def test_whole_rows_are_left_out_and_a_share_is_not_pushed_up_by_rounding():
    for n, share, n_left_out in [(271, 0.03, 9), (100, 0.07, 7), (1000, 0.0005, 1), (300, 0.29, 87)]:
        assert Trimmed(share, is_rounded_up=True).prepare(ArrayRows(np.zeros((n, 1)))).total_weight == n - n_left_out


def test_a_hard_pass_is_that_over_rows_of_known_component():
    rng = np.random.default_rng(4)
    X = contaminated()
    model = GaussianMixture(2, random_state=0).fit(X)
    labels, weight = model.predict(X), rng.uniform(0.5, 2.0, size=len(X))
    found = Trimmed(0.0, is_hard=True).prepare(ArrayRows(X, weight)).accumulate(model._fitted_state())
    assert_allclose(found.counts, np.bincount(labels, weights=weight), rtol=1e-12)
    joint = model.component_log_density(X).max(axis=1)
    assert found.log_likelihood == pytest.approx(weight @ joint, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trim": 0.1, "noise": 0.1}, "trim is 0.1.*noise is given"),
        ({"likelihood": HARD, "noise": 0.1}, "likelihood 'classification'.*noise is given"),
        ({"max_eigenvalue_ratio": 5, "covariance_type": "VVE"}, "max_eigenvalue_ratio is 5.*'VVE'"),
        ({"max_determinant_ratio": 5, "covariance_type": "VII"}, "expected max_eigenvalue_ratio"),
        ({"max_determinant_ratio": 5, "max_eigenvalue_ratio": 5}, "expected one of them"),
        ({"max_eigenvalue_ratio": 0.5}, "'max_eigenvalue_ratio' parameter"),
        ({"trim": 0.6}, "'trim' parameter"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    X = contaminated()
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2, **options).fit(X)


def test_batches_and_labels_are_refused():
    X = contaminated()
    with pytest.raises(ValueError, match=r"trim is 0.1.*rows come in batches"):
        GaussianMixture(2, trim=0.1).partial_fit(X)
    with pytest.raises(ValueError, match=r"trim is 0.1.*labels are given"):
        GaussianMixture(2, trim=0.1).fit(X, labels=np.zeros(len(X), dtype=int))


# How many rows to trim.


def test_curves_rise_with_components_and_are_drawn():
    X = contaminated()
    curves = trimming_curves(X, [1, 2, 3], [0.0, 0.05])
    for share in (0.0, 0.05):
        assert curves[1][share] < curves[2][share] <= curves[3][share] + 1e-6
    # Once the far rows are left out, a third component has little to explain.
    assert curves[3][0.05] - curves[2][0.05] < 0.3 * (curves[3][0.0] - curves[2][0.0])
    axes = plot_trimming_curves(curves, ax=Figure().subplots())
    assert_array_equal(axes.lines[1].get_ydata(), list(curves[2].values()))
    with pytest.raises(ValueError, match="no finite value"):
        plot_trimming_curves({1: {0.0: np.nan}})
