"""`fastgmm fit`: what it finds, what it writes, and one line for every fault."""

import json

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_iris

from fastgmm import GaussianMixture
from fastgmm.cli import main
from fastgmm.cli.units import Scaling, in_data_units
from fastgmm.datasets import load_faithful
from fastgmm.persistence import load, read_training
from fastgmm.selection import GaussianMixtureSearch
from fastgmm.tables.reading import Table


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def _csv(path, X, header="a,b"):
    np.savetxt(path, X, delimiter=",", header=header, comments="", fmt="%.17g")


def test_the_bundled_data_give_what_mclust_finds(capsys, tmp_path):
    """R's mclust finds EEE with 3 components; the BIC is its own at a small tolerance, with the other sign."""
    assert main(["fit", "--components", "1..5"]) == 0
    out = capsys.readouterr().out
    assert "Best: 3 components, EEE covariance; BIC 2314.3, 11 parameters" in out
    assert "> 2314.3" in out
    model = load("fastgmm_model.npz")
    frame = pd.DataFrame(load_faithful(), columns=["eruptions", "waiting"])
    assert abs(model.bic(frame) - 2314.2957) < 0.001
    assert (tmp_path / "fastgmm_report.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("criterion", ["bic", "icl"])
@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], "all"),
        (["--structure", "all"], "all"),
        (["--structure", "basic"], ["spherical", "diag", "tied", "full"]),
        (["--structure", "basic,VEV"], ["spherical", "diag", "tied", "full", "VEV"]),
    ],
)
def test_the_command_line_chooses_what_python_chooses(options, names, criterion, capsys):
    frame = load_iris(as_frame=True).data
    frame.to_csv("iris.csv", index=False)
    arguments = ["fit", "iris.csv", "--components", "1..4", "--criterion", criterion, "--plot", "none", "--json"]
    assert main([*arguments, *options]) == 0
    told = json.loads(capsys.readouterr().out)
    search = GaussianMixtureSearch(range(1, 5), names, criterion=criterion, random_state=0).fit(frame)
    assert (told["best"]["n_components"], told["structure"]) == tuple(search.best_params_.values())
    assert told["value"] == search.best_score_
    assert len(told["candidates"]) == len(search.results_["score"])
    assert load("fastgmm_model.npz").bic(frame) == pytest.approx(
        search.best_estimator_.bic(frame.to_numpy()), rel=1e-12
    )


def test_one_column_has_the_two_families_of_one_feature(capsys):
    _csv("data.csv", load_faithful()[:, :1], "a")
    for structure, expected in (("all", {"E", "V"}), ("basic", {"tied", "full"})):
        arguments = ["fit", "data.csv", "--structure", structure, "--components", "1..3", "--plot", "none", "--json"]
        assert main(arguments) == 0
        assert {c["structure"] for c in json.loads(capsys.readouterr().out)["candidates"]} == expected
    assert main(["fit", "data.csv", "--structure", "VEV"]) == 2
    assert "--structure is 'VEV'" in capsys.readouterr().err


def test_a_score_of_a_standardised_fit_is_that_of_the_fit(capsys):
    """Its structure is one of standardised columns, with fewer parameters than the stored matrices have."""
    _csv("data.csv", load_faithful())
    for structure in ("spherical", "VEV", "full"):
        arguments = ["fit", "data.csv", "--standardize", "--structure", structure, "--components", "2"]
        assert main([*arguments, "--plot", "none", "--json"]) == 0
        fitted = json.loads(capsys.readouterr().out)["value"]
        assert main(["score", "fastgmm_model.npz", "data.csv", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["bic"] == pytest.approx(fitted, rel=1e-10)


def test_candidates_nearly_as_good_are_named(capsys):
    load_iris(as_frame=True).data.to_csv("iris.csv", index=False)
    assert main(["fit", "iris.csv", "--components", "1..4", "--plot", "none"]) == 0
    out = capsys.readouterr().out
    assert "Best: 2 components, VEV covariance; BIC 561.7" in out
    assert "Nearly as good: 3 VEV (+0.82)" in out


@pytest.mark.parametrize("values", ["1e200", "1e-200"])
def test_numbers_beyond_arithmetic_are_named_before_the_fit(values, capsys):
    _csv("data.csv", load_faithful() * [1.0, float(values)])
    assert main(["fit", "data.csv"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("fastgmm: error: data.csv: column 'b' goes from ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_json_says_what_the_model_holds(capsys):
    assert main(["fit", "--json", "--components", "2..3", "--structure", "full", "--plot", "none"]) == 0
    told = json.loads(capsys.readouterr().out)
    model = load("fastgmm_model.npz")
    assert told["best"]["means"] == model.means_.tolist()
    assert [c["n_components"] for c in told["candidates"]] == [2, 3]
    assert told["value"] == min(c["value"] for c in told["candidates"])
    assert read_training("fastgmm_model.npz")["columns"] == ["eruptions", "waiting"]


@pytest.mark.parametrize("structure", ["spherical", "diag", "tied", "full", "VEV"])
def test_standardising_leaves_the_model_in_the_units_of_the_data(structure):
    """The density of x is that of z divided by the scales, whatever the structure."""
    X = load_faithful()
    scaling = Scaling.of(Table("here", ["a", "b"], X))
    fitted = GaussianMixture(3, covariance_type=structure, random_state=0, max_iter=500).fit(scaling.apply(X))
    model = in_data_units(fitted, scaling)
    expected = fitted.score_samples(scaling.apply(X)) - scaling.log_jacobian
    assert_allclose(model.score_samples(X), expected, rtol=1e-12)
    assert_allclose(model.predict_proba(X), fitted.predict_proba(scaling.apply(X)), atol=1e-12)
    assert model.lower_bound_ == pytest.approx(fitted.lower_bound_ - scaling.log_jacobian)


def test_standardised_bic_is_comparable_with_the_one_of_the_data_as_they_are(capsys):
    """Without a regularisation to speak of, full covariances fit the same density in any units."""
    values = []
    for option in ([], ["--standardize"]):
        command = ["fit", "--components", "2", "--structure", "full", "--tol", "1e-10", "--reg-covar", "1e-12"]
        assert main([*command, "--json", "--plot", "none", *option]) == 0
        values.append(json.loads(capsys.readouterr().out)["value"])
    assert_allclose(values[0], values[1], rtol=1e-7)


def test_columns_choose_and_order(capsys):
    X = load_faithful()
    _csv("data.csv", np.column_stack([X[:, 0], X[:, 1], np.arange(len(X))]), "a,b,c")
    options = ["--columns", "b", "a", "--components", "2", "--structure", "full", "--plot", "none"]
    assert main(["fit", "data.csv", *options]) == 0
    model = load("fastgmm_model.npz")
    assert list(model.feature_names_in_) == ["b", "a"]
    assert_allclose(model.weights_ @ model.means_, X.mean(axis=0)[::-1], rtol=1e-10)


def test_data_written_after_columns_are_missed_aloud(capsys):
    """argparse gives every following word to --columns: without this, the bundled data would be read."""
    _csv("data.csv", load_faithful())
    assert main(["fit", "--columns", "a", "b", "data.csv"]) == 2
    assert "--columns took data.csv for one of its words; write DATA first" in capsys.readouterr().err


def test_more_components_than_rows_are_skipped_with_the_reason(capsys):
    _csv("data.csv", [[0, 1], [2, 5], [9, 4], [3, 3]])
    assert main(["fit", "data.csv", "--plot", "none"]) == 0
    out = capsys.readouterr().out
    assert "5..9: skipped: more components than rows (4)" in out


def test_a_structure_that_fails_is_shown_and_the_others_are_fitted(capsys):
    """Without regularisation two distinct points cannot hold three components."""
    _csv("data.csv", np.repeat([[0.0, 1.0], [2.0, 5.0], [4.0, 1.0]], 5, axis=0))
    options = ["--components", "1,3", "--structure", "full,tied", "--reg-covar", "0", "--plot", "none"]
    assert main(["fit", "data.csv", *options]) == 0
    out = capsys.readouterr().out
    assert "3: failed: its covariance is not positive definite" in out
    assert "Best: 1 component" in out


def test_when_nothing_can_be_fitted_the_job_failed(capsys):
    _csv("data.csv", np.ones((6, 2)))
    assert main(["fit", "data.csv", "--reg-covar", "0", "--plot", "none"]) == 1
    assert capsys.readouterr().err.startswith("fastgmm: error: no candidate could be fitted")


def test_a_component_on_one_repeated_value_does_not_win(capsys):
    """The likelihood of a component that collapses onto one value is unbounded, and says nothing."""
    rng = np.random.RandomState(0)
    _csv("data.csv", np.concatenate([rng.normal(size=200), np.full(40, 3.0)]), "a")
    assert main(["fit", "data.csv", "--components", "1..3", "--structure", "full", "--json", "--plot", "none"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [c["n_components"] for c in told["candidates"] if c["reason"]]
    assert np.min(told["best"]["covariances"]) > 1e-3


def test_a_weight_is_a_repeated_row(capsys):
    X = load_faithful()
    weight = np.random.RandomState(0).randint(1, 4, size=len(X))
    _csv("weighted.csv", np.column_stack([X, weight]), "a,b,w")
    _csv("repeated.csv", np.repeat(X, weight, axis=0))
    values = []
    for options in (["weighted.csv", "--weights", "w"], ["repeated.csv"]):
        command = ["fit", *options, "--components", "1", "--structure", "full", "--standardize"]
        assert main([*command, "--plot", "none", "--json"]) == 0
        values.append(json.loads(capsys.readouterr().out))
    assert_allclose(values[0]["value"], values[1]["value"], rtol=1e-10)
    assert_allclose(values[0]["best"]["covariances"], values[1]["best"]["covariances"], rtol=1e-10)


def test_principal_components_are_remembered(capsys):
    """Twenty columns of rank two: the model of two components predicts from the twenty."""
    rng = np.random.RandomState(0)
    plane = np.concatenate([rng.normal(size=(60, 2)), rng.normal(size=(60, 2)) + 8.0])
    X = plane @ rng.normal(size=(2, 20)) + 5.0
    _csv("data.csv", X, ",".join(f"c{j}" for j in range(20)))
    assert main(["fit", "data.csv", "--pca", "2", "--components", "1..4", "--plot", "none"]) == 0
    out = capsys.readouterr().out
    assert "2 principal components, 100.0% of the variance" in out
    assert "Best: 2 components" in out
    assert main(["predict", "fastgmm_model.npz", "data.csv", "-o", "labels.csv"]) == 0
    labels = np.loadtxt("labels.csv", delimiter=",", skiprows=1)[:, 0]
    assert len(set(labels[:60])) == len(set(labels[60:])) == 1
    assert labels[0] != labels[60]
    assert main(["sample", "fastgmm_model.npz", "-n", "500", "-o", "drawn.csv", "--digits", "17"]) == 0
    drawn = np.loadtxt("drawn.csv", delimiter=",", skiprows=1)
    # Back in the data's space, and on its plane.
    assert np.linalg.matrix_rank(drawn - X.mean(axis=0), tol=1e-6) == 2
    assert_allclose(drawn.mean(axis=0), X.mean(axis=0), atol=6 * X.std() / np.sqrt(500))


FAULTS = {
    "missing": (None, "data.csv: no such file"),
    "empty": ("", "data.csv: the file is empty"),
    "header only": ("a,b\n", "has no rows; expected at least one"),
    "one row": ("a,b\n1,2\n", "has 1 row; expected at least 2"),
    "text": ("a,b\n1,2\n3,x\n4,5\n", "data.csv, line 3, column 'b': 'x' is not a number"),
    "blank cell": ("a,b\n1,2\n3,\n", "data.csv, line 3, column 'b': the cell is empty"),
    "nan": (
        "a,b\n1,nan\n3,4\n",
        "data.csv, line 2, column 'b': 'nan' stands for a missing value",
    ),
    "ragged": ("a,b\n1,2\n3\n", "data.csv, line 3: has 1 cell; expected 2"),
    "binary": (b"\x89PNG\xff\xfe", "not a text file"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_bad_data_are_one_line_and_status_2(case, capsys, tmp_path):
    content, expected = FAULTS[case]
    if content is not None:
        (tmp_path / "data.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["fit", "data.csv"]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("fastgmm: error: ")
    assert expected in captured.err
    assert not list(tmp_path.glob("*.npz"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--out", "nowhere/model.npz"], "--out: nowhere/model.npz cannot be written: there is no folder"),
        (["--out", "."], "--out: . is a folder"),
        (["--out", ""], "--out: the name is empty; expected the name of a file"),
        (["--out", "a.png", "--plot", "./a.png"], "--plot: ./a.png is --out as well"),
        (["--plot", "nowhere/a.png"], "--plot: nowhere/a.png cannot be written"),
        (["--plot", "a.nonsense"], "--plot: a.nonsense ends in 'nonsense'"),
        (["--columns", "c"], "no column 'c'; the columns are eruptions, waiting"),
    ],
)
def test_bad_options_are_one_line_and_status_2(options, expected, capsys):
    assert main(["fit", *options]) == 2
    captured = capsys.readouterr()
    assert expected in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize("components", ["0", "3..1", "x", "1,,2"])
def test_nonsensical_components_end_with_status_2(components, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["fit", "--components", components])
    assert exit_info.value.code == 2
    assert "expected numbers from 1" in capsys.readouterr().err


def test_debug_shows_the_traceback(capsys):
    assert main(["fit", "nothing.csv", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_without_matplotlib_everything_but_the_picture_is_there(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    assert main(["fit", "--components", "2", "--structure", "full"]) == 0
    captured = capsys.readouterr()
    assert "pip install 'fastgmm[plot]'" in captured.err
    assert "Model: fastgmm_model.npz" in captured.out
    assert not list(tmp_path.glob("*.png"))
