"""From an estimator to JSON, with its arrays set aside."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from fastgmm.persistence.registry import ARRAY_KINDS, ESTIMATORS, RECORDS, SCALARS, is_attribute, is_registered, kind_of

__all__ = ["Encoder"]


class Encoder:
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
        if is_registered(value, RECORDS):
            parts = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
            # A part that came later and is not there is left out: earlier versions read what they know.
            fields = {field.name: held for field, held in parts if held is not None or field.default is not None}
            return {
                "record": type(value).__name__,
                "fields": {name: self.encode(held, f"{where}.{name}") for name, held in fields.items()},
            }
        if is_registered(value, ESTIMATORS):
            return self._estimator(value, where)
        raise TypeError(
            f"{where} is {kind_of(value)}, which a model file cannot hold; expected numbers, strings, arrays, lists, "
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
            if not is_attribute(name, type(value)):
                raise TypeError(f"{where}.{name} is neither a parameter nor a fitted attribute; delete it to save")
        return {
            "estimator": type(value).__name__,
            "parameters": {name: self.encode(held, f"{where}.{name}") for name, held in parameters.items()},
            "attributes": {name: self.encode(held, f"{where}.{name}") for name, held in attributes.items()},
        }
