"""The golden cases: every estimator, covariance type, precision, start and whatever else changes the path of a fit."""

from itertools import chain

from golden import cases_of_mixtures as mixtures
from golden import cases_of_models as models
from golden.ways import Case, run

__all__ = ["CASES", "Case", "run"]

_PARTS = (
    *(mixtures.families, mixtures.starts, mixtures.features, mixtures.backgrounds_and_priors),
    *(models.bayesian, models.classifiers, models.detectors, models.regressors, models.searches),
)
_LISTED = list(chain.from_iterable(part() for part in _PARTS))
CASES = {case.name: case for case in _LISTED}
assert len(CASES) == len(_LISTED), "two cases have one name"
assert all(case.estimator.random_state is not None for case in _LISTED), "a case without a seed differs in every run"
