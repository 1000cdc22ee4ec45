"""What property tests draw: mixtures, rows, weights, and the ways an array can lie in memory."""

import numpy as np
from hypothesis import strategies as st
from mixtures import random_parameters, random_rows

from fastgmm.families.covariance import COVARIANCES

__all__ = ["FAMILIES", "KERNEL_STRUCTURES", "LAYOUTS", "cases", "families", "laid_out", "seeds", "weights"]

KERNEL_STRUCTURES = ("full", "tied", "diag", "spherical")
FAMILIES = tuple(COVARIANCES)

seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from([np.float64, np.float32])


@st.composite
def cases(draw, structures=KERNEL_STRUCTURES, dtype=dtypes, max_rows=400, max_features=20, max_components=9):
    """Draw (parameters, rows): a mixture and rows near it, few more often than many."""
    structure = draw(st.sampled_from(structures))
    n_features = draw(st.integers(1, max_features))
    n_components = draw(st.integers(1, max_components))
    n_samples = draw(st.integers(1, max_rows))
    rng = np.random.default_rng(draw(seeds))
    parameters = random_parameters(
        structure,
        n_components,
        n_features,
        rng,
        spread=draw(st.sampled_from([0.0, 0.5, 3.0, 30.0])),
        offset=draw(st.sampled_from([0.0, 0.0, -50.0])),
    )
    return parameters, random_rows(parameters, n_samples, rng, draw(dtype))


@st.composite
def families(draw, n_features):
    """Draw a covariance type that goes with so many features."""
    one = n_features == 1
    return draw(st.sampled_from([name for name in FAMILIES if len(name) > 3 or (len(name) == 1) == one]))


@st.composite
def weights(draw, n_samples, whole=False):
    """Draw sample weights, at least one of them positive; zeros among them."""
    rng = np.random.default_rng(draw(seeds))
    found = rng.integers(0, 4, size=n_samples) if whole else rng.choice([0.0, 0.25, 1.0, 7.5], size=n_samples)
    found[rng.integers(n_samples)] = 1
    return found if whole else found * draw(st.sampled_from([1.0, 1e-3, 1e4]))


def _offset(X):
    """Return the rows as a view into the middle of a larger array."""
    larger = np.full((X.shape[0] + 3, X.shape[1]), np.nan, dtype=X.dtype)
    larger[2:-1] = X
    return larger[2:-1]


def _strided(X):
    larger = np.full((2 * X.shape[0], 3 * X.shape[1]), np.nan, dtype=X.dtype)
    larger[::2, ::3] = X
    return larger[::2, ::3]


def _read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def _unaligned(X):
    """Return the rows one byte off their natural boundary, as in a message that a header precedes."""
    content = np.zeros(X.nbytes + 1, dtype=np.uint8)
    view = content[1:].view(X.dtype).reshape(X.shape)
    view[...] = X
    return view


#: Ways for the same numbers to lie in memory.
LAYOUTS = {
    "contiguous": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": _strided,
    "rows backwards": lambda X: np.ascontiguousarray(X[::-1])[::-1],
    "columns backwards": lambda X: np.ascontiguousarray(X[:, ::-1])[:, ::-1],
    "read-only": _read_only,
    "offset": _offset,
    "unaligned": _unaligned,
    "other byte order": lambda X: X.astype(X.dtype.newbyteorder()),
}


def laid_out(X, layout):
    """Return the same numbers in another layout."""
    found = LAYOUTS[layout](X)
    assert np.array_equal(found, X)
    return found
