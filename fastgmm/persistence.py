"""Keeping fitted models: one file, arrays and a JSON header, no pickle.

A model file is an uncompressed zip archive: ``header.json`` says what the model is, and each array is a ``.npy``
member named by the header. ``numpy.load`` opens it too. Nothing in a file is ever executed: classes come from
`ESTIMATORS` and `RECORDS`, arrays are read without pickle, and names, sizes and shapes are checked before use.
"""

from __future__ import annotations

import dataclasses
import importlib
import io
import json
import math
import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["FORMAT_VERSION", "ModelFileError", "load", "read_training", "save"]

FORMAT = "fastgmm model"
FORMAT_VERSION = 1
HEADER = "header.json"

# The estimators that may be in a file, and where each is; a new public one is one more line.
ESTIMATORS: dict[str, str] = {
    "BayesianGaussianMixture": "fastgmm.bayesian_mixture",
    "GaussianMixture": "fastgmm.gaussian_mixture",
    "GaussianMixtureClassifier": "fastgmm.classifier",
    "GaussianMixtureOutlierDetector": "fastgmm.outlier_detector",
    "GaussianMixtureRegressor": "fastgmm.regressor",
    "GaussianMixtureSearch": "fastgmm.selection",
}
# Data classes that estimators hold.
RECORDS: dict[str, str] = {
    "Box": "fastgmm.model.noise",
    "SufficientStatistics": "fastgmm.model.statistics",
}

# ``MIGRATIONS[v]`` turns the header of a file of version v into one of version v + 1.
MIGRATIONS: dict[int, Callable[[dict], dict]] = {}

SCALARS = {"bool", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
ARRAY_KINDS = "biufcUSmM"


class ModelFileError(ValueError):
    """A file is not a fastgmm model, or not a whole one."""


def save(model: Any, path: str | os.PathLike[str], *, training: dict[str, Any] | None = None) -> None:
    """Write a model to one file, whole or not at all.

    Parameters
    ----------
    model : estimator
        Any public estimator of fastgmm, fitted or not.
    path : str or path-like
        Written as given; an existing file is replaced once the new one is complete.
    training : dict, optional
        What to remember of the training beside the model's own attributes: names, numbers, lists, arrays.
        `read_training` returns it.

    Raises
    ------
    TypeError
        If the model, or something in it, is of a kind that a file cannot hold; the message says where.
    OSError
        If the file cannot be written; nothing is left behind.

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

    if not _is_registered(model, ESTIMATORS):
        raise TypeError(f"model is {_kind(model)}; expected a fastgmm estimator, one of {', '.join(ESTIMATORS)}")
    writer = _Writer()
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "fastgmm_version": fastgmm.__version__,
        "model": writer.encode(model, type(model).__name__),
        "training": writer.encode(dict(training or {}), "training"),
    }
    header["arrays"] = [{"dtype": array.dtype.str, "shape": list(array.shape)} for array in writer.arrays]
    _write_whole(Path(path), _archive(header, writer.arrays))


def load(path: str | os.PathLike[str]) -> Any:
    """Return the model that `save` wrote.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    estimator
        Of the class that was saved, with the same parameters, fitted attributes and predictions.

    Raises
    ------
    ModelFileError
        If the file is damaged, truncated, not a model, or of a newer format. Nothing in it is executed.
    OSError
        If there is no such file, or it cannot be read.

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

    Returns
    -------
    dict

    Raises
    ------
    ModelFileError, OSError
        As in `load`.

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
        raise ModelFileError(f"{os.fspath(path)}: its training summary is {_kind(training)}; expected a dictionary")
    return training


def _kind(value: Any) -> str:
    return f"of type {type(value).__module__}.{type(value).__qualname__}"


def _class_of(name: str, registry: dict[str, str]) -> type:
    return getattr(importlib.import_module(registry[name]), name)


def _is_registered(value: Any, registry: dict[str, str]) -> bool:
    # The very class: a subclass of ours is somebody's own code, which no file can bring back.
    name = type(value).__name__
    return name in registry and type(value) is _class_of(name, registry)


# Writing.


class _Writer:
    """Turns values into JSON, setting arrays aside."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []

    def encode(self, value: Any, where: str) -> Any:
        """Return `value` as JSON; `where` names it in errors. What JSON does not have is a dictionary of one tag."""
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if isinstance(value, np.str_):
            return {"numpy_str": str(value)}
        if isinstance(value, np.generic) and value.dtype.name in SCALARS:
            return {"scalar": [value.dtype.name, self.encode(value.item(), where)]}
        if isinstance(value, np.ndarray):
            return self._array(value, where)
        if type(value) is list:
            return self._list(value, where)
        if type(value) is tuple:
            return {"tuple": [self.encode(item, f"{where}[{i}]") for i, item in enumerate(value)]}
        if type(value) is dict:
            return {"dict": [[self.encode(k, where), self.encode(v, f"{where}[{k!r}]")] for k, v in value.items()]}
        if isinstance(value, np.random.RandomState):
            return self._random_state(value, where)
        if type(value) is range:
            return {"range": [value.start, value.stop, value.step]}
        if _is_registered(value, RECORDS):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return {
                "record": type(value).__name__,
                "fields": {name: self.encode(held, f"{where}.{name}") for name, held in fields.items()},
            }
        if _is_registered(value, ESTIMATORS):
            return self._estimator(value, where)
        raise TypeError(
            f"{where} is {_kind(value)}, which a model file cannot hold; expected numbers, strings, arrays, lists, "
            f"tuples, dictionaries or fastgmm estimators"
        )

    def _set_aside(self, array: np.ndarray) -> int:
        self.arrays.append(array)
        return len(self.arrays) - 1

    def _array(self, value: np.ndarray, where: str) -> Any:
        if value.dtype == object:
            items = [self.encode(item, where) for item in value.ravel().tolist()]
            return {"objects": [list(value.shape), items]}
        if value.dtype.kind not in ARRAY_KINDS or value.dtype.hasobject:
            raise TypeError(f"{where} is an array of dtype {value.dtype}, which a model file cannot hold")
        return {"array": self._set_aside(np.ascontiguousarray(value).reshape(value.shape))}

    def _list(self, value: list, where: str) -> Any:
        # A path of bounds is hundreds of NumPy scalars: one array.
        kind = type(value[0]) if value else None
        if kind is not None and issubclass(kind, np.number) and all(type(item) is kind for item in value):
            array = np.array(value)
            if array.dtype.name in SCALARS:
                return {"scalars": self._set_aside(array)}
        return [self.encode(item, f"{where}[{i}]") for i, item in enumerate(value)]

    def _random_state(self, value: np.random.RandomState, where: str) -> Any:
        state = value.get_state(legacy=False)
        if not isinstance(state, dict) or state["bit_generator"] != "MT19937":
            raise TypeError(f"{where} is a RandomState over another generator than MT19937; use an integer seed")
        return {
            "random_state": [
                self._set_aside(np.asarray(state["state"]["key"])),
                int(state["state"]["pos"]),
                int(state["has_gauss"]),
                float(state["gauss"]),
            ]
        }

    def _estimator(self, value: Any, where: str) -> Any:
        parameters = value.get_params(deep=False)
        # Callbacks are the program's own; a model that is read has none.
        left_out = {"_skl_callbacks", *parameters}
        attributes = {name: held for name, held in vars(value).items() if name not in left_out}
        for name in attributes:
            if not _is_attribute(name, type(value)):
                raise TypeError(f"{where}.{name} is neither a parameter nor a fitted attribute; delete it to save")
        return {
            "estimator": type(value).__name__,
            "parameters": {name: self.encode(held, f"{where}.{name}") for name, held in parameters.items()},
            "attributes": {name: self.encode(held, f"{where}.{name}") for name, held in attributes.items()},
        }


def _is_attribute(name: Any, cls: type) -> bool:
    # What the class defines is no attribute of a fit: a file must not put a value in a method's place.
    return (
        isinstance(name, str)
        and name.isidentifier()
        and not name.startswith("__")
        and (name.endswith("_") or name.startswith("_"))
        and not hasattr(cls, name)
    )


def _archive(header: dict, arrays: list[np.ndarray]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        # A fixed time stamp: the same model is the same file.
        archive.writestr(zipfile.ZipInfo(HEADER), json.dumps(header, allow_nan=False, indent=1))
        for i, array in enumerate(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(_member(i)), member.getvalue())
    return content.getvalue()


def _member(i: int) -> str:
    return f"array{i}.npy"


def _write_whole(path: Path, content: bytes) -> None:
    path = Path(os.path.realpath(path))  # a link goes on pointing to the file
    if path.is_dir():
        raise IsADirectoryError(f"path is the directory {path}; expected a file")
    partial = path.with_name(f".{path.name}.{os.urandom(6).hex()}.partial")
    try:
        with open(partial, "xb") as file:
            if path.exists():
                os.chmod(partial, path.stat().st_mode & 0o777)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    with suppress(OSError):  # a file system without directory sync keeps the file all the same
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


# Reading.


def _read(path: str | os.PathLike[str], part: str) -> Any:
    name = os.fspath(path)
    with open(path, "rb") as file:
        content = file.read()
    try:
        header, arrays = _open(content)
        return _Reader(arrays).decode(header[part])
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from None
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, RecursionError, AttributeError) as error:
        # Whatever a hostile header makes of the reader, the user hears that the file is damaged.
        raise ModelFileError(f"{name}: a damaged fastgmm model ({type(error).__name__}: {error})") from error


def _open(content: bytes) -> tuple[dict, list[np.ndarray]]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        members = {info.filename: info for info in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        cut = content[:4] == b"PK\x03\x04"
        raise ModelFileError(
            "a truncated or damaged fastgmm model" if cut else "not a fastgmm model; expected a file that save wrote"
        ) from error
    if HEADER not in members:
        raise ModelFileError("not a fastgmm model: it has no header.json; expected a file that save wrote")
    header = json.loads(_content(archive, members[HEADER], len(content)))
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ModelFileError(f"not a fastgmm model: its header does not say {FORMAT!r}")
    version = header.get("format_version")
    if type(version) is not int or version < 1:
        raise ModelFileError(f"its format version is {version!r}; expected a positive integer")
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"written in format version {version} by fastgmm {header.get('fastgmm_version')}; this fastgmm reads "
            f"versions up to {FORMAT_VERSION}: upgrade fastgmm"
        )
    for older in range(version, FORMAT_VERSION):
        header = MIGRATIONS[older](header)
    declared = header["arrays"]
    if set(members) != {HEADER, *map(_member, range(len(declared)))} or len(archive.infolist()) != len(members):
        raise ModelFileError("a damaged fastgmm model: its members are not those that its header declares")
    arrays = [
        _array(_content(archive, members[_member(i)], len(content)), entry, _member(i))
        for i, entry in enumerate(declared)
    ]
    return header, arrays


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    # Stored members are never larger than the file, so a small file cannot ask for much memory.
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 0x1 or info.file_size > limit:
        raise ModelFileError(f"a damaged fastgmm model: {info.filename} is compressed, encrypted or of a wrong size")
    try:
        return archive.read(info)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError) as error:
        raise ModelFileError(f"a damaged fastgmm model: {info.filename} fails its checksum or is cut short") from error


def _array(content: bytes, declared: dict, name: str) -> np.ndarray:
    member = io.BytesIO(content)
    if np.lib.format.read_magic(member) != (1, 0):
        raise ModelFileError(f"a damaged fastgmm model: {name} is not a plain array")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(member)
    size = math.prod(shape) * dtype.itemsize
    if (
        dtype.kind not in ARRAY_KINDS
        or dtype.hasobject
        or fortran
        or any(length < 0 for length in shape)
        or {"dtype": dtype.str, "shape": list(shape)} != declared
        or size != len(content) - member.tell()
    ):
        raise ModelFileError(f"a damaged fastgmm model: {name} is not the array that the header declares")
    return np.frombuffer(content, dtype, offset=member.tell(), count=math.prod(shape)).reshape(shape).copy()


class _Reader:
    """The inverse of `_Writer`."""

    def __init__(self, arrays: list[np.ndarray]) -> None:
        self.arrays = arrays

    def decode(self, value: Any) -> Any:
        """Return the value that was encoded."""
        if isinstance(value, list):
            return [self.decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "estimator" in value:
            return self._estimator(value)
        if "record" in value:
            return self._record(value)
        ((tag, held),) = value.items()
        if tag == "float":
            return float(held)
        if tag == "numpy_str":
            return np.str_(held)
        if tag == "scalar":
            return self._scalar(*held)
        if tag == "scalars":
            return list(self._member(held))
        if tag == "array":
            return self._member(held)
        if tag == "objects":
            shape, items = held
            out = np.empty(len(items), dtype=object)
            out[:] = [self.decode(item) for item in items]
            return out.reshape(shape)
        if tag == "tuple":
            return tuple(self.decode(item) for item in held)
        if tag == "dict":
            return {self.decode(key): self.decode(item) for key, item in held}
        if tag == "range":
            return range(*held)
        if tag == "random_state":
            return self._random_state(*held)
        raise ModelFileError(f"a damaged fastgmm model: unknown kind of value {tag!r}")

    def _member(self, i: Any) -> np.ndarray:
        if type(i) is not int or not 0 <= i < len(self.arrays):
            raise ModelFileError(f"a damaged fastgmm model: there is no array {i!r}")
        return self.arrays[i]

    def _scalar(self, dtype: str, value: Any) -> Any:
        if dtype not in SCALARS:
            raise ModelFileError(f"a damaged fastgmm model: unknown type of number {dtype!r}")
        return np.dtype(dtype).type(self.decode(value))

    def _random_state(self, key: int, position: int, has_gauss: int, gauss: float) -> np.random.RandomState:
        state = np.random.RandomState()
        state.set_state(("MT19937", self._member(key), position, has_gauss, gauss))
        return state

    def _record(self, value: dict) -> Any:
        name = value["record"]
        if name not in RECORDS:
            raise ModelFileError(f"holds a {name!r}; expected one of {', '.join(RECORDS)}: upgrade fastgmm")
        return _class_of(name, RECORDS)(**{key: self.decode(held) for key, held in value["fields"].items()})

    def _estimator(self, value: dict) -> Any:
        name = value["estimator"]
        if name not in ESTIMATORS:
            raise ModelFileError(f"holds a {name!r}; expected one of {', '.join(ESTIMATORS)}: upgrade fastgmm")
        cls = _class_of(name, ESTIMATORS)
        parameters = {key: self.decode(held) for key, held in value["parameters"].items()}
        unknown = sorted(set(parameters) - set(cls._get_param_names()))  # type: ignore[attr-defined]
        if unknown:
            raise ModelFileError(f"{name} has no parameter {', '.join(unknown)} in this fastgmm: upgrade fastgmm")
        model = cls(**parameters)
        for key, held in value["attributes"].items():
            if not _is_attribute(key, cls):
                raise ModelFileError(f"a damaged fastgmm model: {key!r} is not the name of a fitted attribute")
            model.__dict__[key] = self.decode(held)
        _check_mixture(model)
        return model


def _check_mixture(model: Any) -> None:
    """Raise ModelFileError unless the parts of a fitted mixture fit together: kernels trust shapes."""
    if not hasattr(model, "means_"):
        return
    means = model.means_
    if not isinstance(means, np.ndarray) or means.ndim != 2:
        raise ModelFileError("a damaged fastgmm model: means_ is not a matrix")
    n_components, n_features = means.shape
    shapes = {
        "full": (n_components, n_features, n_features),
        "tied": (n_features, n_features),
        "diag": (n_components, n_features),
        "spherical": (n_components,),
    }
    kernel = model._structure.kernel if hasattr(model, "_structure") else model._kernel
    expected = {"weights_": (n_components,), "means_": means.shape}
    expected |= dict.fromkeys(("covariances_", "precisions_cholesky_"), shapes[kernel])
    if hasattr(model, "precisions_"):
        expected["precisions_"] = shapes[kernel]
    for name, shape in expected.items():
        part = getattr(model, name, None)
        if not isinstance(part, np.ndarray) or part.dtype.kind != "f" or part.shape != shape:
            raise ModelFileError(
                f"a damaged fastgmm model: {name} has shape {getattr(part, 'shape', None)}; expected {shape} for "
                f"{n_components} components and {n_features} features"
            )
    if getattr(model, "n_features_in_", n_features) != n_features:
        raise ModelFileError(
            f"a damaged fastgmm model: n_features_in_ is {model.n_features_in_}; means_ has {n_features} columns"
        )
