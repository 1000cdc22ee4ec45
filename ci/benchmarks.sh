#!/usr/bin/env bash
# The figures of docs/benchmarks.md and of the tables that quote it, measured on this machine: installs fastgmm and its
# peers in .venv-bench (oneDAL has a venv of its own), runs asv_bench/record.py, which writes docs/benchmarks/*.csv, and
# rewrites the pages and plots from them. Arguments go to record.py. A machine with nothing else to do:
#     bash ci/benchmarks.sh --threads 2 --clock wall          about 20 minutes
# One that does other work, by the processor time of one thread:
#     bash ci/benchmarks.sh
# Whether everything runs, in minutes and without changing the pages:
#     bash ci/benchmarks.sh --shrink 50 --rounds 2 --out /tmp/figures
# KEEP=1 takes .venv-bench as it is; PYTHON_BENCH names another Python that has everything. Peers that are not there are
# left out: R's mclust (apt-get install r-cran-mclust), Armadillo and VLFeat (g++ libarmadillo-dev libvlfeat-dev).
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/python.sh
python=${PYTHON_BENCH:-$PWD/.venv-bench/bin/python}
if [ -z "${PYTHON_BENCH:-}" ] && [ -z "${KEEP:-}" ]; then
    "$PYTHON" -m venv --clear .venv-bench
    "$python" -m pip install --quiet --upgrade pip
    "$python" -m pip install --quiet . matplotlib pandas threadpoolctl astroML studenttmixture
fi
# Settings of OpenBLAS for other machines would slow down its kernels here.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
"$python" asv_bench/record.py "$@"
case " $* " in
    *" --out "*) echo "the pages are as they were" ;;
    *) "$python" asv_bench/pages.py --plots ;;
esac
