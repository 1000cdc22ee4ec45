"""Many callers and many calls: the same answers, no memory and no threads left behind. tests/soak runs longer."""

import gc
import os
import threading

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastgmm
from fastgmm import GaussianMixture

pytestmark = [
    pytest.mark.thread_unsafe(reason="memory and threads of the whole process are counted"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def resident_bytes():
    """Return the memory of this process."""
    with open("/proc/self/statm") as handle:
        return int(handle.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def n_threads():
    """Return how many threads this process has."""
    return len(os.listdir("/proc/self/task"))


def test_64_scorers_at_a_time_give_identical_answers(dtype):
    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(size=(6000, 8)), rng.normal(size=(6000, 8)) + 2].astype(dtype)
    model = GaussianMixture(6, random_state=0, max_iter=10).fit(X)
    scorer = model.scorer()
    sizes = [1, 7, 500, 12_000]
    expected = {size: (scorer.predict_proba(X[:size]), scorer.score_samples(X[:size])) for size in sizes}
    wrong, ready = [], threading.Barrier(64)

    def work(number):
        ready.wait()
        with fastgmm.config_context(n_threads=1 + number % 2):
            for i in range(8):
                size = sizes[(number + i) % len(sizes)]
                shares, density = expected[size]
                if not np.array_equal(scorer.predict_proba(X[:size]), shares):
                    wrong.append((number, size, "predict_proba"))
                if not np.array_equal(scorer.score_samples(X[:size]), density):
                    wrong.append((number, size, "score_samples"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_many_fits_leave_no_memory_and_no_threads():
    """An array of the rows kept by each fit would be 5 MB over the 1000 measured; a state of each, 2 MB."""
    X = np.random.default_rng(1).normal(size=(300, 2))

    def fit_many(count):
        for seed in range(count):
            GaussianMixture(3, random_state=seed, max_iter=3, init_params="random_from_data").fit(X)
        gc.collect()

    fit_many(300)
    memory, threads = resident_bytes(), n_threads()
    fit_many(1000)
    assert resident_bytes() - memory < 1_500_000
    assert n_threads() <= threads


def test_a_stream_and_a_scorer_keep_their_memory():
    rng = np.random.default_rng(2)
    batches = [rng.normal(size=(500, 5)) for _ in range(10)]
    model = GaussianMixture(3, random_state=0).partial_fit(batches[0])
    scorer, out = model.scorer(), np.empty(500)

    def go_on(count):
        for i in range(count):
            model.partial_fit(batches[i % 10])
            scorer.score_samples(batches[i % 10], out=out)
        gc.collect()

    go_on(100)
    memory, threads = resident_bytes(), n_threads()
    go_on(500)
    assert resident_bytes() - memory < 1_500_000  # a batch kept each time would be 10 MB
    assert n_threads() <= threads
    assert_array_equal(np.isfinite(out), True)
