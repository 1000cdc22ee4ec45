"""
Image segmentation
==================

The colours of a photograph as a mixture: each pixel is a row of three features, and components are surfaces of one
colour under varying light. The photograph comes with scikit-learn.
"""

# %%
# A quarter of a million rows take a fraction of a second, so the whole image is fitted, not a sample of it. Pixels
# stay in single precision.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from fastgmm import GaussianMixture
from fastgmm.plotting import plot_segmentation

photograph = load_sample_image("china.jpg")
image = (photograph / 255.0).astype(np.float32)
pixels = image.reshape(-1, 3)
model = GaussianMixture(n_components=5, tol=1e-4, init_params="multistart", random_state=0).fit(pixels)
print(f"{len(pixels)} pixels, {model.n_iter_} iterations")

fig, axes = plt.subplots(1, 2, figsize=(11, 4))
axes[0].imshow(image)
axes[0].set_title("photograph")
axes[0].set_axis_off()
plot_segmentation(model, image, colours="means", ax=axes[1])
axes[1].set_title("five components, each in its mean colour")

# %%
# Memberships are soft, so each component is a mask with grey levels. A full covariance is what makes this work: a
# surface runs from its shadow to its highlight along one direction of colour space, and k-means, which knows only
# distance, would cut it in pieces.

shares = model.predict_proba(pixels).reshape(*image.shape[:2], -1)
order = np.argsort(model.weights_)[::-1]
fig, axes = plt.subplots(1, 5, figsize=(13, 2.4))
for ax, k in zip(axes, order, strict=True):
    ax.imshow(shares[..., k], cmap="gray", vmin=0, vmax=1)
    ax.set_title(f"component {k} ({model.weights_[k]:.0%})", fontsize=10)
    ax.set_axis_off()

# %%
# Where a surface ends is where memberships are mixed. Entropy shows it, in nats: zero where one component owns a
# pixel.

entropy = -(shares * np.log(np.maximum(shares, 1e-30))).sum(axis=-1)
fig, ax = plt.subplots(figsize=(7, 4.3))
picture = ax.imshow(entropy, cmap="magma", vmin=0, vmax=np.log(2))
ax.set_axis_off()
fig.colorbar(picture, ax=ax, label="entropy of the memberships (nats)", shrink=0.9)
print(f"pixels with a clear owner (above 90%): {(shares.max(axis=-1) > 0.9).mean():.0%}")

# %%
# **What to conclude.** Colour alone finds sky, shaded and lit masonry and foliage, and says where it is unsure; masks
# with grey levels composite without jagged edges. It does not know that neighbouring pixels belong together: for
# objects rather than colours, add the pixel's position as two more columns, or smooth the memberships before taking
# the largest.
