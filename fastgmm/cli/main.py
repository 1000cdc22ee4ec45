"""Parsing, dispatch, and one line instead of a traceback."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from fastgmm.cli.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, CommandError
from fastgmm.cli.screen import Screen, discard_output

__all__ = ["build_parser", "main"]

EPILOG = """\
exit status: 0 done; 1 the job failed although arguments and data are valid; 2 an argument, a file or its content is
not valid; 130 interrupted."""


class _Parser(argparse.ArgumentParser):
    """One line for a fault, as everywhere; the usage is a question away."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    import fastgmm
    from fastgmm.cli import bench, completion, fit, outliers, predict, sample, score, show

    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="write one JSON object instead of text")
    shared.add_argument("--quiet", action="store_true", help="write no text, only data and faults")
    shared.add_argument("--debug", action="store_true", help="show the traceback of a fault")
    parser = _Parser(prog="fastgmm", description="Gaussian mixture models from the command line.", epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"fastgmm {fastgmm.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in (fit, predict, score, outliers, sample, show, bench, completion):
        command.add_parser(commands, shared)
    parser.set_defaults(program=parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        `sys.argv` without the program's name unless given.

    Returns
    -------
    int
        0 done; 1 failed; 2 an argument, a file or its content is not valid; 130 interrupted.
    """
    parsed = build_parser().parse_args(arguments)
    screen = Screen(quiet=parsed.quiet, as_json=parsed.json)
    if sys.stdout is None:  # so Python says that its descriptor is closed
        screen.warn("error: standard output is closed; expected an open one: send what is not wanted to /dev/null")
        return EXIT_USAGE
    try:
        status = parsed.run(parsed, screen)
    except BrokenPipeError:
        # The reader of the data has seen enough, as `head` does.
        discard_output()
        return EXIT_FAILED
    except KeyboardInterrupt:
        screen.warn("interrupted")
        return EXIT_INTERRUPTED
    except Exception as error:
        if parsed.debug:
            traceback.print_exc()
        screen.warn(f"error: {_one_line(error)}")
        if isinstance(error, CommandError):
            return error.status
        return EXIT_USAGE if isinstance(error, ValueError | OSError) else EXIT_FAILED
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
    return status


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, CommandError | ValueError):
        return text
    return f"{type(error).__name__}: {text} (--debug shows where)"
