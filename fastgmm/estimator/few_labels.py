"""What a classifier tries where labels are few: fewer parameters, heavier tails, and starts from all rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["FEW_PER_FEATURE", "Trial", "trials_of"]

#: Labelled rows of a component and feature below which labels are few.
FEW_PER_FEATURE = 2.0


@dataclass(frozen=True)
class Trial:
    """One fit of a classifier.

    Attributes
    ----------
    covariance_type : str
    heavy : bool
        Whether the components are t components.
    shrinkage : float
    from_classes : bool
        Whether it starts from the classes that the first trial with the same tails gave to all rows, not from labels.
    """

    covariance_type: str
    heavy: bool
    shrinkage: float
    from_classes: bool = False


def trials_of(estimator: Any, counts: np.ndarray, sizes: np.ndarray, n_features: int, n_rows: float) -> list[Trial]:
    """Return the fits that a classifier chooses among by BIC.

    Parameters
    ----------
    estimator : GaussianMixtureClassifier
        Its `covariance_type`, `distribution`, `shrinkage` and `unlabelled_weight` say what is given.
    counts : ndarray of shape (n_classes,)
        Weight of the labelled rows of each class.
    sizes : ndarray of shape (n_classes,)
        Number of components of each class.
    n_features : int
    n_rows : float
        Weight of all rows.

    Returns
    -------
    list of Trial
        At least one. Where the choice is left to the estimator and labels are few among other rows, axes of one shape
        for all classes come first (EEI, which no change of units affects): what they make of all rows is a start for
        covariances with more parameters, which a labelled row or two per class rarely lead to their best optimum.
    """
    given, heavy = estimator.covariance_type, estimator.distribution == "student"
    if not isinstance(given, str):
        return [Trial(name, heavy, estimator.shrinkage) for name in given]
    unlabelled = n_rows > counts.sum() * (1.0 + 1e-9) and estimator.unlabelled_weight
    few = (counts < FEW_PER_FEATURE * n_features * sizes).any()
    # Weights that sum to one say nothing of how many rows there are, which BIC has to know.
    if given != "auto" or not (unlabelled and few and n_rows > 1.0 + 1e-9):
        return [Trial("full" if given == "auto" else given, heavy, estimator.shrinkage)]
    trials = []
    for tails in [heavy] if estimator.distribution != "auto" or estimator.shrinkage else [False, True]:
        # t components have no pooled rows.
        shrinkage = 0.0 if tails else estimator.shrinkage or 0.5 * n_features
        # Of one feature, EEI and tied are the same.
        trials.append(Trial("EEI" if n_features > 1 else "tied", tails, shrinkage))
        for name in ("tied", "full") if n_features > 1 else ("full",):
            trials += [Trial(name, tails, shrinkage, from_classes) for from_classes in (False, True)]
    return trials
