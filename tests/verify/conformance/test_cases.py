"""Cases bring out mistakes, hold numbers of their format, and are the same every time."""

import numpy as np
import pytest
from support import refused

from numixology.errors import ArgumentError, DTypeError
from numixology.verify.conformance import (
    FORMATS,
    KINDS,
    STAGES,
    cases_of,
    make_case,
    truth_of,
)
from numixology.verify.conformance.cases import CASE_LAYOUTS, SIZES, fresh, in_float64

ALL = [(stage, kind) for stage in STAGES for kind in KINDS]


def arrays(case):
    """Every array of a case by name, the cotangent too."""
    found = {k: v for k, v in case.inputs.items() if isinstance(v, np.ndarray)}
    return found | {"cotangent": case.cotangent}


def laid(x):
    """How an array lies in memory: what else than contiguous and writeable it is."""
    if not x.flags.writeable:
        return "read-only"
    if x.size > 1 and not x.flags.c_contiguous and not x.flags.f_contiguous:
        return "strided"
    return "Fortran-ordered" if x.flags.f_contiguous and x.ndim > 1 else "contiguous"


@pytest.mark.parametrize(("stage", "kind"), ALL)
def test_the_same_case_every_time_and_others_for_other_seeds(stage, kind) -> None:
    one, again, other = (make_case(stage, kind, seed, "float32") for seed in (3, 3, 4))
    assert one.name == again.name == f"{stage}/{kind}/3"
    for name, x in arrays(one).items():
        y = arrays(again)[name]
        assert np.array_equal(x, y)
        assert (x.dtype, x.strides, x.flags.writeable) == (y.dtype, y.strides, y.flags.writeable)
    assert one.cotangent.shape != other.cotangent.shape


@pytest.mark.parametrize(("stage", "kind"), ALL)
def test_every_number_is_one_of_the_format(stage, kind) -> None:
    for dtype, form in FORMATS.items():
        for name, x in arrays(make_case(stage, kind, 1, dtype)).items():
            if name == "ids":
                assert x.dtype.kind == "i"
                continue
            assert x.dtype == form.container
            assert np.isfinite(x).all()
            assert (form.stored(x) == x).all()


def test_shapes_are_odd() -> None:
    for b, t, heads, d in SIZES:
        assert t != heads or t == 1
        assert b * t * heads * d > 1
    assert any(b == 1 and t == 1 for b, t, _, _ in SIZES)
    assert {b > 1 for b, *_ in SIZES} == {t > 1 for _, t, *_ in SIZES} == {True, False}
    shapes = {make_case("linear", seed=seed).inputs["weight"].shape for seed in range(7)}
    assert any(f == d for f, d in shapes)
    assert any(f != d for f, d in shapes)


@pytest.mark.parametrize("stage", STAGES)
def test_parameters_are_scrambled(stage) -> None:
    """No weight is all ones and no bias all zeros, which would hide that it was dropped."""
    case = make_case(stage)
    for name, x in arrays(case).items():
        if name.endswith(("weight", "bias", "cotangent")):
            assert len(np.unique(x)) > x.size // 2
            assert not np.isin(x, (0.0, 1.0)).any()
    assert abs(float(case.cotangent.std())) > 0.3


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("seed", range(4))
def test_arrays_lie_as_the_layout_says(stage, seed) -> None:
    case = make_case(stage, "plain", seed)
    layouts = {make_case(stage, "plain", other).layout for other in range(4)}
    assert layouts == set(CASE_LAYOUTS)
    for name, x in arrays(case).items():
        if case.layout in ("read-only arrays", ""):
            assert x.flags.c_contiguous, name
            assert x.flags.writeable == (not case.layout), name
        elif case.layout == "Fortran order":
            assert x.flags.f_contiguous, name
        else:
            assert x.strides[-1] == 2 * x.itemsize, name
    assert make_case(stage, "strided", seed).layout == "gaps between elements"


@pytest.mark.parametrize("seed", range(4))
def test_a_fresh_case_is_equal_and_shares_nothing(seed) -> None:
    case = make_case("layer_norm", "plain", seed)
    again = fresh(case)
    assert (again.name, again.inputs["eps"]) == (case.name, case.inputs["eps"])
    for name, x in arrays(case).items():
        y = arrays(again)[name]
        assert np.array_equal(x, y)
        assert not np.shares_memory(x, y)
        assert laid(x) == laid(y)
        assert x.strides == y.strides


# What the kinds are for


def x_of(kind, seed=0, dtype="float64", stage="gelu"):
    return make_case(stage, kind, seed, dtype).inputs["x"].astype(np.float64)


def test_padded_tokens_are_zero_or_the_same_id() -> None:
    x = x_of("padded", 1)
    padding = (x == 0).all(axis=-1)
    assert padding.any()
    assert not padding.all()
    assert not (x_of("plain", 1) == 0).any()
    ids = make_case("embedding", "padded", 1).inputs["ids"]
    assert (ids[:, -1] == 0).all()
    assert (ids != 0).any()


@pytest.mark.parametrize("dtype", FORMATS)
def test_tiny_and_huge_reach_for_the_ends(dtype) -> None:
    form = FORMATS[dtype]
    tiny, huge = (np.abs(x_of(kind, 1, dtype)) for kind in ("tiny", "huge"))
    assert tiny.max() < 2.0 ** (form.lowest // 4 + 3)
    assert np.median(tiny) ** 4 < 2.0 ** (form.lowest + 4)
    assert 2.0 ** (form.highest * 5 // 16 - 2) < huge.max() < 2.0 ** (form.highest // 2)
    # What a gradient through a model's deviation is made of is normal where it is calculated.
    calculates = FORMATS[np.dtype(form.wide).name]
    assert 0.5 / (2 * huge.std()) ** 3 / huge.shape[-1] > 2.0**calculates.lowest


def test_offset_and_saturated() -> None:
    x = x_of("offset", 1)
    assert abs(x.mean() - 1e4) < 1
    assert 0.5 < (x - x.mean(-1, keepdims=True)).std() < 2
    flat = x_of("saturated", 1)
    assert 30 < np.abs(flat).max() <= 40
    assert (flat < -20).any()
    assert (flat > 20).any()


def test_ids_repeat_and_the_last_word_occurs() -> None:
    case = make_case("embedding", "plain", 1)
    ids, words = case.inputs["ids"], len(case.inputs["weight"])
    assert ids.max() == words - 1
    assert ids.min() >= 0
    assert len(np.unique(ids)) < ids.size
    # Some word is never used: its gradient is zero, and must be.
    assert (truth_of(case).gradients["weight"] == 0).all(axis=-1).any()


def test_every_kind_and_seed_in_turn() -> None:
    found = [case.name for case in cases_of("gelu", "float32", 2)]
    assert found == [f"gelu/{kind}/{seed}" for kind in KINDS for seed in range(2)]


def test_in_float64_converts_floats_only() -> None:
    case = make_case("model", "plain", 0, "float16")
    wide = in_float64(case.inputs)
    assert wide["ids"] is case.inputs["ids"]
    assert wide["eps"] == case.inputs["eps"]
    for name, x in arrays(case).items():
        if name not in ("ids", "cotangent"):
            assert wide[name].dtype == np.float64
            assert (wide[name] == x).all()


def test_the_truth_is_float64_whatever_the_format() -> None:
    truth = truth_of(make_case("block", "plain", 0, "float16"))
    assert {x.dtype for x in (truth.output, *truth.gradients.values())} == {np.dtype("float64")}


def test_what_is_not_known_is_refused() -> None:
    with refused(ArgumentError, "'conv'"):
        make_case("conv")
    with refused(ArgumentError, "'nasty'", "plain, padded"):
        make_case("gelu", "nasty")
    with refused(DTypeError, "'int8'"):
        make_case("gelu", dtype="int8")
