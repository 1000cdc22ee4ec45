"""Feeds `fastgmm.load` with damaged model files: a model or ModelFileError comes back, nothing else.

python tests/fuzz/fuzz_load.py -runs=100000 -max_len=96 -len_control=0 CORPUS      (needs atheris)
python tests/fuzz/fuzz_load.py --random 100000 SEED                                (needs nothing)
"""

import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from choices import Choices, main

import fastgmm
from fastgmm.persistence import ModelFileError

MODELS = sorted((Path(__file__).parent.parent / "data" / "models").glob("*.npz"))
ORIGINALS = [path.read_bytes() for path in MODELS]
PATH = Path(tempfile.mkdtemp(), "model.npz")


def members(content):
    """Return the members of a model file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def damaged(data):
    """Return a model file with bytes changed; in half of the cases its checksums are right all the same."""
    choices = Choices(data)
    content = choices.one_of(ORIGINALS)
    if choices.below(2):
        content = bytearray(content)
        for _ in range(choices.below(7)):
            content[choices.below(len(content))] = choices.below(256)
        return bytes(content[: choices.below(len(content))] if choices.below(2) else content)
    parts = members(content)
    name = "header.json" if choices.below(2) else choices.one_of(sorted(parts))
    part = bytearray(parts[name])
    for _ in range(1 + choices.below(6)):
        at, length = choices.below(len(part) + 1), choices.below(12)
        part[at : at + length] = choices.bytes(choices.below(12))
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
    main(test_one)
