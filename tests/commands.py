"""What tests of the command ask: another process, and JSON as the standard has it."""

import json
import sys

import pytest


def python(*arguments: str) -> list[str]:
    """The command line of numixology in another process."""
    return [sys.executable, "-m", "numixology", *arguments]


def strict(text: str):
    """JSON as the standard has it, without NaN."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
