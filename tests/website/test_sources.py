"""The pages as they are written: every example runs, and no picture is pasted in."""

import pytest
from website import sources
from website.builds import ROOT

PAGES = sorted((*(ROOT / "docs").rglob("*.rst"), ROOT / "README.md"))
CODE = sorted((ROOT / "numixology").rglob("*.py"))


def named(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_a_page_is_run_and_drawn(path):
    assert not [*sources.not_run(path), *sources.skipped(path), *sources.pasted_boxes(path)]


@pytest.mark.parametrize("path", CODE, ids=named)
def test_no_docstring_skips_an_example(path):
    assert sources.skipped(path) == []


# Each rule finds what it is there for, and lets pass what is right.


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.rst", ".. code-block:: pycon\n\n   >>> 1\n   1\n", None),
        ("a.rst", ".. code-block:: console\n\n   $ ls\n", None),
        ("a.rst", ".. literalinclude:: a.py\n   :language: python\n", None),
        ("a.rst", "So::\n\n   >>> 1\n   1\n", None),
        ("a.rst", ".. highlight:: text\n\nSo::\n\n   words\n", None),
        ("a.rst", ".. code-block:: console\n\n   $ ls::\n\n   words\n", None),
        ("a.rst", ".. code-block:: python\n\n   print(1)\n", 1),
        ("a.rst", "Words.\n\n.. code-block::\n\n   print(1)\n\n>>> 1\n1\n", 3),
        ("a.rst", "* .\n\n  .. code:: Python3\n     :number-lines:\n\n     print(1)\n", 3),
        ("a.rst", ".. testcode::\n\n   print(1)\n", 1),
        ("a.rst", "So::\n\n   print(1)\n", 1),
        ("a.rst", "So:\n\n::\n\n   print(1)\n", 3),
        ("a.md", "```pycon\n>>> 1\n1\n\n```\n```\nwords\n```\n```sh\nls\n```\n", None),
        ("a.md", "Words\n\n```python\nprint(1)\n```\n", 3),
        ("a.md", "```sh\nls\n```\n~~~py\nprint(1)\n~~~\n>>> 1\n", 4),
    ],
)
def test_python_without_a_prompt_is_found(tmp_path, name, text, line):
    path = tmp_path / name
    path.write_text(text, "utf-8")
    expected = [] if line is None else [f"{name}:{line}: Python without >>>: nobody runs it"]
    assert sources.not_run(path) == expected


@pytest.mark.parametrize("text", [">>> f()  # doctest: +SKIP", "   :skipif: True"])
def test_a_skipped_example_is_found(tmp_path, text):
    path = tmp_path / "a.rst"
    path.write_text(f"Skip this.\n{text}\n", "utf-8")
    assert sources.skipped(path) == ["a.rst:2: an example that is skipped"]


@pytest.mark.parametrize("character", "\u2500\u2502\u257f")
def test_a_pasted_box_is_found(tmp_path, character):
    path = tmp_path / "a.rst"
    path.write_text(f"× → – |\n\n{character}\n", "utf-8")
    assert sources.pasted_boxes(path) == ["a.rst:3: a box-drawing character"]
