"""Names that stand for several covariance families: what a search tries at once."""

from __future__ import annotations

from fastgmm.families.covariance import MULTIVARIATE, UNIVARIATE
from fastgmm.families.low_rank import HDDC, PGMM

__all__ = ["GROUPS", "members"]

#: 'all' is mclust's fourteen, 'basic' scikit-learn's four, 'pgmm' and 'hdclassif' those of the R packages.
GROUPS: dict[str, tuple[str, ...]] = {
    "all": MULTIVARIATE,
    "basic": ("spherical", "diag", "tied", "full"),
    "pgmm": PGMM,
    "hdclassif": HDDC,
}
# In one feature, spheres and diagonals are full matrices, and mclust's families are two.
OF_ONE_FEATURE = {"all": UNIVARIATE, "basic": ("tied", "full")}


def members(name: str, n_features: int) -> tuple[str, ...]:
    """Return the families that a name stands for on so many features: itself, where it is no group's."""
    groups = GROUPS if n_features > 1 else GROUPS | OF_ONE_FEATURE
    return groups.get(name, (name,))
