"""Importing fastgmm: its own share, above what scikit-learn's base costs whoever imports it."""

import re
import statistics
import subprocess
import sys

from benchmarks.targets import at_most, reported


def import_microseconds(name, before=""):
    """Return what ``-X importtime`` says the import of `name` took, what it imports included, after `before`."""
    code = f"{before}\nimport {name}"
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True)
    match = re.search(rf"^import time:\s+\d+ \|\s+(\d+) \|\s+{re.escape(name)}$", done.stderr, flags=re.MULTILINE)
    if match is None:
        raise RuntimeError(f"-X importtime did not report {name}")
    return int(match.group(1))


def share_and_wholes(repeats):
    """Return medians in seconds: fastgmm after sklearn.base, fastgmm alone, sklearn.base alone; run in turn."""
    rounds = [
        (
            import_microseconds("fastgmm", before="import sklearn.base"),
            import_microseconds("fastgmm"),
            import_microseconds("sklearn.base"),
        )
        for _ in range(repeats + 1)
    ]
    # The first round finds cold files.
    return tuple(1e-6 * statistics.median(values) for values in zip(*rounds[1:], strict=True))


def figure(quick):
    """Return figure 8: milliseconds of import."""
    share, whole, base = share_and_wholes(3 if quick else 9)
    yield at_most("import fastgmm after sklearn.base", 1e3 * share, 50, " ms")
    yield at_most("import fastgmm less import sklearn.base", 1e3 * (whole - base), 50, " ms")
    yield reported("import fastgmm; import sklearn.base", f"{1e3 * whole:.0f} ms; {1e3 * base:.0f} ms")


def timeraw_import_fastgmm():
    """Return what a fresh process runs."""
    return "import fastgmm"


def timeraw_import_sklearn_base():
    """Return what a fresh process runs."""
    return "import sklearn.base"


def track_import_share():
    """Return fastgmm's share in seconds, after sklearn.base."""
    return share_and_wholes(5)[0]


track_import_share.unit = "s"
track_import_share.timeout = 600
