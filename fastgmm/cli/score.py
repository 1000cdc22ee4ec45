"""``fastgmm score``: how well a model describes data."""

from __future__ import annotations

import argparse
import math
from contextlib import ExitStack
from typing import Any

from fastgmm.cli.arguments import add_data_options, add_stream_option
from fastgmm.cli.errors import EXIT_OK
from fastgmm.cli.outputs import check_columns_output, columns_writer
from fastgmm.cli.screen import Screen
from fastgmm.cli.stored import open_model, read_row_chunks, row_names

__all__ = ["add_parser", "run"]

DESCRIPTION = """\
Write the log-likelihood of data under a model, in nats; higher is better. BIC, AIC and ICL: lower is better. With
--output, the log density of each row too."""


def add_parser(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("score", parents=[shared], help="log-likelihood of data", description=DESCRIPTION)
    parser.add_argument("model", metavar="MODEL", help="file that fastgmm fit wrote")
    add_data_options(parser)
    add_stream_option(parser)
    parser.add_argument("--weights", metavar="COL", help="column of row weights")
    parser.add_argument("-o", "--output", metavar="FILE", help="log density of each row, as .csv, .tsv, .parquet, ...")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return the exit status."""
    check_columns_output(arguments.output)
    stored = open_model(arguments.model)
    n_rows, tables = read_row_chunks(stored, arguments, arguments.weights)
    model, weighted = stored.model, arguments.weights is not None
    total = log_likelihood = certainty = 0.0
    with ExitStack() as stack:
        writer = None
        if arguments.output is not None:
            writer = stack.enter_context(columns_writer(arguments.output, n_rows))
        for table in tables:
            if table.total_weight > 0.0:
                total += table.total_weight
                log_likelihood += table.total_weight * float(model.score(table.X, sample_weight=table.weights))
                if hasattr(model, "icl"):
                    certainty += model._log_certainty(table.X, table.weights)
            if writer is not None:
                writer.write({**row_names(table), "log_density": model.score_samples(table.X)})
    facts: dict[str, Any] = {
        "n_samples": n_rows,
        "total_weight": total,
        "log_likelihood_per_row": log_likelihood / total,
        "log_likelihood": log_likelihood,
    }
    if hasattr(model, "icl"):
        n_parameters = model._n_parameters()
        facts["bic"] = -2.0 * log_likelihood + n_parameters * math.log(total)
        facts["aic"] = -2.0 * log_likelihood + 2.0 * n_parameters
        facts["icl"] = facts["bic"] - 2.0 * certainty
    if arguments.output is not None:
        facts["output"] = arguments.output
    words = {
        "n_samples": "rows",
        "total_weight": "total weight",
        "log_likelihood_per_row": "log-likelihood per row (nats)",
        "log_likelihood": "log-likelihood (nats)",
        "bic": "BIC",
        "aic": "AIC",
        "icl": "ICL",
        "output": "log density of each row",
    }
    for name, value in facts.items():
        if name != "total_weight" or weighted:
            screen.line(f"{words[name]:30} {value:.6f}" if isinstance(value, float) else f"{words[name]:30} {value}")
    screen.json(facts)
    return EXIT_OK
