"""Imputation: expectations and draws against the distributions they come from, and a transformer among others."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from mixtures import random_parameters, random_rows
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureImputer, StudentMixture, load, save

DATA = Path(__file__).parent / "data"


def iris(share=0.2, seed=0):
    X = np.genfromtxt(DATA / "iris.csv", delimiter=",", skip_header=1)
    holes = X.copy()
    holes[np.random.default_rng(seed).uniform(size=X.shape) < share] = np.nan
    return X, holes


@pytest.mark.parametrize("estimator", [GaussianMixture, StudentMixture, BayesianGaussianMixture])
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_what_is_missing_is_its_expectation(estimator, covariance_type):
    X, holes = iris()
    model = estimator(n_components=3, covariance_type=covariance_type, random_state=0).fit(X)
    holes[3] = np.nan
    filled = model.impute(holes)
    there = ~np.isnan(holes)
    assert_array_equal(filled[there], holes[there])
    for i in np.flatnonzero(~there.all(axis=1))[:30]:
        has, lacks = np.flatnonzero(there[i]), np.flatnonzero(~there[i])
        if len(has):
            # A variational posterior predicts with responsibilities of its own.
            expected = model.condition(has, holes[i, has]).mean()[0]
            rtol = 1e-9 if estimator is not BayesianGaussianMixture else 2e-2
            assert_allclose(filled[i, lacks], expected, rtol=rtol)
    weights = model._components().weights if estimator is not BayesianGaussianMixture else model.weights_
    assert_allclose(filled[3], weights @ model.means_, rtol=0.05)


@pytest.mark.parametrize("structure", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("df", [None, 5.0])
def test_draws_are_distributed_as_what_is_missing(structure, df):
    rng = np.random.default_rng(4)
    truth = random_parameters(structure, 2, 3, rng, spread=2.0)
    parts = (truth.weights, truth.means, truth.covariances)
    model = GaussianMixture.from_parameters(*parts, covariance_type=structure)
    if df is not None:
        model = StudentMixture.from_parameters(*parts, df=df, covariance_type=structure)
    row = random_rows(truth, 1, rng)[0]
    row[[0, 2]] = np.nan
    draws = model.impute(np.tile(row, (50, 1)), n_draws=400, random_state=0).reshape(-1, 3)
    assert_array_equal(draws[:, 1], row[1])
    conditional = model.condition([1], row[1:2])
    assert_allclose(draws[:, [0, 2]].mean(axis=0), conditional.mean()[0], atol=0.05 * np.abs(row[1]) + 0.1)
    wanted = conditional.covariance()[0]
    assert_allclose(np.cov(draws[:, [0, 2]].T), wanted, atol=0.12 * np.abs(wanted).max())


def test_draws_of_rows_with_a_background_come_from_its_box_as_well():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(300, 2)), rng.uniform(-20.0, 20.0, size=(60, 2))])
    model = GaussianMixture(1, noise=0.2, random_state=0, missing="marginalise").fit(np.where(X > 19.0, np.nan, X))
    draws = model.impute([[15.0, np.nan]], n_draws=2000, random_state=0)[:, 0]
    assert draws[:, 1].min() < -18.0
    assert draws[:, 1].max() > 17.0
    assert_allclose(model.impute([[15.0, np.nan]])[0, 1], model.noise_box_.middle[1], atol=0.3)


def test_the_same_seed_gives_the_same_draws():
    X, holes = iris()
    model = GaussianMixture(2, random_state=0).fit(X)
    assert_array_equal(model.impute(holes, 3, random_state=1), model.impute(holes, 3, random_state=1))
    assert (model.impute(holes, 2, random_state=1)[0] != model.impute(holes, 2, random_state=1)[1]).any()
    for n_draws in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="n_draws is"):
            model.impute(holes, n_draws)


# The transformer.


def test_an_imputer_passes_the_checks_of_transformers():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(GaussianMixtureImputer(random_state=0), on_fail=None, on_skip=None)
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []
    assert sum(r["status"] == "passed" for r in results) >= 45


def test_an_imputer_is_the_mixture_inside():
    X, holes = iris()
    imputer = GaussianMixtureImputer(random_state=0)
    assert_array_equal(imputer.fit_transform(holes), imputer.mixture_.impute(holes))
    assert imputer.n_components_ == 2
    there = ~np.isnan(holes)
    centred = np.nanmean(holes, axis=0)
    error = np.sqrt(((imputer.transform(holes) - X)[~there] ** 2).mean())
    assert error < 0.5 * np.sqrt((np.broadcast_to(centred, X.shape) - X)[~there] ** 2).mean()
    assert imputer.transform(holes.astype(np.float32)).dtype == np.float32


def test_draws_allow_for_parameters_that_few_rows_tell():
    rng, held, of_mixture = np.random.default_rng(0), [], []
    for _ in range(20):
        X = rng.normal(size=(60, 10)) @ (np.eye(10) + 0.3)
        missing = rng.uniform(size=X.shape) < 0.2
        imputer = GaussianMixtureImputer(1, random_state=0).fit(np.where(missing, np.nan, X))
        for impute, found in ((imputer.impute, held), (imputer.mixture_.impute, of_mixture)):
            draws = impute(np.where(missing, np.nan, X), n_draws=400, random_state=0)[:, missing]
            low, high = np.quantile(draws, [0.05, 0.95], axis=0)
            found.append(np.mean((low <= X[missing]) & (X[missing] <= high)))
    # The standard error of a share of 2400 values is 0.006.
    assert 0.88 < np.mean(held) < 0.94
    assert np.mean(of_mixture) < np.mean(held) - 0.03


def test_draws_are_those_of_the_file_of_an_imputer(tmp_path):
    _, holes = iris(0.4)
    holes[:, 2] = np.nan
    for keep in (False, True):
        imputer = GaussianMixtureImputer(2, keep_empty_features=keep, random_state=0).fit(holes)
        save(imputer, tmp_path / "imputer.npz")
        draws = imputer.impute(holes, 3, random_state=1)
        assert draws.shape == (3, 150, 4 if keep else 3)
        assert_array_equal(load(tmp_path / "imputer.npz").impute(holes, 3, random_state=1), draws)
        assert_array_equal(imputer.impute(holes), imputer.transform(holes))


def test_a_draw_keeps_the_spread():
    _, holes = iris(0.4)
    drawn = GaussianMixtureImputer(1, sample_posterior=True, random_state=0).fit(holes)
    expected = clone(drawn).set_params(sample_posterior=False).fit_transform(holes)
    assert (drawn.transform(holes).std(axis=0) > expected.std(axis=0)).all()


@pytest.mark.parametrize("marker", [-1, -999.0])
def test_another_mark_of_what_is_missing(marker):
    _, holes = iris()
    expected = GaussianMixtureImputer(2, random_state=0).fit_transform(holes)
    marked = np.where(np.isnan(holes), marker, holes)
    found = GaussianMixtureImputer(2, missing_values=marker, random_state=0).fit_transform(marked)
    assert_array_equal(found, expected)
    with pytest.raises(ValueError, match="NaN"):
        GaussianMixtureImputer(2, missing_values=marker).fit(holes)


@pytest.mark.parametrize("keep", [False, True])
def test_columns_out_are_named(keep):
    pd = pytest.importorskip("pandas")
    _, holes = iris()
    frame = pd.DataFrame(holes, columns=list("abcd")).assign(empty=np.nan, whole=1.0)
    imputer = GaussianMixtureImputer(1, add_indicator=True, keep_empty_features=keep, random_state=0)
    found = imputer.set_output(transform="pandas").fit_transform(frame)
    kept = [*"abcd", *(["empty"] if keep else []), "whole"]
    assert list(found) == [*kept, *(f"missingindicator_{name}" for name in (*"abcd", "empty"))]
    assert_array_equal(found["missingindicator_b"], np.isnan(holes[:, 1]).astype(float))
    if keep:
        assert_array_equal(found["empty"], 0.0)
    assert not found.isna().any().any()


def test_frames_with_nullable_numbers_are_read():
    pd = pytest.importorskip("pandas")
    _, holes = iris()
    frame = pd.DataFrame(holes).astype("Float64")
    assert_array_equal(
        GaussianMixtureImputer(2, random_state=0).fit_transform(frame),
        GaussianMixtureImputer(2, random_state=0).fit_transform(holes),
    )


def test_an_imputer_stands_in_a_pipeline_and_in_a_file(tmp_path):
    _, holes = iris()
    y = np.repeat([0, 1, 2], 50)
    from sklearn.linear_model import LogisticRegression

    pipeline = make_pipeline(StandardScaler(), GaussianMixtureImputer(random_state=0), LogisticRegression())
    assert pipeline.fit(holes, y).score(holes, y) > 0.9
    imputer = pipeline[1]
    save(imputer, tmp_path / "imputer.npz")
    assert_array_equal(load(tmp_path / "imputer.npz").transform(holes), imputer.transform(holes))


def test_rows_that_miss_everything_become_the_mean():
    _, holes = iris()
    holes[:3] = np.nan
    imputer = GaussianMixtureImputer(2, random_state=0).fit(holes)
    assert_allclose(imputer.transform(holes)[:3], [imputer.mixture_.weights_ @ imputer.mixture_.means_] * 3, rtol=1e-9)
    with pytest.raises(ValueError, match="misses every value of all 4 features"):
        GaussianMixtureImputer().fit(np.full((10, 4), np.nan))
