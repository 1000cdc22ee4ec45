"""Sums of arrays that depend neither on the order of what is added, nor on who added what first."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["ReproducibleSum"]

# A number is cut into digits of BITS bits on a grid that is the same for all numbers, and digits are added up as whole
# numbers, which is exact for up to 2^(53 - BITS) of them: eight million.
BITS = 30

# Digits kept, from that of the largest number on: 60 bits of it at least, more than a float64 has.
DIGITS = 3

# The value of a digit's place is a power of 2^30, and so is its inverse: neither may overflow. What lies below 2^-1020
# is left out.
LOWEST, HIGHEST = -32, 34
PLACES = np.array([2.0 ** (BITS * place) for place in range(-HIGHEST, HIGHEST + 1)])

# The place of the first digit of a number, by the exponent that it is stored with.
FIRST = np.maximum((np.arange(2048) - 1023) // BITS, LOWEST).astype(np.int8)


class ReproducibleSum:
    """The sum of arrays of `size` numbers: the same bits in any order and any grouping, and closer than plain adding.

    Addition of floating-point numbers rounds, so ``(a + b) + c`` is not ``a + (b + c)``, and results would depend on
    which worker holds which block. Here the digits of an addend are known by the addend alone, and those that are kept
    in the end by the largest addend. What is left out of each is below 2^-60 of the largest.

    Parameters
    ----------
    size : int

    References
    ----------
    Demmel and Nguyen, "Parallel reproducible summation", IEEE Transactions on Computers 64 (2015): pre-rounding to a
    grid; here with digits that are whole numbers.
    """

    def __init__(self, size: int) -> None:
        self.first = np.full(size, LOWEST, dtype=np.int8)
        self.digits = np.zeros((DIGITS, size))
        #: Infinities and NaN, which have no digits.
        self.rest: np.ndarray | None = None
        self._values: list[tuple[np.ndarray, np.ndarray]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_values": None}

    def add(self, numbers: np.ndarray) -> None:
        """Add an array of shape (size,), float64."""
        finite = np.isfinite(numbers)
        if not finite.all():
            self._add_rest(np.where(finite, 0.0, numbers))
            numbers = np.where(finite, numbers, 0.0)
        self._start_from(FIRST[(numbers.view(np.int64) >> 52) & 2047])
        left = numbers
        for digits, (value, inverse) in zip(self.digits, self._place_values(), strict=True):
            digit = np.trunc(left * inverse)
            digits += digit
            left = left - digit * value

    def merge(self, other: ReproducibleSum) -> None:
        """Add what another sum has added; that one is left as it is."""
        if other.rest is not None:
            self._add_rest(other.rest)
        self._start_from(other.first)
        self.digits += _moved(other.digits, self.first - other.first)

    def value(self) -> np.ndarray:
        """Return the sum, shape (size,), float64."""
        total = np.zeros(len(self.first))
        with np.errstate(over="ignore"):
            for digits, (value, _) in reversed(list(zip(self.digits, self._place_values(), strict=True))):
                total += digits * value
        return total if self.rest is None else total + self.rest

    def _start_from(self, first: np.ndarray) -> None:
        up = np.maximum(first - self.first, 0)
        if up.any():
            self.first, self.digits, self._values = self.first + up, _moved(self.digits, up), None

    def _place_values(self) -> list[tuple[np.ndarray, np.ndarray]]:
        if self._values is None:
            places = [self.first.astype(np.int64) - j for j in range(DIGITS)]
            self._values = [(PLACES[HIGHEST + place], PLACES[HIGHEST - place]) for place in places]
        return self._values

    def _add_rest(self, numbers: np.ndarray) -> None:
        with np.errstate(invalid="ignore"):
            self.rest = numbers if self.rest is None else self.rest + numbers


def _moved(digits: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Return digits moved down by so many places; those that fall off the end are dropped."""
    moved = np.zeros_like(digits)
    for shift in range(DIGITS):
        here = down == shift
        for j in range(DIGITS - shift):
            moved[j + shift] += np.where(here, digits[j], 0.0)
    return moved
