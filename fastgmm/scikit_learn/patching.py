"""Puts the patched classes where scikit-learn's are, and back."""

from __future__ import annotations

import copyreg
import sys
from typing import Any

from fastgmm.scikit_learn.classes import PATCHED, reduced
from fastgmm.scikit_learn.companions import ORIGINALS, SETTINGS

__all__ = ["patch_sklearn", "unpatch_sklearn"]


def patch_sklearn(*, same_fits: bool = True) -> None:
    """Make scikit-learn's `GaussianMixture` and `BayesianGaussianMixture` run on our kernels, in the whole process.

    The names stand for derived classes from then on: in `sklearn.mixture`, and in every module that has imported them.
    Models pickle as scikit-learn's and are read with or without fastgmm; those made before answer as they did. Where a
    subclass or an instance overrides a private method, or attributes were set by hand in a way that only scikit-learn's
    code knows, that code runs; and also where fastgmm refuses what scikit-learn takes, with one line to the logger
    ``fastgmm``.

    Parameters
    ----------
    same_fits : bool, default=True
        Whether fits draw scikit-learn's random numbers, start where it starts and go through its states, so that a seed
        gives the same model up to rounding. With False, fits use the starts and the acceleration of
        `fastgmm.GaussianMixture`. They are mostly faster, and may end in another optimum or nearer to it.

    See Also
    --------
    unpatch_sklearn : Undo it.

    Examples
    --------
    >>> import fastgmm, sklearn.mixture
    >>> fastgmm.patch_sklearn()
    >>> model = sklearn.mixture.GaussianMixture(random_state=0).fit([[0.0], [2.0]])
    >>> model.means_.tolist()
    [[1.0]]
    >>> fastgmm.unpatch_sklearn()
    """
    SETTINGS.is_patched, SETTINGS.same_fits = True, same_fits
    for name, original in ORIGINALS.items():
        _replace(original, PATCHED[name])
        # A model made before is of a class whose name means another now.
        copyreg.pickle(original, reduced)


def unpatch_sklearn() -> None:
    """Undo `patch_sklearn`: all names are scikit-learn's classes again, and models made meanwhile run its code.

    See Also
    --------
    patch_sklearn : What it undoes.

    Examples
    --------
    >>> import fastgmm
    >>> fastgmm.unpatch_sklearn()
    """
    SETTINGS.is_patched, SETTINGS.same_fits = False, True
    for name, original in ORIGINALS.items():
        _replace(PATCHED[name], original)
        copyreg.dispatch_table.pop(original, None)


def _replace(old: Any, new: Any) -> None:
    """Put one class in the place of another wherever a module names it."""
    for name, module in list(sys.modules.items()):
        names = getattr(module, "__dict__", None)
        if not isinstance(names, dict) or name.startswith("fastgmm."):
            continue
        for key, value in list(names.items()):
            if value is old:
                names[key] = new
