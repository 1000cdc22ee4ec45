"""The command line: `fastgmm fit` and its companions.

`main` parses and dispatches; each command is a file of its own. `tables` reads data (`delimited` and `columnar` its
formats), `stored` a model; `outputs` checks where results go; `screen` writes tables and how far the work
is; `search` fits the candidates, `describe` puts a model into tables. `patch` runs another program.
"""

from fastgmm.cli.main import main

__all__ = ["main"]
