"""What the commands have in common in what they print: text, reports, files and progress."""

import json
import os
import re
import sys
from argparse import Namespace
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

from ..errors import ArgumentError
from ..text import fitted
from ..version import __version__

__all__ = ["bar", "complain", "emit", "progress", "say", "show", "write"]

#: Verdicts, as words and as cells of a table, by their color: green, red and yellow.
_COLORS = {
    32: r"\bPASS(ED)?\b|(?<=  )pass(?=  )|^pass(?=  )",
    31: r"\bFAIL(ED)?\b|(?<=  )fail(?=  )|^fail(?=  )",
    33: r"\b(INCONCLUSIVE|UNSUPPORTED)\b|(?<=  )(known|inconclusive)(?=  )|^inconclusive(?=  )",
}


def show(report: Any, options: Namespace, text: str = "") -> int:
    """Print a report in the form that was asked for, and return its ``exit_code``."""
    progress("")
    if options.json:
        plain = {"numixology": __version__} | report.as_dict()
        emit(json.dumps(plain, indent=2, allow_nan=False))
    else:
        say(report.summary if options.quiet else text or str(report))
    return int(report.exit_code)


def say(text: str) -> None:
    """Print text; lines fit the terminal, if there is one, and verdicts have colors there."""
    if sys.stdout.isatty():
        text = fitted(text, get_terminal_size().columns)
    if _colored():
        for code, words in _COLORS.items():
            text = re.sub(words, f"\x1b[{code}m\\g<0>\x1b[0m", text, flags=re.MULTILINE)
    emit(text)


def _colored() -> bool:
    """As Python itself decides it, and many other programs."""
    if os.environ.get("NO_COLOR"):
        return False
    wanted = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return wanted or bool(os.environ.get("FORCE_COLOR"))


def emit(text: str) -> None:
    """Print as it is, with a question mark for what the output cannot encode."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "replace").decode(encoding), flush=True)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(message: str) -> None:
    """Say what is wrong, on standard error, in lines that fit a terminal."""
    print(fitted(message, get_terminal_size().columns), file=sys.stderr)


def progress(message: str) -> None:
    """One line that overwrites itself, on a terminal only."""
    if sys.stderr.isatty():
        room = get_terminal_size().columns - 2
        print(f"\r\x1b[K{message[:room]}", end="", file=sys.stderr, flush=True)


def bar(name: str, share: float) -> None:
    """Progress as a bar, and at what."""
    full = int(40 * share)
    progress(f"{'█' * full}{'·' * (40 - full)} {share:4.0%} {name}")


def write(path: Path, content: str | bytes, mode: str = "w") -> None:
    """Write a file, or say why that cannot be done."""
    try:
        with path.open(mode, encoding=None if "b" in mode else "utf-8") as file:
            file.write(content)
    except OSError as error:
        invariant, instead = f"{path} cannot be written", "choose another path"
        raise ArgumentError(invariant, str(error.strerror), instead) from error
