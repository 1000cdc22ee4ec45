"""``fastgmm patch``: runs a Python program with scikit-learn's mixtures made ours."""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from pathlib import Path

from fastgmm.cli.errors import EXIT_OK, EXIT_USAGE
from fastgmm.start_up import VARIABLE, patch_on_import

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    """Run the program as Python itself would: its name, its arguments and its folder are in `sys`."""
    if not arguments.module and not Path(arguments.program).exists():
        sys.stderr.write(f"fastgmm: error: there is no file {arguments.program}; of a module, write -m before it\n")
        return EXIT_USAGE
    # Programs that it starts read the variable.
    os.environ[VARIABLE] = "fast" if arguments.fast else "1"
    patch_on_import(same_fits=not arguments.fast)
    sys.argv[:] = [arguments.program, *arguments.arguments]
    if arguments.module:
        sys.path[0] = os.getcwd()
        runpy.run_module(arguments.program, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(arguments.program).resolve().parent)
        runpy.run_path(arguments.program, run_name="__main__")
    return EXIT_OK
