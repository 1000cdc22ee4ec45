"""``fastgmm sample``: new rows drawn from a model."""

from __future__ import annotations

import argparse

import numpy as np

from fastgmm.cli.errors import EXIT_OK
from fastgmm.cli.outputs import check_columns_output, write_columns
from fastgmm.cli.screen import Screen
from fastgmm.cli.stored import open_model

__all__ = ["run"]


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return the exit status."""
    check_columns_output(arguments.output, (arguments.model,))
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
    write_columns([columns], arguments.output, arguments.n, arguments.digits)
    if arguments.output is not None:
        screen.line(f"{arguments.output}: {arguments.n} rows")
        screen.json({"output": arguments.output, "n_samples": arguments.n})
    return EXIT_OK
