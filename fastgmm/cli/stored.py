"""A stored model and the data it is asked about."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sklearn.base import is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from fastgmm.cli.errors import CommandError
from fastgmm.cli.outputs import check_columns_output
from fastgmm.cli.request import request_of
from fastgmm.cli.screen import Screen
from fastgmm.cli.units import Projection
from fastgmm.persistence import load, read_training
from fastgmm.summary.mixture import count_of
from fastgmm.tables.reading import Table, read_pieces

__all__ = ["Stored", "load_model", "open_model", "open_with_rows", "row_names"]


@dataclass
class Stored:
    """A model file.

    Attributes
    ----------
    path : str
    model : estimator
        It takes arrays: the names of its features are in `names`.
    names : list of str
        Of the model's features.
    columns : list of str, optional
        Of the data that it was fitted to, where they had names.
    projection : Projection, optional
        From the data to the model's features.
    training : dict
    """

    path: str
    model: Any
    names: list[str]
    columns: list[str] | None
    projection: Projection | None
    training: dict[str, Any]


def load_model(path: str) -> tuple[Any, dict[str, Any]]:
    """Return the estimator in a file and its training; CommandError if it is none, or not fitted."""
    try:
        model, training = load(path), read_training(path)
    except FileNotFoundError:
        raise CommandError(f"{path}: no such file; fastgmm fit writes one") from None
    except OSError as error:
        raise CommandError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise CommandError(str(error)) from error
    try:
        check_is_fitted(model)
    except NotFittedError:
        raise CommandError(f"{path}: holds a {type(model).__name__} that is not fitted; fit it first") from None
    return model, training


def open_model(path: str) -> Stored:
    """Return the mixture in a file; CommandError if it holds something else, or it is not fitted."""
    model, training = load_model(path)
    if is_classifier(model) or is_regressor(model):
        # The mixture inside is of other rows than those the model takes.
        raise CommandError(
            f"{path}: holds a {type(model).__name__}; expected a mixture, a search or an outlier detector. Use "
            "fastgmm.load in Python; fastgmm show describes it"
        )
    for name in ("best_estimator_", "mixture_"):  # of a search, of an outlier detector
        model = getattr(model, name, model)
    known = getattr(model, "feature_names_in_", None)
    if known is not None:
        del model.feature_names_in_
    names = [f"x{j}" for j in range(model.means_.shape[1])] if known is None else [str(name) for name in known]
    kept = training.get("projection")
    projection = Projection(**kept) if kept else None
    columns = list(training["columns"]) if training.get("named") else names if known is not None else None
    return Stored(path, model, names, columns, projection, training)


def open_with_rows(arguments: argparse.Namespace, screen: Screen) -> tuple[Stored, int, Iterator[Table]]:
    """Return the model, the number of rows, and the rows as it takes them: piece by piece where they are streamed."""
    check_columns_output(arguments.output, (arguments.model, arguments.data))
    stored = open_model(arguments.model)
    request = request_of(arguments, stored.columns, stored.training)
    if request.missing.keeps:
        if stored.projection is not None:
            raise CommandError(
                "--missing is marginalise, and the model is of principal components, which rows without some value do "
                "not have; expected error or drop"
            )
        stored.model.missing = "marginalise"
    n_rows, notes, tables = read_pieces(arguments.data, request)
    # Standard output may be the data asked for.
    for note in () if arguments.quiet else notes:
        screen.warn(note)
    return stored, n_rows, (_as_fitted(stored, table) for table in tables)


def _as_fitted(stored: Stored, table: Table) -> Table:
    n_features = len(stored.names) if stored.projection is None else len(stored.projection.shift)
    if table.X.shape[1] != n_features:
        raise CommandError(
            f"{table.source}: has {count_of(table.X.shape[1], 'column')}; "
            f"{os.path.basename(stored.path)} was fitted to {n_features}: choose them with --columns"
        )
    if stored.projection is not None:
        table.X = stored.projection.apply(table.X)
    return table


def row_names(table: Table, column: str | None) -> dict[str, Any]:
    """Return the columns that tell rows: their names where asked for, and their numbers where some are left out."""
    numbers = {"row": table.numbers} if table.missing == "drop" else {}
    return {**numbers, **({} if column is None else {column: table.ids})}
