"""The search over numbers of components and covariance structures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval

from fastgmm import config
from fastgmm.callbacks import CallbackSupport, SearchReporter, Task, Watch, unchanged_on_failure
from fastgmm.data import ArrayRows, RowSource, source_of
from fastgmm.data.e_steps import Plain
from fastgmm.estimator.fit_context import fit_context
from fastgmm.estimator.input_validation import check_weight_counts_rows
from fastgmm.estimator.missing_values import MISSING, found_missing
from fastgmm.estimator.parameter_validation import Names
from fastgmm.estimator.reading import read_rows
from fastgmm.estimator.show_methods import PlotMethod, SummaryMethod
from fastgmm.exceptions import SelectionWarning, did_you_mean, warn
from fastgmm.families import LOW_RANK, get_covariance
from fastgmm.families.groups import GROUPS, members
from fastgmm.selection.candidates import COLUMNS, Candidate, fit_candidate, polish_candidate
from fastgmm.selection.cautions import column_cautions, outcome_cautions
from fastgmm.selection.criteria import Criterion, get_criterion
from fastgmm.selection.starts import default_tol, starts_of
from fastgmm.selection.winner_methods import WinnerMethods
from fastgmm.starts import INIT_PARAMS
from fastgmm.starts.completed import incomplete
from fastgmm.starts.units import feature_variances
from fastgmm.student_mixture import MIXTURES

__all__ = ["GaussianMixtureSearch"]

#: Candidates this close to the best, in units of BIC, are continued until EM changes by `POLISH` times `tol` only.
CONTENTION = 10.0
POLISH = 1e-3
#: Differences of BIC below this are "not worth more than a bare mention" (Kass and Raftery 1995, section 3.2).
NEAR_TIE = 2.0


class GaussianMixtureSearch(CallbackSupport, SummaryMethod, PlotMethod, WinnerMethods, DensityMixin, BaseEstimator):
    """Fit every combination of number of components and covariance structure, and keep the best.

    This is what R's ``Mclust`` does. One hierarchical clustering starts all candidates, EM runs for each, and a
    criterion chooses the best. A candidate that fails, or whose likelihood has no bound, is listed with the reason.

    Parameters
    ----------
    n_components : int or iterable of int, default=range(1, 10)
        The numbers of components to try. A number that is too large for the rows is listed as a candidate that failed.
    covariance_type : 'all', str or list of str, default='all'
        The covariance structures to try: names that `GaussianMixture` takes, and groups of them. 'all' is mclust's
        fourteen families, or E and V for one feature; 'basic' is 'spherical', 'diag', 'tied' and 'full'; 'pgmm' is that
        package's twelve models and 'hdclassif' HDclassif's fourteen, both for `n_factors`.
    criterion : {'bic', 'icl', 'aic', 'cv_log_likelihood'} or callable, default='bic'
        What chooses the best candidate. Lower is better, except for 'cv_log_likelihood', the mean log-likelihood of
        rows left out in five folds. A callable takes ``(estimator, X)`` and is minimised.
    init_params : str or array-like, default='hc'
        As in `GaussianMixture`. 'hc' makes one hierarchical clustering of at most 2000 rows for all candidates. A
        single feature is cut at its quantiles instead, as mclust does.
    n_jobs : int, optional
        How many candidates are fitted at a time, in threads. None fits one at a time, and its passes use all cores.
    random_state : int, RandomState or None
        Seed of everything that is drawn at random. Pass an int to get the same result in every run.
    verbose : int, default=0
        How much a fit reports: 0 nothing, 1 a progress display, 2 also the change and the time of iterations.
    tol : float, optional
        EM stops when the mean log-likelihood changes by less than this, in nats per row. Candidates close to the best
        go on to a thousandth of it. None is close to mclust's default, which is a share of the log-likelihood: 7.5e-6
        of that of one Gaussian, but at least 1e-5 and at most 5e-5, since a log-likelihood depends on the units of X.
    reg_covar : float, default=0.0
        As in `GaussianMixture`. With 0, which is also mclust's choice, a structure that collapses is listed as failed.
    max_iter : int, default=1000
        The most EM iterations of each candidate.
    prior, noise
        As in `GaussianMixture`.
    distribution : {'normal', 'student'} or list of both, default='normal'
        The distribution of the components. Each structure and number of components is tried as a `GaussianMixture`, as
        a `StudentMixture` whose components have degrees of freedom of their own, or as both.
    missing : {'error', 'marginalise'}, default='error'
        What NaN in X means, as in `GaussianMixture`. Rows are completed once for the starts of all candidates.
    n_factors : int, iterable of int, 'bic' or 'cattell', default='bic'
        For structures with factors ('factor', 'ppca', 'hddc', and pgmm's and HDclassif's names): as in
        `GaussianMixture`, or several numbers to be tried.

    Attributes
    ----------
    best_estimator_ : GaussianMixture or StudentMixture
        The mixture of the best criterion, fitted.
    best_params_ : dict
        Its n_components and covariance_type, its distribution if `distribution` is not 'normal', and its n_factors if
        it has any.
    best_score_ : float
        The criterion of the best candidate.
    results_ : dict of list
        One entry per candidate: n_components, covariance_type, log_likelihood (total, nats), n_parameters, bic, icl,
        aic, converged, fit_time (seconds), failure (None or the reason), score (the criterion) and difference (how
        much worse than the best). ``pandas.DataFrame(results_)`` makes a table.
    near_ties_ : list of dict
        Candidates other than the best whose criterion is within 2 of it (0.01 for 'cv_log_likelihood'), best first.
    cautions_ : list of str
        What makes the best model doubtful: columns by name that are constant, copies or combinations of others, numbers
        of the rows, or codes; a best size at the end of those tried; too few rows. Each is a
        `fastgmm.exceptions.SelectionWarning` of the fit as well, and a line of `summary`.
    stopped_ : bool
        Whether a callback (`fastgmm.callbacks`) ended the fit.
    n_features_in_ : int
        Number of features (columns) seen in `fit`.
    feature_names_in_ : ndarray of str
        The names of the columns of X in `fit`. Only there if X had names that are all strings.

    See Also
    --------
    GaussianMixture : One model.
    fastgmm.selection.bootstrap_lrt : Tests one number of components against the next.
    fastgmm.plotting.plot_criteria : Draws the table of criteria.

    Notes
    -----
    An interrupted search keeps what it has finished: `results_` holds it, and the interrupt is raised.

    References
    ----------
    Scrucca, Fop, Murphy and Raftery (2016), mclust 5: clustering, classification and density estimation using
    Gaussian finite mixture models, The R Journal 8.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm.selection import GaussianMixtureSearch
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + 6])
    >>> search = GaussianMixtureSearch(n_components=range(1, 4), covariance_type=["EII", "VVV"]).fit(X)
    >>> search.best_params_
    {'n_components': 2, 'covariance_type': 'EII'}
    """

    _parameter_constraints: dict = {  # noqa: RUF012  (scikit-learn's own convention)
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "tol": [Interval(Real, 0.0, None, closed="left"), None],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "missing": [Names(MISSING)],
    }

    def __init__(
        self,
        n_components: Any = range(1, 10),
        covariance_type: Any = "all",
        *,
        criterion: Any = "bic",
        init_params: Any = "hc",
        n_jobs: Any = None,
        random_state: Any = None,
        verbose: int = 0,
        tol: Any = None,
        reg_covar: float = 0.0,
        max_iter: int = 1000,
        prior: Any = None,
        noise: Any = None,
        distribution: Any = "normal",
        missing: str = "error",
        n_factors: Any = "bic",
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.criterion = criterion
        self.init_params = init_params
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.prior = prior
        self.noise = noise
        self.distribution = distribution
        self.missing = missing
        self.n_factors = n_factors

    _weights_count_rows = True
    # Of a search that an earlier version pickled.
    distribution: Any = "normal"
    missing: str = "error"
    n_factors: Any = "bic"

    @fit_context(keeps_what_is_found=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit all candidates.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), dask array or frame, or a source of `fastgmm.data`
            The rows. From a source, one sample makes the starts of all candidates and sets the scale of `tol`, and
            every pass of every candidate reads all of it. Cross-validation takes arrays only.
        y : Ignored
            Present for consistency with other scikit-learn estimators.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row; by default every row counts once.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is not valid or every candidate fails; the message gives the reasons.

        See Also
        --------
        predict : The labels of the best model.
        plot : The criterion of every candidate.
        """
        interrupt, finished = None, list[Candidate]()
        with unchanged_on_failure(self):
            criterion = get_criterion(self.criterion)
            self._check_start()
            random_state = check_random_state(self.random_state)
            if source_of(X, sample_weight) is not None:
                self._check_source(criterion)
            read = read_rows(self, X, sample_weight, random_state)
            rows = read.sample
            census = found_missing(self, read.rows, is_matrix=False)
            X, sample_weight = read.given, rows.sample_weight
            if read.rows is not rows:
                X, sample_weight = read.given.with_sample(rows), None
            whole = None
            if census is not None:
                rows = whole = incomplete(census, Plain(), read.rows, rows, random_state)[2]
            if criterion.evaluate is None:
                check_weight_counts_rows(read.rows)
            sizes = self._checked_sizes()
            kinds = self._checked_kinds(rows.n_features)
            cautions = self._cautions_of_columns(read.sample, read.rows.n_samples)
            reporter = SearchReporter(len(sizes) * len(kinds), criterion.sign) if self.verbose else None
            watch = self._watch(len(sizes) * len(kinds), reporter=reporter, X=X, y=y, sample_weight=sample_weight)
            try:
                known = (rows, whole)
                self._search(X, sample_weight, known, sizes, kinds, criterion, random_state, finished, watch)
            except KeyboardInterrupt as raised:
                # What is finished is kept.
                interrupt = raised
            self._set_results(finished, criterion)
            self.cautions_ = cautions + self._cautions_of_outcome(finished, read.rows.total_weight)
            self.stopped_ = watch.finish()
            # A user may have made errors of warnings, which then undo the search.
            for text in self.cautions_ if interrupt is None and hasattr(self, "best_estimator_") else ():
                warn(f"{text}.", SelectionWarning)
        if interrupt is not None:
            raise interrupt
        if not hasattr(self, "best_estimator_"):
            reasons = "; ".join(f"{c.covariance_type}, {c.n_components}: {c.failure}" for c in finished[:5])
            raise ValueError(
                f"all {len(finished)} candidates failed ({reasons}{'; ...' if len(finished) > 5 else ''}); reduce "
                "n_components, set reg_covar or prior='default', or restrict covariance_type"
            )
        return self

    # Parameters.

    def _check_source(self, criterion: Criterion) -> None:
        if not isinstance(self.init_params, str) and not callable(self.init_params):
            raise ValueError(
                f"init_params is {type(self.init_params).__name__} and X is a source; expected a name or a callable, "
                "or X as an array"
            )
        if not (self.noise is None or isinstance(self.noise, Real)):
            raise ValueError(
                f"noise is {type(self.noise).__name__} and X is a source; expected a fraction in (0, 1), or X as an "
                "array"
            )
        if criterion.name == "cv_log_likelihood":
            raise ValueError(
                "criterion is 'cv_log_likelihood' and X is a source, which is not cut into folds; expected 'bic', "
                "'icl', 'aic' or a callable, or X as an array"
            )

    def _check_start(self) -> None:
        start = self.init_params
        if isinstance(start, str) and start not in INIT_PARAMS:
            raise ValueError(
                f"init_params is {start!r}{did_you_mean(start, INIT_PARAMS)}; expected one of "
                f"{', '.join(INIT_PARAMS)}, or memberships of the rows"
            )

    def _checked_sizes(self) -> list[int]:
        given = self.n_components
        sizes: list[Any] = [given] if isinstance(given, Integral) else list(given)
        if not sizes or not all(isinstance(size, Integral) and int(size) >= 1 for size in sizes):
            raise ValueError(f"n_components is {given!r}; expected a positive int, or several such as range(1, 10)")
        return list(dict.fromkeys(int(size) for size in sizes))

    def _checked_names(self, n_features: int) -> list[str]:
        names = [self.covariance_type] if isinstance(self.covariance_type, str) else list(self.covariance_type)
        if not names:
            raise ValueError(f"covariance_type is empty; expected one or more names, such as {', '.join(GROUPS)}")
        return list(dict.fromkeys(one for name in names for one in members(name, n_features)))

    def _checked_kinds(self, n_features: int) -> list[tuple[str, str, Any]]:
        """Return name, distribution and number of factors of each kind of candidate."""
        several = isinstance(self.n_factors, Iterable) and not isinstance(self.n_factors, str)
        numbers = list(dict.fromkeys(self.n_factors)) if several else [self.n_factors]
        if not numbers:
            raise ValueError("n_factors is empty; expected 'bic', 'cattell', or one or more numbers")
        kinds = []
        for name in self._checked_names(n_features):
            for number in numbers if name in LOW_RANK else [None]:
                get_covariance(name, number).check_n_features(n_features)
                kinds += [(name, distribution, number) for distribution in self._checked_distributions()]
        return kinds

    def _checked_distributions(self) -> list[str]:
        given = [self.distribution] if isinstance(self.distribution, str) else list(self.distribution)
        if not given or not set(given) <= set(MIXTURES):
            proposal = did_you_mean(given[0], MIXTURES) if given else ""
            raise ValueError(
                f"distribution is {self.distribution!r}{proposal}; expected 'normal', 'student', or a list of both"
            )
        return list(dict.fromkeys(given))

    # Cautions.

    def _cautions_of_columns(self, rows: ArrayRows, n_samples: int | None) -> list[str]:
        X = rows.X if rows.sample_weight is None else rows.X[rows.sample_weight > 0]
        names = getattr(self, "feature_names_in_", [f"x{j}" for j in range(rows.n_features)])
        return [caution.advised() for caution in column_cautions(X, names, n_samples)]

    def _cautions_of_outcome(self, finished: list[Candidate], n_samples: float) -> list[str]:
        best: Any = getattr(self, "best_estimator_", None)
        if best is None:
            return []
        sizes = [candidate.n_components for candidate in finished if candidate.failure is None]
        found = outcome_cautions(best.n_components, sizes, best._n_parameters(), n_samples)
        return [caution.advised() for caution in found]

    # Work.

    def _search(
        self,
        X: np.ndarray | RowSource,
        sample_weight: np.ndarray | None,
        known: tuple[ArrayRows, ArrayRows | None],
        sizes: list[int],
        kinds: list[tuple[str, str, Any]],
        criterion: Criterion,
        random_state: np.random.RandomState,
        finished: list[Candidate],
        watch: Watch,
    ) -> None:
        """Fit the candidates, adding each to `finished` as soon as it is."""
        # Rows that starts are made of, and the same where values were missing.
        rows, whole = known
        seed = int(random_state.randint(np.iinfo(np.int32).max))
        starts = starts_of(rows, sizes, self.init_params, random_state)
        arguments = (X, sample_weight, feature_variances(rows), criterion, seed, whole)
        tol = default_tol(rows) if self.tol is None else self.tol
        tasks = [(Candidate(size, *kind), starts[size]) for size in sizes for kind in kinds]
        for candidate in self._run(tasks, tol, seed, arguments, watch):
            finished.append(candidate)
        if watch.over:
            return
        watch.reporter.note("continuing the best candidates")
        self._polish(finished, criterion.sign, tol, arguments)

    def _run(self, tasks: Any, tol: Any, seed: Any, arguments: Any, watch: Watch) -> Iterator[Candidate]:
        def one(candidate: Candidate, start: Any, task: Task) -> Candidate:
            if isinstance(start, Exception):
                candidate.fail(str(start))
                return candidate
            normal = candidate.distribution == "normal"
            estimator = MIXTURES[candidate.distribution](
                candidate.n_components,
                covariance_type=candidate.covariance_type,
                tol=tol,
                reg_covar=self.reg_covar,
                max_iter=self.max_iter,
                # Most candidates need some tens of short passes, fewer than a proposal is worth; and plain EM ends at
                # the maximum that mclust would report from the same start. Degrees of freedom need hundreds.
                acceleration=None if normal else "quasi-newton",
                init_params=start,
                random_state=seed,
                prior=self.prior,
                noise=self.noise,
                missing=self.missing,
                n_factors="bic" if candidate.n_factors is None else candidate.n_factors,
            )
            with task.follow(estimator):
                fit_candidate(candidate, estimator, *arguments)
            if normal or isinstance(start, str):
                return candidate
            # The memberships were found for normal components, which far rows mislead.
            other = replace(candidate, estimator=None, failure=None)
            fit_candidate(other, clone(estimator).set_params(init_params="kmeans"), *arguments)
            better = other.failure is None and not other.log_likelihood <= candidate.log_likelihood
            return other if better else candidate

        if self.n_jobs in (None, 1):
            for (candidate, start), task in watch.candidates(tasks):
                task.outcome = candidate
                yield one(candidate, start, task)
            return
        from joblib import Parallel, delayed

        def one_thread(candidate: Candidate, start: Any) -> Candidate:
            with config.config_context(n_threads=1):
                return one(candidate, start, Task())

        # Callbacks need not be safe for threads: they hear of a candidate, from this one, once it is finished.
        parallel = Parallel(n_jobs=self.n_jobs, prefer="threads", return_as="generator")
        fitted = parallel(delayed(one_thread)(*task) for task in tasks)
        for _, task in watch.candidates(tasks):
            task.outcome = next(fitted)
            yield task.outcome
        fitted.close()

    def _polish(self, finished: list[Candidate], sign: int, tol: float, arguments: Any) -> None:
        losses = {id(c): sign * c.score for c in finished if c.failure is None and np.isfinite(c.score)}
        if not losses:
            return
        limit = min(losses.values()) + (CONTENTION if sign > 0 else 0.02)
        for candidate in finished:
            if losses.get(id(candidate), np.inf) <= limit:
                polish_candidate(candidate, tol * POLISH, *arguments)

    def _set_results(self, finished: list[Candidate], criterion: Any) -> None:
        for name in ("best_estimator_", "best_params_", "best_score_"):
            self.__dict__.pop(name, None)
        valid = [c for c in finished if c.failure is None and np.isfinite(c.score)]
        # Among equals the one with fewest parameters, then the first.
        ranked = sorted(valid, key=lambda c: (criterion.sign * c.score, c.n_parameters))
        if ranked:
            best = ranked[0]
            for candidate in valid:
                candidate.difference = criterion.sign * (candidate.score - best.score)
            self.best_estimator_ = best.estimator
            self.best_params_ = self._name(best)
            self.best_score_ = best.score
        width = NEAR_TIE if criterion.sign > 0 else 0.01
        for candidate in valid:
            # Names of columns are the search's to check, and not every X has them.
            candidate.estimator.__dict__.pop("feature_names_in_", None)
        self.near_ties_ = [{**self._name(c), "difference": c.difference} for c in ranked[1:] if c.difference < width]
        self.results_ = {name: [getattr(c, name) for c in finished] for name in COLUMNS}
        if self.distribution != "normal":
            self.results_["distribution"] = [c.distribution for c in finished]
        if any(c.n_factors is not None for c in finished):
            self.results_["n_factors"] = [c.n_factors for c in finished]

    def _name(self, candidate: Candidate) -> dict:
        name = {"n_components": candidate.n_components, "covariance_type": candidate.covariance_type}
        if self.distribution != "normal":
            name["distribution"] = candidate.distribution
        if candidate.n_factors is not None:
            name["n_factors"] = candidate.n_factors
        return name
