"""The command as a whole: its help, its errors, and the process around it."""

import importlib
import io
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from commands import python

import numixology as nx
from numixology.cli import COMMANDS, main

SENSELESS = {
    "dance": "unknown command 'dance'; use check, gradcheck, conform, explain, ",
    "chekc": "unknown command 'chekc'; did you mean 'check'?",
    "draw mixr": "unknown figure 'mixr'; did you mean 'mixer'?",
    "draw 7": "unknown figure '7'; numixology draw --list names them",
    "draw mixer --tokns 3": "unknown argument '--tokns'; did you mean '--tokens'?",
    "draw ffn --heads 2": "figure 'ffn' takes --dim, --ff-dim, --batch, --tokens, --ffn, ",
    "draw tape --mixing guide --dim 4": "takes no size options: got --dim, --mixing; leave ",
    "draw mixer --tokens 0": "--tokens is a positive integer: got 0",
    "draw mixer --mixing none": "unknown mixing 'none'; use rankmixer, guide",
    "draw mixer --format pgn": "unknown format 'pgn'; did you mean 'png'?",
    "draw mixer --output nowhere/at/all": "nowhere",
    "explain attenton": "unknown name 'attenton'; did you mean 'attention'?",
    "check --xml": "unknown argument '--xml'; see numixology check --help",
    "check this": "unknown argument 'this'; see numixology check --help",
    "explain mixer --dim eight": "--dim: invalid int value: 'eight'",
    "explain mixer --dim": "--dim: expected one argument",
    "explain mixer --mixing gide": "unknown mixing 'gide'; did you mean 'guide'?",
    "explain ffn --heads 2": "figure 'ffn' takes --dim, --ff-dim, --batch, --tokens, --ffn, ",
    "explain ffn --ffn moe": "unknown ffn 'moe'; use standard, swiglu, ",
    "explain mixer --dim 0": "--dim is a positive integer: got 0",
    "explain mixer --heads 3": "--dim must be divisible by --heads: got 8 and 3; try 1, 2, 4 or 8",
    "explain mixer --tokens -1": "--tokens is a positive integer: got -1",
    "explain mixer --batch 0": "--batch is a positive integer: got 0",
    "explain model --layers 0": "--layers is a positive integer: got 0",
    "explain model --vocab 0": "--vocab is a positive integer: got 0",
    "explain ffn --ff-dim 0": "got 0",
    "params attention --heads 5": "divisible",
    "params block --dim 10": "divisible",
    "params model --tokens 0": "--tokens is a positive integer: got 0",
    "params ffn --dim -3": "--dim is a positive integer: got -3",
}


@pytest.mark.parametrize("line", SENSELESS)
def test_senseless_arguments_are_one_line_on_standard_error(refused, line) -> None:
    assert SENSELESS[line] in refused(line)


@pytest.mark.parametrize("line", ["", "params", "train", "vectors"])
def test_a_command_that_needs_another_prints_its_help(run, line) -> None:
    status, out, err = run(line)
    assert (status, out) == (2, "")
    assert (0, err, "") == run(f"{line} --help")
    assert err.startswith(f"usage: numixology {line}".rstrip() + " [-h]")


@pytest.mark.parametrize(
    "line",
    [
        "params ffn --dim 99999999999999999999",
        "params attention --dim 10000000000000 --heads 1",
    ],
)
def test_sizes_beyond_memory_are_one_line_too(refused, line) -> None:
    message = refused(line)
    assert "the sizes must fit in memory: got " in message
    assert "; choose smaller" in message


@pytest.mark.parametrize(
    "line",
    [
        "explain mixer --tokens 99999999999999999999",
        "explain mixer --dim 99999999999999999999 --heads 1",
        "explain ffn --dim 10000000000000",
        "draw mixer --tokens 1000000",
        "draw model --layers 100000",
        "draw batch --batch 1000000",
        "draw jacobian --tokens 1000",
        "draw attention-flops --dim 10000",
    ],
)
def test_figures_are_of_what_can_be_computed_at_once(refused, line) -> None:
    message = refused(line)
    assert "for a figure " in message
    assert "; choose smaller sizes" in message


def test_divisors_of_a_large_number_are_found_at_once(refused) -> None:
    line = "params mixer --dim 100000000003 --heads 2"
    assert "got 100000000003 and 2; try 1 or 100000000003" in refused(line)


def test_what_argparse_says_names_the_way_to_help(refused) -> None:
    assert refused("explain mixer --dim x").endswith("; see numixology explain --help")


def test_help_and_version(run) -> None:
    status, out, err = run("--help")
    assert (status, err) == (0, "")
    for word in ("check", "conform", "explain", "params"):
        assert word in out
    status, out, err = run("params mixer --help")
    assert (status, err) == (0, "")
    assert "H, a divisor of D (8)" in out
    assert run("--version") == (0, f"numixology {nx.__version__}\n", "")


def test_a_command_loads_no_other(environment) -> None:
    code = "import sys; from numixology.cli import main; main(['params', 'mixer']); " + (
        "print(*[name for name in sys.modules if name.startswith('numixology.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, **environment
    )
    loaded = done.stdout.splitlines()[-1].split()
    assert "numixology.cli.params" in loaded
    assert not {"numixology.cli.check", "numixology.verify", "numixology.explain"} & {*loaded}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_a_command_does_and_its_statuses(printed, name) -> None:
    text = " ".join(printed(f"{name} --help").split())
    about = importlib.import_module(f"numixology.cli.{name}").__doc__
    assert " ".join(about.split()) in text
    assert "Exit status: 0 pass, 1 fail, 2 usage, 3 inconclusive, 4 unsupported; " in text


# The process around it --------------------------------------------------------------------


def test_python_m_numixology(environment) -> None:
    shell = {"capture_output": True, "text": True, **environment}
    assert subprocess.run(python("--version"), **shell).stdout == f"numixology {nx.__version__}\n"
    wrong = subprocess.run(python("explain", "mixer", "--heads", "3"), **shell)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("numixology explain: --dim must be divisible by --heads")


def test_the_module_runs_the_command(capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["numixology", "params", "mixer", "--dim", "8"])
    # By its path: where pytest takes the installed package for a plugin, runpy cannot load modules.
    path = Path(nx.__file__).with_name("__main__.py")
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(path), run_name="__main__")
    assert stop.value.code == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[:2] == ["total", "16"]
    importlib.import_module("numixology.__main__")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("line", ["explain mixer", "explain ffn --ffn swiglu", "params model"])
def test_output_where_only_ascii_can_be_printed(environment, line) -> None:
    environment["env"]["PYTHONIOENCODING"] = "ascii:strict"
    done = subprocess.run(python(*line.split()), capture_output=True, **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    assert done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", None])
def test_what_cannot_be_encoded_becomes_a_question_mark(encoding, monkeypatch) -> None:
    class Output(io.StringIO):
        pass

    Output.encoding = encoding
    output = Output()
    monkeypatch.setattr(sys, "stdout", output)
    scene = nx.explain.Scene("2 × π", "", ())
    monkeypatch.setattr("numixology.cli.draw.draw", lambda *args, **options: scene)
    assert main(["draw", "mixer"]) == 0
    expected = {"ascii": "2 ? ?", "latin-1": "2 × ?"}.get(encoding, "2 × π")
    assert output.getvalue() == expected + "\n"


@pytest.mark.parametrize(
    "line", ["explain mixer", "explain mixer --tokens 60 --dim 64 --heads 32", "params ffn"]
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_seen_enough_is_no_error(environment, line, unbuffered) -> None:
    environment["env"]["PYTHONUNBUFFERED"] = unbuffered
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(python(*line.split()), stdout=theirs, stderr=-1, **environment)
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, b"")
