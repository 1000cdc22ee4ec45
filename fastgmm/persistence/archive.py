"""The file itself: an uncompressed zip archive of a JSON header and arrays.

Sizes, types and checksums are looked at before anything is read into memory, so that a small file cannot ask for much.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable

import numpy as np

from fastgmm.persistence.registry import ARRAY_KINDS

__all__ = ["FORMAT", "FORMAT_VERSION", "MIGRATIONS", "ModelFileError", "pack", "unpack"]

FORMAT = "fastgmm model"
FORMAT_VERSION = 1
HEADER = "header.json"

# ``MIGRATIONS[v]`` turns the header of a file of version v into one of version v + 1.
MIGRATIONS: dict[int, Callable[[dict], dict]] = {}


class ModelFileError(ValueError):
    """A file is not a fastgmm model, or not a whole one.

    See Also
    --------
    fastgmm.load : Raises it.
    """


def pack(header: dict, arrays: list[np.ndarray]) -> bytes:
    """Return the content of a file with this header and these arrays; the same for the same input."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        # A fixed time stamp: the same model is the same file.
        archive.writestr(zipfile.ZipInfo(HEADER), json.dumps(header, allow_nan=False, indent=1))
        for i, array in enumerate(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(_member(i)), member.getvalue())
    return content.getvalue()


def _member(i: int) -> str:
    return f"array{i}.npy"


def unpack(content: bytes) -> tuple[dict, list[np.ndarray]]:
    """Return header, in the newest version, and arrays; ModelFileError if the content is not a whole model file."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        members = {info.filename: info for info in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        cut = content[:4] == b"PK\x03\x04"
        raise ModelFileError(
            "a truncated or damaged fastgmm model" if cut else "not a fastgmm model; expected a file that save wrote"
        ) from error
    if HEADER not in members:
        raise ModelFileError("not a fastgmm model: it has no header.json; expected a file that save wrote")
    header = json.loads(_content(archive, members[HEADER], len(content)))
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ModelFileError(f"not a fastgmm model: its header does not say {FORMAT!r}")
    version = header.get("format_version")
    if type(version) is not int or version < 1:
        raise ModelFileError(f"its format version is {version!r}; expected a positive integer")
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"written in format version {version} by fastgmm {header.get('fastgmm_version')}; this fastgmm reads "
            f"versions up to {FORMAT_VERSION}: upgrade fastgmm"
        )
    for older in range(version, FORMAT_VERSION):
        header = MIGRATIONS[older](header)
    declared = header["arrays"]
    if set(members) != {HEADER, *map(_member, range(len(declared)))} or len(archive.infolist()) != len(members):
        raise ModelFileError("a damaged fastgmm model: its members are not those that its header declares")
    arrays = [
        _array(_content(archive, members[_member(i)], len(content)), entry, _member(i))
        for i, entry in enumerate(declared)
    ]
    return header, arrays


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    # Stored members are never larger than the file, so a small file cannot ask for much memory.
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 0x1 or info.file_size > limit:
        raise ModelFileError(f"a damaged fastgmm model: {info.filename} is compressed, encrypted or of a wrong size")
    try:
        return archive.read(info)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError) as error:
        raise ModelFileError(f"a damaged fastgmm model: {info.filename} fails its checksum or is cut short") from error


def _array(content: bytes, declared: dict, name: str) -> np.ndarray:
    member = io.BytesIO(content)
    if np.lib.format.read_magic(member) != (1, 0):
        raise ModelFileError(f"a damaged fastgmm model: {name} is not a plain array")
    try:
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(member)
    except Exception as error:  # NumPy tries a damaged header as Python 2 wrote it, with a tokenizer's errors
        raise ModelFileError(f"a damaged fastgmm model: {name} has no readable header") from error
    size = math.prod(shape) * dtype.itemsize
    if (
        dtype.kind not in ARRAY_KINDS
        or dtype.hasobject
        or fortran
        or any(length < 0 for length in shape)
        or {"dtype": dtype.str, "shape": list(shape)} != declared
        or size != len(content) - member.tell()
    ):
        raise ModelFileError(f"a damaged fastgmm model: {name} is not the array that the header declares")
    return np.frombuffer(content, dtype, offset=member.tell(), count=math.prod(shape)).reshape(shape).copy()
