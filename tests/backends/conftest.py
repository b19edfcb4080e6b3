"""At the end of a run: the largest error of each group."""

import sys


def pytest_terminal_summary(terminalreporter):
    agreement = sys.modules.get("backends.agreement")
    orders = ("forward", "first", "second")
    rows = [
        (group, *(f"{found[order]:.1e}" if order in found else "-" for order in orders))
        for group, found in sorted(getattr(agreement, "WORST", {}).items())
        if group
    ]
    if not rows:
        return
    terminalreporter.section("largest error, relative to the tensor's largest entry")
    width = max(len(row[0]) for row in rows)
    terminalreporter.write_line(f"{'':{width}}  {'forward':>9} {'first':>9} {'second':>9}")
    for group, *errors in rows:
        cells = " ".join(f"{error:>9}" for error in errors)
        terminalreporter.write_line(f"{group:{width}}  {cells}")
