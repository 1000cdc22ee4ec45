"""The Gaussian mixture fitted by maximum likelihood."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import get_config
from sklearn.utils.validation import check_is_fitted

from fastgmm import inference
from fastgmm.data import ArrayRows
from fastgmm.em import Start, initial_parameters
from fastgmm.input_validation import check_sample_weight
from fastgmm.mixture_base import BaseMixture
from fastgmm.model import MixtureParameters, SufficientStatistics
from fastgmm.model.covariance import factorise, maximise
from fastgmm.parameter_validation import check_covariances, check_means, check_precisions, check_weights

if TYPE_CHECKING:
    import sklearn.mixture

__all__ = ["GaussianMixture"]


class GaussianMixture(BaseMixture):
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
        EM stops when the mean log-likelihood changes by less, in nats per sample.
    reg_covar : float, default=1e-6
        Added to every variance in every M-step, in squared units of the data.
    max_iter : int, default=100
        0 returns the start.
    n_init : int, default=1
        Starts; the run with the highest log-likelihood is kept.
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data', 'hc'} or array-like, default='kmeans'
        How responsibilities start; 'hc' is mclust's model-based hierarchical clustering, of 2000 rows at most. Or
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

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
    means_ : ndarray of shape (n_components, n_features)
    covariances_, precisions_, precisions_cholesky_ : ndarray
        (K, D, D), (D, D), (K, D) or (K,) for full, tied, diag, spherical. ``precisions_cholesky_`` is upper
        triangular with ``precision = U @ U.T``; ``1 / sd`` for diag and spherical.
    converged_ : bool
    n_iter_ : int
        Iterations of the best run.
    lower_bound_ : float
        Mean log-likelihood before the last M-step of the best run, in nats per sample.
    lower_bounds_ : list of float
        The same for each of its iterations.
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
    }

    def __init__(
        self,
        n_components=1,
        *,
        covariance_type="full",
        tol=1e-3,
        reg_covar=1e-6,
        max_iter=100,
        n_init=1,
        init_params="kmeans",
        weights_init=None,
        means_init=None,
        precisions_init=None,
        random_state=None,
        warm_start=False,
        verbose=0,
        verbose_interval=10,
    ):
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

    # What BaseMixture asks for.

    def _check_parameters(self, rows: ArrayRows) -> Start:
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
        return start

    def _refuse_array_api_dispatch(self) -> None:
        allowed = ["random", "random_from_data"]
        if get_config()["array_api_dispatch"] and self.init_params not in allowed:
            raise NotImplementedError(
                f"Allowed `init_params` are {allowed} if 'array_api_dispatch' is enabled; init_params is "
                f"{self.init_params!r}. Disable 'array_api_dispatch' to use it."
            )

    def _first_state(self, rows: ArrayRows, checked: Start, count_floor: float, random_state) -> MixtureParameters:
        return initial_parameters(
            rows, self.n_components, self._structure, checked, self.reg_covar, count_floor, random_state
        )

    def _next_state(
        self, checked: Start, count_floor: float, statistics: SufficientStatistics, state: MixtureParameters
    ) -> MixtureParameters:
        return maximise(statistics, self._structure, self.reg_covar, count_floor, state)

    def _fitted_state(self) -> MixtureParameters:
        parts = (self.weights_, self.means_, self.covariances_, self.precisions_cholesky_)
        return MixtureParameters(
            self._structure.kernel, *(np.ascontiguousarray(part, dtype=np.float64) for part in parts)
        )

    def _set_state(self, state: MixtureParameters, checked: Any, dtype: np.dtype) -> None:
        self.weights_ = state.weights.astype(dtype, copy=False)
        self.means_ = state.means.astype(dtype, copy=False)
        self._set_covariances(state, dtype)

    # Beyond it.

    def _n_parameters(self) -> int:
        """Return the number of free parameters."""
        n_components, n_features = self.means_.shape
        covariances = self._structure.n_parameters(n_components, n_features)
        return int(covariances + n_components * n_features + n_components - 1)

    def _log_likelihood(self, X, sample_weight) -> tuple[float, float]:
        """Return the total log-likelihood, in nats, and the total weight."""
        X = self._check_rows(X)
        weight = check_sample_weight(sample_weight, X.shape[0])
        total = float(X.shape[0] if weight is None else weight.sum())
        return total * inference.mean_log_density(X, self._density(), self._result_dtype(X), weight), total

    def aic(self, X, sample_weight=None):
        """Return Akaike's information criterion; lower is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,), optional
            The number of samples is the sum of the weights.

        Returns
        -------
        aic : float
            ``-2 log-likelihood + 2 n_parameters``, in nats.
        """
        log_likelihood, _ = self._log_likelihood(X, sample_weight)
        return -2.0 * log_likelihood + 2.0 * self._n_parameters()

    def bic(self, X, sample_weight=None):
        """Return the Bayesian information criterion; lower is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,), optional
            The number of samples is the sum of the weights.

        Returns
        -------
        bic : float
            ``-2 log-likelihood + n_parameters log(n_samples)``, in nats.
        """
        log_likelihood, total = self._log_likelihood(X, sample_weight)
        return -2.0 * log_likelihood + self._n_parameters() * math.log(total)

    def icl(self, X, sample_weight=None):
        """Return the integrated completed likelihood criterion; lower is better.

        The BIC plus twice the entropy of the classification: overlapping components are penalised.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        icl : float
            ``bic - 2 sum_n log max_k r[n, k]``, in nats.

        References
        ----------
        Biernacki, Celeux and Govaert, "Assessing a mixture model for clustering with the integrated completed
        likelihood", IEEE PAMI 22 (2000); with the most probable component, as R's mclust computes it.
        """
        X = self._check_rows(X)
        weight = check_sample_weight(sample_weight, X.shape[0])
        certainty = inference.most_probable_log_responsibility(X, self._density(), self._result_dtype(X), weight)
        return self.bic(X, weight) - 2.0 * certainty

    @classmethod
    def from_parameters(cls, weights, means, covariances, *, covariance_type="full", random_state=None):
        """Return a fitted model with known parameters.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            Non-negative, summing to one.
        means : array-like of shape (n_components, n_features)
        covariances : array-like
            In the shape of `covariances_` for `covariance_type`.
        covariance_type : str, default='full'
        random_state : int, RandomState or None
            For `sample`.

        Returns
        -------
        model : GaussianMixture
            ``n_iter_`` is 0, ``lower_bound_`` -inf and ``converged_`` False: it has seen no data.

        Raises
        ------
        ValueError
            If shapes disagree, weights do not sum to one, or a covariance is not symmetric positive definite.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [[[1.0]], [[1.0]]])
        >>> model.predict([[1.0], [3.0]])
        array([0, 1])
        """
        means = np.array(means, dtype=np.float64)
        if means.ndim != 2 or 0 in means.shape or not np.isfinite(means).all():
            raise ValueError(f"means has shape {means.shape}; expected finite (n_components, n_features)")
        model = cls(n_components=means.shape[0], covariance_type=covariance_type, random_state=random_state)
        kernel = model._structure.kernel
        model._structure.check_n_features(means.shape[1])
        weights = np.array(check_weights(weights, means.shape[0]), dtype=np.float64)
        covariances = np.array(check_covariances(covariances, kernel, *means.shape), dtype=np.float64)
        state = MixtureParameters(kernel, weights, means, covariances, factorise(covariances, kernel))
        model._set_state(state, None, np.dtype(np.float64))
        model.n_features_in_ = means.shape[1]
        model.converged_, model.n_iter_, model.lower_bound_, model.lower_bounds_ = False, 0, -np.inf, []
        return model

    def to_sklearn(self) -> sklearn.mixture.GaussianMixture:
        """Return a fitted scikit-learn estimator that predicts the same.

        Returns
        -------
        sklearn.mixture.GaussianMixture
            Its ``covariance_type`` is the one that stores these covariances: full, tied, diag or spherical.
        """
        from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

        check_is_fitted(self)
        parameters = self.get_params(deep=False)
        parameters["covariance_type"] = self._structure.kernel
        if not isinstance(self.init_params, str):
            parameters["init_params"] = "kmeans"  # scikit-learn's fit takes no memberships
        known = SklearnGaussianMixture._get_param_names()
        other = SklearnGaussianMixture(**{name: value for name, value in parameters.items() if name in known})
        for name, value in vars(self).items():
            if name.endswith("_") and not name.startswith("_"):
                setattr(other, name, value.copy() if isinstance(value, np.ndarray) else value)
        return other
