"""
Images as bags of patches
=========================

A picture is a bag of patches, and how many there are and in which order does not matter. A Fisher vector says how the
bag would move the means and variances of a mixture of patches; VLAD says how far its patches lie from their nearest
centres. Both make one vector of every picture, for any classifier: here 1797 handwritten digits.
"""

import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.datasets import load_digits
from sklearn.svm import LinearSVC

from fastgmm import FisherVectorEncoder, GaussianMixture, VLADEncoder

digits = load_digits()
images, y = digits.images / 16, digits.target


def patches(image, size=4, place=2.0):
    """Return the windows of an image and where each lies, (n_patches, size ** 2 + 2)."""
    windows = sliding_window_view(np.pad(image, 1), (size, size))
    rows, columns = np.mgrid[: len(windows), : len(windows)] / (len(windows) - 1) - 0.5
    return np.column_stack(
        [windows.reshape(-1, size**2), place * rows.ravel(), place * columns.ravel()]
    )


bags = [patches(image) for image in images]
print(f"{len(bags)} bags of {len(bags[0])} patches of {bags[0].shape[1]} numbers")

# %%
# The vocabulary needs no labels. Patches of 600 of the images make a mixture of 32
# components, with a variance for each number; k-means finds as many centres.

known, rest = np.arange(600), np.arange(600, 1797)
learn = [bags[i] for i in known]
mixture = GaussianMixture(32, covariance_type="diag", reg_covar=1e-3, random_state=0)
fisher = FisherVectorEncoder(mixture).fit(learn)
vlad = VLADEncoder(32, random_state=0).fit(learn)

fig, axes = plt.subplots(2, 16, figsize=(10, 1.6))
order = np.argsort(-fisher.mixture_.weights_)
for ax, k in zip(axes.flat, order, strict=True):
    ax.imshow(fisher.mixture_.means_[k, :16].reshape(4, 4), cmap="gray_r", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
fig.suptitle("means of the 32 components, the heaviest first", fontsize=10)

# %%
# Labels are given for some of the 600. A linear classifier is trained on them and judged on
# the other 1197 images. Its penalty is chosen for each kind of features among four, by what
# does best on 300 further images: every side gets the same effort.

features = {
    "pixels": images.reshape(-1, 64),
    "VLAD": vlad.transform(bags),
    "Fisher vectors": fisher.transform(bags),
}
judge, tune = rest[300:], rest[:300]


def accuracy(values, labelled):
    """Return the accuracy on the images to judge, of the penalty that is best on those to tune."""
    models = [LinearSVC(C=c).fit(values[labelled], y[labelled]) for c in (0.1, 1, 10, 100)]
    best = max(models, key=lambda model: model.score(values[tune], y[tune]))
    return best.score(values[judge], y[judge])


counts = [50, 100, 200, 600]
rng = np.random.default_rng(0)
draws = {
    n: [rng.choice(known, n, replace=False) for _ in range(3 if n < 600 else 1)]
    for n in counts
}
print("labels:        " + "".join(f"{n:8}" for n in counts))
fig, ax = plt.subplots(figsize=(6, 3.8))
for name, values in features.items():
    found = [np.mean([accuracy(values, draw) for draw in draws[n]]) for n in counts]
    print(f"{name:15}" + "".join(f"{value:8.1%}" for value in found))
    ax.plot(counts, found, marker="o", label=f"{name} ({values.shape[1]})")
ax.set(xscale="log", xlabel="labelled images", ylabel="named rightly")
ax.set_xticks(counts, counts)
ax.minorticks_off()
ax.legend(title="features (their number)")

# %%
# **What to conclude.** With a vocabulary of patches, learnt without labels, a linear
# classifier errs half as often as with pixels. Where images differ by shifts and sizes,
# which digits that were centred do not, the gap is larger: leave the place of a patch out
# then, or weigh it less. VLAD is the simpler of the two and good on small pictures; Fisher
# vectors know variances and the weights of components, and take a background component for
# patches that belong to nothing. For photographs, take descriptors such as SIFT or the
# activations of a network in place of raw patches, 64 to 256 components, and rotate them by
# ``PCA(whiten=True)`` beforehand: components have no covariances between features.
