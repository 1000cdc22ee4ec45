"""Do new rows still come from this mixture? Their mean log density against what it should be.

The mean of n log densities has nearly a Pearson distribution of type III (a gamma, shifted and scaled) with their first
three moments; for one Gaussian component exactly that, since its log density is minus half a chi-squared variable. So
a p-value is right for small batches too, of a few rows, where a normal one would be far off in the tails.

A mixture fitted to N rows is too sure of them: new rows of the same source score lower than its own draws, by the
number of its parameters over N on average, and that expectation is itself known to ``variance / N`` only.

References
----------
Akaike (1974), A new look at the statistical model identification, IEEE Transactions on Automatic Control 19: the two
halves of that difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammainc, gammaincc, ndtr

__all__ = ["Drift", "drift_of"]


@dataclass(frozen=True)
class Drift:
    """How far the score of a batch is from what the model expects.

    Attributes
    ----------
    score : float
        Mean log density of the batch, in nats per row.
    expected : float
        What it would be for rows like those that the model was fitted to.
    standard_error : float
        Of the difference, in nats per row.
    p_value : float
        Probability of a difference as large, either way, without drift: even between 0 and 1 then.
    n_rows : float
        Rows of the batch; with weights, the number of equal ones that say as much.

    See Also
    --------
    fastgmm.GaussianMixture.drift : Makes it.
    """

    score: float
    expected: float
    standard_error: float
    p_value: float
    n_rows: float


def drift_of(
    values: np.ndarray,
    sample_weight: np.ndarray | None,
    expected: np.ndarray,
    n_fitted: float = np.inf,
    n_parameters: int = 0,
) -> Drift:
    """Return the drift of a batch.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        Log densities of the batch, in nats.
    sample_weight : ndarray of shape (n_rows,), optional
    expected : ndarray of shape (n,)
        Log densities of rows without drift: of draws from the mixture, or of reference rows.
    n_fitted : float
        Rows that the mixture was fitted to; infinite where `expected` are of rows that it was not fitted to.
    n_parameters : int
        Of the mixture.

    Returns
    -------
    Drift
    """
    weight = np.ones(len(values)) if sample_weight is None else sample_weight
    n_rows = float(weight.sum() ** 2 / (weight @ weight))
    present = weight > 0  # a row of no weight may have no density
    score = float(weight[present] @ values[present] / weight.sum())
    centred = expected - expected.mean()
    squares = centred * centred
    variance = float(squares.sum()) / len(expected)
    error = float(np.sqrt(variance * (1.0 / n_rows + 1.0 / len(expected) + 1.0 / n_fitted)))
    mean = float(expected.mean()) - n_parameters / n_fitted
    if error == 0.0:
        return Drift(score, mean, error, float(score == mean), n_rows)
    skewness = float(squares @ centred) / len(expected) / n_rows**2 / error**3
    low, high = _pearson((score - mean) / error, skewness)
    return Drift(score, mean, error, min(1.0, 2.0 * min(low, high)), n_rows)


def _pearson(z: float, skewness: float) -> tuple[float, float]:
    """Return the probabilities below and above z of a variable of mean 0, variance 1 and this skewness."""
    if abs(skewness) < 1e-4:
        return float(ndtr(z)), float(ndtr(-z))
    shape = 4.0 / skewness**2
    at = max(shape + np.sign(skewness) * z * np.sqrt(shape), 0.0)
    tails = float(gammainc(shape, at)), float(gammaincc(shape, at))
    return tails if skewness > 0 else tails[::-1]
