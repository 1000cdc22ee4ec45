"""The one place that asks for matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["INSTALL", "new_axes", "require_matplotlib"]

INSTALL = "pip install 'fastgmm[plot]'"


def require_matplotlib() -> None:
    """Raise ImportError, with the remedy, where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ImportError(f"pictures need matplotlib, which is not installed; {INSTALL}") from None


def new_axes(ax: Axes | None = None, **figure: Any) -> Axes:
    """Return `ax`, or the axes of a new pyplot figure."""
    require_matplotlib()
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained", **figure)[1]
