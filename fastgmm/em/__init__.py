"""Expectation-maximisation: from a start to converged parameters, whatever the source of the rows.

`driver` repeats pass and M-step until convergence and chooses among runs; `initialisation` makes the first
parameters; `kmeans` is the compiled k-means behind them; `reporter` is the one place that writes progress.
"""

from fastgmm.em.driver import Run, best_run, run_em
from fastgmm.em.initialisation import INIT_PARAMS, Start, initial_parameters, initial_statistics
from fastgmm.em.kmeans import kmeans, kmeans_plusplus
from fastgmm.em.reporter import Reporter

__all__ = [
    "INIT_PARAMS",
    "Reporter",
    "Run",
    "Start",
    "best_run",
    "initial_parameters",
    "initial_statistics",
    "kmeans",
    "kmeans_plusplus",
    "run_em",
]
