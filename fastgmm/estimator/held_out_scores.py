"""How rows score that a fit has not seen, where rows are few for their features.

A fit to few rows takes some of their noise for structure: the rows it has seen are more likely than new ones, and so
are rows drawn from the model. What new regular rows score is then learnt from rows held out, a fold at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

from fastgmm.data import ArrayRows
from fastgmm.exceptions import without_warnings

__all__ = ["are_few", "as_held_out", "held_out_quantiles"]

#: Rows per component and feature below which they are few, from so many features on.
FEW = {201: 10.0, 50: 2.0}
N_FOLDS = 5
#: Shares of the scores whose distance is their spread. Anomalies are among those below.
MIDDLE, UPPER = 0.5, 0.9


def are_few(total_weight: float, n_features: int, n_components: int) -> bool:
    """Return whether rows are so few for their features that new ones score lower than rows of the model."""
    least = next((least for many, least in FEW.items() if n_features >= many), 0.0)
    return total_weight < least * n_features * n_components


def held_out_quantiles(
    detector: Any, rows: ArrayRows, random_state: np.random.RandomState
) -> tuple[float, float] | None:
    """Return the quantiles `MIDDLE` and `UPPER` of rows' scores under fits to other rows; None where a fit fails.

    They are means over the folds, whose fits differ in level.

    Parameters
    ----------
    detector : estimator
        With the parameters of each fit.
    rows : ArrayRows
    random_state : RandomState
        By which rows are dealt to folds, and of the fits.
    """
    X, weight = rows.X, rows.sample_weight
    if weight is not None:
        # A weight is that many rows.
        X = np.repeat(X, np.round(weight).astype(np.int64), axis=0)
    fold, found = random_state.permutation(len(X)) % N_FOLDS, []
    for k in range(N_FOLDS):
        other = clone(detector).set_params(random_state=random_state.randint(2**31 - 1))
        with without_warnings(Warning):  # what there is to say, the fit to all rows says
            try:
                other.fit(X[fold != k])
            except ValueError:
                return None
        found.append(np.quantile(other.score_samples(X[fold == k]), [MIDDLE, UPPER]))
    middle, upper = np.mean(found, axis=0)
    return float(middle), float(upper)


def as_held_out(drawn: np.ndarray, quantiles: tuple[float, float]) -> np.ndarray:
    """Return scores of rows drawn from the model, moved and stretched to the quantiles of those held out."""
    own_middle, own_upper = np.quantile(drawn, [MIDDLE, UPPER])
    middle, upper = quantiles
    stretch = max((upper - middle) / max(own_upper - own_middle, np.finfo(np.float64).tiny), 1.0)
    return min(middle, own_middle) + (drawn - own_middle) * stretch
