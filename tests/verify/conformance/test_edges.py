"""Errors that begin at an edge of an axis, made when the axis and the edge are known."""

import numpy as np
import pytest
from support import refused

from numixology.errors import ArgumentError
from numixology.verify.conformance import STAGES, Textbook, make_case, truth_of
from numixology.verify.conformance.bugs import AXES, edge_bugs

SIZES = {"B": 3, "T": 4, "D": 10, "H": 5, "F": 7, "V": 9, "L": 3}
LENGTHS = SIZES | {"BT": 12, "BTD": 120, "BTF": 84, "VD": 90, "FD": 70}


def answers(backend, case):
    gradients = backend.vjp(case.stage, case.inputs, case.cotangent)
    return {"output": backend.forward(case.stage, case.inputs), **gradients}


def shown(case, axis, edge) -> dict[str, list[str]]:
    """Which tensors each form gets wrong."""
    bugs = edge_bugs(case.stage, axis, edge)
    return {bug.name: differ(case, answers(bug.make(), case)) for bug in bugs}


def differ(case, got) -> list[str]:
    truth = truth_of(case)
    true = {"output": truth.output, **truth.gradients}
    assert got.keys() == true.keys()
    return [name for name in true if not np.allclose(got[name], true[name], atol=1e-9)]


TRIED = [(stage, axis) for stage in STAGES for axis in AXES if edge_bugs(stage, axis, 2)]


@pytest.mark.parametrize(("stage", "axis"), TRIED)
def test_every_form_shows_beyond_its_edge_only(stage, axis) -> None:
    length = LENGTHS[axis]
    case = make_case(stage, "plain", 0, sizes=SIZES)
    if axis in ("V", "VD"):
        case.inputs["ids"][...] = np.arange(12).reshape(3, 4) % 9
    edge = length - (3 if length > 9 else 1)
    assert [name for name, wrong in shown(case, axis, edge).items() if not wrong] == []
    assert [name for name, wrong in shown(case, axis, length).items() if wrong] == []


@pytest.mark.parametrize(("stage", "axis"), TRIED)
def test_forms_have_names_of_their_own_and_say_where_they_begin(stage, axis) -> None:
    bugs = edge_bugs(stage, axis, 1024)
    assert len({bug.name for bug in bugs}) == len(bugs)
    assert len({bug.description for bug in bugs}) == len(bugs)
    for bug in bugs:
        assert "1,024" in bug.description
        assert "1024" in bug.name
        assert AXES[axis] in bug.description
        assert (bug.family, bug.stages) == ("edges", (stage,))
        assert bug.name == bug.name.lower()
        assert " " not in bug.name


@pytest.mark.parametrize(("stage", "axis"), [one for one in TRIED if one[0] != "model"])
def test_a_wrong_value_has_the_gradient_of_what_is_computed(stage, axis) -> None:
    case = make_case(stage, "plain", 0, sizes=SIZES)
    along = {
        k: np.random.default_rng(0).standard_normal(case.inputs[k].shape)
        for k in case.differentiable
    }

    def moved(backend, by: float) -> float:
        shifted = {k: case.inputs[k] + by * way for k, way in along.items()}
        return float((backend.forward(stage, {**case.inputs, **shifted}) * case.cotangent).sum())

    for bug in edge_bugs(stage, axis, max(1, LENGTHS[axis] // 2)):
        backend = bug.make()
        by_formula = bug.name.startswith("not-rescaled")  # whose backward starts from its result
        if "output" in differ(case, answers(backend, case)) and not by_formula:
            slope = (moved(backend, 1e-6) - moved(backend, -1e-6)) / 2e-6
            gradients = backend.vjp(stage, case.inputs, case.cotangent)
            terms = [gradients[k] * way for k, way in along.items()]
            size = sum(float(np.abs(one).sum()) for one in terms)
            assert abs(slope - sum(float(one.sum()) for one in terms)) <= 1e-6 * size, bug.name


def test_what_is_beyond_an_edge_and_beyond_whole_tiles() -> None:
    case = make_case("gelu", "plain", 0, sizes={"B": 1, "T": 1, "D": 10, "H": 1})
    zero = {bug.name: bug for bug in edge_bugs("gelu", "D", 4) if bug.name.endswith("-zero")}
    right = Textbook().forward("gelu", case.inputs)[0, 0]

    def wrong(name: str) -> list[int]:
        got = zero[name].make().forward("gelu", case.inputs)[0, 0]
        assert not got[got != right].any()
        return np.flatnonzero(got != right).tolist()

    assert wrong("columns-from-4-zero") == [4, 5, 6, 7, 8, 9]
    assert wrong("columns-beyond-tiles-of-4-zero") == [8, 9]


def test_the_gradient_is_that_of_what_is_computed_or_wrong_alone() -> None:
    case = make_case("linear", "plain", 0, sizes=SIZES)
    columns, rows = shown(case, "F", 5), shown(case, "BT", 5)
    assert columns["columns-of-f-from-5-zero"] == ["output", "x", "weight", "bias"]
    assert columns["columns-of-f-from-5-not-in-gradient-of-x"] == ["x"]
    assert columns["columns-of-f-from-5-not-in-gradients-of-parameters"] == ["weight", "bias"]
    assert columns["columns-of-f-from-5-bias-not-trained"] == ["bias"]
    assert rows["rows-from-5-gradient-zero"] == ["x"]
    assert rows["gradients-of-last-tile-of-5"] == ["weight", "bias"]


def test_what_is_not_known_is_refused() -> None:
    with refused(ArgumentError, "an axis", "'Z'"):
        edge_bugs("gelu", "Z", 4)
    with refused(ArgumentError, "unknown stage"):
        edge_bugs("norm", "D", 4)
    assert edge_bugs("gelu", "V", 4) == []
