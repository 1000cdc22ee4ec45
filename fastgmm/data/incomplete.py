"""Densities at rows with missing values (NaN), whose coordinates are integrated out.

`Marginalised` stands wherever the kernels take a mixture. Rows that miss nothing meet the mixture itself; those of one
pattern the mixture that is left on the features they have (`fastgmm.model.marginals`), in the same fused pass. Where
patterns have a few rows each, as when every row has its own, the rows are taken together (`each_by_itself`). A row
without any feature has density one, and leaves nothing in statistics.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import chdtrc, chdtri

from fastgmm import kernels
from fastgmm.data import each_by_itself, incomplete_by_factors
from fastgmm.data.checks import is_finite
from fastgmm.data.patterns import PatternedRows, Patterns, patterns_of
from fastgmm.model import SufficientStatistics
from fastgmm.model.marginals import Marginals
from fastgmm.model.moments import components_of

__all__ = ["Marginalised", "density_for", "rows_worth_a_pass"]

#: What a pass over a pattern costs beside its rows, and what a row costs by itself: in all cases, and for the matrices
#: of 8 components in 16 features, or their diagonals. Measured on one thread, in microseconds.
PASS_COST, ROW_COST, MATRIX_COST, DIAGONAL_COST = 190.0, 0.1, 0.4, 0.04


def rows_worth_a_pass(n_components: int, n_features: int, is_matrix: bool) -> float:
    """Return how many rows of a pattern, or of the same errors, cost as much one by one as a pass of their own."""
    if is_matrix:
        cost = MATRIX_COST * n_components * n_features**3 / (8 * 16**3)
    else:
        cost = DIAGONAL_COST * n_components * n_features / (8 * 16)
    return PASS_COST / (ROW_COST + cost)


class Marginalised:
    """A density that can be asked about rows with missing values; what the kernels read is that of all features.

    Parameters
    ----------
    density : object with what the kernels read
        A mixture, one beside a background, a posterior, or some of its components.
    """

    def __init__(self, density: Any, marginals: Marginals | None = None) -> None:
        self.density = density
        self._marginals = marginals

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("density", "_marginals"):
            raise AttributeError(name)
        return getattr(self.density, name)

    def __reduce__(self) -> Any:
        return Marginalised, (self.density, self._marginals)

    @property
    def marginals(self) -> Marginals:
        """Of the density; what they have in common is computed when the first is asked for."""
        if self._marginals is None:
            box = getattr(self.density, "box", None)
            self._marginals = Marginals(self.density, box, None if box is None else self.density.background)
        return self._marginals

    @property
    def _each(self) -> Any:
        """The passes over rows that are taken together."""
        return each_by_itself if self.density.shape.n_factors is None else incomplete_by_factors

    def part(self, chosen: Any, log_offset: Any) -> Marginalised:
        """Return the components `chosen` by themselves; see `fastgmm.model.moments.components_of`."""
        part = components_of(self.density, chosen, log_offset)
        return Marginalised(part, self.marginals.take(chosen, part))

    def on_engine(self, action: str) -> Marginalised:
        """Return this density, whose passes are made of those of the engine."""
        return self

    # The passes of a mixture, as `fastgmm.kernels` has them.

    def accumulate(
        self,
        X: np.ndarray,
        sample_weight: np.ndarray | None,
        counts: np.ndarray,
        sums: np.ndarray,
        scatter: np.ndarray,
        n_threads: int,
        tail_sums: np.ndarray | None = None,
    ) -> float:
        """Add one pass over X to statistics about the means, completed by what is expected of missing values."""
        patterns = _patterns_of(X)
        whole = SufficientStatistics(
            self.density.structure, self.density.means, counts, sums, scatter, tail_sums=tail_sums
        )
        if patterns is None:
            kernels.accumulate(np.asarray(X), sample_weight, self.density, whole)
            return whole.log_likelihood
        together, apart = self._split(patterns)
        for pattern in together:
            group = patterns.group(pattern)
            weight = None if sample_weight is None else sample_weight[group.index]
            if group.mask.all():
                kernels.accumulate(group.values, weight, self.density, whole)
                continue
            marginal = self.marginals.of(group.mask)
            part = SufficientStatistics.zeros(
                self.density.structure, marginal.density.means, getattr(self.density, "tail", None)
            )
            kernels.accumulate(group.values, weight, marginal.density, part)
            self.marginals.add_completed(part, marginal, whole)
            whole.log_likelihood += part.log_likelihood
        self._each.accumulate(self.marginals, patterns, apart, sample_weight, whole)
        return whole.log_likelihood

    def log_density(self, X: np.ndarray, out: np.ndarray, n_threads: int) -> None:
        """Write the log density of what each row has; zero where it has nothing."""
        self._ask("log_density", X, out, 0.0)

    def responsibilities(self, X: np.ndarray, out: np.ndarray, n_threads: int) -> None:
        """Write the posterior probabilities given what each row has; the weights where it has nothing."""
        self._ask("responsibilities", X, out, self.prior)

    def assign(self, X: np.ndarray, out: np.ndarray, n_threads: int) -> None:
        """Write the most probable component given what each row has."""
        self._ask("assign", X, out, self.prior.argmax())

    def squared_distances(self, X: np.ndarray) -> np.ndarray:
        """Return squared Mahalanobis distances in what each row has, (n_rows, n_components), float64.

        Of rows that miss something; others are not looked at, and have zeros.
        """
        out, patterns = np.zeros((len(X), self.density.n_components)), patterns_of(X)
        chosen = np.flatnonzero(~patterns.masks.all(axis=1) & patterns.masks.any(axis=1))
        for some in self._each.blocks(self.marginals, patterns, chosen):
            out[np.ix_(some.index, self.marginals.own_index)] = some.squares
        return out

    def comparable_distances(self, X: np.ndarray) -> np.ndarray:
        """Return the squared distances that are as rare in all features as a row's are in those it has.

        Of rows that miss something, (n_rows, n_components), float64.
        """
        squares, n_observed = self.squared_distances(X), np.count_nonzero(~np.isnan(X), axis=1)[:, None]
        rarity = chdtrc(np.maximum(n_observed, 1), squares)
        # Beyond the range of the probabilities, where the chi-squared distributions differ least.
        far = rarity < 1e-280
        return np.where(
            far,
            squares + self.density.n_features - n_observed,
            chdtri(self.density.n_features, np.where(far, 0.5, rarity)),
        )

    def comparable_log_density(self, X: np.ndarray) -> np.ndarray:
        """Return log densities, of rows that miss something those at distances that are as rare in all features.

        A marginal density is one per unit of fewer features, and is not to be compared with one of others. Of one
        component, the rank among rows is that of the probability of a row as far out; of several, nearly so.
        """
        missing = np.isnan(X).any(axis=1)
        out = np.empty(len(X))
        whole = np.ascontiguousarray(X[~missing])
        out[~missing] = kernels.log_density(whole, self.density, np.empty(len(whole), dtype=whole.dtype))
        if missing.any():
            squares = self.comparable_distances(np.ascontiguousarray(X[missing]))
            out[missing] = np.logaddexp.reduce(self.density.log_offset - 0.5 * squares, axis=1)
        return out

    def _ask(self, question: str, X: np.ndarray, out: np.ndarray, nothing: Any) -> None:
        patterns, whole = _patterns_of(X), getattr(kernels, question)
        if patterns is None:
            whole(np.asarray(X), self.density, out)
            return
        out[patterns.rows(np.flatnonzero(~patterns.masks.any(axis=1)))[0]] = nothing
        together, apart = self._split(patterns)
        for pattern in together:
            group = patterns.group(pattern)
            density = self.density if group.mask.all() else self.marginals.of(group.mask).density
            found = np.empty((len(group.index), *out.shape[1:]), dtype=out.dtype)
            out[group.index] = whole(group.values, density, found)
        self._each.answer(question, self.marginals, patterns, apart, out)

    @property
    def prior(self) -> np.ndarray:
        """Posterior probabilities of a row that has nothing: the weights."""
        marginals = self.marginals
        none = np.zeros(marginals.n_features, dtype=bool)
        offset = marginals.log_offsets(np.array(0), np.zeros(len(marginals.means)))
        if marginals.background is not None:
            offset = np.insert(offset, marginals.background, marginals.background_offset(none))
        share = np.exp(offset - offset.max())
        return share / share.sum()

    def _split(self, patterns: Patterns) -> tuple[np.ndarray, np.ndarray]:
        """Return the patterns whose rows have a pass of their own, and those taken together with others."""
        if self.marginals.shape.n_factors is not None:
            return patterns.split(np.inf)  # by factors, the rows of a pattern are few products as well
        n_components, n_features = self.marginals.means.shape
        return patterns.split(rows_worth_a_pass(n_components, n_features, self.marginals.shape.is_matrix))


def density_for(X: np.ndarray, density: Any) -> Any:
    """Return a density that can be asked about these rows: the one given, where they miss nothing."""
    return Marginalised(density) if np.isnan(X).any() else density


def _patterns_of(X: np.ndarray) -> Patterns | None:
    """Return what the rows miss, None if they miss nothing."""
    if not isinstance(X, PatternedRows) and is_finite(X):
        return None
    patterns = patterns_of(X)
    return None if patterns.is_complete else patterns
