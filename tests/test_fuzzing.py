"""Some random cases of tests/fuzz in every run, and those that once failed."""

import pathlib
import sys

import pytest

FUZZ = pathlib.Path(__file__).parent / "fuzz"
sys.path.insert(0, str(FUZZ))

import fuzz_fit  # noqa: E402
import fuzz_load  # noqa: E402
from choices import run_random  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


TARGETS = {"fit": fuzz_fit, "load": fuzz_load}
FOUND = [path for kind in TARGETS for path in sorted((FUZZ.parent / "data" / "fuzz").glob(f"{kind}/*"))]


@pytest.mark.parametrize("kind", TARGETS)
def test_random_cases(kind):
    run_random(TARGETS[kind].test_one, 600, seed=2024)


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_cases_that_failed_once(path):
    TARGETS[path.parent.name].test_one(path.read_bytes())
