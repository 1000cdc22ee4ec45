"""What the options of a command ask of a file."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from fastgmm.cli.errors import CommandError
from fastgmm.tables.cells import MissingWords
from fastgmm.tables.columns import Missing
from fastgmm.tables.reading import Request

__all__ = ["check_weights_count_rows", "reading_of", "request_of"]


def request_of(
    arguments: argparse.Namespace, known: Sequence[str] | None = None, training: Mapping[str, Any] | None = None
) -> Request:
    """Return what a command asks of its data; what it leaves open is done as when the model was fitted.

    Parameters
    ----------
    arguments : Namespace
    known : sequence of str, optional
        What a model's columns are called.
    training : mapping, optional
        What the model file remembers.
    """
    before = (training or {}).get("reading", {})
    rule = arguments.missing or before.get("missing", "error")
    words = arguments.na or before.get("na", ())
    return Request(
        arguments.columns,
        arguments.exclude or (),
        arguments.id,
        getattr(arguments, "weights", None),
        known,
        arguments.header,
        arguments.stream,
        Missing(rule, MissingWords(words)),
    )


def reading_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what a model file remembers of how its data were read."""
    return {"missing": arguments.missing or "error", "na": list(arguments.na or ())}


def check_weights_count_rows(total: float, column: str) -> None:
    """Raise CommandError if weights of this total cannot count rows, as a criterion takes its logarithm."""
    if total <= 1.0 + 1e-9:
        raise CommandError(
            f"--weights: column {column!r} sums to {total:g}; expected weights that count rows, as the criteria take "
            "the logarithm of their sum. Scale them to sum to the number of rows"
        )
