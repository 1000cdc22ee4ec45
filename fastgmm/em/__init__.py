"""Expectation-maximisation: from a start to converged parameters, whatever the source of the rows.

`driver` repeats pass and M-step and chooses among runs; `acceleration` proposes longer steps and `convergence` says
when to stop; `initialisation` makes the first parameters; `kmeans` is the compiled k-means behind them; `reporter` is
the one place that writes progress.
"""

from fastgmm.em.acceleration import ACCELERATIONS, QuasiNewton, proposal_cost
from fastgmm.em.convergence import STOP_ON
from fastgmm.em.driver import CountedSource, Run, best_run, run_em
from fastgmm.em.initialisation import INIT_PARAMS, Start, initial_parameters, initial_statistics
from fastgmm.em.kmeans import kmeans, kmeans_plusplus
from fastgmm.em.reporter import Reporter

__all__ = [
    "ACCELERATIONS",
    "INIT_PARAMS",
    "STOP_ON",
    "CountedSource",
    "QuasiNewton",
    "Reporter",
    "Run",
    "Start",
    "best_run",
    "initial_parameters",
    "initial_statistics",
    "kmeans",
    "kmeans_plusplus",
    "proposal_cost",
    "run_em",
]
