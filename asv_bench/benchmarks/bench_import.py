"""What a new process pays: importing fastgmm, above what scikit-learn's base costs, and its first fit on Numba."""

import re
import statistics
import subprocess
import sys

from benchmarks.timing import SETTINGS


def import_seconds(name, before=""):
    """Return what ``-X importtime`` says the import of `name` took, what it imports included, after `before`."""
    code = f"{before}\nimport {name}"
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True)
    match = re.search(rf"^import time:\s+\d+ \|\s+(\d+) \|\s+{re.escape(name)}$", done.stderr, flags=re.MULTILINE)
    if match is None:
        raise RuntimeError(f"-X importtime did not report {name}")
    return 1e-6 * int(match.group(1))


# A pass so small that what is timed is the compilation, or the reading of its cache.
FIRST_PASS = """
import time
import numpy as np
import fastgmm
fastgmm.set_config(engine="numba")
X = np.random.default_rng(0).normal(size=(500, 2))
start = time.perf_counter()
fastgmm.GaussianMixture(2, init_params="random", random_state=0, max_iter=5, tol=1.0).fit(X)
print(time.perf_counter() - start)
"""


class Import:
    """Seconds in new processes; a library alone, or after scikit-learn's base."""

    timeout = 600
    unit = "s"

    def seconds(self, name, before=""):
        """Return the median."""
        # The first finds cold files.
        return statistics.median([import_seconds(name, before) for _ in range(SETTINGS.repeats + 1)][1:])

    def track_fastgmm_after_sklearn_base(self):
        return self.seconds("fastgmm", "import sklearn.base")

    def track_fastgmm_less_sklearn_base(self):
        return self.seconds("fastgmm") - self.seconds("sklearn.base")

    def track_fastgmm(self):
        return self.seconds("fastgmm")

    def track_sklearn_base(self):
        return self.seconds("sklearn.base")


def timeraw_import_fastgmm():
    """Return what a fresh process runs."""
    return "import fastgmm"


def timeraw_import_sklearn_base():
    """Return what a fresh process runs."""
    return "import sklearn.base"


class FirstFit:
    """The first fit of a new process that reads Numba's cache."""

    timeout = 600
    unit = "s"

    def track_first_fit_cached(self):
        command = [sys.executable, "-c", FIRST_PASS]
        runs = (
            subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(SETTINGS.repeats + 1)
        )
        # The first fills the cache.
        return statistics.median([float(done.stdout) for done in runs][1:])
