#!/usr/bin/env bash
# Style of Python, Cython and C++, faults that clang-tidy finds, and types of the public API.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/native.sh
[ -x .venv-test/bin/python ] || { echo "Run ci/test.sh first: the type check reads the installed package." >&2; exit 1; }
.venv-test/bin/python -m pip install --quiet ".[lint]"
export PATH="$PWD/.venv-test/bin:$PATH"  # cython-lint calls pycodestyle by its name
ruff check fastgmm tests asv_bench docs setup.py
ruff format --check fastgmm tests asv_bench docs setup.py
cython-lint fastgmm/kernels/*.pyx
clang-format --dry-run --Werror $KERNELS/native/* tests/fuzz/*.[ch]pp
sources_and_flags "generic avx2 avx512" | while read -r source flags; do
    echo "clang-tidy --quiet $source -- $flags -Wall -Wextra -Wno-psabi"
done | xargs -P "$(nproc)" -I{} sh -c '{}'
# A function that two instruction sets both define weakly would be linked from one of them into both.
"${CXX:-g++}" -O0 -w $KERNEL_FLAGS -c $KERNELS/native/kernels_generic.cpp -o .venv-test/kernels.o
if nm -C --defined-only .venv-test/kernels.o | grep ' [WVui] ' | grep -v personality; then
    echo "the kernels define symbols that a linker would merge (listed above): put them into the unnamed namespace" >&2
    exit 1
fi
mypy
mypy --strict --config-file= --follow-imports=silent --ignore-missing-imports tests/typed_use.py
