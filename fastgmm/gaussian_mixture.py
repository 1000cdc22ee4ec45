"""The Gaussian mixture fitted by maximum likelihood."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from numbers import Real
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.utils._param_validation import Interval, StrOptions

from fastgmm.data import ArrayRows, Rows
from fastgmm.data.e_steps import LABELS
from fastgmm.em import ACCELERATIONS, STOP_ON
from fastgmm.estimator.conversion_methods import ConversionMethods
from fastgmm.estimator.criterion_methods import CriterionMethods
from fastgmm.estimator.input_validation import start_of_run
from fastgmm.estimator.kept_state import kept_state
from fastgmm.estimator.mixture import BaseMixture, Plan
from fastgmm.estimator.noise_and_prior import InitialNoise, check_noise, check_prior
from fastgmm.estimator.parameter_validation import check_means, check_precisions, check_weights
from fastgmm.estimator.problem import count_floor
from fastgmm.families import Family, Gaussian, WithBackground, beside_background, get_covariance
from fastgmm.model import SufficientStatistics
from fastgmm.model.moments import pooled_moments
from fastgmm.model.priors import default_prior
from fastgmm.starts import Start, initial_parameters
from fastgmm.starts.multistart import multistart
from fastgmm.starts.units import relative_reg_covar

__all__ = ["GaussianMixture"]


class GaussianMixture(CriterionMethods, ConversionMethods):
    """Gaussian mixture fitted by the EM algorithm: scikit-learn's estimator on compiled kernels.

    Parameters
    ----------
    n_components : int, default=1
    covariance_type : str, default='full'
        'full': a matrix per component; 'tied': one matrix for all; 'diag': a diagonal per component; 'spherical': a
        variance per component. Or a family of R's mclust, by volume, shape and orientation (E equal, V varying over
        components, I identity): EII, VII, EEI, VEI, EVI, VVI, EEE, VEE, EVE, VVE, EEV, VEV, EVV, VVV; E or V for one
        feature. Attributes then have the shape of the tightest of scikit-learn's four types that holds them:
        spherical for EII, VII, E, V; diag for the other names ending in I; tied for EEE; full for the rest.
    tol : float, default=1e-3
        EM stops when the mean log-likelihood changes by less, in nats per sample, or for 20 iterations by no more
        than its rounding. 0 makes `max_iter` iterations.
    reg_covar : float or 'auto', default=1e-6
        Added to every variance in every M-step, in squared units of the data: data in small units need a smaller one,
        and a fit warns where it makes up more than a hundredth of a variance within components. 'auto' is a millionth
        of each feature's variance over all rows, whatever the units.
    max_iter : int, default=100
        0 returns the start.
    n_init : int, default=1
        Starts; the run with the highest log-likelihood is kept.
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data', 'hc', 'multistart'} or array-like, \
default='kmeans'
        How responsibilities start. 'kmeans' is k-means; from 5000 rows on, without `prior`, `noise` or labels, also
        agglomeration of small clusters, and the better of both by short runs of EM on a sample of the rows is taken.
        'hc' is mclust's model-based hierarchical clustering, of 2000 rows at most;
        'multistart' searches: short runs, of which the best is continued and improved by splitting and merging
        components, singular solutions refused, in about the time of one default fit by scikit-learn. Or
        labels of shape (n_samples,), negative or missing for unknown; or responsibilities of shape (n_samples,
        n_components); or a callable ``f(X, n_components, random_state)`` that returns one of these for each start.
    weights_init : array-like of shape (n_components,), optional
    means_init : array-like of shape (n_components, n_features), optional
    precisions_init : array-like, optional
        In the shape of `precisions_`.
    random_state : int, RandomState or None
    warm_start : bool, default=False
        Whether `fit` continues from the fitted parameters.
    verbose : int, default=0
    verbose_interval : int, default=10
    prior : 'default' or dict, optional
        A conjugate prior: the posterior mode is estimated, as mclust's ``priorControl`` does. A dict gives any of
        'shrinkage' (0.01), 'mean' (of the data), 'dof' (n_features + 2) and 'scale' (the data's covariance over
        ``n_components ** (2 / n_features)``), the others as in 'default'.
    noise : float or array-like of shape (n_samples,), optional
        A background component, uniform over the volume of the data. A fraction in (0, 1), of the rows that start as
        noise (those furthest from their neighbours), or a mask of them. `predict` labels noise -1;
        `predict_proba` has a last column for it.
    acceleration : {'quasi-newton'} or None, default='quasi-newton'
        What shortens a slow convergence. Proposals are made only while plain EM is at least 10 passes from `tol`, and
        kept only if the log-likelihood does not fall. None is plain EM, which a model with `noise` always takes.
    stop_on : {'change', 'gap'}, default='change'
        What `tol` bounds: the change of the mean log-likelihood in an iteration, or the estimated distance to where
        it converges, `log_likelihood_gap_`.

    forgetting : float, default=0.0
        Of `partial_fit`: the share of what has been learned that each batch replaces at least, from 0 to 0.5. Where the
        stream drifts, about ``1 / forgetting`` batches are remembered.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
    means_ : ndarray of shape (n_components, n_features)
    covariances_, precisions_, precisions_cholesky_ : ndarray
        (K, D, D), (D, D), (K, D) or (K,) for full, tied, diag, spherical. ``precisions_cholesky_`` is upper
        triangular with ``precision = U @ U.T``; ``1 / sd`` for diag and spherical.
    converged_ : bool
    n_iter_ : int
        Iterations of the best run: passes over the data, one spent on a proposal that failed included.
    n_passes_ : int
        Passes over the data of all runs, beside those of the start.
    log_likelihood_gap_ : float
        Estimate of what `lower_bound_` lacks of its limit, in nats per sample: half the Newton decrement where the run
        was accelerated, otherwise Aitken's. Infinite while changes grow; NaN before the third iteration.
    lower_bound_ : float
        Mean log-likelihood before the last M-step of the best run, in nats per sample.
    lower_bounds_ : list of float
        The same for each of its iterations.
    noise_weight_ : float
        With `noise`: weight of the background; ``weights_`` then sum to one minus this.
    noise_box_ : Box
        With `noise`: where the background lies.
    n_samples_seen_ : float
        Weight of the rows of `fit`, or of all batches of `partial_fit`.
    reg_covar_ : ndarray of shape (n_features,)
        With ``reg_covar='auto'``: what is added to the variance of each feature.
    statistics_ : SufficientStatistics
        After `partial_fit`: what has been learned, in rows; see `fastgmm.model`.
    stopped_ : bool
        Whether a callback (`fastgmm.callbacks`) ended the fit.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        When X had column names.

    References
    ----------
    Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm", JRSS B 39 (1977).

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixture
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> model = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> sorted(model.means_[:, 0].round(6).tolist())
    [1.0, 10.0]
    >>> bool(model.predict([[0, 0]])[0] == model.predict([[2, 3]])[0])
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **BaseMixture._parameter_constraints,
        "reg_covar": [Interval(Real, 0.0, None, closed="left"), StrOptions({"auto"})],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "acceleration": [StrOptions(set(ACCELERATIONS)), None],
        "stop_on": [StrOptions(set(STOP_ON))],
        "prior": [StrOptions({"default"}), dict, None],
        "noise": [Interval(Real, 0.0, 1.0, closed="neither"), "array-like", None],
    }

    def __init__(
        self,
        n_components: Any = 1,
        *,
        covariance_type: Any = "full",
        tol: float = 1e-3,
        reg_covar: Any = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: Any = "kmeans",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        prior: Any = None,
        noise: Any = None,
        acceleration: str | None = "quasi-newton",
        stop_on: str = "change",
        forgetting: float = 0.0,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.prior = prior
        self.noise = noise
        self.acceleration = acceleration
        self.stop_on = stop_on
        self.forgetting = forgetting

    @property
    def _mixture_class(self) -> type:
        return GaussianMixture

    # What BaseMixture asks for.

    @property
    def _weights_count_rows(self) -> bool:  # type: ignore[override]
        return self.prior is not None

    def _plan(self, rows: Rows, sample: ArrayRows) -> Plan:
        n_features, covariance = sample.n_features, self._covariance
        covariance.check_n_features(n_features)
        if self.weights_init is not None:
            self.weights_init = check_weights(self.weights_init, self.n_components)
        if self.means_init is not None:
            self.means_init = check_means(self.means_init, self.n_components, n_features)
        if self.precisions_init is not None:
            self.precisions_init = check_precisions(
                self.precisions_init, covariance.shape, self.n_components, n_features
            )
        given = (self.weights_init, self.means_init, self.precisions_init)
        weights, means, precisions = (
            None if part is None else np.ascontiguousarray(part, dtype=np.float64) for part in given
        )
        # A prior is worth the more, the fewer rows there are; and noise is no component.
        by_likelihood = self.prior is None and self.noise is None
        start = Start(self._checked_start(sample.X), weights, means, precisions, by_likelihood)
        self._refuse_array_api_dispatch()
        prior = check_prior(self.prior, sample, self.n_components, covariance.shape)
        noise = check_noise(self.noise, rows, sample, self.n_components)
        reg_covar = self.reg_covar
        if isinstance(reg_covar, str):
            reg_covar = self.reg_covar_ = relative_reg_covar(sample)
        gaussian = Gaussian(covariance, reg_covar, count_floor(sample), prior)
        family: Family = gaussian if noise is None else WithBackground(gaussian, noise.box, noise.share)
        # scikit-learn's starts are compared as scikit-learn does.
        searches = isinstance(self.init_params, str) and self.init_params == "multistart"
        return Plan(family, partial(_begin, family, gaussian, start, noise, self.n_components), searches)

    def _searched(self, family: Family, random_state: np.random.RandomState, rows: ArrayRows) -> Any:
        assert isinstance(family, Gaussian), "a stream has no background"
        return multistart(rows, self.n_components, family, random_state, is_brief=True)

    def _fitted_state(self) -> Any:
        return kept_state(self, super()._fitted_state)

    def _fitted_family(self, memory: SufficientStatistics | None = None) -> Family:
        reg_covar = self.reg_covar
        if isinstance(reg_covar, str):
            reg_covar = getattr(self, "reg_covar_", 0.0)
            if memory is None:
                return beside_background(Gaussian(self._covariance, reg_covar), vars(self))
        if memory is None:
            return beside_background(_gaussian(self.covariance_type, reg_covar), vars(self))
        covariance, floor = self._covariance, 10.0 * float(np.finfo(self.means_.dtype).eps)
        if self.prior is None:
            return Gaussian(covariance, reg_covar, floor)
        given = {} if isinstance(self.prior, str) else dict(self.prior)
        prior = default_prior(*pooled_moments(memory), self.n_components, covariance.shape, given)
        return Gaussian(covariance, reg_covar, floor, prior)

    def _refuse_array_api_dispatch(self) -> None:
        # An array of memberships is a start that is drawn by nothing.
        allowed = ["random", "random_from_data"]
        named = isinstance(self.init_params, str)
        if get_config()["array_api_dispatch"] and named and self.init_params not in allowed:
            raise NotImplementedError(
                f"Allowed `init_params` are {allowed} if 'array_api_dispatch' is enabled; init_params is "
                f"{self.init_params!r}. Disable 'array_api_dispatch' to use it."
            )


@lru_cache(maxsize=64)
def _gaussian(covariance_type: str, reg_covar: float) -> Gaussian:
    # One row is predicted in less time than a family is made.
    return Gaussian(get_covariance(covariance_type), reg_covar)


def _begin(
    family: Family,
    gaussian: Gaussian,
    start: Start,
    noise: InitialNoise | None,
    n_components: int,
    sample: ArrayRows,
    random_state: np.random.RandomState,
    listener: Any,
) -> Any:
    """Return the state of a first guess at memberships, which keeps known labels and leaves out rows of noise."""
    memberships = start.init_params
    if noise is not None:
        kept = ~noise.mask
        if LABELS in sample.columns:
            # A row of known component is no noise.
            kept |= sample.along[LABELS] >= 0
        if isinstance(memberships, np.ndarray):
            memberships = memberships[kept]
        sample = sample.where(kept)
    start = replace(start, init_params=start_of_run(memberships, sample, n_components, random_state))
    found = initial_parameters(sample, n_components, gaussian, start, random_state, listener)
    return family.beside(found, family.share) if isinstance(family, WithBackground) else found
