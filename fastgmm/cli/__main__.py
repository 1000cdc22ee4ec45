"""``python -m fastgmm.cli``: the same as the console script."""

import sys

from fastgmm.cli.main import main

sys.exit(main())
