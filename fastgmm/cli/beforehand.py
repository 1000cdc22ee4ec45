"""What can be told of files by their names, before anything that takes time is imported."""

from __future__ import annotations

import argparse
import os

from fastgmm.cli.errors import CommandError

__all__ = ["check_names"]

#: Pictures that matplotlib writes.
PICTURES = ("png", "pdf", "svg", "eps", "gif", "jpeg", "jpg", "pgf", "ps", "raw", "rgba", "svgz", "tif", "tiff", "webp")


def check_names(arguments: argparse.Namespace) -> None:
    """Raise CommandError if a file that is to be read is not there, or the kind of a picture is not known."""
    plot = getattr(arguments, "plot", "none")
    suffix = os.path.splitext(plot)[1][1:].lower()
    if plot != "none" and suffix not in PICTURES:
        raise CommandError(f"--plot: {plot} ends in {suffix!r}; expected .png, .pdf or .svg, or 'none' for no picture")
    for name, advice in (("model", "; fastgmm fit writes one"), ("data", "")):
        path = getattr(arguments, name, None)
        if path is not None and (name, path) != ("data", "-") and not os.path.exists(path):
            raise CommandError(f"{path}: no such file{advice}")
