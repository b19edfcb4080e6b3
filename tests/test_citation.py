"""The citation agrees with the package, and names every paper that a docstring does."""

import re
import tomllib
from pathlib import Path

import pytest

import numixology

ROOT = Path(__file__).resolve().parents[1]
PAPER = re.compile(r"arXiv[: ](\d{4}\.\d{5})")


def fields(text: str) -> dict[str, str]:
    """The entries of the first level that stand on one line."""
    entries = re.findall(r"^([a-z-]+): +([^\s>].*)$", text, flags=re.MULTILINE)
    return {name: value.strip('"') for name, value in entries}


def test_it_agrees_with_the_package() -> None:
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found = fields(text)
    assert found["cff-version"] == "1.2.0"
    assert found["version"] == numixology.__version__
    assert found["license"] == project["license"]
    (author,) = project["authors"]
    assert f"authors:\n  - name: {author['name']}\nversion:" in text
    assert {"message", "title", "type"} <= found.keys()


def test_another_version_would_be_found() -> None:
    text = f"version: {numixology.__version__}\nreferences:\n  - version: 7\n"
    assert fields(text) == {"version": numixology.__version__}
    assert fields(text.replace(numixology.__version__, "9.9"))["version"] != numixology.__version__


@pytest.mark.parametrize("place", ["CITATION.cff", "docs/citation.rst"])
def test_every_paper_of_a_docstring_is_named(place: str) -> None:
    cited = {
        number
        for path in (ROOT / "numixology").rglob("*.py")
        for number in PAPER.findall(path.read_text("utf-8"))
    }
    named = set(re.findall(r"arxiv\.org/abs/(\d{4}\.\d{5})", (ROOT / place).read_text("utf-8")))
    assert cited and named == cited, f"{place} has {sorted(named ^ cited)} too much or too little"
