"""Model files: what goes in comes out, what is damaged is said to be, and nothing in a file runs."""

import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastgmm
from fastgmm import (
    BayesianGaussianMixture,
    GaussianMixture,
    GaussianMixtureClassifier,
    GaussianMixtureClusterer,
    GaussianMixtureFeatureSelector,
    GaussianMixtureOutlierDetector,
    GaussianMixtureRegressor,
    GaussianMixtureSearch,
    persistence,
)
from fastgmm.datasets import load_faithful
from fastgmm.families import COVARIANCES
from fastgmm.persistence import ModelFileError, load, read_training, save

MODELS = Path(__file__).parent / "data" / "models"


@pytest.fixture(scope="module")
def X():
    return load_faithful()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


def fitted(case, X):
    X32 = X.astype(np.float32)
    labels = (X[:, 0] > 3).astype(np.int64)
    frame = pd.DataFrame(X, columns=["eruptions", "waiting"])
    makers = {
        "full": lambda: GaussianMixture(3, random_state=0).fit(X),
        "tied": lambda: GaussianMixture(3, covariance_type="tied", random_state=0).fit(X),
        "diag": lambda: GaussianMixture(2, covariance_type="diag", random_state=0).fit(X),
        "spherical": lambda: GaussianMixture(2, covariance_type="spherical", random_state=0).fit(X),
        "family": lambda: GaussianMixture(2, covariance_type="VEV", random_state=0).fit(X),
        "float32": lambda: GaussianMixture(2, random_state=0).fit(X32),
        "labels": lambda: GaussianMixture(2, init_params=labels).fit(X),
        "frame": lambda: GaussianMixture(2, random_state=0).fit(frame),
        "noise": lambda: GaussianMixture(2, noise=0.05, prior={"dof": 5.0}, random_state=0).fit(X),
        "given": lambda: GaussianMixture.from_parameters([0.5, 0.5], [[0, 0], [1, 1]], [np.eye(2)] * 2),
        "bayesian": lambda: BayesianGaussianMixture(n_components=4, random_state=0, max_iter=500).fit(X),
        "classifier": lambda: GaussianMixtureClassifier(2, random_state=0).fit(X, np.where(labels, "long", "short")),
        "detector": lambda: GaussianMixtureOutlierDetector(n_simulations=500, random_state=0).fit(X),
        "clusterer": lambda: GaussianMixtureClusterer(2, noise=0.05, random_state=0).fit(X),
        "selector": lambda: GaussianMixtureFeatureSelector(GaussianMixtureSearch([1, 2], ["EEE"])).fit(frame),
        "regressor": lambda: GaussianMixtureRegressor(2, random_state=0).fit(X[:, :1], X[:, 1]),
        "stream": lambda: GaussianMixture(2, random_state=0).partial_fit(X[:136]).partial_fit(X[136:]),
        "bayesian stream": lambda: (
            BayesianGaussianMixture(n_components=3, random_state=0).partial_fit(X[:136]).partial_fit(X[136:])
        ),
        "student": lambda: BayesianGaussianMixture(n_components=2, predictive="student-t", random_state=0).fit(X),
        "one component": lambda: GaussianMixtureOutlierDetector(1, contamination=0.1).fit(X),
        "search": lambda: GaussianMixtureSearch(range(1, 4), ["EEE", "VVV"], random_state=0).fit(X),
    }
    return makers[case]()


CASES = [
    *("full", "tied", "diag", "spherical", "family", "float32", "labels", "frame", "noise", "given", "bayesian"),
    *(
        "clusterer",
        "selector",
        "classifier",
        "detector",
        "regressor",
        "search",
        "stream",
        "bayesian stream",
        "student",
        "one component",
    ),
]


def same(a, b):
    """Whether two values are equal, in type, shape, dtype and content."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and same_items(a.ravel().tolist(), b.ravel().tolist())
    if isinstance(a, list | tuple):
        return same_items(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and same_items(list(a.values()), list(b.values()))
    if hasattr(a, "__dict__") and not isinstance(a, np.generic):
        return same(vars(a), vars(b))
    return a == b or (a != a and b != b)


def same_items(a, b):
    return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_a_model_comes_back_the_same_in_everything(case, X, path):
    model = fitted(case, X)
    save(model, path)
    again = load(path)
    assert type(again) is type(model)
    assert vars(again).keys() == vars(model).keys()
    for name, value in vars(model).items():
        assert same(vars(again)[name], value), name
    rows = pd.DataFrame(X, columns=["eruptions", "waiting"]) if case == "frame" else X[:, : model.n_features_in_]
    for method in ("predict", "predict_proba", "score_samples"):
        if hasattr(model, method):
            assert_array_equal(getattr(again, method)(rows), getattr(model, method)(rows))
    if hasattr(model, "sample") and case != "regressor":  # whose sample is one of targets
        assert_array_equal(again.sample(50, random_state=1)[0], model.sample(50, random_state=1)[0])


@pytest.mark.parametrize("family", [name for name in COVARIANCES if name not in ("E", "V")])
def test_every_family_predicts_the_same_after_a_load(family, X, path):
    model = GaussianMixture(2, covariance_type=family, random_state=0, max_iter=500).fit(X)
    save(model, path)
    assert_array_equal(load(path).predict_proba(X), model.predict_proba(X))
    assert_array_equal(load(path).score_samples(X), model.score_samples(X))


@pytest.mark.parametrize("family", ["E", "V"])
def test_families_of_one_feature_predict_the_same_after_a_load(family, X, path):
    model = GaussianMixture(2, covariance_type=family, random_state=0).fit(X[:, 1:])
    save(model, path)
    assert_array_equal(load(path).predict_proba(X[:, 1:]), model.predict_proba(X[:, 1:]))


@pytest.mark.parametrize("case", ["stream", "bayesian stream"])
def test_a_stream_goes_on_where_it_was(case, X, path):
    model = fitted(case, X)
    save(model, path)
    again = load(path)
    assert_array_equal(again.partial_fit(X[:50]).means_, model.partial_fit(X[:50]).means_)


def test_every_public_estimator_can_be_saved():
    estimators = {name for name in fastgmm.__all__ if isinstance(getattr(fastgmm, name), type)}
    assert estimators <= set(persistence.ESTIMATORS)


def test_an_unfitted_model_comes_back_unfitted_with_its_parameters(path):
    save(GaussianMixture(5, tol=0.25, covariance_type="diag"), path)
    again = load(path)
    assert again.get_params() == GaussianMixture(5, tol=0.25, covariance_type="diag").get_params()
    assert not hasattr(again, "means_")


def test_a_loaded_model_goes_on_fitting(X, path):
    model = GaussianMixture(2, warm_start=True, random_state=0, max_iter=300, tol=1e-8).fit(X)
    save(model, path)
    again = load(path).fit(X)
    assert again.n_iter_ <= 2
    assert_allclose(again.means_, model.means_, rtol=1e-6)


def test_a_random_state_goes_on_where_it_was(X, path):
    model = GaussianMixture(2, random_state=np.random.RandomState(5)).fit(X)
    model.random_state.normal()  # a second normal is kept ready
    save(model, path)
    again = load(path)
    assert_array_equal(again.random_state.normal(size=5), model.random_state.normal(size=5))


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 3, -1.5, float("inf"), "text \u00e9", [], [1, "a", None], (1, (2.0, [3])), range(1, 9, 2)),
        {"a": 1, 2: "b", "nested": {"c": (None,)}},
        {"estimator": "not one", "array": 0},
        np.float32(0.1),
        np.float64("nan"),
        np.int64(-7),
        np.bool_(True),
        np.str_("s"),
        [np.float64(0.1), np.float64(0.2)],
        [np.float64(0.1), np.float32(0.2)],
        np.array(["x", "long"], dtype=object),
        np.array(["x", "long"]),
        np.array([[1, None]], dtype=object),
        np.zeros((0, 3)),
        np.float32([[1, 2], [3, 4]]).T,
        np.array(2.5),
        np.array([True, False]),
    ],
    ids=repr,
)
def test_values_come_back_as_they_were(value, path):
    save(GaussianMixture(), path, training={"value": value})
    assert same(read_training(path)["value"], value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (lambda X: 0, r"training\['value'\] is of type builtins.function"),
        (np.array([lambda: 0], dtype=object), "of type builtins.function"),
        (np.random.default_rng(0), "numpy.random"),
        (np.random.RandomState(np.random.PCG64(0)), "another generator than MT19937"),
        (np.zeros(2, dtype=[("a", "f8")]), "dtype"),
        ({"deep": [object()]}, r"training\['value'\]\['deep'\]\[0\] is of type builtins.object"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_by_name(value, expected, path):
    with pytest.raises(TypeError, match=expected):
        save(GaussianMixture(), path, training={"value": value})
    assert not path.exists()


def test_a_class_of_ones_own_is_refused(path):
    class GaussianMixture(fastgmm.GaussianMixture):
        pass

    with pytest.raises(TypeError, match="expected a fastgmm estimator"):
        save(GaussianMixture(), path)
    with pytest.raises(TypeError, match="expected a fastgmm estimator"):
        save({"means": 1}, path)


def test_the_same_model_is_the_same_file(X, tmp_path):
    model = fitted("full", X)
    for name in "ab":
        save(model, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_numpy_reads_the_arrays(X, path):
    model = fitted("full", X)
    save(model, path)
    with np.load(path, allow_pickle=False) as archive:
        held = [archive[name] for name in archive.files if name != "header.json"]
    assert any(array.shape == model.means_.shape and (array == model.means_).all() for array in held)


# Written whole or not at all.


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(step, X, path, monkeypatch):
    save(fitted("full", X), path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        save(fitted("diag", X), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_link_goes_on_pointing_and_permissions_stay(X, path, tmp_path):
    target = tmp_path / "elsewhere"
    target.write_bytes(b"old")
    target.chmod(0o640)
    path.symlink_to(target)
    save(fitted("full", X), path)
    assert path.is_symlink()
    assert load(target).n_components == 3
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError, match="expected a file"):
        save(GaussianMixture(), tmp_path)


# Files of earlier versions.


@pytest.mark.parametrize("kind", ["gaussian", "search", "bayesian", "stream", "classifier", "detector"])
@pytest.mark.parametrize("version", range(1, persistence.FORMAT_VERSION + 1))
def test_files_of_every_version_predict_what_they_predicted(version, kind, X):
    model = load(MODELS / f"version{version}_{kind}.npz")
    expected = json.loads((MODELS / f"version{version}_expected.json").read_text())[kind]
    assert model.predict(X).tolist() == expected["labels"]
    # Sums of exponentials over another instruction set differ in the last places.
    assert_allclose(model.score_samples(X), expected["log_density"], rtol=1e-10)


@pytest.mark.parametrize("version", range(1, persistence.FORMAT_VERSION + 1))
def test_regressors_of_every_version_predict_what_they_predicted(version, X):
    model = load(MODELS / f"version{version}_regressor.npz")
    expected = json.loads((MODELS / f"version{version}_expected.json").read_text())["regressor"]
    assert_allclose(model.predict(X[:, :1]), expected["predicted"], rtol=1e-10)


def test_a_newer_version_is_refused_with_the_remedy(X, path):
    _rewrite(X, path, lambda header: header.update(format_version=persistence.FORMAT_VERSION + 1))
    with pytest.raises(ModelFileError, match="upgrade fastgmm"):
        load(path)


# Damaged, foreign and hostile files.


def _members(X, path, case="full"):
    save(fitted(case, X), path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _write(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _rewrite(X, path, change):
    """Save a model and change its header."""
    members = _members(X, path)
    header = json.loads(members["header.json"])
    change(header)
    members["header.json"] = json.dumps(header)
    _write(path, members)


def test_every_truncation_is_noticed(X, path):
    save(fitted("full", X), path)
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match=r"model\.npz: "):
            load(path)


def test_a_flipped_byte_never_gives_another_model(X, path):
    """A byte may lie where nothing is read (zip attributes); otherwise it is an error, never other numbers."""
    model = fitted("full", X)
    save(model, path)
    content = path.read_bytes()
    noticed = 0
    for at in range(0, len(content), 31):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :])
        try:
            again = load(path)
        except ModelFileError:
            noticed += 1
        else:
            assert_array_equal(again.means_, model.means_)
            assert_array_equal(again.covariances_, model.covariances_)
    assert noticed > 0.8 * len(content) / 31


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x89PNG\r\n", b"PK\x05\x06" + b"\x00" * 18, pickle.dumps({"a": 1})], ids=repr
)
def test_foreign_files_are_named_so(content, path):
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="not a fastgmm model"):
        load(path)


def test_an_npz_of_numpy_is_foreign(path):
    np.savez(path, means=np.zeros(3))
    with pytest.raises(ModelFileError, match=r"no header\.json"):
        load(path)


def test_a_missing_file_is_a_missing_file(path):
    with pytest.raises(FileNotFoundError):
        load(path)


class _Bomb:
    def __reduce__(self):
        return os.mkdir, ("the-bomb-went-off",)


def test_a_pickle_in_an_array_is_not_executed(X, path, monkeypatch):
    monkeypatch.chdir(path.parent)
    members = _members(X, path)
    bomb = io.BytesIO()
    np.save(bomb, np.array([_Bomb()], dtype=object), allow_pickle=True)
    members["array0.npy"] = bomb.getvalue()
    header = json.loads(members["header.json"])
    header["arrays"][0] = {"dtype": "|O", "shape": [1]}
    members["header.json"] = json.dumps(header)
    _write(path, members)
    with pytest.raises(ModelFileError, match="damaged"):
        load(path)
    assert not Path("the-bomb-went-off").exists()


@pytest.mark.parametrize("name", ["os.system", "Pipeline", "object", "Box", ["GaussianMixture"], None])
def test_a_class_outside_the_registry_is_refused(name, X, path):
    _rewrite(X, path, lambda header: header["model"].update(estimator=name))
    with pytest.raises(ModelFileError):
        load(path)


@pytest.mark.parametrize("name", ["predict", "_covariance", "_density", "__class__", "__dict__", "means", "a b_", ""])
def test_a_file_cannot_replace_what_a_class_defines(name, X, path):
    _rewrite(X, path, lambda header: header["model"]["attributes"].update({name: 1}))
    with pytest.raises(ModelFileError, match="not the name of a fitted attribute"):
        load(path)


@pytest.mark.parametrize("damage", [b"(((", b'"""', b"1L, ", b"\x00\xff", b"__import__('os')"])
def test_a_damaged_header_of_an_array_is_a_damaged_file(damage, X, path):
    members = _members(X, path)
    content = members["array0.npy"]
    members["array0.npy"] = content[:12] + damage + content[12 + len(damage) :]
    _write(path, members)
    with pytest.raises(ModelFileError, match="damaged"):
        load(path)


def test_a_huge_array_is_not_allocated(X, path):
    members = _members(X, path)
    claim = io.BytesIO()
    np.lib.format.write_array_header_1_0(claim, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)})
    members["array0.npy"] = claim.getvalue()
    header = json.loads(members["header.json"])
    header["arrays"][0] = {"dtype": "<f8", "shape": [1 << 40]}
    members["header.json"] = json.dumps(header)
    _write(path, members)
    with pytest.raises(ModelFileError, match="not the array that the header declares"):
        load(path)


def test_a_compressed_member_is_refused_before_it_is_unpacked(X, path):
    members = _members(X, path)
    members["array0.npy"] = b"\x00" * 10_000_000
    _write(path, members, zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelFileError, match="compressed"):
        load(path)


def test_members_that_no_header_declares_are_refused(X, path):
    members = _members(X, path)
    members["array99.npy"] = members["array0.npy"]
    _write(path, members)
    with pytest.raises(ModelFileError, match="not those that its header declares"):
        load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model["attributes"].pop("weights_"),
        lambda model: model["attributes"].update(weights_=model["attributes"]["means_"]),
        lambda model: model["attributes"].update(covariances_=model["attributes"]["weights_"]),
        lambda model: model["attributes"].update(means_=[[1.0, 2.0]]),
        lambda model: model["attributes"].update(n_features_in_=7),
        lambda model: model["attributes"].update(means_={"array": 99}),
        lambda model: model["attributes"].update(means_={"array": "0"}),
        lambda model: model["attributes"].update(means_={"pickle": "x"}),
        lambda model: model["attributes"].update(means_={}),
        lambda model: model["parameters"].update(covariance_type="diag"),
        lambda model: model["parameters"].update(covariance_type=[[]]),
        lambda model: model["parameters"].update(unknown=1),
        lambda model: model.update(parameters=3),
        lambda model: model.clear(),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(change, X, path):
    _rewrite(X, path, lambda header: change(header["model"]))
    with pytest.raises(ModelFileError):
        load(path)


@pytest.mark.parametrize("header", ["[]", "{}", "null", "{", '{"format": "fastgmm model", "format_version": "1"}'])
def test_a_nonsensical_header_is_refused(header, X, path):
    members = _members(X, path)
    members["header.json"] = header
    _write(path, members)
    with pytest.raises(ModelFileError):
        load(path)


def test_a_deeply_nested_header_is_refused(X, path):
    members = _members(X, path)
    text = members["header.json"].decode()
    nested = "[" * 100_000 + "]" * 100_000
    members["header.json"] = text.replace('"training": {', f'"bottomless": {nested}, "training": {{', 1)
    _write(path, members)
    with pytest.raises(ModelFileError):
        load(path)
