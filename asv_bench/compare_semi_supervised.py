"""Accuracy against the share of labels, beside scikit-learn's semi-supervised classifiers and QDA.

Run as ``python asv_bench/compare_semi_supervised.py [n_seeds]``. Each seed splits the data 70 to 30, stratified, and
keeps the labels of a share of each class's training rows, at least one; every method sees the same split. Accuracies
are means over seeds, in per cent, on the 30% held out. The preparation (scaling, PCA) sees no label.
"""

import sys
import warnings

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
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
    scaled = StandardScaler().fit_transform(cancer.data)
    yield "breast cancer, 10 PCs", PCA(10, random_state=0).fit_transform(scaled), cancer.target


def labelled_only(estimator):
    """Return a fit on the labelled rows alone."""
    return lambda X, y: estimator.fit(X[y >= 0], y[y >= 0])


def methods():
    """Return what is compared: name to ``fit(X, y)``, -1 for unlabelled rows. One setting each for all data."""
    chosen = {"covariance_type": ["spherical", "tied", "full"], "shrinkage": 10.0}
    ours = GaussianMixtureClassifier
    return {
        "fastgmm, structure by BIC, shrinkage 10": ours(reg_covar=1e-3, **chosen).fit,
        "fastgmm, full, shrinkage 40": ours(reg_covar=1e-3, shrinkage=40.0).fit,
        "fastgmm, full": ours(reg_covar=1e-3).fit,
        "LabelSpreading, rbf": LabelSpreading(max_iter=100).fit,
        "LabelSpreading, knn": LabelSpreading(kernel="knn", max_iter=100).fit,
        "SelfTraining(GaussianNB)": lambda X, y: (
            SelfTrainingClassifier(GaussianNB()).fit(X, y) if (y < 0).any() else GaussianNB().fit(X, y)
        ),
        "QDA, labelled rows": labelled_only(QuadraticDiscriminantAnalysis()),
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
        cells = {method: [] for method in methods()}
        for share in SHARES:
            accuracy = {method: [] for method in cells}
            for seed in range(n_seeds):
                train, test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=seed, stratify=y)
                hidden = hide_labels(y_train, share, np.random.default_rng(seed))
                for method, fit in methods().items():
                    try:
                        accuracy[method].append(fit(train, hidden).score(test, y_test))
                    except (ValueError, np.linalg.LinAlgError):
                        accuracy[method].append(np.nan)
            for method, values in accuracy.items():
                cells[method].append("fails" if np.isnan(values).any() else f"{100 * np.mean(values):.1f}")
        print(f"\n{name} ({len(X)} rows, {X.shape[1]} features, {len(np.unique(y))} classes)\n")
        table = Table("method", *(f"{share:.0%}" for share in SHARES))
        for method, shown in cells.items():
            table.row(method, *shown)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
