"""Settings that every test shares."""

import os
from contextlib import suppress

import pytest

# The same examples on every run and machine, and no deadline on a slow one. "few" is for a run
# beside one with all of them. Tests that draw no examples run without hypothesis too.
with suppress(ModuleNotFoundError):
    from hypothesis import settings

    for profile, examples in (("default", 50), ("ci", 50), ("few", 10)):
        settings.register_profile(
            profile, derandomize=True, deadline=None, print_blob=False, max_examples=examples
        )
    settings.load_profile("ci" if os.environ.get("CI") else "default")

# They run for long, and through lines that other tests cover: measuring that would double it.
UNMEASURED = ("accuracy", "oracle", "sweeps")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name in UNMEASURED:
            item.add_marker("no_cover")
