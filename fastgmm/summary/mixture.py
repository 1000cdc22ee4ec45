"""A fitted mixture in words: size, weights, overlap, convergence, and what to beware of."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgmm.inference.divergence import bhattacharyya
from fastgmm.model import get_shape
from fastgmm.summary.text import labelled_line

__all__ = [
    "count_of",
    "facts_of",
    "full_covariances",
    "overlap_bound",
    "row_weights",
    "table",
]

# Pairs cost K^2 factorisations of D x D.
MOST_COMPONENTS = 64
# Means of those beyond are left out of the table.
MOST_FEATURES = 6
# What is below is told as such.
LEAST_OVERLAP = 1e-4
# Beyond this, a component's density and its inverse have lost most of their digits.
LARGEST_CONDITION = 1e12


def facts_of(model: Any, X: Any = None, sample_weight: Any = None) -> tuple[str, list[str]]:
    """Return a title and the lines of what there is to say about a mixture, beside the table of its components."""
    check_is_fitted(model)
    n_components, n_features = np.shape(model.means_)
    kind = model._covariance.shape.name
    family = "" if model.covariance_type == kind else f" ({model.covariance_type})"
    if "loadings_" in vars(model):
        kind, family = model.covariance_type, f" of {count_of(np.shape(model.loadings_)[2], 'factor')}"
    title = (
        f"{type(model).__name__}: {count_of(n_components, 'component')}, {kind} covariance{family}, "
        f"{count_of(n_features, 'feature')}"
    )
    lines = [labelled_line("parameters", _parameters(model))]
    # Of one that was put together from parameters, or fitted inside another estimator, nothing is known.
    if np.isfinite(getattr(model, "lower_bound_", np.nan)) or not getattr(model, "n_iter_", 0):
        lines.append(labelled_line("convergence", _convergence(model)))
    noise_weight = getattr(model._fitted_state(), "noise_weight", 0.0)
    if noise_weight:
        lines.append(labelled_line("noise", f"{noise_weight:.1%} of the rows"))
    if hasattr(model, "df_"):
        df = [f"{value:.3g}" for value in np.unique(model.df_)]
        listed = df[0] if len(df) == 1 else f"{df[0]} to {df[-1]}"
        lines.append(labelled_line("tails", f"{listed} degrees of freedom"))
    elif 1 < n_components <= MOST_COMPONENTS:
        lines.append(labelled_line("overlap", _overlap(model)))
    return title, lines + [labelled_line("warning", text) for text in _warnings(model, X, sample_weight)]


def count_of(n: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _parameters(model: Any) -> str:
    weights = np.asarray(model.weights_, dtype=np.float64)
    weights = weights[weights > 0] / weights.sum()
    effective = float(np.exp(-(weights * np.log(weights)).sum()))
    words = f"weights as even as those of {effective:.2f} equal components (exponential of their entropy)"
    if hasattr(model, "_n_parameters"):
        return f"{model._n_parameters()} free ones; {words}"
    return words


def _convergence(model: Any) -> str:
    if not getattr(model, "n_iter_", 0):
        return "EM made no iteration"
    if getattr(model, "stopped_", False) and not model.converged_:
        end = "a callback ended EM after"
    else:
        end = "EM converged after" if model.converged_ else "EM did not converge in"
    # Of a posterior mode and of a variational fit, the bound is more than the likelihood.
    plain = getattr(model, "prior", None) is None and not hasattr(model, "weight_concentration_")
    name = "mean log-likelihood" if plain else "lower bound"
    return f"{end} {count_of(model.n_iter_, 'iteration')}; {name} {float(model.lower_bound_):.6g}"


def full_covariances(model: Any) -> np.ndarray:
    """Return a covariance or scale matrix per component, shape (n_components, n_features, n_features)."""
    # scikit-learn's mixtures have the shape that their type names.
    shape = model._covariance.shape if hasattr(model, "_covariance") else get_shape(model.covariance_type)
    # Of components with tails the scales, which are finite whatever the tails.
    matrices = model.scales_ if hasattr(model, "scales_") else model.covariances_
    return shape.full(np.asarray(matrices, dtype=np.float64), *np.shape(model.means_))


def overlap_bound(model: Any) -> np.ndarray:
    """Return an upper bound on how often rows of two components are taken for each other.

    Parameters
    ----------
    model : fitted mixture

    Returns
    -------
    bound : ndarray of shape (n_components, n_components)
        For rows drawn from the components i and j alone, in the proportion of their weights, an upper bound on the
        share that the better choice between the two gets wrong; at most one half. Zero on the diagonal.

    References
    ----------
    Kailath, "The divergence and Bhattacharyya distance measures in signal selection", IEEE Transactions on
    Communication Technology 15 (1967): the error is at most ``sqrt(p q) exp(-distance)``.
    """
    weights, means = np.asarray(model.weights_, dtype=np.float64), np.asarray(model.means_, dtype=np.float64)
    if hasattr(model, "loadings_"):
        shares = weights[: len(means), None] / np.maximum(weights[: len(means), None] + weights[: len(means)], 1e-300)
        bound = np.sqrt(shares * (1.0 - shares)) * np.exp(-bhattacharyya(*[model._gaussian()] * 2))
        np.fill_diagonal(bound, 0.0)
        return bound
    covariances = full_covariances(model)
    n_components = len(weights)
    # What a covariance lost to rounding when it was stored may leave it an eigenvalue below zero.
    rounding = np.finfo(np.result_type(np.asarray(model.means_), np.float32)).eps

    def spread(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        variances, axes = np.linalg.eigh(matrix)
        return np.maximum(variances, rounding * variances[-1]), axes

    log_det = [np.log(spread(covariance)[0]).sum() for covariance in covariances]
    bound = np.zeros((n_components, n_components))
    for i in range(n_components):
        for j in range(i):
            pair = weights[i] + weights[j]
            if not pair > 0:
                continue
            variances, axes = spread((covariances[i] + covariances[j]) / 2.0)
            shift = (means[i] - means[j]) @ axes
            middle_log_det = np.log(variances).sum()
            distance = shift @ (shift / variances) / 8.0 + (middle_log_det - (log_det[i] + log_det[j]) / 2.0) / 2.0
            share = np.sqrt(weights[i] * weights[j]) / pair * np.exp(-distance)
            bound[i, j] = bound[j, i] = share
    return bound


def _overlap(model: Any) -> str:
    bound = overlap_bound(model)
    i, j = sorted(np.unravel_index(bound.argmax(), bound.shape))
    if not bound[i, j] > 0:
        return "no two components overlap"
    if bound[i, j] < LEAST_OVERLAP:
        return f"fewer than {LEAST_OVERLAP:.2%} of the rows may be assigned to the wrong component"
    pair = f"components {i} and {j} overlap" + (" most" if len(bound) > 2 else "")
    return f"{pair}: up to {100.0 * bound[i, j]:.2g}% of their rows may be assigned to the wrong one"


def _extreme_variances(model: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest variance of each component in any direction; bounds, of many features."""
    if hasattr(model, "loadings_"):
        loadings, noise = (np.asarray(part, dtype=np.float64) for part in (model.loadings_, model.noise_variances_))
        explained = np.linalg.norm(loadings, ord=2, axis=(1, 2)) ** 2 if loadings.shape[2] else 0.0
        return noise.min(axis=1), noise.max(axis=1) + explained
    eigenvalues = np.linalg.eigvalsh(full_covariances(model))
    return eigenvalues[:, 0], eigenvalues[:, -1]


def _warnings(model: Any, X: Any, sample_weight: Any) -> list[str]:
    found = []
    n_features = np.shape(model.means_)[1]
    if (
        getattr(model, "n_iter_", 0)
        and not model.converged_
        and np.isfinite(model.lower_bound_)
        and not getattr(model, "stopped_", False)
    ):
        found.append("EM did not converge; increase max_iter or tol")
    smallest, largest = _extreme_variances(model)
    condition = largest / np.maximum(smallest, 1e-300)
    reg_covar = getattr(model, "reg_covar", 0.0)
    if isinstance(reg_covar, str):
        reg_covar = float(np.min(getattr(model, "reg_covar_", 0.0)))
    at_floor = np.flatnonzero(smallest <= 2.0 * reg_covar)
    if len(at_floor):
        found.append(
            f"{_listed(at_floor, 'has a variance', 'have variances')} made up of reg_covar = {reg_covar:g} alone; "
            "reduce n_components, or scale the data"
        )
    ill = np.flatnonzero(condition > LARGEST_CONDITION)
    if len(ill):
        which = _listed(ill, "has a covariance", "have covariances")
        found.append(
            f"{which} close to singular (condition number {condition[ill].max():.0e}), so log densities have few "
            "correct digits; scale or drop features"
        )
    if X is not None and "loadings_" not in vars(model):
        counts = _sizes(model, X, sample_weight)
        few = np.flatnonzero(counts <= n_features)
        if len(few):
            found.append(f"{_listed(few, 'has', 'have')} no more rows than there are features; reduce n_components")
    return found


def _listed(components: np.ndarray, verb: str, verbs: str, most: int = 5) -> str:
    words = ", ".join(map(str, components[:most]))
    more = "" if len(components) <= most else f" and {len(components) - most} more"
    return f"component {words} {verb}" if len(components) == 1 else f"components {words}{more} {verbs}"


def row_weights(X: Any, sample_weight: Any) -> np.ndarray:
    """Return what each row counts for, shape (n_samples,), float64."""
    return np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)


def _sizes(model: Any, X: Any, sample_weight: Any) -> np.ndarray:
    labels, weight = np.asarray(model.predict(X)), row_weights(X, sample_weight)
    return np.bincount(labels[labels >= 0], weights=weight[labels >= 0], minlength=len(model.means_))


def table(
    model: Any,
    X: Any,
    sample_weight: Any = None,
    first: dict[str, list[str]] | None = None,
    *,
    means: np.ndarray | None = None,
    names: list[str] | None = None,
) -> tuple[dict[str, list[str]], str]:
    """Return a table of components, by columns of cells, and a note beneath it.

    Parameters
    ----------
    model : fitted mixture
    X : array-like of shape (n_samples, n_features) or None
        Rows to count.
    sample_weight : array-like of shape (n_samples,), optional
        The weight of each row. By default every row counts once. Rows with weight 0 are ignored.
    first : dict of str to list of str, optional
        Columns to come after the number of the component.
    means : ndarray of shape (n_components, n_features), optional
        To be shown in place of the model's.
    names : list of str, optional
        The names of the features.
    """
    means = np.asarray(model.means_) if means is None else means
    n_components, n_features = means.shape
    if names is None:
        names = [str(name) for name in getattr(model, "feature_names_in_", [f"x{j}" for j in range(n_features)])]
    columns = {"component": [str(k) for k in range(n_components)], **(first or {})}
    columns["weight"] = [f"{weight:.4f}" for weight in model.weights_]
    if X is not None:
        columns["rows"] = [f"{size:.6g}" for size in _sizes(model, X, sample_weight)]
    for j, name in enumerate(names[:MOST_FEATURES]):
        columns[f"mean {name}"] = [f"{float(value):.5g}" for value in means[:, j]]
    return columns, f"(the first {MOST_FEATURES} of {n_features} features)" if n_features > MOST_FEATURES else ""
