"""
The lower half of a digit: factor analysers
===========================================

A mixture of factor analysers is a density of whole images. Given some pixels, it says what
the others may be: their expectation, and draws that differ where the image is open.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from fastgmm import GaussianMixture

X, y = load_digits(return_X_y=True)
# Grey values are whole numbers: half a unit of noise makes a density of them.
X = X + np.random.default_rng(0).normal(size=X.shape) / 2
train, test, names = X[:1500], X[1500:], y[1500:]

model = GaussianMixture(
    20, covariance_type="factor", n_factors=6, random_state=0, max_iter=300
).fit(train)
print(
    f"{model.score(test):.1f} nats per digit that was held out, in 20 components of 6 factors"
)

# %%
# The upper half is given, the lower is drawn from its conditional distribution: a mixture
# for each image, with the components that fit the upper half.

upper, lower = np.arange(32), np.arange(32, 64)
shown = [int(np.flatnonzero(names == digit)[0]) for digit in range(10)]
conditional = model.condition(upper, test[shown][:, upper])
rows = [test[shown].copy() for _ in range(5)]
rows[1][:, lower] = np.nan
rows[2][:, lower] = conditional.mean()
for row, seed in zip(rows[3:], (0, 1), strict=True):
    row[:, lower] = conditional.sample(random_state=seed)
titles = ("whole", "given", "expected", "a draw", "another")
fig, axes = plt.subplots(5, 10, figsize=(10, 5.4))
for row, title, line in zip(rows, titles, axes, strict=True):
    for image, ax in zip(row, line, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(title)

# %%
# How good is the expectation? The mean image is what one would say without the upper half.

guess = model.condition(upper, test[:, upper]).mean()
error = np.sqrt(((guess - test[:, lower]) ** 2).mean())
without = np.sqrt(((train[:, lower].mean(axis=0) - test[:, lower]) ** 2).mean())
print(
    f"root mean square error of a pixel: {error:.2f}, without the upper half {without:.2f}, of grey values from 0 to 16"
)

# %%
# **What to conclude.** A few factors for each component are enough to say what the lower half
# of a digit depends on, where a full covariance has too many numbers and a diagonal one has
# none. The expectation is the best single guess and looks blurred; draws look like digits and
# show what else it could have been. Use draws if you compute anything from the completed rows.
