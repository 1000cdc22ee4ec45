"""Run R's mclust and `GaussianMixtureSearch` on the same data and print both times and BICs.

Needs Rscript and mclust (on Debian: apt-get install r-base-core r-cran-mclust). Processor time of the search alone, the
best of three, one thread: starting R and Python is not counted.

    python asv_bench/compare_mclust.py [faithful iris 5000x5]
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from benchmarks.bench_search import load

from fastgmm.selection import GaussianMixtureSearch

SCRIPT = """
suppressMessages(library(mclust))
X <- as.matrix(read.csv(commandArgs(TRUE)[1], header = FALSE))
seconds <- Inf
for (i in 1:3) seconds <- min(seconds, sum(system.time(m <- Mclust(X, verbose = FALSE))[1:2]))
cat(m$modelName, m$G, format(-m$bic, digits = 12), seconds)
"""


def run_mclust(X):
    """Return the model, its BIC in our sign, and the seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "X.csv"
        np.savetxt(path, X, delimiter=",", fmt="%.17g")
        command = ["Rscript", "-e", SCRIPT, str(path)]
        name, size, bic, seconds = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return f"{name}, {size}", float(bic), float(seconds)


def run_search(X):
    """Return the same of the search."""
    seconds = np.inf
    for _ in range(3):
        begin = time.process_time()
        search = GaussianMixtureSearch(random_state=0).fit(X)
        seconds = min(seconds, time.process_time() - begin)
    best = search.best_params_
    return f"{best['covariance_type']}, {best['n_components']}", search.best_score_, seconds


def main(names):
    """Print one line per data set."""
    if shutil.which("Rscript") is None:
        sys.exit("Rscript is not installed; on Debian: apt-get install r-base-core r-cran-mclust")
    print(f"{'data':<12}{'mclust':<10}{'BIC':>14}{'s':>8}   {'fastgmm':<10}{'BIC':>14}{'s':>8}{'ratio':>8}")
    for name in names:
        X = load(name)
        theirs, ours = run_mclust(X), run_search(X)
        print(
            f"{name:<12}{theirs[0]:<10}{theirs[1]:>14.4f}{theirs[2]:>8.2f}   "
            f"{ours[0]:<10}{ours[1]:>14.4f}{ours[2]:>8.2f}{theirs[2] / ours[2]:>8.2f}"
        )


if __name__ == "__main__":
    main(sys.argv[1:] or ["faithful", "iris", "5000x5"])
