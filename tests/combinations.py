"""The table of combinations, rows x E-step x family x estimator, and how two fits of one are compared."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from mixtures import random_parameters, random_rows
from numpy.testing import assert_allclose, assert_array_equal
from row_kinds import without

import fastgmm
from fastgmm.data.e_steps import Incomplete, Labelled, Plain, Trimmed
from fastgmm.families import ClassMixtures, Gaussian, Student, Variational, WithBackground

#: What a sum in another order may change in a few iterations; a covariance of these rows loses no digits.
ROUNDING = 1e-9


# What is asked for. An option is asked of the constructor by its name, labels are given to `fit`.

E_STEPS = {
    "plain": Plain,
    "labelled": Labelled,
    "trimmed": Trimmed,
    "incomplete": Incomplete,
    "both": Incomplete,
}
LABELLED, INCOMPLETE = ("labelled", "both"), ("incomplete", "both")
FAMILIES = {
    "full": Gaussian,
    "tied": Gaussian,
    "diag": Gaussian,
    "spherical": Gaussian,
    "EII": Gaussian,
    "VVE": Gaussian,
    "fa": Gaussian,
    "prior": Gaussian,
    "background": WithBackground,
    "variational": Variational,
    "classes": ClassMixtures,
    "student": Student,
}
ASKED = {
    "plain": {},
    "labelled": {},
    "trimmed": {"trim": 0.1},
    "incomplete": {"missing": "marginalise"},
    "both": {"missing": "marginalise"},
    "prior": {"prior": "default"},
    "background": {"noise": 0.05},
    "variational": {"weight_concentration_prior": 0.1},
    "classes": {"shared_covariance": False},
    "student": {"df": "shared"},
    "fa": {"covariance_type": "factor", "n_factors": 1},
}

MIXTURE = (
    "predict",
    "predict_proba",
    "score_samples",
    "score",
    "component_log_density",
    "mahalanobis",
    "predict_blocks",
)
#: Questions that weights are given to.
WEIGHED = ("score", "aic", "bic", "icl")
FEW = {"random_state": 0, "tol": 0.0, "max_iter": 5}


@dataclass(frozen=True)
class Asking:
    """How an estimator is asked: what it is made with, the questions about any rows, those about rows in memory."""

    options: dict
    questions: tuple
    in_memory: tuple = ()


ESTIMATORS = {
    "GaussianMixture": Asking({"n_components": 3, **FEW}, (*MIXTURE, "aic", "bic", "icl"), ("impute",)),
    "BayesianGaussianMixture": Asking({"n_components": 3, **FEW}, MIXTURE, ("impute",)),
    "StudentMixture": Asking({"n_components": 3, **FEW}, (*MIXTURE, "aic", "bic", "icl", "tail_weights"), ("impute",)),
    "GaussianMixtureSearch": Asking(
        {"n_components": [2, 3], "random_state": 0, "max_iter": 3},
        ("predict", "predict_proba", "score_samples", "score", "bic"),
    ),
    "GaussianMixtureClassifier": Asking(
        {"n_components": [1, 2], **FEW},
        ("predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples", "score"),
    ),
    "GaussianMixtureOutlierDetector": Asking(
        {"n_components": 2, "robust": None, "n_simulations": 100, **FEW},
        ("predict", "score_samples", "decision_function", "pvalue"),
    ),
    "GaussianMixtureRegressor": Asking(
        {"n_components": 2, **FEW},
        ("predict", "predict_covariance", "score"),
        ("condition", "log_density", "sample"),
    ),
}
#: Asked of rows in memory by every estimator that has it.
IN_MEMORY = ("partial_fit", "plot", "summary")
#: E-steps, families, estimators and questions that have tests of their own: for few, for many, or after a fit.
BY_THEMSELVES = {"WithErrors", "Truncated", "Sketched", "OpenVariational", "GaussianMixtureClusterer"}
AFTER_A_FIT = {"adapt", "denoise", "drift", "gradient", "hessian", "predict_topk", "statistics", "transform"}

# + works; - is refused by an error that names the estimator and what was asked for; = is one choice: E-step and family
# are two values of one parameter. A classifier without labels lacks y.
TABLE = """
                                          full tied diag spherical EII VVE fa prior background variational classes student
GaussianMixture                plain      +    +    +    +         +   +   +  +     +          -           -       -
GaussianMixture                labelled   +    +    +    +         +   +   +  +     +          -           -       -
GaussianMixture                trimmed    +    +    +    +         +   +   +  +     -          -           -       -
GaussianMixture                incomplete +    +    +    +         +   +   +  +     +          -           -       -
GaussianMixture                both       +    +    +    +         +   +   +  +     +          -           -       -
BayesianGaussianMixture        plain      +    +    +    +         -   -   -  -     -          +           -       -
BayesianGaussianMixture        labelled   +    +    +    +         -   -   -  -     -          +           -       -
BayesianGaussianMixture        trimmed    -    -    -    -         -   -   -  -     -          -           -       -
BayesianGaussianMixture        incomplete +    +    +    +         -   -   -  -     -          +           -       -
BayesianGaussianMixture        both       +    +    +    +         -   -   -  -     -          +           -       -
StudentMixture                 plain      +    +    +    +         +   +   +  +     +          -           -       +
StudentMixture                 labelled   +    +    +    +         +   +   +  +     +          -           -       +
StudentMixture                 trimmed    +    +    +    +         +   +   +  +     -          -           -       +
StudentMixture                 incomplete +    +    +    +         +   +   +  +     +          -           -       +
StudentMixture                 both       +    +    +    +         +   +   +  +     +          -           -       +
GaussianMixtureSearch          plain      +    +    +    +         +   +   +  +     +          -           -       -
GaussianMixtureSearch          labelled   -    -    -    -         -   -   -  -     -          -           -       -
GaussianMixtureSearch          trimmed    -    -    -    -         -   -   -  -     -          -           -       -
GaussianMixtureSearch          incomplete +    +    +    +         +   +   +  +     +          -           -       -
GaussianMixtureSearch          both       -    -    -    -         -   -   -  -     -          -           -       -
GaussianMixtureClassifier      plain      -    -    -    -         -   -   -  -     -          -           -       -
GaussianMixtureClassifier      labelled   +    +    +    +         +   +   +  -     -          -           +       +
GaussianMixtureClassifier      trimmed    -    -    -    -         -   -   -  -     -          -           -       -
GaussianMixtureClassifier      incomplete -    -    -    -         -   -   -  -     -          -           -       -
GaussianMixtureClassifier      both       +    +    +    +         +   +   +  -     -          -           +       +
GaussianMixtureOutlierDetector plain      +    +    +    +         +   +   +  -     +          -           -       +
GaussianMixtureOutlierDetector labelled   -    -    -    -         -   -   -  -     -          -           -       -
GaussianMixtureOutlierDetector trimmed    +    +    +    +         +   +   +  -     =          -           -       +
GaussianMixtureOutlierDetector incomplete +    +    +    +         +   +   +  -     +          -           -       +
GaussianMixtureOutlierDetector both       -    -    -    -         -   -   -  -     -          -           -       -
GaussianMixtureRegressor       plain      +    +    +    +         +   +   +  -     -          -           -       +
GaussianMixtureRegressor       labelled   -    -    -    -         -   -   -  -     -          -           -       -
GaussianMixtureRegressor       trimmed    -    -    -    -         -   -   -  -     -          -           -       -
GaussianMixtureRegressor       incomplete +    +    +    +         +   +   +  -     -          -           -       +
GaussianMixtureRegressor       both       -    -    -    -         -   -   -  -     -          -           -       -
"""  # noqa: E501


def cells():
    """Return the table as a dict by (estimator, E-step, family)."""
    head, *lines = TABLE.strip("\n").splitlines()
    rows = {tuple(words[:2]): words[2:] for words in map(str.split, lines)}
    return {(*of, family): mark for of, marks in rows.items() for family, mark in zip(head.split(), marks, strict=True)}


CELLS = cells()
WORKING = [cell for cell, mark in CELLS.items() if mark == "+"]
REFUSED = [cell for cell, mark in CELLS.items() if mark == "-"]


def asked(estimator, e_step, family):
    """Return what is asked of the constructor for an E-step and for a family."""
    options = ASKED.get(family, {"covariance_type": family})
    if estimator == "GaussianMixtureOutlierDetector" and family == "background":
        options = {"robust": "noise"}
    if family == "student" and not estimator.endswith(("Mixture", "Search")):
        options = {"distribution": "student"}
    if estimator == "GaussianMixtureSearch" and "covariance_type" not in options:
        options = {**options, "covariance_type": ["tied", "full"]}
    if estimator == "GaussianMixtureOutlierDetector" and e_step == "trimmed":
        return {"robust": "trimming"}, options
    return ASKED[e_step], options


def made(estimator, e_step, family, **options):
    """Return the estimator that a combination asks for."""
    of_e_step, of_family = asked(estimator, e_step, family)
    return getattr(fastgmm, estimator)(**{**ESTIMATORS[estimator].options, **of_family, **of_e_step, **options})


@cache
def all_data():
    """Return rows of three components, two of one class, with everything that may come along."""
    rng = np.random.default_rng(0)
    truth = random_parameters("full", 3, 2, rng, spread=3.0)
    X = np.concatenate([random_rows(truth, 470, rng), rng.uniform(-12.0, 12.0, size=(30, 2))])
    X = X[rng.permutation(500)]
    distance = ((X[:, None, :] - truth.means) ** 2).sum(axis=2)
    component = distance.argmin(axis=1)
    # Stretched along no axis: a box of a background is turned.
    X = X @ [[1.0, 0.8], [0.0, 0.6]]
    weight = rng.uniform(0.3, 2.0, size=500) * (rng.uniform(size=500) < 0.9)
    known = rng.uniform(size=500) < 0.3
    return {
        "X": X,
        "sample_weight": weight,
        "labels": np.where(known, component, -1),
        "classes": np.where(known, np.array(["one", "several", "several"])[component], ""),
        "missing": rng.uniform(size=X.shape) < 0.2,
        "targets": np.sin(X[:, 0]) + 0.3 * rng.normal(size=500),
    }


def data_for(estimator, e_step, weighted=False, dtype=np.float64):
    """Return X and what rides along for an estimator and E-step."""
    given = all_data()
    data = {"X": given["X"].astype(dtype)}
    if e_step in INCOMPLETE:
        data["X"][given["missing"]] = np.nan
    if weighted:
        data["sample_weight"] = given["sample_weight"]
    if estimator == "GaussianMixtureRegressor":
        data["y"] = given["targets"]
    if e_step in LABELLED and estimator == "GaussianMixtureClassifier":
        data["y"] = given["classes"]
    elif e_step in LABELLED:
        data["labels"] = given["labels"]
    return data


@cache
def fitted_to_array(cell, weighted, dtype=np.float64, **options):
    data = data_for(*cell[:2], weighted, dtype)
    return made(*cell, **options).fit(data["X"], **without(data, "X"))


def name_of(cell):
    return "-".join(cell)


# What is compared.


def fitted(model):
    """Return the fitted attributes, those of mixtures inside included."""
    found = {}
    for name, value in vars(model).items():
        if name.endswith("_") and name not in ("feature_names_in_", "results_", "near_ties_", "best_params_"):
            if hasattr(value, "means_"):
                found |= {f"{name}.{inner}": part for inner, part in fitted(value).items()}
            elif name == "noise_box_":
                found |= {f"{name}.{side}": getattr(value, side) for side in ("axes", "low", "high")}
            else:
                found[name] = value
    return found


def rtol_of(model, rtol):
    """Return how far two fits may be apart: degrees of freedom, in which the likelihood is flat, multiply rounding.

    So do loadings, which a few iterations leave where the likelihood is nearly flat.
    """
    loadings = hasattr(getattr(model, "mixture_", getattr(model, "best_estimator_", model)), "loadings_")
    return rtol * 1e3 if hasattr(model, "df_") or loadings else rtol


PARAMETERS = ("weights_", "means_", "covariances_", "precisions_cholesky_", "lower_bounds_", "n_iter_", "converged_")


def assert_same_model(model, expected, same_bits, rtol=ROUNDING):
    ours, theirs = fitted(model), fitted(expected)
    rtol = rtol_of(expected, rtol)
    assert ours.keys() == theirs.keys()
    for name, wanted in theirs.items():
        last = name.rpartition(".")[2]
        if last == "log_likelihood_gap_" and not same_bits:
            continue  # a quotient of small differences
        assert np.asarray(ours[name]).dtype == np.asarray(wanted).dtype, name
        found = ours[name]
        if last == "df_":
            found, wanted = 1 / found, 1 / wanted  # the likelihood hardly knows large ones
        assert_same(found, wanted, 0.0 if same_bits and last in PARAMETERS else rtol, name)


def assert_same(found, wanted, rtol, what):
    wanted = np.asarray(wanted)
    if rtol == 0.0 or wanted.dtype.kind in "iUOb":
        assert_array_equal(found, wanted, err_msg=what)
    else:
        scale = np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0)
        assert_allclose(found, wanted, rtol=rtol, atol=rtol * scale, err_msg=what)


def promises_bits(cell):
    """Return whether the documentation promises the bits of an array from sources that read the same blocks.

    Labelled rows of an array are sorted out once, the box of a background and the units of a regressor are taken in
    passes: all of them come to other sums.
    """
    estimator, e_step, family = cell
    as_read = e_step in ("plain", "trimmed")
    return as_read and family != "background" and estimator != "GaussianMixtureRegressor"


def answer(model, question, X, data, further):
    """Return the answer to a question about rows, as an array; weights go where rows do not bring them."""
    method = getattr(model, question)
    if question == "predict_blocks":
        return np.concatenate(list(method(X)))
    if question == "score" and "y" in data:
        return np.asarray(method(X, data["y"], sample_weight=data.get("sample_weight")))
    if question in WEIGHED and "sample_weight" in further:
        return np.asarray(method(X, sample_weight=further["sample_weight"]))
    return np.asarray(method(X))


def assert_same_answers(model, expected, X, data, further, rtol=ROUNDING):
    """Compare what two models that are the same say of rows."""
    rtol = rtol_of(expected, rtol)
    for question in ESTIMATORS[type(model).__name__].questions:
        wanted = answer(expected, question, named_like(expected, data["X"]), data, without(data, "X"))
        assert_same(answer(model, question, X, data, further), wanted, rtol, question)


def named_like(model, X):
    """Return rows as the model knows their columns."""
    if not hasattr(model, "feature_names_in_"):
        return X
    return pytest.importorskip("pandas").DataFrame(X, columns=list(model.feature_names_in_))
