"""``fastgmm predict``: the component of each row."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastgmm.cli.errors import EXIT_OK
from fastgmm.cli.outputs import for_json, write_columns
from fastgmm.cli.screen import Screen
from fastgmm.cli.stored import Stored, open_with_rows, row_names
from fastgmm.tables.reading import Table

__all__ = ["run"]


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return the exit status."""
    stored, n_rows, tables = open_with_rows(arguments, screen)
    if arguments.output is None and screen.as_json:
        parts = [_columns(stored, table, arguments) for table in tables]
        screen.json({name: [value for part in parts for value in for_json(part[name])] for name in parts[0]})
        return EXIT_OK
    n_components = stored.model.means_.shape[0]
    sizes = np.zeros(n_components, dtype=np.int64)

    def pieces() -> Iterator[dict[str, Any]]:
        for table in tables:
            columns = _columns(stored, table, arguments)
            labels = columns["component"]
            sizes[:] += np.bincount(labels[labels >= 0], minlength=n_components)
            yield columns

    write_columns(pieces(), arguments.output, n_rows, arguments.digits)
    if arguments.output is not None:
        told = ", ".join(f"{k}: {size}" for k, size in enumerate(sizes))
        screen.line(f"{arguments.output}: {n_rows} rows; by component {told}")
        screen.json({"output": arguments.output, "n_samples": n_rows, "sizes": sizes.tolist()})
    return EXIT_OK


def _columns(stored: Stored, table: Table, arguments: argparse.Namespace) -> dict[str, Any]:
    probabilities = stored.model.predict_proba(table.X)
    n_components = stored.model.means_.shape[0]
    labels = probabilities.argmax(axis=1)
    labels[labels == n_components] = -1  # the last column of a model with a background
    columns = {
        **row_names(table, arguments.id),
        "component": labels,
        "probability": probabilities.max(axis=1),
    }
    if arguments.proba:
        columns.update({f"p{k}": probabilities[:, k] for k in range(n_components)})
        if probabilities.shape[1] > n_components:
            columns["p_noise"] = probabilities[:, -1]
    return columns
