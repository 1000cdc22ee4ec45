"""What the switch of scikit-learn's mixtures gains: fits and predictions, patched and not, in turns.

    python asv_bench/measure_switch.py [--repeat 5] [--rows 1.0]

Processor time of one thread, medians; a ratio is scikit-learn's time over the patched class's, with scikit-learn's own
starts (as `patch_sklearn()` patches) and with fastgmm's (`same_fits=False`). `means` is how far the first are from
scikit-learn's, relative to the largest.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings

import numpy as np
import sklearn.mixture
from sklearn.datasets import load_digits, load_iris
from threadpoolctl import threadpool_limits

import fastgmm

ORIGINALS = {name: getattr(sklearn.mixture, name) for name in ("GaussianMixture", "BayesianGaussianMixture")}


def blobs(n: int, d: int, k: int, spread: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, d)) + spread * rng.normal(size=(k, d))[rng.integers(0, k, n)]


def taken(call: object, *arguments: object) -> float:
    begin = time.process_time()
    call(*arguments)  # type: ignore[operator]
    return time.process_time() - begin


def measure(label: str, name: str, X: np.ndarray, repeat: int, **settings: object) -> None:
    seconds: dict[str, list[float]] = {"theirs": [], "same": [], "own": [], "predict": [], "predict_same": []}
    for _ in range(repeat):
        theirs = ORIGINALS[name](random_state=0, **settings)
        seconds["theirs"].append(taken(theirs.fit, X))
        seconds["predict"].append(taken(theirs.predict_proba, X))
        for which, same in (("same", True), ("own", False)):
            fastgmm.patch_sklearn(same_fits=same)
            ours = getattr(sklearn.mixture, name)(random_state=0, **settings)
            seconds[which].append(taken(ours.fit, X))
            if same:
                seconds["predict_same"].append(taken(ours.predict_proba, X))
                apart = np.abs(ours.means_ - theirs.means_).max() / np.abs(theirs.means_).max()
            fastgmm.unpatch_sklearn()
    median = {which: statistics.median(values) for which, values in seconds.items()}
    fits = f"{median['theirs'] / median['same']:.1f}x | {median['theirs'] / median['own']:.1f}x"
    predicted = median["predict"] / median["predict_same"]
    print(f"| {label} | {1e3 * median['theirs']:.3g} | {fits} | {predicted:.1f}x | {apart:.0e} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--rows", type=float, default=1.0, help="share of the rows of the generated data")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    threadpool_limits(1)
    fastgmm.set_config(n_threads=1)
    few = arguments.rows
    print("| fit | scikit-learn, ms | patched | with own starts | predict_proba | means |")
    print("|---|---:|---:|---:|---:|---:|")
    for label, X, k in (("iris, K=3", load_iris().data, 3), ("digits, K=10", load_digits().data, 10)):
        measure(label, "GaussianMixture", X, arguments.repeat, n_components=k, reg_covar=1e-3)
    for n, d, k, spread, kind in (
        (300, 2, 3, 4, "full"),
        (20_000, 2, 5, 5, "full"),
        (20_000, 64, 10, 3, "full"),
        (100_000, 4, 8, 2, "full"),
        (100_000, 16, 16, 1, "diag"),
        (50_000, 16, 8, 1, "tied"),
    ):
        X = blobs(int(n * few) if n > 1000 else n, d, k, spread)
        measure(
            f"{len(X):,} x {d}, K={k}, {kind}",
            "GaussianMixture",
            X,
            arguments.repeat,
            n_components=k,
            covariance_type=kind,
        )
    X = blobs(int(20_000 * few), 8, 6, 3)
    measure(f"{len(X):,} x 8, K=10, Bayesian", "BayesianGaussianMixture", X, arguments.repeat, n_components=10)


if __name__ == "__main__":
    main()
