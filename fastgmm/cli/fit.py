"""``fastgmm fit``: choose number of components and covariance structure, describe, keep and draw the winner."""

from __future__ import annotations

import argparse
import os
from typing import Any

import numpy as np

from fastgmm.cli.arguments import (
    BASIC_STRUCTURES,
    add_data_options,
    add_stream_option,
    components,
    non_negative,
    positive_int,
    seed,
    structures,
)
from fastgmm.cli.describe import as_json, describe
from fastgmm.cli.errors import EXIT_FAILED, EXIT_OK, CommandError
from fastgmm.cli.outputs import check_output, whole_file
from fastgmm.cli.screen import Screen
from fastgmm.cli.search import Outcome, search
from fastgmm.cli.tables import Table, read_table
from fastgmm.cli.units import Projection, Scaling, in_data_units
from fastgmm.datasets import FAITHFUL_CSV
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.persistence import save
from fastgmm.plotting.backend import INSTALL, require_matplotlib

__all__ = ["add_parser", "run"]

DESCRIPTION = """\
Fit mixtures of every number of components and covariance structure asked for, print the criterion of each, describe
the best, write it to a file and draw it. Without DATA: the bundled Old Faithful data, 272 eruptions of a geyser."""

STARTS = ("hc", "kmeans", "k-means++", "random", "random_from_data")


def add_parser(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "fit", parents=[shared], help="choose, fit, describe and draw a mixture", description=DESCRIPTION
    )
    add_data_options(parser, optional=True)
    add_stream_option(parser)
    parser.add_argument("--weights", metavar="COL", help="column of row weights; a weight of 2 is a row given twice")
    parser.add_argument("--standardize", action="store_true", help="fit columns of mean 0 and variance 1")
    parser.add_argument("--pca", type=positive_int, metavar="N", help="fit the first N principal components")
    parser.add_argument(
        "--components", type=components, default="1..9", metavar="K", help="as in 3, 1..12 or 2,4,8 (default: 1..9)"
    )
    parser.add_argument(
        "--structure",
        type=structures,
        default="all",
        metavar="NAME,...",
        help="all (default: spherical,diag,tied,full) or some of these and of mclust's, as in full,VEV",
    )
    parser.add_argument("--criterion", choices=("bic", "icl", "aic"), default="bic", help="lower is better")
    parser.add_argument("--seed", type=seed, default=0, help="of the starts (default: 0)")
    parser.add_argument(
        "--init", choices=STARTS, default="hc", help="how EM starts (default: hc, hierarchical clustering)"
    )
    parser.add_argument("--tol", type=non_negative, default=1e-5, help="stop below this gain, in nats per row")
    parser.add_argument("--max-iter", type=positive_int, default=1000, metavar="N", help="iterations at most")
    parser.add_argument(
        "--reg-covar", type=non_negative, default=0.0, metavar="R", help="added to variances (default: 0)"
    )
    parser.add_argument("--out", default="fastgmm_model.npz", metavar="FILE", help="the model (default: %(default)s)")
    parser.add_argument(
        "--plot",
        default="fastgmm_report.png",
        metavar="FILE",
        help="the picture, as .png, .pdf or .svg; 'none' for none (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return the exit status."""
    draw = arguments.plot != "none"
    swallowed = [name for name in arguments.columns or [] if os.path.isfile(name)]
    if arguments.data is None and swallowed:
        raise CommandError(f"--columns took {swallowed[0]} for the name of a column; write DATA first")
    check_output(arguments.out, "--out")
    if draw:
        check_output(arguments.plot, "--plot")
        draw = _can_draw(arguments.plot, screen)
    table = read_table(
        arguments.data or FAITHFUL_CSV,
        arguments.columns,
        id_column=arguments.id,
        weight_column=arguments.weights,
        stream=arguments.stream,
    )
    if arguments.data is None:
        table.source = "Old Faithful eruptions (bundled)"
    if table.n_rows < 2:
        raise CommandError(f"{table.source}: has 1 row; expected at least 2")
    how = "" if table.stream is None else ", read block by block"
    screen.line(f"{table.source}: {table.n_rows} rows of {', '.join(table.columns)}{how}")
    columns, projection, scaling = table.columns, None, None
    if arguments.pca is not None:
        projection = Projection.of(table, arguments.pca, arguments.standardize)
        table = table.mapped(projection.apply, projection.names)
        screen.line(f"{arguments.pca} principal components, {projection.share:.1%} of the variance")
    elif arguments.standardize:
        scaling = Scaling.of(table)
    outcome = _search(arguments, table, scaling, screen)
    name = arguments.criterion.upper()
    _write_table(screen, outcome, name)
    if outcome.best is None or outcome.model is None:
        first = next(iter(outcome.results.values()))["reason"]
        raise CommandError(f"no candidate could be fitted; the first {first}", EXIT_FAILED)
    model = outcome.model if scaling is None else in_data_units(outcome.model, scaling)
    _write_winner(screen, outcome, model, table, name)
    if draw:
        _draw(arguments.plot, outcome, model, table, name)
    if table.named:
        # From here on the model is for frames with these columns; above, it was given plain arrays.
        model.feature_names_in_ = np.array(table.columns, dtype=object)
    training = {
        "source": os.path.basename(table.source.rstrip("/")),
        "n_samples": table.n_rows,
        "columns": columns,
        "named": table.named,
        "standardized": arguments.standardize,
        "structure": outcome.best[1],
        "criterion": arguments.criterion,
        "value": outcome.results[outcome.best]["value"],
    }
    try:
        save(model, arguments.out, training={**training, "projection": projection and projection.to_dict()})
    except OSError as error:
        raise CommandError(f"--out: {arguments.out} cannot be written: {error.strerror or error}") from error
    screen.line(f"Model: {arguments.out}")
    if draw:
        screen.line(f"Picture: {arguments.plot}")
    screen.json(
        {
            **training,
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
    # In one feature, spheres and diagonals are full matrices.
    structures = arguments.structure or (BASIC_STRUCTURES if table.X.shape[1] > 1 else ("tied", "full"))
    n_candidates = len(arguments.components) * len(structures)
    starts = "starts by hierarchical clustering" if arguments.init == "hc" else ""
    with screen.progress(n_candidates, words=starts) as progress:
        outcome = search(
            (table if scaling is None else table.mapped(scaling.apply, table.columns)).rows,
            arguments.components,
            structures,
            criterion=arguments.criterion,
            sample_weight=table.weights if table.stream is None else None,
            progress=progress if screen.shows_progress else None,
            init_params=arguments.init,
            random_state=arguments.seed,
            tol=arguments.tol,
            max_iter=arguments.max_iter,
            reg_covar=arguments.reg_covar,
        )
    if scaling is not None:
        # The criterion of the same density of the data as they are, so that it can be compared with other fits.
        total = table.total_weight
        for result in outcome.results.values():
            if result["value"] is not None:
                result["value"] += float(2.0 * total * scaling.log_jacobian)
    return outcome


def _write_table(screen: Screen, outcome: Outcome, name: str) -> None:
    sizes, structures, best = outcome.sizes, outcome.structures, outcome.best
    screen.line()
    screen.table(
        ["components", *structures],
        [[str(size), *(_cell(outcome.results[size, structure]) for structure in structures)] for size in sizes],
        title=f"{name}, lower is better" + ("; > the best" if best else ""),
        marked=None if best is None else (sizes.index(best[0]), 1 + structures.index(best[1])),
    )
    notes = [f"{which}: {reason}" for reason, which in _by_reason(outcome).items()]
    if any(result["value"] is not None and not result["converged"] for result in outcome.results.values()):
        notes.append("~  EM did not converge: raise --max-iter")
    for note in notes:
        screen.line(note)
    if notes:
        screen.line()


def _cell(result: dict[str, Any]) -> str:
    if result["value"] is None:
        return str(result["reason"]).split(":")[0]
    return f"{result['value']:.1f}{'' if result['converged'] else '~'}"


def _by_reason(outcome: Outcome) -> dict[str, str]:
    """Return which candidates have no model, by the reason; a whole row of the table is named by its components."""
    reasons: dict[str, dict[int, list[str]]] = {}
    for (size, structure), result in sorted(outcome.results.items()):
        if result["reason"]:
            reasons.setdefault(result["reason"], {}).setdefault(size, []).append(structure)
    return {
        reason: "; ".join(
            str(size) if len(names) == len(outcome.structures) else f"{size} {', '.join(names)}"
            for size, names in by_size.items()
        )
        for reason, by_size in reasons.items()
    }


def _write_winner(screen: Screen, outcome: Outcome, model: GaussianMixture, table: Table, name: str) -> None:
    assert outcome.best is not None
    (size, structure), result = outcome.best, outcome.results[outcome.best]
    screen.line(
        f"Best: {size} component{'' if size == 1 else 's'}, {structure} covariance; {name} {result['value']:.1f}, "
        f"{result['n_parameters']} parameters"
    )
    screen.line()
    model.__dict__.pop("feature_names_in_", None)
    sizes = np.zeros(size, dtype=np.int64)
    for labels in model.predict_blocks(table.rows):
        sizes += np.bincount(labels, minlength=size)
    describe(screen, model, table.columns, sizes)


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
    with whole_file(path, "--plot") as partial:
        figure.savefig(partial)
