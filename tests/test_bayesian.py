"""Laws of the variational mixture: scikit-learn's iterates, the evidence, weights, offsets and scales."""

import itertools

import numpy as np
import pytest
import sklearn.mixture
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.special import betaln, digamma, gammaln, logsumexp
from sklearn.exceptions import ConvergenceWarning

from fastgmm import BayesianGaussianMixture
from fastgmm.data import ArrayRows
from fastgmm.datasets import load_faithful
from fastgmm.exceptions import RegularisationWarning
from fastgmm.families.variational import entropy_of_memberships

STRUCTURES = ["full", "tied", "diag", "spherical"]
PRIOR_TYPES = ["dirichlet_process", "dirichlet_distribution"]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def overlapping_rows(n_samples=400, n_features=3, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(4, n_features)) * 2.0
    labels = rng.integers(4, size=n_samples)
    # Multiples of 2^-16, so that shifts by whole numbers and scaling by powers of two are exact.
    X = np.round((centres[labels] + rng.normal(size=(n_samples, n_features))) * 2.0**16) / 2.0**16
    return X, labels


# What scikit-learn computes.


@pytest.mark.parametrize("prior_type", PRIOR_TYPES)
@pytest.mark.parametrize("n_iter", [1, 5, 50])
def test_iterates_are_those_of_scikit_learn(structure, prior_type, n_iter):
    X, labels = overlapping_rows()
    options = {
        "n_components": 4,
        "covariance_type": structure,
        "weight_concentration_prior_type": prior_type,
        "max_iter": n_iter,
        "tol": 0.0,
    }
    theirs = sklearn.mixture.BayesianGaussianMixture(**options, warm_start=True)
    theirs._check_parameters(X)
    theirs._initialize(X, np.eye(4)[labels])
    theirs.converged_, theirs.lower_bound_ = False, -np.inf
    theirs.fit(X)
    ours = BayesianGaussianMixture(**options, init_params=labels).fit(X)
    # Rounding of 50 iterations of a contracting map: 1e-8 is the contract, 1e-10 is typical.
    for name in ("weights_", "means_", "covariances_", "precisions_", "mean_precision_", "degrees_of_freedom_"):
        assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-8, atol=1e-9, err_msg=name)
    assert_allclose(np.asarray(ours.weight_concentration_), np.asarray(theirs.weight_concentration_), rtol=1e-8)
    assert_allclose(ours.lower_bound_, theirs.lower_bound_, rtol=1e-8)
    assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-8, atol=1e-8)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-8)


def test_attributes_and_dtypes_are_those_of_scikit_learn(structure, dtype):
    X = overlapping_rows()[0].astype(dtype)
    options = {"n_components": 3, "covariance_type": structure, "max_iter": 3, "random_state": 0}
    ours = BayesianGaussianMixture(**options).fit(X)
    theirs = sklearn.mixture.BayesianGaussianMixture(**options).fit(X)
    for name in (name for name in vars(theirs) if name.endswith("_") and not name.startswith("_")):
        mine, other = getattr(ours, name), getattr(theirs, name)
        # scikit-learn's bound of a tied mixture is an array of one number.
        assert np.shape(mine) == np.shape(other) or name.startswith("lower_bound"), name
        assert np.asarray(mine).dtype == np.asarray(other).dtype, name
    for method in ("score_samples", "predict_proba", "predict"):
        assert getattr(ours, method)(X).dtype == getattr(theirs, method)(X).dtype
    with pytest.raises(TypeError):
        BayesianGaussianMixture(3)


# The evidence.


def log_evidence_of_one(X, structure, mean, precision, dof, covariance):
    """Return log p(X) of one component by the chain rule: a Student t predictive per row."""
    d, total = X.shape[1], 0.0
    mean, scale = np.array(mean, dtype=float), np.array(covariance, dtype=float)
    for x in X:
        inflation = (precision + 1.0) / precision
        if structure in ("full", "tied"):
            df = dof - d + 1.0
            total += stats.multivariate_t.logpdf(x, mean, scale * inflation / df, df)
        elif structure == "diag":
            total += stats.t.logpdf(x, dof, mean, np.sqrt(scale * inflation / dof)).sum()
        else:
            total += stats.multivariate_t.logpdf(x, mean, np.eye(d) * scale * inflation / dof, d * dof)
        step = x - mean
        spread = {"full": np.outer(step, step), "diag": step**2, "spherical": np.mean(step**2)}
        scale = scale + spread["full" if structure == "tied" else structure] * precision / (precision + 1.0)
        mean = mean + step / (precision + 1.0)
        precision, dof = precision + 1.0, dof + 1.0
    return total


def given_priors(structure, n_features, rng):
    a = rng.normal(size=(n_features, n_features))
    covariance = a @ a.T + np.eye(n_features)
    return {
        "mean_prior": rng.normal(size=n_features),
        "mean_precision_prior": 0.7,
        "degrees_of_freedom_prior": n_features + 1.5,
        "covariance_prior": {
            "full": covariance,
            "tied": covariance,
            "diag": np.diag(covariance),
            "spherical": float(covariance[0, 0]),
        }[structure],
    }


def evidence_arguments(priors):
    names = ("mean_prior", "mean_precision_prior", "degrees_of_freedom_prior", "covariance_prior")
    return [priors[name] for name in names]


@pytest.mark.parametrize("prior_type", PRIOR_TYPES)
def test_elbo_of_one_component_is_the_log_evidence(structure, prior_type):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(30, 3)) * [1.0, 2.0, 0.5] + 1.0
    priors = given_priors(structure, 3, rng)
    model = BayesianGaussianMixture(
        covariance_type=structure,
        weight_concentration_prior_type=prior_type,
        weight_concentration_prior=0.4,
        reg_covar=0.0,
        **priors,
    ).fit(X)
    exact = log_evidence_of_one(X, structure, *evidence_arguments(priors))
    if prior_type == "dirichlet_process":
        # All rows on the first stick: the expectation of its length to the power of their number.
        exact += betaln(1.0 + len(X), 0.4) - betaln(1.0, 0.4)
    assert_allclose(model.elbo_, exact, rtol=1e-11)
    # What the M-step adds to variances moves the posterior off its optimum, and the bound knows.
    with pytest.warns(RegularisationWarning, match=r"reg_covar is 0\.3"):
        regularised = BayesianGaussianMixture(**{**model.get_params(), "reg_covar": 0.3}).fit(X)
    assert exact - 20.0 < regularised.elbo_ < exact - 1e-3


@pytest.mark.parametrize("prior_type", PRIOR_TYPES)
def test_elbo_never_falls(structure, prior_type):
    X, _ = overlapping_rows(n_samples=150)
    model = BayesianGaussianMixture(
        n_components=6,
        covariance_type=structure,
        weight_concentration_prior_type=prior_type,
        init_params="random",
        random_state=3,
        reg_covar=0.0,
        tol=0.0,
        max_iter=1,
        warm_start=True,
        expected_log_precision="exact",
    )
    path = [model.fit(X).elbo_ for _ in range(60)]
    assert np.diff(path).min() >= -1e-12 * abs(path[-1])
    assert path[-1] > path[0] + 1.0
    assert model.lower_bound_ == model.elbo_


@pytest.mark.parametrize("expected", ["wishart", "exact"])
def test_elbo_is_below_the_evidence_summed_over_all_partitions(expected):
    rng = np.random.default_rng(2)
    X = np.concatenate([rng.normal(size=(4, 2)) - 3.0, rng.normal(size=(4, 2)) + 3.0])
    for structure in ("full", "diag", "spherical"):
        priors = given_priors(structure, 2, rng)
        alpha, terms = 0.6, []
        for labels in itertools.product(range(2), repeat=len(X)):
            labels = np.array(labels)
            counts = np.bincount(labels, minlength=2)
            log_labels = gammaln(2 * alpha) - gammaln(2 * alpha + len(X))
            log_labels += (gammaln(alpha + counts) - gammaln(alpha)).sum()
            parts = [log_evidence_of_one(X[labels == k], structure, *evidence_arguments(priors)) for k in range(2)]
            terms.append(log_labels + sum(parts))
        exact = logsumexp(terms)
        model = BayesianGaussianMixture(
            n_components=2,
            covariance_type=structure,
            weight_concentration_prior_type="dirichlet_distribution",
            weight_concentration_prior=alpha,
            reg_covar=0.0,
            max_iter=500,
            tol=1e-9,
            random_state=0,
            expected_log_precision=expected,
            **priors,
        ).fit(X)
        # One labelling of two holds nearly all the mass: the gap is about log 2, for the components' order.
        assert exact - 2.5 < model.elbo_ < exact


def test_entropy_of_memberships_is_that_of_the_responsibilities(structure):
    X, _ = overlapping_rows()
    model = BayesianGaussianMixture(n_components=4, covariance_type=structure, max_iter=4, random_state=0).fit(X)
    state = model._fitted_state()
    shares = model.predict_proba(X)
    expected = -float(np.sum(shares * np.log(np.maximum(shares, 1e-300))))
    assert_allclose(entropy_of_memberships(ArrayRows(X).accumulate(state), state), expected, rtol=1e-9)


# Acceleration.


def slow_rows():
    """Return rows of components that overlap so much that plain iterations take hundreds."""
    rng = np.random.default_rng(1)
    return np.concatenate([rng.normal(size=(500, 2)), rng.normal(2.0, 1.0, size=(500, 2))])


@pytest.mark.parametrize("prior_type", PRIOR_TYPES)
def test_acceleration_reaches_the_same_bound_in_fewer_passes_without_descending(structure, prior_type):
    options = {
        "n_components": 3,
        "covariance_type": structure,
        "weight_concentration_prior_type": prior_type,
        "expected_log_precision": "exact",
        "reg_covar": 0.0,
        "tol": 1e-7,
        "max_iter": 5000,
        "random_state": 0,
    }
    X = slow_rows()
    plain = BayesianGaussianMixture(**options).fit(X)
    accelerated = BayesianGaussianMixture(acceleration="quasi-newton", **options).fit(X)
    assert plain.converged_
    assert accelerated.converged_
    assert accelerated.n_passes_ < plain.n_passes_
    # A bound is a sum over 1000 rows, rounded.
    assert np.diff(accelerated.lower_bounds_).min() >= -1e-12 * abs(accelerated.lower_bound_)
    # Plain iterations end within `tol` per iteration, hundreds of them short of the limit.
    assert accelerated.lower_bound_ > plain.lower_bound_ - 1e-5
    assert_allclose(accelerated.lower_bound_, plain.lower_bound_, atol=1e-3)
    assert_allclose(accelerated.elbo_, accelerated.lower_bound_, rtol=1e-12)
    assert_allclose(np.sort(accelerated.weights_), np.sort(plain.weights_), atol=1e-3)


def test_acceleration_is_off_unless_asked_for():
    X, options = slow_rows(), {"n_components": 3, "max_iter": 300, "random_state": 0}
    assert BayesianGaussianMixture().acceleration is None
    model, plain = (
        BayesianGaussianMixture(**options).fit(X),
        BayesianGaussianMixture(acceleration=None, **options).fit(X),
    )
    assert model.lower_bounds_ == plain.lower_bounds_
    # The first states are plain, so a fit that is quick is the same to the bit.
    quick = {**options, "max_iter": 4}
    accelerated = BayesianGaussianMixture(acceleration="quasi-newton", **quick).fit(X)
    assert_array_equal(accelerated.means_, BayesianGaussianMixture(**quick).fit(X).means_)


# Labels.


def posterior_by_hand(X, shares, alpha, mean_prior, precision, dof, covariance):
    """Return weights' concentration, mean precision, means, degrees of freedom and scatter (Bishop 10.58 to 10.63)."""
    counts = shares.sum(axis=0)
    beta, nu = precision + counts, dof + counts
    means, scatter = np.empty((len(counts), X.shape[1])), []
    for k, share in enumerate(shares.T):
        centre = share @ X / counts[k]
        apart = centre - mean_prior
        between = precision * counts[k] / beta[k] * np.outer(apart, apart)
        scatter.append(covariance + (share[:, None] * (X - centre)).T @ (X - centre) + between)
        means[k] = (precision * mean_prior + counts[k] * centre) / beta[k]
    return alpha + counts, beta, means, nu, np.array(scatter)


def shares_by_hand(X, concentration, beta, means, nu, scatter):
    """Return the responsibilities under a posterior (Bishop 10.46, 10.64 to 10.67)."""
    d = X.shape[1]
    log_share = np.empty((len(X), len(beta)))
    for k in range(len(beta)):
        inverse = np.linalg.inv(scatter[k])
        log_det = digamma(0.5 * (nu[k] - np.arange(d))).sum() + d * np.log(2.0) + np.linalg.slogdet(inverse)[1]
        apart = X - means[k]
        distance = d / beta[k] + nu[k] * np.einsum("nd,de,ne->n", apart, inverse, apart)
        log_share[:, k] = digamma(concentration[k]) - digamma(concentration.sum()) + 0.5 * (log_det - distance)
    return np.exp(log_share - logsumexp(log_share, axis=1, keepdims=True))


@pytest.mark.parametrize("n_iter", [1, 2, 10])
def test_labelled_rows_stay_in_their_components(n_iter):
    """The posterior is that of responsibilities of which those of labelled rows are one and zero."""
    X, truth = overlapping_rows(n_samples=60)
    rng = np.random.default_rng(3)
    labels = np.where(rng.uniform(size=60) < 0.4, truth, -1)
    labels[:4] = (truth[:4] + 1) % 4  # in components that they are not likely to be of
    start = np.where(labels < 0, truth, labels)
    priors, alpha = given_priors("full", 3, rng), 0.6
    arguments = (alpha, *evidence_arguments(priors))
    expected = posterior_by_hand(X, np.eye(4)[start], *arguments)
    for _ in range(n_iter):
        shares = shares_by_hand(X, *expected)
        shares[labels >= 0] = np.eye(4)[labels[labels >= 0]]
        expected = posterior_by_hand(X, shares, *arguments)
    model = BayesianGaussianMixture(
        n_components=4,
        weight_concentration_prior_type="dirichlet_distribution",
        weight_concentration_prior=alpha,
        reg_covar=0.0,
        tol=0.0,
        max_iter=n_iter,
        init_params=start,
        **priors,
    ).fit(X, labels=labels)
    concentration, beta, means, nu, scatter = expected
    assert_allclose(model.weight_concentration_, concentration, rtol=1e-9)
    assert_allclose(model.mean_precision_, beta, rtol=1e-9)
    assert_allclose(model.means_, means, rtol=1e-9, atol=1e-9)
    assert_allclose(model.degrees_of_freedom_, nu, rtol=1e-9)
    assert_allclose(model.covariances_, scatter / nu[:, None, None], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("prior_type", PRIOR_TYPES)
def test_labels_of_every_row_settle_the_posterior(structure, prior_type):
    X, labels = overlapping_rows()
    options = {
        "n_components": 4,
        "covariance_type": structure,
        "weight_concentration_prior_type": prior_type,
        "reg_covar": 0.0,
    }
    start = BayesianGaussianMixture(init_params=labels, max_iter=0, **options).fit(X)
    model = BayesianGaussianMixture(random_state=0, **options).fit(X, labels=labels)
    # The bound does not change from the first iteration to the second.
    assert model.n_iter_ == 2
    for name in ("weights_", "means_", "covariances_", "mean_precision_", "degrees_of_freedom_"):
        assert_allclose(getattr(model, name), getattr(start, name), rtol=1e-9, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("prior_type", PRIOR_TYPES)
@pytest.mark.parametrize("acceleration", [None, "quasi-newton"])
def test_the_bound_given_labels_never_falls(structure, prior_type, acceleration):
    X, truth = overlapping_rows()
    labels = np.where(np.random.default_rng(4).uniform(size=len(X)) < 0.2, truth, -1)
    model = BayesianGaussianMixture(
        n_components=6,
        covariance_type=structure,
        weight_concentration_prior_type=prior_type,
        expected_log_precision="exact",
        reg_covar=0.0,
        tol=1e-8,
        max_iter=300,
        acceleration=acceleration,
        random_state=0,
    ).fit(X, labels=labels)
    assert len(model.lower_bounds_) > 5
    assert np.diff(model.lower_bounds_).min() >= -1e-12 * abs(model.lower_bound_)


def test_labels_name_the_components():
    X, truth = overlapping_rows()
    X = X + 8.0 * truth[:, None]
    order = np.array([2, 0, 3, 1])
    # Components 0 to 2 are known from three rows each, the last from none.
    labels = np.full(len(X), -1)
    for k in range(4):
        if order[k] != 3:
            labels[np.flatnonzero(truth == k)[:3]] = order[k]
    model = BayesianGaussianMixture(n_components=4, max_iter=500, random_state=0).fit(X, labels=labels)
    assert np.mean(model.predict(X) == order[truth]) > 0.97


# Weights, offsets, scales.


@pytest.mark.parametrize("prior_type", PRIOR_TYPES)
def test_integer_weight_is_a_repeated_row(structure, prior_type):
    X, labels = overlapping_rows(n_samples=120)
    weight = np.random.default_rng(4).integers(0, 4, size=120)
    options = {
        "n_components": 4,
        "covariance_type": structure,
        "weight_concentration_prior_type": prior_type,
        "max_iter": 20,
    }
    weighted = BayesianGaussianMixture(**options, init_params=labels).fit(X, sample_weight=weight)
    repeated = BayesianGaussianMixture(**options, init_params=np.repeat(labels, weight)).fit(
        np.repeat(X, weight, axis=0)
    )
    for name in ("weights_", "means_", "covariances_", "mean_prior_", "covariance_prior_", "lower_bound_", "elbo_"):
        assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-9, atol=1e-10, err_msg=name)
    assert_allclose(weighted.score(X, sample_weight=weight), repeated.score(np.repeat(X, weight, axis=0)), rtol=1e-10)


@pytest.mark.parametrize("offset", [1e4, 1e8])
def test_offset_moves_the_means_alone(structure, offset):
    X, labels = overlapping_rows()
    options = {"n_components": 4, "covariance_type": structure, "max_iter": 20, "tol": 0.0, "init_params": labels}
    near = BayesianGaussianMixture(**options).fit(X)
    far = BayesianGaussianMixture(**options).fit(X + offset)
    # The means themselves are rounded to their own spacing, 1.5e-8 at 1e8, in every iteration.
    spacing = np.spacing(offset)
    assert_allclose(far.means_ - offset, near.means_, atol=20 * spacing)
    assert_allclose(far.covariances_, near.covariances_, rtol=100 * spacing + 1e-12, atol=100 * spacing)
    assert_allclose(far.weights_, near.weights_, rtol=100 * spacing + 1e-12)
    assert_allclose(far.covariance_prior_, near.covariance_prior_, rtol=10 * spacing + 1e-13, atol=10 * spacing)
    assert_allclose(far.elbo_, near.elbo_, rtol=100 * spacing)
    assert_array_equal(far.predict(X + offset), near.predict(X))


@pytest.mark.parametrize("exponent", [-332, 332])
def test_power_of_two_scales_the_answer(structure, exponent):
    X, labels = overlapping_rows()
    options = {"n_components": 4, "covariance_type": structure, "max_iter": 20, "tol": 0.0, "init_params": labels}
    plain = BayesianGaussianMixture(**options, reg_covar=0.0).fit(X)
    scale = 2.0**exponent  # about 1e-100 and 1e100
    scaled = BayesianGaussianMixture(**options, reg_covar=0.0).fit(X * scale)
    assert_allclose(scaled.means_ / scale, plain.means_, rtol=1e-10)
    assert_allclose(scaled.covariances_ / scale / scale, plain.covariances_, rtol=1e-10, atol=1e-12)
    assert_allclose(scaled.weights_, plain.weights_, rtol=1e-10)
    moved = len(X) * X.shape[1] * np.log(scale)
    assert_allclose(scaled.elbo_, plain.elbo_ - moved, rtol=1e-12)


def test_single_precision_rows_give_nearly_the_same_posterior(structure):
    X, labels = overlapping_rows()
    options = {"n_components": 4, "covariance_type": structure, "max_iter": 20, "init_params": labels, "tol": 0.0}
    double = BayesianGaussianMixture(**options).fit(X)
    single = BayesianGaussianMixture(**options).fit(X.astype(np.float32))
    for name in ("weights_", "means_", "covariances_"):
        assert_allclose(getattr(single, name), getattr(double, name), rtol=2e-4, atol=2e-4, err_msg=name)
    assert_allclose(single.elbo_, double.elbo_, rtol=1e-5)


def test_single_precision_converges_where_its_bound_is_but_rounding(structure):
    # Here a float32 bound goes up and down by up to 2e-3 for ever.
    X, labels = overlapping_rows(2000)
    X += 4.0 * labels[:, None]
    options = {"n_components": 4, "covariance_type": structure, "max_iter": 500, "init_params": labels}
    double = BayesianGaussianMixture(**options, tol=1e-8).fit(X)
    single = BayesianGaussianMixture(**options, tol=1e-8).fit(X.astype(np.float32))
    assert double.converged_
    assert single.converged_
    assert single.n_iter_ < double.n_iter_ + 40
    assert_allclose(single.lower_bound_, double.lower_bound_, rtol=2e-6)
    endless = BayesianGaussianMixture(**options | {"max_iter": 60}, tol=0.0).fit(X.astype(np.float32))
    assert (endless.n_iter_, endless.converged_) == (60, False)


def test_warm_start_continues(structure):
    X, labels = overlapping_rows()
    options = {"n_components": 4, "covariance_type": structure, "tol": 0.0, "init_params": labels}
    whole = BayesianGaussianMixture(**options, max_iter=10).fit(X)
    halves = BayesianGaussianMixture(**options, max_iter=5, warm_start=True).fit(X).fit(X)
    assert_allclose(halves.means_, whole.means_, rtol=1e-12)
    assert_allclose(halves.lower_bound_, whole.lower_bound_, rtol=1e-12)


# Components and predictions.


def test_emptied_components_are_counted():
    rng = np.random.default_rng(5)
    X = np.concatenate([rng.normal(-5, 1, (150, 2)), rng.normal(5, 1, (150, 2))])
    model = BayesianGaussianMixture(
        n_components=8, weight_concentration_prior=1e-4, max_iter=2000, tol=1e-6, random_state=0
    ).fit(X)
    assert model.n_effective_components_ == 2
    assert np.sort(model.weights_)[-2:].sum() > 0.99


def test_rows_too_far_for_any_density_are_shared_equally_by_both_predictive_densities(structure):
    X = np.random.default_rng(6).normal(size=(50, 3))
    for predictive in ("variational", "student-t"):
        model = BayesianGaussianMixture(
            n_components=2, covariance_type=structure, predictive=predictive, max_iter=1000, random_state=0
        )
        assert_allclose(model.fit(X).predict_proba(np.full((1, 3), 1e200)), 0.5)


def test_predictive_density_is_the_ratio_of_evidences(structure):
    rng = np.random.default_rng(6)
    X = rng.normal(size=(25, 3))
    model = BayesianGaussianMixture(
        covariance_type=structure,
        weight_concentration_prior_type="dirichlet_distribution",
        reg_covar=0.0,
        predictive="student-t",
        **given_priors(structure, 3, rng),
    ).fit(X)
    new = rng.normal(size=(5, 3)) * 3.0
    ratios = [BayesianGaussianMixture(**model.get_params()).fit(np.vstack([X, x])).elbo_ - model.elbo_ for x in new]
    assert_allclose(model.score_samples(new), ratios, rtol=1e-9)


@pytest.mark.parametrize("prior_type", PRIOR_TYPES)
def test_predictive_density_integrates_to_one(structure, prior_type):
    rng = np.random.default_rng(7)
    X = np.concatenate([rng.normal(-2, 1, (20, 1)), rng.normal(3, 0.5, (20, 1))])
    model = BayesianGaussianMixture(
        n_components=3,
        covariance_type=structure,
        weight_concentration_prior_type=prior_type,
        predictive="student-t",
        random_state=0,
    ).fit(X)
    # In the angle, heavy tails end where the grid does.
    angle = (np.arange(20_000) + 0.5) / 20_000 * np.pi - np.pi / 2
    density = np.exp(model.score_samples(np.tan(angle)[:, None])) / np.cos(angle) ** 2
    assert_allclose(density.mean() * np.pi, 1.0, rtol=1e-4)
    shares = model.predict_proba(X)
    assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-12)
    assert_array_equal(shares.argmax(axis=1), model.predict(X))
    assert_array_equal(model.fit_predict(X), model.predict(X))
    assert_allclose(model.score(X), model.score_samples(X).mean(), rtol=1e-12)


# Errors.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean_prior": [0.0]}, r"'means' should have the shape of \(3,\), but got \(1,\)"),
        ({"degrees_of_freedom_prior": 2.0}, r"'degrees_of_freedom_prior' should be greater than 2, but got 2\.000"),
        ({"covariance_prior": np.eye(2)}, r"'full covariance_prior' should have the shape of \(3, 3\)"),
        ({"covariance_prior": -np.eye(3)}, "'full covariance_prior' should be symmetric, positive-definite"),
        ({"covariance_type": "diag", "covariance_prior": [1.0, -1.0, 1.0]}, "should be positive"),
        ({"covariance_type": "spherical", "covariance_prior": [1.0]}, "should be a positive number"),
        ({"covariance_type": "VVI"}, "covariance_type"),
        ({"weight_concentration_prior": 0.0}, "weight_concentration_prior"),
        ({"predictive": "plug-in"}, "predictive"),
    ],
)
def test_bad_parameters_are_named(options, message):
    X, _ = overlapping_rows(n_samples=20)
    with pytest.raises(ValueError, match=message):
        BayesianGaussianMixture(**options).fit(X)


def test_weights_that_count_less_than_one_row_need_a_covariance_prior():
    X, _ = overlapping_rows(n_samples=20)
    weight = np.full(20, 0.04)
    with pytest.raises(ValueError, match=r"sample_weight sums to 0\.8; expected more than 1.*covariance_prior"):
        BayesianGaussianMixture().fit(X, sample_weight=weight)
    model = BayesianGaussianMixture(covariance_prior=np.eye(3)).fit(X, sample_weight=weight)
    assert_allclose(model.mean_precision_, 1.8)


def test_no_iteration_leaves_the_start():
    X, labels = overlapping_rows()
    model = BayesianGaussianMixture(n_components=4, init_params=labels, max_iter=0).fit(X)
    assert model.lower_bound_ == model.elbo_ == -np.inf
    assert model.n_iter_ == 0
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        model.set_params(max_iter=1, tol=0.0).fit(X)
    assert np.isfinite(model.elbo_)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("prior_type", ["dirichlet_process", "dirichlet_distribution"])
def test_to_sklearn_predicts_the_same(covariance_type, prior_type):
    X = load_faithful()
    model = BayesianGaussianMixture(
        n_components=3,
        covariance_type=covariance_type,
        weight_concentration_prior_type=prior_type,
        max_iter=1000,
        random_state=0,
    ).fit(X)
    theirs = model.to_sklearn()
    assert type(theirs).__module__.startswith("sklearn.")
    # The two sum in another order.
    assert_allclose(theirs.predict_proba(X), model.predict_proba(X), atol=1e-9)
    assert_allclose(theirs.score_samples(X), model.score_samples(X), rtol=1e-9)
    assert theirs.fit(X).n_features_in_ == 2


@pytest.mark.parametrize(("name", "value"), [("predictive", "student-t"), ("expected_log_precision", "exact")])
def test_to_sklearn_refuses_what_scikit_learn_does_not_have(name, value):
    model = BayesianGaussianMixture(random_state=0, **{name: value}).fit(load_faithful())
    with pytest.raises(ValueError, match=f"{name} is '{value}', which scikit-learn's mixture does not have"):
        model.to_sklearn()
