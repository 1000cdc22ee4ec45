"""``fastgmm completion``: what a shell needs to complete the commands, options and file names."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from fastgmm.cli.errors import EXIT_OK, CommandError
from fastgmm.cli.screen import Screen

__all__ = ["add_parser", "run"]

SHELLS = ("bash", "zsh", "tcsh")
DESCRIPTION = """\
Write a script that lets a shell complete commands, options and file names. For this session of bash: source
<(fastgmm completion bash). For all: write it to ~/.local/share/bash-completion/completions/fastgmm; of zsh, to a file
_fastgmm in a folder of $fpath."""
#: Arguments that name files.
FILES = ("data", "model", "out", "plot", "output")


def add_parser(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "completion", parents=[shared], help="a script for completion by the shell", description=DESCRIPTION
    )
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return the exit status."""
    try:
        import shtab
    except ImportError:
        raise CommandError("completion needs shtab, which is not installed; pip install 'fastgmm[cli]'") from None
    for action in _actions(arguments.program):
        if action.dest in FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    # The script is the data asked for, so --quiet does not silence it.
    script = shtab.complete(arguments.program, shell=arguments.shell)
    if screen.as_json:
        screen.json({"shell": arguments.shell, "script": script})
    else:
        screen.data(script)
    return EXIT_OK


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _actions(inner)
