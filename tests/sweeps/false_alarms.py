"""How often does gradcheck fail a gradient that is right?

    python tests/sweeps/false_alarms.py --runs 10000
    python tests/sweeps/false_alarms.py --only 1234

Every run draws a case from the seed and its own number: a function or module, shapes, numbers,
their layout and dtype, and how gradcheck is called. All gradients are right, so a FAIL is a false
alarm, and so is an exception. Where a gradient is zero nothing can be proved, and real differences
cannot tell exp from 1 at 1e-30; of the other runs nearly all must pass, or the sweep would say
nothing.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

import numixology as nx
from numixology import functional as F
from numixology import primitives, shapes
from numixology.array import ignoring_fp_errors
from numixology.functional import activations
from numixology.text import columns
from numixology.verify.suite import CASES, Case, _module_cases

#: The least share that must pass of the runs by complex steps whose gradients are not zero.
ENOUGH = 0.97

# What a run is made of ------------------------------------------------------------------

KINDS = ("normal", "zeros", "ties", "mean 1e4", "mean 1e8", "mixed")
LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "contiguous": lambda x: x,
    "Fortran-ordered": lambda x: np.array(x, order="F"),
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x,
    "stride-0": lambda x: np.broadcast_to(x[:1], x.shape) if x.ndim else x,
    "read-only": lambda x: np.broadcast_to(x, x.shape),
}


class Draw:
    """The choices of one run, and arrays that follow them."""

    def __init__(self, rng: np.random.Generator, row: "Row") -> None:
        self.rng = rng
        self.order = 2 if not row.by_hand and rng.random() < 0.3 else 1
        self.fast = bool(rng.random() < 0.3)
        methods = (
            ("auto", "auto", "central") if row.real else ("auto", "auto", "complex", "central")
        )
        self.method = str(rng.choice(methods))
        self.dtype = np.dtype(np.float32 if rng.random() < 0.15 else np.float64)
        smooth = row.smooth == "never" or (row.smooth == "once" and self.order == 2)
        self.kind = str(rng.choice(("normal", "mixed") if smooth else KINDS))
        if row.smooth == "never":
            self.kind = "normal"
        self.layout = str(
            rng.choice([name for name in LAYOUTS if not smooth or name != "stride-0"])
        )
        self.range = row.low, row.high
        self.shared = self.exponent(*self.range) if rng.random() < 0.5 else None
        self.scales: list[float] = []

    def exponent(self, low: float, high: float) -> float:
        """float32 has about a tenth of the exponents, and gets a tenth of the range."""
        tenth = 0.1 if self.dtype == np.float32 else 1.0
        return float(tenth * self.rng.uniform(low, high))

    def length(self, most: int = 5) -> int:
        return int(self.rng.integers(1, most + 1))

    def shape(self, least: int = 0, most: int = 3) -> tuple[int, ...]:
        return tuple(self.length() for _ in range(self.rng.integers(least, most + 1)))

    def broadcasting(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Two shapes that broadcast against each other."""
        full = self.shape()
        first, second = (
            tuple(1 if self.rng.random() < 0.25 else n for n in full) for _ in range(2)
        )
        return first, second[self.rng.integers(0, len(full) + 1) :]

    def base(self, shape: tuple[int, ...]) -> np.ndarray:
        """Numbers of this run's kind, of which the largest are of size 1."""
        x = np.asarray(np.clip(self.rng.standard_normal(shape), -3, 3))
        if self.kind == "zeros":
            return np.where(self.rng.random(shape) < 0.3, 0, x)
        if self.kind == "ties":
            return np.asarray(self.rng.integers(-2, 3, shape) / 2)
        if self.kind.startswith("mean"):
            return 1 + x / float(self.kind.split()[1])
        if self.kind == "mixed":
            decades = 4 if self.dtype == np.float32 else 8
            return x * 10.0 ** self.rng.uniform(-decades, 0, shape)
        return x

    def together(self) -> None:
        """All arrays at one scale from here on."""
        if self.shared is None:
            self.shared = self.exponent(*self.range)

    def array(
        self, *shape: int, domain: str = "any", within: tuple[float, float] | None = None
    ) -> np.ndarray:
        """An array at this run's scale, or at one of its own within 10**low to 10**high."""
        x = self.base(shape)
        if domain != "any":
            x = np.where(x == 0, 1, np.abs(x) if domain == "positive" else x)
        exponent = self.shared
        if within is not None or exponent is None:
            exponent = self.exponent(*(within or self.range))
        self.scales.append(exponent)
        return LAYOUTS[self.layout](np.asarray(10.0**exponent * x, self.dtype))

    def beside(self, *shape: int, domain: str = "any") -> np.ndarray:
        """As ``array``, but now and then integers."""
        if self.rng.random() < 0.1:
            return self.rng.choice([-2, -1, 1, 2, 3] if domain != "positive" else [1, 2], shape)
        return self.array(*shape, domain=domain)

    def ids(self, below: int, *shape: int) -> np.ndarray:
        return self.rng.integers(0, below, shape)


class Made(NamedTuple):
    """A function, its inputs, and its gradient where that is written by hand."""

    fn: Callable[..., Any]
    inputs: list[Any]
    vjp: Callable[..., Any] | None = None


class Row(NamedTuple):
    """A family of cases, and between which powers of ten its inputs lie.

    ``smooth`` says where a gradient is right: "always"; "once" if the first order has kinks
    where its inputs are 0 or equal, so that a second order does not exist there; "never" if the
    function itself jumps there. ``real`` functions do not run on complex numbers.
    """

    name: str
    make: Callable[[Draw], Made]
    low: float
    high: float
    why: str
    smooth: str = "always"
    real: bool = False
    by_hand: bool = False


# Cases ------------------------------------------------------------------------------------


def one(fn: Callable[..., Any], domain: str = "any", least: int = 0) -> Callable[[Draw], Made]:
    """A function of one array of any shape."""
    return lambda d: Made(fn, [d.array(*d.shape(least), domain=domain)])


def two(fn: Callable[..., Any], domain: str = "any", second: str = "any") -> Callable[[Draw], Made]:
    """A function of two arrays that broadcast, one of which may be integers."""

    def make(d: Draw) -> Made:
        first_shape, second_shape = d.broadcasting()
        return Made(
            fn, [d.array(*first_shape, domain=domain), d.beside(*second_shape, domain=second)]
        )

    return make


def choice(fn: Callable[..., Any]) -> Callable[[Draw], Made]:
    """A choice between two arrays of one scale: else a tie at 0 is a kink beside many others."""
    make = two(fn)

    def made(d: Draw) -> Made:
        d.together()
        return make(d)

    return made


def along(fn: Callable[..., Any]) -> Callable[[Draw], Made]:
    """A function of one array and an axis."""

    def make(d: Draw) -> Made:
        shape = d.shape(1)
        axis = int(d.rng.integers(-len(shape), len(shape)))
        return Made(lambda x: fn(x, axis), [d.array(*shape)])

    return make


def power(d: Draw) -> Made:
    first, second = d.broadcasting()
    exponents = d.array(*second, within=(-3, 0))
    return Made(F.power, [d.array(*first, domain="positive"), exponents])


def whole_power(d: Draw) -> Made:
    n = int(d.rng.choice([-2, -1, 2, 3]))
    return Made(lambda x: x**n, [d.array(*d.shape(), domain="nonzero")])


def clip(d: Draw) -> Made:
    x = d.array(*d.shape())
    low, high = sorted(d.rng.uniform(-1, 1, 2) * (float(np.abs(x).max()) or 1.0))
    return Made(lambda x: F.clip(x, low, high) + x, [x])


def where(d: Draw) -> Made:
    first, second = d.broadcasting()
    mask = d.rng.random(np.broadcast_shapes(first, second)) < 0.5
    return Made(F.where, [mask, d.array(*first), d.beside(*second)])


def matmul(d: Draw) -> Made:
    m, n, k, b = (d.length() for _ in range(4))
    pairs = [
        ((b, m, k), (k, n)),
        ((m, k), (k, n)),
        ((b, m, k), (1, k, n)),
        ((m, k), (k,)),
        ((k,), (k, n)),
        ((k,), (k,)),
    ]
    first, second = pairs[d.rng.integers(len(pairs))]
    return Made(F.matmul, [d.array(*first), d.beside(*second)])


def matmul_vectors(d: Draw) -> Made:
    m, n = d.length(), d.length()
    return Made(lambda a, b, c: (a @ b) @ c, [d.array(m), d.array(m, n), d.array(n)])


def einsum(d: Draw) -> Made:
    i, j, k, n = (d.length() for _ in range(4))
    return Made(lambda a, b: F.einsum("ij,kjl->lk", a, b), [d.array(i, j), d.array(k, j, n)])


def reshape(d: Draw) -> Made:
    m, n = d.length(), d.length()
    return Made(lambda x: F.reshape(x, (n, m)), [d.array(m, n)])


def transpose(d: Draw) -> Made:
    shape = d.shape(1)
    axes = tuple(int(i) for i in d.rng.permutation(len(shape)))
    return Made(lambda x: F.transpose(x, axes), [d.array(*shape)])


def broadcast_to(d: Draw) -> Made:
    m, n = d.length(), d.length()
    return Made(lambda x: F.broadcast_to(x, (m, n)), [d.array(n)])


def squeeze(d: Draw) -> Made:
    return Made(lambda x: F.expand_dims(F.squeeze(x, 0), -1), [d.array(1, d.length())])


def contiguous(d: Draw) -> Made:
    return Made(lambda x: x.permute(1, 0).contiguous(), [d.array(d.length(), d.length())])


def indexing(d: Draw) -> Made:
    m, n = d.length(), d.length() + 1
    ids = d.ids(m, m)
    return Made(lambda x: x[ids, 1:] * x[:, None, 0], [d.array(m, n)])


def scatter(d: Draw) -> Made:
    m, n, rows = d.length(), d.length(), d.length() + 1
    ids = d.ids(rows, m)
    return Made(lambda x: shapes.scatter(x, index=ids, shape=(rows, n)), [d.array(m, n)])


def joined(fn: Callable[..., Any]) -> Callable[[Draw], Made]:
    def make(d: Draw) -> Made:
        shape = d.shape(1)
        axis = int(d.rng.integers(len(shape)))
        return Made(lambda a, b: fn([a, b, a], axis), [d.array(*shape), d.array(*shape)])

    return make


def split(d: Draw) -> Made:
    m, n = d.length(), d.length()
    return Made(lambda x: F.split(x, 2, axis=1)[1], [d.array(m, 2 * n)])


def layer_norm(d: Draw) -> Made:
    x = d.array(*d.shape(0, 2), d.length(8))
    eps = float(d.rng.choice([1e-5, 1e-12, 0.1]))
    rows = [d.array(x.shape[-1], within=(-2, 2)) for _ in range(2)]
    return Made(lambda x, w, b: F.layer_norm(x, w, b, eps=eps), [x, *rows])


def linear(d: Draw) -> Made:
    k, n = d.length(), d.length()
    return Made(F.linear, [d.array(*d.shape(0, 2), k), d.array(n, k), d.array(n)])


def embedding(d: Draw) -> Made:
    rows = d.length()
    ids = d.ids(rows, *d.shape(0, 2))
    return Made(lambda w: F.embedding(ids, w), [d.array(rows, d.length())])


def attention(d: Draw) -> Made:
    t, s, k, n = (d.length() for _ in range(4))
    batch = d.shape(0, 1)
    return Made(F.attention, [d.array(*batch, t, k), d.array(*batch, s, k), d.array(*batch, s, n)])


def token_mix(mixing: str) -> Callable[[Draw], Made]:
    def make(d: Draw) -> Made:
        heads = d.length(4)
        x = d.array(d.length(3), d.length(4), heads * d.length(3))
        return Made(lambda x: F.token_mix(x, heads, mixing=mixing), [x])

    return make


def dropout(d: Draw) -> Made:
    seed = int(d.rng.integers(1000))
    return Made(lambda x: F.dropout(x, 0.3, training=True, rng=seed), [d.array(*d.shape(1))])


def cross_entropy(d: Draw) -> Made:
    x = d.array(*d.shape(0, 2), d.length() + 1)
    classes = d.ids(x.shape[-1], *x.shape[:-1])
    return Made(F.cross_entropy, [x, classes])


def binary_cross_entropy(d: Draw) -> Made:
    x = d.array(*d.shape())
    return Made(F.binary_cross_entropy_with_logits, [x, d.ids(2, *x.shape)])


def mse_loss(d: Draw) -> Made:
    shape = d.shape()
    return Made(F.mse_loss, [d.array(*shape), d.beside(*shape)])


# Modules, with their parameters as inputs


def module(build: Callable[[Draw], tuple[nx.nn.Module, Any]]) -> Callable[[Draw], Made]:
    """A module in evaluation, its parameters scrambled so that none is all ones or zeros."""

    def make(d: Draw) -> Made:
        made, x = build(d)
        made.eval()
        state = made.state_dict()
        names = list(state)
        noise = 0.3 * 10 ** d.rng.uniform(-1, 0.5)
        parameters = [
            (p + noise * d.rng.standard_normal(p.shape)).astype(p.dtype) for p in state.values()
        ]

        def call(x: Any, *values: Any) -> Any:
            return nx.nn.functional_call(made, dict(zip(names, values, strict=True)), x)

        return Made(call, [x, *parameters])

    return make


def of_features(kind: Callable[..., nx.nn.Module], **options: Any) -> Callable[[Draw], Made]:
    """A module of (..., D) that is made of D and perhaps another size."""

    def build(d: Draw) -> tuple[nx.nn.Module, Any]:
        x = d.array(*d.shape(0, 2), d.length(6))
        sizes = [x.shape[-1]] if kind is nx.nn.LayerNorm else [x.shape[-1], d.length(6)]
        generator = {} if kind is nx.nn.LayerNorm else {"rng": d.rng}
        return kind(*sizes, dtype=d.dtype, **generator, **options), x

    return module(build)


def tokens(d: Draw) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Input of shape (B, T, D), and T, D and H."""
    T, H = d.length(4), d.length(3)
    D = H * d.length(3)
    return d.array(d.length(2), T, D), (T, D, H)


def mixer(mixing: str) -> Callable[[Draw], Made]:
    def build(d: Draw) -> tuple[nx.nn.Module, Any]:
        x, sizes = tokens(d)
        return nx.nn.TokenMixer(*sizes, mixing=mixing, dtype=d.dtype), x

    return module(build)


def block(**options: Any) -> Callable[[Draw], Made]:
    def build(d: Draw) -> tuple[nx.nn.Module, Any]:
        x, sizes = tokens(d)
        mixing = str(d.rng.choice(["rankmixer", "guide"]))
        return (
            nx.nn.RankMixerBlock(
                *sizes, ff_dim=d.length(4), mixing=mixing, rng=d.rng, dtype=d.dtype, **options
            ),
            x,
        )

    return module(build)


def self_attention(d: Draw) -> tuple[nx.nn.Module, Any]:
    x, (_, D, H) = tokens(d)
    # Without biases: softmax does not see a shift of all keys, so the key's has no gradient.
    return nx.nn.SelfAttention(D, H, bias=False, rng=d.rng, dtype=d.dtype), x


def embeddings(d: Draw) -> tuple[nx.nn.Module, Any]:
    rows = d.length()
    return nx.nn.Embedding(rows, d.length(), rng=d.rng, dtype=d.dtype), d.ids(rows, 2, 3)


def model(d: Draw) -> tuple[nx.nn.Module, Any]:
    T, H = d.length(3), d.length(2)
    D = H * d.length(2)
    made = nx.nn.RankMixerModel(4, T, D, H, 2, ff_dim=d.length(3), rng=d.rng, dtype=d.dtype)
    return made, d.ids(4, 2, T)


# Gradients by hand, of functions of NumPy arrays


def by_hand(
    fn: Callable[..., Any], vjp: Callable[..., Any], *, least: int = 0, domain: str = "any"
) -> Callable[[Draw], Made]:
    return lambda d: Made(fn, [d.array(*d.shape(least), domain=domain)], vjp)


def np_softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x)
    return e / e.sum(-1, keepdims=True)


def np_softmax_vjp(ct: np.ndarray, x: np.ndarray) -> np.ndarray:
    y = np_softmax(x)
    return y * (ct - (ct * y).sum(-1, keepdims=True))


def np_standardised(x: np.ndarray) -> np.ndarray:
    d = x - x.mean(-1, keepdims=True)
    return d / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-5)


def np_standardised_vjp(ct: np.ndarray, x: np.ndarray) -> np.ndarray:
    y = np_standardised(x)
    inner = ct - ct.mean(-1, keepdims=True) - y * (ct * y).mean(-1, keepdims=True)
    return inner / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def np_linear(d: Draw) -> Made:
    m, k, n = d.length(), d.length(), d.length()
    return Made(
        lambda x, w, b: x @ w.T + b,
        [d.array(m, k), d.array(n, k), d.array(n)],
        lambda ct, x, w, b: (ct @ w, ct.T @ x, ct.sum(0)),
    )


def np_product(d: Draw) -> Made:
    shape = d.shape()
    return Made(
        lambda a, b: a * b,
        [d.array(*shape), d.array(*shape)],
        lambda ct, a, b: (ct * b, ct * a),
    )


def np_maximum(d: Draw) -> Made:
    d.together()
    shape = d.shape()

    def share(mine: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.where(mine == other, 0.5, mine > other)

    return Made(
        np.maximum,
        [d.array(*shape), d.array(*shape)],
        lambda ct, a, b: (ct * share(a, b), ct * share(b, a)),
    )


def np_norm_vjp(ct: np.ndarray, x: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(x)
    return ct * x / norm if norm else 0 * x


def np_mixed_sum(d: Draw) -> Made:
    ids = d.rng.integers(-3, 4, (d.length(),))
    return Made(
        lambda n, x: (n * x**2).sum(),
        [ids, d.array(ids.size)],
        lambda ct, n, x: 2 * n * x * ct,
    )


ANY = "any scale"
SQUARES = "products of several inputs stay finite"
SATURATES = "far out the slope is 0"

ROWS: tuple[Row, ...] = (
    Row("add", two(F.add), -100, 100, ANY),
    Row("subtract", two(F.subtract), -100, 100, ANY),
    Row("multiply", two(F.multiply), -100, 100, ANY),
    Row("divide", two(F.divide, second="nonzero"), -60, 60, "a / b³ stays finite"),
    Row(
        "floor_divide, remainder",
        two(lambda a, b: a // b + a % b, second="positive"),
        -0.5,
        0.5,
        "it jumps wherever a is a multiple of b, which it must not everywhere",
        smooth="never",
    ),
    Row("negative", one(F.negative), -100, 100, ANY),
    Row("power, both arguments", power, -30, 30, "a to the power of b - 2 stays finite"),
    Row("power, whole exponent", whole_power, -40, 40, "the power -4 stays finite"),
    Row("absolute", one(F.absolute), -100, 100, ANY, smooth="once"),
    Row("sign", one(lambda x: F.sign(x) * x), -100, 100, ANY, smooth="once"),
    Row("exp", one(F.exp), -100, 2, "it overflows at 700"),
    Row("expm1", one(F.expm1), -100, 2, "it overflows at 700"),
    Row("log", one(F.log, "positive"), -100, 100, ANY),
    Row("log1p", one(F.log1p, "positive"), -100, 100, ANY),
    Row("sqrt", one(F.sqrt, "positive"), -100, 100, ANY),
    Row("square", one(F.square), -100, 100, ANY),
    Row("maximum", choice(F.maximum), -100, 100, ANY, smooth="once"),
    Row("minimum", choice(F.minimum), -100, 100, ANY, smooth="once"),
    Row("clip", clip, -100, 100, ANY, smooth="once"),
    Row("where", where, -100, 100, ANY),
    Row(
        "where, by its own condition",
        one(lambda a: F.where(a, a * a, 3.0)),
        -100,
        100,
        ANY,
        smooth="never",
    ),
    Row("matmul", matmul, -100, 100, ANY),
    Row("matmul, vectors", matmul_vectors, -60, 60, SQUARES),
    Row("einsum", einsum, -100, 100, ANY),
    Row("sum", along(F.sum), -100, 100, ANY),
    Row("mean", along(lambda x, axis: F.mean(x, axis, True)), -100, 100, ANY),
    Row("var", along(F.var), -100, 100, ANY),
    Row("max", along(F.max), -100, 100, ANY, smooth="once"),
    Row("min", along(F.min), -100, 100, ANY, smooth="once"),
    Row("prod", along(F.prod), -50, 50, "five factors stay finite"),
    Row("cumsum", along(F.cumsum), -100, 100, ANY),
    Row("reshape", reshape, -100, 100, ANY),
    Row("transpose", transpose, -100, 100, ANY),
    Row("broadcast_to", broadcast_to, -100, 100, ANY),
    Row("squeeze, expand_dims", squeeze, -100, 100, ANY),
    Row("contiguous", contiguous, -100, 100, ANY),
    Row("indexing", indexing, -100, 100, ANY),
    Row("scatter", scatter, -100, 100, ANY),
    Row("copy_of", one(primitives.copy_of), -100, 100, ANY),
    Row("astype", one(lambda x: F.astype(x, x.dtype) * x), -100, 100, ANY),
    Row("concatenate", joined(F.concatenate), -100, 100, ANY),
    Row("stack", joined(F.stack), -100, 100, ANY),
    Row("split", split, -100, 100, ANY),
    Row("erf", one(F.erf), -100, 1, SATURATES),
    Row("normal_cdf", one(F.normal_cdf), -100, 1, SATURATES),
    Row("normal_pdf", one(F.normal_pdf), -100, 1, SATURATES),
    Row("relu", one(F.relu), -100, 100, ANY, smooth="once"),
    Row("sigmoid", one(F.sigmoid), -100, 1.5, SATURATES),
    Row("slope of sigmoid", one(activations._sigmoid_slope), -100, 1.5, SATURATES),
    Row("tanh", one(F.tanh), -100, 1.5, SATURATES),
    Row("silu", one(F.silu), -100, 100, ANY),
    Row("gelu", one(F.gelu), -100, 100, ANY),
    Row("gelu_tanh", one(lambda x: F.gelu(x, approximate="tanh")), -100, 100, ANY),
    Row("softplus", one(F.softplus), -100, 100, ANY),
    Row("softmax", along(F.softmax), -100, 1.5, SATURATES),
    Row("log_softmax", along(F.log_softmax), -100, 100, ANY),
    Row("logsumexp", along(F.logsumexp), -100, 100, ANY),
    Row("layer_norm", layer_norm, -100, 100, ANY),
    Row("linear", linear, -100, 100, ANY),
    Row("embedding", embedding, -100, 100, ANY),
    Row("attention", attention, -50, 0.5, "its softmax saturates where a score is 100"),
    Row("token_mix", token_mix("rankmixer"), -100, 100, ANY),
    Row("token_mix, guide", token_mix("guide"), -100, 100, ANY),
    Row("dropout", dropout, -100, 100, ANY),
    Row("cross_entropy", cross_entropy, -100, 1.5, SATURATES),
    Row("binary_cross_entropy_with_logits", binary_cross_entropy, -100, 1.5, SATURATES),
    Row("mse_loss", mse_loss, -100, 100, ANY),
    # Modules: their parameters are of size 1, whatever their inputs.
    Row("Linear", of_features(nx.nn.Linear), -100, 100, ANY),
    Row("LayerNorm", of_features(nx.nn.LayerNorm), -100, 100, ANY),
    Row("Embedding", module(embeddings), 0, 0, "it has no floating-point input"),
    Row("TokenMixer", mixer("rankmixer"), -100, 100, ANY),
    Row("TokenMixer, guide", mixer("guide"), -100, 100, ANY),
    *(
        Row(
            f"FeedForward, {name}",
            of_features(nx.nn.FeedForward, activation=name),
            -100,
            100,
            ANY,
            smooth="once" if name == "relu" else "always",
        )
        for name in ("gelu", "gelu_tanh", "relu", "silu")
    ),
    Row("SwiGLUFeedForward", of_features(nx.nn.SwiGLUFeedForward), -100, 100, ANY),
    Row("SelfAttention", module(self_attention), -50, 0.5, "its softmax saturates"),
    *(
        Row(
            "RankMixerBlock" + ("" if name == "gelu" else f", {name}"),
            block(activation=name),
            -100,
            100,
            ANY,
            smooth="once" if name == "relu" else "always",
        )
        for name in ("gelu", "gelu_tanh", "relu", "silu")
    ),
    Row("RankMixerBlock, swiglu", block(ffn="swiglu"), -100, 100, ANY),
    Row("RankMixerModel on ids", module(model), 0, 0, "it has no floating-point input"),
    # Gradients by hand
    Row(
        "np.exp",
        by_hand(np.exp, lambda ct, x: ct * np.exp(x)),
        -100,
        2,
        "it overflows at 700",
        by_hand=True,
    ),
    Row(
        "np softmax",
        by_hand(np_softmax, np_softmax_vjp, least=1),
        -100,
        1.5,
        SATURATES,
        by_hand=True,
    ),
    Row(
        "np standardised",
        by_hand(np_standardised, np_standardised_vjp, least=1),
        -100,
        100,
        ANY,
        by_hand=True,
    ),
    Row("np linear", np_linear, -100, 100, ANY, by_hand=True),
    Row("np product", np_product, -100, 100, ANY, by_hand=True),
    Row("np product with integers", np_mixed_sum, -100, 100, ANY, by_hand=True),
    Row("np.maximum", np_maximum, -100, 100, ANY, by_hand=True),
    Row(
        "np.abs",
        by_hand(np.abs, lambda ct, x: ct * np.sign(x)),
        -100,
        100,
        ANY,
        real=True,
        by_hand=True,
    ),
    Row(
        "np.var",
        by_hand(np.var, lambda ct, x: ct * 2 * (x - x.mean()) / x.size),
        -100,
        100,
        ANY,
        real=True,
        by_hand=True,
    ),
    Row(
        "np.linalg.norm",
        by_hand(np.linalg.norm, np_norm_vjp),
        -100,
        100,
        ANY,
        real=True,
        by_hand=True,
    ),
    Row(
        "np.cbrt",
        by_hand(np.cbrt, lambda ct, x: ct / (3 * np.cbrt(x) ** 2), domain="positive"),
        -100,
        100,
        ANY,
        real=True,
        by_hand=True,
    ),
)


def at_its_sizes(case: Case) -> Callable[[Draw], Made]:
    """A case of the suite, with another first input."""

    def make(d: Draw) -> Made:
        x, *parameters = case.inputs
        return Made(case.fn, [d.array(*x.shape), *(np.asarray(p, d.dtype) for p in parameters)])

    return make


ROWS += tuple(
    Row(case.name, at_its_sizes(case), -2, 0.5, "their softmax or their gates saturate", "once")
    for case in (*CASES, *_module_cases())
    if case.name not in {row.name for row in ROWS}
)

# Runs -------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What one run was, and what gradcheck said of it."""

    number: int
    case: str
    how: str
    verdict: str  # of gradcheck, or "error" for an exception
    reason: str
    provable: bool  # no gradient is zero everywhere
    real: bool  # only real differences may be used


def drawn(seed: int, number: int, row: Row) -> tuple[Draw, Made]:
    """The choices of a run, and what it checks."""
    draw = Draw(np.random.default_rng((seed, number)), row)
    made = row.make(draw)
    if draw.order == 2:
        made = made._replace(fn=bent(made.fn, made.inputs))
    return draw, made


def run(seed: int, number: int, rows: tuple[Row, ...] = ROWS) -> Outcome:
    """One run, which depends on nothing but the seed and its number."""
    row = rows[number % len(rows)]
    draw, made = drawn(seed, number, row)
    verdict, reason = judged(draw, made, number)
    how, real = described(draw, made), row.real or draw.method == "central"
    return Outcome(number, row.name, how, verdict, reason, provable(draw, made), real)


def judged(draw: Draw, made: Made, seed: int) -> tuple[str, str]:
    """Verdict and reason; an exception is an error, whose text is the reason."""
    try:
        report = nx.gradcheck(
            made.fn,
            *made.inputs,
            vjp=made.vjp,
            method=draw.method,
            order=draw.order,
            fast=draw.fast,
            rng=seed,
        )
    except Exception as error:
        return "error", f"{type(error).__name__}: {error}"
    return report.verdict, report.reason


def bent(fn: Callable[..., Any], inputs: Sequence[Any]) -> Callable[..., Any]:
    """s (u + u² + u³) with u = f / s has a second derivative even where f is linear.

    s is the size of f near the inputs, where f itself may be 0.
    """
    with ignoring_fp_errors():
        y = np.asarray(fn(*(nx.tensor(filled(np.asarray(x))) for x in inputs)))
    scale = float(np.abs(y).max(initial=0))
    s = scale if 0 < scale < np.inf else 1.0

    def curved(*arguments: Any) -> Any:
        u = fn(*arguments) / s
        return s * (u + u * u * (1 + u))

    return curved


def filled(x: np.ndarray) -> np.ndarray:
    """The array with its largest entry in place of zeros, if it is of floats."""
    return np.where(x == 0, np.abs(x).max(initial=0), x) if x.dtype.kind == "f" else x


def provable(draw: Draw, made: Made) -> bool:
    """Whether the gradient of every input has an entry that is not zero."""
    rng = np.random.default_rng(1)
    if made.vjp is None:
        return all(g.any() for g in gradients(made.fn, made.inputs, draw.order, rng))
    with ignoring_fp_errors():
        output = np.asarray(made.fn(*made.inputs))
        found = made.vjp(rng.standard_normal(output.shape).astype(output.dtype), *made.inputs)
    return all(np.any(g) for g in (found if isinstance(found, tuple) else (found,)))


def gradients(
    fn: Callable[..., Any], inputs: Sequence[Any], order: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """The tape's own gradients of first or second order, for cotangents drawn here."""

    def weights(one: nx.Tensor) -> np.ndarray:
        return rng.standard_normal(one.shape).astype(one.dtype)

    with ignoring_fp_errors():
        arguments = [nx.tensor(x, requires_grad=np.asarray(x).dtype.kind == "f") for x in inputs]
        points = [one for one in arguments if one.requires_grad]
        y = fn(*arguments)
        found = nx.grad(y, points, weights(y), create_graph=order == 2)
        if order == 2:
            products = [(g * weights(g)).sum() for g in found]
            found = nx.grad(sum(products[1:], products[0]), points)
    return [np.asarray(g) for g in found]


def described(draw: Draw, made: Made) -> str:
    """The run's choices in words."""
    parts = [f"order {draw.order}", "fast" if draw.fast else "full", draw.method, draw.dtype.name]
    parts += [draw.kind, draw.layout, "shapes " + " ".join(str(np.shape(x)) for x in made.inputs)]
    if draw.scales:
        parts.append("scales " + " ".join(f"{10.0**one:.0e}" for one in draw.scales))
    return ", ".join(parts)


def outcomes(numbers: Iterable[int], seed: int) -> Iterator[Outcome]:
    for number in numbers:
        yield run(seed, number)


# The summary --------------------------------------------------------------------------------


def alarms(found: Iterable[Outcome]) -> list[Outcome]:
    """The runs in which a right gradient was failed or refused."""
    return [one for one in found if one.verdict in ("fail", "error")]


def share_passed(found: Iterable[Outcome], real: bool = False) -> float:
    """Of the runs whose gradients are not zero, by complex or real steps, the share that passed."""
    verdicts = [one.verdict for one in found if one.provable and one.real == real]
    return verdicts.count("pass") / len(verdicts) if verdicts else 0.0


def grouped(reason: str) -> str:
    """A reason without its figures and names."""
    for words in (
        "which proves nothing",
        "would pass too",
        "rounding alone moves the gradient",
        "real differences are only good to",
        "real differences do not settle",
        "real steps call the gradient wrong and complex ones right",
        "fn underflows",
        "the function is random",
    ):
        if words in reason:
            return words
    return reason


def summary(found: list[Outcome], seed: int) -> str:
    """Counts and shares, why runs were inconclusive, and every false alarm."""

    def line(what: str, count: int) -> tuple[str, str, str]:
        return what, str(count), f"{count / len(found):.2%}"

    verdicts = Counter(one.verdict for one in found)
    reasons = Counter(
        (one.provable, one.real, grouped(one.reason))
        for one in found
        if one.verdict == "inconclusive"
    )
    rows = [line(verdict, verdicts[verdict]) for verdict in ("pass", "inconclusive")]
    for (nonzero, real, reason), count in sorted(reasons.items()):
        gradient = "gradient not zero" if nonzero else "a gradient is zero"
        steps = "real" if real else "complex"
        rows.append(line(f"  {gradient}, {steps}: {reason}", count))
    rows.append(line("fail or error, the false alarms", len(alarms(found))))
    text = columns(("verdict", "runs", "share"), rows, "<>>")
    text += (
        f"\n\nof the runs whose gradients are not zero {share_passed(found):.2%} passed"
        f" by complex steps, and {share_passed(found, real=True):.2%} by real differences"
    )
    for one in alarms(found):
        text += (
            f"\n\nfalse alarm: {one.case}: {one.how}\n  {one.verdict}: {one.reason}"
            f"\n  python tests/sweeps/false_alarms.py --seed {seed} --only {one.number}"
        )
    return text


def watched(found: Iterator[Outcome], total: int) -> Iterator[Outcome]:
    """The same, with a line on a terminal that counts them."""
    shown = sys.stderr.isatty()
    for count, one in enumerate(found, 1):
        if shown and count % 20 == 0:
            print(f"\r\x1b[K{count} of {total} runs", end="", file=sys.stderr, flush=True)
        yield one
    if shown:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10000, help="how many (10000)")
    parser.add_argument("--seed", type=int, default=0, help="of all runs (0)")
    parser.add_argument("--only", type=int, metavar="RUN", help="this run alone, with its report")
    options = parser.parse_args()
    if options.only is not None:
        found = run(options.seed, options.only)
        print(f"{found.case}: {found.how}\n{found.verdict}: {found.reason}")
        return int(bool(alarms([found])))
    begun = time.monotonic()
    done = list(watched(outcomes(range(options.runs), options.seed), options.runs))
    print(summary(done, options.seed))
    print(f"{len(done)} runs in {time.monotonic() - begun:.0f} s")
    return int(bool(alarms(done)) or share_passed(done) < ENOUGH)


if __name__ == "__main__":
    sys.exit(main())
