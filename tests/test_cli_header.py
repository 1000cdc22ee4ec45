"""The first line of text: a header of numbers is a header, a row is a row, and what was decided is said."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from fastgmm import load
from fastgmm.cli import main
from fastgmm.exceptions import TableError
from fastgmm.tables.delimited import TELLING, read_delimited

RNG = np.random.default_rng(0)
TABLES = {
    "normal": RNG.normal(size=(60, 5)),
    "absorbance": RNG.uniform(size=(60, 5)),
    "counts": RNG.poisson(3, size=(60, 5)),
    "large counts": RNG.poisson(2000, size=(60, 5)),
    "truth": RNG.integers(0, 2, size=(60, 5)) > 0,
    "three rows": RNG.normal(size=(3, 5)),
    "two columns": RNG.normal(size=(60, 2)),
    "two columns of large counts": RNG.poisson(2000, size=(60, 2)),
    "one column": RNG.normal(size=(60, 1)),
}
NAMES = {
    "0, 1, 2": lambda j: j,
    "1, 2, 3": lambda j: j + 1,
    "wavelengths": lambda j: 400.0 + 10.0 * j,
    "uneven wavelengths": lambda j: 400.3 + 10.0 * j + j**2 / 7.0,
    "wavenumbers": lambda j: 4000 - 2 * j,
    "years": lambda j: 2001 + j,
}
# Such a line may well be a row, whatever reads it.
DOUBTFUL = {("1, 2, 3", "two columns of large counts"), ("years", "two columns of large counts")}


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(text, **options):
    return read_delimited(text if isinstance(text, bytes) else text.encode(), "data.csv", **options)


def numbers(raw):
    return np.concatenate([block.X for block in raw.blocks([name for name in raw.names if name])])


def csv(X, names=None, **options):
    frame = pd.DataFrame(X, columns=None if names is None else [NAMES[names](j) for j in range(X.shape[1])])
    return frame.to_csv(**{"index": False, **options})


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "options", [{}, {"index": True}, {"sep": ";", "decimal": ","}], ids=["plain", "index", "comma"]
)
def test_a_header_of_numbers_is_no_row(names, table, options):
    X = TABLES[table]
    index = options.get("index", False)
    if not index and ((names, table) in DOUBTFUL or (table == "one column" and "decimal" in options)):
        pytest.skip("may be a row, or two columns")
    raw = read(csv(X, names, **options))
    assert raw.named
    assert len(numbers(raw)) == len(X)
    assert_array_equal(numbers(raw), X.astype(float))
    assert "line 1, names the columns" in raw.notes[0]
    assert "--no-header" in raw.notes[0]


@pytest.mark.parametrize("table", TABLES)
def test_rows_without_a_header_are_all_read(table):
    raw = read(csv(TABLES[table], header=False))
    assert not raw.named
    assert_array_equal(numbers(raw), TABLES[table].astype(float))


ROWS = {
    "time and a square": "\n".join(f"{t / 10:g},{1 + (t / 10) ** 2:g}" for t in range(50)),
    "time alone": "\n".join(f"{t / 60:g}" for t in range(50)),
    "numbers counted on": "\n".join(f"{3 * t},{3 * t + 1},{3 * t + 2}" for t in range(10)),
    "lags": "\n".join(f"{t},{t + 1},{t + 2}" for t in range(50)),
    "decay": "\n".join(f"{100 * 0.5**t:.4f},{50 * 0.6**t:.4f},{10 * 0.7**t:.4f}" for t in range(40)),
    "equal numbers": "1,1,2\n" + csv(TABLES["absorbance"][:, :3], header=False),
    "one line": "1,2,3\n",
    "truth": "True,False\nFalse,True\nTrue,True\n",
    "words above words": "s1,0.1,0.2\ns2,0.3,0.4\ns3,0.5,0.9\n",
    "a class at the end": "5.1,3.5,setosa\n4.9,3.0,setosa\n6.3,3.3,virginica\n",
    "zeros and ones": "0,1\n1,0\n0,0\n1,1\n0,1\n1,0\n0,0\n1,1\n0,0\n1,1\n1,0\n",
}


@pytest.mark.parametrize("case", ROWS)
def test_a_first_row_that_only_looks_like_names_is_a_row(case):
    assert not read(ROWS[case]).named


def test_a_missing_value_does_not_make_the_first_row_a_header():
    """It did: the row was lost in silence."""
    rest = csv(TABLES["absorbance"][:, :3], header=False)
    for cell, fault in (("NA", "'NA' stands"), ("", "the cell is empty"), ("nan", "'nan' stands")):
        raw = read(f"1.5,{cell},3\n{rest}")
        assert not raw.named
        with pytest.raises(TableError, match=f"data.csv, line 1, column 'x1': .*{fault}"):
            numbers(raw)


@pytest.mark.parametrize(
    "text",
    ["id,400,410\ns1,.1,.2\ns2,.3,.1\ns3,.2,.2\n", '"","400","410"\n"a",1,2\n"b",3,4\n', "a,1,b\n1,2,3\n4,5,6\n"],
)
def test_words_among_the_names_settle_it(text):
    assert read(text).named


def test_quotes_settle_it_where_only_the_names_have_them():
    assert read('"5","7"\n5,6\n7,8\n').named
    assert not read('"5","7"\n"5","6"\n"7","8"\n').named


@pytest.mark.parametrize("prefix", ["", "\n\n", "\ufeff"], ids=["plain", "blank lines", "byte order mark"])
def test_the_dress_of_the_text_changes_nothing(prefix):
    text = prefix + csv(TABLES["absorbance"], "wavelengths")
    for content in (text.encode(), text.replace("\n", "\r\n").encode(), text.replace(",", "\t").encode()):
        assert read(content).names[:2] == ["400.0", "410.0"]
    assert read(text.lstrip("\ufeff").encode("utf-16")).names[:2] == ["400.0", "410.0"]


def test_options_end_the_doubt():
    text = csv(TABLES["absorbance"], "wavelengths")
    for header in (True, False):
        raw = read(text, header=header)
        assert raw.named == header
        assert raw.notes == []
        assert len(numbers(raw)) == 61 - header
    assert read("5,7\n1,2\n", header=True).names == ["5", "7"]
    with pytest.raises(TableError, match="line 1, column 'x0': 'a' is not a number"):
        numbers(read("a,b\n1,2\n", header=False))


def test_names_that_are_expected_make_a_header_of_the_line_that_has_them():
    assert not read("5,7\n1,2\n3,4\n").named
    assert read("5,7\n1,2\n3,4\n", known=["7"]).names == ["5", "7"]


def test_names_above_numpys_text_may_be_a_comment():
    X = TABLES["absorbance"]
    for delimiter in (" ", ",", "\t"):
        plain, named = io.StringIO(), io.StringIO()
        np.savetxt(plain, X, delimiter=delimiter)
        np.savetxt(named, X, delimiter=delimiter, header="made here\n" + delimiter.join("abcde"))
        assert not read(plain.getvalue()).named
        assert read(named.getvalue()).names == list("abcde")
        assert_array_equal(numbers(read(named.getvalue())), X)
    assert read("#,name,hp\n1,a,45\n2,b,60\n").names == ["#", "name", "hp"]


def test_the_first_lines_decide_whatever_comes_after():
    """A reader that has but the beginning of a large file decides as one that has all of it."""
    X = np.random.default_rng(1).uniform(size=(3 * TELLING, 3))
    far = X.copy()
    far[TELLING:] = np.linspace(0.0, 1e4, 2 * TELLING)[:, None]
    found = [read(csv(rows, "wavelengths")) for rows in (X, far, X[: TELLING - 1])]
    assert {(raw.named, *raw.notes) for raw in found} == {(True, *found[0].notes)}


def test_few_tables_without_a_header_are_taken_for_one_with_it():
    """Of 8000 tables drawn like these, with eight seeds, three were; the bound leaves room for other draws."""
    rng = np.random.default_rng(2)
    n_wrong = 0
    for i in range(1000):
        n_rows, n_columns = rng.integers(2, 80), rng.integers(1, 9)
        X = [
            rng.normal(size=(n_rows, n_columns)).round(rng.integers(1, 6)),
            rng.poisson(rng.choice([1, 5, 50, 500], size=n_columns), size=(n_rows, n_columns)),
            rng.lognormal(sigma=2.0, size=(n_rows, n_columns)),
            rng.normal(size=(n_rows, n_columns)).cumsum(axis=0),
        ][i % 4]
        n_wrong += read(csv(X, header=False)).named
    assert n_wrong < 10


# In the commands.


@pytest.fixture
def spectra():
    """Two groups of spectra in wave.csv, under a header of wavelengths."""
    rng = np.random.default_rng(3)
    X = np.concatenate([rng.normal(size=(30, 3)), rng.normal(size=(30, 3)) + 6.0]) * 0.05 + 0.5
    frame = pd.DataFrame(X, columns=[400.0, 410.0, 420.0])
    frame.to_csv("wave.csv", index=False)
    return frame


FIT = ["--components", "2", "--structure", "full", "--plot", "none", "--out", "model.npz"]


def test_every_command_reads_as_many_rows_and_the_model_knows_the_names(spectra, capsys):
    assert main(["fit", "wave.csv", *FIT, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["n_samples"] == 60
    assert told["columns"] == ["400.0", "410.0", "420.0"]
    assert "line 1, names the columns" in told["notes"][0]
    model = load("model.npz")
    assert list(model.feature_names_in_) == ["400.0", "410.0", "420.0"]
    expected = model.predict(spectra.set_axis(model.feature_names_in_, axis=1))
    assert main(["predict", "model.npz", "wave.csv", "--json"]) == 0
    assert_array_equal(json.loads(capsys.readouterr().out)["component"], expected)
    assert main(["score", "model.npz", "wave.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_samples"] == 60
    assert main(["outliers", "model.npz", "wave.csv", "--fraction", "1", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["row"]) == 60
    assert main(["show", "model.npz"]) == 0
    assert "line 1, names the columns" in capsys.readouterr().out


def test_the_decision_is_in_the_report_and_beside_data_that_are_written(spectra, capsys):
    assert main(["fit", "wave.csv", *FIT]) == 0
    assert "wave.csv, line 1, names the columns" in capsys.readouterr().out
    spectra[[420.0, 400.0, 410.0]].iloc[:1].to_csv("one.csv", index=False)
    assert main(["predict", "model.npz", "one.csv"]) == 0
    # The model knows the names: one row suffices, and nothing is in doubt.
    assert capsys.readouterr().err == ""
    assert main(["predict", "model.npz", "wave.csv", "--no-header", "--json"]) == 0
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["component"]) == 61
    assert "its columns are taken for 400.0, 410.0, 420.0" in captured.err
    assert main(["predict", "model.npz", "wave.csv", "--no-header", "--quiet", "-o", "out.csv"]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_model_of_other_wavelengths_is_refused(spectra, capsys):
    assert main(["fit", "wave.csv", *FIT]) == 0
    spectra.set_axis([400.0, 410.0, 430.0], axis=1).to_csv("other.csv", index=False)
    capsys.readouterr()
    assert main(["predict", "model.npz", "other.csv"]) == 2
    assert "other.csv: has no column '420.0', which the model was fitted to" in capsys.readouterr().err


def test_options_of_the_header_are_for_text(spectra, capsys):
    np.save("wave.npy", spectra.to_numpy())
    assert main(["fit", "wave.npy", "--header", *FIT]) == 2
    assert "--header: wave.npy has no names of columns; expected delimited text" in capsys.readouterr().err
