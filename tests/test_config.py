"""Settings: engines, instruction sets, threads."""

import os
import subprocess
import sys
import threading

import pytest

import fastgmm
from fastgmm import config, kernels
from fastgmm.exceptions import EngineError
from fastgmm.kernels import engines


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        check=False,
    )


def test_bad_settings():
    with pytest.raises(ValueError, match="engine is 'fortran'; expected one of 'auto', 'compiled', 'numba', 'plain'"):
        fastgmm.set_config(engine="fortran")
    for bad in (0, -1, 1.5, True, "two"):
        with pytest.raises(ValueError, match="n_threads is"):
            fastgmm.set_config(n_threads=bad)
    with pytest.raises(TypeError, match="unknown setting 'threads'"):
        fastgmm.set_config(threads=2)
    assert fastgmm.get_config() == {"engine": "auto", "n_threads": None}


def test_context_is_for_one_thread_and_ends():
    seen = []
    with fastgmm.config_context(n_threads=3):
        assert config.n_threads() == 3
        thread = threading.Thread(target=lambda: seen.append(config.n_threads()))
        thread.start()
        thread.join()
    assert seen == [config.default_n_threads()]
    assert config.n_threads() == config.default_n_threads()


def test_threads_follow_affinity_and_environment():
    code = "from fastgmm import config; print(config.n_threads())"
    assert run(code, OMP_NUM_THREADS="1").stdout.strip() == "1"
    if hasattr(os, "sched_setaffinity"):
        pinned = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); " + code
        assert run(pinned).stdout.strip() == "1"


def test_show_config_names_what_runs(capsys):
    facts = fastgmm.show_config(mode="dict")
    assert facts["isa"] in facts["available_isas"]
    fastgmm.show_config()
    assert f"isa              {facts['isa']}" in capsys.readouterr().out
    with pytest.raises(ValueError, match="mode is 'html'"):
        fastgmm.show_config(mode="html")


def test_isa_from_the_environment():
    compiled = pytest.importorskip("fastgmm.kernels._compiled")
    for isa in compiled.available_isas():
        done = run("import fastgmm; print(fastgmm.show_config(mode='dict')['isa'])", FASTGMM_ISA=isa)
        assert done.stdout.strip() == isa
    done = run("import fastgmm; fastgmm.GaussianMixture().fit([[0.0], [1.0]])", FASTGMM_ISA="sse9")
    assert done.returncode != 0
    assert "FASTGMM_ISA is 'sse9'; expected one of" in done.stderr


def test_missing_engine_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "fastgmm.kernels.numba", None)
    monkeypatch.delattr(kernels, "numba", raising=False)
    monkeypatch.setattr(engines, "_import", engines._import.__wrapped__)
    with pytest.raises(EngineError, match=r"pip install 'fastgmm\[numba\]'"):
        fastgmm.set_config(engine="numba")
