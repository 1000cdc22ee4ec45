"""Tables and plots of what record.py measured: rewrites the marked blocks of README.md and the pages in docs.

    python asv_bench/pages.py [--check] [--plots]

A block stands between the lines ``<!-- benchmarks: NAME -->`` and ``<!-- end of benchmarks -->``; BLOCKS has the names.
--check writes nothing, and fails where a block is not what the measurements say; --plots draws the plots too, which
needs matplotlib. Nothing else is needed but Python.
"""

from __future__ import annotations

import argparse
import csv
import re
import statistics
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent
DATA = ROOT / "docs" / "benchmarks"
MARKED = re.compile(r"(?<=<!-- benchmarks: )(\w+)( -->\n).*?(?=<!-- end of benchmarks -->)", re.DOTALL)
#: Nats per row within which two libraries' models are taken for the same after as many iterations.
AGREEMENT = {"float64": 1e-5, "float32": 1e-3}


class Measurements:
    """Medians over rounds, by table, work, library and measure."""

    def __init__(self, folder: Path = DATA) -> None:
        with open(folder / "run.csv", newline="") as file:
            self.run = {row["fact"]: row["value"] for row in csv.DictReader(file)}
        values: dict[tuple[str, str, str, str], list[float]] = {}
        with open(folder / "measurements.csv", newline="") as file:
            for row in csv.DictReader(file):
                key = row["table"], row["work"], row["library"], row["measure"]
                values.setdefault(key, []).append(float(row["value"]))
        self.medians = {key: statistics.median(of_key) for key, of_key in values.items()}

    def span(self, fact: str) -> str:
        """Return the least and the largest of what a fact is for the tables."""
        found = {value for name, value in self.run.items() if name.startswith(f"{fact} of ")}
        # Longer whole parts are larger numbers, and dates are equally long.
        order = sorted(found, key=lambda value: (len(value.partition(".")[0]), value))
        return order[0] if len(order) == 1 else f"{order[0]} to {order[-1]}"

    def works(self, table: str) -> list[str]:
        """Return the works of a table, as they were measured."""
        return list(dict.fromkeys(work for of, work, *_ in self.medians if of == table))

    def get(self, table: str, work: str, library: str, measure: str = "seconds") -> float | None:
        """Return a median, None where the library did not take part."""
        return self.medians.get((table, work, library, measure))

    def ratio(self, table: str, work: str, library: str, measure: str = "seconds", base: str = "fastgmm") -> float:
        """Return how many times as long as `base` a library takes; NaN where one of them did not take part."""
        above, below = self.get(table, work, library, measure), self.get(table, work, base, measure)
        return above / below if above is not None and below else float("nan")


def times(ratio: float) -> str:
    """Return a ratio as tables show it."""
    if ratio != ratio:
        return "-"
    return f"{ratio:.0f}x" if ratio >= 9.95 else f"{ratio:.1f}x" if ratio >= 0.995 else f"{ratio:.2f}x"


def shown(seconds: float | None) -> str:
    """Return seconds in a unit that suits them."""
    if seconds is None:
        return "-"
    scale, unit = next(((s, u) for s, u in ((1, "s"), (1e-3, "ms")) if seconds >= s), (1e-6, "us"))
    digits = seconds / scale
    return f"{digits:.0f} {unit}" if digits >= 100 else f"{digits:.3g} {unit}"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return Markdown, the first column to the left."""
    head = list(head)
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def run(m: Measurements) -> str:
    """Return how and on what the figures were measured."""
    facts = dict(m.run)
    threads, clock = facts["threads"], facts["clock"]
    how = "processor time of one thread" if clock == "processor" else f"by the clock, {threads} threads"
    text = (
        f"{facts['machine']}, {facts['cores']} cores, {facts['system']}, {m.span('date')}: {how}, medians of "
        f"{m.span('rounds')} rounds (three where one takes long) in which the libraries take turns; load average "
        f"{m.span('load average')}."
    )
    few = [f"{of} ({facts[f'rows of {of}']})" for of in BLOCKS if facts.get(f"rows of {of}", "all") != "all"]
    if few:
        text += f" These tables were measured on fewer rows than the command takes by itself: {', '.join(few)}."
    known = ["fastgmm", "Python", "numpy", "scipy", "scikit-learn", "daal4py (oneDAL)", "astroML", "studenttmixture"]
    versions = [f"{name} {facts[name]}" for name in (*known, "vamm", "R", "mclust") if name in facts]
    return wrapped(text + " " + ", ".join(versions) + ".")


def wrapped(text: str) -> str:
    """Return a paragraph in lines as long as the pages have."""
    import textwrap

    return textwrap.fill(text, 118, break_long_words=False, break_on_hyphens=False) + "\n"


def iterations(m: Measurements) -> str:
    """Return the table of an EM iteration."""
    libraries = [name for name in ("scikit-learn", "oneDAL", "Armadillo", "VLFeat") if any_of(m, "iterations", name)]

    def cell(work: str, library: str) -> str:
        apart = m.get("iterations", work, library, "nats apart") or 0.0
        mark = "" if apart <= AGREEMENT["float32" if work.endswith("float32") else "float64"] else " !"
        return times(m.ratio("iterations", work, library)) + mark

    rows = [
        [work, shown(m.get("iterations", work, "fastgmm")), *(cell(work, library) for library in libraries)]
        for work in m.works("iterations")
    ]
    return table(("one EM iteration", "fastgmm", *libraries), rows)


def any_of(m: Measurements, of: str, library: str) -> bool:
    """Return whether a library took part in a table."""
    return any(m.get(of, work, library) is not None for work in m.works(of))


def fits(m: Measurements) -> str:
    """Return the table of default fits."""
    rows = []
    for work in m.works("fits"):
        reached = [m.get("fits", work, library, "nats a row") for library in ("fastgmm", "scikit-learn")]
        row = [work, shown(m.get("fits", work, "fastgmm"))]
        row += [times(m.ratio("fits", work, library)) for library in ("scikit-learn", "KMeans")]
        rows.append([*row, f"{reached[0] - reached[1]:+.4f}"])
    head = ("default fit", "fastgmm", "scikit-learn", "`KMeans(K, n_init=1)`", "nats a row over scikit-learn")
    return table(head, rows)


def beside(of: str, head: str, libraries: tuple[str, ...]) -> Callable[[Measurements], str]:
    """Return the maker of a table of times faster than some libraries."""

    def make(m: Measurements) -> str:
        rows = [
            [work, shown(m.get(of, work, "fastgmm")), *(times(m.ratio(of, work, library)) for library in libraries)]
            for work in m.works(of)
        ]
        return table((head, "fastgmm", *libraries), rows)

    return make


def calls(m: Measurements) -> str:
    """Return the table of single calls, in times."""
    libraries = ("fastgmm", "fastgmm scorer", "scikit-learn")
    rows = [[work, *(shown(m.get("calls", work, library)) for library in libraries)] for work in m.works("calls")]
    return table(("one call", "fastgmm", "`model.scorer()`", "scikit-learn"), rows)


def sizes(m: Measurements) -> str:
    """Return the grid of sizes by covariance type, float64 and float32, and the median."""
    types, found = ("full", "tied", "diag", "spherical"), dict.fromkeys(w.split(",")[0] for w in m.works("sizes"))
    every: list[float] = []
    rows = []
    for size in found:
        row = [size.replace(" K", ", K")]
        for kind in types:
            pair = [m.ratio("sizes", f"{size}, {kind}, {dtype}", "scikit-learn") for dtype in AGREEMENT]
            every += pair
            row.append(", ".join(times(ratio) for ratio in pair))
        rows.append(row)
    summary = f"The median of these {len(every)} is {times(statistics.median(every))}, the least {times(min(every))}.\n"
    return table(("size", *types), rows) + "\n" + summary


def quality(of: str, head: str, measure: str, libraries: tuple[str, ...]) -> Callable[[Measurements], str]:
    """Return the maker of a table of seconds and of what was reached."""

    def make(m: Measurements) -> str:
        rows = []
        for work in m.works(of):
            row = [work, shown(m.get(of, work, "fastgmm"))]
            row += [times(m.ratio(of, work, library)) for library in libraries]
            reached = [m.get(of, work, library, measure) for library in ("fastgmm", *libraries)]
            rows.append([*row, *("-" if value is None else f"{value:.6g}" for value in reached)])
        names = [f"{measure}, {library}" for library in ("fastgmm", *libraries)]
        return table((head, "fastgmm", *libraries, *names), rows)

    return make


def switch(m: Measurements) -> str:
    """Return the table of the switch."""
    rows = []
    for work in m.works("switch"):
        row = [work, shown(m.get("switch", work, "scikit-learn"))]
        row += [times(m.ratio("switch", work, "scikit-learn", base=b)) for b in ("patched", "patched, same_fits=False")]
        row.append(times(m.ratio("switch", work, "scikit-learn", "seconds of predict_proba", "patched")))
        rows.append([*row, f"{m.get('switch', work, 'patched', 'means apart'):.0e}"])
    head = ("fit", "scikit-learn", "patched", "with `same_fits=False`", "`predict_proba`", "means apart")
    return table(head, rows)


BLOCKS: dict[str, Callable[[Measurements], str]] = {
    "run": run,
    "iterations": iterations,
    "fits": fits,
    "bayesian": beside("bayesian", "two variational iterations", ("scikit-learn",)),
    "scoring": beside("scoring", "`predict_proba`", ("scikit-learn",)),
    "calls": calls,
    "sizes": sizes,
    "switch": switch,
    "search": quality("search", "fourteen families, one to nine components", "BIC", ("mclust",)),
    "imputation": quality("imputation", "30% missing", "RMSE", ("IterativeImputer", "KNNImputer")),
    "errors": quality("errors", "rows with errors", "nats a row", ("astroML",)),
    "truncated": quality("truncated", "truncated fits, diagonal", "nats a row", ("vamm",)),
    "student": quality("student", "Student mixtures, df=4", "nats a row", ("studenttmixture",)),
}


def rewritten(text: str, m: Measurements) -> str:
    """Return a page with its blocks as the measurements say."""
    return MARKED.sub(lambda found: f"{found[1]}{found[2]}\n{BLOCKS[found[1]](m)}\n", text)


def draw(m: Measurements) -> None:
    """Draw what the first two tables say."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "fastgmm", "font.size": 9})
    for of, libraries, title in (
        ("iterations", ("scikit-learn", "oneDAL", "Armadillo", "VLFeat"), "One EM iteration"),
        ("fits", ("scikit-learn", "KMeans"), "A default fit"),
    ):
        works = m.works(of)
        figure, axes = plt.subplots(figsize=(7.5, 1.2 + 0.27 * len(works)), layout="constrained")
        for library, marker in zip(libraries, "osD^", strict=False):
            ratios = [m.ratio(of, work, library) for work in works]
            if any(ratio == ratio for ratio in ratios):
                axes.plot(ratios, range(len(works)), marker, label=library)
        axes.axvline(1.0, color="black", linewidth=1)
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if low <= tick <= high]
        axes.set_xticks(ticks, [f"{tick:g}x" for tick in ticks])
        axes.minorticks_off()
        axes.set_yticks(range(len(works)), works)
        axes.invert_yaxis()
        axes.grid(axis="x", color="0.9")
        axes.set_axisbelow(True)
        axes.set_xlabel("times as long as fastgmm (left of 1x: quicker)")
        axes.set_title(title, loc="left")
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        figure.savefig(DATA / f"{of}.svg", metadata={"Date": None})
        plt.close(figure)


def main() -> int:
    """Rewrite the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 where a block would change")
    parser.add_argument("--plots", action="store_true")
    arguments = parser.parse_args()
    m, different = Measurements(), []
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        before = page.read_text()
        after = rewritten(before, m)
        if after != before:
            different.append(str(page.relative_to(ROOT)))
            if not arguments.check:
                page.write_text(after)
    if arguments.plots:
        draw(m)
    verb = "would change" if arguments.check else "written"
    print(f"{verb}: {', '.join(different) or 'nothing'}")
    return 1 if arguments.check and different else 0


if __name__ == "__main__":
    sys.exit(main())
