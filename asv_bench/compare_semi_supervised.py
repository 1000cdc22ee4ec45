"""Accuracy against the share of labels, beside scikit-learn's semi-supervised classifiers and QDA.

Run as ``python asv_bench/compare_semi_supervised.py [n_seeds]``. Each seed splits the data 70 to 30, stratified, and
keeps the labels of a share of each class's training rows, at least one; every method sees the same split. Accuracies
are means over seeds, in per cent, on the 30% held out. The preparation (scaling, PCA) sees no label. Each method is
shown at its default and at the best of four settings, the default among them, chosen by the accuracy held out.
"""

import contextlib
import sys
import warnings

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from tables import Table

from fastgmm import GaussianMixtureClassifier

SHARES = (0.01, 0.05, 0.2, 1.0)


def datasets():
    """Yield name, rows and classes."""
    digits, wine, cancer = load_digits(), load_wine(), load_breast_cancer()
    yield "digits, 20 PCs", PCA(20, random_state=0).fit_transform(digits.data), digits.target
    yield "wine", StandardScaler().fit_transform(wine.data), wine.target
    iris = load_iris()
    yield "iris", iris.data, iris.target
    scaled = StandardScaler().fit_transform(cancer.data)
    yield "breast cancer, 10 PCs", PCA(10, random_state=0).fit_transform(scaled), cancer.target


def labelled_only(estimator):
    """Return a fit on the labelled rows alone."""
    return lambda X, y: estimator.fit(X[y >= 0], y[y >= 0])


def self_training(threshold):
    """Return a fit of naive Bayes that labels rows by itself, or of naive Bayes where all rows have labels."""
    return lambda X, y: (
        SelfTrainingClassifier(GaussianNB(), threshold=threshold) if (y < 0).any() else GaussianNB()
    ).fit(X, y)


def spreading_by_scale(X, y):
    """Fit LabelSpreading with the kernel width that scikit-learn's SVC takes by default."""
    return LabelSpreading(gamma=1.0 / (X.shape[1] * X.var()), max_iter=100).fit(X, y)


def methods():
    """Return what is compared: name to four fits ``fit(X, y)``, -1 for unlabelled rows, the default first."""
    ours = GaussianMixtureClassifier
    chosen = {"covariance_type": ["spherical", "tied", "full"], "shrinkage": 10.0}
    spreading = [LabelSpreading(max_iter=100), *(LabelSpreading("knn", n_neighbors=n, max_iter=100) for n in (7, 20))]
    return {
        "GaussianMixtureClassifier": [
            ours().fit,
            ours(reg_covar=1e-3, **chosen).fit,
            ours(covariance_type="full", reg_covar=1e-3, shrinkage=40.0).fit,
            ours(covariance_type="spherical", reg_covar=1e-3).fit,
        ],
        "LabelSpreading": [*(each.fit for each in spreading), spreading_by_scale],
        "SelfTraining(GaussianNB)": [self_training(threshold) for threshold in (0.75, 0.6, 0.9, 0.99)],
        "QDA, labelled rows": [
            labelled_only(QuadraticDiscriminantAnalysis(reg_param=amount)) for amount in (0.0, 0.01, 0.1, 0.5)
        ],
    }


def hide_labels(y, share, rng):
    """Return y with all but a share of each class's rows at -1."""
    hidden = np.full(len(y), -1)
    for c in np.unique(y):
        members = np.flatnonzero(y == c)
        kept = rng.choice(members, max(1, round(share * len(members))), replace=False)
        hidden[kept] = c
    return hidden


def main(n_seeds=10):
    """Print one table per data set."""
    warnings.simplefilter("ignore")
    for name, X, y in datasets():
        accuracy = {method: np.full((4, len(SHARES), n_seeds), np.nan) for method in methods()}
        for column, share in enumerate(SHARES):
            for seed in range(n_seeds):
                train, test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=seed, stratify=y)
                hidden = hide_labels(y_train, share, np.random.default_rng(seed))
                for method, fits in methods().items():
                    for row, fit in enumerate(fits):
                        with contextlib.suppress(ValueError, np.linalg.LinAlgError):
                            accuracy[method][row, column, seed] = fit(train, hidden).score(test, y_test)
        print(f"\n{name} ({len(X)} rows, {X.shape[1]} features, {len(np.unique(y))} classes)\n")
        table = Table("method", *(f"{share:.0%}" for share in SHARES))
        for method, values in accuracy.items():
            means = 100.0 * values.mean(axis=2)
            tuned = np.where(np.isnan(means), -1.0, means).max(axis=0)
            for setting, shown in (("default", means[0]), ("tuned", tuned)):
                table.row(f"{method}, {setting}", *("fails" if not value >= 0 else f"{value:.1f}" for value in shown))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
