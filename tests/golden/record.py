"""Records the golden states, and compares two records.

python tests/golden/record.py OUT.npz                 record the fastgmm that is imported
python tests/golden/record.py --compare OUT.npz REFERENCE.npz [TOLERANCE]
python tests/golden/record.py --time                  print the slowest cases

The same checkout gives the same bytes on one machine. TOLERANCE is 0 unless given: bits.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from golden.cases import CASES, run
from golden.states import differences, read, write


def compare(found, recorded, tolerance):
    """Print every difference and return how many cases have one."""
    found, recorded = read(found), read(recorded)
    different = 0
    for name in dict.fromkeys([*recorded, *found]):
        if name not in found or name not in recorded:
            print(f"{name}: only in one of the files")
            different += 1
            continue
        lines = differences(found[name], recorded[name], tolerance)
        if lines:
            different += 1
            print(f"{name}:", *lines, sep="\n    ")
    print(f"{different} of {len(recorded)} cases differ beyond {tolerance:g}")
    return different


def print_times():
    """Print how long the slowest cases take."""
    times = {}
    for name, case in CASES.items():
        start = time.perf_counter()
        run(case)
        times[name] = time.perf_counter() - start
    for name in sorted(times, key=times.get, reverse=True)[:25]:
        print(f"{times[name]:8.3f} s  {name}")
    print(f"{sum(times.values()):8.3f} s  all {len(times)}")


def main(arguments):
    """Do what the command line asks for."""
    if len(arguments) in (3, 4) and arguments[0] == "--compare":
        tolerance = float(arguments[3]) if len(arguments) == 4 else 0.0
        return 1 if compare(arguments[1], arguments[2], tolerance) else 0
    if arguments == ["--time"]:
        print_times()
        return 0
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__)
        return 2
    write(arguments[0], {name: run(case) for name, case in CASES.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
