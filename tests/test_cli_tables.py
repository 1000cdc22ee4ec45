"""Tables: every format gives the same numbers, and every fault names its place."""

import builtins
import bz2
import gzip
import io
import lzma
import sys
from decimal import Decimal

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastgmm.exceptions import TableError
from fastgmm.tables import reading

X = np.array([[1.0, 2.5], [-3.0, 1e-7], [4.0, 1e20]])


def read_table(name, columns=None, **options):
    return reading.load_table(name, reading.Request(columns, **options))


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(name, content):
    with open(name, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return name


def write_arrow(name, **columns):
    pa = pytest.importorskip("pyarrow")
    table = pa.table(columns)
    if name.endswith(".parquet"):
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, name)
    else:
        make = pa.ipc.new_stream if name.endswith(".arrows") else pa.ipc.new_file
        with pa.OSFile(name, "wb") as sink, make(sink, table.schema) as writer:
            writer.write_table(table)
    return name


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2.5\n-3,1e-7\n4,1e20\n",
        "a,b\r\n1,2.5\r\n-3,1e-7\r\n4,1e20\r\n",
        "a,b\r1,2.5\r-3,1e-7\r4,1e20\r",
        "a,b\n1,2.5\n-3,1e-7\n4,1e20",
        "\n\na,b\n1,2.5\n\n-3,1e-7\n4,1e20\n\n",
        "a;b\n1;2.5\n-3;1e-7\n4;1e20\n",
        "a\tb\n1\t2.5\n-3\t1e-7\n4\t1e20\n",
        '"a","b"\n"1","2.5"\n-3, 1e-7\n 4 ,1e20\n',
        "\ufeffa,b\n1,2.5\n-3,1e-7\n4,1e20\n",
        "b,a\n2.5,1\n1e-7,-3\n1e20,4\n",
        "a|b\n1|2.5\n-3|1e-7\n4|1e20\n",
        "a b\n 1    2.5\n-3    1e-7\n 4    1e20 \n",
        "a;b\n1;2,5\n-3;1e-7\n4,0;1e20\n",
        "a\tb\n1,0\t2,5\n-3\t1e-7\n4\t1e20\n",
        "# a,b\n1,2.5\n-3,1e-7\n4,1e20\n",
    ],
    ids=[
        "plain",
        "crlf",
        "cr",
        "no last newline",
        "blank lines",
        "semicolons",
        "tabs",
        "quotes",
        "byte order mark",
        "turned",
        "bars",
        "spaces",
        "decimal commas",
        "decimal commas and tabs",
        "savetxt",
    ],
)
def test_text_is_read_whatever_its_dress(text):
    table = read_table(write("data.csv", text), ["a", "b"])
    assert table.columns == ["a", "b"]
    assert_array_equal(table.X, X)


def test_a_delimiter_in_quotes_is_no_cell():
    table = read_table(write("data.csv", 'name,b\n"x, y",1\nz,2\n'), ["b"])
    assert_array_equal(table.X, [[1.0], [2.0]])


def test_without_a_header_columns_are_numbered():
    table = read_table(write("data.csv", "1,2.5\n-3,1e-7\n4,1e20\n"))
    assert (table.columns, table.named) == (["x0", "x1"], False)
    assert_array_equal(table.X, X)


PLAIN = b"a,b\n1,2.5\n-3,1e-7\n4,1e20\n"


def zstandard(content):
    pa = pytest.importorskip("pyarrow")
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


COMPRESSIONS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstandard}


@pytest.mark.parametrize("suffix", COMPRESSIONS)
@pytest.mark.parametrize("through", ["file", "stdin", "another name"])
@pytest.mark.parametrize("kind", ["csv", "npy"])
def test_compressed_files_hold_the_same(suffix, through, kind, monkeypatch):
    content = PLAIN
    if kind == "npy":
        stream = io.BytesIO()
        np.save(stream, X)
        content = stream.getvalue()
    content = COMPRESSIONS[suffix](content)
    name = f"data.{kind}.{suffix}" if through == "file" else "data.bin"
    write(name, content)
    if through == "stdin":
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        name = "-"
    assert_array_equal(read_table(name).X, X)


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_a_compressed_file_that_is_cut_off_says_so(suffix):
    content = COMPRESSIONS[suffix](b"a,b\n" + b"1.25,2.5\n" * 1000)
    with pytest.raises(TableError, match=r"data.bin: compressed, but damaged or cut off"):
        read_table(write("data.bin", content[: len(content) // 2]))


def test_archives_are_named():
    np.savez("data.npz", X)
    with pytest.raises(TableError, match=r"data.npz: an archive, as .zip, .xlsx and .npz are; expected a table"):
        read_table("data.npz")


def test_truth_is_one_and_zero():
    truth = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    write("data.csv", "a,word,b\nTrue,true words,False\nFALSE,x,false\n true ,y,TRUE\n")
    assert_array_equal(read_table("data.csv", ["a", "b"]).X, truth)
    assert_array_equal(read_table(write("bare.csv", "True;False\nFalse;False\nTrue;True\n")).X, truth)
    write_arrow("data.parquet", a=truth[:, 0] > 0, b=truth[:, 1] > 0)
    assert_array_equal(read_table("data.parquet").X, truth)
    np.save("data.npy", truth > 0)
    assert_array_equal(read_table("data.npy").X, truth)
    with pytest.raises(TableError, match=r"line 3, column 'a': 'truth' is not a number"):
        read_table(write("data.csv", "a\nTrue\ntruth\n"))


@pytest.mark.parametrize("stream", [True, False])
def test_decimals_and_dictionaries_in_parquet_are_numbers(stream):
    pa = pytest.importorskip("pyarrow")
    exact = [[Decimal("1.00"), Decimal("2.5")], [Decimal("-3.00"), Decimal("0.1")], [Decimal("4.25"), Decimal("1e3")]]
    columns = list(zip(*exact, strict=True))
    write_arrow(
        "data.parquet",
        a=pa.array(columns[0], type=pa.decimal128(12, 2)),
        b=pa.array(columns[1], type=pa.decimal256(50, 3)),
        c=pa.array([7, 7, 9]).dictionary_encode(),
    )
    expected = np.column_stack([np.array(exact, dtype=float), [7, 7, 9]])
    table = read_table("data.parquet", stream=stream)
    assert_array_equal(table.X if table.stream is None else np.concatenate(list(table.stream.blocks())), expected)


def test_names_of_rows_that_pandas_keeps_in_parquet_are_no_feature():
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    pd.DataFrame(X, columns=["a", "b"], index=[10, 30, 20]).to_parquet("data.parquet")
    for stream in (True, False):
        assert read_table("data.parquet", stream=stream).columns == ["a", "b"]
    assert read_table("data.parquet", ["b"], id="__index_level_0__").ids == ["10", "30", "20"]


def test_columns_that_are_excluded_are_not_read():
    write("data.csv", "a,word,b\n1,x,2.5\n-3,y,1e-7\n4,z,1e20\n")
    assert_array_equal(read_table("data.csv", exclude=["word"]).X, X)


def test_decimal_commas_are_said():
    assert read_table(write("data.csv", "a;b\n1,5;2\n")).notes == [
        "data.csv: commas in numbers are read as decimal points"
    ]
    # A text with commas beside decimal points is no number.
    with pytest.raises(TableError, match=r"line 3, column 'b': '2,5' is not a number"):
        read_table(write("data.csv", "a;b\n1.5;2\n1.5;2,5\n"))


@pytest.mark.parametrize("name", ["data.parquet", "data.arrow", "data.arrows", "data.npy"])
@pytest.mark.parametrize("through", ["file", "stdin", "another name"])
def test_columnar_formats_hold_the_same(name, through, monkeypatch):
    if name.endswith(".npy"):
        np.save(name, X)
    else:
        write_arrow(name, a=X[:, 0], b=X[:, 1])
    with open(name, "rb") as file:
        content = file.read()
    if through == "stdin":
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        name = "-"
    elif through == "another name":
        name = write("data.bin", content)
    assert_array_equal(read_table(name).X, X)


def test_single_precision_stays_single():
    np.save("data.npy", X.astype(np.float32))
    assert read_table("data.npy").X.dtype == np.float32
    write_arrow("data.parquet", a=X[:, 0].astype(np.float32), b=X[:, 1].astype(np.float32))
    assert read_table("data.parquet").X.dtype == np.float32


def test_names_and_weights_of_rows_are_no_features():
    write("data.csv", 'id,a,w,b\none,1,2,2.5\n"two, too",-3,0,1e-7\nthree,4,1,1e20\n')
    write_arrow("data.parquet", id=["one", "two, too", "three"], a=X[:, 0], w=[2, 0, 1], b=X[:, 1])
    for name in ("data.csv", "data.parquet"):
        table = read_table(name, id="id", weights="w")
        assert table.columns == ["a", "b"]
        assert_array_equal(table.X, X)
        assert table.X.flags.c_contiguous
        assert table.ids == ["one", "two, too", "three"]
        assert_array_equal(table.weights, [2.0, 0.0, 1.0])


def test_a_column_without_a_name_is_row_names_not_a_feature():
    """What R's write.csv and pandas' to_csv write."""
    table = read_table(write("data.csv", '"","a","b"\n"1",1,2.5\n"2",-3,1e-7\n"3",4,1e20\n'))
    assert table.columns == ["a", "b"]
    assert_array_equal(table.X, X)
    assert read_table("data.csv", ["b"], id="").ids == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("", {}, "the file is empty"),
        ("\n \n", {}, "the file is empty"),
        ("a,b\n", {}, "has no rows"),
        ("a,b\n1,2\n\n3,x\n", {}, "line 4, column 'b': 'x' is not a number"),
        ("a,b\n1,2\n3,\n", {}, "line 3, column 'b': the cell is empty"),
        ("1,2\n3,inf\n", {}, "line 2, column 'x1': 'inf' is not a finite number"),
        ("a,b\n1,2\n3\n", {}, "line 3: has 1 cell; expected 2"),
        ("a,b\n1,2\n3,4,5\n", {}, "line 3: has 3 cells; expected 2"),
        ("a,b\nx,1,2\ny,3,4\n", {"columns": ["b"]}, "line 2: has 3 cells; expected 2"),
        ("id,a\nx,1\n", {"columns": ["id", "a"]}, "line 2, column 'id': 'x' is not a number"),
        ("a,b\n1,2\n", {"columns": ["c"]}, "--columns: data.csv has no column 'c'; the columns are a, b"),
        ("a,b\n1,2\n", {"id": "c"}, "--id: data.csv has no column 'c'"),
        ("a,b\n1,2\n", {"exclude": ["c"]}, "--exclude: data.csv has no column 'c'"),
        ("a,b\n1,2\n", {"exclude": ["a", "b"]}, "no column of numbers is left to model; the columns are a, b"),
        ("a,b\n1,2\n", {"columns": ["a", "a"]}, "--columns: a is named twice"),
        ("a,b\n1,2\n", {"columns": ["a", "b"], "weights": "b"}, "--weights: 'b' is among --columns"),
        ("a,b,\n1,2,\n", {"columns": [""]}, "column '': the cell is empty"),
        ("a;b\n1,5;2\n1.2345,5;3\n", {}, "line 3, column 'a': '1.2345,5' is not a number"),
        ("400,410,420\n.1,.2,.3\n.1,,.3\n.2,.3,.4\n.5,.4,.3\n", {}, "line 3, column '410': the cell is empty"),
        ("a\n" + "x" * 200_000 + "\n", {}, "cannot be read as comma-separated values: field larger"),
        ("a,w\n1,-2\n", {"weights": "w"}, "--weights: data.csv, line 2, column 'w': -2; expected"),
        ("a,w\n1,nan\n", {"weights": "w"}, "line 2, column 'w': 'nan' stands for a missing value"),
        ("a,w\n1,0\n", {"weights": "w"}, "expected weights of at least 0, some above it"),
        ("w\n1\n", {"weights": "w"}, "no column of numbers is left"),
        (b"\x00\x01\x02", {}, "not a text file"),
        (b"a,b\n1,\xff\xfe\n", {}, "not a text file in UTF-8"),
        (b"PAR1 and nothing", {}, "cannot be read"),
        (b"ARROW1\x00\x00 and nothing", {}, "cannot be read"),
        (b"\x93NUMPY and nothing", {}, "cannot be read as .npy"),
    ],
)
def test_every_fault_names_its_place(content, options, expected):
    if isinstance(content, bytes) and content[:1] in b"PA":
        pytest.importorskip("pyarrow")
    with pytest.raises(TableError) as error:
        read_table(write("data.csv", content), **options)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.zeros((2, 2, 2)), r"shape (2, 2, 2)"),
        (np.array(["a"]), "dtype <U1"),
        (np.array([[1.0, np.nan]]), "row 1, column 'x1': the value is missing"),
        (np.zeros((0, 2)), "has no rows"),
    ],
)
def test_arrays_that_are_no_tables_are_refused(array, expected):
    np.save("data.npy", array)
    with pytest.raises(TableError) as error:
        read_table("data.npy")
    assert expected in str(error.value)


def test_a_pickled_array_is_not_unpickled():
    np.save("data.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(TableError, match="cannot be read"):
        read_table("data.npy")


def test_parquet_says_which_column_is_text_and_which_row_is_missing():
    write_arrow("data.parquet", a=["x", "y"], b=[1.0, None])
    with pytest.raises(TableError, match="column 'a' is of type string"):
        read_table("data.parquet", ["a"])
    with pytest.raises(TableError, match="row 2, column 'b': the value is missing"):
        read_table("data.parquet", ["b"])


def test_without_pyarrow_parquet_says_how_to_get_it(monkeypatch):
    write("data.parquet", b"PAR1....")
    real = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] == "pyarrow":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(TableError, match=r"pip install 'fastgmm\[parquet\]'"):
        read_table("data.parquet")
