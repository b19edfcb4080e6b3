"""Every function of ``nx.functional`` against torch: forward, first and second order."""

import math
import types

import numpy as np
import pytest
import torch
from backends.agreement import agree, close, of_torch

import numixology as nx

F = nx.functional
Ft = torch.nn.functional
SEEDS = range(8)

#: The functions that a test of this file covers; the last test compares it with what is public.
COVERED: set[str] = set()


def named(cases):
    """Cases for ``parametrize``, called by their first entry."""
    return [pytest.param(*case, id=case[0]) for case in cases]


def covers(*names):
    COVERED.update(names)
    return lambda test: test


def shape_of(rng, least=0, most=3):
    """Between ``least`` and ``most`` leading axes, then at least four features."""
    leading = rng.integers(1, 4, rng.integers(least, most + 1))
    return (*(int(n) for n in leading), int(rng.integers(4, 8)))


def normal(rng, shape):
    return rng.standard_normal(shape)


def positive(rng, shape):
    return rng.uniform(0.2, 3.0, shape)


def away_from_zero(rng, shape):
    return rng.choice([-1.0, 1.0], shape) * positive(rng, shape)


# One array, elementwise: name, ours, torch's, where the numbers come from

ELEMENTWISE = [
    ("abs", F.abs, torch.abs, normal),
    ("absolute", F.absolute, torch.abs, normal),
    ("negative", F.negative, torch.neg, normal),
    ("sign", F.sign, torch.sign, normal),
    ("exp", F.exp, torch.exp, normal),
    ("expm1", F.expm1, torch.expm1, normal),
    ("log", F.log, torch.log, positive),
    ("log1p", F.log1p, torch.log1p, lambda rng, shape: positive(rng, shape) - 1),
    ("sqrt", F.sqrt, torch.sqrt, positive),
    ("square", F.square, torch.square, normal),
    ("tanh", F.tanh, torch.tanh, normal),
    ("erf", F.erf, torch.erf, normal),
    ("normal_cdf", F.normal_cdf, torch.special.ndtr, normal),
    (
        "normal_pdf",
        F.normal_pdf,
        lambda x: torch.exp(-x * x / 2) / math.sqrt(2 * math.pi),
        normal,
    ),
    ("relu", F.relu, torch.relu, normal),
    ("sigmoid", F.sigmoid, torch.sigmoid, normal),
    ("silu", F.silu, Ft.silu, normal),
    ("softplus", F.softplus, Ft.softplus, normal),
    ("gelu", F.gelu, Ft.gelu, normal),
    (
        "gelu tanh",
        lambda x: F.gelu(x, approximate="tanh"),
        lambda x: Ft.gelu(x, approximate="tanh"),
        normal,
    ),
    ("clip", lambda x: F.clip(x, -0.7, 0.9), lambda x: torch.clamp(x, -0.7, 0.9), normal),
    ("clip below", lambda x: F.clip(x, min=0.1), lambda x: torch.clamp(x, min=0.1), normal),
    ("clip above", lambda x: F.clip(x, max=0.1), lambda x: torch.clamp(x, max=0.1), normal),
    ("power 3", lambda x: F.power(x, 3), lambda x: torch.pow(x, 3), normal),
    ("power 2.5", lambda x: F.power(x, 2.5), lambda x: torch.pow(x, 2.5), positive),
    ("power -2", lambda x: F.power(x, -2), lambda x: torch.pow(x, -2), away_from_zero),
    ("power 0", lambda x: F.power(x, 0), lambda x: torch.pow(x, 0), normal),
    ("power of 2", lambda x: F.power(2.0, x), lambda x: torch.pow(2.0, x), normal),
    ("add 3", lambda x: 3 + x, lambda x: 3 + x, normal),
    ("subtract from 3", lambda x: 3 - x, lambda x: 3 - x, normal),
    ("divide 3", lambda x: 3 / x, lambda x: 3 / x, away_from_zero),
    ("remainder 0.7", lambda x: x % 0.7, lambda x: x % 0.7, normal),
]
covers(*(name.split()[0] for name, *_ in ELEMENTWISE))


@pytest.mark.parametrize(("name", "ours", "theirs", "draw"), named(ELEMENTWISE))
def test_elementwise(name, ours, theirs, draw):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        agree(f"elementwise: {name}", ours, theirs, [draw(rng, shape_of(rng))], seed=seed)


# Two arrays that broadcast

TWO = [
    ("add", F.add, torch.add, normal, normal),
    ("subtract", F.subtract, torch.sub, normal, normal),
    ("multiply", F.multiply, torch.mul, normal, normal),
    ("divide", F.divide, torch.div, normal, away_from_zero),
    ("power", F.power, torch.pow, positive, normal),
    ("maximum", F.maximum, torch.maximum, normal, normal),
    ("minimum", F.minimum, torch.minimum, normal, normal),
    ("remainder", lambda a, b: a % b, torch.remainder, normal, away_from_zero),
    (
        "floor_divide",
        lambda a, b: a // b,
        lambda a, b: torch.div(a, b, rounding_mode="floor"),
        normal,
        away_from_zero,
    ),
]
covers(*(name for name, *_ in TWO))


def broadcasting(rng):
    """Two shapes that broadcast against each other."""
    full = shape_of(rng)
    first = tuple(1 if rng.random() < 0.25 else n for n in full)
    second = tuple(1 if rng.random() < 0.25 else n for n in full)
    return full if rng.random() < 0.3 else first, second[rng.integers(0, len(full)) :]


@pytest.mark.parametrize(("name", "ours", "theirs", "draw_a", "draw_b"), named(TWO))
def test_two_arrays_that_broadcast(name, ours, theirs, draw_a, draw_b):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        shape_a, shape_b = broadcasting(rng)
        arrays = [draw_a(rng, shape_a), draw_b(rng, shape_b)]
        agree(f"two arrays: {name}", ours, theirs, arrays, seed=seed)


@covers("where")
def test_where():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        shape_a, shape_b = broadcasting(rng)
        chosen = rng.random(np.broadcast_shapes(shape_a, shape_b)) < 0.5
        agree(
            "two arrays: where",
            lambda a, b, chosen=chosen: F.where(chosen, a, b),
            lambda a, b, chosen=chosen: torch.where(torch.tensor(chosen), a, b),
            [normal(rng, shape_a), normal(rng, shape_b)],
            seed=seed,
        )


def test_comparisons():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        shape_a, shape_b = broadcasting(rng)
        a, b = rng.integers(-2, 3, shape_a) * 0.5, rng.integers(-2, 3, shape_b) * 0.5
        x, y, x_torch, y_torch = nx.tensor(a), nx.tensor(b), of_torch(a), of_torch(b)
        close(x == y, x_torch == y_torch)
        close(x != y, x_torch != y_torch)
        close(x < y, x_torch < y_torch)
        close(x <= y, x_torch <= y_torch)
        close(x > y, x_torch > y_torch)
        close(x >= y, x_torch >= y_torch)
        close((x > 0) & (y > 0), (x_torch > 0) & (y_torch > 0))
        close((x > 0) | (y > 0), (x_torch > 0) | (y_torch > 0))
        close((x > 0) ^ (y > 0), (x_torch > 0) ^ (y_torch > 0))
        close(~(x > 0), ~(x_torch > 0))


# Matrices

MATMUL = [
    ((4,), (4,)),
    ((3, 4), (4,)),
    ((4,), (4, 5)),
    ((3, 4), (4, 5)),
    ((2, 3, 4), (4,)),
    ((4,), (2, 4, 5)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (5, 4, 2)),
    ((1, 3, 4), (6, 4, 1)),
    ((1, 4), (4, 1)),
]


@covers("matmul")
@pytest.mark.parametrize(("shape_a", "shape_b"), MATMUL, ids=str)
def test_matmul(shape_a, shape_b):
    rng = np.random.default_rng(len(shape_a) * 10 + len(shape_b))
    agree("matmul", F.matmul, torch.matmul, [normal(rng, shape_a), normal(rng, shape_b)])


EINSUM = [
    ("ij,jk->ik", (3, 4), (4, 5)),
    ("ij,jk", (3, 4), (4, 5)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    ("i,j->ij", (4,), (5,)),
    ("i,i->", (5,), (5,)),
    ("ij->ji", (4, 5)),
    ("ij->", (4, 5)),
    ("ijk->j", (3, 4, 5)),
    ("ij,k->i", (4, 5), (3,)),
    ("ij,kj->jik", (4, 5), (3, 5)),
    ("bthd,bshd->bhts", (2, 3, 2, 4), (2, 5, 2, 4)),
    ("ij,jk,kl->il", (2, 4), (4, 5), (5, 3)),
    ("ba", (4, 5)),
    ("i,i,i->i", (4,), (4,), (4,)),
]


@covers("einsum")
@pytest.mark.parametrize("case", EINSUM, ids=str)
def test_einsum(case):
    subscripts, *shapes = case
    rng = np.random.default_rng(len(subscripts))
    agree(
        "einsum",
        lambda *operands: F.einsum(subscripts, *operands),
        lambda *operands: torch.einsum(subscripts, *operands),
        [normal(rng, shape) for shape in shapes],
    )


def torch_prod(x, axis, keepdims):
    """torch's prod takes one axis at a time."""
    axes = range(x.ndim) if axis is None else (axis if isinstance(axis, tuple) else (axis,))
    for one in sorted((a % x.ndim for a in axes), reverse=True):
        x = torch.prod(x, one, keepdim=keepdims)
    return x


def torch_axes(x, axis):
    return tuple(range(x.ndim)) if axis is None else axis


REDUCTIONS = [
    ("sum", F.sum, lambda x, axis, keep: torch.sum(x, torch_axes(x, axis), keepdim=keep)),
    ("mean", F.mean, lambda x, axis, keep: torch.mean(x, torch_axes(x, axis), keepdim=keep)),
    (
        "var",
        F.var,
        lambda x, axis, keep: torch.var(x, torch_axes(x, axis), correction=0, keepdim=keep),
    ),
    (
        "var ddof",
        lambda x, axis, keep: F.var(x, axis, keep, ddof=1),
        lambda x, axis, keep: torch.var(x, torch_axes(x, axis), correction=1, keepdim=keep),
    ),
    ("max", F.max, lambda x, axis, keep: torch.amax(x, torch_axes(x, axis), keepdim=keep)),
    ("min", F.min, lambda x, axis, keep: torch.amin(x, torch_axes(x, axis), keepdim=keep)),
    ("prod", F.prod, torch_prod),
]
covers(*(name.split()[0] for name, *_ in REDUCTIONS))


@pytest.mark.parametrize("axis", [None, 0, -1, 1, (0, 2), (-1, 1)], ids=str)
@pytest.mark.parametrize(("name", "ours", "theirs"), named(REDUCTIONS))
def test_reductions(name, ours, theirs, axis):
    for seed, keep in enumerate([False, True]):
        rng = np.random.default_rng(seed)
        agree(
            f"reduction: {name}",
            lambda x, keep=keep: ours(x, axis, keep),
            lambda x, keep=keep: theirs(x, axis, keep),
            [normal(rng, (2, 4, 5))],
            seed=seed,
        )


@pytest.mark.parametrize("name", ["sum", "mean", "var", "max", "min", "prod"])
def test_reductions_take_torch_s_names_for_axis_and_keepdims(name):
    x = nx.tensor(np.random.default_rng(0).standard_normal((3, 4)))
    function, method = getattr(F, name), getattr(x, name)
    for result in (
        function(x, dim=1, keepdim=True),
        method(dim=1, keepdim=True),
        method(1, True),
        method(axis=-1, keepdims=True),
    ):
        close(result, function(x, 1, True))


@pytest.mark.parametrize("zeros", [0, 1, 2, 5])
def test_prod_with_zeros(zeros):
    x = np.random.default_rng(zeros).standard_normal(5)
    x[:zeros] = 0
    agree("reduction: prod with zeros", F.prod, torch.prod, [x], seed=zeros)


@covers("cumsum")
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_cumsum(axis):
    x = np.random.default_rng(0).standard_normal((3, 4, 5))
    agree("cumsum", lambda x: F.cumsum(x, axis), lambda x: torch.cumsum(x, axis), [x])
    agree("cumsum", lambda x: F.cumsum(x, dim=axis), lambda x: torch.cumsum(x, axis), [x])
    agree("cumsum", F.cumsum, lambda x: torch.cumsum(x.reshape(-1), 0), [x])


# Choosing, joining and cutting

INDICES = {
    "int": (1,),
    "negative int": (-1, 2),
    "slices": (slice(1, None), slice(None, None, 2)),
    "None and Ellipsis": (None, Ellipsis, slice(0, 2), None),
    "list": ([0, 2, 2],),
    "array that repeats": (np.array([[0, 1], [1, 1]]),),
    "two arrays": (np.array([0, 2, 0]), np.array([3, 1, 3])),
    "arrays around a slice": (np.array([0, 2]), slice(None), np.array([4, 1])),
    "array after a slice": (slice(None), np.array([3, 0, 3])),
    "array and int": (np.array([1, 1, 0]), 2),
    "negative entries": (np.array([-1, 0, -1]),),
    "mask of rows": (np.array([True, False, True]),),
    "mask of everything": (np.random.default_rng(3).random((3, 4, 5)) < 0.4,),
    "mask after a slice": (slice(None), np.array([True, False, True, True])),
    "empty array": (np.array([], np.int64),),
    "everything": (Ellipsis,),
    "one element": (0, 1, 2),
}


@pytest.mark.parametrize("name", INDICES)
def test_indexing(name):
    index = INDICES[name]
    theirs = tuple(torch.tensor(i) if isinstance(i, np.ndarray) else i for i in index)
    x = np.random.default_rng(0).standard_normal((3, 4, 5))
    agree("indexing", lambda x: x[index], lambda x: x[theirs], [x])
    tensors = tuple(nx.tensor(i) if isinstance(i, np.ndarray) else i for i in index)
    close(nx.tensor(x)[tensors], x[index])


def test_indexing_with_negative_steps_which_torch_refuses():
    x = np.random.default_rng(0).standard_normal((3, 4, 5))
    with pytest.raises(ValueError, match="step"):
        of_torch(x)[::-1]
    agree(
        "indexing",
        lambda x: x[::-1, :, 3:0:-2],
        lambda x: torch.flip(x, (0,))[:, :, [3, 1]],
        [x],
    )


@covers("concatenate", "stack")
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_joining(axis):
    rng = np.random.default_rng(axis + 1)
    shapes = [[3, 4, 5] for _ in range(3)]
    for n, shape in enumerate(shapes):
        shape[axis] = n + 1
    parts = [normal(rng, shape) for shape in shapes]
    agree(
        "joining",
        lambda *parts: F.concatenate(parts, axis),
        lambda *parts: torch.cat(parts, axis),
        parts,
    )
    parts = [normal(rng, (3, 4, 5)) for _ in range(3)]
    agree(
        "joining",
        lambda *parts: F.stack(parts, axis),
        lambda *parts: torch.stack(parts, axis),
        parts,
    )
    agree(
        "joining",
        lambda x: F.concatenate([x, x, x * x], axis),
        lambda x: torch.cat([x, x, x * x], axis),
        parts[:1],
    )


@covers("split")
@pytest.mark.parametrize(("cuts", "axis"), [(2, 1), (4, -2), ([1, 3], 1), ([1, 1, 2], 0)])
def test_split(cuts, axis):
    x = np.random.default_rng(0).standard_normal((3, 4, 5))
    for position in range(len(F.split(x, cuts, axis))):
        agree(
            "cutting",
            lambda x, position=position: F.split(x, cuts, axis)[position],
            lambda x, position=position: torch.tensor_split(x, cuts, axis)[position],
            [x],
        )
    agree(
        "cutting",
        lambda x: sum(
            (i + 1) * (part * part).sum() for i, part in enumerate(F.split(x, cuts, axis))
        ),
        lambda x: sum(
            (i + 1) * (part * part).sum()
            for i, part in enumerate(torch.tensor_split(x, cuts, axis))
        ),
        [x],
    )


SHAPES = [
    ("reshape", lambda x: F.reshape(x, (4, -1)), lambda x: x.reshape(4, -1)),
    ("transpose", lambda x: F.transpose(x, (2, 0, 3, 1)), lambda x: x.permute(2, 0, 3, 1)),
    ("transpose all", F.transpose, lambda x: x.permute(3, 2, 1, 0)),
    ("squeeze", F.squeeze, torch.squeeze),
    ("squeeze one", lambda x: F.squeeze(x, 1), lambda x: torch.squeeze(x, 1)),
    ("expand_dims", lambda x: F.expand_dims(x, -2), lambda x: x.unsqueeze(-2)),
    (
        "expand_dims two",
        lambda x: F.expand_dims(x, (0, 3)),
        lambda x: x.unsqueeze(0).unsqueeze(3),
    ),
    (
        "broadcast_to",
        lambda x: F.broadcast_to(x, (2, 3, 6, 4, 5)),
        lambda x: torch.broadcast_to(x, (2, 3, 6, 4, 5)),
    ),
    (
        "contiguous",
        lambda x: F.contiguous(F.transpose(x, (3, 2, 1, 0))),
        lambda x: x.permute(3, 2, 1, 0).contiguous(),
    ),
    ("astype", lambda x: F.astype(x, np.float64) * x, lambda x: x.to(torch.float64) * x),
]
covers(*(name.split()[0] for name, *_ in SHAPES))


@pytest.mark.parametrize(("name", "ours", "theirs"), named(SHAPES))
def test_shapes(name, ours, theirs):
    x = np.random.default_rng(0).standard_normal((3, 1, 4, 5))
    agree(f"shape: {name}", ours, theirs, [x])


def test_astype_through_float32():
    """Both round on the way there; the gradient comes back in the input's dtype."""
    x = np.random.default_rng(0).standard_normal((3, 4))
    agree(
        "shape: astype",
        lambda x: F.astype(F.astype(x, np.float32), np.float64) * x,
        lambda x: x.to(torch.float32).to(torch.float64) * x,
        [x],
    )
    leaf = nx.tensor(x, requires_grad=True)
    y = leaf.astype(np.float32)
    (gradient,) = nx.grad(y.sum(), leaf)
    assert y.dtype == np.float32
    assert gradient.dtype == np.float64


# Softmax and its relatives, norms, maps


@covers("softmax", "log_softmax", "logsumexp")
@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("spread", [1.0, 10.0])
def test_softmax(axis, spread):
    rng = np.random.default_rng(axis + 1)
    x = [spread * normal(rng, (4, 5, 6))]
    agree("softmax", lambda x: F.softmax(x, axis), lambda x: torch.softmax(x, axis), x)
    agree("log_softmax", lambda x: F.log_softmax(x, axis), lambda x: torch.log_softmax(x, axis), x)
    agree("logsumexp", lambda x: F.logsumexp(x, axis), lambda x: torch.logsumexp(x, axis), x)
    agree(
        "logsumexp",
        lambda x: F.logsumexp(x, axis, keepdims=True),
        lambda x: torch.logsumexp(x, axis, keepdim=True),
        x,
    )


def test_softmax_far_from_zero():
    x = [1000 + 3 * np.random.default_rng(0).standard_normal((4, 5))]
    agree("softmax", F.softmax, lambda x: torch.softmax(x, -1), x)
    agree("log_softmax", F.log_softmax, lambda x: torch.log_softmax(x, -1), x)
    agree("logsumexp", F.logsumexp, lambda x: torch.logsumexp(x, -1), x)


@covers("layer_norm")
@pytest.mark.parametrize("eps", [1e-5, 0.1])
@pytest.mark.parametrize("with_bias", [True, False], ids=["bias", "no bias"])
def test_layer_norm(eps, with_bias):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        shape = shape_of(rng)
        x, weight, bias = normal(rng, shape), normal(rng, shape[-1]), normal(rng, shape[-1])
        agree(
            "layer_norm",
            lambda x, weight, *bias: F.layer_norm(x, weight, *bias, eps=eps),
            lambda x, weight, *bias: Ft.layer_norm(x, weight.shape, weight, *bias, eps=eps),
            [x, weight, bias] if with_bias else [x, weight],
            seed=seed,
        )
        agree(
            "layer_norm",
            lambda x: F.layer_norm(x, eps=eps),
            lambda x: Ft.layer_norm(x, x.shape[-1:], eps=eps),
            [x],
            seed=seed,
        )


@covers("rms_norm")
@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_rms_norm(eps):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        shape = shape_of(rng)
        arrays = [normal(rng, shape), normal(rng, shape[-1])]
        agree(
            "rms_norm",
            lambda x, *weight: F.rms_norm(x, *weight, eps=eps),
            lambda x, *weight: Ft.rms_norm(x, x.shape[-1:], *weight, eps=eps),
            arrays,
            seed=seed,
        )
        agree(
            "rms_norm",
            lambda x: F.rms_norm(x, eps=eps),
            lambda x: Ft.rms_norm(x, x.shape[-1:], eps=eps),
            arrays[:1],
            seed=seed,
        )


@covers("per_token_linear")
def test_per_token_linear():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        B, T, n, out = (int(size) for size in rng.integers(1, 6, 4))
        arrays = [normal(rng, (B, T, n)), normal(rng, (T, out, n)), normal(rng, (T, out))]

        def theirs(x, weight, *bias):
            y = torch.bmm(x.transpose(0, 1), weight.transpose(1, 2)).transpose(0, 1)
            return y + bias[0] if bias else y

        agree("per_token_linear", F.per_token_linear, theirs, arrays, seed=seed)
        agree("per_token_linear", F.per_token_linear, theirs, arrays[:2], seed=seed)


@covers("linear")
def test_linear():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        shape = shape_of(rng)
        out = int(rng.integers(1, 7))
        arrays = [normal(rng, shape), normal(rng, (out, shape[-1])), normal(rng, out)]
        agree("linear", F.linear, Ft.linear, arrays, seed=seed)
        agree("linear", F.linear, Ft.linear, arrays[:2], seed=seed)


@pytest.mark.parametrize(
    ("shape", "out"), [((2, 0), 3), ((0, 4), 3), ((2, 4), 0), ((0, 2, 4), 3), ((2, 0), 0)], ids=str
)
def test_linear_of_nothing(shape, out):
    """No rows, no features in, or no features out: sums of no terms are zero."""
    rng = np.random.default_rng(0)
    arrays = [normal(rng, shape), normal(rng, (out, shape[-1])), normal(rng, out)]
    xs = [nx.tensor(a, requires_grad=True) for a in arrays]
    ts = [of_torch(a, True) for a in arrays]
    y, u = F.linear(*xs), Ft.linear(*ts)
    close(y, u)
    wanted = torch.autograd.grad(u.sum(), ts)
    for gradient, one in zip(nx.grad(y.sum(), xs), wanted, strict=True):
        close(gradient, one)


@covers("embedding")
@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 3, 2)], ids=str)
def test_embedding(shape):
    rng = np.random.default_rng(len(shape))
    ids = rng.integers(0, 5, shape)  # five rows: some come twice
    agree(
        "embedding",
        lambda weight: F.embedding(ids, weight),
        lambda weight: Ft.embedding(torch.tensor(ids), weight),
        [normal(rng, (5, 4))],
    )


def test_embedding_of_no_ids():
    """torch's second-order gradient refuses an empty tensor, so the first order is compared."""
    table = np.random.default_rng(0).standard_normal((5, 4))
    ids = np.zeros((0, 3), np.int64)
    weight, weight_torch = nx.tensor(table, requires_grad=True), of_torch(table, True)
    y, y_torch = F.embedding(ids, weight), Ft.embedding(torch.tensor(ids), weight_torch)
    close(y, y_torch)
    (gradient,) = nx.grad(y.sum(), weight)
    close(gradient, torch.autograd.grad(y_torch.sum(), weight_torch)[0])


@covers("dropout")
def test_dropout_scales_and_drops_like_torch():
    """The masks differ; what a mask does to a value does not."""
    x = 1 + np.random.default_rng(0).random((40, 50))
    for p in (0.1, 0.5, 0.9):
        for dropped in (
            np.asarray(F.dropout(nx.tensor(x), p, training=True, rng=0)),
            Ft.dropout(of_torch(x), p, training=True).numpy(),
        ):
            kept = dropped != 0
            assert abs(kept.mean() - (1 - p)) < 0.05
            np.testing.assert_allclose(dropped[kept], (x / (1 - p))[kept], rtol=1e-15)
    close(F.dropout(nx.tensor(x), 0.5, training=False), Ft.dropout(of_torch(x), 0.5, False))
    leaf = nx.tensor(x, requires_grad=True)
    y = F.dropout(leaf, 0.5, training=True, rng=0)
    (gradient,) = nx.grad(y, leaf, np.ones_like(x))
    np.testing.assert_array_equal(np.asarray(gradient), 2.0 * (np.asarray(y) != 0))


@covers("attention")
@pytest.mark.parametrize(
    ("query", "key", "value"),
    [
        ((5, 4), (6, 4), (6, 4)),
        ((2, 5, 4), (2, 6, 4), (2, 6, 3)),
        ((2, 3, 5, 4), (2, 3, 5, 4), (2, 3, 5, 4)),
        ((2, 3, 1, 8), (2, 3, 4, 8), (2, 3, 4, 5)),
    ],
    ids=str,
)
def test_attention(query, key, value):
    def theirs(q, k, v):
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            return Ft.scaled_dot_product_attention(q, k, v)

    rng = np.random.default_rng(len(query))
    agree("attention", F.attention, theirs, [normal(rng, s) for s in (query, key, value)])


# Losses


def flat_cross_entropy(logits, target, reduction):
    """torch puts the classes second; ours are last."""
    rows = Ft.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), target.reshape(-1), reduction=reduction
    )
    return rows.reshape(target.shape) if reduction == "none" else rows


@covers("cross_entropy", "binary_cross_entropy_with_logits", "mse_loss")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("seed", SEEDS)
def test_losses(reduction, seed):
    rng = np.random.default_rng(seed)
    shape = shape_of(rng)
    classes = rng.integers(0, shape[-1], shape[:-1])
    agree(
        "loss: cross_entropy",
        lambda x: F.cross_entropy(x, classes, reduction),
        lambda x: flat_cross_entropy(x, torch.tensor(classes), reduction),
        [3 * normal(rng, shape)],
        seed=seed,
    )
    clicks = rng.integers(0, 2, shape)
    agree(
        "loss: binary_cross_entropy_with_logits",
        lambda x: F.binary_cross_entropy_with_logits(x, clicks, reduction),
        lambda x: Ft.binary_cross_entropy_with_logits(
            x, torch.tensor(clicks, dtype=torch.float64), reduction=reduction
        ),
        [3 * normal(rng, shape)],
        seed=seed,
    )
    agree(
        "loss: binary_cross_entropy_with_logits",
        lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction),
        lambda x, t: Ft.binary_cross_entropy_with_logits(x, t, reduction=reduction),
        [3 * normal(rng, shape), rng.random(shape)],
        seed=seed,
    )
    agree(
        "loss: mse_loss",
        lambda x, t: F.mse_loss(x, t, reduction),
        lambda x, t: Ft.mse_loss(x, t, reduction=reduction),
        [normal(rng, shape), normal(rng, shape)],
        seed=seed,
    )


# Mixing


def torch_mix(x, num_heads):
    B, T, D = x.shape
    x = x.view(B, T, num_heads, D // num_heads).permute(0, 2, 1, 3).contiguous()
    return x.view(B, T, D)


def torch_guide(x, num_heads):
    B, T, D = x.shape
    H, d = num_heads, D // num_heads
    x = x.view(B, T, H, d).permute(0, 2, 1, 3).contiguous().view(B, H * T, d)
    return x.view(B, H, T, d).permute(0, 2, 1, 3).contiguous().view(B, T, D)


MIXED = [(2, 4, 8, 4), (1, 3, 6, 2), (3, 5, 12, 3), (2, 1, 4, 4), (2, 7, 4, 1), (0, 4, 8, 4)]


@covers("token_mix", "token_revert", "mixing_steps")
@pytest.mark.parametrize(("B", "T", "D", "H"), MIXED)
def test_token_mix(B, T, D, H):
    x = np.random.default_rng(0).standard_normal((B, T, D))
    for mixing, theirs in (("rankmixer", torch_mix), ("guide", torch_guide)):
        agree(
            f"token_mix: {mixing}",
            lambda x, mixing=mixing: F.token_mix(x, H, mixing=mixing),
            lambda x, theirs=theirs: theirs(x, H),
            [x],
        )
        steps = F.mixing_steps(nx.tensor(x), H, mixing=mixing)
        t = of_torch(x)
        close(steps["input"], t)
        close(steps["partition"], t := t.view(B, T, H, D // H))
        close(steps["permute"], t := t.permute(0, 2, 1, 3))
        close(steps["flatten"], t := t.contiguous().view(B, H * T, D // H))
        if mixing == "guide":
            close(steps["unflatten"], t := t.view(B, H, T, D // H))
            close(steps["restore"], t := t.permute(0, 2, 1, 3).contiguous())
        close(steps["merge"], t.view(B, T, D))
    agree(
        "token_revert",
        lambda x: F.token_revert(x, H),
        lambda x: torch_mix(x.reshape(B, H, T * D // H), T).reshape(B, T, D),
        [x],
    )


@covers("chunk_destinations", "chunk_cycles", "mixing_order", "depth_to_mix")
@covers("mixing_rank", "mixing_condition")
@pytest.mark.parametrize(("T", "H"), [(4, 4), (3, 2), (2, 3), (5, 1), (1, 5), (8, 3), (12, 2)])
def test_the_laws_of_mixing(T, H):
    """Chunk i, followed through torch's view and permute."""
    chunks = torch.arange(T * H)
    source = chunks.view(T, H).permute(1, 0).reshape(-1)  # what is at each place afterwards
    destinations = F.chunk_destinations(T, H)
    np.testing.assert_array_equal(source[torch.tensor(destinations)].numpy(), chunks.numpy())

    order, now = 1, source
    while not torch.equal(now, chunks):
        order, now = order + 1, source[now]
    assert F.mixing_order(T, H) == order

    values = torch.linalg.svdvals(torch.eye(T * H) + torch.eye(T * H)[source])
    assert F.mixing_rank(T, H) == int((values > 1e-4).sum())
    condition = float(values[0] / values[-1]) if values[-1] > 1e-4 else math.inf
    assert F.mixing_condition(T, H) == pytest.approx(condition, rel=1e-4)

    for cycle in F.chunk_cycles(T, H):
        assert [destinations[i] for i in cycle] == [*cycle[1:], cycle[0]]
    assert sorted(i for cycle in F.chunk_cycles(T, H) for i in cycle) == chunks.tolist()

    sees = torch.eye(T, dtype=torch.bool)  # sees[s, t]: token s depends on token t
    step = torch.zeros(T, T, dtype=torch.bool)
    step[torch.arange(T * H) // H, source // H] = True
    depth = 0
    while not sees.all() and depth <= T:
        depth, sees = depth + 1, (step.double() @ sees.double()) > 0
    assert F.depth_to_mix(T, H) == (depth if sees.all() else None)


def test_every_public_function_is_compared():
    public = {
        name
        for name in dir(F)
        if not name.startswith("_") and not isinstance(getattr(F, name), types.ModuleType)
    }
    assert public <= COVERED, sorted(public - COVERED)
