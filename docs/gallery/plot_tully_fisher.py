"""
Errors in both axes: the Tully-Fisher relation
==============================================

The faster a spiral galaxy turns, the brighter it is. Sakai et al. (2000) measured 21 galaxies to calibrate this
relation: line widths and magnitudes, each with its own error. The line through the measurements is not the relation
that they were scattered about.
"""

# %%
# The logarithm of the line width, the magnitude in the I band, and their standard errors.

import io

import matplotlib.pyplot as plt
import numpy as np

from fastgmm import GaussianMixture
from fastgmm.plotting import plot_clusters

table = """
2.744 0.028 -23.11 0.18   2.397 0.074 -19.84 0.18   2.420 0.049 -20.67 0.28
2.682 0.035 -23.40 0.12   2.621 0.041 -22.39 0.08   2.501 0.035 -21.30 0.11
2.480 0.059 -20.38 0.28   2.370 0.049 -19.87 0.13   2.719 0.034 -22.50 0.17
2.531 0.032 -21.56 0.08   2.405 0.048 -20.33 0.14   2.586 0.047 -21.64 0.09
2.674 0.036 -22.31 0.11   2.499 0.035 -21.06 0.12   2.626 0.026 -22.66 0.18
2.743 0.039 -22.61 0.11   2.586 0.038 -22.28 0.08   2.562 0.030 -21.95 0.13
2.617 0.046 -22.17 0.23   2.671 0.026 -22.77 0.09   2.746 0.021 -23.38 0.11
"""
width, width_error, magnitude, magnitude_error = (
    np.loadtxt(io.StringIO(table)).reshape(-1, 4).T
)
X = np.column_stack([width - 2.5, magnitude])
errors = np.column_stack([width_error, magnitude_error]) ** 2

# %%
# One component fitted with errors is the distribution of the true values (extreme
# deconvolution). Its long axis is the relation: a slope and a magnitude at 2.5.

options = {"tol": 1e-10, "max_iter": 5000, "reg_covar": 0.0}
model = GaussianMixture(1, **options).fit(X, errors=errors)
plain = GaussianMixture(1, **options).fit(X)


def relation(mixture):
    """Return slope and zero point of the long axis of a component."""
    axis = np.linalg.eigh(mixture.covariances_[0])[1][:, -1]
    slope = axis[1] / axis[0]
    return slope, mixture.means_[0, 1] - slope * mixture.means_[0, 0]


for name, mixture in (("true values", model), ("measurements", plain)):
    slope, zero_point = relation(mixture)
    print(f"{name}: slope {slope:.2f}, zero point {zero_point:.2f}")
slope, zero_point = np.polyfit(X[:, 0], X[:, 1], 1)
print(f"least squares: slope {slope:.2f}, zero point {zero_point:.2f}")

# %%
# Bovy, Hogg and Roweis print -9.26 and -21.12, at the tolerance they stop at. How far from
# the line do galaxies truly lie? The measurements scatter by a third of a magnitude about
# it; their errors explain all of that.

for name, mixture in (("true values", model), ("measurements", plain)):
    slope, _ = relation(mixture)
    across = np.array([-slope, 1.0])
    scatter = np.sqrt(across @ mixture.covariances_[0] @ across)
    print(f"{name}: {scatter:.2f} magnitudes about the line")

# %%
# What were the galaxies truly? Each measurement is drawn to the relation, along the axes of
# its own errors.

means, covariances = model.denoise(X, errors)
names = ["log line width - 2.5", "magnitude (I)"]

fig, axes = plt.subplots(1, 2, figsize=(9, 4.6), sharex=True, sharey=True)
for ax, rows, spread, title in (
    (axes[0], X, errors, "measured"),
    (axes[1], means, covariances, "true values, given the model"),
):
    plot_clusters(model, rows, errors=spread, names=names, probabilities=(), ax=ax)
    slope, zero_point = relation(model)
    grid = np.array([-0.17, 0.3])
    ax.plot(grid, zero_point + slope * grid, color="#d55e00", lw=1.2)
    ax.set(title=title)
axes[1].set_ylabel("")
axes[0].invert_yaxis()

# %%
# **What to conclude.** Errors in both axes need no choice of which variable depends on
# which, and no row has to be left out for being badly measured: its error says how much
# it counts. Least squares takes the line widths for exact, and so finds a slope that is
# too flat. With 21 galaxies a component may end up without any width of its own, as here:
# ``reg_covar`` is what keeps it from it, and says how thin it may become.
