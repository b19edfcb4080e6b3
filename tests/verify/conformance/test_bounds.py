"""A bound lets rounding pass, in any order, and not much more."""

import numpy as np
import pytest
from support import refused
from sweeps.rewrites import ShuffledSums

from numixology.errors import ArgumentError, DTypeError
from numixology.verify.conformance import (
    FORMATS,
    KINDS,
    PROFILES,
    STAGES,
    Textbook,
    conform,
    make_case,
)
from numixology.verify.conformance.bounds import (
    EXACT,
    GUARD,
    measured,
    prepare,
    prepared,
)

PLAIN = [stage for stage in STAGES if stage not in EXACT]


def wide(dtype):
    return "float64" if dtype == "float64" else "float32"


@pytest.fixture(scope="module", params=FORMATS)
def everything(request):
    """Every case of one seed with its bounds."""
    return request.param, prepared(request.param, wide(request.param), seeds=1)


def test_rounding_in_another_order_stays_well_within(everything) -> None:
    dtype, cases = everything
    textbook = ShuffledSums(dtype)
    for one in cases:
        case = one.case
        results = {"output": textbook.forward(case.stage, case.inputs)}
        results |= textbook.vjp(case.stage, case.inputs, case.cotangent)
        for name, true in one.truth.tensors.items():
            error = measured(results[name], true, one.scales[name], dtype).error
            assert error <= 0.6 * one.bounds[name], (case.name, name)


def test_bounds_are_the_guard_times_an_error_and_0_where_nothing_is_calculated(everything) -> None:
    _, cases = everything
    for one in cases:
        assert one.bounds.keys() == one.truth.tensors.keys()
        for name, bound in one.bounds.items():
            if name in EXACT.get(one.case.stage, ()):
                assert bound == 0
            else:
                assert bound >= GUARD
        if one.case.stage in PLAIN and one.case.kind == "plain":
            assert all(bound < 20 * GUARD for bound in one.bounds.values())
        for profile in PROFILES:
            assert one.under([profile]).scales.keys() == one.scales.keys()


@pytest.mark.parametrize("stage", PLAIN)
def test_four_times_the_bound_fails_at_one_place(stage) -> None:
    """An error of 4 times the bound in the number of the largest scale is seen."""
    for one in prepared("float32", "float32", [stage], seeds=1):
        if one.case.kind not in ("plain", "saturated"):
            continue
        for name, true in one.truth.tensors.items():
            scale = one.scales[name]
            j = np.unravel_index(int(np.argmax(scale)), scale.shape)
            for factor, fails in ((4.0, True), (0.5, False)):
                got = true.copy()
                got[j] += factor * one.bounds[name] * scale[j] * 2.0**-24
                found = measured(got, true, scale, "float32")
                assert found.error == pytest.approx(factor * one.bounds[name], rel=1e-3)
                assert (found.error > one.bounds[name]) == fails
                assert (found.place, found.got, found.true) == (j, got[j], true[j])


def test_cases_of_one_kind_share_their_bounds() -> None:
    found = prepared("float32", "float32", ["linear"], seeds=2)
    kinds = {one.case.kind for one in found}
    assert kinds == {*KINDS}
    for kind in kinds:
        same = [one.bounds for one in found if one.case.kind == kind]
        assert len(same) >= 2
        assert all(bounds == same[0] for bounds in same)


@pytest.mark.parametrize("seeds", [0, -1])
def test_no_seeds_are_no_cases(seeds) -> None:
    with refused(ArgumentError, "seeds is a positive integer", str(seeds)):
        prepared("float32", "float32", ["gelu"], seeds)


def test_formats_and_stages_are_known() -> None:
    with refused(DTypeError, "'int4'"):
        prepared("int4", "float32", ["gelu"], 1)
    with refused(ArgumentError, "'conv'"):
        prepared("float32", "float32", ["conv"], 1)


# What is measured

ONE = np.ones(3)


@pytest.mark.parametrize(
    ("got", "true", "error"),
    [
        ([1, 2, 3], [1, 2, 3], 0.0),
        ([1, 2, 3.5], [1, 2, 3], 0.5 * 2**24),
        ([1, np.nan, 3], [1, 2, 3], np.inf),
        ([1, np.nan, 3], [1, np.nan, 3], 0.0),
        ([1, 2, 3], [1, np.nan, 3], np.inf),
        ([1, np.inf, 3], [1, 2, 3], np.inf),
        ([1, np.inf, 3], [1, np.inf, 3], 0.0),
        ([1, -np.inf, 3], [1, np.inf, 3], np.inf),
        ([1, 2, 3], [1, np.inf, 3], np.inf),
        ([1, np.inf, 3], [1, 1e39, 3], 0.0),  # beyond the largest number: infinity is right
        ([1, -np.inf, 3], [1, 1e39, 3], np.inf),  # but not of the other sign
        ([1, np.inf, 3], [1, 3.4028234e38, 3], np.inf),  # nor where it is not beyond
    ],
)
def test_an_error_in_roundings(got, true, error) -> None:
    found = measured(np.array(got), np.array(true), ONE, "float32")
    assert found.error == error
    if error:
        assert found.place == (int(np.argmax(np.array(got) != np.array(true))),)


def test_infinity_is_right_where_a_number_is_about_to_leave_the_range() -> None:
    true, scale = np.array([65500.0]), np.array([65500.0])
    assert measured(np.array([np.inf]), true, scale, "float16").error == 0
    assert measured(np.array([np.inf]), true, scale * 1e-3, "float16").error == np.inf
    assert measured(np.array([np.nan]), true, np.array([np.inf]), "float16").error == 0


@pytest.mark.parametrize("stage", ["linear", "layer_norm", "gelu", "softmax", "block"])
def test_one_rounding_is_all_that_some_backends_need(stage) -> None:
    """The result in float64, stored: within one rounding; stored twice: beyond it."""
    case = make_case(stage, "plain", 1, "bfloat16")
    (once,), (usual,) = (prepare([case], "float32", one) for one in (True, False))
    form = FORMATS["bfloat16"]
    if stage == "block":  # which stores its steps
        assert not once.once
        assert once.bounds == usual.bounds
        return
    for name, true in once.truth.tensors.items():
        assert once.bounds[name] == GUARD
        stored = form.stored(true)
        assert measured(stored, true, once.scales[name], "bfloat16").error <= GUARD
        twice = form.stored(1.013 * stored.astype(np.float64))
        assert measured(twice, true, once.scales[name], "bfloat16").error > GUARD
        assert measured(twice, true, usual.scales[name], "bfloat16").error <= usual.bounds[name]
        assert once.under(["offsets"]).scales[name].shape == true.shape


def test_the_bounds_of_one_case_are_its_own() -> None:
    cases = [make_case("block", "plain", 0, "float32"), make_case("block", "plain", 1, "float32")]
    (first,), (second,) = (prepare([case], "float32") for case in cases)
    shared = prepare(cases, "float32")[0].bounds
    assert first.bounds != second.bounds
    assert all(shared[k] >= min(first.bounds[k], second.bounds[k]) for k in shared)


def test_nothing_has_no_error() -> None:
    found = measured(np.ones((0, 3)), np.ones((0, 3)), np.ones((0, 3)), "float32")
    assert (found.error, found.place) == (0.0, ())


def test_a_backend_that_says_it_rounds_once_is_held_to_that() -> None:
    class Twice(Textbook):
        """The product is stored before the bias is added."""

        def linear(self, x, weight, bias=None):
            return self.store(self.store(self.product(x, weight)) + bias)

    for make, verdict in ((Textbook, "pass"), (Twice, "fail")):
        backend = make("bfloat16")
        assert conform(backend, stages=["linear"], seeds=1, quick=True).verdict == "pass"
        backend.rounds = "once"
        assert conform(backend, stages=["linear"], seeds=1, quick=True).verdict == verdict
