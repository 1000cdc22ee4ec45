"""Sufficient statistics of a Gaussian mixture: the sums that one pass over the data leaves behind."""

from __future__ import annotations

import math
import struct
import zlib
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastgmm.model.shapes import SHAPES, Shape, get_shape

__all__ = ["SufficientStatistics"]

# Serialised: this, then centres, counts, sums and scatter as little-endian float64, then the CRC-32 of all before it.
_MAGIC = b"fgmmstat"
_HEADER = struct.Struct("<8sHHQQd")  # magic, version, structure, n_components, n_features, log_likelihood
_CHECKSUM = struct.Struct("<I")
_VERSION = 1
_CODES = tuple(SHAPES)
# Added to the structure's code where tail_sums follow.
_TAILED = 64


@dataclass
class SufficientStatistics:
    """Weighted moments of each component, taken about centres close to the data.

    With responsibilities ``r`` (times sample weights) and centres ``c``::

        counts[k]  = sum_n r[n, k]
        sums[k]    = sum_n r[n, k] (x[n] - c[k])
        scatter[k] = sum_n r[n, k] (x[n] - c[k]) (x[n] - c[k])^T

    Uncentred sums would lose about ``2 log10(|mean| / sd)`` digits, so the centres are part of the statistics.

    Attributes
    ----------
    structure : {'full', 'tied', 'diag', 'spherical'}
        Which part of the scatter is kept: ``full`` (n_components, n_features, n_features), ``tied`` the sum over
        components (n_features, n_features), ``diag`` the diagonals (n_components, n_features), ``spherical``
        their traces (n_components,).
    centres : ndarray of shape (n_components, n_features), float64
        The points about which sums and scatter are taken.
    counts : ndarray of shape (n_components,), float64
        The sum of responsibilities of each component, in rows.
    sums : ndarray of shape (n_components, n_features), float64
        The sum of responsibility times the row's distance from the centre.
    scatter : ndarray, float64
        The sum of responsibility times the outer product of that distance, in the shape of a covariance.
    log_likelihood : float
        Total over samples, weighted, in nats.
    tail_sums : ndarray of shape (2, n_components), float64, or None
        Of components with a tail: rows count in sums and scatter with a precision u of their own, and these are the
        sums of ``r u`` and of ``r (log u - u)``; see `fastgmm.kernels.StudentTail`.
    """

    structure: str
    centres: np.ndarray
    counts: np.ndarray
    sums: np.ndarray
    scatter: np.ndarray
    log_likelihood: float = 0.0
    tail_sums: np.ndarray | None = None

    @classmethod
    def zeros(cls, structure: str, centres: np.ndarray, tail: Any = None) -> SufficientStatistics:
        """Return empty statistics about `centres` of shape (n_components, n_features), for components with a tail."""
        centres = np.ascontiguousarray(centres, dtype=np.float64)
        n_components, n_features = centres.shape
        return cls(
            structure,
            centres,
            np.zeros(n_components),
            np.zeros((n_components, n_features)),
            np.zeros(get_shape(structure).dims(n_components, n_features)),
            tail_sums=None if tail is None else np.zeros((2, n_components)),
        )

    @property
    def shape(self) -> Shape:
        """The algebra of the scatter."""
        return get_shape(self.structure)

    @property
    def totals(self) -> tuple[np.ndarray, ...]:
        """The arrays that add up over rows."""
        own = (self.counts, self.sums, self.scatter)
        return own if self.tail_sums is None else (*own, self.tail_sums)

    @property
    def weights(self) -> np.ndarray:
        """What the rows weigh in `sums` and `scatter`, shape (n_components,): `counts`, where there is no tail."""
        return self.counts if self.tail_sums is None else self.tail_sums[0]

    def scale(self, factor: float) -> None:
        """Multiply the weight of all rows by `factor`, in place."""
        for total in self.totals:
            total *= factor
        self.log_likelihood *= factor

    def take(self, chosen: Any) -> SufficientStatistics:
        """Return the statistics of the components `chosen`, an index array or slice; shared scatter is that of all."""
        scatter = self.shape.take(self.scatter, chosen)
        tail_sums = None if self.tail_sums is None else self.tail_sums[:, chosen]
        return SufficientStatistics(
            self.structure, self.centres[chosen], self.counts[chosen], self.sums[chosen], scatter, 0.0, tail_sums
        )

    def tied_as(self, shape: Shape) -> SufficientStatistics:
        """Return these statistics, of a matrix per component, with the scatter as `shape` keeps it."""
        return replace(self, structure=shape.name, scatter=shape.tie(self.scatter)) if shape.is_shared else self

    def about(self, centres: np.ndarray) -> SufficientStatistics:
        """Return the same rows' statistics about other centres; these are left as they are.

        With ``h = c - centres``: sums gain ``weights h``, the scatter ``sums h^T + h sums^T + weights h h^T``. The
        formula is exact; its rounding grows with ``(|h| / sd)^2`` where rows lie far from either centre.

        Parameters
        ----------
        centres : ndarray of shape (n_components, n_features), float64
            The points about which sums and scatter are taken.

        Returns
        -------
        SufficientStatistics
            New ones.

        Raises
        ------
        ValueError
            If `centres` has another shape.
        """
        if np.shape(centres) != self.centres.shape:
            raise ValueError(
                f"centres has shape {np.shape(centres)}; expected (n_components, n_features) = {self.centres.shape}"
            )
        if np.array_equal(centres, self.centres):
            return deepcopy(self)
        shift = self.centres - centres
        moved = self.weights[:, None] * shift
        return SufficientStatistics(
            self.structure,
            np.array(centres, dtype=np.float64),
            self.counts.copy(),
            self.sums + moved,
            self.scatter + self.shape.cross(self.sums, moved, shift),
            self.log_likelihood,
            None if self.tail_sums is None else self.tail_sums.copy(),
        )

    def merge(self, other: SufficientStatistics) -> None:
        """Add the statistics of other rows to these, in place, whatever centres they were taken about.

        Those of `other` are moved to these centres (see `about`), so shards made elsewhere may each have used centres
        of their own. The order of merging matters to rounding only.

        Raises
        ------
        ValueError
            If the structures or the sizes differ.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgmm.model import SufficientStatistics
        >>> a = SufficientStatistics("diag", np.array([[1.0]]), np.array([2.0]), np.array([[0.0]]), np.array([[2.0]]))
        >>> b = SufficientStatistics("diag", np.array([[3.0]]), np.array([1.0]), np.array([[0.0]]), np.array([[0.0]]))
        >>> a.merge(SufficientStatistics.from_bytes(b.to_bytes()))  # rows 0, 2 and 3, about 1
        >>> a.counts, a.sums, a.scatter
        (array([3.]), array([[2.]]), array([[6.]]))
        """
        if self.structure != other.structure:
            raise ValueError(
                f"other has structure {other.structure!r}; expected {self.structure!r}, the structure merged into"
            )
        if self.centres.shape != other.centres.shape:
            raise ValueError(
                f"other has (n_components, n_features) = {other.centres.shape}; expected {self.centres.shape}, the "
                "sizes merged into"
            )
        if len(self.totals) != len(other.totals):
            raise ValueError("other and these statistics must both be of components with a tail, or neither")
        if not np.array_equal(self.centres, other.centres):
            other = other.about(self.centres)
        for total, part in zip(self.totals, other.totals, strict=True):
            total += part
        self.log_likelihood += other.log_likelihood

    def __add__(self, other: Any) -> SufficientStatistics:
        """Return the statistics of these and other rows, about these centres; see `merge`."""
        if not isinstance(other, SufficientStatistics):
            return NotImplemented
        both = self.about(self.centres)
        both.merge(other)
        return both

    def __radd__(self, other: Any) -> SufficientStatistics:
        """Return these statistics: ``sum`` begins with zero."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def to_bytes(self) -> bytes:
        """Return these statistics as bytes for `from_bytes`, on this machine or another; no pickle.

        Returns
        -------
        bytes
            A header, the arrays as little-endian float64, and a CRC-32: ``8 (2 K D + K + scatter.size) + 40`` bytes.
        """
        n_components, n_features = self.centres.shape
        code = _CODES.index(self.structure) + (0 if self.tail_sums is None else _TAILED)
        header = _HEADER.pack(_MAGIC, _VERSION, code, n_components, n_features, self.log_likelihood)
        arrays = (self.centres, *self.totals)
        content = header + b"".join(np.ascontiguousarray(array, dtype="<f8").tobytes() for array in arrays)
        return content + _CHECKSUM.pack(zlib.crc32(content))

    @classmethod
    def from_bytes(cls, content: bytes) -> SufficientStatistics:
        """Return the statistics that `to_bytes` wrote, bit for bit.

        Parameters
        ----------
        content : bytes-like
            What `to_bytes` returned.

        Returns
        -------
        SufficientStatistics
            The same as those that were written.

        Raises
        ------
        ValueError
            If the bytes are something else, of a newer version, cut short, or damaged.
        """
        content = bytes(content)
        if len(content) < _HEADER.size or not content.startswith(_MAGIC):
            raise ValueError(
                f"content is {len(content)} bytes that begin {content[:8]!r}; expected what "
                "SufficientStatistics.to_bytes returned"
            )
        _, version, code, n_components, n_features, log_likelihood = _HEADER.unpack_from(content)
        if version != _VERSION:
            raise ValueError(
                f"content has version {version}; expected {_VERSION}. Read it with the fastgmm that wrote it, or newer"
            )
        tailed, code = divmod(code, _TAILED)
        if tailed > 1 or code >= len(_CODES):
            raise ValueError(f"content is damaged: there is no structure {code}; expected 0 to {len(_CODES) - 1}")
        k, d = n_components, n_features
        shapes = [(k, d), (k,), (k, d), SHAPES[_CODES[code]].dims(k, d), *[(2, k)] * tailed]
        expected = _HEADER.size + 8 * sum(map(math.prod, shapes)) + _CHECKSUM.size
        if len(content) != expected:
            raise ValueError(
                f"content has {len(content)} bytes; expected {expected} for {k} components of {d} features. It was cut "
                "short or is damaged: send it again"
            )
        if _CHECKSUM.unpack_from(content, expected - _CHECKSUM.size)[0] != zlib.crc32(content[: -_CHECKSUM.size]):
            raise ValueError("content fails its checksum: it is damaged, send it again")
        arrays, at = [], _HEADER.size
        for shape in shapes:
            size = math.prod(shape)
            part = np.frombuffer(content, dtype="<f8", count=size, offset=at).reshape(shape)
            arrays.append(part.astype(np.float64))  # a copy: bytes are read-only
            at += 8 * size
        centres, counts, sums, scatter = arrays[:4]
        return cls(_CODES[code], centres, counts, sums, scatter, log_likelihood, arrays[4] if tailed else None)
