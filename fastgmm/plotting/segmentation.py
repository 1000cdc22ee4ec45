"""An image segmented by the components of its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastgmm.plotting.backend import new_axes
from fastgmm.plotting.moments import mixture_of
from fastgmm.plotting.palette import COLOURS
from fastgmm.plotting.rows import quietly

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_segmentation", "segment"]


def segment(model: Any, image: Any, colours: Any = None) -> np.ndarray:
    """Return an image in which each pixel is the mean colour of the components, by its responsibilities.

    Parameters
    ----------
    model : fitted mixture
        Of pixels: as many features as the image has channels.
    image : array-like of shape (height, width) or (height, width, n_channels)
        The image whose pixels are the rows.
    colours : array-like of shape (n_components, 3), optional
        Red, green and blue of each component, from 0 to 1.

    Returns
    -------
    ndarray of shape (height, width, 3), float64
        From 0 to 1. Pixels that two components share are drawn in a mixture of their colours.
    """
    from matplotlib.colors import to_rgb

    model = mixture_of(model)
    image = np.asarray(image)
    n_components, n_features = model.means_.shape
    pixels = image[..., None] if image.ndim == 2 else image
    if pixels.ndim != 3 or pixels.shape[2] != n_features:
        raise ValueError(
            f"image has shape {image.shape}; expected (height, width, n_features) with n_features = {n_features}"
        )
    if colours is None:
        base = np.array([to_rgb(name) for name in COLOURS])
        # After the palette ends it begins again, lighter, so that no two of the first 21 are alike.
        tint = (np.arange(n_components) // len(base) % 3)[:, None] * 0.35
        colours = base[np.arange(n_components) % len(base)] * (1.0 - tint) + tint
    colours = np.asarray(colours, dtype=np.float64)
    if colours.shape != (n_components, 3):
        raise ValueError(f"colours has shape {colours.shape}; expected (n_components, 3) = ({n_components}, 3)")
    rows = pixels.reshape(-1, n_features)
    if rows.dtype not in (np.float32, np.float64):
        rows = rows.astype(np.float64)
    responsibilities = np.asarray(quietly(model, "predict_proba", rows))
    if responsibilities.shape[1] > n_components:
        colours = np.vstack([colours, np.full(3, 0.5)])  # noise is grey
    return np.clip(responsibilities @ colours, 0.0, 1.0).reshape(*pixels.shape[:2], 3)


def plot_segmentation(model: Any, image: Any, *, colours: Any = None, ax: Axes | None = None) -> Axes:
    """Draw an image by the components of its pixels.

    Parameters
    ----------
    model : fitted mixture
        The model to draw.
    image : array-like of shape (height, width) or (height, width, n_channels)
        The image whose pixels are the rows.
    colours : array-like of shape (n_components, 3), or 'means', optional
        The colours of the components. 'means' takes their means, for pixels of red, green and blue from 0 to 1.
    ax : Axes, optional
        The matplotlib axes to draw into; by default those of a new figure.

    Returns
    -------
    Axes
        The matplotlib axes that were drawn into.

    See Also
    --------
    pixels : Makes rows of an image.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.plotting import plot_segmentation
    >>> image = np.random.default_rng(0).normal(scale=0.05, size=(20, 30, 3)) + 0.2
    >>> image[5:15, 10:20] += [0.6, 0.3, 0.0]
    >>> model = GaussianMixture(2, random_state=0).fit(image.reshape(-1, 3))
    >>> plot_segmentation(model, image, ax=Figure().subplots()).images[0].get_array().shape
    (20, 30, 3)
    """
    ax = new_axes(ax)
    if isinstance(colours, str):
        if colours != "means" or mixture_of(model).means_.shape[1] != 3:
            raise ValueError(f"colours is {colours!r}; expected 'means', for three channels, or an array of colours")
        colours = np.clip(mixture_of(model).means_, 0.0, 1.0)
    ax.imshow(segment(model, image, colours), interpolation="nearest")
    ax.set_axis_off()
    return ax
