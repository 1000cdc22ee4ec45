"""``fastgmm predict``: the component of each row."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from fastgmm.cli.arguments import add_data_options, add_stream_option
from fastgmm.cli.errors import EXIT_OK
from fastgmm.cli.outputs import check_columns_output, columns_writer
from fastgmm.cli.screen import Screen
from fastgmm.cli.stored import Stored, open_model, read_row_chunks, row_names
from fastgmm.cli.tables import Table

__all__ = ["add_parser", "run"]

DESCRIPTION = """\
Write the most probable component of each row, numbered from 0 (-1: noise), and its probability; with --proba the
probability of every component."""


def add_parser(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("predict", parents=[shared], help="the component of each row", description=DESCRIPTION)
    parser.add_argument("model", metavar="MODEL", help="file that fastgmm fit wrote")
    add_data_options(parser)
    add_stream_option(parser)
    parser.add_argument("--proba", action="store_true", help="write the probability of every component")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help=".csv, .tsv, .parquet, .arrow or .npy (default: CSV on standard output)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return the exit status."""
    check_columns_output(arguments.output)
    stored = open_model(arguments.model)
    n_rows, tables = read_row_chunks(stored, arguments)
    if arguments.output is None and screen.as_json:
        parts = [_columns(stored, table, arguments.proba) for table in tables]
        screen.json({name: [value for part in parts for value in np.asarray(part[name]).tolist()] for name in parts[0]})
        return EXIT_OK
    n_components = stored.model.means_.shape[0]
    sizes = np.zeros(n_components, dtype=np.int64)
    with columns_writer(arguments.output, n_rows) as writer:
        for table in tables:
            columns = _columns(stored, table, arguments.proba)
            writer.write(columns)
            labels = columns["component"]
            sizes += np.bincount(labels[labels >= 0], minlength=n_components)
    if arguments.output is not None:
        told = ", ".join(f"{k}: {size}" for k, size in enumerate(sizes))
        screen.line(f"{arguments.output}: {n_rows} rows; by component {told}")
        screen.json({"output": arguments.output, "n_samples": n_rows, "sizes": sizes.tolist()})
    return EXIT_OK


def _columns(stored: Stored, table: Table, with_probabilities: bool) -> dict[str, Any]:
    probabilities = stored.model.predict_proba(table.X)
    n_components = stored.model.means_.shape[0]
    labels = probabilities.argmax(axis=1)
    labels[labels == n_components] = -1  # the last column of a model with a background
    columns = {
        **row_names(table),
        "component": labels,
        "probability": probabilities.max(axis=1),
    }
    if with_probabilities:
        columns.update({f"p{k}": probabilities[:, k] for k in range(n_components)})
        if probabilities.shape[1] > n_components:
            columns["p_noise"] = probabilities[:, -1]
    return columns
