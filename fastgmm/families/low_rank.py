"""Families of covariances that are loadings and noise: mixtures of factor analysers and their relatives.

'factor' has free loadings and free noise variances, 'ppca' one noise variance per component, 'hddc' is HDclassif's
model of the fewest constraints. The other names are pgmm's twelve (three letters or four: loadings, noise, isotropy,
C for constrained and U for unconstrained) and HDclassif's fourteen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np

from fastgmm.exceptions import did_you_mean
from fastgmm.families.covariance import COVARIANCES, CovarianceFamily
from fastgmm.families.factor_analysers import FactorAnalysers
from fastgmm.families.principal_subspaces import PrincipalSubspaces, per_component
from fastgmm.model.shapes import FULL, Shape, low_rank

__all__ = ["HDDC", "LOW_RANK", "PGMM", "LowRankFamily", "get_covariance"]

#: pgmm's models: noise as one of mclust's axis-aligned families, by the letters after the one for the loadings.
_NOISE = {"UU": "VVI", "CU": "EEI", "UC": "VII", "CC": "EII", "CUU": "VEI", "UCU": "EVI"}


def _unknown(n_factors: np.ndarray, n_features: int) -> int:
    raise NotImplementedError("the family does not count its parameters")


@dataclass(frozen=True)
class LowRankFamily(CovarianceFamily):
    """A family of covariances that are loadings and noise variances.

    Its scatter is whole matrices; what it estimates is stored as `fastgmm.model.shapes.LowRank` does.
    """

    n_factors: Any = "bic"
    #: ``count(n_factors, n_features)``: free covariance parameters of components with these numbers of factors.
    count: Callable[..., int] = _unknown

    def with_factors(self, n_factors: Any) -> LowRankFamily:
        """Return the family with other numbers of factors: an int, one for each component, 'bic' or 'cattell'."""
        if isinstance(n_factors, np.ndarray):
            n_factors = n_factors.tolist()
        estimate = replace(self.estimate, n_factors=n_factors)  # type: ignore[type-var]
        counted = partial(_counted, self.count, n_factors)
        return replace(self, n_factors=n_factors, estimate=estimate, n_parameters=counted)

    @property
    def regression(self) -> FactorAnalysers | None:
        """The step by which the family is estimated of statistics along the loadings alone; None if it is not."""
        if isinstance(self.estimate, FactorAnalysers):
            return self.estimate
        assert isinstance(self.estimate, PrincipalSubspaces)
        free = self.estimate == replace(PrincipalSubspaces(), n_factors=self.n_factors)
        return FactorAnalysers("VII", n_factors=self.n_factors) if free else None

    def stored(self, covariances: np.ndarray) -> Shape:
        """Return the shape of covariances that the family has estimated."""
        return low_rank(covariances.shape[-1] - 1)

    def check_n_features(self, n_features: int) -> None:
        """Raise ValueError where a component would have as many factors as there are features, or choose otherwise."""
        if isinstance(self.n_factors, str):
            if self.n_factors == "cattell" and isinstance(self.estimate, FactorAnalysers):
                raise ValueError(
                    f"n_factors is 'cattell' and covariance_type {self.name!r}, whose noise differs by feature; "
                    "expected a number or 'bic', or covariance_type='ppca' or 'hddc'"
                )
            return
        given = np.atleast_1d(self.n_factors)
        if not all(isinstance(q, Integral) for q in given.tolist()) or given.min() < 0 or given.max() >= n_features:
            raise ValueError(
                f"n_factors is {self.n_factors!r} and X has {n_features} features; expected whole numbers from 0 to "
                f"{n_features - 1}, or 'bic'"
            )
        if given.min() != given.max() and getattr(self.estimate, "shares_loadings", False):
            raise ValueError(f"n_factors differs by component, and {self.name!r} has the same loadings for all")


def _counted(count: Callable[..., int], n_factors: Any, n_components: int, n_features: int) -> int:
    if isinstance(n_factors, str):
        raise ValueError(f"n_factors is {n_factors!r}: numbers of factors, and so of parameters, are known after a fit")
    return count(per_component(n_factors, n_components), n_features)


def _of_factor_analysers(shares_loadings: bool, noise: str) -> Callable[..., int]:
    def n_parameters(n_factors: np.ndarray, d: int) -> int:
        k = len(n_factors)
        loadings = d * n_factors - n_factors * (n_factors - 1) // 2
        noises = {"VVI": k * d, "EEI": d, "VII": k, "EII": 1, "VEI": k + d - 1, "EVI": 1 + k * (d - 1)}
        return int(loadings[0] if shares_loadings else loadings.sum()) + noises[noise]

    return n_parameters


def _of_subspaces(estimate: PrincipalSubspaces) -> Callable[..., int]:
    def n_parameters(n_factors: np.ndarray, d: int) -> int:
        # HDclassif counts the numbers of axes among the parameters.
        k = 1 if estimate.shares_axes else len(n_factors)
        dims = n_factors[:k]
        axes = (dims * (2 * d - dims - 1)).sum() // 2
        along = {"kj": dims.sum(), "j": dims.sum(), "k": k, "": 1}[estimate.variances]
        return int(axes + along + (1 if estimate.shares_noise else k) + (1 if estimate.shares_dimension else k))

    return n_parameters


def _families() -> dict[str, LowRankFamily]:
    families: dict[str, LowRankFamily] = {}

    def add(name: str, estimate: Any, count: Callable[..., int], is_shared: bool = False) -> None:
        row = LowRankFamily(name, FULL, estimate, partial(_counted, count, "bic"), is_shared=is_shared, count=count)
        families[name] = row.with_factors("bic")

    add("factor", FactorAnalysers(), _of_factor_analysers(False, "VVI"))
    add("ppca", PrincipalSubspaces(), _of_factor_analysers(False, "VII"))
    add("hddc", PrincipalSubspaces(), _of_subspaces(PrincipalSubspaces()))
    for loadings in "UC":
        for letters, noise in _NOISE.items():
            shares = loadings == "C"
            add(loadings + letters, FactorAnalysers(noise, shares), _of_factor_analysers(shares, noise))
    for dimensions in ("Dk", "D"):
        for noise in ("Bk", "B"):
            for along in ("Akj", "Ak", "A"):
                estimate = PrincipalSubspaces(along[1:], noise == "B", False, dimensions == "D")
                add(f"{along}{noise}Qk{dimensions}", estimate, _of_subspaces(estimate))
    for along in ("Aj", "A"):
        estimate = PrincipalSubspaces(along[1:], True, True, True)
        add(f"{along}BQD", estimate, _of_subspaces(estimate), is_shared=True)
    return families


LOW_RANK: dict[str, LowRankFamily] = _families()

#: pgmm's models and HDclassif's, which a search takes by these names.
PGMM = tuple(name for name in LOW_RANK if set(name) <= set("UC"))
HDDC = tuple(name for name in LOW_RANK if "Q" in name)


def get_covariance(name: Any, n_factors: Any = None) -> CovarianceFamily:
    """Return the covariance family called `name`, with these numbers of factors where it has any.

    Raises
    ------
    ValueError
        If there is none; the message lists those there are.
    """
    if isinstance(name, str) and name in LOW_RANK:
        return LOW_RANK[name] if n_factors is None else LOW_RANK[name].with_factors(n_factors)
    if not isinstance(name, str) or name not in COVARIANCES:
        known = (*COVARIANCES, *LOW_RANK)
        raise ValueError(f"covariance_type is {name!r}{did_you_mean(name, known)}; expected one of {', '.join(known)}")
    return COVARIANCES[name]
