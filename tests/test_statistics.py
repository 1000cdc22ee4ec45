"""Sufficient statistics made apart: moved between centres, merged in any order, sent as bytes."""

import itertools

import numpy as np
import pytest
from mixtures import random_parameters, random_rows
from numpy.testing import assert_allclose, assert_array_equal

from fastgmm.data import ArrayRows
from fastgmm.model import SufficientStatistics

PARTS = ("centres", "counts", "sums", "scatter")


@pytest.fixture
def mixture(structure):
    return random_parameters(structure, 4, 3, np.random.default_rng(0))


@pytest.fixture
def rows(mixture):
    return random_rows(mixture, 3000, np.random.default_rng(1))


def labelled(rows, structure, centres):
    """Statistics of given memberships, which do not depend on the centres."""
    labels = np.arange(len(rows), dtype=np.int64) % len(centres)
    return ArrayRows(rows).accumulate_labels(labels, structure, centres)


def assert_same(a, b, rtol):
    for name in PARTS:
        scale = np.abs(getattr(b, name)).max()
        assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=rtol * scale, err_msg=name)
    assert_allclose(a.log_likelihood, b.log_likelihood, rtol=rtol)


def test_moving_is_accumulating_about_the_other_centres(structure, mixture, rows):
    other = mixture.means + np.random.default_rng(2).normal(size=mixture.means.shape)
    # Relative to the largest entry: sums about a mean are small differences.
    assert_same(labelled(rows, structure, mixture.means).about(other), labelled(rows, structure, other), 1e-12)


def test_moving_there_and_back_changes_nothing(structure, mixture, rows):
    statistics = ArrayRows(rows).accumulate(mixture)
    there = statistics.about(mixture.means + 3.0)
    assert_same(there.about(mixture.means), statistics, 1e-12)


def test_moving_keeps_digits_far_from_the_origin(structure):
    mixture = random_parameters(structure, 4, 3, np.random.default_rng(0), offset=1e6)
    rows = random_rows(mixture, 3000, np.random.default_rng(1))
    other = mixture.means + 0.25
    # The rows themselves have 16 - 6 digits of their spread.
    assert_same(labelled(rows, structure, mixture.means).about(other), labelled(rows, structure, other), 1e-9)


def test_shards_about_different_centres_merge_to_the_whole_in_any_order(structure, mixture, rows):
    rng = np.random.default_rng(3)
    whole = labelled(rows, structure, mixture.means)
    pieces = [
        labelled(np.ascontiguousarray(part), structure, mixture.means + rng.normal(size=mixture.means.shape))
        for part in np.split(rows, [400, 1200])  # multiples of 4: each piece's labels go on where the last ended
    ]
    for order in itertools.permutations(pieces):
        total = SufficientStatistics.zeros(structure, mixture.means)
        for piece in order:
            total.merge(piece)
        assert_same(total, whole, 1e-12)


def test_merging_leaves_the_other_alone(structure, mixture, rows):
    a = ArrayRows(rows[:1000].copy()).accumulate(mixture)
    b = labelled(rows, structure, mixture.means + 1.0)
    before = b.to_bytes()
    a.merge(b)
    assert b.to_bytes() == before


def test_merging_adds_the_log_likelihood_of_disjoint_rows(mixture, rows):
    whole = ArrayRows(rows).accumulate(mixture)
    parts = ArrayRows(rows[:999].copy()).accumulate(mixture)
    parts.merge(ArrayRows(rows[999:].copy()).accumulate(mixture))
    assert_same(parts, whole, 1e-12)


def test_bytes_bring_back_every_bit(mixture, rows):
    statistics = ArrayRows(rows).accumulate(mixture)
    content = statistics.to_bytes()
    assert len(content) == 40 + 8 * (2 * 4 * 3 + 4 + statistics.scatter.size)
    back = SufficientStatistics.from_bytes(content)
    assert back.structure == statistics.structure
    assert back.log_likelihood == statistics.log_likelihood
    for name in PARTS:
        assert_array_equal(getattr(back, name), getattr(statistics, name))
    back.merge(statistics)  # writable
    assert_array_equal(back.counts, 2.0 * statistics.counts)


def test_every_damaged_byte_and_every_cut_is_noticed(structure):
    statistics = SufficientStatistics.zeros(structure, np.arange(6.0).reshape(2, 3))
    statistics.counts += 1.5
    content = statistics.to_bytes()
    for i in range(len(content)):
        damaged = bytearray(content)
        damaged[i] ^= 0x41
        with pytest.raises(ValueError, match="content"):
            SufficientStatistics.from_bytes(bytes(damaged))
        with pytest.raises(ValueError, match="content"):
            SufficientStatistics.from_bytes(content[:i])
    with pytest.raises(ValueError, match=f"{len(content) + 1} bytes; expected {len(content)}"):
        SufficientStatistics.from_bytes(content + b"x")


def test_other_sizes_are_refused_by_name():
    a = SufficientStatistics.zeros("diag", np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"other has \(n_components, n_features\) = \(2, 4\); expected \(2, 3\)"):
        a.merge(SufficientStatistics.zeros("diag", np.zeros((2, 4))))
    with pytest.raises(ValueError, match="other has structure 'full'; expected 'diag'"):
        a.merge(SufficientStatistics.zeros("full", np.zeros((2, 3))))
    with pytest.raises(ValueError, match=r"centres has shape \(3,\); expected .* \(2, 3\)"):
        a.about(np.zeros(3))
