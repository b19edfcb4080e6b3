"""Check every gradient, the golden values and the laws of mixing on this machine, which takes ten
to thirty seconds. The first line says PASSED, FAILED or INCONCLUSIVE; then come the checks that
failed, and a line for every group of checks."""

import argparse

from ..verify import suite
from .printing import bar, progress, say, show


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be typed."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--all", action="store_true", help="print a line for every check")
    form.add_argument("--json", action="store_true", help="print JSON instead of text")
    form.add_argument("--quiet", action="store_true", help="print the verdict only, in a line")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check this machine."""
    report = suite.check(bar)
    if not (options.all or options.quiet):
        return show(report, as_json=options.json)
    progress("")
    say(report.everything() if options.all else report.summary)
    return report.exit_code
