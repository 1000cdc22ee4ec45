"""Estimators that draw and describe themselves."""

from __future__ import annotations

from typing import Any

from fastgmm.estimator.absent_rows import without_absent
from fastgmm.estimator.reading import refuse_source

__all__ = ["PlotMethod", "SummaryMethod"]


class SummaryMethod:
    """The part of an estimator that puts its fit into words."""

    def summary(self, X: Any = None, sample_weight: Any = None) -> str:
        """Describe the fitted model in a few lines of text.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), optional
            Rows to be counted by component.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each row. By default every row counts once. Rows with weight 0 are ignored.

        Returns
        -------
        summary : str
            Parameters, convergence, overlap, warnings, and a table of components. The text shows itself: as lines at
            a prompt, and as tables in a notebook.

        See Also
        --------
        plot : The model as a picture.
        """
        from fastgmm.summary import summary

        refuse_source(X, "summary")
        return summary(self, without_absent(X, sample_weight, self), sample_weight)


class PlotMethod:
    """The part of an estimator that draws the mixture it is or holds."""

    def plot(self, X: Any = None, *, kind: Any = None, ax: Any = None, **options: Any) -> Any:
        """Draw the fitted mixture and rows, the scores of rows, or the candidates of a search; needs matplotlib.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to draw. For a search they are drawn under the best model; without rows, the criterion of all
            candidates is drawn.
        kind : {'clusters', 'density', 'histogram', 'outliers', 'pairs', 'posterior', 'criteria'}, optional
            Which picture to draw. By default it is 'outliers' for an outlier detector, 'histogram' for one feature, and
            'clusters' otherwise. 'criteria' is for a search.
        ax : matplotlib Axes, optional
            The axes to draw into. By default a new figure is made.
        **options
            Further options of the function of `fastgmm.plotting` that draws this kind.

        Returns
        -------
        Axes
            The matplotlib axes that were drawn into.

        See Also
        --------
        fastgmm.plotting : All pictures as functions.
        summary : The model in words.
        """
        from fastgmm.plotting import plot_model

        refuse_source(X, "plot")
        return plot_model(self, X, kind=kind, ax=ax, **options)
