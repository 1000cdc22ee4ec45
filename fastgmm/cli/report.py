"""What `fastgmm fit` tells: the table of candidates, the winner, and what to beware of."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastgmm.cli.parameters import describe
from fastgmm.cli.screen import Screen, number
from fastgmm.cli.search import Outcome
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.selection.cautions import Caution
from fastgmm.summary.mixture import count_of
from fastgmm.tables.columns import listed
from fastgmm.tables.reading import Table

__all__ = ["write_candidates", "write_cautions", "write_winner"]

#: Near ties, and columns to leave out, that a line holds.
MOST_LISTED = 8


def write_cautions(screen: Screen, cautions: Sequence[Caution]) -> None:
    """Write a line for each caution, with the option that helps."""
    for caution in cautions:
        advice = ""
        if caution.kind in ("constant", "duplicated", "collinear", "id"):
            names = " ".join(map(shlex.quote, caution.columns)) if len(caution.columns) <= MOST_LISTED else "NAME ..."
            advice = f"; leave out with --exclude {names}"
            if caution.kind == "id":
                advice += f", or keep it beside predictions with --id {shlex.quote(caution.columns[0])}"
        elif caution.kind == "dimension":
            advice = "; --pca N fits fewer, --structure diag has none"
        elif caution.kind == "rows":
            advice = "; --components and --structure basic try smaller ones"
        elif caution.kind == "edge":
            advice = "; --components K tries others, as in 1..20"
        screen.line(f"Beware: {caution.text}{advice}.")


def write_candidates(screen: Screen, outcome: Outcome, name: str) -> None:
    """Write the criterion of every candidate, and why some have none; `name` is the criterion's."""
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
    failed: dict[str, dict[int, list[str]]] = {}
    for (size, structure), result in sorted(outcome.results.items()):
        if result["reason"]:
            # The component, and how many rows it had, are of one candidate; what remains is shared by many.
            reason = re.sub(r"component \d+: | \(effective count [^)]*\)", "", result["reason"])
            failed.setdefault(reason, {}).setdefault(size, []).append(structure)
    told = {}
    for reason, by_size in failed.items():
        alike: dict[tuple[str, ...], list[int]] = {}
        for size, structures in by_size.items():
            alike.setdefault(tuple(structures), []).append(size)
        told[reason] = "; ".join(
            _ranges(sizes) + ("" if len(names) == len(outcome.structures) else f" {', '.join(names)}")
            for names, sizes in alike.items()
        )
    return told


def _ranges(numbers: list[int]) -> str:
    """Return numbers in order as ``--components`` takes them, as in 1..4,6."""
    found: list[list[int]] = []
    for one in numbers:
        if found and one == found[-1][-1] + 1:
            found[-1].append(one)
        else:
            found.append([one])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}..{run[-1]}" for run in found)


def write_winner(screen: Screen, outcome: Outcome, model: GaussianMixture, table: Table, name: str) -> None:
    """Write the best candidate, others nearly as good, and the parameters of the best, with rows counted."""
    assert outcome.best is not None
    (size, structure), result = outcome.best, outcome.results[outcome.best]
    screen.line(
        f"Best: {count_of(size, 'component')}, {structure} covariance; {name} {result['value']:.1f}, "
        f"{result['n_parameters']} parameters"
    )
    if outcome.near_ties:
        lead = {which: number(outcome.results[which]["value"] - result["value"], 2) for which in outcome.near_ties}
        ties = [f"{size} {structure} (+{lead[size, structure]})" for size, structure in outcome.near_ties]
        screen.line(f"Nearly as good: {listed(ties, MOST_LISTED)}")
    screen.line()
    model.__dict__.pop("feature_names_in_", None)
    sizes = np.zeros(size, dtype=np.int64)
    for labels in model.predict_blocks(table.rows):
        sizes += np.bincount(labels, minlength=size)
    describe(screen, model, table.columns, sizes)
