"""The mixture that another estimator fits inside itself: its options, and its size chosen by BIC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from numbers import Integral, Real
from typing import Any

from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions

from fastgmm.callbacks import Task, Watch
from fastgmm.estimator.missing_values import MISSING
from fastgmm.estimator.parameter_validation import Names
from fastgmm.exceptions import without_warnings
from fastgmm.families import COVARIANCES, LOW_RANK, CovarianceFamily, Family, Gaussian, Student, get_covariance
from fastgmm.starts import INIT_PARAMS

__all__ = [
    "DISTRIBUTIONS",
    "INNER_CONSTRAINTS",
    "covariance_to_count",
    "factors_or_matrices",
    "inner_family",
    "inner_options",
    "lowest_bic",
    "sensible_sizes",
    "unconverged_too",
]

#: What the constructor of such an estimator takes for its mixture, in scikit-learn's terms.
INNER_CONSTRAINTS: dict = {
    "n_components": [Interval(Integral, 1, None, closed="left"), StrOptions({"bic"})],
    "covariance_type": [Names((*COVARIANCES, *LOW_RANK))],
    "max_components": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0.0, None, closed="left")],
    "reg_covar": [Interval(Real, 0.0, None, closed="left"), StrOptions({"auto"})],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "n_init": [Interval(Integral, 1, None, closed="left")],
    "init_params": [Names(INIT_PARAMS)],
    "random_state": ["random_state"],
    "missing": [Names(MISSING)],
    "n_factors": [Interval(Integral, 0, None, closed="left"), Names(("bic", "cattell"))],
}


#: What an estimator takes for the `distribution` of its components.
DISTRIBUTIONS: list = [Names(("normal", "student"))]


def inner_family(estimator: Any, covariance_type: Any = None) -> Family:
    """Return the family of an estimator's mixture, for its number of parameters."""
    gaussian = Gaussian(covariance_to_count(estimator, covariance_type or estimator.covariance_type))
    return Student(gaussian) if estimator.distribution == "student" else gaussian


def inner_options(estimator: Any) -> dict[str, Any]:
    """Return the options of a mixture inside an estimator whose constructor takes `INNER_CONSTRAINTS`."""
    names = ("covariance_type", "tol", "reg_covar", "max_iter", "n_init", "init_params", "missing", "n_factors")
    return {name: getattr(estimator, name) for name in names}


def covariance_to_count(estimator: Any, name: str) -> CovarianceFamily:
    """Return the covariance family by whose parameters sizes are limited; with one factor, where these are chosen."""
    n_factors = estimator.n_factors
    return get_covariance(name, 1 if isinstance(n_factors, str) else n_factors)


def factors_or_matrices(model: Any) -> Any:
    """Return the covariances of a fitted mixture as `from_parameters` takes them."""
    if "loadings_" in vars(model):
        return model.loadings_, model.noise_variances_
    return getattr(model, "scales_", model.covariances_)


def lowest_bic(watch: Watch, sizes: list[int], fit: Callable[[int, Task], tuple[Any, float]]) -> tuple[Any, float]:
    """Fit a mixture of each size and return the one with the lowest BIC.

    Parameters
    ----------
    watch : Watch
        Told of each size; may end the choice early.
    sizes : list of int
        Numbers of components, at least one. Of equal BIC, the first is taken.
    fit : callable
        ``fit(size, task) -> mixture, bic``. A size it refuses with ValueError is passed over.

    Returns
    -------
    mixture : GaussianMixture
    bic : float
        In nats; lower is better.

    Raises
    ------
    ValueError
        The first of the refusals, if all sizes are refused.
    """
    best, failure = None, None
    for size, task in watch.candidates(sizes):
        try:
            mixture, bic = fit(size, task)
        except ValueError as error:
            failure = failure or error
            continue
        task.outcome = mixture
        if best is None or bic < best[1]:
            best = mixture, bic
    if best is None:
        assert failure is not None, "at least one size was tried"
        raise failure
    return best


def sensible_sizes(
    family: Family, max_components: int, n_features: int, n_rows: float, numbers_per_parameter: float = 2.0
) -> list[int]:
    """Return the numbers of components to choose from by BIC: one, and those that the rows suffice for.

    The BIC is a criterion for large samples; of a mixture with more parameters than half the numbers in the data it
    says nothing.
    """

    def suffices(size: int) -> bool:
        return size == 1 or family.n_parameters(size, n_features) <= n_rows * n_features / numbers_per_parameter

    return list(takewhile(suffices, range(1, max_components + 1)))


@contextmanager
def unconverged_too() -> Iterator[None]:
    """Let fits end without convergence, unwarned: a size that has not converged has the larger BIC it deserves."""
    with without_warnings(ConvergenceWarning):
        yield
