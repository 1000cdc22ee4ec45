"""The Gaussian mixture fitted by maximum likelihood."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval

from fastgmm.data import ArrayRows
from fastgmm.data.e_steps import LABELS, EStep, Truncated
from fastgmm.estimator.error_methods import ErrorMethods
from fastgmm.estimator.parameter_validation import Names
from fastgmm.families import Family, Gaussian, LowRankFamily
from fastgmm.starts import Start, initial_parameters
from fastgmm.starts.multistart import multistart

__all__ = ["GaussianMixture"]


class GaussianMixture(ErrorMethods):
    """Gaussian mixture fitted by the EM algorithm: scikit-learn's estimator on compiled kernels.

    Parameters
    ----------
    n_components : int, default=1
        Number of components (clusters) of the mixture. `GaussianMixtureSearch` chooses it by BIC.
    covariance_type : str, default='full'
        What the covariances of the components have in common. 'full': each component has a matrix of its own. 'tied':
        all share one matrix. 'diag': each has a variance for each feature. 'spherical': each has one variance. With few
        rows take fewer parameters; `GaussianMixtureSearch` chooses by BIC. A name such as 'VEV' is a family of R's
        mclust, by volume, shape and orientation (E equal, V varying, I identity): EII, VII, EEI, VEI, EVI, VVI, EEE,
        VEE, EVE, VVE, EEV, VEV, EVV, VVV; and E or V for one feature. Attributes are then stored as in one of
        scikit-learn's four types: spherical for EII, VII, E and V; diag for the other names ending in I; tied for EEE;
        full for the rest. For many features there are types with loadings and noise: 'factor' (factor analysers, with a
        noise variance for each component and feature), 'ppca' (probabilistic principal components, with one for each
        component), 'hddc' (the same, with parameters counted as in R's HDclassif), pgmm's twelve names from 'UUU' to
        'CCUU', and HDclassif's fourteen from 'AkjBkQkDk' to 'ABQD'.
    tol : float, default=1e-3
        EM stops when the mean log-likelihood changes by less than this, in nats per row. It also stops when the change
        has been no more than rounding errors for 20 iterations. With 0, EM makes `max_iter` iterations.
    reg_covar : float or 'auto', default=1e-6
        This is added to every variance in every M-step, in squared units of the data. Raise it if components collapse.
        Data in small units need a smaller one: a fit warns if it is more than a hundredth of a variance within
        components. 'auto' adds a millionth of each feature's variance over all rows, whatever the units.
    max_iter : int, default=100
        The most EM iterations of each run; 0 returns the start as it is.
    n_init : int, default=1
        Number of starts; the run with the highest log-likelihood is kept.
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data', 'hc', 'multistart'} or array-like, \
default='kmeans'
        Where EM starts. 'kmeans' is k-means. From 5000 rows on, without `prior`, `noise` or labels, a grouping of small
        clusters by likelihood is tried as well, and short runs of EM on a sample of the rows choose the better start.
        'hc' is mclust's model-based hierarchical clustering of at most 2000 rows. 'multistart' searches for a good
        optimum: it makes short runs, continues the best, improves it by splitting and merging components, and refuses
        singular solutions. It takes about the time of one default fit by scikit-learn. An array gives labels of shape
        (n_samples,), negative or missing where unknown, or responsibilities of shape (n_samples, n_components). A
        callable ``f(X, n_components, random_state)`` returns one of these for each start.
    weights_init : array-like of shape (n_components,), optional
        The weights to start from, which sum to one.
    means_init : array-like of shape (n_components, n_features), optional
        The means to start from.
    precisions_init : array-like, optional
        The precisions (inverse covariances) to start from, in the shape of `precisions_`.
    random_state : int, RandomState or None
        Seed of everything that is drawn at random. Pass an int to get the same result in every run.
    warm_start : bool, default=False
        Whether `fit` continues from the fitted parameters.
    verbose : int, default=0
        How much a fit reports: 0 nothing, 1 a progress display, 2 also the change and the time of iterations.
    verbose_interval : int, default=10
        Iterations between two reports.
    prior : 'default' or dict, optional
        A conjugate prior on means and covariances, as mclust's ``priorControl`` has it: the fit estimates the mode of
        the posterior, and components do not collapse. A dict gives any of 'shrinkage' (0.01), 'mean' (of the data),
        'dof' (n_features + 2) and 'scale' (the data's covariance over ``n_components ** (2 / n_features)``), the others
        as in 'default'.
    noise : float or array-like of shape (n_samples,), optional
        A background of rows that belong to no cluster, uniform over the volume of the data. Give the share of rows that
        start as noise, in (0, 1), or a mask of these rows. By share, rows furthest from their neighbours start as
        noise. `predict` labels noise -1, and `predict_proba` has a last column for it.
    acceleration : {'quasi-newton'} or None, default='quasi-newton'
        How slow convergence is shortened. 'quasi-newton' proposes longer steps while plain EM is at least 10 passes
        from `tol`, and keeps them only if the log-likelihood does not fall. None is plain EM. Models with `noise`
        always take plain EM.
    stop_on : {'change', 'gap'}, default='change'
        What `tol` bounds. 'change' is the change of the mean log-likelihood in an iteration. 'gap' is the estimated
        distance to the value it converges to, `log_likelihood_gap_`; use it when you report parameters.

    forgetting : float, default=0.0
        For `partial_fit`: each batch replaces at least this share of what has been learned, from 0 to 0.5. About
        ``1 / forgetting`` batches are remembered. Use it for streams that drift.
    order_by : int, str or callable, optional
        How `fit` numbers the components, which otherwise come in any order. A number or name of a feature sorts by its
        mean, the smallest first. 'weight' puts the heaviest component first, and 'volume' the tightest one. A function
        ``f(model)`` returns a number for each component, and the smallest comes first. `reorder` does this afterwards,
        and `match_components` takes the numbers of another model.
    missing : {'error', 'marginalise'}, default='error'
        What NaN in X means. 'error' refuses it. 'marginalise' takes it for a missing value, which is integrated out in
        fits and predictions. This is exact if values are missing at random. A row without any value counts for nothing.
        The start is made from rows that were completed by what one Gaussian expects.
    n_factors : int, list of int, 'bic' or 'cattell', default='bic'
        For covariance types with loadings: the number of factors of all components, or of each. 'bic' chooses for each
        component by its BIC, in every M-step for 'ppca', 'hddc' and HDclassif's names, and from the first memberships
        for the others. 'cattell' chooses by the scree test in every M-step, for 'ppca', 'hddc' and HDclassif's names.
        The likelihood may fall when the number changes.
    max_eigenvalue_ratio : float, optional
        The most that the largest eigenvalue of all covariances may be, in multiples of the smallest one. No component
        can then shrink onto a few rows. 1 makes all components spheres of one size; 12 is common. It is for families
        that are free, shared or EEV. `bic` counts ``1 - 1 / max_eigenvalue_ratio`` for each eigenvalue but one, as R's
        tclust does. The ratio depends on the units of the columns.
    max_determinant_ratio : float, optional
        The same for the determinants of the covariances. The shapes of components stay free.
    trim : float, default=0.0
        The share of rows of lowest density that every pass leaves out, as R's tclust does. It is rounded up to a whole
        number of rows. `predict` gives the label -1 to rows that are less likely than all training rows kept. `aic`,
        `bic` and `icl` leave out the same share, and `lower_bound_` is a mean over the rows kept.
    likelihood : {'mixture', 'classification'}, default='mixture'
        'mixture' shares each row among components. 'classification' assigns it wholly to the most probable one, as
        tclust does by default; EM then ends when no row moves.
    responsibilities : {'exact', 'truncated'}, default='exact'
        Whether `fit` shares each row among all components, or only among the best `n_candidates` of those it looks at.
        Use 'truncated' for hundreds of components and more: the cost of a pass then does not grow with their number.
        Predictions are always exact. `truncation_gap_` says what it costs.
    n_candidates : int, default=3
        With ``responsibilities='truncated'``: among how many components a row is shared.
    n_neighbors : int, default=15
        With ``responsibilities='truncated'``: how many neighbours of a candidate are looked at.
    n_random : int, default=1
        With ``responsibilities='truncated'``: how many components drawn at random are looked at in each pass.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        The share of each component in the mixture; without a background they sum to one.
    means_ : ndarray of shape (n_components, n_features)
        The mean of each component, in units of the data.
    covariances_, precisions_, precisions_cholesky_ : ndarray
        (K, D, D), (D, D), (K, D) or (K,) for full, tied, diag, spherical. ``precisions_cholesky_`` is upper
        triangular with ``precision = U @ U.T``; ``1 / sd`` for diag and spherical.
    loadings_, noise_variances_, n_factors_ : ndarray
        Only of covariance types with loadings: the loadings (K, D, q), the noise variances (K, D), and the number of
        factors of each component (K,). A covariance is ``loadings @ loadings.T + diag(noise_variances)``.
        ``covariances_``, ``precisions_`` and ``precisions_cholesky_`` are then K matrices of (D, D), computed when they
        are asked for.
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
    truncation_gap_ : float
        With ``responsibilities='truncated'``: what the bound lacks of the exact log-likelihood, in nats per row,
        measured on some 4000 rows.
    stopped_ : bool
        Whether a callback (`fastgmm.callbacks`) ended the fit.
    n_features_in_ : int
        Number of features (columns) seen in `fit`.
    feature_names_in_ : ndarray of str
        The names of the columns of X in `fit`. Only there if X had names that are all strings.

    See Also
    --------
    GaussianMixtureSearch : Chooses the number of components and the covariance type by BIC.
    StudentMixture : For data with heavy tails.
    BayesianGaussianMixture : Finds out how many components are needed while it fits.
    sklearn.mixture.GaussianMixture : The estimator whose place this one takes.

    References
    ----------
    Fritz, Garcia-Escudero and Mayo-Iscar, "A fast algorithm for robust constrained clustering", CSDA 61 (2013): `trim`
    and `max_eigenvalue_ratio`.
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
        order_by: Any = None,
        missing: str = "error",
        n_factors: Any = "bic",
        max_eigenvalue_ratio: Any = None,
        max_determinant_ratio: Any = None,
        trim: float = 0.0,
        likelihood: str = "mixture",
        responsibilities: str = "exact",
        n_candidates: int = 3,
        n_neighbors: int = 15,
        n_random: int = 1,
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
        self.order_by = order_by
        self.missing = missing
        self.n_factors = n_factors
        self.max_eigenvalue_ratio = max_eigenvalue_ratio
        self.max_determinant_ratio = max_determinant_ratio
        self.trim = trim
        self.likelihood = likelihood
        self.responsibilities = responsibilities
        self.n_candidates = n_candidates
        self.n_neighbors = n_neighbors
        self.n_random = n_random

    _parameter_constraints: dict = {  # noqa: RUF012
        **ErrorMethods._parameter_constraints,
        "responsibilities": [Names(("exact", "truncated"))],
        "n_candidates": [Interval(Integral, 1, None, closed="left")],
        "n_neighbors": [Interval(Integral, 0, None, closed="left")],
        "n_random": [Interval(Integral, 0, None, closed="left")],
    }

    # What models pickled before these have not.
    responsibilities: str = "exact"
    n_candidates: int = 3
    n_neighbors: int = 15
    n_random: int = 1

    def _e_step_of(self, sample: ArrayRows) -> EStep:
        if self.responsibilities == "exact":
            return super()._e_step_of(sample)
        if self.n_candidates > self.n_components:
            raise ValueError(
                f"n_candidates is {self.n_candidates} and n_components is {self.n_components}; expected no more "
                "candidates than components"
            )
        # A copy is asked, so that the start is the same as for exact responsibilities.
        random_state = np.random.RandomState()
        random_state.set_state(check_random_state(self.random_state).get_state())
        e_step = Truncated(self.n_candidates, self.n_neighbors, self.n_random, int(random_state.randint(1 << 31)))
        if LABELS in sample.columns or self.noise is not None:
            e_step.check_takes("rows are labelled" if self.noise is None else "noise is given")
        if self._trims:
            e_step.check_takes(f"trim is {self.trim:g}, likelihood {self.likelihood!r}")
        return e_step

    @property
    def _mixture_class(self) -> type:
        return GaussianMixture

    def _searched(self, family: Family, random_state: np.random.RandomState, rows: ArrayRows) -> Any:
        assert isinstance(family, Gaussian), "a stream has no background"
        if isinstance(family.covariance, LowRankFamily):
            return initial_parameters(rows, self.n_components, family, Start("multistart"), random_state)
        return multistart(rows, self.n_components, family, random_state, is_brief=True)
