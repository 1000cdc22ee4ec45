"""Accelerated EM: the optimum of plain EM, in fewer passes, without ever descending."""

from types import SimpleNamespace

import numpy as np
import pytest
from mixtures import random_parameters
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris

from fastgmm import GaussianMixture
from fastgmm.data import ArrayRows
from fastgmm.data.e_steps import Plain
from fastgmm.em import QuasiNewton, run_em
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.families import COVARIANCES, Gaussian, get_covariance
from fastgmm.model.coordinates import Coordinates
from fastgmm.starts import Start, initial_parameters

FAMILIES = [name for name in COVARIANCES if len(name) != 1]
COUNT_FLOOR = 10.0 * np.finfo(np.float64).eps


def overlapping(n_samples=600, seed=0):
    """Three components a standard deviation or two apart: slow for plain EM."""
    rng = np.random.RandomState(seed)
    parts = [rng.standard_normal((n_samples // 3, 2)) + mean for mean in ([0.0, 0.0], [2.0, 0.0], [0.0, 2.0])]
    return np.ascontiguousarray(np.vstack(parts) * [1.0, 3.0])


def fit_from_truth(X, name, accelerated, tol=1e-10, weight=None, max_iter=20_000, reg_covar=0.0):
    rows, family = ArrayRows(X, weight), Gaussian(get_covariance(name), reg_covar, COUNT_FLOOR)
    labels = np.arange(len(X)) // (len(X) // 3)
    start = initial_parameters(rows, 3, family, Start(labels), np.random.RandomState(0))
    accelerator = QuasiNewton(family, tol) if accelerated else None
    return run_em(rows, Plain(), family, start, tol=tol, max_iter=max_iter, accelerator=accelerator)


@pytest.mark.parametrize("name", FAMILIES)
def test_same_optimum_in_fewer_passes_without_descending(name):
    X = overlapping()
    plain = fit_from_truth(X, name, accelerated=False, tol=1e-12)
    run = fit_from_truth(X, name, accelerated=True)
    # A thousand times the tolerance of either run, for what EM still had to go.
    assert run.lower_bound == pytest.approx(plain.lower_bound, abs=1e-8)
    assert run.n_iter < 0.7 * plain.n_iter
    # Rounding of a sum of 600 rows is the one way a plain step can fall; proposals that fall at all are not kept.
    assert np.diff(run.lower_bounds).min() >= -1e-14


@pytest.mark.parametrize("structure", ["full", "tied", "diag", "spherical"])
def test_coordinates_reproduce_the_mixture(structure):
    rng = np.random.default_rng(0)
    reference, other = (random_parameters(structure, 4, 3, rng) for _ in range(2))
    coordinates = Coordinates(reference)
    decoded = coordinates.decode(coordinates.encode(other))
    # Conditioning of the factors, about 1e2, times rounding.
    for part in ("weights", "means", "covariances", "precisions_cholesky"):
        assert_allclose(getattr(decoded, part), getattr(other, part), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("structure", ["full", "tied", "diag", "spherical"])
def test_information_is_symmetric_and_solved_exactly(structure):
    rng = np.random.default_rng(1)
    reference, other = (random_parameters(structure, 3, 4, rng) for _ in range(2))
    coordinates = Coordinates(reference)
    information = coordinates.information(other)
    a, b = rng.standard_normal((2, len(coordinates.encode(other))))
    assert_allclose(information.solve(information.apply(a)), a, rtol=1e-9, atol=1e-9)
    assert a @ information.apply(b) == pytest.approx(b @ information.apply(a), rel=1e-9)
    assert a @ information.apply(a) > 0


@pytest.mark.parametrize("structure", ["full", "tied", "diag", "spherical"])
def test_information_is_the_curvature_of_the_divergence_between_mixtures(structure):
    # Twice the Kullback-Leibler divergence of complete data between neighbouring mixtures is the metric's square.
    rng = np.random.default_rng(2)
    at = random_parameters(structure, 3, 2, rng)
    coordinates = Coordinates(random_parameters(structure, 3, 2, rng))
    values = coordinates.encode(at)
    step = rng.standard_normal(len(values)) * 1e-4
    step[:3] -= at.weights @ step[:3]  # along weights that sum to one
    near = coordinates.decode(values + step)

    def full(parameters):
        c = parameters.covariances
        shaped = {
            "full": lambda: c,
            "tied": lambda: np.array([c] * 3),
            "diag": lambda: np.array([np.diag(v) for v in c]),
        }
        return shaped.get(structure, lambda: np.array([v * np.eye(2) for v in c]))()

    divergence = 0.0
    for k, (old, new) in enumerate(zip(full(at), full(near), strict=True)):
        precision, shift = np.linalg.inv(new), near.means[k] - at.means[k]
        trace = np.trace(precision @ old) - 2 - np.linalg.slogdet(precision @ old)[1]
        divergence += at.weights[k] * (
            np.log(at.weights[k] / near.weights[k]) + 0.5 * (trace + shift @ precision @ shift)
        )
    metric = step @ coordinates.information(at).apply(step)
    # Third-order terms of a step of 1e-4, and cancellation in the divergence, 1e-16 over 1e-8.
    assert 2.0 * divergence == pytest.approx(metric, rel=5e-3)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_affine_maps_of_the_data_map_the_answer(covariance_type):
    X = overlapping()
    A, shift = np.array([[2.0, 1.0], [-0.5, 3.0]]), np.array([100.0, -7.0])
    labels = np.arange(len(X)) // 200
    options = {"covariance_type": covariance_type, "tol": 1e-13, "max_iter": 5000, "reg_covar": 0.0}
    model = GaussianMixture(3, init_params=labels, **options).fit(X)
    mapped = GaussianMixture(3, init_params=labels, **options).fit(X @ A.T + shift)
    # Both are within the root of about 1e-12 nats of the optimum.
    assert_allclose(mapped.means_, model.means_ @ A.T + shift, rtol=1e-4, atol=1e-4)
    assert_allclose(mapped.covariances_, A @ model.covariances_ @ A.T, rtol=1e-3, atol=1e-3)
    expected = model.lower_bound_ - np.log(abs(np.linalg.det(A)))
    assert mapped.lower_bound_ == pytest.approx(expected, abs=1e-10)


def test_scaling_and_shifting_features_changes_no_step():
    X = overlapping()
    labels = np.arange(len(X)) // 200
    options = {"init_params": labels, "tol": 1e-9, "max_iter": 500, "reg_covar": 0.0}
    model = GaussianMixture(3, **options).fit(X)
    scaled = GaussianMixture(3, **options).fit(X * [4.0, 0.5] + [8.0, -2.0])  # exact in binary, but for the shift
    n = min(model.n_iter_, scaled.n_iter_, 25)
    assert model.n_iter_ > 12  # so that some steps are accelerated
    assert_allclose(scaled.lower_bounds_[:n], np.array(model.lower_bounds_[:n]) - np.log(2.0), atol=1e-9)


def test_integer_weights_are_repeated_rows():
    X = overlapping()
    weight = np.random.RandomState(0).randint(0, 4, len(X)).astype(float)
    repeated = np.repeat(X, weight.astype(int), axis=0)
    labels = np.arange(len(X)) // 200
    options = {"tol": 1e-11, "max_iter": 2000}
    weighted = GaussianMixture(3, init_params=labels, **options).fit(X, sample_weight=weight)
    model = GaussianMixture(3, init_params=np.repeat(labels, weight.astype(int)), **options).fit(repeated)
    assert_allclose(weighted.lower_bound_, model.lower_bound_, atol=1e-9)
    assert_allclose(weighted.means_, model.means_, atol=1e-3)


def test_passes_are_those_made(monkeypatch):
    calls = []
    fold = ArrayRows.fold

    def counted(self, *arguments):
        calls.append(1)
        return fold(self, *arguments)

    monkeypatch.setattr(ArrayRows, "fold", counted)
    model = GaussianMixture(3, tol=1e-10, max_iter=500, random_state=0).fit(overlapping())
    assert model.n_passes_ == len(calls) == model.n_iter_ == len(model.lower_bounds_)
    calls.clear()
    model = GaussianMixture(3, tol=1e-6, max_iter=500, n_init=3, random_state=0).fit(overlapping())
    assert model.n_passes_ == len(calls) > model.n_iter_


class Bad(QuasiNewton):
    """Proposes what no one wants."""

    n_proposed = 0

    def observe(self, state, following, bound):
        self._worse = self.fault(state)

    def propose(self):
        type(self).n_proposed += 1
        return self._worse

    def refuse(self):
        pass


class FarAway(Bad):
    def fault(self, state):
        return type(state)(
            state.structure, state.weights, state.means + 50.0, state.covariances, state.precisions_cholesky
        )


class NotANumber(Bad):
    def fault(self, state):
        return type(state)(
            state.structure, state.weights, state.means * np.nan, state.covariances, state.precisions_cholesky
        )


@pytest.mark.parametrize("accelerator", [FarAway, NotANumber])
def test_a_failed_proposal_costs_one_pass_and_changes_nothing(accelerator):
    X = overlapping()
    rows, family = ArrayRows(X), Gaussian(get_covariance("full"), 0.0, COUNT_FLOOR)
    start = initial_parameters(rows, 3, family, Start("kmeans"), np.random.RandomState(0))
    plain = run_em(rows, Plain(), family, start, tol=0.0, max_iter=10)
    run = run_em(rows, Plain(), family, start, tol=0.0, max_iter=19, accelerator=accelerator(family, 0.0))
    assert_allclose(run.lower_bounds[::2], plain.lower_bounds, rtol=0)
    assert_allclose(run.lower_bounds[1::2], plain.lower_bounds[:-1], rtol=0)
    assert_allclose(run.state.means, plain.state.means, rtol=0)


def test_a_proposal_without_an_m_step_is_refused():
    X = overlapping()
    rows, family = ArrayRows(X), Gaussian(get_covariance("full"), 0.0, COUNT_FLOOR)
    start = initial_parameters(rows, 3, family, Start("kmeans"), np.random.RandomState(0))
    plain = run_em(rows, Plain(), family, start, tol=0.0, max_iter=6)

    class Ahead(Bad):
        def fault(self, state):
            return ahead

    ahead = plain.state

    class Collapsing(Gaussian):
        def maximise(self, statistics, state):
            if state is ahead:
                raise ComponentCollapseError("no", 0, "no")
            return super().maximise(statistics, state)

    collapsing = Collapsing(get_covariance("full"), 0.0, COUNT_FLOOR)
    run = run_em(rows, Plain(), collapsing, start, tol=0.0, max_iter=7, accelerator=Ahead(family, 0.0))
    assert len(run.lower_bounds) == 7
    assert_allclose(run.lower_bounds[::2], plain.lower_bounds[:4], rtol=0)


def test_a_proposal_whose_weights_vanish_is_refused():
    # Integers: a component of VEE shrinks onto a plane, and the proposals on the way leave no weight to the others.
    rng = np.random.default_rng(0)
    rng.normal(size=280)
    X = rng.integers(0, 3, size=(60, 3)).astype(float)
    options = {"covariance_type": "VEE", "reg_covar": 0.0, "max_iter": 200, "tol": 1e-6, "random_state": 0}
    with pytest.raises(ComponentCollapseError):
        GaussianMixture(3, **options).fit(X)


def test_quick_fits_are_plain_em_to_the_last_bit():
    X = load_iris().data
    for covariance_type in ("full", "tied", "diag", "spherical"):
        options = {"covariance_type": covariance_type, "random_state": 0}
        model = GaussianMixture(2, **options).fit(X)
        plain = GaussianMixture(2, acceleration=None, **options).fit(X)
        assert model.lower_bounds_ == plain.lower_bounds_
        assert np.array_equal(model.means_, plain.means_)


def test_plain_em_has_no_proposals(monkeypatch):
    monkeypatch.setattr(QuasiNewton, "observe", lambda *args: pytest.fail("acceleration=None accelerates"))
    model = GaussianMixture(3, acceleration=None, tol=1e-6, max_iter=500, random_state=0).fit(overlapping())
    assert model.n_iter_ > 20


def test_gap_rule_reaches_the_optimum_of_iris():
    # scikit-learn's rule stops half a nat short of it.
    X = load_iris().data
    model = GaussianMixture(3, covariance_type="tied", stop_on="gap", random_state=0).fit(X)
    assert 150 * model.score(X) == pytest.approx(-256.3540, abs=1e-4)
    early = GaussianMixture(3, covariance_type="tied", random_state=0).fit(X)
    assert 150 * early.score(X) < -256.7
    assert early.log_likelihood_gap_ > 10 * model.log_likelihood_gap_


@pytest.mark.parametrize("acceleration", [None, "quasi-newton"])
def test_gap_is_what_is_still_to_come(acceleration):
    X = overlapping(3000, seed=1)
    options = {"acceleration": acceleration, "max_iter": 20_000, "random_state": 0, "reg_covar": 0.0}
    model = GaussianMixture(3, tol=1e-6, stop_on="gap", **options).fit(X)
    assert model.converged_
    # From where it is: a run from the start may end in another optimum.
    here = {"weights_init": model.weights_, "means_init": model.means_, "precisions_init": model.precisions_}
    limit = GaussianMixture(3, tol=1e-13, **here, **options).fit(X).lower_bound_
    # An estimate: right to a factor of twenty, where a change of 1e-6 would leave many times that.
    assert 0.1 * model.log_likelihood_gap_ < limit - model.lower_bound_ < 2e-5


def test_gap_is_unknown_before_the_third_iteration():
    with pytest.warns(match="did not converge"):
        model = GaussianMixture(3, max_iter=2, random_state=0).fit(overlapping())
    assert np.isnan(model.log_likelihood_gap_)


def test_same_seed_same_bits():
    X = overlapping()
    first, second = (GaussianMixture(3, tol=1e-9, max_iter=500, random_state=0).fit(X) for _ in range(2))
    assert first.lower_bounds_ == second.lower_bounds_
    assert np.array_equal(first.covariances_, second.covariances_)


@pytest.mark.parametrize("value", ["anderson", 1])
def test_unknown_acceleration_is_an_error(value):
    with pytest.raises(ValueError, match="acceleration"):
        GaussianMixture(2, acceleration=value).fit(overlapping())
    with pytest.raises(ValueError, match="stop_on"):
        GaussianMixture(2, stop_on=value).fit(overlapping())


def test_on_few_rows_plain_em_goes_on_where_proposals_would_cost_more(monkeypatch):
    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(size=(100, 1)), rng.normal(size=(100, 1)) + 1.0]
    fits = {}
    for name in ("plain", "default", "free"):
        if name == "free":
            monkeypatch.setattr("fastgmm.estimator.problem.proposal_cost", lambda *sizes: 0.0)
        model = GaussianMixture(2, random_state=0, tol=1e-7, max_iter=5000)
        model.set_params(acceleration=None if name == "plain" else "quasi-newton")
        fits[name] = model.fit(X)
    assert fits["default"].n_passes_ == fits["plain"].n_passes_
    assert_array_equal(fits["default"].means_, fits["plain"].means_)
    assert fits["free"].n_passes_ < fits["plain"].n_passes_


class Walk:
    """A family of numbers whose state is its bound and goes half the way to one; after a leap there is no M-step."""

    bound, leapt = None, False

    def density(self, state):
        return state

    def maximise(self, statistics, state):
        if self.leapt and state > 0.99:
            raise ComponentCollapseError("component 0 collapsed", component=0, reason="it leapt")
        return state + 0.5 * (1.0 - state)


class Bounds:
    """Passes that take a state for its log-likelihood."""

    total_weight, asked_per_row = 1.0, float("nan")

    def prepare(self, rows):
        return self

    def accumulate(self, density):
        return SimpleNamespace(log_likelihood=density)


class Leap:
    """An accelerator of one proposal, which raises the bound and leads where a component collapses."""

    active, gap, made = False, float("nan"), False

    def __init__(self, family):
        self.family = family

    def observe(self, state, following, bound):
        self.state = following

    def propose(self):
        if self.made or self.state < 0.6:
            return None
        self.made = self.family.leapt = True
        return 0.985


def test_a_run_that_collapses_after_an_accelerated_step_goes_on_from_the_last_plain_state():
    family = Walk()
    run = run_em(None, Bounds(), family, 0.0, tol=0.0, max_iter=7, accelerator=Leap(family))
    # Passes: 0, 0.5, the leap, the one that collapses; then on from 0.75, where plain EM was.
    assert run.lower_bounds == [0.0, 0.5, 0.5, 0.5, 0.75, 0.875, 0.9375]
    assert run.n_iter == 7


class Onward(Leap):
    """An accelerator that is never content with a plain step, and proposes none."""

    active, gap, plain_gain, n_pairs = True, 1.0, 1.0, 0

    def propose(self):
        return None


@pytest.mark.parametrize("stop_on", ["change", "gap"])
def test_a_run_that_collapses_after_plain_em_would_have_ended_ends_there(stop_on):
    family, options = Walk(), {"tol": 0.1, "max_iter": 20, "stop_on": stop_on}
    family.leapt = True
    plain = run_em(None, Bounds(), family, 0.0, **options)
    run = run_em(None, Bounds(), family, 0.0, accelerator=Onward(family), **options)
    assert plain.converged
    assert run.converged
    assert (run.state, run.lower_bound) == (plain.state, plain.lower_bound)
    assert run.n_iter > plain.n_iter


@pytest.mark.parametrize("n_measured", [-1, 0, 5])
def test_states_whose_steps_cannot_be_measured_are_left_by_plain_steps(n_measured):
    class Singular(Gaussian):
        def coordinates(self, state):
            coordinates, information = super().coordinates(state), Coordinates.information
            left = iter([information] * n_measured)
            if n_measured < 0:
                raise np.linalg.LinAlgError("Singular matrix")

            def at(parameters):
                try:
                    return next(left)(coordinates, parameters)
                except StopIteration:
                    raise np.linalg.LinAlgError("Singular matrix") from None

            coordinates.information = at
            return coordinates

    rows, family = ArrayRows(overlapping()), Singular(get_covariance("full"), 0.0, COUNT_FLOOR)
    start = initial_parameters(rows, 3, family, Start("kmeans"), np.random.RandomState(0))
    plain = run_em(rows, Plain(), family, start, tol=1e-10, max_iter=20_000)
    run = run_em(rows, Plain(), family, start, tol=1e-10, max_iter=20_000, accelerator=QuasiNewton(family, 1e-10))
    assert run.converged
    # A thousand times the tolerance, for what EM still had to go.
    assert run.lower_bound == pytest.approx(plain.lower_bound, abs=1e-7)
    if n_measured < 5:
        assert run.lower_bounds == plain.lower_bounds


def test_a_collapse_of_plain_em_is_an_error():
    family = Walk()
    family.leapt = True
    with pytest.raises(ComponentCollapseError, match="collapsed"):
        run_em(None, Bounds(), family, 0.995, tol=0.0, max_iter=3)
