"""``fastgmm outliers``: the rows that a model finds least likely."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastgmm.cli.errors import EXIT_OK
from fastgmm.cli.outputs import for_json, write_columns
from fastgmm.cli.screen import Screen
from fastgmm.cli.stored import Stored, open_with_rows
from fastgmm.tables.reading import Table

__all__ = ["run"]

# Rows of a table on the screen; a file gets all.
MOST_ROWS = 20
FEATURES_SHOWN = 6


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return the exit status."""
    stored, n_rows, tables = open_with_rows(arguments, screen)
    threshold, most = arguments.threshold, n_rows
    if threshold is None:
        threshold, most = math.inf, max(1, round(arguments.fraction * n_rows))
    density, (rows, lowest, features, ids) = _lowest(stored, tables, threshold, most)
    names = {} if arguments.id is None else {arguments.id: ids.tolist()}
    columns = {"row": rows, **names, "log_density": lowest}
    if arguments.output is not None:
        write_columns([columns], arguments.output, len(rows), arguments.digits)
    screen.line(f"{len(rows)} of {n_rows} rows; log density in nats, median {screen.number(float(np.median(density)))}")
    if len(rows):
        screen.table(
            ["row", *names, "log density", *stored.names[:FEATURES_SHOWN]],
            [
                [
                    str(rows[i]),
                    *(values[i] for values in names.values()),
                    screen.number(lowest[i]),
                    *(screen.number(value) for value in features[i]),
                ]
                for i in range(min(MOST_ROWS, len(rows)))
            ],
        )
    if len(rows) > MOST_ROWS and arguments.output is None:
        screen.line(f"Shown: the first {MOST_ROWS}; --output FILE writes all.")
    if arguments.output is not None:
        screen.line(f"Outliers: {arguments.output}")
    screen.json({name: for_json(values) for name, values in columns.items()})
    return EXIT_OK


def _log_density(model: Any, X: np.ndarray) -> np.ndarray:
    """Return log densities, of rows that miss values those of whole rows as far out, so that they can be compared."""
    if not np.isnan(X).any():
        return np.asarray(model.score_samples(X))
    return np.asarray(model._density().comparable_log_density(X))


def _lowest(
    stored: Stored, tables: Iterator[Table], threshold: float, most: int
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Return all log densities, and of the `most` lowest below `threshold`: numbers, log densities, features, names."""
    densities: list[np.ndarray] = []
    kept: tuple[np.ndarray, ...] | None = None
    for table in tables:
        assert table.numbers is not None, "rows that were read are numbered"
        density = _log_density(stored.model, table.X)
        densities.append(density)
        below = np.flatnonzero(density < threshold)
        names = np.array(table.ids if table.ids is not None else [None] * len(density), dtype=object)
        features = table.X[below, :FEATURES_SHOWN]
        found: tuple[np.ndarray, ...] = (table.numbers[below], density[below], features, names[below])
        if kept is not None:
            found = tuple(np.concatenate(pair) for pair in zip(kept, found, strict=True))
        # Rows of equal density stay in the order of the table.
        order = np.argsort(found[1], kind="stable")[:most]
        kept = tuple(part[order] for part in found)
    assert kept is not None, "a table has rows"
    return np.concatenate(densities), kept
