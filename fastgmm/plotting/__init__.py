"""Pictures of fitted mixtures, with matplotlib (``pip install 'fastgmm[plot]'``).

Every function takes ``ax=`` (a new figure unless given) and returns it; colours are told apart with any common colour
blindness, and markers repeat what colours say. `views` reduces any number of features to two, `moments` reads a model,
`palette` holds colours, and each other file is one picture.
"""

from fastgmm.plotting.classes import plot_classes
from fastgmm.plotting.clusters import plot_clusters
from fastgmm.plotting.convergence import plot_convergence
from fastgmm.plotting.criteria import plot_criteria
from fastgmm.plotting.density import plot_density
from fastgmm.plotting.histogram import plot_histogram
from fastgmm.plotting.model_picture import plot_model
from fastgmm.plotting.outliers import plot_outlier_scores
from fastgmm.plotting.pairs import plot_pairs
from fastgmm.plotting.posterior import plot_posterior
from fastgmm.plotting.regression import plot_regression
from fastgmm.plotting.report import report_figure
from fastgmm.plotting.segmentation import plot_segmentation
from fastgmm.plotting.trimming import plot_trimming_curves
from fastgmm.plotting.views import View

__all__ = [
    "View",
    "plot_classes",
    "plot_clusters",
    "plot_convergence",
    "plot_criteria",
    "plot_density",
    "plot_histogram",
    "plot_model",
    "plot_outlier_scores",
    "plot_pairs",
    "plot_posterior",
    "plot_regression",
    "plot_segmentation",
    "plot_trimming_curves",
    "report_figure",
]
