#!/usr/bin/env bash
# The README's second command, then what users never run: sanitizers, lint, types, the pages, other installs.
set -euo pipefail
cd "$(dirname "$0")/.."
bash ci/test.sh
bash ci/sanitizers.sh
bash ci/lint.sh
bash ci/docs.sh
bash ci/packages.sh
bash ci/spark.sh
