"""Imports go down only, and importing the package imports nothing optional."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import fastgmm

PACKAGE = Path(fastgmm.__file__).parent

# From the bottom up: a file imports from rooms of a lower rank only, or from its own; imports that wait for a call and
# those for types alone count as well. What users name stands at the top level, each above the rooms that it is made of.
RANKS = [
    {"exceptions", "config"},
    {"kernels"},
    {"model"},
    {"families", "data", "datasets"},
    {"inference"},
    {"em"},
    {"starts"},
    {"callbacks", "summary"},
    {"plotting", "tables"},
    {"estimator"},
    {"gaussian_mixture", "conditional_mixtures", "coresets", "encoders", "matching", "verification"},
    {"student_mixture"},
    {
        "windows",
        "many_fits",
        "bayesian_mixture",
        "classifier",
        "outlier_detector",
        "regressor",
        "persistence",
        "installation",
    },
    {"selection", "scikit_learn"},
    {"start_up", "clusterer", "feature_selector", "imputer"},
    {"cli"},
    {"__main__"},
]
RANK = {room: rank for rank, rooms in enumerate(RANKS) for room in rooms}
SKLEARN_FREE = ("exceptions", "config", "kernels", "model", "families", "data", "em", "starts", "inference")
# Names that version 0.1 had elsewhere: nothing imports the file.
ALIASES = ("model/covariance.py",)
LAZY = {"pandas", "polars", "dask", "distributed", "pyarrow", "matplotlib", "numba", "rich", "h5py", "zarr", "pyspark"}


def files():
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path):
    """Yield the modules a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "fastgmm":
                yield from (f"fastgmm.{alias.name}" for alias in node.names)
            else:
                yield node.module


def test_every_room_has_a_rank():
    assert {room_of(path) for path in files()} - {"__init__"} == set(RANK)


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path):
    room = room_of(path)
    if room == "__init__":
        return
    for name in imports_of(path):
        if not name.startswith("fastgmm."):
            continue
        other = name.split(".")[1]
        assert other in RANK, f"{room} imports {other}, which is no room"
        below = RANK[other] < RANK[room] or {room, other} <= {"exceptions", "config"}
        assert other == room or below, f"{room} imports {other}"


def test_no_shape_is_asked_for_by_name_outside_its_room():
    names = {"full", "tied", "diag", "spherical"}
    found = []
    for path in files():
        if room_of(path) == "kernels" or "shapes" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                words = [leaf.value for leaf in ast.walk(node) if isinstance(leaf, ast.Constant)]
                found += [f"{path}:{node.lineno}" for word in words if isinstance(word, str) and word in names]
    assert not found


def test_nothing_imports_old_names():
    for path in files():
        assert not [name for name in imports_of(path) if name == "fastgmm.model.covariance"], path
    assert all((PACKAGE / name).exists() for name in ALIASES)


def module_of(path):
    return ".".join(("fastgmm", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def modules_named_by(nodes):
    """Yield what the import statements among nodes import, names that are modules themselves resolved."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_modules_import_each_other_in_no_circle():
    # Packages name what their files offer, so a package and its files stand in both directions: files only.
    modules = {module_of(path): ast.parse(path.read_text()) for path in files() if path.name != "__init__.py"}
    graph = {name: modules.keys() & set(modules_named_by(tree.body)) for name, tree in modules.items()}
    assert graph["fastgmm.estimator.mixture"], "imports were found"
    TopologicalSorter(graph).prepare()


def test_commands_are_in_no_circle_even_where_an_import_waits_for_a_call():
    commands = {module_of(path): ast.parse(path.read_text()) for path in files() if room_of(path) == "cli"}
    del commands["fastgmm.cli"]
    graph = {name: commands.keys() & set(modules_named_by(ast.walk(tree))) for name, tree in commands.items()}
    assert "fastgmm.cli.screen" in graph["fastgmm.cli.main"], "deferred imports were found"
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_lower_rooms_are_free_of_scikit_learn(path):
    if room_of(path) in SKLEARN_FREE:
        assert not [name for name in imports_of(path) if name.split(".")[0] == "sklearn"]


def modules_after(statement):
    code = f"import sys; {statement}; print(' '.join(sorted(m for m in sys.modules if '.' not in m)))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_imports_nothing_optional():
    # scikit-learn itself imports some of them where they are installed.
    assert not LAZY & (modules_after("import sklearn.base, fastgmm") - modules_after("import sklearn.base"))


def test_nothing_below_the_command_line_prints():
    for path in files():
        if room_of(path) == "cli":
            continue
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        assert not [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"], path
