"""What the E-step of a fit asks of a block of rows.

`Plain` shares every row among all components; `Labelled` confines rows of a known class to its components; `Trimmed`
leaves out the least likely rows; `Truncated` shares each row among a few components; `Incomplete` asks any of the first
three of rows that miss values; `WithErrors` counts the true values of rows that were measured with errors.
``e_step.prepare(rows)`` does once what a fit needs once, and returns the passes: their ``accumulate(density)`` is one
pass, ``total_weight`` what a mean over rows divides by.
"""

from fastgmm.data.e_steps.base import EStep, Passes
from fastgmm.data.e_steps.errors import ERRORS, WithErrors
from fastgmm.data.e_steps.incomplete import Incomplete
from fastgmm.data.e_steps.labelled import LABELS, Labelled, statistics_of_labels
from fastgmm.data.e_steps.plain import Plain
from fastgmm.data.e_steps.trimmed import Trimmed
from fastgmm.data.e_steps.truncated import Truncated

__all__ = [
    "ERRORS",
    "LABELS",
    "EStep",
    "Incomplete",
    "Labelled",
    "Passes",
    "Plain",
    "Trimmed",
    "Truncated",
    "WithErrors",
    "statistics_of_labels",
]
