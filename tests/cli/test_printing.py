"""Lines that fit the terminal, and verdicts in color where there is one."""

import io
import sys

import pytest

from numixology.cli.printing import say

REPORT = """\
PASSED: 3 checks
pass          silu  1e-16
fail          gelu  FAILURE
inconclusive  relu  1"""
GREEN, RED, YELLOW, PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[0m"
COLORED = f"""\
{GREEN}PASSED{PLAIN}: 3 checks
{GREEN}pass{PLAIN}          silu  1e-16
{RED}fail{PLAIN}          gelu  FAILURE
{YELLOW}inconclusive{PLAIN}  relu  1"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(monkeypatch, output, text, **environment: str) -> str:
    monkeypatch.setattr(sys, "stdout", output)
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    say(text)
    return output.getvalue().removesuffix("\n")


@pytest.mark.parametrize(
    ("terminal", "environment", "colored"),
    [
        (True, {}, True),
        (True, {"TERM": "xterm"}, True),
        (True, {"TERM": "dumb"}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),  # as no-color.org has it
        (True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (False, {}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_verdicts_have_colors_where_they_are_wanted(
    monkeypatch, terminal, environment, colored
) -> None:
    output = Terminal() if terminal else io.StringIO()
    text = printed(monkeypatch, output, REPORT, **environment)
    assert text == (COLORED if colored else REPORT)


def test_lines_fit_a_narrow_terminal(monkeypatch) -> None:
    text = "a sentence of several words\n  and an indented one of more"
    assert printed(monkeypatch, Terminal(), text, COLUMNS="20").splitlines() == [
        "a sentence of",
        "  several words",
        "  and an indented",
        "    one of more",
    ]
    assert printed(monkeypatch, io.StringIO(), text, COLUMNS="20") == text
