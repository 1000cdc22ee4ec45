"""Being told how a fit goes, and ending it early: ``estimator.set_callbacks(...)``.

The protocol is scikit-learn's (`sklearn.callback`, from 1.9), whose own callbacks work too; where the installed version
has none, `context` stands in for it with the same hooks. A fit is a tree of tasks:

=========================  ============================================================================
fit                        the root
fit > run > trial          of a mixture that starts by 'multistart': what the search for a start tries
fit > run > iteration      of a mixture: a run per start, an iteration per pass
fit > candidate            of a search: a number of components and a structure
=========================  ============================================================================

A callback has ``setup`` and ``teardown``, once per fit, and ``on_fit_task_begin`` and ``on_fit_task_end`` for each
task; `Callback` defines all four, to be overridden. ``on_fit_task_end`` returns True to end the level of the task: the
search for a start, after a trial; the run, after an iteration; the fit, after a run or a candidate. What has been
reached is kept: the estimator is fitted, ``stopped_`` is True if a run or the fit was ended, and ``converged_`` False
unless the best run had converged. A callback that raises leaves the estimator as it was.

A task is described by a context: ``task_name``, ``task_id``, ``max_subtasks`` and ``parent``, which are scikit-learn's,
and, at its end, ``lower_bound`` (of a trial, in nats per row of the sample that starts are compared on),
``lower_bound`` and ``change`` (of an iteration, in nats per sample), ``lower_bound``, ``n_iter`` and ``converged`` (of
a run), or ``candidate`` (of a candidate; see `fastgmm.selection.candidates`).

A callback that also has ``on_batch(estimator, X, sample_weight)`` is told of every batch of a stream (`partial_fit`)
but the first, before the model learns from it, and returns True to leave it out: `DriftAlarm`.

What `verbose` writes is told in the same way, and written by `progress` alone.

A search tells a callback of its candidates' own runs if the callback has the attribute ``max_propagation_depth``, None
or a positive number, as scikit-learn's do.
"""

from fastgmm.callbacks.callback import Callback
from fastgmm.callbacks.drift_alarm import DriftAlarm
from fastgmm.callbacks.progress import Reporter, SearchReporter
from fastgmm.callbacks.support import CallbackSupport, unchanged_on_failure
from fastgmm.callbacks.time_limit import TimeLimit
from fastgmm.callbacks.watch import Task, Watch, fitted_attributes

__all__ = [
    "Callback",
    "CallbackSupport",
    "DriftAlarm",
    "Reporter",
    "SearchReporter",
    "Task",
    "TimeLimit",
    "Watch",
    "fitted_attributes",
    "unchanged_on_failure",
]
