"""Fits to rows that were measured with errors, wherever the rows are."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.utils.validation import validate_data

from fastgmm.data import ArrayRows, Rows, source_of
from fastgmm.data.e_steps import ERRORS
from fastgmm.estimator.absent_rows import without_absent
from fastgmm.estimator.fit_context import fit_context
from fastgmm.estimator.input_validation import DTYPES
from fastgmm.estimator.likelihood_mixture import LikelihoodMixture
from fastgmm.estimator.measurement_errors import (
    check_common,
    check_errors,
    check_errors_along,
    check_own,
    filled,
    is_common,
)
from fastgmm.estimator.missing_values import takes_missing
from fastgmm.model.errors import Errors

__all__ = ["MeasuredFit"]


class MeasuredFit(LikelihoodMixture):
    """The part of a Gaussian mixture that is fitted to measured rows: the mixture is that of the true values."""

    @fit_context()
    def fit(  # type: ignore[override]
        self, X: Any, y: Any = None, sample_weight: Any = None, labels: Any = None, errors: Any = None
    ) -> Self:
        """Estimate the parameters from `n_init` starts and keep the best run.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), dask array or frame, or a source of `fastgmm.data`
            float32 and float64 are computed in their own precision; anything else becomes float64. A C-contiguous
            array or memory map is read in place. A source is read in every pass, a dask collection by its workers;
            starts are made from a sample.
        y : Ignored
            Present for consistency with other scikit-learn estimators.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative. An integer weight is a repeated row, a weight of zero an absent one.
        labels : array-like of shape (n_samples,), optional
            Known components, 0 to ``n_components - 1``, -1 where unknown: seeded clustering. A labelled row stays in
            its component; bounds are then the mean log-likelihood of rows and known components together. The start
            is k-means with those rows held in place; unknown components may have no labelled row. A source may bring
            labels of its own, see `fastgmm.data.parquet`.
        errors : array-like, optional
            Measurement errors of X, for extreme deconvolution: variances of shape (n_samples, n_features), covariances
            of shape (n_samples, n_features, n_features), or one covariance of shape (n_features, n_features) for all
            rows, in squared units of the data. The mixture is then that of the true values, and bounds are the mean
            log-likelihood of the measured ones. A value whose variance is infinite was not measured; X may have
            anything there, NaN included. Variances of shape (n_features,) are those of all rows as well. Beside a
            source, those of each row are an array over all rows, a dask collection in the blocks of X, or the names
            of the columns of a Spark frame; a source may bring them, see `fastgmm.data.parquet`.

        Returns
        -------
        self
            Left as it was if the fit fails or is interrupted.

        Raises
        ------
        ValueError
            If X, a weight, a label, an error or a parameter is not valid, or a component collapses in every run
            (`fastgmm.exceptions.ComponentCollapseError`).

        See Also
        --------
        predict : The most probable component of each row.
        partial_fit : Learns from one batch.
        """
        self._fit(X, sample_weight, labels, y, errors)
        return self

    def _fit(self, X: Any, sample_weight: Any, labels: Any = None, y: Any = None, errors: Any = None) -> Any:
        if errors is None or source_of(X) is not None:
            return super()._fit(X, sample_weight, labels, y, errors)
        self._check_takes_errors()
        X = without_absent(X, sample_weight)
        if not is_common(errors):
            errors = without_absent(errors, sample_weight)
        # Whatever stands where nothing was measured.
        rows = validate_data(self, X, dtype=DTYPES, order="C", ensure_min_samples=2, ensure_all_finite=False)
        names = getattr(self, "feature_names_in_", None)
        checked = check_errors(errors, *rows.shape)
        if takes_missing(self) and not checked.is_common:
            checked = checked.without(np.isnan(rows))
        read = super()._fit(filled(rows, checked), sample_weight, labels, y, checked)
        if names is not None:
            self.feature_names_in_ = names
        return read

    def _check_takes_errors(self) -> None:
        if self.noise is not None:
            raise ValueError(
                f"errors are given and noise is {self.noise!r}; expected one of the two, as a background of noise has "
                "no density of measured values. Use noise=None with a further component"
            )
        if self._trims:
            raise ValueError(
                f"errors are given, trim is {self.trim:g} and likelihood {self.likelihood!r}; expected errors=None, or "
                "trim=0.0 and likelihood='mixture': rows of large errors count for little by themselves"
            )

    def _along(self, labels: Any, errors: Any) -> dict[str, Any]:
        common = isinstance(errors, Errors) or (errors is not None and is_common(errors))
        return {**super()._along(labels, errors), ERRORS: None if common else errors}

    def _measured_rows(self, rows: Rows, sample: ArrayRows, errors: Any) -> tuple[Rows, ArrayRows, Errors | None]:
        if isinstance(errors, Errors):
            if not errors.is_common:
                rows = sample = sample.with_columns(**{ERRORS: errors.values})
            return rows, sample, errors
        if errors is not None and ERRORS not in sample.along:
            self._check_takes_errors()
            return rows, sample, check_common(errors, sample.n_features)
        if ERRORS not in sample.along:
            return rows, sample, None
        if errors is not None and is_common(errors):
            raise ValueError(
                f"errors are given and X, {rows.description}, brings errors with its rows; expected one of the two"
            )
        self._check_takes_errors()
        check_errors_along(rows, takes_missing(self))
        own = check_own(sample.along[ERRORS], *sample.X.shape)
        if takes_missing(self):
            own = own.without(np.isnan(sample.X))
        finite = ArrayRows(filled(sample.X, own), sample.sample_weight, {**sample.along, ERRORS: own.values})
        return rows, finite, own
