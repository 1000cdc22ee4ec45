"""
Digits with few labels
======================

Someone has to label images, and that costs. How many labels does a classifier of digits need if the images without one
help it to see what the groups look like?
"""

# %%
# One Gaussian per class. Labelled images stay with their class, unlabelled ones (-1) are
# shared among the classes by EM. Which covariance structure the labels allow is left to
# BIC, and `shrinkage` gives each covariance ten rows' worth of the pooled one. Accuracy is
# on images that no fit has seen, means of five draws of the labels.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from fastgmm import GaussianMixtureClassifier

X, y = load_digits(return_X_y=True)
train, test, y_train, y_test = train_test_split(
    X, y, test_size=0.3, stratify=y, random_state=0
)
pca = PCA(20, random_state=0).fit(train)
train, test = pca.transform(train), pca.transform(test)


def some_labels(n_each, seed):
    """Return the labels of so many images of each digit; -1 for all others."""
    rng = np.random.default_rng(seed)
    known = np.concatenate(
        [rng.choice(np.flatnonzero(y_train == k), n_each, replace=False) for k in range(10)]
    )
    labels = np.full(len(y_train), -1)
    labels[known] = y_train[known]
    return labels


def mixture(unlabelled_weight):
    """Return a classifier to which unlabelled rows count for so much."""
    structures = ["spherical", "tied", "full"]
    return GaussianMixtureClassifier(
        covariance_type=structures,
        shrinkage=10,
        reg_covar=1e-3,
        unlabelled_weight=unlabelled_weight,
    )


sizes = [1, 2, 5, 10, 20, 50]
accuracy = {
    "mixture, all images": [],
    "mixture, labelled images": [],
    "nearest neighbour": [],
}
for n_each in sizes:
    rows = []
    for seed in range(5):
        labels = some_labels(n_each, seed)
        known = labels >= 0
        rows.append(
            (
                mixture(1.0).fit(train, labels).score(test, y_test),
                mixture(0.0).fit(train, labels).score(test, y_test),
                KNeighborsClassifier(1)
                .fit(train[known], labels[known])
                .score(test, y_test),
            )
        )
    for name, value in zip(accuracy, np.mean(rows, axis=0), strict=True):
        accuracy[name].append(value)

print("labels of each digit      " + "".join(f"{n:8d}" for n in sizes))
for name, values in accuracy.items():
    print(f"{name:26}" + "".join(f"{value:8.1%}" for value in values))

fig, ax = plt.subplots(figsize=(7, 4.2))
for (name, values), marker in zip(accuracy.items(), "os^", strict=True):
    ax.plot(sizes, values, marker=marker, label=name)
ax.set(
    xscale="log",
    xlabel="labelled images of each digit",
    ylabel="accuracy on held-out images",
)
ax.set_xticks(sizes, [str(n) for n in sizes])
ax.minorticks_off()
ax.legend()

# %%
# Which image should be labelled next? One whose class the model is least sure of:

labels = some_labels(2, 0)
model = mixture(1.0).fit(train, labels)
unknown = np.flatnonzero(labels < 0)
certainty = model.predict_proba(train[unknown]).max(axis=1)
ask = unknown[np.argsort(certainty)[:10]]
fig, axes = plt.subplots(1, 10, figsize=(10, 1.6))
for ax, i in zip(axes, ask, strict=True):
    ax.imshow(pca.inverse_transform(train[[i]]).reshape(8, 8), cmap="gray_r")
    first, second = np.sort(np.argsort(model.predict_proba(train[[i]])[0])[-2:])
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"{first} or {second}?", fontsize=9)

# %%
# **What to conclude.** With five labels of each digit and the other images unlabelled, the
# mixture does what it would do with twenty to fifty labels of each and nothing else, and a
# nearest neighbour with ten to twenty. It works because a digit's images do form about one
# ellipsoid in this space. Where a class does not look like its model, unlabelled rows can
# do harm; lower `unlabelled_weight` and compare on labelled rows that were held out. With
# two labels each the gain is largest, and the choice of the images matters most: ask for
# those the model is least sure of.
