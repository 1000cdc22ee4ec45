"""What a mixture is: how statistics become its parameters, and what a run of EM may ask of it.

`base` lists the questions; `gaussian` is the mixture by maximum likelihood or under a conjugate prior, over the
covariance families of `covariance`, whose eigenvalues `bounded` binds, and, for many features, of `low_rank`; `student`
has t components in place of normal ones; `background` wraps a family beside an even background; `classes` is one
mixture per class; `variational` a
posterior. A family is a frozen value: whatever an M-step needs is in it.
"""

from fastgmm.families.background import WithBackground, beside_background
from fastgmm.families.base import Family
from fastgmm.families.bounded import bounded
from fastgmm.families.classes import ClassMixtures
from fastgmm.families.covariance import COVARIANCES, CovarianceFamily
from fastgmm.families.gaussian import Gaussian
from fastgmm.families.low_rank import LOW_RANK, LowRankFamily, get_covariance
from fastgmm.families.student import Student
from fastgmm.families.variational import Variational

__all__ = [
    "COVARIANCES",
    "LOW_RANK",
    "ClassMixtures",
    "CovarianceFamily",
    "Family",
    "Gaussian",
    "LowRankFamily",
    "Student",
    "Variational",
    "WithBackground",
    "beside_background",
    "bounded",
    "get_covariance",
]
