"""Vectors as a command: what is written, what is compared, and what it refuses."""

import json

import numpy as np
import pytest

from numixology.verify.conformance import KINDS, Textbook, read_vectors, result_key


def test_the_command_writes_and_compares(run, printed, tmp_path) -> None:
    folder, mine = tmp_path / "vectors", tmp_path / "mine"
    out = printed(f"vectors write {folder} --dtype float32 --stage silu --stage gelu --seeds 1")
    cases = 2 * len(KINDS)
    assert out.startswith(f"{cases} cases with {2 * cases} tensors to compare, ")
    assert out.endswith(f" bytes in 3 files in {folder}\n")
    mine.mkdir()
    compare = f"vectors compare {folder} {mine}"
    status, out, err = run(compare)
    assert (status, err) == (4, "")
    assert "UNSUPPORTED: 0 of 19 stages covered" in out

    cases = [one.case for one in read_vectors(folder) if one.case.stage == "silu"]
    right = {
        result_key(case): Textbook("float32").forward("silu", dict(case.inputs)) for case in cases
    }
    np.savez(mine / "silu.npz", **right)
    report = json.loads(printed(f"{compare} --json"))
    assert (report["verdict"], report["backend"], report["profile"]) == ("pass", "mine", [])
    np.savez(mine / "silu.npz", **{key: 2 * y for key, y in right.items()})
    status, out, err = run(f"{compare} --profile offsets")
    assert (status, err) == (1, "")
    assert "silu fails" in out


def test_sizes_of_your_own(printed, tmp_path) -> None:
    line = f"vectors write {tmp_path} --stage silu --seeds 0 --shape B=3,D=5 --shape T=2,D=7"
    assert printed(line).startswith("2 cases with 4 tensors to compare, ")
    assert [one.case.name for one in read_vectors(tmp_path)] == [
        "silu/shape/B=3,D=5",
        "silu/shape/T=2,D=7",
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("write", "required: DIR"),
        ("write {} --format pickle", "unknown format 'pickle'; use npz, safetensors, raw"),
        (
            "write {}/new --stage silu --stage gelo",
            "unknown stage 'gelo'; did you mean 'gelu'?",
        ),
        ("write {}/new --seeds 0", "at least one case"),
        ("write {}/new --shape D", "write such as B=512"),
        ("compare {}", "required: RESULTS"),
        ("compare {} {}", "a folder of vectors has a manifest.json: got"),
    ],
)
def test_senseless_commands_are_one_line(refused, tmp_path, line, says) -> None:
    assert says in refused("vectors " + line.replace("{}", str(tmp_path)))
