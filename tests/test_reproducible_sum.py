"""Sums whose bits are the same in any order and any grouping."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from fastgmm.data.reproducible_sum import ReproducibleSum
from fastgmm.data.totals import Totals
from fastgmm.model import SufficientStatistics

SIZE = 5
NUMBERS = st.floats(-1e300, 1e300) | st.floats(-1e3, 1e3) | st.sampled_from([0.0, -0.0, 1.0, 2.0**30, 2.0**-30, 5e-324])
ROWS = st.lists(st.lists(NUMBERS, min_size=SIZE, max_size=SIZE), min_size=1, max_size=12)


def summed(rows):
    total = ReproducibleSum(SIZE)
    for row in rows:
        total.add(np.array(row))
    return total


def merged(parts):
    total = ReproducibleSum(SIZE)
    for part in parts:
        total.merge(pickle.loads(pickle.dumps(part)))
    return total


@settings(max_examples=200, deadline=None)
@given(ROWS, st.randoms(use_true_random=False), st.integers(1, 5))
def test_the_order_and_the_grouping_are_no_part_of_the_bits(rows, random, n_groups):
    expected = summed(rows).value()
    shuffled = random.sample(rows, len(rows))
    groups = [summed(shuffled[i::n_groups]) for i in range(n_groups)]
    random.shuffle(groups)
    middle = random.randint(0, n_groups)
    found = merged([merged(groups[:middle]), merged(groups[middle:])]).value()
    assert_array_equal(found.view(np.int64), expected.view(np.int64))


@settings(max_examples=200, deadline=None)
@given(ROWS)
def test_the_sum_is_as_near_as_60_bits_of_the_largest_number_allow(rows):
    found = summed(rows).value()
    for j in range(SIZE):
        column = [Fraction(row[j]) for row in rows]
        exact, largest = sum(column), max(abs(number) for number in column)
        # What is cut off each number, what lies below 2^-1020, and the rounding of the result.
        bound = len(rows) * (largest * Fraction(2) ** -59 + Fraction(2) ** -1020) + abs(exact) * Fraction(2) ** -52
        assert abs(Fraction(float(found[j])) - exact) <= bound


def test_numbers_that_are_not_finite_are_added_as_ever():
    rows = [[np.inf, np.nan, -np.inf, 1.0, np.inf], [1.0, 1.0, 1.0, 1.0, -np.inf]]
    assert_array_equal(merged([summed(rows[:1]), summed(rows[1:])]).value(), [np.inf, np.nan, -np.inf, 2.0, np.nan])


def test_nothing_that_was_added_is_changed():
    row = np.arange(SIZE) + 0.1
    part = summed([row])
    before = part.value()
    merged([summed([1e200 * row]), part]).add(row)
    assert_array_equal(part.value(), before)
    assert_array_equal(row, np.arange(SIZE) + 0.1)


def statistics(seed):
    rng = np.random.default_rng(seed)
    made = SufficientStatistics.zeros("full", np.ones((2, 3)))
    for array in (made.counts, made.sums, made.scatter):
        array += rng.normal(size=array.shape)
    made.log_likelihood = rng.normal()
    return made


@pytest.mark.parametrize("summed", [True, False])
def test_totals_of_blocks_are_the_sum_of_all_whoever_had_them(summed):
    parts = []
    for keys in ([3, 0], [2], [1, 4]):
        parts.append(Totals())
        for key in keys:
            parts[-1].add((key,), 10, statistics(key), summed)
    found = Totals.of([Totals.of(parts[:2]), parts[2]])
    expected = statistics(0)
    for key in range(1, 5):
        expected.merge(statistics(key))
    assert found.n_rows == 50
    value = found.value(lambda: SufficientStatistics.zeros("full", np.ones((2, 3))), None)
    assert_allclose(value.scatter, expected.scatter, rtol=1e-14)
    assert value.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-14)
    assert_array_equal(value.centres, expected.centres)


def test_what_is_no_sum_is_joined_in_the_order_of_the_blocks():
    parts = []
    for keys in ([(1, 0), (0, 1)], [(0, 0)]):
        parts.append(Totals())
        for key in keys:
            parts[-1].add(key, 1, [key], True)
    assert Totals.of(parts).value(list, None) == [(0, 0), (0, 1), (1, 0)]
    assert Totals.of([]).value(list, None) == []
