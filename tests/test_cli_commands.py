"""The commands that use a stored model: they say what the library says."""

import csv
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastgmm import GaussianMixture, GaussianMixtureClassifier, GaussianMixtureRegressor, load, save
from fastgmm.cli import main
from fastgmm.datasets import load_faithful

NAMES = ["eruptions", "waiting"]


def columns_of(text, delimiter=","):
    """Return the columns of delimited text by name, numbers exactly as written."""
    header, *rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    columns = {}
    for name, cells in zip(header, zip(*rows, strict=True), strict=True):
        columns[name] = list(cells) if name == "day" else np.array([float(cell) for cell in cells])
    return columns


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def X():
    return load_faithful()


@pytest.fixture
def model(X):
    """A model in model.npz and its data in data.csv, with row names."""
    frame = pd.DataFrame(X, columns=NAMES)
    fitted = GaussianMixture(2, random_state=0).fit(frame)
    save(fitted, "model.npz")
    frame.insert(0, "day", [f"day {i}, {i % 3}" for i in range(len(X))])
    frame.to_csv("data.csv", index=False)
    return fitted


@pytest.fixture
def frame(X):
    return pd.DataFrame(X, columns=NAMES)


def test_predict_writes_the_labels_and_probabilities_of_the_library(model, frame, capsys):
    assert main(["predict", "model.npz", "data.csv", "--id", "day", "--proba", "--digits", "17"]) == 0
    table = columns_of(capsys.readouterr().out)
    assert list(table) == ["day", "component", "probability", "p0", "p1"]
    assert_array_equal(table["component"], model.predict(frame))
    assert_array_equal(np.column_stack([table["p0"], table["p1"]]), model.predict_proba(frame))
    assert table["day"][4] == "day 4, 1"


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "arrow", "npy"])
def test_every_format_of_result_holds_the_same(suffix, model, frame, capsys):
    if suffix in ("parquet", "arrow"):
        pytest.importorskip("pyarrow")
    digits = ["--digits", "17"] if suffix.endswith("sv") else []
    assert main(["predict", "model.npz", "data.csv", *digits, "-o", f"out.{suffix}"]) == 0
    if suffix == "npy":
        labels, probability = np.load("out.npy").T
    else:
        table = {
            "csv": lambda path: columns_of(Path(path).read_text()),
            "tsv": lambda path: columns_of(Path(path).read_text(), "\t"),
            "parquet": pd.read_parquet,
            "arrow": pd.read_feather,
        }[suffix](f"out.{suffix}")
        labels, probability = table["component"], table["probability"]
    assert_array_equal(labels, model.predict(frame))
    assert_array_equal(probability, model.predict_proba(frame).max(axis=1))
    assert "272 rows" in capsys.readouterr().out


def test_columns_are_found_by_name_in_any_order(model, frame, capsys):
    frame.assign(other=1.0)[["other", "waiting", "eruptions"]].to_csv("turned.csv", index=False)
    assert main(["predict", "model.npz", "turned.csv", "--json"]) == 0
    assert_array_equal(json.loads(capsys.readouterr().out)["component"], model.predict(frame))


def test_without_a_header_columns_are_taken_in_their_order(model, frame, capsys):
    frame.to_csv("bare.csv", index=False, header=False)
    assert main(["predict", "model.npz", "bare.csv", "--json"]) == 0
    assert_array_equal(json.loads(capsys.readouterr().out)["component"], model.predict(frame))


def test_noise_is_minus_one_and_has_a_probability(frame, X, capsys):
    noisy = GaussianMixture(2, noise=0.1, random_state=0).fit(X)
    save(noisy, "noisy.npz")
    frame.to_csv("data.csv", index=False)
    assert main(["predict", "noisy.npz", "data.csv", "--proba", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert_array_equal(told["component"], noisy.predict(X))
    assert min(told["component"]) == -1
    assert_array_equal(told["p_noise"], noisy.predict_proba(X)[:, -1])


def test_score_is_that_of_the_library(model, frame, capsys):
    assert main(["score", "model.npz", "data.csv", "--json", "--digits", "17", "-o", "density.csv"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert_allclose(told["log_likelihood_per_row"], model.score(frame), rtol=1e-14)
    assert_allclose(told["log_likelihood"], model.score(frame) * 272, rtol=1e-14)
    assert_allclose([told["bic"], told["aic"]], [model.bic(frame), model.aic(frame)], rtol=1e-14)
    density = columns_of(Path("density.csv").read_text())["log_density"]
    assert_array_equal(density, model.score_samples(frame))


def test_a_weighted_score_is_that_of_repeated_rows(model, frame, capsys):
    weight = np.arange(len(frame)) % 3
    frame.assign(w=weight).to_csv("weighted.csv", index=False)
    assert main(["score", "model.npz", "weighted.csv", "--weights", "w", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    repeated = frame.loc[frame.index.repeat(weight)]
    assert_allclose(told["bic"], model.bic(repeated), rtol=1e-10)


def test_outliers_are_the_rows_of_lowest_density(model, frame, capsys):
    assert main(["outliers", "model.npz", "data.csv", "--id", "day", "--fraction", "0.05", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    density = model.score_samples(frame)
    expected = np.argsort(density)[:14]
    assert told["row"] == (expected + 1).tolist()
    assert told["day"][0] == f"day {expected[0]}, {expected[0] % 3}"
    assert_array_equal(told["log_density"], density[expected])


def test_a_threshold_lists_all_rows_below_it_and_maybe_none(model, frame, capsys):
    density = model.score_samples(frame)
    for threshold in (-6.0, -1e6):
        assert main(["outliers", "model.npz", "data.csv", "--threshold", str(threshold), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert sorted(told["row"]) == (np.flatnonzero(density < threshold) + 1).tolist()
        assert main(["outliers", "model.npz", "data.csv", "--threshold", str(threshold)]) == 0
        assert f"{np.count_nonzero(density < threshold)} of 272 rows" in capsys.readouterr().out


def test_samples_are_the_librarys_mixed(model, capsys):
    assert main(["sample", "model.npz", "-n", "40", "--seed", "3", "--component", "--digits", "17"]) == 0
    drawn = columns_of(capsys.readouterr().out)
    assert list(drawn) == [*NAMES, "component"]
    expected, labels = model.sample(40, random_state=3)
    assert_array_equal(np.sort(drawn["waiting"]), np.sort(expected[:, 1]))
    assert list(drawn["component"]) != labels.tolist()  # not grouped
    assert_array_equal(np.bincount(drawn["component"].astype(int)), np.bincount(labels))


def test_show_prints_what_the_model_is(model, capsys):
    assert main(["show", "model.npz"]) == 0
    out = capsys.readouterr().out
    assert "GaussianMixture: 2 components, full covariance, 2 features" in out
    assert "converged after" in out
    assert f"{model.weights_[0]:.4f}" in out
    assert main(["show", "model.npz", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["best"]["weights"] == model.weights_.tolist()


def test_bench_compares_equal_work(capsys):
    assert main(["bench", "--rows", "2000", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert {r["structure"] for r in results} == {"full", "tied", "diag", "spherical"}
    # The same five iterations: only rounding may differ.
    assert all(r["difference"] < 1e-9 for r in results)


def test_standard_input_is_read(model, frame, capsys, monkeypatch):
    content = io.TextIOWrapper(io.BytesIO(frame.to_csv(index=False).encode()))
    monkeypatch.setattr(sys, "stdin", content)
    assert main(["predict", "model.npz", "-", "--json"]) == 0
    assert_array_equal(json.loads(capsys.readouterr().out)["component"], model.predict(frame))


def test_quiet_writes_nothing_but_data(model, capsys):
    assert main(["predict", "model.npz", "data.csv", "--quiet", "-o", "out.csv"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["predict", "model.npz", "data.csv", "--quiet"]) == 0
    assert capsys.readouterr().out.count("\n") == 273


@pytest.mark.parametrize("command", ["predict", "score", "outliers"])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nothing.npz", "data.csv"], "nothing.npz: no such file"),
        (["data.csv", "data.csv"], "data.csv: not a fastgmm model"),
        (["broken.npz", "data.csv"], "broken.npz: a truncated or damaged fastgmm model"),
        (["unfitted.npz", "data.csv"], "holds a GaussianMixture that is not fitted"),
        (["classifier.npz", "data.csv"], "holds a GaussianMixtureClassifier; expected a mixture"),
        (["regressor.npz", "data.csv"], "holds a GaussianMixtureRegressor; expected a mixture"),
        (["folder", "data.csv"], "folder: cannot be read: Is a directory"),
        (["model.npz", "folder"], "path is the folder folder, with no file *.parquet in it"),
        (["model.npz", "empty.csv"], "empty.csv: the file is empty"),
        (["model.npz", "cube.npy"], "holds an array of shape (2, 2, 2)"),
        (["model.npz", "-"], "standard input: the file is empty"),
        (["model.npz", "nothing.csv"], "nothing.csv: no such file"),
        (["model.npz", "renamed.csv"], "has no column 'waiting', which the model was fitted to"),
        (["model.npz", "wide.csv"], "has 3 columns; model.npz was fitted to 2"),
        (["model.npz", "data.csv", "--columns", "eruptions"], "has 1 column; model.npz was fitted to 2"),
        (["model.npz", "data.csv", "--id", "night"], "--id: data.csv has no column 'night'"),
        (["model.npz", "data.csv", "-o", "out.xls"], "--output: out.xls ends in '.xls'"),
        (["model.npz", "data.csv", "-o", "nowhere/out.csv"], "there is no folder"),
    ],
)
def test_faults_are_one_line_and_status_2(command, arguments, expected, model, frame, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.csv").write_bytes(b"")
    np.save("cube.npy", np.zeros((2, 2, 2)))
    save(GaussianMixtureClassifier().fit(frame, frame["waiting"] > 68), "classifier.npz")
    save(GaussianMixtureRegressor(1).fit(frame[["eruptions"]], frame["waiting"]), "regressor.npz")
    (tmp_path / "broken.npz").write_bytes((tmp_path / "model.npz").read_bytes()[:900])
    save(GaussianMixture(), "unfitted.npz")
    frame.rename(columns={"waiting": "pause"}).to_csv("renamed.csv", index=False)
    frame.assign(more=1.0).to_csv("wide.csv", index=False, header=False)
    assert main([command, *arguments]) == 2
    captured = capsys.readouterr()
    assert expected in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_closed_pipe_is_no_traceback(model, tmp_path):
    """`fastgmm predict ... | head -1`: the reader closes before everything is written."""
    frame = pd.DataFrame(np.tile(load_faithful(), (200, 1)), columns=NAMES)
    frame.to_csv("long.csv", index=False)
    command = [sys.executable, "-m", "fastgmm.cli", "predict", "model.npz", "long.csv"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdout.readline() == b"component,probability\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.skipif(os.name != "posix", reason="closes a descriptor by a POSIX shell")
def test_a_standard_output_that_is_closed_is_named(model, tmp_path):
    command = ["sh", "-c", 'exec "$0" -m fastgmm.cli show model.npz >&-', sys.executable]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert found.returncode == 2
    assert "standard output is closed; expected an open one" in found.stderr
    assert found.stderr.count("\n") == 1


def test_a_reader_that_goes_does_not_take_the_model_with_it(tmp_path):
    """`fastgmm fit | head -1`: the fit is kept."""
    command = [sys.executable, "-u", "-m", "fastgmm.cli", "fit", "--components", "1..3", "--plot", "none"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdout.readline().startswith(b"Old Faithful")
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
    assert load(tmp_path / "fastgmm_model.npz").n_components == 3


def test_help_documents_the_exit_status(capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["--help"])
    assert exit_info.value.code == 0
    expected = capsys.readouterr().out
    assert "exit status" in expected
    for arguments in ([], ["help"]):
        assert main(arguments) == 0
        assert capsys.readouterr().out == expected


QUICK = (
    [],
    ["--help"],
    ["fit", "--help"],
    ["--version"],
    ["predict"],
    ["fit", "--oops"],
    ["fit", "nothing.csv"],
    ["fit", "--plot", "a.nonsense"],
    ["show", "nothing.npz"],
)


@pytest.mark.parametrize("arguments", QUICK, ids=" ".join)
def test_help_and_usage_errors_import_next_to_nothing(arguments):
    """Python begins with 40 to 70 modules, argparse and what it needs are up to 75 more; NumPy alone would be 150."""
    code = f"""
import sys
from contextlib import suppress
before = set(sys.modules)
from fastgmm.cli import main
with suppress(SystemExit):
    main({arguments})
new = sorted(set(sys.modules) - before)
assert not {{"numpy", "scipy", "sklearn", "pandas", "pyarrow", "matplotlib", "rich"}} & set(new)
assert len(new) < 100, new
"""
    subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True)


def test_numbers_have_six_digits_unless_asked(model, frame, capsys):
    assert main(["predict", "model.npz", "data.csv"]) == 0
    cells = columns_of(capsys.readouterr().out)["probability"]
    assert_allclose(cells, model.predict_proba(frame).max(axis=1), rtol=5e-6)
    for digits, expected in (("4", f"{model.score(frame):.4g}"), ("9", f"{model.score(frame):.9g}")):
        assert main(["score", "model.npz", "data.csv", "--digits", digits]) == 0
        assert f"per row (nats)  {expected}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["fti"], "did you mean fit?"),
        (["--versoin"], "did you mean --version?"),
        (["fit", "--componets", "3"], "did you mean --components?"),
        (["fit", "--structure", "vev"], "did you mean VEV?"),
        (["fit", "--structure", "spheric"], "did you mean spherical?"),
        (["fit", "--criterion", "bci"], "did you mean bic?"),
        (["fit", "--components", "1..1000000000"], "expected at most 1000 numbers of components"),
        (["predict", "model.npz", "--columns", "a", "data.csv"], "write it before --columns, --exclude and --na"),
    ],
)
def test_a_slip_is_told_with_what_was_meant(arguments, expected, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["fastgmm", *arguments])
    with pytest.raises(SystemExit):
        main()
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1


def test_what_is_read_is_never_written_to(model, capsys, tmp_path):
    before = {name: (tmp_path / name).read_bytes() for name in ("model.npz", "data.csv")}
    os.symlink("data.csv", "link.csv")
    for arguments in (
        ["fit", "data.csv", "--id", "day", "--out", "data.csv"],
        ["predict", "model.npz", "data.csv", "-o", "data.csv"],
        ["predict", "model.npz", "data.csv", "-o", "link.csv"],
        ["score", "model.npz", "data.csv", "-o", "model.npz"],
        ["outliers", "model.npz", "link.csv", "-o", "data.csv"],
        ["sample", "model.npz", "-o", "model.npz"],
    ):
        assert main(arguments) == 2
        assert "is read by this command, and would be lost; expected another name" in capsys.readouterr().err
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_numbers_that_json_has_not_are_null(model, capsys):
    Path("far.csv").write_text("eruptions,waiting\n1e200,70\n3,70\n")
    assert main(["outliers", "model.npz", "far.csv", "--fraction", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["log_density"][0] is None
    assert main(["score", "model.npz", "far.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bic"] is None


@pytest.mark.parametrize("command", [["score", "model.npz"], ["fit"]])
def test_weights_that_count_no_rows_are_refused(command, model, frame, capsys):
    frame.assign(w=1.0 / len(frame)).to_csv("weighted.csv", index=False)
    assert main([*command, "weighted.csv", "--weights", "w"]) == 2
    error = capsys.readouterr().err
    assert "--weights: column 'w' sums to 1; expected weights that count rows" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["cake"],
        ["predict"],
        ["show"],
        ["sample", "model.npz", "-n", "0"],
        ["sample", "model.npz", "--seed", "-1"],
        ["outliers", "model.npz", "data.csv", "--fraction", "2"],
        ["outliers", "model.npz", "data.csv", "--threshold", "low"],
        ["bench", "--rows", "many"],
        ["completion", "fish"],
        ["fit", "data.csv", "--criterion", "beauty"],
        ["fit", "data.csv", "--seed", "x"],
    ],
    ids=" ".join,
)
def test_arguments_that_are_none_are_one_line_and_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("fastgmm")
    assert error.endswith("--help\n")


def test_show_describes_what_the_other_commands_do_not_take(X, capsys):
    classifier = GaussianMixtureClassifier().fit(X, X[:, 1] > 68)
    save(classifier, "classifier.npz")
    assert main(["show", "classifier.npz"]) == 0
    assert capsys.readouterr().out == f"classifier.npz: {classifier.summary()}\n"
    assert main(["show", "classifier.npz", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"summary": classifier.summary().splitlines()}


# Completion by the shell.


def completions(words, tmp_path):
    """Return what bash offers after `words`."""
    script = (
        "source completion.bash; complete -p fastgmm > /dev/null; "
        f"COMP_WORDS=({' '.join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1}; "
        '_shtab_fastgmm; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True)
    return set(done.stdout.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_options_choices_and_files(tmp_path, capsys):
    assert main(["completion", "bash"]) == 0
    (tmp_path / "completion.bash").write_text(capsys.readouterr().out)
    (tmp_path / "measured.csv").write_text("")
    assert completions(["fastgmm", "s"], tmp_path) == {"score", "sample", "show"}
    assert completions(["fastgmm", "fit", "--cri"], tmp_path) == {"--criterion"}
    assert completions(["fastgmm", "fit", "--criterion", ""], tmp_path) == {"bic", "icl", "aic"}
    assert completions(["fastgmm", "fit", "meas"], tmp_path) == {"measured.csv"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_is_data_even_when_quiet(shell, capsys):
    assert main(["completion", shell, "--quiet"]) == 0
    assert "fastgmm" in capsys.readouterr().out


def test_completion_without_shtab_says_how_to_get_it(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert "pip install 'fastgmm[cli]'" in capsys.readouterr().err
