"""Rows of which some belong to a known class, as a source of passes.

A labelled row's responsibilities are confined to its class's components; the others are shared among all of them.
No responsibilities are stored. A class of one component costs nothing per pass: its rows' statistics are taken once
and moved to the means of the day. The rows of a class with several components are copied together once, so that a
pass over them meets that class's components alone.
"""

from __future__ import annotations

import numpy as np

from fastgmm.data.rows import ArrayRows
from fastgmm.model import MixtureParameters, SufficientStatistics
from fastgmm.model.moments import add_part, components_of, expected_log_joint, recentre

__all__ = ["PartlyLabelledRows", "statistics_of_labels"]


class PartlyLabelledRows:
    """A source over an array of which some rows' classes are known.

    Parameters
    ----------
    rows : ArrayRows
    labels : ndarray of shape (n_samples,), int64
        Class of each row; negative where unknown.
    blocks : list of slice
        Components of each class.
    structure : {'full', 'tied', 'diag', 'spherical'}
        Which scatter is kept.
    unlabelled_weight : float
        What an unlabelled row counts for, beside 1 for a labelled one.
    """

    def __init__(
        self,
        rows: ArrayRows,
        labels: np.ndarray,
        blocks: list[slice],
        structure: str,
        unlabelled_weight: float = 1.0,
    ) -> None:
        self.rows, self.labels, self.blocks, self.structure = rows, labels, blocks, structure
        self.n_components = blocks[-1].stop
        self.n_features = rows.n_features
        self._known = self._statistics_of_single_components()
        self._classes = [
            (self._rows_where(labels == c), block)
            for c, block in enumerate(blocks)
            if block.stop - block.start > 1 and (labels == c).any()
        ]
        self._unknown = self._unlabelled(unlabelled_weight)
        known_weight = labels >= 0 if rows.sample_weight is None else rows.sample_weight[labels >= 0]
        self.labelled_weight = float(known_weight.sum())
        self.total_weight = self.labelled_weight + (0.0 if self._unknown is None else self._unknown.total_weight)

    def class_rows(self, c: int) -> ArrayRows:
        """Return the labelled rows of class `c`."""
        return self._rows_where(self.labels == c)

    def _rows_where(self, mask: np.ndarray) -> ArrayRows:
        weight = self.rows.sample_weight
        return ArrayRows(np.ascontiguousarray(self.rows.X[mask]), None if weight is None else weight[mask])

    def _statistics_of_single_components(self) -> SufficientStatistics | None:
        # Classes of several components and unlabelled rows are left out by a negative label.
        component = np.full(len(self.blocks) + 1, -1, dtype=np.int64)
        for c, block in enumerate(self.blocks):
            if block.stop - block.start == 1:
                component[c] = block.start
        labels = component[np.maximum(self.labels, -1)]
        if (labels < 0).all():
            return None
        return statistics_of_labels(self.rows, labels, self.structure, self.n_components)

    def _unlabelled(self, unlabelled_weight: float) -> ArrayRows | None:
        unknown = self.labels < 0
        n_unknown = int(np.count_nonzero(unknown))
        if n_unknown == 0 or unlabelled_weight == 0:
            return None
        if 2 * n_unknown < len(unknown):
            rows = self._rows_where(unknown)
            weight = rows.sample_weight
            if unlabelled_weight != 1.0:
                weight = unlabelled_weight * (np.ones(n_unknown) if weight is None else weight)
            return ArrayRows(rows.X, weight)
        # Most rows: read them in place, the labelled ones at weight zero, rather than copy them.
        if n_unknown == len(unknown) and unlabelled_weight == 1.0:
            return self.rows
        weight = np.where(unknown, unlabelled_weight, 0.0)
        return ArrayRows(self.rows.X, weight if self.rows.sample_weight is None else weight * self.rows.sample_weight)

    def accumulate(self, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of one pass under `parameters`, about their means.

        Their log-likelihood is that of rows and labels together.
        """
        statistics = SufficientStatistics.zeros(parameters.structure, parameters.means)
        everything = slice(0, self.n_components)
        if self._known is not None:
            known = recentre(self._known, parameters.means)
            known.log_likelihood = expected_log_joint(known, parameters)
            add_part(statistics, known, everything)
        for rows, block in self._classes:
            add_part(statistics, rows.accumulate(components_of(parameters, block)), block)
        if self._unknown is not None:
            add_part(statistics, self._unknown.accumulate(parameters), everything)
        return statistics


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
