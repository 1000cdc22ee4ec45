"""The Numba engine: functions compiled at first use and kept on disk, an independent twin of the compiled ones.

`passes` and `nearest` are what Python calls; `lanes`, `blocks` and `exponential` are the vectors they are written in.
"""
