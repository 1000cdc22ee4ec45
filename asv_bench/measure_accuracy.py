"""Errors of one EM iteration and of a whole fit against long double, written as docs/numerical_truth.md.

    python asv_bench/measure_accuracy.py            # a few minutes; prints the page
    python asv_bench/measure_accuracy.py --write    # writes it

The truth is EM in NumPy's long double (64 bits of mantissa on x86), with the library's own floor of counts, from the
same start. An error of means is in standard deviations of the component, of covariances in products of them.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import sklearn
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

import fastgmm

REAL = np.longdouble
PAGE = Path(__file__).parent.parent / "docs" / "numerical_truth.md"
STRUCTURES = ("full", "tied", "diag", "spherical")
N_SAMPLES, N_FEATURES, N_COMPONENTS = 1500, 4, 3


def problem(structure, condition, offset, dtype, seed=0):
    """Return rows as stored in `dtype`, and the start: labels that are right for nine rows in ten."""
    rng = np.random.default_rng(seed)
    scales = np.geomspace(1.0, np.sqrt(condition), N_FEATURES)
    labels = rng.integers(N_COMPONENTS, size=N_SAMPLES)
    centres = 2.0 * rng.normal(size=(N_COMPONENTS, N_FEATURES))
    X = (centres[labels] + rng.normal(size=(N_SAMPLES, N_FEATURES))) * scales
    if structure in ("full", "tied"):
        X = X @ np.linalg.qr(rng.normal(size=(N_FEATURES, N_FEATURES)))[0]
    start = labels.copy()
    wrong = rng.uniform(size=N_SAMPLES) < 0.1
    start[wrong] = rng.integers(N_COMPONENTS, size=wrong.sum())
    return np.ascontiguousarray(X + offset, dtype=dtype), start


def cholesky(a):
    """Return the lower triangular factor, in long double."""
    n = len(a)
    lower = np.zeros_like(a)
    for i in range(n):
        for j in range(i + 1):
            s = a[i, j] - (lower[i, :j] * lower[j, :j]).sum()
            lower[i, j] = np.sqrt(s) if i == j else s / lower[j, j]
    return lower


def solve_lower(lower, b):
    """Return ``inv(lower) b``."""
    x = np.zeros_like(b)
    for i in range(len(lower)):
        x[i] = (b[i] - lower[i, :i] @ x[:i]) / lower[i, i]
    return x


def matrices(covariances, structure):
    """Return covariances as (n_components, n_features, n_features)."""
    eye = np.eye(N_FEATURES, dtype=REAL)
    if structure == "tied":
        return np.broadcast_to(covariances, (N_COMPONENTS, N_FEATURES, N_FEATURES))
    if structure == "diag":
        return covariances[:, :, None] * eye
    return covariances if structure == "full" else covariances[:, None, None] * eye


def maximise(X, shares, structure, count_floor):
    """Return weights, means and covariances, in long double."""
    counts = shares.sum(axis=0) + REAL(count_floor)
    centre = X.mean(axis=0)
    means = centre + shares.T @ (X - centre) / counts[:, None]
    scatter = np.stack([(shares[:, k, None] * (X - means[k])).T @ (X - means[k]) for k in range(N_COMPONENTS)])
    if structure == "full":
        covariances = scatter / counts[:, None, None]
    elif structure == "tied":
        covariances = scatter.sum(axis=0) / counts.sum()
    else:
        covariances = np.diagonal(scatter, axis1=1, axis2=2) / counts[:, None]
        covariances = covariances if structure == "diag" else covariances.mean(axis=1)
    return counts / counts.sum(), means, covariances


def expect(X, weights, means, covariances, structure):
    """Return responsibilities and the mean log-likelihood, in long double."""
    values = np.empty((len(X), N_COMPONENTS), dtype=REAL)
    for k, matrix in enumerate(matrices(covariances, structure)):
        lower = cholesky(matrix)
        y = solve_lower(lower, (X - means[k]).T)
        log_det = 2 * np.log(np.diagonal(lower)).sum()
        values[:, k] = np.log(weights[k]) - (N_FEATURES * np.log(2 * REAL(np.pi)) + log_det + (y * y).sum(axis=0)) / 2
    best = values.max(axis=1, keepdims=True)
    total = np.exp(values - best).sum(axis=1, keepdims=True)
    return np.exp(values - best) / total, (best + np.log(total)).mean()


def truth(X, start, structure, n_iterations):
    """Return the parameters after so many iterations from labels, and the last mean log-likelihood."""
    count_floor = 10 * np.finfo(X.dtype).eps
    X = X.astype(REAL)
    parameters = maximise(X, (start[:, None] == np.arange(N_COMPONENTS)).astype(REAL), structure, count_floor)
    for _ in range(n_iterations):
        shares, bound = expect(X, *parameters, structure)
        parameters = maximise(X, shares, structure, count_floor)
    return (*parameters, bound)


def ours(X, start, structure, n_iterations):
    """Fit by fastgmm from the same labels, plain EM."""
    return fastgmm.GaussianMixture(
        N_COMPONENTS,
        covariance_type=structure,
        init_params=start,
        reg_covar=0,
        tol=0,
        max_iter=n_iterations,
        acceleration=None,
    ).fit(X)


def theirs(X, start, structure, n_iterations):
    """Fit by scikit-learn from the same labels: its own M-step makes the start of them."""

    class FromLabels(SklearnGaussianMixture):
        def _initialize_parameters(self, X, random_state, xp=None):
            self._initialize(X, (start[:, None] == np.arange(N_COMPONENTS)).astype(X.dtype))

    return FromLabels(N_COMPONENTS, covariance_type=structure, reg_covar=0, tol=0, max_iter=n_iterations).fit(X)


def error(fit, X, start, structure, n_iterations, exact):
    """Return the largest error of means, covariances and log-likelihood, or what went wrong."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            model = fit(X, start, structure, n_iterations)
        except (ValueError, np.linalg.LinAlgError):
            return "fails"
    _, means, covariances, bound = exact
    shape = covariances.shape
    # In the axes of the component itself, where a small variance counts as much as a large one.
    worst = [abs(float(model.lower_bound_) - bound) / (1 + abs(bound))]
    found = np.asarray(model.covariances_, dtype=REAL).reshape(shape)
    both = zip(matrices(covariances, structure), matrices(found, structure), model.means_, means, strict=True)
    for matrix, other, mean, exact_mean in both:
        lower = cholesky(matrix)
        worst.append(np.abs(solve_lower(lower, mean.astype(REAL) - exact_mean)).max())
        white = solve_lower(lower, solve_lower(lower, other.copy()).T)
        worst.append(np.abs(white - np.eye(N_FEATURES)).max())
    largest = float(np.max(worst))
    return f"{largest:.0e}" if np.isfinite(largest) else "not finite"


def table(rows, heading):
    """Return a table in Markdown: one row per setting, ours and theirs per structure."""
    head = [heading, *(f"{structure} | scikit-learn" for structure in STRUCTURES)]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (2 * len(STRUCTURES))]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def measure(settings, n_iterations):
    """Return the rows of a table, for (label, condition, offset, dtype)."""
    rows = []
    for label, condition, offset, dtype in settings:
        cells = [label]
        for structure in STRUCTURES:
            X, start = problem(structure, condition, offset, dtype)
            exact = truth(X, start, structure, n_iterations)
            cells += [error(fit, X, start, structure, n_iterations, exact) for fit in (ours, theirs)]
        rows.append(cells)
    return rows


def page():
    """Return the page."""
    conditions = [10.0**power for power in range(0, 15, 2)]
    by_condition = [(f"{condition:.0e}", condition, 0.0, np.float64) for condition in conditions]
    by_offset = [(f"{offset:.0e}", 1.0, offset, np.float64) for offset in (0.0, 1e2, 1e4, 1e6, 1e8, 1e10)]
    single = [
        *((f"condition {condition:.0e}", condition, 0.0, np.float32) for condition in (1.0, 1e2, 1e4, 1e6)),
        *((f"offset {offset:.0e}", 1.0, offset, np.float32) for offset in (1e2, 1e3, 1e4)),
    ]
    parts = [
        "# Numerical truth",
        "How far an answer is from the exact one, measured against the same EM in long double by "
        "`python asv_bench/measure_accuracy.py --write`, which writes this page.",
        f"The data: {N_SAMPLES} rows of {N_FEATURES} features in {N_COMPONENTS} overlapping components, as the rows "
        "are stored; the start: labels, nine in ten of them right; no regularisation. *Condition* is that of the "
        "covariances, turned for full and tied; *offset* is added to every feature, in units of the data's standard "
        "deviation. An error is the largest of the means' and covariances', in units of the component's own standard "
        "deviations in its own axes, and the log-likelihood's relative one. In each pair the first column is fastgmm, "
        f"the second scikit-learn {sklearn.__version__} (NumPy {np.__version__}). 2e-16 and 1e-7 are the units of "
        "rounding of float64 and float32; data with condition c determine a mixture to about c of them where axes are "
        "turned, data with offset m to m.",
    ]
    for title, settings in (
        ("Condition of the covariances, float64", by_condition),
        ("Offset of the data, float64", by_offset),
        ("float32", single),
    ):
        for n_iterations, what in ((1, "one iteration"), (20, "a fit of 20 iterations")):
            parts += [f"## {title}: {what}", table(measure(settings, n_iterations), title.split(",")[0])]
    return "\n\n".join(parts) + "\n"


def main():
    """Print or write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write docs/{PAGE.name}")
    arguments = parser.parse_args()
    text = page()
    if arguments.write:
        PAGE.write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
