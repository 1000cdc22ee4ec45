"""Many small fits: each is the fit of one estimator, alone or among others, at any number of threads."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastgmm import GaussianMixture, config_context, fit_many, kernels
from fastgmm.exceptions import EngineError

SHAPES = ["full", "tied", "diag", "spherical"]
compiled = pytest.mark.skipif(not kernels.engine().supports("fit_many", "full"), reason="the compiled engine's")


def problems(n_problems=60, n_samples=120, n_features=2, seed=0):
    """Return well separated pairs of clusters, of other places in every problem."""
    rng = np.random.default_rng(seed)
    side = rng.integers(2, size=(n_problems, n_samples, 1))
    place = rng.normal(size=(n_problems, 1, n_features)) * 5.0
    return rng.normal(size=(n_problems, n_samples, n_features)) + place + 9.0 * side


@pytest.mark.parametrize("engine", ["auto", "plain"])
@pytest.mark.parametrize("covariance_type", SHAPES)
def test_each_problem_is_the_fit_of_an_estimator(covariance_type, engine):
    X = problems(6 if engine == "plain" else 60)
    settings = dict(covariance_type=covariance_type, tol=1e-9, max_iter=500)
    with config_context(engine=engine):
        fits = fit_many(X, 2, random_state=0, **settings)
    assert not fits.failures
    for number, (key, model) in enumerate(fits):
        assert key == number
        alone = GaussianMixture(2, random_state=0, acceleration=None, **settings).fit(X[number])
        order, other = np.argsort(model.means_[:, 0]), np.argsort(alone.means_[:, 0])
        assert_allclose(model.means_[order], alone.means_[other], atol=1e-4)
        assert_allclose(model.weights_[order], alone.weights_[other], atol=1e-5)
        assert fits.lower_bounds[number] == pytest.approx(alone.lower_bound_, abs=1e-7)
        assert model.converged_
        assert model.score(X[number]) == pytest.approx(fits.lower_bounds[number], abs=1e-7)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("covariance_type", SHAPES)
def test_the_end_is_a_fixed_point_of_em(covariance_type):
    X = np.random.default_rng(1).normal(size=(20, 150, 3))
    fits = fit_many(X, 3, covariance_type=covariance_type, tol=1e-12, max_iter=5000, random_state=0, reg_covar=0.0)
    for number in range(len(fits)):
        if fits.converged[number]:
            once = fits.model(number)
            again = GaussianMixture(
                3,
                covariance_type=covariance_type,
                means_init=once.means_,
                weights_init=once.weights_,
                precisions_init=once.precisions_,
                max_iter=1,
                tol=0.0,
                reg_covar=0.0,
                acceleration=None,
            ).fit(X[number])
            assert_allclose(again.means_, once.means_, atol=1e-4)
    assert fits.converged.any()


@compiled
def test_threads_and_neighbours_change_no_bit():
    X = problems(400, 150)
    results = []
    for n_threads in (1, 2, 7):
        with config_context(n_threads=n_threads):
            results.append(fit_many(X, 3, random_state=5))
    for other in results[1:]:
        for name in ("weights", "means", "covariances", "lower_bounds", "n_iter", "converged"):
            assert_array_equal(getattr(other, name), getattr(results[0], name))
    few = fit_many(X[:7], 3, random_state=5)
    assert_array_equal(few.means, results[0].means[:7])


def test_lists_and_groups_are_the_same_problems():
    X = problems(9, 40)
    whole = fit_many(X, 2, random_state=0)
    assert_array_equal(fit_many(list(X), 2, random_state=0).means, whole.means)
    rows, groups = X.reshape(-1, 2), np.repeat([f"shop {i}" for i in range(9)], 40)
    # Rows of a group keep their order.
    order = np.argsort(np.random.default_rng(0).permutation(9).repeat(40), kind="stable")
    grouped = fit_many(rows[order], 2, groups=groups[order], random_state=0)
    assert grouped.keys.tolist() == sorted(set(groups))
    assert_array_equal(grouped.means, whole.means)
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": rows[:, 0], "shop": groups, "b": rows[:, 1]})
    assert_array_equal(fit_many(frame, 2, groups="shop", random_state=0).means, whole.means)


def test_more_starts_are_never_worse_and_bits_of_problems_of_other_lengths_are_their_own():
    rng = np.random.default_rng(3)
    ragged = [rng.normal(size=(n, 2)) * [3, 1] for n in (10, 200, 35, 77, 500)]
    one, many = fit_many(ragged, 4, random_state=0), fit_many(ragged, 4, n_init=8, random_state=0)
    assert (many.lower_bounds >= one.lower_bounds).all()
    assert (many.lower_bounds > one.lower_bounds).any()


def test_failures_are_told_for_each_problem_and_leave_the_others():
    X = list(problems(6, 30))
    X[1], X[4] = X[1][:1], np.where(np.arange(60).reshape(30, 2) == 7, np.nan, X[4])
    X[5] = np.ones((30, 2))
    fits = fit_many(X, 2, reg_covar=0.0, random_state=0)
    assert sorted(fits.failures) == [1, 4, 5]
    assert fits.failures[1] == "it has 1 rows; expected at least n_components = 2"
    assert "NaN or infinite" in fits.failures[4]
    assert "collapsed" in fits.failures[5]
    assert np.isnan(fits.means[[1, 4, 5]]).all()
    assert np.isfinite(fits.means[[0, 2, 3]]).all()
    assert [model is None for _, model in fits] == [False, True, False, False, True, True]
    with pytest.raises(ValueError, match="problem 1 has no mixture: it has 1 rows"):
        fits.model(1)
    assert_array_equal(fits.means[0], fit_many(X[:1], 2, reg_covar=0.0, random_state=0).means[0])


def test_inputs_are_not_written_to_and_may_be_of_any_kind():
    X = problems(4, 50)
    before = X.copy()
    X.flags.writeable = False
    fits = fit_many(X, 2, random_state=0)
    assert_array_equal(X, before)
    assert_allclose(fit_many(X.astype(np.float32), 2, random_state=0).means, fits.means, atol=1e-3)
    assert_array_equal(fit_many(X.tolist(), 2, random_state=0).means, fits.means)
    assert_array_equal(fit_many(X[:, ::-1][:, ::-1], 2, random_state=0).means, fits.means)


def test_an_estimate_far_from_the_origin_is_the_same():
    X = problems(30)
    near, far = fit_many(X, 2, random_state=0), fit_many(X + 1e6, 2, random_state=0)
    assert_allclose(far.means - 1e6, near.means, atol=1e-6)
    assert_allclose(far.covariances, near.covariances, rtol=1e-5, atol=1e-7)


def test_bad_arguments_are_refused_by_name():
    X = problems(3, 20)
    with pytest.raises(ValueError, match=r"X has shape \(20, 2\); expected \(n_problems, n_samples, n_features\)"):
        fit_many(X[0], 2)
    with pytest.raises(ValueError, match="X is a list of 2 with numbers of features or shapes"):
        fit_many([X[0], X[1][:, :1]], 2)
    with pytest.raises(ValueError, match="groups is 'shop'; expected a column of X"):
        fit_many(X[0], 2, groups="shop")
    with pytest.raises(ValueError, match=r"groups has shape \(3,\); expected \(n_rows,\) = \(20,\)"):
        fit_many(X[0], 2, groups=[1, 2, 3])
    with pytest.raises(ValueError, match="'covariance_type' parameter of fit_many must be"):
        fit_many(X, 2, covariance_type="VEV")
    with pytest.raises(ValueError, match="'n_components' parameter of fit_many must be"):
        fit_many(X, 0)
    with pytest.raises(ValueError, match="number is 3; expected 0 to 2"):
        fit_many(X, 2).model(3)


@compiled
def test_the_kernel_refuses_arrays_that_do_not_fit_together():
    def arguments(**changed):
        given = dict(
            X=np.zeros((6, 2)),
            first_rows=np.array([0, 3, 6]),
            weights=np.zeros((2, 2)),
            means=np.zeros((2, 2, 2)),
            covariances=np.zeros((2, 2, 2, 2)),
            lower_bounds=np.zeros(2),
            n_iter=np.zeros(2, dtype=np.int64),
            outcomes=np.zeros(2, dtype=np.int64),
        )
        return given | dict(n_init=1, max_iter=1, tol=0.0, reg_covar=1.0, seed=0) | changed

    kernels.fit_many("full", **arguments())
    for changed in (
        {"first_rows": np.array([0, 3, 7])},
        {"first_rows": np.array([0, 5, 6])},
        {"first_rows": np.array([0, 9, 6])},
        {"covariances": np.zeros((2, 2, 2))},
        {"X": np.zeros((6, 2), dtype=np.float32)},
        {"outcomes": np.zeros(3, dtype=np.int64)},
    ):
        with pytest.raises(ValueError, match=r"expected|does not go"):
            kernels.fit_many("full", **arguments(**changed))
    with config_context(engine="plain"), pytest.raises(EngineError, match="no engine runs 'fit_many'"):
        kernels.fit_many("full", **arguments())
