"""Estimators that draw and describe themselves."""

from __future__ import annotations

from typing import Any

__all__ = ["SummaryMethod"]


class SummaryMethod:
    """The part of an estimator that puts its fit into words."""

    def summary(self, X: Any = None) -> str:
        """Describe the fitted model in a few lines of text.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), optional
            Rows to count by component.

        Returns
        -------
        summary : str
            Parameters, convergence, overlap, warnings, and a table of components.
        """
        from fastgmm.summary import summary

        return summary(self, X)
