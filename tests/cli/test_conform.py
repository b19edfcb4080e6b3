"""The conformance kit as a command: verdicts, reports, adapters and what it refuses."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import python, strict

import numixology as nx
from numixology.errors import UnsupportedError
from numixology.verify.conformance import KERNEL_KINDS, KINDS, PROFILES, STAGES, adapters
from numixology.verify.conformance.sizes import LETTERS

BACKEND = """
import numpy as np
from numixology.verify.conformance import Textbook

class Backend(Textbook):
    name = "mine"
    stages = {stages}
    def forward(self, stage, inputs):
        y = super().forward(stage, inputs)
        {spoil}
        return y

adapter = Backend("float32")
"""


@pytest.fixture
def backend(tmp_path, monkeypatch):
    """Write an adapter of a few stages into the current folder, and name it."""
    monkeypatch.chdir(tmp_path)

    def write(spoil="pass", stages=("gelu",), name="mine.py"):
        Path(name).write_text(BACKEND.format(spoil=spoil, stages=stages), "utf-8")
        return name

    return write


def test_a_backend_that_conforms(run, backend) -> None:
    status, out, err = run(f"conform {backend()} --stage gelu --seeds 1 --quick")
    assert (status, err) == (0, "")
    assert out.startswith("PASS: 1 of 19 stages covered, ")
    assert "\nmine: float32, sums in float32\n" in out
    assert re.search(r"^gelu +pass +\d+ ", out, re.MULTILINE)


def test_without_a_backend_it_is_numpy(run) -> None:
    status, out, _ = run("conform --stage token_mix --stage silu --seeds 1 --quick --quiet")
    assert status == 0
    assert re.fullmatch(r"PASS: 2 of 19 stages covered, \d+ tensors compared\n", out)


@pytest.mark.parametrize(
    ("spoil", "status", "verdict"),
    [("pass", 0, "PASS"), ("y = y * np.float32(1.001)", 1, "FAIL"), ("1 / 0", 1, "FAIL")],
)
def test_the_verdict_on_a_backend_is_the_exit_status(run, backend, spoil, status, verdict) -> None:
    found, out, err = run(f"conform {backend(spoil)} --seeds 1 --quick")
    assert (found, err) == (status, "")
    assert out.startswith(f"{verdict}: 1 of 19 stages covered")
    assert "Not covered: embedding, token_mix" in out
    assert ("gelu fails" in out) == bool(status)


def test_a_backend_that_ends_the_process_does_not_pass(run, refused, backend) -> None:
    status, out, err = run(f"conform {backend('raise SystemExit(0)')} --seeds 1 --quick")
    assert (status, err) == (1, "")
    assert out.startswith("FAIL: ")
    assert "its forward raised SystemExit: 0" in out
    Path("ends.py").write_text("raise SystemExit(0)", "utf-8")
    assert "ends.py can be run: got SystemExit: 0" in refused("conform ends.py")


def test_what_proves_nothing_or_supports_nothing_is_no_pass(run, backend, monkeypatch) -> None:
    status, out, err = run(f"conform {backend(stages=())} --seeds 1 --quick")
    assert (status, err) == (4, "")
    assert out.startswith("UNSUPPORTED: 0 of 19 stages covered, 0 tensors compared\n")
    monkeypatch.setattr("numixology.verify.conformance.bounds.GUARD", 1e300)
    status, out, _ = run(f"conform {backend()} --seeds 1 --quick")
    assert status == 3
    assert out.startswith("INCONCLUSIVE: ")
    assert "a zero output would have passed too" in out


def test_a_missing_library_is_unsupported(run, monkeypatch) -> None:
    def load(name):
        raise UnsupportedError(f"{name} needs torch", "no torch", "install it")

    monkeypatch.setattr(adapters, "load", load)
    says = "numixology conform: torch needs torch: got no torch; install it\n"
    assert run("conform torch") == (4, "", says)


def test_a_report_as_json(run, backend) -> None:
    status, out, err = run(f"conform {backend('y[...] = np.nan')} --seeds 1 --quick --json")
    assert (status, err) == (1, "")
    found = strict(out)
    assert list(found) == [
        *("numixology", "backend", "dtype", "accumulation", "profile", "verdict", "exit_code"),
        *("not_covered", "stages"),
    ]
    assert (found["verdict"], found["exit_code"]) == ("fail", 1)
    assert found["numixology"] == nx.__version__
    (gelu,) = (stage for stage in found["stages"] if stage["stage"] == "gelu")
    outputs = [one for one in gelu["comparisons"] if one["tensor"] == "output"]
    assert {one["got"] for one in outputs} == {"nan"}
    assert {one["error"] for one in outputs} == {"inf"}


def test_a_report_as_a_page(run, backend, tmp_path) -> None:
    status, out, _ = run(f"conform {backend()} --seeds 1 --quick --html report.html --quiet")
    assert status == 0
    assert out.startswith("PASS: ")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "<h1>Conformance of mine</h1>" in page
    assert run(f"conform {backend('y = 2 * y')} --seeds 1 --quick --html report.html")[0] == 1
    assert (tmp_path / "report.html").read_text("utf-8") != page


def test_what_can_be_checked_is_listed(run) -> None:
    status, out, err = run("conform --list")
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    said = " ".join(out.split())
    for name, stage in STAGES.items():
        assert f"{name}: {stage.formula}" in said
        for array, axes in stage.inputs.items():
            assert f" {array}" + f" {axes}" * (axes != "()") in said
    for meanings in (KINDS, KERNEL_KINDS, PROFILES, LETTERS):
        for name, meaning in meanings.items():
            assert f"{name}: {meaning}" in said


def test_the_list_is_printed_where_greek_is_not_known(environment) -> None:
    environment["env"]["PYTHONIOENCODING"] = "ascii"
    done = subprocess.run(
        python("conform", "--list"), capture_output=True, text=True, **environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "x weight? + bias" in done.stdout


def test_a_new_adapter_is_written_once_and_runs(run, refused, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run("conform --new my_backend.py")
    assert (status, err) == (0, "")
    assert out.endswith("start from:\n  numixology conform my_backend.py\n")
    text = Path("my_backend.py").read_text("utf-8")
    assert text == adapters.template()
    assert run("conform my_backend.py --seeds 1 --quick")[0] == 0
    Path("my_backend.py").write_text("mine", "utf-8")
    assert "my_backend.py cannot be written: got File exists" in refused(
        "conform --new my_backend.py"
    )
    assert Path("my_backend.py").read_text("utf-8") == "mine"


def test_progress_is_a_line_on_a_terminal_only(run, backend, monkeypatch) -> None:
    line = f"conform {backend()} --stage gelu --stage silu --seeds 1 --quick --quiet"
    assert run(line)[2] == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    err = run(line)[2]
    assert "\r\x1b[K" + 40 * "·" + "   0% gelu" in err
    assert "\r\x1b[K" + 20 * "█" + 20 * "·" + "  50% silu" in err
    assert err.endswith("\r\x1b[K")
    assert "\n" not in err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nowhere.py", "adapter file nowhere.py not found; check the path, or let "),
        ("--stage conv", "unknown stage 'conv'; use embedding, token_mix, "),
        ("--stage lyer_norm", "unknown stage 'lyer_norm'; did you mean 'layer_norm'?"),
        ("--seeds 0", "seeds is a positive integer: got 0"),
        ("--seeds two", "--seeds: invalid int value: 'two'"),
        ("--list --new mine.py", "not allowed with argument"),
        ("--json --quiet", "not allowed with argument"),
        ("numpy64 --list", "--list looks at no backend"),
        (
            "numpy64 --new mine.py",
            "an adapter to start from for it: got numpy64; leave it out, or ",
        ),
        ("--new mine.py --stage gelu", "--new looks at no backend"),
        ("--html no/such/folder/page.html", "--html names a file in a folder"),
        ("--html .", "--html names a file in a folder: got ."),
        ("--new no/such/folder/mine.py", "cannot be written: got No such file"),
    ],
)
def test_bad_arguments_of_conform_are_one_line(refused, tmp_path, monkeypatch, line, says) -> None:
    monkeypatch.chdir(tmp_path)
    assert says in refused(f"conform {line}")
