"""Numbers in two parts, against rational arithmetic."""

from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest

from numixology.functional import _pairs

RNG = np.random.default_rng(11)


def fractions(x):
    return [Fraction(float(v)) for v in x]


def exact(pair):
    """The two parts added up, one fraction per row."""
    return [Fraction(float(a)) + Fraction(float(b)) for a, b in zip(*map(np.ravel, pair))]  # noqa: B905


def mixed(*shape):
    return RNG.normal(size=shape) * 10 ** RNG.uniform(-8, 8, shape)


def test_a_difference_is_exact():
    a, b = mixed(200), mixed(200)
    want = [x - y for x, y in zip(fractions(a), fractions(b), strict=True)]
    assert exact(_pairs.difference(a, b)) == want


def test_halves_are_short_and_add_up():
    a = mixed(200)
    high, low = _pairs.halves(a)
    np.testing.assert_array_equal(high + low, a)
    for half in (high, low):
        mantissa, _ = np.frexp(half)
        np.testing.assert_array_equal(mantissa * 2**26, np.round(mantissa * 2**26))


@pytest.mark.parametrize("bits", [20, 26, 43])
def test_a_cut_row_adds_up(bits):
    x = mixed(5, 30)
    high, low = _pairs.cut(x, bits)
    np.testing.assert_array_equal(high + low, x)
    unit = np.ldexp(1.0, _pairs.row_exponent(x) - bits)
    np.testing.assert_array_equal(high / unit, np.round(high / unit))
    assert (abs(low) <= unit / 2).all()


@pytest.mark.parametrize("n", [1, 2, 7, 8, 64, 1000])
@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_sums_that_cancel(n, offset):
    x = offset + RNG.normal(size=(3, n))
    x[:, -1] = -x[:, :-1].sum(axis=1)
    largest = Fraction(float(abs(x).max()))
    for got, row in zip(exact(_pairs.row_sum(x)), x, strict=True):
        assert abs(got - sum(fractions(row))) <= largest * n / 2**85


@pytest.mark.parametrize("n", [1, 2, 7, 8, 64, 1000])
def test_sums_of_products_that_cancel(n):
    a, b = RNG.normal(size=(3, n)), RNG.normal(size=(3, n))
    a -= b * (a * b).sum(axis=1, keepdims=True) / (b * b).sum(axis=1, keepdims=True)
    for got, x, y in zip(exact(_pairs.dot(a, b)), a, b, strict=True):
        want = sum(p * q for p, q in zip(fractions(x), fractions(y), strict=True))
        assert abs(got - want) <= Fraction(n, 2**68)
    for got, x in zip(exact(_pairs.dot(a, a)), a, strict=True):
        assert abs(got - sum(p * p for p in fractions(x))) <= Fraction(n, 2**68)


def test_quotients_and_roots():
    a, b = np.abs(mixed(100)), mixed(100)
    low = a * RNG.uniform(-1e-16, 1e-16, 100)
    for got, x, y, z in zip(exact(_pairs.quotient((a, low), (b, 0 * b))), a, low, b, strict=True):
        want = (Fraction(x) + Fraction(y)) / Fraction(z)
        assert abs(got - want) <= abs(want) / 2**100
    with mp.workdps(50):
        for got, x, y in zip(_pairs.root((a, low)), a, low, strict=True):
            want = mp.sqrt(mp.mpf(x) + mp.mpf(y))
            assert abs(mp.mpf(got) - want) <= mp.mpf(np.spacing(got)) * 0.5000001


def test_the_roots_of_0_and_infinity():
    with np.errstate(all="ignore"):
        got = _pairs.root((np.array([0.0, np.inf]), np.zeros(2)))
    assert got.tolist() == [0.0, np.inf]
