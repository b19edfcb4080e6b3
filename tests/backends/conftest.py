"""At the end of a run: the largest error of each group, whichever process found it."""

import sys
from collections import defaultdict

import pytest

#: group -> forward, first, second order -> the largest relative error of any process
FOUND = defaultdict(dict)


def add(worst):
    for group, errors in worst.items():
        for order, error in errors.items():
            FOUND[group][order] = max(error, FOUND[group].get(order, 0.0))


def pytest_sessionfinish(session):
    agreement = sys.modules.get("backends.agreement")
    worst = {group: {**errors} for group, errors in getattr(agreement, "WORST", {}).items()}
    if hasattr(session.config, "workeroutput"):  # one of several processes, which do not print
        session.config.workeroutput["worst"] = worst
    else:
        add(worst)


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist, once per process
def pytest_testnodedown(node):
    add(getattr(node, "workeroutput", {}).get("worst", {}))


def pytest_terminal_summary(terminalreporter):
    orders = ("forward", "first", "second")
    rows = [
        (group, *(f"{found[order]:.1e}" if order in found else "-" for order in orders))
        for group, found in sorted(FOUND.items())
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
