"""Fits that share each row among a few components: the pass by its definition, the bound, and what they come to."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from sklearn.base import clone

import fastgmm
from fastgmm import GaussianMixture, kernels
from fastgmm.data import ArrayRows, batches
from fastgmm.model.component_neighbors import Entries, near_components
from fastgmm.model.moments import Components
from fastgmm.model.shapes import low_rank
from fastgmm.model.shapes.low_rank import packed
from fastgmm.model.statistics import SufficientStatistics
from fastgmm.starts.many_clusters import kmeans_of_many

SHAPES = ("full", "tied", "diag", "spherical")


def mixture(shape, k, d, rng):
    upper = np.triu(0.3 * rng.normal(size=(k, d, d)))
    upper[:, range(d), range(d)] = rng.uniform(0.5, 1.5, (k, d))
    factors = {"full": upper, "tied": upper[0].copy(), "diag": rng.uniform(0.5, 2, (k, d))}
    factors["spherical"] = rng.uniform(0.5, 2, k)
    return Components(shape, rng.normal(size=k), rng.normal(size=(k, d)), factors[shape])


def squares(density, x):
    """Squared lengths of one row under all components, in long double."""
    away = x.astype(np.longdouble) - density.means
    factor = density.precisions_cholesky.astype(np.longdouble)
    if density.structure in ("full", "tied"):
        away = np.array([row @ (factor if factor.ndim == 2 else factor[k]) for k, row in enumerate(away)])
    else:
        away = away * (factor[:, None] if density.structure == "spherical" else factor)
    return (away**2).sum(axis=1)


def by_definition(density, X, weight, neighbors, candidates, turn, n_turns):
    """What a pass without draws comes to, row by row."""
    k, d = density.means.shape
    counts, sums, scatter, total = np.zeros(k), np.zeros((k, d)), np.zeros((k, d, d)), 0.0
    found, n_evaluated = [], 0
    for x, w, held in zip(X, weight, candidates, strict=True):
        held = held[held >= 0]
        found_near = neighbors[held].ravel() if held[0] % n_turns == turn else []
        asked = np.unique(np.concatenate([held, found_near])).astype(int)
        asked = asked[asked >= 0]
        n_evaluated += len(asked)
        values = (density.log_offset - 0.5 * squares(density, x)).astype(float)[asked]
        best = np.argsort(-values, kind="stable")[: candidates.shape[1]]
        best = best[values[best] >= values.max() - 64]
        shares = w * np.exp(values[best] - logsumexp(values[best]))
        total += w * logsumexp(values[best])
        found.append([*asked[best], *[-1] * (candidates.shape[1] - len(best))])
        for share, component in zip(shares, asked[best], strict=True):
            away = x.astype(float) - density.means[component]
            counts[component] += share
            sums[component] += share * away
            scatter[component] += share * np.outer(away, away)
    scatter = {
        "full": scatter,
        "tied": scatter.sum(axis=0),
        "diag": np.einsum("kii->ki", scatter),
        "spherical": np.einsum("kii->k", scatter),
    }[density.structure]
    return counts, sums, scatter, total, np.array(found), n_evaluated


@pytest.mark.parametrize(("dtype", "apart"), [(np.float32, 1.0), (np.float64, 1.0), (np.float64, 1e7)])
@pytest.mark.parametrize("n_features", [1, 3, 8, 17, 40])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("turn", "n_turns"), [(0, 1), (1, 3)])
def test_the_best_of_those_asked_share_a_row(engine, shape, n_features, dtype, apart, turn, n_turns):
    rng = np.random.default_rng(n_features)
    n, k, c, g = 150, 12, 3, 4
    density, X = mixture(shape, k, n_features, rng), rng.normal(size=(n, n_features)).astype(dtype)
    far = np.arange(k) // 4 * apart if apart > 1 else np.zeros(k)
    density = Components(shape, density.log_offset, density.means + far[:, None], density.precisions_cholesky)
    X = (X + far[rng.integers(0, k, n)][:, None]).astype(dtype)
    weight = rng.integers(0, 4, n).astype(float)
    neighbors = rng.integers(-1, k, (k, g)).astype(np.int32)
    candidates = np.array([rng.permutation(k)[:c] for _ in range(n)], dtype=np.int32)
    candidates[rng.random(n) < 0.2, 1:] = -1
    expected = by_definition(density, X, weight, neighbors, candidates, turn, n_turns)
    statistics = SufficientStatistics.zeros(shape, density.means)
    _, n_evaluated = kernels.accumulate_truncated(
        X, weight, density, neighbors, candidates, 0, 0, 0, statistics, turn, n_turns
    )
    got = statistics.counts, statistics.sums, statistics.scatter, statistics.log_likelihood
    for value, wanted in zip(got, expected[:4], strict=True):
        # Sums of rows so far from the mean cancel to that.
        assert_allclose(value, wanted, rtol=1e-9, atol=max(1e-9, 1e-15 * apart))
    assert_array_equal(candidates, expected[4])
    assert n_evaluated == expected[5]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_components_with_factors_share_rows_as_those_of_the_same_covariances(engine, dtype):
    rng = np.random.default_rng(0)
    n, k, d, q = 400, 12, 9, 2
    covariances = packed(rng.normal(size=(k, d, q)), rng.uniform(0.5, 2.0, (k, d)))
    shape, offset, means = low_rank(q), rng.normal(size=k), rng.normal(size=(k, d))
    factor = shape.factorise(covariances)
    loadings = Components(shape.name, offset, means, factor)
    # The lower triangle of a matrix turned around, turned back, is the upper one that kernels expect.
    whole = np.linalg.cholesky(shape.precisions(factor)[:, ::-1, ::-1])[:, ::-1, ::-1]
    full = Components("full", offset, means, np.ascontiguousarray(whole))
    X, weight = rng.normal(size=(n, d)).astype(dtype), rng.integers(0, 4, n).astype(float)
    neighbors = rng.integers(-1, k, (k, 4)).astype(np.int32)
    start = np.array([rng.permutation(k)[:3] for _ in range(n)], dtype=np.int32)
    found = []
    for density in (loadings, full):
        candidates, statistics = start.copy(), SufficientStatistics.zeros(density.structure, means)
        _, n_evaluated = kernels.accumulate_truncated(X, weight, density, neighbors, candidates, 2, 7, 5, statistics)
        near = kernels.refine_neighbors(density, np.ascontiguousarray(neighbors), 3, 11)
        found.append((candidates, n_evaluated, near, statistics))
    ours, wanted = found
    assert_array_equal(ours[0], wanted[0])
    assert_array_equal(ours[2], wanted[2])
    assert ours[1] == wanted[1]
    assert_allclose(ours[3].log_likelihood, wanted[3].log_likelihood, rtol=1e-12)
    for name in ("counts", "sums"):
        assert_allclose(getattr(ours[3], name), getattr(wanted[3], name), rtol=1e-9, atol=1e-9)
    expected, _ = shape.posterior(factor)
    kept = packed(wanted[3].scatter @ expected, np.einsum("kdd->kd", wanted[3].scatter))
    assert_allclose(ours[3].scatter, kept, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_drawn_depends_on_seed_and_row_alone(engine, shape):
    rng = np.random.default_rng(0)
    n, k = 6000, 40
    density, X = mixture(shape, k, 5, rng), rng.normal(size=(n, 5))
    neighbors = np.full((k, 2), -1, dtype=np.int32)
    start = rng.integers(0, k, (n, 1)).astype(np.int32)

    def asked(n_threads, parts):
        candidates, statistics = start.copy(), SufficientStatistics.zeros(shape, density.means)
        with fastgmm.config_context(n_threads=n_threads):
            for part in parts:
                kernels.accumulate_truncated(
                    X[part], None, density, neighbors, candidates[part], 3, 99, part.start, statistics
                )
        return candidates, statistics

    whole = asked(1, [slice(0, n)])
    threads = asked(3, [slice(0, n)])
    assert_array_equal(threads[0], whole[0])
    assert threads[1].log_likelihood == whole[1].log_likelihood
    assert_array_equal(threads[1].scatter, whole[1].scatter)
    assert_array_equal(asked(2, [slice(0, 2500), slice(2500, n)])[0], whole[0])
    other, moved = start.copy(), (whole[0] != start).mean()
    kernels.accumulate_truncated(X, None, density, neighbors, other, 3, 100, 0)
    assert (other != whole[0]).mean() > 0.05
    assert moved > 0.5


def test_neighbors_of_neighbors_lead_to_the_nearest(engine):
    rng = np.random.default_rng(1)
    k, g = 120, 6
    means = rng.normal(size=(k, 3))
    density = Components("spherical", np.zeros(k), means, np.ones(k))
    neighbors = rng.integers(0, k, (k, g)).astype(np.int32)
    for seed in range(12):
        neighbors = kernels.refine_neighbors(density, neighbors, 6, seed)
    distances = ((means[:, None] - means) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, :g]
    assert np.mean([len(set(a) & set(b)) / g for a, b in zip(neighbors, nearest, strict=True)]) > 0.97


def test_cells_find_what_all_pairs_find(monkeypatch):
    rng = np.random.default_rng(2)
    means = rng.normal(size=(900, 3))
    exact = near_components(means, 5)
    monkeypatch.setattr("fastgmm.model.component_neighbors.ALL_PAIRS", 10)
    cells = near_components(means, 5)
    assert np.mean([len(set(a) & set(b)) / 5 for a, b in zip(exact, cells, strict=True)]) > 0.85
    entries, rows = Entries(means), rng.normal(size=(200, 3))
    first = entries.of(rows, 2)
    assert (first[:, 1] == -1).all()
    nearest = ((rows[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert np.mean([n in entries.neighbors[c] for n, c in zip(nearest, first[:, 0], strict=True)]) > 0.85


def blobs(n, k, d, seed=0, spread=6.0):
    rng = np.random.default_rng(seed)
    return (spread * rng.normal(size=(k, d)))[rng.integers(0, k, n)] + rng.normal(size=(n, d))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "VEV"])
def test_all_components_as_candidates_is_the_exact_fit(covariance_type):
    X = blobs(800, 4, 3, spread=1.5)
    options = {"covariance_type": covariance_type, "random_state": 0, "max_iter": 15, "tol": 0.0, "acceleration": None}
    exact = GaussianMixture(4, **options).fit(X)
    truncated = GaussianMixture(4, responsibilities="truncated", n_candidates=4, **options).fit(X)
    assert_allclose(truncated.lower_bounds_, exact.lower_bounds_, rtol=1e-9)
    assert_allclose(truncated.means_, exact.means_, rtol=1e-6, atol=1e-6)
    assert abs(truncated.truncation_gap_) < 1e-9


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_features", [8, 210])  # scatter is whole matrices, and not
@pytest.mark.parametrize(("covariance_type", "n_factors"), [("factor", 2), ("factor", "bic"), ("ppca", 2), ("CUU", 2)])
def test_components_with_factors_have_the_laws_of_others(covariance_type, n_factors, n_features, monkeypatch):
    rng = np.random.default_rng(0)
    loadings, labels = rng.normal(size=(6, 2, n_features)), rng.integers(0, 6, 900)
    X = 0.3 * rng.normal(size=(6, n_features))[labels] + rng.normal(size=(900, n_features))
    X += np.einsum("nq,nqd->nd", rng.normal(size=(900, 2)), loadings[labels])
    options = {"covariance_type": covariance_type, "n_factors": n_factors, "random_state": 0, "max_iter": 8, "tol": 0.0}
    exact = GaussianMixture(6, acceleration=None, **options).fit(X)
    # In many features a row drops candidates, and asks for them in its turn: in each pass here.
    with monkeypatch.context() as patch:
        patch.setattr("fastgmm.data.e_steps.truncated.SEARCH_TURNS", 1)
        every = GaussianMixture(6, responsibilities="truncated", n_candidates=6, **options).fit(X)
    assert_allclose(every.lower_bounds_, exact.lower_bounds_, rtol=1e-9)
    assert_allclose(every.means_, exact.means_, rtol=1e-6, atol=1e-6)
    few = GaussianMixture(
        6, responsibilities="truncated", n_candidates=2, n_neighbors=2, covariance_type=covariance_type
    ).set_params(**options)
    weight = rng.integers(0, 3, len(X))
    few.fit(X, sample_weight=weight)
    assert np.diff(few.lower_bounds_).min() >= -1e-10
    assert few.score(X, sample_weight=weight) >= few.lower_bound_


@pytest.mark.parametrize("covariance_type", SHAPES)
def test_the_bound_never_falls_and_the_gap_is_what_it_lacks(covariance_type):
    X = blobs(4000, 60, 4, spread=2.0)
    model = GaussianMixture(
        60, covariance_type=covariance_type, responsibilities="truncated", random_state=0, tol=0.0, max_iter=25
    )
    with pytest.warns(Warning, match="did not converge"):
        model.fit(X)
    assert np.diff(model.lower_bounds_).min() >= -1e-10
    assert 0.0 <= model.truncation_gap_ < 0.5
    assert model.score(X) >= model.lower_bound_
    # Another iteration begins from the bound that the candidates of these parameters give.
    assert model.score(X) - model.lower_bound_ - model.truncation_gap_ < 0.05


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_no_step_is_proposed_that_could_not_be_taken_back():
    X = blobs(3000, 5, 2, spread=1.0)
    options = {"responsibilities": "truncated", "random_state": 0, "tol": 1e-7, "max_iter": 60, "stop_on": "gap"}
    plain = GaussianMixture(5, acceleration=None, **options).fit(X)
    assert_array_equal(GaussianMixture(5, **options).fit(X).lower_bounds_, plain.lower_bounds_)


def test_far_components_need_no_others():
    X = blobs(20_000, 100, 6, spread=20.0)
    truncated = GaussianMixture(100, responsibilities="truncated", init_params="k-means++", random_state=0).fit(X)
    exact = GaussianMixture(100, init_params="k-means++", random_state=0).fit(X)
    assert truncated.truncation_gap_ < 0.02
    assert truncated.score(X) > exact.score(X) - 0.3


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_weights_are_repeated_rows_and_sources_are_arrays():
    X = blobs(3000, 30, 3)
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    start = X[np.random.default_rng(1).choice(len(X), 30, replace=False)]
    model = GaussianMixture(30, covariance_type="diag", responsibilities="truncated", n_random=0, max_iter=5, tol=0.0)
    model.set_params(means_init=start, precisions_init=np.ones((30, 3)), weights_init=np.full(30, 1 / 30))
    weighted = clone(model).fit(X, sample_weight=weight)
    repeated = clone(model).fit(np.repeat(X, weight, axis=0))
    assert_allclose(weighted.lower_bounds_, repeated.lower_bounds_, rtol=1e-9)
    source = clone(model).fit(batches(lambda: iter([X[:1000], X[1000:]])))
    assert_allclose(source.lower_bounds_, clone(model).fit(X).lower_bounds_, rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "fit_options", "message"),
    [
        ({"n_candidates": 9}, {}, "n_candidates is 9 and n_components is 5"),
        ({"noise": 0.1}, {}, "'truncated' and noise is given"),
        ({}, {"labels": np.r_[0, np.full(299, -1)]}, "'truncated' and rows are labelled"),
        ({}, {"errors": np.ones((300, 2))}, "'truncated' and rows have measurement errors"),
        ({"responsibilities": "few"}, {}, "responsibilities"),
    ],
)
def test_what_does_not_go_together_is_refused(options, fit_options, message):
    model = GaussianMixture(5, **{"responsibilities": "truncated", **options})
    with pytest.raises(ValueError, match=message):
        model.fit(blobs(300, 5, 2), **fit_options)
    assert not hasattr(model, "means_")


@pytest.mark.parametrize("covariance_type", SHAPES)
def test_components_beyond_the_distinct_rows_keep_no_weight_and_nothing_is_lost(covariance_type):
    X = np.repeat(np.random.default_rng(0).normal(size=(8, 3)), 40, axis=0)
    model = GaussianMixture(12, covariance_type=covariance_type, responsibilities="truncated", random_state=0).fit(X)
    for name in ("weights_", "means_", "covariances_", "lower_bound_", "truncation_gap_"):
        assert np.isfinite(getattr(model, name)).all(), name
    assert np.count_nonzero(model.weights_ < 1e-12) == 4
    assert model.weights_.sum() == pytest.approx(1.0)
    assert len(np.unique(model.predict(X))) == 8


@pytest.mark.parametrize("options", [{"n_neighbors": 0}, {"n_neighbors": 0, "n_random": 0}, {"n_neighbors": 500}])
def test_neighborhoods_may_be_empty_or_hold_all(options):
    model = GaussianMixture(20, covariance_type="diag", responsibilities="truncated", random_state=0, **options)
    model.fit(blobs(1000, 20, 3))
    assert np.all(np.diff(model.lower_bounds_) >= -1e-9)
    assert np.isfinite(model.means_).all()


def test_missing_values_are_refused():
    X = blobs(300, 5, 2)
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="'truncated' and X misses values"):
        GaussianMixture(5, responsibilities="truncated", missing="marginalise").fit(X)


def test_k_means_of_many_clusters_is_as_good_as_that_of_all_distances():
    X = blobs(12_000, 150, 4, spread=3.0)
    centres, labels = kmeans_of_many(ArrayRows(X), 150, np.random.RandomState(0))
    distances = ((X[:, None] - centres) ** 2).sum(axis=2)
    assert (distances.argmin(axis=1) == labels).mean() > 0.97
    assert_allclose(((X - centres[labels]) ** 2).sum(), distances.min(axis=1).sum(), rtol=1e-2)
    assert distances.min(axis=1).mean() < 1.25 * 4  # four features of unit variance around the true means


def test_k_means_of_many_clusters_finds_all_that_are_far_apart(monkeypatch):
    monkeypatch.setattr("fastgmm.starts.many_clusters.EXACT_START", 100)
    X = blobs(12_000, 150, 16, spread=20.0)
    centres, labels = kmeans_of_many(ArrayRows(X), 150, np.random.RandomState(0))
    assert ((X - centres[labels]) ** 2).sum(axis=1).mean() < 1.02 * 16  # of sixteen features of unit variance


def test_k_means_of_more_clusters_than_distinct_rows_goes_on():
    X = np.repeat(blobs(60, 5, 2), 20, axis=0)
    centres, labels = kmeans_of_many(ArrayRows(X), 100, np.random.RandomState(0))
    assert np.isfinite(centres).all()
    assert labels.min() >= 0
    assert labels.max() < 100
    assert ((X - centres[labels]) ** 2).sum() < 1e-9 * len(X)


@pytest.mark.parametrize("noise", [None, 0.1])
def test_topk_are_the_largest_probabilities(noise, monkeypatch):
    monkeypatch.setattr("fastgmm.inference.top.VALUES", 64)
    X = blobs(200, 4, 2, spread=2.0)
    model = GaussianMixture(4, noise=noise, random_state=0).fit(X)
    probabilities = model.predict_proba(X)
    for k in (1, 3, probabilities.shape[1]):
        indices, values = model.predict_topk(X, k)
        assert_array_equal(values, -np.sort(-probabilities, axis=1)[:, :k])
        assert_array_equal(np.take_along_axis(probabilities, indices % probabilities.shape[1], axis=1), values)
    assert_array_equal(model.predict_topk(X, 1)[0][:, 0], model.predict(X))
    if noise is None:
        assert_array_equal(model.scorer().predict_topk(X, 2)[0], model.predict_topk(X, 2)[0])
    for k in (0, 9, 1.5):
        with pytest.raises(ValueError, match=r"k is .*; expected an integer from 1 to"):
            model.predict_topk(X, k)


def test_a_coreset_estimates_sums_over_all_rows_without_bias():
    X = np.r_[blobs(20_000, 5, 3), 40.0 + blobs(60, 1, 3)]  # a group of three in a thousand
    moments, sizes, likelihoods = [], [], []
    full = GaussianMixture(6, random_state=0).fit(X)
    for seed in range(30):
        rows, weights = fastgmm.coreset(X, 800, 6, random_state=seed)
        assert len(rows) == len(weights) <= 800
        sizes.append(weights.sum() / len(X))
        moments.append(weights @ rows / len(X))
        likelihoods.append(weights @ full.score_samples(rows) / len(X))
        assert (rows[:, 0] > 20).any()  # the small group is there each time
    error = np.std(moments, axis=0) / np.sqrt(30)
    assert np.all(np.abs(np.mean(moments, axis=0) - X.mean(axis=0)) < 4 * error + 1e-12)
    assert abs(np.mean(sizes) - 1) < 4 * np.std(sizes) / np.sqrt(30)
    assert abs(np.mean(likelihoods) - full.score(X)) < 4 * np.std(likelihoods) / np.sqrt(30)
    fitted = GaussianMixture(6, random_state=0).fit(*fastgmm.coreset(X, 3000, 6, random_state=0)[:1])
    weighted = GaussianMixture(6, random_state=0)
    rows, weights = fastgmm.coreset(X, 3000, 6, random_state=0)
    weighted.fit(rows, sample_weight=weights)
    assert weighted.score(X) > full.score(X) - 0.05
    assert weighted.score(X) > fitted.score(X)


@pytest.mark.parametrize(("size", "n_components"), [(0, 2), (10, 0), (2.5, 1), (10, True)])
def test_coreset_names_what_is_wrong(size, n_components):
    with pytest.raises(ValueError, match="expected a positive integer"):
        fastgmm.coreset(np.ones((5, 2)), size, n_components)
