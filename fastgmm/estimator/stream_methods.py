"""Estimators on streams: batches that come one after the other and are not kept."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import validate_data

from fastgmm.callbacks import unchanged_on_failure
from fastgmm.data import ArrayRows, source_of
from fastgmm.em.stepwise import (
    averaged,
    averaging_share,
    blend,
    bounded_weight,
    step_size,
)
from fastgmm.estimator.fit_context import fit_context
from fastgmm.estimator.input_validation import DTYPES, check_sample_weight
from fastgmm.families import Family
from fastgmm.model import SufficientStatistics

__all__ = ["StreamMethods"]

# Of the first batch: later ones improve a start, but do not leave its local maximum.
N_STARTS = 10


class StreamMethods:
    """The part of a mixture estimator that learns from batches: `partial_fit`, by stepwise EM."""

    @fit_context()
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn from one batch of a stream, by stepwise EM.

        The first batch is fitted as `fit` does, from ten starts or more, and should have some tens of rows per
        component. With ``n`` the weight seen so far over that of the batch, every later one replaces the share
        ``2 / n ** 0.6`` of the statistics, a half at most, `forgetting` at least, and so little that the statistics
        never rest on fewer rows than they are numbers; the model is made of their running average. A model that
        `fit` made goes on as if its rows had been a stream.

        No batch makes up more than half of a component, and rows far from every component count in inverse proportion
        to their squared distance: a bad batch is one that later ones mend.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            One row or more; the first batch at least `n_components`, and two.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self
            Left as it was if the batch is refused. `statistics_` holds what has been learned, `n_samples_seen_` the
            weight of all rows; `n_iter_` counts batches.

        Raises
        ------
        ValueError
            If X is not valid, or a component collapses in the first batch
            (`fastgmm.exceptions.ComponentCollapseError`).

        References
        ----------
        Cappe and Moulines, "On-line expectation-maximization algorithm for latent data models", JRSS B 71 (2009),
        equation 11 and theorem 2. `fastgmm.em.stepwise` gives the formulas.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgmm import GaussianMixture
        >>> rng = np.random.default_rng(0)
        >>> model = GaussianMixture(2, random_state=0)
        >>> for _ in range(50):
        ...     batch = rng.normal(size=(200, 1)) + rng.choice([-5.0, 5.0], size=(200, 1))
        ...     model = model.partial_fit(batch)
        >>> sorted(model.means_[:, 0].round().tolist())
        [-5.0, 5.0]
        """
        with unchanged_on_failure(self):
            self._learn(X, sample_weight)
        return self

    def _learn(self: Any, X: Any, sample_weight: Any) -> None:
        if source_of(X) is not None:
            raise ValueError("X is a source, which is read again in every pass; expected an array. Use fit")
        if getattr(self, "noise", None) is not None:
            raise ValueError("noise is given and rows come in batches, which have no common box; expected noise=None")
        if not hasattr(self, "means_"):
            self._begin(X, sample_weight)
            return
        X = validate_data(self, X, reset=False, dtype=DTYPES, order="C")
        sample_weight = check_sample_weight(sample_weight, X.shape[0])
        weight = float(X.shape[0] if sample_weight is None else sample_weight.sum())
        dtype = self.means_.dtype
        average, latest = self._memory(weight)
        seen = (self.__dict__.get("n_samples_seen_") or weight) + weight
        family = self._fitted_family(average)
        fitted = family.state(vars(self))
        state = family.maximise(latest, fitted)
        batch = ArrayRows(X, bounded_weight(X, sample_weight, state)).accumulate(state)
        n_numbers = batch.counts.size + batch.sums.size + batch.scatter.size
        step = step_size(weight, seen, n_numbers, self.forgetting)
        latest = blend(latest, batch, state, weight, step, self.forgetting)
        average = averaged(average, latest, averaging_share(weight, seen, self.forgetting)).about(fitted.means)
        state = family.maximise(average, fitted)
        self._set_state(family, state, dtype)
        n_batches = self.n_iter_ + 1 if "statistics_" in self.__dict__ else 1
        self._remember(average, latest, seen, n_batches, family, state, dtype)

    def _begin(self: Any, X: Any, sample_weight: Any) -> None:
        with warnings.catch_warnings():
            # The first batch is where the stream starts, not where it ends.
            warnings.simplefilter("ignore", ConvergenceWarning)
            given = self.n_init
            self.n_init = max(given, N_STARTS)
            try:
                X = self._fit(X, sample_weight)
            finally:
                self.n_init = given
        sample_weight = check_sample_weight(sample_weight, X.shape[0])
        rows, family = ArrayRows(X, sample_weight), self._fitted_family()
        state = family.state(vars(self))
        memory = rows.accumulate(state)
        self._remember(memory, memory, rows.total_weight, 1, family, state, self.means_.dtype)

    def _remember(
        self: Any,
        average: SufficientStatistics,
        latest: SufficientStatistics,
        weight_seen: float,
        n_batches: int,
        family: Family,
        state: Any,
        dtype: np.dtype,
    ) -> None:
        self.statistics_, self._latest_statistics = average, latest
        self.n_samples_seen_ = weight_seen
        self.converged_, self.n_iter_, self.n_passes_ = False, n_batches, n_batches
        self.log_likelihood_gap_ = np.nan
        mean = average.log_likelihood / float(average.counts.sum())
        self.lower_bound_ = dtype.type(mean if family.bound is None else family.bound(average, state))
        self.lower_bounds_ = [self.lower_bound_]

    def _memory(self: Any, weight: float) -> tuple[SufficientStatistics, SufficientStatistics]:
        """Return average and latest statistics of the stream; made up for a model that was fitted otherwise."""
        family = self._fitted_family()
        state = family.state(vars(self))
        if "statistics_" not in self.__dict__:
            made_up = family.statistics_of(state, self.__dict__.get("n_samples_seen_") or weight)
            return made_up, made_up
        memory = self.statistics_, self.__dict__.get("_latest_statistics", self.statistics_)
        expected = SufficientStatistics.zeros(state.structure, state.means)
        for statistics in memory:
            for name in ("centres", "counts", "sums", "scatter"):
                found, shape = np.shape(getattr(statistics, name)), getattr(expected, name).shape
                if statistics.structure != state.structure or found != shape:
                    raise ValueError(
                        f"statistics_.{name} has shape {found} and structure {statistics.structure!r}; expected "
                        f"{shape} and {state.structure!r}, those of the fitted mixture"
                    )
        return memory
