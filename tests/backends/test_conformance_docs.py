"""What docs/conformance.rst says of the adapters is so."""

import importlib
import re
from pathlib import Path

import pytest

from numixology.cli import main
from numixology.verify.conformance import FORMATS

DOCS = Path(__file__).resolve().parents[2] / "docs"
ADAPTERS = "numixology.verify.conformance.adapters"


@pytest.mark.parametrize("name", ["torch", "jax", "onnxruntime"])
def test_the_table_has_what_each_library_declares(name) -> None:
    text = (DOCS / "conformance.rst").read_text("utf-8")
    (row,) = re.findall(rf"^{name}  +(.*)$", text.partition("===  ")[2], re.MULTILINE)
    said = dict(zip(FORMATS, re.split(r"  +", row), strict=True))
    declared = importlib.import_module(f"{ADAPTERS}.{name}").PROFILE
    for dtype in FORMATS:
        profile = ", ".join(declared[dtype]) or "none" if dtype in declared else "not offered"
        assert said[dtype] == profile


@pytest.mark.parametrize("options", ["", ":dtype=float64"])
def test_the_file_to_start_from_passes(options, capsys, tmp_path) -> None:
    file = tmp_path / "my_block.py"
    assert main(["conform", "torch", "--new", str(file)]) == 0
    assert main(["conform", f"{file}{options}", "--stage", "block", "--seeds", "1"]) == 0
    assert "block" in capsys.readouterr().out
