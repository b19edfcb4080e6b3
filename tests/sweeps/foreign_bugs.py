"""Are bugs in torch code caught and named that were planted without a look at the dictionary?

    python tests/sweeps/foreign_bugs.py
    python tests/sweeps/foreign_bugs.py --dtype float64 --only softmax

Every bug stands in a function or module as one writes it for RankMixer in torch, and says in a
sentence what is wrong. The sentences were written before the kit was asked. Beside each stands what
the kit says; whether that is right, is for a reader to judge.
"""

import argparse
import math
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from numixology.verify.conformance import StageReport, conform
from numixology.verify.conformance.adapters.torch import torch_module

# How bugs are planted -------------------------------------------------------------------


class Foreign(NamedTuple):
    """One bug."""

    name: str
    stage: str
    truth: str
    code: Any
    dtypes: Sequence[str]


BUGS: list[Foreign] = []


def planted(stage: str, truth: str, dtypes: Sequence[str] = ("float32", "float64")):
    """A bug in a function of a stage's inputs, or in a module made from the sizes of a case."""

    def register(code):
        name = code.__name__.replace("_", "-")
        BUGS.append(Foreign(name, stage, truth, code, dtypes))
        return code

    return register


class ByHand(torch.autograd.Function):
    """A forward with a backward that was written by hand."""

    @staticmethod
    def forward(ctx, forward, backward, *arguments):
        y = forward(*arguments)
        ctx.backward_by_hand = backward
        ctx.save_for_backward(y, *arguments)
        return y

    @staticmethod
    def backward(ctx, ct):
        y, *arguments = ctx.saved_tensors
        found = ctx.backward_by_hand(ct, y, *arguments)
        return None, None, *(found if isinstance(found, tuple) else (found,))


# What is right --------------------------------------------------------------------------


def normalized(x, eps):
    d = x - x.mean(-1, keepdim=True)
    std = (d.square().mean(-1, keepdim=True) + eps).sqrt()
    return d / std, std


def layer_norm(x, weight, bias, eps):
    return normalized(x, eps)[0] * weight + bias


def layer_norm_dx(c, h, std):
    c = c - c.mean(-1, keepdim=True)
    return (c - h * (c * h).mean(-1, keepdim=True)) / std


def linear(x, weight, bias):
    return x @ weight.T + bias


def phi(x):
    return torch.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def Phi(x):
    return torch.erfc(-x / math.sqrt(2)) / 2


def gelu(x):
    return x * Phi(x)


def gelu_tanh(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_tanh_slope(x):
    t = torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    inner = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner


def token_mix(x, num_heads):
    B, T, D = x.shape
    return x.view(B, T, num_heads, -1).transpose(1, 2).reshape(B, T, D)


class FeedForward(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.norm = nn.LayerNorm(s.hidden_dim, eps=s.eps)
        self.linear1 = nn.Linear(s.hidden_dim, s.ff_dim)
        self.linear2 = nn.Linear(s.ff_dim, s.hidden_dim)

    def act(self, h):
        return F.gelu(h)

    def network(self, h):
        return self.linear2(self.act(self.linear1(h)))

    def forward(self, x):
        return x + self.network(self.norm(x))


class SwiGLU(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.norm = nn.LayerNorm(s.hidden_dim, eps=s.eps)
        self.w1 = nn.Linear(s.hidden_dim, s.ff_dim, bias=False)
        self.w3 = nn.Linear(s.hidden_dim, s.ff_dim, bias=False)
        self.w2 = nn.Linear(s.ff_dim, s.hidden_dim, bias=False)

    def gated(self, gate, up):
        return F.silu(gate) * up

    def forward(self, x):
        h = self.norm(x)
        return x + self.w2(self.gated(self.w1(h), self.w3(h)))


class Mixer(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.num_heads = s.num_heads
        self.norm = nn.LayerNorm(s.hidden_dim, eps=s.eps)

    def mix(self, x):
        return token_mix(x, self.num_heads)

    def forward(self, x):
        return self.norm(x + self.mix(x))


class Block(nn.Module):
    Mixer, FeedForward = Mixer, FeedForward

    def __init__(self, s):
        super().__init__()
        self.mixer = self.Mixer(s)
        self.ffn = self.FeedForward(s)

    def forward(self, x):
        return self.ffn(self.mixer(x))


class Model(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.token_embedding = nn.Embedding(s.vocab_size, s.hidden_dim)
        self.position_embedding = nn.Embedding(s.tokens, s.hidden_dim)
        self.blocks = nn.ModuleList(Block(s) for _ in range(s.num_layers))

    def positions(self, ids):
        return torch.arange(ids.shape[1], device=ids.device)

    def embedded(self, ids):
        return self.token_embedding(ids) + self.position_embedding(self.positions(ids))

    def forward(self, ids):
        x = self.embedded(ids)
        for block in self.blocks:
            x = block(x)
        return x


#: Each stage without a bug.
RIGHT: dict[str, Any] = {
    "embedding": lambda ids, weight: weight[ids],
    "token_mix": token_mix,
    "layer_norm": layer_norm,
    "linear": linear,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "silu": lambda x: F.silu(x),
    "softmax": lambda x: torch.softmax(x, -1),
    "feed_forward": FeedForward,
    "swiglu_feed_forward": SwiGLU,
    "mixer": Mixer,
    "block": Block,
    "model": Model,
}

# LayerNorm ------------------------------------------------------------------------------


@planted("layer_norm", "the variance is divided by D - 1, which is the default of torch's var")
def unbiased_variance(x, weight, bias, eps):
    m, v = x.mean(-1, keepdim=True), x.var(-1, keepdim=True)
    return (x - m) / torch.sqrt(v + eps) * weight + bias


@planted("layer_norm", "eps is added to the standard deviation, outside the root")
def eps_beside_the_root(x, weight, bias, eps):
    d = x - x.mean(-1, keepdim=True)
    return d / (d.square().mean(-1, keepdim=True).sqrt() + eps) * weight + bias


@planted("layer_norm", "eps is 1e-12 whatever is asked for")
def hard_coded_eps(x, weight, bias, eps):
    return layer_norm(x, weight, bias, 1e-12)


@planted("layer_norm", "the variance is clamped at eps from below, and eps is not added")
def variance_clamped(x, weight, bias, eps):
    d = x - x.mean(-1, keepdim=True)
    v = d.square().mean(-1, keepdim=True)
    return d * v.clamp(min=eps).rsqrt() * weight + bias


@planted("layer_norm", "mean and variance are taken over the tokens and not over the features")
def over_the_wrong_axis(x, weight, bias, eps):
    m = x.mean(1, keepdim=True)
    v = x.var(1, keepdim=True, unbiased=False)
    return (x - m) * torch.rsqrt(v + eps) * weight + bias


@planted("layer_norm", "the norm is an RMSNorm: no mean is subtracted anywhere")
def root_mean_square(x, weight, bias, eps):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weight + bias


@planted("layer_norm", "the variance is E[x²] - E[x]², which cancels where the mean is large")
def one_pass(x, weight, bias, eps):
    m = x.mean(-1, keepdim=True)
    v = (x * x).mean(-1, keepdim=True) - m * m
    return (x - m) * torch.rsqrt(v.clamp(min=0) + eps) * weight + bias


@planted(
    "layer_norm", "the variance is the mean of the two halves' variances, without that between"
)
def halves_not_merged(x, weight, bias, eps):
    k = max(1, x.shape[-1] // 2)
    parts = x.split(k, -1)
    v = sum(p.var(-1, keepdim=True, unbiased=False) * p.shape[-1] for p in parts) / x.shape[-1]
    return (x - x.mean(-1, keepdim=True)) * torch.rsqrt(v + eps) * weight + bias


@planted("layer_norm", "the bias is added before the multiplication by the weight")
def bias_before_weight(x, weight, bias, eps):
    return (normalized(x, eps)[0] + bias) * weight


@planted("layer_norm", "it divides by the variance: the square root is forgotten")
def no_root(x, weight, bias, eps):
    d = x - x.mean(-1, keepdim=True)
    return d / (d.square().mean(-1, keepdim=True) + eps) * weight + bias


@planted("layer_norm", "mean and deviation are detached, so the gradient takes them for constants")
def statistics_detached(x, weight, bias, eps):
    with torch.no_grad():
        m, std = x.mean(-1, keepdim=True), normalized(x, eps)[1]
    return (x - m) / std * weight + bias


@planted("layer_norm", "the backward takes h for the output y with weight and bias in it, in dx")
def output_saved_for_h(x, weight, bias, eps):
    def backward(ct, y, x, weight, bias):
        h, std = normalized(x, eps)
        return layer_norm_dx(ct * weight, y, std), (ct * h).sum((0, 1)), ct.sum((0, 1))

    return ByHand.apply(lambda *p: layer_norm(*p, eps), backward, x, weight, bias)


@planted("layer_norm", "the weight's gradient is Σ ct · x, with x not normalized")
def dweight_of_raw_x(x, weight, bias, eps):
    def backward(ct, y, x, weight, bias):
        h, std = normalized(x, eps)
        return layer_norm_dx(ct * weight, h, std), (ct * x).sum((0, 1)), ct.sum((0, 1))

    return ByHand.apply(lambda *p: layer_norm(*p, eps), backward, x, weight, bias)


@planted("layer_norm", "mean and variance are calculated in float16")
def statistics_in_half(x, weight, bias, eps):
    half = x.half()
    m = half.mean(-1, keepdim=True)
    v = (half - m).square().mean(-1, keepdim=True)
    return (x - m.to(x.dtype)) * torch.rsqrt(v.to(x.dtype) + eps) * weight + bias


@planted("layer_norm", "the result is stored in bfloat16 and widened again")
def stored_in_bfloat16(x, weight, bias, eps):
    return layer_norm(x, weight, bias, eps).bfloat16().to(x.dtype)


@planted("layer_norm", "it is calculated in float32 whatever comes", dtypes=("float64",))
def float32_inside(x, weight, bias, eps):
    out = F.layer_norm(x.float(), x.shape[-1:], weight.float(), bias.float(), eps)
    return out.to(x.dtype)


@planted("layer_norm", "the mean is subtracted in place, from the caller's own x")
def centered_in_place(x, weight, bias, eps):
    x.data.sub_(x.data.mean(-1, keepdim=True))
    return layer_norm(x, weight, bias, eps)


# Linear ---------------------------------------------------------------------------------


@planted("linear", "the bias is dropped")
def without_bias(x, weight, bias):
    return F.linear(x, weight)


@planted("linear", "the weight is reshaped to (D, F) and not transposed")
def reshaped_for_transposed(x, weight, bias):
    return x @ weight.reshape(weight.shape[1], weight.shape[0]) + bias


@planted("linear", "the last D mod 4 input features are left out of the product")
def remainder_dropped(x, weight, bias):
    k = x.shape[-1] // 4 * 4 or x.shape[-1]
    return x[..., :k] @ weight[:, :k].T + bias


def tf32(x):
    """x rounded to the 11 digits of TF32, with the gradient of x."""
    bits = x.detach().float().view(torch.int32)
    bits = (bits + 0xFFF + (bits >> 13 & 1)) & ~0x1FFF
    return x + (bits.view(torch.float32).to(x.dtype) - x.detach())


@planted("linear", "x and weight are rounded to TF32 before the product")
def tf32_product(x, weight, bias):
    return tf32(x) @ tf32(weight).T + bias


@planted("linear", "the product is one of bfloat16 numbers, with the result in bfloat16")
def autocast_product(x, weight, bias):
    out = x.bfloat16() @ weight.bfloat16().T + bias.bfloat16()
    return out.to(x.dtype)


@planted("linear", "the weight's gradient is that of the mean over the batch, not of the sum")
def dweight_averaged(x, weight, bias):
    def backward(ct, y, x, weight, bias):
        dw = torch.einsum("btf,btd->bfd", ct, x).mean(0)
        return ct @ weight, dw, ct.sum((0, 1))

    return ByHand.apply(linear, backward, x, weight, bias)


@planted("linear", "the weight's gradient is that of the last token alone: = in a loop, not +=")
def dweight_of_last_token(x, weight, bias):
    def backward(ct, y, x, weight, bias):
        for t in range(x.shape[1]):
            dw = ct[:, t].T @ x[:, t]
        return ct @ weight, dw, ct.sum((0, 1))

    return ByHand.apply(linear, backward, x, weight, bias)


_TRANSPOSED: dict[Any, torch.Tensor] = {}


@planted("linear", "the transposed weight is kept by shape, and is stale in all later calls")
def stale_transpose(x, weight, bias):
    key = (weight.shape, weight.dtype)
    if key not in _TRANSPOSED:
        _TRANSPOSED[key] = weight.detach().T.contiguous()
    return x @ (_TRANSPOSED[key] + (weight.T - weight.T.detach())) + bias


@planted("linear", "a ReLU was left in the epilogue: the output is cut at 0")
def relu_in_the_epilogue(x, weight, bias):
    return torch.relu(F.linear(x, weight, bias))


@planted("linear", "dweight is calculated as xᵀ ct, (D, F), and its memory returned as (F, D)")
def dweight_reshaped(x, weight, bias):
    def backward(ct, y, x, weight, bias):
        dw = (x.flatten(0, 1).T @ ct.flatten(0, 1)).reshape(weight.shape)
        return ct @ weight, dw, ct.sum((0, 1))

    return ByHand.apply(linear, backward, x, weight, bias)


# GELU -----------------------------------------------------------------------------------


@planted("gelu", "the tanh form is calculated where the exact one is asked for")
def tanh_for_erf(x):
    return F.gelu(x, approximate="tanh")


@planted("gelu", "the quick form is calculated, x σ(1.702 x)")
def quick(x):
    return x * torch.sigmoid(1.702 * x)


@planted("gelu", "Φ is a logistic function of a cubic, σ(1.5976 x + 0.07056 x³)")
def logistic_cdf(x):
    return x * torch.sigmoid(1.5976 * x + 0.07056 * x**3)


@planted("gelu", "erf is taken of x and not of x / √2")
def erf_of_x(x):
    return 0.5 * x * (1 + torch.erf(x))


@planted("gelu", "the factor ½ is missing")
def not_halved(x):
    return x * (1 + torch.erf(x / math.sqrt(2)))


@planted("gelu", "the backward is Φ(x) alone, without x φ(x)")
def slope_without_density(x):
    return ByHand.apply(gelu, lambda ct, y, x: ct * Phi(x), x)


@planted("gelu", "the forward is exact, the backward is that of the tanh form")
def backward_of_tanh(x):
    return ByHand.apply(gelu, lambda ct, y, x: ct * gelu_tanh_slope(x), x)


@planted("gelu", "x is saved in float16 for the backward; the forward is right")
def saved_in_half(x):
    def backward(ct, y, x):
        z = x.half().to(x.dtype)
        return ct * (Phi(z) + z * phi(z))

    return ByHand.apply(gelu, backward, x)


@planted("gelu_tanh", "the constant 0.044715 is mistyped as 0.044751")
def mistyped_constant(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044751 * x**3)))


@planted("gelu_tanh", "the factor √(2/π) is √2/π")
def root_of_two_over_pi(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2) / math.pi * (x + 0.044715 * x**3)))


@planted("gelu_tanh", "the backward forgets the derivative of the cubic term")
def cubic_not_derived(x):
    def backward(ct, y, x):
        t = torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
        return ct * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * math.sqrt(2 / math.pi))

    return ByHand.apply(gelu_tanh, backward, x)


@planted("gelu", "erf is a polynomial that is right to 1.5e-7 (Abramowitz and Stegun 7.1.26)")
def polynomial_erf(x):
    z, p = x.abs() / math.sqrt(2), 0
    t = 1 / (1 + 0.3275911 * z)
    for c in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        p = t * (c + p)
    return 0.5 * x * (1 + torch.sign(x) * (1 - p * torch.exp(-z * z)))


# SiLU -----------------------------------------------------------------------------------


@planted("silu", "the hard form is calculated, x relu6(x + 3) / 6")
def hard_swish(x):
    return F.hardswish(x)


@planted("silu", "exp(x) / (1 + exp(x)) is NaN where exp overflows")
def overflowing(x):
    return x * torch.exp(x) / (1 + torch.exp(x))


@planted("silu", "x / (1 + exp(-x)) is right, but its gradient is NaN where exp overflows")
def gradient_overflows(x):
    return x / (1 + torch.exp(-x))


@planted("silu", "the backward takes the output for the sigmoid: y (1 + x (1 - y))")
def output_for_sigmoid(x):
    return ByHand.apply(F.silu, lambda ct, y, x: ct * y * (1 + x * (1 - y)), x)


@planted("silu", "the sigmoid is ½ (1 + tanh(x)), where tanh(x/2) belongs")
def tanh_of_x(x):
    return x * 0.5 * (1 + torch.tanh(x))


# Softmax --------------------------------------------------------------------------------


@planted("softmax", "it goes over the tokens and not over the features")
def over_tokens(x):
    return torch.softmax(x, dim=1)


@planted("softmax", "the maximum is not subtracted, so that exp overflows")
def no_maximum(x):
    e = x.exp()
    return e / e.sum(-1, keepdim=True)


@planted("softmax", "the maximum of the whole tensor is subtracted, so that low rows vanish")
def global_maximum(x):
    e = (x - x.max()).exp()
    return e / e.sum(-1, keepdim=True)


@planted("softmax", "the running maximum begins at 0, so that rows far below it are 0 / 0")
def maximum_from_zero(x):
    e = (x - x.amax(-1, keepdim=True).clamp(min=0).detach()).exp()
    return e / e.sum(-1, keepdim=True)


@planted("softmax", "1 is added to the sum of the exponentials")
def one_in_the_sum(x):
    m = x.amax(-1, keepdim=True).detach()
    e = (x - m).exp()
    return e / (1 + e.sum(-1, keepdim=True))


@planted("softmax", "the logits are divided by √D")
def scaled(x):
    return torch.softmax(x / math.sqrt(x.shape[-1]), dim=-1)


@planted("softmax", "the backward is y ct, without the sum over the row")
def diagonal_gradient(x):
    return ByHand.apply(lambda x: torch.softmax(x, -1), lambda ct, y, x: y * ct, x)


@planted("softmax", "exp2 stands for exp, without the factor log₂(e)")
def base_two(x):
    e = torch.exp2(x - x.amax(-1, keepdim=True))
    return e / e.sum(-1, keepdim=True)


@planted("softmax", "in tiles of 64, whose sum is not scaled down when a later maximum is larger")
def sum_not_rescaled(x):
    m = x.new_full((*x.shape[:-1], 1), -math.inf)
    total = torch.zeros_like(m)
    for tile in x.split(64, -1):
        m = torch.maximum(m, tile.amax(-1, keepdim=True))
        total = total + (tile - m).exp().sum(-1, keepdim=True)
    return (x - m).exp() / total


# Embedding ------------------------------------------------------------------------------


@planted("embedding", "ids are taken to begin at 1: row id - 1 is read, for id 0 the last row")
def from_one(ids, weight):
    return weight[ids - 1]


@planted("embedding", "id 0 is padding: its row reads as zeros")
def padding_reads_zero(ids, weight):
    return F.embedding(ids, weight) * (ids != 0).unsqueeze(-1)


@planted("embedding", "row 0 is padding: it is read, but gets no gradient")
def padding_not_trained(ids, weight):
    return F.embedding(ids, weight, padding_idx=0)


@planted("embedding", "a repeated id's gradient is assigned, so that only one of them counts")
def assigned(ids, weight):
    def backward(ct, y, weight):
        dw = torch.zeros_like(weight)
        dw[ids] = ct
        return dw

    return ByHand.apply(lambda weight: weight[ids], backward, weight)


@planted("embedding", "the gradient is divided by how often an id occurs")
def by_frequency(ids, weight):
    return F.embedding(ids, weight, scale_grad_by_freq=True)


@planted("embedding", "rows are multiplied by √D")
def times_root_of_width(ids, weight):
    return weight[ids] * math.sqrt(weight.shape[1])


@planted("embedding", "rows longer than 1 are shortened to 1, in the table itself")
def max_norm(ids, weight):
    with torch.no_grad():
        F.embedding(ids, weight.data, max_norm=1.0)
    return F.embedding(ids, weight)


@planted("embedding", "a row's offset id · D is calculated in 16 bits, and wraps at 65,536 numbers")
def offset_of_16_bits(ids, weight):
    D = weight.shape[1]
    return weight.reshape(-1)[(ids * D % 65536).unsqueeze(-1) + torch.arange(D)]


# Token mixing ---------------------------------------------------------------------------


@planted("token_mix", "the permutation is undone before the merge: nothing is mixed")
def permuted_back(x, num_heads):
    B, T, D = x.shape
    h = x.view(B, T, num_heads, -1).permute(0, 2, 1, 3)
    return h.permute(0, 2, 1, 3).reshape(B, T, D)


@planted("token_mix", "a token is split into (d, H) and not into (H, d): heads take every H-th")
def interleaved_heads(x, num_heads):
    B, T, D = x.shape
    return x.view(B, T, -1, num_heads).permute(0, 3, 1, 2).reshape(B, T, D)


@planted("token_mix", "a head's chunks are merged with the feature before the token: (B, H, d, T)")
def feature_before_token(x, num_heads):
    B, T, D = x.shape
    return x.view(B, T, num_heads, -1).permute(0, 2, 3, 1).reshape(B, T, D)


@planted("token_mix", "heads are stacked in front of the batch, so that sequences are mixed")
def stacked_before_batch(x, num_heads):
    return torch.stack(x.chunk(num_heads, -1)).reshape(x.shape)


@planted("token_mix", "the inverse is applied: x is taken for (B, H, T, d)")
def inverse(x, num_heads):
    B, T, D = x.shape
    return x.reshape(B, num_heads, T, -1).transpose(1, 2).reshape(B, T, D)


@planted("token_mix", "the heads come in reverse order")
def reversed_heads(x, num_heads):
    return torch.stack(x.chunk(num_heads, -1)[::-1], 1).reshape(x.shape)


@planted("token_mix", "head h is rolled by h tokens: tokens shift and do not transpose")
def rolled(x, num_heads):
    chunks = x.chunk(num_heads, -1)
    return torch.cat([c.roll(h, 1) for h, c in enumerate(chunks)], -1)


_INDICES: dict[tuple[int, int], torch.Tensor] = {}


@planted("token_mix", "indices are kept by (T, D) and not by H: another H is given the first one's")
def indices_by_shape(x, num_heads):
    B, T, D = x.shape
    if (T, D) not in _INDICES:
        _INDICES[T, D] = token_mix(torch.arange(T * D).view(1, T, D), num_heads).flatten()
    return x.reshape(B, T * D)[:, _INDICES[T, D]].view(B, T, D)


# Feed-forward ---------------------------------------------------------------------------


@planted("feed_forward", "the norm comes after the residual: norm(x + network(x))")
class PostNorm(FeedForward):
    def forward(self, x):
        return self.norm(x + self.network(x))


@planted("feed_forward", "the residual is the normalized x and not x")
class ResidualOfNorm(FeedForward):
    def forward(self, x):
        h = self.norm(x)
        return h + self.network(h)


@planted("feed_forward", "dropout is active in evaluation: F.dropout without training=")
class DropoutInEval(FeedForward):
    def act(self, h):
        return F.dropout(F.gelu(h), 0.1)


@planted("feed_forward", "there is no activation between the two layers")
class NoActivation(FeedForward):
    def act(self, h):
        return h


@planted("feed_forward", "the activation comes again after the second layer")
class ActivatedTwice(FeedForward):
    def network(self, h):
        return F.gelu(self.linear2(F.gelu(self.linear1(h))))


@planted("feed_forward", "the residual x is cast to float16 before the addition")
class HalfResidual(FeedForward):
    def forward(self, x):
        return x.half().to(x.dtype) + self.network(self.norm(x))


@planted("feed_forward", "the residual branch is detached: x gets no gradient through it")
class DetachedResidual(FeedForward):
    def forward(self, x):
        return x.detach() + self.network(self.norm(x))


@planted("feed_forward", "the first layer's bias is left out")
class NoFirstBias(FeedForward):
    def network(self, h):
        return self.linear2(F.gelu(F.linear(h, self.linear1.weight)))


@planted("feed_forward", "weights, biases and the hidden layer are bfloat16, as under autocast")
class Autocast(FeedForward):
    def network(self, h):
        h = h.bfloat16()
        h = F.linear(h, self.linear1.weight.bfloat16(), self.linear1.bias.bfloat16())
        h = F.gelu(h)
        h = F.linear(h, self.linear2.weight.bfloat16(), self.linear2.bias.bfloat16())
        return h.to(self.linear1.weight.dtype)


# SwiGLU ---------------------------------------------------------------------------------


@planted("swiglu_feed_forward", "gate and up are exchanged: silu(w3 h) · w1 h")
class GateForUp(SwiGLU):
    def gated(self, gate, up):
        return F.silu(up) * gate


@planted("swiglu_feed_forward", "the gate is the bare sigmoid: GLU and not SwiGLU")
class SigmoidGate(SwiGLU):
    def gated(self, gate, up):
        return torch.sigmoid(gate) * up


@planted("swiglu_feed_forward", "SiLU is taken of the product and not of the gate")
class SiluOfProduct(SwiGLU):
    def gated(self, gate, up):
        return F.silu(gate * up)


@planted("swiglu_feed_forward", "the up projection reads x and not the normalized x")
class UpOfRawX(SwiGLU):
    def forward(self, x):
        return x + self.w2(self.gated(self.w1(self.norm(x)), self.w3(x)))


@planted("swiglu_feed_forward", "gate and up lie one after the other and are read in turns")
class PackedInTurns(SwiGLU):
    def forward(self, x):
        packed = F.linear(self.norm(x), torch.cat([self.w1.weight, self.w3.weight]))
        return x + self.w2(self.gated(packed[..., ::2], packed[..., 1::2]))


@planted("mixer", "the residual is outside of the norm: x + norm(mix(x))")
class ResidualOutside(Mixer):
    def forward(self, x):
        return x + self.norm(self.mix(x))


# Block ----------------------------------------------------------------------------------


@planted("block", "the mixer has no residual: norm(mix(x))")
class NoMixerResidual(Block):
    class Mixer(Mixer):
        def forward(self, x):
            return self.norm(self.mix(x))


@planted("block", "the mixer normalizes first: x + mix(norm(x))")
class MixerPreNorm(Block):
    class Mixer(Mixer):
        def forward(self, x):
            return x + self.mix(self.norm(x))


@planted("block", "the mixer's norm serves the feed-forward network too, whose own is not used")
class SharedNorm(Block):
    def forward(self, x):
        y = self.mixer(x)
        return y + self.ffn.network(self.mixer.norm(y))


@planted("block", "the feed-forward network comes before the mixer")
class WrongOrder(Block):
    def forward(self, x):
        return self.mixer(self.ffn(x))


@planted(
    "block", "the feed-forward network's residual is the block's input, not the mixer's output"
)
class ResidualFromInput(Block):
    def forward(self, x):
        return x + self.ffn.network(self.ffn.norm(self.mixer(x)))


# Model ----------------------------------------------------------------------------------


@planted("model", "positions begin at 1, and the last wraps to 0")
class PositionsFromOne(Model):
    def positions(self, ids):
        return (super().positions(ids) + 1) % ids.shape[1]


@planted("model", "positions are not added")
class NoPositions(Model):
    def embedded(self, ids):
        return self.token_embedding(ids) + 0 * self.position_embedding.weight


@planted("model", "positions are added before every block and not once")
class PositionsEveryBlock(Model):
    def forward(self, ids):
        x = self.token_embedding(ids)
        for block in self.blocks:
            x = block(x + self.position_embedding.weight)
        return x


@planted("model", "every layer runs the first block: the others' parameters are not used")
class FirstBlockAlways(Model):
    def forward(self, ids):
        x = self.embedded(ids)
        for _ in self.blocks:
            x = self.blocks[0](x)
        return x


@planted("model", "a last norm without parameters is applied, which the model does not have")
class FinalNorm(Model):
    def forward(self, ids):
        x = super().forward(ids)
        return F.layer_norm(x, x.shape[-1:])


@planted("model", "x is detached before the last block: the earlier layers are not trained")
class Truncated(Model):
    def forward(self, ids):
        x = self.embedded(ids)
        for block in self.blocks[:-1]:
            x = block(x)
        return self.blocks[-1](x.detach())


@planted("model", "the positions' gradient is that of the first sequence of the batch alone")
class PositionsOfFirst(Model):
    def embedded(self, ids):
        position = self.position_embedding(self.positions(ids))
        rest = position.detach().expand(len(ids) - 1, -1, -1)
        return self.token_embedding(ids) + torch.cat([position[None], rest])


# What the kit says ----------------------------------------------------------------------


class Found(NamedTuple):
    """What the kit says of one bug."""

    bug: Foreign
    dtype: str
    report: StageReport
    seconds: float

    @property
    def caught(self) -> bool:
        return self.report.outcome == "fail"

    def __str__(self) -> str:
        one = self.report
        said = str(one.diagnosis) if one.diagnosis else f"nothing ({one.outcome})"
        lines = [
            f"{self.bug.stage}/{self.bug.name} ({self.dtype}, {self.seconds:.1f} s): "
            + ("caught" if self.caught else f"NOT CAUGHT: {one.outcome}"),
            f"  true: {self.bug.truth}",
            f"  said: {said}",
        ]
        return "\n".join(lines + [f"  broken: {broken}" for broken in one.broken])


def ask(bug: Foreign, dtype: str, **options: Any) -> Found:
    begun = time.monotonic()
    report = conform(
        torch_module(bug.code, stage=bug.stage, dtype=dtype), stages=[bug.stage], **options
    )
    return Found(bug, dtype, report.stages[0], time.monotonic() - begun)


def main(bugs: Sequence[Foreign] = BUGS) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", choices=("float32", "float64"), help="by default both")
    parser.add_argument("--only", metavar="NAME", help="bugs whose stage/name has this in it")
    parser.add_argument("--quick", action="store_true", help="the quick cases only")
    options = parser.parse_args()
    torch.manual_seed(0)
    quick = {"quick": True} if options.quick else {}
    missed = 0
    for dtype in [options.dtype] if options.dtype else ["float32", "float64"]:
        chosen = [
            bug
            for bug in bugs
            if dtype in bug.dtypes and (options.only or "") in f"{bug.stage}/{bug.name}"
        ]
        found = []
        for bug in chosen:
            found.append(ask(bug, dtype, **quick))
            print(found[-1], end="\n\n", flush=True)
        caught = sum(one.caught for one in found)
        missed += len(found) - caught
        print(f"{dtype}: {caught} of {len(found)} caught\n", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
