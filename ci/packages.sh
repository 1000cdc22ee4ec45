#!/usr/bin/env bash
# Other ways to install: a wheel from the sdist, no extension, other Python versions.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/python.sh
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

smoke='import numpy as np, fastgmm
X = np.random.default_rng(0).normal(size=(500, 3))
model = fastgmm.GaussianMixture(2, random_state=0).fit(X)
assert model.predict_proba(X).shape == (500, 2)
fastgmm.show_config()'

fresh() {  # a venv of Python $1 at $2
    "$1" -m venv --clear "$2"
    "$2/bin/python" -m pip install --quiet --upgrade pip
}

echo "== wheel from sdist"
fresh "$PYTHON" "$folder/build"
"$folder/build/bin/python" -m pip install --quiet build
"$folder/build/bin/python" -m build --outdir "$folder/dist" .
fresh "$PYTHON" "$folder/wheel"
"$folder/wheel/bin/python" -m pip install --quiet "$folder"/dist/*.whl
(cd "$folder" && wheel/bin/python -c "$smoke" && wheel/bin/fastgmm --help >/dev/null)

echo "== the switch by an environment variable, in a program that does not import fastgmm"
(cd "$folder" && FASTGMM_PATCH_SKLEARN=1 wheel/bin/python -c "import logging, sys
logging.basicConfig(level='DEBUG', stream=sys.stdout)
assert 'sklearn' not in sys.modules
from sklearn.mixture import GaussianMixture
GaussianMixture().fit([[0.0], [1.0]])
assert 'fastgmm.gaussian_mixture' in sys.modules")

echo "== without the extension"
fresh "$PYTHON" "$folder/pure"
FASTGMM_NO_EXT=1 "$folder/pure/bin/python" -m pip install --quiet ".[numba]"
(cd "$folder" && pure/bin/python -c "$smoke
assert fastgmm.show_config(mode='dict')['engine'] == 'numba'")

if ! grep -q avx512dq /proc/cpuinfo; then
    echo "== the AVX-512 kernels' source, emulated"
    fresh "$PYTHON" "$folder/emulated"
    FASTGMM_EMULATE_AVX512=1 "$folder/emulated/bin/python" -m pip install --quiet . pytest
    "$folder/emulated/bin/pytest" -q tests/test_kernels.py -k "avx512 and not oracle"
fi

echo "== import without optional packages"
(cd "$folder" && wheel/bin/python -c "import fastgmm, fastgmm.cli")

for version in 3.11 3.12 3.13; do
    other=$(command -v "python$version" || true)
    if [ -z "$other" ] || ! "$other" -c '' 2>/dev/null; then
        echo "== Python $version: not on this machine"
        continue
    fi
    case $("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])') in "$version") continue ;; esac
    echo "== Python $version"
    fresh "$other" "$folder/python$version"
    "$folder/python$version/bin/python" -m pip install --quiet . pytest
    "$folder/python$version/bin/pytest" -q tests/test_kernels.py -k "compiled and not oracle"
done
