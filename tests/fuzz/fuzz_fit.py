"""Feeds fits and predictions with shapes, layouts and values made from bytes: a result, or an error that is documented.

python tests/fuzz/fuzz_fit.py -runs=100000 CORPUS      (needs atheris)
"""

import sys
import warnings

import atheris

with atheris.instrument_imports(include=["fastgmm.input_validation", "fastgmm.em", "fastgmm.model"]):
    import fastgmm

import numpy as np

UNUSUAL = (np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, 1e-310, 1e300, -1.7e308, 3e38, 1e-45, 1e16, 1e154)
FAMILIES = ("full", "tied", "diag", "spherical", "EII", "VEI", "EEE", "VVE", "EVE", "VEV", "VVV", "V")


def rows_of(provider):
    """Return an array of some shape, dtype and layout."""
    shape = (provider.ConsumeIntInRange(0, 40), provider.ConsumeIntInRange(0, 6))
    X = np.random.default_rng(provider.ConsumeIntInRange(0, 255)).normal(size=shape)
    X = X.round(provider.ConsumeIntInRange(0, 3)) if provider.ConsumeBool() else X
    for _ in range(provider.ConsumeIntInRange(0, 4)):
        if X.size:
            X.flat[provider.ConsumeIntInRange(0, X.size - 1)] = provider.PickValueInList(UNUSUAL)
    with np.errstate(all="ignore"):
        X = X.astype(provider.PickValueInList(["f8", "f4", ">f8", ">f4", "f2", "i4", "O"]))
    layout = provider.ConsumeIntInRange(0, 4)
    return (X, np.asfortranarray(X), X[::-1], X[:, ::2], np.repeat(X, 2, axis=0)[::2])[layout]


def test_one(data):
    """Fit and predict once."""
    provider = atheris.FuzzedDataProvider(data)
    X, Y = rows_of(provider), rows_of(provider)
    weight = None
    if provider.ConsumeBool():
        weight = np.random.default_rng(1).integers(0, 3, size=len(X)).astype(float)
        if len(X) and provider.ConsumeBool():
            weight[0] = provider.PickValueInList(UNUSUAL)
    model = fastgmm.GaussianMixture(
        provider.ConsumeIntInRange(1, 4),
        covariance_type=provider.PickValueInList(FAMILIES),
        init_params=provider.PickValueInList(["kmeans", "k-means++", "random", "random_from_data"]),
        reg_covar=provider.PickValueInList([0.0, 1e-6, 1e-3]),
        max_iter=provider.ConsumeIntInRange(0, 8),
        random_state=0,
    )
    try:
        model.fit(X, sample_weight=weight)
        for rows in (X, Y):
            shares, density = model.predict_proba(rows), model.score_samples(rows)
            assert np.isfinite(shares).all(), (X, rows, shares)
            assert np.abs(shares.sum(axis=1) - 1).max() < 1e-3
            assert not np.isnan(density).any(), (X, rows, density)
    except (ValueError, TypeError):
        return


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    atheris.Setup(sys.argv, test_one)
    atheris.Fuzz()
