"""The mathematics: functions of arrays that return arrays, or of tensors that return tensors."""

from ..arithmetic import (
    absolute,
    add,
    clip,
    divide,
    log,
    matmul,
    maximum,
    minimum,
    multiply,
    negative,
    power,
    sign,
    subtract,
    where,
)
from ..reductions import cumsum, max, mean, min, prod, sum, var
from ..shapes import astype, broadcast_to, contiguous, expand_dims, reshape, squeeze, transpose
from .activations import gelu, relu, sigmoid, silu, softplus, tanh
from .affine import dropout, embedding, linear, per_token_linear
from .distributions import log_softmax, logsumexp, softmax
from .dot_product import attention
from .elementary import concatenate, einsum, exp, expm1, log1p, split, sqrt, square, stack
from .losses import binary_cross_entropy_with_logits, cross_entropy, mse_loss
from .mixing import (
    chunk_cycles,
    chunk_destinations,
    depth_to_mix,
    mixing_condition,
    mixing_order,
    mixing_rank,
    mixing_steps,
    token_mix,
    token_revert,
)
from .normalization import layer_norm, rms_norm
from .special import erf, normal_cdf, normal_pdf

__all__ = [
    # Arithmetic
    "add", "subtract", "multiply", "divide", "negative", "power", "absolute", "abs", "sign",
    "matmul", "einsum",
    # Elementary functions
    "exp", "expm1", "log", "log1p", "sqrt", "square", "erf", "normal_cdf", "normal_pdf",
    # Choosing
    "clip", "maximum", "minimum", "where",
    # Reductions
    "sum", "mean", "var", "max", "min", "prod", "cumsum",
    # Shapes and dtypes
    "astype", "broadcast_to", "contiguous", "expand_dims", "reshape", "squeeze", "transpose",
    # Joining and cutting
    "concatenate", "split", "stack",
    # Activations
    "gelu", "relu", "sigmoid", "silu", "softplus", "tanh", "log_softmax", "logsumexp", "softmax",
    # Layers
    "attention", "dropout", "embedding", "layer_norm", "linear", "per_token_linear", "rms_norm",
    # Token mixing
    "mixing_steps", "token_mix", "token_revert", "chunk_cycles", "chunk_destinations",
    "depth_to_mix", "mixing_condition", "mixing_order", "mixing_rank",
    # Losses
    "binary_cross_entropy_with_logits", "cross_entropy", "mse_loss",
]  # fmt: skip

abs = absolute
