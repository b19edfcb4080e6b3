"""The guide, claim by claim, each judged by running the code."""

import textwrap
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..drawing.panels import Table
from ..drawing.scene import Scene
from .claims import Claim, Evidence, Finding, Verdict
from .costs import COST_CLAIMS
from .layers import ARCHITECTURE_CLAIMS, NETWORK_CLAIMS
from .mixing import CLOSING_CLAIMS, MIXER_CLAIMS, SHAPE_CLAIMS, TIP_CLAIMS

__all__ = ["VERDICTS", "Correction", "corrections", "corrections_scene"]

#: What each verdict means.
VERDICTS: dict[Verdict, str] = {
    "right": "what the guide says is what the code finds",
    "wrong": "the code finds something else",
    "omission": "true as far as it goes, and something that decides is not said",
    "ambiguous": "true in one reading and not in the other",
    "misleading": "the numbers may stand, what they suggest does not",
    "differs": "a choice, made differently here or in the paper",
}

# Widths in the terminal, in characters.
_SAYS, _TRUTH = 26, 34


class Correction(NamedTuple):
    """A claim of the guide, judged.

    Attributes:
        number: its place in the table, from 1.
        name: a short name of its own.
        chapter: the heading of the second level that it stands under in the guide.
        section: the heading of the third level, or the chapter's.
        says: what the guide says or draws, in our words.
        verdict: a word of ``VERDICTS``, which follows from the evidence.
        truth: what is true, with numbers from the running code.
        page: the page of the documentation where it is explained.
        figures: the names of the figures there that show it.
        evidence: what the guide says beside what the code found, an :class:`.Evidence` each.
        check: the function that ran the code; it can be run again.

    Example:
        >>> import numixology as nx
        >>> one = next(c for c in nx.explain.corrections() if c.name == "flatten-mixes")
        >>> one.verdict
        'wrong'
        >>> one.evidence[0].what, one.evidence[0].guide, one.evidence[0].found
        ('flatten moves values', True, False)
    """

    number: int
    name: str
    chapter: str
    section: str
    says: str
    verdict: Verdict
    truth: str
    page: str
    figures: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    check: Callable[[], Finding]


def corrections() -> tuple[Correction, ...]:
    """Every section, figure and claim of the guide, checked by running the code.

    Returns:
        A :class:`.Correction` for each, in the guide's order.

    Source: guide, all of it.

    Example:
        >>> import numixology as nx
        >>> first = nx.explain.corrections()[1]
        >>> print(first.says, "-", first.verdict)
        (4, 8, 768) is 4 sequences, 8 tokens, 768 features - right
    """
    claims = [(chapter, claim) for chapter, group in _CHAPTERS for claim in group]
    return tuple(_judged(i, *one) for i, one in enumerate(claims, start=1))


def _judged(number: int, chapter: str, claim: Claim) -> Correction:
    found = claim.check()
    return Correction(
        number,
        claim.name,
        chapter,
        claim.section,
        claim.says,
        claim.verdict(found.evidence),
        found.truth,
        claim.page,
        claim.figures,
        found.evidence,
        claim.check,
    )


def corrections_scene() -> Scene:
    """The corrections as a figure: a table for every chapter of the guide.

    Returns:
        A :class:`.Scene`. Long cells go on in the rows below them.

    Source: guide, all of it.

    Example:
        >>> import numixology as nx
        >>> print(nx.explain.panel_text(nx.explain.corrections_scene().panels[0]))
        Table of Contents
          #  the guide says  verdict   what the code finds
          -  --------------  --------  -------------------------------
          1  five chapters   omission  There are 6: the implementation
                                       tips are not listed.
    """
    judged = corrections()
    chapters = dict.fromkeys(one.chapter for one in judged)
    header = ("#", "the guide says", "verdict", "what the code finds")
    panels = tuple(
        Table(
            chapter,
            header,
            tuple(row for one in judged if one.chapter == chapter for row in _rows(one)),
            "><<<",
        )
        for chapter in chapters
    )
    wrong = sum(one.verdict != "right" for one in judged)
    title = f"The guide, claim by claim: {len(judged)} claims, {len(judged) - wrong} right"
    about = "What the guide says, a verdict, and what the running code finds, chapter by chapter."
    return Scene(title, about, panels)


def _rows(one: Correction) -> list[tuple[str, ...]]:
    """One row, and more where a cell is long."""
    says, truth = _wrapped(one.says, _SAYS), _wrapped(one.truth, _TRUTH)
    return [
        (str(one.number) * (not i), _line(says, i), one.verdict * (not i), _line(truth, i))
        for i in range(max(len(says), len(truth)))
    ]


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text.replace("²", "^2"), width)  # terminals of any kind show it


def _line(lines: Sequence[str], i: int) -> str:
    return lines[i] if i < len(lines) else ""


def _contents() -> Finding:
    chapters = len(_BODY)
    truth = f"There are {chapters}: the implementation tips are not listed."
    return Finding(truth, (Evidence("chapters", 5, chapters),))


_CONTENTS = Claim(
    "contents", "Table of Contents", "five chapters", _contents, "corrections", fault="omission"
)

#: The chapters of the guide between its table of contents and its last sentence.
_BODY = (
    ("Tensor Shape Basics", SHAPE_CLAIMS),
    ("Token Mixer Step-by-Step", MIXER_CLAIMS),
    ("Feed Forward Network Flow", NETWORK_CLAIMS),
    ("Complete Architecture Overview", ARCHITECTURE_CLAIMS),
    ("Complexity Comparison", COST_CLAIMS),
    ("Implementation Tips", TIP_CLAIMS),
)
_CHAPTERS: tuple[tuple[str, tuple[Claim, ...]], ...] = (
    ("Table of Contents", (_CONTENTS,)),
    *_BODY,
    ("Closing sentence", CLOSING_CLAIMS),
)
