"""A sample of a source in which every class that is labelled anywhere has labelled rows."""

from __future__ import annotations

from functools import partial

import numpy as np

from fastgmm.data import ArrayRows, Block, Rows
from fastgmm.data.e_steps import LABELS

__all__ = ["with_rare_labels"]

#: Labelled rows of a class that a start is made of at least, where there are as many.
ENOUGH = 1000


def with_rare_labels(sample: ArrayRows, rows: Rows, n_classes: int) -> ArrayRows:
    """Return a sample with more labelled rows of the classes that it has few of, read in one more pass.

    Without them, components of a class that is labelled in few rows would start anywhere, and its labels would have
    to pull them over.

    Parameters
    ----------
    sample : ArrayRows
        With the number of each row's class along, as `rows` have. A sample of all rows is returned as it is.
    rows : Rows
    n_classes : int
    """
    if sample.n_samples == rows.n_samples:
        return sample
    labels = sample.along[LABELS]
    counts = np.bincount(labels[labels >= 0], minlength=n_classes)
    rare = np.flatnonzero(counts < ENOUGH)
    if len(rare) == 0:
        return sample
    found = rows.fold(list, partial(_add_rare, rare))
    parts = [sample.where(~np.isin(labels, rare))]
    for c in rare:
        members = [block for block in found if block.columns[LABELS][0] == c]
        parts += [ArrayRows(block.rows, block.weight, block.columns) for block in members]
    weights = [part.sample_weight for part in parts if part.sample_weight is not None]
    return ArrayRows(
        np.concatenate([part.X for part in parts]),
        # Those of a distributed sample weigh one each.
        np.concatenate(weights) if len(weights) == len(parts) else None,
        {LABELS: np.concatenate([part.along[LABELS] for part in parts]).astype(np.int64)},
    )


def _add_rare(rare: np.ndarray, block: Block, found: list[Block]) -> None:
    labels = block.columns[LABELS]
    for c in rare:
        n_found = sum(len(part.rows) for part in found if part.columns[LABELS][0] == c)
        chosen = labels == c if block.weight is None else (labels == c) & (block.weight > 0)
        members = np.flatnonzero(chosen)[: max(ENOUGH - n_found, 0)]
        if len(members):
            weight = None if block.weight is None else block.weight[members]
            found.append(Block(block.rows[members], weight, {LABELS: labels[members]}))
