"""The README: its pictures are those that the package draws, and its links lead somewhere."""

import re
from pathlib import Path

import pytest
import readme_pictures

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("path", "svg"), readme_pictures.pictures().items(), ids=lambda value: getattr(value, "name", "")
)
def test_a_picture_is_what_the_package_draws(path: Path, svg: str) -> None:
    assert path.relative_to(ROOT).as_posix() in README
    assert path.read_text("utf-8") == svg, "run python tests/readme_pictures.py"


def test_every_link_into_the_checkout_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)|(?:src|srcset)=\"([^\":]+)\"", README)
    paths = [one or other for one, other in links]
    assert len(paths) > 5
    assert [path for path in paths if not (ROOT / path).is_file()] == []
