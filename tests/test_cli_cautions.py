"""What to beware of is said by name: in the columns, in the outcome, on the screen, in Python, in the model file."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from fastgmm import GaussianMixture, GaussianMixtureSearch
from fastgmm.cli import main
from fastgmm.exceptions import RegularisationWarning, SelectionWarning
from fastgmm.persistence import read_training
from fastgmm.selection.cautions import column_cautions, outcome_cautions

N = 300


@pytest.fixture
def X():
    """Three columns of two groups, of which there is nothing to say."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(size=(N // 2, 3)), rng.normal(size=(N // 2, 3)) + 4.0])


def cautions(X, column=None):
    """Return the kinds, columns and texts of what is said of X, with another column 'new' where given."""
    X = X if column is None else np.column_stack([X, column])
    names = [*"abcdefgh"[: X.shape[1]]] if column is None else [*"abcdefgh"[: X.shape[1] - 1], "new"]
    return [(caution.kind, caution.columns, caution.text) for caution in column_cautions(X, names)]


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_diabetes])
def test_nothing_is_said_of_measurements(load):
    data = load(as_frame=True)
    found = column_cautions(data.data.to_numpy(), list(data.data.columns))
    assert [caution.kind for caution in found] in ([], ["codes"])  # the sex of the diabetes data
    assert not found or found[0].columns == ("sex",)


NEW = {
    "constant": lambda X: np.full(len(X), 0.1),
    "duplicated": lambda X: X[:, 1],
    "duplicated, other units": lambda X: 2.54 * X[:, 1] - 40.0,
    "collinear, a copy with noise": lambda X: X[:, 1] + 1e-3 * np.random.default_rng(1).normal(size=len(X)),
    "collinear, a sum": lambda X: X[:, 0] + X[:, 1],
    "collinear, a rest": lambda X: 100.0 - X.sum(axis=1),
    "id": lambda X: np.arange(len(X)) + 1,
    "id, falling": lambda X: -7.0 * np.arange(len(X)),
    "id, mixed": lambda X: np.random.default_rng(1).permutation(len(X)),
    "codes": lambda X: np.arange(len(X)) % 3,
    "codes, truth": lambda X: np.arange(len(X)) % 2 == 0,
}


@pytest.mark.parametrize("scale", [1.0, 1e-100, 1e100])
@pytest.mark.parametrize("case", NEW)
def test_a_column_that_should_not_be_there_is_named(case, scale, X):
    found = cautions(X * scale, NEW[case](X) * (scale if case[0] == "d" or case.startswith("col") else 1.0))
    assert [(kind, columns) for kind, columns, _ in found] == [(case.split(",")[0], ("new",))]
    assert "column 'new'" in found[0][2]


def test_what_determines_a_column_is_named(X):
    assert cautions(X, X[:, 1])[0][2] == "column 'new' is a copy of column 'b', up to its units"
    assert cautions(X, 2.0 * X[:, 2] - X[:, 0])[0][2] == "column 'new' is a linear combination of columns 'c', 'a'"


def test_single_precision_is_judged_by_its_own(X):
    found = column_cautions(np.column_stack([X, np.full(N, 0.1), X[:, 0]]).astype(np.float32), list("abcde"))
    assert [(caution.kind, caution.columns) for caution in found] == [("constant", ("d",)), ("duplicated", ("e",))]


def test_groups_far_apart_do_not_make_columns_collinear():
    """Within the groups the columns are independent."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(N, 2)), rng.normal(size=(N, 2)) + 50.0])
    assert cautions(X) == []


def test_numbers_of_rows_are_told_by_name_in_a_sample():
    X = np.random.default_rng(0).choice(10**9, size=(N, 1), replace=False)
    for name, kinds in (("customer_id", ["id"]), ("Unnamed: 0", ["id"]), ("income", []), ("acidity", [])):
        assert [caution.kind for caution in column_cautions(X, [name])] == kinds


def test_many_columns_make_one_caution():
    rng = np.random.default_rng(0)
    smooth = rng.normal(size=(N, 3)) @ rng.normal(size=(3, 50))
    found = cautions(np.hstack([smooth, np.zeros((N, 10))])[:, :8])
    assert [kind for kind, *_ in found] == ["collinear"]
    names = [f"c{j}" for j in range(60)]
    found = column_cautions(np.hstack([smooth, np.zeros((N, 10))]), names)
    assert [caution.kind for caution in found] == ["constant", "collinear"]
    assert len(found[0].columns) == 10
    assert len(found[1].columns) == 47
    assert "and 43 more" in found[1].text


def test_fewer_rows_than_columns_are_one_caution():
    X = np.random.default_rng(0).normal(size=(10, 20))
    found = column_cautions(X, [f"c{j}" for j in range(20)])
    assert [caution.kind for caution in found] == ["dimension"]


def test_the_outcome_is_judged_by_sizes_and_rows():
    def kinds(*arguments):
        return [caution.kind for caution in outcome_cautions(*arguments)]

    assert kinds(3, range(1, 10), 11, 272) == []
    assert kinds(9, range(1, 10), 53, 272) == ["edge"]
    assert kinds(1, range(1, 10), 5, 272) == []  # nothing is below one
    assert kinds(4, [4, 8], 23, 272) == ["edge"]
    assert kinds(3, [3], 17, 272) == []
    assert kinds(3, range(1, 10), 17, 30) == ["rows"]


# In Python.


def told_by_search(X, sizes=range(1, 4), names=("EII", "VVI"), **options):
    """Return a fitted search and the texts of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search = GaussianMixtureSearch(sizes, list(names)).fit(X, **options)
    assert all(warning.category is SelectionWarning and warning.filename == __file__ for warning in caught)
    return search, [str(warning.message) for warning in caught]


def test_a_search_warns_at_its_caller_keeps_and_shows_what_it_is_told(X):
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(same=7.5, no=np.arange(N))
    search, texts = told_by_search(frame, names=("EII",))
    assert [text.split(" has ")[0] for text in texts[:2]] == ["column 'same'", "column 'no'"]
    assert [f"{text}." for text in search.cautions_] == texts
    assert all(f"warning      {text}\n" in search.summary() for text in search.cautions_)
    assert told_by_search(X)[1] == []
    assert told_by_search(X, sizes=[1, 2])[1] == [
        "the best number of components, 2, is the largest that was fitted; a larger one may be better; try others with "
        "n_components."
    ]
    assert "column 'x1' has" in told_by_search(X * [1.0, 0.0, 1.0], names=("EII",))[1][0]


def test_rows_of_weight_zero_are_not_judged(X):
    weight = np.repeat([1.0, 0.0], N // 2)
    varies_elsewhere = np.where(weight > 0, 3.0, np.arange(N))
    _, texts = told_by_search(np.column_stack([X, varies_elsewhere]), names=("EII",), sample_weight=weight)
    assert texts[0].startswith("column 'x3' has the same value in every row, 3")


def test_few_rows_of_many_columns_say_what_a_full_covariance_is():
    X = np.random.default_rng(0).normal(size=(20, 40))
    _, texts = told_by_search(X, sizes=[1, 2], names=("EII",))
    assert "20 rows of 40 columns: a full covariance has 820 parameters for each component" in texts[0]
    with pytest.warns(RegularisationWarning, match="20 rows and 40 features.*820 parameters.*singular") as caught:
        GaussianMixture(2, random_state=0).fit(X)
    assert [warning.filename for warning in caught] == [__file__]
    # A warning is an error here: these have none.
    GaussianMixture(2, random_state=0, covariance_type="diag").fit(X)
    GaussianMixture(2, random_state=0, prior="default").fit(X)


# On the command line.


@pytest.fixture
def frame(X, tmp_path, monkeypatch):
    """A frame with a constant, a number of the row and a copy, in data.csv."""
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    frame.insert(0, "no", np.arange(N))
    frame = frame.assign(constant=7.5, copy=frame["a"] * 10.0)
    frame.to_csv("data.csv", index=False)
    return frame


FIT = ["fit", "data.csv", "--components", "1..3", "--structure", "basic", "--plot", "none"]
KINDS = {"constant": "constant", "no": "id", "copy": "duplicated"}


def test_fit_names_them_before_the_table_and_keeps_them(frame, capsys):
    assert main(FIT) == 0
    out = capsys.readouterr().out
    before, table = out.split("BIC, lower")
    for name in KINDS:
        assert f"Beware: column '{name}' " in before
        assert f"--exclude {name}" in before
    assert "largest that was fitted" in table
    assert main([*FIT, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["cautions"]
    named = {caution["columns"][0]: caution["kind"] for caution in told if caution["columns"]}
    assert named == KINDS
    assert read_training("fastgmm_model.npz")["cautions"] == [caution["text"] for caution in told]
    assert main(["show", "fastgmm_model.npz"]) == 0
    assert "Beware: column 'constant' has the same value in every row, 7.5." in capsys.readouterr().out


def test_nothing_remains_to_be_said_without_the_columns(frame, capsys):
    assert main([*FIT, "--exclude", *KINDS]) == 0
    out = capsys.readouterr().out
    assert "Beware" not in out
    assert "data.csv: 300 rows of a, b, c\n" in out
    assert "Best: 2 components" in out
    # The columns left out may be in new data, or not.
    for new in (frame, frame.drop(columns=[*KINDS])):
        new.to_csv("new.csv", index=False)
        assert main(["predict", "fastgmm_model.npz", "new.csv", "--json"]) == 0
        capsys.readouterr()


def test_principal_components_need_no_word_of_collinear_columns(frame, capsys):
    assert main([*FIT, "--exclude", "no", "--pca", "2"]) == 0
    assert "Beware: column" not in capsys.readouterr().out


def test_streamed_rows_are_judged_by_their_sample(frame, capsys):
    pytest.importorskip("pyarrow")
    frame.to_parquet("data.parquet", index=False)
    for flag in ("--stream", "--no-stream"):
        assert main(["fit", "data.parquet", *FIT[2:], flag, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)["cautions"]
        assert {caution["columns"][0]: caution["kind"] for caution in told if caution["columns"]} == KINDS
