"""Compressed content, told by its first bytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib

from fastgmm.exceptions import TableError

__all__ = ["decompressed"]

READERS = {b"\x1f\x8b": gzip.decompress, b"BZh": bz2.decompress, b"\xfd7zXZ\x00": lzma.decompress}
ZSTANDARD = b"\x28\xb5\x2f\xfd"
ARCHIVE = b"PK\x03\x04"


def decompressed(content: bytes, source: str) -> bytes:
    """Return what is in gzip, bzip2, xz or Zstandard (which needs pyarrow), and other content as it is."""
    if content.startswith(ARCHIVE):
        raise TableError(
            f"{source}: an archive, as .zip, .xlsx and .npz are; expected a table, as CSV, Parquet, Arrow or .npy. "
            "Unpack it, or save the sheet as CSV"
        )
    try:
        for head, reader in READERS.items():
            if content.startswith(head):
                return reader(content)
        return _from_zstandard(content, source) if content.startswith(ZSTANDARD) else content
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise TableError(f"{source}: compressed, but damaged or cut off: {error}") from None


def _from_zstandard(content: bytes, source: str) -> bytes:
    from fastgmm.tables.columnar import import_pyarrow

    pa = import_pyarrow(f"{source}: reading Zstandard")
    with pa.input_stream(pa.BufferReader(content), compression="zstd") as stream:
        return bytes(stream.read())
