"""The site can be built with Sphinx alone, without a warning, and twice the same."""

import pytest
from website.builds import build, differences, optional


@pytest.mark.parametrize("name", ["once", "again", "alone"])
def test_it_builds_without_a_warning(built, name):
    assert (built(name) / "index.html").is_file()


def test_sphinx_alone_is_enough(built):
    assert optional() == ["furo", "sphinx_copybutton"]
    assert "furo" in (built("once") / "index.html").read_text("utf-8").lower()
    page = (built("alone") / "index.html").read_text("utf-8").lower()
    assert "furo" not in page and "copybutton" not in page


def test_two_builds_are_the_same_byte_for_byte(built):
    """In two folders, from two copies of the sources, with two hash seeds, by one process and by
    two; no file is left out.

    The doctrees, from which Sphinx builds anew only what has changed, lie in a folder of their own.
    """
    assert differences(built("once"), built("again")) == []


# Each check finds what it is there for.


def test_a_warning_is_an_error(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "conf.py").write_text("")
    page = "A page\n======\n\n:doc:`{}`\n"
    (docs / "index.rst").write_text(page.format("index"))
    assert build(docs, tmp_path / "well") == ""
    (docs / "index.rst").write_text(page.format("nowhere"))
    assert "unknown document" in build(docs, tmp_path / "badly")


def test_a_module_is_missing_when_it_is_to_be(tmp_path):
    (tmp_path / "conf.py").write_text(
        "from importlib.util import find_spec\nassert find_spec('furo')"
    )
    (tmp_path / "index.rst").write_text("A page\n======\n")
    assert build(tmp_path, tmp_path / "with") == ""
    assert "AssertionError" in build(tmp_path, tmp_path / "without", without=["furo"])


def test_differences_are_found(tmp_path):
    for folder, text in (("one", "1"), ("other", "2")):
        (tmp_path / folder / "deep").mkdir(parents=True)
        (tmp_path / folder / "same").write_text("0")
        (tmp_path / folder / "deep" / "changed").write_text(text)
    (tmp_path / "other" / "more").write_text("")
    assert differences(tmp_path / "one", tmp_path / "other") == ["deep/changed", "more"]
    assert differences(tmp_path / "one", tmp_path / "one") == []
