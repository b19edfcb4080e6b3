"""The check of this machine: its table, its JSON, its status and its progress."""

import io
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from commands import strict

import numixology as nx
from numixology import functional as F
from numixology.cli import main
from numixology.verify import suite
from numixology.verify.suite import Result

NAMES = ("exp", "multiply", "token_mix")


@pytest.fixture
def few(monkeypatch):
    """A check of three functions, and of the laws."""
    cases = tuple(case for case in suite.CASES if case.name in NAMES)
    monkeypatch.setattr(suite, "CASES", cases)
    monkeypatch.setattr(suite, "_module_cases", lambda: iter(()))
    monkeypatch.setattr(suite, "COMPOSITIONS", {"exp": lambda x: F.expm1(x) + 1})
    met = {F.exp, F.multiply} | suite._primitives_of(cases[-1])
    monkeypatch.setattr(suite, "every_primitive", lambda: met)


@pytest.fixture
def broken(few, monkeypatch):
    right = F.exp.rules["x"]
    monkeypatch.setitem(F.exp.rules, "x", lambda ct, y, x: right(ct, y, x) * (1 + 1e-9))


def table(out):
    """The first line, the failures, and the rows: verdict, group, checks, error, limit, name."""
    assert max(map(len, out.splitlines())) <= 80
    first, rows, legend = out.split("\n\n")
    heads, rule, *rows = rows.splitlines()
    assert heads.split() == ["group", "checks", "error", "limit", "nearest", "its", "limit"]
    assert set(rule) == {"-", " "}
    assert legend.startswith("Functions and modules, which use all ")
    verdict, *failures = first.splitlines()
    return verdict, failures, [re.split("  +", row) for row in rows]


def test_check_passes(printed, few) -> None:
    verdict, failures, rows = table(printed("check"))
    where = rf"\(numixology {re.escape(nx.__version__)}, NumPy {re.escape(np.__version__)}\)"
    count = sum(int(row[2]) for row in rows)
    assert re.fullmatch(rf"PASSED: {count} checks in \d+\.\d s {where}", verdict)
    assert failures == []
    assert [row[1] for row in rows] == [
        "functions: gradient",
        "functions: second order",
        "functions: float32",
        "primitives",
        "compositions",
        "laws of mixing",
        "golden values, ulp",
        "golden values",
    ]
    assert {row[0] for row in rows} == {"pass"}
    for row in rows:
        assert float(row[3]) <= float(row[4])
    assert rows[0][5] in NAMES


def test_the_verdict_is_one_line_if_no_more_is_wanted(printed, few) -> None:
    assert re.fullmatch("PASSED: .*\n", printed("check --quiet"))


def test_every_check_has_a_line_if_that_is_asked_for(printed, few) -> None:
    out = printed("check --all")
    assert max(map(len, out.splitlines())) <= 80
    verdict, *groups = out.split("\n\n")
    title, *rows = groups[0].splitlines()
    assert title == "functions: gradient"
    assert {row.split()[-1] for row in rows} == {*NAMES}
    assert all(re.match(r"  pass +\S+ of +\S+  \S", row) for row in rows)
    assert verdict.startswith("PASSED: ")


def test_many_failures_are_counted(run, few, monkeypatch) -> None:
    monkeypatch.setattr(F, "token_mix", lambda x, num_heads, *, mixing="rankmixer": x)
    monkeypatch.setattr(suite, "_SHOWN", 3)
    failures = table(run("check")[1])[1]
    assert sum(line.startswith("  fail: ") for line in failures) == 3
    assert re.fullmatch("  and [0-9]+ more, which --all prints", failures[-1])


def test_check_fails_with_a_broken_rule(run, broken) -> None:
    status, out, err = run("check")
    assert (status, err) == (1, "")
    verdict, failures, rows = table(out)
    failed = re.match(r"FAILED: (\d+) of (\d+) checks in ", verdict)
    assert int(failed[2]) == sum(int(row[2]) for row in rows)
    said = " ".join(" ".join(failures).split())
    assert said.startswith("fail: exp (functions: gradient), error ")
    assert "fail: exp (functions: second order)" in said
    assert rows[0][0] == "fail" and rows[0][5] == "exp"
    assert len(re.findall("^  fail ", run("check --all")[1], flags=re.MULTILINE)) == int(failed[1])


@pytest.mark.parametrize("state", ["few", "broken"])
def test_json_agrees_with_the_table(run, state, request) -> None:
    request.getfixturevalue(state)
    status, out, err = run("check --json")
    found = strict(out)
    assert (status, err) == (int(state == "broken"), "")
    assert found["passed"] is (state == "few")
    assert (found["numixology"], found["numpy"]) == (nx.__version__, np.__version__)
    verdict, _, rows = table(run("check")[1])
    timeless = [re.sub(r"[0-9.]+ s ", "s ", text) for text in (found["summary"], verdict)]
    assert timeless[0] == timeless[1]
    for row in rows:
        those = [check for check in found["checks"] if check["group"] == row[1]]
        assert len(those) == int(row[2])
        assert {check["verdict"] for check in those} >= {row[0]}


def test_a_rule_that_raises_is_still_a_table_and_json(run, few, monkeypatch) -> None:
    monkeypatch.setitem(F.exp.rules, "x", lambda ct, y, x: (ct * y).sum())
    monkeypatch.setattr(suite, "COMPOSITIONS", {})
    status, out, _ = run("check")
    assert status == 1
    assert "nan" in out
    status, out, _ = run("check --json")
    assert status == 1
    found = [check for check in strict(out)["checks"] if check["what"].startswith("exp (")]
    assert len(found) == 3
    assert {(check["error"], check["limit"]) for check in found} == {("nan", "nan")}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_bar_that_is_wiped(few, monkeypatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert main(["check"]) == 0
    before, *lines, after = terminal.getvalue().split("\r\x1b[K")
    assert before == after == ""
    assert lines[0].endswith("% functions: gradient")
    assert lines[-1] == 40 * "█" + " 100% golden values"
    assert all(0 < len(line) <= 78 and "\n" not in line for line in lines)


def everything(terminal) -> str:
    """What is written to a terminal until nobody holds its other end."""
    parts = []
    with suppress(OSError):  # so it ends on Linux; elsewhere with nothing
        while part := os.read(terminal, 1 << 16):
            parts.append(part)
    return b"".join(parts).decode()


FEW = """
import sys
from numixology.cli import main
from numixology.verify import suite
suite.CASES = suite.CASES[:2]
suite._module_cases = lambda: iter(())
suite.every_primitive = lambda: {one for case in suite.CASES for one in suite._primitives_of(case)}
sys.exit(main(["check"]))
"""


def test_the_command_on_a_terminal(environment) -> None:
    """As a user runs it, with fewer cases: progress on the terminal, the table in a pipe."""
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
    ours, theirs = pty.openpty()
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(everything, ours)  # or the command would wait for a full terminal
        shell = {"stdout": subprocess.PIPE, "stderr": theirs, "text": True, **environment}
        process = subprocess.run([sys.executable, "-c", FEW], **shell)
        os.close(theirs)
        progress = reader.result()
    os.close(ours)
    assert process.returncode == 0
    assert progress.startswith("\r\x1b[K██")
    assert progress.endswith("100% golden values\r\x1b[K")
    assert table(process.stdout)[0].startswith("PASSED: ")
    assert "\x1b" not in process.stdout


def test_a_failed_check_fails_without_a_reader_too(broken, monkeypatch, tmp_path) -> None:
    """What the check found is its status, whoever reads it."""

    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

        def fileno(self):
            return file.fileno()

    with open(tmp_path / "out", "w") as file:
        monkeypatch.setattr(sys, "stdout", Gone())
        assert main(["check"]) == 1
        file.write("lost")
    assert (tmp_path / "out").read_text() == ""


def test_a_check_that_proves_nothing_is_inconclusive(run, monkeypatch) -> None:
    right = Result("functions", "exp", "float64", 1e-16, 1e-14, "pass")
    blind = Result("functions", "zero", "float64", 0.0, 1e-14, "inconclusive")
    wrong = Result("functions", "sin", "float64", 1.0, 1e-14, "fail")
    for found, status, says in (
        ([right, blind], 3, "INCONCLUSIVE: 1 of 2 checks in "),
        ([right, blind, wrong], 1, "FAILED: 2 of 3 checks in "),
    ):
        monkeypatch.setattr(suite, "results", lambda found=found: iter(found))
        got, out, err = run("check")
        assert (got, err) == (status, "")
        assert table(out)[0].startswith(says)
        assert run("check --json")[0] == status
