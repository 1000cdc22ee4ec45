"""``fastgmm outliers``: the rows that a model finds least likely."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from fastgmm.cli.arguments import add_data_options
from fastgmm.cli.errors import EXIT_OK
from fastgmm.cli.outputs import check_columns_output, write_columns
from fastgmm.cli.screen import Screen, number
from fastgmm.cli.stored import open_model, read_rows, row_names, row_numbers

__all__ = ["add_parser", "run"]

DESCRIPTION = """\
List the rows of lowest log density under a model, lowest first: a fraction of them, or all below a threshold. Rows are
numbered from 1, without the header."""

# Rows of a table on the screen; a file gets all.
MOST_ROWS = 20


def add_parser(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("outliers", parents=[shared], help="the least likely rows", description=DESCRIPTION)
    parser.add_argument("model", metavar="MODEL", help="file that fastgmm fit wrote")
    add_data_options(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--fraction", type=_fraction, default=0.01, metavar="F", help="of the rows (default: 0.01)")
    which.add_argument("--threshold", type=float, metavar="T", help="log density in nats below which a row is listed")
    parser.add_argument("-o", "--output", metavar="FILE", help="write all of them, as .csv, .tsv, .parquet, ...")
    parser.set_defaults(run=run)


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text!r}; expected a number above 0, at most 1")
    return value


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return the exit status."""
    check_columns_output(arguments.output)
    stored = open_model(arguments.model)
    table = read_rows(stored, arguments)
    density = stored.model.score_samples(table.X)
    order = np.argsort(density, kind="stable")
    if arguments.threshold is not None:
        order = order[density[order] < arguments.threshold]
    else:
        order = order[: max(1, round(arguments.fraction * len(order)))]
    names = {name: [values[i] for i in order] for name, values in row_names(table).items()}
    columns = {"row": row_numbers(table)[order], **names, "log_density": density[order]}
    if arguments.output is not None:
        write_columns(columns, arguments.output)
    screen.line(f"{len(order)} of {len(density)} rows; log density in nats, median {number(float(np.median(density)))}")
    if len(order):
        shown = order[:MOST_ROWS]
        screen.table(
            ["row", *names, "log density", *stored.names[:6]],
            [
                [
                    str(i + 1),
                    *(values[at] for values in names.values()),
                    number(density[i]),
                    *(number(value) for value in table.X[i, :6]),
                ]
                for at, i in enumerate(shown)
            ],
        )
    if len(order) > MOST_ROWS and arguments.output is None:
        screen.line(f"Shown: the first {MOST_ROWS}; --output FILE writes all.")
    if arguments.output is not None:
        screen.line(f"Outliers: {arguments.output}")
    screen.json({name: np.asarray(values).tolist() for name, values in columns.items()})
    return EXIT_OK
