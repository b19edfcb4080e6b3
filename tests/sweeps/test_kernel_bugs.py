"""The right kernels pass, each bug of size shows where it begins and not before, and some runs."""

from typing import Any

import numpy as np
import pytest
from sweeps import kernel_bugs
from sweeps.kernel_bug import BUGS, Bug
from sweeps.kernels import Kernels

from numixology.verify.conformance import STAGES, conform

SIZES = {"B": 2, "T": 3, "D": 12, "H": 2, "F": 5, "V": 7, "L": 2}
MIXER = {"x": "(B, T, D)", "norm.weight": "(D,)", "norm.bias": "(D,)", "eps": "()", "num_heads": ""}
#: The sizes of a stage where a bug's axis has length n, if the axis is not a letter.
AXES = {
    "rows": lambda n: {"B": n, "T": 1},
    "numbers": lambda n: {"B": 1, "T": 1, "D": n, "H": 1},
    "repeats": lambda n: {"B": n, "T": 1, "V": 1},
    "V": lambda n: {"B": n, "T": 1, "V": n},
    "H": lambda n: {"H": n, "D": 20 * n},
    "D/H": lambda n: {"H": 2, "D": 2 * n},
}
#: Bugs that need another size besides, or a larger one than where they may begin.
BESIDES = {
    "transposed-as-if-square": {"H": 18, "D": 36},
    "one-token-squeezed": {"B": 4},
    "depth-taken-for-even": {"F": 40},
    "maximum-of-first-tile": {"scale": 1000},
}
SIZED = [one for one in BUGS.values() if one.family == "size"]


def inputs(stage: str, seed: int = 0, scale: float = 1, **sizes: int) -> dict[str, Any]:
    """Arrays and settings of a stage; ids count up, so that each occurs."""
    rng, at = np.random.default_rng(seed), SIZES | sizes
    found: dict[str, Any] = {"eps": 1e-5, "num_heads": at["H"]}
    for name, letters in (STAGES[stage].inputs if stage in STAGES else MIXER).items():
        shape = tuple(at[one] for one in letters.strip("()").replace(" ", "").split(",") if one)
        if name == "ids":
            found[name] = (np.arange(np.prod(shape)) % at["V"]).reshape(shape)
        elif name not in found:
            for i in range(at["L"] if ".i." in name else 1):
                values = scale * rng.standard_normal(shape)
                found[name.replace(".i.", f".{i}.")] = values.astype(np.float32)
    needed = {name.split(".i.")[0] for name in STAGES[stage].inputs} if stage in STAGES else found
    return {name: value for name, value in found.items() if name.split(".")[0] in str(needed)}


def answers(make: type[Kernels], stage: str, p: dict[str, Any]) -> dict[str, np.ndarray]:
    backend = make("float32")
    y = np.array(backend.forward(stage, p))
    ct = np.random.default_rng(5).standard_normal(y.shape).astype(np.float32)
    return {"output": y} | backend.vjp(stage, p, ct)


def shows(bug: Bug, n: int) -> bool:
    """Whether it makes a difference where its axis has length n."""
    sizes = AXES.get(bug.axis, lambda n: {bug.axis: n})(n) | BESIDES.get(bug.name, {})
    p = inputs(bug.stages[0], **sizes)
    got, right = (answers(make, bug.stages[0], p) for make in (bug.make, Kernels))
    return any(
        not np.allclose(got[name], right[name], 1e-3, 1e-3 * np.abs(right[name]).max(initial=0))
        for name in right
    )


@pytest.mark.parametrize("bug", SIZED, ids=lambda bug: bug.name)
def test_a_bug_of_size_shows_where_it_begins_and_not_before(bug: Bug) -> None:
    assert shows(bug, bug.begins) or shows(bug, 2 * bug.begins - 1)  # seldom where it just begins
    for n in {bug.begins - 1, bug.begins // 2} - {0, -1}:
        assert not shows(bug, n)


def test_enough_bugs_of_each_family() -> None:
    assert len(BUGS) >= 64
    assert {one.family for one in BUGS.values()} == set(kernel_bugs.FAMILIES)


@pytest.mark.parametrize("make", kernel_bugs.HONEST)
@pytest.mark.parametrize("dtype", kernel_bugs.FORMATS)
def test_the_right_kernels_pass(make: type[Kernels], dtype: str) -> None:
    assert conform(make(dtype), seeds=1, quick=True).verdict == "pass"


@pytest.mark.parametrize(
    "name", ["variance-of-padded-row", "row-stride-assumed", "dweight-not-cleared", "tf32-products"]
)
def test_some_bugs_are_caught(name: str) -> None:
    bug = BUGS[name]
    assert kernel_bugs.judged(name, bug.family, bug.make("float32")).caught


def test_the_summary_counts_by_family(capsys: pytest.CaptureFixture[str]) -> None:
    result = kernel_bugs.Result("variance-of-padded-row", "size", "float32", "fail", "said", 1.0)
    found = [result, result._replace(verdict="pass"), result._replace(dtype="bfloat16")]
    rows = [row.split() for row in kernel_bugs.summary(found).splitlines()]
    assert ["size", "1/2", "1/1"] in rows and ["all", "1/2", "1/1"] in rows
    assert kernel_bugs.line(result).startswith("caught  float32  variance-of-padded-row")
