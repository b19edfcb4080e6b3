"""What the commands have in common in what they print: text, reports, files and progress."""

import json
import os
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from ..errors import ArgumentError
from ..version import __version__

__all__ = ["bar", "counter", "progress", "say", "show", "write"]


def show(report: Any, *, as_json: bool) -> int:
    """Print a report, its ``str`` or its ``as_dict()`` as JSON, and return its ``exit_code``."""
    progress("")
    plain = {"numixology": __version__} | report.as_dict() if as_json else {}
    say(json.dumps(plain, indent=2, allow_nan=False) if as_json else str(report))
    return int(report.exit_code)


def say(text: str) -> None:
    """Print, with a question mark for what the output cannot encode."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "replace").decode(encoding), flush=True)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def progress(message: str) -> None:
    """One line that overwrites itself, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{message[:78]}", end="", file=sys.stderr, flush=True)


def counter(of: str) -> Callable[[str], None]:
    """Progress that says how many are done, and which was the last."""
    numbers = count(1)
    return lambda name: progress(f"{next(numbers)} {of}, {name}")


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
        invariant = f"{path} must be a file that can be written"
        raise ArgumentError(invariant, str(error.strerror), "choose another") from error
