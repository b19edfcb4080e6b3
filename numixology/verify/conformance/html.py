"""A conformance report as one HTML file, which needs nothing else to be read.

There are no scripts and no links. Every cell of the heat map says its number, so that color adds
to it and nothing hangs on it, and what a backend says of itself is escaped.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape

from .cases import KINDS
from .scales import PROFILES
from .verdicts import Comparison, ConformanceReport, Diagnosis, StageReport

__all__ = ["html_report"]


def html_report(report: ConformanceReport) -> str:
    """A report as an HTML page.

    Args:
        report: what :func:`.conform` returned.

    Returns:
        The text of the page, the same for the same report.

    Example:
        >>> from numixology.verify.conformance import Textbook, conform, html_report
        >>> page = html_report(conform(Textbook(), stages=["gelu"], seeds=1))
        >>> page.startswith("<!DOCTYPE html>"), "<script" in page
        (True, False)
    """
    parts = (
        _head(report),
        _diagnosis(report),
        _heat_map(report),
        _stages(report),
        _failures(report),
        _contracts(report),
        _detectable(report),
        _not_covered(report),
    )
    title = escape(f"{report.backend}: {report.verdict}")
    body = "\n".join(part for part in parts if part)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


# Parts of the page


def _head(report: ConformanceReport) -> str:
    profiles = "".join(
        f"<dt>declares</dt><dd><code>{escape(name)}</code>: {escape(PROFILES[name])}</dd>"
        for name in report.profile
    )
    return (
        f"<h1>Conformance of {escape(report.backend)}</h1>\n"
        f'<p class="verdict {_class(report.verdict)}">{escape(report.summary)}</p>\n'
        f"<dl><dt>format</dt><dd>{escape(report.dtype)}</dd>"
        f"<dt>sums in</dt><dd>{escape(report.accumulation)}</dd>{profiles}</dl>"
    )


def _diagnosis(report: ConformanceReport) -> str:
    first = report.first_failure
    if first is None:
        return ""
    found = first.diagnosis
    body = (
        f"<p>{escape(str(found))}{_runner_up(found)}.</p>"
        f"<pre><code>{escape(found.code)}</code></pre>"
        if found
        else "<p>No known bug is near.</p>"
    )
    return _section(
        "First failing stage",
        f"<p><strong>{escape(first.stage)}</strong>: a stage comes after those that it is made of, "
        f"so look here first.</p>{body}",
    )


def _runner_up(found: Diagnosis) -> str:
    """The second guess, where the first one is more than that."""
    named = found.by and found.bug != "broken-contract" and found.runner_up
    return f"; the next nearest is {escape(found.runner_up)}" if named else ""


def _heat_map(report: ConformanceReport) -> str:
    others = {one.kind for stage in report.stages for one in stage.comparisons} - KINDS.keys()
    kinds = [*KINDS, *sorted(others)]
    rows = []
    for stage in report.stages:
        cells = "".join(_cell(stage, kind) for kind in kinds)
        mark = ' <span class="mark">✗ contract</span>' if stage.broken else ""
        rows.append(f'<tr><th scope="row">{escape(stage.stage)}{mark}</th>{cells}</tr>')
    key = "".join(
        f'<span class="key {name}">{text}</span>'
        for name, text in (
            ("r0", "0"),
            ("r1", "to ¼"),
            ("r2", "to ½"),
            ("r3", "to 1"),
            ("known", "≈ known difference"),
            ("fail", "✗ beyond the bound"),
        )
    )
    return _section(
        "Error by bound",
        "<p>Each stage by each kind of input: how much of what rounding allows was used, "
        "by the worst tensor. Above 1 a tensor fails.</p>"
        f"<p>{key}</p>" + _table("Error by bound", ("stage", *kinds), rows, "heat"),
    )


def _cell(stage: StageReport, kind: str) -> str:
    found = [one for one in stage.comparisons if one.kind == kind]
    if not found:
        said = f"{stage.stage}, {kind}: nothing compared"
        return f'<td title="{escape(said)}" aria-label="{escape(said)}">–</td>'
    worst = max(found, key=lambda one: (_RANK.get(one.outcome, 0), one.ratio))
    said = (
        f"{stage.stage}, {kind}: {worst.outcome}; {worst.label} of {worst.case} is off by "
        f"{_number(worst.error, '.3g')} of {worst.bound:.3g} roundings"
    )
    mark = {"fail": "✗ ", "known": "≈ "}.get(worst.outcome, "")
    return (
        f'<td class="{_shade(worst)}" title="{escape(said)}" aria-label="{escape(said)}">'
        f"{mark}{_number(worst.ratio, '.2g')}</td>"
    )


def _stages(report: ConformanceReport) -> str:
    rows = []
    for stage in report.stages:
        worst = stage.worst
        cells = (
            (
                str(len({one.case for one in stage.comparisons})),
                f"{worst.label} ({worst.kind})",
                _number(worst.error, ".3g"),
                f"{worst.bound:.3g}",
                _number(worst.ratio, ".2g"),
                "" if math.isnan(stage.detectable) else _number(stage.detectable, ".1e"),
            )
            if worst
            else ("",) * 6
        )
        rows.append(
            f'<tr><th scope="row">{escape(stage.stage)}</th>'
            f'<td class="{_class(stage.outcome)}">{escape(stage.outcome)}</td>' + _cells(cells)
        )
    titles = ("stage", "outcome", "cases", "worst tensor", "error", "bound", "ratio", "detects")
    return _section(
        "Stages",
        "<p>Errors and bounds are in roundings of each number's scale. A stage detects an error "
        "of this size, relative to a tensor's largest entry. x.grad is the gradient by x.</p>"
        + _table("Stages", titles, rows, "stages"),
    )


def _failures(report: ConformanceReport) -> str:
    rows = []
    for stage in report.stages:
        worst: dict[str, list[Comparison]] = {}
        for one in stage.comparisons:
            if one.outcome == "fail":
                worst.setdefault(one.tensor, []).append(one)
        for found in worst.values():
            top = max(found, key=lambda one: one.ratio)
            rows.append(
                f'<tr><th scope="row">{escape(stage.stage)}</th>'
                + _cells(
                    (
                        f"{top.label}{list(top.place)}",
                        top.case,
                        _number(top.got, ".9g"),
                        _number(top.true, ".9g"),
                        _number(top.error, ".3g"),
                        f"{top.bound:.3g}",
                        str(len(found)),
                    )
                )
            )
    titles = ("stage", "farthest off at", "of", "is", "truly", "error", "bound", "cases")
    return _section("Where it fails", _table("Where it fails", titles, rows)) if rows else ""


def _contracts(report: ConformanceReport) -> str:
    broken = _items(report, lambda one: one.broken)
    remarks = _items(report, lambda one: one.remarks)
    blind = _items(report, lambda one: [f"{one.blind} would have passed too"] if one.blind else [])
    held = "<p>No promise is broken.</p>"
    return _section(
        "Contracts",
        (f'<ul class="broken">{broken}</ul>' if broken else held)
        + (f"<h3>Nothing proved</h3><ul>{blind}</ul>" if blind else "")
        + (f"<h3>Remarks</h3><ul>{remarks}</ul>" if remarks else ""),
    )


def _detectable(report: ConformanceReport) -> str:
    rows = []
    for stage in report.stages:
        best: dict[str, Comparison] = {}
        for one in stage.comparisons:
            if one.tensor not in best or one.detectable < best[one.tensor].detectable:
                best[one.tensor] = one
        rows += [
            f'<tr><th scope="row">{escape(stage.stage)}</th>'
            + _cells((one.label, _number(one.detectable, ".1e"), one.kind))
            for one in best.values()
        ]
    if not rows:
        return ""
    table = _table("Detectable errors", ("stage", "tensor", "detects", "kind"), rows)
    return _section(
        "Detectable errors",
        "<p>A pass means that an error of this size would have been caught; "
        f"nothing is said of smaller ones.</p><details><summary>By tensor</summary>{table}"
        "</details>",
    )


def _not_covered(report: ConformanceReport) -> str:
    names = report.not_covered
    text = (
        f"<p>Nothing is known of {escape(', '.join(names))}: not supported, or not asked for.</p>"
        if names
        else "<p>Every stage is covered.</p>"
    )
    return _section("Not covered", text)


# Pieces of HTML


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{body}\n</section>"


def _table(name: str, titles: Sequence[str], rows: Iterable[str], kind: str = "") -> str:
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    body = "\n".join(rows)
    return (
        f'<div class="wide" role="region" aria-label="{escape(name)}" tabindex="0">'
        f'<table class="{kind}">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n'
        "</table></div>"
    )


def _cells(texts: Iterable[str]) -> str:
    return "".join(f"<td>{escape(text)}</td>" for text in texts) + "</tr>"


def _items(report: ConformanceReport, said: Callable[[StageReport], Sequence[str]]) -> str:
    return "".join(
        f"<li><strong>{escape(one.stage)}</strong>: {escape(text)}</li>"
        for one in report.stages
        for text in said(one)
    )


def _number(value: float, form: str) -> str:
    return {"inf": "∞", "-inf": "-∞", "nan": "NaN"}.get(f"{value}", f"{value:{form}}")


_RANK = {"known": 1, "fail": 2}


def _class(outcome: str) -> str:
    return outcome.replace(" ", "-")


def _shade(one: Comparison) -> str:
    if one.outcome in _RANK:
        return one.outcome
    return f"r{sum(one.ratio > limit for limit in (0, 0.25, 0.5))}"


_STYLE = """
:root { color-scheme: light dark;
  --page: #fff; --text: #1c2430; --faint: #5a6472; --line: #d5dbe3; --panel: #f4f6f9;
  --r0: #f4f6f9; --r1: #dcebfa; --r2: #a9cff2; --r3: #5fa3dd; --r3-text: #06182b;
  --known: #f6dd9b; --fail: #b3261e; --fail-text: #fff; --pass: #17683a; }
@media (prefers-color-scheme: dark) { :root {
  --page: #12161c; --text: #e4e8ee; --faint: #9aa5b3; --line: #313a46; --panel: #1b212a;
  --r0: #1b212a; --r1: #17324d; --r2: #1f507f; --r3: #5fa3dd; --r3-text: #06182b;
  --known: #6b5414; --fail: #f2b8b5; --fail-text: #46100c; --pass: #7fd6a2; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
p { margin: .5rem 0; max-width: 46rem; }
section > p, dd { color: var(--faint); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .5rem 0; }
dd { margin: 0; overflow-wrap: anywhere; }
.verdict { font-weight: 600; border-left: .4rem solid var(--faint); padding: .4rem .8rem;
  background: var(--panel); max-width: none; }
.verdict.pass { border-color: var(--pass); }
.verdict.fail { border-color: var(--fail); }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: .4rem; margin: .5rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .875rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: left; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { background: var(--panel); font-weight: 600; }
tbody th { font-weight: 500; position: sticky; left: 0; background: var(--page); }
.heat td, .heat thead th + th { text-align: center; }
.heat td { border-left: 1px solid var(--line); }
.stages th:nth-child(n + 5), .stages td:nth-child(n + 5), .stages :is(th, td):nth-child(3)
{ text-align: right; }
.mark { color: var(--fail); font-weight: 700; }
.key { display: inline-block; padding: .1rem .6rem; margin: 0 .4rem .3rem 0; font-size: .875rem;
  border: 1px solid var(--line); border-radius: .3rem; color: var(--text); }
.r0 { background: var(--r0); } .r1 { background: var(--r1); } .r2 { background: var(--r2); }
.heat .r3, .key.r3 { background: var(--r3); color: var(--r3-text); }
.heat .known, .key.known { background: var(--known); }
.heat .fail, .key.fail { background: var(--fail); color: var(--fail-text); font-weight: 600; }
.stages .pass { color: var(--pass); } .stages .fail { color: var(--fail); font-weight: 700; }
.stages .inconclusive { font-weight: 700; } .stages .not-covered { color: var(--faint); }
.broken li { color: var(--fail); }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: .4rem;
  padding: .8rem; overflow-x: auto; font-size: .875rem; }
summary { cursor: pointer; }
li { overflow-wrap: anywhere; }
"""
