"""``fastgmm bench``: this machine, against scikit-learn, in a minute."""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np

from fastgmm.cli.errors import EXIT_OK
from fastgmm.cli.screen import Screen, number
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.installation import show_config

__all__ = ["run"]

# (covariance type, features, components, share of the rows): what fits into a minute at 200,000 rows on two cores.
CASES = (
    ("full", 3, 8, 1.0),
    ("full", 16, 16, 0.3),
    ("tied", 16, 16, 0.3),
    ("diag", 16, 32, 0.5),
    ("spherical", 16, 32, 0.5),
)
ITERATIONS = 5


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return the exit status."""
    config = show_config(mode="dict") or {}
    engine = f"{config['engine']} engine, {config['n_threads']} threads"
    screen.line(f"fastgmm {config['fastgmm']}, {engine}; {ITERATIONS} EM iterations, seconds")
    screen.line()
    results = []
    with screen.progress(len(CASES), "timing") as progress:
        for structure, n_features, n_components, share in CASES:
            n_samples = max(10 * n_components, round(arguments.rows * share))
            results.append(_compare(structure, n_samples, n_features, n_components))
            progress.done(f"{structure}, {n_samples} x {n_features}, {n_components} components")
    screen.table(
        ["covariance", "rows", "columns", "components", "fastgmm", "scikit-learn", "ratio", "difference"],
        [
            [
                r["structure"],
                str(r["n_samples"]),
                str(r["n_features"]),
                str(r["n_components"]),
                number(r["fastgmm"], 3),
                number(r["scikit_learn"], 3),
                f"{r['ratio']:.1f}x",
                f"{r['difference']:.0e}",
            ]
            for r in results
        ],
    )
    screen.line("difference: largest between the two in a mean, in standard deviations of the data")
    screen.json({"configuration": {name: str(value) for name, value in config.items()}, "results": results})
    return EXIT_OK


def _compare(structure: str, n_samples: int, n_features: int, n_components: int) -> dict[str, Any]:
    from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

    random_state = np.random.RandomState(0)
    centres = random_state.normal(scale=3.0, size=(n_components, n_features))
    X = centres[random_state.randint(n_components, size=n_samples)] + random_state.normal(size=(n_samples, n_features))
    identity = np.eye(n_features)
    precisions = {
        "full": np.stack([identity] * n_components),
        "tied": identity,
        "diag": np.ones((n_components, n_features)),
        "spherical": np.ones(n_components),
    }
    settings: dict[str, Any] = {
        "covariance_type": structure,
        "max_iter": ITERATIONS,
        "tol": 0.0,
        "weights_init": np.full(n_components, 1.0 / n_components),
        "means_init": centres + random_state.normal(scale=0.5, size=centres.shape),
        "precisions_init": precisions[structure],
    }
    seconds, means = {}, {}
    for name, estimator in (("fastgmm", GaussianMixture), ("scikit_learn", SklearnGaussianMixture)):
        model = estimator(n_components, **settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # five iterations do not converge
            begin = time.perf_counter()
            model.fit(X)
            seconds[name] = time.perf_counter() - begin
        means[name] = model.means_
    difference = np.abs(means["fastgmm"] - means["scikit_learn"]) / X.std(axis=0)
    return {
        "structure": structure,
        "n_samples": n_samples,
        "n_features": n_features,
        "n_components": n_components,
        **seconds,
        "ratio": seconds["scikit_learn"] / seconds["fastgmm"],
        "difference": float(difference.max()),
    }
