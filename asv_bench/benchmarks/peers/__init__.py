"""The libraries fastgmm is compared with, each in a process of its own that answers the same requests.

`install` makes their commands, `session` talks to one and `measure` drives them in turn. The processes are libraries.py
for those in Python and the C++ files here for the others.
"""
