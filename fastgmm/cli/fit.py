"""``fastgmm fit``: choose number of components and covariance structure, describe, keep and draw the winner."""

from __future__ import annotations

import argparse
import os
from typing import Any

import numpy as np

from fastgmm.cli.arguments import BASIC_STRUCTURES, components, non_negative, positive_int, structures
from fastgmm.cli.describe import as_json, describe
from fastgmm.cli.errors import EXIT_FAILED, EXIT_OK, CommandError
from fastgmm.cli.grid import Candidate, best_candidate, fit_grid
from fastgmm.cli.outputs import check_output, whole_file
from fastgmm.cli.screen import Screen
from fastgmm.cli.tables import Table, read_table
from fastgmm.cli.units import Scaling, in_data_units
from fastgmm.datasets import FAITHFUL_CSV
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.persistence import save
from fastgmm.plotting.backend import INSTALL, require_matplotlib

__all__ = ["add_parser", "run"]

DESCRIPTION = """\
Fit mixtures of every number of components and covariance structure asked for, print the criterion of each, describe
the best, write it to a file and draw it. Without DATA: the bundled Old Faithful data, 272 eruptions of a geyser."""


def add_parser(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "fit", parents=[shared], help="choose, fit, describe and draw a mixture", description=DESCRIPTION
    )
    parser.add_argument("data", nargs="?", metavar="DATA", help="CSV file of numbers, with or without a header")
    parser.add_argument("--columns", nargs="+", metavar="NAME", help="columns to use, in this order (default: all)")
    parser.add_argument("--standardize", action="store_true", help="fit columns of mean 0 and variance 1")
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
    parser.add_argument("--seed", type=int, default=0, help="of the random starts (default: 0)")
    parser.add_argument("--n-init", type=positive_int, default=1, metavar="N", help="starts per fit (default: 1)")
    parser.add_argument("--tol", type=non_negative, default=1e-5, help="stop below this gain, in nats per row")
    parser.add_argument("--max-iter", type=positive_int, default=1000, metavar="N", help="iterations per start")
    parser.add_argument(
        "--reg-covar", type=non_negative, default=1e-6, metavar="R", help="added to variances (default: 1e-6)"
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
    check_output(arguments.out, "--out")
    if draw:
        check_output(arguments.plot, "--plot")
        draw = _can_draw(arguments.plot, screen)
    table = read_table(arguments.data or FAITHFUL_CSV, arguments.columns)
    if arguments.data is None:
        table.source = "Old Faithful eruptions (bundled)"
    if table.X.shape[0] < 2:
        raise CommandError(f"{table.source}: has 1 row; expected at least 2")
    scaling = Scaling.of(table.X, table.columns, table.source) if arguments.standardize else None
    screen.line(f"{table.source}: {table.X.shape[0]} rows of {', '.join(table.columns)}")
    candidates = _candidates(arguments, table, scaling, screen)
    name = arguments.criterion.upper()
    best = best_candidate(candidates)
    _write_table(screen, candidates, best, name)
    if best is None or best.model is None:
        raise CommandError(f"no candidate could be fitted; the first {candidates[0].reason}", EXIT_FAILED)
    model = best.model if scaling is None else in_data_units(best.model, scaling)
    _write_winner(screen, best, model, table, name)
    training = {
        "source": os.path.basename(table.source),
        "n_samples": table.X.shape[0],
        "columns": table.columns,
        "standardized": arguments.standardize,
        "structure": best.structure,
        "criterion": arguments.criterion,
        "value": best.criterion,
    }
    if draw:
        _draw(arguments.plot, candidates, best, model, table, name)
    if table.named:
        # From here on the model is for frames with these columns; above, it was given plain arrays.
        model.feature_names_in_ = np.array(table.columns, dtype=object)
    try:
        save(model, arguments.out, training=training)
    except OSError as error:
        raise CommandError(f"--out: {arguments.out} cannot be written: {error.strerror or error}") from error
    screen.line(f"Model: {arguments.out}")
    if draw:
        screen.line(f"Picture: {arguments.plot}")
    screen.json(
        {
            **training,
            "candidates": [_candidate_json(candidate) for candidate in candidates],
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


def _candidates(
    arguments: argparse.Namespace, table: Table, scaling: Scaling | None, screen: Screen
) -> list[Candidate]:
    # In one feature, spheres and diagonals are full matrices.
    structures = arguments.structure or (BASIC_STRUCTURES if table.X.shape[1] > 1 else ("tied", "full"))
    with screen.progress(len(arguments.components) * len(structures)) as step:
        candidates = fit_grid(
            table.X if scaling is None else scaling.apply(table.X),
            arguments.components,
            structures,
            criterion=arguments.criterion,
            report=lambda candidate: step(f"{candidate.n_components} components, {candidate.structure}"),
            random_state=arguments.seed,
            n_init=arguments.n_init,
            tol=arguments.tol,
            max_iter=arguments.max_iter,
            reg_covar=arguments.reg_covar,
        )
    if scaling is not None:
        # The criterion of the same density of the data as they are, so that it can be compared with other fits.
        for candidate in candidates:
            candidate.criterion += 2.0 * table.X.shape[0] * scaling.log_jacobian
    return candidates


def _write_table(screen: Screen, candidates: list[Candidate], best: Candidate | None, name: str) -> None:
    structures = list(dict.fromkeys(candidate.structure for candidate in candidates))
    ks = list(dict.fromkeys(candidate.n_components for candidate in candidates))
    cells = {(c.n_components, c.structure): _cell(c) for c in candidates}
    screen.line()
    screen.line(f"{name}, lower is better")
    screen.table(
        ["components", *structures],
        [[str(k), *(cells[k, structure] for structure in structures)] for k in ks],
        marked=None if best is None else (ks.index(best.n_components), 1 + structures.index(best.structure)),
    )
    if best is not None:
        screen.line(">  the best")
    if any(c.model is not None and not c.converged for c in candidates):
        screen.line("~  EM did not converge: raise --max-iter")
    if any(c.at_floor for c in candidates):
        screen.line("!  a component shrank onto a few rows, where --reg-covar decides the value: chosen last")
    for reason, which in _by_reason(candidates).items():
        screen.line(f"{which}: {reason}")
    screen.line()


def _by_reason(candidates: list[Candidate]) -> dict[str, str]:
    """Return which candidates have no model, by the reason; a whole row of the table is named by its components."""
    columns = len({candidate.structure for candidate in candidates})
    rows: dict[str, dict[int, list[str]]] = {}
    for c in candidates:
        if c.reason:
            rows.setdefault(c.reason, {}).setdefault(c.n_components, []).append(c.structure)
    return {
        reason: "; ".join(str(k) if len(names) == columns else f"{k} {', '.join(names)}" for k, names in by_k.items())
        for reason, by_k in rows.items()
    }


def _cell(candidate: Candidate) -> str:
    if candidate.model is None:
        return "skipped" if candidate.reason.startswith("skipped") else "failed"
    flag = "!" if candidate.at_floor else "" if candidate.converged else "~"
    return f"{candidate.criterion:.1f}{flag}"


def _write_winner(screen: Screen, best: Candidate, model: GaussianMixture, table: Table, name: str) -> None:
    assert best.model is not None
    noun = "component" if best.n_components == 1 else "components"
    screen.line(
        f"Best: {best.n_components} {noun}, {best.structure} covariance; {name} {best.criterion:.1f}, "
        f"{best.model._n_parameters()} parameters"
    )
    if best.at_floor:
        screen.warn(
            "every candidate has a variance at the floor that --reg-covar sets; use --standardize, or a smaller "
            "--reg-covar"
        )
    screen.line()
    describe(screen, model, table.columns, np.bincount(model.predict(table.X), minlength=best.n_components))


def _draw(
    path: str, candidates: list[Candidate], best: Candidate, model: GaussianMixture, table: Table, name: str
) -> None:
    from fastgmm.plotting import report_figure

    curves: dict[str, dict[int, float]] = {}
    for candidate in candidates:
        curves.setdefault(candidate.structure, {})[candidate.n_components] = (
            float("nan") if candidate.at_floor and not best.at_floor else candidate.criterion
        )
    figure = report_figure(
        model,
        table.X,
        curves,
        criterion=name,
        best=(best.structure, best.n_components),
        names=table.columns,
        title=f"{os.path.basename(table.source)}: {table.X.shape[0]} rows",
    )
    with whole_file(path, "--plot") as partial:
        figure.savefig(partial)


def _candidate_json(candidate: Candidate) -> dict[str, Any]:
    return {
        "n_components": candidate.n_components,
        "structure": candidate.structure,
        "value": candidate.criterion if candidate.model is not None else None,
        "converged": candidate.converged and candidate.model is not None,
        "at_floor": candidate.at_floor,
        "reason": candidate.reason,
    }
