"""The mixture of Student t distributions: clusters with heavy tails, fitted by maximum likelihood."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from fastgmm.data import ArrayRows
from fastgmm.estimator.kept_state import kept_state
from fastgmm.estimator.likelihood_mixture import LikelihoodMixture
from fastgmm.estimator.parameter_validation import Names
from fastgmm.families import Family, Gaussian, Student
from fastgmm.families.student import SMALLEST_DF
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.model import MixtureParameters
from fastgmm.model.student import StudentParameters
from fastgmm.starts.fenced import within_fences
from fastgmm.starts.multistart import multistart

__all__ = ["MIXTURES", "StudentMixture"]

STUDENT_PARTS = ("weights_", "means_", "scales_", "df_", "precisions_cholesky_")


class StudentMixture(LikelihoodMixture):
    """Mixture of Student t distributions fitted by the EM algorithm: clusters with heavy tails, robust to outliers.

    A t component is a normal one in which each row has a precision u of its own, drawn from a gamma distribution about
    one. A row far from its component has a small expected u, so outliers hardly move means and scales. With many
    degrees of freedom the component is nearly normal.

    Parameters
    ----------
    n_components : int, default=1
        Number of components (clusters) of the mixture. `GaussianMixtureSearch` chooses it by BIC.
    covariance_type : str, default='full'
        The covariance type of the scale matrices, as in `GaussianMixture`. All fourteen families of mclust are
        included.
    df : {'free', 'shared'} or float, default='free'
        The degrees of freedom. 'free' estimates them for each component, 'shared' estimates one number for all, and a
        number of at least 1 fixes them. The fewer, the heavier the tails. Estimates are between 1 and a million; above
        that they are infinite, and the component is normal.
    tol, reg_covar, max_iter, n_init, init_params, weights_init, means_init, precisions_init, random_state, \
warm_start, verbose, verbose_interval, prior, noise, acceleration, stop_on, forgetting, order_by, missing, n_factors, \
max_eigenvalue_ratio, max_determinant_ratio, trim, likelihood
        As in `GaussianMixture`. Two starts are made, one from all rows and one from rows that do not lie far out, and
        EM on at most 5000 rows chooses between them. `tol` says little about degrees of freedom, which EM moves slowly.
        `reg_covar`, `prior` and bounds of ratios act on the scale matrices, and ``precisions_init`` are inverse scale
        matrices.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        The share of each component in the mixture; without a background they sum to one.
    means_ : ndarray of shape (n_components, n_features)
        The location of each component, which is its mean if df is more than one.
    scales_ : ndarray
        Scale matrices: (K, D, D), (D, D), (K, D) or (K,) for full, tied, diag, spherical.
    df_ : ndarray of shape (n_components,)
        The degrees of freedom of each component. They are infinite for a normal component.
    covariances_ : ndarray
        ``scales_ * df / (df - 2)``, infinite where df is at most 2; a matrix for each component of a tied model whose
        degrees of freedom differ.
    precisions_, precisions_cholesky_ : ndarray
        The inverses of `scales_`, and their Cholesky factors.
    loadings_, noise_variances_, n_factors_ : ndarray
        Of the scale matrices of covariance types with loadings, as `GaussianMixture` has them.
    converged_ : bool
        Whether the best run reached `tol` before `max_iter` iterations.
    n_iter_ : int
        The number of iterations of the best run, which are passes over the data. Passes spent on proposals that failed
        count as well.
    n_passes_ : int
        The number of passes over the data in all runs, without those of the start.
    log_likelihood_gap_ : float
        An estimate of how far `lower_bound_` is below the value it converges to, in nats per row. It is half the Newton
        decrement if the run was accelerated, and Aitken's estimate otherwise. It is infinite while changes grow, and
        NaN before the third iteration.
    lower_bound_ : float
        Mean log-likelihood before the last M-step of the best run, in nats per sample.
    lower_bounds_ : list of float
        The same for each of its iterations.
    noise_weight_ : float
        With `noise`: weight of the background; ``weights_`` then sum to one minus this.
    noise_box_ : Box
        With `noise`: where the background lies.
    trim_threshold_ : float
        With `trim`: the lowest log density of a row kept, in nats.
    n_samples_seen_ : float
        The total weight of the rows of `fit`, or of all batches of `partial_fit`.
    reg_covar_ : ndarray of shape (n_features,)
        With ``reg_covar='auto'``: what is added to the variance of each feature.
    statistics_ : SufficientStatistics
        What `partial_fit` has learned, as sums over rows. See `fastgmm.model`.
    stopped_ : bool
        Whether a callback (`fastgmm.callbacks`) ended the fit.
    n_features_in_ : int
        Number of features (columns) seen in `fit`.
    feature_names_in_ : ndarray of str
        The names of the columns of X in `fit`. Only there if X had names that are all strings.

    See Also
    --------
    GaussianMixture : Components without heavy tails.
    GaussianMixtureOutlierDetector : Finds outliers beside a mixture.

    References
    ----------
    Peel and McLachlan, "Robust mixture modelling using the t distribution", Statistics and Computing 10 (2000).
    Andrews and McNicholas, "Model-based clustering, classification, and discriminant analysis via mixtures of
    multivariate t-distributions", Statistics and Computing 22 (2012): the families.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import StudentMixture
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (500, 2)), rng.normal(8, 1, (500, 2)), rng.uniform(-99, 99, (50, 2))])
    >>> model = StudentMixture(n_components=2, random_state=0).fit(X)
    >>> sorted((model.means_[:, 0].round() + 0.0).tolist())
    [0.0, 8.0]
    >>> bool(model.tail_weights([[50.0, 50.0]])[0] < 0.1)
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **LikelihoodMixture._parameter_constraints,
        "df": [Names(("free", "shared")), Interval(Real, SMALLEST_DF, None, closed="both")],
    }

    def __init__(
        self,
        n_components: Any = 1,
        *,
        covariance_type: Any = "full",
        df: Any = "free",
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
        order_by: Any = None,
        missing: str = "error",
        n_factors: Any = "bic",
        max_eigenvalue_ratio: Any = None,
        max_determinant_ratio: Any = None,
        trim: float = 0.0,
        likelihood: str = "mixture",
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.df = df
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
        self.order_by = order_by
        self.missing = missing
        self.n_factors = n_factors
        self.max_eigenvalue_ratio = max_eigenvalue_ratio
        self.max_determinant_ratio = max_determinant_ratio
        self.trim = trim
        self.likelihood = likelihood

    # The start on a sample of many rows finds Gaussian components, which far rows mislead.
    _is_searched_as_gaussian = False

    def _searched(self, family: Family, random_state: np.random.RandomState, rows: ArrayRows) -> Any:
        assert isinstance(family, Student), "a stream has no background"
        inside = within_fences(rows)
        return family.begin(multistart(inside, self.n_components, family.components, random_state, is_brief=True))

    @property
    def _mixture_class(self) -> type:
        return StudentMixture

    def _family_of(self, gaussian: Gaussian) -> Family:
        return Student(gaussian, self.df)

    def tail_weights(self, X: Any) -> np.ndarray:
        """Return the expected precision u of each row: how much it counts in means and scales. Low values mark
        outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        weights : ndarray of shape (n_samples,), float64
            ``sum_k r_k (df_k + n_features) / (df_k + distance_k ** 2)``, with the posterior probabilities r and
            Mahalanobis distances by `scales_`: about one within a component, and about zero far from all.

        See Also
        --------
        mahalanobis : Distances from each component.
        """
        return self._per_row(X, self._tail_weights, "tail_weight")

    def _tail_weights(self, rows: np.ndarray) -> np.ndarray:
        shares = np.asarray(self._responsibilities(rows), dtype=np.float64)
        dof, squares = self._components().tail.degrees_of_freedom, self._distances(rows) ** 2
        shares = shares[:, : len(dof)]
        total = np.maximum(shares.sum(axis=1), np.finfo(np.float64).tiny)
        n_observed = np.count_nonzero(~np.isnan(rows), axis=1)[:, None]
        return (shares * (dof + n_observed) / (dof + squares)).sum(axis=1) / total

    # Parameters, and what is asked about them.

    @classmethod
    def from_parameters(  # type: ignore[override]
        cls,
        weights: Any,
        means: Any,
        scales: Any,
        *,
        df: Any,
        covariance_type: Any = "full",
        random_state: Any = None,
    ) -> Self:
        """Return a fitted model with known parameters.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            The weight of each component, not negative. Together they sum to one.
        means : array-like of shape (n_components, n_features)
            The mean of each component.
        scales : array-like
            In the shape of `scales_` for `covariance_type`.
        df : float or array-like of shape (n_components,)
            Degrees of freedom, positive; infinite for a normal component.
        covariance_type : str, default='full'
            The shape of the covariances, any that `covariance_type` of the estimator takes.
        random_state : int, RandomState or None
            For `sample`.

        Returns
        -------
        model : StudentMixture
            The mixture, ready to predict.

        Raises
        ------
        ValueError
            If shapes disagree, weights do not sum to one, a scale is not symmetric positive definite, or `df` is not
            positive.

        See Also
        --------
        fit : Estimates the parameters from rows.

        Examples
        --------
        >>> from fastgmm import StudentMixture
        >>> model = StudentMixture.from_parameters([1.0], [[0.0]], [[[2.0]]], df=4)
        >>> model.covariances_
        array([[[4.]]])
        """
        return cls._known(weights, means, scales, covariance_type, random_state, df=df)

    def _described(self, mixture: MixtureParameters, df: Any = None) -> tuple[Family, Any]:  # type: ignore[override]
        given = np.asarray(df, dtype=np.float64)
        if given.shape not in ((), (mixture.n_components,)) or not (given > 0).all():
            raise ValueError(
                f"df is {df!r}; expected one positive number, or n_components = {mixture.n_components} of them"
            )
        return Student(Gaussian(self._covariance), self.df), StudentParameters.of(mixture, given)

    def _fitted_state(self) -> Any:
        if "loadings_" in self.__dict__:
            return self._fitted_family().state(vars(self))
        return kept_state(self, lambda: self._fitted_family().state(vars(self)), STUDENT_PARTS)

    def _components(self) -> StudentParameters:
        check_is_fitted(self)
        state = self._fitted_state()
        mixture = getattr(state, "mixture", state)
        return replace(mixture, weights=mixture.weights / mixture.weights.sum())

    def _gaussian(self) -> MixtureParameters:
        raise ValueError(
            "this is known of Gaussian components only, and these are Student t components; use GaussianMixture, or "
            "sample() and score_samples() for an estimate"
        )

    def to_sklearn(self) -> Any:
        """Raise ValueError: scikit-learn has no mixture of t distributions.

        See Also
        --------
        fastgmm.GaussianMixture.to_sklearn : Of normal components.
        """
        raise ValueError("scikit-learn has no mixture of Student t components; refit with GaussianMixture")


#: The mixture of each `distribution` of components, of estimators that hold one.
MIXTURES: dict[str, type] = {"normal": GaussianMixture, "student": StudentMixture}
