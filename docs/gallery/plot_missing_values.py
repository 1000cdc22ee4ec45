"""
Missing values: birth rates of countries with short records
===========================================================

How many children did women have in Greenland in 1960? The World Bank's table of fertility rates, which comes with
statsmodels, has 219 countries and territories. Most have a number for every year from 1960 on, thirteen begin later or
have gaps, and thirteen have none at all. A mixture fitted to whatever there is says what the gaps probably hold, and
how sure that is.
"""

# %%
# A number every five years is enough, as rates change slowly.

import matplotlib.pyplot as plt
import numpy as np
from statsmodels.datasets import fertility

from fastgmm import GaussianMixture
from fastgmm.plotting import plot_clusters

table = fertility.load_pandas().data
years = np.arange(1960, 2011, 5)
names = table["Country Name"].to_numpy()
X = table[[str(year) for year in years]].to_numpy(float)
missing = np.isnan(X)
print(f"{missing.mean():.1%} of the values are missing")
print(f"{(missing.any(axis=1) & ~missing.all(axis=1)).sum()} countries miss some")
print(f"{missing.all(axis=1).sum()} countries miss all")

# %%
# With ``missing="marginalise"`` a row counts by what it has; those that have nothing count for
# nothing. Components are the paths that countries took: low early, falling, and still high.
# Rates are estimates themselves: ``reg_covar`` stands for 0.06 children in each.

model = GaussianMixture(
    3,
    reg_covar=0.004,
    n_init=3,
    missing="marginalise",
    order_by=len(years) - 1,
    random_state=0,
).fit(X)
labels = model.predict(X)

fig, axes = plt.subplots(1, 3, figsize=(9, 3), sharey=True, layout="constrained")
for k, ax in enumerate(axes):
    ax.plot(years, X[(labels == k) & ~missing.any(axis=1)].T, color="0.8", lw=0.6)
    ax.plot(years, model.means_[k], color=f"C{k}", lw=2.5)
    ax.set_title(f"{model.weights_[k]:.0%} of the countries")
axes[0].set_ylabel("children per woman")

# %%
# A picture of two years shows the countries that have both as points. Those with a number for
# one of the two are ticks on its axis, in the colour of their component.

ax = plot_clusters(
    model,
    X[~missing.all(axis=1)],
    view=("1960", "2005"),
    names=[str(year) for year in years],
)

# %%
# ``impute`` fills in the gaps, by expectation or by draws. Draws have the right spread: wide in
# 1960 where a record begins in 2005, narrow next to a number that is there.

shown = ["Greenland", "Kosovo", "Marshall Islands", "Palau"]
rows = np.array([np.flatnonzero(names == name)[0] for name in shown])
expected = model.impute(X[rows])
draws = model.impute(X[rows], n_draws=200, random_state=0)
low, high = np.quantile(draws, [0.05, 0.95], axis=0)

fig, axes = plt.subplots(1, 4, figsize=(10, 2.8), sharey=True, layout="constrained")
for i, ax in enumerate(axes):
    ax.fill_between(years, low[i], high[i], color="C0", alpha=0.25, lw=0)
    ax.plot(years, expected[i], color="C0", lw=1)
    ax.plot(years, X[rows[i]], "o", color="k", ms=4)
    ax.set_title(shown[i])
axes[0].set_ylabel("children per woman")

# %%
# Is it to be trusted? Take sixty countries with full records, hide all before 1990, and fit to
# what is left. The error is that of the hidden numbers; nine in ten of them should be within
# the intervals of nine tenths.

rng = np.random.default_rng(0)
tested = rng.choice(np.flatnonzero(~missing.any(axis=1)), 60, replace=False)
hidden = X.copy()
hidden[np.ix_(tested, years < 1990)] = np.nan
refitted = model.fit(hidden)
gone = np.isnan(hidden) & ~missing
draws = refitted.impute(hidden, n_draws=200, random_state=0)[:, gone]
low, high = np.quantile(draws, [0.05, 0.95], axis=0)
filled = refitted.impute(hidden)[gone]
mean = np.broadcast_to(np.nanmean(hidden, axis=0), X.shape)[gone]
print(f"error of the expectation: {np.sqrt(np.mean((filled - X[gone]) ** 2)):.2f}")
print(f"error of the year's mean: {np.sqrt(np.mean((mean - X[gone]) ** 2)):.2f}")
print(f"within the intervals: {np.mean((low <= X[gone]) & (high >= X[gone])):.0%}")

# %%
# **What to conclude.** Short records can be completed from what other countries' records say,
# with less error than by the year's mean. The intervals hold somewhat fewer than nine in ten
# of the removed values, since they take the mixture for known, and it is estimated from two
# hundred countries. Those of ``GaussianMixtureImputer.impute`` allow for that.
