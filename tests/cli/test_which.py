"""A block that is named is asked which RankMixer it is."""

import sys

import pytest

MINE = """
import numpy as np
import numixology as nx
block = nx.nn.RankMixerBlock(3, 12, 3, norm="post", ffn="per_token", rng=0).eval()
single = nx.nn.RankMixerBlock(3, 12, 3, norm="pre", rng=0, dtype="float32").eval()
other = np.tanh
broken = lambda x: x[None] @ x
narrow = lambda x: block(x).data.astype("float32")
noisy = lambda x: block(x).data * (1 + 1e-6 * np.random.default_rng().random())
"""


@pytest.fixture(autouse=True)
def mine(tmp_path, monkeypatch):
    (tmp_path / "my_blocks.py").write_text(MINE, "utf-8")
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("my_blocks", None)


def test_its_form_is_printed(printed) -> None:
    lines = printed("which my_blocks:block --tokens 3 --dim 12").splitlines()
    assert lines[0] == "form: post, per token network"
    assert lines[1].strip() == "both norms follow their residuals: the paper's"
    assert "mixing:       rankmixer, H = 3 (d = 4)" in lines
    out = printed("which ./my_blocks.py:single --tokens 3 --dim 12 --dtype float32 --seed 5")
    assert out.startswith("form: pre, shared network\n")


def test_what_is_none_of_them_is_inconclusive(run) -> None:
    status, out, err = run("which my_blocks:other --tokens 3 --dim 12")
    assert (status, err) == (3, "")
    assert out.startswith("form: no form known here")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "my_blocks:missing --tokens 3 --dim 12",
            "unknown function 'missing'; my_blocks has none of that name",
        ),
        ("my_blocks:block --tokens 3 --dim 10", "with T = 3, D = 12"),
        ("my_blocks:broken --tokens 3 --dim 12", "must take arrays (B, T, D)"),
        ("my_blocks:broken --tokens 3 --dim 12", "check --tokens and --dim"),
        ("my_blocks:narrow --tokens 3 --dim 12", "got float32; ask with dtype float32"),
        ("my_blocks:noisy --tokens 3 --dim 12", "the same input, off by"),
        ("my_blocks:block --tokens 1 --dim 12", "two tokens and four features"),
        ("my_blocks:block --dim 12", "--tokens"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_line(refused, line, says) -> None:
    assert says in refused(f"which {line}")
