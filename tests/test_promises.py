"""The page of promises names tests that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "promises.md"


def test_every_promise_names_a_test_that_exists():
    if not PAGE.exists():
        pytest.fail(f"{PAGE} is not there; the page of promises belongs to the tests")
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and "kept by" not in line]
    assert len(rows) > 15
    for row in rows:
        named = re.findall(r"`(tests/\w+\.py)::(\w+)`", row)
        assert named, f"a promise without a test: {row}"
        for file, name in named:
            functions = [
                node.name
                for node in ast.walk(ast.parse((ROOT / file).read_text()))
                if isinstance(node, ast.FunctionDef)
            ]
            assert name in functions, f"{file}::{name}"
