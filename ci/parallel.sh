#!/usr/bin/env bash
# Tests on several threads at once, as a free-threaded Python would run programs: pytest-run-parallel (PyPI) makes each
# test THREADS times side by side, ITERATIONS times. On a Python with the interpreter's lock it finds what is shared and
# should not be. Every file has a process of its own and LIMIT seconds, so that a crash or a deadlock is one line of the
# account that stands at the end, in ACCOUNT. Tests that cannot be shared are left out, ci/test.sh has run them: those
# with the marker thread_unsafe, which give a reason, and those that use pytest's fixtures for warnings, environment and
# output. Properties are tried on few examples, at most MOST tests of a file are tried, evenly spaced (MOST=0: all), and
# the Numba engine, whose threads are Numba's, is left out.
# Arguments are files and options of pytest; all files of tests/ unless some are named.
set -euo pipefail
cd "$(dirname "$0")/.."
pytest=${PYTEST:-.venv-test/bin/pytest}
if [ -z "${PYTEST:-}" ]; then
    [ -x "$pytest" ] || { echo "Run ci/test.sh first: the installed package is tested." >&2; exit 1; }
    .venv-test/bin/python -m pip install --quiet pytest-run-parallel
fi
account=${ACCOUNT:-$(mktemp)}
files=() options=()
for argument in "$@"; do
    case $argument in tests/*) files+=("$argument") ;; *) options+=("$argument") ;; esac
done
[ ${#files[@]} -gt 0 ] || files=(tests/test_*.py)
failed=0
: >"$account"
for file in "${files[@]}"; do
    begin=$SECONDS status=0
    output=$(timeout --kill-after=30 "${LIMIT:-1200}" "$pytest" -q --hypothesis-profile=few --at-most="${MOST:-150}" -k "not numba" \
        --parallel-threads="${THREADS:-2}" --iterations="${ITERATIONS:-1}" --skip-thread-unsafe=True \
        "${options[@]}" "$file" 2>&1) || status=$?
    case $status in
        0 | 5) outcome=$(tail -n 1 <<<"$output") ;; # 5: every test of the file is left out
        124 | 137) outcome="NOT ENDED" failed=1 ;;
        *) outcome="FAILED ($status): $(tail -n 1 <<<"$output")" failed=1 ;;
    esac
    case $status in 0 | 5) ;; *) tail -n 60 <<<"$output" ;; esac
    echo "$file: $outcome, $((SECONDS - begin)) s" | tee -a "$account"
done
echo "$(grep -cvE ": (FAILED|NOT ENDED)" "$account" || true) of ${#files[@]} files without a fault"
exit $failed
