"""Records the golden states, and compares two records.

python tests/golden/record.py OUT.npz                   the states that the imported fastgmm comes to
python tests/golden/record.py --compare OUT.npz REFERENCE.npz [TOLERANCE]
python tests/golden/record.py --renew FILE.npz NAME...  only the cases whose names begin so, as they are now
python tests/golden/record.py --messages OUT.json       what users are told
python tests/golden/record.py --pickles FOLDER          pickled models, and what they answer
python tests/golden/record.py --times                   the slowest cases

The same checkout writes the same states to the bit on one machine. TOLERANCE is 0 unless given: bits.
"""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from golden import messages, pickles
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


def renew(path, beginnings):
    """Record the cases anew whose names begin with one of these; the others stay, as they were recorded."""
    states = read(path)
    chosen = [name for name in CASES if name.startswith(tuple(beginnings))]
    states |= {name: run(CASES[name]) for name in chosen}
    write(path, {name: states[name] for name in CASES})
    print(f"{len(chosen)} of {len(CASES)} cases recorded anew")


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


def write_json(path, values):
    """Write a dict with an entry to a line."""
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in values.items()]
    Path(path).write_text("{\n" + ",\n".join(lines) + "\n}\n")


def main(arguments):
    """Do what the command line asks for, and return the exit status."""
    match arguments:
        case ["--compare", found, recorded, *tolerance] if len(tolerance) < 2:
            return 1 if compare(found, recorded, float(tolerance[0]) if tolerance else 0.0) else 0
        case ["--renew", path, *beginnings] if beginnings:
            renew(path, beginnings)
        case ["--messages", path]:
            write_json(path, {name: messages.message_of(name) for name in messages.MESSAGES})
        case ["--pickles", folder]:
            Path(folder).mkdir(exist_ok=True)
            write_json(Path(folder) / "answers.json", pickles.record(Path(folder)))
        case ["--times"]:
            print_times()
        case [path] if not path.startswith("-"):
            write(path, {name: run(case) for name, case in CASES.items()})
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
