"""How bags are read, shared out among threads and normalised: what every encoder does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin

from fastgmm import config
from fastgmm.estimator.input_validation import DTYPES

__all__ = ["BagEncoder", "check_bags", "check_width", "normalise"]

#: Numbers of a few vectors that are worked on together, while they are near.
BLOCK_VALUES = 1 << 15
FLOAT64, FLOAT32 = np.dtype(np.float64), np.dtype(np.float32)


class BagEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A transformer of bags: what is normalised, and how bags are read."""

    power: float
    normalise: bool
    n_features_in_: int

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        tags.requires_fit = False
        return tags

    def _encode(
        self, X: Any, n_features: int, size: int, encode: Callable[[list[np.ndarray], np.ndarray], float]
    ) -> Any:
        """Return a vector of `size` numbers for each bag.

        ``encode(bags, out)`` writes those of some bags to `out`, which is zero, and returns a number that is finite if
        all their rows are. Where vectors are made to length one, each may be longer by any factor.
        """
        bags = check_bags(X, n_features)
        dtype = np.float32 if all(bag.dtype == np.float32 for bag in bags) else np.float64
        out = np.empty((len(bags), size), dtype)
        step = max(1, BLOCK_VALUES // size)
        starts = range(0, len(bags), step)

        def work(start: int) -> None:
            part = slice(start, start + step)
            vectors = np.zeros((len(bags[part]), size))
            if not np.isfinite(encode(bags[part], vectors)):
                _check_finite(bags[part], start)
            normalise(vectors, self.power, self.normalise)
            out[part] = vectors

        n_threads = min(config.n_threads(), len(starts))
        if n_threads == 1:
            for start in starts:
                work(start)
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                list(pool.map(work, starts))
        return out


def check_bags(X: Any, n_features: int | None) -> list[np.ndarray]:
    """Return bags as C-contiguous float32 or float64 arrays of one width.

    Raises
    ------
    TypeError
        If X is not several arrays.
    ValueError
        If there is none, or a bag is not finite rows of the same number of features.
    """
    if isinstance(X, np.ndarray) and X.ndim != 3 and X.dtype != object:
        raise ValueError(
            f"X is an array of shape {X.shape}; expected a list of arrays (n_rows, n_features), one for each bag, or "
            "one of shape (n_bags, n_rows, n_features)"
        )
    if isinstance(X, (str, bytes)) or not isinstance(X, Iterable):
        raise TypeError(f"X is a {type(X).__name__}; expected a list of arrays of shape (n_rows, n_features)")
    bags: list[np.ndarray] = []
    for i, given in enumerate(X):
        bag = given
        # By identity, which the dtypes of nearly all arrays have: comparing them takes as long as a small bag.
        as_read = type(bag) is np.ndarray and (bag.dtype is FLOAT64 or bag.dtype is FLOAT32)
        if not (as_read and bag.flags.c_contiguous and bag.flags.aligned):
            bag = np.asarray(given)
            if bag.dtype.kind not in "biuf":
                raise ValueError(f"X[{i}] has dtype {bag.dtype}; expected numbers")
            bag = np.require(bag, bag.dtype if bag.dtype in DTYPES else np.float64, ["C", "A"])
        if bag.ndim != 2 or 0 in bag.shape:
            raise ValueError(f"X[{i}] has shape {bag.shape}; expected (n_rows, n_features) with at least one row")
        if n_features is None:
            n_features = bag.shape[1]
        check_width(bag.shape[1], n_features, f"X[{i}]")
        bags.append(bag)
    if not bags:
        raise ValueError("X has no bags; expected at least one array of shape (n_rows, n_features)")
    return bags


def _check_finite(bags: list[np.ndarray], start: int) -> None:
    """Raise ValueError if a bag, the first of which has the number `start`, is not finite."""
    for i, bag in enumerate(bags, start):
        if not np.isfinite(bag).all():
            raise ValueError(f"X[{i}] contains NaN or infinity; expected finite rows")


def check_width(found: int, expected: int, name: str = "X") -> None:
    if found != expected:
        raise ValueError(f"{name} has {found} features; expected {expected}, as the mixture or the first bag has")


def normalise(vectors: np.ndarray, power: float, to_length_one: bool) -> None:
    """Raise the absolute values of vectors to a power, then divide each by its length, in place; zeros stay."""
    if power < 1.0:
        sizes = np.abs(vectors)
        sizes = np.sqrt(sizes, out=sizes) if power == 0.5 else np.power(sizes, power, out=sizes)
        np.copysign(sizes, vectors, out=vectors)
    if not to_length_one:
        return
    with np.errstate(over="ignore", under="ignore"):
        squares = np.einsum("...d,...d->...", vectors, vectors)[..., None]
    if not (squares > 1e-200).all() or not np.isfinite(squares).all():
        # Of tiny or huge numbers, whose squares are not to be had.
        largest = np.abs(vectors).max(axis=-1, keepdims=True)
        vectors /= np.where(largest > 0, largest, 1.0)
        squares = np.einsum("...d,...d->...", vectors, vectors)[..., None]
    vectors *= np.divide(1.0, np.sqrt(squares), out=np.ones_like(squares), where=squares > 0)
