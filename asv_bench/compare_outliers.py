"""ROC-AUC and average precision of outlier detectors beside scikit-learn's, at defaults and tuned; held-out likelihood.

Run as ``python asv_bench/compare_outliers.py [n_seeds]``. Detectors are fitted to the rows they rank, anomalies
included, and see no label. There are five data sets, each with 0.5, 1, 2, 5 and 10 anomalies for a hundred other rows;
each seed draws which anomalies they are. Figures are means over the five numbers of anomalies and the seeds. Every
detector is measured at its defaults, and tuned: of four settings, the default among them, that with the highest ROC-AUC
on the data set, which takes labels. Times are medians of fit and of scoring the same rows, in
seconds of one core (set OMP_NUM_THREADS=1).

``python asv_bench/compare_outliers.py defaults [n_seeds]`` compares settings of ours that might be defaults, on these
data and ten others.
"""

import sys
import time
import warnings
from functools import partial

import numpy as np
from sklearn.covariance import EllipticEnvelope
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import KFold
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler
from tables import Table

import fastgmm
from fastgmm import GaussianMixture, GaussianMixtureOutlierDetector, StudentMixture

#: Anomalies for each other row.
SHARES = (0.005, 0.01, 0.02, 0.05, 0.1)


def with_rare_class(data, rare, prepare, share, rng):
    """Return the rows of all classes but a few of the rare one, and which are anomalies.

    `prepare`, a transformer, sees these rows only.
    """
    others = np.flatnonzero(data.target != rare)
    n_rare = max(2, round(share * len(others)))
    rows = np.concatenate([others, rng.choice(np.flatnonzero(data.target == rare), n_rare, replace=False)])
    return prepare.fit_transform(data.data[rows]), data.target[rows] == rare


def multimodal(share, rng):
    """Return five elongated clusters in eight features, and anomalies even over a box around them."""
    centres = rng.normal(size=(5, 8)) * 6.0
    shapes = rng.normal(size=(5, 8, 8)) / 2.0 + np.eye(8)
    k = rng.integers(5, size=2000)
    X = centres[k] + np.einsum("nd,nde->ne", rng.normal(size=(2000, 8)), shapes[k])
    n_strange = round(share * 2000)
    strange = rng.uniform(X.min(axis=0), X.max(axis=0), size=(n_strange, 8))
    return np.concatenate([X, strange]), np.repeat([False, True], [2000, n_strange])


def datasets():
    """Yield a name and ``draw(share, rng) -> rows, which are anomalies``."""
    digits, wine, cancer = load_digits(), load_wine(), load_breast_cancer()
    pixels = PCA(20, random_state=0)
    yield "digits, 20 PCs: digit 0 rare", partial(with_rare_class, digits, 0, pixels)
    yield "digits, 20 PCs: digit 1 rare", partial(with_rare_class, digits, 1, pixels)
    yield "breast cancer: malignant rare", partial(with_rare_class, cancer, 0, StandardScaler())
    yield "wine: class 0 rare", partial(with_rare_class, wine, 0, StandardScaler())
    yield "five elongated clusters, 8 features", multimodal


def methods(seed):
    """Return what is compared: name to four settings, the defaults first."""
    ours = partial(GaussianMixtureOutlierDetector, random_state=seed)
    forest, envelope = partial(IsolationForest, random_state=seed), partial(EllipticEnvelope, random_state=seed)
    return {
        "fastgmm": [ours(), ours(robust_share=0.1), ours(robust_share=0.4), ours(distribution="student")],
        "IsolationForest": [forest(), forest(n_estimators=300), forest(max_samples=64), forest(max_features=0.5)],
        "LocalOutlierFactor": [LocalOutlierFactor(k, novelty=True) for k in (20, 40, 60, 100)],
        "EllipticEnvelope": [envelope(), *(envelope(support_fraction=share) for share in (0.6, 0.75, 0.9))],
    }


def tight(share, rng):
    """Return one normal group, and anomalies that are a tight group beside it."""
    X = rng.normal(size=(800, 6)) @ (np.eye(6) + 0.3 * rng.normal(size=(6, 6)))
    strange = 0.3 * rng.normal(size=(max(2, round(share * 800)), 6)) + 2.0 * rng.normal(size=6)
    return np.concatenate([X, strange]), np.repeat([False, True], [800, len(strange)])


def heavy(share, rng):
    """Return three groups with heavy tails, and anomalies even over a box around them."""
    k, centres = rng.integers(3, size=800), 5.0 * rng.normal(size=(3, 6))
    X = centres[k] + rng.standard_t(4, size=(800, 6))
    strange = rng.uniform(X.min(axis=0), X.max(axis=0), size=(max(2, round(share * 800)), 6))
    return np.concatenate([X, strange]), np.repeat([False, True], [800, len(strange)])


def further_datasets():
    """Yield further names and draws."""
    digits, wine, iris = load_digits(), load_wine(), load_iris()
    for k in (3, 4, 6, 8):
        yield f"digits, 20 PCs: digit {k} rare", partial(with_rare_class, digits, k, PCA(20, random_state=0))
    yield "digits, 10 PCs: digit 0 rare", partial(with_rare_class, digits, 0, PCA(10, random_state=0))
    for k in (1, 2):
        yield f"wine: class {k} rare", partial(with_rare_class, wine, k, StandardScaler())
    yield "iris: class 2 rare", partial(with_rare_class, iris, 2, StandardScaler())
    yield "a tight group of anomalies", tight
    yield "heavy tails", heavy


def compare_defaults(n_seeds):
    """Print the mean ROC-AUC and average precision over all data sets of settings that might be defaults."""
    ours = partial(GaussianMixtureOutlierDetector, random_state=0)
    settings = {
        "default": ours(),
        "robust_share=0.1": ours(robust_share=0.1),
        "robust_share=0.4": ours(robust_share=0.4),
        'robust="noise"': ours(robust="noise"),
        "robust=None": ours(robust=None),
        'distribution="student"': ours(distribution="student"),
        'covariance_type="tied"': ours(covariance_type="tied"),
        'covariance_type="diag"': ours(covariance_type="diag"),
        "n_components=1": ours(1),
        "n_components=3": ours(3),
        "IsolationForest": IsolationForest(random_state=0),
        "LocalOutlierFactor": LocalOutlierFactor(novelty=True),
    }
    figures = {name: [] for name in settings}
    for _, draw in [*datasets(), *further_datasets()]:
        drawn = [draw(share, np.random.default_rng(seed)) for seed in range(n_seeds) for share in (0.01, 0.03, 0.08)]
        for name, estimator in settings.items():
            figures[name].append(np.mean([measured(estimator, X, strange)[:2] for X, strange in drawn], axis=0))
    table = Table("setting", "ROC-AUC", "average precision")
    for name, rows in figures.items():
        table.row(name, *(f"{figure:.3f}" for figure in np.mean(rows, axis=0)))


def measured(estimator, X, strange):
    """Return ROC-AUC, average precision, and seconds of fit and of scoring."""
    began = time.process_time()
    estimator.fit(X)
    fit_time = time.process_time() - began
    # A novelty detector counts a training row as its own neighbour; the fit's own scores do not.
    scores, score_time = getattr(estimator, "negative_outlier_factor_", None), 0.0
    if scores is None:
        began = time.process_time()
        scores = estimator.score_samples(X)
        score_time = time.process_time() - began
    return roc_auc_score(strange, -scores), average_precision_score(strange, -scores), fit_time, score_time


def compare_detectors(n_seeds):
    """Print one table per data set."""
    for name, draw in datasets():
        figures = {method: [[] for _ in settings] for method, settings in methods(0).items()}
        for seed in range(n_seeds):
            for share in SHARES:
                X, strange = draw(share, np.random.default_rng(seed))
                for method, settings in methods(seed).items():
                    for rows, estimator in zip(figures[method], settings, strict=True):
                        rows.append(measured(estimator, X, strange))
        print(f"\n{name} ({len(X) - strange.sum()} other rows, {X.shape[1]} features)\n")
        table = Table("method", "ROC-AUC", "tuned", "average precision", "tuned", "fit, ms", "score, ms")
        for method, settings in figures.items():
            means = [np.mean(rows, axis=0) for rows in settings]
            best = max(means, key=lambda mean: mean[0])
            fit, score = 1e3 * np.median(settings[0], axis=0)[2:]
            quality = (means[0][0], best[0], means[0][1], best[1])
            table.row(method, *(f"{figure:.3f}" for figure in quality), f"{fit:.0f}", f"{score:.1f}")
        of_neighbours = [f"{np.mean(rows, axis=0)[0]:.3f}" for rows in figures["LocalOutlierFactor"]]
        print(f"\nLocalOutlierFactor of 20, 40, 60 and 100 neighbours: ROC-AUC {', '.join(of_neighbours)}")


def compare_likelihoods():
    """Print the held-out log-likelihood of mixtures whose size BIC chooses, in nats per row, five folds."""
    from arch.data import sp500

    wine, cancer, digits = load_wine().data, load_breast_cancer().data, load_digits().data
    returns = 100 * np.diff(np.log(sp500.load()["Adj Close"].to_numpy()))
    data = {
        "S&P 500, two days' returns": np.column_stack([returns[:-1], returns[1:]]),
        "wine, 5 PCs": PCA(5, random_state=0).fit_transform(StandardScaler().fit_transform(wine)),
        "breast cancer, 5 PCs": PCA(5, random_state=0).fit_transform(StandardScaler().fit_transform(cancer)),
        "digits, 10 PCs": PCA(10, random_state=0).fit_transform(digits),
    }
    kinds = {
        "normal": partial(GaussianMixture, random_state=0),
        "noise=0.05": partial(GaussianMixture, noise=0.05, random_state=0),
        "trim=0.05": partial(GaussianMixture, trim=0.05, max_eigenvalue_ratio=100, random_state=0),
        "Student": partial(StudentMixture, random_state=0),
    }
    print()
    table = Table("data", *kinds)
    for name, X in data.items():
        means = [np.mean([held_out(kind, X[a], X[b]) for a, b in folds(X)]) for kind in kinds.values()]
        table.row(name, *(f"{mean:.3f}" for mean in means))


def folds(X):
    """Return the rows to fit and those held out, five times."""
    return KFold(5, shuffle=True, random_state=0).split(X)


def held_out(kind, fitted, others):
    """Return the mean log-likelihood of rows held out, of the size up to nine with the lowest BIC."""
    models = [kind(k, reg_covar="auto").fit(fitted) for k in range(1, 10)]
    return min(models, key=lambda model: model.bic(fitted)).score(others)


def main(n_seeds=10):
    """Print all tables."""
    warnings.simplefilter("ignore")
    fastgmm.set_config(n_threads=1)
    compare_likelihoods()
    compare_detectors(n_seeds)


if __name__ == "__main__":
    if sys.argv[1:2] == ["defaults"]:
        warnings.simplefilter("ignore")
        fastgmm.set_config(n_threads=1)
        compare_defaults(int(sys.argv[2]) if len(sys.argv) > 2 else 3)
        raise SystemExit
    main(*map(int, sys.argv[1:2]))
