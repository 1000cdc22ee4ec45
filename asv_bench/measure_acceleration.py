"""Where accelerated EM ends beside plain EM from the same start, over random problems, and how many passes it saves.

Run as ``python asv_bench/measure_acceleration.py [n_problems [first_seed]]``. A problem draws everything: rows (100 to
5000, log-uniform), features (1 to 10), overlap, shapes of the components, heavy tails, rounding; components fitted (2
to 8, often too many); one of the fourteen families, or of scikit-learn's four types; the start (k-means, random rows,
hierarchical); ``reg_covar`` 1e-6 or zero; the tolerance, 1e-6 to 1e-8. Prints Markdown: the share of fits that end
lower or higher than plain EM by more than 1e-4 nats per row, fits in which a component collapses only accelerated,
and passes.
"""

import os
import sys
import warnings
from collections import Counter
from dataclasses import dataclass

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# The threads of BLAS are read when NumPy is imported.
# ruff: noqa: E402
import numpy as np

import fastgmm
from fastgmm.exceptions import ComponentCollapseError

SKLEARN = ("full", "tied", "diag", "spherical")
FAMILIES = ("EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV")
STARTS = ("kmeans", "random_from_data", "hc")
#: A difference of limits in nats per row from which two runs did not end in the same place.
ELSEWHERE = 1e-4
MAX_PASSES = 20_000


@dataclass
class Problem:
    """Rows and the arguments of a fit to them."""

    X: np.ndarray
    n_components: int
    covariance_type: str
    init_params: str
    reg_covar: float
    tol: float
    seed: int

    def fit(self, acceleration):
        """Return the fitted model, or None if a component collapsed."""
        model = fastgmm.GaussianMixture(
            self.n_components,
            covariance_type=self.covariance_type,
            init_params=self.init_params,
            reg_covar=self.reg_covar,
            tol=self.tol,
            max_iter=MAX_PASSES,
            random_state=self.seed,
            acceleration=acceleration,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return model.fit(self.X)
            except ComponentCollapseError:
                return None


def random_problem(seed):
    """Return the problem of a seed."""
    rng = np.random.default_rng([seed, 20260])
    n_samples = int(np.exp(rng.uniform(np.log(100), np.log(5000))))
    n_features = int(rng.integers(1, 11))
    n_true = int(rng.integers(1, 7))
    separation = float(np.exp(rng.uniform(np.log(0.4), np.log(8.0))))
    weights = rng.dirichlet(np.full(n_true, rng.choice([1.0, 3.0, 30.0])))
    labels = rng.choice(n_true, size=n_samples, p=weights)
    means = rng.normal(size=(n_true, n_features)) * separation
    noise = rng.normal(size=(n_samples, n_features))
    if rng.random() < 0.25:
        noise *= np.sqrt(4.0 / rng.chisquare(4.0, size=(n_samples, 1)))
    shape = rng.choice(["spherical", "diagonal", "full"])
    spread = rng.choice([0.0, 0.4, 0.8])
    factors = np.empty((n_true, n_features, n_features))
    for k in range(n_true):
        factors[k] = np.eye(n_features) * np.exp(spread * rng.normal())
        if shape != "spherical":
            factors[k] *= np.exp(spread * rng.normal(size=n_features))
        if shape == "full":
            factors[k] = factors[k] @ np.linalg.qr(rng.normal(size=(n_features, n_features)))[0]
    X = means[labels] + np.einsum("nd,nde->ne", noise, factors[labels])
    if rng.random() < 0.1:
        X = np.round(X, 1)
    types = SKLEARN + FAMILIES if n_features > 1 else (*SKLEARN, "E", "V")
    return Problem(
        X=np.ascontiguousarray(X),
        n_components=int(np.clip(n_true + rng.integers(-1, 4), 2, 8)),
        covariance_type=str(rng.choice(types)),
        init_params=str(rng.choice(STARTS)),
        reg_covar=float(rng.choice([0.0, 1e-6])),
        tol=float(rng.choice([1e-6, 1e-7, 1e-8])),
        seed=seed,
    )


def compare(problem):
    """Return (how the accelerated fit ended beside plain EM, passes of plain EM, accelerated passes)."""
    plain, fast = problem.fit(None), problem.fit("quasi-newton")
    if plain is None:
        return ("both collapse" if fast is None else "plain EM alone collapses"), 0, 0
    if fast is None:
        return "accelerated alone collapses", 0, 0
    difference = fast.lower_bound_ - plain.lower_bound_
    outcome = "alike" if abs(difference) <= ELSEWHERE else "higher" if difference > 0 else "lower"
    return outcome, plain.n_passes_, fast.n_passes_


if __name__ == "__main__":
    fastgmm.set_config(n_threads=1)
    n_problems = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    outcomes, passes = Counter(), []
    for seed in range(first, first + n_problems):
        outcome, plain, fast = compare(random_problem(seed))
        outcomes[outcome] += 1
        if plain:
            passes.append((plain, fast))
    both = outcomes["alike"] + outcomes["lower"] + outcomes["higher"]
    passes = np.array(passes)
    total, ratios = passes.sum(axis=0), passes[:, 0] / passes[:, 1]
    print(f"| fits completed both ways | {both} |\n|---|---:|")
    for outcome in ("lower", "higher"):
        print(f"| ended {outcome} | {outcomes[outcome]} ({outcomes[outcome] / both:.1%}) |")
    for outcome in ("accelerated alone collapses", "plain EM alone collapses", "both collapse"):
        print(f"| {outcome} | {outcomes[outcome]} |")
    print(f"| passes, plain | {total[0]} |\n| passes, accelerated | {total[1]} |")
    print(f"| times fewer, geometric mean | {np.exp(np.log(ratios).mean()):.2f} |")
