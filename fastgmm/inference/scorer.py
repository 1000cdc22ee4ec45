"""A frozen mixture for servers: checks and parameters are paid for once, a row costs microseconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastgmm import config, kernels
from fastgmm.inference.top import check_n_top, top_components
from fastgmm.model import MixtureParameters

__all__ = ["Scorer"]

INT64 = np.dtype(np.int64)
#: So many are summed sooner by Python.
FEW_VALUES = 32


class Scorer:
    """Predictions of one mixture as it was when the scorer was made.

    Immutable, so any number of threads may share it; it can be pickled. Rows come as C-contiguous arrays of the
    scorer's dtype and are not converted. Batches run on as many threads as the settings allow, one row on one.

    Parameters
    ----------
    parameters : MixtureParameters
        Copied.
    dtype : dtype
        Of rows and results: float32 or float64.

    Attributes
    ----------
    n_components, n_features : int
        The sizes of the mixture.
    dtype : numpy.dtype
        The type of the rows it scores.

    See Also
    --------
    fastgmm.GaussianMixture.scorer : Makes one of a fitted mixture.
    """

    __slots__ = ("_mixture", "dtype", "n_components", "n_features")

    _mixture: kernels.BoundMixture
    dtype: np.dtype
    n_components: int
    n_features: int

    def __init__(self, parameters: MixtureParameters, dtype: Any) -> None:
        parts = (parameters.log_offset, parameters.means, parameters.precisions_cholesky)
        arrays = [np.array(part, dtype=np.float64, order="C") for part in parts]
        self._freeze(parameters.structure, arrays, dtype, getattr(parameters, "tail", None))

    def _freeze(self, structure: str, arrays: Sequence[np.ndarray], dtype: Any, tail: Any) -> None:
        for array in arrays:
            array.flags.writeable = False
        log_offset, means, factor = arrays
        mixture = kernels.BoundMixture(structure, log_offset, means, factor, tail)
        object.__setattr__(self, "_mixture", mixture)
        object.__setattr__(self, "dtype", np.dtype(dtype))
        object.__setattr__(self, "n_components", mixture.n_components)
        object.__setattr__(self, "n_features", mixture.n_features)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a Scorer is frozen; {name} cannot be set. Make another one with model.scorer()")

    def __reduce__(self):
        mixture = self._mixture
        arrays = (mixture.log_offset, mixture.means, mixture.precisions_cholesky)
        return _rebuilt, (arrays, mixture.structure, self.dtype.str, mixture.tail)

    def __repr__(self) -> str:
        return (
            f"Scorer(n_components={self.n_components}, n_features={self.n_features}, "
            f"structure={self._mixture.structure!r}, dtype={self.dtype.name!r})"
        )

    def _run(self, action: str, X: np.ndarray, out: np.ndarray | None, dtype: np.dtype, *columns: int) -> np.ndarray:
        if type(X) is not np.ndarray or X.ndim != 2 or X.shape[1] != self.n_features or X.dtype is not self.dtype:
            self._refuse(X)
        # A finite sum proves it; an infinite one may be an overflow. NumPy takes a microsecond to begin.
        total = sum(X.ravel().tolist()) if X.size <= FEW_VALUES else np.add.reduce(X, axis=None)
        if not math.isfinite(total) and not np.isfinite(X).all():
            row = int(np.flatnonzero(~np.isfinite(X).all(axis=1))[0])
            raise ValueError(f"X contains NaN or infinity in row {row}; expected finite rows")
        shape = (X.shape[0], *columns)
        if out is None:
            out = np.empty(shape, dtype)
        elif out.shape != shape or out.dtype != dtype:
            raise ValueError(f"out has shape {out.shape} and dtype {out.dtype}; expected {shape} and {dtype}")
        n_threads = 1 if X.shape[0] == 1 else config.n_threads()
        getattr(self._mixture.on_engine(action), action)(X, out, n_threads)
        return out

    def _refuse(self, X: Any) -> None:
        expected = f"a C-contiguous array of {self.dtype.name} of shape (n_samples, {self.n_features})"
        if not isinstance(X, np.ndarray):
            raise TypeError(f"X is of type {type(X).__name__}; expected {expected}; use numpy.asarray")
        if X.ndim != 2 or X.shape[1] != self.n_features:
            raise ValueError(f"X has shape {X.shape}; expected {expected}")
        if X.dtype != self.dtype:
            raise TypeError(f"X has dtype {X.dtype}; expected {expected}; use X.astype or model.scorer(dtype=...)")

    def predict(self, X: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return the most probable component of each row, int64, written to `out` (n_samples,) if given.

        See Also
        --------
        predict_proba : How probable each component is.
        """
        return self._run("assign", X, out, INT64)

    def predict_proba(self, X: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return posterior probabilities, written to `out` (n_samples, n_components) if given.

        See Also
        --------
        predict : The most probable component.
        """
        return self._run("responsibilities", X, out, self.dtype, self.n_components)

    def predict_topk(self, X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the k most probable components of each row, int64, the best first, and their probabilities.

        See Also
        --------
        predict_proba : The probabilities of all components.
        """
        return top_components(X, check_n_top(k, self.n_components), self.n_components, self.predict_proba)

    def score_samples(self, X: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return log densities in nats, written to `out` (n_samples,) if given.

        See Also
        --------
        predict : The most probable component.
        """
        return self._run("log_density", X, out, self.dtype)


def _rebuilt(arrays: tuple[np.ndarray, ...], structure: str, dtype: str, tail: Any = None) -> Scorer:
    scorer = object.__new__(Scorer)
    scorer._freeze(structure, arrays, dtype, tail)
    return scorer
