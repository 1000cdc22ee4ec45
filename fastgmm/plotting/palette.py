"""Colours and markers of components.

The colours are those of Okabe and Ito, "Color universal design" (2008), without yellow, which is faint on white.
After seven components the colours begin again with another marker.
"""

from __future__ import annotations

__all__ = ["COLOURS", "CONTOUR_MAP", "MARKERS", "NOISE", "POSTERIOR_MAP", "colour", "marker"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
NOISE = "0.45"
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

# Read the same without colour. Of contours on white: the denser, the darker, so that the outermost is the faintest.
POSTERIOR_MAP = "cividis"
CONTOUR_MAP = "Blues"


def colour(k: int) -> str:
    """Return the colour of component or curve `k`."""
    return COLOURS[k % len(COLOURS)]


def marker(k: int) -> str:
    """Return the marker of component or curve `k`; a colour comes again with another one."""
    return MARKERS[(k + k // len(COLOURS)) % len(MARKERS)]
