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


@pytest.mark.parametrize("target", [fuzz_fit, fuzz_load])
def test_random_cases(target):
    run_random(target.test_one, 600, seed=2024)


@pytest.mark.parametrize("path", sorted((FUZZ.parent / "data" / "fuzz").glob("fit/*")), ids=lambda path: path.name)
def test_fits_that_failed_once(path):
    fuzz_fit.test_one(path.read_bytes())


@pytest.mark.parametrize("path", sorted((FUZZ.parent / "data" / "fuzz").glob("load/*")), ids=lambda path: path.name)
def test_model_files_that_failed_once(path):
    fuzz_load.test_one(path.read_bytes())
