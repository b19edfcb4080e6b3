"""The suite's cases written with torch, by name; each takes the case's own inputs."""

import math
from collections.abc import Callable
from typing import Any

import torch
from backends.test_torch_modules import (
    TorchBlock,
    TorchFeedForward,
    TorchMixer,
    TorchModel,
    TorchSelfAttention,
    TorchSwiGLU,
)

from numixology.verify.suite import CASES

Ft = torch.nn.functional
_inputs = {case.name: case.inputs for case in CASES}

# What the suite's functions hold besides their inputs.
_repeated = torch.tensor([2, 0, 2])
_mask = torch.tensor(_inputs["where"][0] > 0)
_classes = torch.tensor([1, 0, 3])


def _of(module: torch.nn.Module) -> Callable[..., Any]:
    """A module as a function of its input and, after it, its parameters."""
    module = module.double()
    names = [name for name, _ in module.named_parameters()]

    def call(x: Any, *parameters: Any) -> Any:
        return torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), (x,))

    return call


def _mix(mixing: str) -> Callable[..., Any]:
    def call(x: Any) -> Any:
        B, T, D = x.shape
        y = x.view(B, T, 4, D // 4).permute(0, 2, 1, 3)
        return (y.permute(0, 2, 1, 3) if mixing == "guide" else y).reshape(B, T, D)

    return call


def _attention(q: Any, k: Any, v: Any) -> Any:
    return torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), -1) @ v


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
    "divide": torch.div,
    "floor_divide, remainder": lambda a, b: (
        torch.div(a, b, rounding_mode="floor") + torch.remainder(a, b)
    ),
    "negative": torch.neg,
    "power, both arguments": torch.pow,
    "power, whole exponent": lambda x: x**3,
    "absolute": torch.abs,
    "sign": lambda x: torch.sign(x) * x,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log": torch.log,
    "log1p": torch.log1p,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "clip": lambda x: torch.clamp(x, -1.0, 0.7) + x,
    "where": lambda a, b: torch.where(_mask, a, b),
    "where, by its own condition": lambda a: torch.where(a != 0, a * a, 3.0),
    "matmul": torch.matmul,
    "matmul, vectors": lambda a, b, c: (a @ b) @ c,
    "einsum": lambda a, b: torch.einsum("ij,kjl->lk", a, b),
    "sum": lambda x: x.sum(0),
    "mean": lambda x: x.mean(1, keepdim=True),
    "var": lambda x: x.var(1, correction=0),
    "max": lambda x: x.amax(1),
    "min": lambda x: x.amin(0),
    "prod": lambda x: x.prod(1),
    "cumsum": lambda x: x.cumsum(1),
    "reshape": lambda x: x.reshape(2, 6),
    "transpose": lambda x: x.permute(2, 0, 1),
    "broadcast_to": lambda x: x.expand(3, 4),
    "squeeze, expand_dims": lambda x: x.squeeze(0).unsqueeze(-1),
    "contiguous": lambda x: x.permute(1, 0).contiguous(),
    "indexing": lambda x: x[_repeated, 1:] * x[:, None, 0],
    "scatter": lambda x: x.new_zeros(5, 4).index_add(0, _repeated, x),
    "copy_of": torch.clone,
    "astype": lambda x: x.to(x.dtype) * x,
    "concatenate": lambda a, b: torch.cat([a, b, a]),
    "stack": lambda a, b: torch.stack([a, b], 1),
    "split": lambda x: x.tensor_split(2, 1)[1],
    "erf": torch.erf,
    "normal_cdf": torch.special.ndtr,
    "normal_pdf": lambda x: torch.exp(-x * x / 2) / math.sqrt(2 * math.pi),
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "slope of sigmoid": lambda x: torch.sigmoid(x) * torch.sigmoid(-x),
    "tanh": torch.tanh,
    "silu": Ft.silu,
    "gelu": Ft.gelu,
    "gelu_tanh": lambda x: Ft.gelu(x, approximate="tanh"),
    "softplus": Ft.softplus,
    "softmax": lambda x: torch.softmax(x, -1),
    "log_softmax": lambda x: torch.log_softmax(x, -1),
    "logsumexp": lambda x: torch.logsumexp(x, -1),
    "layer_norm": lambda x, w, b: Ft.layer_norm(x, w.shape, w, b),
    "linear": Ft.linear,
    "embedding": lambda w: Ft.embedding(_repeated, w),
    "attention": _attention,
    "token_mix": _mix("rankmixer"),
    "token_mix, guide": _mix("guide"),
    "token_revert": lambda x: (
        x.view(len(x), 4, -1, x.shape[-1] // 4).permute(0, 2, 1, 3).reshape(x.shape)
    ),
    "rms_norm": lambda x, w: Ft.rms_norm(x, w.shape, w, eps=1e-5),
    "per_token_linear": lambda x, w, b: torch.einsum("bti,toi->bto", x, w) + b,
    "cross_entropy": lambda x: Ft.cross_entropy(x, _classes),
    "binary_cross_entropy_with_logits": Ft.binary_cross_entropy_with_logits,
    "mse_loss": Ft.mse_loss,
    "Linear": Ft.linear,
    "LayerNorm": lambda x, w, b: Ft.layer_norm(x, w.shape, w, b),
    "Embedding": Ft.embedding,
    "TokenMixer": _of(TorchMixer(8, 4)),
    "TokenMixer, guide": _of(TorchMixer(8, 4, "guide")),
    **{
        f"FeedForward, {name}": _of(TorchFeedForward(4, 5, name))
        for name in ("gelu", "gelu_tanh", "relu", "silu")
    },
    "SwiGLUFeedForward": _of(TorchSwiGLU(4, 5)),
    "SelfAttention": _of(TorchSelfAttention(4, 2, bias=False)),
    "RankMixerBlock": _of(TorchBlock(4, 2, 5)),
    "RankMixerBlock, swiglu": _of(TorchBlock(4, 2, 5, ffn="swiglu")),
    "RankMixerModel on ids": _of(TorchModel(4, 3, 2, 4, 2, 2)),
}
