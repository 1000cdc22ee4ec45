"""The Gaussian mixture fitted by variational Bayes."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils._param_validation import Interval

from fastgmm.data import ArrayRows, Rows
from fastgmm.data.e_steps import LABELS, Passes
from fastgmm.data.incomplete import Marginalised
from fastgmm.data.standardised import statistics_of_all
from fastgmm.em import ACCELERATIONS, Run
from fastgmm.estimator.conversion_methods import sklearn_counterpart
from fastgmm.estimator.input_validation import start_of_run
from fastgmm.estimator.missing_values import takes_missing
from fastgmm.estimator.mixture import BaseMixture, Plan
from fastgmm.estimator.parameter_validation import Names, check_covariance_prior, check_mean_prior
from fastgmm.estimator.problem import count_floor
from fastgmm.estimator.reading import Reading
from fastgmm.families import Family, Variational
from fastgmm.families.variational import OpenVariational
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.inference.predictive import predictive_mixture
from fastgmm.model import SHAPES, Shape, SufficientStatistics
from fastgmm.model.variational import Priors, unknown_priors
from fastgmm.starts import initial_statistics
from fastgmm.starts.evidence_moves import MoveSearch

if TYPE_CHECKING:
    import sklearn.mixture

__all__ = ["BayesianGaussianMixture"]


class BayesianGaussianMixture(BaseMixture):
    """Gaussian mixture with a variational posterior: scikit-learn's estimator on compiled kernels.

    Components that the data do not need lose their weight, so `n_components` is an upper limit.

    Parameters
    ----------
    n_components : int or 'auto', default=1
        Number of components (clusters) of the mixture, at most. 'auto' searches for it: components are split, merged,
        deleted and fitted anew, and a move is kept only if the complete bound, `elbo_`, rises. A stream (`partial_fit`)
        keeps the number that its first batch asks for. `GaussianMixtureSearch` chooses it by BIC.
    covariance_type : {'full', 'tied', 'diag', 'spherical'}, default='full'
        A matrix per component, one matrix shared by all, a variance per feature and component, or one variance per
        component. The simpler ones need fewer rows and less time.
    tol : float, default=1e-3
        The fit stops when the bound changes by less than this, in nats, summed over all rows. It also stops when the
        bound has changed by no more than rounding errors for 20 iterations, as happens with many float32 rows. With 0,
        the fit makes `max_iter` iterations.
    reg_covar : float, default=1e-6
        This is added to every variance in every M-step, in squared units of the data. Raise it if components collapse.
    max_iter : int, default=100
        0 returns the start.
    n_init : int, default=1
        The number of starts. The run with the highest bound is kept.
    init_params : str or array-like, default='kmeans'
        Where the fit starts: 'kmeans', 'k-means++', 'random', 'random_from_data' or 'hc'. An array gives labels of
        shape (n_samples,), negative or missing where unknown, or responsibilities of shape (n_samples, n_components). A
        callable ``f(X, n_components, random_state)`` returns one of these for each start.
    weight_concentration_prior_type : {'dirichlet_process', 'dirichlet_distribution'}, default='dirichlet_process'
        The prior of the weights. The process (stick-breaking) favours few components; the distribution treats all
        alike.
    weight_concentration_prior : float, optional
        How readily the model uses more components: the smaller this is, the fewer components keep their weight. By
        default it is 1 / n_components, and 1 where n_components is 'auto'.
    mean_precision_prior : float, optional
        How many rows the prior mean is worth. By default it is worth one row.
    mean_prior : array-like of shape (n_features,), optional
        The centre of the prior of the means. By default it is the mean of X.
    degrees_of_freedom_prior : float, optional
        How many rows the prior covariance is worth. It must be more than n_features - 1; by default it is n_features.
    covariance_prior : float or array-like, optional
        The scale of the prior of the covariances, in squared units of the data: (D, D) for full and tied, (D,) for
        diag, a number for spherical. It is not divided by the degrees of freedom. By default it is the covariance of X.
    random_state : int, RandomState or None
        Seed of everything that is drawn at random. Pass an int to get the same result in every run.
    warm_start : bool, default=False
        Whether `fit` continues from the fitted posterior.
    verbose : int, default=0
        How much a fit reports: 0 nothing, 1 a progress display, 2 also the change and the time of iterations.
    verbose_interval : int, default=10
        Iterations between two reports.
    expected_log_precision : {'wishart', 'exact'}, default='wishart'
        Which expected log-determinant the E-step of 'diag' and 'spherical' uses. 'wishart' is scikit-learn's, from an
        unrestricted Wishart distribution. 'exact' is that of the Gamma posteriors that the precisions of these types
        have. They differ by about ``D (D - 1) / (4 counts)`` nats per row. With 'exact' the bound is `elbo_`, and no
        iteration lowers it (with ``reg_covar=0``). For 'full' and 'tied' only the reported bound differs.
    predictive : {'variational', 'student-t'}, default='variational'
        What `score_samples`, `score`, `predict` and `predict_proba` use. 'variational' takes the E-step's expected log
        densities, as scikit-learn does; they are not a normalised density. 'student-t' takes the posterior predictive
        density of a new row.
    acceleration : {'quasi-newton'} or None, default=None
        How slow convergence is shortened. 'quasi-newton' proposes longer steps while the fit is at least 10 passes from
        `tol`, and keeps them only if the bound does not fall. None goes through the same states as scikit-learn.
    forgetting : float, default=0.0
        For `partial_fit`: each batch replaces at least this share of what has been learned, from 0 to 0.5. About
        ``1 / forgetting`` batches are remembered. Use it for streams that drift.
    missing : {'error', 'marginalise'}, default='error'
        What NaN in X means, as in `GaussianMixture`. Priors that default to the mean or covariance of X take those of
        one Gaussian fitted to what was observed.
    n_components_init : int, default=1
        Number of components that the search for ``n_components='auto'`` begins with. It hardly matters to the answer; a
        search from many components takes longer. Labels or responsibilities that `init_params` gives are of so many.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,), float64
        The posterior mean of each weight.
    means_ : ndarray of shape (n_components, n_features), float64
        The mean of each component, in units of the data.
    covariances_, precisions_, precisions_cholesky_ : ndarray, float64
        (K, D, D), (D, D), (K, D) or (K,) for full, tied, diag, spherical; ``precisions_`` is the posterior mean.
    weight_concentration_prior_, mean_precision_prior_, degrees_of_freedom_prior_ : float
        The parameters of the priors as they were used, defaults filled in.
    mean_prior_ : ndarray of shape (n_features,)
        The centre of the prior of the means.
    covariance_prior_ : ndarray or float
        The scale of the prior of the covariances, in the shape of one component's covariance.
    weight_concentration_ : ndarray of shape (n_components,), or a tuple of two for 'dirichlet_process'
        Posterior concentration of the weights: of the Dirichlet distribution, or of the two sides of each stick.
    mean_precision_ : ndarray of shape (n_components,)
        How precisely each mean is known, in rows: the prior's and those of the component.
    degrees_of_freedom_ : ndarray of shape (n_components,), or a number for tied
        Posterior degrees of freedom of the Wishart distribution of each precision.
    n_components_ : int
        Number of components: the one asked for, or the one found by 'auto', largest weights first.
    moves_ : list of [str, int, float]
        With 'auto': the moves that were kept, each with the number of components and `elbo_` after it. The first is
        'start'; the others are 'split', 'merge', 'delete', 'refit' (two components fitted anew together), several of
        these made together, or 'regrow' (all components split, and what moves then led to).
    n_effective_components_ : int
        How many components hold at least one row's worth of data. The others are what the priors made them.
    elbo_ : float
        The evidence lower bound with all constants, total over samples, in nats: comparable between numbers of
        components, covariance types and priors. -inf before the first iteration.
    lower_bound_ : float
        The same bound as scikit-learn's, which lacks the constants, summed over all rows, in nats. With 'auto', which
        compares numbers of components, it is `elbo_`.
    lower_bounds_ : list of float
        The same after each iteration.
    converged_ : bool
        Whether the best run reached `tol` before `max_iter` iterations.
    n_iter_ : int
        The number of iterations of the best run, which are passes over the data. Passes spent on proposals that failed
        count as well.
    n_passes_ : int
        The number of passes over the data in all runs, without those of the start.
    log_likelihood_gap_ : float
        An estimate of how far `lower_bound_` is below the value it converges to, summed over all rows, in nats. See
        `GaussianMixture`.
    n_samples_seen_ : float
        The total weight of the rows of `fit`, or of all batches of `partial_fit`.
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
    GaussianMixture : Fitted by maximum likelihood.
    GaussianMixtureSearch : Chooses the number of components by BIC.
    sklearn.mixture.BayesianGaussianMixture : The estimator whose place this one takes.

    References
    ----------
    Bishop, "Pattern Recognition and Machine Learning" (2006), section 10.2; Blei and Jordan, "Variational inference
    for Dirichlet process mixtures", Bayesian Analysis 1 (2006), section 3. Ueda and Ghahramani, "Bayesian model search
    for mixture models based on optimizing variational bounds", Neural Networks 15 (2002); Hughes and Sudderth,
    "Memoized online variational inference for Dirichlet process mixture models", NIPS 26 (2013) (the moves of 'auto').

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import BayesianGaussianMixture
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(-4, 1, (200, 2)), rng.normal(4, 1, (200, 2))])
    >>> model = BayesianGaussianMixture(n_components=6, weight_concentration_prior=1e-3, max_iter=500, random_state=0)
    >>> model.fit(X).n_effective_components_
    2
    >>> BayesianGaussianMixture(n_components="auto", random_state=0).fit(X).n_components_
    2
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **BaseMixture._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left"), Names(("auto",))],
        "n_components_init": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [Names(SHAPES)],
        "acceleration": [Names(ACCELERATIONS), None],
        "weight_concentration_prior_type": [Names(("dirichlet_process", "dirichlet_distribution"))],
        "weight_concentration_prior": [None, Interval(Real, 0.0, None, closed="neither")],
        "mean_precision_prior": [None, Interval(Real, 0.0, None, closed="neither")],
        "mean_prior": [None, "array-like"],
        "degrees_of_freedom_prior": [None, Interval(Real, 0.0, None, closed="neither")],
        "covariance_prior": [None, "array-like", Interval(Real, 0.0, None, closed="neither")],
        "expected_log_precision": [Names(("wishart", "exact"))],
        "predictive": [Names(("variational", "student-t"))],
    }

    # What mixtures pickled before it have not.
    n_components_init: int = 1

    def __init__(
        self,
        *,
        n_components: Any = 1,
        covariance_type: Any = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: Any = "kmeans",
        weight_concentration_prior_type: str = "dirichlet_process",
        weight_concentration_prior: Any = None,
        mean_precision_prior: Any = None,
        mean_prior: Any = None,
        degrees_of_freedom_prior: Any = None,
        covariance_prior: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        expected_log_precision: str = "wishart",
        predictive: str = "variational",
        acceleration: str | None = None,
        forgetting: float = 0.0,
        missing: str = "error",
        n_components_init: int = 1,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weight_concentration_prior_type = weight_concentration_prior_type
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.expected_log_precision = expected_log_precision
        self.predictive = predictive
        self.acceleration = acceleration
        self.forgetting = forgetting
        self.missing = missing
        self.n_components_init = n_components_init

    @property
    def n_components_(self) -> int:
        """Number of components: the one asked for, or the one found.

        See Also
        --------
        n_effective_components_ : Those that rows belong to.
        """
        return len(self.means_)

    def __getattr__(self, name: str) -> Any:
        if name in ("aic", "bic", "icl"):
            raise AttributeError(
                f"{type(self).__name__} has no {name}, a criterion of maximum likelihood; compare models by elbo_, the "
                "bound on their evidence, higher being better"
            )
        if name == "adapt":
            raise AttributeError(
                f"{type(self).__name__} has no adapt, which is of maximum-likelihood mixtures; what few rows change is "
                "said by its priors: use partial_fit, or GaussianMixture"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    # What BaseMixture asks for.

    _weights_count_rows = True

    def _fitted_dtype(self, X: np.ndarray) -> np.dtype:
        return np.dtype(np.float64)

    @property
    def _is_open(self) -> bool:
        """Whether the number of components is searched for."""
        return isinstance(self.n_components, str)

    @property
    def _n_components_begun(self) -> int:
        return self.n_components_init if self._is_open else self.n_components

    def _labelled(self, read: Reading, labels: Any) -> tuple[Rows, ArrayRows]:
        if self._is_open and (labels is not None or LABELS in read.sample.columns):
            raise ValueError(
                "labels name the components of rows and n_components is 'auto', which numbers components anew with "
                "every move; expected labels=None or a whole n_components"
            )
        return super()._labelled(read, labels)

    def _plan(self, rows: Rows, sample: ArrayRows) -> Plan:
        n_features, shape = sample.n_features, self._covariance.shape
        start = self._checked_start(sample.X)
        given = self.weight_concentration_prior
        default = 1.0 if self._is_open else 1.0 / self.n_components
        self.weight_concentration_prior_ = default if given is None else given
        self.mean_precision_prior_ = 1.0 if self.mean_precision_prior is None else self.mean_precision_prior
        self.degrees_of_freedom_prior_ = self._checked_degrees_of_freedom(n_features)
        mean: np.ndarray | None = None
        covariance: Any = None
        if self.mean_prior is not None:
            mean = check_mean_prior(self.mean_prior, n_features)
        if self.covariance_prior is not None:
            covariance = check_covariance_prior(self.covariance_prior, shape, n_features)
        if mean is None or covariance is None:
            data_mean, data_covariance = _moments(sample, shape, covariance is None)
            mean = data_mean if mean is None else mean
            covariance = data_covariance if covariance is None else covariance
        # Attributes of defaults have the dtype that scikit-learn's have.
        self.mean_prior_ = mean.astype(sample.X.dtype, copy=False) if self.mean_prior is None else mean
        self.covariance_prior_ = covariance
        if self.covariance_prior is None and not shape.is_matrix:
            self.covariance_prior_ = covariance.astype(sample.X.dtype)[()]
        priors = self._priors(mean, covariance)
        settings = (shape, priors, self.reg_covar, count_floor(sample), sample.mean_weight)
        search, family = None, Variational(*settings)
        if self._is_open:
            family = OpenVariational(*settings)
            search = partial(_search, family)
        return Plan(family, partial(_begin, family, start, self._n_components_begun), search=search)

    def _set_fitted(self, run: Run, **about: Any) -> None:
        super()._set_fitted(run, **about)
        self.__dict__.pop("moves_", None)
        if self._is_open:
            self.moves_ = [[move.kind, move.n_components, move.elbo] for move in run.moves]

    def _searched(self, family: Family, random_state: np.random.RandomState, rows: ArrayRows) -> Any:
        # Of a stream, whose number of components is that of its first batch.
        start = initial_statistics(rows, len(self.means_), family.shape.name, "multistart", random_state)
        return family.first(start)

    def _priors(self, mean: Any, covariance: Any) -> Priors:
        return Priors(
            self.weight_concentration_prior_type == "dirichlet_process",
            float(self.weight_concentration_prior_),
            float(self.mean_precision_prior_),
            np.asarray(mean, dtype=np.float64),
            float(self.degrees_of_freedom_prior_),
            np.asarray(covariance, dtype=np.float64),
            self.expected_log_precision == "exact",
        )

    def _checked_degrees_of_freedom(self, n_features: int) -> Any:
        given = self.degrees_of_freedom_prior
        if given is not None and given <= n_features - 1.0:
            raise ValueError(
                f"The parameter 'degrees_of_freedom_prior' should be greater than {n_features - 1}, "
                f"but got {given:.3f}."
            )
        return n_features if given is None else given

    def _fitted_family(self, memory: SufficientStatistics | None = None) -> Variational:
        # Priors that default to the data's moments stay those of the fit, or of a stream's first batch. Of a model
        # whose attributes were set by hand none are known, and predictions need none.
        priors = None
        if hasattr(self, "mean_prior_"):
            priors = self._priors(self.mean_prior_, self.covariance_prior_)
        exact = self.expected_log_precision == "exact"
        return Variational(self._covariance.shape, priors or unknown_priors(exact), self.reg_covar)

    # Predicting.

    def _density(self) -> Any:
        state = self._fitted_state()
        if self.predictive == "student-t":
            return predictive_mixture(state)
        return Marginalised(state) if takes_missing(self) else state

    @property
    def _mixture_class(self) -> type:
        return GaussianMixture

    def to_sklearn(self) -> sklearn.mixture.BayesianGaussianMixture:
        """Return a fitted scikit-learn estimator that predicts the same.

        Returns
        -------
        sklearn.mixture.BayesianGaussianMixture
            Its ``covariance_type`` is the one that stores these covariances: full, tied, diag or spherical.

        Raises
        ------
        ValueError
            If predictions are not those of scikit-learn's: Student-t, or with exact expectations.

        See Also
        --------
        fastgmm.from_sklearn : The way back.
        """
        from sklearn.mixture import BayesianGaussianMixture as SklearnBayesianGaussianMixture

        for name, value in (("predictive", "variational"), ("expected_log_precision", "wishart")):
            if getattr(self, name) != value:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, which scikit-learn's mixture does not have; refit with "
                    f"{name}={value!r}"
                )
        return sklearn_counterpart(self, SklearnBayesianGaussianMixture)


def _begin(
    family: Variational,
    start: Any,
    n_components: int,
    sample: ArrayRows,
    random_state: np.random.RandomState,
    listener: Any,
) -> Any:
    start = start_of_run(start, sample, n_components, random_state)
    statistics = initial_statistics(sample, n_components, family.shape.name, start, random_state, listener)
    return family.first(statistics)


def _search(
    family: OpenVariational,
    sample: ArrayRows,
    random_state: np.random.RandomState,
    passes: Passes,
    state: Any,
    listener: Any,
) -> tuple[Any, list[Any]]:
    """Return the state that moves from here lead to, and these."""
    search = MoveSearch(passes, sample, family, random_state, float(np.finfo(sample.dtype).eps), listener)
    return search.settle(state), search.moves


def _moments(rows: ArrayRows, shape: Shape, with_covariance: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the rows and their covariance in the shape of a prior, unbiased; weights count rows.

    Taken about a centre close to the data in one pass, where NumPy's mean and variance lose digits far from zero.
    """
    # As many as there are whole matrices, or variances, of one component.
    statistics = statistics_of_all(rows, shape.per_component.name if with_covariance else "spherical")
    shift = statistics.sums / statistics.counts[:, None]
    mean = statistics.centres[0] + shift[0]
    if not with_covariance:
        return mean, mean
    total = float(statistics.counts[0])
    if not total > 1.0:
        raise ValueError(
            f"sample_weight sums to {total:g}; expected more than 1, since weights count rows and the default of "
            "covariance_prior divides by their sum less one. Scale sample_weight or give covariance_prior"
        )
    return mean, statistics.shape.centred(statistics.scatter, statistics.counts, shift)[0] / (total - 1.0)
