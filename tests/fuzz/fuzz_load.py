"""Feeds `fastgmm.load` with damaged model files: a model or ModelFileError comes back, nothing else.

python tests/fuzz/fuzz_load.py -runs=100000 CORPUS      (needs atheris)
"""

import io
import sys
import tempfile
import zipfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fastgmm.persistence"]):
    import fastgmm
    from fastgmm.persistence import ModelFileError

import numpy as np

MODELS = sorted((Path(__file__).parent.parent / "data" / "models").glob("*.npz"))
ORIGINALS = [path.read_bytes() for path in MODELS]
PATH = Path(tempfile.mkdtemp(), "model.npz")


def members(content):
    """Return the members of a model file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def damaged(data):
    """Return a model file with bytes changed; in half of the cases its checksums are right all the same."""
    provider = atheris.FuzzedDataProvider(data)
    content = provider.PickValueInList(ORIGINALS)
    if provider.ConsumeBool():
        content = bytearray(content)
        for _ in range(provider.ConsumeIntInRange(1, 6)):
            content[provider.ConsumeIntInRange(0, len(content) - 1)] = provider.ConsumeIntInRange(0, 255)
        return (
            bytes(content[: provider.ConsumeIntInRange(0, len(content))]) if provider.ConsumeBool() else bytes(content)
        )
    parts = members(content)
    name = "header.json" if provider.ConsumeBool() else provider.PickValueInList(sorted(parts))
    part = bytearray(parts[name])
    for _ in range(provider.ConsumeIntInRange(1, 6)):
        at, length = provider.ConsumeIntInRange(0, len(part)), provider.ConsumeIntInRange(0, 12)
        part[at : at + length] = provider.ConsumeBytes(provider.ConsumeIntInRange(0, 12))
    parts[name] = bytes(part)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for other, held in parts.items():
            archive.writestr(other, held)
    return out.getvalue()


def test_one(data):
    """Load one file, and use the model if there is one."""
    PATH.write_bytes(damaged(data))
    try:
        model = fastgmm.load(PATH)
    except ModelFileError:
        return
    if hasattr(model, "means_") and hasattr(model, "predict_proba"):
        try:
            model.predict_proba(np.zeros((3, model.n_features_in_)))
        except (ValueError, TypeError, AttributeError, FloatingPointError):
            return  # wrong numbers or settings, found when they are used


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one)
    atheris.Fuzz()
