"""The first parameters of one mixture per class: those of the labelled rows, pulled towards those of all."""

from __future__ import annotations

import numpy as np

from fastgmm.data import ArrayRows
from fastgmm.data.e_steps import statistics_of_labels
from fastgmm.families import ClassMixtures
from fastgmm.families.sketched import Sketched
from fastgmm.model import MixtureParameters
from fastgmm.starts.loadings import first_loadings
from fastgmm.starts.units import memberships_in_units

__all__ = ["labelled_start"]


def labelled_start(
    rows: ArrayRows, labels: np.ndarray, family: ClassMixtures, random_state: np.random.RandomState
) -> MixtureParameters:
    """Return the parameters of the labelled rows, their covariances shrunk to those of all rows.

    Parameters
    ----------
    rows : ArrayRows
    labels : ndarray of shape (n_samples,), int64
        Class of each row, negative where unknown: at least as many labelled rows of a class as it has components.
    family : ClassMixtures
    random_state : RandomState
        For k-means within a class of several components.

    Returns
    -------
    MixtureParameters

    Raises
    ------
    ComponentCollapseError
        If a covariance is not positive definite.
    """
    chosen = np.full(rows.n_samples, -1, dtype=np.int64)
    for c, block in enumerate(family.blocks):
        members = labels == c
        size = block.stop - block.start
        chosen[members] = block.start
        if size > 1:
            chosen[members] += memberships_in_units(rows.where(members), "kmeans", size, random_state)
    if isinstance(family.gaussian, Sketched):
        mixture = first_loadings(rows, family.n_components, family.gaussian, chosen, None, random_state)
        return family.begin(mixture)
    shape = family.shape
    known = statistics_of_labels(rows, chosen, shape.name, family.n_components)
    everything = statistics_of_labels(rows, np.zeros(rows.n_samples, dtype=np.int64), shape.name, 1)
    # As many pseudo-rows as make a matrix invertible, of the covariance within components, which is itself
    # shrunk to that of all rows: a class of one row gets the shape of the others.
    pseudo = rows.n_features + 1.0
    total = shape.one(everything.scatter, 0)
    within = (shape.summed(known.scatter) + pseudo * total / everything.counts[0]) / (known.counts.sum() + pseudo)
    known.scatter += within * shape.each(shape.totals(np.full(family.n_components, pseudo)))
    known.counts += pseudo
    return family.first(known)
