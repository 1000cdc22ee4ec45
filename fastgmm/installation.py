"""What was built and what runs here."""

from __future__ import annotations

import platform
import sys

import numpy as np

from fastgmm import config

__all__ = ["show_config"]


def show_config(mode: str = "stdout") -> dict | None:
    """Print, or return, what this installation was built with and what runs.

    Parameters
    ----------
    mode : {'stdout', 'dict'}, default='stdout'

    Returns
    -------
    dict or None
        With ``mode='dict'``: engine, instruction set, those available, OpenMP, threads per pass, versions.

    Examples
    --------
    >>> import fastgmm
    >>> fastgmm.show_config(mode="dict")["engine"] in ("compiled", "numba")
    True
    """
    if mode not in ("stdout", "dict"):
        raise ValueError(f"mode is {mode!r}; expected 'stdout' or 'dict'")
    import fastgmm

    facts = {
        "fastgmm": fastgmm.__version__,
        **config.engine_module().describe(),
        "n_threads": config.n_threads(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
    }
    if mode == "dict":
        return facts
    for name, value in facts.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else value
        sys.stdout.write(f"{name:16} {text}\n")
    return None
