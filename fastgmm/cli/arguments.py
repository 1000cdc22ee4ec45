"""The arguments of every command. Nothing that takes time is imported, so that help and usage errors are quick."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from fastgmm.cli.errors import EXIT_USAGE
from fastgmm.cli.prose import wrapped

__all__ = ["FILES", "SHELLS", "actions_of", "build_parser"]

EPILOG = """\
exit status: 0 done; 1 the job failed although arguments and data are valid; 2 an argument, a file or its content is
not valid; 130 interrupted."""

BASIC_STRUCTURES = ("spherical", "diag", "tied", "full")
ALL_STRUCTURES = ("EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV")
STARTS = ("hc", "kmeans", "k-means++", "random", "random_from_data")
MISSING_RULES = ("error", "drop", "marginalise")
SHELLS = ("bash", "zsh", "tcsh")
#: Arguments that name files.
FILES = ("data", "model", "out", "plot", "output")
#: Numbers of components in one search.
MOST_SIZES = 1000

DESCRIBE = """\
List the columns of a file: what they hold, which of them a fit would use, and the cells without a value."""
FIT = """\
Fit mixtures of every number of components and covariance structure asked for, print the criterion of each, describe
the best, write it to a file and draw it. Without DATA: the bundled Old Faithful data, 272 eruptions of a geyser."""
PREDICT = """\
Write the most probable component of each row, numbered from 0 (-1: noise), and its probability; with --proba the
probability of every component."""
SCORE = """\
Write the log-likelihood of data under a model, in nats; higher is better. BIC, AIC and ICL: lower is better. With
--output, the log density of each row too."""
OUTLIERS = """\
List the rows of lowest log density under a model, lowest first: a fraction of them, or all below a threshold. Rows are
numbered from 1, without the header. Of a table that is read block by block, the rows listed and all log densities stay
in memory."""
SAMPLE = """\
Draw rows from a model, in the columns and units of the data it was fitted to. The same seed draws the same rows."""
BENCH = """\
Time the same EM iterations, from the same start on the same data, here and in scikit-learn. The data are drawn for
the purpose; the last column says how far the two results are apart."""
PATCH = """\
Run a Python program, as it is, with scikit-learn's GaussianMixture and BayesianGaussianMixture on fastgmm's kernels;
programs that it starts have them too, where fastgmm is installed. Its arguments follow it."""
COMPLETION = """\
Write a script that lets a shell complete commands, options and file names. For this session of bash: source
<(fastgmm completion bash). For all: write it to ~/.local/share/bash-completion/completions/fastgmm; of zsh, to a file
_fastgmm in a folder of $fpath."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    import fastgmm

    parser = _Parser(prog="fastgmm", description="Gaussian mixture models from the command line.", epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"fastgmm {fastgmm.__version__}")
    shared = _Parser(add_help=False)
    shared.add_argument("--json", action="store_true", help="write one JSON object instead of text")
    shared.add_argument("--quiet", action="store_true", help="write no text, only data and faults")
    shared.add_argument(
        "--digits",
        type=DIGITS,
        default=6,
        metavar="N",
        help="significant digits of numbers in text, at most 17, which is all of them (default: 6); JSON, Parquet, "
        "Arrow and .npy have all",
    )
    shared.add_argument("--debug", action="store_true", help="show the traceback of a fault")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add_arguments, words, description in (
        (_describe, "what the columns of a file hold", DESCRIBE),
        (_fit, "choose, fit, describe and draw a mixture", FIT),
        (_predict, "the component of each row", PREDICT),
        (_score, "log-likelihood of data", SCORE),
        (_outliers, "the least likely rows", OUTLIERS),
        (_sample, "draw new rows", SAMPLE),
        (_show, "describe a model file", "Describe the model in a file."),
        (_bench, "time this machine against scikit-learn", BENCH),
        (_patch, "run a program with scikit-learn's mixtures made fast", PATCH),
        (_completion, "a script for completion by the shell", COMPLETION),
    ):
        name = add_arguments.__name__[1:]
        add_arguments(commands.add_parser(name, parents=[shared], help=words, description=description))
    return parser


# Commands.


def _fit(parser: argparse.ArgumentParser) -> None:
    _add_data(parser, optional=True)
    parser.add_argument("--weights", metavar="COL", help="column of row weights; a weight of 2 is a row given twice")
    parser.add_argument("--standardize", action="store_true", help="fit columns of mean 0 and variance 1")
    parser.add_argument("--pca", type=COUNT, metavar="N", help="fit the first N principal components")
    parser.add_argument(
        "--components", type=_sizes, default="1..9", metavar="K", help="as in 3, 1..12 or 2,4,8 (default: 1..9)"
    )
    parser.add_argument(
        "--structure",
        type=_structures,
        default="all",
        metavar="NAME,...",
        help="all (default): mclust's fourteen families, as GaussianMixtureSearch tries them; basic, which is quicker: "
        "spherical,diag,tied,full; pgmm and hdclassif: the models of these packages; or some of all names, and factor, "
        "ppca and hddc, as in full,VEV",
    )
    parser.add_argument("--criterion", choices=("bic", "icl", "aic"), default="bic", help="lower is better")
    parser.add_argument("--seed", type=SEED, default=0, help="of the starts (default: 0)")
    parser.add_argument(
        "--init", choices=STARTS, default="hc", help="how EM starts (default: hc, hierarchical clustering)"
    )
    parser.add_argument(
        "--tol", type=NOT_NEGATIVE, help="stop below this gain, in nats per row (default: from the data, at least 1e-5)"
    )
    parser.add_argument("--max-iter", type=COUNT, metavar="N", help="iterations at most (default: 1000)")
    parser.add_argument("--reg-covar", type=NOT_NEGATIVE, metavar="R", help="added to variances (default: 0)")
    parser.add_argument("--out", default="fastgmm_model.npz", metavar="FILE", help="the model (default: %(default)s)")
    parser.add_argument(
        "--plot",
        default="fastgmm_report.png",
        metavar="FILE",
        help="the picture, as .png, .pdf or .svg; 'none' for none (default: %(default)s)",
    )


def _describe(parser: argparse.ArgumentParser) -> None:
    _add_data(parser)


def _predict(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    _add_data(parser)
    parser.add_argument("--proba", action="store_true", help="write the probability of every component")
    _add_output(parser, ".csv, .tsv, .parquet, .arrow or .npy (default: CSV on standard output)")


def _score(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    _add_data(parser)
    parser.add_argument("--weights", metavar="COL", help="column of row weights; a weight of 2 is a row given twice")
    _add_output(parser, "log density of each row, as .csv, .tsv, .parquet, ...")


def _outliers(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    _add_data(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--fraction", type=FRACTION, default=0.01, metavar="F", help="of the rows (default: 0.01)")
    which.add_argument("--threshold", type=NUMBER, metavar="T", help="log density in nats below which a row is listed")
    _add_output(parser, "write all of them, as .csv, .tsv, .parquet, ...")


def _sample(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    parser.add_argument("-n", type=COUNT, default=100, metavar="N", help="rows (default: 100)")
    parser.add_argument("--seed", type=SEED, default=0, help="default: 0")
    parser.add_argument("--component", action="store_true", help="add the component that each row comes from")
    _add_output(parser, ".csv, .tsv, .parquet, .arrow or .npy (default: CSV on standard output)")


def _show(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)


def _bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=COUNT, default=200_000, metavar="N", help="default: 200000")


def _patch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fast", action="store_true", help="fastgmm's own starts and acceleration, not scikit-learn's")
    parser.add_argument("-m", dest="module", action="store_true", help="PROGRAM is a module, as of python -m")
    parser.add_argument("program", metavar="PROGRAM", help="a file of Python, or with -m a module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="arguments of the program")


def _completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS)


# Arguments of several commands.


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="file that fastgmm fit wrote")


def _add_output(parser: argparse.ArgumentParser, words: str) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", help=words)


def _add_data(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    parser.add_argument(
        "data",
        nargs="?" if optional else None,
        metavar="DATA",
        help="CSV or other delimited text, Parquet, Arrow IPC or .npy, also compressed by gzip, bzip2, xz or zstd, or "
        "a folder of Parquet files; - for standard input",
    )
    parser.add_argument(
        "--columns", nargs="+", metavar="COL", help="columns to use, in this order (default: all of numbers)"
    )
    parser.add_argument("--exclude", nargs="+", metavar="COL", help="columns not to use")
    parser.add_argument("--id", metavar="COL", help="column of row names, which is not modelled")
    parser.add_argument(
        "--missing",
        choices=MISSING_RULES,
        help="what to do about rows without a value in some column: error counts them and ends, drop leaves them out, "
        "marginalise uses what they have (default: error, or as the model was fitted)",
    )
    parser.add_argument(
        "--na",
        nargs="+",
        metavar="WORD",
        help="what stands for a missing value, as -999 or unknown, beside empty cells, NA, NaN, null, none, - and ?",
    )
    parser.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="the first line of text names the columns, or is a row (default: told from what sets it apart from the "
        "lines beneath)",
    )
    parser.add_argument(
        "--stream",
        action=argparse.BooleanOptionalAction,
        help="read Parquet or .npy block by block, again in every pass, or load it (default: block by block what would "
        "take more than a quarter of the memory available)",
    )


# Values.


def _number(kind: Callable[[str], Any], is_valid: Callable[[Any], bool], expected: str) -> Callable[[str], Any]:
    """Return what reads a number of this kind."""

    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not is_valid(value):
            raise argparse.ArgumentTypeError(f"{text!r}; expected {expected}")
        return value

    return read


DIGITS = _number(int, lambda value: 1 <= value <= 17, "an integer from 1 to 17")
COUNT = _number(int, lambda value: value >= 1, "an integer of at least 1")
SEED = _number(int, lambda value: 0 <= value < 2**32, "an integer from 0 to 4294967295")
NUMBER = _number(float, lambda value: value == value, "a number")
NOT_NEGATIVE = _number(float, lambda value: 0.0 <= value < float("inf"), "a number of at least 0")
FRACTION = _number(float, lambda value: 0.0 < value <= 1.0, "a number above 0, at most 1")


def _sizes(text: str) -> list[int]:
    """Read numbers of components: ``3``, ``1..12``, ``2,4,8`` or a mixture of these."""
    found: set[int] = set()
    try:
        for part in text.split(","):
            low, dots, high = part.partition("..")
            numbers = range(int(low), int(high if dots else low) + 1)
            if not numbers or numbers[0] < 1:
                raise ValueError
            if len(found) + len(numbers) > MOST_SIZES:
                raise argparse.ArgumentTypeError(f"{text!r}; expected at most {MOST_SIZES} numbers of components")
            found.update(numbers)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}; expected numbers from 1, as in 3, 1..12 or 2,4,8") from None
    return sorted(found)


def _structures(text: str) -> list[str]:
    """Read covariance structures: names of families and of groups, whose members depend on the data."""
    groups = ("all", "basic", "pgmm", "hdclassif")
    known = (*groups, *BASIC_STRUCTURES, *ALL_STRUCTURES, "E", "V", "factor", "ppca", "hddc")
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(
                f"no structure {name!r}{_nearest(name, known)}; expected some of {', '.join(known)}"
            )
    return names


# Faults.


class _Parser(argparse.ArgumentParser):
    """One line for a fault, as everywhere; the usage is a question away."""

    def error(self, message: str) -> NoReturn:
        unknown = re.match(r"unrecognized arguments: (\S+)", message)
        choice = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if unknown:
            message += _nearest(unknown[1].partition("=")[0], _options(self))
        elif choice:
            message += _nearest(choice[1], re.findall(r"[\w+.-]+", choice[2]))
        elif "required: COMMAND" in message:
            given = next((word for word in sys.argv[1:] if word.startswith("-")), "")
            message = f"there is no command{_nearest(given, _options(self))}"
        elif "required: DATA" in message and {"--columns", "--exclude", "--na"} & set(sys.argv):
            message += "; write it before --columns, --exclude and --na"
        text = f"{self.prog}: error: {message}; see {self.prog} --help"
        self.exit(EXIT_USAGE, f"{wrapped(text, sys.stderr)}\n")


def actions_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Go through the arguments of a parser and of those of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from actions_of(inner)


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return sorted({option for action in actions_of(parser) for option in action.option_strings})


def _nearest(word: str, words: Any) -> str:
    words = [other for other in words if other != word]  # which another command may have
    near = difflib.get_close_matches(word, words, n=1)
    if not near:
        near = [other for other in words if other.lower() == word.lower()]
    return f" (did you mean {near[0]}?)" if near else ""
