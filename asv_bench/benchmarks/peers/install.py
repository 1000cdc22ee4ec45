"""Build or install each peer under a cache folder, and say how where that cannot be done."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.workloads import Workload

__all__ = ["PEERS", "MissingPeerError", "can_do", "clean", "default_cache", "peer_command"]

HERE = Path(__file__).parent
WORKER = HERE / "libraries.py"
ONEDAL_REQUIREMENTS = ("daal4py==2024.7.0", "scikit-learn<1.6", "numpy<2", "packaging")
# The Pythons that release has wheels for, newest first.
ONEDAL_PYTHONS = ("3.12", "3.11", "3.10", "3.9")
COMPILE = ("-std=c++20", "-O3", "-march=native", "-fopenmp")


class MissingPeerError(Exception):
    """A peer cannot be run here; the text names it, the reason and the remedy."""


def default_cache() -> Path:
    """Return where peers are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastgmm-peers"


def _run(name: str, command: list[str], remedy: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        reason = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "no message")
        raise MissingPeerError(f"{name}: {reason.strip()}. {remedy}")


def _this_python(name: str) -> Callable[[Path], list[str]]:
    def command(cache: Path) -> list[str]:
        return [sys.executable, str(WORKER), name]

    return command


def _onedal(cache: Path) -> list[str]:
    remedy = (
        f"Install a Python of {ONEDAL_PYTHONS[-1]} to {ONEDAL_PYTHONS[0]} and let pip reach PyPI; oneDAL is then "
        f"installed by: python -m venv {cache / 'onedal'} && {cache / 'onedal' / 'bin' / 'pip'} install "
        + " ".join(f'"{part}"' for part in ONEDAL_REQUIREMENTS)
    )
    python = cache / "onedal" / "bin" / "python"
    if not _has_daal4py(python):
        shutil.rmtree(cache / "onedal", ignore_errors=True)
        found = _python_for_onedal()
        if found is None:
            raise MissingPeerError(f"oneDAL: no Python that daal4py 2024.7.0 has wheels for. {remedy}")
        _run("oneDAL", [found, "-m", "venv", str(cache / "onedal")], remedy)
        _run("oneDAL", [str(python), "-m", "pip", "install", "--quiet", *ONEDAL_REQUIREMENTS], remedy)
        if not _has_daal4py(python):
            raise MissingPeerError(f"oneDAL: daal4py was installed but cannot be imported. {remedy}")
    return [str(python), str(WORKER), "onedal"]


def _has_daal4py(python: Path) -> bool:
    if not python.exists():
        return False
    done = subprocess.run([str(python), "-c", "import daal4py"], capture_output=True, check=False, env=clean())
    return done.returncode == 0


def _python_for_onedal() -> str | None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if version in ONEDAL_PYTHONS:
        return sys.executable
    for other in ONEDAL_PYTHONS:
        found = shutil.which(f"python{other}")
        if found and subprocess.run([found, "-c", "import venv"], capture_output=True, check=False).returncode == 0:
            return found
    return None


def _compiled(name: str, source: str, library: str, package: str) -> Callable[[Path], list[str]]:
    def command(cache: Path) -> list[str]:
        compiler = os.environ.get("CXX", "g++")
        remedy = f"Install it: apt-get install g++ {package} (or set CXX, CPATH and LIBRARY_PATH to your own build)"
        if shutil.which(compiler) is None:
            raise MissingPeerError(f"{name}: no C++ compiler {compiler!r}. {remedy}")
        text = (HERE / source).read_bytes() + (HERE / "driver.hpp").read_bytes() + repr((compiler, COMPILE)).encode()
        program = cache / f"{Path(source).stem}-{hashlib.sha256(text).hexdigest()[:12]}"
        if not program.exists():
            cache.mkdir(parents=True, exist_ok=True)
            part = program.with_suffix(".part")
            _run(name, [compiler, *COMPILE, str(HERE / source), "-o", str(part), f"-l{library}"], remedy)
            part.rename(program)
        return [str(program)]

    return command


#: Every peer by the name it has in tables, and how its command is made; fastgmm itself comes first.
PEERS: dict[str, Callable[[Path], list[str]]] = {
    "fastgmm": _this_python("fastgmm"),
    "scikit-learn": _this_python("scikit-learn"),
    "oneDAL": _onedal,
    "Armadillo": _compiled("Armadillo", "armadillo.cpp", "armadillo", "libarmadillo-dev"),
    "VLFeat": _compiled("VLFeat", "vlfeat.cpp", "vl", "libvlfeat-dev"),
}


def can_do(peer: str, workload: Workload) -> bool:
    """Return whether the peer has such a model. VLFeat's vector code is float32; it is compared in that alone."""
    if peer in ("oneDAL", "Armadillo"):
        return workload.covariance_type in ("full", "diag")
    if peer == "VLFeat":
        return workload.covariance_type == "diag" and workload.dtype == "float32"
    return True


def peer_command(peer: str, cache: Path) -> list[str]:
    """Return the command that answers requests, without its arguments, building the peer if it is not there.

    Raises
    ------
    MissingPeerError
    """
    return PEERS[peer](cache)


def clean(n_threads: int | None = None) -> dict[str, str]:
    """Return the environment peers and fastgmm run in: no tuning of BLAS but the number of threads."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONHOME")
    }
    if n_threads is not None:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            environment[name] = str(n_threads)
    return environment
