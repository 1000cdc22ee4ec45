"""What `sklearn.callback` does for an estimator, for versions of scikit-learn without it.

The same names, hooks and order of calls, so that a callback written for one works with the other. Pipelines and
searches of scikit-learn that have no callbacks cannot hand any down, so this has only what the estimators here do.
"""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime
from typing import Any

__all__ = ["CallbackContext", "CallbackSupportMixin", "tear_down"]

HOOKS = ("setup", "teardown", "on_fit_task_begin", "on_fit_task_end")
OFFERED = ("X", "y", "metadata", "fitted_estimator")


class CallbackContext:
    """A task of a fit and its place among the others.

    Attributes
    ----------
    task_name : str
    task_id : int
        Number among its siblings.
    max_subtasks : int or None
        Most children: 0 for a leaf, None where their number is not known.
    sequential_subtasks : bool
        True: children are numbered in the order they begin.
    estimator_name : str
    parent : CallbackContext or None
    root_uuid : UUID
        The same for all tasks of a fit.
    init_time : datetime
        When it began, in UTC.
    source_estimator_name, source_task_name : str or None
        Of the task of an outer estimator that this one is, where it is one.
    """

    sequential_subtasks = True

    def __init__(
        self,
        callbacks: list[Any],
        estimator_name: str,
        task_name: str,
        max_subtasks: int | None,
        parent: CallbackContext | None = None,
    ) -> None:
        self._callbacks, self._handed_down = callbacks, list[Any]()
        self.estimator_name, self.task_name, self.max_subtasks = estimator_name, task_name, max_subtasks
        self.parent, self.task_id = parent, 0 if parent is None else len(parent._children)
        self.root_uuid: uuid.UUID = uuid.uuid4() if parent is None else parent.root_uuid
        self.init_time = datetime.now(UTC)
        self.source_estimator_name: str | None = None
        self.source_task_name: str | None = None
        self._children: list[CallbackContext] = []
        self._depth: int = 0 if parent is None else parent._depth
        if parent is not None:
            parent._children.append(self)

    def __iter__(self) -> Iterator[CallbackContext]:
        """Go through this task and those below it, each before its children."""
        yield self
        for child in self._children:
            yield from child

    def subcontext(self, task_name: str = "", *, max_subtasks: int | None = 0) -> CallbackContext:
        """Return a new task below this one."""
        return CallbackContext(self._callbacks, self.estimator_name, task_name, max_subtasks, self)

    def call_on_fit_task_begin(self, *, estimator: Any, **offered: Any) -> CallbackContext:
        """Tell the callbacks that the task begins."""
        self._call("on_fit_task_begin", estimator, offered)
        return self

    def call_on_fit_task_end(self, *, estimator: Any, **offered: Any) -> bool:
        """Tell the callbacks that the task has ended; return whether one of them wants to end its level."""
        return self._call("on_fit_task_end", estimator, offered)

    def _call(self, name: str, estimator: Any, offered: dict[str, Any]) -> bool:
        made: dict[str, Any] = {}

        def value(wanted: str) -> Any:
            if wanted not in made:
                given = offered.get("reconstruction_attributes" if wanted == "fitted_estimator" else wanted)
                given = given() if callable(given) else given
                if wanted == "fitted_estimator" and given is not None:
                    fitted = copy(estimator)
                    vars(fitted).update(given)
                    given = fitted
                made[wanted] = given
            return made[wanted]

        stop = False
        for callback in self._callbacks:
            if any(callback is other for other in self._handed_down):
                continue  # the inner estimator, whose root this task is, tells it
            hook = getattr(callback, name)
            wanted = _names(hook)
            unknown = [argument for argument in wanted if argument not in OFFERED]
            if unknown:
                raise TypeError(
                    f"{type(callback).__name__}.{name} asks for {', '.join(unknown)}; expected some of "
                    f"{', '.join(OFFERED)}"
                )
            stop |= bool(hook(estimator, self, **{argument: value(argument) for argument in wanted}))
        return stop

    @contextmanager
    def propagate_callback_context(self, sub_estimator: Any) -> Iterator[None]:
        """Hand this task, and the callbacks that go down, to an inner estimator while it is fitted."""
        down = [
            callback
            for callback in self._callbacks
            if hasattr(callback, "max_propagation_depth")
            and (callback.max_propagation_depth is None or self._depth < callback.max_propagation_depth)
        ]
        own = list(getattr(sub_estimator, "_skl_callbacks", []))
        sub_estimator._parent_callback_ctx = self
        self._handed_down = down
        sub_estimator.set_callbacks(*own, *down)
        try:
            yield
        finally:
            sub_estimator.set_callbacks(*own)
            del sub_estimator._parent_callback_ctx


def _names(hook: Any) -> tuple[str, ...]:
    parameters = inspect.signature(hook).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY)


class CallbackSupportMixin:
    """An estimator that callbacks can be set on."""

    def set_callbacks(self, *callbacks: Any) -> Any:
        """Set the callbacks of later fits; none takes them away.

        Parameters
        ----------
        *callbacks
            Instances with the hooks that `fastgmm.callbacks` describes.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If one of them lacks a hook or is a class.
        """
        for callback in callbacks:
            if isinstance(callback, type) or not all(callable(getattr(callback, hook, None)) for hook in HOOKS):
                raise TypeError(f"callbacks must be instances with {', '.join(HOOKS)}; got {callback!r}")
        if callbacks:
            self._skl_callbacks = list(callbacks)
        else:
            self.__dict__.pop("_skl_callbacks", None)
        return self

    def _init_callback_context(self, task_name: str = "fit", max_subtasks: int | None = 0) -> CallbackContext:
        callbacks = getattr(self, "_skl_callbacks", [])
        context = CallbackContext(callbacks, type(self).__name__, task_name, max_subtasks)
        outer: CallbackContext | None = self.__dict__.get("_parent_callback_ctx")
        handed_down: list[Any] = []
        if outer is not None:
            # One task under two names: it takes the outer one's place in the tree.
            context.parent, context.task_id, context.root_uuid = outer.parent, outer.task_id, outer.root_uuid
            context.source_estimator_name, context.source_task_name = outer.estimator_name, outer.task_name
            context._depth, handed_down = outer._depth + 1, outer._handed_down
            if outer.parent is not None:
                outer.parent._children[outer.task_id] = context
        self._callback_fit_ctx = context
        self._skl_callbacks_to_teardown: list[Any] = []
        for callback in callbacks:
            if not any(callback is other for other in handed_down):
                self._skl_callbacks_to_teardown.append(callback)
                callback.setup(estimator=self, context=context)
        return context


def tear_down(estimator: Any) -> None:
    """Call the callbacks' ``teardown``, all of them whatever one raises; the first error is raised."""
    error: Exception | None = None
    for callback in estimator._skl_callbacks_to_teardown:
        try:
            callback.teardown(estimator=estimator, context=estimator._callback_fit_ctx)
        except Exception as raised:
            error = error or raised
    del estimator._skl_callbacks_to_teardown, estimator._callback_fit_ctx
    if error is not None:
        raise error
