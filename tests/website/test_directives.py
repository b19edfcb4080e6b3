"""What each directive of the pages writes, and what it says of what it cannot write.

All pages are built together, once as HTML and once as text; what was said of each is told apart by
its name, which is in the message with the line.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from website.builds import ROOT, build

from numixology.explain import FIGURES

CONF = f"""
import sys
sys.path[:0] = [{str(ROOT / "docs" / "_ext")!r}, {str(ROOT)!r}]
extensions = ["mathml", "numixology_corrections", "numixology_draw", "numixology_figure",
              "numixology_play", "rooms", "solution", "summary", "together"]
html_theme = "basic"
html_math_renderer = "mathml"
exclude_patterns = ["*.txt"]
"""
SCENE = {
    "title": "Two lines",
    "description": "A small figure.",
    "panels": [{"kind": "lines", "title": "The first", "lines": [["a < b", "and more"]]}],
}

#: Pages of which nothing is said.
PAGES = {
    "draw": """
.. numixology-draw:: merge --tokens 3 --dim 4 --heads 2
   :caption: *Mixed* chunks
""",
    "twice": """
.. numixology-draw:: flatten

.. numixology-draw:: flatten --tokens 3 --dim 4 --heads 2
   :name: figure-flatten-again
   :panels: 2

See :ref:`the first <figure-flatten>` and :ref:`the other <figure-flatten-again>`.
""",
    "scene": """
.. numixology-scene:: some_numbers.json
""",
    "figure": """
.. numixology-figure:: draw residual --tokens 2 --dim 2 --heads 1
   :caption: As printed
   :name: printed

.. numixology-figure:: draw residual --tokens 2 --dim 2 --heads 1

.. numixology-figure:: gradcheck by_hand:swish --vjp by_hand:forgetful --shape 2,4
   :status: 1
""",
    "play": """
.. numixology-play::

   T=2 H=2 d=1
   T=2 H=1 d=2 mixing=guide
""",
    "corrections": """
.. numixology-corrections:: verdicts
""",
    "solution": """
.. solution::

   The *answer*.

.. solution:: One more <hint>

   Think.
""",
    "rooms": """
.. rooms::

.. rooms:: explain.drawing
""",
    "summary": """
.. summary::

Circles
~~~~~~~

.. py:function:: area(radius)

   The area of a *circle*, π r². More about it.

.. py:class:: Circle(radius)

   .. py:method:: area()

      Its area.

Nothing described
~~~~~~~~~~~~~~~~~

Words.
""",
    "math": r"""
So :math:`\frac{a}{b} < \alpha`, and

.. math:: x^2 \le 1
   :label: bound
""",
    "together": """
Both ``a b``, and (:math:`c`), but ``d`` and ``e``.
""",
}

#: Pages with a mistake: the line of it, counted from 1 below the title, and what is said.
MISTAKES = {
    "unknown-figure": (".. numixology-draw:: nobody", "first word must be the name of a figure"),
    "unknown-size": (".. numixology-draw:: merge --tokens three", "exit status 2"),
    "no-such-size": (
        ".. numixology-draw:: merge --dim 9 --heads 2",
        "--dim must be divisible by --heads",
    ),
    "no-argument": (".. numixology-draw::", "1 argument"),
    "unknown-option": (".. numixology-draw:: merge\n   :color: red", 'unknown option: "color"'),
    "panel-word": (".. numixology-draw:: merge\n   :panels: all", "invalid option value"),
    "panel-number": (".. numixology-draw:: merge\n   :panels: 3", "has 2 panels, not [3]"),
    "same-twice": (
        ".. numixology-draw:: norm\n\n.. numixology-draw:: norm",
        "this page has another figure-norm; give this one a name by the option :name:",
    ),
    "no-file": (".. numixology-scene:: nowhere.json", "nowhere.json cannot be read: No such file"),
    "no-scene": (".. numixology-scene:: no_scene.json", "this is no figure"),
    "unknown-command": (".. numixology-figure:: dance", "exit status 2"),
    "other-status": (
        ".. numixology-figure:: draw merge\n   :status: 1",
        "numixology draw merge: exit status 0",
    ),
    "no-sizes": (".. numixology-play::", "Content block expected"),
    "odd-size": (".. numixology-play::\n\n   T=2 H=2", "a line is a size such as T=4 H=4 d=2"),
    "word-for-size": (".. numixology-play::\n\n   small", "not small"),
    "two-plays": (
        ".. numixology-play::\n\n   T=1 H=1 d=1\n\n.. numixology-play::\n\n   T=1 H=1 d=1",
        "stands once on a page",
    ),
    "other-corrections": (".. numixology-corrections:: all", "claims and verdicts, not all"),
    "empty-solution": (".. solution::", "Content block expected"),
    "no-room": (".. rooms:: cellar", "the package has no folder cellar"),
    "bad-formula": (r":math:`\nonsense`", "cannot convert"),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    docs = tmp_path_factory.mktemp("directives")
    (docs / "conf.py").write_text(CONF)
    (docs / "some_numbers.json").write_text(json.dumps(SCENE))
    (docs / "no_scene.json").write_text("{}")
    by_hand = (ROOT / "docs" / "examples" / "by_hand.py").read_text("utf-8")
    (docs / "by_hand.py").write_text(by_hand)  # commands run in the folder of the pages
    mistakes = {name: text for name, (text, _) in MISTAKES.items()}
    for name, text in (PAGES | mistakes).items():
        (docs / f"{name}.rst").write_text(f"{name}\n{'=' * len(name)}\n\n{text}\n")
    for page in (ROOT / "docs" / "reading").glob("*.rst"):  # to which the rooms have links
        (docs / "reading").mkdir(exist_ok=True)
        (docs / "reading" / page.name).write_text(f":orphan:\n\n{page.stem}\n{'=' * 20}\n")
    names = "".join(f"   {name}\n" for name in PAGES | mistakes)
    (docs / "index.rst").write_text(f"All\n===\n\n.. toctree::\n\n{names}")
    return docs


@pytest.fixture(scope="module")
def said(project: Path) -> str:
    """What was said while all pages were built as HTML."""
    return build(project, project / "_build")


@pytest.fixture(scope="module")
def html(project: Path, said: str) -> Callable[[str], str]:
    return lambda name: (project / "_build" / "html" / f"{name}.html").read_text("utf-8")


@pytest.fixture(scope="module")
def text(project: Path) -> Callable[[str], str]:
    build(project, project / "_build_text", builder="text")
    return lambda name: (project / "_build_text" / "text" / f"{name}.txt").read_text("utf-8")


def messages(said: str, name: str) -> list[str]:
    """What was said of a page: a message begins with a file and a line."""
    parts = re.split(r"^(?=\S+\.rst(?::\d+)?: )", said, flags=re.MULTILINE)
    return [part for part in parts if re.match(rf"\S*/{name}\.rst", part)]


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_said_of_a_page_without_a_mistake(name, said):
    assert messages(said, name) == []


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_file_and_line(name, said):
    source, says = MISTAKES[name]
    (message,) = messages(said, name)
    assert says in message
    kind = source.split("::")[0] + "::" if source.startswith("..") else source
    line = 4 + source[: source.rindex(kind)].count("\n")  # of two alike the second is wrong
    assert re.match(rf"\S*/{name}\.rst:{line}: (ERROR|WARNING): ", message)


def test_a_drawing_has_its_panels_and_its_text(html, text):
    page = html("draw")
    assert page.count('role="img"') == 2
    assert "<em>Mixed</em> chunks" in page
    assert "<code>numixology draw merge --tokens 3 --dim 4 --heads 2</code>" in page
    assert 'id="figure-merge"' in page and 'id="figure-merge-0-title"' in page
    assert page.count("Token 0: [a1,a2,b1,b2]") == 2  # as text, and as the panel's description
    assert "numixology_figures.css" in page
    assert "Token 0: [a1,a2,b1,b2]" in text("draw")
    assert "<svg" not in text("draw")
    parts = [page.index(part) for part in ("</svg>", "</figcaption>", '<details class="nx-text"')]
    assert parts == sorted(parts)  # the caption is directly below the picture
    assert text("draw").count("Token 0: [a1,a2,b1,b2]") == 1


def test_a_figure_is_drawn_twice_under_two_names(html):
    page = html("twice")
    ids = re.findall(r' id="([^"]*)"', page)
    assert {"figure-flatten", "figure-flatten-again", "figure-flatten-again-0-desc"} <= set(ids)
    assert len(ids) == len(set(ids))
    assert page.count('role="img"') == 3  # of the second only one panel
    assert "part of <code>" in page
    assert 'href="#figure-flatten-again"' in page


def test_a_scene_is_drawn_from_its_file(html, text):
    page = html("scene")
    assert 'id="figure-some-numbers"' in page
    assert "The same as text: <code>some_numbers.json</code>" in page
    assert "a &lt; b" in page
    assert "A small figure." in page
    assert "a < b  and more" in text("scene")


def test_a_command_is_run_and_what_it_prints_is_shown(html, text):
    page = html("figure")
    assert 'id="printed"' in page and "As printed" in page
    captions = re.findall(r'class="caption-text">(.*?)</span><a', page)
    captions = [re.sub("<.*?>", "", caption) for caption in captions]
    assert captions[:2] == ["As printed", "numixology draw residual --tokens 2 --dim 2 --heads 1"]
    assert text("figure").count("a1+a1") == 2
    assert "gradcheck: FAIL" in text("figure")


def test_the_sizes_to_play_with_can_be_read_without_a_script(html, text):
    page = html("play")
    assert page.count('<details class="nx-size"') == 2
    assert page.count('<details class="nx-size" open>') == 1
    data = re.findall(r'<script type="application/json">(.*?)</script>', page)
    assert [json.loads(one)["scene"]["title"][:13] for one in data] == ["Token mixer ("] * 2
    assert "play.js" in page and "play.js" not in html("draw")
    assert "Step 4: Merge" in text("play")


def test_verdicts_are_counted(html, text):
    page = html("corrections")
    counts = re.findall(r"<td><p>(\d+)</p></td>", page)
    assert len(counts) > 2 and sum(map(int, counts)) > 20
    assert "nx-verdict" in page
    assert "Verdict" in text("corrections")


def test_a_solution_is_folded_where_it_can_be(html, text):
    page = html("solution")
    assert "<summary>Solution</summary>" in page
    assert "<summary>One more &lt;hint&gt;</summary>" in page
    assert page.count('<details class="solution">') == page.count("</details>") == 2
    assert "**Solution**\n\nThe *answer*." in text("solution")


def test_rooms_are_listed_with_what_they_are_about(html, text):
    page = html("rooms")
    assert "Room 1" in page and "errors" in page
    assert re.search(r"panels\.py.*?,</span> \d+ lines\. ", page)
    assert "as_svg.py" in text("rooms")


def test_a_page_of_the_reference_begins_with_what_it_describes(html):
    page = html("summary")
    rows = re.findall(r"<tr.*?</tr>", page, flags=re.DOTALL)
    assert len(rows) == 2  # neither the method nor the section without names
    assert 'href="#area"' in rows[0] and "<em>circle</em>, π r².</p>" in rows[0]
    assert 'href="#Circle"' in rows[1]
    assert '<a class="reference internal" href="#circles">Circles</a></p>' in page
    assert "Nothing described</a></p>" not in page


def test_the_gallery_has_every_figure(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "conf.py").write_text(CONF.replace('["mathml"', '["gallery", "mathml"'))
    (docs / "index.rst").write_text("All\n===\n\n.. gallery::\n\n.. toctree::\n\n   page\n")
    (docs / "page.rst").write_text("Page\n====\n\n.. numixology-draw:: merge\n")
    assert build(docs, tmp_path / "built") == ""
    page = (tmp_path / "built" / "html" / "index.html").read_text("utf-8")
    assert page.count('class="nx-thumb') == page.count('role="img"') == len(FIGURES)
    assert 'href="page.html#figure-merge"' in page


def test_formulas_are_mathml(html):
    page = html("math")
    assert page.count("<math") == 2
    assert "<mfrac>" in page and "α" in page
    assert '<span class="eqno">(1)' in page
    assert "<code>" in html("bad-formula")  # shown as typed


def test_what_touches_code_or_a_formula_stays_with_it(html, text):
    page = html("together")
    paragraph = page[page.index("<p>Both") : page.index("</p>", page.index("<p>Both"))]
    parts = paragraph.split('<span class="nx-together">')[1:]
    plain = ["".join(re.sub("<.*?>", "", part).split()) for part in parts]
    assert plain == ["ab,and", "(c),butdand", "e."]
    assert re.search(r"</code>,</span> and .*</math></span>\),</span> but", paragraph, re.DOTALL)
    assert 'Both "a b", and (c), but "d" and "e".' in text("together")
