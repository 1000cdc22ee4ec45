"""What `verbose` writes: scikit-learn's lines, and on a terminal a line that says how far the work is."""

import io
import re
import sys

import pytest

from fastgmm import GaussianMixture, GaussianMixtureSearch
from fastgmm.callbacks import Callback, progress
from fastgmm.datasets import load_faithful


@pytest.fixture(scope="module")
def X():
    return load_faithful()


class Fault(Callback):
    def on_fit_task_end(self, estimator, context):
        if context.task_name == "fit":
            raise RuntimeError("a fault of the callback")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    def switch_on(columns):
        out, error = Terminal(), Terminal()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", error)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        # Every look at the clock is a second later.
        clock = iter(range(100_000))
        monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
        return out, error

    return switch_on


LINES = r"(Initialization 0\n(  Iteration \d+\n)*Initialization converged\.\n)"


def test_verbose_writes_scikit_learns_lines(X, capsys):
    GaussianMixture(2, random_state=0, verbose=1, verbose_interval=2).fit(X)
    out, error = capsys.readouterr()
    assert re.fullmatch(LINES, out)
    assert error == ""
    GaussianMixture(2, random_state=0, verbose=2, verbose_interval=1).fit(X)
    assert re.search(r"  Iteration 2\t time lapse [0-9.]+s\t ll change [0-9.]+\n", capsys.readouterr().out)


def test_verbose_shows_on_a_terminal_how_far_the_fit_is_and_leaves_nothing(X, terminal):
    out, error = terminal(100)
    model = GaussianMixture(2, random_state=0, verbose=1, verbose_interval=2).fit(X)
    assert re.fullmatch(LINES, out.getvalue())
    shown = [part for part in error.getvalue().split(progress.ERASE) if part]
    assert shown
    found = re.fullmatch(
        r"start 1 of 1 \[#*-*\]  iteration (\d+) of 100  log-likelihood (-[0-9.]+)  at most .+ left", shown[0]
    )
    n_iter = int(found[1])
    assert float(found[2]) == pytest.approx(model.lower_bounds_[n_iter - 1], rel=1e-5)  # six digits are shown
    assert error.getvalue().endswith(progress.ERASE)


def test_a_truncated_fit_tells_how_many_components_a_row_asks(X, terminal):
    _, error = terminal(140)
    model = GaussianMixture(6, covariance_type="diag", responsibilities="truncated", n_neighbors=2, random_state=0)
    model.set_params(n_candidates=1, n_random=0, verbose=1, max_iter=3, tol=0.0)
    with pytest.warns(UserWarning, match="did not converge"):
        model.fit(X)
    told = re.findall(r"([0-9.]+) components asked per row", error.getvalue())
    assert told
    assert all(1.0 <= float(number) <= 3.0 for number in told), "a candidate and its two neighbours at most"


def test_a_narrow_terminal_gets_what_fits(X, terminal):
    _, error = terminal(45)
    GaussianMixture(2, random_state=0, verbose=1).fit(X)
    shown = [part for part in error.getvalue().split(progress.ERASE) if part]
    assert shown
    assert max(map(len, shown)) < 45


def test_a_fault_clears_the_line(X, terminal):
    _, error = terminal(100)
    with pytest.raises(RuntimeError, match="a fault"):
        GaussianMixture(2, random_state=0, verbose=1).set_callbacks(Fault()).fit(X)
    assert error.getvalue().endswith(progress.ERASE)


def test_a_search_shows_candidates_and_the_best(X, terminal):
    out, error = terminal(100)
    search = GaussianMixtureSearch([1, 2], ["EII", "VVV"], verbose=1).fit(X)
    assert len(out.getvalue().splitlines()) == 4
    shown = [part for part in error.getvalue().split(progress.ERASE) if part]
    found = re.fullmatch(r"candidate 4 of 4 \[#+\]  best ([0-9.]+)  0 s left", shown[3])
    assert float(found[1]) == pytest.approx(search.best_score_, rel=1e-3)  # polished since, and six digits
    assert error.getvalue().endswith(progress.ERASE)


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (90, "1:30"), (7500, "2:05:00")])
def test_durations_are_written_in_the_unit_that_suits_them(seconds, text):
    assert progress.duration(seconds) == text
