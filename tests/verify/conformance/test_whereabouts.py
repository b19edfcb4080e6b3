"""Where a failing backend goes wrong is said in a sentence."""

import numpy as np
import pytest

from numixology.verify.conformance import make_case
from numixology.verify.conformance.bounds import prepare, true_tensors
from numixology.verify.conformance.whereabouts import letters_of, place_of


def said(stage, sizes, at, tensor="output"):
    """What is said where some entries of a tensor are off by one."""
    (one,) = prepare([make_case(stage, "plain", 0, "float32", sizes)], "float32")
    got = true_tensors(one.truth)[tensor].copy()
    got[at] += 1
    return place_of(one, tensor, got)


every = slice(None)


@pytest.mark.parametrize(
    ("at", "place"),
    [
        ((every, every, 32), "wrong in 32 of 1,056 numbers: the last of 33 columns"),
        ((every, every, 7), "wrong in 32 of 1,056 numbers: column 7"),
        (
            (every, every, slice(30, 33)),
            "96 of 1,056 numbers: the last 3 of 33 columns, from 30 on",
        ),
        ((every, every, slice(0, 2)), "64 of 1,056 numbers: the first 2 of 33 columns"),
        ((every, every, slice(4, 9)), "160 of 1,056 numbers: columns 4 to 8 of 33"),
        ((every, every, slice(3, None, 4)), "256 of 1,056 numbers: every 4th column from 3 on"),
        ((every, every, [1, 2, 9]), "96 of 1,056 numbers: 3 of 33 columns, the first being 1"),
        ((every, 0), "132 of 1,056 numbers: token 0"),
        ((0,), "264 of 1,056 numbers: batch entry 0"),
        ((slice(1, None),), "792 of 1,056 numbers: the last 3 of 4 batch entries, from 1 on"),
        ((0, 3, 5), "1 of 1,056 numbers: column 5 of token 3 of batch entry 0"),
        ((every,), "everywhere"),
    ],
)
def test_the_rows_and_columns(at, place) -> None:
    assert said("layer_norm", {"B": 4, "T": 8, "D": 33}, at).endswith(place)


def test_rows_that_run_over_batch_entries() -> None:
    sizes = {"B": 4, "T": 8, "D": 3}
    (one,) = prepare([make_case("gelu", "plain", 0, "float32", sizes)], "float32")
    got = one.truth.output.copy()
    got.reshape(32, 3)[13:] += 1
    assert place_of(one, "output", got) == (
        "the output is wrong in 57 of 96 numbers: the last 19 of 32 rows, from 13 on"
    )
    got = one.truth.output.copy()
    got.reshape(-1)[70:] += 1
    assert place_of(one, "output", got) == (
        "the output is wrong in 26 of 96 numbers: the last 26 of 96 numbers, from 70 on"
    )
    got = one.truth.output.copy()
    got[0, 1, 2] = got[2, 3, 1] = got[3, 3, 0] = np.nan
    assert place_of(one, "output", got).startswith("the output is wrong in 3 of 96 numbers: ")


def test_heads_and_ids_and_rows_of_a_matrix() -> None:
    sizes = {"B": 2, "T": 4, "D": 12, "H": 4}
    assert said("token_mix", sizes, (every, every, slice(3, 6))).endswith(": head 1")
    assert said("token_mix", sizes, (every, every, slice(2, 5))).endswith(": columns 2 to 4 of 12")
    assert said("embedding", {"V": 300}, (slice(256, None),), "weight") == (
        f"the gradient of weight is wrong in {44 * 10} of 3,000 numbers: "
        "the last 44 of 300 ids, from 256 on"
    )
    assert said("linear", {"D": 5, "F": 9}, (8,), "weight").endswith("the last of 9 rows")
    assert said("linear", {"D": 5, "F": 9}, (2,), "bias").endswith(": entry 2")


def test_the_axes_of_a_tensor() -> None:
    case = make_case("model")
    assert letters_of(case, "output") == "BTD"
    assert letters_of(case, "blocks.1.ffn.linear1.weight") == "FD"
