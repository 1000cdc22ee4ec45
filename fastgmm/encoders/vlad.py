"""VLAD: bags of rows by what is left of them beside the nearest centres.

References
----------
Jegou, Douze, Schmid and Perez (2010), Aggregating local descriptors into a compact image representation, CVPR,
section 3. Arandjelovic and Zisserman (2013), All about VLAD, CVPR, section 3.2: normalisation within clusters.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from fastgmm import kernels
from fastgmm.data import ArrayRows
from fastgmm.encoders.bags import BagEncoder, check_bags, normalise
from fastgmm.estimator.fit_context import fit_context
from fastgmm.starts.kmeans import kmeans

__all__ = ["VLADEncoder"]


class VLADEncoder(BagEncoder):
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

        See Also
        --------
        transform : Encodes bags.
        """
        bags = check_bags(X, None)
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

        See Also
        --------
        fit : Learns the centres.
        """
        check_is_fitted(self)
        centres = self.cluster_centers_
        run = kernels.engine_for("assign_nearest").assign_nearest

        def encode(bags: list[np.ndarray], out: np.ndarray) -> float:
            sums, inertia = out.reshape(len(bags), *centres.shape), 0.0
            for bag, total in zip(bags, sums, strict=True):
                inertia += run(bag, None, centres, np.empty(len(bag), np.int64), np.zeros(len(centres)), total, 1)
            if self.normalise_clusters:
                normalise(sums, 1.0, True)
            return inertia

        return self._encode(X, centres.shape[1], centres.size, encode)
