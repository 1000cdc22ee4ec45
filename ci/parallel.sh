#!/usr/bin/env bash
# Tests on several threads at once, as a free-threaded Python would run programs: pytest-run-parallel (PyPI) makes each
# test THREADS times side by side, and again. On a Python with the interpreter's lock it finds what is shared and should
# not be. Tests that cannot be shared say so by the marker thread_unsafe, with a reason; those that use pytest's fixtures
# for warnings, environment and output run on one thread by themselves. Arguments go to pytest, instead of FILES.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv-test/bin/python ] || { echo "Run ci/test.sh first: the installed package is tested." >&2; exit 1; }
.venv-test/bin/python -m pip install --quiet pytest-run-parallel
files="tests/test_gaussian_mixture.py tests/test_scorer.py tests/test_laws_models.py tests/test_student_mixture.py
    tests/test_merging_kernels.py tests/test_factors.py tests/test_config.py tests/test_persistence.py"
[ $# -gt 0 ] || set -- $files
.venv-test/bin/pytest -q --parallel-threads="${THREADS:-3}" --iterations=2 "$@"
