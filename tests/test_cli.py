"""The command: what it prints, where, and with which exit status."""

import importlib
import io
import json
import math
import os
import re
import runpy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import numixology as nx
from numixology import functional as F
from numixology.cli import main
from numixology.errors import UnsupportedError
from numixology.verify import suite
from numixology.verify.conformance import KINDS, PROFILES, STAGES, adapters
from numixology.verify.suite import Result

# The guide's listings of steps 1 to 3, as they are indented here.
LISTINGS = """\
  Token 0: [a1,a2,a3,a4,a5,a6,a7,a8]
  Token 1: [b1,b2,b3,b4,b5,b6,b7,b8]
  Token 2: [c1,c2,c3,c4,c5,c6,c7,c8]
  Token 3: [d1,d2,d3,d4,d5,d6,d7,d8]

  Token 0: [[a1,a2], [a3,a4], [a5,a6], [a7,a8]]
  Token 1: [[b1,b2], [b3,b4], [b5,b6], [b7,b8]]
  Token 2: [[c1,c2], [c3,c4], [c5,c6], [c7,c8]]
  Token 3: [[d1,d2], [d3,d4], [d5,d6], [d7,d8]]

  Head 0: [[a1,a2], [b1,b2], [c1,c2], [d1,d2]]
  Head 1: [[a3,a4], [b3,b4], [c3,c4], [d3,d4]]
  Head 2: [[a5,a6], [b5,b6], [c5,c6], [d5,d6]]
  Head 3: [[a7,a8], [b7,b8], [c7,c8], [d7,d8]]

  0 to 3, head 0:   [a1,a2] [b1,b2] [c1,c2] [d1,d2]
  4 to 7, head 1:   [a3,a4] [b3,b4] [c3,c4] [d3,d4]
  8 to 11, head 2:  [a5,a6] [b5,b6] [c5,c6] [d5,d6]
  12 to 15, head 3: [a7,a8] [b7,b8] [c7,c8] [d7,d8]"""
IDENTITY = """\
Step 5b: Merge  (2, 4, 4, 2) -> (2, 4, 8), contiguous
  Token 0: [a1,a2,a3,a4,a5,a6,a7,a8]
  Token 1: [b1,b2,b3,b4,b5,b6,b7,b8]
  Token 2: [c1,c2,c3,c4,c5,c6,c7,c8]
  Token 3: [d1,d2,d3,d4,d5,d6,d7,d8]

  every token is what it was: no token sees another"""


@pytest.fixture
def run(capsys):
    """Run the command in this process: exit status, standard output, standard error."""

    def command(line):
        capsys.readouterr()
        status = main(line.split())
        return status, *capsys.readouterr()

    return command


def printed(run, line) -> str:
    status, out, err = run(line)
    assert (status, err) == (0, "")
    assert out.isascii()
    assert out.endswith("\n")
    return out


def refused(run, line) -> str:
    """The one line on standard error of a command that makes no sense."""
    status, out, err = run(line)
    assert (status, out) == (2, "")
    assert err.endswith("\n")
    assert len(err.splitlines()) == 1
    assert err.startswith("numixology")
    return err


@pytest.fixture
def environment(tmp_path):
    """A process with the package that is tested here, in an empty folder."""
    package = str(Path(nx.__file__).parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    names = ("PYTHONUNBUFFERED", "PYTHONIOENCODING", "PYTHONUTF8")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    return {"env": {**kept, "PYTHONPATH": path}, "cwd": tmp_path, "timeout": 600}


def python(*arguments):
    return [sys.executable, "-m", "numixology", *arguments]


# explain -----------------------------------------------------------------------------


@pytest.mark.parametrize("more", ["", " --mixing guide"])
def test_the_mixer_shows_the_guides_listings(run, more) -> None:
    out = printed(run, "explain mixer --tokens 4 --dim 8 --heads 4" + more)
    for listing in LISTINGS.split("\n\n"):
        assert f"\n{listing}\n" in out
    assert out == printed(run, "explain mixer" + more)


def test_the_guides_mixing_is_the_identity(run) -> None:
    assert IDENTITY in printed(run, "explain mixer --mixing guide")
    assert IDENTITY not in printed(run, "explain mixer")


def test_the_mixer_with_more_tokens_than_heads(run) -> None:
    out = printed(run, "explain mixer --tokens 3 --dim 4 --heads 2 --batch 5")
    merge = "  Token 0: [a1,a2,b1,b2]\n  Token 1: [c1,c2,a3,a4]\n  Token 2: [b3,b4,c3,c4]\n"
    assert merge in out
    assert "(5, 3, 4)" in out


def test_feed_forward_networks(run) -> None:
    out = printed(run, "explain ffn")
    assert "4,723,968 parameters" in out
    assert "  linear1     (4, 8, 3072)  expand\n" in out
    out = printed(run, "explain ffn --ffn swiglu")
    assert "7,079,424 parameters" in out
    assert "w3        (4, 8, 3072)  up: beside the gate, not behind it; reads norm\n" in out
    out = printed(run, "explain ffn --dim 4 --ff-dim 6 --batch 1 --tokens 2")
    assert "  linear1     (1, 2, 6)  expand\n" in out


def test_the_model(run) -> None:
    out = printed(run, "explain model")
    assert out.startswith("Model of 2 layers, 9,200 parameters")
    assert "  position_embedding  (4, 8)\n" in out
    assert "Layer 2\n" in out
    out = printed(
        run,
        "explain model --batch 1 --tokens 6 --dim 4 --heads 2 --layers 3 --vocab 5 --ff-dim 3 "
        "--ffn swiglu --mixing guide",
    )
    assert "  input ids           (1, 6)\n" in out
    assert "  multiply   (1, 6, 3)  gate times up; reads silu and w3\n" in out
    assert "unflatten" in out
    assert "Layer 3\n" in out


# draw --------------------------------------------------------------------------------


def test_a_figure_is_drawn_as_text_svg_and_json(run) -> None:
    sizes = "--tokens 3 --dim 10 --heads 2"
    scene = nx.explain.draw("merge", num_tokens=3, hidden_dim=10, num_heads=2)
    assert printed(run, f"draw merge {sizes}") == scene.text() + "\n"
    assert printed(run, f"draw merge {sizes} --format svg") == scene.svg()
    assert printed(run, f"draw merge {sizes} --format json") == scene.json() + "\n"


@pytest.mark.parametrize("form", ["text", "svg", "json"])
def test_a_figure_is_written_to_a_file(run, tmp_path, form) -> None:
    path = tmp_path / "figure"
    assert printed_nothing(run, f"draw ffn --format {form} --output {path}")
    scene = nx.explain.draw("ffn")
    drawn = {"text": scene.text(), "svg": scene.svg(), "json": scene.json()}[form]
    assert path.read_text(encoding="utf-8") == drawn.rstrip("\n") + "\n"


def printed_nothing(run, line):
    return run(line) == (0, "", "")


def test_the_list_of_figures(run) -> None:
    out = printed(run, "draw --list")
    assert out.startswith("Tensor Shape Basics\n  shape ")
    assert max(map(len, out.splitlines())) <= 80
    sections = {}
    for title, *lines in map(str.splitlines, out.split("\n\n")):
        sections |= {line.split()[0]: (title, line.split(maxsplit=1)[1]) for line in lines}
    without = "What the guide has no section for"
    assert sections == {
        name: (figure.guide or without, figure.about) for name, figure in nx.explain.FIGURES.items()
    }
    assert sections[list(sections)[-1]][0] == without


@pytest.mark.parametrize(
    ("option", "keyword"),
    [
        ("--batch 3", {"batch": 3}),
        ("--layers 1", {"num_layers": 1}),
        ("--vocab 7", {"vocab_size": 7}),
        ("--ff-dim 5", {"ff_dim": 5}),
        ("--ffn swiglu", {"ffn": "swiglu"}),
        ("--mixing guide", {"mixing": "guide"}),
    ],
)
def test_every_size_can_be_chosen(run, option, keyword) -> None:
    chosen = printed(run, f"draw model {option}")
    assert chosen == nx.explain.draw("model", **keyword).text() + "\n"
    assert chosen != printed(run, "draw model")


# params --------------------------------------------------------------------------------

TOTALS = {
    "ffn": 8 * 768**2 + 7 * 768,
    "ffn --ffn swiglu": 12 * 768**2 + 2 * 768,
    "mixer": 2 * 768,
    "attention": 4 * 768**2 + 4 * 768,
    "block": 8 * 768**2 + 9 * 768,
    "block --ffn swiglu": 12 * 768**2 + 4 * 768,
    "model": 1000 * 768 + 8 * 768 + 2 * (8 * 768**2 + 9 * 768),
    "model --layers 1 --vocab 10 --tokens 4 --dim 8 --heads 2 --ff-dim 3": (
        80 + 32 + 2 * 16 + 2 * 8 * 3 + 3 + 8
    ),
}


@pytest.mark.parametrize("subject", TOTALS)
def test_parameter_tables(run, subject) -> None:
    lines = printed(run, f"params {subject}").splitlines()
    assert lines[0].split() == ["parameter", "shape", "count", "share"]
    rows = [re.split(r"  +", line) for line in lines[2:-1]]
    counts = [int(row[2].replace(",", "")) for row in rows]
    assert counts == [math.prod(map(int, row[1].split(" x "))) for row in rows]
    assert sum(counts) == TOTALS[subject]
    assert lines[-1].split() == ["total", f"{TOTALS[subject]:,}", "100.000", "%"]


def test_the_shares_of_the_guides_network(run) -> None:
    shares = [line.split()[-2] for line in printed(run, "params ffn").splitlines()[2:-1]]
    assert shares == ["0.016", "0.016", "49.943", "0.065", "49.943", "0.016"]


# What makes no sense ---------------------------------------------------------------------

SENSELESS = {
    "dance": "invalid choice: 'dance'",
    "draw": "draw takes the name of a figure: got none; see numixology draw --list",
    "draw mixr": "a figure has one of the known names: got 'mixr'; try mixer; see ",
    "draw 7": "a figure has one of the known names: got '7'; see numixology draw --list",
    "draw ffn --heads 2": "ffn is drawn by its own sizes: got --heads; choose --batch, --tokens, ",
    "draw orders --ffn moe --dim 4": "got --dim, --ffn; choose nothing: it has no sizes",
    "draw mixer --tokens 0": "--tokens is a positive integer: got 0",
    "draw mixer --mixing none": "mixing is 'rankmixer' or 'guide': got 'none'",
    "draw mixer --format png": "--format: invalid choice: 'png'",
    "draw mixer --output nowhere/at/all": "nowhere",
    "explain attention": "invalid choice: 'attention'",
    "check --xml": "unrecognized arguments: --xml",
    "explain mixer --dim eight": "--dim: invalid int value: 'eight'",
    "explain mixer --dim": "--dim: expected one argument",
    "explain mixer --mixing none": "--mixing: invalid choice: 'none'",
    "explain ffn --heads 2": "--heads",
    "explain ffn --ffn moe": "--ffn: invalid choice: 'moe'",
    "explain mixer --dim 0": "--dim is a positive integer: got 0",
    "explain mixer --heads 3": "--dim must be divisible by --heads: got 8 and 3; try 1, 2, 4 or 8",
    "explain mixer --tokens -1": "--tokens is a positive integer: got -1",
    "explain mixer --batch 0": "batch is a positive integer: got 0",
    "explain model --layers 0": "--layers is a positive integer: got 0",
    "explain model --vocab 0": "--vocab is a positive integer: got 0",
    "explain ffn --ff-dim 0": "got 0",
    "params attention --heads 5": "divisible",
    "params block --dim 10": "divisible",
    "params model --tokens 0": "--tokens is a positive integer: got 0",
    "params ffn --dim -3": "--dim is a positive integer: got -3",
}


@pytest.mark.parametrize("line", SENSELESS)
def test_senseless_arguments_are_one_line_on_standard_error(run, line) -> None:
    assert SENSELESS[line] in refused(run, line)


@pytest.mark.parametrize("line", ["", "explain", "params", "vectors"])
def test_a_command_that_needs_another_prints_its_help(run, line) -> None:
    status, out, err = run(line)
    assert (status, out) == (2, "")
    assert (0, err, "") == run(f"{line} --help")
    assert err.startswith(f"usage: numixology {line}".rstrip() + " [-h]")


COMMANDS = ("", "check", "gradcheck", "conform", "explain", "draw", "params", "vectors")
BELOW = ("explain mixer", "explain ffn", "explain model", "params model", "vectors write")


@pytest.mark.parametrize("line", [*COMMANDS, *BELOW, "vectors compare"])
def test_help_fits_a_terminal(run, monkeypatch, line) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, printed(run, f"{line} --help").splitlines())) <= 80


@pytest.mark.parametrize(
    "line",
    [
        "params ffn --dim 99999999999999999999",
        "params attention --dim 10000000000000 --heads 1",
    ],
)
def test_sizes_beyond_memory_are_one_line_too(run, line) -> None:
    message = refused(run, line)
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
        "draw shape --batch 1000000",
        "draw jacobian --tokens 1000",
        "draw attention-flops --tokens 10000",
    ],
)
def test_figures_are_of_what_can_be_computed_at_once(run, line) -> None:
    message = refused(run, line)
    assert "for a figure " in message
    assert "; choose smaller sizes" in message


def test_divisors_of_a_large_number_are_found_at_once(run) -> None:
    line = "params mixer --dim 100000000003 --heads 2"
    assert "got 100000000003 and 2; try 1 or 100000000003\n" in refused(run, line)


# gradcheck


def test_a_gradient_that_is_right_passes(run) -> None:
    status, out, err = run(
        "gradcheck numixology.functional:matmul --shape 2,3 --shape 3,4 --seed 5"
    )
    assert (status, err) == (0, "")
    assert out.startswith("gradcheck: PASS: the gradient agrees, and wrong ones were rejected\n")
    checked = "what numixology's tape returns, order 1, 18 derivatives by inputs[0], inputs[1]\n"
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
    assert "checked: what vjp returns, order 1, 6 derivatives by inputs[0]" in out


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
    assert report["coordinates"] == 4
    assert len(report["worst"]) == 4


def test_json_has_no_nan(run, monkeypatch, tmp_path) -> None:
    (tmp_path / "broken.py").write_text("fn = lambda x: x / 0", "utf-8")
    monkeypatch.chdir(tmp_path)
    status, out, _ = run("gradcheck broken:fn --shape () --json")
    monkeypatch.delitem(sys.modules, "broken")
    assert status == 1
    assert "NaN" not in out
    assert json.loads(out)["max_error"] == "nan"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("numixology.functional --shape 2", "a target is written module:function"),
        ("nowhere.at_all:f --shape 2", "must be importable: got ModuleNotFoundError"),
        ("numixology.functional:nothing --shape 2", "must be importable: got AttributeError"),
        ("numixology:__version__ --shape 2", "must be a function: got str"),
        ("numixology.functional:matmul --shape 2", "matmul needs arguments that fit together"),
        ("numixology.functional:matmul --shape 2 --shape 3", "matmul"),
        ("os:fspath --shape 2", "must run on inputs of these shapes: got "),
        ("numixology.functional:exp --shape 99999999999,999", "must fit in memory"),
        ("numixology.functional:exp --shape 2 --seed -1", "a seed is not negative: got -1"),
        ("numixology.functional:exp --shape 2,-1", "invalid shape value: '2,-1'"),
        ("numixology.functional:exp --shape two", "invalid shape value: 'two'"),
        ("numixology.functional:exp", "required: --shape"),
        ("builtins:repr --shape 2", "the function must return a tensor"),
    ],
)
def test_bad_targets_are_one_line(run, line, says) -> None:
    assert says in refused(run, f"gradcheck {line}")


def test_what_argparse_says_names_the_way_to_help(run) -> None:
    assert refused(run, "explain mixer --dim x").endswith("; see numixology explain mixer --help\n")


def test_help_and_version(run) -> None:
    status, out, err = run("--help")
    assert (status, err) == (0, "")
    for word in ("check", "conform", "explain", "params"):
        assert word in out
    status, out, err = run("explain mixer --help")
    assert (status, err) == (0, "")
    assert "H, a divisor of D (4)" in out
    assert run("--version") == (0, f"numixology {nx.__version__}\n", "")


# check ----------------------------------------------------------------------------------

NAMES = ("exp", "multiply", "token_mix")


@pytest.fixture
def few(monkeypatch):
    """A check of three functions, and of the laws."""
    cases = tuple(case for case in suite.CASES if case.name in NAMES)
    monkeypatch.setattr(suite, "CASES", cases)
    monkeypatch.setattr(suite, "_module_cases", lambda: iter(()))
    monkeypatch.setattr(suite, "COMPOSITIONS", suite.COMPOSITIONS[:1])
    met = {F.exp, F.multiply} | suite._primitives_of(cases[-1])
    everything = lambda: met  # noqa: E731
    monkeypatch.setattr(suite, "every_primitive", everything)
    monkeypatch.setattr("numixology.cli.every_primitive", everything)


@pytest.fixture
def broken(few, monkeypatch):
    right = F.exp.rules[0]
    monkeypatch.setattr(F.exp, "rules", [lambda ct, y, x: right(ct, y, x) * (1 + 1e-9)])


def table(out):
    """The rows of the table: what, dtype, error, limit, verdict."""
    lines = out.splitlines()
    assert lines[0].split() == ["what", "dtype", "worst", "error", "limit", "verdict"]
    assert set(lines[1]) == {"-", " "}
    end = lines.index("")
    assert max(map(len, lines[end:])) <= 80
    return [re.split(r"  +", line) for line in lines[2:end]], " ".join(lines[end + 1 :])


def test_check_passes(run, few) -> None:
    out = printed(run, "check")
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
    assert all("exp" in row[0] or "sigmoid" in row[0] or "add" in row[0] for row in failed)
    assert last.startswith(f"FAILED: {len(failed)} of {len(rows)} checks (numixology ")
    assert last.endswith("): " + ", ".join(row[0] for row in failed[:3]))


def strict(text):
    """JSON as the standard has it, without NaN."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


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
    monkeypatch.setattr(F.exp, "rules", [lambda ct, y, x: (ct * y).sum()])
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


def test_progress_is_one_line_that_is_wiped(run, few, monkeypatch) -> None:
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


# The process around it --------------------------------------------------------------------


def test_python_m_numixology(environment) -> None:
    shell = {"capture_output": True, "text": True, **environment}
    assert subprocess.run(python("--version"), **shell).stdout == f"numixology {nx.__version__}\n"
    wrong = subprocess.run(python("explain", "mixer", "--heads", "3"), **shell)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert len(wrong.stderr.splitlines()) == 1


def test_the_module_runs_the_command(capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["numixology", "params", "mixer", "--dim", "8"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("numixology", run_name="__main__")
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
def test_what_cannot_be_encoded_becomes_a_question_mark(run, encoding, monkeypatch) -> None:
    class Output(io.StringIO):
        pass

    Output.encoding = encoding
    output = Output()
    monkeypatch.setattr(sys, "stdout", output)
    scene = nx.explain.Scene("2 × π", "", ())
    monkeypatch.setattr("numixology.cli.mixer_scene", lambda *args, **options: scene)
    assert main(["explain", "mixer"]) == 0
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
        monkeypatch.setattr("numixology.cli.results", lambda found=found: iter(found))
        got, out, err = run("check")
        assert (got, err) == (status, "")
        assert table(out)[1].startswith(says)
        assert run("check --json")[0] == status


# conform --------------------------------------------------------------------------------

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
    status, out, err = run(f"conform {backend()} --stage gelu --seeds 1")
    assert (status, err) == (0, "")
    assert out.startswith("mine: float32, sums in float32\n")
    assert "\nPASS: 1 of 12 stages covered, " in out
    assert re.search(r"^gelu +pass +\d+ ", out, re.MULTILINE)


def test_without_a_backend_it_is_numpy(run) -> None:
    status, out, _ = run("conform --stage token_mix --stage silu --seeds 1 --quiet")
    assert status == 0
    assert re.fullmatch(
        r"numixology, NumPy \S+: PASS: 2 of 12 stages covered, \d+ tensors compared\n", out
    )


@pytest.mark.parametrize(
    ("spoil", "status", "verdict"),
    [("pass", 0, "PASS"), ("y = y * np.float32(1.001)", 1, "FAIL"), ("1 / 0", 1, "FAIL")],
)
def test_the_verdict_on_a_backend_is_the_exit_status(run, backend, spoil, status, verdict) -> None:
    found, out, err = run(f"conform {backend(spoil)} --seeds 1")
    assert (found, err) == (status, "")
    assert f"\n{verdict}: 1 of 12 stages covered" in out
    assert "Not covered: embedding, token_mix" in out
    assert re.search(r"^silu +not covered$", out, re.MULTILINE)
    assert ("First failing stage: gelu" in out) == bool(status)


def test_what_proves_nothing_or_supports_nothing_is_no_pass(run, backend, monkeypatch) -> None:
    status, out, err = run(f"conform {backend(stages=())} --seeds 1")
    assert (status, err) == (4, "")
    assert "\nUNSUPPORTED: 0 of 12 stages covered, 0 tensors compared\n" in out
    monkeypatch.setattr("numixology.verify.conformance.bounds.GUARD", 1e300)
    status, out, _ = run(f"conform {backend()} --seeds 1")
    assert status == 3
    assert "\nINCONCLUSIVE: " in out
    assert "  gelu: a zero output, a negated output, " in out
    assert "would have passed too" in out


def test_a_missing_library_is_unsupported(run, monkeypatch) -> None:
    def load(name):
        raise UnsupportedError(f"{name} needs torch", "no torch", "install it")

    monkeypatch.setattr("numixology.cli.adapters.load", load)
    says = "numixology conform: torch needs torch: got no torch; install it\n"
    assert run("conform torch") == (4, "", says)


def test_a_report_as_json(run, backend) -> None:
    status, out, err = run(f"conform {backend('y[...] = np.nan')} --seeds 1 --json")
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


def test_the_lines_of_a_report_can_be_pasted_as_they_are(run, backend, capsys) -> None:
    _, out, _ = run(f"conform {backend('y = 2 * y')} --seeds 1")
    code = out[out.index("from numixology") :]
    assert "\nmy_backend = adapters.load(" in code
    exec(code, {})
    got, true = map(float, capsys.readouterr().out.split(" and truly "))
    assert np.isclose(got, 2 * true)


def test_a_report_as_a_page(run, backend, tmp_path) -> None:
    status, out, _ = run(f"conform {backend()} --seeds 1 --html report.html --quiet")
    assert status == 0
    assert out.startswith("mine: PASS: ")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "<h1>Conformance of mine</h1>" in page
    assert run(f"conform {backend('y = 2 * y')} --seeds 1 --html report.html")[0] == 1
    assert (tmp_path / "report.html").read_text("utf-8") != page


def test_what_can_be_checked_is_listed(run) -> None:
    status, out, err = run("conform --list")
    assert (status, err) == (0, "")
    for name, stage in STAGES.items():
        first = re.search(rf"^{name} +(.*)$", out, re.MULTILINE)[1]
        assert first.endswith(stage.formula)
        for array, axes in stage.inputs.items():
            shape = "a number" if axes == "()" else axes
            assert re.search(rf" {re.escape(array)} +{re.escape(shape)}", out)
    for meanings in (KINDS, PROFILES):
        for name, meaning in meanings.items():
            assert re.search(rf"^{name} +{re.escape(meaning)}$", out, re.MULTILINE)
    assert re.search("^in block, in model +what the layers ", out, re.MULTILINE)
    found = strict(run("conform --list --json")[1])
    assert found["kinds"] == KINDS
    assert found["profiles"] == PROFILES
    assert found["stages"]["linear"] == {
        "inputs": {"x": "(B, T, D)", "weight": "(F, D)", "bias": "(F,)"},
        "output": "(B, T, F)",
        "formula": "x weightᵀ + bias",
    }


def test_the_list_is_printed_where_greek_is_not_known(environment) -> None:
    environment["env"]["PYTHONIOENCODING"] = "ascii"
    done = subprocess.run(
        python("conform", "--list"), capture_output=True, text=True, **environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "x weight? + bias" in done.stdout


def test_a_new_adapter_is_written_once_and_runs(run, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run("conform --new my_backend.py")
    assert (status, err) == (0, "")
    assert out.endswith("then: numixology conform my_backend.py\n")
    text = Path("my_backend.py").read_text("utf-8")
    assert text == adapters.template()
    assert run("conform my_backend.py --seeds 1")[0] == 0
    Path("my_backend.py").write_text("mine", "utf-8")
    assert "my_backend.py must be a file that can be written: got File exists" in refused(
        run, "conform --new my_backend.py"
    )
    assert Path("my_backend.py").read_text("utf-8") == "mine"


class Sweep:
    def __init__(self, passed):
        self.passed = passed

    def __bool__(self):
        return self.passed

    def __str__(self):
        return "99 of 99 killed"

    def as_dict(self):
        return {"killed": 99}


@pytest.mark.parametrize("passed", [True, False])
def test_the_check_is_checked(run, monkeypatch, passed) -> None:
    asked = []

    def try_mutants(dtype, *, seeds, executor=None, progress=None):
        asked.append((dtype, seeds))
        progress("eps")
        return Sweep(passed)

    monkeypatch.setattr("numixology.cli.try_mutants", try_mutants)
    assert run("conform --mutants") == (1 - passed, "99 of 99 killed\n", "")
    status, out, _ = run("conform --mutants --dtype bfloat16 --seeds 2 --json")
    assert status == 1 - passed
    assert strict(out) == {"numixology": nx.__version__, "killed": 99}
    assert asked == [("float32", 3), ("bfloat16", 2)]


def test_progress_is_a_line_on_a_terminal_only(run, backend, monkeypatch) -> None:
    line = f"conform {backend()} --stage gelu --stage silu --seeds 1 --quiet"
    assert run(line)[2] == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    err = run(line)[2]
    assert "\r\x1b[K1 of 2 stages, gelu" in err
    assert "\r\x1b[K2 of 2 stages, silu" in err
    assert err.endswith("\r\x1b[K")
    assert "\n" not in err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nowhere.py", "nowhere.py"),
        ("--stage conv", "a stage is one of those listed: got 'conv'"),
        ("--seeds 0", "--seeds is a positive integer: got 0"),
        ("--seeds two", "--seeds: invalid int value: 'two'"),
        ("--dtype float8 --mutants", "--dtype: invalid choice: 'float8'"),
        ("--dtype float32", "a backend has its own dtype: got --dtype float32"),
        ("--list --mutants", "not allowed with argument"),
        ("--json --quiet", "not allowed with argument"),
        ("numpy64 --list", "--list looks at no backend"),
        ("--new mine.py --stage gelu", "--new looks at no backend"),
        ("--mutants --html page.html", "--mutants looks at no backend"),
        ("--html no/such/folder/page.html", "--html names a file in a folder"),
        ("--html .", "--html names a file in a folder: got ."),
        ("--new no/such/folder/mine.py", "must be a file that can be written: got No such file"),
    ],
)
def test_bad_arguments_of_conform_are_one_line(run, tmp_path, monkeypatch, line, says) -> None:
    monkeypatch.chdir(tmp_path)
    assert says in refused(run, f"conform {line}")
