"""The first parameters of one mixture per class: those of the labelled rows, pulled towards those of all."""

from __future__ import annotations

import numpy as np

from fastgmm.data.partly_labelled import PartlyLabelledRows, statistics_of_labels
from fastgmm.em.kmeans import kmeans
from fastgmm.model import MixtureParameters
from fastgmm.model.class_mixtures import ClassMixtures

__all__ = ["labelled_start"]


def labelled_start(
    source: PartlyLabelledRows,
    model: ClassMixtures,
    reg_covar: float,
    count_floor: float,
    random_state: np.random.RandomState,
) -> MixtureParameters:
    """Return the parameters of the labelled rows, their covariances shrunk to those of all rows.

    Parameters
    ----------
    source : PartlyLabelledRows
        At least as many labelled rows of a class as it has components.
    model : ClassMixtures
    reg_covar, count_floor : float
        As in `fastgmm.model.covariance.maximise`.
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
    rows = source.rows
    chosen = np.full(rows.n_samples, -1, dtype=np.int64)
    for c, block in enumerate(model.blocks):
        members = source.labels == c
        size = block.stop - block.start
        chosen[members] = block.start
        if size > 1:
            chosen[members] += kmeans(source.class_rows(c), size, random_state)[1]
    known = statistics_of_labels(rows, chosen, model.kernel, model.n_components)
    everything = statistics_of_labels(rows, np.zeros(rows.n_samples, dtype=np.int64), model.kernel, 1)
    # As many pseudo-rows as make a matrix invertible, of the covariance within components, which is itself
    # shrunk to that of all rows: a class of one row gets the shape of the others.
    pseudo = rows.n_features + 1.0
    total = everything.scatter if model.kernel == "tied" else everything.scatter[0]
    within = known.scatter if model.kernel == "tied" else known.scatter.sum(axis=0)
    within = (within + pseudo * total / everything.counts[0]) / (known.counts.sum() + pseudo)
    known.scatter += within * (pseudo * model.n_components if model.kernel == "tied" else pseudo)
    known.counts += pseudo
    return model.maximise(known, reg_covar, count_floor)
