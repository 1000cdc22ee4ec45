"""What the environment asks for when Python starts: FASTGMM_PATCH_SKLEARN, the switch of servers.

The installed package brings a `.pth` file, which imports fastgmm at the start of Python where the variable is set; and
`import fastgmm` comes here. scikit-learn is patched when a program imports its mixtures, and not imported for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["VARIABLE", "patch_as_asked", "patch_on_import"]

VARIABLE = "FASTGMM_PATCH_SKLEARN"
#: Values, and whether fits are to be scikit-learn's.
MEANINGS = {"1": True, "fast": False}
MIXTURES = "sklearn.mixture"


def patch_as_asked() -> None:
    """Patch scikit-learn if the environment asks for it.

    Raises
    ------
    ValueError
        If the variable has another value than '1', 'fast', '0' or none.
    """
    value = os.environ.get(VARIABLE, "")
    if value in ("", "0"):
        return
    if value not in MEANINGS:
        raise ValueError(f"{VARIABLE} is {value!r}; expected '1', 'fast' (fastgmm's own starts), or '0' for neither")
    patch_on_import(MEANINGS[value])


def patch_on_import(same_fits: bool) -> None:
    """Patch scikit-learn when its mixtures are imported, or now if they are."""
    if MIXTURES in sys.modules:
        _patch(same_fits)
        return
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Watch)]
    sys.meta_path.insert(0, _Watch(same_fits))


def _patch(same_fits: bool) -> None:
    from fastgmm.scikit_learn import patch_sklearn

    patch_sklearn(same_fits=same_fits)


class _Watch(MetaPathFinder):
    """Lets the other finders find `sklearn.mixture`, and patches it when it has been executed."""

    def __init__(self, same_fits: bool) -> None:
        self._same_fits = same_fits

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of `sklearn.mixture`, and nothing of other modules."""
        if fullname != MIXTURES:
            return None
        others = (finder for finder in sys.meta_path if not isinstance(finder, _Watch))
        found = (finder.find_spec(fullname, path, target) for finder in others if hasattr(finder, "find_spec"))
        spec = next(filter(None, found), None)
        if spec is None or spec.loader is None:
            return None
        loader: Any = spec.loader
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            # Not before: some look for a module and do not import it, as pytest does.
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            execute(module)
            _patch(self._same_fits)

        loader.exec_module = exec_module
        return spec
