"""How many components each class of a classifier has: as given, checked, or by the BIC of its labelled rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgmm.data import ArrayRows
from fastgmm.estimator.inner_mixture import inner_family, sensible_sizes, unconverged_too
from fastgmm.estimator.input_validation import check_weight_counts_rows
from fastgmm.starts.units import StartInUnits

__all__ = ["components_per_class"]


def components_per_class(
    estimator: Any,
    mixture_class: Any,
    rows: ArrayRows,
    labels: np.ndarray,
    classes: np.ndarray,
    random_state: np.random.RandomState,
) -> np.ndarray:
    """Return the number of components of each class, shape (n_classes,), int.

    Parameters
    ----------
    estimator : GaussianMixtureClassifier
        Whose ``n_components``, ``covariance_type``, ``reg_covar`` and ``max_components`` say which.
    mixture_class : type
        GaussianMixture or StudentMixture.
    rows : ArrayRows
    labels : ndarray of shape (n_samples,), int64
        Index of each row's class, -1 where it is unlabelled.
    classes : ndarray of shape (n_classes,)
    random_state : RandomState

    Raises
    ------
    ValueError
        If a class has fewer labelled rows than components, or `n_components` is no number for each class.
    """
    given = estimator.n_components
    names = classes.tolist()
    n_rows = np.bincount(labels[labels >= 0], minlength=len(classes))
    if not n_rows.all():
        empty = names[int(np.argmin(n_rows > 0))]
        raise ValueError(f"class {empty!r} has no labelled row of positive sample_weight; label one or drop it")
    if isinstance(given, str):
        check_weight_counts_rows(rows)
        return np.array(
            [_size_by_bic(estimator, mixture_class, rows, labels == c, random_state) for c in range(len(classes))]
        )
    sizes = np.asarray(given)
    if sizes.ndim == 0:
        sizes = np.full(len(classes), sizes)
    if sizes.shape != classes.shape or sizes.dtype.kind not in "iu" or sizes.min() < 1:
        raise ValueError(
            f"n_components is {given!r}; expected a positive int, one positive int for each of the "
            f"{len(classes)} classes, or 'bic'"
        )
    short = np.flatnonzero(n_rows < sizes)
    if len(short):
        c = int(short[0])
        raise ValueError(
            f"class {names[c]!r} has {n_rows[c]} labelled rows and n_components asks for {sizes[c]} components; "
            "label more rows or reduce n_components"
        )
    return sizes


def _size_by_bic(estimator: Any, mixture_class: Any, rows: ArrayRows, mask: np.ndarray, random_state: Any) -> int:
    X = rows.X[mask]
    weight = None if rows.sample_weight is None else rows.sample_weight[mask]
    total = float(len(X) if weight is None else weight.sum())
    given = estimator.covariance_type
    covariance_type = ("full" if given == "auto" else given) if isinstance(given, str) else given[0]
    family = inner_family(estimator, covariance_type)
    best = (np.inf, 1)
    for size in sensible_sizes(family, min(estimator.max_components, len(X)), X.shape[1], total):
        candidate = mixture_class(
            size,
            covariance_type=covariance_type,
            n_factors=estimator.n_factors,
            reg_covar=estimator.reg_covar,
            init_params=StartInUnits("kmeans"),
            random_state=random_state,
            missing=estimator.missing,
        )
        try:
            with unconverged_too():
                candidate.fit(X, sample_weight=weight)
                best = min(best, (candidate.bic(X, sample_weight=weight), size))
        except ValueError:
            break  # of one row, say
    return best[1]
