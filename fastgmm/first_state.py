"""Where a run of EM begins: what the constructor says of it, checked, beside seeds and a background."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastgmm.data import ArrayRows
from fastgmm.data.partly_labelled import PartlyLabelledRows
from fastgmm.em import Start, initial_parameters
from fastgmm.em.multistart import TrialListener
from fastgmm.em.seeding import MAX_ITER, seeded_memberships
from fastgmm.model import CovarianceStructure, MixtureParameters
from fastgmm.model.noise import MixtureWithNoise
from fastgmm.model.priors import ConjugatePrior
from fastgmm.noise_and_prior import InitialNoise

__all__ = ["Checked", "State", "first_state"]

State = MixtureParameters | MixtureWithNoise


@dataclass(frozen=True)
class Checked:
    """The parameters of the constructor that concern the data, checked."""

    start: Start
    prior: ConjugatePrior | None
    noise: InitialNoise | None


def first_state(
    source: ArrayRows | PartlyLabelledRows,
    checked: Checked,
    n_components: int,
    structure: CovarianceStructure,
    reg_covar: float,
    count_floor: float,
    random_state: np.random.RandomState,
    listener: TrialListener | None = None,
) -> State:
    """Return the parameters of a first guess at memberships, with its background if there is to be one.

    Parameters
    ----------
    source : ArrayRows or PartlyLabelledRows
        Known labels are kept by the guess.
    checked : Checked
    n_components : int
        Background not counted.
    structure : CovarianceStructure
    reg_covar : float
        Added to every variance, in squared units of the data.
    count_floor : float
        Added to every count.
    random_state : RandomState
    listener : TrialListener, optional
        Of the search that 'multistart' is.

    Returns
    -------
    state : MixtureParameters or MixtureWithNoise

    Raises
    ------
    ValueError
        If rows have labels and there is noise, or a start that cannot keep labels.
    """
    rows, start, noise = source, checked.start, checked.noise
    if isinstance(rows, PartlyLabelledRows):
        if noise is not None:
            raise ValueError(
                "labels and noise are both given; expected one of them. Drop rows that are noise, or use noise=None"
            )
        start = _seeded(rows, start, n_components, random_state)
        rows = rows.rows
    if noise is not None:
        rows = noise.without(rows)
        if not isinstance(start.init_params, str):
            start = replace(start, init_params=start.init_params[~noise.mask])
    gaussian = initial_parameters(
        rows, n_components, structure, start, reg_covar, count_floor, random_state, checked.prior, listener
    )
    return gaussian if noise is None else noise.beside(gaussian)


def _seeded(source: PartlyLabelledRows, start: Start, n_components: int, random_state: Any) -> Start:
    """Return the start with labelled rows in their components."""
    if not isinstance(start.init_params, str):
        return start
    if start.init_params not in ("kmeans", "k-means++"):
        raise ValueError(
            f"init_params is {start.init_params!r} and labels are given; expected 'kmeans' or 'k-means++', which "
            "keep labelled rows in their components, or an array of memberships"
        )
    max_iter = MAX_ITER if start.init_params == "kmeans" else 0
    memberships = seeded_memberships(source.rows, source.labels, n_components, random_state, max_iter)
    return replace(start, init_params=memberships)
