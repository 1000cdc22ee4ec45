"""Estimators on streams: batches that come one after the other and are not kept."""

from __future__ import annotations

from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from fastgmm.callbacks import unchanged_on_failure
from fastgmm.data import ArrayRows, source_of
from fastgmm.data.incomplete import density_for
from fastgmm.data.stream_sample import StreamSample
from fastgmm.em.stepwise import (
    averaged,
    averaging_share,
    blend,
    bounded_weight,
    step_size,
)
from fastgmm.estimator.absent_rows import without_absent
from fastgmm.estimator.fit_context import fit_context
from fastgmm.estimator.input_validation import DTYPES, check_sample_weight, is_as_read
from fastgmm.estimator.missing_values import counted_weight, finite_of
from fastgmm.exceptions import without_warnings
from fastgmm.families import Family
from fastgmm.model import SufficientStatistics
from fastgmm.starts.refit import are_refits_over, better_statistics, is_refit_due, sample_size

__all__ = ["StreamMethods"]

# Of the first batch: later ones improve a start, but do not leave its local maximum.
N_STARTS = 10
# Where a refit on some thousand rows follows, which leaves it: of mixtures with 3 to 12 components, streams of 3000
# rows ended 0.01 nats per row lower than from ten.
N_STARTS_REFITTED = 5


class StreamMethods:
    """The part of a mixture estimator that learns from batches: `partial_fit`, by stepwise EM."""

    @fit_context()
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn from one batch of a stream, by stepwise EM.

        The first batch is fitted as `fit` does, from five starts or more, and should have some tens of rows per
        component. A sample of the rows is kept, of 4000 rows or ``50 * n_components * (n_features + 2)``: when it is
        full, and once more at 32 times as many rows, EM and a search run on it, and the stream goes on from what they
        find where that is clearly better. The sample is pickled and saved with the model and dropped after the second
        time. There is none, but ten starts, with `forgetting` or a start that is given; and none in a model that `fit`
        made, of one component, or where it would be more than 8000 rows.

        With ``n`` the weight seen so far over that of the batch, every later one replaces the share
        ``2 / n ** 0.6`` of the statistics, a half at most, `forgetting` at least, and so little that the statistics
        never rest on fewer rows than they are numbers; the model is made of their running average. A model that
        `fit` made goes on as if its rows had been a stream.

        Callbacks that have ``on_batch``, such as `fastgmm.callbacks.DriftAlarm`, are told of every batch but the first
        and may leave it out.

        No batch makes up more than half of a component, and rows far from every component count in inverse proportion
        to their squared distance: a bad batch is one that later ones mend.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The batch, of one row or more. The first batch must have at least `n_components` rows, and at least two.
        y : Ignored
            Present for consistency with other scikit-learn estimators.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row; by default every row counts once.

        Returns
        -------
        self
            The estimator. If the batch is refused, the estimator stays as it was. `statistics_` holds what has been
            learned, `n_samples_seen_` the weight of all rows so far, and `n_iter_` the number of batches.

        Raises
        ------
        ValueError
            If X is not valid, or a component collapses in the first batch
            (`fastgmm.exceptions.ComponentCollapseError`).

        See Also
        --------
        fit : Learns from all rows at once.
        fastgmm.callbacks.DriftAlarm : Looks at each batch first.

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
        if getattr(self, "trim", 0.0) > 0.0 or getattr(self, "likelihood", "mixture") != "mixture":
            raise ValueError(
                f"trim is {self.trim:g} and likelihood {self.likelihood!r}, and rows come in batches, of which none is "
                "known to be least likely; expected trim=0.0 and likelihood='mixture'"
            )
        if not hasattr(self, "means_"):
            self._begin(X, sample_weight)
            return
        X = self._check_batch(without_absent(X, sample_weight, self))
        sample_weight = counted_weight(self, X, check_sample_weight(sample_weight, X.shape[0]))
        if sample_weight is not None and not sample_weight.any():
            return  # rows that miss everything
        # Beside scikit-learn's protocol: told of a batch before it is learned from.
        left_out = False
        for callback in vars(self).get("_skl_callbacks", ()):
            if hasattr(callback, "on_batch"):
                left_out |= bool(callback.on_batch(self, X, sample_weight))
        if left_out:
            return
        weight = float(X.shape[0] if sample_weight is None else sample_weight.sum())
        dtype = np.result_type(np.asarray(self.means_), np.float32)
        family = self._fitted_family()
        fitted = family.resume(family.state(vars(self)))
        average, latest = self._memory(family, fitted, weight)
        seen = (self.__dict__.get("n_samples_seen_") or weight) + weight
        family = self._fitted_family(average)
        keeps = family.keeps_statistics
        state = family.maximise(latest, fitted) if keeps else fitted
        density = density_for(X, family.density(state))
        sample_weight = bounded_weight(X, sample_weight, density)
        batch = ArrayRows(X, sample_weight).accumulate(density)
        n_numbers = batch.counts.size + batch.sums.size + batch.scatter.size
        step = step_size(weight, seen, n_numbers if keeps else n_numbers // X.shape[1], self.forgetting)
        latest = blend(latest, batch, density, weight, step, self.forgetting)
        if keeps:
            average = averaged(average, latest, averaging_share(weight, seen, self.forgetting)).about(fitted.means)
        else:
            average = latest
        state = family.maximise(average, fitted)
        sample = self._sample_with(X, sample_weight)
        if sample is not None and is_refit_due(sample.size, sample.n_seen - len(X), sample.n_seen):
            better = self._refit(sample, family, state, float(average.counts.sum()))
            if better is not None:
                average = latest = better[0]
                state = family.maximise(average, better[1] if family.has_tails else None)
        self._set_state(family, state, dtype)
        n_batches = self.n_iter_ + 1 if "statistics_" in self.__dict__ else 1
        self._remember(average, latest, seen, n_batches, family, state, dtype)
        self._keep(sample)

    def _check_batch(self: Any, X: Any) -> np.ndarray:
        """Return a batch as the kernels take it; the common case costs a few microseconds."""
        known = not hasattr(self, "feature_names_in_")
        if known and is_as_read(X) and X.shape[1] == np.shape(self.means_)[-1] == getattr(self, "n_features_in_", None):
            return X
        return validate_data(self, X, reset=False, dtype=DTYPES, order="C", ensure_all_finite=finite_of(self))

    def _begin(self: Any, X: Any, sample_weight: Any) -> None:
        is_refitted = self._is_start_named and not self.forgetting
        # The first batch is where the stream starts, not where it ends.
        with without_warnings(ConvergenceWarning):
            given = self.n_init
            self.n_init = max(given, N_STARTS_REFITTED if is_refitted else N_STARTS)
            try:
                X = self._fit(X, sample_weight)
            finally:
                self.n_init = given
        sample_weight = counted_weight(self, X, check_sample_weight(sample_weight, X.shape[0]))
        rows, family = ArrayRows(X, sample_weight), self._fitted_family()
        state = family.state(vars(self))
        memory = rows.accumulate(density_for(X, family.density(state)))
        # A bound is that of the state which these statistics make.
        state = state if family.bound is None else family.maximise(memory, state)
        self._remember(memory, memory, rows.total_weight, 1, family, state, self.means_.dtype)
        size = sample_size(*self.means_.shape)
        if size and is_refitted and family.keeps_statistics:
            seed = int(check_random_state(self.random_state).randint(1 << 31))
            self._keep(StreamSample.empty(size, X.shape[1], X.dtype, seed).with_rows(X, sample_weight))

    @property
    def _is_start_named(self: Any) -> bool:
        # Who gives memberships or parameters has said where the components are.
        given = (getattr(self, name, None) for name in ("weights_init", "means_init", "precisions_init"))
        return isinstance(self.init_params, str) and all(part is None for part in given)

    # Refits.

    def _sample_with(self: Any, X: np.ndarray, sample_weight: np.ndarray | None) -> StreamSample | None:
        """Return the sample of a stream with a batch added, or None where none is kept: what is forgotten stays so."""
        sample = self.__dict__.get("_stream_sample")
        if sample is None or self.forgetting:
            return None
        if sample.n_features != X.shape[1]:
            raise ValueError(
                f"_stream_sample has rows of {sample.n_features} features; expected {X.shape[1]}, those fitted to"
            )
        return sample.with_rows(X, sample_weight)

    def _keep(self: Any, sample: StreamSample | None) -> None:
        self.__dict__.pop("_stream_sample", None)
        if sample is not None and not are_refits_over(sample.size, sample.n_seen):
            self._stream_sample = sample

    def _refit(
        self: Any, sample: StreamSample, family: Family, state: Any, weight: float
    ) -> tuple[SufficientStatistics, Any] | None:
        """Return statistics, worth a weight, of a better state than that of the stream, and that state, or None."""
        rows = sample.worth(weight if self._weights_count_rows else None)
        random_state = np.random.RandomState((sample.seed + sample.n_seen) % (1 << 32))
        better = better_statistics(rows, family, state, partial(self._searched, family, random_state), sample.n_seen)
        if better is not None:
            better[0].scale(weight / float(better[0].counts.sum()))
        return better

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

    def _memory(
        self: Any, family: Family, state: Any, weight: float
    ) -> tuple[SufficientStatistics, SufficientStatistics]:
        """Return average and latest statistics of the stream; made up for a model that was fitted otherwise."""
        if "statistics_" not in self.__dict__ or not family.keeps_statistics:
            made_up = family.statistics_of(state, self.__dict__.get("n_samples_seen_") or weight)
            return made_up, made_up
        memory = self.statistics_, self.__dict__.get("_latest_statistics", self.statistics_)
        state = family.density(state)
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
