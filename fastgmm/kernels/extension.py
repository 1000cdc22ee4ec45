"""The compiled engine's extension: built beside its sources or, for a bare checkout, in the installed fastgmm."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

__all__ = ["OtherExtensionError", "load"]

NAME = "fastgmm.kernels._compiled"
FOLDER = Path(__file__).parent


class OtherExtensionError(ImportError):
    """The fastgmm that is installed was not built from the sources that Python imports."""


def load() -> ModuleType:
    """Return the extension.

    Python prefers the folder it is started in to what is installed. In a checkout it so finds sources, and no
    extension among them; that of the fastgmm which was installed from there is taken.

    Raises
    ------
    ImportError
        If there is none.
    OtherExtensionError
        If the one that there is was built from other sources.
    """
    try:
        return importlib.import_module(NAME)
    except ImportError as error:
        source_version = _version_of_checkout()
        if error.name != NAME or source_version is None:
            remedy = "install fastgmm with a C++ compiler and without FASTGMM_NO_EXT"
            raise ImportError(f"{error}; {remedy}") from error
        missing = error
    installed = _installed()
    if installed is None:
        raise ImportError(
            f"{FOLDER.parent} is a source folder in which no extension was built, and no fastgmm with one is "
            "installed: run pip install -e . there"
        ) from missing
    version, path = installed
    if version != source_version or _differ(path.parent):
        raise OtherExtensionError(
            f"Python imports fastgmm {source_version} from its source folder {FOLDER.parent}, but the extension in "
            f"{path.parent} is of fastgmm {version}, built from other sources: install this one "
            "(pip install .), or start Python in another folder"
        ) from missing
    return _load_from(path)


# What only a checkout needs is not imported for everybody.


def _version_of_checkout() -> str | None:
    """Return the version of the sources, or None where this package is no source folder."""
    import tomllib

    project = FOLDER.parents[1] / "pyproject.toml"
    facts = tomllib.loads(project.read_text()).get("project", {}) if project.is_file() else {}
    return facts.get("version") if facts.get("name") == "fastgmm" else None


def _installed() -> tuple[str, Path] | None:
    """Return version and extension of the first fastgmm installed that has one."""
    from importlib import machinery, metadata

    for distribution in metadata.distributions(name="fastgmm"):
        for suffix in machinery.EXTENSION_SUFFIXES:
            path = Path(str(distribution.locate_file(f"fastgmm/kernels/_compiled{suffix}")))
            if path.is_file():
                return distribution.version, path
    return None


def _differ(folder: Path) -> bool:
    """Return whether the sources that lie beside an installed extension are not these."""
    import filecmp

    for installed in [folder / "_compiled.pyx", *(folder / "native").glob("*")]:
        ours = FOLDER / installed.relative_to(folder)
        if installed.is_file() and not (ours.is_file() and filecmp.cmp(installed, ours, shallow=False)):
            return True
    return False


def _load_from(path: Path) -> ModuleType:
    import importlib.util

    spec = importlib.util.spec_from_file_location(NAME, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[NAME]
        raise
    sys.modules[__package__]._compiled = module  # type: ignore[attr-defined]
    return module
