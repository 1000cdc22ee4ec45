"""The algebra of one matrix per component, for every shape that matrices may have.

A shape says how covariances, precision factors and scatter of K components in D features are stored, and does the
arithmetic on them: no other code asks which shape it has. `base` lists the operations; a file for each shape
fills them in. `get_shape` returns the one of a name, which is how files and users call it.
"""

from fastgmm.model.shapes.base import Shape
from fastgmm.model.shapes.diagonal import DIAGONAL, Diagonal
from fastgmm.model.shapes.full import FULL, Full
from fastgmm.model.shapes.low_rank import PREFIX, LowRank, low_rank
from fastgmm.model.shapes.spherical import SPHERICAL, Spherical
from fastgmm.model.shapes.tied import TIED, Tied

__all__ = [
    "DIAGONAL",
    "FULL",
    "SHAPES",
    "SPHERICAL",
    "TIED",
    "Diagonal",
    "Full",
    "LowRank",
    "Shape",
    "Spherical",
    "Tied",
    "get_shape",
    "low_rank",
    "shape_of",
]

#: By name, in the order of their numbers in files of statistics.
SHAPES: dict[str, Shape] = {shape.name: shape for shape in (FULL, TIED, DIAGONAL, SPHERICAL)}


def get_shape(name: str) -> Shape:
    """Return the shape called `name`.

    Raises
    ------
    ValueError
        If there is none; the message lists those there are.
    """
    try:
        return low_rank(int(name[len(PREFIX) :])) if name.startswith(PREFIX) else SHAPES[name]
    except (KeyError, TypeError, AttributeError):
        raise ValueError(f"structure is {name!r}; expected one of {', '.join(SHAPES)}") from None


def shape_of(factors) -> Shape:
    """Return the shape that precision factors of a mixture have, by their dimensions.

    As many components as features leave two shapes: what one has is positive, where a factor of the other has zeros.
    """
    if factors.ndim != 2:
        return FULL if factors.ndim == 3 else SPHERICAL
    is_one_matrix = factors.shape[0] == factors.shape[1] and not (factors > 0).all()
    return TIED if is_one_matrix else DIAGONAL
