"""Rows completed for a start: what is missing is expected given the rest under one Gaussian, and EM then knows better.

A start has to say which rows belong together, no more. It is made, as of any rows, of rows in which what is missing is
replaced by its expectation given what is not under one Gaussian, fitted by EM with missing values itself. Of many
features with many patterns that would cost more than the fit, and each feature's mean is taken instead.
"""

from __future__ import annotations

import numpy as np

from fastgmm.data import ArrayRows, Rows
from fastgmm.data.census import Census
from fastgmm.data.e_steps import EStep, Incomplete, Plain
from fastgmm.data.incomplete import Marginalised
from fastgmm.data.patterns import Patterns
from fastgmm.data.standardised import CompletedRows, observed_moments
from fastgmm.em.run import run_em
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.families import Gaussian, get_covariance
from fastgmm.inference.imputing import expected_values
from fastgmm.model import MixtureParameters
from fastgmm.model.shapes import DIAGONAL, FULL

__all__ = ["completed", "incomplete", "one_gaussian", "without_empty"]

#: Rows the Gaussian is fitted to, passes over them, and the change of the bound that ends these, in nats per row.
FITTED_ROWS, MOST_PASSES, TOL = 4000, 50, 1e-3
#: Multiplications of a pass beyond which features are taken to be independent.
MOST_WORK = 2e9


def completed(rows: ArrayRows, random_state: np.random.RandomState) -> ArrayRows:
    """Return the rows with what is missing replaced by what one Gaussian expects; rows that miss nothing as they are.

    Parameters
    ----------
    rows : ArrayRows
        Every feature is there in some row of non-zero weight.
    random_state : RandomState
        Draws the rows that the Gaussian is fitted to.
    """
    gaussian = one_gaussian(rows, random_state)
    values = expected_values(rows.X, gaussian)
    # What the expectations lack of the scatter of the values themselves.
    expected, shape = rows.accumulate(Marginalised(gaussian)), gaussian.shape
    found = CompletedRows(values, rows.sample_weight, rows.along)
    own = found.accumulate_labels(np.zeros(rows.n_samples, dtype=np.int64), shape.name, gaussian.means)
    found.further_scatter = (expected.scatter - own.scatter)[0]
    return found


def incomplete(
    census: Census,
    e_step: EStep,
    rows: Rows,
    sample: ArrayRows,
    random_state: np.random.RandomState,
    whole: ArrayRows | None = None,
) -> tuple[EStep, Rows, ArrayRows]:
    """Return E-step and rows of a fit to rows that miss values, and the sample completed for its start.

    Parameters
    ----------
    census : Census
        Of the rows.
    e_step : EStep
        What is asked of rows that miss nothing.
    rows : Rows
    sample : ArrayRows
        All of them, or some of a source.
    random_state : RandomState
    whole : ArrayRows, optional
        The sample completed, where that has been done.
    """
    given, sample = sample, without_empty(sample)
    if whole is None:
        whole = completed(sample, random_state)
    if rows is not given:
        return Incomplete(e_step, census.empty_weight), rows, whole
    sample.allows_missing = True
    return Incomplete(e_step), sample, whole


def without_empty(rows: ArrayRows) -> ArrayRows:
    """Return the rows of an array with those that have nothing at weight zero: absent."""
    empty = np.isnan(rows.X).all(axis=1)
    if not empty.any():
        return rows
    weight = np.ones(rows.n_samples) if rows.sample_weight is None else rows.sample_weight
    return ArrayRows(rows.X, np.where(empty, 0.0, weight), rows.along)


def one_gaussian(rows: ArrayRows, random_state: np.random.RandomState) -> MixtureParameters:
    """Return one Gaussian fitted to rows that miss values, shrunk where rows are few for so many features."""
    means, variances = observed_moments(rows)
    variances = np.where(variances > 0, variances, 1.0)
    n_features, fitted = rows.n_features, rows.sample(FITTED_ROWS, random_state)
    if np.isnan(fitted.X).all(axis=0).any():
        fitted = rows
    shares = min(1.0, n_features / fitted.n_samples)
    shape = FULL if len(Patterns(fitted.X).sizes) * float(n_features) ** 3 <= MOST_WORK else DIAGONAL
    covariances = (np.diag(variances) if shape.is_matrix else variances)[None]
    start = MixtureParameters(shape.name, np.ones(1), means[None], covariances, shape.factorise(covariances))
    family = Gaussian(get_covariance(shape.name), np.maximum(shares, 1e-6) * variances, 1e-300)
    try:
        return run_em(fitted, Incomplete(Plain()), family, start, tol=TOL, max_iter=MOST_PASSES).state
    except ComponentCollapseError:
        return start
