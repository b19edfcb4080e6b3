"""A conformance report as one HTML file, which needs nothing else to be read.

There are no scripts and no links. The page has what the text has, and a heat map, of which every
cell says its number, so that color adds to it and nothing hangs on it. What a backend says of
itself is escaped. What is the same on every page stands in ``report.html``.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from string import Template

from ...version import __version__
from .cases import KERNEL_KINDS, KINDS
from .verdicts import HEADINGS, ConformanceReport, StageReport, failure_of, notes_of, rows_of

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
    frame = Template(files(__package__).joinpath("report.html").read_text("utf-8"))
    return frame.substitute(
        backend=escape(report.backend),
        verdict=report.verdict,
        summary=escape(report.summary),
        dtype=report.dtype,
        accumulation=report.accumulation,
        profile=", ".join(report.profile) or "no profile",
        version=__version__,
        today=datetime.now(UTC).date().isoformat(),
        failures="\n".join(_failure(one) for one in report.stages if one.outcome == "fail"),
        kinds="".join(_tag("th", kind, scope="col", title=meanings[kind]) for kind in kinds),
        heat="\n".join(_heat(stage, kinds) for stage in report.stages),
        headings=_tags("th", HEADINGS),
        stages="\n".join(f"<tr>{_tags('td', row)}</tr>" for row in rows_of(report)),
        notes=_tags("li", notes_of(report)),
    )


def _failure(stage: StageReport) -> str:
    """What is wrong, where, which known bug does so, and lines to try."""
    said, code = failure_of(stage)
    lines = f"<pre>{_tag('code', code)}</pre>" if code else ""
    title = _tag("h2", f"{stage.stage} fails")
    return f'<section>{title}<ul class="broken">{_tags("li", said)}</ul>{lines}</section>'


def _heat(stage: StageReport, kinds: Iterable[str]) -> str:
    name = stage.stage + (" ✗ promise" if stage.broken else "")
    return (
        f"<tr>{_tag('th', name, scope='row')}{''.join(_cell(stage, kind) for kind in kinds)}</tr>"
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


def _tags(name: str, texts: Iterable[str]) -> str:
    return "".join(_tag(name, text) for text in texts)
