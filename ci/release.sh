#!/usr/bin/env bash
# Everything of a release up to the upload: the versions agree, the changelog has the version, the sdist and this
# machine's wheel are built, checked, and tried in an empty environment. Prints what would be uploaded, and uploads
# nothing: wheels of all platforms are made, and sent by trusted publishing, by .github/workflows/release.yml.
# QUICK=1 leaves out ci/run.sh, the tests; DIST names a folder that sdist and wheel are kept in.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/python.sh
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

version=$("$PYTHON" -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["version"])')
echo "== fastgmm $version"
fault() { echo "$1" >&2; exit 1; }
grep -qx "__version__ = \"$version\"" fastgmm/__init__.py || fault "fastgmm/__init__.py has another version than pyproject.toml"
grep -qx "version: $version" docs/CITATION.cff || fault "docs/CITATION.cff has another version than pyproject.toml"
grep -qF "$version" docs/citing.md || fault "docs/citing.md has another version than pyproject.toml"
grep -qFx "  version: \"$version\"" ci/conda/recipe.yaml || fault "ci/conda/recipe.yaml has another version than pyproject.toml"
heading=$(grep -m1 "^## $version, " docs/CHANGELOG.md) || fault "docs/CHANGELOG.md has no section of $version"
case $heading in *"not yet released") echo "NOT READY: docs/CHANGELOG.md gives $version no date" ;; esac
[ -z "$(git status --porcelain)" ] || echo "NOT READY: there are changes that are not committed"
! git rev-parse --quiet --verify "refs/tags/v$version" >/dev/null || fault "the tag v$version exists"
format=$(sed -n 's/^FORMAT_VERSION.* = //p' fastgmm/persistence/archive.py)
ls tests/data/models/version"${format:?}"_* >/dev/null || fault "tests/data/models keeps no file of format $format"

[ -n "${QUICK:-}" ] || bash ci/run.sh

echo "== sdist and wheel"
"$PYTHON" -m venv "$folder/build"
"$folder/build/bin/python" -m pip install --quiet build twine
git ls-files -z | xargs -0 cp --parents -t "$(mkdir -p "$folder/clean" && echo "$folder/clean")"
"$folder/build/bin/python" -m build --outdir "$folder/dist" "$folder/clean" >"$folder/log" 2>&1 || { tail -30 "$folder/log"; exit 1; }
"$folder/build/bin/python" -m twine check --strict "$folder"/dist/*
if tar -tzf "$folder"/dist/*.tar.gz | grep -E '\.(so|pyd|o|a)$|__pycache__|_build/'; then fault "the sdist holds what was built"; fi

echo "== in an empty environment"
"$PYTHON" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet "$folder"/dist/*.whl
cd "$folder"
venv/bin/python -c "import fastgmm; assert fastgmm.__version__ == '$version'; fastgmm.show_config()"
venv/bin/fastgmm fit --components 1..3 --plot none --out model.npz
cd - >/dev/null

if [ -n "${DIST:-}" ]; then mkdir -p "$DIST" && cp "$folder"/dist/* "$DIST"; fi
echo "== would be uploaded"
(cd "$folder/dist" && sha256sum -- * && ls -l -- *)
echo "and tagged: v$version at $(git rev-parse --short HEAD)"
