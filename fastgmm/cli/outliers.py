"""``fastgmm outliers``: the rows that a model finds least likely."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastgmm.cli.arguments import add_data_options, add_stream_option
from fastgmm.cli.errors import EXIT_OK
from fastgmm.cli.outputs import check_columns_output, write_columns
from fastgmm.cli.screen import Screen, number
from fastgmm.cli.stored import Stored, open_model, read_row_chunks
from fastgmm.cli.tables import Table

__all__ = ["add_parser", "run"]

DESCRIPTION = """\
List the rows of lowest log density under a model, lowest first: a fraction of them, or all below a threshold. Rows are
numbered from 1, without the header. Of a table that is read block by block, the rows listed and all log densities stay
in memory."""

# Rows of a table on the screen; a file gets all.
MOST_ROWS = 20
FEATURES_SHOWN = 6


def add_parser(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("outliers", parents=[shared], help="the least likely rows", description=DESCRIPTION)
    parser.add_argument("model", metavar="MODEL", help="file that fastgmm fit wrote")
    add_data_options(parser)
    add_stream_option(parser)
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
    n_rows, tables = read_row_chunks(stored, arguments)
    threshold, most = arguments.threshold, n_rows
    if threshold is None:
        threshold, most = math.inf, max(1, round(arguments.fraction * n_rows))
    density, (rows, lowest, features, ids) = _lowest(stored, tables, threshold, most)
    names = {} if arguments.id is None else {arguments.id: ids.tolist()}
    columns = {"row": rows, **names, "log_density": lowest}
    if arguments.output is not None:
        write_columns(columns, arguments.output)
    screen.line(f"{len(rows)} of {n_rows} rows; log density in nats, median {number(float(np.median(density)))}")
    if len(rows):
        screen.table(
            ["row", *names, "log density", *stored.names[:FEATURES_SHOWN]],
            [
                [
                    str(rows[i]),
                    *(values[i] for values in names.values()),
                    number(lowest[i]),
                    *(number(value) for value in features[i]),
                ]
                for i in range(min(MOST_ROWS, len(rows)))
            ],
        )
    if len(rows) > MOST_ROWS and arguments.output is None:
        screen.line(f"Shown: the first {MOST_ROWS}; --output FILE writes all.")
    if arguments.output is not None:
        screen.line(f"Outliers: {arguments.output}")
    screen.json({name: np.asarray(values).tolist() for name, values in columns.items()})
    return EXIT_OK


def _lowest(
    stored: Stored, tables: Iterator[Table], threshold: float, most: int
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Return all log densities, and of the `most` lowest below `threshold`: numbers, log densities, features, names."""
    densities: list[np.ndarray] = []
    kept: tuple[np.ndarray, ...] | None = None
    first = 0
    for table in tables:
        density = stored.model.score_samples(table.X)
        densities.append(density)
        below = np.flatnonzero(density < threshold)
        names = np.array(table.ids if table.ids is not None else [None] * len(density), dtype=object)
        features = table.X[below, :FEATURES_SHOWN]
        found: tuple[np.ndarray, ...] = (first + 1 + below, density[below], features, names[below])
        if kept is not None:
            found = tuple(np.concatenate(pair) for pair in zip(kept, found, strict=True))
        # Rows of equal density stay in the order of the table.
        order = np.argsort(found[1], kind="stable")[:most]
        kept = tuple(part[order] for part in found)
        first += len(density)
    assert kept is not None, "a table has rows"
    return np.concatenate(densities), kept
