"""``fastgmm completion``: what a shell needs to complete the commands, options and file names."""

from __future__ import annotations

import argparse

from fastgmm.cli.arguments import FILES, actions_of, build_parser
from fastgmm.cli.errors import EXIT_OK, CommandError
from fastgmm.cli.screen import Screen

__all__ = ["run"]


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return the exit status."""
    try:
        import shtab
    except ImportError:
        raise CommandError("completion needs shtab, which is not installed; pip install 'fastgmm[cli]'") from None
    parser = build_parser()
    for action in actions_of(parser):
        if action.dest in FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    # The script is the data asked for, so --quiet does not silence it.
    script = shtab.complete(parser, shell=arguments.shell)
    if screen.as_json:
        screen.json({"shell": arguments.shell, "script": script})
    else:
        screen.data(script)
    return EXIT_OK
