"""The script that measures a step calculates the same step in both, and writes a table."""

import numpy as np
import pytest
from benchmarks import step

from numixology.explain import complexity

TINY = step.Sizes(2, 8, 2)


@pytest.mark.parametrize("sizes", [TINY, (4, 8, 3)])
def test_the_model_has_and_runs_what_the_formulas_say(sizes) -> None:
    sizes = step.Sizes(*sizes)
    model = step.Stack(sizes, "float64")
    counted = complexity(model, np.zeros((3, *sizes[:2])))
    assert counted.parameters == sizes.count(step.PARAMETERS)
    assert counted.flops == sizes.count(step.FLOPS, batch=3)


def test_both_lose_alike() -> None:
    pytest.importorskip("torch")
    found = {name: step.measured(name, TINY, 5, turns=2) for name in step.ENGINES}
    losses = [one["losses"] for one in found.values()]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0][-1] < losses[0][0]
    for one in found.values():
        assert all(one[phase] > 0 for phase in ("build", *step.PHASES))
        assert one["peak"] > 1e6


def test_the_table_has_every_number() -> None:
    one = {"build": 1.0, "forward": 2.0, "backward": 4.0, "Adam": 3.0, "peak": 5e9}
    text = list(step.lines({"a": one | {"losses": [2.0, 1.5]}}, 512))
    assert text[0].startswith("RankMixer-100M: 151,123,968 parameters, B = 512, float32")
    assert [line.split() for line in text[4:]] == [
        ["build,", "s", "1.00"],
        ["forward,", "s", "2.00"],
        ["backward,", "s", "4.00"],
        ["Adam,", "s", "3.00"],
        ["a", "step,", "s", "9.00"],
        ["billions", "a", "second", "52"],
        ["peak", "memory,", "GB", "5.0"],
        ["loss", "before", "2.00000"],
        ["loss", "after", "one", "step", "1.50000"],
    ]
