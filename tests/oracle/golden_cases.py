"""The golden cases: numbers that float64 holds exactly, and the stage that they go through.

Every case can be run on ``mpf`` for its true values, and on :class:`Bounded` for the error that
float64 may make on the way. Parameters are scrambled (no weight of ones, no bias of zeros), T is
not H, and the numbers come from a sequence of integers, so that no library has a part in them.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mpmath as mp
from oracle import layers, networks, rows
from oracle.arithmetic import mapped, times
from oracle.elementwise import FUNCTIONS

EPS = 1e-5  # the double, as every implementation takes it
ACTIVATIONS = ("gelu", "gelu_tanh", "relu", "silu")


@dataclass
class Case:
    """One stage on one set of numbers.

    ``forward(inputs)`` is the output and ``backward(cotangent, inputs)`` the gradients by name.
    The floating-point ``inputs`` are parameters too; ``options`` are what else the stage takes.
    """

    stage: str
    name: str
    options: dict[str, Any]
    inputs: dict[str, Any]
    cotangent: Any
    forward: Callable[[dict[str, Any]], Any]
    backward: Callable[[Any, dict[str, Any]], dict[str, Any]]
    bounds: Callable[["Case"], dict[str, mp.mpf]] | None = None


class Numbers:
    """Multiples of 2^-places in [-size, size] from a linear congruence (Knuth's MMIX)."""

    def __init__(self, seed: int, places: int = 9) -> None:
        self.state = seed
        self.places = places

    def one(self, size: float = 1.0) -> float:
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        steps = int(size * 2**self.places)
        return ((self.state >> 16) % (2 * steps + 1) - steps) / 2**self.places

    def array(self, *shape: int, size: float = 1.0) -> Any:
        if not shape:
            return self.one(size)
        return [self.array(*shape[1:], size=size) for _ in range(shape[0])]

    def parameters(self, **shapes: tuple[int, ...]) -> dict[str, Any]:
        return {name: self.array(*shape) for name, shape in shapes.items()}


# Functions of one number --------------------------------------------------------

# With all the digits that float64 has: the square of a short number would be exact.
CORE = [0.0, 0.5, -0.5, 1.0, -1.0, 2.0**-30, -(2.0**-30), 1e-300, -5e-324]
CORE += Numbers(1, places=42).array(50, size=6.0)
TAILS = [6.1, 9.3, 14.7, 20.3, 21.4, 26.4, 27.1, 36.7, 38.2, 39.9, 300.3, 700.7, 744.9, 1e4, 1e10]
SATURATED = [x for t in TAILS for x in (-t, t)]
ROOTS = {
    "gelu": -0.7517915246935645,
    "gelu_tanh": -0.7524614220710163,
    "silu": -1.2784645427610738,
}


def elementwise_cases() -> Iterator[Case]:
    for stage, f in FUNCTIONS.items():
        sets = {"core": CORE, "saturated": SATURATED}
        if stage in ROOTS:
            sets["zero of the slope"] = near(ROOTS[stage])
        for name, x in sets.items():
            # Powers of two, so that the product with the slope is not rounded again.
            ct = [(1.0, -2.0, -1.0)[i % 3] for i in range(len(x))]
            yield Case(
                stage,
                name,
                {},
                {"x": x},
                ct,
                lambda i, f=f: mapped(f.value, i["x"]),
                lambda c, i, f=f: {"x": times(c, mapped(f.slope, i["x"]))},
            )


def near(root: float) -> list[float]:
    """The root's neighbors, and steps of a growing width around it."""
    unit = math.ulp(root)
    steps = [*(n * unit for n in range(-4, 5)), 1e-12, -1e-12, 1e-6, -1e-6, 2.0**-7, -(2.0**-7)]
    return [root + step for step in steps]


# Rows -----------------------------------------------------------------------------


def row_cases() -> Iterator[Case]:
    plain = Numbers(2, places=42).array(3, 5, size=4.0)
    far = [[60.0, 0.5, -0.25, 1.0, -3.0], [-700.0, 0.0, -710.5, -40.0, -1.5], [300.0] * 5]
    for name, x in {"plain": plain, "saturated": far}.items():
        ct = Numbers(3).array(3, 5)
        for stage, forward, backward in (
            ("softmax", rows.softmax, rows.softmax_gradient),
            ("log_softmax", rows.log_softmax, rows.log_softmax_gradient),
            ("logsumexp", rows.logsumexp, rows.logsumexp_gradient),
        ):
            yield Case(
                stage,
                name,
                {},
                {"x": x},
                [row[0] for row in ct] if stage == "logsumexp" else ct,
                lambda i, f=forward: [f(row) for row in i["x"]],
                lambda c, i, f=backward: {"x": [f(*pair) for pair in zip(c, i["x"], strict=True)]},
            )


# Layers -----------------------------------------------------------------------------


def layer_norm_cases() -> Iterator[Case]:
    draw = Numbers(4)
    plain = draw.array(2, 3, 5, size=2.0)
    parameters = draw.parameters(weight=(5,), bias=(5,))
    ct = draw.array(2, 3, 5)
    sets = {
        "plain": plain,
        "rows of mean 1e4": mapped(lambda one: 1e4 + one / 1024, plain),
        "rows of mean 1e8": mapped(lambda one: 1e8 + one, plain),
        "rows of magnitude 1e100": mapped(lambda one: one * 2.0**332, plain),
    }
    for name, x in sets.items():
        yield Case(
            "layer_norm",
            name,
            {"eps": EPS},
            {"x": x, **parameters},
            ct,
            lambda i: layers.layer_norm(i["x"], i["weight"], i["bias"], EPS),
            lambda c, i: layers.layer_norm_gradients(c, i["x"], i["weight"], EPS),
            layer_norm_bounds,
        )


def layer_norm_bounds(case: Case) -> dict[str, mp.mpf]:
    """5e-16 of the largest |h weight| + |bias| or |dy weight| rstd, and of Σ |term| per column."""
    x, weight, bias, ct = (
        mapped(mp.mpf, one)
        for one in (*(case.inputs[n] for n in ("x", "weight", "bias")), case.cotangent)
    )
    width = range(len(weight))
    terms: list[list[mp.mpf]] = []
    output, dx = [], []
    for row, c in zip(sum(x, []), sum(ct, []), strict=True):
        h, rstd = rows.normalized(row, case.options["eps"])
        output += [abs(h[i] * weight[i]) + abs(bias[i]) for i in width]
        dx += [abs(c[i] * weight[i]) * rstd for i in width]
        terms.append([abs(c[i] * h[i]) for i in width])
    share = mp.mpf("5e-16")
    return {
        "output": share * max(output),
        "x": share * max(dx),
        "weight": share * max(mp.fsum(row[i] for row in terms) for i in width),
        "bias": share * max(mp.fsum(abs(row[i]) for row in sum(ct, [])) for i in width),
    }


def layer_cases() -> Iterator[Case]:
    # Sums of products of short numbers are exact, whatever is wrong with the order of adding.
    for name, draw in (("short numbers", Numbers(5)), ("long numbers", Numbers(5, places=45))):
        yield Case(
            "linear",
            name,
            {},
            {"x": draw.array(2, 3, 7), **draw.parameters(weight=(5, 7), bias=(5,))},
            draw.array(2, 3, 5),
            lambda i: layers.linear(i["x"], i["weight"], i["bias"]),
            lambda c, i: layers.linear_gradients(c, i["x"], i["weight"]),
        )
    draw = Numbers(7)
    ids = [[4, 0, 4], [1, 4, 2]]
    yield Case(
        "embedding",
        "repeated ids",
        {"ids": ids},
        {"weight": draw.array(6, 5)},
        draw.array(2, 3, 5),
        lambda i: layers.embedding(ids, i["weight"]),
        lambda c, i: {"weight": layers.embedding_gradient(c, ids, i["weight"])},
    )
    for t, h, mixing in (
        (3, 2, "rankmixer"),
        (4, 4, "rankmixer"),
        (2, 5, "rankmixer"),
        (3, 2, "guide"),
    ):
        yield Case(
            "token_mix",
            f"{mixing}, T = {t}, H = {h}",
            {"num_heads": h, "mixing": mixing},
            {"x": draw.array(2, t, 3 * h)},
            draw.array(2, t, 3 * h),
            lambda i, h=h, mixing=mixing: layers.token_mix(i["x"], h, mixing),
            lambda c, i, h=h, mixing=mixing: {"x": layers.token_mix_gradient(c, h, mixing)},
        )
    for name, size in (("plain", 2.0), ("saturated", 40.0)):
        yield Case(
            "attention",
            name,
            {},
            {
                "query": draw.array(2, 3, 5, size=size),
                "key": draw.array(2, 4, 5, size=2.0),
                "value": draw.array(2, 4, 3, size=2.0),
            },
            draw.array(2, 3, 3),
            lambda i: layers.attention(i["query"], i["key"], i["value"]),
            lambda c, i: layers.attention_gradients(c, i["query"], i["key"], i["value"]),
        )


# Networks ---------------------------------------------------------------------------


def norm_shapes(name: str, dim: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (dim,), f"{name}.bias": (dim,)}


def linear_shapes(name: str, inner: int, outer: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outer, inner), f"{name}.bias": (outer,)}


def ffn_shapes(
    dim: int, ff_dim: int, ffn: str, name: str = "", tokens: int | None = None
) -> dict[str, tuple[int, ...]]:
    if ffn == "swiglu":
        shapes = {
            "w1.weight": (ff_dim, dim),
            "w2.weight": (dim, ff_dim),
            "w3.weight": (ff_dim, dim),
        }
    else:
        shapes = linear_shapes("linear1", dim, ff_dim) | linear_shapes("linear2", ff_dim, dim)
    if tokens is not None:
        shapes = {key: (tokens, *shape) for key, shape in shapes.items()}
    return {name + key: shape for key, shape in (norm_shapes("norm", dim) | shapes).items()}


def network_cases() -> Iterator[Case]:
    draw = Numbers(6)
    dim, ff_dim, tokens, heads = 6, 5, 3, 2

    def x() -> Any:
        return draw.array(2, tokens, dim, size=2.0)

    sizes = {"hidden_dim": dim, "ff_dim": ff_dim, "eps": EPS}
    for name in ACTIVATIONS:
        yield Case(
            "feed_forward",
            name,
            {**sizes, "activation": name},
            {"x": x(), **draw.parameters(**ffn_shapes(dim, ff_dim, "standard"))},
            draw.array(2, tokens, dim),
            lambda i, name=name: networks.feed_forward(i["x"], i, name, EPS),
            lambda c, i, name=name: networks.feed_forward_gradients(c, i["x"], i, name, EPS),
        )
    yield Case(
        "swiglu_feed_forward",
        "plain",
        sizes,
        {"x": x(), **draw.parameters(**ffn_shapes(dim, ff_dim, "swiglu"))},
        draw.array(2, tokens, dim),
        lambda i: networks.swiglu_feed_forward(i["x"], i, EPS),
        lambda c, i: networks.swiglu_feed_forward_gradients(c, i["x"], i, EPS),
    )
    shapes: dict[str, tuple[int, ...]] = {}
    for name in ("query", "key", "value", "output"):
        shapes |= linear_shapes(name, dim, dim)
    yield Case(
        "self_attention",
        "plain",
        {"hidden_dim": dim, "num_heads": heads},
        {"x": x(), **draw.parameters(**shapes)},
        draw.array(2, tokens, dim),
        lambda i: networks.self_attention(i["x"], i, heads),
        lambda c, i: networks.self_attention_gradients(c, i["x"], i, heads),
    )
    mixer = {"num_tokens": tokens, "hidden_dim": dim, "num_heads": heads}
    for mixing in ("rankmixer", "guide"):
        yield Case(
            "token_mixer",
            mixing,
            {**mixer, "mixing": mixing, "eps": EPS},
            {"x": x(), **draw.parameters(**norm_shapes("norm", dim))},
            draw.array(2, tokens, dim),
            lambda i, m=mixing: networks.token_mixer(i["x"], i, heads, m, EPS),
            lambda c, i, m=mixing: networks.token_mixer_gradients(c, i["x"], i, heads, m, EPS),
        )
    for ffn in ("standard", "swiglu"):
        how = {
            "num_heads": heads,
            "ffn": ffn,
            "activation": "gelu",
            "mixing": "rankmixer",
            "eps": EPS,
        }
        yield Case(
            "block",
            ffn,
            {**mixer, "ff_dim": ff_dim, **how},
            {
                "x": x(),
                **draw.parameters(**norm_shapes("mixer.norm", dim)),
                **draw.parameters(**ffn_shapes(dim, ff_dim, ffn, "ffn.")),
            },
            draw.array(2, tokens, dim),
            lambda i, how=how: networks.block(i["x"], i, **how),
            lambda c, i, how=how: networks.block_gradients(c, i["x"], i, **how),
        )
    ids = [[4, 0, 4], [1, 2, 4]]
    how = {
        "num_heads": heads,
        "ffn": "standard",
        "activation": "gelu",
        "mixing": "rankmixer",
        "eps": EPS,
    }
    shapes = {"token_embedding.weight": (5, dim), "position_embedding.weight": (tokens, dim)}
    for layer in ("blocks.0.", "blocks.1."):
        shapes |= norm_shapes(f"{layer}mixer.norm", dim)
        shapes |= ffn_shapes(dim, ff_dim, "standard", f"{layer}ffn.")
    yield Case(
        "model",
        "two layers",
        {"vocab_size": 5, **mixer, "num_layers": 2, "ff_dim": ff_dim, **how, "ids": ids},
        draw.parameters(**shapes),
        draw.array(2, tokens, dim),
        lambda i: networks.model(ids, i, 2, **how),
        lambda c, i: networks.model_gradients(c, ids, i, 2, **how),
    )


def paper_cases() -> Iterator[Case]:
    """The paper's block and its parts."""
    draw = Numbers(9)
    plain = draw.array(2, 3, 5, size=2.0)
    weight, ct = draw.array(5), draw.array(2, 3, 5)
    sets = {
        "plain": plain,
        "rows of mean 1e4": mapped(lambda one: 1e4 + one / 1024, plain),
        "rows of magnitude 1e100": mapped(lambda one: one * 2.0**332, plain),
    }
    for name, x in sets.items():
        yield Case(
            "rms_norm",
            name,
            {"eps": EPS},
            {"x": x, "weight": weight},
            ct,
            lambda i: layers.rms_norm(i["x"], i["weight"], EPS),
            lambda c, i: layers.rms_norm_gradients(c, i["x"], i["weight"], EPS),
        )
    draw = Numbers(10, places=45)
    yield Case(
        "per_token_linear",
        "long numbers",
        {},
        {"x": draw.array(2, 3, 7), **draw.parameters(weight=(3, 5, 7), bias=(3, 5))},
        draw.array(2, 3, 5),
        lambda i: layers.per_token_linear(i["x"], i["weight"], i["bias"]),
        lambda c, i: layers.per_token_linear_gradients(c, i["x"], i["weight"]),
    )
    draw = Numbers(11)
    tokens, dim, ff_dim = 2, 4, 3
    sizes = {"num_tokens": tokens, "hidden_dim": dim, "ff_dim": ff_dim, "eps": EPS}
    yield Case(
        "per_token_feed_forward",
        "post-norm",
        {**sizes, "activation": "gelu", "norm": "post"},
        {
            "x": draw.array(2, tokens, dim, size=2.0),
            **draw.parameters(**ffn_shapes(dim, ff_dim, "standard", tokens=tokens)),
        },
        draw.array(2, tokens, dim),
        lambda i: networks.feed_forward(i["x"], i, "gelu", EPS, "post"),
        lambda c, i: networks.feed_forward_gradients(c, i["x"], i, "gelu", EPS, "post"),
    )
    yield Case(
        "per_token_swiglu",
        "pre-norm",
        sizes,
        {
            "x": draw.array(2, tokens, dim, size=2.0),
            **draw.parameters(**ffn_shapes(dim, ff_dim, "swiglu", tokens=tokens)),
        },
        draw.array(2, tokens, dim),
        lambda i: networks.swiglu_feed_forward(i["x"], i, EPS),
        lambda c, i: networks.swiglu_feed_forward_gradients(c, i["x"], i, EPS),
    )
    how = {
        "num_heads": tokens,
        "ffn": "per_token",
        "activation": "gelu",
        "mixing": "rankmixer",
        "eps": EPS,
        "norm": "post",
    }
    yield Case(
        "block",
        "the paper's",
        {**sizes, **how},
        {
            "x": draw.array(2, tokens, dim, size=2.0),
            **draw.parameters(**norm_shapes("mixer.norm", dim)),
            **draw.parameters(**ffn_shapes(dim, ff_dim, "standard", "ffn.", tokens)),
        },
        draw.array(2, tokens, dim),
        lambda i: networks.block(i["x"], i, **how),
        lambda c, i: networks.block_gradients(c, i["x"], i, **how),
    )


def expert_cases() -> Iterator[Case]:
    """Both mixtures of experts of each token, with a scale at which no gate is near its kink."""
    draw = Numbers(12)
    tokens, dim, ff_dim, count, k = 2, 4, 3, 3, 2
    sizes = {"num_tokens": tokens, "hidden_dim": dim, "num_experts": count, "ff_dim": ff_dim}
    for stage, ffn, options, router, scores in [
        ("sparse_moe", "standard", {"policy": "single"}, networks.relu_gates(), "sparse"),
        ("sparse_per_token_moe", "swiglu", {"top_k": k}, networks.top_k_gates(k), "scores"),
    ]:
        shapes = {
            f"router.{name}": (tokens, *shape)
            for name, shape in linear_shapes(scores, dim, count).items()
        }
        for name, several in (("experts.", count), ("shared.", 1 if ffn == "swiglu" else 0)):
            network = ffn_shapes(dim, ff_dim, ffn)
            shapes |= {
                name + key: (tokens, several, *shape)
                for key, shape in network.items()
                if several and not key.startswith("norm")
            }
        yield Case(
            stage,
            "serving",
            {**sizes, **options},
            {"x": draw.array(3, tokens, dim, size=2.0), **draw.parameters(**shapes)},
            draw.array(3, tokens, dim),
            lambda i, router=router: networks.mixture(i["x"], i, router),
            lambda c, i, router=router: networks.mixture_gradients(c, i["x"], i, router),
        )


def mixer_cases() -> Iterator[Case]:
    """Reverting, learned mixings, and the block that reverts."""
    draw = Numbers(12)
    for t, h in ((3, 2), (2, 5)):
        yield Case(
            "token_revert",
            f"T = {t}, H = {h}",
            {"num_heads": h},
            {"x": draw.array(2, t, 3 * h)},
            draw.array(2, t, 3 * h),
            lambda i, h=h: layers.token_mix_gradient(i["x"], h, "rankmixer"),  # the inverse
            lambda c, i, h=h: {"x": layers.token_mix(c, h, "rankmixer")},
        )
    draw = Numbers(13)
    sizes = {"num_tokens": 3, "hidden_dim": 4, "num_heads": 2}
    yield Case(
        "chunk_mixing",
        "two heads",
        sizes,
        {"x": draw.array(2, 3, 4, size=2.0), "weight": draw.array(2, 3, 3)},
        draw.array(2, 3, 4),
        lambda i: layers.chunk_mixing(i["x"], i["weight"]),
        lambda c, i: layers.chunk_mixing_gradients(c, i["x"], i["weight"]),
    )
    for how in ({"temperature": 1.0, "steps": 2}, {"temperature": 0.25, "steps": 2}):
        yield Case(
            "sinkhorn_mixing",
            f"temperature {how['temperature']}",
            {**sizes, **how},
            {"x": draw.array(2, 3, 4, size=2.0), "weight": draw.array(6, 6)},
            draw.array(2, 3, 4),
            lambda i, how=how: layers.sinkhorn_mixing(i["x"], i["weight"], **how),
            lambda c, i, how=how: layers.sinkhorn_mixing_gradients(c, i["x"], i["weight"], **how),
        )
    draw = Numbers(14)
    for norm, t, dim, h in (("inside", 3, 2, 2), ("outside", 2, 3, 3)):
        shapes: dict[str, tuple[int, ...]] = {}
        for stage, count, width in (("mixed", h, t * dim // h), ("reverted", t, dim)):
            shapes |= {f"{stage}.norm.weight": (width,)}
            shapes |= {f"{stage}.w{i}.weight": (count, width, width) for i in (1, 2, 3)}
        how = {"num_heads": h, "norm": norm, "eps": EPS}
        yield Case(
            "token_mixer_large_block",
            f"norm {norm}",
            {"num_tokens": t, "hidden_dim": dim, "expansion": 1, **how},
            {"x": draw.array(2, t, dim, size=2.0), **draw.parameters(**shapes)},
            draw.array(2, t, dim),
            lambda i, how=how: networks.large_block(i["x"], i, **how),
            lambda c, i, how=how: networks.large_block_gradients(c, i["x"], i, **how),
        )


def all_cases() -> list[Case]:
    """Every golden case, in the order of the stages."""
    return [
        *elementwise_cases(),
        *row_cases(),
        *layer_norm_cases(),
        *layer_cases(),
        *paper_cases(),
        *expert_cases(),
        *mixer_cases(),
        *network_cases(),
    ]
