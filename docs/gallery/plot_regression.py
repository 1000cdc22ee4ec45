"""
Regression with a spread that varies
====================================

Engel's 235 Belgian households of 1857: what part of its income does a household spend on food? Rich households differ
more from each other than poor ones, so one standard deviation for all will not do. The data come with statsmodels.
"""

# %%
# A mixture of income and expenditure together; given an income, expenditure is again a
# mixture. With one component this is the line of least squares. How many are worth having
# is a question of the log density of households left out.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import KFold
from statsmodels.datasets import engel

from fastgmm import GaussianMixtureRegressor

data = engel.load_pandas().data
income, food = data[["income"]].to_numpy(), data["foodexp"].to_numpy()


def regressor(n_components):
    """Return a regressor that is not fitted yet."""
    return GaussianMixtureRegressor(n_components, n_init=5, random_state=0)


for k in (1, 2, 3, 4):
    left_out = [
        regressor(k)
        .fit(income[train], food[train])
        .log_density(income[test], food[test])
        .mean()
        for train, test in KFold(10, shuffle=True, random_state=0).split(income)
    ]
    print(f"{k} components: {np.mean(left_out):.3f} nats per household")

# %%
# Two are much better than one line, and more gain nothing. The expectation, and the
# shortest intervals that hold 90%:

model = regressor(2).fit(income, food)
grid = np.linspace(350, 3000, 60)[:, None]
expected = model.predict(grid)
conditional = model.condition(grid)


intervals = [given.highest_density_intervals(0.9) for given in conditional]
low, high = np.array([(each[0, 0], each[-1, 1]) for each in intervals]).T
line = regressor(1).fit(income, food)
spread = 1.645 * np.sqrt(line.predict_covariance(grid))
fig, ax = plt.subplots(figsize=(8, 4.8))
ax.scatter(income, food, s=12, color="0.35", lw=0)
ax.plot(grid, expected, color="#0072b2", label="two components")
ax.fill_between(
    grid[:, 0], low, high, color="#0072b2", alpha=0.2, lw=0, label="90% of households"
)
ax.plot(grid, line.predict(grid), color="#d55e00", ls="--", label="one component: a line")
for sign in (-1, 1):
    ax.plot(grid, line.predict(grid) + sign * spread, color="#d55e00", ls=":", lw=1)
ax.set(xlabel="income (francs)", ylabel="food (francs)", xlim=(350, 3000), ylim=(100, 2100))
ax.legend(loc="upper left")

for francs in (500, 1000, 2000):
    i = np.abs(grid[:, 0] - francs).argmin()
    print(
        f"income {grid[i, 0]:.0f}: food {expected[i]:.0f}, 90% within {low[i]:.0f} to {high[i]:.0f}"
    )

# %%
# **What to conclude.** Households with more income spend more on food but a smaller part of
# it, and their spread grows with income. A mixture says so with intervals that widen where
# the data do, where the line's are too wide for the poor and too narrow for the rich.
# Beyond the richest households the last component goes on as a straight line: intervals
# there are an extrapolation like any other.
