"""Feeds fits and predictions with shapes, layouts and values made from bytes: a result, or an error that is documented.

python tests/fuzz/fuzz_fit.py -runs=100000 -max_len=96 -len_control=0 CORPUS      (needs atheris)
python tests/fuzz/fuzz_fit.py --random 100000 SEED                                (needs nothing)
"""

import numpy as np
from choices import Choices, main

import fastgmm

FINITE = [0.0, -0.0, 5e-324, 1e-310, 1e300, -1.7e308, 3e38, 1e-45, 1e16, 1e154, -1.0, 7.0]
NOT_FINITE = [np.nan, np.inf, -np.inf]
ONE_FEATURE = ["full", "tied", "diag", "spherical", "E", "V"]
FAMILIES = [
    *["full", "tied", "diag", "spherical"] * 3,
    *["EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"],
]


def unusual(choices):
    """Return a number that is seldom met."""
    return choices.one_of(NOT_FINITE if choices.below(12) == 0 else FINITE)


def rows_of(choices, n_features):
    """Return an array of some length, dtype and layout."""
    shape = (
        choices.one_of([0, 1, 2, 3, 5, 8, 20, 40, 90]) if choices.below(8) == 0 else 12 + choices.below(60),
        n_features,
    )
    X = np.random.default_rng(choices.below(256)).normal(size=shape)
    X = X.round(choices.below(4)) if choices.below(3) == 0 else X
    X *= choices.one_of([1.0, 1.0, 1e-6, 1e6, 1e-150, 1e150])
    X += choices.one_of([0.0, 0.0, 1e3, 1e8])
    for _ in range(choices.one_of([0, 0, 1, 2, 6])):
        if X.size:
            X.flat[choices.below(X.size)] = unusual(choices)
    with np.errstate(all="ignore"):
        X = X.astype(choices.one_of(["f8", "f8", "f4", "f4", ">f8", ">f4", "f2", "i4", "O"]))
    layout = choices.below(5)
    return (X, np.asfortranarray(X), X[::-1], X[:, ::-1], np.repeat(X, 2, axis=0)[::2])[layout]


def model_of(choices, n_features):
    """Return an estimator that is not fitted."""
    n_components = 1 + choices.below(5)
    init_params = choices.one_of(["kmeans", "kmeans", "k-means++", "random", "random_from_data"])
    reg_covar = choices.one_of([1e-6, 1e-6, 0.0, 1e-3])
    common = {"init_params": init_params, "reg_covar": reg_covar, "max_iter": 1 + choices.below(9), "random_state": 0}
    if choices.below(4) == 0:
        return fastgmm.BayesianGaussianMixture(
            n_components=n_components, covariance_type=choices.one_of(FAMILIES[:4]), **common
        )
    families = ONE_FEATURE if n_features == 1 else FAMILIES
    return fastgmm.GaussianMixture(n_components, covariance_type=choices.one_of(families), **common)


def check_predictions(model, X):
    """Check what holds of any rows that are finite."""
    shares, density, labels = model.predict_proba(X), model.score_samples(X), model.predict(X)
    assert np.isfinite(shares).all(), (X, shares)
    assert shares.min() >= 0, (X, shares)
    assert np.abs(shares.sum(axis=1) - 1).max() < 1e-5, (X, shares)
    assert not np.isnan(density).any(), (X, density)
    assert ((labels >= 0) & (labels < shares.shape[1])).all(), (X, labels)


def test_one(data):
    """Fit, predict and perhaps go on with another batch, once."""
    choices = Choices(data)
    n_features = choices.one_of([1, 2, 2, 3, 4, 7, 0])
    X, Y = rows_of(choices, n_features), rows_of(choices, n_features)
    model = model_of(choices, n_features)
    weight = None
    if choices.below(3) == 0:
        weight = np.random.default_rng(1).integers(0, 3, size=len(X)).astype(float)
        if len(X) and choices.below(3) == 0:
            weight[0] = unusual(choices)
    try:
        model.fit(X, sample_weight=weight)
    except (ValueError, TypeError):  # a collapse is a ValueError
        assert not hasattr(model, "means_")
        return
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        assert np.isfinite(getattr(model, name)).all(), (name, X)
    for rows in (X, Y):
        try:
            check_predictions(model, rows)
        except (ValueError, TypeError):
            continue
    if choices.below(4) == 0 and hasattr(model, "partial_fit"):
        before = model.means_
        try:
            model.partial_fit(Y)
        except (ValueError, TypeError):
            assert model.means_ is before
        else:
            assert np.isfinite(model.means_).all()


if __name__ == "__main__":
    main(test_one)
