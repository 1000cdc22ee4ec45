"""Small real data sets that come with the package, for first steps, examples and tests."""

from fastgmm.datasets.faithful import FAITHFUL_CSV, load_faithful

__all__ = ["FAITHFUL_CSV", "load_faithful"]
