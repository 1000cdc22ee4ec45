"""Runs a scorer, a stream, or fits for long, and prints memory and threads as it goes.

    python tests/soak/soak.py scorer --minutes 10
    python tests/soak/soak.py stream --minutes 10
    python tests/soak/soak.py fits --count 10000

Exits with 1 if memory grew by more than `--allowed` MB after the first tenth, or a thread was left.
"""

import argparse
import gc
import os
import sys
import time
import warnings

import numpy as np

from fastgmm import GaussianMixture


def resident_mb():
    """Return the memory of this process, in MB."""
    with open("/proc/self/statm") as handle:
        return int(handle.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def n_threads():
    """Return how many threads this process has."""
    return len(os.listdir("/proc/self/task"))


def scorer_calls(rng):
    """Yield after every call of a frozen scorer, which must answer as it did first."""
    X = rng.normal(size=(20_000, 8))
    scorer = GaussianMixture(6, random_state=0).fit(X).scorer()
    expected = scorer.predict_proba(X)
    for size in iter(lambda: int(rng.choice([1, 1, 1, 10, 1000, 20_000])), 0):
        if not np.array_equal(scorer.predict_proba(X[:size]), expected[:size]):
            raise SystemExit("the scorer's answers changed")
        yield


def stream_calls(rng):
    """Yield after every batch of a stream."""
    model = GaussianMixture(4, random_state=0)
    while True:
        model.partial_fit(rng.normal(size=(int(rng.integers(40, 3000)), 6)))
        yield


def fit_calls(rng):
    """Yield after every fit."""
    X = rng.normal(size=(300, 2))
    seed = 0
    while True:
        GaussianMixture(3, random_state=seed, covariance_type=("full", "tied", "diag", "spherical")[seed % 4]).fit(X)
        seed += 1
        yield


CALLS = {"scorer": scorer_calls, "stream": stream_calls, "fits": fit_calls}


def main():
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=CALLS)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--count", type=int, default=None, help="calls, instead of minutes")
    parser.add_argument("--allowed", type=float, default=2.0, help="growth of memory in MB")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    begun, reports, first = time.monotonic(), 0, None
    for done, _ in enumerate(CALLS[arguments.what](np.random.default_rng(0)), start=1):
        share = done / arguments.count if arguments.count else (time.monotonic() - begun) / (60.0 * arguments.minutes)
        if share >= (reports + 1) / 10:
            gc.collect()
            memory, threads = resident_mb(), n_threads()
            first = first or (memory, threads)
            reports += 1
            print(f"{share:4.0%}  {done:>10,} calls  {memory:8.1f} MB  {threads} threads", flush=True)
        if share >= 1:
            break
    return int(memory - first[0] > arguments.allowed or threads > first[1])


if __name__ == "__main__":
    sys.exit(main())
