"""Sequences of view, permute, slice and their relatives, one by one against torch.

After every step: the same shape, strides, contiguity and values, the same answer to whether
memory is shared with the step before, and the same gradient at the end. Where one refuses, so
does the other.
"""

import numpy as np
import pytest
import torch
from backends.agreement import of_torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import numixology as nx

REFUSALS = (RuntimeError, IndexError, ValueError, TypeError)

# Steps: a name and its arguments, drawn for the shape they will meet, now and then not fitting it


@st.composite
def factored(draw, size):
    """A shape of that many values."""
    lengths = []
    left = size
    while left > 1 and len(lengths) < 4:
        length = draw(st.sampled_from([n for n in range(1, left + 1) if left % n == 0]))
        lengths.append(length)
        left //= length
    if left != 1 or draw(st.integers(0, 5)) == 0:
        lengths.append(left)
    lengths = draw(st.permutations(lengths))
    if draw(st.integers(0, 3)) == 0:
        lengths = [*lengths, 1]
    if lengths and draw(st.integers(0, 3)) == 0:
        lengths[draw(st.integers(0, len(lengths) - 1))] = -1
    if draw(st.integers(0, 9)) == 0:
        lengths = [*lengths, draw(st.integers(-2, 3))]
    return tuple(lengths)


def axes(ndim):
    """Mostly an axis; now and then one too far."""
    return st.integers(-ndim - (ndim > 1), max(ndim, 1) if ndim > 1 else ndim - 1)


@st.composite
def slices(draw, length):
    bound = st.none() | st.integers(-length - 2, length + 2)
    return slice(draw(bound), draw(bound), draw(st.none() | st.integers(1, 3)))


@st.composite
def indices(draw, shape):
    parts = []
    for length in shape[: draw(st.integers(0, len(shape)))]:
        if length and draw(st.integers(0, 3)) == 0:
            parts.append(draw(st.integers(-length, length - 1)))
        else:
            parts.append(draw(slices(length)))
    for extra in draw(st.lists(st.sampled_from(["None", "Ellipsis", "far"]), max_size=2)):
        at = draw(st.integers(0, len(parts)))
        if extra == "None":
            parts.insert(at, None)
        elif extra == "Ellipsis" and Ellipsis not in parts:
            parts.insert(len(parts), Ellipsis)
        elif extra == "far" and draw(st.integers(0, 3)) == 0:
            parts.insert(at, draw(st.sampled_from([-9, 9])))
    return tuple(parts)


@st.composite
def steps(draw, shape):
    ndim, size = len(shape), int(np.prod(shape))
    kinds = ["view", "view", "reshape", "permute", "permute", "contiguous", "index", "index"]
    kinds += ["broadcast_to", "squeeze"]
    if ndim:
        kinds += ["transpose", "transpose", "flatten", "unflatten"]
    kind = draw(st.sampled_from(kinds))
    if kind in ("view", "reshape"):
        return kind, draw(factored(size))
    if kind == "permute":
        dims = draw(st.permutations(range(ndim)))
        if dims and draw(st.integers(0, 9)) == 0:
            dims = [*dims[:-1], draw(axes(ndim))]
        return kind, tuple(d - ndim if draw(st.booleans()) else d for d in dims)
    if kind == "transpose":
        return kind, (draw(axes(ndim)), draw(axes(ndim)))
    if kind == "flatten":
        start, end = draw(axes(ndim)), draw(axes(ndim))
        if draw(st.integers(0, 4)) and ndim:
            start, end = sorted((start % ndim, end % ndim))
        return kind, (start, end)
    if kind == "unflatten":
        axis = draw(st.integers(-ndim, ndim - 1))
        sizes = draw(factored(shape[axis])) or (1,)
        return kind, (axis, sizes)
    if kind == "index":
        return kind, draw(indices(shape))
    if kind == "squeeze":
        ones = [i for i, n in enumerate(shape) if n == 1]
        return kind, () if not ones or draw(st.booleans()) else (draw(st.sampled_from(ones)),)
    if kind == "broadcast_to":
        wanted = [draw(st.integers(0, 3)) if n == 1 else n for n in shape]
        if draw(st.integers(0, 9)) == 0:
            wanted = [n + 1 for n in wanted]
        return kind, tuple(draw(st.lists(st.integers(1, 2), max_size=1)) + wanted)
    return kind, ()


def ours(x, kind, arguments):
    if kind == "index":
        return x[arguments]
    if kind == "broadcast_to":
        return nx.functional.broadcast_to(x, arguments)
    if kind in ("view", "reshape", "permute"):  # in both spellings: numbers, and one sequence
        return getattr(x, kind)(*arguments) if arguments else getattr(x, kind)(())
    return getattr(x, kind)(*arguments)


def torches(x, kind, arguments):
    if kind == "index":
        return x[arguments]
    if kind == "broadcast_to":
        return torch.broadcast_to(x, arguments)
    if kind in ("view", "reshape", "permute"):
        return getattr(x, kind)(arguments)
    return getattr(x, kind)(*arguments)


def attempt(function, *arguments):
    """The result, or what it raised."""
    try:
        return function(*arguments)
    except REFUSALS as error:
        return error


def long_strides(shape, strides):
    """Strides of axes of length one mean nothing, nor do any of an empty tensor."""
    return [s for n, s in zip(shape, strides, strict=True) if n > 1] if 0 not in shape else None


def same(x, t):
    assert x.shape == tuple(t.shape)
    assert long_strides(x.shape, x.stride()) == long_strides(t.shape, t.stride())
    assert x.is_contiguous() == t.is_contiguous()
    np.testing.assert_array_equal(np.asarray(x), t.numpy(force=True))


def shares_memory(a, b):
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_sequence_of_steps_does_what_it_does_in_torch(data):
    shape = tuple(data.draw(st.lists(st.sampled_from([2, 3, 4, 1, 6, 0]), max_size=4)))
    values = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    leaf, leaf_torch = nx.tensor(values, requires_grad=True), of_torch(values, True)
    x, t = leaf, leaf_torch
    for _ in range(data.draw(st.integers(1, 8))):
        step = data.draw(steps(x.shape))
        y, u = attempt(ours, x, *step), attempt(torches, t, *step)
        refused = isinstance(y, Exception), isinstance(u, Exception)
        assert refused[0] == refused[1], (step, x.shape, x.stride(), y, u)
        event(f"{step[0]}, {'refused' if refused[0] else 'done'}")
        if refused[0]:
            assert isinstance(y, nx.errors.NumixologyError), repr(y)
            continue
        same(y, u)
        if y.size and y.ndim:
            assert np.shares_memory(x.data, y.data) == shares_memory(t, u), step
        x, t = y, u
    if x is not leaf:
        weights = np.random.default_rng(0).standard_normal(x.shape)
        (gradient,) = nx.grad(x, leaf, weights)
        (wanted,) = torch.autograd.grad(t, leaf_torch, of_torch(weights))
        np.testing.assert_allclose(np.asarray(gradient), wanted.numpy(), rtol=1e-12, atol=1e-12)


@settings(max_examples=100)
@given(st.data())
def test_a_view_is_refused_exactly_where_torch_refuses_it(data):
    """Every shape of the same number of values, after a permutation, a slice and an expansion."""
    shape = tuple(data.draw(st.lists(st.sampled_from([1, 2, 3, 4]), min_size=1, max_size=4)))
    values = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    x, t = nx.tensor(values), of_torch(values)
    order = data.draw(st.permutations(range(len(shape))))
    x, t = x.permute(*order), t.permute(*order)
    index = tuple(data.draw(slices(n)) for n in x.shape)
    x, t = x[index], t[index]
    wide = tuple(data.draw(st.sampled_from([n, 2])) if n == 1 else n for n in x.shape)
    x, t = nx.functional.broadcast_to(x, wide), t.expand(wide)
    same(x, t)
    for _ in range(5):
        wanted = data.draw(factored(x.size))
        y, u = attempt(ours, x, "view", wanted), attempt(torches, t, "view", wanted)
        assert isinstance(y, Exception) == isinstance(u, Exception), (x.shape, x.stride(), wanted)
        event(f"refused: {isinstance(y, Exception)}")
        if not isinstance(y, Exception):
            same(y, u)
        copied, copied_torch = (
            attempt(ours, x, "reshape", wanted),
            attempt(torches, t, "reshape", wanted),
        )
        assert isinstance(copied, Exception) == isinstance(copied_torch, Exception)
        if not isinstance(copied, Exception):
            same(copied, copied_torch)


@settings(max_examples=100)
@given(st.data())
def test_negative_steps_which_torch_refuses_are_numpy_s(data):
    shape = tuple(data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=3)))
    values = np.random.default_rng(0).standard_normal(shape)
    parts = []
    for length in shape[: data.draw(st.integers(1, len(shape)))]:
        bound = st.none() | st.integers(-length - 2, length + 2)
        step = data.draw(st.sampled_from([-1, -2, -3, 1, 2]))
        parts.append(slice(data.draw(bound), data.draw(bound), step))
    index = tuple(parts)
    leaf = nx.tensor(values, requires_grad=True)
    y = leaf[index]
    np.testing.assert_array_equal(np.asarray(y), values[index])
    if any(part.step < 0 for part in parts):
        with pytest.raises(ValueError, match="step"):
            of_torch(values)[index]
    weights = np.random.default_rng(1).standard_normal(y.shape)
    wanted = np.zeros(shape)
    wanted[index] = weights
    np.testing.assert_array_equal(np.asarray(nx.grad(y, leaf, weights)[0]), wanted)


def test_stride_zero():
    x, t = (
        nx.functional.broadcast_to(nx.tensor([1.0, 2.0]), (3, 2)),
        of_torch([1.0, 2.0]).expand(3, 2),
    )
    same(x, t)
    assert x.stride() == t.stride() == (0, 1)
    assert x.stride(0) == t.stride(0) == 0
    same(x.contiguous(), t.contiguous())
    assert x.contiguous().stride() == t.contiguous().stride() == (2, 1)
    for refuses in (lambda v: v.view(6), lambda v: v.permute(1, 0).view(6)):
        assert isinstance(attempt(refuses, x), Exception)
        assert isinstance(attempt(refuses, t), Exception)
    same(x.permute(1, 0).reshape(6), t.permute(1, 0).reshape(6))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0, 3)], ids=str)
def test_empty_tensors(shape):
    x, t = nx.tensor(np.zeros(shape)), torch.zeros(shape, dtype=torch.float64)
    for function in (
        lambda v: v.view(0),
        lambda v: v.reshape(5, 0),
        lambda v: v.flatten(),
        lambda v: v.permute(*range(v.ndim - 1, -1, -1)).view(0, 7),
        lambda v: v.view(-1, 0),
        lambda v: v.view(-1, 3),
        lambda v: v.view(1),
        lambda v: v[..., None],
    ):
        y, u = attempt(function, x), attempt(function, t)
        assert isinstance(y, Exception) == isinstance(u, Exception), (y, u)
        if not isinstance(y, Exception):
            same(y, u)


# What differs on purpose


def test_squeeze_of_a_longer_axis_is_an_error_as_in_numpy_where_torch_does_nothing():
    x, t = nx.tensor(np.zeros((2, 1))), torch.zeros(2, 1)
    assert tuple(t.squeeze(0).shape) == (2, 1)
    with pytest.raises(nx.errors.ShapeError, match="length one"):
        x.squeeze(0)


def test_a_tensor_without_axes_has_no_axis_0_where_torch_lets_it_have_one():
    x, t = nx.tensor(5.0), torch.tensor(5.0)
    for function in (
        lambda v: v.transpose(0, -1),
        lambda v: v.sum(0),
        lambda v: v.unflatten(0, (1, 1)),
        lambda v: v.squeeze(0),
    ):
        assert isinstance(attempt(function, x), nx.errors.ShapeError)
    assert t.transpose(0, -1).shape == t.sum(0).shape == t.squeeze(0).shape == ()
    same(x.flatten(), t.flatten())
    same(x.view(1, 1), t.view(1, 1))
    same(x.permute(()), t.permute(()))
