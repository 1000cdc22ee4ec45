"""From JSON and arrays back to an estimator; whatever a file says is checked before it is believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastgmm.model import get_shape
from fastgmm.persistence.archive import ModelFileError
from fastgmm.persistence.registry import ESTIMATORS, RECORDS, SCALARS, class_of, is_attribute

__all__ = ["Decoder"]


class Decoder:
    """The inverse of `Encoder`."""

    def __init__(self, arrays: list[np.ndarray]) -> None:
        self.arrays = arrays
        self._readers: dict[str, Callable[..., Any]] = {
            "float": float,
            "numpy_str": np.str_,
            "scalar": lambda held: self._scalar(*held),
            "scalars": lambda held: list(self._member(held)),
            "array": self._member,
            "objects": lambda held: self._objects(*held),
            "tuple": lambda held: tuple(self.decode(item) for item in held),
            "dict": lambda held: {self.decode(key): self.decode(item) for key, item in held},
            "range": lambda held: range(*held),
            "random_state": lambda held: self._random_state(*held),
        }

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
        if tag not in self._readers:
            raise ModelFileError(f"a damaged fastgmm model: unknown kind of value {tag!r}")
        return self._readers[tag](held)

    def _member(self, i: Any) -> np.ndarray:
        if type(i) is not int or not 0 <= i < len(self.arrays):
            raise ModelFileError(f"a damaged fastgmm model: there is no array {i!r}")
        return self.arrays[i]

    def _objects(self, shape: list[int], items: list[Any]) -> np.ndarray:
        out = np.empty(len(items), dtype=object)
        out[:] = [self.decode(item) for item in items]
        return out.reshape(shape)

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
        return class_of(name, RECORDS)(**{key: self.decode(held) for key, held in value["fields"].items()})

    def _estimator(self, value: dict) -> Any:
        name = value["estimator"]
        if name not in ESTIMATORS:
            raise ModelFileError(f"holds a {name!r}; expected one of {', '.join(ESTIMATORS)}: upgrade fastgmm")
        cls = class_of(name, ESTIMATORS)
        parameters = {key: self.decode(held) for key, held in value["parameters"].items()}
        unknown = sorted(set(parameters) - set(cls._get_param_names()))  # type: ignore[attr-defined]
        if unknown:
            raise ModelFileError(f"{name} has no parameter {', '.join(unknown)} in this fastgmm: upgrade fastgmm")
        model = cls(**parameters)
        for key, held in value["attributes"].items():
            if not is_attribute(key, cls):
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
    expected = {"weights_": (n_components,), "means_": means.shape}
    has_factors = "loadings_" in vars(model)
    if has_factors:
        loadings = (*means.shape, np.shape(model.loadings_)[-1] if np.ndim(model.loadings_) == 3 else 0)
        expected |= {"loadings_": loadings, "noise_variances_": means.shape}
        if hasattr(model, "df_"):
            expected["df_"] = (n_components,)
    else:
        shape = model._covariance.shape if hasattr(model, "_covariance") else get_shape(model._kernel)
        dims = shape.dims(n_components, n_features)
        expected |= dict.fromkeys(("covariances_", "precisions_cholesky_"), dims)
    if not has_factors and hasattr(model, "precisions_"):
        expected["precisions_"] = dims
    if not has_factors and hasattr(model, "scales_"):
        expected |= {"scales_": dims, "df_": (n_components,)}
        del expected["covariances_"]  # made of these two, and not read
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
