"""Anomalies as rows of low density under a Gaussian mixture."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from scipy.special import chdtrc, chdtri, fdtrc, fdtri
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from fastgmm import inference
from fastgmm.callbacks import CallbackSupport, Task
from fastgmm.data import ArrayRows, Block, Rows
from fastgmm.data.e_steps import Plain
from fastgmm.data.incomplete import Marginalised
from fastgmm.estimator.fit_context import fit_context
from fastgmm.estimator.held_out_scores import are_few, as_held_out, held_out_quantiles
from fastgmm.estimator.inner_mixture import DISTRIBUTIONS, INNER_CONSTRAINTS, inner_family, lowest_bic, sensible_sizes
from fastgmm.estimator.input_validation import check_weight_counts_rows
from fastgmm.estimator.missing_values import found_missing
from fastgmm.estimator.parameter_validation import Names
from fastgmm.estimator.per_row import PerRow
from fastgmm.estimator.problem import warn_unconverged
from fastgmm.estimator.reading import Reading, read_rows
from fastgmm.estimator.regular_fits import regular_mixture, robust_share
from fastgmm.estimator.show_methods import PlotMethod, SummaryMethod
from fastgmm.families import get_covariance
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.inference.distances import squared_distances
from fastgmm.inference.sampling import draw_by_factors
from fastgmm.starts.completed import incomplete
from fastgmm.starts.quantiles import weighted_quantile
from fastgmm.student_mixture import MIXTURES

__all__ = ["GaussianMixtureOutlierDetector"]

#: Sizes chosen from: numbers in the data for each parameter, so that a component on few rows does not seem to be worth
#: its parameters, and the least weight of a component, so that anomalies alike are none.
NUMBERS_PER_PARAMETER, LEAST_WEIGHT = 10.0, 0.1


class GaussianMixtureOutlierDetector(CallbackSupport, SummaryMethod, PlotMethod, PerRow, OutlierMixin, BaseEstimator):
    """Find anomalies: rows whose density under a Gaussian mixture is low.

    Parameters
    ----------
    n_components : int or 'bic', default='bic'
        The number of components. 'bic' takes the number with the lowest Bayesian information criterion, up to
        `max_components`. Unless `robust` is None, it looks only at numbers whose components each hold a tenth of the
        rows, and for which there are ten times as many rows as parameters.
    covariance_type : str, default='full'
        As in `GaussianMixture`.
    contamination : 'auto' or float in (0, 0.5], default='auto'
        The share of training rows that are anomalies. It puts the threshold `offset_` at that quantile of their scores.
        'auto' puts it where the model itself draws rows of lower density with probability `significance`. Where rows
        are few for their features, five more fits to parts of the rows say how much lower new rows score.
    significance : float in (0, 1), default=0.01
        For ``contamination='auto'``: the share of regular rows that are called anomalies.
    robust : {'trimming', 'noise'} or None, default='trimming'
        How anomalies are kept from shaping the components. 'trimming' leaves the least likely rows out of every
        iteration. At the end it counts those within the 99% region of a component again, so that p-values hold. 'noise'
        fits an even background beside the components, and scores leave it out. None is plain maximum likelihood. With t
        components, 'trimming' makes the start only, and the fit then counts all rows.
    robust_share : float in (0, 0.5], optional
        The share of rows that are trimmed, or that start as noise. By default it is `contamination` if that is a
        number, and otherwise 0.25 for 'trimming' and 0.1 for 'noise'.
    max_components : int, default=9
        For ``n_components='bic'``.
    n_simulations : int, default=10000
        The number of rows drawn from the model for p-values. Only needed if it has more than one component.
    tol, max_iter, n_init, init_params
        As in `GaussianMixture`; starts measure distances in standard deviations of the columns.
    reg_covar : float or 'auto', default='auto'
        As in `GaussianMixture`: the anomalies found do not depend on the units of the columns.
    random_state : int, RandomState or None
        Seed of everything that is drawn at random. Pass an int to get the same result in every run.
    missing : {'error', 'marginalise'}, default='error'
        'marginalise' takes NaN in X for a missing value, in fits and predictions. So that rows can be compared, the
        score of an incomplete row is the log density of complete rows that are as rare.
    n_factors : int, 'bic' or 'cattell', default='bic'
        Of covariance types with loadings, as `GaussianMixture` has it.
    distribution : {'normal', 'student'}, default='normal'
        The distribution of the components. With 'student' they have heavy tails (`StudentMixture`). Anomalies then lie
        in the tails, and p-values take account of them.

    Attributes
    ----------
    mixture_ : GaussianMixture or StudentMixture
        The model of the regular rows.
    offset_ : float
        Log density below which a row is an anomaly, in nats.
    n_components_, n_iter_ : int
        Components and iterations of the model chosen.
    bic_ : float
        The Bayesian information criterion of the rows that were not trimmed, in nats. Lower is better.
    stopped_ : bool
        Whether a callback (`fastgmm.callbacks`) ended the fit.
    n_features_in_ : int
        Number of features (columns) seen in `fit`.
    feature_names_in_ : ndarray of str
        The names of the columns of X in `fit`. Only there if X had names that are all strings.

    See Also
    --------
    StudentMixture : A mixture that outliers pull little.
    sklearn.ensemble.IsolationForest : Outliers by random splits.
    sklearn.neighbors.LocalOutlierFactor : Outliers by their neighbours.

    References
    ----------
    Neykov et al., "Robust fitting of mixtures using the trimmed likelihood estimator", CSDA 52 (2007), section 3;
    Rousseeuw and Van Driessen, "A fast algorithm for the MCD", Technometrics 41 (1999), section 4 (reweighting);
    Banfield and Raftery, "Model-based Gaussian and non-Gaussian clustering", Biometrics 49 (1993), section 4 (noise).

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixtureOutlierDetector
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(-5, 1, (100, 2)), rng.normal(5, 1, (100, 2)), [[0.0, 0.0]]])
    >>> model = GaussianMixtureOutlierDetector(random_state=0).fit(X)
    >>> model.predict([[0, 0], [5, 5]])
    array([-1,  1])
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **INNER_CONSTRAINTS,
        "contamination": [StrOptions({"auto"}), Interval(Real, 0.0, 0.5, closed="right")],
        "significance": [Interval(Real, 0.0, 1.0, closed="neither")],
        "robust": [Names(("trimming", "noise")), None],
        "robust_share": [None, Interval(Real, 0.0, 0.5, closed="right")],
        "n_simulations": [Interval(Integral, 1, None, closed="left")],
        "distribution": DISTRIBUTIONS,
    }
    # Of a model that an earlier version pickled.
    distribution: str = "normal"
    missing: str = "error"
    n_factors: Any = "bic"

    def __init__(
        self,
        n_components: Any = "bic",
        *,
        covariance_type: Any = "full",
        contamination: Any = "auto",
        significance: float = 0.01,
        robust: str = "trimming",
        robust_share: Any = None,
        max_components: Any = 9,
        n_simulations: int = 10_000,
        tol: float = 1e-3,
        reg_covar: Any = "auto",
        max_iter: int = 100,
        n_init: int = 1,
        init_params: Any = "kmeans",
        random_state: Any = None,
        missing: str = "error",
        n_factors: Any = "bic",
        distribution: str = "normal",
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.contamination = contamination
        self.significance = significance
        self.robust = robust
        self.robust_share = robust_share
        self.max_components = max_components
        self.n_simulations = n_simulations
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.random_state = random_state
        self.missing = missing
        self.n_factors = n_factors
        self.distribution = distribution

    # Fitting.

    _weights_count_rows = True

    @fit_context()
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the mixture and set the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.
        y : Ignored
            Present for consistency with other scikit-learn estimators.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each row, not negative. A row of weight 2 counts like two equal rows.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or a parameter is not valid, or no number of components could be fitted
            (`fastgmm.exceptions.ComponentCollapseError`).

        See Also
        --------
        predict : Which rows are anomalies.
        pvalue : How rare each row is.
        """
        random_state = check_random_state(self.random_state)
        read = read_rows(self, X, sample_weight, random_state)
        get_covariance(self.covariance_type, self.n_factors).check_n_features(read.sample.n_features)
        check_weight_counts_rows(read.rows)
        rows, sample = read.rows, read.sample
        census = found_missing(self, rows, get_covariance(self.covariance_type).shape.is_matrix)
        if census is not None:
            _, rows, sample = incomplete(census, Plain(), rows, sample, random_state)
        sizes = [self.n_components]
        if isinstance(self.n_components, str):
            family = inner_family(self)
            most = min(self.max_components, read.sample.n_samples)
            n_features, n_rows = read.sample.n_features, read.rows.total_weight
            sizes = sensible_sizes(family, most, n_features, n_rows, NUMBERS_PER_PARAMETER)
        watch = self._watch(len(sizes), X=read.given, y=y, sample_weight=read.sample.sample_weight)
        fit_size = partial(self._fit_size, read, (rows, sample, census is not None), random_state)
        self.mixture_, self.bic_ = lowest_bic(watch, [int(size) for size in sizes], fit_size)
        self.n_components_, self.n_iter_ = self.mixture_.n_components, self.mixture_.n_iter_
        few = are_few(rows.total_weight, sample.n_features, self.n_components_) and isinstance(self.contamination, str)
        simulated = None
        if self.n_components_ > 1 or few:
            drawn = draw_by_factors(self.n_simulations, self.mixture_._fitted_state(), random_state)
            simulated = np.sort(self.mixture_.score_samples(drawn))
        if few:
            simulated = self._as_held_out(simulated, read.sample, random_state)
        self._simulated_scores = simulated
        self.offset_ = self._threshold(rows)
        self.stopped_ = watch.finish()
        if not (self.mixture_.converged_ or self.mixture_.stopped_):
            warn_unconverged(self.max_iter)
        return self

    def _fit_size(self, read: Reading, known: Any, random_state: Any, size: int, task: Task) -> tuple[Any, float]:
        """Return a fitted mixture of `size` components, and its BIC: infinite if anomalies may be a component of it."""
        mixture, bic = regular_mixture(self, MIXTURES[self.distribution], read, known, random_state, size, task)
        eligible = self.robust is None or not isinstance(self.n_components, str) or size == 1
        return mixture, bic if eligible or mixture.weights_.min() >= LEAST_WEIGHT else np.inf

    def _as_held_out(self, simulated: Any, sample: ArrayRows, random_state: Any) -> Any:
        """Return scores of rows drawn as they would be of new rows, given a sample of the rows."""
        options: dict[str, Any] = {"n_components": self.n_components_, "contamination": 0.5, "n_simulations": 1}
        if self.robust is not None:
            options["robust_share"] = robust_share(self)
        quantiles = held_out_quantiles(clone(self).set_params(**options), sample, random_state)
        return simulated if quantiles is None else as_held_out(simulated, quantiles)

    def _threshold(self, rows: Rows) -> float:
        if not isinstance(self.contamination, str):
            parts = list(rows.map(partial(_scores_and_weight, self.mixture_)))
            scores = np.concatenate([part[0] for part in parts])
            if any(weight is None for _, weight in parts):
                return float(np.percentile(scores, 100.0 * self.contamination))
            return weighted_quantile(scores, np.concatenate([part[1] for part in parts]), self.contamination)
        if self._simulated_scores is not None:
            return float(np.quantile(self._simulated_scores, self.significance))
        peak, d = float(self.mixture_.score_samples(self.mixture_.means_)[0]), self.n_features_in_
        df = self._df()
        if np.isinf(df):
            return peak - 0.5 * float(chdtri(d, self.significance))
        return peak - 0.5 * (df + d) * float(np.log1p(d * fdtri(d, df, 1.0 - self.significance) / df))

    def _df(self) -> float:
        """Return the degrees of freedom of a model of one component."""
        return float(getattr(self.mixture_, "df_", (np.inf,))[0])

    # Predicting.

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "offset_")

    def _log_density(self, rows: np.ndarray) -> np.ndarray:
        return _comparable(self.mixture_, rows)

    def _pvalues(self, rows: np.ndarray) -> np.ndarray:
        if self._simulated_scores is None:
            d = np.maximum(np.count_nonzero(~np.isnan(rows), axis=1), 1)
            squares, df = squared_distances(rows, self.mixture_._density())[:, 0], self._df()
            return chdtrc(d, squares) if np.isinf(df) else fdtrc(d, df, squares / d)
        lower = np.searchsorted(self._simulated_scores, self._log_density(rows), side="right")
        return (lower + 1.0) / (len(self._simulated_scores) + 1.0)

    def _above_threshold(self, rows: np.ndarray) -> np.ndarray:
        return self._log_density(rows) - self.offset_

    def _labels_of(self, rows: np.ndarray) -> np.ndarray:
        return np.where(self._above_threshold(rows) < 0.0, -1, 1)

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the log density of each row under the model of the regular rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64
            Log densities in nats. The lower, the more anomalous a row is.

        See Also
        --------
        decision_function : The same less the threshold.
        pvalue : How rare such a density is.
        """
        return self._per_row(X, self._log_density, "log_density")

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the log density less the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Log density less the threshold, in nats. It is negative for anomalies.

        See Also
        --------
        predict : Its sign.
        """
        return self._per_row(X, self._above_threshold, "decision_function")

    def predict(self, X: Any) -> np.ndarray:
        """Return which rows are anomalies.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            -1 for anomalies, 1 for regular rows.

        See Also
        --------
        pvalue : How rare each row is.
        """
        return self._per_row(X, self._labels_of, "prediction")

    def pvalue(self, X: Any) -> np.ndarray:
        """Return the probability that the model draws a row of no higher density than each of X.

        Exact for one component, where it is the upper tail of a chi-squared distribution; otherwise from
        `n_simulations` rows drawn at `fit`: a standard error of ``sqrt(p (1 - p) / n_simulations)``, and never below
        ``1 / (n_simulations + 1)``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        p : ndarray of shape (n_samples,), float64
            Probabilities in (0, 1]. For rows drawn from the model they are uniform.

        See Also
        --------
        predict : Which rows are anomalies.
        score_samples : The log density.
        """
        return self._per_row(X, self._pvalues, "pvalue")


def _scores_and_weight(mixture: GaussianMixture, block: Block) -> tuple[np.ndarray, np.ndarray | None]:
    return _comparable(mixture, block.rows), block.weight


def _comparable(mixture: GaussianMixture, rows: np.ndarray) -> np.ndarray:
    """Return log densities, of rows that miss values as those of whole rows that are as far out."""
    density = mixture._density()
    if isinstance(density, Marginalised) and np.isnan(rows).any():
        return density.comparable_log_density(rows)
    return inference.log_density(rows, density, np.dtype(np.float64))
