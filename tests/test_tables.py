"""Files as they are: what is used, what is left out, what is missing, and that every command reads alike."""

import json
import shlex

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from fastgmm import GaussianMixture, GaussianMixtureSearch, load, read_table, save
from fastgmm.cli import main
from fastgmm.exceptions import TableError
from fastgmm.persistence import read_training

N = 120


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def frame():
    """A data scientist's table: an id, a category, dates, empty cells, forty columns."""
    rng = np.random.default_rng(0)
    group = rng.integers(0, 2, N)
    frame = pd.DataFrame({"customer": [f"C{900 - i}" for i in range(N)]})
    frame["Straße"] = rng.choice(["rétail", "business"], N)
    frame["joined"] = [f"{1 + i % 28:02d}.0{1 + i % 9}.2020" for i in range(N)]
    frame["seen"] = pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 900, N), "D")
    frame["note"] = np.nan
    values = rng.normal(size=(N, 34)).round(4) + 3.0 * group[:, None]
    frame[[f"v{j}" for j in range(34)]] = values
    frame["price"] = [f"{value:.2f} per kg" for value in values[:, 0]]
    frame.loc[[5, 9, 50], "v3"] = np.nan
    frame.loc[[9, 77], "v30"] = np.nan
    return frame


DRESSES = {
    "plain": {},
    "german": {"sep": ";", "decimal": ",", "encoding": "utf-8-sig", "na_rep": "NA"},
    "western": {"sep": ";", "decimal": ",", "encoding": "cp1252"},
    "tabs": {"sep": "\t", "na_rep": "n/a"},
    "quoted commas": {"decimal": ",", "na_rep": "?"},
}
LEFT_OUT = {
    "customer": "text",
    "Straße": "category",
    "joined": "date",
    "seen": "date",
    "note": "empty",
    "price": "text",
}


@pytest.mark.parametrize("dress", DRESSES)
def test_columns_of_numbers_are_read_and_all_are_reported(dress, frame):
    frame.to_csv("data.csv", index=False, **DRESSES[dress])
    table = read_table("data.csv", missing="drop")
    expected = frame[table.columns].dropna()
    assert table.columns == [f"v{j}" for j in range(34)]
    assert_array_equal(table.X, expected.to_numpy())
    assert_array_equal(table.numbers, expected.index + 1)
    report = table.report
    assert {column.name: column.kind for column in report.columns if column.use == "left out"} == LEFT_OUT
    assert [column.name for column in report.columns] == list(frame.columns)
    found = {column.name: column.n_missing for column in report.columns if column.n_missing}
    assert found == {"note": N, "v3": 3, "v30": 2}
    assert (report.n_rows, report.n_left_out) == (N, 4)
    assert report.row_names == ["customer"]
    assert len(str(report).splitlines()) == 2 + 40
    assert (
        "34 columns of numbers used, 6 left out: customer (text, different in every row, as 'C900')" in table.notes[-2]
    )
    assert table.notes[-1] == "4 of 120 rows left out; cells without a value: 'v3' 3, 'v30' 2"


def test_all_missing_cells_are_told_at_once(frame):
    frame.to_csv("data.csv", index=False)
    with pytest.raises(TableError) as error:
        read_table("data.csv")
    assert str(error.value) == (
        "data.csv, line 7, column 'v3': the cell is empty. Cells without a value: 'v3' 3, 'v30' 2; in 4 of 120 rows. "
        "missing='marginalise' keeps them with NaN, missing='drop' leaves out these rows, exclude a column"
    )


def test_all_cells_that_are_no_numbers_are_told_at_once(frame):
    frame = frame[["v0", "v1", "v2"]].astype(object)
    frame.loc[[3, 4], "v1"] = "12 kg"
    frame.loc[1, "v2"] = "inf"
    frame.to_csv("data.csv", index=False)
    with pytest.raises(TableError, match=r"line 3, column 'v2': 'inf' is not a finite number.*: 'v1' 2, 'v2' 1\."):
        read_table("data.csv")
    assert read_table("data.csv", exclude=["v2"], na_values=["12 KG"], missing="drop").report.n_left_out == 2


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npy"])
def test_words_and_numbers_may_stand_for_a_missing_value(suffix):
    X = np.random.default_rng(0).normal(size=(50, 2))
    X[[3, 7], [0, 1]] = -999.0
    if suffix == "npy":
        np.save("data.npy", X)
    elif suffix == "csv":
        pd.DataFrame(X, columns=["a", "b"]).to_csv("data.csv", index=False, float_format="%.6e")
    else:
        pytest.importorskip("pyarrow")
        pd.DataFrame(X, columns=["a", "b"]).to_parquet("data.parquet")
    table = read_table(f"data.{suffix}", na_values=["-999"], missing="drop")
    assert_array_equal(table.numbers, np.delete(np.arange(50), [3, 7]) + 1)
    assert [column.n_missing for column in table.report.columns] == [1, 1]


def test_nulls_of_every_type_are_missing_in_parquet():
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    columns = {
        "whole": pa.array([1, None, 3]),
        "truth": pa.array([True, False, None]),
        "single": pa.array([1.5, 2.5, float("nan")], pa.float32()),
        "coded": pa.array([7, None, 9]).dictionary_encode(),
        "name": pa.array(["x", None, "z"]),
    }
    pq.write_table(pa.table(columns), "data.parquet")
    table = read_table("data.parquet", missing="drop")
    assert_array_equal(table.X, [[1.0, 1.0, 1.5, 7.0]])
    assert [column.n_missing for column in table.report.columns] == [1, 1, 1, 1, None]


def test_thousands_are_not_taken_for_decimals():
    with open("data.csv", "w") as file:
        file.write('a,b\n"1,234",1\n"2,345",2\n"3,456",5\n')
    assert_array_equal(read_table("data.csv").X, [[1234.0, 1.0], [2345.0, 2.0], [3456.0, 5.0]])


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["$1,200.50", "-$3", "7"], [1200.5, -3.0, 7.0]),
        (["45%", "7.5 %", "100%"], [45.0, 7.5, 100.0]),
        (["1.200,50 €", "2.300 €", "3,5"], [1200.5, 2300.0, 3.5]),
        (["12 345", "1 234 567", "9\u00a0999"], [12345.0, 1234567.0, 9999.0]),
        (["1'200", "2\u2019300.5", "£9"], [1200.0, 2300.5, 9.0]),
    ],
)
def test_numbers_are_read_as_people_write_them_and_the_reader_is_told(cells, numbers):
    with open("data.csv", "w", encoding="utf-8") as file:
        file.write("a;b\n" + "".join(f"{cell};{number:g}\n" for number, cell in enumerate(cells)))
    table = read_table("data.csv")
    assert_array_equal(table.X[:, 0], numbers)
    assert f"written as {cells[0]!r}" in str(table.report)
    assert any(f"{cells[0]!r} as {numbers[0]:.15g}" in note for note in table.notes)
    assert repr(table).startswith("Table of 3 rows of a, b\ndata.csv: 3 rows, 2 columns\n")


@pytest.mark.parametrize("cell", ["1,20", "1,2345", "--3", "-$-3", "$", "1 2", "12%%", "1.200.50", "EUR 5"])
def test_what_may_be_something_else_is_no_number(cell):
    with open("data.csv", "w") as file:
        file.write(f"a;b\n{cell};1.5\n{cell};2.5\n{cell};4.5\n")
    assert read_table("data.csv").columns == ["b"]


def test_titles_above_a_table_are_no_part_of_it():
    for title in ("Report 2024,,\n", "Report 2024\n", "Report 2024\n\nin euros,,\n\n"):
        with open("data.csv", "w") as file:
            file.write(title + "a,b,c\n1,2,x\n3,4,y\n")
        table = read_table("data.csv")
        assert_array_equal(table.X, [[1.0, 2.0], [3.0, 4.0]])
        assert "data.csv: 'Report 2024' is taken for a title and not read" in table.notes
        with pytest.raises(TableError, match=f"line {3 + title.count(chr(10))}, column 'c': 'y' is not"):
            read_table("data.csv", columns=["c"], na_values=["x"])
    # Names over one column, and names of rows, are no titles.
    for text in ("height\n1.5\n2.5\n", "name,\nx,1\ny,2\n", "a\nb\n1\n"):
        with open("data.csv", "w") as file:
            file.write(text)
        assert not [note for note in main_notes("data.csv") if "title" in note]


def main_notes(path):
    """Return what reading says of a file, whatever is in it."""
    try:
        return read_table(path).notes
    except TableError as error:
        return [str(error)]


def test_a_name_that_comes_again_is_told_apart():
    with open("data.csv", "w") as file:
        file.write("a,b,a,a\n1,2,3,4\n5,6,7,8\n")
    table = read_table("data.csv")
    assert table.columns == ["a", "b", "a.1", "a.2"]
    assert table.notes[0] == "data.csv: column 3 is called 'a' as an earlier one, and is read as 'a.1'"


def test_lines_that_a_spreadsheet_leaves_beneath_are_no_rows():
    with open("data.csv", "w") as file:
        file.write("a;b;\n1;2;\n3;4;\n;;\n;;\n")
    assert_array_equal(read_table("data.csv").X, [[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"columns": ["v0", "price"]}, TableError, r"column 'price': '.* per kg' is not a number"),
        ({"columns": ["nothing"]}, TableError, "^columns: data.csv has no column 'nothing'"),
        ({"columns": "v0"}, TypeError, r"columns is the string 'v0'; expected a list, such as \['v0'\]"),
        ({"missing": "omit"}, ValueError, "missing is 'omit'; expected 'error', 'drop' or 'marg"),
    ],
)
def test_faults_in_python_name_parameters(options, error, words, frame):
    frame.to_csv("data.csv", index=False)
    with pytest.raises(error, match=words):
        read_table("data.csv", **options)


# The commands.

MOST = [f"v{j}" for j in range(4, 34)]
FIT = ["--structure", "EII,VVI", "--components", "1..3", "--plot", "none", "--exclude", *MOST]


def test_python_and_the_command_line_choose_alike_and_the_model_remembers(frame, capsys):
    frame["v1"] = frame["v1"].fillna(-1).where(frame.index != 60, -99)
    frame.to_csv("data.csv", index=False)
    assert main(["fit", "data.csv", *FIT, "--missing", "drop", "--na", "-99", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    table = read_table("data.csv", exclude=MOST, missing="drop", na_values=["-99"])
    assert table.X.shape == (N - 4, 4)
    search = GaussianMixtureSearch([1, 2, 3], ["EII", "VVI"], random_state=0).fit(table.X)
    assert (told["best"]["n_components"], told["structure"]) == tuple(search.best_params_.values())
    assert told["value"] == search.best_score_
    assert told["n_samples"] == N - 4
    assert read_training("fastgmm_model.npz")["reading"] == {"missing": "drop", "na": ["-99"]}
    assert main(["show", "fastgmm_model.npz"]) == 0
    out = capsys.readouterr().out
    assert "6 left out: customer (text, different in every row, as 'C900')" in out
    assert "4 of 120 rows left out; cells without a value: 'v3' 3, 'v1' 1" in out
    # New data of the same layout are read in the same way, and rows keep their numbers.
    assert main(["predict", "fastgmm_model.npz", "data.csv", "--id", "customer", "--json"]) == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert told["row"] == table.numbers.tolist()
    assert told["customer"] == frame["customer"][table.numbers - 1].tolist()
    assert_array_equal(
        told["component"],
        load("fastgmm_model.npz").best_estimator_.predict(table.X)
        if hasattr(load("fastgmm_model.npz"), "best_estimator_")
        else search.predict(table.X),
    )
    assert "4 of 120 rows left out" in captured.err
    assert main(["score", "fastgmm_model.npz", "data.csv", "--missing", "error"]) == 2
    assert "Cells without a value: 'v3' 3, 'v1' 1" in capsys.readouterr().err


def test_rows_keep_their_numbers_in_memory_and_in_a_stream(frame, capsys):
    pytest.importorskip("pyarrow")
    frame.drop(columns=["note"]).to_parquet("data.parquet")
    found = []
    for flag in ("--stream", "--no-stream"):
        assert main(["fit", "data.parquet", *FIT, "--missing", "drop", flag, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["n_samples"] == N - 3
        for command in (["outliers", "--fraction", "1"], ["predict"], ["score"]):
            assert main([command[0], "fastgmm_model.npz", "data.parquet", *command[1:], flag, "--json"]) == 0
            told = json.loads(capsys.readouterr().out)
            found.append(sorted(told["row"]) if "row" in told else told["n_samples"])
    kept = [i + 1 for i in range(N) if i not in (5, 9, 50)]
    assert found == 2 * [kept, kept, N - 3]


def test_an_id_is_proposed_by_name(frame, capsys):
    frame["no"] = np.arange(N)
    frame.rename(columns={"customer": "customer name"}).to_csv("data.csv", index=False)
    assert main(["fit", "data.csv", *FIT, "v3"]) == 0
    out = capsys.readouterr().out
    assert f"--id {shlex.quote('customer name')} keeps the names of the rows" in out
    assert "--exclude no, or keep it beside predictions with --id no" in out


def test_describe_lists_all_columns_whatever_is_in_them(frame, capsys):
    frame["v5"] = frame["v5"].astype(object)
    frame.loc[0, "v5"] = "> 100"
    frame.assign(same=7.5).to_csv("data.csv", index=False)
    assert main(["describe", "data.csv", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(caution["kind"], caution["columns"]) for caution in told["cautions"]] == [("constant", ["same"])]
    columns = {column["name"]: column for column in told["columns"]}
    assert columns["v5"]["use"] == "fault"
    assert columns["v6"]["use"] == "used"
    assert columns["v3"]["n_missing"] == 3
    assert columns["v5"]["about"].endswith("; 1 hold no number, as '> 100'")
    assert main(["describe", "data.csv", "--exclude", "v5"]) == 0
    title, _, line, *_ = capsys.readouterr().out.splitlines()
    assert title == "data.csv: 120 rows, 40 columns; 4 rows with values missing"
    assert " ".join(line.split()) == "customer left out text 0 different in every row, as 'C900'"


WEIGHTED = ["--weights", "w"]


@pytest.mark.parametrize("options", [[], ["--standardize"], WEIGHTED, [*WEIGHTED, "--standardize"]], ids=str)
def test_rows_with_missing_values_are_fitted_and_scored_as_in_python(options, frame, capsys):
    frame = frame[["customer", "v0", "v1", "v3", "v30"]].assign(w=1 + np.arange(N) % 3)
    frame.to_csv("data.csv", index=False)
    arguments = ["--missing", "marginalise", "--components", "2", "--structure", "full", "--plot", "none", "--json"]
    exclude = [] if "--weights" in options else ["--exclude", "w"]
    assert main(["fit", "data.csv", *arguments, *options, *exclude]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["n_samples"] == N
    assert "4 of 120 rows with values missing, kept; cells without a value: 'v3' 3, 'v30' 2" in told["notes"]
    table = read_table("data.csv", columns=["v0", "v1", "v3", "v30"], weights="w", missing="marginalise")
    assert np.isnan(table.X).sum() == 5
    model = load("fastgmm_model.npz")
    X, weight = pd.DataFrame(table.X, columns=table.columns), table.weights if "--weights" in options else None
    assert told["value"] == pytest.approx(model.bic(X, sample_weight=weight), rel=1e-9)
    # It is inherited from the model; and a model of complete rows may be asked about others.
    score = ["score", "fastgmm_model.npz", "data.csv", *[option for option in options if option != "--standardize"]]
    assert main([*score, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bic"] == pytest.approx(told["value"], rel=1e-9)
    assert main(["predict", "fastgmm_model.npz", "data.csv", "--json"]) == 0
    assert_array_equal(json.loads(capsys.readouterr().out)["component"], model.predict(X))
    complete = GaussianMixture(2, random_state=0).fit(X.dropna())
    save(complete, "complete.npz")
    assert main(["predict", "complete.npz", "data.csv"]) == 2
    assert "--missing marginalise fits what is there" in capsys.readouterr().err
    assert main(["predict", "complete.npz", "data.csv", "--missing", "marginalise", "--json"]) == 0
    expected = complete.set_params(missing="marginalise").predict(X)
    assert_array_equal(json.loads(capsys.readouterr().out)["component"], expected)


def test_missing_values_are_kept_in_a_stream_and_in_the_picture(frame, capsys):
    pytest.importorskip("pyarrow")
    frame[["v0", "v3", "v30"]].to_parquet("data.parquet")
    found = []
    for flag in ("--stream", "--no-stream"):
        arguments = ["--missing", "marginalise", "--components", "2", "--structure", "VVI", "--standardize", flag]
        assert main(["fit", "data.parquet", *arguments, "--plot", "report.png", "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out)["value"])
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    assert main(["fit", "data.parquet", "--missing", "marginalise", "--pca", "2"]) == 2
    assert "rows without some value have no principal components" in capsys.readouterr().err
