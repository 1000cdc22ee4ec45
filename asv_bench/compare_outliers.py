"""ROC-AUC, average precision, fit and score time of outlier detectors, beside scikit-learn's.

Run as ``python asv_bench/compare_outliers.py [n_seeds]``. Detectors are fitted to the rows they rank, anomalies
included, and see no label. Each seed draws which anomalies are in the data; figures are means over seeds. Every
method has one setting for all data, scikit-learn's its defaults. Times are medians, of fit and of scoring the same
rows, of fastgmm on one thread, as scikit-learn's run.
"""

import sys
import warnings
from functools import partial

import numpy as np
from benchmarks.timing import seconds
from sklearn.covariance import EllipticEnvelope
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler
from tables import Table

import fastgmm
from fastgmm import GaussianMixtureOutlierDetector


def with_rare_class(data, rare, n_rare, prepare, rng):
    """Return the rows of all classes but `n_rare` of the rare one, and which are anomalies.

    `prepare`, a transformer, sees these rows only.
    """
    chosen = rng.choice(np.flatnonzero(data.target == rare), n_rare, replace=False)
    rows = np.concatenate([np.flatnonzero(data.target != rare), chosen])
    return prepare.fit_transform(data.data[rows]), data.target[rows] == rare


def multimodal(rng):
    """Return five elongated clusters in eight features, and anomalies even over a box around them."""
    centres = rng.normal(size=(5, 8)) * 6.0
    shapes = rng.normal(size=(5, 8, 8)) / 2.0 + np.eye(8)
    k = rng.integers(5, size=2000)
    X = centres[k] + np.einsum("nd,nde->ne", rng.normal(size=(2000, 8)), shapes[k])
    strange = rng.uniform(X.min(axis=0), X.max(axis=0), size=(60, 8))
    return np.concatenate([X, strange]), np.repeat([False, True], [2000, 60])


def datasets():
    """Yield a name and ``draw(rng) -> rows, which are anomalies``."""
    digits, wine, cancer = load_digits(), load_wine(), load_breast_cancer()
    pixels = PCA(20, random_state=0)
    yield "digits, 20 PCs: digit 0 rare", lambda rng: with_rare_class(digits, 0, 20, pixels, rng)
    yield "digits, 20 PCs: digit 1 rare", lambda rng: with_rare_class(digits, 1, 20, pixels, rng)
    yield "breast cancer: malignant rare", lambda rng: with_rare_class(cancer, 0, 20, StandardScaler(), rng)
    yield "wine: class 0 rare", lambda rng: with_rare_class(wine, 0, 10, StandardScaler(), rng)
    yield "five elongated clusters, 8 features", multimodal


def methods(seed):
    """Return what is compared: name to estimator."""
    ours = {"reg_covar": 1e-3, "random_state": seed, "n_init": 3}
    return {
        "fastgmm, trimming": GaussianMixtureOutlierDetector(**ours),
        "fastgmm, noise": GaussianMixtureOutlierDetector(robust="noise", robust_share=0.05, **ours),
        "fastgmm, not robust": GaussianMixtureOutlierDetector(robust=None, **ours),
        "fastgmm, trimming 35%": GaussianMixtureOutlierDetector(robust_share=0.35, **ours),
        "IsolationForest": IsolationForest(random_state=seed),
        "LocalOutlierFactor": LocalOutlierFactor(novelty=True),
        "EllipticEnvelope": EllipticEnvelope(random_state=seed),
    }


def main(n_seeds=10):
    """Print one table per data set."""
    warnings.simplefilter("ignore")
    fastgmm.set_config(n_threads=1)
    for name, draw in datasets():
        figures = {method: [] for method in methods(0)}
        for seed in range(n_seeds):
            X, strange = draw(np.random.default_rng(seed))
            for method, estimator in methods(seed).items():
                fit_time = seconds(partial(estimator.fit, X))
                # A novelty detector counts a training row as its own neighbour; the fit's own scores do not.
                scores, score_time = getattr(estimator, "negative_outlier_factor_", None), 0.0
                if scores is None:
                    score_time = seconds(partial(estimator.score_samples, X))
                    scores = estimator.score_samples(X)
                quality = roc_auc_score(strange, -scores), average_precision_score(strange, -scores)
                figures[method].append((*quality, fit_time, score_time))
        print(f"\n{name} ({len(X)} rows, {X.shape[1]} features, {strange.sum()} anomalies)\n")
        table = Table("method", "ROC-AUC", "average precision", "fit, ms", "score, ms")
        for method, rows in figures.items():
            auc, precision = np.mean(rows, axis=0)[:2]
            fit, score = 1e3 * np.median(rows, axis=0)[2:]
            table.row(method, f"{auc:.3f}", f"{precision:.3f}", f"{fit:.0f}", f"{score:.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
