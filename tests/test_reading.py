"""How a pass reads blocks: what it checks, what memory it writes to, and columns of Arrow as rows."""

from itertools import pairwise

import numpy as np
import pytest
from mixtures import random_parameters, random_rows
from numpy.testing import assert_array_equal

from fastgmm import GaussianMixture
from fastgmm.data import batches, parquet, sliced, streamed_rows
from fastgmm.data.e_steps import Plain


def cut(X, size):
    return (X[start : start + size] for start in range(0, len(X), size))


def spoiled(X, row, column, value):
    X = X.copy()
    X[row, column] = value
    return X


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 64 rows."""
    monkeypatch.setattr(streamed_rows, "block_rows", lambda n_features: 64)


# A pass of EM does not look at each number: what it leaves behind tells.

WRONG = [(0, 0, np.nan), (211, 2, np.inf), (130, 1, -np.inf), (299, 2, np.nan)]


@pytest.mark.parametrize(("row", "column", "value"), WRONG)
def test_a_pass_names_a_number_that_is_not_finite(row, column, value, structure, dtype, engine, small_blocks):
    rng = np.random.default_rng(0)
    density = random_parameters(structure, 4, 3, rng)
    X = spoiled(random_rows(density, 300, rng, dtype), row, column, value)
    kind = "NaN" if np.isnan(value) else "infinity"
    where = rf"block {row // 50}, row {row % 50} \(row {row} of all\), column {column}: {kind}"
    with pytest.raises(ValueError, match=where):
        Plain().prepare(batches(lambda: cut(X, 50))).accumulate(density)
    with pytest.raises(ValueError, match=rf"block 0, row {row} \(row {row} of all\), column {column}: {kind}"):
        Plain().prepare(sliced(X)).accumulate(density)


@pytest.mark.parametrize(("row", "column", "value"), WRONG)
def test_a_background_hides_no_such_number(row, column, value, structure, dtype, small_blocks):
    rng = np.random.default_rng(0)
    X = random_rows(random_parameters(structure, 2, 3, rng), 300, rng, dtype)
    density = GaussianMixture(2, covariance_type=structure, noise=0.1, random_state=0, tol=1e9).fit(X)._density()
    with pytest.raises(ValueError, match=rf"block {row // 50}, row {row % 50} "):
        Plain().prepare(batches(lambda: cut(spoiled(X, row, column, value), 50))).accumulate(density)


def test_numbers_beyond_every_component_are_no_error(engine, small_blocks):
    """The log-likelihood is minus infinity, and the rows are finite."""
    density = random_parameters("full", 2, 2, np.random.default_rng(0))
    X = random_rows(density, 300, np.random.default_rng(1))
    X[100] = 1e200
    with np.errstate(all="ignore"):
        statistics = Plain().prepare(batches(lambda: cut(X, 50))).accumulate(density)
    assert statistics.log_likelihood == -np.inf


def test_what_is_not_finite_in_a_row_of_no_weight_is_ignored(small_blocks):
    rng = np.random.default_rng(0)
    density = random_parameters("full", 2, 3, rng)
    X = random_rows(density, 300, rng)
    weight = np.where(np.arange(300) == 130, 0.0, 1.0)
    found, expected = (
        Plain().prepare(sliced(rows, weights=weight)).accumulate(density) for rows in (spoiled(X, 130, 1, np.nan), X)
    )
    assert found.log_likelihood == expected.log_likelihood
    assert_array_equal(found.scatter, expected.scatter)


# Memory.


def addresses_of(source):
    """Return where the whole blocks of a fold lie, and the sum of all rows."""

    def add(block, found):
        found.append((block.rows.ctypes.data, block.rows.sum(axis=0)))

    found = source.fold(list, add)
    return [address for address, _ in found[:-1]], sum(part for _, part in found)


def test_blocks_of_a_fold_use_the_same_memory(small_blocks):
    """Four blocks: one worked on, one ahead, one that waits to be handed over, and one that is filled."""
    X = np.arange(20_000.0).reshape(-1, 2)
    addresses, total = addresses_of(batches(lambda: cut(X, 50)))
    assert len(set(addresses)) <= 4 < len(addresses)
    assert_array_equal(total, X.sum(axis=0))


def test_memory_of_the_user_is_never_written_to(small_blocks):
    """Whole blocks of an array are read where they are, and then others are filled."""
    X = np.arange(20_000.0).reshape(-1, 2)
    before = X.copy()
    X.flags.writeable = False
    # Pieces of 192 rows are three blocks; one of 30 shifts those behind it, which are then copied.
    source = streamed_rows.StreamedRows(lambda: (X[a:b] for a, b in pairwise(ENDS)), "X", stable=True)
    _, total = addresses_of(source)
    assert_array_equal(X, before)
    assert_array_equal(total, X.sum(axis=0))


ENDS = [0, 192, 384, 414, 606, 992, 1184, 10_000]


def test_blocks_that_are_kept_are_not_written_to(small_blocks):
    X = np.arange(20_000.0).reshape(-1, 2)
    assert_array_equal(np.concatenate(list(batches(lambda: cut(X, 50)).blocks())), X)
    assert_array_equal(np.concatenate(list(batches(lambda: cut(X, 50)).map(lambda block: block.rows))), X)


# Columns of Arrow.


@pytest.mark.parametrize("n_columns", [1, 7, 8, 65, 130])
@pytest.mark.parametrize("mixed", [False, True])
def test_columns_are_written_as_rows(n_columns, mixed):
    pa = pytest.importorskip("pyarrow")
    from fastgmm.data.arrow import ArrowMatrix, matrix_of

    X = np.arange(5000.0 * n_columns).reshape(-1, n_columns).astype(np.float32) % 1021
    columns = [
        X[:, j].astype((np.float32, np.int16, np.float64)[j % 3] if mixed else np.float32) for j in range(n_columns)
    ]
    names = [f"x{j}" for j in range(n_columns)]
    batch = pa.record_batch(columns, names=names)
    found = matrix_of(batch, "batch")
    assert found.dtype == (np.float64 if mixed and n_columns > 1 else np.float32)
    assert_array_equal(found, X)
    out = np.full((4100, n_columns), -1.0, dtype=found.dtype)
    ArrowMatrix(
        pa.table({n: pa.chunked_array([c[:100], c[100:]]) for n, c in zip(names, columns, strict=True)}), "table"
    ).write(50, out[:4000])
    assert_array_equal(out[:4000], X[50:4050])
    assert (out[4000:] == -1.0).all()


@pytest.mark.parametrize("batch_rows", [None, 1, 1000])
def test_what_is_decoded_at_a_time_is_no_part_of_the_blocks(batch_rows, tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    X = np.random.default_rng(0).normal(size=(3000, 9))
    pq.write_table(pa.table({f"x{j}": X[:, j] for j in range(9)}), tmp_path / "x.parquet", row_group_size=700)
    assert_array_equal(np.concatenate(list(parquet(tmp_path / "x.parquet", batch_rows=batch_rows).blocks())), X)
