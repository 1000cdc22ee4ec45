"""A mixture whose parameters are estimates: what is known of a new row is less than the mixture itself says.

A component that was fitted to n rows has its mean and covariance from these alone. Under the usual vague prior a
further row of it is then distributed as Student's t about the mean, with ``n - d + 1`` degrees of freedom in d features
and a scale that is ``(1 + 1 / n) n / (n - d + 1)`` times the covariance. Given some features of the row, the others are
t-distributed as well, the wider the farther out it is: that is the uncertainty of a regression's coefficients.

References
----------
Gelman, Carlin, Stern, Dunson, Vehtari and Rubin, Bayesian Data Analysis (2013), section 3.6.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from fastgmm.kernels import StudentTail
from fastgmm.model import MixtureParameters
from fastgmm.model.moments import Components

__all__ = ["predicted_by_estimates"]

#: Fewest degrees of freedom, at which variance and kurtosis of what is drawn are finite: of more features than rows.
FEWEST = 4.0


def predicted_by_estimates(parameters: MixtureParameters, n_rows: float) -> Components:
    """Return the distribution of a new row of a mixture fitted to `n_rows` rows: Student components.

    Parameters
    ----------
    parameters : MixtureParameters
    n_rows : float
        Where rows missed values, those that had both of two features.
    """
    (k, d), shape = parameters.means.shape, parameters.shape
    counts = np.maximum(np.full(k, n_rows) if shape.is_shared else n_rows * parameters.weights, 1.0)
    own = np.maximum(counts - d + 1.0 if shape.is_matrix else counts, FEWEST)
    spread = (1.0 + 1.0 / counts) * np.maximum(counts / own, 1.0)
    factor, shape = shape.untie(parameters.precisions_cholesky, k), shape.per_component
    factor = np.ascontiguousarray(factor / shape.each(np.sqrt(spread)))
    with np.errstate(divide="ignore"):
        offset = np.log(parameters.weights) + shape.half_log_det(factor, k, d)
    offset += gammaln(0.5 * (own + d)) - gammaln(0.5 * own) - 0.5 * d * np.log(np.pi * own)
    return Components(shape.name, offset, parameters.means, factor, StudentTail(own))
