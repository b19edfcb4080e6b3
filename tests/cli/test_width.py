"""What every command prints fits a terminal of 80 columns, and breaks no word in two."""

import math
import re
import textwrap

import pytest

from numixology.cli import COMMANDS, main
from numixology.explain.catalogue import FIGURES
from numixology.verify import suite
from numixology.verify.suite import Result

BLOCK = """
import numixology as nx
block = nx.nn.RankMixerBlock(3, 12, 3, norm="post", ffn="per_token", rng=0).eval()
"""
BACKEND = """
from numixology.verify.conformance import Textbook

class Backend(Textbook):
    name, stages = "mine", ["layer_norm", "per_token_feed_forward"]
    def forward(self, stage, inputs):
        y = super().forward(stage, inputs)
        return y * (1 + 1e-3 * (stage == "layer_norm" and y.shape[-1] > 13))

adapter = Backend("float32")
"""
LINES = [
    "",
    "--help",
    *(f"{name} --help" for name in COMMANDS),
    *(f"params {name}" for name in ("", "--help", "ffn", "mixer", "attention", "block", "model")),
    *(f"params {name} --help" for name in ("ffn", "mixer", "attention", "block", "model")),
    *(f"train {name}" for name in ("", "copy --help", "cross --help", "table --help")),
    *(f"vectors {name}" for name in ("", "write --help", "compare --help")),
    *(f"train {name} --steps 2" for name in ("copy --mixing identity", "table")),
    "explain",
    "draw --list",
    "conform --list",
    "conform mine.py --seeds 1 --quick --shape B=2,T=3,D=15,F=7",
    "conform --new my_own_adapter_in_a_file.py",
    "gradcheck numixology.functional:matmul --shape 2,3 --shape 3,4",
    "gradcheck numixology.functional:absolute --shape 2,3 --vjp builtins:max",
    "which my_blocks:block --tokens 3 --dim 12",
    "vectors write vectors --stage silu --seeds 1",
    "vectors compare vectors nowhere",
    "check",
    "check --all",
    # with mistakes in them
    *("chekc", "draw mxier", "explain mxier", "params mxier", "train cpoy", "vectors raed"),
    *("conform --stage lyer_norm", "conform no_such_file_in_this_folder.py", "conform trch"),
    *("draw tape --tokens 3", "draw mixer --tokns 3", "explain mixer --heads 3", "check --xml"),
    *("train copy --mixing rankmixr", "train table --csv no.csv --target y", "gradcheck f"),
    *("vectors compare vectors here --profile tials", "conform --stage convolution --quick"),
    *("which my_blocks:blok --tokens 3 --dim 12", "which my_blocks:block --tokens 3 --dim 10"),
]
LINES += [f"explain {name}" for name in FIGURES]  # and so what draw prints
RESULTS = [
    Result(
        "functions: gradient", "binary_cross_entropy_with_logits", "float64", 1e-16, 1e-14, "pass"
    ),
    Result("modules: second order", "RankMixerBlock, post", "float64", 1e-9, 1e-14, "fail"),
    Result("modules: float32", "PerTokenSwiGLU", "float32", 0.0, 1e-14, "inconclusive"),
    Result(
        "golden values",
        "token_mixer_large_block: gradient of reverted.norm.weight",
        "float64",
        math.nan,
        math.nan,
        "fail",
    ),
    Result("laws of mixing", 3 * "a law with many words, ", "int64", 0.0, 0.0, "pass"),
]


@pytest.fixture(autouse=True)
def terminal(monkeypatch, tmp_path):
    """A folder with a block and a backend, and a check that is over."""
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "my_blocks.py").write_text(BLOCK, "utf-8")
    (tmp_path / "mine.py").write_text(BACKEND, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(suite, "results", lambda: iter(RESULTS))


def printed(line: str, capsys) -> str:
    main(line.split())
    return "\n".join(capsys.readouterr())


def words(text: str) -> list[str]:
    """All but seconds, which differ from run to run."""
    return re.sub(r"\b\d+\.\d+ s\b|(?<=\d  ) *\d+\.\d\n", "", text).split()


@pytest.mark.parametrize("line", LINES)
def test_what_is_printed_fits_80_columns(line, capsys, monkeypatch, tmp_path) -> None:
    text = printed(line, capsys)
    assert text.strip()
    assert [line for line in text.splitlines() if len(line) > 80] == []

    for new in ("vectors", "my_own_adapter_in_a_file.py"):
        if (tmp_path / new).exists():
            (tmp_path / new).rename(tmp_path / "old")

    def in_one_line(wrapper, text):
        return [wrapper.initial_indent + " ".join(text.split())] if text.strip() else []

    monkeypatch.setattr(textwrap.TextWrapper, "wrap", in_one_line)
    assert words(printed(line, capsys)) == words(text)
