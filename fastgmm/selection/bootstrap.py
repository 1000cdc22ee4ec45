"""The bootstrap: how many components the data call for, and how sure the parameters are."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastgmm import config
from fastgmm.estimator.inner_mixture import unconverged_too
from fastgmm.estimator.input_validation import check_sample_weight
from fastgmm.estimator.likelihood_mixture import LikelihoodMixture
from fastgmm.student_mixture import MIXTURES
from fastgmm.summary import full_covariances

__all__ = ["BootstrapLRT", "ParameterBootstrap", "bootstrap_lrt", "bootstrap_parameters"]

#: A replicate in which a component collapses is drawn again, this many times in all.
MAX_ATTEMPTS = 10


@dataclass(frozen=True)
class BootstrapLRT:
    """Tests of g components against g + 1.

    Attributes
    ----------
    n_components : ndarray of shape (n_tests,), int64
        The g of each test.
    statistics : ndarray of shape (n_tests,)
        Twice the difference of the log-likelihoods on the data.
    p_values : ndarray of shape (n_tests,)
        ``(1 + number of replicates not below the statistic) / (number of replicates + 1)``.
    replicates : ndarray of shape (n_tests, n_bootstrap)
        Statistics of rows drawn from the mixture of g; NaN where none could be fitted.
    n_failed : int
        Draws in which a component collapsed and that were drawn again or given up.
    level : float
        The significance level.
    failure : str or None
        Why testing ended early: what the next larger mixture could not be fitted for.

    See Also
    --------
    bootstrap_lrt : Makes it.
    """

    n_components: np.ndarray
    statistics: np.ndarray
    p_values: np.ndarray
    replicates: np.ndarray
    n_failed: int
    level: float
    failure: str | None = None

    @property
    def chosen_n_components(self) -> int:
        """The first g that is not rejected; if all are, one more than the last.

        See Also
        --------
        fastgmm.selection.bootstrap_lrt : Makes the tests.
        """
        kept = np.flatnonzero(self.p_values > self.level)
        return int(self.n_components[kept[0]] if len(kept) else self.n_components[-1] + 1)


def bootstrap_lrt(
    X: Any,
    covariance_type: Any = "full",
    *,
    max_components: Any = None,
    n_bootstrap: int = 999,
    level: float = 0.05,
    init_params: Any = "hc",
    tol: float = 1e-5,
    reg_covar: float = 0.0,
    max_iter: int = 1000,
    n_jobs: Any = None,
    random_state: Any = None,
    distribution: str = "normal",
) -> BootstrapLRT:
    """Test g components against g + 1 for g = 1, 2, ... by the parametric bootstrap of the likelihood ratio.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The rows to choose a number of components for.
    covariance_type : str, default='full'
        The covariance type of all mixtures compared, any that `GaussianMixture` takes.
    max_components : int, optional
        Test every g up to this. By default testing stops at the first g that is not rejected, or at 8.
    n_bootstrap : int, default=999
        Number of samples drawn and refitted. More make p-values and intervals steadier, and take longer in proportion.
    level : float, default=0.05
        The significance level: the search for more components ends at the first p-value above it.
    init_params : str, default='hc'
        Start of the fits to the data; replicates start from their parameters.
    tol, reg_covar, max_iter
        As in `GaussianMixture`.
    n_jobs : int, optional
        The number of processes. The result does not depend on it.
    random_state : int, RandomState or None
        Seed of everything that is drawn at random. Pass an int to get the same result in every run.
    distribution : {'normal', 'student'}, default='normal'
        The distribution of the components: that of `GaussianMixture` or of `StudentMixture`.

    Returns
    -------
    BootstrapLRT
        Statistics, replicates and p-values of each step, and the number of components chosen.

    Raises
    ------
    ValueError
        If an argument is not valid, or not even two components can be fitted to the data.

    See Also
    --------
    fastgmm.GaussianMixtureSearch : Chooses by BIC, in much less time.

    References
    ----------
    McLachlan (1987), On bootstrapping the likelihood ratio test statistic for the number of components in a normal
    mixture, Applied Statistics 36.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm.selection import bootstrap_lrt
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(size=(100, 1)), rng.normal(size=(100, 1)) + 6])
    >>> bootstrap_lrt(X, "V", n_bootstrap=99, random_state=0).chosen_n_components
    2
    """
    if not n_bootstrap >= 1:
        raise ValueError(f"n_bootstrap is {n_bootstrap}; expected a positive int")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; expected a number in (0, 1)")
    if distribution not in MIXTURES:
        raise ValueError(f"distribution is {distribution!r}; expected 'normal' or 'student'")
    if max_components is not None and max_components < 1:
        raise ValueError(f"max_components is {max_components}; expected a positive int, or None")
    random_state = check_random_state(random_state)

    def fitted(n_components: int) -> Any:
        model = MIXTURES[distribution](
            n_components,
            covariance_type=covariance_type,
            init_params=init_params,
            tol=tol,
            reg_covar=reg_covar,
            max_iter=max_iter,
            random_state=random_state.randint(np.iinfo(np.int32).max),
        )
        with unconverged_too():
            return model.fit(X)

    statistics: list[float] = []
    p_values: list[float] = []
    replicates: list[np.ndarray] = []
    n_failed, failure = 0, None
    smaller = fitted(1)
    n_samples = len(X)
    for n_components in range(1, (max_components or 8) + 1):
        try:
            larger = fitted(n_components + 1)
        except ValueError as error:
            if not statistics:
                raise
            # What was tested stands.
            failure = f"{n_components + 1} components: {error}"
            break
        statistic = 2.0 * n_samples * (float(larger.score(X)) - float(smaller.score(X)))
        seeds = random_state.randint(np.iinfo(np.int32).max, size=n_bootstrap)
        drawn = _run(_lrt_replicate, seeds, n_jobs, smaller, larger, n_samples)
        values = np.array([value for value, _ in drawn])
        n_failed += sum(failed for _, failed in drawn)
        valid = values[np.isfinite(values)]
        statistics.append(statistic)
        p_values.append((1.0 + np.count_nonzero(valid >= statistic)) / (len(valid) + 1.0))
        replicates.append(values)
        if max_components is None and p_values[-1] > level:
            break
        smaller = larger
    tested = np.arange(1, len(statistics) + 1)
    return BootstrapLRT(
        tested, np.array(statistics), np.array(p_values), np.array(replicates), n_failed, level, failure
    )


def _lrt_replicate(seed: Any, smaller: Any, larger: Any, n_samples: Any) -> Any:
    random_state = np.random.RandomState(seed)
    for failed in range(MAX_ATTEMPTS):
        rows, _ = smaller.sample(n_samples, random_state=random_state)
        try:
            scores = [_refitted(model, rows).score(rows) for model in (smaller, larger)]
        except ValueError:
            continue
        return 2.0 * n_samples * (scores[1] - scores[0]), failed
    return np.nan, MAX_ATTEMPTS


@dataclass(frozen=True)
class ParameterBootstrap:
    """Parameters of a mixture refitted to replicates of its data.

    Attributes
    ----------
    weights : ndarray of shape (n_bootstrap, n_components)
        NaN, here and below, where no replicate could be fitted.
    means : ndarray of shape (n_bootstrap, n_components, n_features)
        The means of each replicate.
    covariances : ndarray of shape (n_bootstrap, n_components, n_features, n_features)
        Whole matrices, whatever the structure; of t components, the scale matrices.
    n_failed : int
        Draws in which a component collapsed and that were drawn again or given up.
    df : ndarray of shape (n_bootstrap, n_components), or None
        Degrees of freedom of t components.

    See Also
    --------
    bootstrap_parameters : Makes it.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    n_failed: int
    df: np.ndarray | None = None

    @property
    def _parameters(self) -> dict[str, np.ndarray]:
        own = {"weights": self.weights, "means": self.means, "covariances": self.covariances}
        return own if self.df is None else {**own, "df": self.df}

    def standard_errors(self) -> dict[str, np.ndarray]:
        """Return the standard deviation over replicates of 'weights', 'means', 'covariances', and 'df' of t components.

        That of degrees of freedom is NaN if a replicate is normal.

        See Also
        --------
        intervals : Lower and upper ends.
        """
        with np.errstate(invalid="ignore"):
            return {name: np.nanstd(values, axis=0, ddof=1) for name, values in self._parameters.items()}

    def intervals(self, level: float = 0.95) -> dict[str, np.ndarray]:
        """Return confidence intervals of weights, means and covariances: lower and upper ends along the first axis.

        Raises
        ------
        ValueError
            If `level` is not in (0, 1).

        See Also
        --------
        standard_errors : One number for each parameter.
        """
        if not 0 < level < 1:
            raise ValueError(f"level is {level}; expected a number in (0, 1)")
        tails = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
        # Degrees of freedom may be infinite: no interpolation.
        return {
            name: np.nanquantile(values, tails, axis=0, method="nearest" if name == "df" else "linear")
            for name, values in self._parameters.items()
        }


def bootstrap_parameters(
    estimator: Any,
    X: Any,
    *,
    kind: str = "nonparametric",
    n_bootstrap: int = 999,
    n_jobs: Any = None,
    random_state: Any = None,
) -> ParameterBootstrap:
    """Refit a mixture to replicates of its data, starting from its parameters so that components keep their places.

    Parameters
    ----------
    estimator : GaussianMixture, StudentMixture or GaussianMixtureSearch
        The fitted mixture, or a fitted search, whose best model is taken.
    X : array-like of shape (n_samples, n_features)
        The rows it was fitted to.
    kind : {'nonparametric', 'parametric', 'weighted'}, default='nonparametric'
        How replicates are made. 'nonparametric' draws rows with replacement, 'parametric' draws rows from the mixture,
        and 'weighted' gives all rows standard exponential weights, so that no component can lose all its rows.
    n_bootstrap : int, default=999
        Number of samples drawn and refitted. More make p-values and intervals steadier, and take longer in proportion.
    n_jobs : int, optional
        The number of processes. The result does not depend on it.
    random_state : int, RandomState or None
        Seed of everything that is drawn at random. Pass an int to get the same result in every run.

    Returns
    -------
    ParameterBootstrap
        The parameters of all replicates, with standard errors and intervals.

    Raises
    ------
    ValueError
        If `kind` is not one of the three or X has other features.
    TypeError
        If `estimator` is of another class.

    See Also
    --------
    bootstrap_lrt : A test of the number of components.

    References
    ----------
    O'Hagan, Murphy, Scrucca and Gormley (2019), Investigation of parameter uncertainty in clustering using a Gaussian
    mixture model via jackknife, bootstrap and weighted likelihood bootstrap, Computational Statistics 34.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.selection import bootstrap_parameters
    >>> X = np.random.default_rng(0).normal(size=(400, 1))
    >>> errors = bootstrap_parameters(GaussianMixture().fit(X), X, n_bootstrap=200, random_state=0).standard_errors()
    >>> bool(abs(errors["means"][0, 0] - 1 / 20) < 0.01)
    True
    """
    check_is_fitted(estimator)
    # Names of columns are the search's to check.
    given, estimator = estimator, getattr(estimator, "best_estimator_", estimator)
    if not isinstance(estimator, LikelihoodMixture):
        raise TypeError(
            f"estimator is a {type(estimator).__name__}; expected a fitted GaussianMixture, StudentMixture or "
            "GaussianMixtureSearch"
        )
    if kind not in ("nonparametric", "parametric", "weighted"):
        raise ValueError(f"kind is {kind!r}; expected 'nonparametric', 'parametric' or 'weighted'")
    if not n_bootstrap >= 1:
        raise ValueError(f"n_bootstrap is {n_bootstrap}; expected a positive int")
    X = np.ascontiguousarray(estimator._check_rows(X) if given is estimator else given._checked(X)[0])
    seeds = check_random_state(random_state).randint(np.iinfo(np.int32).max, size=n_bootstrap)
    drawn = _run(_parameter_replicate, seeds, n_jobs, estimator, X, kind)
    weights, means, covariances = (np.array([replicate[i] for replicate in drawn]) for i in range(3))
    df = np.array([replicate[4] for replicate in drawn]) if hasattr(estimator, "df_") else None
    return ParameterBootstrap(weights, means, covariances, sum(replicate[3] for replicate in drawn), df)


def _parameter_replicate(seed: Any, estimator: Any, X: Any, kind: Any) -> Any:
    random_state = np.random.RandomState(seed)
    for failed in range(MAX_ATTEMPTS):
        rows, weight = X, None
        if kind == "parametric":
            rows = estimator.sample(len(X), random_state=random_state)[0].astype(X.dtype, copy=False)
        elif kind == "weighted":
            weight = random_state.standard_exponential(size=len(X))
        else:
            rows = X[random_state.randint(len(X), size=len(X))]
        try:
            model = _refitted(estimator, rows, weight)
        except ValueError:
            continue
        return model.weights_, model.means_, full_covariances(model), failed, getattr(model, "df_", None)
    n_components, n_features = estimator.means_.shape
    empty = np.full((n_components, n_features, n_features), np.nan)
    return empty[:, 0, 0], empty[:, 0], empty, MAX_ATTEMPTS, empty[:, 0, 0]


def _refitted(estimator: Any, X: Any, sample_weight: Any = None) -> Any:
    """Return a copy of the estimator whose EM has continued from its parameters on other rows."""
    model = copy.copy(estimator)
    model.warm_start, model.verbose, model.lower_bound_ = True, 0, -np.inf
    if not isinstance(model.init_params, str):
        model.init_params = "kmeans"  # not used, and its shape is that of other rows
    if model.noise is not None:
        model.noise = float(np.clip(model._fitted_state().noise_weight, 1e-3, 0.999))
    with unconverged_too():
        return model.fit(X, sample_weight=check_sample_weight(sample_weight, len(X)))


def _run(replicate: Callable, seeds: Any, n_jobs: Any, *arguments: Any) -> list:
    if n_jobs in (None, 1):
        return [replicate(seed, *arguments) for seed in seeds]
    from joblib import Parallel, cpu_count, delayed

    n_parts = 4 * (n_jobs if n_jobs > 0 else cpu_count())
    parts = Parallel(n_jobs=n_jobs)(
        delayed(_run_part)(replicate, part, arguments) for part in np.array_split(seeds, n_parts) if len(part)
    )
    return [result for part in parts for result in part]


def _run_part(replicate: Any, seeds: Any, arguments: Any) -> Any:
    with config.config_context(n_threads=1):
        return [replicate(seed, *arguments) for seed in seeds]
