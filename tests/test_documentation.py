"""The README and the pages say what is so: their Python runs, their output is what it says, their links lead somewhere.

A fence ``python`` is run, ``pycon`` is run and its output compared (doctest's rules); both see the names of the fences
before them on the page. Code that is not to be run here stands in a fence ``{code-block} python``.
"""

import contextlib
import doctest
import importlib
import io
import re
import textwrap
from pathlib import Path

import pytest

import fastgmm

pytestmark = pytest.mark.thread_unsafe(reason="pages are run with their output and folder redirected")

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# A fence within a list is indented.
FENCE = re.compile(r"^( *)```(python|pycon)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


def name_of(page):
    return str(page.relative_to(ROOT))


def fences(page):
    """Yield line, language and code of each fence."""
    text = page.read_text()
    for match in FENCE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[2], textwrap.dedent(match[3])


def run(page):
    """Run a page's fences; return what doctest found wrong."""
    names: dict = {"__name__": "__main__"}
    faults = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for line, language, code in fences(page):
        if language == "python":
            # The file's own lines in a traceback.
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile("\n" * line + code, str(page), "exec"), names)
        else:
            test = doctest.DocTestParser().get_doctest(code, names, name_of(page), str(page), line)
            runner.run(test, out=faults.write, clear_globs=False)
            names.update(test.globs)
    return faults.getvalue()


@pytest.mark.parametrize("page", [page for page in PAGES if any(fences(page))], ids=name_of)
def test_the_code_of_a_page_runs_and_prints_what_it_says(page, tmp_path, monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot")
    pytest.importorskip("pyarrow")
    plt.switch_backend("agg")
    monkeypatch.setattr(plt, "show", lambda: None)
    monkeypatch.chdir(tmp_path)
    try:
        faults = run(page)
    finally:
        plt.close("all")
    assert not faults, faults


def test_a_wrong_output_is_found(tmp_path):
    page = ROOT / "docs" / "index.md"
    wrong = tmp_path / page.name
    wrong.write_text("```python\nx = 2\n```\n\n- In a list:\n\n  ```pycon\n  >>> x + 1\n  4\n  ```\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "ROOT", tmp_path)
        assert "Expected:\n    4\nGot:\n    3" in run(wrong)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_links_of_a_page_lead_to_files(page):
    # Pages that the build generates are checked there.
    generated = ("auto_gallery/", "api/generated/")
    missing = [
        target
        for target in LINK.findall(page.read_text())
        if not target.startswith(generated) and not (page.parent / target).exists()
    ]
    assert not missing


# The page of the kernels lists them by itself.
ROOMS = [
    "",
    ".callbacks",
    ".data",
    ".datasets",
    ".exceptions",
    ".inference",
    ".model",
    ".plotting",
    ".selection",
    ".tables",
]


# What the estimators use of their own rooms.
INTERNAL = {
    "CallbackSupport",
    "Reporter",
    "SearchReporter",
    "Task",
    "Watch",
    "fitted_attributes",
    "unchanged_on_failure",
}


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_is_in_the_reference(room):
    module = importlib.import_module(fastgmm.__name__ + room)
    public = {name for name in module.__all__ if callable(getattr(module, name))}
    pages = "\n".join(page.read_text() for page in (ROOT / "docs" / "api").glob("*.rst"))
    listed = set(re.findall(r"^   (?:\w+\.)*(\w+)$", pages, re.MULTILINE))
    assert not public - listed - INTERNAL
