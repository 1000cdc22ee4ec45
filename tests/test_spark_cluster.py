"""A fit on a Spark cluster of two worker processes on this machine, one of which is killed in a pass."""

import os
import re
import signal
import subprocess
import threading
import warnings
from pathlib import Path
from queue import Queue

import pytest
from test_dask import OPTIONS, assert_same_bits, rows_of_a_mixture
from test_spark import columns_of, frame_of, session

from fastgmm import GaussianMixture

pyspark = pytest.importorskip("pyspark")

pytestmark = [
    pytest.mark.thread_unsafe(reason="starts a cluster and kills workers"),
    pytest.mark.filterwarnings("ignore:Best performing initialization did not converge"),
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support"),
]

N_PARTITIONS = 6
PATIENCE = 120.0  # seconds for a process to say what it is expected to; none is waited for once it has


class Process:
    """One of Spark's own processes, and what it says."""

    def __init__(self, name, *arguments):
        command = Path(pyspark.__file__).parent / "bin" / "spark-class"
        self.popen = subprocess.Popen(
            [str(command), f"org.apache.spark.deploy.{name}", *arguments, "--host", "127.0.0.1", "--webui-port", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"},
        )
        self.lines = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.popen.stderr:
            self.lines.put(line)

    def says(self, pattern):
        """Wait for a line and return what it matches."""
        while True:
            found = re.search(pattern, self.lines.get(timeout=PATIENCE))
            if found:
                return found.group()

    def end(self):
        self.popen.terminate()
        self.popen.wait()
        self.popen.stderr.close()


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    processes = [Process("master.Master", "--port", "0")]
    try:
        master = processes[0].says(r"spark://127\.0\.0\.1:[1-9]\d*")
        for number in range(2):
            folder = str(tmp_path_factory.mktemp(f"worker{number}"))
            options = ("--cores", "1", "--memory", "1g", "--work-dir", folder)
            processes.append(Process("worker.Worker", master, *options))
            processes[-1].says("Successfully registered with master")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            spark = session(
                master,
                **{
                    "spark.executor.memory": "512m",
                    "spark.executor.cores": "1",
                    "spark.scheduler.minRegisteredResourcesRatio": "1.0",
                    "spark.scheduler.maxRegisteredResourcesWaitingTime": f"{PATIENCE:.0f}s",
                },
            )
            yield spark
            spark.stop()
    finally:
        for process in processes:
            process.end()


def ancestors(pid):
    """Yield this process's parents, and what they run."""
    while pid > 1:
        yield pid, Path(f"/proc/{pid}/cmdline").read_text()
        pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the worker to kill by Linux's /proc")
def test_a_worker_killed_during_a_pass_costs_its_partitions_and_not_the_fit(spark, tmp_path):
    def note(what):
        (tmp_path / f"{what}-{os.getpid()}-{os.urandom(4).hex()}").touch()
        return len(list(tmp_path.glob(f"{what}-*")))

    def loaded(batches):
        note("loaded")
        yield from batches

    def deadly(batches):
        """Kill the worker that this runs on, in the fourth pass, and its executor with it."""
        n_read = note("read")
        if n_read >= 3 * N_PARTITIONS + 3 and not list(tmp_path.glob("killed-*")):
            above = list(ancestors(os.getppid()))
            (worker,) = (pid for pid, command in above if "deploy.worker.Worker" in command)
            (executor,) = (pid for pid, command in above if "CoarseGrainedExecutorBackend" in command)
            try:
                os.close(os.open(tmp_path / "killed-worker", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                os.kill(worker, signal.SIGKILL)
                os.kill(executor, signal.SIGKILL)
        yield from batches

    X = rows_of_a_mixture()
    frame = frame_of(spark, columns_of(X), N_PARTITIONS)
    expected = GaussianMixture(**OPTIONS).fit(frame)
    kept = frame.mapInArrow(loaded, frame.schema).cache()
    assert kept.count() == len(X)
    assert len(list(tmp_path.glob("loaded-*"))) == N_PARTITIONS
    hosts = spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size()
    assert hosts == 3, "the driver and two executors"
    model = GaussianMixture(**OPTIONS).fit(kept.mapInArrow(deadly, frame.schema))
    assert len(list(tmp_path.glob("killed-*"))) == 1
    # The partitions that it held were made again from their source; those of the other worker were not.
    assert N_PARTITIONS < len(list(tmp_path.glob("loaded-*"))) < 2 * N_PARTITIONS
    assert_same_bits(model, expected)
