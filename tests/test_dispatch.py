"""NumPy's functions on tensors: recorded, or refused, never answered off the tape."""

import inspect

import numpy as np
import pytest
from support import numbers, refused

import numixology as nx
from numixology import functional as F
from numixology.errors import ArgumentError, DTypeError, ShapeError
from numixology.primitives import HANDLED_FUNCTIONS


def leaf(data, dtype=None) -> nx.Tensor:
    return nx.tensor(data, dtype=dtype, requires_grad=True)


def same(found, expected) -> None:
    assert type(found) is nx.Tensor
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-14)
    assert found.shape == np.shape(expected)


A, B, MASK = numbers(2, 3), numbers(3, seed=1), np.array([True, False, True])

# each is NumPy's call, tried on arrays first and then with tensors in the place of A and B
CALLS = {
    "exp": lambda a, b: np.exp(a),
    "expm1": lambda a, b: np.expm1(a),
    "log": lambda a, b: np.log(a),
    "log1p": lambda a, b: np.log1p(a),
    "sqrt": lambda a, b: np.sqrt(a),
    "square": lambda a, b: np.square(a),
    "tanh": lambda a, b: np.tanh(a),
    "abs": lambda a, b: np.abs(a - 1) + np.absolute(-b),
    "sign": lambda a, b: np.sign(a - 1) * a,
    "negative": lambda a, b: np.negative(a),
    "add": lambda a, b: np.add(a, b),
    "subtract": lambda a, b: np.subtract(a, b),
    "multiply": lambda a, b: np.multiply(a, b),
    "divide": lambda a, b: np.divide(a, b) + np.true_divide(b, a),
    "floor_divide": lambda a, b: np.floor_divide(a, b) * a,
    "remainder": lambda a, b: np.remainder(a, b) + np.mod(b, a),
    "power": lambda a, b: np.power(a, b),
    "maximum": lambda a, b: np.maximum(a, b),
    "minimum": lambda a, b: np.minimum(a, b),
    "matmul": lambda a, b: np.matmul(a, b),
    "where": lambda a, b: np.where(MASK, a, b),
    "clip": lambda a, b: np.clip(a, 0.9, 1.6) * a,
    "clip by name": lambda a, b: np.clip(a, a_min=0.9, a_max=None) * a,
    "sum": lambda a, b: np.sum(a),
    "sum of an axis": lambda a, b: np.sum(a, 1),
    "sum kept": lambda a, b: np.sum(a, axis=(0, 1), keepdims=True),
    "sum by place": lambda a, b: np.sum(a, 0, None, None, True),
    "sum by name": lambda a, b: np.sum(axis=0, a=a),
    "mean": lambda a, b: np.mean(a, axis=-1),
    "mean by place": lambda a, b: np.mean(a, 0, None, None, True),
    "var": lambda a, b: np.var(a, axis=0),
    "var by place": lambda a, b: np.var(a, 1, None, None, 1, True),
    "var by name": lambda a, b: np.var(a, ddof=1, keepdims=True),
    "max": lambda a, b: np.max(a, axis=0) + np.amax(a),
    "max by place": lambda a, b: np.max(a, 1, None, True),
    "min": lambda a, b: np.min(a, axis=0, keepdims=True) + np.amin(a),
    "prod": lambda a, b: np.prod(a, axis=1),
    "prod by place": lambda a, b: np.prod(a, 1, None, None, True),
    "cumsum": lambda a, b: np.cumsum(a, axis=1),
    "cumsum of all": lambda a, b: np.cumsum(a),
    "reshape": lambda a, b: np.reshape(a, (3, 2)),
    "reshape by -1": lambda a, b: np.reshape(a, -1),
    "transpose": lambda a, b: np.transpose(a),
    "transpose axes": lambda a, b: np.transpose(a, axes=(1, 0)),
    "squeeze": lambda a, b: np.squeeze(a[None]) + np.squeeze(a[:, None], axis=1),
    "expand_dims": lambda a, b: np.expand_dims(a, 1),
    "broadcast_to": lambda a, b: np.broadcast_to(b, (4, 3)),
    "concatenate": lambda a, b: np.concatenate((a, b[None])),
    "concatenate last": lambda a, b: np.concatenate([a, a], axis=1),
    "stack": lambda a, b: np.stack([b, b], axis=1),
    "split": lambda a, b: np.split(a, [1, 2], axis=1)[1],
    "einsum": lambda a, b: np.einsum("ij,j->i", a, b),
}

# operators with an array on the left, which ask the ufunc
CALLS |= {
    "array + tensor": lambda a, b: A + b,
    "array * tensor": lambda a, b: A * b,
    "array @ tensor": lambda a, b: A @ b,
    "number * tensor": lambda a, b: np.float64(2.0) * a,
    "number ** tensor": lambda a, b: np.float64(2.0) ** a,
    "float32 * tensor": lambda a, b: np.float32(2.0) * a,
}


@pytest.mark.parametrize("name", CALLS)
def test_numpys_functions_are_recorded(name) -> None:
    call = CALLS[name]
    expected = call(A, B)
    x, y = leaf(A), leaf(B)
    found = call(x, y)
    same(found, expected)
    assert found.requires_grad
    wanted = [t for t in (x, y) if depends(found, t)]
    ct = numbers(*found.shape, seed=5)
    step = 1e-6
    for t, gradient in zip(wanted, nx.grad(found, wanted, ct), strict=True):
        moves = numbers(*t.shape, seed=6) - 1.25
        ahead, behind = (
            call(*(one.numpy() + s * moves if one is t else one.numpy() for one in (x, y)))
            for s in (step, -step)
        )
        slope = np.sum(ct * (ahead - behind)) / (2 * step)
        np.testing.assert_allclose((gradient.numpy() * moves).sum(), slope, rtol=1e-6, atol=1e-7)


def depends(output: nx.Tensor, t: nx.Tensor) -> bool:
    try:
        nx.grad(output, t, np.ones(output.shape))
    except nx.errors.TapeError:
        return False
    return True


def test_every_function_of_the_contract_has_its_namesake() -> None:
    names = """
        exp expm1 log log1p sqrt square abs sign maximum minimum clip where power tanh
        matmul einsum sum mean var max min prod cumsum
        concatenate stack split reshape transpose squeeze expand_dims broadcast_to
    """
    for name in names.split():
        assert getattr(np, name) in HANDLED_FUNCTIONS, name
        assert callable(getattr(F, name))


def test_comparisons_from_the_left() -> None:
    t = nx.tensor(B)
    for call in (
        lambda t: A < t,  # noqa: SIM300
        lambda t: A == t,  # noqa: SIM300
        lambda t: np.float64(1.0) != t,
        lambda t: np.greater_equal(t, 1.0),
        lambda t: np.logical_and(t > 1, MASK),
        lambda t: np.logical_not(t > 1),
        lambda t: MASK & (t > 1),
    ):
        found = call(t)
        assert type(found) is nx.Tensor
        np.testing.assert_array_equal(found.numpy(), call(B), strict=True)


def test_what_an_array_is() -> None:
    t = leaf(A)
    assert np.shape(t) == (2, 3)
    assert np.ndim(t) == 2
    assert np.size(t) == 6
    assert np.size(t, 0) == np.size(a=t, axis=0) == 2
    assert np.isrealobj(t) and not np.iscomplexobj(t)
    assert np.result_type(t, np.float32) == np.float64
    assert np.shares_memory(t, t.data) and np.may_share_memory(t.data, t)
    odd = leaf([1.0, np.nan, -np.inf])
    for ask in (np.isfinite, np.isnan, np.isinf, np.signbit):
        np.testing.assert_array_equal(ask(odd), ask(odd.data))
    with refused(DTypeError, "np.isnan(..., out=...)"):
        np.isnan(odd, out=np.zeros(3, bool))


def test_what_is_made_in_the_shape_of_a_tensor_is_a_tensor() -> None:
    t = leaf([[1.0, 2.0]], "float32")
    for made, number in (
        (np.zeros_like(t), 0.0),
        (np.ones_like(t), 1.0),
        (np.full_like(t, 2.5), 2.5),
    ):
        assert type(made) is nx.Tensor
        assert (made.dtype, made.tolist(), made.requires_grad) == (t.dtype, [[number] * 2], False)
        with refused(DTypeError, "do not change"):
            made[0] = t[0]
    assert (np.empty_like(t).shape, np.empty_like(t).dtype) == (t.shape, t.dtype)
    assert np.ones_like(t, dtype=np.int64).dtype == np.int64
    assert np.zeros_like(t, np.float64).dtype == np.float64
    assert np.full_like(t, 3, np.int32).tolist() == [[3, 3]]


# What cannot be recorded


UNRECORDED = {
    "out": (lambda t: np.exp(t, out=np.zeros((2, 3))), ["np.exp(..., out=...)", "y = y + t"]),
    "out of sum": (lambda t: np.sum(t, out=np.zeros(())), ["np.sum(..., out=...)"]),
    "out by place": (lambda t: np.max(t, 0, np.zeros(3)), ["np.max(..., out=...)"]),
    "into a tensor": (
        lambda t: np.add(np.zeros((2, 3)), np.zeros((2, 3)), out=t),
        ["np.add with a tensor to write into"],
    ),
    "one argument too many": (lambda t: np.tanh(t, t), ["np.tanh", "one argument less", "jvp"]),
    "where": (lambda t: np.exp(t, where=A > 1), ["np.exp(..., where=...)", "nx.functional.where"]),
    "where of sum": (lambda t: np.sum(t, where=A > 1), ["np.sum(..., where=...)"]),
    "dtype": (
        lambda t: np.add(t, 1, dtype=np.float32),
        ["np.add(..., dtype=...)", ".astype(...)"],
    ),
    "dtype of sum": (lambda t: np.sum(t, dtype=np.float32), ["np.sum(..., dtype=...)"]),
    "dtype by place": (lambda t: np.sum(t, 0, np.float32), ["np.sum(..., dtype=...)"]),
    "dtype of mean by place": (lambda t: np.mean(t, 0, np.float32), ["dtype"]),
    "initial": (lambda t: np.sum(t, initial=5.0), ["np.sum(..., initial=...)", "with +"]),
    "initial of max": (lambda t: np.max(t, initial=5.0), ["initial", "nx.functional.maximum"]),
    "a word of nobody": (lambda t: np.var(t, mean=0.0), ["mean=", "nx.functional.var"]),
    "order": (lambda t: np.reshape(t, (3, 2), order="F"), ["np.reshape(..., order=...)"]),
    "order by place": (lambda t: np.reshape(t, (3, 2), "F"), ["np.reshape(..., order=...)"]),
    "casting": (lambda t: np.add(t, 1, casting="no"), ["casting"]),
    "signature": (lambda t: np.add(t, 1, signature="dd->d"), ["np.add(..., signature=...)"]),
    "axes": (
        lambda t: np.matmul(t, t, axes=[(0, 1), (1, 0), (0, 1)]),
        ["np.matmul(..., axes=...)"],
    ),
    "unknown words": (lambda t: np.clip(t, 0, 1, dtype=np.float32), ["np.clip(..., dtype=...)"]),
    "correction": (
        lambda t: np.var(t, correction=1),
        ["correction=...)", "write ddof="],
    ),
    "optimize": (lambda t: np.einsum("ij->i", t, optimize=True), ["optimize"]),
    "at": (lambda t: np.add.at(t, [0], 1.0), ["np.add.at", "nx.functional"]),
    "at an array": (lambda t: np.add.at(np.zeros((2, 3)), ..., t), ["np.add.at"]),
    "reduce": (lambda t: np.add.reduce(t), ["np.add.reduce", "nx.functional"]),
    "accumulate": (lambda t: np.add.accumulate(t), ["np.add.accumulate"]),
    "outer": (lambda t: np.multiply.outer(t, t), ["np.multiply.outer"]),
    "sin": (lambda t: np.sin(t), ["np.sin", "nx.functional", "np.sin(np.asarray(t))"]),
    "divmod": (lambda t: np.divmod(t, 2.0), ["np.divmod"]),
    "bitwise shift": (lambda t: np.left_shift(t, 1), ["np.left_shift"]),
    "sort": (lambda t: np.sort(t), ["np.sort", "np.sort(np.asarray(t))"]),
    "argmax": (lambda t: np.argmax(t), ["np.argmax"]),
    "median": (lambda t: np.median(t), ["np.median"]),
    "std": (lambda t: np.std(t), ["np.std"]),
    "dot": (lambda t: np.dot(t, B), ["np.dot"]),
    "norm": (lambda t: np.linalg.norm(t), ["np.linalg.norm"]),
    "allclose": (lambda t: np.allclose(t, A), ["np.allclose"]),
    "in a list": (lambda t: np.vstack([A, t]), ["np.vstack"]),
    "copyto": (lambda t: np.copyto(np.zeros((2, 3)), t), ["np.copyto"]),
}


@pytest.mark.parametrize("name", UNRECORDED)
def test_whatever_else_is_refused(name) -> None:
    call, says = UNRECORDED[name]
    for t in (leaf(A), nx.tensor(A)):
        with refused(DTypeError, "must be recorded", *says):
            call(t)


def test_arrays_do_not_swallow_tensors() -> None:
    array, t = np.zeros((2, 3)), leaf(A)
    for act in ("+=", "-=", "*=", "/=", "**=", "//=", "%="):
        with refused(DTypeError, "out=...", "write y = y + t"):
            exec(f"array {act} t", {"array": array, "t": t})
    assert not array.any()
    matrix = np.eye(3)
    with refused(DTypeError, "out=..."):
        matrix @= leaf(np.eye(3))
    y = array
    y = y + t
    same(y, A)


def test_defaults_may_be_spelled_out() -> None:
    t = leaf(A)
    same(np.sum(t, axis=None, dtype=None, out=None), A.sum())
    same(np.max(t, axis=1, out=None, keepdims=False), A.max(1))
    same(np.reshape(t, (3, 2), order="C"), A.reshape(3, 2))
    same(np.exp(t, out=None), np.exp(A))


def test_arguments_are_checked_as_those_of_our_own() -> None:
    t = leaf(A)
    with refused(ShapeError, "axis", "5"):
        np.sum(t, axis=5)
    with refused(ArgumentError, "bound"):
        np.clip(t, None, None)
    with refused(DTypeError, "real numbers", "complex128"):
        np.add(t, np.array([1j]))
    with refused(DTypeError, "where"):
        np.where(t > 1)


def test_a_tensor_on_either_side_of_a_numpy_number() -> None:
    t = leaf([1.0, 2.0], np.float32)
    assert (np.float64(2) * t).dtype == np.float64
    assert (np.float32(2) * t).dtype == np.float32
    assert (2.0 * t).dtype == np.float32


# As an array


def test_asarray_is_a_view_that_cannot_be_written() -> None:
    t = leaf(A)
    view = np.asarray(t)
    assert type(view) is np.ndarray
    assert np.shares_memory(view, t.data)
    np.testing.assert_array_equal(view, A)
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 5.0
    t.data[0, 0] = 5.0
    assert view[0, 0] == 5.0
    assert t.data.flags.writeable


def test_array_is_a_copy_that_can() -> None:
    t = leaf(A)
    copy = np.array(t)
    copy[0, 0] = 5.0
    np.testing.assert_array_equal(t.numpy(), A)
    assert not np.shares_memory(copy, t.data)


def test_the_array_protocol_in_full() -> None:
    t = leaf(A)
    assert np.shares_memory(t.__array__(copy=False), t.data)
    assert np.shares_memory(t.__array__(np.float64), t.data)
    assert np.shares_memory(t.__array__("float64", copy=False), t.data)
    assert not np.shares_memory(t.__array__(np.float64, copy=True), t.data)
    assert not t.__array__().flags.writeable
    assert t.__array__(copy=True).flags.writeable
    for found in (
        t.__array__(np.float32),
        t.__array__(np.float32, copy=True),
        np.asarray(t, np.float32),
        np.array(t, "f4"),
    ):
        np.testing.assert_array_equal(found, A.astype(np.float32), strict=True)
        assert found.flags.writeable
    for ask in (
        lambda: t.__array__(np.float32, copy=False),
        lambda: np.asarray(t, "f4", copy=False),
    ):
        with pytest.raises(ValueError, match="copy"):
            ask()
    assert np.shares_memory(np.asarray(t, copy=False), t.data)


def test_numpys_own_assertions_take_tensors() -> None:
    np.testing.assert_array_equal(leaf(A), A)
    np.testing.assert_allclose(leaf(A), leaf(A))
    np.testing.assert_almost_equal(leaf(A), A)
    np.testing.assert_array_almost_equal(A, leaf(A))
    np.testing.assert_equal(leaf(A), A)
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(leaf(A), A + 1)


def test_the_message_names_functions_without_a_module() -> None:
    """Functions that others dispatch may not say where they live."""

    class Nameless:
        __name__ = "mine"
        __module__ = None

    with refused(DTypeError, "np.mine"):
        nx.tensor(1.0).__array_function__(Nameless(), (), (), {})


def test_functions_whose_arguments_have_no_known_names_are_called_by_place(monkeypatch) -> None:
    """Some versions of NumPy keep the names of functions that are written in C to themselves."""
    monkeypatch.setitem(
        HANDLED_FUNCTIONS, dict, lambda first, second, *, third=0: (first, second, third)
    )
    with pytest.raises(ValueError, match="signature"):
        inspect.signature(dict)
    t = nx.tensor(1.0)
    assert t.__array_function__(dict, (), (t, 2), {"third": 3}) == (t, 2, 3)
