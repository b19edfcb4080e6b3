"""Check every gradient, the golden values and the laws of mixing on this machine. It takes ten to
thirty seconds; the last paragraph is the verdict."""

import argparse

from ..verify import suite
from .printing import counter, show


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be typed."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check this machine."""
    return show(suite.check(counter("checks")), as_json=options.json)
