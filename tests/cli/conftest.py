"""Run the command in this process, or prepare another."""

import os
from pathlib import Path

import pytest

import numixology as nx
from numixology.cli import main


@pytest.fixture
def run(capsys):
    """Run the command: exit status, standard output, standard error."""

    def command(line):
        capsys.readouterr()
        status = main(line.split())
        return status, *capsys.readouterr()

    return command


@pytest.fixture
def printed(run):
    """What a command prints that has nothing to complain about."""

    def command(line) -> str:
        status, out, err = run(line)
        assert (status, err) == (0, "")
        assert out.endswith("\n")
        return out

    return command


@pytest.fixture
def refused(run):
    """What a command that makes no sense says on standard error, in one line."""

    def command(line) -> str:
        status, out, err = run(line)
        assert (status, out) == (2, "")
        assert err.endswith("\n")
        assert err.startswith("numixology")
        assert all(len(line) <= 80 or len(line.split()) == 1 for line in err.splitlines())
        return " ".join(err.split())

    return command


@pytest.fixture
def environment(tmp_path):
    """A process with the package that is tested here, in an empty folder."""
    package = str(Path(nx.__file__).parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    names = ("PYTHONUNBUFFERED", "PYTHONIOENCODING", "PYTHONUTF8")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    return {"env": {**kept, "PYTHONPATH": path}, "cwd": tmp_path, "timeout": 600}
