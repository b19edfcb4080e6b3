"""The first pages that a visitor opens: their pictures, links, output and tables are true."""

import configparser
import re
from pathlib import Path

import pytest
import readme_pictures

from numixology.verify.suite import CheckReport, Result

ROOT = Path(__file__).resolve().parents[1]
README, CONTRIBUTING, SECURITY = (
    (ROOT / f"{name}.md").read_text("utf-8") for name in ("README", "CONTRIBUTING", "SECURITY")
)


@pytest.mark.parametrize(
    ("path", "svg"),
    readme_pictures.pictures().items(),
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_picture_is_what_the_package_draws(path: Path, svg: str) -> None:
    assert path.relative_to(ROOT).as_posix() in README
    assert path.read_text("utf-8") == svg, "run python tests/readme_pictures.py"


@pytest.mark.parametrize("page", [README, CONTRIBUTING, SECURITY])
def test_every_link_into_the_checkout_leads_to_a_file(page: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)|(?:src|srcset)=\"([^\":]+)\"", page)
    paths = [one or other for one, other in links]
    assert [path for path in paths if not (ROOT / path).is_file()] == []


def test_a_link_says_the_title_of_its_page() -> None:
    for title, path in re.findall(r"\[([A-Z][^\]]+)\]\((docs/[^)]+\.rst)\)", README):
        assert f"\n{title}\n===" in f"\n{(ROOT / path).read_text('utf-8')}"


def test_check_begins_as_the_readme_says() -> None:
    (line,) = re.findall("^PASSED: .*$", README, re.MULTILINE)
    summary = CheckReport([Result("laws", "a", "int64", 0, 0, "pass")], 1, 0.5).summary

    def words(text: str) -> list[str]:
        return re.sub(r"\d[\d.]*", "#", text).split()

    assert words(line) == words(summary)


def test_the_environments_of_tox_are_described_as_they_describe_themselves() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", "utf-8")
    sections = {name.removeprefix("testenv:"): name for name in tox.sections()}
    sections["py"] = sections.pop("testenv")
    described = {name: tox[section].get("description") for name, section in sections.items()}
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", CONTRIBUTING, re.MULTILINE)
    assert dict(rows) == {name: text for name, text in described.items() if text}
    default = re.split(r",\s*", tox["tox"]["env_list"])
    assert [name for name, _ in rows][: len(default)] == default
    assert f"the first {['zero', 'one', 'two', 'three', 'four', 'five', 'six'][len(default)]}" in (
        CONTRIBUTING
    )
