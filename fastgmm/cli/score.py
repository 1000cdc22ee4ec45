"""``fastgmm score``: how well a model describes data."""

from __future__ import annotations

import argparse
from typing import Any

from fastgmm.cli.arguments import add_data_options
from fastgmm.cli.errors import EXIT_OK
from fastgmm.cli.outputs import check_columns_output, write_columns
from fastgmm.cli.screen import Screen
from fastgmm.cli.stored import open_model, read_rows, row_names

__all__ = ["add_parser", "run"]

DESCRIPTION = """\
Write the log-likelihood of data under a model, in nats; higher is better. BIC, AIC and ICL: lower is better. With
--output, the log density of each row too."""


def add_parser(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("score", parents=[shared], help="log-likelihood of data", description=DESCRIPTION)
    parser.add_argument("model", metavar="MODEL", help="file that fastgmm fit wrote")
    add_data_options(parser)
    parser.add_argument("--weights", metavar="COL", help="column of row weights")
    parser.add_argument("-o", "--output", metavar="FILE", help="log density of each row, as .csv, .tsv, .parquet, ...")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return the exit status."""
    check_columns_output(arguments.output)
    stored = open_model(arguments.model)
    table = read_rows(stored, arguments, arguments.weights)
    model = stored.model
    mean = float(model.score(table.X, sample_weight=table.weights))
    total = float(table.X.shape[0] if table.weights is None else table.weights.sum())
    facts: dict[str, Any] = {
        "n_samples": table.X.shape[0],
        "total_weight": total,
        "log_likelihood_per_row": mean,
        "log_likelihood": mean * total,
    }
    for name in ("bic", "aic", "icl"):
        if hasattr(model, name):
            facts[name] = float(getattr(model, name)(table.X, table.weights))
    if arguments.output is not None:
        write_columns({**row_names(table), "log_density": model.score_samples(table.X)}, arguments.output)
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
        if name != "total_weight" or table.weights is not None:
            screen.line(f"{words[name]:30} {value:.6f}" if isinstance(value, float) else f"{words[name]:30} {value}")
    screen.json(facts)
    return EXIT_OK
