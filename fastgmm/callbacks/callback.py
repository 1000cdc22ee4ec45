"""The protocol, as a class to derive from."""

from __future__ import annotations

from typing import Any

__all__ = ["Callback"]


class Callback:
    """A callback that does nothing. Subclasses override the methods they need.

    Hooks may ask for more by name, as keyword-only arguments: ``X``, ``y``, ``metadata`` (a dictionary with
    sample_weight, or None) and ``fitted_estimator``, an estimator fitted so far, which is only made if asked for.

    See Also
    --------
    DriftAlarm : Acts on batches that the model does not expect.
    TimeLimit : Ends a fit after some seconds.

    Examples
    --------
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.callbacks import Callback
    >>> from fastgmm.datasets import load_faithful
    >>> class Path(Callback):
    ...     def setup(self, estimator, context):
    ...         self.bounds = []
    ...     def on_fit_task_end(self, estimator, context):
    ...         if context.task_name == "iteration":
    ...             self.bounds.append(context.lower_bound)
    ...             return len(self.bounds) == 3
    >>> path = Path()
    >>> model = GaussianMixture(2, tol=0, random_state=0).set_callbacks(path).fit(load_faithful())
    >>> model.n_iter_, model.stopped_, model.lower_bounds_ == path.bounds
    (3, True, True)
    """

    def setup(self, estimator: Any, context: Any) -> None:
        """Be told that a fit begins.

        See Also
        --------
        teardown : Called when the fit is over.
        """

    def teardown(self, estimator: Any, context: Any) -> None:
        """Be told that a fit is over, also one that failed.

        See Also
        --------
        setup : Called when the fit begins.
        """

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Be told that a task begins.

        See Also
        --------
        on_fit_task_end : Called when it ends.
        """

    def on_fit_task_end(self, estimator: Any, context: Any) -> bool | None:
        """Be told that a task has ended; return True to end what it is a part of.

        See Also
        --------
        on_fit_task_begin : Called when it begins.
        """
        return None
