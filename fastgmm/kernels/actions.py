"""Every action, with the shapes of covariances that it takes."""

from __future__ import annotations

__all__ = [
    "ACTIONS",
    "FURTHER_ACTIONS",
    "LOW_RANK",
    "LOW_RANK_ACTIONS",
    "PLAIN_LOW_RANK_ACTIONS",
    "RESPONSIBILITY_FLOOR",
    "STRUCTURES",
    "shapes_of",
]

STRUCTURES = ("full", "tied", "diag", "spherical")

#: Shapes by action; None is that of an action that knows no covariances.
ACTIONS: dict[str, tuple[str | None, ...]] = {
    "accumulate": STRUCTURES,
    "log_density": STRUCTURES,
    "responsibilities": STRUCTURES,
    "assign": STRUCTURES,
    "accumulate_labels": STRUCTURES,
    "assign_nearest": (None,),
    "candidate_potentials": (None,),
    "update_distances": (None,),
    "choose_centres": (None,),
    "estimate": STRUCTURES,
    "merge": ("full", "diag", "spherical"),
    "factorise_precisions": (None,),
}

#: The same of actions that an engine need not have, beside the compiled and the plain one.
FURTHER_ACTIONS: dict[str, tuple[str | None, ...]] = {
    "accumulate_with_errors": ("full", "diag"),
    "answer_with_errors": ("full", "diag"),
    "accumulate_truncated": STRUCTURES,
    "refine_neighbors": STRUCTURES,
    "fit_many": STRUCTURES,
}


def shapes_of(action: str) -> tuple[str | None, ...]:
    """Return the shapes that an action takes; none where there is no such action."""
    return ACTIONS.get(action) or FURTHER_ACTIONS.get(action, ())


#: The kind of the shapes ``low_rank:q``, of q factors, and its actions, which have no Numba twin.
LOW_RANK = "low_rank"
LOW_RANK_ACTIONS = ("accumulate", "log_density", "responsibilities", "assign")

#: Further ones, of the plain engine alone.
PLAIN_LOW_RANK_ACTIONS = ("accumulate_truncated", "refine_neighbors")

#: A responsibility below this is taken as zero: the sum over fewer than 1e9 rows of what is left out is below 1e-12.
RESPONSIBILITY_FLOOR = 2.0**-80
