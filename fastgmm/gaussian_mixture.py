"""The Gaussian mixture fitted by maximum likelihood."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn import get_config
from sklearn.utils._param_validation import Interval, StrOptions

from fastgmm.background_methods import BackgroundMethods
from fastgmm.callbacks import unchanged_on_failure
from fastgmm.conversion_methods import ConversionMethods
from fastgmm.criterion_methods import CriterionMethods
from fastgmm.data import ArrayRows
from fastgmm.em import ACCELERATIONS, STOP_ON, QuasiNewton, Run, Start, proposal_cost
from fastgmm.em.spurious import is_spurious
from fastgmm.first_state import Checked, State, first_state
from fastgmm.fit_context import fit_context
from fastgmm.mixture_base import BaseMixture
from fastgmm.model import MixtureParameters, SufficientStatistics
from fastgmm.model.covariance import maximise
from fastgmm.model.moments import pooled_moments
from fastgmm.model.noise import MixtureWithNoise, maximise_with_noise
from fastgmm.model.priors import default_prior
from fastgmm.noise_and_prior import check_noise, check_prior
from fastgmm.parameter_validation import check_means, check_precisions, check_weights

__all__ = ["GaussianMixture"]


class GaussianMixture(BackgroundMethods, CriterionMethods, ConversionMethods, BaseMixture):
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
    reg_covar : float, default=1e-6
        Added to every variance in every M-step, in squared units of the data.
    max_iter : int, default=100
        0 returns the start.
    n_init : int, default=1
        Starts; the run with the highest log-likelihood is kept.
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data', 'hc', 'multistart'} or array-like, \
default='kmeans'
        How responsibilities start; 'hc' is mclust's model-based hierarchical clustering, of 2000 rows at most;
        'multistart' searches: short runs, of which the best is continued and improved by splitting and merging
        components, singular solutions refused, in about the time of one default fit by scikit-learn. Or
        labels of shape (n_samples,), negative for unknown; or responsibilities of shape (n_samples, n_components).
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
        reg_covar: float = 1e-6,
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

    # What BaseMixture asks for.

    def _check_parameters(self, rows: ArrayRows) -> Checked:
        n_features, kernel = rows.n_features, self._structure.kernel
        self._structure.check_n_features(n_features)
        if self.weights_init is not None:
            self.weights_init = check_weights(self.weights_init, self.n_components)
        if self.means_init is not None:
            self.means_init = check_means(self.means_init, self.n_components, n_features)
        if self.precisions_init is not None:
            self.precisions_init = check_precisions(self.precisions_init, kernel, self.n_components, n_features)
        start = Start(
            self._checked_start(rows.X),
            *(
                None if part is None else np.ascontiguousarray(part, dtype=np.float64)
                for part in (self.weights_init, self.means_init, self.precisions_init)
            ),
        )
        self._refuse_array_api_dispatch()
        prior = check_prior(self.prior, rows, self.n_components, kernel)
        return Checked(start, prior, check_noise(self.noise, rows, self.n_components))

    def _refuse_array_api_dispatch(self) -> None:
        # An array of memberships is a start that is drawn by nothing.
        allowed = ["random", "random_from_data"]
        named = isinstance(self.init_params, str)
        if get_config()["array_api_dispatch"] and named and self.init_params not in allowed:
            raise NotImplementedError(
                f"Allowed `init_params` are {allowed} if 'array_api_dispatch' is enabled; init_params is "
                f"{self.init_params!r}. Disable 'array_api_dispatch' to use it."
            )

    @fit_context()
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, labels: Any = None) -> Self:
        """Estimate the parameters from `n_init` starts and keep the best run.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), dask array or frame, or a source of `fastgmm.data`
            float32 and float64 are computed in their own precision; anything else becomes float64. A C-contiguous
            array or memory map is read in place. A source is read in every pass, a dask collection by its workers;
            starts are made from a sample.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative. An integer weight is a repeated row, a weight of zero an absent one.
        labels : array-like of shape (n_samples,), optional
            Known components, 0 to ``n_components - 1``, -1 where unknown: seeded clustering. A labelled row stays in
            its component; bounds are then the mean log-likelihood of rows and known components together. The start
            is k-means with those rows held in place; unknown components may have no labelled row.

        Returns
        -------
        self
            Left as it was if the fit fails or is interrupted.

        Raises
        ------
        ValueError
            If X, a weight, a label or a parameter is not valid, or a component collapses in every run
            (`fastgmm.exceptions.ComponentCollapseError`).
        """
        with unchanged_on_failure(self):
            self._fit(X, sample_weight, labels, y)
        return self

    def _first_state(
        self, source: Any, checked: Checked, count_floor: float, random_state: Any, listener: Any
    ) -> State:
        return first_state(
            source, checked, self.n_components, self._structure, self.reg_covar, count_floor, random_state, listener
        )

    def _next_state(
        self, checked: Checked, count_floor: float, statistics: SufficientStatistics, state: State
    ) -> State:
        def maximise_gaussian(statistics: Any, previous: Any) -> Any:
            return maximise(statistics, self._structure, self.reg_covar, count_floor, previous, checked.prior)

        if isinstance(state, MixtureWithNoise):
            return maximise_with_noise(statistics, state, maximise_gaussian)
        return maximise_gaussian(statistics, state)

    def _is_spurious(self, rows: ArrayRows, run: Run) -> bool:
        # scikit-learn's starts are compared as scikit-learn does.
        if not (isinstance(self.init_params, str) and self.init_params == "multistart"):
            return False
        state = run.parameters.gaussian if isinstance(run.parameters, MixtureWithNoise) else run.parameters
        return is_spurious(state, rows.total_weight, self.reg_covar)

    def _checked_of_stream(self, memory: SufficientStatistics) -> Checked:
        prior = None
        if self.prior is not None:
            given = {} if isinstance(self.prior, str) else dict(self.prior)
            kernel = self._structure.kernel
            prior = default_prior(*pooled_moments(memory), self.n_components, kernel, given)
        return Checked(Start("kmeans"), prior, None)

    def _run_options(self, checked: Checked, n_samples: int) -> dict:
        if self.acceleration is None or checked.noise is not None:
            return {"stop_on": self.stop_on}
        options = {}
        if self.stop_on == "gap":
            # A gap is best known to the accelerator, so it begins as soon as it can.
            options["worthwhile"] = -math.inf
        else:
            options["cost"] = proposal_cost(self._structure, n_samples, self.n_features_in_, self.n_components)
        return {"stop_on": self.stop_on, "accelerator": QuasiNewton(self._structure, self.tol, **options)}

    def _fitted_state(self) -> State:
        parts = (self.weights_, self.means_, self.covariances_, self.precisions_cholesky_)
        gaussian = MixtureParameters(
            self._structure.kernel, *(np.ascontiguousarray(part, dtype=np.float64) for part in parts)
        )
        if not hasattr(self, "noise_weight_"):
            return gaussian
        return MixtureWithNoise(gaussian, float(self.noise_weight_), self.noise_box_.log_volume)

    def _set_state(self, state: State, checked: Checked | None, dtype: np.dtype) -> None:
        for name in ("noise_weight_", "noise_box_"):
            self.__dict__.pop(name, None)
        if isinstance(state, MixtureWithNoise):
            assert checked is not None, "a background comes from a fit"
            assert checked.noise is not None, "a background comes from a fit"
            self.noise_weight_, self.noise_box_ = state.noise_weight, checked.noise.box
            state = state.gaussian
        self.weights_ = state.weights.astype(dtype, copy=False)
        self.means_ = state.means.astype(dtype, copy=False)
        self._set_covariances(state, dtype)
