#!/usr/bin/env bash
# Installs fastgmm with what its tests need in a venv of its own and runs them. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/python.sh
"$PYTHON" -m venv --clear .venv-test
.venv-test/bin/python -m pip install --quiet --upgrade pip
.venv-test/bin/python -m pip install --quiet ".[test]"
# pytest itself, not python -m pytest: the installed package is tested, not the folder.
.venv-test/bin/pytest -q "$@"
.venv-test/bin/pytest -q --doctest-modules --pyargs fastgmm --ignore-glob='*kernels/numba*'
