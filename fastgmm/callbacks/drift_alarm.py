"""Acting on a stream that is not what it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastgmm.callbacks.callback import Callback
from fastgmm.exceptions import DriftWarning, warn

__all__ = ["DriftAlarm"]


class DriftAlarm(Callback):
    """Look at each batch of a stream before it is learned from, and act where it is not what the model expects.

    Set on a mixture, it sees every batch of `partial_fit` except the first. It has no effect in `fit`.

    Parameters
    ----------
    threshold : float, default=1e-4
        The alarm is raised if the p-value of ``model.drift(X)`` is below this. By chance that happens once in
        ``1 / threshold`` batches.
    action : callable, optional
        ``action(model, X, drift)`` is called on alarm. It may change the model's parameters, such as `forgetting`, keep
        the batch, or tell somebody. If it returns True, the model does not learn from the batch. Without an action, a
        `fastgmm.exceptions.DriftWarning` is issued.
    **options
        Options of ``model.drift``: `reference`, `n_simulations`, `random_state`.

    Attributes
    ----------
    drifts_ : list of Drift
        The result of ``model.drift`` for each batch that was looked at.

    See Also
    --------
    fastgmm.GaussianMixture.drift : The test that it makes.
    TimeLimit : Ends a fit after some seconds.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.callbacks import DriftAlarm
    >>> rng = np.random.default_rng(0)
    >>> alarm = DriftAlarm(action=lambda model, X, drift: True)  # leave such batches out
    >>> model = GaussianMixture(2, random_state=0).set_callbacks(alarm)
    >>> for batch in range(10):
    ...     shift = 3.0 if batch == 7 else 0.0
    ...     model = model.partial_fit(rng.normal(size=(500, 2)) + shift)
    >>> [i + 1 for i, drift in enumerate(alarm.drifts_) if drift.p_value < 1e-4]
    [7]
    >>> bool(abs(model.means_.mean()) < 0.2)
    True
    """

    def __init__(
        self, threshold: float = 1e-4, action: Callable[[Any, Any, Any], bool | None] | None = None, **options: Any
    ) -> None:
        if not 0.0 < threshold < 1.0:
            raise ValueError(f"threshold is {threshold!r}; expected a probability between 0 and 1, such as 1e-4")
        if action is not None and not callable(action):
            raise TypeError(f"action is a {type(action).__name__}; expected a function of model, X and drift, or None")
        self.threshold = threshold
        self.action = action
        self.options = options
        self.drifts_: list[Any] = []

    def on_batch(self, estimator: Any, X: Any, sample_weight: Any = None) -> bool:
        """Return whether a batch is to be left out.

        See Also
        --------
        fastgmm.GaussianMixture.partial_fit : Calls it.
        """
        drift = estimator.drift(X, sample_weight, **self.options)
        self.drifts_.append(drift)
        if drift.p_value >= self.threshold:
            return False
        if self.action is not None:
            return bool(self.action(estimator, X, drift))
        warn(
            f"batch {len(self.drifts_) + 1} of the stream has a mean log density of {drift.score:.3g} nats per row, "
            f"where {drift.expected:.3g} was expected (p-value {drift.p_value:.2g}): the source may have changed. "
            "Raise forgetting, begin a new model, or leave such batches out by an action that returns True",
            DriftWarning,
        )
        return False
