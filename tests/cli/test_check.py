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
from commands import python, strict

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
    monkeypatch.setattr(suite, "COMPOSITIONS", suite.COMPOSITIONS[:1])
    met = {F.exp, F.multiply} | suite._primitives_of(cases[-1])
    monkeypatch.setattr(suite, "every_primitive", lambda: met)


@pytest.fixture
def broken(few, monkeypatch):
    right = F.exp.rules["x"]
    monkeypatch.setitem(F.exp.rules, "x", lambda ct, y, x: right(ct, y, x) * (1 + 1e-9))


def table(out):
    """The rows of the table: what, dtype, error, limit, verdict."""
    lines = out.splitlines()
    assert lines[0].split() == ["verdict", "dtype", "worst", "error", "limit", "what"]
    assert set(lines[1]) == {"-", " "}
    end = lines.index("")
    assert max(map(len, lines[end:])) <= 80
    rows = [re.split(r"  +", line, maxsplit=4) for line in lines[2:end]]
    return [[row[4], *row[1:4], row[0]] for row in rows], " ".join(lines[end + 1 :])


def test_check_passes(printed, few) -> None:
    out = printed("check")
    rows, last = table(out)
    assert [row[0] for row in rows[:3]] == [
        "multiply: gradient",
        "multiply: second order",
        "multiply: gradient",
    ]
    assert {row[-1] for row in rows} == {"pass"}
    assert {row[1] for row in rows} == {"float64", "float32", "int64"}
    for _, _, error, limit, _ in rows:
        assert float(error) <= float(limit)
    where = rf"\(numixology {re.escape(nx.__version__)} on NumPy {re.escape(np.__version__)}, "
    assert re.match(rf"PASSED: {len(rows)} checks {where}\d+\.\d s\): ", last)
    assert "first and second gradients of all 3 primitives" in last
    assert "the laws of mixing hold" in last
    assert "outputs and gradients equal 50-digit golden values" in last
    doubles = [row for row in rows if row[1] == "float64"]
    worst = max(float(row[2]) for row in doubles if not row[0].endswith(" ulp"))
    assert f"within {worst:.0e} in float64" in last


def test_check_fails_with_a_broken_rule(run, broken) -> None:
    status, out, err = run("check")
    assert (status, err) == (1, "")
    rows, last = table(out)
    failed = [row for row in rows if row[-1] == "fail"]
    assert {row[0] for row in failed} >= {"exp: gradient", "exp: second order"}
    made_with_it = ("exp", "sigmoid", "add", "sinkhorn_mixing")
    assert all(any(name in row[0] for name in made_with_it) for row in failed)
    assert last.startswith(f"FAILED: {len(failed)} of {len(rows)} checks (numixology ")
    assert last.endswith("): " + ", ".join(row[0] for row in failed[:3]))


@pytest.mark.parametrize("state", ["few", "broken"])
def test_json_agrees_with_the_table(run, state, request) -> None:
    request.getfixturevalue(state)
    status, out, err = run("check --json")
    found = strict(out)
    assert (status, err) == (int(state == "broken"), "")
    assert found["passed"] is (state == "few")
    assert (found["numixology"], found["numpy"]) == (nx.__version__, np.__version__)
    rows, last = table(run("check")[1])
    assert len(found["checks"]) == len(rows)
    for check, row in zip(found["checks"], rows, strict=True):
        assert [check["what"], check["dtype"], check["verdict"]] == [row[0], row[1], row[4]]
        assert f"{check['error']:.1e}" == row[2]
        assert check["limit"] == pytest.approx(float(row[3]), rel=0.5)
    timeless = [re.sub(r"[0-9.]+ s\)", "s)", text) for text in (found["summary"], last)]
    assert timeless[0] == timeless[1]


def test_a_rule_that_raises_is_still_a_table_and_json(run, few, monkeypatch) -> None:
    monkeypatch.setitem(F.exp.rules, "x", lambda ct, y, x: (ct * y).sum())
    monkeypatch.setattr(suite, "COMPOSITIONS", ())
    status, out, _ = run("check")
    assert status == 1
    assert "nan" in out
    status, out, _ = run("check --json")
    assert status == 1
    found = [check for check in strict(out)["checks"] if check["what"].startswith("exp: ")]
    assert len(found) == 3
    assert {(check["error"], check["limit"]) for check in found} == {("nan", "nan")}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_one_line_that_is_wiped(few, monkeypatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert main(["check"]) == 0
    lines = terminal.getvalue().split("\r\x1b[K")
    assert lines[0] == ""
    assert lines[-1] == ""
    assert lines[1] == "1 checks, multiply: gradient"
    assert all(0 < len(line) <= 78 and "\n" not in line for line in lines[1:-1])


def everything(terminal) -> str:
    """What is written to a terminal until nobody holds its other end."""
    parts = []
    with suppress(OSError):  # so it ends on Linux; elsewhere with nothing
        while part := os.read(terminal, 1 << 16):
            parts.append(part)
    return b"".join(parts).decode()


def test_the_command_on_a_terminal(environment) -> None:
    """The whole check, as a user runs it: progress on the terminal, the table in a pipe."""
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
    ours, theirs = pty.openpty()
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(everything, ours)  # or the command would wait for a full terminal
        shell = {"stdout": subprocess.PIPE, "stderr": theirs, "text": True, **environment}
        process = subprocess.run(python("check"), **shell)
        os.close(theirs)
        progress = reader.result()
    os.close(ours)
    assert process.returncode == 0
    assert progress.startswith("\r\x1b[K1 checks, ")
    rows, last = table(process.stdout)
    assert len(rows) > 200
    assert last.startswith(f"PASSED: {len(rows)} checks")
    assert f"all {len(suite.every_primitive())} primitives" in last
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
    right = Result("exp", "float64", 1e-16, 1e-14, "pass")
    blind = Result("zero", "float64", 0.0, 1e-14, "inconclusive")
    wrong = Result("sin", "float64", 1.0, 1e-14, "fail")
    for found, status, says in (
        ([right, blind], 3, "INCONCLUSIVE: 1 of 2 checks ("),
        ([right, blind, wrong], 1, "FAILED: 2 of 3 checks ("),
    ):
        monkeypatch.setattr(suite, "results", lambda found=found: iter(found))
        got, out, err = run("check")
        assert (got, err) == (status, "")
        assert table(out)[1].startswith(says)
        assert run("check --json")[0] == status
