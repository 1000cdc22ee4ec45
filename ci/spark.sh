#!/usr/bin/env bash
# Fits on Spark frames, in threads and on a cluster of two worker processes of which one is killed. Needs Java 17:
# apt-get install openjdk-17-jre-headless, and nothing else; PySpark comes from PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v java >/dev/null && [ -z "${JAVA_HOME:-}" ]; then
    echo "Spark is not tested: there is no Java on this machine"
    exit 0
fi
[ -x .venv-test/bin/python ] || { echo "Run ci/test.sh first: the installed package is tested." >&2; exit 1; }
.venv-test/bin/python -m pip install --quiet ".[spark]"
.venv-test/bin/pytest -q tests/test_spark.py tests/test_spark_cluster.py
