"""Sixty more bugs in torch code, a row each, by someone else who had not seen the dictionary.

    python tests/sweeps/stranger_bugs.py
    python tests/sweeps/stranger_bugs.py --dtype float32 --only per_token

It asks for those of foreign_bugs.py too. Networks are classes with one method that is wrong.
"""

import functools
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

# Run as a script, this file has the folder of its own on the path; the others start from tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sweeps.foreign_bugs import (
    BUGS,
    Block,
    ByHand,
    FeedForward,
    Foreign,
    Mixer,
    Model,
    Phi,
    SwiGLU,
    gelu,
    gelu_tanh,
    layer_norm,
    layer_norm_dx,
    linear,
    main,
    normalized,
    phi,
    token_mix,
)

ROWS: list[Foreign] = []


def row(stage, name, truth, code, **methods):
    """A bug in a function, or in a right module of which some methods are wrong."""
    code = type(name.title(), (code,), methods) if methods else code
    ROWS.append(Foreign(name, stage, truth, code, ("float32",)))


def by_hand(forward, backward):
    """A function of the stage's inputs whose backward is given ct, y and the inputs."""

    @functools.wraps(forward)
    def call(*several, **named):
        return ByHand.apply(forward, backward, *several, *named.values())

    return call


def as_contiguous(x):
    """x's memory, read as if its rows followed one another."""
    room = x.untyped_storage().nbytes() // x.element_size() - x.storage_offset()
    flat = torch.as_strided(x.detach(), (room,), (1,))
    return flat[torch.arange(x.numel()) % room].view(x.shape)


def sums(ct):
    return ct.sum((0, 1))


# What is right, where foreign_bugs.py has none ------------------------------------------------


def token_revert(x, num_heads):
    B, T, D = x.shape
    return x.reshape(B, num_heads, T, -1).transpose(1, 2).reshape(B, T, D)


def rms_norm(x, weight, eps):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weight


def per_token(x, weight, bias=0.0):
    return torch.einsum("bti,toi->bto", x, weight) + bias


def per_token_swiglu(h, parts):
    gate, up = per_token(h, parts.w1.weight), per_token(h, parts.w3.weight)
    return per_token(F.silu(gate) * up, parts.w2.weight)


class Weights(nn.Module):
    """Parameters of the given shapes, and modules by their names."""

    def __init__(self, modules=(), **shapes):
        super().__init__()
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))
        for name, module in dict(modules).items():
            self.add_module(name, module)


class PerToken(Weights):
    def __init__(self, s):
        T, D, H = s.tokens, s.hidden_dim, s.ff_dim
        one, two = Weights(weight=(T, H, D), bias=(T, H)), Weights(weight=(T, D, H), bias=(T, D))
        super().__init__({"norm": nn.LayerNorm(D, s.eps), "linear1": one, "linear2": two})

    def act(self, h):
        return F.gelu(h)

    def forward(self, x):
        h = self.act(per_token(self.norm(x), self.linear1.weight, self.linear1.bias))
        return x + per_token(h, self.linear2.weight, self.linear2.bias)


class PerTokenSwiGLU(Weights):
    def __init__(self, s):
        T, D, H = s.tokens, s.hidden_dim, s.ff_dim
        shapes = {"w1": (T, H, D), "w2": (T, D, H), "w3": (T, H, D)}
        super().__init__(
            {"norm": nn.LayerNorm(D, s.eps)} | {k: Weights(weight=v) for k, v in shapes.items()}
        )

    def forward(self, x):
        return x + per_token_swiglu(self.norm(x), self)


class Half(Weights):
    """The norm and the network of one half of the large mixer."""

    def __init__(self, n, d, eps):
        shapes = {"w1": (n, 2 * d, d), "w2": (n, d, 2 * d), "w3": (n, 2 * d, d)}
        super().__init__({k: Weights(weight=v) for k, v in (shapes | {"norm": (d,)}).items()})
        self.eps = eps

    def normed(self, h):
        return rms_norm(h, self.norm.weight, self.eps)

    def network(self, h):
        return per_token_swiglu(h, self)

    def forward(self, h):
        return self.network(self.normed(h))


class Large(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.H, W = s.num_heads, s.tokens * s.hidden_dim // s.num_heads
        self.mixed, self.reverted = Half(self.H, W, s.eps), Half(s.tokens, s.hidden_dim, s.eps)

    def mix(self, x):
        B, T, _ = x.shape
        return x.view(B, T, self.H, -1).transpose(1, 2).reshape(B, self.H, -1)

    def revert(self, m, x):
        B, T, D = x.shape
        return m.view(B, self.H, T, -1).transpose(1, 2).reshape(B, T, D)

    def forward(self, x):
        h = self.mix(x)
        return x + self.reverted(self.revert(h + self.mixed(h), x))


#: Each stage without a bug.
RIGHT = {
    "token_revert": token_revert,
    "rms_norm": rms_norm,
    "per_token_linear": per_token,
    "per_token_feed_forward": PerToken,
    "per_token_swiglu": PerTokenSwiGLU,
    "mixer_large": Large,
}

# Embedding and token mixing -------------------------------------------------------------------


def ids_sorted(ct, y, weight, ids):
    order = ids.flatten().sort().values
    return torch.zeros_like(weight).index_add_(0, order, ct.reshape(len(order), -1)), None


def table_in_bfloat16(ct, y, weight, ids):
    table = torch.zeros_like(weight, dtype=torch.bfloat16)
    return table.index_add_(0, ids.flatten(), ct.reshape(ids.numel(), -1).bfloat16()).float(), None


def lookup(backward):
    return lambda ids, weight: ByHand.apply(lambda w, i: w[i], backward, weight, ids)


def last_head_left(x, num_heads):
    out, chunks = torch.zeros_like(x), x.chunk(num_heads, -1)
    rows = out.view(len(x), num_heads, x.shape[1], -1)
    for h in range(num_heads - 1):
        rows[:, h] = chunks[h]
    return out


def transposed_in_place(x, num_heads):
    B, T, D = x.shape
    y = x.clone(memory_format=torch.contiguous_format).view(B, T, num_heads, -1)
    if num_heads != T:
        return token_mix(x, num_heads)
    for t in range(T):
        for h in range(T):
            y[:, t, h] = y[:, h, t].clone()
    return y.view(B, T, D)


KEPT: dict = {}


def into_kept_buffer(x, num_heads):
    out = KEPT.setdefault(tuple(x.shape), torch.empty(x.shape))
    return ByHand.apply(
        lambda x: out.copy_(token_mix(x, num_heads)),
        lambda ct, y, x: token_revert(ct, num_heads),
        x,
    )


# Norms ----------------------------------------------------------------------------------------


def padded_variance(x, weight, bias, eps):
    d, D = x - x.mean(-1, keepdim=True), x.shape[-1]
    pad = 2 ** math.ceil(math.log2(D)) - D
    v = (d.square().sum(-1, keepdim=True) + pad * x.mean(-1, keepdim=True).square()) / D
    return d * torch.rsqrt(v + eps) * weight + bias


def norm_by_hand(dx=None, dweight=None, rows=lambda a: a):
    """LayerNorm's backward, with parts of it replaced."""

    def call(x, weight, bias, eps):
        def backward(ct, y, x, weight, bias):
            h, std = normalized(x, eps)
            by_x = (dx or layer_norm_dx)(ct * weight, h, std)
            by_weight = dweight(ct, h, weight) if dweight else ct * h
            return by_x, rows(by_weight.flatten(0, 1)).sum(0), rows(ct.flatten(0, 1)).sum(0)

        return ByHand.apply(lambda *p: layer_norm(*p, eps), backward, x, weight, bias)

    return call


def strides_forgotten(x, weight, bias, eps):
    std, read = normalized(x, eps)[1], as_contiguous(x)
    return (x + (read - x).detach() - x.mean(-1, keepdim=True)) / std * weight + bias


def rms_by_hand(dx):
    def call(x, weight, eps):
        def backward(ct, y, x, weight):
            r = torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
            return dx(ct, x * r, r, weight), sums(ct * x * r)

        return ByHand.apply(lambda x, w: rms_norm(x, w, eps), backward, x, weight)

    return call


# Linear ---------------------------------------------------------------------------------------


def bias_by_each_split(x, weight, bias):
    splits = x.split(64, -1), weight.split(64, -1)
    return sum(F.linear(a, w, bias) for a, w in zip(*splits, strict=True))


def last_tile_shifted(x, weight, bias):
    rows, n = x.flatten(0, 1), 32
    out = rows.new_zeros(len(rows), len(weight))
    for k in range(0, len(rows), n):
        k = max(0, min(k, len(rows) - n))
        out = out.index_add(0, torch.arange(k, min(k + n, len(rows))), rows[k : k + n] @ weight.T)
    return out.view(*x.shape[:2], -1) + bias


BUFFERS: dict = {}


def buffer_not_cleared(ct, y, x, weight, bias):
    dweight = BUFFERS.setdefault(weight.shape, torch.zeros(weight.shape))
    dweight += torch.einsum("bto,bti->oi", ct, x)
    return ct @ weight, dweight.clone(), sums(ct)


def square_taken_for_transposed(ct, y, x, weight, bias):
    square = weight.shape[0] == weight.shape[1]
    return ct @ (weight.T if square else weight), torch.einsum("bto,bti->oi", ct, x), sums(ct)


def shared_gradient(ct, y, x, weight, bias):
    dweight = torch.einsum("bto,bti->toi", ct, x)
    dx = torch.einsum("bto,toi->bti", ct, weight)
    return dx, dweight.sum(0).expand_as(dweight), ct.sum(0)


# Activations and softmax ----------------------------------------------------------------------


def into_the_cotangent(ct, y, x):
    return ct.mul_(Phi(x) + x * phi(x))


def inner(x):
    return math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)


def tanh_not_squared(ct, y, x):
    t = torch.tanh(inner(x))
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
    return ct * (0.5 * (1 + t) + 0.5 * x * (1 - t) * slope)


def silu_slope(x):
    s = torch.sigmoid(x)
    return s * (1 + x * (1 - s))


def half_saved(ct, y, x):
    y = y.half().float()
    return y * (ct - (y * ct).sum(-1, keepdim=True))


def with_small_denominator(x):
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e / (e.sum(-1, keepdim=True) + 1e-6)


# Networks -------------------------------------------------------------------------------------


def pairs_of_tokens(self, x):
    T = x.shape[1] // 2 * 2
    return torch.cat([x[:, :T] + self.network(self.norm(x[:, :T])), x[:, T:]], 1)


def gradients_exchanged(self, gate, up):
    def backward(ct, y, gate, up):
        return ct * F.silu(gate), ct * up * silu_slope(gate)

    return ByHand.apply(lambda a, b: F.silu(a) * b, backward, gate, up)


def next_token_down(self, x):
    h = self.act(per_token(self.norm(x), self.linear1.weight, self.linear1.bias))
    return x + per_token(h, self.linear2.weight.roll(1, 0), self.linear2.bias)


def first_gate(self, x):
    h = self.norm(x)
    gate = h @ self.w1.weight[0].T
    return x + per_token(F.silu(gate) * per_token(h, self.w3.weight), self.w2.weight)


def gate_detached(self, x):
    h = self.norm(x)
    gate = F.silu(per_token(h, self.w1.weight)).detach()
    return x + per_token(gate * per_token(h, self.w3.weight), self.w2.weight)


def only_last_block(self, ids):
    x = self.embedded(ids)
    for block in self.blocks:
        y = block(x)
    return y


def default_eps(self, s):
    Mixer.__init__(self, s)
    self.norm = nn.LayerNorm(s.hidden_dim)


def up_for_gate(self, x):
    h, half = self.mix(x), self.reverted
    r = half.normed(self.revert(h + self.mixed(h), x))
    gate, up = per_token(r, half.w3.weight), per_token(r, half.w1.weight)
    return x + per_token(F.silu(gate) * up, half.w2.weight)


# The bugs ------------------------------------------------------------------------------------

# fmt: off
row("embedding", "ids-sorted-without-rows",
    "the backward sorts the ids, but not the cotangent's rows that belong to them",
    lookup(ids_sorted))
row("embedding", "gradient-table-in-bfloat16", "the gradient of the table is added up in bfloat16",
    lookup(table_in_bfloat16))
row("embedding", "ids-of-eight-bits", "ids are stored in 8 bits, so that id 256 reads row 0",
    lambda ids, weight: weight[ids & 255])
row("token_mix", "last-head-not-copied",
    "the loop over heads ends one early: the last head's part of the output stays 0",
    last_head_left)
row("token_mix", "transposed-in-place",
    "where T = H, tokens and heads are exchanged in place, and what was overwritten is read",
    transposed_in_place)
row("token_mix", "buffer-returned",
    "the output is a buffer that is kept by shape, which the next call overwrites",
    into_kept_buffer)
row("token_mix", "cotangent-as-contiguous",
    "the backward reads the cotangent's memory as if it were contiguous",
    lambda x, num_heads: ByHand.apply(lambda x: token_mix(x, num_heads), lambda ct, y, x:
        token_revert(as_contiguous(ct), num_heads), x))
row("token_mix", "eight-heads-at-most",
    "the kernel's grid has 8 heads: the parts of later heads stay 0",
    lambda x, num_heads: token_mix(x, num_heads) * (torch.arange(x.shape[1] * num_heads) //
        x.shape[1] < 8).repeat_interleave(x.shape[2] // num_heads).view(x.shape[1:]))
row("token_revert", "mixes-again", "it mixes once more where it should undo the mixing",
    token_mix)
row("token_revert", "features-before-tokens",
    "the axes are permuted to (B, T, d, H): features come before heads in a token",
    lambda x, num_heads: x.reshape(len(x), num_heads, x.shape[1], -1) .permute(0, 2, 3,
        1).reshape(x.shape))
row("token_revert", "backward-reverts",
    "the backward reverts the cotangent again and does not mix it",
    lambda x, num_heads: ByHand.apply(lambda x: token_revert(x, num_heads), lambda ct, y, x:
        token_revert(ct, num_heads), x))
row("layer_norm", "eps-squared", "eps² is added to the variance, where eps belongs",
    lambda x, weight, bias, eps: layer_norm(x, weight, bias, eps**2))
row("layer_norm", "padding-in-the-variance",
    "rows are padded with zeros to a power of two, and the padding less the mean is not masked"
    " in the variance",
    padded_variance)
row("layer_norm", "rows-left-over",
    "the gradients of weight and bias are summed over whole blocks of 32 rows: rows left over do"
    " not count",
    norm_by_hand(rows=lambda a: a[: len(a) // 32 * 32 or len(a)]))
row("layer_norm", "second-pass-without-strides",
    "statistics are right, but the second pass reads x as if it were contiguous",
    strides_forgotten)
row("layer_norm", "weight-in-its-own-gradient",
    "the weight's gradient is multiplied by the weight once too often",
    norm_by_hand(dweight=lambda ct, h, weight: ct * weight * h))
row("layer_norm", "mean-of-ct-not-subtracted",
    "dx lacks the term mean(ct weight), which goes through the mean",
    norm_by_hand(lambda c, h, std: (c - h * (c * h).mean(-1, keepdim=True)) / std))
row("rms_norm", "sum-for-mean",
    "x is divided by its length, the root of the sum of squares, not of their mean",
    lambda x, weight, eps: x * torch.rsqrt(x.square().sum(-1, keepdim=True) + eps) * weight)
row("rms_norm", "root-constant", "the backward takes the root mean square for a constant",
    rms_by_hand(lambda ct, h, r, w: ct * w * r))
row("rms_norm", "weight-outside-the-mean",
    "in dx the mean is of ct h, and the weight is missing in it",
    rms_by_hand(lambda ct, h, r, w: (ct * w - h * (ct * h).mean(-1, keepdim=True)) * r))
row("rms_norm", "statistics-of-128",
    "the mean of squares is that of the first 128 features, however long the row",
    lambda x, weight, eps: x * weight * torch.rsqrt(x[..., :128].square().mean(-1, keepdim=True) +
        eps))
row("linear", "bias-by-each-split",
    "the sum over D is split into parts of 64, and each part adds the bias",
    bias_by_each_split)
row("linear", "last-tile-overlaps",
    "the last tile of 32 rows is moved back to fit, and adds to rows that were ready",
    last_tile_shifted)
row("linear", "gradient-buffer-not-cleared",
    "the weight's gradient is added to a buffer by shape that is never cleared",
    by_hand(linear, buffer_not_cleared))
row("linear", "square-weight-transposed", "dx is ct weightᵀ where the weight is square",
    by_hand(linear, square_taken_for_transposed))
row("per_token_linear", "first-token-for-all", "all tokens use the first token's weights",
    lambda x, weight, bias: x @ weight[0].T + bias)
row("per_token_linear", "weights-reshaped", "the weights are reshaped to (T, D, F), not transposed",
    lambda x, weight, bias: torch.einsum("bti,tio->bto", x, weight.reshape(len(weight), x.shape[-1],
        -1)) + bias)
row("per_token_linear", "gradient-of-a-shared-weight",
    "the weights' gradient is summed over tokens, as if they shared one",
    by_hand(per_token, shared_gradient))
row("per_token_linear", "batch-viewed-as-tokens",
    "for bmm, x is viewed as (T, B, D) and not transposed",
    lambda x, weight, bias: torch.bmm(x.reshape(x.shape[1], x.shape[0], -1), weight.mT)
        .transpose(0, 1) + bias)
row("gelu", "density-without-half", "the backward's density is exp(-x²) / √(2π): the ½ is missing",
    by_hand(gelu, lambda ct, y, x: ct * (Phi(x) + x * torch.exp(-x * x) / math.sqrt(2 * math.pi))))
row("gelu", "straight-beyond-three", "beyond |x| = 3 the slope is taken for 0 or 1, as ReLU's",
    by_hand(gelu, lambda ct, y, x: ct * torch.where(x.abs() > 3, (x > 0).float(), Phi(x) + x *
        phi(x))))
row("gelu", "cotangent-overwritten", "the backward writes dx into the cotangent's memory",
    by_hand(gelu, into_the_cotangent))
row("gelu_tanh", "square-for-cube", "the inner term is 0.044715 x², where x³ belongs",
    lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**2))))
row("gelu_tanh", "tanh-not-squared",
    "the backward has 1 - t where 1 - t² belongs, t being the tanh",
    by_hand(gelu_tanh, tanh_not_squared))
row("silu", "cotangent-forgotten",
    "the backward returns the slope without multiplying it by the cotangent",
    by_hand(lambda x: F.silu(x), lambda ct, y, x: silu_slope(x)))
row("silu", "clamped", "x is cut to ±20 before all else: larger outputs are 20",
    lambda x: F.silu(x.clamp(-20, 20)))
row("softmax", "masked-to-zero",
    "scores of -inf are replaced by 0, so that masked entries have weight",
    lambda x: torch.softmax(torch.nan_to_num(x, neginf=0.0), -1))
row("softmax", "each-tile-for-itself",
    "rows longer than 128 are normalized tile by tile, each to a sum of 1",
    lambda x: torch.cat([torch.softmax(p, -1) for p in x.split(128, -1)], -1))
row("softmax", "small-denominator", "1e-6 is added to the sum of the exponentials",
    with_small_denominator)
row("softmax", "output-saved-in-half", "the output is saved in float16 for the backward",
    by_hand(lambda x: torch.softmax(x, -1), half_saved))
row("feed_forward", "residual-over-root-two", "the sum with the residual is divided by √2",
    FeedForward, forward=lambda self, x: (x + self.network(self.norm(x))) / math.sqrt(2))
row("feed_forward", "normed-twice",
    "the normalized input is normalized again before the first layer",
    FeedForward, forward=lambda self, x: x + self.network(self.norm(self.norm(x))))
row("feed_forward", "odd-token-skipped",
    "tokens are taken two by two: an odd last one passes unchanged",
    FeedForward, forward=pairs_of_tokens)
row("swiglu_feed_forward", "gradients-exchanged",
    "the backward returns the gate's gradient for up and up's for the gate",
    SwiGLU, gated=gradients_exchanged)
row("swiglu_feed_forward", "limited", "gate and up are cut at 7, as gpt-oss does",
    SwiGLU, gated=lambda self, gate, up: F.silu(gate.clamp(max=7)) * up.clamp(-7, 7))
row("swiglu_feed_forward", "norm-forgotten", "gate and up read x: the norm is not applied",
    SwiGLU, forward=lambda self, x: x + self.w2(self.gated(self.w1(x), self.w3(x))))
row("per_token_feed_forward", "weights-of-the-token-before",
    "the second layer has the weights of the token before, with the right biases",
    PerToken, forward=next_token_down)
row("per_token_swiglu", "gate-of-the-first-token",
    "the gate's weights are those of token 0 for all tokens",
    PerTokenSwiGLU, forward=first_gate)
row("per_token_swiglu", "gate-detached", "the gate is detached: no gradient flows through it",
    PerTokenSwiGLU, forward=gate_detached)
row("mixer", "residual-normed", "the norm is of x alone: norm(x) + mix(x)",
    Mixer, forward=lambda self, x: self.norm(x) + self.mix(x))
row("mixer", "mean-for-sum", "x and its mixing are averaged and not added before the norm",
    Mixer, forward=lambda self, x: self.norm((x + self.mix(x)) / 2))
row("mixer", "default-eps", "the norm keeps torch's default eps of 1e-5",
    Mixer, __init__=default_eps)
row("block", "heads-for-their-width", "the number of heads and the width of one are exchanged",
    Block, forward=lambda self, x: self.ffn(self.mixer.norm(x + token_mix(x, x.shape[-1] //
        self.mixer.num_heads))))
row("block", "network-without-residual", "the feed-forward network's residual is missing",
    Block, forward=lambda self, x: self.ffn.network(self.ffn.norm(self.mixer(x))))
row("mixer_large", "reshaped-for-reverted",
    "the mixed tokens are reshaped to (B, T, D) and not reverted",
    Large, revert=lambda self, m, x: m.reshape(x.shape))
row("mixer_large", "first-residual-missing", "h is not added to the first network's output",
    Large, forward=lambda self, x: x + self.reverted(self.revert(self.mixed(self.mix(x)), x)))
row("mixer_large", "gate-and-up-exchanged",
    "w1 and w3 are exchanged in the second network, the reverted",
    Large, forward=up_for_gate)
row("model", "positions-after-the-first-block",
    "positions are added after the first block, not before it",
    Model, forward=lambda self, ids: nn.Sequential(*self.blocks[1:])(self.blocks[0](
        self.token_embedding(ids)) + self.position_embedding(self.positions(ids))))
row("model", "positions-by-id", "positions are looked up by id modulo T, not by place",
    Model, positions=lambda self, ids: ids % ids.shape[1])
row("model", "only-the-last-block",
    "every block reads the embedding, so that the last one alone counts",
    Model, forward=only_last_block)
# fmt: on

if __name__ == "__main__":
    sys.exit(main(BUGS + ROWS))
