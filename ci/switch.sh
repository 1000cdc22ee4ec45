#!/usr/bin/env bash
# The mixture tests of packages that use scikit-learn's mixtures, with and without the switch (docs/switch.md): the
# packages come from PyPI, their tests from their sdists or repositories. SOURCES may name a folder of clones, as
# owner+name/repo, to be read instead of github.com. Writes a table; fails where a test passes without the switch only.
# Then the calls of docs/keeping.md: models through mlflow, skops, ONNX and emlearn's C, and back.
# Arguments are names of packages, or formats for these calls; everything unless some are named.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/python.sh
# Not beneath this checkout, whose settings of pytest would be taken.
folder=${FOLDER:-${TMPDIR:-/tmp}/fastgmm-switch}
mkdir -p "$folder/sources" "$folder/results"
if [ ! -x "$folder/venv/bin/python" ]; then
    "$PYTHON" -m venv "$folder/venv"
    "$folder/venv/bin/python" -m pip install --quiet scikit-lego graspologic pyod rdt scikit-image stepmix skl2onnx \
        emlearn simpeg astroML pytest pandas polars onnxruntime copulas dask mlflow-skinny skops
fi
[ -n "${KEEP:-}" ] || "$folder/venv/bin/python" -m pip install --quiet --force-reinstall --no-deps .
python=$folder/venv/bin/python

version() { "$python" -c "import importlib.metadata as m; print(m.version('$1'))"; }

from_sdist() {  # the sdist of package $1
    local version
    version=$(version "$1")
    if ! ls -d "$folder/sources/${1//-/_}-$version" >/dev/null 2>&1; then
        "$python" -m pip download --quiet --no-deps --no-binary "$1" -d "$folder/sources" "$1==$version"
        tar -xzf "$folder"/sources/"${1//-/_}-$version.tar.gz" -C "$folder/sources"
    fi
    from="$folder/sources/${1//-/_}-$version"
}

from_repository() {  # owner/name $1 at the first of the names $2.. that it has
    from="$folder/sources/${1#*/}"
    [ -d "$from" ] && return
    local origin="https://github.com/$1"
    if [ -n "${SOURCES:-}" ]; then origin="$SOURCES/${1/\//+}/repo"; fi
    git clone --quiet --no-checkout "$origin" "$from"
    for name in "${@:2}" HEAD; do
        git -C "$from" checkout --quiet "$name" 2>/dev/null && break
    done
}

from_wheel() { from=$("$python" -c "import importlib.util as u; print(u.find_spec('$1').submodule_search_locations[0])"); }

# Says at the end of a run whether the class was ours.
mkdir -p "$folder/plugin"
cat >"$folder/plugin/switched.py" <<'END'
def pytest_terminal_summary(terminalreporter):
    from sklearn.mixture import GaussianMixture

    terminalreporter.write_line(f"switched: {type(GaussianMixture).__name__ == '_InPlaceOf'}")
END

suite() {  # package $1, where $2 is what is run and $3.. what pytest is told
    local name=$1 how
    shift
    for how in 0 1; do
        (cd "$from" && FASTGMM_PATCH_SKLEARN=$how PYTHONPATH=$folder/plugin OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 bash -c \
            'time timeout 1200 "$@"' - "$folder/venv/bin/pytest" -q -p switched -p no:cacheprovider -o addopts= -W ignore -rA \
            "$@") \
            >"$folder/results/$name.$how" 2>&1 || true
    done
    "$python" - "$name" "$(version "$name")" "$folder/results/$name" <<'END'
import re, sys
name, version, stem = sys.argv[1:]
passed, times = [], []
for how in "01":
    text = open(f"{stem}.{how}").read()
    passed.append(set(re.findall(r"^PASSED (.*)$", text, re.M)))
    assert f"switched: {how == '1'}" in text, f"{name}: the switch was not as asked"
    minutes, seconds = re.findall(r"^user\s+(\d+)m([\d.]+)s", text, re.M)[-1]
    times.append(60 * int(minutes) + float(seconds))
lost = passed[0] - passed[1]
print(f"| {name} {version} | {len(passed[0])} | {len(passed[1])} | {times[0]:.1f} | {times[1]:.1f} |", *sorted(lost), flush=True)
sys.exit(bool(lost) or not passed[0])
END
}

failed=0
chosen=" $* "
check() {  # package $1, from where $2 with argument $3, and what pytest is told
    case $chosen in "  " | *" $1 "*) ;; *) return 0 ;; esac
    "$2" "$3" "v$(version "$1")"
    suite "$1" "${@:4}" || failed=1
}
echo "| package | pass without | pass with the switch | s without | s with |"
echo "|---|---:|---:|---:|---:|"
check scikit-learn from_wheel pytest --pyargs sklearn.mixture
check scikit-lego from_repository koaning/scikit-lego \
    tests/test_estimators/test_{gmm_naive_bayes,mixture_classifier,mixture_detector}.py
check graspologic from_repository graspologic-org/graspologic tests/cluster/test_{autogmm,gclust}.py
check pyod from_repository yzhao062/pyod --import-mode=importlib pyod/test/test_gmm.py
check rdt from_repository sdv-dev/RDT tests/{unit,integration}/transformers/test_numerical.py
check scikit-image from_repository scikit-image/scikit-image \
    --noconftest --import-mode=importlib tests/skimage/feature/test_fisher_vector.py
check stepmix from_sdist stepmix test/test_{emission,n_parameters,sample_weight}.py
check skl2onnx from_sdist skl2onnx tests/test_sklearn_gaussian_mixture_converter.py
check emlearn from_sdist emlearn test/test_mixture.py
check simpeg from_repository simpeg/simpeg --import-mode=importlib \
    tests/base/regularizations/test_pgi_regularization.py tests/utils/test_gmm_utils.py
check astroML from_wheel astroML density_estimation/tests/test_{density,xdeconv,empirical}.py classification/tests
case $chosen in "  " | *" formats "*)
    (here=$PWD && cd "$folder" && OMP_NUM_THREADS=1 "$python" "$here/ci/round_trips.py") || failed=1 ;;
esac
exit $failed
