"""Estimators that callbacks can be set on: scikit-learn's support where it has one, ours where not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastgmm.callbacks.progress import Progress
from fastgmm.callbacks.watch import Watch

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks

    #: with_callbacks tears down after any method, hence also after one that does nothing.
    tear_down = with_callbacks(lambda estimator: None)
except ImportError:
    from fastgmm.callbacks.context import CallbackSupportMixin, tear_down

__all__ = ["CallbackSupport", "unchanged_on_failure"]


class CallbackSupport(CallbackSupportMixin):
    """The part of an estimator that tells callbacks and the screen how its fit goes."""

    def _watch(
        self: Any,
        max_subtasks: int | None,
        *,
        reporter: Progress | None = None,
        X: Any = None,
        y: Any = None,
        sample_weight: Any = None,
    ) -> Watch:
        """Return what tells of a fit that begins.

        To be called once in a fit, inside `unchanged_on_failure`, which tidies up.
        """
        if reporter is not None:
            self._reporter = reporter
        called = "_skl_callbacks" in self.__dict__
        root = self._init_callback_context(max_subtasks=max_subtasks) if called else None
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        return Watch(self, root, reporter, X=X, y=y, metadata=metadata)


@contextmanager
def unchanged_on_failure(estimator: Any) -> Iterator[None]:
    """Leave an estimator as it was if what is done inside raises; tidy up after callbacks in any case."""
    before = dict(estimator.__dict__)
    try:
        try:
            yield
        finally:
            reporter = estimator.__dict__.pop("_reporter", None)
            if reporter is not None:
                reporter.close()
            if "_callback_fit_ctx" in estimator.__dict__:
                tear_down(estimator)
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise
