"""A sample of rows of unknown number, drawn in one pass."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = ["Reservoir"]


class Reservoir:
    """Rows kept so far: of rows that weigh the same each with the same chance, otherwise in proportion to weight.

    Without weights, Vitter's algorithm R. With weights ``w``, priority sampling: the rows with the largest ``w / u``
    are kept, ``u`` uniform in (0, 1], and with ``t`` the largest that was not kept, a row stands for the weight
    ``max(w, t)``. Sums of these weights estimate sums of the rows' own without bias, a heavy row is not missed, and
    one of weight zero is never kept.

    Parameters
    ----------
    kept : ndarray of shape (n_rows, n_features)
        Room for the rows; written.
    random_state : RandomState

    References
    ----------
    Vitter, "Random sampling with a reservoir", ACM Transactions on Mathematical Software 11 (1985), algorithm R.
    Duffield, Lund and Thorup, "Priority sampling for estimation of arbitrary subset sums", JACM 54 (2007), section 2.
    """

    def __init__(self, kept: np.ndarray, random_state: np.random.RandomState) -> None:
        self.kept, self.random_state = kept, random_state
        self.numbers = np.empty(len(kept), dtype=np.int64)
        self.n_seen = 0
        # Of weighted rows, those kept; their number, and the largest priority that was not kept.
        self.weights, self.priorities = np.empty(len(kept)), np.empty(len(kept))
        self.n_kept, self.threshold = 0, -1.0
        self.weighted = False
        #: What rides along with the rows kept, by name.
        self.columns: dict[str, np.ndarray] = {}

    def add(
        self, block: np.ndarray, weight: np.ndarray | None = None, columns: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """See further rows, all with weights or all without, and what rides along with them."""
        first = self.n_seen
        for name, column in (columns or {}).items():
            if name not in self.columns:
                self.columns[name] = np.empty((len(self.kept), *column.shape[1:]), dtype=column.dtype)
            elif np.result_type(self.columns[name], column) != self.columns[name].dtype:
                # Strings of a later block may be longer.
                self.columns[name] = self.columns[name].astype(np.result_type(self.columns[name], column))
        self.n_seen += len(block)
        self.weighted = weight is not None
        if weight is None:
            self._add_alike(block, first)
        else:
            self._add_weighted(block, weight, first)
        for name, column in (columns or {}).items():
            new = np.flatnonzero(self.numbers[: self.n_kept] >= first)
            self.columns[name][new] = column[self.numbers[new] - first]

    def _add_alike(self, block: np.ndarray, first: int) -> None:
        size = len(self.kept)
        n_filling = min(max(size - first, 0), len(block))
        self.kept[first : first + n_filling] = block[:n_filling]
        self.numbers[first : first + n_filling] = np.arange(first, first + n_filling)
        self.n_kept += n_filling
        row_numbers = np.arange(first + n_filling, self.n_seen)
        if len(row_numbers) == 0:
            return
        place = (self.random_state.uniform(size=len(row_numbers)) * (row_numbers + 1)).astype(np.int64)
        # Of two rows for one place the later one stays, as if they came one by one.
        chosen = np.flatnonzero(place < size)[::-1]
        place, latest = np.unique(place[chosen], return_index=True)
        self.kept[place] = block[n_filling + chosen[latest]]
        self.numbers[place] = row_numbers[chosen[latest]]

    def _add_weighted(self, block: np.ndarray, weight: np.ndarray, first: int) -> None:
        if self.n_seen <= len(self.kept):
            self.kept[first : self.n_seen] = block
            self.weights[first : self.n_seen] = weight
            self.numbers[first : self.n_seen] = np.arange(first, self.n_seen)
            self.n_kept = self.n_seen
            return
        if self.threshold < 0.0:
            # The first that do not fit: chance begins here, with the rows before.
            self.priorities[:first] = self.weights[:first] / self._chances(first)
            self.threshold = 0.0
        priority = weight / self._chances(len(block))
        chosen = np.flatnonzero(priority > self.threshold)
        n_before, size = self.n_kept, len(self.kept)
        everyone = np.concatenate([self.priorities[:n_before], priority[chosen]])
        if len(everyone) > size:
            staying = np.argpartition(-everyone, size)
            self.threshold = float(everyone[staying[size]])
            staying = staying[:size]
        else:
            staying = np.arange(len(everyone))
        coming = staying[staying >= n_before]
        leaving = np.setdiff1d(np.arange(n_before), staying)
        places = np.concatenate([leaving, np.arange(n_before, len(staying))])
        source = chosen[coming - n_before]
        self.kept[places] = block[source]
        self.numbers[places], self.priorities[places], self.weights[places] = (
            first + source,
            everyone[coming],
            weight[source],
        )
        self.n_kept = len(staying)

    def _chances(self, n_rows: int) -> np.ndarray:
        return 1.0 - self.random_state.uniform(size=n_rows)

    def rows(self) -> tuple[np.ndarray, np.ndarray | None, dict[str, np.ndarray]]:
        """Return the rows kept, in the order they were seen, the weight each stands for, and what rides along."""
        if not self.weighted and self.n_seen <= len(self.kept):
            columns = {name: column[: self.n_kept] for name, column in self.columns.items()}
            return self.kept[: self.n_kept], None, columns
        order = np.argsort(self.numbers[: self.n_kept])
        weights = np.maximum(self.weights[order], self.threshold) if self.weighted else None
        return self.kept[order], weights, {name: column[order] for name, column in self.columns.items()}
