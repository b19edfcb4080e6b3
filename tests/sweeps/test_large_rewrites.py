"""Some of the rewrites pass, and an alarm is shown with its tensor."""

import pytest
from sweeps import kernel_bugs, large_rewrites
from sweeps.large_rewrites import REWRITES, outcome


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *(("Tree", "bfloat16"), ("ChunksOf64", "bfloat16"), ("GradientByThreeSums", "bfloat16")),
        ("ShiftedOnePass", "float32"),
    ],
)
def test_some_rewrites_pass(name: str, dtype: str) -> None:
    found = outcome(name, REWRITES[name](dtype), ["layer_norm"])
    assert found.verdict in ("pass", "known") and not found.alarms
    assert found.comparisons and found.worst < 1


def test_an_alarm_names_the_tensor() -> None:
    found = outcome(
        "wrong", kernel_bugs.BUGS["variance-of-padded-row"].make("float32"), ["layer_norm"]
    )
    assert found.verdict == "fail"
    assert any("output: " in one and "roundings" in one for one in found.alarms)


def test_an_exception_is_an_alarm() -> None:
    found = outcome("wrong", REWRITES["Tree"]("float32"), ["no such stage"])
    assert found.verdict == "error" and "no such stage" in found.alarms[0]


def test_each_rewrite_runs_where_it_matters() -> None:
    names = [one.name for one in large_rewrites.outcomes(["OnlineBy32"], ("float32",), ["softmax"])]
    assert names == ["OnlineBy32"]
    assert not list(large_rewrites.outcomes(["OnlineBy32"], ("float32",), ["linear"]))
