"""``fastgmm score``: how well a model describes data."""

from __future__ import annotations

import argparse
import math
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastgmm.cli.errors import EXIT_OK
from fastgmm.cli.outputs import for_json, write_columns
from fastgmm.cli.request import check_weights_count_rows
from fastgmm.cli.screen import Screen
from fastgmm.cli.stored import open_with_rows, row_names

__all__ = ["run"]


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return the exit status."""
    stored, n_rows, tables = open_with_rows(arguments, screen)
    model, weighted = stored.model, arguments.weights is not None
    sums = dict.fromkeys(("weight", "log_likelihood", "certainty"), 0.0)

    def pieces() -> Iterator[dict[str, Any]]:
        for table in tables:
            if table.total_weight > 0.0:
                sums["weight"] += table.total_weight
                sums["log_likelihood"] += table.total_weight * float(model.score(table.X, sample_weight=table.weights))
                if hasattr(model, "icl"):
                    sums["certainty"] += model._log_certainty(table.X, table.weights)
            if arguments.output is not None:
                yield {**row_names(table, arguments.id), "log_density": model.score_samples(table.X)}

    if arguments.output is None:
        deque(pieces(), maxlen=0)
    else:
        write_columns(pieces(), arguments.output, n_rows, arguments.digits)
    total, log_likelihood = sums["weight"], sums["log_likelihood"]
    if weighted:
        check_weights_count_rows(total, arguments.weights)
    facts: list[tuple[str, str, Any]] = [
        ("n_samples", "rows", n_rows),
        ("total_weight", "total weight", total),
        ("log_likelihood_per_row", "log-likelihood per row (nats)", log_likelihood / total),
        ("log_likelihood", "log-likelihood (nats)", log_likelihood),
    ]
    if hasattr(model, "icl"):
        # Of a structure that standardised columns had, and the data do not.
        n_parameters = stored.training.get("n_parameters") or model._n_parameters()
        bic, aic = -2.0 * log_likelihood + n_parameters * math.log(total), -2.0 * log_likelihood + 2.0 * n_parameters
        facts += [("bic", "BIC", bic), ("aic", "AIC", aic), ("icl", "ICL", bic - 2.0 * sums["certainty"])]
    if arguments.output is not None:
        facts.append(("output", "log density of each row", arguments.output))
    for name, words, value in facts:
        if name != "total_weight" or weighted:
            screen.line(f"{words:30} {screen.number(value) if isinstance(value, float) else value}")
    values = np.array([value for _, _, value in facts], dtype=object)
    screen.json(dict(zip([name for name, _, _ in facts], for_json(values), strict=True)))
    return EXIT_OK
