"""Expectation-maximisation: from a start to a converged state, whatever the rows, the E-step and the family.

`run` repeats pass and M-step and chooses among runs; `acceleration` proposes longer steps and `convergence` says
when to stop; `stepwise` is EM on a stream.
"""

from fastgmm.em.acceleration import ACCELERATIONS, QuasiNewton, proposal_cost
from fastgmm.em.convergence import STOP_ON
from fastgmm.em.run import Run, best_run, run_em

__all__ = ["ACCELERATIONS", "STOP_ON", "QuasiNewton", "Run", "best_run", "proposal_cost", "run_em"]
