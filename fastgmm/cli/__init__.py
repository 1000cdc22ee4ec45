"""The command line: `fastgmm fit` and its companions.

`main` parses and dispatches; each command is a file of its own. `tables` reads data, `outputs` checks where results
go, `screen` writes tables and progress, `grid` fits the candidates of a search, `summary` puts a model into words.
"""

from fastgmm.cli.main import main

__all__ = ["main"]
