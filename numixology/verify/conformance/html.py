"""A conformance report as one HTML file, which needs nothing else to be read.

There are no scripts and no links. Every cell of the heat map says its number, so that color adds
to it and nothing hangs on it, and what a backend says of itself is escaped.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.resources import files

from ...version import __version__
from .cases import KERNEL_KINDS, KINDS
from .verdicts import Comparison, ConformanceReport, StageReport, failure_of, notes_of

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
    parts = (_head(report), *_failures(report), _heat_map(report), _stages(report), _notes(report))
    style = files(__package__).joinpath("report.css").read_text("utf-8")
    title, body = escape(f"{report.backend}: {report.verdict}"), "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _head(report: ConformanceReport) -> str:
    today = datetime.now(UTC).date().isoformat()
    said = {
        "format": report.dtype,
        "sums in": report.accumulation,
        "declares": ", ".join(report.profile) or "no profile",
        "checked by": f"numixology {__version__}, {today}",
    }
    terms = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in said.items())
    return (
        f"<h1>Conformance of {escape(report.backend)}</h1>\n"
        f'<p class="verdict {_class(report.verdict)}">{escape(report.summary)}</p>\n'
        f"<dl>{terms}</dl>"
    )


def _failures(report: ConformanceReport) -> Iterable[str]:
    """For each stage that fails what is wrong, where, which known bug does so, and lines to try."""
    for one in report.stages:
        if one.outcome == "fail":
            said, code = failure_of(one)
            items = "".join(f"<li>{escape(text)}</li>" for text in said)
            lines = f"<pre><code>{escape(code)}</code></pre>" if code else ""
            yield _section(f"{one.stage} fails", f'<ul class="broken">{items}</ul>{lines}')


def _heat_map(report: ConformanceReport) -> str:
    compared = {one.kind for stage in report.stages for one in stage.comparisons}
    meanings = KINDS | KERNEL_KINDS
    kinds = [kind for kind in (*meanings, *sorted(compared - meanings.keys())) if kind in compared]
    rows = []
    for stage in report.stages:
        cells = "".join(_cell(stage, kind) for kind in kinds)
        mark = ' <span class="mark">✗ promise</span>' if stage.broken else ""
        rows.append(f'<tr><th scope="row">{escape(stage.stage)}{mark}</th>{cells}</tr>')
    key = "".join(f'<span class="key {name}">{text}</span>' for name, text in _KEY.items())
    head = "".join(
        f'<th scope="col" title="{escape(meanings.get(kind, "as inside that network"))}">'
        f"{escape(kind)}</th>"
        for kind in kinds
    )
    return _section(
        "Error by bound",
        "<p>Each stage by each kind of input: how much of what rounding allows was used, by the "
        f"worst tensor. Above 1 a tensor fails.</p><p>{key}</p>"
        + _table("Error by bound", f'<th scope="col">stage</th>{head}', rows, "heat"),
    )


def _cell(stage: StageReport, kind: str) -> str:
    found = [one for one in stage.comparisons if one.kind == kind]
    if not found:
        said = escape(f"{stage.stage}, {kind}: nothing compared")
        return f'<td title="{said}" aria-label="{said}">–</td>'
    worst = max(found, key=lambda one: (_RANK.get(one.outcome, 0), one.ratio))
    said = escape(
        f"{stage.stage}, {kind}: {worst.outcome}; {worst.label} of {worst.case} is off by "
        f"{_number(worst.error, '.3g')} of {worst.bound:.3g} roundings"
    )
    mark = {"fail": "✗ ", "known": "≈ "}.get(worst.outcome, "")
    ratio = _number(worst.ratio, ".2g")
    return f'<td class="{_shade(worst)}" title="{said}" aria-label="{said}">{mark}{ratio}</td>'


def _stages(report: ConformanceReport) -> str:
    rows = []
    for stage in report.stages:
        worst = stage.worst
        cells: Sequence[str] = ("",) * 6
        if worst:
            detects = "" if math.isnan(stage.detectable) else _number(stage.detectable, ".1e")
            numbers = (_number(one, ".3g") for one in (worst.error, worst.bound, worst.ratio))
            cases = str(len({one.case for one in stage.comparisons}))
            cells = (cases, f"{worst.label} ({worst.kind})", *numbers, detects)
        rows.append(
            f'<tr><th scope="row">{escape(stage.stage)}</th>'
            f'<td class="{_class(stage.outcome)}">{escape(stage.outcome)}</td>'
            + "".join(f"<td>{escape(text)}</td>" for text in cells)
            + "</tr>"
        )
    titles = ("stage", "outcome", "cases", "worst tensor", "error", "bound", "ratio", "detects")
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    return _section(
        "Stages",
        "<p>Errors and bounds are in units of rounding. A stage detects an error of this size, "
        "relative to a tensor's largest entry. x.grad is the gradient by x.</p>"
        + _table("Stages", head, rows, "stages"),
    )


def _notes(report: ConformanceReport) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in notes_of(report))
    return _section("What else there is to say", f"<ul>{items}</ul>")


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{body}\n</section>"


def _table(name: str, head: str, rows: Iterable[str], kind: str) -> str:
    body = "\n".join(rows)
    return (
        f'<div class="wide" role="region" aria-label="{escape(name)}" tabindex="0">'
        f'<table class="{kind}">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n'
        "</table></div>"
    )


def _number(value: float, form: str) -> str:
    return {"inf": "∞", "-inf": "-∞", "nan": "NaN"}.get(f"{value}", f"{value:{form}}")


_RANK = {"known": 1, "fail": 2}
_KEY = {
    "r0": "0",
    "r1": "to ¼",
    "r2": "to ½",
    "r3": "to 1",
    "known": "≈ known difference",
    "fail": "✗ beyond the bound",
}


def _class(outcome: str) -> str:
    return outcome.replace(" ", "-")


def _shade(one: Comparison) -> str:
    if one.outcome in _RANK:
        return one.outcome
    return f"r{sum(one.ratio > limit for limit in (0, 0.25, 0.5))}"
