"""The tested versions: everything that the project asks for by name has one, and only one."""

import pins
import pytest
from packaging.requirements import Requirement


@pytest.mark.parametrize("requirement", pins.requirements())
def test_what_is_asked_for_by_name_is_pinned_within_its_bounds(requirement: str) -> None:
    asked = Requirement(requirement)
    assert asked.specifier.contains(pins.pinned()[pins.name_of(asked.name)])


def test_a_distribution_is_pinned_once_and_in_order() -> None:
    lines = pins.PINS.read_text("utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        f"{name}=={version}" for name, version in sorted(pins.pinned().items())
    ]
