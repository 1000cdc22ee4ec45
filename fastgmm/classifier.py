"""A classifier with a Gaussian mixture per class, from labelled and unlabelled rows."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from fastgmm.callbacks import CallbackSupport, Reporter, fitted_attributes
from fastgmm.data import ArrayRows, Block, Rows
from fastgmm.data.e_steps import LABELS, EStep, Labelled, Passes
from fastgmm.em import Run
from fastgmm.estimator.absent_rows import without_absent
from fastgmm.estimator.class_labels import check_class_priors, class_numbers, encode_classes
from fastgmm.estimator.class_prediction_methods import ClassPredictionMethods
from fastgmm.estimator.class_sizes import components_per_class
from fastgmm.estimator.few_labels import trials_of
from fastgmm.estimator.fit_context import fit_context
from fastgmm.estimator.inner_mixture import factors_or_matrices
from fastgmm.estimator.input_validation import check_weight_counts_rows
from fastgmm.estimator.missing_values import MISSING, found_missing
from fastgmm.estimator.on_demand import OnDemand
from fastgmm.estimator.parameter_validation import Names
from fastgmm.estimator.problem import Problem, count_floor, warn_unconverged
from fastgmm.estimator.rare_labels import with_rare_labels
from fastgmm.estimator.reading import Reading, read_rows, refuse_source
from fastgmm.estimator.show_methods import SummaryMethod
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.families import COVARIANCES, LOW_RANK, ClassMixtures, get_covariance
from fastgmm.families.gaussian import FACTOR_ATTRIBUTES, MATRIX_ATTRIBUTES
from fastgmm.families.sketched import gaussian_family
from fastgmm.inference import assign
from fastgmm.starts.completed import incomplete
from fastgmm.starts.labelled import labelled_start
from fastgmm.starts.units import relative_reg_covar
from fastgmm.student_mixture import MIXTURES

__all__ = ["GaussianMixtureClassifier"]


class GaussianMixtureClassifier(CallbackSupport, SummaryMethod, ClassPredictionMethods, ClassifierMixin, BaseEstimator):
    """Classify by one Gaussian mixture per class, fitted to labelled and unlabelled rows by EM.

    A labelled row belongs to the components of its class. An unlabelled row is shared among the components of all
    classes. With every row labelled and one component per class this is discriminant analysis: linear for 'tied' (EEE),
    quadratic for 'full' (VVV), and mclust's EDDA for the other structures. With several components per class it is
    mclust's MclustDA.

    Parameters
    ----------
    n_components : int, list of int or 'bic', default=1
        The number of components per class, or a list in the order of `classes_`. 'bic' chooses it for each class by the
        Bayesian information criterion of its labelled rows, up to `max_components`.
    covariance_type : str or list of str, default='auto'
        As in `GaussianMixture`. From a list, the type with the lowest BIC for all rows and labels is taken. Types that
        collapse are passed over. 'auto' is 'full' if every class has at least two labelled rows for each feature and
        component, or if there are no other rows. If labels are fewer, it takes the fit with the lowest BIC among 'EEI',
        'tied' and 'full', of normal and of t components, and from two starts: the labelled rows, and the classes that
        'EEI' finds in all rows. These are up to ten fits.
    shared_covariance : bool, default=True
        Whether `covariance_type` ties the covariances of all classes together, or those of each class by itself. 'tied'
        then means one matrix for all, or one matrix per class.
    priors : array-like of shape (n_classes,), optional
        The probabilities of the classes, in the order of `classes_`. By default they are learnt from labelled and
        unlabelled rows.
    unlabelled_weight : float, default=1.0
        How much an unlabelled row counts, if a labelled row counts 1. Lower it if the classes are not Gaussian. 0
        ignores unlabelled rows.
    unlabelled_label : object, optional
        What stands for "unlabelled" in y. By default it is -1 if y holds numbers, as elsewhere in scikit-learn, and the
        empty string if y holds strings. In an array of objects, None, NaN and pandas.NA mean unlabelled as well.
    tol : float, default=1e-3
        EM stops when the mean log-likelihood changes by less, in nats per unit of weight.
    reg_covar : float or 'auto', default='auto'
        This is added to every variance in every M-step, in squared units of the data. 'auto' adds a millionth of each
        feature's variance over all rows, so the classes predicted do not depend on the units of the columns.
    shrinkage : float, default=0.0
        How many rows the pooled covariance of all components counts for in each component's own covariance. Half of
        n_features or more helps if labels are few and covariances are not tied, and ``covariance_type='auto'`` takes
        half of n_features for normal components then. The log-likelihood may fall a little between iterations.
    max_iter : int, default=100
        The most EM iterations of each fit.
    max_components : int, default=5
        For ``n_components='bic'``.
    random_state : int, RandomState or None
        Seed of everything that is drawn at random. Pass an int to get the same result in every run.
    verbose : int, default=0
        How much a fit reports: 0 nothing, 1 a progress display, 2 also the change and the time of iterations.
    verbose_interval : int, default=10
        Iterations between two reports.
    missing : {'error', 'marginalise'}, default='error'
        'marginalise' takes NaN in X for a missing value, in fits and predictions. A row is then classified by the
        values it has.
    n_factors : int, 'bic' or 'cattell', default='bic'
        Of covariance types with loadings, as `GaussianMixture` has it.
    distribution : {'auto', 'normal', 'student'}, default='auto'
        The distribution of the components. 'auto' is 'normal', except where ``covariance_type='auto'`` has few labels
        to go by and tries both. With 'student' they have heavy tails (`StudentMixture`), so that outliers among the
        rows of a class hardly move it. Accelerated EM then goes on to a hundredth of `tol`, since degrees of freedom
        change the likelihood by little.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted.
    priors_ : ndarray of shape (n_classes,), float64
        The probability of each class before a row is seen.
    component_classes_ : ndarray of shape (n_components,), int64
        The class of each component, as an index into `classes_`.
    weights_ : ndarray of shape (n_components,), float64
        The weights of the components of all classes. They sum to one.
    means_ : ndarray of shape (n_components, n_features), float64
        The mean of each component, in units of the data.
    covariances_, precisions_cholesky_ : ndarray, float64
        As in a `GaussianMixture` of the components of all classes. If covariances are not shared, 'tied' is stored as
        'full'.
    scales_, df_ : ndarray, float64
        Only with t components: as in `StudentMixture`.
    covariance_type_ : str
        The one chosen.
    bic_ : float
        The Bayesian information criterion for all rows and labels, in nats. Lower is better.
    converged_ : bool
        Whether the best run reached `tol` before `max_iter` iterations.
    n_iter_ : int
        EM iterations of the fit.
    lower_bound_ : float
        Mean log-likelihood of rows and known labels before the last M-step, in nats per unit of weight.
    lower_bounds_ : list of float
        Mean log-likelihood in each iteration, in nats per row.
    stopped_ : bool
        Whether a callback (`fastgmm.callbacks`) ended the fit.
    n_features_in_ : int
        Number of features (columns) seen in `fit`.
    feature_names_in_ : ndarray of str
        The names of the columns of X in `fit`. Only there if X had names that are all strings.

    See Also
    --------
    GaussianMixture : Clusters rows without labels.
    sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis : One normal distribution per class.

    References
    ----------
    Hastie and Tibshirani, "Discriminant analysis by Gaussian mixtures", JRSS B 58 (1996); Nigam, McCallum, Thrun and
    Mitchell, "Text classification from labeled and unlabeled documents using EM", Machine Learning 39 (2000), section
    5.1 (the weight of the unlabelled rows); Scrucca et al., "mclust 5", R Journal 8 (2016), EDDA and MclustDA.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixtureClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(-3, 1, (100, 2)), rng.normal(3, 1, (100, 2))])
    >>> y = np.full(200, -1)
    >>> y[:2], y[-2:] = 0, 1
    >>> model = GaussianMixtureClassifier().fit(X, y)
    >>> model.predict([[-3, -2], [2, 3]])
    array([0, 1])
    """

    # Of components that have loadings and noise; a fit of others sets them.
    covariances_ = OnDemand()
    precisions_cholesky_ = OnDemand()

    _parameter_constraints: dict = {  # noqa: RUF012
        "n_components": [Interval(Integral, 1, None, closed="left"), StrOptions({"bic"}), "array-like"],
        "covariance_type": [Names(("auto", *COVARIANCES, *LOW_RANK)), list, tuple],
        "n_factors": [Interval(Integral, 0, None, closed="left"), Names(("bic", "cattell"))],
        "shared_covariance": ["boolean"],
        "priors": [None, "array-like"],
        "unlabelled_weight": [Interval(Real, 0.0, None, closed="left")],
        "unlabelled_label": "no_validation",
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left"), StrOptions({"auto"})],
        "shrinkage": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "max_components": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "missing": [Names(MISSING)],
        "distribution": [Names(("auto", *MIXTURES))],
    }
    # Of a model that an earlier version pickled.
    distribution: str = "normal"
    missing: str = "error"
    n_factors: Any = "bic"

    def __init__(
        self,
        n_components: Any = 1,
        *,
        covariance_type: Any = "auto",
        shared_covariance: bool = True,
        priors: Any = None,
        unlabelled_weight: float = 1.0,
        unlabelled_label: Any = None,
        tol: float = 1e-3,
        reg_covar: Any = "auto",
        shrinkage: float = 0.0,
        max_iter: int = 100,
        max_components: Any = 5,
        random_state: Any = None,
        verbose: int = 0,
        verbose_interval: int = 10,
        missing: str = "error",
        n_factors: Any = "bic",
        distribution: str = "auto",
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.shared_covariance = shared_covariance
        self.priors = priors
        self.unlabelled_weight = unlabelled_weight
        self.unlabelled_label = unlabelled_label
        self.tol = tol
        self.reg_covar = reg_covar
        self.shrinkage = shrinkage
        self.max_iter = max_iter
        self.max_components = max_components
        self.random_state = random_state
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.missing = missing
        self.n_factors = n_factors
        self.distribution = distribution

    # Fitting.

    @property
    def _weights_count_rows(self) -> bool:
        chooses = isinstance(self.n_components, str) or not isinstance(self.covariance_type, str)
        names = [self.covariance_type] if isinstance(self.covariance_type, str) else self.covariance_type
        chooses_factors = isinstance(self.n_factors, str) and any(name in LOW_RANK for name in names)
        return self.shrinkage > 0 or chooses or chooses_factors

    @property
    def _mixture_class(self) -> Any:
        return MIXTURES["student" if self.distribution == "student" else "normal"]

    @fit_context()
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the mixtures of all classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), dask array or frame, or a source of `fastgmm.data`
            The rows to learn from.
        y : array-like of shape (n_samples,)
            The classes. `unlabelled_label` says how unlabelled rows are marked. None if a source brings the classes.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each row, not negative. A row of weight 2 counts like two equal rows.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If fewer than two classes are known, a class has fewer labelled rows than components, priors do not fit,
            or a component collapses whatever the covariance type (`fastgmm.exceptions.ComponentCollapseError`).

        See Also
        --------
        predict : The class of each row.
        """
        if self.distribution == "student" and self.shrinkage:
            raise ValueError(
                f"shrinkage is {self.shrinkage:g} and distribution 'student', whose rows do not count alike; expected "
                "shrinkage=0.0, or distribution='normal'"
            )
        random_state = check_random_state(self.random_state)
        read = read_rows(self, X, sample_weight, random_state, y=y)
        classes, counts, rows, sample = self._labelled(read, y)
        priors = check_class_priors(self.priors, classes)
        sizes = components_per_class(self, self._mixture_class, sample, sample.along[LABELS], classes, random_state)
        stops = np.cumsum(sizes)
        blocks = tuple(slice(int(stop - size), int(stop)) for stop, size in zip(stops, sizes, strict=True))
        if not self.covariance_type:
            raise ValueError("covariance_type is an empty list; expected at least one name")
        trials = trials_of(self, counts, sizes, sample.n_features, rows.total_weight)
        if len(trials) > 1:
            check_weight_counts_rows(rows)
        e_step: EStep = Labelled(blocks, float(self.unlabelled_weight))
        census = found_missing(
            self, rows, any(get_covariance(trial.covariance_type).shape.is_matrix for trial in trials)
        )
        if census is not None:
            e_step, rows, sample = incomplete(census, e_step, rows, sample, random_state)
        passes = e_step.prepare(rows)
        reporter = Reporter(self.verbose, self.verbose_interval, len(trials)) if self.verbose else None
        watch = self._watch(len(trials), reporter=reporter, X=read.given, y=y, sample_weight=sample.sample_weight)
        reg_covar = self.reg_covar
        if isinstance(reg_covar, str):
            # Rows that are ignored say nothing of the units either.
            counted = sample if self.unlabelled_weight > 0 else sample.where(sample.along[LABELS] >= 0)
            reg_covar = relative_reg_covar(counted)
        best, failure = None, None
        found: dict[bool, np.ndarray] = {}
        for number, trial in enumerate(watch.until_over(trials)):
            covariance = get_covariance(trial.covariance_type, self.n_factors)
            covariance.check_n_features(sample.n_features)
            # Pooled rows are those of whole matrices.
            n_features = 0 if trial.shrinkage else sample.n_features
            gaussian = gaussian_family(covariance, n_features, reg_covar, count_floor(sample))
            df = "free" if trial.heavy else None
            family = ClassMixtures(gaussian, blocks, self.shared_covariance, priors, float(trial.shrinkage), df)
            own = np.random.RandomState(random_state.randint(2**31 - 1))
            known = sample.along[LABELS] if not trial.from_classes else found.get(trial.heavy)
            if known is None or (self.covariance_type == "auto" and number and _is_too_large(family, passes, sample)):
                continue
            begin = partial(_begin, sample, known, family, own)
            tol, acceleration = (0.01 * self.tol, "quasi-newton") if trial.heavy else (self.tol, None)
            problem = Problem(passes, family, begin, sample.dtype, tol, self.max_iter, acceleration=acceleration)
            describe = partial(type(self)._set_fitted, classes=classes, problem=problem)
            watch.attributes_of = partial(fitted_attributes, self, describe)
            watch.start(number, self.max_iter)
            try:
                run = problem.run(watch.listener)
            except ComponentCollapseError as error:
                failure = failure or error
                watch.fail()
                continue
            bic = _bic(run, problem)
            if best is None or bic < best[0]:
                best = bic, run, describe
            if any(other.from_classes for other in trials) and trial.heavy not in found:
                component = assign(sample.X, family.density(run.state), np.dtype(np.float64))
                found[trial.heavy] = np.where(known < 0, np.repeat(np.arange(len(sizes)), sizes)[component], known)
        if best is None:
            assert failure is not None, "the first name is always tried"
            raise failure
        _, run, describe = best
        self.stopped_ = watch.finish(run)
        if not (run.converged or self.stopped_):
            warn_unconverged(self.max_iter)
        describe(self, run)
        return self

    def _labelled(self, read: Reading, y: Any) -> tuple[np.ndarray, np.ndarray, Rows, ArrayRows]:
        """Return the classes and the weight of their labelled rows, and the rows and those of the start.

        The number of their class rides along with them.
        """
        rows, sample, name = read.rows, read.sample, type(self).__name__
        if rows is sample:
            y = without_absent(y, sample.sample_weight)
            classes, labels = encode_classes(y, sample.n_samples, self.unlabelled_label, name)
            rows = sample.with_columns(**{LABELS: _present(labels, sample.sample_weight)})
            return classes, _counts(labels, sample.sample_weight, classes), rows, rows
        if "y" not in rows.columns:
            raise ValueError(
                f"{name} requires y: X, {rows.description}, has no classes and y is None; expected classes that come "
                "with the rows, as in parquet(..., y=column), sliced(..., y=array) or batches of mappings with 'y', "
                "or y"
            )
        parts = list(rows.map(_classes_and_weight))
        y = np.concatenate([part[0] for part in parts])
        weight = None if any(part[1] is None for part in parts) else np.concatenate([part[1] for part in parts])
        classes, labels = encode_classes(y, len(y), self.unlabelled_label, name)
        rows, counts = rows.with_columns(**{LABELS: _present(labels, weight)}), _counts(labels, weight, classes)
        labels = class_numbers(sample.along["y"], classes, self.unlabelled_label)
        sample = sample.with_columns(**{LABELS: _present(labels, sample.sample_weight)})
        return classes, counts, rows, with_rare_labels(sample, rows, len(classes))

    def _set_fitted(self, run: Run, *, classes: Any, problem: Problem) -> None:
        family = problem.family
        assert isinstance(family, ClassMixtures), "the family of a classifier"
        self.bic_, self.covariance_type_ = _bic(run, problem), family.gaussian.covariance.name
        self.classes_ = classes
        sizes = [block.stop - block.start for block in family.blocks]
        self.component_classes_ = np.repeat(np.arange(len(classes)), sizes)
        for name in (*FACTOR_ATTRIBUTES, *MATRIX_ATTRIBUTES, "df_"):
            self.__dict__.pop(name, None)
        self.__dict__.update(family.attributes(run.state, np.dtype(np.float64)))
        self.converged_, self.n_iter_ = run.converged, run.n_iter
        self.lower_bound_, self.lower_bounds_ = run.lower_bound, run.lower_bounds

    def _mixture(self) -> Any:
        """Return all classes' components as one mixture."""
        covariance_type = self._kernel if "loadings_" not in vars(self) else self.covariance_type_
        tails = {"df": self.df_} if hasattr(self, "df_") else {}
        mixture = MIXTURES["student" if tails else "normal"].from_parameters(  # type: ignore[attr-defined]
            self.weights_, self.means_, factors_or_matrices(self), covariance_type=covariance_type, **tails
        )
        for name in ("converged_", "n_iter_", "lower_bound_", "lower_bounds_", "stopped_", "feature_names_in_"):
            if hasattr(self, name):
                setattr(mixture, name, getattr(self, name))
        return mixture

    def plot(self, X: Any, y: Any = None, *, ax: Any = None, **options: Any) -> Any:
        """Draw rows by class and the components of the classes; needs matplotlib.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to draw.
        y : array-like of shape (n_samples,), optional
            The true classes. Rows that are predicted to be of another class are ringed.
        ax : matplotlib Axes, optional
            The axes to draw into. By default a new figure is made.
        **options
            Further options of `fastgmm.plotting.plot_classes`.

        Returns
        -------
        Axes
            The matplotlib axes that were drawn into.

        See Also
        --------
        fastgmm.plotting.plot_classes : Draws it.
        """
        from fastgmm.plotting import plot_classes

        refuse_source(X, "plot")
        return plot_classes(self, X, y, ax=ax, **options)


def _begin(sample: ArrayRows, known: np.ndarray, family: ClassMixtures, random_state: Any, listener: Any) -> Any:
    return labelled_start(sample, known, family, random_state)


def _is_too_large(family: ClassMixtures, passes: Passes, sample: ArrayRows) -> bool:
    # As of numbers of components: of more parameters than half the numbers in the data the BIC says nothing.
    n_parameters = family.n_parameters(family.n_components, sample.n_features)
    return n_parameters > 0.5 * passes.total_weight * sample.n_features


def _counts(labels: np.ndarray, weight: np.ndarray | None, classes: np.ndarray) -> np.ndarray:
    known = labels >= 0
    return np.bincount(labels[known], weights=None if weight is None else weight[known], minlength=len(classes))


def _classes_and_weight(block: Block) -> tuple[np.ndarray, np.ndarray | None]:
    return np.asarray(block.columns["y"]), block.weight


def _present(labels: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    # A row of no weight is absent: it neither founds a class nor counts towards one.
    return labels if weight is None else np.where(weight > 0, labels, -1)


def _bic(run: Run, problem: Problem) -> float:
    passes, state = problem.passes, run.state
    n_parameters = problem.family.fitted(state).n_parameters(state.n_components, state.n_features)
    return -2.0 * run.lower_bound * passes.total_weight + n_parameters * np.log(passes.total_weight)
