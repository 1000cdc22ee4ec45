"""Run R's mclust and `GaussianMixtureSearch` on the same data and print both times and BICs.

Needs Rscript and mclust (on Debian: apt-get install r-base-core r-cran-mclust). Processor time of the search alone, the
best of three, one thread: starting R and Python is not counted.

    python asv_bench/compare_mclust.py [faithful iris "tied 5k x 5 K=4 overlapping"]

Any workload of benchmarks/workloads.py may be named; these are those of bench_search.
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
from benchmarks.problems import rows_and_components
from benchmarks.timing import seconds
from benchmarks.workloads import asked
from tables import Table

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
    search = GaussianMixtureSearch(random_state=0)
    taken = min(seconds(lambda: search.fit(X), clock=time.process_time) for _ in range(3))
    best = search.best_params_
    return f"{best['covariance_type']}, {best['n_components']}", search.best_score_, taken


def main(names):
    """Print one line per data set."""
    if shutil.which("Rscript") is None:
        sys.exit("Rscript is not installed; on Debian: apt-get install r-base-core r-cran-mclust")
    table = Table("data", "mclust", "BIC", "s", "fastgmm", "BIC", "s", "ratio")
    for name in names:
        X = rows_and_components(name)[0]
        theirs, ours = run_mclust(X), run_search(X)
        shown = (f"{bic:.4f} | {taken:.2f}" for _, bic, taken in (theirs, ours))
        table.row(name, theirs[0], next(shown), ours[0], next(shown), f"{theirs[2] / ours[2]:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:] or asked("search"))
