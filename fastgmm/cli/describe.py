"""``fastgmm describe``: what the columns of a file hold, and which of them a fit would use."""

from __future__ import annotations

import argparse
from dataclasses import replace

from fastgmm.cli.errors import EXIT_OK
from fastgmm.cli.request import request_of
from fastgmm.cli.screen import Screen
from fastgmm.tables.cells import MissingWords
from fastgmm.tables.columns import Missing
from fastgmm.tables.reading import describe_table

__all__ = ["run"]


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return the exit status."""
    request = replace(request_of(arguments), missing=Missing("drop", MissingWords(arguments.na or ())))
    report = describe_table(arguments.data, request)
    screen.lines(str(report))
    screen.json({"source": report.source, "n_samples": report.n_rows, "columns": report.as_json()})
    return EXIT_OK
