"""Acceleration on small tables where the sequence of plain EM is easily left: no collapse, seldom a worse optimum.

The tables are like the thyroid data: a large group and two small ones, one of them wide, in five rounded columns. More
components are fitted than there are groups, without regularisation, so that narrow optima and singularities are near.
"""

from functools import cache
from itertools import product

import numpy as np
import pytest

from fastgmm import GaussianMixture
from fastgmm.exceptions import ComponentCollapseError

FAMILIES = ("EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV")
#: Rows, means and standard deviations of the groups.
GROUPS = (
    (150, [110, 9.2, 1.7, 1.3, 2.5], [8, 2.1, 0.5, 0.5, 2.0]),
    (35, [95, 17.7, 4.3, 1.0, 0.0], [19, 4.6, 2.3, 0.4, 0.3]),
    (30, [122, 3.6, 1.1, 13, 17.5], [10, 2.2, 0.5, 12, 14]),
)


def table(seed):
    """Return 215 rows of five features."""
    rng = np.random.default_rng(seed)
    return np.round(np.vstack([mean + rng.normal(size=(n, 5)) * sd for n, mean, sd in GROUPS]), 1)


@cache
def outcomes(family):
    """Return per problem the bounds of plain and accelerated EM in nats per row, None for a collapse."""
    found = {}
    for seed, (n_components, tol) in product(range(4), ((4, 1e-8), (5, 1e-5))):
        bounds = []
        for acceleration in (None, "quasi-newton"):
            model = GaussianMixture(n_components, covariance_type=family, reg_covar=0.0, tol=tol, max_iter=2000)
            model.set_params(acceleration=acceleration, init_params="hc", random_state=0)
            try:
                bounds.append(float(model.fit(table(seed)).lower_bound_))
            except ComponentCollapseError:
                bounds.append(None)
        found[seed, n_components] = bounds
    return found


# What is said of fits that end at max_iter, here at one of EVV, is true of them.
@pytest.mark.filterwarnings("ignore:.*did not converge")
@pytest.mark.parametrize("family", FAMILIES)
def test_no_fit_that_plain_em_completes_collapses(family):
    pairs = {problem: pair for problem, pair in outcomes(family).items() if pair[0] is not None}
    assert pairs
    assert [problem for problem, (_, accelerated) in pairs.items() if accelerated is None] == []


@pytest.mark.filterwarnings("ignore:.*did not converge")
def test_worse_optima_than_those_of_plain_em_are_rare():
    both = np.array([pair for family in FAMILIES for pair in outcomes(family).values() if None not in pair])
    assert len(both) > 100
    assert np.count_nonzero(both[:, 1] < both[:, 0] - 1e-4) <= 1
