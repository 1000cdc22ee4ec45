"""Parsing, dispatch, and one line instead of a traceback."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib import import_module

from fastgmm.cli.arguments import build_parser
from fastgmm.cli.beforehand import check_names
from fastgmm.cli.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, CommandError
from fastgmm.cli.prose import wrapped

__all__ = ["main"]


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
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = build_parser()
    if list(arguments) in ([], ["help"]):
        parser.print_help()
        return EXIT_OK
    parsed = parser.parse_args(arguments)
    if parsed.command == "patch":
        # What a program raises and prints is its own.
        return int(import_module("fastgmm.cli.patch").run(parsed))
    # What takes time to import is imported once the arguments are known to be valid.
    try:
        check_names(parsed)
        from fastgmm.cli.screen import Screen, discard_output

        screen = Screen(quiet=parsed.quiet, as_json=parsed.json, digits=parsed.digits)
        if sys.stdout is None:  # so Python says that its descriptor is closed
            _say("error: standard output is closed; expected an open one: send what is not wanted to /dev/null")
            return EXIT_USAGE
        command = import_module(f"fastgmm.cli.{parsed.command}")
        with warnings.catch_warnings():
            # One line for each, as for faults; numbers that overflow are told of where they are reported.
            warnings.simplefilter("once")
            warnings.filterwarnings("ignore", category=RuntimeWarning)
            warnings.showwarning = lambda message, *_: _say(f"warning: {' '.join(str(message).split())}")
            status = command.run(parsed, screen)
    except BrokenPipeError:
        # The reader of the data has seen enough, as `head` does.
        discard_output()
        return EXIT_FAILED
    except KeyboardInterrupt:
        _say("interrupted")
        return EXIT_INTERRUPTED
    except Exception as error:
        if parsed.debug:
            traceback.print_exc()
        _say(f"error: {_one_line(error)}")
        if isinstance(error, CommandError):
            return error.status
        return EXIT_USAGE if isinstance(error, ValueError | OSError) else EXIT_FAILED
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
    return int(status)


def _say(text: str) -> None:
    print(wrapped(f"fastgmm: {text}", sys.stderr), file=sys.stderr)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"there is not enough memory; take fewer rows, or Parquet or .npy with --stream ({text})"
    if isinstance(error, CommandError | ValueError):
        return text
    return f"{type(error).__name__}: {text} (--debug shows where)"
