"""What users are told: the text of errors and warnings, word for word."""

import io
import json
import re
import tempfile
import warnings
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
from golden.datasets import data

import fastgmm
from fastgmm import (
    BayesianGaussianMixture,
    GaussianMixture,
    GaussianMixtureClassifier,
    GaussianMixtureOutlierDetector,
    GaussianMixtureRegressor,
    GaussianMixtureSearch,
    load,
    save,
)
from fastgmm.callbacks import TimeLimit
from fastgmm.data import batches, parquet, sliced, standardise
from fastgmm.selection import merge_components

__all__ = ["MESSAGES", "message_of"]

X = data("blobs").X
N = len(X)
MODELS = Path(__file__).parents[1] / "data" / "models"
#: Rows that lie on a line: every covariance of two features is singular.
FLAT = np.column_stack([X[:, 0], 2.0 * X[:, 0]])
SOURCE = batches(lambda: iter([X[:100], X[100:]]))


def mixture(n_components=3, rows=X, fit=None, **parameters):
    """Return what fits a Gaussian mixture when it is called."""
    parameters = {"random_state": 0, **parameters}
    return lambda _: GaussianMixture(n_components, **parameters).fit(rows, **(fit or {}))


def changed(rows, value):
    """Return a copy of the rows with one value replaced."""
    rows = rows.copy()
    rows[7, 1] = value
    return rows


def fitted(**parameters):
    """Return a small fitted mixture."""
    return GaussianMixture(2, random_state=0, **parameters).fit(X)


def classified(y, rows=X, weight=None, **parameters):
    """Return what fits a classifier when it is called."""
    return lambda _: GaussianMixtureClassifier(random_state=0, **parameters).fit(rows, y, sample_weight=weight)


def bayesian(rows=X, **parameters):
    """Return what fits a variational mixture when it is called."""
    return lambda _: BayesianGaussianMixture(**{"n_components": 2, "random_state": 0, **parameters}).fit(rows)


def file_of(folder, content):
    """Return a file with this content."""
    path = folder / "model.npz"
    path.write_bytes(content)
    return path


def _same(parts):
    """Return the very iterator that it is given, which can be read once."""
    return parts


def of_version_999(content):
    """Return the content of a model file that says it is of a format to come."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            member = old.read(name)
            if name == "header.json":
                member = json.dumps({**json.loads(member), "format_version": 999}).encode()
            new.writestr(name, member)
    return changed.getvalue()


Y = data("blobs").component
LABELS = data("blobs").few_labels
THIRDS = np.full((N, 3), 1.0 / 3.0)

PARAMETERS = {
    "no components": mixture(0),
    "components that are no number": mixture("many"),
    "negative tol": mixture(tol=-1.0),
    "negative reg_covar": mixture(reg_covar=-1e-3),
    "unknown covariance type": mixture(covariance_type="EEF"),
    "unknown start": mixture(init_params="kmean"),
    "unknown acceleration": mixture(acceleration="anderson"),
    "unknown stop_on": mixture(stop_on="gradient"),
    "too much forgetting": mixture(forgetting=0.7),
    "noise of one": mixture(noise=1.0),
    "family of several features": mixture(covariance_type="EEE", rows=X[:, :1]),
    "family of one feature": mixture(covariance_type="V"),
    "weights_init of another shape": mixture(weights_init=[0.5, 0.5]),
    "weights_init out of range": mixture(weights_init=[1.5, -0.25, -0.25]),
    "weights_init that do not sum to one": mixture(weights_init=[0.5, 0.3, 0.3]),
    "means_init of another shape": mixture(means_init=np.zeros((3, 2))),
    "precisions_init of another shape": mixture(precisions_init=np.zeros((3, 2))),
    "precisions_init not positive definite": mixture(precisions_init=-np.ones((3, 3, 3)), covariance_type="full"),
    "precisions_init not positive": mixture(precisions_init=-np.ones((3, 3)), covariance_type="diag"),
    "start of another length": mixture(init_params=Y[:50]),
    "start of strings": mixture(init_params=np.array(["a", "b", "c"])[Y]),
    "start with an empty component": mixture(4, init_params=Y),
    "start with a label too many": mixture(2, init_params=Y),
    "start with halves": mixture(init_params=Y + 0.5),
    "start of shares that do not sum to one": mixture(init_params=2.0 * THIRDS),
    "start of negative shares": mixture(init_params=THIRDS - 0.5),
    "prior with an unknown key": mixture(prior={"strength": 1.0}),
    "prior of another shape": mixture(prior={"mean": [0.0, 0.0]}),
    "prior with negative shrinkage": mixture(prior={"shrinkage": -1.0}),
    "prior with an indefinite scale": mixture(prior={"scale": -np.eye(3)}),
    "noise mask of another length": mixture(noise=np.zeros(5, dtype=bool)),
    "noise that leaves no rows": mixture(noise=np.ones(N, dtype=bool)),
    "noise without volume": mixture(2, rows=FLAT, noise=0.1),
}
DATA = {
    "NaN": mixture(rows=changed(X, np.nan)),
    "infinity": mixture(rows=changed(X, np.inf)),
    "one dimension": mixture(rows=X[:, 0]),
    "one row": mixture(1, rows=X[:1]),
    "fewer rows than components": mixture(5, rows=X[:4]),
    "fewer rows of weight than components": mixture(fit={"sample_weight": np.eye(1, N)[0]}),
    "weights of another length": mixture(fit={"sample_weight": np.ones(5)}),
    "negative weights": mixture(fit={"sample_weight": -np.ones(N)}),
    "weights with NaN": mixture(fit={"sample_weight": np.full(N, np.nan)}),
    "weights of zero": mixture(fit={"sample_weight": np.zeros(N)}),
    "weights of words": mixture(fit={"sample_weight": ["heavy"] * N}),
    "labels of another length": mixture(fit={"labels": LABELS[:9]}),
    "labels too high": mixture(2, fit={"labels": Y}),
    "labels of halves": mixture(fit={"labels": Y + 0.5}),
    "source with weights": mixture(rows=SOURCE, fit={"sample_weight": np.ones(N)}),
    "source with a start of labels": mixture(rows=SOURCE, init_params=Y),
    "source with NaN": mixture(rows=batches(lambda: iter([X[:100], changed(X, np.nan)]))),
    "source of changing width": mixture(rows=batches(lambda: iter([X[:100], X[100:, :2]]))),
    "source of changing precision": mixture(rows=batches(lambda: iter([X[:100], X[100:].astype(np.float32)]))),
    "source that is used up": lambda folder: mixture(rows=batches(partial(_same, iter([X[:100], X[100:]]))))(folder),
    "source with weights of some": mixture(rows=batches(lambda: iter([(X[:100], np.ones(100)), X[100:]]))),
    "source with negative weights": mixture(rows=batches(lambda: iter([(X, -np.ones(N))]))),
    "batches of an array": lambda _: batches(X),
    "slices of no rows": lambda _: sliced(X, batch_rows=0),
    "slices with weights of another length": lambda _: sliced(X, weights=np.ones(3)),
    "slices of a list": lambda _: sliced(X.tolist()),
    "no Parquet file": lambda folder: parquet(folder / "none.parquet"),
    "no Parquet file in a folder": lambda folder: parquet(folder),
    "standardising a constant": lambda _: standardise(np.column_stack([X[:, 0], np.ones(N)])),
    "batch of a stream from a source": lambda _: GaussianMixture(2).partial_fit(SOURCE),
    "batch of a stream with noise": lambda _: GaussianMixture(2, noise=0.1).partial_fit(X),
    "batch of a stream of other columns": lambda _: fitted().partial_fit(X[:, :2]),
}
FITS = {
    "full collapse": mixture(2, rows=FLAT, reg_covar=0.0),
    "tied collapse": mixture(2, rows=FLAT, reg_covar=0.0, covariance_type="tied"),
    "diag collapse": mixture(2, rows=FLAT[:20] * [1.0, 0.0], reg_covar=0.0, covariance_type="diag"),
    "spherical collapse": mixture(3, rows=np.repeat(X[:3], 5, axis=0), reg_covar=0.0, covariance_type="spherical"),
    "collapse of few rows": mixture(3, rows=X[:6], reg_covar=0.0),
    "out of range": mixture(2, rows=1e200 * X),
    "no convergence": mixture(max_iter=1, tol=0.0),
    "no convergence of a variational fit": bayesian(max_iter=1, tol=0.0),
    "no convergence of a classifier": classified(LABELS, max_iter=1, tol=0.0, n_components=1),
    "warm start with other components": lambda _: (
        GaussianMixture(2, warm_start=True, random_state=0).fit(X).set_params(n_components=3).fit(X)
    ),
    "warm start with another type": lambda _: (
        GaussianMixture(2, warm_start=True, random_state=0).fit(X).set_params(covariance_type="diag").fit(X)
    ),
    "too few degrees of freedom": bayesian(degrees_of_freedom_prior=1.0),
    "mean prior of another shape": bayesian(mean_prior=[0.0]),
    "covariance prior of another shape": bayesian(covariance_prior=np.eye(2)),
    "spherical covariance prior": bayesian(covariance_type="spherical", covariance_prior=[1.0, 1.0, 1.0]),
    "negative covariance prior": bayesian(covariance_type="diag", covariance_prior=[1.0, -1.0, 1.0]),
    "a family that variational fits have not": bayesian(covariance_type="VVV"),
    "one class": classified(np.zeros(N, dtype=int)),
    "no class": classified(np.full(N, -1)),
    "no classes at all": classified(None),
    "classes of another length": classified(Y[:9]),
    "classes with NaN": classified(np.where(Y == 0, np.nan, Y)),
    "class without weight": classified(Y, weight=np.where(np.arange(N) == np.flatnonzero(Y == 2)[0], 1.0, 0.0)),
    "class smaller than its components": classified(LABELS, n_components=20),
    "sizes of another number of classes": classified(LABELS, n_components=[1, 2]),
    "class priors of another length": classified(LABELS, priors=[0.5, 0.5]),
    "class priors that do not sum to one": classified(LABELS, priors=[0.5, 0.5, 0.5]),
    "no covariance types": classified(LABELS, covariance_type=[]),
    "unknown covariance type in a list": classified(LABELS, covariance_type=["full", "EEF"]),
    "too much contamination": lambda _: GaussianMixtureOutlierDetector(contamination=0.7).fit(X),
    "unknown robustness": lambda _: GaussianMixtureOutlierDetector(robust="median").fit(X),
    "trimming that leaves too few": lambda _: GaussianMixtureOutlierDetector(5, robust_share=0.5).fit(X[:8]),
    "regressor without targets": lambda _: GaussianMixtureRegressor().fit(X, None),
    "targets with NaN": lambda _: GaussianMixtureRegressor().fit(X, np.full(N, np.nan)),
    "search over no sizes": lambda _: GaussianMixtureSearch([]).fit(X),
    "search over no types": lambda _: GaussianMixtureSearch(2, []).fit(X),
    "search by an unknown criterion": lambda _: GaussianMixtureSearch(2, criterion="mdl").fit(X),
    "search of which nothing is left": lambda _: GaussianMixtureSearch([2], ["VVV"], random_state=0).fit(FLAT),
    "folds of a source": lambda _: GaussianMixtureSearch(2, criterion="cv_log_likelihood").fit(SOURCE),
    "criterion of weights that sum to one": lambda _: GaussianMixtureSearch([2], ["VVV"]).fit(
        X, sample_weight=np.full(N, 1.0 / N)
    ),
}
QUESTIONS = {
    "prediction before a fit": lambda _: GaussianMixture().predict(X),
    "prediction of a classifier before a fit": lambda _: GaussianMixtureClassifier().predict(X),
    "prediction of a detector before a fit": lambda _: GaussianMixtureOutlierDetector().predict(X),
    "prediction of a regressor before a fit": lambda _: GaussianMixtureRegressor().predict(X),
    "prediction of a search before a fit": lambda _: GaussianMixtureSearch().predict(X),
    "prediction of other columns": lambda _: fitted().predict(X[:, :2]),
    "prediction of a source of other columns": lambda _: fitted().predict(batches(lambda: iter([X[:, :2]]))),
    "prediction of NaN": lambda _: fitted().predict(changed(X, np.nan)),
    "blocks by an unknown method": lambda _: fitted().predict_blocks(X, method="transform"),
    "no rows to draw": lambda _: fitted().sample(0),
    "scorer of a model with a background": lambda _: fitted(noise=0.1).scorer(),
    "scikit-learn's model of one with a background": lambda _: fitted(noise=0.1).to_sklearn(),
    "marginal of no columns": lambda _: fitted().marginal([]),
    "marginal of a column that is not there": lambda _: fitted().marginal([5]),
    "condition on all columns": lambda _: fitted().condition([0, 1, 2], [0.0, 0.0, 0.0]),
    "condition on values of another shape": lambda _: fitted().condition([0], [[0.0, 1.0]]),
    "divergence from a number": lambda _: fitted().kl_bounds(1.0),
    "intervals of several features": lambda _: fitted().highest_density_intervals(),
    "coverage above one": lambda _: fitted().highest_density_level(1.5),
    "merging with a background": lambda _: merge_components(fitted(noise=0.1), X),
    "parameters of another shape": lambda _: GaussianMixture.from_parameters([0.5, 0.5], np.zeros((2, 2)), np.eye(2)),
    "parameters that are no weights": lambda _: GaussianMixture.from_parameters([0.7, 0.7], np.eye(2), [np.eye(2)] * 2),
    "targets of another shape": lambda _: (
        GaussianMixtureRegressor(1).fit(X[:, :2], X[:, 2]).log_density(X[:, :2], X[:5, 2])
    ),
    "time limit below zero": lambda _: TimeLimit(-1.0),
    "unknown engine": lambda _: fastgmm.set_config(engine="gpu"),
    "no threads": lambda _: fastgmm.set_config(n_threads=0),
    "unknown setting": lambda _: fastgmm.set_config(threads=2),
}
FILES = {
    "saving what is no model": lambda folder: save({"means": 1}, folder / "model.npz"),
    "saving an attribute that a file cannot hold": lambda folder: save(
        GaussianMixture(random_state=np.random.default_rng(0)), folder / "model.npz"
    ),
    "saving to a folder": lambda folder: save(GaussianMixture(), folder),
    "loading what is no model": lambda folder: load(file_of(folder, b"weights")),
    "loading half a model": lambda folder: load(file_of(folder, (MODELS / "version1_gaussian.npz").read_bytes()[:900])),
    "loading a model of a later version": lambda folder: load(
        file_of(folder, of_version_999((MODELS / "version1_gaussian.npz").read_bytes()))
    ),
}
MESSAGES = {**PARAMETERS, **DATA, **FITS, **QUESTIONS, **FILES}


def message_of(name):
    """Return the kind and the text of all that a user is told, warnings first; folders are called FOLDER.

    Of scikit-learn's long refusals the first line is kept, and names in braces are put in order, as scikit-learn's
    are in that of a set.
    """
    told = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            MESSAGES[name](Path(folder))
        except Exception as error:
            told.append([type(error).__name__, str(error)])
        # NumPy's own, of overflows, depend on how it was built.
        caught = [warning for warning in caught if not issubclass(warning.category, RuntimeWarning)]
        told = [[warning.category.__name__, str(warning.message)] for warning in caught] + told
    return [[kind, _settled(text.replace(folder, "FOLDER"))] for kind, text in told]


def _settled(text):
    text = re.sub(r"\{([^{}]*)\}", lambda found: "{" + ", ".join(sorted(found[1].split(", "))) + "}", text)
    return text.split("\n", 1)[0]
