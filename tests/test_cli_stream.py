"""Files that stay on disk: the command line gives of blocks what it gives of whole tables."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from mixtures import random_parameters, random_rows
from numpy.testing import assert_allclose, assert_array_equal

import fastgmm
from fastgmm.cli import main
from fastgmm.cli.units import Projection, Scaling
from fastgmm.data import rows as data_rows
from fastgmm.tables import memory
from fastgmm.tables.reading import Request, load_table, read_pieces

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

FIT = ["--components", "1..3", "--structure", "full,diag", "--plot", "none"]
SOURCES = ("data.parquet", "folder", "data.npy")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of 300 rows, so that a thousand rows are several."""
    for module in (
        "fastgmm.data.rows",
        "fastgmm.data.streamed_rows",
        "fastgmm.data.sources",
        "fastgmm.tables.columnar",
    ):
        monkeypatch.setattr(sys.modules[module], "block_rows", lambda n_features: 300)


@pytest.fixture
def X(tmp_path, monkeypatch):
    """A thousand rows, in every format that is streamed, in the current folder."""
    monkeypatch.chdir(tmp_path)
    mixture = random_parameters("full", 2, 3, np.random.default_rng(0), spread=3.0)
    X = random_rows(mixture, 1000, np.random.default_rng(1))
    names = [f"row{i}" for i in range(1000)]
    table = pa.table({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "w": np.arange(1000) % 3, "id": names})
    pq.write_table(table, "data.parquet", row_group_size=170)
    (tmp_path / "folder").mkdir()
    pq.write_table(table[:400], "folder/1.parquet")
    pq.write_table(table[400:], "folder/2.parquet")
    np.save("data.npy", np.column_stack([X, np.arange(1000) % 3]))
    assert data_rows.block_rows(3) == 300
    return X


def columns_of(source):
    return ["x0", "x1", "x2"] if source.endswith("npy") else ["a", "b", "c"]


def weights_of(source):
    return "x3" if source.endswith("npy") else "w"


def fitted(source, *options, out="model.npz"):
    arguments = ["fit", source, *FIT, "--columns", *columns_of(source), "--out", out, "--quiet", *options]
    assert main(arguments) == 0
    return fastgmm.load(out)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("options", [[], ["--standardize"], ["--pca", "2", "--standardize"], ["weighted"]])
def test_a_streamed_fit_chooses_and_fits_as_the_one_in_memory(source, options, X, monkeypatch):
    # The sample that starts the fit is of all rows, so that both have one start.
    monkeypatch.setattr(fastgmm.data.StreamedRows, "sample", sample_of_all)
    options = ["--weights", weights_of(source)] if options == ["weighted"] else options
    model = fitted(source, "--stream", *options)
    expected = fitted(source, "--no-stream", *options, out="expected.npz")
    assert model.n_components == expected.n_components
    assert model.covariance_type == expected.covariance_type
    for name in ("weights_", "means_", "covariances_"):
        assert_allclose(getattr(model, name), getattr(expected, name), rtol=1e-6, atol=1e-8)


def sample_of_all(self, n_rows=None, random_state=None):
    if self.drawn is None:
        blocks = list(self.iterate())
        weights = [block.weight for block in blocks]
        self.drawn = fastgmm.data.ArrayRows(
            np.concatenate([block.rows for block in blocks]), None if weights[0] is None else np.concatenate(weights)
        )
    return self.drawn


def test_a_fit_from_a_sample_tells_of_all_rows(X, capsys):
    arguments = ["fit", "data.parquet", *FIT, "--columns", "a", "b", "c", "--stream"]
    assert main(arguments) == 0
    assert "data.parquet: 1000 rows of a, b, c, read block by block" in capsys.readouterr().out
    assert main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["n_samples"] == 1000
    assert told["best"]["n_components"] == 2
    model = fastgmm.load("fastgmm_model.npz")
    assert model.n_samples_seen_ == 1000
    best = next(c for c in told["candidates"] if (c["n_components"], c["structure"]) == (2, told["structure"]))
    del model.feature_names_in_
    assert_allclose(best["value"], model.bic(X), rtol=1e-9)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "arrow", "npy"])
def test_streamed_predictions_are_those_of_memory(source, suffix, X):
    fitted(source, "--components", "2", "--structure", "full")
    arguments = ["predict", "model.npz", source, "--columns", *columns_of(source), "--proba", "--quiet"]
    named = {}
    if not source.endswith("npy"):
        arguments += ["--id", "id"]
        named = {} if suffix == "npy" else {"id": "id"}
    for flag, out in (("--stream", f"streamed.{suffix}"), ("--no-stream", f"whole.{suffix}")):
        assert main([*arguments, flag, "-o", out]) == 0
    found, expected = (load_table(f"{name}.{suffix}", Request(stream=False, **named)) for name in ("streamed", "whole"))
    assert found.columns == expected.columns
    assert found.ids == expected.ids
    assert found.X.shape == (1000, 4)
    assert_array_equal(found.X[:, 0], expected.X[:, 0])
    # A row's last bits may depend on the rows that a kernel takes with it.
    assert_allclose(found.X, expected.X, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("source", SOURCES)
def test_streamed_scores_are_those_of_memory(source, X, capsys):
    fitted(source, "--components", "2", "--structure", "full")
    capsys.readouterr()
    arguments = ["score", "model.npz", source, "--columns", *columns_of(source), "--json"]
    for options in ([], ["--weights", weights_of(source)]):
        found = []
        for flag in ("--stream", "--no-stream"):
            assert main([*arguments, *options, flag, "-o", f"density{flag}.npy"]) == 0
            found.append(json.loads(capsys.readouterr().out))
            found[-1].pop("output")
        assert found[0] == pytest.approx(found[1], rel=1e-12)
        assert set(found[0]) >= {"bic", "aic", "icl", "log_likelihood"}
        assert_allclose(np.load("density--stream.npy"), np.load("density--no-stream.npy"), rtol=1e-12)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("which", [["--fraction", "0.05"], ["--threshold", "-7"], ["--threshold", "-1000000"]])
def test_streamed_outliers_are_those_of_memory(source, which, X, capsys):
    fitted(source, "--components", "2", "--structure", "full")
    capsys.readouterr()
    arguments = ["outliers", "model.npz", source, "--columns", *columns_of(source), *which]
    named = [] if source.endswith("npy") else ["--id", "id"]
    tables, told = [], []
    for flag in ("--stream", "--no-stream"):
        assert main([*arguments, *named, flag]) == 0
        tables.append(capsys.readouterr().out)
        assert main([*arguments, *named, flag, "--json"]) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert tables[0] == tables[1]
    densities = [found.pop("log_density") for found in told]
    assert told[0] == told[1]
    assert_allclose(*densities, rtol=1e-12)
    assert which[1] == "-1000000" or len(densities[0]) > 20


def test_rows_of_equal_density_are_listed_in_the_order_of_the_table(X, capsys):
    fitted("data.npy", "--components", "1", "--structure", "full")
    capsys.readouterr()
    np.save("equal.npy", np.zeros((1000, 3)))
    assert main(["outliers", "model.npz", "equal.npy", "--fraction", "0.5", "--stream", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["row"] == list(range(1, 501))


def test_what_is_written_block_by_block_is_there_whole_or_not_at_all(X):
    fitted("data.parquet", "--components", "2", "--structure", "diag")
    table = pq.read_table("data.parquet")
    values = table["b"].to_numpy().copy()
    values[900] = np.nan
    pq.write_table(table.set_column(1, "b", pa.array(values)), "spoiled.parquet")
    for suffix in ("csv", "parquet", "arrow", "npy"):
        assert main(["predict", "model.npz", "spoiled.parquet", "--stream", "-o", f"out.{suffix}"]) == 2
    assert not [name for name in os.listdir(".") if "out" in name]


def test_a_fault_is_named_by_row_and_column(X, capsys):
    fitted("data.npy", "--components", "2", "--structure", "diag")
    values = np.load("data.npy")
    values[900, 1] = np.inf
    np.save("spoiled.npy", values)
    arguments = ["predict", "model.npz", "spoiled.npy", "--columns", "x0", "x1", "x2", "--stream"]
    assert main(arguments) == 2
    assert "spoiled.npy, row 901, column 'x1': inf is not a finite number" in capsys.readouterr().err


# What is streamed.


def test_large_tables_are_streamed_unless_told_otherwise(X, monkeypatch):
    def is_streamed(stream):
        request = Request(["a", "b"], stream=stream)
        table = load_table("data.parquet", request)
        n_rows, _, tables = read_pieces("data.parquet", request)
        assert n_rows == 1000
        assert (len(list(tables)) > 1) == (table.stream is not None)
        return table.stream is not None

    # 1000 rows of five columns of 8 bytes.
    for available, large in ((4 * 40_000 - 1, True), (4 * 40_000, False)):
        monkeypatch.setattr(memory, "available_memory", lambda available=available: available)
        assert is_streamed(stream=None) == large
    assert is_streamed(stream=True)
    assert not is_streamed(stream=False)


def test_memory_is_what_the_process_may_have():
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_DATA, (10**9, 10**9));"
        "from fastgmm.tables.memory import available_memory; assert 0 < available_memory() <= 10**9"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
    assert 10**8 < memory.available_memory() < 10**14


def test_what_is_read_whole_is_not_streamed(X, capsys, tmp_path):
    (tmp_path / "data.csv").write_text("a,b\n1,2\n3,4\n")
    assert main(["fit", "data.csv", "--stream", "--plot", "none"]) == 2
    assert "--stream: data.csv is read whole; expected Parquet, a folder of it, or .npy" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["fit", "empty"]) == 2
    assert "no file *.parquet in it" in capsys.readouterr().err


def test_moments_of_a_stream_are_those_of_its_rows(X):
    for weights in (None, "w"):
        tables = [
            load_table("data.parquet", Request(["a", "b", "c"], weights=weights, stream=s)) for s in (True, False)
        ]
        for one in (Scaling.of, lambda table: Projection.of(table, 2, True)):
            found, expected = one(tables[0]), one(tables[1])
            for name in ("shift", "scale") if isinstance(found, Scaling) else ("shift", "forward", "backward"):
                assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-10, atol=1e-12)
