"""Elementary functions, joining and cutting, einsum."""

import itertools

import mpmath as mp
import numpy as np
import pytest
from oracle.derivatives import assert_matches_complex_step, slope, tape

import numixology as nx
from numixology import functional as F
from numixology.errors import ArgumentError, DTypeError, ShapeError

RNG = np.random.default_rng(11)
POSITIVE = RNG.uniform(0.1, 3.0, (2, 3))
ANY = RNG.normal(size=(2, 3))

# name, points, truth, true derivative
FUNCTIONS = [
    ("exp", ANY, mp.exp, mp.exp),
    ("expm1", ANY * 1e-6, mp.expm1, mp.exp),
    ("log", POSITIVE, mp.log, lambda x: 1 / x),
    ("log1p", ANY * 1e-6, mp.log1p, lambda x: 1 / (1 + x)),
    ("sqrt", POSITIVE, mp.sqrt, lambda x: 1 / (2 * mp.sqrt(x))),
    ("square", ANY, lambda x: x * x, lambda x: 2 * x),
]
NAMES = [row[0] for row in FUNCTIONS]


def exactly(truth, x):
    with mp.workdps(40):
        return np.array([float(truth(mp.mpf(float(v)))) for v in x.flat]).reshape(x.shape)


@pytest.mark.parametrize(("name", "x", "truth", "derivative"), FUNCTIONS, ids=NAMES)
class TestElementwise:
    def test_value_is_mpmath_s(self, name, x, truth, derivative):
        np.testing.assert_allclose(getattr(F, name)(x), exactly(truth, x), rtol=1e-15)

    def test_slope_is_mpmath_s(self, name, x, truth, derivative):
        np.testing.assert_allclose(slope(getattr(F, name), x), exactly(derivative, x), rtol=2e-15)

    def test_slope_is_that_of_a_complex_step(self, name, x, truth, derivative):
        assert_matches_complex_step(getattr(F, name), x)

    def test_second_and_third_derivatives_are_mpmath_s(self, name, x, truth, derivative):
        leaf = nx.tensor(x, requires_grad=True)
        y = getattr(F, name)(leaf) + leaf**4
        for order in (1, 2, 3):
            (y,) = nx.grad(y, leaf, np.ones(x.shape), create_graph=True)
            power = {1: lambda v: 4 * v**3, 2: lambda v: 12 * v**2, 3: lambda v: 24 * v}[order]
            want = exactly(lambda v, n=order: mp.diff(truth, v, n), x) + power(x)
            np.testing.assert_allclose(y.data, want, rtol=1e-9, atol=1e-9)

    def test_float32_stays_float32(self, name, x, truth, derivative):
        x = nx.tensor(x, dtype="float32", requires_grad=True)
        y = getattr(F, name)(x)
        assert y.dtype == np.float32
        assert nx.grad(y.sum(), x)[0].dtype == np.float32

    def test_numpy_s_namesake_records_the_same(self, name, x, truth, derivative):
        leaf = nx.tensor(x, requires_grad=True)
        y = getattr(np, name)(leaf)
        assert isinstance(y, nx.Tensor)
        assert y.requires_grad
        np.testing.assert_array_equal(y.data, getattr(F, name)(x))

    def test_array_in_array_out(self, name, x, truth, derivative):
        assert type(getattr(F, name)(x)) is np.ndarray


def test_edges_are_ieee_s_without_a_warning():
    x = np.array([0.0, -1.0, np.inf, np.nan])
    np.testing.assert_array_equal(F.log(x), [-np.inf, np.nan, np.inf, np.nan])
    np.testing.assert_array_equal(F.log1p(x), [0.0, -np.inf, np.inf, np.nan])
    np.testing.assert_array_equal(F.sqrt(x), [0.0, np.nan, np.inf, np.nan])
    np.testing.assert_array_equal(F.exp(np.array([1e3, -1e3])), [np.inf, 0.0])
    np.testing.assert_array_equal(slope(F.sqrt, [0.0]), [np.inf])


class TestConcatenate:
    def test_values_and_gradients_are_each_part_s_own(self):
        parts = [RNG.normal(size=(2, n, 3)) for n in (1, 4, 2)]
        ct = RNG.normal(size=(2, 7, 3))
        got = tape(lambda *p: F.concatenate(p, axis=1), parts, ct)
        np.testing.assert_array_equal(got[0], ct[:, :1])
        np.testing.assert_array_equal(got[1], ct[:, 1:5])
        np.testing.assert_array_equal(got[2], ct[:, 5:])
        np.testing.assert_array_equal(F.concatenate(parts, -2), np.concatenate(parts, 1))

    def test_the_same_part_twice_gets_both(self):
        x = nx.tensor([1.0, 2.0], requires_grad=True)
        F.concatenate([x, x]).backward(np.array([1.0, 10.0, 100.0, 1000.0]))
        assert x.grad.tolist() == [101.0, 1010.0]

    def test_arrays_and_lists_beside_tensors(self):
        x = nx.tensor([1.0, 2.0], requires_grad=True)
        y = np.concatenate([[5.0], x, np.array([7.0]), x * 1])
        assert y.tolist() == [5.0, 1.0, 2.0, 7.0, 1.0, 2.0]
        y.backward(np.arange(6.0))
        assert x.grad.tolist() == [1.0 + 4.0, 2.0 + 5.0]

    def test_no_parts_or_one_tensor(self):
        with pytest.raises(ShapeError, match=r"concatenate takes a list of parts: got \[\]"):
            F.concatenate([])
        with pytest.raises(ShapeError, match=r"got shape \(2, 1\) of float64; list them"):
            F.concatenate(nx.tensor([[1.0], [2.0]]))

    def test_axis_outside(self):
        with pytest.raises(ShapeError, match="a tensor of 1 dimensions lies from -1 to 0: got 1"):
            F.concatenate([nx.tensor([1.0])], axis=1)
        with pytest.raises(ShapeError, match="got -2"):
            F.concatenate([nx.tensor([1.0])], axis=-2)

    def test_parts_that_do_not_fit(self):
        with pytest.raises(ShapeError, match="concatenate needs arguments that fit together"):
            F.concatenate([nx.tensor([[1.0]]), nx.tensor([[1.0, 2.0]])])


class TestStack:
    @pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
    def test_it_is_numpy_s(self, axis):
        parts = [RNG.normal(size=(2, 3)) for _ in range(4)]
        want = np.stack(parts, axis)
        np.testing.assert_array_equal(F.stack(parts, axis), want)
        ct = RNG.normal(size=want.shape)
        for i, got in enumerate(tape(lambda *p: np.stack(p, axis), parts, ct)):
            np.testing.assert_array_equal(got, np.take(ct, i, axis))

    def test_a_list_beside_a_tensor(self):
        assert np.stack([nx.tensor([1.0, 2.0]), [3.0, 4.0]]).tolist() == [[1.0, 2.0], [3.0, 4.0]]

    def test_parts_of_different_shapes(self):
        with pytest.raises(ShapeError, match=r"one shape: got \[\(1,\), \(2,\)\]; use concatenate"):
            F.stack([nx.tensor([1.0]), nx.tensor([1.0, 2.0])])

    def test_no_parts(self):
        with pytest.raises(ShapeError, match=r"stack takes a list of parts: got \[\]"):
            F.stack([])


class TestSplit:
    @pytest.mark.parametrize("cuts", [1.5, "2", None, [1.5], [np.float64(1.0)], ["1"], [[1], 2]])
    def test_cuts_are_integers(self, cuts):
        x = nx.tensor(np.arange(4.0))
        for split in (F.split, np.split):
            with pytest.raises(DTypeError, match="a place to cut at must be an integer"):
                split(x, cuts)

    @pytest.mark.parametrize("where", [3, np.int64(2), [1, 4], np.array([2]), [], [0, 6]])
    @pytest.mark.parametrize("axis", [1, -2])
    def test_it_is_numpy_s(self, where, axis):
        x = RNG.normal(size=(2, 6, 3))
        got = F.split(nx.tensor(x), where, axis)
        want = np.split(x, where, axis)
        assert len(got) == len(want)
        for one, other in zip(got, want, strict=True):
            np.testing.assert_array_equal(one.data, other)
        assert len(np.split(nx.tensor(x), where, axis)) == len(want)

    def test_gradients_return_to_their_places(self):
        x = nx.tensor(np.zeros((2, 6)), requires_grad=True)
        _, middle, _ = F.split(x, [1, 3], axis=1)
        middle.backward(np.array([[1.0, 2.0], [3.0, 4.0]]))
        assert x.grad.tolist() == [[0, 1, 2, 0, 0, 0], [0, 3, 4, 0, 0, 0]]

    @pytest.mark.parametrize("sections", [4, 0, -2])
    def test_unequal_parts(self, sections):
        with pytest.raises(ShapeError, match=f"equal parts: got 6 in {sections}; give the places"):
            F.split(nx.tensor(np.zeros(6)), sections)

    def test_no_such_axis(self):
        with pytest.raises(ShapeError, match="an axis of a tensor of 1 dimensions"):
            F.split(nx.tensor(np.zeros(6)), 2, axis=1)


SIZES = dict(zip("bijkm", (2, 3, 4, 5, 2), strict=True))


class TestEinsum:
    def test_lists_of_numbers_for_letters_are_refused_in_words(self):
        x = nx.tensor(np.ones((2, 3)))
        with pytest.raises(DTypeError, match=r'as text.*write einsum\("ij,j->i"'):
            np.einsum(x, [0, 1], [1])

    def test_operands_are_arrays(self):
        x = nx.tensor(np.ones((2, 3)))
        assert F.einsum("ij,j->i", x, [1.0, 2.0, 3.0]).tolist() == [6.0, 6.0]
        with pytest.raises(ShapeError, match="nested lists of equal lengths"):
            F.einsum("ij->i", [[1], [2, 3]])

    @pytest.mark.parametrize(
        "subscripts",
        [
            "bij,bjk->bik",
            "ij,jk",
            "ij->ji",
            "ij->j",
            "ij->",
            "i,i",
            "i,j->ij",
            "i,j->",
            "ij,j,jk->ki",
            "bi, b -> i",
            "ba,cd",
            ",i->i",
        ],
    )
    def test_values_and_gradients(self, subscripts):
        sizes = {**SIZES, "a": 3, "c": 4, "d": 5}
        groups = subscripts.replace(" ", "").partition("->")[0].split(",")
        operands = [RNG.normal(size=[sizes[s] for s in group]) for group in groups]
        np.testing.assert_allclose(
            F.einsum(subscripts, *operands), np.einsum(subscripts, *operands), rtol=1e-13
        )
        assert_matches_complex_step(lambda *x: F.einsum(subscripts, *x), *operands)

    def test_it_is_the_loop_that_it_stands_for(self):
        a = RNG.integers(-5, 5, (2, 3, 4))
        b = RNG.integers(-5, 5, (4, 3))
        want = np.zeros((3, 2), int)
        for i, j, k in itertools.product(range(2), range(3), range(4)):
            want[j, i] += a[i, j, k] * b[k, j]
        np.testing.assert_array_equal(F.einsum("ijk,kj->ji", a, b), want)

    def test_second_order(self):
        a, b = RNG.normal(size=(3, 4)), RNG.normal(size=(4,))
        x, y = nx.tensor(a, requires_grad=True), nx.tensor(b, requires_grad=True)
        out = np.einsum("ij,j->i", x, y)
        (first,) = nx.grad((out * out).sum(), y, create_graph=True)
        np.testing.assert_allclose(first.data, 2 * a.T @ a @ b)
        (second,) = nx.grad(first.sum(), y)
        np.testing.assert_allclose(second.data, 2 * (a.T @ a).sum(0))

    def test_gradients_keep_float32(self):
        x = nx.tensor(np.ones((2, 3)), dtype="float32", requires_grad=True)
        (gradient,) = nx.grad(F.einsum("ij->", x), x)
        assert gradient.dtype == np.float32
        assert gradient.tolist() == [[1.0] * 3] * 2

    @pytest.mark.parametrize("subscripts", ["ii->i", "i...->i", "ij->ii", "i->j", "i1->i"])
    def test_subscripts_that_it_does_not_know(self, subscripts):
        with pytest.raises(ArgumentError, match="each once in a group.*diagonals by indexing"):
            F.einsum(subscripts, np.zeros((2, 2)))

    def test_operands_that_do_not_match(self):
        with pytest.raises(ShapeError, match=r"one operand per group.*shapes \(2,\); count"):
            F.einsum("ij->i", np.zeros(2))
        with pytest.raises(ShapeError, match="one operand per group"):
            F.einsum("ij,j->i", np.zeros((2, 3)))

    @pytest.mark.parametrize("length", [1, 4])
    def test_a_letter_has_one_length(self, length):
        x = nx.tensor(np.ones(length), requires_grad=True)
        with pytest.raises(ShapeError, match=f"j is both 3 and {length}"):
            F.einsum("ij,j->i", nx.tensor(np.ones((2, 3))), x)
