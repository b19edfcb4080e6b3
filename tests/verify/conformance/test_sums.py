"""The model of long sums, held to sums that are formed in every order a kernel may have."""

import numpy as np
import pytest

from numixology.verify.conformance import FORMATS, make_case
from numixology.verify.conformance.bounds import measured, prepare

LENGTHS = [2, 33, 257, 1025, 4097, 65537]


def one_by_one(terms, rounded=None):
    if rounded is None:
        return np.cumsum(terms, axis=-1, dtype=np.float32)[..., -1]
    total = terms[..., 0]
    for i in range(1, terms.shape[-1]):
        total = rounded(total + terms[..., i])
    return total


def tree(terms, rounded=lambda x: x):
    while (n := terms.shape[-1]) > 1:
        left, right = terms[..., : n // 2], terms[..., n - n // 2 :]
        terms = np.concatenate([rounded(left + right), terms[..., n // 2 : n - n // 2]], axis=-1)
    return terms[..., 0]


def tiled(terms, size):
    """Tiles of terms, the last one filled up with zeros."""
    missing = -terms.shape[-1] % size
    filled = np.pad(terms, [(0, 0)] * (terms.ndim - 1) + [(0, missing)])
    return filled.reshape(*terms.shape[:-1], -1, size)


def shuffled(terms):
    return terms[..., np.random.default_rng(5).permutation(terms.shape[-1])]


ORDERS = (
    one_by_one,
    lambda t: one_by_one(t[..., ::-1]),
    lambda t: one_by_one(shuffled(t)),
    lambda t: one_by_one(one_by_one(tiled(t, max(1, t.shape[-1] // 4)))),  # split in four
    tree,
    lambda t: one_by_one(one_by_one(tiled(t, 32).swapaxes(-1, -2))),  # 32 lanes
    lambda t: one_by_one(shuffled(one_by_one(tiled(t, 64)))),  # tiles, by atomic additions
)


def sums(n, signs, dtype, outputs=8):
    """A linear layer whose outputs are sums of n terms, those terms, and its bias."""
    case = make_case("linear", "plain", 0, dtype, {"B": 1, "T": outputs, "D": n, "F": outputs})
    if signs == "positive":
        inputs = {name: np.abs(value) for name, value in case.inputs.items()}
        case = case._replace(inputs=inputs)
    (one,) = prepare([case], "float64" if dtype == "float64" else "float32")
    x, weight, bias = (case.inputs[name].astype(np.float32) for name in ("x", "weight", "bias"))
    return one, x[0, :, None] * weight, bias


def ratio(one, y):
    """The error of an output by its bound."""
    dtype = one.case.dtype
    got = FORMATS[dtype].stored(y)[None]
    true = one.truth.tensors["output"]
    return measured(got, true, one.scales["output"], dtype).error / one.bounds["output"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("signs", ["random", "positive"])
def test_every_order_stays_in_the_bound_which_is_20_times_the_worst_at_most(signs, dtype) -> None:
    for n in LENGTHS:
        one, terms, bias = sums(n, signs, dtype, outputs=4 if n > 9999 else 12)
        worst = max(ratio(one, order(terms) + bias) for order in ORDERS)
        assert 1 / 20 <= worst <= 3 / 4, n


DROPS = {
    "the last term of 1,025": (1025, lambda t: one_by_one(t[..., :-1])),
    "half of 2,049 terms": (2049, lambda t: one_by_one(t[..., :1024])),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("dropped", DROPS)
def test_dropped_terms_show(dropped, dtype) -> None:
    n, wrong = DROPS[dropped]
    one, terms, bias = sums(n, "random", dtype, outputs=32)
    assert ratio(one, wrong(terms) + bias) > 4
    assert ratio(one, one_by_one(terms) + bias) < 0.5


@pytest.mark.parametrize("n", [1025, 4097])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_accumulators_of_16_bits_show(n, dtype) -> None:
    one, terms, bias = sums(n, "random", dtype, outputs=32)

    def rounded(x):
        return FORMATS[dtype].stored(x).astype(np.float32)

    terms = rounded(terms)
    for y in (
        one_by_one(terms, rounded),
        tree(terms, rounded),
        one_by_one(one_by_one(tiled(terms, 32), rounded)),
    ):
        assert ratio(one, y + bias) > 4
