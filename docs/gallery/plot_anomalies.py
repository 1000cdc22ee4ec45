"""
Anomaly detection
=================

Images of nine digits are the regular rows; twenty zeros have slipped in, and nobody has labelled anything. Which
images do not belong?
"""

# %%
# Regular rows form several groups here, of different shapes. That is where a mixture is at
# home: a row between two groups is unlikely, although each of its coordinates is ordinary.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor

from fastgmm import GaussianMixtureOutlierDetector

X, y = load_digits(return_X_y=True)


def contaminated(seed):
    """Return 1320 images of other digits with 20 zeros last, and 299 images of other digits that are held out."""
    rng = np.random.default_rng(seed)
    zeros = rng.choice(np.flatnonzero(y == 0), 20, replace=False)
    others = rng.permutation(np.flatnonzero(y != 0))
    return np.concatenate([others[299:], zeros]), others[:299]


# %%
# The detector trims the least likely quarter of the rows from each iteration, so that what
# does not belong has no say in what is regular, and chooses the number of components by
# BIC. With a covariance for each of them, `reg_covar` of a twentieth of the mean variance
# keeps components from fitting too tightly to the rows they were fitted to. Five draws of
# the zeros:


def fitted(Z, **options):
    """Return a detector fitted to rows that may have anomalies among them."""
    width = 0.05 * Z.var(axis=0).mean()
    return GaussianMixtureOutlierDetector(
        reg_covar=width, n_init=3, random_state=0, **options
    ).fit(Z)


found = {
    "mixture, trimmed": [],
    "mixture, not robust": [],
    "LocalOutlierFactor": [],
    "IsolationForest": [],
}
for seed in range(5):
    rows, _ = contaminated(seed)
    Z = PCA(10, random_state=0).fit_transform(X[rows])
    scores = (
        fitted(Z).score_samples(Z),
        fitted(Z, robust=None).score_samples(Z),
        LocalOutlierFactor().fit(Z).negative_outlier_factor_,
        IsolationForest(random_state=0).fit(Z).score_samples(Z),
    )
    for name, score in zip(found, scores, strict=True):
        found[name].append(roc_auc_score(y[rows] == 0, -score))
for name, areas in found.items():
    print(
        f"ROC-AUC, {name:20} {np.mean(areas):.3f}  (from {min(areas):.3f} to {max(areas):.3f})"
    )

# %%
# The draw with the median area, in order of suspicion, zeros with an orange frame:

areas = found["mixture, trimmed"]
rows, held_out = contaminated(int(np.argsort(areas)[2]))
pca = PCA(10, random_state=0).fit(X[rows])
Z = pca.transform(X[rows])
detector = fitted(Z)
order = np.argsort(detector.score_samples(Z))[:40]
foreign = y[rows] == 0
fig, axes = plt.subplots(4, 10, figsize=(9, 4.2))
for ax, i in zip(axes.flat, order, strict=True):
    ax.imshow(X[rows[i]].reshape(8, 8), cmap="gray_r")
    ax.set(xticks=[], yticks=[])
    if foreign[i]:
        for side in ax.spines.values():
            side.set(color="#d55e00", linewidth=2.5)
fig.suptitle(
    f"the 40 least likely of {len(rows)} images; {foreign[order].sum()} of the 20 zeros are among them"
)

# %%
# How far can the p-value be trusted? On regular images that the fit has not seen it should
# be uniform: 5% below 5%.

p_values = detector.pvalue(pca.transform(X[held_out]))
for level in (0.01, 0.05, 0.2):
    share = (p_values < level).mean()
    print(f"share of regular held-out images with a p-value below {level:.0%}: {share:.1%}")

fig, ax = plt.subplots(figsize=(5.5, 4))
ax.plot(
    np.sort(p_values), np.linspace(0, 1, len(p_values)), label="held-out regular images"
)
ax.plot([0, 1], [0, 1], color="0.5", ls="--", label="uniform")
ax.set(xlabel="p-value", ylabel="share of images below it")
ax.legend()

# %%
# **What to conclude.** Where normal behaviour comes in several kinds, a mixture finds what
# lies between them, and its p-values hold on new rows, so that the rate of false alarms can
# be set beforehand. Trimming matters: without it, zeros find a component of their
# own in some draws. So does `reg_covar`: with many features per row, covariances that are
# left to themselves fit the training rows too tightly, and regular new rows then look
# strange. Other data are kinder to other detectors: the page on anomalies has the tables.
