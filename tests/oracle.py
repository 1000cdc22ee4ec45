"""The mathematics of a pass in plain NumPy and long double: what every engine is held against."""

import numpy as np

REAL = np.longdouble


def factors(structure, precisions_cholesky, n_components, n_features):
    """Return the precision factors as (n_components, n_features, n_features) long doubles."""
    u = np.asarray(precisions_cholesky, dtype=REAL)
    eye = np.eye(n_features, dtype=REAL)
    if structure == "full":
        return u
    if structure == "tied":
        return np.broadcast_to(u, (n_components, n_features, n_features))
    if structure == "diag":
        return u[:, :, None] * eye
    return u[:, None, None] * eye


def log_weighted(X, log_offset, means, precisions_cholesky, structure):
    """Return log weight plus log density of each component, (n_samples, n_components)."""
    X, means = np.asarray(X, dtype=REAL), np.asarray(means, dtype=REAL)
    n_components, n_features = means.shape
    u = factors(structure, precisions_cholesky, n_components, n_features)
    out = np.empty((X.shape[0], n_components), dtype=REAL)
    for k in range(n_components):
        y = (X - means[k]) @ u[k]
        out[:, k] = REAL(log_offset[k]) - REAL(0.5) * (y * y).sum(axis=1)
    return out


def log_density(X, log_offset, means, precisions_cholesky, structure):
    """Return the log density of each row, (n_samples,)."""
    values = log_weighted(X, log_offset, means, precisions_cholesky, structure)
    best = values.max(axis=1)
    finite = np.where(np.isfinite(best), best, 0)
    with np.errstate(divide="ignore"):
        return finite + np.log(np.exp(values - finite[:, None]).sum(axis=1))


def responsibilities(X, log_offset, means, precisions_cholesky, structure):
    """Return posterior probabilities, 1/K for rows without density."""
    values = log_weighted(X, log_offset, means, precisions_cholesky, structure)
    best = values.max(axis=1, keepdims=True)
    reached = np.isfinite(best[:, 0])
    shares = np.exp(values - np.where(np.isfinite(best), best, 0))
    out = np.full(values.shape, 1 / REAL(values.shape[1]))
    out[reached] = shares[reached] / shares[reached].sum(axis=1, keepdims=True)
    return out


def moments(X, shares, centres, structure):
    """Return counts, sums and scatter about `centres` of rows with the given shares (n_samples, n_components)."""
    X, centres, shares = np.asarray(X, dtype=REAL), np.asarray(centres, dtype=REAL), np.asarray(shares, dtype=REAL)
    n_components, n_features = centres.shape
    sums = np.zeros((n_components, n_features), dtype=REAL)
    scatter = np.zeros((n_components, n_features, n_features), dtype=REAL)
    for k in range(n_components):
        present = shares[:, k] > 0
        x = X[present] - centres[k]
        sums[k] = shares[present, k] @ x
        scatter[k] = (x * shares[present, k, None]).T @ x
    if structure == "tied":
        scatter = scatter.sum(axis=0)
    elif structure in ("diag", "spherical"):
        scatter = np.diagonal(scatter, axis1=1, axis2=2)
        if structure == "spherical":
            scatter = scatter.sum(axis=1)
    return shares.sum(axis=0), sums, scatter


def accumulate(X, sample_weight, log_offset, means, precisions_cholesky, structure):
    """Return counts, sums, scatter and the total log-likelihood of one pass."""
    weight = np.ones(X.shape[0], dtype=REAL) if sample_weight is None else np.asarray(sample_weight, dtype=REAL)
    values = log_weighted(X, log_offset, means, precisions_cholesky, structure)
    reached = np.isfinite(values.max(axis=1)) & (weight > 0)
    shares = responsibilities(X, log_offset, means, precisions_cholesky, structure) * weight[:, None]
    shares[~reached] = 0
    density = log_density(X, log_offset, means, precisions_cholesky, structure)
    return *moments(X, shares, means, structure), (weight[weight > 0] * density[weight > 0]).sum()
