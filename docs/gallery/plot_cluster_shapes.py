"""
Clusters of any shape
=====================

Moons, rings, frames, blobs of different sizes: where a cluster is no ellipsoid, one Gaussian component cannot be it. A
mixture with more components than clusters can, if components that share rows are merged afterwards. What does that find
beside HDBSCAN and spectral clustering?
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from sklearn import datasets
from sklearn.cluster import HDBSCAN, SpectralClustering
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from fastgmm import GaussianMixtureClusterer
from fastgmm.datasets import load_faithful
from fastgmm.plotting.palette import COLOURS

# %%
# Five shapes that are generated, and the eruptions of Old Faithful, which nobody has
# labelled. The frame is four bands of rows around a blob.

rng = np.random.default_rng(0)
side, along = rng.integers(4, size=600), rng.uniform(-3, 3, 600)
frame = np.where(
    (side < 2)[:, None],
    np.column_stack([along, 6.0 * side - 3]),
    np.column_stack([6.0 * side - 15, along]),
)
frame = np.concatenate([frame, rng.normal(scale=0.6, size=(200, 2))])
frame += rng.normal(scale=0.08, size=frame.shape)
blobs, which = datasets.make_blobs(
    900, cluster_std=[0.5, 1.5, 1.0], centers=3, random_state=170
)
data = {
    "moons": datasets.make_moons(800, noise=0.07, random_state=0),
    "circles": datasets.make_circles(800, noise=0.05, factor=0.5, random_state=0),
    "blobs of three sizes": (blobs, which),
    "stretched blobs": (blobs @ [[0.6, -0.6], [-0.4, 0.8]], which),
    "frame and blob": (frame, np.repeat([0, 1], [600, 200])),
    "Old Faithful": (load_faithful(), None),
}

# %%
# Every method has one setting for all data. The title of a column says whether it is
# told the number of clusters, k, or finds it. Of HDBSCAN and spectral clustering these are
# no defaults: a cluster has 15 rows or more, and neighbours make the graph. The page on
# comparing clustering methods has defaults and tuned settings of each side.

methods = {
    "merged mixture, told k": lambda k: GaussianMixtureClusterer(k, random_state=0),
    "merged mixture, 'auto'": lambda k: GaussianMixtureClusterer(random_state=0),
    "spectral, told k": lambda k: SpectralClustering(
        k, affinity="nearest_neighbors", random_state=0
    ),
    "HDBSCAN(15)": lambda k: HDBSCAN(15, copy=True),
}
# Spectral clustering's graph of neighbours falls into parts where clusters are far apart.
warnings.filterwarnings("ignore", message="Graph is not fully connected")
fig, axes = plt.subplots(
    len(data), len(methods), figsize=(11, 14), squeeze=False, layout="constrained"
)
palette = np.array([to_rgb(colour) for colour in COLOURS])
print(f"{'adjusted Rand index':22s}", *(f"{name:>24s}" for name in methods))
for row, (name, (X, truth)) in zip(axes, data.items(), strict=True):
    X = StandardScaler().fit_transform(X)
    line = []
    for ax, make in zip(row, methods.values(), strict=True):
        labels = make(2 if truth is None else truth.max() + 1).fit_predict(X)
        colours = np.where((labels < 0)[:, None], 0.8, palette[labels % len(palette)])
        ax.scatter(*X.T, s=4, c=colours)
        ax.set(xticks=[], yticks=[])
        agreement = "" if truth is None else f"{adjusted_rand_score(truth, labels):.2f}"
        ax.set_xlabel(f"{labels.max() + 1} clusters   {agreement}", fontsize=8)
        line.append(agreement or f"{labels.max() + 1} clusters")
    row[0].set_ylabel(name)
    print(f"{name:22s}", *(f"{cell:>24s}" for cell in line))
for ax, method in zip(axes[0], methods, strict=True):
    ax.set_title(method, fontsize=10)

# %%
# Under the clusters is a mixture. Its components follow the shapes, and the merges say
# how strongly two clusters belonged together when they became one: the logarithm of how
# much oftener they share rows than chance would. The cut is at the widest gap.

X = StandardScaler().fit_transform(data["circles"][0])
model = GaussianMixtureClusterer(random_state=0).fit(X)
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
model.mixture_.plot(X, ax=left)
left.set_title(f"{model.n_components_} components")
n_left = np.arange(model.n_components_ - 1, 0, -1)
right.plot(n_left, model.strengths_, "o-")
right.axvline(model.n_clusters_ - 0.5, color="#d55e00")
right.set(
    xlabel="clusters after the merge",
    ylabel="log overlap of the two merged",
    title=f"{model.n_clusters_} clusters",
)

# %%
# New rows have probabilities, which neither of the other two offers.

grid = np.stack(np.meshgrid(np.linspace(-2, 2, 160), np.linspace(-2, 2, 160)), axis=-1)
inner = model.predict_proba(grid.reshape(-1, 2))[:, 0].reshape(160, 160)
fig, ax = plt.subplots(figsize=(4.6, 4), layout="constrained")
picture = ax.contourf(grid[..., 0], grid[..., 1], inner, levels=10, cmap="RdBu")
ax.scatter(*X.T, s=3, c="k")
ax.set(xlim=(-2, 2), ylim=(-2, 2))
fig.colorbar(picture, label="probability of cluster 0")

# %%
# **What to conclude.** Told the number of clusters, the merged mixture finds every shape
# here. On its own it cuts the frame at the corners, where two bands share hardly a row;
# HDBSCAN does not, but leaves rows of blobs out as noise. Take HDBSCAN if there is noise
# of which you know nothing. Take the mixture if clusters overlap, if new rows come, or if
# you need probabilities.
