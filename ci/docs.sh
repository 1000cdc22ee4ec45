#!/usr/bin/env bash
# Builds the pages into docs/_build/html and runs the gallery; a warning is an error. Arguments go to sphinx-build.
# Then a browser without a window, if there is one, asks the search page for what people type.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv-test/bin/python ] || { echo "Run ci/test.sh first: the pages are built of the installed package." >&2; exit 1; }
.venv-test/bin/python -m pip install --quiet "fastgmm[docs]"  # already installed: this adds what the extra names
# What an earlier build generated may be of names that are gone.
rm -rf docs/_build docs/auto_gallery docs/api/generated
# Nothing is downloaded: a proxy that is not there would not let it.
export http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9
# The installed package is documented, not the folder: sphinx-build, not python -m sphinx.
.venv-test/bin/sphinx-build -q -W --keep-going -b html -d docs/_build/doctrees docs docs/_build/html "$@"
.venv-test/bin/python ci/search_page.py docs/_build/html
echo "docs/_build/html/index.html"
