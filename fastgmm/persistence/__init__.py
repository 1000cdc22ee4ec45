"""Keeping fitted models: one file, arrays and a JSON header, no pickle.

A model file is an uncompressed zip archive: ``header.json`` says what the model is, and each array is a ``.npy``
member named by the header. ``numpy.load`` opens it too. Nothing in a file is ever executed: classes come from the
`registry`, arrays are read without pickle, and names, sizes and shapes are checked before use.

`model_file` saves and loads; `encoding` and `decoding` turn an estimator into JSON and back; `archive` is the
container, its header and its versions; `whole_file` writes it.
"""

from fastgmm.persistence.archive import FORMAT_VERSION, ModelFileError
from fastgmm.persistence.model_file import load, read_training, save
from fastgmm.persistence.registry import ESTIMATORS

__all__ = ["ESTIMATORS", "FORMAT_VERSION", "ModelFileError", "load", "read_training", "save"]
