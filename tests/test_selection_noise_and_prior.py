"""The background component and conjugate priors: mclust's results and their laws."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fastgmm import GaussianMixture
from fastgmm.families import COVARIANCES

DATA = Path(__file__).parent / "data"


def faithful():
    return np.ascontiguousarray(np.loadtxt(DATA / "faithful.csv", delimiter=",", skiprows=1))


def background_rows():
    """Return two groups and 100 rows of background, last."""
    rng = np.random.default_rng(0)
    groups = rng.normal(size=(300, 2)), rng.normal(size=(200, 2)) * 0.5 + 6
    return np.concatenate([*groups, rng.uniform(-8, 14, size=(100, 2))])


def exact(n_components, covariance_type, **options):
    settings = dict(reg_covar=0.0, tol=1e-10, max_iter=5000, random_state=0) | options
    return GaussianMixture(n_components, covariance_type=covariance_type, **settings)


# mclust 6.0.0 on the same rows: Mclust(X, G=2, initialization=list(noise=501:600), control=emControl(tol=1e-10)).
@pytest.mark.parametrize(
    ("covariance_type", "noise_weight", "bic"),
    [
        ("VVV", 0.1764981038, 4695.409),
        ("EEE", 0.1908997334, 4864.664),
        ("VVI", 0.1764665510, 4682.892),
        ("VII", 0.1766456672, 4670.942),
        ("VEV", 0.1764970740, 4689.090),
        ("EVE", 0.1908993997, 4871.061),
    ],
)
@pytest.mark.parametrize("given", ["mask", "fraction"])
def test_mclusts_noise_models_are_reached(covariance_type, noise_weight, bic, given):
    X = background_rows()
    noise = np.arange(600) >= 500 if given == "mask" else 0.2
    model = exact(2, covariance_type, noise=noise).fit(X)
    assert model.noise_weight_ == pytest.approx(noise_weight, abs=2e-6)
    assert model.bic(X) == pytest.approx(bic, abs=1e-3)
    assert np.log(456.8631) == pytest.approx(model.noise_box_.log_volume, abs=1e-6)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_background_is_one_more_component_everywhere(covariance_type):
    X = background_rows()
    model = exact(2, covariance_type, noise=0.2, tol=1e-9).fit(X)
    assert np.diff(model.lower_bounds_).min() > -1e-12
    assert model.weights_.sum() + model.noise_weight_ == pytest.approx(1.0)
    shares, labels = model.predict_proba(X), model.predict(X)
    assert shares.shape == (600, 3)
    assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-12)
    assert_allclose(np.where(labels < 0, 2, labels), shares.argmax(axis=1))
    assert (exact(2, covariance_type, noise=0.2, tol=1e-9).fit_predict(X) == labels).all()
    # Far from every group the density is the background's.
    density = np.log(model.noise_weight_) - model.noise_box_.log_volume
    assert_allclose(model.score_samples([[300.0, -300.0]]), density, rtol=1e-12)
    rows, drawn = model.sample(20_000, random_state=1)
    assert (drawn < 0).mean() == pytest.approx(model.noise_weight_, abs=0.012)
    along = rows[drawn < 0] @ model.noise_box_.axes
    assert (along >= model.noise_box_.low - 1e-9).all()
    assert (along <= model.noise_box_.high + 1e-9).all()
    assert_allclose(along.mean(axis=0), (model.noise_box_.low + model.noise_box_.high) / 2, atol=0.6)


def test_an_integer_weight_is_a_repeated_row_beside_a_background():
    X = background_rows()
    weight = np.random.default_rng(1).integers(0, 4, size=600)
    mask = np.arange(600) >= 500
    labels = np.arange(600) // 300
    weighted = exact(2, "full", noise=mask, init_params=labels).fit(X, sample_weight=weight)
    repeated = exact(2, "full", noise=mask.repeat(weight), init_params=labels.repeat(weight))
    repeated.fit(X.repeat(weight, axis=0))
    assert weighted.n_iter_ == repeated.n_iter_
    assert_allclose(weighted.noise_weight_, repeated.noise_weight_, rtol=1e-7)
    assert_allclose(weighted.means_, repeated.means_, rtol=1e-7, atol=1e-8)


def test_a_fit_without_noise_forgets_the_background():
    X = background_rows()
    model = exact(2, "full", noise=0.2).fit(X)
    with pytest.raises(ValueError, match="noise is part of this model"):
        model.to_sklearn()
    model.set_params(noise=None).fit(X)
    assert not hasattr(model, "noise_weight_")
    assert model.predict(X).min() == 0


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (np.zeros(5, dtype=bool), r"noise has shape \(5,\).*expected a fraction in \(0, 1\) or a boolean mask"),
        (np.ones(600, dtype=bool), "noise leaves 0 rows for n_components = 2"),
        (1.5, "noise"),
    ],
)
def test_bad_noise_is_refused(noise, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2, noise=noise).fit(background_rows())


def test_noise_needs_rows_with_volume():
    X = background_rows()
    with pytest.raises(ValueError, match="noise is spread over the volume of X, and X has none"):
        GaussianMixture(2, noise=0.1).fit(np.column_stack([X, X[:, 0] - X[:, 1]]))
    with pytest.raises(ValueError, match="40 rows in 40 features lie in a plane; expected more rows than features"):
        GaussianMixture(2, noise=0.1).fit(np.random.default_rng(0).normal(size=(40, 40)))


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_noise_is_the_same_in_units_that_differ_by_more_digits_than_there_are(covariance_type):
    X = background_rows()
    options = {"covariance_type": covariance_type, "noise": 0.1, "reg_covar": 0.0, "random_state": 0}
    labels = GaussianMixture(2, **options).fit(X).predict(X)
    options["init_params"] = np.maximum(labels, 0)
    plain = GaussianMixture(2, **options).fit(X)
    scaled = GaussianMixture(2, **options).fit(X * [1e-9, 1e9])
    # Powers of ten are not exact in binary; EM carries the roundings on. The enclosing boxes may differ.
    volumes = [m.noise_box_.log_volume for m in (plain, scaled)]
    assert abs(volumes[0] - volumes[1]) < 0.1
    assert_allclose(scaled.means_, plain.means_ * [1e-9, 1e9], rtol=0.02)


# mclust with prior=priorControl(): EEE,3 -2314.549 and VVV,2 -2322.686 at its tolerance; tighter ones end higher.
@pytest.mark.parametrize(("covariance_type", "n_components", "bic"), [("EEE", 3, 2314.5492), ("VVV", 2, 2322.6861)])
def test_mclusts_posterior_modes_are_reached(covariance_type, n_components, bic):
    X = faithful()
    model = exact(n_components, covariance_type, prior="default", init_params="hc").fit(X)
    assert bic - 0.05 < model.bic(X) <= bic


@pytest.mark.parametrize("covariance_type", [name for name in COVARIANCES if len(name) > 1])
def test_the_posterior_never_descends_under_the_default_prior(covariance_type):
    from fastgmm.data import ArrayRows
    from fastgmm.estimator.noise_and_prior import check_prior

    X = faithful() / [1.0, 10.0]
    structure = COVARIANCES[covariance_type]
    prior = check_prior("default", ArrayRows(X), 3, structure.shape)
    share = 1 / 3 if covariance_type in ("EII", "EEI", "EEE", "tied") else 1.0
    weight = {"spherical": (prior.dof + 2) / 2, "diag": prior.dof + 2}.get(structure.shape.name, prior.dof + 3)
    path = []
    for max_iter in range(1, 12):
        model = exact(3, covariance_type, prior="default", init_params="hc", tol=0.0, max_iter=max_iter)
        with pytest.warns(UserWarning, match="did not converge"):
            model.fit(X)
        value = model.score(X) * len(X)
        for k in range(3):
            covariance = model.covariances_ if structure.shape.is_shared else model.covariances_[k]
            covariance = covariance if covariance.ndim == 2 else np.eye(2) * covariance
            away = model.means_[k] - prior.mean
            precision = np.linalg.inv(covariance)
            scale = prior.scale
            if structure.shape.name == "spherical":
                scale = scale / 2
            log_det = np.linalg.slogdet(covariance)[1]
            value -= 0.5 * (log_det * (1 + share * weight) + prior.shrinkage * away @ precision @ away)
            value -= 0.5 * share * np.trace(scale @ precision)
        path.append(value)
    assert np.diff(path).min() > -1e-9 * abs(path[-1])


def test_a_prior_keeps_components_that_would_collapse():
    X = faithful()
    X = np.concatenate([X, np.repeat([[4.0, 200.0]], 4, axis=0)])
    labels = np.r_[(X[:-4, 1] > 68).astype(int), np.full(4, 2)]
    with pytest.raises(ValueError, match="component 2"):
        exact(3, "VVV", init_params=labels).fit(X)
    assert np.isfinite(exact(3, "VVV", init_params=labels, prior="default").fit(X).bic(X))


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ({"strength": 1}, "prior has the key 'strength'; expected 'shrinkage', 'mean', 'dof' or 'scale'"),
        ({"shrinkage": -1.0}, r"prior\['shrinkage'\] is -1; expected a non-negative number"),
        ({"mean": [0.0]}, r"prior\['mean'\] has shape \(1,\); expected finite numbers of shape \(2,\)"),
        ({"scale": -np.eye(2)}, r"prior\['scale'\] is not positive semi-definite"),
        ("weak", "prior"),
    ],
)
def test_bad_priors_are_refused(prior, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2, prior=prior).fit(faithful())


def test_an_overwhelming_prior_is_the_answer():
    X = faithful()
    prior = dict(shrinkage=1e9, mean=[3.0, 70.0], dof=1e9, scale=2e9 * np.eye(2))
    model = exact(2, "full", prior=prior, tol=1e-5).fit(X)
    assert_allclose(model.means_, [[3.0, 70.0]] * 2, atol=1e-4)
    # The mode of an inverse Wishart: scale over dof + D + 1, and one from the mean's prior.
    assert_allclose(model.covariances_, [2 * np.eye(2)] * 2, atol=1e-3)
