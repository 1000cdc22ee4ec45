"""Rows x E-step x family x estimator: what makes sense gives the answer of an array, what does not is refused by name.

The table is in `combinations`, the kinds of rows are in `row_kinds`. A combination that is missing from the table fails
a test, and so does an estimator, an E-step, a family or a question that the package has and the table has not.
"""

import inspect
import itertools

import numpy as np
import pytest
from combinations import (
    AFTER_A_FIT,
    BY_THEMSELVES,
    CELLS,
    E_STEPS,
    ESTIMATORS,
    FAMILIES,
    IN_MEMORY,
    REFUSED,
    WORKING,
    asked,
    assert_same_answers,
    assert_same_model,
    data_for,
    fitted_to_array,
    made,
    name_of,
    promises_bits,
)
from numpy.testing import assert_allclose, assert_array_equal
from row_kinds import KINDS, OTHERS, without
from sklearn.base import TransformerMixin

import fastgmm
from fastgmm.data import RowSource, StreamedRows, distributed, rows, sources, streamed_rows
from fastgmm.data.e_steps import EStep
from fastgmm.families import Family
from fastgmm.starts import INIT_PARAMS

# Fits are cut off before they have converged: what is compared is the way there.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def in_one_thread():
    """Dask's threads have tests of their own, and cost more here than the work."""
    try:
        import dask
    except ImportError:
        yield
        return
    with dask.config.set(scheduler="synchronous"):
        yield


# The laws.


def subclasses(cls):
    return {sub for child in cls.__subclasses__() for sub in {child, *subclasses(child)}}


def test_the_table_has_all_combinations_of_what_the_package_has():
    # An imputer hands rows in memory on to the mixture inside.
    public = {name: getattr(fastgmm, name) for name in fastgmm.__all__}
    # Of factor analysers GaussianMixture has `transform`, too.
    fitted = {name for name, cls in public.items() if hasattr(cls, "fit") and not issubclass(cls, TransformerMixin)}
    assert fitted - BY_THEMSELVES == set(ESTIMATORS)
    for chosen, base in ((E_STEPS, EStep), (FAMILIES, Family)):
        ours = {cls for cls in subclasses(base) if cls.__module__.startswith("fastgmm.")}
        assert set(chosen.values()) == {cls for cls in ours if cls.__name__ not in BY_THEMSELVES}
    assert set(CELLS) == set(itertools.product(ESTIMATORS, E_STEPS, FAMILIES))
    assert set(CELLS.values()) <= set("+-=")


def test_what_is_one_choice_is_one_parameter():
    for cell in (cell for cell, mark in CELLS.items() if mark == "="):
        of_e_step, of_family = asked(*cell)
        assert any(of_e_step[name] != of_family[name] for name in of_e_step.keys() & of_family.keys())


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_question_about_rows_is_in_the_table(estimator):
    methods = inspect.getmembers(getattr(fastgmm, estimator), inspect.isfunction)
    about_rows = {n for n, method in methods if n[0] != "_" and "X" in inspect.signature(method).parameters}
    asking = ESTIMATORS[estimator]
    others = {"fit", "fit_predict", *IN_MEMORY, *AFTER_A_FIT}
    assert about_rows - others == {*asking.questions, *asking.in_memory}


def test_the_box_of_the_background_is_turned():
    box = fitted_to_array(("GaussianMixture", "plain", "background"), True).noise_box_
    assert np.abs(box.axes).max() < 0.95


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("cell", WORKING, ids=name_of)
def test_the_answer_is_that_of_an_array(cell, kind, tmp_path):
    # Weights change no path through the code that hangs on the family.
    for weighted in (False, True) if cell[2] == "full" else (True,):
        data = data_for(*cell[:2], weighted)
        X, further = KINDS[kind].make(data, tmp_path)
        model, expected = made(*cell).fit(X, **further), fitted_to_array(cell, weighted)
        assert_same_model(model, expected, KINDS[kind].same_bits and promises_bits(cell))
        assert hasattr(model, "feature_names_in_") == KINDS[kind].names
        assert_same_answers(model, expected, X, data, further)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cell", REFUSED, ids=name_of)
def test_what_makes_no_sense_is_refused_by_name(cell, kind, tmp_path):
    estimator, e_step, _ = cell
    data = data_for(estimator, e_step)
    X, further = KINDS[kind].make(data, tmp_path)
    with pytest.raises((TypeError, ValueError)) as refused:
        made(*cell).fit(X, **further)
    options = {**asked(*cell)[0], **asked(*cell)[1], **data}
    if estimator == "GaussianMixtureClassifier" and e_step in ("plain", "incomplete"):
        options["y"] = None
    message = str(refused.value)
    assert estimator in message
    assert any(name in message for name in without(options, "X"))


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("cell", [cell for cell in WORKING if cell[2] == "full"], ids=name_of)
def test_the_answer_in_single_precision_is_that_of_an_array(cell, kind, tmp_path):
    data = data_for(*cell[:2], dtype=np.float32)
    X, further = KINDS[kind].make(data, tmp_path)
    model, expected = made(*cell).fit(X, **further), fitted_to_array(cell, False, np.float32)
    # A few roundings of float32, in which these attributes and answers are.
    assert_same_model(model, expected, KINDS[kind].same_bits and promises_bits(cell), rtol=2e-6)
    assert_same_answers(model, expected, X, data, further, rtol=2e-6)


@pytest.fixture
def several_blocks(monkeypatch):
    """Blocks of 128 rows, and starts from all rows none the less: those of the array."""
    for module in (rows, streamed_rows, distributed, sources):
        monkeypatch.setattr(module, "block_rows", lambda n_features: 128)
    draw = StreamedRows.sample
    monkeypatch.setattr(StreamedRows, "sample", lambda self, n_rows=None, random_state=None: draw(self, 500))


@pytest.mark.parametrize("cell", WORKING, ids=name_of)
def test_the_answer_in_several_blocks_is_that_of_one(cell, several_blocks, tmp_path):
    data = data_for(*cell[:2], weighted=True)
    in_blocks = made(*cell).fit(data["X"], **without(data, "X"))
    assert_same_model(in_blocks, fitted_to_array(cell, True), same_bits=False)
    for kind in ("memory map", "batches of mappings"):
        X, further = KINDS[kind].make(data, tmp_path)
        model = made(*cell).fit(X, **further)
        assert_same_model(model, in_blocks, promises_bits(cell))
        assert_same_answers(model, in_blocks, X, data, further)


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("estimator", ["GaussianMixture", "BayesianGaussianMixture"])
def test_an_accelerated_fit_is_that_of_an_array(estimator, kind, tmp_path):
    rng = np.random.default_rng(1)
    data = {"X": np.concatenate([rng.normal(size=(250, 2)), rng.normal(2.0, 1.0, size=(250, 2))])}
    options = {"n_components": 3, "covariance_type": "diag", "tol": 1e-6, "max_iter": 1000, "random_state": 0}
    cls = getattr(fastgmm, estimator)
    X, further = KINDS[kind].make(data, tmp_path)
    expected = cls(acceleration="quasi-newton", **options).fit(data["X"])
    model = cls(acceleration="quasi-newton", **options).fit(X, **further)
    assert 2 * model.n_passes_ < cls(acceleration=None, **options).fit(data["X"]).n_passes_
    if KINDS[kind].same_bits:
        assert_same_model(model, expected, same_bits=True)
    # Rounding changes the way of an accelerated fit, not where it ends.
    assert_allclose(model.lower_bound_, expected.lower_bound_, rtol=1e-6)


@pytest.mark.parametrize("kind", OTHERS)
def test_several_targets_are_those_of_an_array(kind, tmp_path):
    data = data_for("GaussianMixtureRegressor", "plain", weighted=True)
    data["y"] = np.column_stack([data["y"], data["X"].sum(axis=1)])
    X, further = KINDS[kind].make(data, tmp_path)
    cell = ("GaussianMixtureRegressor", "plain", "full")
    model, expected = made(*cell).fit(X, **further), made(*cell).fit(data["X"], data["y"], data["sample_weight"])
    assert_same_model(model, expected, same_bits=False)
    assert_same_answers(model, expected, X, data, further)
    assert model.predict_covariance(X).shape[1:] == (2, 2)


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("estimator", ["GaussianMixture", "BayesianGaussianMixture", "GaussianMixtureOutlierDetector"])
def test_labels_of_a_fit_are_those_of_an_array(estimator, kind, tmp_path):
    data = data_for(estimator, "plain")
    X, further = KINDS[kind].make(data, tmp_path)
    cell = (estimator, "plain", "full")
    assert_array_equal(np.asarray(made(*cell).fit_predict(X, **further)), made(*cell).fit_predict(data["X"]))


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_what_is_asked_of_rows_in_memory_is_not_asked_of_a_source(estimator, kind, tmp_path):
    cell = next(cell for cell in WORKING if cell[0] == estimator)
    model, data = fitted_to_array(cell, False), data_for(*cell[:2])
    X = KINDS[kind].make(data, tmp_path)[0]
    for question in (*ESTIMATORS[estimator].in_memory, *IN_MEMORY):
        if not hasattr(model, question):
            continue
        arguments = (X, data["y"]) if question in ("log_density", "plot") and "y" in data else (X,)
        if isinstance(X, RowSource):
            with pytest.raises(ValueError, match=r"X is a source.* expected an array") as refused:
                getattr(model, question)(*arguments)
            assert question in str(refused.value) or "Use fit" in str(refused.value)
        elif question in ("log_density", "sample"):
            # A dask collection, or a memory map, is loaded.
            wanted = getattr(model, question)(data["X"], *arguments[1:])
            assert_allclose(getattr(model, question)(*arguments), wanted, rtol=1e-12)


def by_first_column(X, n_components, random_state):
    """Return labels: a start of the caller's own."""
    return np.argsort(np.argsort(X[:, 0])) * n_components // len(X)


#: Options that ask further things of rows, or of the sample that a start is made of.
FURTHER = [
    *((("GaussianMixture", "plain", "full"), {"init_params": start, "n_init": 2}) for start in INIT_PARAMS),
    (("GaussianMixture", "plain", "full"), {"init_params": by_first_column}),
    (("GaussianMixture", "plain", "tied"), {"stop_on": "gap"}),
    (("GaussianMixture", "labelled", "full"), {"init_params": "k-means++", "noise": 0.05}),
    (("BayesianGaussianMixture", "plain", "diag"), {"predictive": "student-t", "expected_log_precision": "exact"}),
    (("GaussianMixtureSearch", "plain", "full"), {"criterion": "icl", "init_params": "kmeans"}),
    (("GaussianMixtureSearch", "plain", "full"), {"criterion": "aic", "init_params": by_first_column}),
    *(
        (("GaussianMixtureOutlierDetector", "plain", "full"), {"robust": robust, **options})
        for robust in ("trimming", "noise", None)
        for options in ({"contamination": 0.1}, {"n_components": "bic", "max_components": 3})
    ),
    (("GaussianMixtureRegressor", "plain", "full"), {"n_components": "bic", "max_components": 3}),
    (("GaussianMixtureClassifier", "labelled", "full"), {"n_components": "bic", "unlabelled_weight": 0.3}),
    (
        ("GaussianMixtureClassifier", "labelled", "full"),
        {"covariance_type": ["tied", "full"], "priors": [0.4, 0.6], "shrinkage": 2.0},
    ),
]


def further_name(cell, options):
    return "-".join([*cell[:2], *(getattr(value, "__name__", str(value)) for value in options.values())])


@pytest.mark.parametrize("kind", ["memory map", "batches of mappings", "dask array"])
@pytest.mark.parametrize(("cell", "options"), FURTHER, ids=[further_name(*further) for further in FURTHER])
def test_further_options_mean_what_they_do_of_an_array(cell, options, kind, tmp_path):
    data = data_for(*cell[:2], weighted=True)
    X, further = KINDS[kind].make(data, tmp_path)
    model = made(*cell, **options).fit(X, **further)
    expected = made(*cell, **options).fit(data["X"], **without(data, "X"))
    assert_same_model(model, expected, same_bits=False)
    assert_same_answers(model, expected, X, data, further)
