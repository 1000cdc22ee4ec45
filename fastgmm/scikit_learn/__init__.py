"""scikit-learn's mixtures, made ours and read.

`patch_sklearn` puts faster classes in the place of scikit-learn's, in every module: `patching` finds the places,
`classes` makes the classes, `companions` are the estimators they delegate to, `delegation` says when they may.
`from_sklearn` turns one fitted model of scikit-learn's into ours.
"""

from fastgmm.scikit_learn.conversion import from_sklearn
from fastgmm.scikit_learn.patching import patch_sklearn, unpatch_sklearn

__all__ = ["from_sklearn", "patch_sklearn", "unpatch_sklearn"]
