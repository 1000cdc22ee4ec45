"""What the estimators are made of: the one skeleton of a fit, and what a fitted model answers.

`problem` is a fit (passes over rows, a family, where runs begin, when they end) and `reading` what X is read as;
`mixture` is the fit that the two mixtures share. `per_row` answers for each row of an array or a source;
`prediction_methods`, `criterion_methods`, `inference_methods` and `conversion_methods` say what; `stream_methods` learn
from batches. The rest checks what users pass in.
"""
