"""Memory, disk, files and threads that fail: an error, never a crash, and nothing half done."""

import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
from test_concurrency import run_python

import fastgmm
from fastgmm import GaussianMixture
from fastgmm.data.prefetch import read_ahead

pytestmark = [
    pytest.mark.thread_unsafe(reason="limits, threads and files of the whole process"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def rows(n_samples=300, n_features=2):
    return np.random.default_rng(0).normal(size=(n_samples, n_features))


# Memory.


@pytest.mark.parametrize("n_threads", [1, 3])
def test_too_little_memory_is_a_memory_error_and_the_process_goes_on(n_threads):
    code = f"""
        import resource, sys, numpy as np, fastgmm
        from scipy.linalg.lapack import dlauum
        fastgmm.set_config(n_threads={n_threads})
        small = np.random.default_rng(0).normal(size=(300, 2))
        expected = fastgmm.GaussianMixture(2, random_state=0).fit(small).means_
        wide = np.random.default_rng(0).normal(size=(40, 400))
        large = fastgmm.GaussianMixture(20, init_params=np.arange(40) % 20, max_iter=1)
        fastgmm.GaussianMixture(2, random_state=0).fit(wide[:, :12])
        # OpenBLAS asks for its own buffer again and again where there is no room for it, for ever: it is to have one.
        dlauum(np.eye(400))
        in_use = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        failed = 0
        # A matrix of each component takes 25 MB. From hardly any room to enough: each fails at another allocation.
        for room in (1, 4, 16, 30, 45, 60, 80, 110, 160, 1000):
            resource.setrlimit(resource.RLIMIT_AS, (in_use + room * 2**20, resource.RLIM_INFINITY))
            try:
                large.fit(wide)
            except MemoryError:
                failed += 1
                assert not hasattr(large, "means_")
                found = fastgmm.GaussianMixture(2, random_state=0).fit(small).means_
                assert np.array_equal(found, expected)
            else:
                break
        sys.exit(0 if failed > 2 and hasattr(large, "means_") else 3)
    """
    if not fastgmm.show_config(mode="dict")["engine"].startswith("compiled"):
        pytest.skip("the compiled engine is not installed; Numba's compiler needs memory of its own")
    done = run_python(code)
    assert done.returncode == 0, done.stderr


# Files.


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.npz"
    small = GaussianMixture(2, random_state=0).fit(rows())
    fastgmm.save(small, path)
    before = path.read_bytes()
    code = f"""
        import resource, sys, numpy as np, fastgmm
        X = np.random.default_rng(0).normal(size=(300, 40))
        model = fastgmm.GaussianMixture(2, random_state=0, reg_covar=1.0).fit(X)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))  # writing beyond it fails, as on a full disk
        try:
            fastgmm.save(model, {str(path)!r})
        except OSError:
            sys.exit(0)
        sys.exit(3)
    """
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_process_killed_while_it_saves_leaves_a_whole_file(tmp_path):
    path = tmp_path / "model.npz"
    code = f"""
        import numpy as np, fastgmm
        X = np.random.default_rng(0).normal(size=(300, 30))
        models = [fastgmm.GaussianMixture(k, random_state=0, reg_covar=1.0).fit(X) for k in (2, 3)]
        fastgmm.save(models[0], {str(path)!r})
        print("saved", flush=True)
        while True:
            for model in models:
                fastgmm.save(model, {str(path)!r})
    """
    for moment in (0.001, 0.01, 0.031):
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", textwrap.dedent(code)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        try:
            assert process.stdout.readline() == b"saved\n"
            threading.Event().wait(moment)  # somewhere in a save; whatever it is, the law holds
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
        assert fastgmm.load(path).n_components in (2, 3)


def test_a_parquet_file_cut_short_while_it_is_read(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "rows.parquet"
    X = rows(300_000, 4)
    table = pa.table({f"x{j}": X[:, j] for j in range(4)})
    pq.write_table(table, path, row_group_size=20_000)
    source = fastgmm.data.parquet(path, batch_rows=20_000)
    model = GaussianMixture(2, random_state=0, max_iter=2, init_params="random_from_data").fit(X[:1000])
    before = dict(vars(model))

    class Truncating:
        """Cuts the file once the first pass over it has begun."""

        def __init__(self):
            self.open_batches = source.open_batches

        def __call__(self):
            for number, batch in enumerate(self.open_batches()):
                if number == 2:
                    os.truncate(path, 1_000_000)
                yield batch

    source.open_batches = Truncating()
    n_threads = threading.active_count()
    with pytest.raises((OSError, ValueError)):
        model.fit(source)
    assert threading.active_count() == n_threads
    assert all(getattr(model, name) is value for name, value in before.items())
    with pytest.raises(ValueError, match="cannot be read as Parquet"):
        fastgmm.data.parquet(path)


# Threads.


def test_threads_that_cannot_start_are_done_without():
    """A thread's stack takes 512 MB of address space here, and there is room for one."""
    code = """
        import resource, sys, numpy as np, fastgmm
        X = np.random.default_rng(0).normal(size=(60_000, 6))
        fastgmm.set_config(n_threads=1)
        model = lambda: fastgmm.GaussianMixture(3, random_state=0, max_iter=3)
        expected = model().fit(X).means_
        in_use = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (in_use + 800 * 2**20, resource.RLIM_INFINITY))
        fastgmm.set_config(n_threads=5)
        sys.exit(0 if all(np.array_equal(model().fit(X).means_, expected) for _ in range(3)) else 3)
    """
    if not fastgmm.show_config(mode="dict")["engine"].startswith("compiled"):
        pytest.skip("the compiled engine is not installed; Numba's threads are its own")
    limit = (512 * 2**20, resource.getrlimit(resource.RLIMIT_STACK)[1])
    done = run_python(code, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_STACK, limit))
    assert done.returncode == 0, done.stderr


def test_a_reading_thread_that_cannot_start_is_an_error_at_once(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        next(read_ahead(lambda: iter([1, 2])))
    with pytest.raises(RuntimeError, match="can't start new thread"):
        GaussianMixture(2).fit(fastgmm.data.batches(lambda: iter([rows()])))


@pytest.mark.parametrize("error", [MemoryError, OSError, KeyboardInterrupt, SystemExit])
def test_what_a_reading_thread_raises_is_raised_by_the_fit(error):
    passes = [0]

    def factory():
        passes[0] += 1
        yield rows()
        if passes[0] == 3:
            raise error("in the thread")
        yield rows()

    n_threads = threading.active_count()
    model = GaussianMixture(2, random_state=0, tol=0, max_iter=20)
    with pytest.raises(error, match="in the thread"):
        model.fit(fastgmm.data.batches(factory))
    assert not hasattr(model, "means_")
    assert threading.active_count() == n_threads


def test_a_fork_while_other_threads_fit():
    code = """
        import os, sys, threading, numpy as np, fastgmm
        fastgmm.set_config(n_threads=2)
        X = np.random.default_rng(0).normal(size=(60_000, 6))
        model = lambda: fastgmm.GaussianMixture(3, random_state=0, max_iter=3)
        expected = model().fit(X).means_
        stop, wrong = threading.Event(), []

        def work():
            while not stop.is_set():
                if not np.array_equal(model().fit(X).means_, expected):
                    wrong.append(1)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        codes = []
        for _ in range(5):
            child = os.fork()
            if child == 0:
                os._exit(0 if np.array_equal(model().fit(X).means_, expected) else 3)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        stop.set()
        for thread in threads:
            thread.join()
        sys.exit(4 if wrong else max(codes))
    """
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_spawned_processes_give_the_same_bits(tmp_path):
    script = tmp_path / "spawned.py"
    script.write_text(
        textwrap.dedent("""
        import multiprocessing, sys, numpy as np, fastgmm

        def means(seed):
            X = np.random.default_rng(seed).normal(size=(20_000, 3))
            return fastgmm.GaussianMixture(2, random_state=0, max_iter=2, tol=0).fit(X).means_

        if __name__ == "__main__":
            expected = [means(seed) for seed in range(3)]
            with multiprocessing.get_context("spawn").Pool(2) as pool:
                found = pool.map(means, range(3))
            sys.exit(0 if np.array_equal(found, expected) else 3)
        """)
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=240, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr


def test_processes_of_joblib_share_the_cores():
    """No more passes run at a time than there are cores: workers are told how many threads are theirs."""
    code = """
        import os, sys, joblib, numpy as np, fastgmm

        def threads(seed):
            X = np.random.default_rng(seed).normal(size=(60_000, 8))
            before = len(os.listdir("/proc/self/task"))
            fastgmm.GaussianMixture(4, random_state=0, max_iter=2).fit(X)
            return len(os.listdir("/proc/self/task")) - before, fastgmm.config.n_threads()

        n_jobs = 2
        cores = fastgmm.config.default_n_threads()
        found = joblib.Parallel(n_jobs=n_jobs)(joblib.delayed(threads)(seed) for seed in range(4))
        share = max(1, os.cpu_count() // n_jobs)
        print(found, share)
        sys.exit(0 if all(extra < max(share, 1) + 1 and used <= share for extra, used in found) else 3)
    """
    done = run_python(code)
    assert done.returncode == 0, done.stdout + done.stderr


def test_threads_do_not_multiply():
    """Many Python threads reuse their OpenMP teams: the number of threads stays within their product and goes back."""
    code = """
        import os, sys, threading, numpy as np, fastgmm
        fastgmm.set_config(n_threads=2)
        X = np.random.default_rng(0).normal(size=(60_000, 8))
        scorer = fastgmm.GaussianMixture(4, random_state=0, max_iter=2).fit(X).scorer()
        count = lambda: len(os.listdir("/proc/self/task"))
        most = [0]

        def work():
            for _ in range(5):
                scorer.predict_proba(X)
                most[0] = max(most[0], count())

        before = count()
        for _ in range(3):
            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        print(before, most[0], count())
        # A thread and its helper each; those of the round before may be about to end.
        sys.exit(0 if most[0] <= before + 2 * 4 * 2 and count() <= before + 4 else 3)
    """
    done = run_python(code)
    assert done.returncode == 0, done.stdout + done.stderr
