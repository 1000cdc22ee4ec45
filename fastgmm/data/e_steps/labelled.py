"""Rows of which some belong to a known class.

A labelled row's responsibilities are confined to its class's components; the others are shared among all components,
a background included. No responsibilities are stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fastgmm import kernels
from fastgmm.data.e_steps.base import EStep, Passes
from fastgmm.data.e_steps.plain import empty_about
from fastgmm.data.incomplete import Marginalised
from fastgmm.data.rows import ArrayRows, Block, Rows
from fastgmm.model import SufficientStatistics
from fastgmm.model.moments import add_part, components_of, expected_log_joint

__all__ = ["LABELS", "Labelled", "labels_of", "statistics_of_labels"]

#: The column of rows that says which class each belongs to: int64, negative where it is not known.
LABELS = "labels"


@dataclass(frozen=True)
class Labelled(EStep):
    """Confine rows of known class to the components of their class.

    The log-likelihood of a pass is that of rows and labels together.

    Attributes
    ----------
    blocks : tuple of slice
        Components of each class.
    unlabelled_weight : float
        What an unlabelled row counts for, beside 1 for a labelled one.
    """

    blocks: tuple[slice, ...]
    unlabelled_weight: float = 1.0

    @property
    def n_components(self) -> int:
        """Number of components of all classes."""
        return self.blocks[-1].stop

    def prepare(self, rows: Rows) -> Passes:
        """Return the passes over `rows`, which have a column of labels."""
        assert LABELS in rows.columns, "rows with labels"
        return _SplitPasses(rows, self) if isinstance(rows, ArrayRows) else _LabelledPasses(rows, self)

    @property
    def single_components(self) -> np.ndarray:
        """The component of each class that has one, -1 for others and, last, for unlabelled rows."""
        component = np.full(len(self.blocks) + 1, -1, dtype=np.int64)
        for c, block in enumerate(self.blocks):
            if block.stop - block.start == 1:
                component[c] = block.start
        return component

    @property
    def larger_classes(self) -> list[tuple[int, slice]]:
        """The classes of several components."""
        return [(c, block) for c, block in enumerate(self.blocks) if block.stop - block.start > 1]

    def passed_classes(self, density: Any) -> list[tuple[int, slice]]:
        """The classes whose rows a pass has to look at: those of several components, or all of them."""
        return list(enumerate(self.blocks)) if _is_passed(density) else self.larger_classes


class _SplitPasses(Passes):
    """Passes over an array whose rows are sorted out once.

    A class of one component costs nothing per pass: its rows' statistics are taken once and moved to the means of the
    day. The rows of a class with several components are copied together once.
    """

    rows: ArrayRows

    def __init__(self, rows: ArrayRows, e_step: Labelled) -> None:
        self.e_step, labels = e_step, rows.along[LABELS]
        single = e_step.single_components[np.maximum(labels, -1)]
        self._single = None if (single < 0).all() else single
        #: By shape, as families of several may be fitted to the same rows.
        self._known: dict[str, SufficientStatistics] = {}
        self._classes = [(rows.where(labels == c), block) for c, block in e_step.larger_classes if (labels == c).any()]
        self._unknown = _unlabelled(rows, labels, e_step.unlabelled_weight)
        known_weight = labels >= 0 if rows.sample_weight is None else rows.sample_weight[labels >= 0]
        unknown_weight = 0.0 if self._unknown is None else self._unknown.total_weight
        super().__init__(rows, float(known_weight.sum()) + unknown_weight)

    def _accumulate(self, density: Any) -> SufficientStatistics:
        if _is_passed(density):
            return _folded(self.rows, self.e_step, density)
        statistics = empty_about(density)
        if self._single is not None:
            part = slice(0, self.e_step.n_components)
            if density.structure not in self._known:
                self._known[density.structure] = statistics_of_labels(
                    self.rows, self._single, density.structure, self.e_step.n_components
                )
            known = self._known[density.structure].about(density.means[part])
            known.log_likelihood = expected_log_joint(known, components_of(density, part))
            add_part(statistics, known, part)
        for rows, block in self._classes:
            add_part(statistics, rows.accumulate(components_of(density, block)), block)
        if self._unknown is not None:
            add_part(statistics, self._unknown.accumulate(density), slice(None))
        return statistics


def _unlabelled(rows: ArrayRows, labels: np.ndarray, unlabelled_weight: float) -> ArrayRows | None:
    unknown = labels < 0
    n_unknown = int(np.count_nonzero(unknown))
    if n_unknown == 0 or unlabelled_weight == 0:
        return None
    if 2 * n_unknown < len(unknown):
        chosen = rows.where(unknown)
        weight = chosen.sample_weight
        if unlabelled_weight != 1.0:
            weight = unlabelled_weight * (np.ones(n_unknown) if weight is None else weight)
        return ArrayRows(chosen.X, weight)
    # Most rows: read them in place, the labelled ones at weight zero, rather than copy them.
    if n_unknown == len(unknown) and unlabelled_weight == 1.0:
        return rows
    weight = np.where(unknown, unlabelled_weight, 0.0)
    return ArrayRows(rows.X, weight if rows.sample_weight is None else weight * rows.sample_weight)


class _LabelledPasses(Passes):
    """Passes over rows that are sorted out block by block."""

    def __init__(self, rows: Rows, e_step: Labelled) -> None:
        self.e_step = e_step
        weights = rows.fold(partial(np.zeros, 2), partial(_add_weights, e_step))
        super().__init__(rows, float(weights[0] + e_step.unlabelled_weight * weights[1]))

    def _accumulate(self, density: Any) -> SufficientStatistics:
        return _folded(self.rows, self.e_step, density)


def _is_passed(density: Any) -> bool:
    """Return whether what a row leaves hangs on the density: it counts by its distance, or misses values."""
    has_factors = density.shape.n_factors is not None  # scatter is known along the loadings of the density
    return has_factors or getattr(density, "tail", None) is not None or isinstance(density, Marginalised)


def _folded(rows: Rows, e_step: Labelled, density: Any) -> SufficientStatistics:
    # What the kernels read, and no more: it may travel, and a posterior has further arrays.
    density = components_of(density, slice(None))
    return rows.fold(partial(empty_about, density), partial(_add_labelled, e_step, density))


def labels_of(e_step: Labelled, block: Block) -> np.ndarray:
    """Return a block's labels as the kernels read them; what is missing is not known."""
    given = np.asarray(block.columns[LABELS])
    if given.dtype.kind == "f":
        given = np.where(np.isnan(given), -1, given)
    expected = f"expected whole numbers from 0 to {len(e_step.blocks) - 1}, -1 or missing where a row's is not known"
    if given.ndim != 1 or given.dtype.kind not in "iuf":
        raise ValueError(f"labels of X have {given.ndim} dimensions and dtype {given.dtype}; {expected}")
    labels = given.astype(np.int64)
    wrong = (labels < -1) | (labels >= len(e_step.blocks)) | (labels != given)
    if wrong.any():
        raise ValueError(f"labels of X have the value {given[wrong][0]}; {expected}")
    return labels


def _add_weights(e_step: Labelled, block: Block, weights: np.ndarray) -> None:
    known = labels_of(e_step, block) >= 0
    weight = np.ones(len(known)) if block.weight is None else block.weight
    weights += float(weight[known].sum()), float(weight[~known].sum())


def _add_labelled(e_step: Labelled, density: Any, block: Block, statistics: SufficientStatistics) -> None:
    labels, everything = labels_of(e_step, block), slice(0, e_step.n_components)
    single = e_step.single_components[np.maximum(labels, -1)]
    if not _is_passed(density) and (single >= 0).any():
        own = components_of(density, everything)
        known = SufficientStatistics.zeros(own.structure, own.means)
        kernels.accumulate_labels(block.rows, block.weight, single, known)
        known.log_likelihood = expected_log_joint(known, own)
        add_part(statistics, known, everything)
    for c, components in e_step.passed_classes(density):
        members = labels == c
        if members.any():
            rows = ArrayRows(block.rows, block.weight).where(members)
            add_part(statistics, rows.accumulate(components_of(density, components)), components)
    unknown = _unlabelled(ArrayRows(block.rows, block.weight), labels, e_step.unlabelled_weight)
    if unknown is not None:
        add_part(statistics, unknown.accumulate(density), slice(None))


def statistics_of_labels(
    rows: ArrayRows, labels: np.ndarray, structure: str, n_components: int
) -> SufficientStatistics:
    """Return the statistics of hard memberships about the means of their components; a negative label is no member."""
    centres = np.zeros((n_components, rows.n_features))
    present, first = np.unique(labels, return_index=True)
    centres[present[present >= 0]] = rows.X[first[present >= 0]]
    # About a row of each component first, then about the means that gives: no digit is lost far from the origin.
    rough = rows.accumulate_labels(labels, "spherical", centres)
    centres = centres + rough.sums / np.maximum(rough.counts, np.finfo(float).tiny)[:, None]
    return rows.accumulate_labels(labels, structure, centres)
