"""What every shape can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from fastgmm.exceptions import ComponentCollapseError

__all__ = ["SHARED", "Shape", "collapse_error"]

#: In place of a component's number: the covariance that all share.
SHARED = -1


class Shape(ABC):
    """How the matrices of K components in D features are stored, and the arithmetic on them.

    Matrices are covariances, precisions, precision factors or scatter, float64. A precision factor ``U`` is upper
    triangular with ``precision = U U^T``, or ``1 / sd`` where a matrix is its diagonal.

    Attributes
    ----------
    name : str
        What the kernels and files call it.
    described : str
        The shape of the array that holds the matrices, in words.
    is_matrix : bool
        Whether a component's matrix has entries off the diagonal.
    is_shared : bool
        Whether all components have one matrix, stored once.
    n_axes : int
        Dimensions of the array that one component's matrix is: 2, 1 or 0.
    n_factors : int or None
        Most loadings of a component, where matrices are loadings and noise variances.
    """

    name: ClassVar[str]
    described: ClassVar[str]
    is_matrix: ClassVar[bool]
    is_shared: ClassVar[bool] = False
    n_axes: ClassVar[int]
    n_factors: int | None = None

    def __repr__(self) -> str:
        return f"<{self.name} matrices>"

    def __reduce__(self) -> Any:
        # By name: there is one object for each shape in every process.
        return type(self).__name__.upper()

    # Sizes.

    @abstractmethod
    def dims(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Return the shape of the array that holds the matrices."""

    def dims_of_one(self, n_features: int) -> tuple[int, ...]:
        """Return the shape of the array that holds one component's matrix."""
        return (n_features,) * self.n_axes

    def features_per_variance(self, n_features: int) -> int:
        """Return how many features have a variance in common."""
        return 1

    @property
    def per_component(self) -> Shape:
        """The shape that holds a matrix of the same kind for each component."""
        return self

    def each(self, values: np.ndarray) -> np.ndarray:
        """Return one number per component so that it multiplies the component's matrix."""
        return np.reshape(values, (-1, *[1] * self.n_axes))

    def totals(self, counts: np.ndarray) -> Any:
        """Return the counts that stand behind the stored matrices: those of the components, or of all together."""
        return counts

    # Parts.

    def take(self, matrices: np.ndarray, chosen: Any) -> np.ndarray:
        """Return the matrices of the components `chosen`, an index array, mask or slice."""
        return np.ascontiguousarray(matrices[chosen])

    def add_part(self, matrices: np.ndarray, part: np.ndarray, chosen: Any) -> None:
        """Add the matrices of the components `chosen` to those of all, in place."""
        matrices[chosen] += part

    def untie(self, matrices: np.ndarray, n_components: int) -> np.ndarray:
        """Return a matrix for each component, in the shape `per_component`; may be a view."""
        return matrices

    def tie(self, matrices: np.ndarray) -> np.ndarray:
        """Return scatter for each component, in the shape `per_component`, as this shape keeps it."""
        return matrices

    @abstractmethod
    def full(self, matrices: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        """Return a whole matrix for each component, (n_components, n_features, n_features); may be a view."""

    @abstractmethod
    def diagonals(self, matrices: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        """Return the diagonal of each component's matrix, (n_components, n_features); may be a view."""

    def scaled(self, matrices: np.ndarray, amount: Any) -> np.ndarray:
        """Return covariances times `amount`: a number, or one for each stored matrix."""
        return matrices * (amount if np.ndim(amount) == 0 else self.each(amount))

    @abstractmethod
    def columns(self, matrices: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Return the matrices of the features `chosen`, an index array, in its order."""

    # Sums.

    @abstractmethod
    def outer(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return each component's ``left_k right_k^T``, both (n_components, n_features); summed where it is shared."""

    @abstractmethod
    def cross(self, sums: np.ndarray, moved: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Return ``sums shift^T + shift sums^T + moved shift^T``: what moving centres by `shift` adds to scatter."""

    @abstractmethod
    def outer_of_rows(self, weighted: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return ``weighted^T rows`` of one component, both (n_rows, n_features), as its scatter is kept."""

    @abstractmethod
    def centred(self, scatter: np.ndarray, counts: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Return the scatter about the means, which lie `shift` from its centres; never below zero on a diagonal.

        Where a variance is that of several features, it comes per feature.
        """

    def summed(self, scatter: np.ndarray) -> Any:
        """Return the scatter of all components together, as one component's is kept."""
        return scatter.sum(axis=0)

    @abstractmethod
    def pooled(self, scatter: np.ndarray, n_features: int) -> np.ndarray:
        """Return the scatter of all components together as a matrix of (n_features, n_features)."""

    @abstractmethod
    def add_to_diagonal(self, matrices: np.ndarray, amount: Any) -> None:
        """Add `amount` to variances, in place: a number, one for each stored matrix, or for each and each feature."""

    @abstractmethod
    def of_matrix(self, matrix: np.ndarray) -> Any:
        """Return what a matrix (n_features, n_features) comes to as one component's: itself, its diagonal or mean."""

    # Factors.

    @abstractmethod
    def factorise(self, covariances: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
        """Return the precision factors of `covariances`; `counts` are for the message only.

        Raises
        ------
        ComponentCollapseError
            Naming the first component whose covariance is not positive definite to working precision.
        """

    @abstractmethod
    def factors_of_precisions(self, precisions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the covariances and the precision factors that belong to positive definite `precisions`."""

    @abstractmethod
    def precisions(self, factor: np.ndarray) -> np.ndarray:
        """Return the precisions that `factor` factorises."""

    def upper(self, factor: np.ndarray) -> np.ndarray:
        """Return the factor as the kernels read it, upper triangular, of any F with ``precision = F F^T``."""
        return factor

    @abstractmethod
    def covariances_of(self, factor: np.ndarray) -> np.ndarray:
        """Return the covariances whose precision factor is `factor`."""

    @abstractmethod
    def half_log_det(self, factor: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        """Return half the log-determinant of each component's precision, (n_components,), in nats."""

    def largest(self, factor: np.ndarray) -> float:
        """Return the largest precision of a feature, given the others that its factor has it follow."""
        root = float((np.einsum("...dd->...d", factor) if self.is_matrix else factor).max())
        return root * root  # a power would raise where this is infinite

    @abstractmethod
    def whitened(self, vectors: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Return ``vectors_k U_k``, (..., n_components, n_features): vectors in units of their own component."""

    @abstractmethod
    def lengths(self, scatter: np.ndarray, factor: np.ndarray) -> Any:
        """Return ``tr(scatter_k U_k U_k^T)``, the sum of squared distances: a number for each stored matrix."""

    @abstractmethod
    def squares(self, factor: np.ndarray, n_features: int) -> Any:
        """Return the trace of each stored precision."""

    # Parts of the features.

    @abstractmethod
    def condition(
        self, covariances: np.ndarray, observed: np.ndarray, missing: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Return what the features `observed`, an index array, say of the others.

        Returns
        -------
        factor : ndarray
            Precision factors of the observed features by themselves.
        regression : ndarray of shape (..., n_missing, n_observed), or None
            What observed features, less their mean, are multiplied by; None where they say nothing.
        conditional : ndarray
            Covariances of the missing features given the others.

        Raises
        ------
        ComponentCollapseError
            If a covariance is not positive definite to working precision.
        """

    @abstractmethod
    def add_completed(
        self,
        scatter: np.ndarray,
        part: np.ndarray,
        counts: np.ndarray,
        observed: np.ndarray,
        missing: np.ndarray,
        regression: np.ndarray | None,
        conditional: np.ndarray,
    ) -> None:
        """Add the expected scatter of rows that miss some features to that of all, in place.

        With B the regression of all features on the observed ones, that is ``B part B^T + counts conditional``.
        """

    @abstractmethod
    def observed_precisions(self, covariances: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the precisions of the observed features by themselves, zero elsewhere, for many masks at once.

        Parameters
        ----------
        covariances : ndarray
            In this shape.
        masks : ndarray of shape (n_masks, n_features), bool
            Which features are observed.

        Returns
        -------
        precisions : ndarray of shape (n_masks, n_components or 1, ...)
            A matrix for each, or its diagonal.
        half_log_det : ndarray of shape (n_masks, n_components or 1), in nats
            Half the log-determinant of each precision.
        """

    def times(self, precisions: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return what `observed_precisions` returned times vectors, one mask for each of (n, n_components, ...)."""
        return precisions * rows

    @abstractmethod
    def add_expected(
        self,
        sums: np.ndarray,
        scatter: np.ndarray,
        covariances: np.ndarray,
        weighted: np.ndarray,
        rows: np.ndarray,
        counts: np.ndarray,
        precisions: np.ndarray,
    ) -> None:
        """Add ``S v`` to the sums and ``S + S (v v^T - Q) S`` to the scatter, of rows that miss features, in place.

        Parameters
        ----------
        sums, scatter, covariances : ndarray
            The last S.
        weighted, rows : ndarray of shape (n_rows, n_components, n_features)
            ``v = Q (x - mean)``, the first times what the row counts for.
        counts : ndarray of shape (n_masks, n_components)
            What the rows of each mask count for without a tail.
        precisions : ndarray
            Q, of each mask, from `observed_precisions`.
        """

    def draw(
        self, mean: np.ndarray, covariance: np.ndarray, n_samples: int, random_state: np.random.RandomState
    ) -> np.ndarray:
        """Return rows of one Gaussian, whose `covariance` is as one component's is stored."""
        noise = random_state.standard_normal(size=(n_samples, len(mean)))
        return mean + noise * np.sqrt(covariance)

    def one(self, matrices: np.ndarray, component: int) -> np.ndarray:
        """Return the matrix of one component."""
        return matrices[component]


def collapse_error(
    component: int,
    counts: np.ndarray | None = None,
    n_features: int | None = None,
    reason: str = "its covariance is not positive definite",
) -> ComponentCollapseError:
    """Return the error that says why `component` has no density.

    A negative `component` means the covariance that all share.
    """
    which = "the shared covariance" if component < 0 else f"component {component}"
    if counts is not None and component >= 0:
        reason += f" (effective count {counts[component]:.4g}"
        reason += f" in {n_features} features)" if n_features else ")"
    return ComponentCollapseError(
        "Fitting the mixture model failed because some components have ill-defined empirical covariance (for "
        "instance caused by singleton or collapsed samples). Try to decrease the number of components, increase "
        f"reg_covar, or scale the input data. What failed: {which}, {reason}.",
        max(component, 0),
        reason,
    )
