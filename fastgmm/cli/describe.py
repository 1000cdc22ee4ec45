"""``fastgmm describe``: what the columns of a file hold, and which of them a fit would use."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace

from fastgmm.cli.errors import EXIT_OK
from fastgmm.cli.report import write_cautions
from fastgmm.cli.request import request_of
from fastgmm.cli.screen import Screen
from fastgmm.selection.cautions import column_cautions
from fastgmm.tables.reading import describe_table

__all__ = ["run"]


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return the exit status."""
    asked = request_of(arguments)
    report, table = describe_table(arguments.data, replace(asked, missing=replace(asked.missing, rule="marginalise")))
    screen.lines(str(report))
    cautions = [] if table is None else column_cautions(table.X, table.columns, table.n_rows)
    for note in () if table is None else table.notes:
        if note not in report.lines():
            screen.line(f"{note}.")
    write_cautions(screen, cautions)
    screen.json(
        {
            "source": report.source,
            "n_samples": report.n_rows,
            "columns": report.as_json(),
            "cautions": [asdict(caution) for caution in cautions],
        }
    )
    return EXIT_OK
