"""What a file may hold: these classes, these types of number, and attributes with the names that fits give."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["ARRAY_KINDS", "ESTIMATORS", "RECORDS", "SCALARS", "class_of", "is_attribute", "is_registered", "kind_of"]

# The estimators that may be in a file, and where each is; a new public one is one more line.
ESTIMATORS: dict[str, str] = {
    "BayesianGaussianMixture": "fastgmm.bayesian_mixture",
    "FisherVectorEncoder": "fastgmm.encoders",
    "GaussianMixture": "fastgmm.gaussian_mixture",
    "GaussianMixtureClassifier": "fastgmm.classifier",
    "GaussianMixtureClusterer": "fastgmm.clusterer",
    "GaussianMixtureFeatureSelector": "fastgmm.feature_selector",
    "GaussianMixtureImputer": "fastgmm.imputer",
    "GaussianMixtureOutlierDetector": "fastgmm.outlier_detector",
    "GaussianMixtureRegressor": "fastgmm.regressor",
    "GaussianMixtureSearch": "fastgmm.selection",
    "StudentMixture": "fastgmm.student_mixture",
    "VLADEncoder": "fastgmm.encoders",
}
# Data classes that estimators hold.
RECORDS: dict[str, str] = {
    "Box": "fastgmm.model.noise",
    "StreamSample": "fastgmm.data.stream_sample",
    "SufficientStatistics": "fastgmm.model.statistics",
}

SCALARS = {"bool", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
ARRAY_KINDS = "biufcUSmM"


def kind_of(value: Any) -> str:
    """Return the type of a value, for messages."""
    return f"of type {type(value).__module__}.{type(value).__qualname__}"


def class_of(name: str, registry: dict[str, str]) -> type:
    """Return the class that a registry lists under a name."""
    return getattr(importlib.import_module(registry[name]), name)


def is_registered(value: Any, registry: dict[str, str]) -> bool:
    """Return whether a registry lists the class of a value."""
    # The very class: a subclass of ours is somebody's own code, which no file can bring back.
    name = type(value).__name__
    return name in registry and type(value) is class_of(name, registry)


def is_attribute(name: Any, cls: type) -> bool:
    """Return whether a fit may have set an attribute of this name."""
    # What the class defines is no attribute of a fit: a file must not put a value in a method's place.
    return (
        isinstance(name, str)
        and name.isidentifier()
        and not name.startswith("__")
        and (name.endswith("_") or name.startswith("_"))
        and not hasattr(cls, name)
    )
