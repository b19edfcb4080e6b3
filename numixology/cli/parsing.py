"""What the commands have in common in what may be typed: subcommands, cases and sizes."""

import argparse
import os
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn, get_args

from ..errors import EXIT_CODES, ArgumentError, NumixologyError, unknown
from ..nn.rankmixer import Network
from .printing import complain

__all__ = ["SIZES", "Parser", "add_cases", "add_form", "add_sizes", "fitting", "in_one_line"]
__all__ += ["named", "natural", "sizes_of", "subcommands"]

#: Every size by its keyword in the library: the option, what it takes, and what it means.
SIZES: dict[str, tuple[str, type[int] | Sequence[str], str]] = {
    "batch": ("--batch", int, "B, sequences in a batch"),
    "num_tokens": ("--tokens", int, "T, tokens in a sequence"),
    "hidden_dim": ("--dim", int, "D, features of a token"),
    "num_heads": ("--heads", int, "H, a divisor of D"),
    "num_layers": ("--layers", int, "number of blocks"),
    "vocab_size": ("--vocab", int, "V, number of different ids"),
    "ff_dim": ("--ff-dim", int, "F, inner features of the network (4D)"),
    "ffn": ("--ffn", get_args(Network), "kind of network"),
    "activation": ("--activation", ("gelu", "gelu_tanh", "relu", "silu"), "the activation"),
    "mixing": ("--mixing", ("rankmixer", "guide"), "how tokens mix; the guide's mixes nothing"),
}


#: What argparse says of a word that is none of those known, in every version of Python.
_CHOICE = re.compile(r"argument -*(.+?): invalid choice: '(.*?)'.* \(choose from (.*)\)")


class Parser(argparse.ArgumentParser):
    """Says what is wrong in a sentence, and which word was probably meant."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse here what argparse would leave to the parser above, which has other options."""
        options, others = super().parse_known_args(args, namespace)
        for word in others[:1]:
            known = re.findall(r"--[\w-]+", self.format_help()) if word[:1] == "-" else []
            self.error(str(unknown("argument", word, known, f"see {self.prog} --help")))
        return options, others

    def error(self, message: str) -> NoReturn:
        """End with the status for usage."""
        if found := _CHOICE.match(message):
            what, word, words = found.groups()
            message = str(unknown(what.lower(), word, re.findall(r"[\w-]+", words)))
        elif "; " not in message:
            message = f"{message}; see {self.prog} --help"
        complain(f"{self.prog}: {message}")
        self.exit(EXIT_CODES["usage"])


def natural(text: str) -> int:
    """An integer that is not negative."""
    if (number := int(text)) < 0:
        raise ValueError(text)
    return number


def subcommands(parser: argparse.ArgumentParser, name: str, metavar: str) -> Any:
    """Commands below a command; without one of them it prints its help."""
    parser.set_defaults(run=partial(_help, parser), **{name: None})
    return parser.add_subparsers(dest=name, metavar=metavar)


def _help(parser: argparse.ArgumentParser, _: argparse.Namespace) -> int:
    parser.print_help(sys.stderr)
    return EXIT_CODES["usage"]


def add_sizes(parser: argparse.ArgumentParser, defaults: Mapping[str, Any]) -> None:
    """The options for some sizes, given by keyword with what they are unless others are typed."""
    for keyword, default in defaults.items():
        option, takes, meaning = SIZES[keyword]
        kind: dict[str, Any] = {"type": int, "metavar": "N"}
        if not isinstance(takes, type):
            kind = {"choices": takes, "metavar": "NAME"}
            meaning = f"{meaning}: {', '.join(takes)}"
        about = meaning if default is None else f"{meaning} ({default})"
        parser.add_argument(option, **kind, dest=keyword, default=default, help=about)


def add_cases(parser: argparse.ArgumentParser) -> None:
    """The options for the cases of the conformance kit."""
    add, stages = parser.add_argument, "such as silu; repeat for more (all)"
    add("--stage", action="append", dest="stages", metavar="NAME", help=stages)
    add("--seeds", type=int, default=3, metavar="N", help="cases of a kind (3)")


def add_form(parser: argparse.ArgumentParser) -> Any:
    """The options for the form of a report, of which one may be typed."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON instead of text")
    form.add_argument("--quiet", action="store_true", help="print the verdict only, in a line")
    return form


def sizes_of(options: argparse.Namespace) -> dict[str, Any]:
    """The sizes by keyword, without those that are left to the library."""
    typed = {keyword: getattr(options, keyword, None) for keyword in SIZES}
    return {keyword: size for keyword, size in typed.items() if size is not None}


@contextmanager
def fitting() -> Iterator[None]:
    """Errors about sizes name the options that were typed, and say so of those beyond memory."""
    try:
        yield
    except NumixologyError as error:
        raise ArgumentError(*map(_by_option, error.args)) from error
    except (MemoryError, OverflowError, ValueError) as error:  # NumPy raises all three
        raise ArgumentError("the sizes must fit in memory", str(error), "choose smaller") from error


def _by_option(message: str) -> str:
    """What the library says of its sizes, with the options for its keywords."""
    keywords = "|".join(SIZES)
    return re.sub(rf"(?<!')\b({keywords})\b", lambda found: SIZES[found[1]][0], message)


def named(name: str) -> Any:
    """The function that ``package.module:function`` or ``folder/file.py:function`` names, which is
    looked for in the current folder first."""
    home, _, function = re.sub(r"\.py(?=:|$)", "", name).partition(":")
    home, path = os.path.normpath(home).replace(os.sep, "."), list(sys.path)
    sys.path.insert(0, os.getcwd())
    with in_one_line(f"{name} must be importable", "write file.py:name or package.module:name"):
        try:
            found = pkgutil.resolve_name(home)
            if function and not hasattr(found, function.partition(".")[0]):
                raise unknown("function", function, dir(found), f"{home} has none of that name")
            found = pkgutil.resolve_name(f"{home}:{function}") if function else found
        finally:
            sys.path[:] = path
    if not callable(found):
        raise ArgumentError(
            f"{name} must be a function", type(found).__name__, "write file.py:name"
        )
    return found


@contextmanager
def in_one_line(invariant: str, instead: str) -> Iterator[None]:
    """Whatever somebody else's code raises, as an error of this package."""
    try:
        yield
    except NumixologyError:
        raise
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ArgumentError(invariant, said, instead) from error
