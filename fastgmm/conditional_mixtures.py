"""The mixtures that conditioning leaves: one for each row of values."""

from fastgmm.estimator.conditional_mixtures import ConditionalMixtures

__all__ = ["ConditionalMixtures"]
