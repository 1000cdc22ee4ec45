"""The screen: plain text where nobody looks, panels and progress on a terminal."""

import io
import os
import re
import sys

import pytest

from fastgmm.callbacks import progress as writer
from fastgmm.cli.screen import Screen, number


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Put standard output and error on a terminal of 40 columns, when called, and return them."""

    def switch_on():
        # In the test itself: pytest replaces the streams once more after the fixtures.
        streams = Terminal(), Terminal()
        monkeypatch.setattr(sys, "stdout", streams[0])
        monkeypatch.setattr(sys, "stderr", streams[1])
        monkeypatch.setenv("COLUMNS", "40")
        monkeypatch.setenv("TERM", "xterm")
        return streams

    return switch_on


HEADER = ["components", *(f"structure{j}" for j in range(6))]
ROWS = [[str(k), *(f"{100 * k + j}.5" for j in range(6))] for k in range(1, 4)]


def plain(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_a_wide_table_is_split_on_a_terminal_and_loses_nothing(terminal):
    out, _ = terminal()
    Screen().table(HEADER, ROWS, marked=(1, 5))
    text = plain(out.getvalue())
    assert max(map(len, text.splitlines())) <= 40
    for row in ROWS:
        for cell in row[1:]:
            assert text.count(cell) == 1
    assert text.count("> 204.5") == 1
    assert text.count("components") > 1  # every panel says which rows it has


def test_the_header_and_the_best_stand_out_on_a_terminal_unless_colours_are_refused(terminal, monkeypatch):
    out, _ = terminal()
    Screen().table(["a", "b"], [["1", "2"]], marked=(0, 1))
    assert out.getvalue() == "\x1b[1ma    b\x1b[0m\n-  ---\n1  \x1b[1;32m> 2\x1b[0m\n\n"
    out, _ = terminal()
    monkeypatch.setenv("NO_COLOR", "1")
    Screen().table(["a", "b"], [["1", "2"]], marked=(0, 1))
    assert out.getvalue() == "a    b\n-  ---\n1  > 2\n\n"


def test_a_wide_table_in_a_file_is_one_table(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    Screen().table(HEADER, ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ROWS[0]
    assert "\x1b" not in "".join(lines)


def test_prose_ends_between_words_on_a_terminal_and_is_one_line_in_a_file(terminal, capsys):
    text = "customer_id is left out: text, different in every row; --exclude takes names of columns"
    Screen().line(text)
    assert capsys.readouterr().out == text + "\n"
    out, error = terminal()
    Screen().line(text, indent="  ")
    Screen().warn(text)
    lines = out.getvalue().splitlines()
    assert len(lines) > 2
    assert max(map(len, lines + error.getvalue().splitlines())) < 40
    assert all(line.startswith("  ") for line in lines[1:])
    assert " ".join(line.strip() for line in lines) == text
    assert " ".join(error.getvalue().split()) == f"fastgmm: {text}"


def test_column_names_are_not_markup(terminal):
    out, _ = terminal()
    Screen().table(["a", "[bold]b[/bold]"], [["[red]1", "2"]])
    assert "[bold]b[/bold]" in plain(out.getvalue())
    assert "[red]1" in plain(out.getvalue())


def test_progress_counts_on_a_terminal_and_leaves_nothing(terminal, monkeypatch):
    out, error = terminal()
    clock = iter(range(100))
    monkeypatch.setattr(writer.time, "monotonic", lambda: float(next(clock)))
    with Screen().progress(3, words="beginning") as progress:
        for k in range(3):
            progress.note("within")
            progress.done(f"candidate {k}")
    assert "3/3" in plain(error.getvalue())
    assert out.getvalue() == ""
    assert error.getvalue().endswith("\x1b[K")


@pytest.mark.parametrize("screen", [Screen(quiet=True), Screen(as_json=True)], ids=["quiet", "json"])
def test_a_silent_screen_shows_no_progress_even_on_a_terminal(screen, terminal):
    streams = terminal()
    with screen.progress(1) as progress:
        progress.done("candidate")
    screen.line("text")
    screen.table(HEADER, ROWS)
    assert [stream.getvalue() for stream in streams] == ["", ""]


def test_no_progress_into_a_file(capsys):
    with Screen().progress(1) as progress:
        progress.done("candidate")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1234567.8, "1234568"),
        (0.00012345678, "0.000123457"),
        (1e-9, "1.00000e-09"),
        (-2.5, "-2.5"),
        (1e12, "1.00000e+12"),
    ],
)
def test_numbers_are_readable(value, text):
    assert number(value) == text


def test_an_interrupt_is_one_line_and_status_130(capsys, monkeypatch, tmp_path):
    from fastgmm.cli import fit, main

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fit, "search", interrupted)
    assert main(["fit", "--plot", "none"]) == 130
    assert capsys.readouterr().err == "fastgmm: interrupted\n"
    assert os.listdir(tmp_path) == []
