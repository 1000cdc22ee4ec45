"""``fastgmm fit``: choose number of components and covariance structure, describe, keep and draw the winner."""

from __future__ import annotations

import argparse
import os
import shlex
from dataclasses import asdict
from typing import Any

import numpy as np

from fastgmm.cli.errors import EXIT_FAILED, EXIT_OK, CommandError
from fastgmm.cli.outputs import check_output, written
from fastgmm.cli.parameters import as_json
from fastgmm.cli.report import write_candidates, write_cautions, write_winner
from fastgmm.cli.request import check_weights_count_rows, reading_of, request_of
from fastgmm.cli.screen import Screen
from fastgmm.cli.search import Outcome, search, structures_of
from fastgmm.cli.units import Projection, Scaling, in_data_units
from fastgmm.datasets import FAITHFUL_CSV
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.persistence import save
from fastgmm.plotting.backend import INSTALL, require_matplotlib
from fastgmm.selection.cautions import column_cautions, outcome_cautions
from fastgmm.tables.columns import listed
from fastgmm.tables.reading import Table, load_table

__all__ = ["run"]

#: Cautions that principal components make needless.
WITHOUT_AXES = ("constant", "duplicated", "collinear", "dimension")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return the exit status."""
    draw = arguments.plot != "none"
    if arguments.data is None:
        for option in ("columns", "exclude", "na"):
            for name in getattr(arguments, option) or ():
                if os.path.isfile(name):
                    raise CommandError(f"--{option} took {name} for one of its words; write DATA first")
    if arguments.pca is not None and arguments.missing == "marginalise":
        raise CommandError("--pca and --missing marginalise: rows without some value have no principal components")
    check_output(arguments.out, "--out", [arguments.data])
    if draw:
        if os.path.abspath(arguments.plot) == os.path.abspath(arguments.out):
            raise CommandError(f"--plot: {arguments.plot} is --out as well; expected another name, or 'none'")
        check_output(arguments.plot, "--plot", [arguments.data])
        draw = _can_draw(arguments.plot, screen)
    table = _read(arguments, screen)
    columns, projection, scaling = table.columns, None, None
    cautions = column_cautions(table.X, columns, table.n_rows)
    if arguments.pca is not None:
        cautions = [caution for caution in cautions if caution.kind not in WITHOUT_AXES]
    write_cautions(screen, cautions)
    if arguments.pca is not None:
        projection = Projection.of(table, arguments.pca, arguments.standardize)
        table = table.mapped(projection.apply, projection.names)
        screen.line(f"{arguments.pca} principal components, {projection.share:.1%} of the variance")
    elif arguments.standardize:
        scaling = Scaling.of(table)
    outcome = _search(arguments, table, scaling, screen)
    name = arguments.criterion.upper()
    write_candidates(screen, outcome, name)
    if outcome.best is None or outcome.model is None:
        first = next(iter(outcome.results.values()))["reason"]
        singular = [name for caution in cautions if caution.kind in WITHOUT_AXES for name in caution.columns]
        advice = f". --exclude {' '.join(map(shlex.quote, singular))} may help" if singular else ""
        raise CommandError(f"no candidate could be fitted; the first {first}{advice}", EXIT_FAILED)
    model = outcome.model if scaling is None else in_data_units(outcome.model, scaling)
    best = outcome.results[outcome.best]
    write_winner(screen, outcome, model, table, name)
    fitted = [size for (size, _), result in outcome.results.items() if result["value"] is not None]
    of_outcome = outcome_cautions(outcome.best[0], fitted, best["n_parameters"], table.total_weight)
    write_cautions(screen, of_outcome)
    cautions += of_outcome
    training = {
        "source": os.path.basename(table.source.rstrip("/")),
        "n_samples": table.n_rows,
        "columns": columns,
        "named": table.named,
        "standardized": arguments.standardize,
        "structure": outcome.best[1],
        "criterion": arguments.criterion,
        "value": best["value"],
        "n_parameters": best["n_parameters"],
        "reading": reading_of(arguments),
        "notes": table.notes,
        "cautions": [caution.text for caution in cautions],
    }
    _save(model, arguments.out, table, {**training, "projection": projection and asdict(projection)})
    screen.line(f"Model: {arguments.out}")
    if draw:
        _draw(arguments.plot, outcome, model, table, name)
        screen.line(f"Picture: {arguments.plot}")
    screen.json(
        {
            **training,
            "table": table.report.as_json() if table.report is not None else None,
            "cautions": [asdict(caution) for caution in cautions],
            "candidates": [
                {"n_components": size, "structure": structure, **result}
                for (size, structure), result in sorted(outcome.results.items())
            ],
            "best": as_json(model, table.columns),
            "model": arguments.out,
            "picture": arguments.plot if draw else None,
        }
    )
    return EXIT_OK


def _read(arguments: argparse.Namespace, screen: Screen) -> Table:
    table = load_table(arguments.data or FAITHFUL_CSV, request_of(arguments))
    if arguments.data is None:
        table.source = "Old Faithful eruptions (bundled)"
    if table.n_rows < 2:
        raise CommandError(f"{table.source}: has 1 row; expected at least 2")
    if arguments.weights is not None:
        check_weights_count_rows(table.total_weight, arguments.weights)
    _check_range(table)
    how = "" if table.named else "; the file does not name its columns"
    how += "" if table.stream is None else ", read block by block"
    screen.line(f"{table.source}: {table.n_rows} rows of {listed(table.columns)}{how}")
    for note in table.notes:
        screen.line(f"{note}.")
    names = table.report.row_names if table.report is not None and arguments.id is None else []
    if names:
        screen.line(f"--id {shlex.quote(names[0])} keeps the names of the rows beside predictions.")
    return table


def _check_range(table: Table) -> None:
    """Raise CommandError if squares of a column's numbers overflow, or those of its differences vanish."""
    low, high = (end(table.X, axis=0).astype(np.float64) for end in (np.nanmin, np.nanmax))
    size, spread = np.maximum(np.abs(low), np.abs(high)), high / 2 - low / 2
    least, most = (1e-15, 1e15) if table.X.dtype == np.float32 else (1e-130, 1e130)
    for j, name in enumerate(table.columns):
        if size[j] > most or 0 < spread[j] < least:
            raise CommandError(
                f"{table.source}: column {name!r} goes from {low[j]:g} to {high[j]:g}; expected numbers whose "
                "squares a computer can hold. Take another unit"
            )


def _save(model: GaussianMixture, path: str, table: Table, training: dict[str, Any]) -> None:
    if table.named:
        # In the file the model is for frames with these columns; here, it is given plain arrays.
        model.feature_names_in_ = np.array(table.columns, dtype=object)
    try:
        save(model, path, training=training)
    except OSError as error:
        raise CommandError(f"--out: {path} cannot be written: {error.strerror or error}") from error
    finally:
        model.__dict__.pop("feature_names_in_", None)


def _can_draw(path: str, screen: Screen) -> bool:
    try:
        require_matplotlib()
    except ImportError:
        screen.warn(f"no picture: matplotlib is not installed; {INSTALL}")
        return False
    from matplotlib.backend_bases import FigureCanvasBase

    suffix = os.path.splitext(path)[1][1:].lower()
    if suffix not in FigureCanvasBase.get_supported_filetypes():
        raise CommandError(f"--plot: {path} ends in {suffix!r}; expected .png, .pdf or .svg, or 'none' for no picture")
    return True


def _search(arguments: argparse.Namespace, table: Table, scaling: Scaling | None, screen: Screen) -> Outcome:
    structures = structures_of(arguments.structure, table.X.shape[1])
    n_candidates = len(arguments.components) * len(structures)
    starts = "starts by hierarchical clustering" if arguments.init == "hc" else ""
    # What is not given is left to the search, so that it does here what it does in Python.
    given = {"tol": arguments.tol, "max_iter": arguments.max_iter, "reg_covar": arguments.reg_covar}
    with screen.progress(n_candidates, words=starts) as progress:
        outcome = search(
            (table if scaling is None else table.mapped(scaling.apply, table.columns)).rows,
            arguments.components,
            structures,
            sample_weight=table.weights if table.stream is None else None,
            progress=progress if screen.shows_progress else None,
            criterion=arguments.criterion,
            init_params=arguments.init,
            random_state=arguments.seed,
            missing="marginalise" if table.missing == "marginalise" else "error",
            **{name: value for name, value in given.items() if value is not None},
        )
    if scaling is not None:
        # The criterion of the same density of the data as they are, so that it can be compared with other fits.
        for result in outcome.results.values():
            if result["value"] is not None:
                result["value"] += float(2.0 * table.total_weight * scaling.log_jacobian)
    return outcome


def _draw(path: str, outcome: Outcome, model: GaussianMixture, table: Table, name: str) -> None:
    from fastgmm.plotting import report_figure

    assert outcome.best is not None
    values = {key: result["value"] for key, result in outcome.results.items() if result["value"] is not None}
    figure = report_figure(
        model,
        table.X,
        {
            structure: {size: values.get((size, structure), float("nan")) for size in outcome.sizes}
            for structure in outcome.structures
        },
        criterion=name,
        best=(outcome.best[1], outcome.best[0]),
        names=table.columns,
        title=f"{os.path.basename(table.source.rstrip('/'))}: {table.n_rows} rows"
        + ("" if table.X.shape[0] == table.n_rows else f", {table.X.shape[0]} shown"),
    )
    with written(path, "--plot") as partial:
        figure.savefig(partial)
