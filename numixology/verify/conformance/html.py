"""A conformance report as one HTML file, which needs nothing else to be read.

There are no scripts and no links. The page has the text of the report and a heat map, of which
every cell says its number, so that color adds to it and nothing hangs on it. What a backend says of
itself is escaped. What is the same on every page stands in ``report.html``.
"""

from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from string import Template

from ...version import __version__
from .cases import KERNEL_KINDS, KINDS
from .verdicts import ConformanceReport, StageReport

__all__ = ["html_report"]


def html_report(report: ConformanceReport) -> str:
    """A report as an HTML page.

    Args:
        report: what :func:`.conform` returned.

    Returns:
        The text of the page, the same for the same report and day.

    Example:
        >>> from numixology.verify.conformance import Textbook, conform, html_report
        >>> page = html_report(conform(Textbook(), stages=["gelu"], quick=True))
        >>> page.startswith("<!DOCTYPE html>"), "<script" in page
        (True, False)
    """
    compared = {one.kind for stage in report.stages for one in stage.comparisons}
    meanings = KINDS | KERNEL_KINDS
    kinds = [kind for kind in meanings if kind in compared]
    rows = [
        _tag("th", one.stage + (" ✗ promise" if one.broken else ""), scope="row")
        + "".join(_cell(one, kind) for kind in kinds)
        for one in report.stages
    ]
    return Template(files(__package__).joinpath("report.html").read_text("utf-8")).substitute(
        backend=escape(report.backend),
        verdict=report.verdict,
        checked=f"numixology {__version__}, {datetime.now(UTC).date().isoformat()}",
        kinds="".join(_tag("th", kind, scope="col", title=meanings[kind]) for kind in kinds),
        heat="\n".join(f"<tr>{row}</tr>" for row in rows),
        text=escape(str(report)),
    )


def _cell(stage: StageReport, kind: str) -> str:
    """How near the worst tensor comes to its bound."""
    marks, found = ("pass", "known", "fail"), [o for o in stage.comparisons if o.kind == kind]
    if not found:
        said = f"{stage.stage}, {kind}: nothing compared"
        return _tag("td", "–", title=said, aria_label=said)
    worst = max(found, key=lambda one: (marks.index(one.outcome), one.ratio))
    said = (
        f"{stage.stage}, {kind}: {worst.outcome}; {worst.label} of {worst.case} is off by "
        f"{worst.error:.3g} of {worst.bound:.3g} roundings"
    )
    shade = f"r{sum(worst.ratio > limit for limit in (0, 0.25, 0.5))}"
    mark, shade = {"pass": ("", shade), "known": ("≈ ", "known")}.get(worst.outcome, ("✗ ", "fail"))
    text = f"{mark}{worst.ratio:.2g}".replace("inf", "∞")
    return _tag("td", text, class_=shade, title=said, aria_label=said)


def _tag(name: str, text: str, **attributes: str) -> str:
    """An element. A name that Python keeps for itself ends in ``_``; others have it for a dash."""
    given = (f' {k.rstrip("_").replace("_", "-")}="{escape(v)}"' for k, v in attributes.items())
    return f"<{name}{''.join(given)}>{escape(text)}</{name}>"
