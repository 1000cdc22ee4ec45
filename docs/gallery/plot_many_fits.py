"""
Five thousand fits in one call
==============================

How sure are the two kinds of eruptions of Old Faithful: their share, their mean durations and pauses? The bootstrap
fits the mixture again to rows drawn with replacement, thousands of times. `fit_many` makes these fits in one call.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from fastgmm import GaussianMixture, fit_many
from fastgmm.datasets import load_faithful

X = load_faithful()
rng = np.random.default_rng(0)
samples = X[rng.integers(len(X), size=(5000, len(X)))]

began = time.perf_counter()
fits = fit_many(samples, n_components=2, tol=1e-6, max_iter=500, random_state=0)
print(f"{len(fits)} fits of {len(X)} rows in {time.perf_counter() - began:.1f} s")
print(f"{fits.converged.sum()} converged, {len(fits.failures)} failed")

# %%
# **Numbers of components.** Each fit numbers its components as it finds them. Here the
# component of short eruptions comes first, by the mean of the first feature.

order = np.argsort(fits.means[:, :, 0], axis=1)
means = np.take_along_axis(fits.means, order[:, :, None], axis=1)
weights = np.take_along_axis(fits.weights, order, axis=1)

# %%
# **Intervals.** The middle 95% of the bootstrap fits, beside the fit to the rows as they are.

model = GaussianMixture(2, tol=1e-6, max_iter=500, order_by=0, random_state=0).fit(X)
low, high = np.quantile(means, [0.025, 0.975], axis=0)
for k, kind in enumerate(("short", "long")):
    for j, feature in enumerate(("duration", "pause")):
        print(
            f"{kind:5s} eruptions, mean {feature:8s} {model.means_[k, j]:6.2f} minutes,"
            f" 95% of fits {low[k, j]:6.2f} to {high[k, j]:6.2f}"
        )
share = np.quantile(weights[:, 0], [0.025, 0.975])
print(
    f"share of short eruptions {model.weights_[0]:.3f}, 95% of fits {share[0]:.3f} to {share[1]:.3f}"
)

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.scatter(*X.T, s=6, c="0.6")
for k, colour in enumerate(("#0072b2", "#d55e00")):
    left.scatter(*means[:, k].T, s=1, c=colour, alpha=0.2)
left.set(xlabel="duration, minutes", ylabel="pause, minutes", title="means of 5000 fits")
right.hist(weights[:, 0], bins=60, color="#0072b2")
right.set(xlabel="share of short eruptions", ylabel="fits", title="share of 5000 fits")

# %%
# **What to conclude.** The means are known to a tenth of a minute of duration and a minute
# or two of pause, the share to about six hundredths. `bootstrap_parameters` does the same
# with a model of any family, a loop of estimators underneath; `fit_many` is for the four
# covariance types of scikit-learn, and for any groups, not only bootstrap samples.
