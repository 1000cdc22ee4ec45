#!/usr/bin/env bash
# The kernels under sanitizers. Parts, the first three unless named; each of them says so where the machine cannot:
#   address    the native test under AddressSanitizer and UndefinedBehaviorSanitizer
#   threads    every kernel on several threads under ThreadSanitizer (needs clang, libomp and archer)
#   valgrind   a few cases of the native test under memcheck
#   extension  the extension under AddressSanitizer, and the kernel tests on it
#   fuzz       libFuzzer, until it is stopped or RUNS (a million) executions are made (needs clang and its runtime)
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/native.sh
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
test_sources="tests/fuzz/fuzz_kernels.cpp tests/fuzz/replay.cpp"
checks="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"

address() {
    echo "== AddressSanitizer and UndefinedBehaviorSanitizer"
    if ! echo 'int main() {}' | ${CXX:-g++} $checks -x c++ - -o "$folder/empty" 2>/dev/null; then
        echo "${CXX:-g++} has no sanitizers on this machine"
        return
    fi
    # Level 2 of optimisation: at level 1 GCC keeps every vector of the register blocks in memory.
    build_native "$folder/address" "${CXX:-g++}" "generic avx2 avx512" "-O2 -g1 -fopenmp $checks" "" $test_sources
    ASAN_OPTIONS=abort_on_error=1 UBSAN_OPTIONS=abort_on_error=1 \
        "$folder/address/run" --random "${CASES:-2000}" 1 tests/data/fuzz/kernels/*
}

threads() {
    echo "== ThreadSanitizer"
    local archer
    archer=$(ls /usr/lib/llvm-*/lib/libarcher.so 2>/dev/null | tail -1 || true)
    if ! command -v clang++ >/dev/null || [ -z "$archer" ]; then
        echo "clang++ with libomp and libarcher are not on this machine"
        return
    fi
    # GCC's libgomp is not instrumented: its barriers are invisible, and every pass looks like a race. LLVM's runtime
    # tells ThreadSanitizer of them through archer; nothing is suppressed but what archer itself asks for.
    build_native "$folder/threads" clang++ "generic avx2" "-O1 -g1 -fopenmp -fsanitize=thread" "" tests/fuzz/threads.cpp
    TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=1" OMP_TOOL_LIBRARIES="$archer" "$folder/threads/run"
}

extension() {
    echo "== the extension under AddressSanitizer"
    . ci/python.sh
    "$PYTHON" -m venv --clear "$folder/venv"
    CFLAGS="-g1 -fsanitize=address -fno-omit-frame-pointer" LDFLAGS="-fsanitize=address" \
        "$folder/venv/bin/python" -m pip install --quiet . pytest hypothesis
    # Python itself is not built with the sanitizer, so its runtime comes first; and what the interpreter never frees
    # at its exit is no leak of ours.
    LD_PRELOAD="$(${CXX:-g++} -print-file-name=libasan.so) $(${CXX:-g++} -print-file-name=libstdc++.so)" \
        ASAN_OPTIONS=detect_leaks=0 OPENBLAS_NUM_THREADS=1 \
        "$folder/venv/bin/pytest" -q -p no:cacheprovider tests/test_kernels.py \
        -k "compiled and (every_number or wrong_arrays or labels or nearest or seeding or factors or far_rows)"
}

valgrind_() {
    echo "== valgrind memcheck"
    if ! command -v valgrind >/dev/null; then
        echo "valgrind is not on this machine"
        return
    fi
    # Not under Python, whose allocator would hide what is freed. valgrind knows no AVX-512.
    build_native "$folder/valgrind" "${CXX:-g++}" "generic avx2" "-O1 -g1" "" $test_sources
    valgrind --quiet --error-exitcode=9 --leak-check=full "$folder/valgrind/run" --random 60 1 \
        tests/data/fuzz/kernels/*
}

fuzz() {
    build_native "$folder/fuzz" clang++ "generic avx2 avx512" \
        "-O2 -g1 -fopenmp -fsanitize=fuzzer-no-link,address" "-fsanitize=fuzzer,address" tests/fuzz/fuzz_kernels.cpp
    mkdir -p "${CORPUS:-.fuzz}"
    # libFuzzer's choice by entropy takes longer than the cases themselves.
    "$folder/fuzz/run" -max_len=80 -entropic=0 -runs="${RUNS:-1000000}" -artifact_prefix="${CORPUS:-.fuzz}/" "${CORPUS:-.fuzz}" \
        tests/data/fuzz/kernels
}

for part in ${@:-address threads valgrind}; do
    case $part in
        address | threads | extension | fuzz) $part ;;
        valgrind) valgrind_ ;;
        *) echo "Unknown part $part; see the head of $0" >&2 && exit 1 ;;
    esac
done
