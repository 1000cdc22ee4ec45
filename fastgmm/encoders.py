"""Bags of rows as vectors of one length: images by their patches, recordings by their frames, documents by their words.

A bag is an array of rows, of any number; its vector says how its rows differ from what a mixture, or centres, expect.

References
----------
Perronnin, Sanchez and Mensink (2010), Improving the Fisher kernel for large-scale image classification, ECCV: the
gradients, section 2, power and L2 normalisation, section 3. Jegou, Douze, Schmid and Perez (2010), Aggregating local
descriptors into a compact image representation, CVPR, section 3: VLAD. Arandjelovic and Zisserman (2013), All about
VLAD, CVPR, section 3.2: normalisation within clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from fastgmm import config, kernels
from fastgmm.data import ArrayRows
from fastgmm.estimator.fit_context import fit_context
from fastgmm.estimator.input_validation import DTYPES
from fastgmm.estimator.mixture import BaseMixture
from fastgmm.model.moments import Components
from fastgmm.starts.kmeans import kmeans

__all__ = ["FisherVectorEncoder", "VLADEncoder"]

#: Numbers of a few vectors that are worked on together, while they are near.
BLOCK_VALUES = 1 << 15
FLOAT64, FLOAT32 = np.dtype(np.float64), np.dtype(np.float32)
#: The parts of a Fisher vector, in their order.
PARTS = ("weights", "means", "variances")


class _BagEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
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
        bags = _check_bags(X, n_features)
        dtype = np.float32 if all(bag.dtype == np.float32 for bag in bags) else np.float64
        out = np.empty((len(bags), size), dtype)
        step = max(1, BLOCK_VALUES // size)
        starts = range(0, len(bags), step)

        def work(start: int) -> None:
            part = slice(start, start + step)
            vectors = np.zeros((len(bags[part]), size))
            if not np.isfinite(encode(bags[part], vectors)):
                _check_finite(bags[part], start)
            _normalise(vectors, self.power, self.normalise)
            out[part] = vectors

        n_threads = min(config.n_threads(), len(starts))
        if n_threads == 1:
            for start in starts:
                work(start)
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                list(pool.map(work, starts))
        return out


class FisherVectorEncoder(_BagEncoder):
    """Encode bags of rows as Fisher vectors: how a bag would change the means and variances of a mixture.

    Parameters
    ----------
    mixture : GaussianMixture or BayesianGaussianMixture
        A mixture with covariance type 'diag', 'spherical' or a family whose name ends in I. A fitted mixture is used as
        it is, and `transform` needs no `fit`. Otherwise `fit` clones it and fits it to the rows of all bags. A
        background takes its share of the rows and adds nothing to the vector.
    parts : tuple of {'weights', 'means', 'variances'}, default=('means', 'variances')
        Which gradients make up the vector, in this order. The gradient of the weights adds little.
    power : float, default=0.5
        Every number is replaced by its absolute value to this power, with its sign. 1 changes nothing.
    normalise : bool, default=True
        Whether vectors have length one. A bag that is just as the mixture expects stays zero.

    Attributes
    ----------
    mixture_ : estimator
        The fitted mixture. Set by `fit`.
    n_features_in_ : int
        Number of features of a row.

    See Also
    --------
    VLADEncoder : Of centres in place of a mixture.

    Notes
    -----
    With a bag's counts n, sums F and scatter Q about the means, N rows, and standard deviations s::

        weights    (n / N - w) / sqrt(w)
        means      F / (N s sqrt(w))
        variances  (Q / s^2 - n) / (N sqrt(2 w))

    scikit-image's ``fisher_vector`` has the variances with the opposite sign.

    References
    ----------
    Perronnin, Sanchez and Mensink, "Improving the Fisher kernel for large-scale image classification", ECCV (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import FisherVectorEncoder, GaussianMixture
    >>> rng = np.random.default_rng(0)
    >>> bags = [rng.normal(size=(n, 3)) for n in (20, 35, 50)]
    >>> encoder = FisherVectorEncoder(GaussianMixture(4, covariance_type="diag", random_state=0)).fit(bags)
    >>> encoder.transform(bags).shape  # 2 * 4 components * 3 features
    (3, 24)
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "mixture": [object],
        "parts": [tuple, list],
        "power": [Interval(Real, 0.0, 1.0, closed="right")],
        "normalise": ["boolean"],
    }

    def __init__(
        self, mixture: Any, *, parts: Sequence[str] = ("means", "variances"), power: float = 0.5, normalise: bool = True
    ) -> None:
        self.mixture = mixture
        self.parts = parts
        self.power = power
        self.normalise = normalise

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "mixture_") or hasattr(self.mixture, "means_")

    @fit_context()
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the mixture to the rows of all bags, unless it is fitted.

        Parameters
        ----------
        X : list of array-like of shape (n_rows, n_features), or array of shape (n_bags, n_rows, n_features)
            Bags.
        y : Ignored
            Ignored. It is there so that pipelines work.

        Returns
        -------
        self : FisherVectorEncoder
            Fitted.
        """
        if not isinstance(self.mixture, BaseMixture):
            raise TypeError(f"mixture is a {type(self.mixture).__name__}; expected a mixture of fastgmm")
        bags = _check_bags(X, None)
        fitted = hasattr(self.mixture, "means_")
        self.mixture_ = self.mixture if fitted else clone(self.mixture).fit(np.concatenate(bags))
        _diagonal(self.mixture_)
        self.n_features_in_ = bags[0].shape[1]
        _check_width(self.n_features_in_, np.shape(self.mixture_.means_)[1])
        return self

    @property
    def _n_features_out(self) -> int:
        n_components, n_features = np.shape(self._fitted().means_)
        sizes = {"weights": n_components, "means": n_components * n_features, "variances": n_components * n_features}
        return sum(sizes[part] for part in self._checked_parts())

    def _fitted(self) -> Any:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(
                "mixture is not fitted, and neither is this FisherVectorEncoder; call fit with bags, or give it a "
                "fitted mixture"
            )
        return getattr(self, "mixture_", self.mixture)

    def _checked_parts(self) -> list[str]:
        unknown = [part for part in self.parts if part not in PARTS]
        if unknown or isinstance(self.parts, str) or not self.parts:
            raise ValueError(f"parts is {self.parts!r}; expected a tuple of {', '.join(map(repr, PARTS))}")
        return [part for part in PARTS if part in self.parts]

    def transform(self, X: Any) -> Any:
        """Return the Fisher vector of each bag.

        Parameters
        ----------
        X : list of array-like of shape (n_rows, n_features), or array of shape (n_bags, n_rows, n_features)
            Bags, each of one row or more.

        Returns
        -------
        vectors : ndarray of shape (n_bags, n_features_out)
            The vectors: float32 if all bags are float32, otherwise float64. They have no unit.

        Raises
        ------
        ValueError
            If a bag is empty, not finite, or has other features than the mixture; the message gives its number.
        """
        density, weights = _diagonal(self._fitted())
        parts, (n_components, n_features), n_own = self._checked_parts(), density.means.shape, len(weights)
        # A component that has no weight gives nothing to the vector.
        scale = np.divide(1.0, np.sqrt(weights), out=np.zeros(n_own), where=weights > 0)
        factor = density.precisions_cholesky[:n_own]
        of_sums, of_scatter = factor * scale[:, None], factor**2 * scale[:, None] * np.sqrt(0.5)
        run = kernels.bind(density).on_engine("accumulate").accumulate

        def encode(bags: list[np.ndarray], out: np.ndarray) -> float:
            counts, at = np.zeros((len(bags), n_components)), 0
            views = {}
            for part in parts:
                dims = (n_own,) if part == "weights" else (n_own, n_features)
                width = int(np.prod(dims))
                views[part], at = out[:, at : at + width].reshape(len(bags), *dims), at + width
            # The kernel adds to the vectors themselves, unless it has a background that they have not.
            sums, scatter = (
                views[part] if part in views and n_own == n_components else np.zeros((len(bags), *density.means.shape))
                for part in ("means", "variances")
            )
            total = 0.0
            for bag, *totals in zip(bags, counts, sums, scatter, strict=True):
                total += run(bag, None, *totals, 1)
            if n_own < n_components:
                # A background has a density everywhere.
                total += sums.sum()
                counts, sums, scatter = (part[:, :n_own] for part in (counts, sums, scatter))
            n_rows = np.array([float(len(bag)) for bag in bags])
            if "weights" in views:
                np.multiply(counts - n_rows[:, None] * weights, scale, out=views["weights"])
            if "means" in views:
                np.multiply(sums, of_sums, out=views["means"])
            if "variances" in views:
                np.multiply(scatter, of_scatter, out=views["variances"])
                views["variances"] -= (counts * (scale * np.sqrt(0.5)))[..., None]
            if not self.normalise:
                out /= n_rows[:, None]
            return total

        return self._encode(X, n_features, self._n_features_out, encode)


class VLADEncoder(_BagEncoder):
    """Encode bags of rows by sums of differences from the nearest centre.

    Parameters
    ----------
    n_clusters : int, default=64
        The number of centres, which k-means finds among the rows of all bags.
    normalise_clusters : bool, default=False
        Whether the sum of each cluster is first scaled to length one, so that no large cluster dominates.
    power : float, default=0.5
        Every number is replaced by its absolute value to this power, with its sign. 1 changes nothing.
    normalise : bool, default=True
        Whether vectors have length one.
    random_state : int, RandomState or None
        For k-means.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        Centres, float64.
    n_features_in_ : int
        Number of features of a row.

    See Also
    --------
    FisherVectorEncoder : Of a mixture, with soft memberships and variances.

    References
    ----------
    Jegou, Douze, Schmid and Perez, "Aggregating local descriptors into a compact image representation", CVPR (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import VLADEncoder
    >>> rng = np.random.default_rng(0)
    >>> bags = [rng.normal(size=(n, 3)) for n in (20, 35, 50)]
    >>> VLADEncoder(n_clusters=4, random_state=0).fit_transform(bags).shape
    (3, 12)
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "normalise_clusters": ["boolean"],
        "power": [Interval(Real, 0.0, 1.0, closed="right")],
        "normalise": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_clusters: int = 64,
        *,
        normalise_clusters: bool = False,
        power: float = 0.5,
        normalise: bool = True,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.normalise_clusters = normalise_clusters
        self.power = power
        self.normalise = normalise
        self.random_state = random_state

    @fit_context()
    def fit(self, X: Any, y: Any = None) -> Self:
        """Find centres among the rows of all bags.

        Parameters
        ----------
        X : list of array-like of shape (n_rows, n_features), or array of shape (n_bags, n_rows, n_features)
            Bags.
        y : Ignored
            Ignored. It is there so that pipelines work.

        Returns
        -------
        self : VLADEncoder
            Fitted.
        """
        bags = _check_bags(X, None)
        rows = np.concatenate(bags)
        if len(rows) < self.n_clusters:
            raise ValueError(f"the bags of X have {len(rows)} rows; expected at least n_clusters = {self.n_clusters}")
        self.cluster_centers_ = kmeans(ArrayRows(rows), self.n_clusters, check_random_state(self.random_state))[0]
        self.n_features_in_ = rows.shape[1]
        return self

    @property
    def _n_features_out(self) -> int:
        return int(self.cluster_centers_.size)

    def transform(self, X: Any) -> Any:
        """Return the vector of each bag.

        Parameters
        ----------
        X : list of array-like of shape (n_rows, n_features), or array of shape (n_bags, n_rows, n_features)
            Bags, each of one row or more.

        Returns
        -------
        vectors : ndarray of shape (n_bags, n_clusters * n_features)
            float32 where all bags are, otherwise float64.

        Raises
        ------
        ValueError
            If a bag is empty, not finite, or has other features than those fitted to; the message gives its number.
        """
        check_is_fitted(self)
        centres = self.cluster_centers_
        run = kernels.engine_for("assign_nearest").assign_nearest

        def encode(bags: list[np.ndarray], out: np.ndarray) -> float:
            sums, inertia = out.reshape(len(bags), *centres.shape), 0.0
            for bag, total in zip(bags, sums, strict=True):
                inertia += run(bag, None, centres, np.empty(len(bag), np.int64), np.zeros(len(centres)), total, 1)
            if self.normalise_clusters:
                _normalise(sums, 1.0, True)
            return inertia

        return self._encode(X, centres.shape[1], centres.size, encode)


def _check_bags(X: Any, n_features: int | None) -> list[np.ndarray]:
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
        _check_width(bag.shape[1], n_features, f"X[{i}]")
        bags.append(bag)
    if not bags:
        raise ValueError("X has no bags; expected at least one array of shape (n_rows, n_features)")
    return bags


def _check_finite(bags: list[np.ndarray], start: int) -> None:
    """Raise ValueError if a bag, the first of which has the number `start`, is not finite."""
    for i, bag in enumerate(bags, start):
        if not np.isfinite(bag).all():
            raise ValueError(f"X[{i}] contains NaN or infinity; expected finite rows")


def _check_width(found: int, expected: int, name: str = "X") -> None:
    if found != expected:
        raise ValueError(f"{name} has {found} features; expected {expected}, as the mixture or the first bag has")


def _diagonal(mixture: Any) -> tuple[Components, np.ndarray]:
    """Return a fitted mixture with a variance for each component and feature, and the weights of its components.

    Raises
    ------
    TypeError
        If it is no Gaussian mixture.
    ValueError
        If its components have covariances between features.
    """
    if not isinstance(mixture, BaseMixture):
        raise TypeError(f"mixture is a {type(mixture).__name__}; expected a mixture of fastgmm")
    state = mixture._fitted_state()
    if getattr(state, "tail", None) is not None:
        raise ValueError(
            f"mixture is a {type(mixture).__name__}, and Fisher vectors are gradients of Gaussian components; expected "
            "a GaussianMixture"
        )
    if state.shape.is_matrix:
        raise ValueError(
            f"mixture has covariance_type {mixture.covariance_type!r}, and Fisher vectors take features as independent "
            "within components; expected 'diag' or 'spherical'. Rotate the features by PCA(whiten=True) beforehand"
        )
    n_components, n_features = state.means.shape
    factor = np.broadcast_to(state.precisions_cholesky.reshape(n_components, -1), (n_components, n_features))
    density = Components("diag", state.log_offset, state.means, np.ascontiguousarray(factor))
    return density, getattr(state, "mixture", state).weights


def _normalise(vectors: np.ndarray, power: float, to_length_one: bool) -> None:
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
