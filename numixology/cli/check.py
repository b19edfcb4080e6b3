"""Check every gradient, the golden values and the laws of mixing on this machine, which takes ten
to thirty seconds. The first line says PASSED, FAILED or INCONCLUSIVE; then come the checks that
failed, and a line for every group of checks."""

import argparse

from ..verify import suite
from .parsing import add_form
from .printing import bar, show


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be typed."""
    add_form(parser).add_argument("--all", action="store_true", help="print a line for every check")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check this machine."""
    report = suite.check(bar)
    return show(report, options, report.everything() if options.all else str(report))
