"""A mixture's parameters, checked once, for passes over many blocks of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgmm import config
from fastgmm.kernels.engines import engine_for

__all__ = ["BoundMixture", "checked"]


class BoundMixture:
    """What the kernels read of a mixture, checked when it is bound: a pass over a block checks its rows alone.

    It stands in for parameters wherever the kernels take them, follows the engine of the settings, and can be pickled.

    Parameters
    ----------
    structure : {'full', 'tied', 'diag', 'spherical'}
        Shape of the precision factors.
    log_offset : ndarray of shape (n_components,), float64
        Log weight plus log normaliser, in nats.
    means : ndarray of shape (n_components, n_features), float64
        The mean of each component.
    precisions_cholesky : ndarray, float64
        All three C-contiguous; not copied, so what is written to them later counts.
    tail : object with a name, optional
        None for Gaussian components.
    """

    __slots__ = ("_running", "log_offset", "means", "precisions_cholesky", "structure", "tail")

    def __init__(
        self,
        structure: str,
        log_offset: np.ndarray,
        means: np.ndarray,
        precisions_cholesky: np.ndarray,
        tail: Any = None,
    ) -> None:
        self.structure = structure
        self.log_offset = log_offset
        self.means = means
        self.precisions_cholesky = precisions_cholesky
        self.tail = tail
        self._running: dict[tuple[str, str], Any] = {}
        self.on_engine("log_density")

    @property
    def n_components(self) -> int:
        """Number of components."""
        return self.means.shape[0]

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.means.shape[1]

    def on_engine(self, action: str) -> Any:
        """Return the mixture of the engine that runs `action` now; its method of that name runs it."""
        key = config.engine(), action
        mixture = self._running.get(key)
        if mixture is None:
            kind = engine_for(action, self.structure, self.tail).Mixture
            same = (other for other in self._running.values() if type(other) is kind)
            mixture = self._running[key] = next(same, None) or _mixture(action, self)
        return mixture

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.structure, self.log_offset, self.means, self.precisions_cholesky, self.tail)


def _rebuilt(structure: str, log_offset: Any, means: Any, precisions_cholesky: Any, tail: Any) -> BoundMixture:
    # What came from another process may lie at any address of the message, and the kernels read no such numbers.
    log_offset, means, factor = (
        np.require(part, requirements=["A"]) for part in (log_offset, means, precisions_cholesky)
    )
    return BoundMixture(structure, log_offset, means, factor, tail)


def _mixture(action: str, parameters: Any) -> Any:
    tail = getattr(parameters, "tail", None)
    return engine_for(action, parameters.structure, tail).Mixture(
        parameters.structure, parameters.log_offset, parameters.means, parameters.precisions_cholesky, tail
    )


def checked(action: str, parameters: Any) -> Any:
    """Return parameters, bound or not, as the mixture of the engine that runs `action`; it checked them.

    What has passes of its own, on what several engines' passes are made of, has ``on_engine``, too.
    """
    return parameters.on_engine(action) if hasattr(parameters, "on_engine") else _mixture(action, parameters)
