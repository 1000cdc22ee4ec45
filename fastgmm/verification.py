"""Is this the speaker? Scores of adapted mixtures against the background that they were adapted from.

References
----------
Reynolds, Quatieri and Dunn (2000), Speaker verification using adapted Gaussian mixture models, Digital Signal
Processing 10, sections 3.3 and 4: the ratio, and why a few components are enough. Glembek, Burget, Dehak, Brummer and
Kenny (2009), Comparison of scoring methods used in speaker recognition with joint factor analysis, ICASSP, equation 15:
linear scoring. Campbell, Sturim and Reynolds (2006), Support vector machines using GMM supervectors for speaker
verification, IEEE Signal Processing Letters 13, equation 8.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgmm.data.incomplete import Marginalised
from fastgmm.estimator.missing_values import takes_missing
from fastgmm.estimator.mixture import BaseMixture
from fastgmm.estimator.reading import refuse_source
from fastgmm.estimator.statistics_methods import statistics_under
from fastgmm.inference.density import component_log_density, log_density
from fastgmm.model import SufficientStatistics
from fastgmm.model.moments import components_of

__all__ = ["linear_scores", "log_likelihood_ratio", "supervectors"]

FLOAT64 = np.dtype(np.float64)
# Values of the (rows, n_components) array in hand at a time.
BLOCK_VALUES = 1 << 18


def log_likelihood_ratio(adapted: Any, background: Any, X: Any, top: int | None = 5) -> Any:
    """Return how much likelier rows are under an adapted mixture than under its background, in nats per row.

    Parameters
    ----------
    adapted : fitted mixture, or a list of them
        The mixtures made by ``background.adapt(...)``, so that components correspond.
    background : fitted mixture
        The background mixture, fitted to everybody's rows.
    X : array-like of shape (n_samples, n_features)
        The rows of one utterance.
    top : int or None, default=5
        How many components score each row: those that give it the highest density in the background. None takes all of
        them, which makes the ratio exact. A few components give nearly the same ratio in a fraction of the time.

    Returns
    -------
    ratio : float, or ndarray of shape (n_models,) for a list
        Mean over rows of ``log p_adapted(x) - log p_background(x)``. Positive values speak for the adapted mixture.

    Raises
    ------
    ValueError
        If a mixture has other components than the background, or `top` is not positive.

    See Also
    --------
    linear_scores : An approximation for many trials.

    Examples
    --------
    >>> from fastgmm import GaussianMixture, log_likelihood_ratio
    >>> background = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [9.0]], [[[1.0]], [[1.0]]])
    >>> speaker = background.adapt([[1.0]] * 48)
    >>> round(log_likelihood_ratio(speaker, background, [[1.0], [1.2]]), 2)
    0.54
    """
    refuse_source(X, "log_likelihood_ratio")
    if top is not None and (not isinstance(top, Integral) or isinstance(top, bool) or top < 1):
        raise ValueError(f"top is {top!r}; expected a positive number of components, or None for all")
    own = _density(background, "background")
    many = isinstance(adapted, Sequence)
    densities = [_like(model, own) for model in (adapted if many else [adapted])]
    if takes_missing(background):
        own, densities = Marginalised(own), [Marginalised(density) for density in densities]
    rows = np.require(background._check_rows(X), np.float64, ["C", "A"]).view(np.ndarray)
    totals = np.zeros(len(densities))
    if top is None or top >= own.n_components:
        reference = log_density(rows, own, FLOAT64)
        for m, density in enumerate(densities):
            totals[m] = (log_density(rows, density, FLOAT64) - reference).sum()
    else:
        n_rows = max(1, BLOCK_VALUES // own.n_components)
        for start in range(0, len(rows), n_rows):
            totals += _ratios_by_top(rows[start : start + n_rows], own, densities, int(top))
    ratios = totals / len(rows)
    return ratios if many else float(ratios[0])


def _ratios_by_top(rows: np.ndarray, own: Any, densities: list[Any], top: int) -> np.ndarray:
    joint = component_log_density(rows, own)
    # The lowest number among equals, on every machine.
    chosen = np.argsort(-joint, axis=1, kind="stable")[:, :top]
    reference = np.logaddexp.reduce(np.take_along_axis(joint, chosen, axis=1), axis=1)
    flat = chosen.ravel()
    by_component = np.argsort(flat, kind="stable")
    bounds = np.searchsorted(flat[by_component], np.arange(own.n_components + 1))
    found = np.empty(len(densities))
    values = np.empty(flat.size)
    for m, density in enumerate(densities):
        for k, (low, high) in enumerate(pairwise(bounds)):
            if low < high:
                places = by_component[low:high]
                part = components_of(density, slice(k, k + 1))
                values[places] = log_density(np.ascontiguousarray(rows[places // top]), part, FLOAT64)
        found[m] = (np.logaddexp.reduce(values.reshape(-1, top), axis=1) - reference).sum()
    return found


def linear_scores(models: Any, background: Any, statistics: Any, normalise: bool = True) -> np.ndarray:
    """Return the scores of utterances under adapted mixtures from their statistics alone.

    This approximates the log-likelihood ratio to first order in how far the means were moved. Once the statistics of an
    utterance are known, each model costs a product of two vectors, so thousands of trials take milliseconds.

    Parameters
    ----------
    models : fitted mixture, or a list of them
        Mixtures adapted from the background. Only their means matter.
    background : fitted mixture
        The background mixture, fitted to everybody's rows.
    statistics : SufficientStatistics, or a list of them
        ``background.statistics(X)`` of each utterance.
    normalise : bool, default=True
        Whether to divide by the weight of the utterance's rows.

    Returns
    -------
    scores : ndarray of shape (n_models, n_statistics), float64
        ``sum_k (m_k - mu_k)^T Sigma_k^-1 F_k``, with F the sums about the means of the background.

    Raises
    ------
    ValueError
        If a mixture or statistics have other sizes than the background.

    See Also
    --------
    log_likelihood_ratio : The exact score.

    Examples
    --------
    >>> from fastgmm import GaussianMixture, linear_scores
    >>> background = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [9.0]], [[[1.0]], [[1.0]]])
    >>> speaker = background.adapt([[1.0]] * 48)
    >>> utterances = [background.statistics([[1.0], [1.2]]), background.statistics([[-1.0]])]
    >>> linear_scores(speaker, background, utterances).round(3)
    array([[ 0.825, -0.75 ]])
    """
    own = _density(background, "background")
    parts = [statistics] if isinstance(statistics, SufficientStatistics) else list(statistics)
    _check_any("models", models)
    _check_any("statistics", parts)
    for part in parts:
        if not isinstance(part, SufficientStatistics):
            raise TypeError(f"statistics holds a {type(part).__name__}; expected what background.statistics(X) returns")
    mixture = getattr(own, "mixture", own)
    n_components, shape = mixture.n_components, mixture.shape
    moved = np.array([means - mixture.means for means in _means_of(models, own)])
    sums = np.array(
        [statistics_under(own, part, f"statistics[{i}]").sums[:n_components] for i, part in enumerate(parts)]
    )
    left, right = (shape.whitened(vectors, mixture.precisions_cholesky) for vectors in (moved, sums))
    scores = left.reshape(len(left), -1) @ right.reshape(len(right), -1).T
    if normalise:
        scores /= [max(float(part.counts.sum()), np.finfo(np.float64).tiny) for part in parts]
    return scores


def supervectors(models: Any, background: Any = None) -> np.ndarray:
    """Return the means of each mixture as one long vector, for classifiers of vectors.

    Parameters
    ----------
    models : fitted mixture, or a list of them
        Mixtures with the same numbers of components and features.
    background : fitted mixture, optional
        The mixture that they were adapted from. Means are then measured from its means, in units of its components,
        times the root of their weights. The squared distance of two such vectors is twice an upper bound on the
        divergence of the two mixtures (Campbell et al. 2006), which is what a linear support vector machine wants.

    Returns
    -------
    vectors : ndarray of shape (n_models, n_components * n_features), float64
        One row for each model, component after component.

    Raises
    ------
    ValueError
        If the sizes of the mixtures differ.

    See Also
    --------
    log_likelihood_ratio : Scores rows instead of models.

    Examples
    --------
    >>> from fastgmm import GaussianMixture, supervectors
    >>> background = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [90.0]], [[[4.0]], [[4.0]]])
    >>> supervectors(background.adapt([[2.0]] * 48), background).round(3)
    array([[0.53, 0.  ]])
    """
    _check_any("models", models)
    if background is None:
        first = models[0] if isinstance(models, Sequence) else models
        means = np.array(list(_means_of(models, _density(first, "models"))))
    else:
        own = _density(background, "background")
        mixture = getattr(own, "mixture", own)
        moved = np.array([means - mixture.means for means in _means_of(models, own)])
        means = mixture.shape.whitened(moved, mixture.precisions_cholesky) * np.sqrt(mixture.weights)[:, None]
    return means.reshape(len(means), -1)


def _check_any(name: str, given: Any) -> None:
    if isinstance(given, Sequence) and not given:
        raise ValueError(f"{name} is empty; expected at least one of them, alone or in a list")


def _means_of(models: Any, background: Any) -> Iterator[np.ndarray]:
    for model in models if isinstance(models, Sequence) else [models]:
        density = _like(model, background)
        yield getattr(density, "mixture", density).means


def _density(model: Any, name: str) -> Any:
    """Return the density of a fitted mixture; `name` is for messages."""
    if not isinstance(model, BaseMixture):
        raise TypeError(f"{name} is a {type(model).__name__}; expected a fitted mixture of fastgmm")
    check_is_fitted(model)
    return model._fitted_family().density(model._fitted_state())


def _like(model: Any, background: Any) -> Any:
    """Return the density of an adapted mixture, checked to have the sizes of the background."""
    density = _density(model, "a model")
    if density.means.shape != background.means.shape:
        raise ValueError(
            f"a model has (n_components, n_features) = {density.means.shape}; expected {background.means.shape}, those "
            "of the background. Make models with background.adapt(...)"
        )
    return density
