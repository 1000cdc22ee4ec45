"""The tables of the pages are what the recorded measurements say: nobody keeps a figure by hand."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "asv_bench" / "pages.py"


@pytest.mark.skipif(not SCRIPT.exists(), reason="the sdist has no benchmarks")
def test_tables_quote_the_measurements():
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
