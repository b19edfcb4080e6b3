"""The oracle against itself, against values that are known, and against the file it made."""

import ast
import math
import sys
from pathlib import Path

import mpmath as mp
import pytest
from oracle import elementwise, layers, make_goldens, networks, rows
from oracle.arithmetic import Bounded, dot, error_of, leaves, mapped, through, total
from oracle.differences import central_differences
from oracle.elementwise import FUNCTIONS
from oracle.golden_cases import ROOTS, SATURATED, Case, Numbers, all_cases

CASES = all_cases()
# A function of one number need not be moved at every place: the other places do not see it.
LAYERS = [case for case in CASES if case.stage not in FUNCTIONS]


@pytest.fixture(autouse=True)
def fifty_digits():
    with mp.workdps(50):
        yield


def name_of(case: Case) -> str:
    return f"{case.stage}-{case.name}"


def exact(case: Case):
    inputs = {name: mapped(mp.mpf, value) for name, value in case.inputs.items()}
    return inputs, mapped(mp.mpf, case.cotangent)


def test_the_oracle_shares_no_code_with_the_package() -> None:
    """Its modules import each other, mpmath and the standard library, and nothing else."""
    for module in (
        *("arithmetic", "differences", "elementwise", "golden_cases"),
        *("layers", "make_goldens", "networks", "rows"),
    ):
        tree = ast.parse((Path(__file__).parent / f"{module}.py").read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            tops = {name.partition(".")[0] for name in names}
            assert tops <= {"mpmath", "oracle"} | sys.stdlib_module_names


# The gradients, derived twice -----------------------------------------------------


@pytest.mark.parametrize("case", LAYERS, ids=name_of)
def test_the_chain_rule_gives_what_differences_give(case) -> None:
    with mp.workdps(80):
        inputs, cotangent = exact(case)
        written = case.backward(cotangent, inputs)
    assert set(written) == set(inputs)
    differences = central_differences(case.forward, case.inputs, case.cotangent)
    for name, expected in differences.items():
        found = list(leaves(written[name]))
        assert len(found) == len(expected)
        largest = max(abs(one) for one in expected)
        scale = largest if largest > 1e-30 else 1  # the gradient of the key's bias is 0
        for one, other in zip(found, expected, strict=True):
            assert abs(one - other) <= mp.mpf("1e-30") * scale


@pytest.mark.parametrize("stage", FUNCTIONS)
def test_slopes_are_what_differences_give(stage) -> None:
    f = FUNCTIONS[stage]
    numbers = [mp.mpf(x) for x in [*SATURATED, *Numbers(8, places=42).array(20, size=6.0)]]
    for x in numbers:
        if 0 < abs(f.slope(x)) < mp.mpf("1e-330"):
            continue  # far below what float64 can hold, and beyond the digits of the differences
        with mp.workdps(900):
            step = mp.mpf(2) ** -1500
            slope = (f.value(x + step) - f.value(x - step)) / (2 * step)
        assert abs(f.slope(x) - slope) <= mp.mpf("1e-30") * abs(slope)


@pytest.mark.parametrize("stage", ROOTS)
def test_the_zeros_of_the_slopes_lie_where_the_cases_say(stage) -> None:
    slope, root = FUNCTIONS[stage].slope, ROOTS[stage]
    unit = math.ulp(root)
    assert slope(mp.mpf(root - unit)) * slope(mp.mpf(root + unit)) < 0


# Values that are known -----------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "expected"),
    [  # DLMF 7.2, 4.28; and definitions at points where they are simple
        (lambda: elementwise.erf(mp.inf), 1),
        (lambda: elementwise.erf_slope(mp.mpf(0)), lambda: 2 / mp.sqrt(mp.pi)),
        (lambda: elementwise.sigmoid(mp.log(3)), lambda: mp.mpf(3) / 4),
        (lambda: elementwise.sigmoid_slope(mp.mpf(0)), lambda: mp.mpf(1) / 4),
        (lambda: elementwise.tanh(mp.log(2)), lambda: mp.mpf(3) / 5),
        (lambda: elementwise.tanh_slope(mp.log(2)), lambda: mp.mpf(16) / 25),
        (lambda: elementwise.silu(mp.log(3)), lambda: 3 * mp.log(3) / 4),
        (lambda: elementwise.softplus(mp.log(3)), lambda: mp.log(4)),
        (lambda: elementwise.gelu_slope(mp.mpf(0)), lambda: mp.mpf(1) / 2),
        (lambda: elementwise.gelu(mp.mpf(2)), lambda: 1 + mp.erf(mp.sqrt(2))),
        (lambda: elementwise.gelu_tanh_slope(mp.mpf(0)), lambda: mp.mpf(1) / 2),
        (lambda: rows.softmax([mp.mpf(0), mp.log(3)])[1], lambda: mp.mpf(3) / 4),
        (lambda: rows.logsumexp([mp.mpf(0), mp.log(3)]), lambda: mp.log(4)),
        (lambda: rows.log_softmax([mp.mpf(0), mp.log(3)])[0], lambda: -mp.log(4)),
    ],
)
def test_closed_forms(found, expected) -> None:
    value = expected() if callable(expected) else expected
    assert abs(found() - value) < mp.mpf("1e-48")


def test_gelu_of_minus_thirty_has_all_its_digits() -> None:
    assert mp.nstr(elementwise.gelu(mp.mpf(-30)), 4) == "-1.472e-196"


def test_a_normalized_row_has_mean_0_and_variance_1() -> None:
    h, rstd = rows.normalized([mp.mpf(one) for one in (1, 2, 3, 6)], 0.0)
    expected = [one / mp.sqrt(mp.mpf("3.5")) for one in (-2, -1, 0, 3)]
    assert all(abs(a - b) < mp.mpf("1e-48") for a, b in zip(h, expected, strict=True))
    assert abs(rstd**2 - 1 / mp.mpf("3.5")) < mp.mpf("1e-48")


def test_a_row_divided_by_its_root_mean_square_has_square_1() -> None:
    h, rms = rows.of_square_1([mp.mpf(one) for one in (1, -1, 7, 7)], 0.0)
    expected = [one / mp.mpf(5) for one in (1, -1, 7, 7)]
    assert all(abs(a - b) < mp.mpf("1e-48") for a, b in zip(h, expected, strict=True))
    assert abs(rms - 5) < mp.mpf("1e-48")


def test_every_token_has_a_linear_layer_of_its_own() -> None:
    x, weight = [[[mp.mpf(1), mp.mpf(2)]] * 2], [[[mp.mpf(3), mp.mpf(4)]], [[mp.mpf(5), 6]]]
    assert layers.per_token_linear(x, weight, None) == [[[11], [17]]]
    assert layers.per_token_linear(x, weight, [[1], [2]]) == [[[12], [19]]]


def test_heads_of_all_tokens_become_tokens_and_tokens_again() -> None:
    x = [[["a1", "a2", "a3", "a4"], ["b1", "b2", "b3", "b4"], ["c1", "c2", "c3", "c4"]]]
    mixed = networks.heads(x, 2)
    assert mixed == [[["a1", "a2", "b1", "b2", "c1", "c2"], ["a3", "a4", "b3", "b4", "c3", "c4"]]]
    assert networks.heads(mixed, 3) == x


def test_each_head_has_a_matrix_over_the_tokens() -> None:
    x = [[[1, 2], [3, 4]]]
    assert layers.chunk_mixing(x, [[[0, 1], [1, 0]], [[1, 1], [0, 2]]]) == [[[3, 6], [1, 8]]]


def test_sinkhorn_s_steps_make_rows_and_columns_add_up_to_1() -> None:
    weight = [[mp.mpf(one) for one in row] for row in ([0, 1, -1], [2, 1, 0], [0, 3, 1])]
    matrix = layers.sinkhorn(weight, 1.0, 60)[-1][0]
    for sums in (map(mp.fsum, matrix), map(mp.fsum, layers.transposed(matrix))):
        assert all(abs(one - 1) < mp.mpf("1e-20") for one in sums)


def test_mixing_moves_the_chunks_of_the_guide() -> None:
    x = [[["a1", "a2", "a3", "a4"], ["b1", "b2", "b3", "b4"]]]
    assert layers.token_mix(x, 2, "rankmixer") == [
        [["a1", "a2", "b1", "b2"], ["a3", "a4", "b3", "b4"]]
    ]
    assert layers.token_mix(x, 2, "guide") == x


def test_mixing_back_undoes_mixing() -> None:
    x = [[[f"{t},{i}" for i in range(10)] for t in range(3)]]
    mixed = layers.token_mix(x, 5, "rankmixer")
    assert mixed != x
    assert layers.token_mix_gradient(mixed, 5, "rankmixer") == x


def test_attention_to_equal_keys_is_the_mean() -> None:
    one = mp.mpf(1)
    y = layers.attention([[[one, 0 * one]]], [[[one, one], [one, one]]], [[[2 * one], [4 * one]]])
    assert abs(y[0][0][0] - 3) < mp.mpf("1e-48")


def test_linear_and_embedding_of_small_numbers() -> None:
    x, weight = [[[mp.mpf(1), mp.mpf(2)]]], [[mp.mpf(3), mp.mpf(4)], [mp.mpf(5), mp.mpf(6)]]
    assert layers.linear(x, weight, None) == [[[11, 17]]]
    assert layers.embedding([[1, 0]], weight) == [[[5, 6], [3, 4]]]
    assert layers.embedding_gradient([[[1, 2], [3, 4]]], [[1, 1]], weight) == [[0, 0], [4, 6]]


def test_a_network_with_weights_of_zero_is_its_residual() -> None:
    x = [[[mp.mpf(1), mp.mpf(5)]]]
    p = {"norm.weight": [1, 1], "norm.bias": [0, 0]}
    p |= {"linear1.weight": [[0, 0]], "linear1.bias": [0]}
    p |= {"linear2.weight": [[0], [0]], "linear2.bias": [0, 0]}
    numbers = {name: mapped(mp.mpf, value) for name, value in p.items()}
    assert networks.feed_forward(x, numbers, "relu", 1e-5) == x


# The bounds ----------------------------------------------------------------------


def test_a_sum_of_products_has_the_bound_of_the_books() -> None:
    a = [Bounded(mp.mpf(one), mp.mpf(0)) for one in (1.5, -2.25, 3.0)]
    b = [mp.mpf(one) for one in (0.5, 4.0, -1.0)]
    sizes = mp.mpf("0.75") + 9 + 3
    assert dot(a, b) == Bounded(mp.mpf("-11.25"), 3 * mp.mpf(2) ** -53 * sizes)


def test_bounds_grow_with_every_operation_and_vanish_without_one() -> None:
    off = Bounded(mp.mpf(3), mp.mpf("1e-10"))
    assert error_of(mp.mpf(3)) == 0
    assert total([mp.mpf(1), mp.mpf(2)]) == 3
    assert -off == (-3, off.error)
    for one, value, factor in [
        (off + 1, 4, 1),
        (1 + off, 4, 1),
        (off - 1, 2, 1),
        (1 - off, -2, 1),
        (off * 2, 6, 2),
        (2 * off, 6, 2),
        (off * off, 9, 6),
        (off / 4, mp.mpf("0.75"), mp.mpf("0.25")),
        (off / off, 1, mp.mpf(2) / 3),
    ]:
        assert one.value == value
        rounding = one.error - factor * off.error
        assert abs(rounding - abs(one.value) * mp.mpf(2) ** -53) < 1e-30
    y = through(mp.exp, off, 2)
    assert y.error == pytest.approx(float(mp.exp(3)) * (1e-10 + 4 * 2.0**-53))


@pytest.mark.parametrize("case", [c for c in CASES if c.stage == "linear"], ids=name_of)
def test_a_bound_holds_for_float64_in_any_order(case) -> None:
    """Python's own floats, added from the left and from the right."""
    found = make_goldens.bounds(case)
    true = make_goldens.true_values(case, 50)["output"]
    slack = 2.0**-53 * max(abs(one) for one in leaves(true))
    for order in (1, -1):
        for xs, ys in zip(case.inputs["x"], true, strict=True):
            for x, y in zip(xs, ys, strict=True):
                for w, b, one in zip(case.inputs["weight"], case.inputs["bias"], y, strict=True):
                    products = [p * q for p, q in zip(w, x, strict=True)]
                    value = 0.0
                    for product in products[::order]:
                        value += product
                    assert abs(value + b - one) <= found["output"] + slack


# The file ------------------------------------------------------------------------


def test_a_subnormal_number_is_rounded_once() -> None:
    halfway = mp.ldexp(mp.mpf(3) / 2, -1074) - mp.ldexp(1, -1150)
    assert make_goldens.nearest(halfway) == 5e-324
    assert make_goldens.nearest(-mp.ldexp(mp.mpf(5), -1074)) == -5 * 5e-324
    assert make_goldens.nearest(mp.mpf(1) / 3) == 1 / 3
    assert make_goldens.nearest(mp.exp(mp.mpf(-1e10))) == 0.0


def test_numbers_are_exact_and_within_their_size() -> None:
    numbers = Numbers(1, places=9).array(1000, size=2.0)
    assert all((512 * one).is_integer() and abs(one) <= 2 for one in numbers)
    assert min(numbers) < -1.9 and max(numbers) > 1.9
    assert len(set(numbers)) > 700


def test_the_file_holds_what_the_oracle_gives(capsys) -> None:
    assert make_goldens.main(["--check"]) == 0
    assert "holds what the oracle gives" in capsys.readouterr().out


def test_a_changed_file_is_seen_and_written_anew(tmp_path, monkeypatch, capsys) -> None:
    right = make_goldens.FILE.read_text("ascii")
    file = tmp_path / "data" / "goldens.json"
    monkeypatch.setattr(make_goldens, "FILE", file)
    monkeypatch.setattr(make_goldens, "contents", lambda cases: right)
    assert make_goldens.main(["--check"]) == 1
    assert make_goldens.main(["--write"]) == 0
    assert make_goldens.main(["--check"]) == 0
    file.write_text(right.replace("0.5", "0.6", 1), "ascii")
    assert make_goldens.main(["--check"]) == 1
    assert "differs from the oracle" in capsys.readouterr().out


def test_a_case_that_needs_more_digits_is_refused() -> None:
    def canceling(inputs):
        return [one + mp.mpf(10) ** 60 - mp.mpf(10) ** 60 for one in inputs["x"]]

    case = Case("erf", "x", {}, {"x": [0.1]}, [1.0], canceling, lambda c, i: {"x": c})
    with pytest.raises(ArithmeticError, match="50 digits do not suffice"):
        make_goldens.golden(case)
