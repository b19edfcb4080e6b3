"""The gradient check of a function that is named: what it prints, and its status."""

import json
import sys

import pytest


def test_a_gradient_that_is_right_passes(run) -> None:
    status, out, err = run(
        "gradcheck numixology.functional:matmul --shape 2,3 --shape 3,4 --seed 5"
    )
    assert (status, err) == (0, "")
    assert out.startswith("gradcheck: PASS: the gradient agrees, and wrong ones were rejected\n")
    checked = "what numixology's tape returns, order 1, 18 derivatives by a, b\n"
    assert checked in out.replace("\n    ", " ")


@pytest.mark.parametrize(("name", "status"), [("right", 0), ("wrong", 1)])
def test_a_gradient_of_plain_arrays_is_checked_by_its_name(
    run, tmp_path, monkeypatch, name, status
) -> None:
    (tmp_path / "pair.py").write_text(
        "import numpy as np\n"
        "fn = np.tanh\n"
        "right = lambda ct, x: ct * (1 - np.tanh(x) ** 2)\n"
        "wrong = lambda ct, x: ct * (1 - np.tanh(x))\n",
        "utf-8",
    )
    monkeypatch.chdir(tmp_path)
    found, out, err = run(f"gradcheck pair:fn --vjp pair:{name} --shape 2,3")
    monkeypatch.delitem(sys.modules, "pair")
    assert (found, err) == (status, "")
    assert "checked: what vjp returns, order 1, 6 derivatives by x" in out


@pytest.mark.parametrize(
    ("name", "status", "verdict"),
    [("right", 0, "pass"), ("wrong", 1, "fail"), ("nothing", 3, "inconclusive")],
)
def test_the_verdict_is_the_exit_status(run, tmp_path, monkeypatch, name, status, verdict) -> None:
    (tmp_path / "mine.py").write_text(
        "import numixology as nx\n"
        "right = nx.functional.exp\n"
        "nothing = lambda x: 0 * x\n"
        "@nx.primitive\n"
        "def wrong(x):\n"
        "    return x * x\n"
        "@wrong.vjp('x')\n"
        "def rule(ct, y, x):\n"
        "    return ct * x\n",
        "utf-8",
    )
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    found, out, err = run(f"gradcheck mine:{name} --shape 3 --order 1 --fast --json")
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    assert (found, err, sys.path) == (status, "", path)
    report = json.loads(out)
    assert (report["verdict"], report["passed"]) == (verdict, verdict == "pass")
    assert report["coordinates"] == (3 if verdict == "fail" else 4)
    assert len(report["worst"]) == 4


def test_json_has_no_nan(run, monkeypatch, tmp_path) -> None:
    (tmp_path / "broken.py").write_text("fn = lambda x: x / 0", "utf-8")
    monkeypatch.chdir(tmp_path)
    status, out, _ = run("gradcheck broken:fn --shape () --json")
    monkeypatch.delitem(sys.modules, "broken")
    assert status == 3
    assert "NaN" not in out
    assert json.loads(out)["max_error"] == "nan"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "numixology.functional --shape 2",
            "functional must be a function: got module; write file.py:name",
        ),
        ("numixology.functional:gleu --shape 2", "function 'gleu'; did you mean 'gelu'?"),
        ("nowhere.at_all:f --shape 2", "must be importable: got ModuleNotFoundError"),
        (
            "numixology.functional:nothing --shape 2",
            "unknown function 'nothing'; numixology.functional has none",
        ),
        ("numixology:__version__ --shape 2", "must be a function: got str; write file.py:name"),
        ("numixology.functional:matmul --shape 2", "give the inputs that fn takes"),
        ("numixology.functional:matmul --shape 2 --shape 3", "matmul"),
        ("os:fspath --shape 2", "there is no --vjp: got TypeError"),
        ("os:fspath --shape 2 --vjp numpy:multiply", "must run on inputs of these shapes: got "),
        ("numixology.functional:exp --shape 99999999999,999", "must fit in memory"),
        ("numixology.functional:exp --shape 2 --seed -1", "--seed: invalid natural value: '-1'"),
        ("numixology.functional:exp --shape 2,-1", "such as 2,4: got '2,-1'"),
        ("numixology.functional:exp --shape two", "such as 2,4: got 'two'"),
        ("numixology.functional:exp", "required: --shape"),
        ("sys:exit --shape 2", "there is no --vjp: got SystemExit: "),
        ("builtins:repr --shape 2", "the function must return tensors"),
    ],
)
def test_bad_targets_are_one_line(refused, line, says) -> None:
    assert says in refused(f"gradcheck {line}")
