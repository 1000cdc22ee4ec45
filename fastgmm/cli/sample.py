"""``fastgmm sample``: new rows drawn from a model."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from fastgmm.cli.arguments import positive_int, seed
from fastgmm.cli.errors import EXIT_OK
from fastgmm.cli.outputs import check_columns_output, write_columns
from fastgmm.cli.screen import Screen
from fastgmm.cli.stored import open_model

__all__ = ["add_parser", "run"]

DESCRIPTION = """\
Draw rows from a model, in the columns and units of the data it was fitted to. The same seed draws the same rows."""


def add_parser(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("sample", parents=[shared], help="draw new rows", description=DESCRIPTION)
    parser.add_argument("model", metavar="MODEL", help="file that fastgmm fit wrote")
    parser.add_argument("-n", type=positive_int, default=100, metavar="N", help="rows (default: 100)")
    parser.add_argument("--seed", type=seed, default=0, help="default: 0")
    parser.add_argument("--component", action="store_true", help="add the component that each row comes from")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help=".csv, .tsv, .parquet, .arrow or .npy (default: CSV on standard output)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return the exit status."""
    check_columns_output(arguments.output)
    stored = open_model(arguments.model)
    X, labels = stored.model.sample(arguments.n, random_state=arguments.seed)
    names = stored.names
    if stored.projection is not None:
        X = stored.projection.back(X)
        names = list(stored.training["columns"])
    # The library groups rows by component; the first rows of a sample should be a sample.
    order = np.random.RandomState(arguments.seed).permutation(arguments.n)
    columns = {name: X[order, j] for j, name in enumerate(names)}
    if arguments.component:
        columns["component"] = labels[order]
    if arguments.output is None and screen.as_json:
        screen.json({name: values.tolist() for name, values in columns.items()})
        return EXIT_OK
    write_columns(columns, arguments.output)
    if arguments.output is not None:
        screen.line(f"{arguments.output}: {arguments.n} rows")
        screen.json({"output": arguments.output, "n_samples": arguments.n})
    return EXIT_OK
