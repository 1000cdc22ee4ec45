"""Laws of bags of rows encoded as vectors: against long-double arithmetic, in any order, any units, any threads."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from fastgmm import FisherVectorEncoder, GaussianMixture, StudentMixture, VLADEncoder, config_context, load, save

PARTS = ("weights", "means", "variances")


def bags_of(n_bags=60, n_features=3, seed=0, dtype=np.float64):
    """Return bags of two kinds, and which of them each is."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(2, size=n_bags)
    sizes = rng.integers(1, 70, size=n_bags)
    bags = [rng.normal(size=(n, n_features)) * (1 + kind) + kind for n, kind in zip(sizes, kinds, strict=True)]
    return [bag.astype(dtype) for bag in bags], kinds


def fitted(covariance_type="diag", n_components=4, **options):
    bags, _ = bags_of(seed=9)
    model = GaussianMixture(n_components, covariance_type=covariance_type, random_state=0, **options)
    return model.fit(np.concatenate(bags))


def by_definition(bag, model, parts=PARTS):
    """Return the Fisher vector of a bag by its formula, in long double."""
    x = bag.astype(np.longdouble)
    w, means = model.weights_.astype(np.longdouble), model.means_.astype(np.longdouble)
    variances = model._covariance.shape.diagonals(model.covariances_, *model.means_.shape).astype(np.longdouble)
    z = (x[:, None, :] - means) / np.sqrt(variances)
    log_joint = np.log(w) - 0.5 * (z**2 + np.log(2 * np.longdouble(np.pi) * variances)).sum(axis=2)
    if hasattr(model, "noise_weight_"):
        box = np.full((len(x), 1), np.log(np.longdouble(model.noise_weight_)) - model.noise_box_.log_volume)
        log_joint = np.hstack([log_joint, box])
    r = np.exp(log_joint - np.logaddexp.reduce(log_joint, axis=1, keepdims=True))[:, : len(w)]
    n, root = len(x), np.sqrt(w)
    found = {
        "weights": (r.sum(axis=0) / n - w) / root,
        "means": (np.einsum("nk,nkd->kd", r, z) / root[:, None] / n).ravel(),
        "variances": (np.einsum("nk,nkd->kd", r, z**2 - 1) / np.sqrt(2 * w)[:, None] / n).ravel(),
    }
    return np.concatenate([found[part] for part in parts])


def normalised(vector, power=0.5):
    vector = np.sign(vector) * np.abs(vector) ** power
    return vector / np.sqrt((vector**2).sum())


@pytest.mark.parametrize("name", ["diag", "spherical", "VEI", "EII"])
def test_fisher_vectors_are_those_of_long_double(name):
    model, (bags, _) = fitted(name), bags_of()
    raw = FisherVectorEncoder(model, parts=PARTS, power=1.0, normalise=False).transform(bags)
    # A responsibility below its floor counts as nothing, 1e-9 or so of a part.
    assert_allclose(raw, [by_definition(bag, model) for bag in bags], rtol=1e-7, atol=1e-10)
    for parts in (("means",), ("means", "variances"), ("weights", "variances")):
        for power in (1.0, 0.5, 0.3):
            encoder = FisherVectorEncoder(model, parts=parts, power=power)
            expected = [normalised(by_definition(bag, model, parts), power) for bag in bags]
            assert_allclose(encoder.transform(bags), expected, rtol=1e-6, atol=3e-5)


def test_fisher_vectors_lose_no_digits_far_from_zero():
    model, (bags, _) = fitted(), bags_of()
    bags = [np.round(bag, 4) for bag in bags]
    model.means_ = np.round(model.means_, 4)
    near = FisherVectorEncoder(model, power=1.0).transform(bags)
    # Sums about the origin, as scikit-image makes them, would be wrong in the second digit.
    model.means_ = model.means_ + 2.0**20
    far = FisherVectorEncoder(model, power=1.0).transform([bag + 2.0**20 for bag in bags])
    assert_allclose(far, near, atol=1e-8)


def test_noise_takes_its_share_and_adds_nothing():
    model, (bags, _) = fitted(noise=0.1), bags_of()
    found = FisherVectorEncoder(model, power=1.0, normalise=False, parts=PARTS).transform(bags)
    assert found.shape == (60, 4 + 2 * 12)
    assert_allclose(found, [by_definition(bag, model) for bag in bags], rtol=1e-7, atol=1e-9)


def test_units_of_the_features_do_not_matter():
    model, (bags, _) = fitted(), bags_of()
    unit = np.array([1e-3, 1.0, 1e4])
    other = GaussianMixture.from_parameters(
        model.weights_, model.means_ * unit, model.covariances_ * unit**2, covariance_type="diag"
    )
    found = FisherVectorEncoder(other).transform([bag * unit for bag in bags])
    assert_allclose(found, FisherVectorEncoder(model).transform(bags), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_bags_are_encoded_alike_alone_together_in_any_layout_and_by_any_number_of_threads(dtype):
    bags, _ = bags_of(300, dtype=dtype)
    before = pickle.dumps(bags)
    for encoder in (FisherVectorEncoder(fitted()), VLADEncoder(5, random_state=0).fit(bags)):
        with config_context(n_threads=1):
            together = encoder.transform(bags)
        assert together.dtype == dtype
        with config_context(n_threads=3):
            assert_array_equal(encoder.transform(bags), together)
        assert_array_equal(np.concatenate([encoder.transform([bag]) for bag in bags]), together)
        assert_array_equal(encoder.transform([np.asfortranarray(bag) for bag in bags]), together)
        assert_array_equal(encoder.transform(iter(bags[:3])), together[:3])
        assert_allclose(encoder.transform([bag.tolist() for bag in bags[:3]]), together[:3], atol=3e-4)
    assert pickle.dumps(bags) == before


def test_a_three_dimensional_array_is_its_bags():
    X = np.random.default_rng(0).normal(size=(7, 20, 3))
    encoder = FisherVectorEncoder(fitted())
    assert_array_equal(encoder.transform(X), encoder.transform(list(X)))


def test_a_bag_drawn_from_the_mixture_is_near_zero_and_another_is_not():
    model = fitted()
    encoder = FisherVectorEncoder(model, power=1.0, normalise=False)
    own, _ = model.sample(20_000, random_state=0)
    lengths = np.linalg.norm(encoder.transform([own, own + 0.5]), axis=1)
    # Each number has a variance of about 1 / n.
    assert lengths[0] < 4 * np.sqrt(24 / 20_000)
    assert lengths[1] > 0.3


def test_vlad_is_the_sum_of_differences_from_the_nearest_centre():
    bags, _ = bags_of()
    encoder = VLADEncoder(5, power=1.0, normalise=False, random_state=0).fit(bags)
    centres = encoder.cluster_centers_.astype(np.longdouble)
    expected = np.zeros((len(bags), 5, 3), np.longdouble)
    for i, bag in enumerate(bags):
        nearest = ((bag[:, None, :] - centres) ** 2).sum(axis=2).argmin(axis=1)
        np.add.at(expected[i], nearest, bag - centres[nearest])
    assert_allclose(encoder.transform(bags), expected.reshape(len(bags), -1), rtol=1e-9, atol=1e-9)
    within = clone(encoder).set_params(normalise_clusters=True).fit(bags).transform(bags).reshape(-1, 5, 3)
    lengths = np.linalg.norm(within, axis=2)
    assert_allclose(lengths[lengths > 0], 1.0, rtol=1e-12)
    assert (lengths == 0).any()  # a cluster without rows stays zero
    whole = clone(encoder).set_params(normalise=True, power=0.5).fit(bags).transform(bags)
    assert_allclose(np.linalg.norm(whole, axis=1), 1.0, rtol=1e-12)


def test_numbers_whose_squares_are_out_of_range_have_a_direction_all_the_same():
    bags = [np.full((3, 2), 1e-170), np.full((3, 2), 1e180), np.zeros((3, 2))]
    encoder = VLADEncoder(1, power=1.0).fit([np.zeros((2, 2))])
    assert_allclose(encoder.transform(bags), [[0.5**0.5] * 2] * 2 + [[0.0] * 2], rtol=1e-12)


def test_encoders_fit_in_pipelines_and_are_cloned_with_an_unfitted_mixture():
    bags, kinds = bags_of(120)
    for encoder in (
        FisherVectorEncoder(GaussianMixture(3, covariance_type="diag", random_state=0)),
        VLADEncoder(4, random_state=0),
    ):
        pipeline = make_pipeline(encoder, LogisticRegression())
        assert cross_val_score(pipeline, bags, kinds, cv=3).mean() > 0.85
        assert_array_equal(clone(encoder).fit_transform(bags), encoder.fit(bags).transform(bags))
        assert len(encoder.get_feature_names_out()) == encoder.transform(bags).shape[1]
    # One that is fitted is used as it is, before a fit and after it.
    model = fitted()
    encoder = FisherVectorEncoder(model)
    before = encoder.transform(bags)
    assert encoder.fit(bags).mixture_ is model
    assert_array_equal(encoder.transform(bags), before)


def test_encoders_are_saved(tmp_path):
    bags, _ = bags_of()
    for i, encoder in enumerate((FisherVectorEncoder(fitted()).fit(bags), VLADEncoder(4, random_state=0).fit(bags))):
        save(encoder, tmp_path / str(i))
        assert_array_equal(load(tmp_path / str(i)).transform(bags), encoder.transform(bags))


@pytest.mark.parametrize(
    ("X", "error", "words"),
    [
        ([], ValueError, "X has no bags"),
        (np.zeros((5, 3)), ValueError, r"X is an array of shape \(5, 3\); expected a list of arrays"),
        (3, TypeError, "X is a int; expected a list of arrays"),
        ([np.zeros((4, 3)), np.zeros((0, 3))], ValueError, r"X\[1\] has shape \(0, 3\)"),
        ([np.zeros((4, 3)), np.zeros(3)], ValueError, r"X\[1\] has shape \(3,\)"),
        ([np.zeros((4, 3)), np.zeros((4, 2))], ValueError, r"X\[1\] has 2 features; expected 3"),
        ([np.zeros((4, 3)), np.full((4, 3), np.nan)], ValueError, r"X\[1\] contains NaN or infinity"),
        ([np.zeros((4, 3)), np.full((4, 3), np.inf)], ValueError, r"X\[1\] contains NaN or infinity"),
        ([np.array([["a"] * 3])], ValueError, r"X\[0\] has dtype <U1; expected numbers"),
    ],
)
def test_bad_bags_are_named(X, error, words):
    bags, _ = bags_of()
    for encoder in (
        FisherVectorEncoder(fitted()),
        FisherVectorEncoder(fitted(noise=0.1)),
        VLADEncoder(4, random_state=0).fit(bags),
    ):
        with pytest.raises(error, match=words):
            encoder.transform(X)


def test_a_row_far_from_everything_is_no_fault():
    assert np.isfinite(FisherVectorEncoder(fitted()).transform([np.full((2, 3), 1e200)])).all()


def test_bad_parameters_are_named():
    bags, _ = bags_of()
    with pytest.raises(ValueError, match="covariance_type 'full', and Fisher vectors take features as independent"):
        FisherVectorEncoder(fitted("full")).transform(bags)
    with pytest.raises(ValueError, match="mixture is a StudentMixture"):
        FisherVectorEncoder(StudentMixture(2, covariance_type="diag", random_state=0, max_iter=1000)).fit(bags)
    with pytest.raises(TypeError, match="mixture is a int"):
        FisherVectorEncoder(3).fit(bags)
    with pytest.raises(NotFittedError, match="mixture is not fitted"):
        FisherVectorEncoder(GaussianMixture(2)).transform(bags)
    with pytest.raises(ValueError, match="parts is 'means'"):
        FisherVectorEncoder(fitted(), parts="means").transform(bags)
    with pytest.raises(ValueError, match="'power' parameter"):
        FisherVectorEncoder(fitted(), power=2.0).fit(bags)
    with pytest.raises(ValueError, match="X has 2 features; expected 3"):
        FisherVectorEncoder(fitted()).fit([np.zeros((4, 2))])
    with pytest.raises(ValueError, match="have 2 rows; expected at least n_clusters = 64"):
        VLADEncoder().fit([np.zeros((2, 2))])
