"""Choices read from bytes, and the two ways to come by bytes: at random, or from a fuzzer."""

import random
import sys
import warnings

__all__ = ["Choices", "main", "run_random"]


class Choices:
    """Numbers read from bytes; zeros when there are no more."""

    def __init__(self, data):
        self._data = data
        self._at = 0

    def below(self, limit):
        """Return a number in [0, limit), of two bytes."""
        return int.from_bytes(self.bytes(2), "little") % limit

    def one_of(self, values):
        """Return one of `values`."""
        return values[self.below(len(values))]

    def bytes(self, count):
        """Return the next `count` bytes, or what is left."""
        self._at += count
        return bytes(self._data[self._at - count : self._at])


def run_random(test_one, count, seed, length=96):
    """Test `count` random cases; a case that fails is printed, for the tests' data."""
    source = random.Random(seed)
    for number in range(count):
        case = source.randbytes(length)
        try:
            test_one(case)
        except BaseException:
            print(f"case {number} of seed {seed}: {case!r}", flush=True)
            raise


def main(test_one):
    """Run ``--random COUNT SEED``, or atheris with its arguments."""
    warnings.simplefilter("ignore")
    if sys.argv[1:2] == ["--random"]:
        count, seed = int(sys.argv[2]), int(sys.argv[3])
        run_random(test_one, count, seed)
        print(f"{count} random cases passed")
        return
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one)
    atheris.Fuzz()
