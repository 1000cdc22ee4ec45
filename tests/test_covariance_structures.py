"""The M-steps of all covariance families: mclust's results, and the laws that make them maximum likelihood."""

import csv
from pathlib import Path

import numpy as np
import pytest
from mixtures import maximise
from numpy.testing import assert_allclose

from fastgmm import kernels
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.families import COVARIANCES, get_covariance
from fastgmm.model import SufficientStatistics

DATA = Path(__file__).parent / "data"
MULTIVARIATE = [name for name in COVARIANCES if len(name) == 3]
ELLIPSOIDAL = [name for name in MULTIVARIATE if name[2] != "I"]
ITERATIVE = ["VEI", "VEE", "VEV", "EVE", "VVE"]
# Every (smaller, larger) pair of families in which the first is a special case of the second: a letter may become V;
# a sphere is one of every shape, and the coordinate axes are axes like others.
NESTED = [
    (a, b)
    for a in MULTIVARIATE
    for b in MULTIVARIATE
    if a != b and all(x == y or y == "V" or (x == "I" and y == "E") for x, y in zip(a, b, strict=True))
]


def _table(name):
    with open(DATA / name) as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def data_sets():
    """Return the rows and, for each number of components, mclust's hierarchical start."""
    sets = {}
    for name in ("faithful", "iris"):
        X = np.loadtxt(DATA / f"{name}.csv", delimiter=",", skiprows=1)
        labels = np.loadtxt(DATA / f"{name}_hclass.csv", delimiter=",", skiprows=1, dtype=np.int64) - 1
        sets[name] = np.ascontiguousarray(X), {k: np.ascontiguousarray(labels[:, k - 1]) for k in (1, 2, 3, 4)}
    return sets


def hard_statistics(X, labels, structure):
    """Return the statistics of a partition."""
    centres = np.array([X[labels == k].mean(axis=0) for k in range(labels.max() + 1)])
    statistics = SufficientStatistics.zeros(structure.shape.name, centres)
    kernels.accumulate_labels(X, None, labels, statistics)
    return statistics


def run_em(X, labels, name, tolerance, max_iter, reg_covar=0.0):
    """Return the log-likelihoods along EM from a partition, and the last parameters."""
    structure = get_covariance(name)
    parameters = maximise(hard_statistics(X, labels, structure), structure, reg_covar, 0.0)
    path = []
    for _ in range(max_iter):
        statistics = SufficientStatistics.zeros(structure.shape.name, parameters.means)
        kernels.accumulate(X, None, parameters, statistics)
        path.append(statistics.log_likelihood)
        if len(path) > 1 and abs(path[-1] - path[-2]) < tolerance * (1 + abs(path[-1])):
            break
        parameters = maximise(statistics, structure, reg_covar, 0.0, parameters)
    return np.array(path), parameters


def random_statistics(structure, rng, n_components=3, n_features=4, scale=1.0):
    """Return the statistics of components that share nothing."""
    X, labels = random_groups(rng, n_components, n_features)
    return hard_statistics(np.ascontiguousarray(X * scale), labels, structure)


def random_groups(rng, n_components, n_features, rows=40):
    labels = np.repeat(np.arange(n_components), rows + n_features * (1 + np.arange(n_components)))
    maps = rng.normal(size=(n_components, n_features, n_features)) * np.exp(rng.normal(size=(n_components, 1, 1)))
    X = np.einsum("ndj,nj->nd", maps[labels], rng.normal(size=(len(labels), n_features)))
    return X + 3 * rng.normal(size=(n_components, n_features))[labels], labels


def as_matrices(parameters):
    """Return every component's covariance as a matrix."""
    covariances, eye = parameters.covariances, np.eye(parameters.n_features)
    if parameters.structure == "tied":
        return np.broadcast_to(covariances, (parameters.n_components, *covariances.shape))
    if parameters.structure == "diag":
        return covariances[:, :, None] * eye
    if parameters.structure == "spherical":
        return covariances[:, None, None] * eye
    return covariances


def loss(covariances, scatter, counts):
    """Return ``sum_k n_k log det Sigma_k + tr(W_k Sigma_k^-1)``: what every M-step minimises."""
    log_dets = np.linalg.slogdet(covariances)[1]
    return counts @ log_dets + np.einsum("kii->", np.linalg.solve(covariances, scatter))


def m_step_losses(name, X, labels, previous=None):
    """Return the loss of the M-step's covariances, and the full scatter and counts it is measured with."""
    structure = get_covariance(name)
    parameters = maximise(hard_statistics(X, labels, structure), structure, 0.0, 0.0, previous)
    full = hard_statistics(X, labels, get_covariance("full"))
    scatter = full.scatter - np.einsum("kd,ke->kde", full.sums, full.sums) / full.counts[:, None, None]
    return loss(as_matrices(parameters), scatter, full.counts), parameters, scatter, full.counts


@pytest.mark.parametrize("name", MULTIVARIATE)
def test_mclust_results_are_reached(name, data_sets):
    for row in _table("mclust_tight.csv"):
        if row["model"] != name:
            continue
        X, starts = data_sets[row["dataset"]]
        n_components = int(row["G"])
        path, _ = run_em(X, starts[n_components], name, 1e-12, 20_000)
        where = f"{row['dataset']}, {n_components} components"
        # mclust's VVE step stops early, so that ours ends up to 24 nats higher; nothing may end lower.
        assert path[-1] > float(row["loglik"]) - 1e-4, where
        if name not in ("VVE", "EVE"):
            assert path[-1] < float(row["loglik"]) + 1e-3, where
        assert np.diff(path).min(initial=0.0) > -1e-10 * abs(path[-1]), f"EM descended: {where}"
        d = X.shape[1]
        free = get_covariance(name).n_parameters(n_components, d) + n_components * d + n_components - 1
        assert free == int(row["df"]), where


def test_parameter_counts_are_mclusts():
    totals = dict(EII=15, VII=17, EEI=18, VEI=20, EVI=24, VVI=26, EEE=24, VEE=26, EVE=30, VVE=32)
    totals |= dict(EEV=36, VEV=38, EVV=42, VVV=44)
    assert {name: get_covariance(name).n_parameters(3, 4) + 14 for name in totals} == totals
    assert get_covariance("E").n_parameters(3, 1) == 1
    assert get_covariance("V").n_parameters(3, 1) == 3


@pytest.mark.parametrize("name", MULTIVARIATE)
def test_nothing_in_the_family_beats_the_m_step(name):
    rng = np.random.default_rng(5)
    for n_features in (2, 5):
        X, labels = random_groups(rng, 3, n_features)
        best, parameters, scatter, counts = m_step_losses(name, X, labels)
        for size in (1e-4, 1e-2, 0.3) * 20:
            other = loss(_perturbed(name, as_matrices(parameters), size, rng), scatter, counts)
            # The tolerance is the inner iterations' (1e-12 per sample) and the rounding of the sum.
            assert other > best - 1e-9 * counts.sum()


def _perturbed(name, covariances, size, rng):
    """Return covariances of the same family near these."""
    n_components, n_features = covariances.shape[:2]
    volume, shape, orientation = name

    def log_factors(shared, width):
        draw = rng.normal(size=(1 if shared else n_components, width)) * size
        return np.broadcast_to(draw, (n_components, width))

    log_volume = log_factors(volume == "E", 1)
    log_shape = np.zeros((n_components, n_features))
    if shape != "I":
        log_shape = log_factors(shape == "E", n_features)
        log_shape = log_shape - log_shape.mean(axis=1, keepdims=True)
    values, axes = np.linalg.eigh(covariances)
    if orientation != "V":
        # Equal orientation: one set of axes for all, whatever the order of their variances.
        mixed = np.sqrt(np.arange(n_components) + 2.0)[:, None, None] * covariances
        axis = np.linalg.eigh((mixed / np.trace(covariances, axis1=1, axis2=2)[:, None, None]).sum(axis=0))[1]
        axis = np.eye(n_features) if orientation == "I" else axis
        values = np.einsum("dj,kde,ej->kj", axis, covariances, axis)
        axes = np.broadcast_to(axis, covariances.shape)
    if orientation != "I":
        skew = rng.normal(size=(1 if orientation == "E" else n_components, n_features, n_features)) * size
        skew = skew - skew.transpose(0, 2, 1)
        axes = axes @ np.linalg.solve(np.eye(n_features) - skew / 2, np.eye(n_features) + skew / 2)
    values = values * np.exp(log_volume + log_shape)
    return (axes * values[:, None, :]) @ axes.transpose(0, 2, 1)


def test_larger_families_are_more_likely():
    rng = np.random.default_rng(0)
    for n_features in (2, 6):
        X, labels = random_groups(rng, 4, n_features)
        losses = {name: m_step_losses(name, X, labels)[0] for name in MULTIVARIATE}
        for smaller, larger in NESTED:
            assert losses[larger] <= losses[smaller] + 1e-8 * len(X), (smaller, larger)
    assert len(NESTED) > 40


@pytest.mark.parametrize("name", ITERATIVE)
def test_iterative_steps_end_at_a_fixed_point_and_never_worse_than_their_start(name):
    rng = np.random.default_rng(1)
    X, labels = random_groups(rng, 4, 5)
    best, parameters, scatter, counts = m_step_losses(name, X, labels)
    again, _, _, _ = m_step_losses(name, X, labels, parameters)
    assert abs(again - best) < 1e-9 * len(X)
    Y, _ = random_groups(rng, 4, 5)
    elsewhere = m_step_losses(name, Y, labels)[1]
    after, _, _, _ = m_step_losses(name, X, labels, elsewhere)
    assert after <= loss(as_matrices(elsewhere), scatter, counts)
    if name.startswith("VE"):
        # These are convex: every start ends at the one minimum. A warm step leaves off early; a few of them do not.
        for _ in range(5):
            after, elsewhere, _, _ = m_step_losses(name, X, labels, elsewhere)
        assert abs(after - best) < 1e-9 * len(X)


@pytest.mark.parametrize("name", MULTIVARIATE)
def test_the_covariances_have_the_structure_in_their_name(name):
    X, labels = random_groups(np.random.default_rng(2), 3, 4)
    covariances = as_matrices(m_step_losses(name, X, labels)[1])
    log_volumes = np.linalg.slogdet(covariances)[1] / 4
    shapes = np.linalg.eigvalsh(covariances) / np.exp(log_volumes)[:, None]
    if name[0] == "E":
        assert_allclose(log_volumes, log_volumes[0], atol=1e-12)
    if name[1] == "E":
        if name[2] == "I":
            shapes = np.diagonal(covariances, axis1=1, axis2=2) / np.exp(log_volumes)[:, None]
        assert_allclose(shapes, shapes[:1].repeat(3, axis=0), rtol=1e-10)
    if name[1] == "I":
        assert_allclose(shapes, 1.0, rtol=1e-12)
    if name[2] == "E":
        # Matrices with common axes commute.
        for a in covariances:
            for b in covariances:
                assert_allclose(a @ b, b @ a, atol=1e-11 * np.abs(a @ b).max())
    if name[2] == "I":
        assert_allclose(covariances, covariances * np.eye(4), atol=0)


@pytest.mark.parametrize("name", MULTIVARIATE)
def test_permuting_components_permutes_the_answer(name):
    X, labels = random_groups(np.random.default_rng(3), 3, 3)
    order = np.array([2, 0, 1])
    covariances = as_matrices(m_step_losses(name, X, labels)[1])
    permuted = as_matrices(m_step_losses(name, X, np.argsort(order)[labels])[1])
    # Inner iterations stop at 1e-12 nats per sample, which fixes matrices to about its square root.
    assert_allclose(permuted, covariances[order], rtol=1e-5, atol=1e-5 * np.abs(covariances).max())


@pytest.mark.parametrize("name", MULTIVARIATE)
def test_maps_of_the_data_map_the_answer(name):
    rng = np.random.default_rng(4)
    X, labels = random_groups(rng, 3, 3)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    if name in ("EII", "VII") or name in ELLIPSOIDAL:
        matrix = rotation * 2.5
    else:
        matrix = np.diag([0.1, 3.0, 40.0])
    if name in ("EEE", "VEE", "EVV", "VVV"):
        matrix = matrix @ np.diag([0.1, 3.0, 40.0]) + 0.1
    covariances = as_matrices(m_step_losses(name, X, labels)[1])
    mapped = as_matrices(m_step_losses(name, np.ascontiguousarray(X @ matrix.T), labels)[1])
    expected = matrix @ covariances @ matrix.T
    sd = np.sqrt(np.einsum("kii->i", expected))
    assert_allclose(mapped / sd[:, None] / sd, expected / sd[:, None] / sd, atol=1e-5)


@pytest.mark.parametrize("exponent", [-330, -100, 0, 100, 330])
@pytest.mark.parametrize("name", MULTIVARIATE)
def test_the_scale_of_the_data_does_not_matter(name, exponent):
    # Powers of two beyond 1e-99 and 1e99: the answer must be the same bits up to that power.
    structure = get_covariance(name)
    reference = maximise(random_statistics(structure, np.random.default_rng(6)), structure, 0.0, 0.0)
    scale = 2.0**exponent
    scaled = maximise(random_statistics(structure, np.random.default_rng(6), scale=scale), structure, 0.0, 0.0)
    assert_allclose(scaled.covariances / scale / scale, reference.covariances, rtol=1e-12)
    assert_allclose(scaled.precisions_cholesky * scale, reference.precisions_cholesky, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", MULTIVARIATE)
def test_one_feature_with_a_multivariate_name_is_refused(name):
    structure = get_covariance(name)
    statistics = SufficientStatistics.zeros(structure.shape.name, np.zeros((2, 1)))
    with pytest.raises(ValueError, match=f"covariance_type is '{name}'.*has 1 feature; use '{name[0]}'"):
        maximise(statistics, structure, 1e-6, 1e-10)


@pytest.mark.parametrize("name", ["E", "V"])
def test_the_univariate_names_are_the_spherical_ones_for_one_feature(name):
    structure = get_covariance(name)
    X, labels = random_groups(np.random.default_rng(7), 3, 1)
    parameters = maximise(hard_statistics(X, labels, structure), structure, 0.0, 0.0)
    within = np.array([((X[labels == k] - X[labels == k].mean()) ** 2).sum() for k in range(3)])
    counts = np.bincount(labels)
    expected = within / counts if name == "V" else np.full(3, within.sum() / counts.sum())
    assert_allclose(parameters.covariances, expected, rtol=1e-12)
    with pytest.raises(ValueError, match=f"covariance_type is '{name}'.*X has 2 features"):
        maximise(SufficientStatistics.zeros("spherical", np.zeros((2, 2))), structure, 1e-6, 1e-10)


def test_an_unknown_name_lists_the_valid_ones():
    with pytest.raises(ValueError, match=r"'VVX' \(did you mean 'VVV'\?\); expected one of full, tied.*EII.*VVV, E, V"):
        get_covariance("VVX")


def _with_flat_component(n_features=4):
    # Component 1 lies in a plane.
    X, labels = random_groups(np.random.default_rng(8), 3, n_features)
    X[labels == 1, -1] = X[labels == 1, 0]
    return X, labels


@pytest.mark.parametrize("name", ["EVE", "VVE", "EVV", "VVV"])
def test_a_flat_component_is_named_where_the_family_needs_its_volume(name):
    X, labels = _with_flat_component()
    structure = get_covariance(name)
    with pytest.raises(ComponentCollapseError, match=r"component 1, its .*effective count .* in 4 features") as raised:
        maximise(hard_statistics(X, labels, structure), structure, 0.0, 0.0)
    assert raised.value.component == 1
    parameters = maximise(hard_statistics(X, labels, structure), structure, 1e-6, 0.0)
    assert np.isfinite(parameters.log_offset).all()


@pytest.mark.parametrize("name", ["EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EEV", "VEV"])
def test_a_flat_component_is_no_matter_where_others_lend_it_shape(name):
    X, labels = _with_flat_component()
    structure = get_covariance(name)
    parameters = maximise(hard_statistics(X, labels, structure), structure, 0.0, 0.0)
    assert np.isfinite(parameters.log_offset).all()


@pytest.mark.parametrize("name", MULTIVARIATE)
def test_an_empty_component_is_named_or_regularised(name):
    structure = get_covariance(name)
    statistics = random_statistics(structure, np.random.default_rng(9))
    full = random_statistics(get_covariance("full"), np.random.default_rng(9))
    if structure.shape.name == "tied":
        statistics.scatter -= full.scatter[2]
    else:
        statistics.scatter[2] = 0.0
    statistics.counts[2] = 0.0
    statistics.sums[2] = 0.0
    with pytest.raises(ComponentCollapseError, match="component 2, no sample belongs to it"):
        maximise(statistics, structure, 0.0, 0.0)
    parameters = maximise(statistics, structure, 1e-3, 1e-15)
    assert np.isfinite(parameters.covariances).all()
    assert np.isfinite(parameters.log_offset).all()
    # The others are as they would be without it.
    two = SufficientStatistics(
        structure.shape.name,
        statistics.centres[:2],
        statistics.counts[:2],
        statistics.sums[:2],
        statistics.scatter if structure.shape.name == "tied" else statistics.scatter[:2],
    )
    alone = maximise(two, structure, 1e-3, 0.0)
    assert_allclose(as_matrices(parameters)[:2], as_matrices(alone), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["VII", "VEI", "VVI", "VEE", "VEV", "VVE", "EVI", "EVE", "EVV", "VVV"])
def test_coincident_samples_are_named(name):
    X, labels = random_groups(np.random.default_rng(10), 3, 3)
    X[labels == 2] = 0.5
    structure = get_covariance(name)
    with pytest.raises(ComponentCollapseError, match="component 2"):
        maximise(hard_statistics(X, labels, structure), structure, 0.0, 0.0)


@pytest.mark.parametrize("name", MULTIVARIATE)
def test_em_never_descends(name):
    rng = np.random.default_rng(11)
    X, labels = random_groups(rng, 3, 4, rows=60)
    start = np.where(rng.uniform(size=len(X)) < 0.4, rng.integers(3, size=len(X)), labels)
    path, _ = run_em(X, start, name, 0.0, 60)
    assert len(path) == 60
    assert np.diff(path).min() > -1e-10 * abs(path[-1])


@pytest.mark.parametrize("name", ["EVE", "VVE"])
def test_common_axes_are_found_in_fifty_features(name):
    # Rows whose scatter has exactly common axes: the answer is known.
    rng = np.random.default_rng(12)
    axes = np.linalg.qr(rng.normal(size=(50, 50)))[0]
    log_variances = rng.normal(size=(4, 50))
    if name == "EVE":
        log_variances -= log_variances.mean(axis=1, keepdims=True)
    counts = np.array([100.0, 200.0, 300.0, 60.0])
    truth = (axes * np.exp(log_variances)[:, None, :]) @ axes.T
    found = get_covariance(name).estimate(truth * counts[:, None, None], counts, None)
    assert_allclose(found, truth, rtol=0, atol=1e-6 * truth.max())


@pytest.mark.parametrize("name", ["EVE", "VVE"])
def test_a_saddle_of_the_common_axes_is_left(name):
    # Two ellipses at +45 and -45 degrees: in the coordinate axes, those of the pooled scatter, the gradient is zero.
    scatter = 10.0 * np.array([[[1.0, 0.9], [0.9, 1.0]], [[1.0, -0.9], [-0.9, 1.0]]])
    covariances = get_covariance(name).estimate(scatter, np.array([10.0, 10.0]), None)
    assert_allclose(covariances, scatter / 10.0, atol=1e-7)


def test_regularisation_keeps_the_family_and_is_scikit_learns_where_there_is_none():
    X, labels = random_groups(np.random.default_rng(13), 3, 3)
    for name in ("full", "tied", "diag", "spherical"):
        structure = get_covariance(name)
        plain = as_matrices(maximise(hard_statistics(X, labels, structure), structure, 0.0, 0.0))
        ridged = as_matrices(maximise(hard_statistics(X, labels, structure), structure, 0.5, 0.0))
        assert_allclose(ridged, plain + 0.5 * np.eye(3), rtol=1e-12)
    ridged = as_matrices(maximise(hard_statistics(X, labels, get_covariance("VEI")), get_covariance("VEI"), 0.5, 0.0))
    variances = np.diagonal(ridged, axis1=1, axis2=2)
    assert_allclose(variances / variances[:, :1], (variances / variances[:, :1])[:1].repeat(3, axis=0), rtol=1e-10)
