"""The guide, claim by claim, each judged by running the code."""

from collections.abc import Callable
from typing import NamedTuple

from .claims import Claim, Evidence, Finding, Verdict
from .costs import COST_CLAIMS
from .layers import ARCHITECTURE_CLAIMS, NETWORK_CLAIMS
from .mixing import CLOSING_CLAIMS, MIXER_CLAIMS, SHAPE_CLAIMS, TIP_CLAIMS

__all__ = ["VERDICTS", "Correction", "corrections"]

#: What each verdict means.
VERDICTS: dict[Verdict, str] = {
    "right": "what the guide says is what the code finds",
    "wrong": "the code finds something else",
    "omission": "true as far as it goes, and something that decides is not said",
    "ambiguous": "true in one reading and not in the other",
    "misleading": "the numbers may stand, what they suggest does not",
    "differs": "a choice, made differently here or in the paper",
}


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
        evidence: what the guide says beside what the code found.
        check: the function that ran the code; it can be run again.
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
        A correction for each, in the guide's order.
    """
    claims = [(chapter, claim) for chapter, group in CHAPTERS for claim in group]
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


def _contents() -> Finding:
    chapters = len(BODY)
    truth = f"There are {chapters}: the implementation tips are not listed."
    return Finding(truth, (Evidence("chapters", 5, chapters),))


_CONTENTS = Claim(
    "contents", "Table of Contents", "five chapters", _contents, "corrections", fault="omission"
)

#: The chapters of the guide between its table of contents and its last sentence.
BODY = (
    ("Tensor Shape Basics", SHAPE_CLAIMS),
    ("Token Mixer Step-by-Step", MIXER_CLAIMS),
    ("Feed Forward Network Flow", NETWORK_CLAIMS),
    ("Complete Architecture Overview", ARCHITECTURE_CLAIMS),
    ("Complexity Comparison", COST_CLAIMS),
    ("Implementation Tips", TIP_CLAIMS),
)
CHAPTERS: tuple[tuple[str, tuple[Claim, ...]], ...] = (
    ("Table of Contents", (_CONTENTS,)),
    *BODY,
    ("Closing sentence", CLOSING_CLAIMS),
)
