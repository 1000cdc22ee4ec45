"""What was built and what runs here."""

from __future__ import annotations

import platform
import sys

import numpy as np

from fastgmm import config, kernels

__all__ = ["show_config"]


def show_config(mode: str = "stdout") -> dict | None:
    """Print, or return, what this installation was built with and what runs.

    Parameters
    ----------
    mode : {'stdout', 'dict'}, default='stdout'
        Whether to print the report or to return it as a dict.

    Returns
    -------
    dict or None
        With ``mode='dict'``: engine, instruction set, those available, OpenMP, threads per pass, versions; and under
        ``kernels`` the engine of every action by shape of the covariances, 'any' where there are none.

    See Also
    --------
    get_config : Returns the settings.

    Examples
    --------
    >>> import fastgmm
    >>> fastgmm.show_config(mode="dict")["engine"] in ("compiled", "numba", "plain")
    True
    >>> fastgmm.show_config(mode="dict")["kernels"]["log_density"].keys()
    dict_keys(['full', 'tied', 'diag', 'spherical'])
    """
    if mode not in ("stdout", "dict"):
        raise ValueError(f"mode is {mode!r}; expected 'stdout' or 'dict'")
    import fastgmm

    facts = {
        "fastgmm": fastgmm.__version__,
        **kernels.engine().describe(),
        "n_threads": config.n_threads(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
    }
    engines = {
        action: {shape or "any": kernels.engine_for(action, shape).describe()["engine"] for shape in shapes}
        for action, shapes in kernels.ACTIONS.items()
    }
    if mode == "dict":
        return {**facts, "kernels": engines}
    for name, value in facts.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else value
        sys.stdout.write(f"{name:16} {text}\n")
    sys.stdout.write("\nkernels\n")
    for action, by_shape in engines.items():
        names = sorted(set(by_shape.values()))
        text = names[0] if len(names) == 1 else ", ".join(f"{shape} {name}" for shape, name in by_shape.items())
        sys.stdout.write(f"  {action:22} {text}\n")
    return None
