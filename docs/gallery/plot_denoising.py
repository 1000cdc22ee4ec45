"""
Take the noise out of a photograph: a mixture of image patches
==============================================================

Small patches of photographs are alike the world over. A mixture that has learnt them from
one photograph says which part of a noisy patch of another one is picture and which is noise.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from fastgmm import GaussianMixture

china, flower = (
    load_sample_image(name).mean(axis=2) / 255 for name in ("china.jpg", "flower.jpg")
)
size, sigma, rng = 8, 0.1, np.random.default_rng(0)


def patches(image):
    """Return all patches of an image less their means, and these."""
    rows = np.lib.stride_tricks.sliding_window_view(image, (size, size))
    rows = rows.reshape(-1, size * size)
    return rows - rows.mean(axis=1, keepdims=True), rows.mean(axis=1, keepdims=True)


# %%
# Thirty components of eight factors each learn from 5000 patches. A component with factors is
# a set of edges or textures: the loadings are what varies within it.

rows = patches(china)[0]
rows = rows[rng.choice(len(rows), 5000, replace=False)]
model = GaussianMixture(
    30,
    covariance_type="ppca",
    n_factors=8,
    init_params="kmeans",
    random_state=0,
    tol=0.1,
)
model.fit(rows)

# %%
# A patch with noise has the same loadings and more noise. Given the factors that are expected
# of it, `inverse_transform` makes the patch that they stand for. Each pixel lies in 64
# patches; their mean is the picture.

truth = flower[150:246, 250:346]
noisy = truth + rng.normal(size=truth.shape) * sigma
of_noisy = GaussianMixture.from_parameters(
    model.weights_,
    model.means_,
    (model.loadings_, model.noise_variances_ + sigma**2),
    covariance_type="ppca",
)
seen, means = patches(noisy)
clean = of_noisy.inverse_transform(of_noisy.transform(seen), of_noisy.predict(seen))
clean = (clean + means).reshape(*(n - size + 1 for n in truth.shape), size, size)
summed, n_of = np.zeros_like(truth), np.zeros_like(truth)
for i, j in np.ndindex(size, size):
    place = (
        slice(i, i + clean.shape[0]),
        slice(j, j + clean.shape[1]),
    )
    summed[place] += clean[:, :, i, j]
    n_of[place] += 1
restored = summed / n_of

fig, axes = plt.subplots(1, 3, figsize=(9, 3.3), layout="constrained")
for ax, image, title in zip(
    axes, (truth, noisy, restored), ("picture", "with noise", "restored"), strict=True
):
    error = ((image - truth) ** 2).mean()
    quality = f", {-10 * np.log10(error):.1f} dB" if error else ""
    ax.imshow(image, cmap="gray", vmin=0, vmax=1)
    ax.set(title=title + quality, xticks=[], yticks=[])
error_noisy, error_restored = (((image - truth) ** 2).mean() for image in (noisy, restored))
print(
    f"{-10 * np.log10(error_noisy):.1f} dB with noise, {-10 * np.log10(error_restored):.1f} dB restored"
)

# %%
# **What to conclude.** A mixture of patches is a prior for pictures: learn it once, from any
# photographs, and use it on others. Give a model the noise that you know of by adding its
# variance to ``noise_variances_``; the factors that are expected are then drawn towards zero
# as much as they should be. With 200 components on five rounds it is better than the filters
# of scikit-image on the picture measured in the guide to many features, and slower.
