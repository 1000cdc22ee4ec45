"""Saving and loading."""

from __future__ import annotations

import os
from typing import Any

from fastgmm.persistence.archive import FORMAT, FORMAT_VERSION, ModelFileError, pack, unpack
from fastgmm.persistence.decoding import Decoder
from fastgmm.persistence.encoding import Encoder
from fastgmm.persistence.registry import ESTIMATORS, is_registered, kind_of
from fastgmm.persistence.whole_file import whole_file

__all__ = ["load", "read_training", "save"]


def save(model: Any, path: str | os.PathLike[str], *, training: dict[str, Any] | None = None) -> None:
    """Write a model to one file, whole or not at all.

    Parameters
    ----------
    model : estimator
        Any public estimator of fastgmm, fitted or not.
    path : str or path-like
        The file to write. An existing file is replaced once the new one is complete.
    training : dict, optional
        What to remember of the training beside the model's own attributes: names, numbers, lists, arrays.
        `read_training` returns it.

    Raises
    ------
    TypeError
        If the model, or something in it, is of a kind that a file cannot hold; the message says where.
    OSError
        If the file cannot be written; nothing is left behind.

    See Also
    --------
    load : Reads what `save` has written.

    Examples
    --------
    >>> import os, tempfile
    >>> import fastgmm
    >>> from fastgmm.datasets import load_faithful
    >>> model = fastgmm.GaussianMixture(2, random_state=0).fit(load_faithful())
    >>> path = os.path.join(tempfile.mkdtemp(), "model.npz")
    >>> fastgmm.save(model, path)
    >>> bool((fastgmm.load(path).means_ == model.means_).all())
    True
    """
    import fastgmm

    if not is_registered(model, ESTIMATORS):
        raise TypeError(f"model is {kind_of(model)}; expected a fastgmm estimator, one of {', '.join(ESTIMATORS)}")
    writer = Encoder()
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "fastgmm_version": fastgmm.__version__,
        "model": writer.encode(model, type(model).__name__),
        "training": writer.encode(dict(training or {}), "training"),
    }
    header["arrays"] = [{"dtype": array.dtype.str, "shape": list(array.shape)} for array in writer.arrays]
    content = pack(header, writer.arrays)
    with whole_file(path) as file:
        file.write_bytes(content)


def load(path: str | os.PathLike[str]) -> Any:
    """Return the model that `save` wrote.

    Parameters
    ----------
    path : str or path-like
        The file to read.

    Returns
    -------
    estimator
        An estimator of the class that was saved, with the same parameters, fitted attributes and predictions.

    Raises
    ------
    ModelFileError
        If the file is damaged, truncated, not a model, or of a newer format. Nothing in it is executed.
    OSError
        If there is no such file, or it cannot be read.

    See Also
    --------
    save : Writes a model file.
    read_training : Reads what the file says about how the model was made.

    Examples
    --------
    >>> import os, tempfile
    >>> from fastgmm import GaussianMixture, load, save
    >>> path = os.path.join(tempfile.mkdtemp(), "model.npz")
    >>> save(GaussianMixture(n_components=3), path)
    >>> load(path)
    GaussianMixture(n_components=3)
    """
    return _read(path, "model")


def read_training(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what `save` was told about the training of the model in a file.

    Parameters
    ----------
    path : str or path-like
        The file to read.

    Returns
    -------
    dict
        What was kept beside the model: names of the features, preprocessing, and the like.

    Raises
    ------
    ModelFileError, OSError
        As in `load`.

    See Also
    --------
    load : Reads the model itself.

    Examples
    --------
    >>> import os, tempfile
    >>> from fastgmm import GaussianMixture, save
    >>> from fastgmm.persistence import read_training
    >>> path = os.path.join(tempfile.mkdtemp(), "model.npz")
    >>> save(GaussianMixture(), path, training={"source": "faithful.csv"})
    >>> read_training(path)
    {'source': 'faithful.csv'}
    """
    training = _read(path, "training")
    if not isinstance(training, dict):
        raise ModelFileError(f"{os.fspath(path)}: its training summary is {kind_of(training)}; expected a dictionary")
    return training


def _read(path: str | os.PathLike[str], part: str) -> Any:
    name = os.fspath(path)
    with open(path, "rb") as file:
        content = file.read()
    try:
        header, arrays = unpack(content)
        return Decoder(arrays).decode(header[part])
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from None
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, RecursionError, AttributeError) as error:
        # Whatever a hostile header makes of the reader, the user hears that the file is damaged.
        raise ModelFileError(f"{name}: a damaged fastgmm model ({type(error).__name__}: {error})") from error
