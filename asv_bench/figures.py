"""Every figure of speed measured in one run, its target beside it.

    python asv_bench/figures.py [--quick] [--only N ...] [--threads N] [--repeats N] [--seed N] [--cache FOLDER]

1 an EM iteration over scikit-learn's; 2 over the fastest of oneDAL, Armadillo and VLFeat; 3 the kernels against the
machine; 4 default fits; 5 small work; 6 scoring; 7 threads; 8 import; 9 the Numba engine; 10 fits of every size. The
benchmarks are asv's, benchmarks/targets.py says which and what they have to come to. Runs that are compared take turns,
and medians are compared. --quick takes a twentieth of the rows, fewer rounds and at most four workloads of each kind;
it shows that everything runs, and not what the targets mean: they are stated for the full sizes and an idle machine.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import textwrap
import traceback
from collections.abc import Iterator
from pathlib import Path

DESCRIPTION = __doc__
NUMBERS = range(1, 11)
MOST_WHEN_QUICK = 4


def lines(targets, quick: bool) -> Iterator:
    """Measure a figure, a line at a time."""
    from benchmarks.running import InTurn, Single, axes
    from benchmarks.targets import Line
    from benchmarks.workloads import asked

    notes: dict[str, None] = {}
    for benchmark, group in itertools.groupby(targets, key=lambda item: item[0].rpartition(".")[0]):
        methods = [(name.rpartition(".")[2], target) for name, target in group]
        values: list[list[float]] = [[] for _ in methods]
        first = list(axes(benchmark))
        in_turn = dict.fromkeys(value for _, target in methods for value in target.ratio or ())
        if in_turn:
            first.pop()
        if methods[0][1].question:
            first[0] = asked(methods[0][1].question)
        combinations = list(itertools.product(*first))
        for params in combinations[:: -(-len(combinations) // MOST_WHEN_QUICK)] if quick else combinations:
            try:
                measured = InTurn(benchmark, params, in_turn) if in_turn else Single(benchmark, params)
            except NotImplementedError as error:
                yield Line(", ".join(map(str, (benchmark, *params))), "not measured", str(error))
                continue
            for (method, target), known in zip(methods, values, strict=True):
                value, unit, detail = measured.measure(method, target.ratio)
                known.append(value)
                yield target.line(method, params, value, unit, detail)
            notes.update(dict.fromkeys(measured.notes))
        for (method, target), known in zip(methods, values, strict=True):
            yield from target.lines_of_all(method, known)
    yield from (Line(f"missing: {note}") for note in notes)


def main() -> int:
    """Print the figures the command line asks for; the status is 1 if a target was missed or a figure failed."""
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rows, rounds and workloads")
    parser.add_argument("--only", type=int, nargs="+", choices=NUMBERS, default=NUMBERS, metavar="N")
    parser.add_argument("--threads", type=int, default=2, help="for every library (2)")
    parser.add_argument("--repeats", type=int, help="rounds (5, quick: 2)")
    parser.add_argument("--seed", type=int, default=0, help="of the data")
    parser.add_argument("--cache", type=Path, help="where peers are built")
    arguments = parser.parse_args()

    # Thread pools read these when NumPy is loaded, and OpenBLAS its tuning: so nothing above has imported it.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(arguments.threads)
    from benchmarks.targets import FIGURES
    from benchmarks.timing import SETTINGS, machine

    import fastgmm

    SETTINGS.seed, SETTINGS.n_threads, SETTINGS.cache = arguments.seed, arguments.threads, arguments.cache
    if arguments.quick:
        SETTINGS.shrink, SETTINGS.repeats, SETTINGS.least_seconds = 20, 2, 0.01
    SETTINGS.repeats = arguments.repeats or SETTINGS.repeats
    facts = fastgmm.show_config(mode="dict")
    print(f"{machine()}; {facts['engine']} engine, {facts.get('isa', '-')}, {facts['n_threads']} threads", flush=True)
    reached = missed = failed = 0
    for number in arguments.only:
        few = f" (rows of what is named / {SETTINGS.shrink})" if arguments.quick else ""
        title, targets = FIGURES[number]
        print(f"\nFigure {number}: {title}{few}", flush=True)
        try:
            for line in lines(targets, arguments.quick):
                print(line, flush=True)
                reached += line.reached is True
                missed += line.reached is False
        except Exception:
            # One figure that cannot be had must not cost the others.
            failed += 1
            print("  failed:")
            print(textwrap.indent(traceback.format_exc(), "    "), flush=True)
    print(f"\n{reached} targets reached, {missed} missed" + (f"; {failed} figures failed" if failed else ""))
    return 1 if missed or failed else 0


if __name__ == "__main__":
    sys.exit(main())
