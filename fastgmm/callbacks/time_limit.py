"""Ending a fit when its time is up."""

from __future__ import annotations

import time
from typing import Any

from fastgmm.callbacks.callback import Callback

__all__ = ["TimeLimit"]


class TimeLimit(Callback):
    """End a fit once it has taken `seconds`, and keep the best so far.

    The time is checked after every iteration, run, candidate and trial of a start, so the one in progress is finished
    first. A hierarchical clustering ('hc') of at most 2000 rows is finished as well.

    Parameters
    ----------
    seconds : float
        The time in seconds, at least 0. The first iteration is always made.

    Raises
    ------
    ValueError
        If `seconds` is negative or not a number.

    See Also
    --------
    Callback : To write one of your own.

    Examples
    --------
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.callbacks import TimeLimit
    >>> from fastgmm.datasets import load_faithful
    >>> model = GaussianMixture(2, n_init=1000, random_state=0).set_callbacks(TimeLimit(0)).fit(load_faithful())
    >>> model.n_iter_, model.stopped_
    (1, True)
    """

    #: Also inside the candidates of a search, however deep.
    max_propagation_depth = None

    def __init__(self, seconds: float) -> None:
        if not seconds >= 0:
            raise ValueError(f"seconds is {seconds!r}; expected a number of at least 0")
        self.seconds = seconds
        self._end = float("inf")

    def setup(self, estimator: Any, context: Any) -> None:
        """Start the clock.

        See Also
        --------
        on_fit_task_end : Reads the clock.
        """
        self._end = time.monotonic() + self.seconds

    def on_fit_task_end(self, estimator: Any, context: Any) -> bool:
        """Return whether the time is up.

        See Also
        --------
        setup : Starts the clock.
        """
        return time.monotonic() >= self._end
