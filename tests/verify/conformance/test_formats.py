"""Rounding to each format, against oracles that share nothing with it."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import refused

from numixology.errors import DTypeError
from numixology.verify.conformance import FORMATS
from numixology.verify.conformance.formats import format_of

SMALL = ("bfloat16", "float16")


def numbers_of(name: str) -> np.ndarray:
    """Every finite number of a format from 0 up, from exponents and significands."""
    form = FORMATS[name]
    subnormal = [m * form.smallest for m in range(2 ** (form.digits - 1))]
    normal = [
        math.ldexp(m, e - form.digits + 1)
        for e in range(form.lowest, form.highest)
        for m in range(2 ** (form.digits - 1), 2**form.digits)
    ]
    return np.array(subnormal + normal)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("sign", [1, -1])
def test_every_number_is_itself_and_between_two_the_nearer_is_taken(name, sign) -> None:
    form, found = FORMATS[name], numbers_of(name)
    assert len(found) == {"bfloat16": 0x7F80, "float16": 0x7C00}[name]
    assert (form.stored(sign * found) == sign * found).all()
    low, high = found[:-1], found[1:]
    middle = (low + high) / 2  # exact in float64
    even = np.where(np.arange(len(low)) % 2 == 0, low, high)
    assert (form.stored(sign * middle) == sign * even).all()
    # A hair beside the middle: less than a rounding of float32, so nothing may round twice.
    assert (form.stored(sign * np.nextafter(middle, 0)) == sign * low).all()
    assert (form.stored(sign * np.nextafter(middle, np.inf)) == sign * high).all()


@pytest.mark.parametrize("name", SMALL)
def test_the_ends_of_a_format(name) -> None:
    form = FORMATS[name]
    largest = numbers_of(name)[-1]
    beyond = 2.0**form.highest
    edge = (largest + beyond) / 2
    assert largest == beyond * (1 - form.unit)
    got = form.stored([np.nextafter(edge, 0), edge, beyond, -edge, np.inf, -np.inf])
    assert got.tolist() == [largest, np.inf, np.inf, -np.inf, np.inf, -np.inf]
    least = form.stored([form.smallest, form.smallest / 2, np.nextafter(form.smallest / 2, 1)])
    assert least.tolist() == [form.smallest, 0.0, form.smallest]
    assert np.signbit(form.stored([-0.0, -form.smallest / 4])).all()


def test_nan_stays_nan_whatever_its_bits() -> None:
    nans = np.array([0x7FFFFFFF, 0x7F800001, 0xFFFFFFFF, 0x7FC00000], np.uint32).view(np.float32)
    for form in FORMATS.values():
        assert np.isnan(form.stored(nans)).all()


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1 + 2.0**-8 + 2.0**-40)  # float32 would make it a tie
@example(1 + 3 * 2.0**-8 - 2.0**-40)
def test_bfloat16_is_the_nearest_by_fractions(x) -> None:
    got = float(FORMATS["bfloat16"].stored(x))
    if math.isinf(got):
        assert abs(x) >= 2.0**128 * (1 - 2.0**-9)
        return
    exponent = max(math.frexp(x)[1] - 1, -126) if x else -126
    step = Fraction(2) ** (exponent - 7)
    assert got == float(round(Fraction(x) / step) * step)  # round() takes ties to even


@pytest.mark.parametrize("name", ["float64", "float32", "float16"])
def test_what_numpy_knows_is_as_numpy_says(name) -> None:
    form, info = FORMATS[name], np.finfo(name)
    assert form.digits == info.nmant + 1
    assert form.unit == info.eps / 2
    assert form.smallest == float(info.smallest_subnormal)
    assert 2.0**form.lowest == float(info.smallest_normal)
    assert (1 - form.unit) * 2.0 ** (form.highest - 1) == float(info.max) / 2
    x = np.random.default_rng(0).standard_normal(1000) * 2.0 ** np.arange(-500, 500)
    with np.errstate(over="ignore", under="ignore"):
        assert (form.stored(x) == x.astype(name)).all()
    assert form.stored(x).dtype == form.container == np.dtype(name)


def test_bfloat16_travels_in_float32() -> None:
    form = FORMATS["bfloat16"]
    got = form.stored(np.ones((2, 3)))
    assert (got.dtype, got.shape) == (np.float32, (2, 3))
    assert (form.unit, form.smallest) == (2.0**-8, 2.0**-133)
    assert form.stored(np.array([1, 257])).tolist() == [1.0, 256.0]


def test_formats_by_name() -> None:
    for name, form in FORMATS.items():
        assert format_of(name) is form
        assert form.name == name
    with refused(DTypeError, "'float8'", "float64, float32, bfloat16, float16"):
        format_of("float8")
