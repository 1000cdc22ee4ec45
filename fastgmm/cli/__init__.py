"""The command line: `fastgmm fit` and its companions.

`main` parses and dispatches; each command is a file of its own. `request` says what is asked of the data, `stored`
opens a model; `outputs` checks where results go; `screen` writes tables and how far the work is; `search` fits the
candidates, `parameters` puts a model into tables. `patch` runs another program.
"""

from fastgmm.cli.main import main

__all__ = ["main"]
