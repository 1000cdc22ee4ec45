"""
Image segmentation
==================

The colours of a photograph as a mixture: each pixel is a row of three features, and components are surfaces of one
colour under varying light. The photograph comes with scikit-learn.
"""

# %%
# A quarter of a million rows take a second, so the whole image is fitted and not a sample
# of it. Pixels stay in single precision.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from fastgmm import GaussianMixture
from fastgmm.plotting import plot_segmentation

image = (load_sample_image("flower.jpg") / 255.0).astype(np.float32)
pixels = image.reshape(-1, 3)
model = GaussianMixture(8, tol=1e-5, init_params="multistart", random_state=0).fit(pixels)
print(f"{len(pixels)} pixels, {model.n_iter_} iterations")

fig, axes = plt.subplots(1, 2, figsize=(11, 4))
axes[0].imshow(image)
axes[0].set_title("photograph")
axes[0].set_axis_off()
plot_segmentation(model, image, colours="means", ax=axes[1])
axes[1].set_title("eight components, each in its mean colour")

# %%
# Memberships are soft, so each component is a mask with grey levels. Full covariances are
# what makes this work: a surface runs from its shadow to its highlight along one direction
# of colour space, where k-means, which knows only distance, cuts it in pieces.

shares = model.predict_proba(pixels).reshape(*image.shape[:2], -1)
fig, axes = plt.subplots(2, 4, figsize=(11, 4))
for ax, k in zip(axes.flat, np.argsort(model.weights_)[::-1], strict=True):
    ax.imshow(shares[..., k], cmap="gray", vmin=0, vmax=1)
    ax.set_title(f"component {k} ({model.weights_[k]:.0%})", fontsize=10)
    ax.set_axis_off()

# %%
# The blossom is what has more red than green. Adding up the memberships of those components
# cuts it out. Where they are mixed, entropy shows it: zero nats where one component owns a
# pixel.

warm = model.means_[:, 0] > model.means_[:, 1] + 0.1
mask = shares[..., warm].sum(axis=-1, keepdims=True)
entropy = -(shares * np.log(np.maximum(shares, 1e-30))).sum(axis=-1)
print(f"the blossoms are {mask.mean():.0%} of the picture")
print(f"pixels with a clear owner (above 90%): {(shares.max(axis=-1) > 0.9).mean():.0%}")

fig, axes = plt.subplots(1, 2, figsize=(11, 3.8))
axes[0].imshow(np.clip(mask * image + (1 - mask), 0, 1))
axes[0].set_title("cut out")
picture = axes[1].imshow(entropy, cmap="magma", vmin=0, vmax=np.log(2))
for ax in axes:
    ax.set_axis_off()
fig.colorbar(picture, ax=axes[1], label="entropy of the memberships (nats)", shrink=0.9)

# %%
# **What to conclude.** Colour alone tells blossom from leaves and its heart from its
# petals, and says where it is unsure; masks with grey levels composite without jagged
# edges. It does not know that neighbouring pixels belong together: for objects rather than
# colours, add the pixel's position as two more columns, or smooth the memberships before
# taking the largest.
