"""The libraries fastgmm is compared with, each in a process of its own that answers the same requests.

`install` makes their commands, `measure` drives them in turn; worker.py and the C++ files are the processes.
"""
