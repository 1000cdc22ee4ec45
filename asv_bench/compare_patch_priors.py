"""Denoising by a mixture of image patches, beside scikit-image's filters: `python asv_bench/compare_patch_priors.py`.

Zoran and Weiss's EPLL with 200 components on 8 x 8 patches, learnt from one of scikit-learn's two photographs, and used
on the other one, and on scikit-image's 'camera', which neither has seen. Needs scikit-image and PyWavelets beside
fastgmm.

References
----------
Zoran and Weiss (2011), From learning models of natural image patches to whole image restoration, ICCV.
"""

import time
import warnings

import numpy as np
from sklearn.datasets import load_sample_image

from fastgmm import GaussianMixture
from fastgmm.exceptions import RegularisationWarning

SIZE, N_COMPONENTS, N_ROWS, SIGMA = 8, 200, 60_000, 25 / 255
#: Weights of the patches against the noise, in multiples of 1 / sigma^2, one after the other.
BETAS = (1, 4, 8, 16, 32)


def grey(image):
    """Return an image of three colours in grey, 0 to 1."""
    return image @ np.array([0.299, 0.587, 0.114]) / 255


def patches_of(image):
    """Return all patches of an image, a row for each, and the mean of each."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (SIZE, SIZE)).reshape(-1, SIZE * SIZE)
    means = windows.mean(axis=1, keepdims=True)
    return windows - means, means


def learn(image, covariance_type, **options):
    """Return a mixture of an image's patches less their means."""
    rng = np.random.default_rng(0)
    rows = patches_of(image)[0]
    rows = rows[rng.choice(len(rows), min(N_ROWS, len(rows)), replace=False)]
    model = GaussianMixture(
        N_COMPONENTS,
        covariance_type=covariance_type,
        reg_covar=1e-6,
        init_params="kmeans",
        max_iter=30,
        random_state=0,
        **options,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(rows)


def expected_patches(model, covariances, rows, variance):
    """Return what each patch was before noise of a variance, under its most probable component (Wiener's filter)."""
    noisy = covariances + variance * np.eye(rows.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RegularisationWarning)
        labels = GaussianMixture.from_parameters(model.weights_, np.zeros(model.means_.shape), noisy).predict(rows)
    out = np.empty_like(rows)
    for k in np.unique(labels):
        members = labels == k
        out[members] = rows[members] @ np.linalg.solve(noisy[k], covariances[k])
    return out


def denoise(noisy, model, sigma):
    """Return an image by half-quadratic splitting: patches and pixels in turn."""
    whole = model.covariances_
    if whole.ndim == 2:
        whole = whole[:, :, None] * np.eye(whole.shape[1])
    whole = model.means_[:, :, None] * model.means_[:, None, :] + whole
    height, width = noisy.shape
    n_of = np.zeros_like(noisy)
    for i in range(SIZE):
        for j in range(SIZE):
            n_of[i : height - SIZE + 1 + i, j : width - SIZE + 1 + j] += 1
    image = noisy
    for beta in BETAS:
        rows, means = patches_of(image)
        rows = (expected_patches(model, whole, rows, sigma**2 / beta) + means).reshape(
            height - SIZE + 1, width - SIZE + 1, SIZE, SIZE
        )
        summed = np.zeros_like(noisy)
        for i in range(SIZE):
            for j in range(SIZE):
                summed[i : height - SIZE + 1 + i, j : width - SIZE + 1 + j] += rows[:, :, i, j]
        # The noise of a pixel is known once, and each patch over it says something of it.
        image = (noisy + beta * summed / SIZE**2) / (1.0 + beta * n_of / SIZE**2)
    return image


def psnr(image, truth):
    """Return the peak signal-to-noise ratio, in dB."""
    return -10 * np.log10(((np.clip(image, 0, 1) - truth) ** 2).mean())


def main():
    """Print a table."""
    from skimage import data, restoration

    china, flower = (grey(load_sample_image(name)) for name in ("china.jpg", "flower.jpg"))
    crop = slice(100, 356), slice(200, 456)
    pictures = {"flower, 256 x 256": flower[crop], "camera, 256 x 256": data.camera()[128:384, 128:384] / 255}
    models = {}
    for name, options in (
        ("full", {}),
        ("factor, 12", {"n_factors": 12}),
        ("ppca, 12", {"n_factors": 12}),
        ("diag", {}),
    ):
        start = time.process_time()
        models[name] = learn(china, name.split(",")[0], **options)
        print(f"{name}: {time.process_time() - start:.0f} s to learn, {models[name].n_iter_} passes", flush=True)
    filters = {
        "non-local means": lambda noisy: restoration.denoise_nl_means(
            noisy, h=0.8 * SIGMA, sigma=SIGMA, patch_size=5, patch_distance=11, fast_mode=False
        ),
        "non-local means, fast": lambda noisy: restoration.denoise_nl_means(
            noisy, h=0.6 * SIGMA, sigma=SIGMA, patch_size=5, patch_distance=11, fast_mode=True
        ),
        "total variation": lambda noisy: restoration.denoise_tv_chambolle(noisy, weight=1.0 * SIGMA),
        "wavelets, BayesShrink": lambda noisy: restoration.denoise_wavelet(noisy, sigma=SIGMA, rescale_sigma=True),
    }
    filters.update({name: lambda noisy, model=model: denoise(noisy, model, SIGMA) for name, model in models.items()})
    for picture, truth in pictures.items():
        noisy = truth + np.random.default_rng(1).normal(size=truth.shape) * SIGMA
        print(f"{picture}: noisy {psnr(noisy, truth):.2f} dB")
        for name, run in filters.items():
            start = time.process_time()
            found = run(noisy)
            print(f"| {name} | {psnr(found, truth):.2f} | {time.process_time() - start:.1f} |", flush=True)


if __name__ == "__main__":
    main()
