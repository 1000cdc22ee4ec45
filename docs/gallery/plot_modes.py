"""
Peaks, slopes and regions of a density
======================================

BIC prefers three components for the eruptions of Old Faithful, and the eye sees two groups. Both are right: one group
is not quite Gaussian and takes two components. The fitted density says how many peaks it has, which way is up, and
where the densest nine tenths of the eruptions lie.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastgmm import GaussianMixtureSearch
from fastgmm.datasets import load_faithful

X = load_faithful()  # duration of an eruption and the pause after it, in minutes
model = (
    GaussianMixtureSearch(n_components=range(1, 6), random_state=0).fit(X).best_estimator_
)
modes, peak_of = model.modes(return_labels=True)
print(f"{model.n_components} components ({model.covariance_type}) and {len(modes)} peaks")
for mode, height in zip(modes, model.score_samples(modes), strict=True):
    print(
        f"  eruptions of {mode[0]:.2f} minutes, pauses of {mode[1]:.1f}: log density {height:.2f}"
    )
print("peak that each component leads to:", peak_of)

# %%
# The gradient points uphill from wherever one stands; at a peak it is zero. Components that
# lead to the same peak are one cluster to the eye. The region of highest density is the
# smallest set that holds a probability: two islands here, where an interval for each feature
# would hold the empty ground between them.

region = model.hdr(0.9, random_state=0)
print(
    f"{region.contains(X).mean():.0%} of the eruptions lie in the region that should hold 90%"
)

wide = np.linspace(1.2, 5.6, 200), np.linspace(38, 100, 200)
grid = np.stack(np.meshgrid(*wide), axis=-1)
height = model.score_samples(grid.reshape(-1, 2)).reshape(200, 200)
coarse = grid[8::16, 8::16].reshape(-1, 2)
# In units of the features' own spread, so that arrows of both can be compared.
slope = model.gradient(coarse) * X.std(axis=0)
slope /= np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-12)

fig, axes = plt.subplots(1, 2, figsize=(11, 4.4), sharey=True)
axes[0].contour(
    *wide, height, levels=np.arange(-12, -2, 0.7), cmap="viridis", linewidths=0.8
)
axes[0].quiver(*coarse.T, *slope.T, color="0.4", width=0.002, scale=32)
axes[0].plot(*modes.T, "*", ms=14, color="#d55e00", label="peaks")
axes[0].plot(
    *model.means_.T, "o", ms=6, mfc="none", color="black", label="means of components"
)
axes[0].set(title="which way is up", xlabel="duration", ylabel="pause")
axes[1].contourf(
    *wide, height, levels=[region.level, np.inf], colors=["#56b4e9"], alpha=0.4
)
inside = region.contains(X)
axes[1].plot(*X[inside].T, ".", ms=4, color="#0072b2", label="inside")
axes[1].plot(*X[~inside].T, "x", ms=5, color="#d55e00", label="outside")
axes[1].set(title="the densest 90%", xlabel="duration")
for ax in axes:
    ax.legend(loc="upper left")

# %%
# One feature at a time, a mixture has a distribution function and quantiles: how long is the
# next pause, before anything is known of the eruption, and after one of two minutes?

pause = model.marginal(1)
after_two = model.condition(0, [2.0])[0]
for name, density in (("any eruption", pause), ("one of 2 minutes", after_two)):
    low, middle, high = density.quantile([0.05, 0.5, 0.95])
    print(
        f"pause after {name}: {middle:.0f} minutes, {low:.0f} to {high:.0f} in nine of ten cases"
    )
print("the densest 90% of all pauses:", pause.hdr(0.9).intervals.round(1).tolist())

minutes = np.linspace(35, 105, 400)
fig, ax = plt.subplots(figsize=(7, 3.6))
ax.step(np.sort(X[:, 1]), np.arange(1, len(X) + 1) / len(X), color="0.6", label="eruptions")
ax.plot(minutes, pause.cdf(minutes), color="#0072b2", label="any eruption")
ax.plot(minutes, after_two.cdf(minutes), color="#d55e00", label="one of 2 minutes")
ax.set(xlabel="pause (minutes)", ylabel="probability of a shorter one")
ax.legend()

# %%
# **What to conclude.** Ask for peaks when components are more than the groups you mean: the
# number of peaks does not grow when a cluster takes two components. Quantiles come from the
# density itself, not from draws. A region of highest density is smaller than any other of
# the same probability, and falls into islands where the density does.
