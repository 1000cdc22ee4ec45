"""Pictures of fitted mixtures, with matplotlib (``pip install 'fastgmm[plot]'``).

Every function takes ``ax=`` (a new figure unless given) and returns it; colours are told apart with any common colour
blindness, and markers repeat what colours say. `views` reduces any number of features to two, `moments` reads a model,
`palette` holds colours, and each other file is one picture.
"""

from fastgmm.plotting.clusters import plot_clusters
from fastgmm.plotting.criteria import plot_criteria
from fastgmm.plotting.histogram import plot_histogram
from fastgmm.plotting.report import report_figure

__all__ = [
    "plot_clusters",
    "plot_criteria",
    "plot_histogram",
    "report_figure",
]
