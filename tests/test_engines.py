"""Which engine runs what: standard kernels are compiled, what an engine declines another runs, a checkout finds one."""

import os
import pickle
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from mixtures import random_parameters, random_rows
from numpy.testing import assert_allclose, assert_array_equal

import fastgmm
from fastgmm import config, kernels
from fastgmm.exceptions import EngineError
from fastgmm.kernels import engines
from fastgmm.model import SufficientStatistics

PACKAGE = Path(fastgmm.__file__).parent
NO_NUMBA = "import sys; sys.modules['numba'] = None\n"
NOTHING_INSTALLED = "from importlib import metadata; metadata.distributions = lambda **_: iter(())\n"


def test_standard_kernels_are_compiled_where_the_extension_is():
    pytest.importorskip("fastgmm.kernels._compiled")
    ran = fastgmm.show_config(mode="dict")["kernels"]
    assert ran.keys() == kernels.ACTIONS.keys()
    assert {name for by_shape in ran.values() for name in by_shape.values()} == {"compiled"}


def test_every_engine_has_the_standard_kernels(engine):
    for action, shapes in kernels.ACTIONS.items():
        for shape in shapes:
            assert engine.supports(action, shape)
            assert kernels.engine_for(action, shape) is engine


def test_what_no_engine_runs_says_so(engine):
    with pytest.raises(EngineError, match="no engine runs 'merge' on the shape 'tied' and the tail None"):
        kernels.engine_for("merge", "tied")
    with pytest.raises(EngineError, match="no engine runs 'accumulate' on the shape 'banded'"):
        kernels.engine_for("accumulate", "banded")


class Declining:
    """An engine that has everything but the passes over diagonal covariances."""

    def __init__(self, engine):
        self.engine = engine

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def supports(self, action, shape=None, tail=None):
        return shape != "diag" and self.engine.supports(action, shape, tail)


@pytest.fixture
def declining(monkeypatch):
    """Put an engine that declines in the place of the best one."""
    declining = Declining(kernels.engine())
    load = engines._import
    name = declining.describe()["engine"]
    monkeypatch.setattr(engines, "_import", lambda wanted: declining if wanted == name else load(wanted))
    with fastgmm.config_context(engine=name):
        engines._choice.cache_clear()
        yield declining
    engines._choice.cache_clear()


def test_what_an_engine_declines_the_plain_one_runs(declining):
    rng = np.random.default_rng(0)
    for shape, name in (("full", declining.describe()["engine"]), ("diag", "plain")):
        p = random_parameters(shape, 3, 4, rng)
        X = random_rows(p, 200, rng)
        assert fastgmm.show_config(mode="dict")["kernels"]["log_density"][shape] == name
        found, bound = kernels.log_density(X, p, np.empty(200)), kernels.log_density(X, kernels.bind(p), np.empty(200))
        with fastgmm.config_context(engine="plain" if name == "plain" else "auto"):
            expected = kernels.log_density(X, p, np.empty(200))
        assert_array_equal(found, expected)
        assert_array_equal(bound, expected)


def test_the_table_shows_what_differs_by_shape(declining, capsys):
    fastgmm.show_config()
    name = declining.describe()["engine"]
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line.startswith("  "))
    assert lines["estimate"] == f"full {name}, tied {name}, diag plain, spherical {name}"
    assert lines["assign_nearest"] == name


def test_bound_mixtures_are_the_parameters(engine, structure, dtype):
    rng = np.random.default_rng(1)
    p = random_parameters(structure, 4, 5, rng)
    X = random_rows(p, 600, rng, dtype)
    bound = kernels.bind(p)
    assert kernels.bind(bound) is bound
    assert (bound.n_components, bound.n_features, bound.structure) == (4, 5, structure)
    for mixture in (bound, pickle.loads(pickle.dumps(bound))):
        one, other = (SufficientStatistics.zeros(structure, p.means) for _ in range(2))
        kernels.accumulate(X, None, p, one)
        for part in (X[:100], X[100:]):
            kernels.accumulate(part, None, mixture, other)
        assert_allclose(other.scatter, one.scatter, rtol=1e-12 if dtype == np.float64 else 1e-4, atol=1e-12)
        for action, out in (
            (kernels.log_density, np.empty(600, dtype)),
            (kernels.responsibilities, np.empty((600, 4), dtype)),
            (kernels.assign, np.empty(600, np.int64)),
        ):
            assert_array_equal(action(X, mixture, np.zeros_like(out)), action(X, p, out))


def test_bound_mixtures_follow_the_settings():
    p = random_parameters("full", 2, 3, np.random.default_rng(2))
    bound = kernels.bind(p)
    first = bound.on_engine("assign")
    with fastgmm.config_context(engine="plain"):
        assert bound.on_engine("assign") is not first
        assert bound.on_engine("assign") is bound.on_engine("assign")
    assert bound.on_engine("assign") is first


def test_parameters_are_checked_when_they_are_bound(engine):
    p = random_parameters("full", 2, 3, np.random.default_rng(3))
    for wrong, message in (
        ({"log_offset": p.log_offset[:1]}, "log_offset"),
        ({"means": p.means[0]}, "means has shape"),
        ({"means": p.means.astype(np.float32)}, "means has dtype float32"),
        ({"precisions_cholesky": p.precisions_cholesky[0]}, "precisions_cholesky"),
        ({"precisions_cholesky": np.swapaxes(p.precisions_cholesky, 1, 2)}, "contiguous"),
    ):
        arrays = {"log_offset": p.log_offset, "means": p.means, "precisions_cholesky": p.precisions_cholesky}
        with pytest.raises(ValueError, match=message):
            kernels.BoundMixture("full", **{**arrays, **wrong})


@pytest.mark.thread_unsafe(reason="tracemalloc counts the whole process, and stopping it beside another thread crashes")
def test_the_plain_engine_holds_a_tile_of_rows():
    p = random_parameters("full", 50, 2, np.random.default_rng(4))
    X = np.random.default_rng(5).normal(size=(40_000, 2))
    s = SufficientStatistics.zeros("full", p.means)
    with fastgmm.config_context(engine="plain"):
        kernels.accumulate(X[:10], None, p, s)
        tracemalloc.start()
        kernels.accumulate(X, None, p, s)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 8 * len(X) * 50 / 2  # half of a matrix of responsibilities


def run(code, *paths, **environment):
    """Run code in the first of `paths`, which Python prefers, as it does the folder it is started in."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=paths[0],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, paths), *sys.path]), **environment},
        check=False,
    )


@pytest.fixture
def checkout(tmp_path):
    """A source folder without an extension."""
    ignored = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__", "_compiled.cpp")
    shutil.copytree(PACKAGE, tmp_path / "checkout" / "fastgmm", ignore=ignored)
    (tmp_path / "checkout" / "pyproject.toml").write_text(
        f'[project]\nname = "fastgmm"\nversion = "{fastgmm.__version__}"\n'
    )
    return tmp_path / "checkout"


@pytest.fixture
def site(tmp_path):
    """A site-packages that has an installed fastgmm."""
    compiled = pytest.importorskip("fastgmm.kernels._compiled")
    folder = tmp_path / "site"
    shutil.copytree(PACKAGE, folder / "fastgmm", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
    extension = Path(compiled.__file__)
    (folder / "fastgmm" / "kernels" / extension.name).symlink_to(extension)
    metadata = folder / f"fastgmm-{fastgmm.__version__}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: fastgmm\nVersion: {fastgmm.__version__}\n")
    return folder


FIT = """
import warnings
import numpy as np
import fastgmm
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for seed in range(2):
        X = np.random.default_rng(seed).normal(size=(200, 2))
        fastgmm.GaussianMixture(2, random_state=0, tol=1e-2).fit(X)
print(*[str(w.message) for w in caught if "fastgmm" in str(w.message)], sep="\\n")
print(fastgmm.show_config(mode="dict")["engine"], fastgmm.__file__)
"""


def test_a_checkout_takes_the_extension_of_the_installed_package(checkout, site):
    done = run(FIT + "print(fastgmm.kernels._compiled.__file__)\nimport fastgmm.kernels._compiled", checkout, site)
    assert done.returncode == 0, done.stderr
    warned, engine, extension = done.stdout.splitlines()
    assert warned == ""
    assert engine == f"compiled {checkout / 'fastgmm' / '__init__.py'}"
    assert extension.startswith(str(site))


def test_another_version_is_named_and_not_taken(checkout, site):
    metadata = next(site.glob("*.dist-info")) / "METADATA"
    metadata.write_text(metadata.read_text().replace(fastgmm.__version__, "0.0.7"))
    done = run(NO_NUMBA + FIT, checkout, site)
    assert done.returncode == 0, done.stderr
    *warned, engine = done.stdout.splitlines()
    assert engine.startswith("plain ")
    for words in (f"fastgmm {fastgmm.__version__} from its source folder", "of fastgmm 0.0.7", "pip install ."):
        assert words in warned[0]
    done = run("import fastgmm; fastgmm.set_config(engine='compiled')", checkout, site)
    assert "of fastgmm 0.0.7" in done.stderr.splitlines()[-1]


def test_an_extension_of_other_sources_is_not_taken(checkout, site):
    with (site / "fastgmm" / "kernels" / "native" / "interface.hpp").open("a") as source:
        source.write("// another\n")
    done = run("import fastgmm; fastgmm.set_config(engine='compiled')", checkout, site)
    assert "built from other sources" in done.stderr.splitlines()[-1]


def test_a_bare_checkout_runs_in_plain_numpy_and_warns_once(checkout):
    done = run(NO_NUMBA + NOTHING_INSTALLED + FIT, checkout)
    assert done.returncode == 0, done.stderr
    warned, engine = done.stdout.splitlines()
    assert engine == f"plain {checkout / 'fastgmm' / '__init__.py'}"
    for words in ("plain NumPy", "times as long", "no extension was built", "pip install -e .", "fastgmm[numba]"):
        assert words in warned


def test_engines_of_the_settings():
    before = fastgmm.get_config()
    for name in ("compiled", "numba", "plain"):
        try:
            with config.config_context(engine=name):
                assert kernels.engine().describe()["engine"] == name
        except EngineError:
            assert name != "plain"
    assert fastgmm.get_config() == before
