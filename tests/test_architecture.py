"""Imports go down only, and importing the package imports nothing optional."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import fastgmm

PACKAGE = Path(fastgmm.__file__).parent

# From the bottom up: a room imports from rooms of a lower rank only, or from itself.
RANKS = {
    "exceptions": 0,
    "config": 0,
    "kernels": 1,
    "model": 2,
    "data": 3,
    "em": 4,
    "inference": 4,
    "input_validation": 3,
    "parameter_validation": 4,
    "callbacks": 5,
}
SKLEARN_FREE = ("exceptions", "config", "kernels", "model", "data", "em", "inference")
LAZY = {"pandas", "polars", "dask", "distributed", "pyarrow", "matplotlib", "numba", "rich", "h5py", "zarr"}


def files():
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path, module_level_only=False):
    """Yield the modules a file imports; those under `if TYPE_CHECKING` do not run."""
    tree = ast.parse(path.read_text())

    def walk(node, inside):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            deeper = inside or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
            if not (module_level_only and deeper):
                if isinstance(child, ast.Import):
                    yield from (alias.name for alias in child.names)
                elif isinstance(child, ast.ImportFrom) and child.module:
                    if child.module == "fastgmm":
                        yield from (f"fastgmm.{alias.name}" for alias in child.names)
                    else:
                        yield child.module
            yield from walk(child, deeper)

    yield from walk(tree, False)


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path):
    room = room_of(path)
    if room not in RANKS:
        return
    for name in imports_of(path):
        if not name.startswith("fastgmm."):
            continue
        other = name.split(".")[1]
        assert other in RANKS, f"{room} imports {other}, which stands above it"
        assert other == room or RANKS[other] < RANKS[room] or {room, other} <= {"exceptions", "config"}, (
            f"{room} imports {other}"
        )


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
    assert graph["fastgmm.mixture_base"], "imports were found"
    TopologicalSorter(graph).prepare()


def test_commands_are_in_no_circle_even_where_an_import_waits_for_a_call():
    commands = {module_of(path): ast.parse(path.read_text()) for path in files() if room_of(path) == "cli"}
    del commands["fastgmm.cli"]
    graph = {name: commands.keys() & set(modules_named_by(ast.walk(tree))) for name, tree in commands.items()}
    assert "fastgmm.cli.completion" in graph["fastgmm.cli.main"], "deferred imports were found"
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
