#!/usr/bin/env bash
# Style of Python and Cython, and types of the public API.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv-test/bin/python ] || { echo "Run ci/test.sh first: the type check reads the installed package." >&2; exit 1; }
.venv-test/bin/python -m pip install --quiet ".[lint]"
export PATH="$PWD/.venv-test/bin:$PATH"  # cython-lint calls pycodestyle by its name
ruff check fastgmm tests asv_bench docs setup.py
ruff format --check fastgmm tests asv_bench docs setup.py
cython-lint fastgmm/kernels/*.pyx
mypy
mypy --strict --config-file= --follow-imports=silent --ignore-missing-imports tests/typed_use.py
