"""Values of options that argparse does not know."""

from __future__ import annotations

import argparse

from fastgmm.families import COVARIANCES

__all__ = [
    "BASIC_STRUCTURES",
    "add_data_options",
    "add_stream_option",
    "components",
    "non_negative",
    "positive_int",
    "seed",
    "structures",
]

BASIC_STRUCTURES = ("spherical", "diag", "tied", "full")


def add_data_options(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    """Add what says which data to read: the file, its columns, the names of its rows."""
    parser.add_argument(
        "data",
        nargs="?" if optional else None,
        metavar="DATA",
        help="CSV, TSV, Parquet, Arrow IPC or .npy file, with or without a header, or a folder of Parquet files; - for "
        "standard input",
    )
    parser.add_argument(
        "--columns", nargs="+", metavar="COL", help="columns to use, in this order (default: all with a name)"
    )
    parser.add_argument("--id", metavar="COL", help="column of row names, which is not modelled")


def add_stream_option(parser: argparse.ArgumentParser) -> None:
    """Add what says whether DATA is read block by block."""
    parser.add_argument(
        "--stream",
        action=argparse.BooleanOptionalAction,
        help="read Parquet or .npy block by block, again in every pass, or load it (default: block by block what would "
        "take more than a quarter of the memory available)",
    )


def components(text: str) -> list[int]:
    """Read numbers of components: ``3``, ``1..12``, ``2,4,8`` or a mixture of these."""
    found: set[int] = set()
    try:
        for part in text.split(","):
            low, dots, high = part.partition("..")
            numbers = range(int(low), int(high) + 1) if dots else [int(low)]
            if not numbers or min(numbers) < 1:
                raise ValueError
            found.update(numbers)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}; expected numbers from 1, as in 3, 1..12 or 2,4,8") from None
    return sorted(found)


def structures(text: str) -> list[str] | None:
    """Read covariance structures: ``all`` (None: what suits the data) or a list of names."""
    if text == "all":
        return None
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in COVARIANCES:
            raise argparse.ArgumentTypeError(
                f"no structure {name!r}; expected all, or some of {', '.join(COVARIANCES)}"
            )
    return names


def positive_int(text: str) -> int:
    """Read an integer of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; expected an integer of at least 1")
    return value


def seed(text: str) -> int:
    """Read a seed of random numbers."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"{text!r}; expected an integer from 0 to 4294967295")
    return value


def non_negative(text: str) -> float:
    """Read a finite number of at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}; expected a number of at least 0")
    return value
