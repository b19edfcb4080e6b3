"""The batched product over tokens beside the same three lines of NumPy, at the paper's sizes."""

from statistics import median

import numpy as np
import pytest
from benchmarks.timing import interleaved, print_table

from numixology.functional import per_token_linear

B, T, D, K = 512, 16, 768, 4
AIM = 1.2


@pytest.mark.parametrize(("n", "out"), [(D, K * D), (K * D, D)], ids=["expand", "contract"])
def test_what_a_batch_costs(n, out):
    rng = np.random.default_rng(0)
    x, weight, bias = (
        rng.standard_normal(shape, np.float32) for shape in ((B, T, n), (T, out, n), (T, out))
    )

    def by_hand():
        y = np.matmul(x.transpose(1, 0, 2), weight.transpose(0, 2, 1))  # (T, B, out)
        y += bias[:, None]
        return y.transpose(1, 0, 2)  # (B, T, out)

    steps = {"three lines": by_hand, "numixology": lambda: per_token_linear(x, weight, bias)}
    np.testing.assert_allclose(steps["numixology"](), by_hand(), rtol=1e-4, atol=1e-2)
    times = interleaved(steps, rounds=5)
    print_table(f"({B}, {T}, {n}) to {out}, float32", times, "three lines", "ms", 1e-3)
    pairs = zip(times["numixology"], times["three lines"], strict=True)
    assert median(ours / theirs for ours, theirs in pairs) <= AIM
