"""Fits and predictions on Spark frames, in two threads of this machine: the answer of memory."""

import os
import pickle
import shutil
import sys
import warnings
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from test_dask import CLASSES, assert_same, assert_same_bits, rows_of_a_mixture, spoiled

from fastgmm import (
    BayesianGaussianMixture,
    GaussianMixture,
    GaussianMixtureClassifier,
    GaussianMixtureOutlierDetector,
    GaussianMixtureRegressor,
    GaussianMixtureSearch,
    config,
    config_context,
)
from fastgmm.data import ArrayRows, SparkRows, standardise
from fastgmm.exceptions import ComponentCollapseError

da = pytest.importorskip("dask.array")
pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")
pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'fastgmm[spark]'")
if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
    pytest.skip("Spark needs Java, and there is none on the path and no JAVA_HOME", allow_module_level=True)

pytestmark = [
    pytest.mark.thread_unsafe(reason="Spark's session is the whole process's"),
    pytest.mark.filterwarnings("ignore:Best performing initialization did not converge"),
    # What pyspark says of versions that are newer than it.
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support"),
]

NAMES = list("abcd")
OPTIONS = {"n_components": 3, "random_state": 0, "tol": 1e-6, "max_iter": 3}


def session(master, **options):
    """Return a Spark session on this machine that listens to nobody else."""
    from pyspark.sql import SparkSession

    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    builder = SparkSession.builder.master(master)
    given = {
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.codegen.wholeStage": "false",
        "spark.pyspark.python": sys.executable,
        "spark.executorEnv.PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        **options,
    }
    for name, value in given.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    return spark


@pytest.fixture(scope="module")
def spark():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spark = session("local[2]")
        yield spark
        spark.stop()


@pytest.fixture(scope="module")
def X():
    return rows_of_a_mixture()


def frame_of(spark, columns, n_partitions=2):
    """Return columns, arrays by name, as a frame of as many rows in each partition, made anew in each pass."""
    table = pa.table({name: pa.array(column) for name, column in columns.items()})
    schema = spark.createDataFrame(pd.DataFrame({k: v[:1] for k, v in columns.items()})).schema

    def rows(batches):
        for batch in batches:
            yield from table.take(batch.column(0)).to_batches()

    return spark.range(0, table.num_rows, 1, n_partitions).mapInArrow(rows, schema)


def columns_of(X):
    return dict(zip(NAMES, np.asarray(X).T, strict=False))


def column(frame, name):
    """Return a column of a frame as an array."""
    return np.array([row[0] for row in frame.select(name).collect()])


# The answer of memory.


@pytest.mark.parametrize("cls", CLASSES)
def test_a_fit_is_that_of_memory(cls, spark, X):
    frame = frame_of(spark, columns_of(X))
    model, expected = cls(**OPTIONS).fit(frame), cls(**OPTIONS).fit(X)
    assert_same(model, expected)
    assert_allclose(model.score(frame), expected.score(X), rtol=1e-12)
    assert model.feature_names_in_.tolist() == NAMES
    assert model.n_samples_seen_ == len(X)


def test_the_same_blocks_give_the_same_bits_on_dask(spark, X):
    frame, blocks = frame_of(spark, columns_of(X)), da.from_array(X, chunks=(2500, -1))
    assert_same_bits(GaussianMixture(**OPTIONS).fit(frame), GaussianMixture(**OPTIONS).fit(blocks))


def test_results_of_many_partitions_are_joined_by_executors_and_give_the_same_bits(spark, X):
    frame, blocks = frame_of(spark, columns_of(X), 100), da.from_array(X, chunks=(50, -1))
    options = {**OPTIONS, "max_iter": 1}
    assert_same_bits(GaussianMixture(**options).fit(frame), GaussianMixture(**options).fit(blocks))


def test_a_partition_is_cut_into_blocks(spark):
    rows = np.random.default_rng(0).normal(size=(300_000, 1))
    found = SparkRows(frame_of(spark, {"a": rows[:, 0]}, 1))
    assert list(found.map(len_of)) == [262_144, 37_856]
    assert_array_equal(np.concatenate(list(found.blocks())), rows)


def len_of(block):
    return len(block.rows)


def test_float32_stays_float32_and_integers_are_numbers(spark, X):
    single = X.astype(np.float32)
    model = GaussianMixture(**OPTIONS).fit(frame_of(spark, columns_of(single)))
    assert model.means_.dtype == np.float32
    assert_same(model, GaussianMixture(**OPTIONS).fit(single), rtol=1e-6)
    whole = (10 * X).astype(np.int64)
    assert_same(
        GaussianMixture(**OPTIONS).fit(frame_of(spark, columns_of(whole))), GaussianMixture(**OPTIONS).fit(whole)
    )


def test_weights_are_a_column(spark, X):
    weight = np.random.default_rng(2).integers(0, 4, size=len(X)).astype(float)
    frame = frame_of(spark, {**columns_of(X), "weight of it": weight})
    model = GaussianMixture(**OPTIONS).fit(frame, sample_weight="weight of it")
    expected = GaussianMixture(**OPTIONS).fit(X, sample_weight=weight)
    assert_same(model, expected)
    assert model.feature_names_in_.tolist() == NAMES
    for name in ("score", "aic", "bic", "icl"):
        found = getattr(model, name)(frame, sample_weight="weight of it")
        assert_allclose(found, getattr(expected, name)(X, sample_weight=weight), rtol=1e-12)
    source = SparkRows(frame, columns=NAMES[:2], weights="weight of it")
    expected = GaussianMixture(**OPTIONS).fit(X[:, :2], sample_weight=weight)
    assert_same(GaussianMixture(**OPTIONS).fit(source), expected)


def test_known_components_are_a_column(spark, X):
    labels = np.where(np.arange(len(X)) % 7 == 0, GaussianMixture(**OPTIONS).fit(X).predict(X), -1)
    frame = frame_of(spark, {**columns_of(X), "known": labels})
    expected = GaussianMixture(**OPTIONS).fit(X, labels=labels)
    assert_same(GaussianMixture(**OPTIONS).fit(frame, labels="known"), expected)
    missing = frame.selectExpr(*NAMES, "nullif(known, -1) as known")
    assert_same(GaussianMixture(**OPTIONS).fit(SparkRows(missing, labels="known")), expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_sample_is_the_one_that_memory_draws(weighted, spark, X):
    weight = np.random.default_rng(3).integers(0, 3, size=len(X)).astype(float) if weighted else None
    columns = {**columns_of(X), **({"w": weight} if weighted else {})}
    source = SparkRows(frame_of(spark, columns), weights="w" if weighted else None)
    for n_rows in (1, 100, 5000):
        found = source.sample(n_rows, np.random.RandomState(0))
        expected = ArrayRows(X, weight).sample(n_rows, np.random.RandomState(0))
        assert_array_equal(found.X, expected.X)


def test_partitions_without_rows_change_nothing(spark, X):
    frame = frame_of(spark, columns_of(X[:3]), 8)
    assert SparkRows(frame).sample().n_samples == 3
    few = frame_of(spark, columns_of(X), 3).where("spark_partition_id() = 1")
    assert_same(GaussianMixture(**OPTIONS).fit(few), GaussianMixture(**OPTIONS).fit(X[1666:3333]))


def test_a_task_has_one_thread_unless_more_are_asked_for(spark, X):
    source = SparkRows(frame_of(spark, columns_of(X)))
    assert source.fold(partial(np.zeros, 1), add_threads) == 2
    with config_context(n_threads=3):
        assert source.fold(partial(np.zeros, 1), add_threads) == 6


def add_threads(block, total):
    total += config.n_threads()


def test_columns_are_standardised(spark, X):
    frame, expected = frame_of(spark, columns_of(X)), standardise(X)
    found = standardise(frame)
    assert_allclose(found.scale, expected.scale, rtol=1e-12)
    model = GaussianMixture(**OPTIONS).fit(found.rows)
    assert_same(model, GaussianMixture(**OPTIONS).fit((X - expected.shift) / expected.scale), rtol=1e-8)
    assert_array_equal(column(model.predict(found.rows), "prediction"), model.predict(expected.rows))


# Every estimator.


def test_a_search_is_that_of_memory(spark, X):
    options = {"n_components": [1, 3], "covariance_type": ["EEE", "VVV"], "random_state": 0, "max_iter": 4}
    frame = frame_of(spark, {**columns_of(X), "w": np.ones(len(X))})
    expected = GaussianMixtureSearch(**options).fit(X, sample_weight=np.ones(len(X)))
    search = GaussianMixtureSearch(**options).fit(frame, sample_weight="w")
    assert search.best_params_ == expected.best_params_
    assert_allclose(search.results_["bic"], expected.results_["bic"], rtol=1e-10)
    assert_allclose(search.score(frame), expected.score(X), rtol=1e-10)
    assert_array_equal(column(search.predict(frame), "prediction"), expected.predict(X))


def test_a_classifier_reads_its_classes(spark, X):
    y = np.array(["north", "south", ""])[GaussianMixture(**OPTIONS).fit(X).predict(X)]
    frame = frame_of(spark, {**columns_of(X), "side": y})
    options = {"n_components": 2, "random_state": 0, "tol": 1e-6, "max_iter": 500}
    model = GaussianMixtureClassifier(**options).fit(frame, y="side")
    expected = GaussianMixtureClassifier(**options).fit(X, y)
    assert_allclose(model.means_, expected.means_, rtol=1e-6)
    assert model.classes_.tolist() == ["north", "south"]
    predicted = model.predict_proba(model.predict(frame))
    assert predicted.columns == [*NAMES, "side", "prediction", "probability"]
    assert_array_equal(column(predicted, "prediction"), expected.predict(X))
    assert_allclose(np.stack(column(predicted, "probability")), expected.predict_proba(X), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("robust", ["trimming", "noise", None])
def test_a_detector_is_that_of_memory(robust, spark, X):
    options = {"n_components": 2, "robust": robust, "contamination": 0.05, "random_state": 0, "max_iter": 5}
    frame = frame_of(spark, columns_of(X))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = GaussianMixtureOutlierDetector(**options).fit(frame)
        expected = GaussianMixtureOutlierDetector(**options).fit(X)
    assert_allclose(model.mixture_.means_, expected.mixture_.means_, rtol=1e-8, atol=1e-8)
    assert_allclose(model.offset_, expected.offset_, rtol=1e-8)
    marked = model.pvalue(model.predict(frame))
    assert_array_equal(column(marked, "prediction"), expected.predict(X))
    assert_allclose(column(marked, "pvalue"), expected.pvalue(X), rtol=1e-10)


@pytest.mark.parametrize("targets", ["c", ["c", "d"]])
def test_a_regressor_reads_its_targets(targets, spark, X):
    frame = frame_of(spark, columns_of(X))
    inputs = X[:, :2] if len(targets) == 2 else X[:, [0, 1, 3]]
    expected = GaussianMixtureRegressor(2, random_state=0).fit(inputs, X[:, 2] if targets == "c" else X[:, 2:])
    model = GaussianMixtureRegressor(2, random_state=0).fit(frame, y=targets)
    assert model.feature_names_in_.tolist() == [name for name in NAMES if name not in targets]
    predicted = np.stack(column(model.predict(frame), "prediction"))
    assert_allclose(predicted, expected.predict(inputs), rtol=1e-6, atol=1e-6)
    spread = np.array(column(model.predict_covariance(frame), "covariance").tolist())
    assert_allclose(spread, expected.predict_covariance(inputs), rtol=1e-6, atol=1e-6)


# Predictions.


@pytest.mark.parametrize(
    ("method", "name"),
    [("predict", "prediction"), ("predict_proba", "probability"), ("score_samples", "log_density")],
)
def test_a_prediction_is_a_further_column(method, name, spark, X):
    model = GaussianMixture(**OPTIONS).fit(pd.DataFrame(X, columns=NAMES))
    expected = getattr(model, method)(pd.DataFrame(X, columns=NAMES))
    columns = {"id": np.arange(len(X)).astype(str), **dict(reversed(columns_of(X).items()))}
    found = getattr(model, method)(frame_of(spark, columns))
    assert found.columns == [*columns, name]
    # What a later fit does to the model is no part of it.
    model.fit(pd.DataFrame(X[:100], columns=NAMES))
    rows = found.select("id", name).collect()
    assert [int(row["id"]) for row in rows] == list(range(len(X)))
    assert_allclose(np.array([row[name] for row in rows]), expected, rtol=1e-10)


def test_a_prediction_has_the_precision_of_the_rows(spark, X):
    single = X.astype(np.float32)
    model = GaussianMixture(**OPTIONS).fit(pd.DataFrame(single, columns=NAMES))
    found = dict(model.predict_proba(model.score_samples(frame_of(spark, columns_of(single)))).dtypes)
    assert found["log_density"] == "float"
    assert found["probability"] == "array<float>"


def test_predictions_come_block_by_block_too(spark, X):
    frame = frame_of(spark, columns_of(X))
    model = GaussianMixture(**OPTIONS)
    labels = column(model.fit_predict(frame), "prediction")
    blocks = list(model.predict_blocks(frame))
    assert [len(block) for block in blocks] == [2500] * 2
    assert_array_equal(np.concatenate(blocks), labels)


def test_a_model_is_pickled_without_the_frame(spark, X):
    model = GaussianMixture(**OPTIONS).fit(frame_of(spark, columns_of(X)))
    assert_array_equal(pickle.loads(pickle.dumps(model)).means_, model.means_)


# Errors.


def test_what_is_wrong_is_named_by_partition_block_row_and_column(spark, X):
    where = "X, Spark frame of 4 columns, partition 1, block 0, row 17, column 'c': "
    with pytest.raises(ValueError, match=where + "NaN; expected finite"):
        GaussianMixture(2).fit(frame_of(spark, columns_of(spoiled(X, 2517, 2))))
    frame = frame_of(spark, columns_of(X)).selectExpr("a", "b", f"nullif(c, {float(X[2517, 2])!r}D) as c", "d")
    with pytest.raises(ValueError, match=r"partition 1, block 0, column 'c', row 17: the value is missing"):
        GaussianMixture(2).fit(frame)
    weight = np.where(np.arange(len(X)) == 2517, -1.0, 1.0)
    with pytest.raises(ValueError, match=r"partition 1, block 0, row 17: -1\.0; expected finite numbers of at least 0"):
        GaussianMixture(2).fit(frame_of(spark, {**columns_of(X), "w": weight}), sample_weight="w")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda frame: frame.selectExpr("*", "'x' as text"), ValueError, "has 'text' of type string; expected numbers"),
        (lambda frame: frame.selectExpr("array(a, b) as features"), ValueError, "of type array<double>"),
        (lambda frame: frame.where("a > 1e9"), ValueError, "has no rows; expected at least one"),
        (lambda frame: frame.limit(1), ValueError, "has 1 row; expected at least 2"),
        (lambda frame: frame.rdd, TypeError, "expected a Spark DataFrame"),
    ],
)
def test_what_is_no_matrix_of_numbers_is_refused(change, error, message, spark, X):
    with pytest.raises(error, match=message):
        GaussianMixture(2).fit(change(frame_of(spark, columns_of(X))))


def test_names_are_checked(spark, X):
    frame = frame_of(spark, {**columns_of(X), "w": np.zeros(len(X))})
    model = GaussianMixture(2)
    with pytest.raises(ValueError, match=r"sample_weight is 'v' and X is a Spark frame; expected .*: a, b, c, d, w"):
        model.fit(frame, sample_weight="v")
    with pytest.raises(ValueError, match=r"sample_weight is array.* and X is a Spark frame; expected the name"):
        model.fit(frame, sample_weight=np.ones(5000))
    with pytest.raises(ValueError, match=r"labels is array.* and X is a Spark frame; expected the name"):
        model.fit(frame, labels=np.zeros(5000, dtype=int))
    with pytest.raises(ValueError, match="zero everywhere"):
        model.fit(frame, sample_weight="w")
    with pytest.raises(ValueError, match="has no 'e'; expected the columns a, e"):
        SparkRows(frame, columns=["a", "e"]).sample()
    with pytest.raises(ValueError, match="has 5 features; expected 4"):
        model.fit(X).predict(frame)
    model.fit(pd.DataFrame(X, columns=NAMES))
    with pytest.raises(ValueError, match="has no 'd'"):
        model.predict(frame.drop("d"))
    with pytest.raises(ValueError, match="has a column 'prediction' already"):
        model.predict(frame.withColumnRenamed("w", "prediction"))
    with pytest.raises(ValueError, match="X is a source"):
        model.partial_fit(frame)


def test_rows_that_change_between_passes_are_an_error_and_leave_the_model_alone(spark, X, tmp_path):
    def shorter(batches):
        for batch in batches:
            (tmp_path / f"{os.getpid()}-{len(list(tmp_path.iterdir()))}").touch()
            yield batch.slice(int(len(list(tmp_path.iterdir())) > 5))

    frame = frame_of(spark, columns_of(X), 1)
    model = GaussianMixture(2, tol=0)
    with pytest.raises(ValueError, match="has changed since the first pass: 4999 rows; expected 5000"):
        model.fit(frame.mapInArrow(shorter, frame.schema))
    assert not hasattr(model, "means_")


def test_a_collapse_is_told_as_it_is_in_memory(spark, X):
    few = frame_of(spark, columns_of(np.repeat(X[:4], 100, axis=0)))
    with pytest.raises(ComponentCollapseError):
        GaussianMixture(4, reg_covar=0).fit(few)


def test_priors_and_starts_are_those_of_memory(spark, X):
    frame = frame_of(spark, columns_of(X))
    for options in ({"init_params": "multistart"}, {"init_params": "hc"}, {"prior": "default"}):
        given = {**OPTIONS, **options}
        assert_same(GaussianMixture(**given).fit(frame), GaussianMixture(**given).fit(X), rtol=1e-8)
    given = {**OPTIONS, "weight_concentration_prior_type": "dirichlet_distribution"}
    assert_same(BayesianGaussianMixture(**given).fit(frame), BayesianGaussianMixture(**given).fit(X))
