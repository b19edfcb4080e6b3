"""The stages written as a backend would write them, in one number format.

Here the layers stand a second time, for NumPy lacks these formats: a kernel rounds to its format
what it writes to memory, and a function of :mod:`numixology.functional` cannot be cut there.

It serves three ends. Its distance to the reference is what rounding does in that format, from which
the bounds are computed. Known bugs are variations of it, each a subclass that overrides one step.
And so are the legitimate rewrites, which must pass.

Steps calculate on the tape in the format's wide dtype, and what a kernel would write to memory
passes through :meth:`Textbook.store`. Gradients come from the tape, so a variation of a forward
has the gradient of what it computes.
"""

import math
from typing import Any

import numpy as np

from ... import functional as F
from ...array import Array, ignoring_fp_errors
from ...modes import no_grad
from ...primitives import primitive
from ...tensors import Tensor, leaf
from ...transforms import pull
from .formats import format_of
from .networks import Networks
from .stages import Inputs

__all__ = ["Textbook", "straight_through"]


@primitive
def _stored(x: Array, *, kind: str) -> Array:
    return format_of(kind).stored(x).astype(x.dtype)


@_stored.vjp("x")
def _stored_dx(ct: Any, y: Any, x: Any, *, kind: str) -> Any:
    return _stored(ct, kind=kind)


@primitive
def _instead(like: Array, *, value: Array) -> Array:
    return value


@_instead.vjp("like")
def _instead_dx(ct: Any, y: Any, like: Any, *, value: Array) -> Any:
    return ct


def straight_through(value: Tensor, like: Tensor) -> Tensor:
    """``value`` to the last digit, with the gradient of ``like``: how a wrong backward is written.

    Both have one shape; what ``like`` is worth does not matter.
    """
    return _instead(like, value=value.data)


class Textbook(Networks[Tensor]):
    """A backend in NumPy; it is an adapter.

    Args:
        dtype: the format's name.
        accumulation: the dtype in which sums are formed; by default the format's wide one.

    Example:
        >>> import numpy as np
        >>> from numixology.verify.conformance import Textbook
        >>> Textbook("bfloat16").forward("gelu", {"x": np.float32([-1.0, 1.0])})
        array([-0.15820312,  0.83984375], dtype=float32)
    """

    name = "textbook"
    profile: tuple[str, ...] = ()

    def __init__(self, dtype: str = "float64", accumulation: str | None = None) -> None:
        self.dtype = dtype
        self.format = format_of(dtype)
        self.wide = np.dtype(accumulation or self.format.wide)
        self.accumulation = str(self.wide)
        self.coarser = np.finfo(self.wide).nmant + 1 > self.format.digits

    # As an adapter

    def forward(self, stage: str, inputs: Inputs) -> Array:
        """What a stage computes."""
        with no_grad(), ignoring_fp_errors():
            return self.format.stored(self.run(stage, self.wrapped(inputs)).data)

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        """The gradients of ⟨cotangent, output⟩ by the floating-point inputs."""
        wrapped = self.wrapped(inputs)
        tracked = {k: v for k, v in wrapped.items() if isinstance(v, Tensor) and v.requires_grad}
        with ignoring_fp_errors():
            output = self.run(stage, wrapped)
            seed = leaf(np.asarray(cotangent, self.wide))
            found = pull([output], [seed], list(tracked.values()), create_graph=False)
        return {
            k: self.format.stored(np.zeros(tracked[k].shape) if g is None else g.data)
            for k, g in zip(tracked, found, strict=True)
        }

    def wrapped(self, inputs: Inputs) -> dict[str, Any]:
        """Inputs as tensors of the wide dtype."""

        def wrap(value: Any) -> Any:
            if not isinstance(value, np.ndarray) or value.dtype.kind in "iu":
                return value
            return leaf(value.astype(self.wide), requires_grad=True)

        return {name: wrap(value) for name, value in inputs.items()}

    # Numbers

    def store(self, x: Tensor) -> Tensor:
        """``x`` as it is after it has been written to memory."""
        return _stored(x, kind=self.dtype) if self.coarser else x

    def total(self, x: Tensor) -> Tensor:
        """Σ over the last axis, which stays at length one."""
        return x.sum(axis=-1, keepdims=True)

    def mean(self, x: Tensor) -> Tensor:
        """The mean of every row."""
        return self.total(x) / x.shape[-1]

    # LayerNorm

    def layer_norm(self, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        """(x - mean) / √(var + eps) · weight + bias."""
        return self.store(self.affine(self.normalized(x, eps), weight, bias))

    def normalized(self, x: Tensor, eps: float) -> Tensor:
        """(x - mean) / √(var + eps)."""
        return self.scaled(x, self.center(x), eps)

    def scaled(self, x: Tensor, h: Tensor, eps: float) -> Tensor:
        """h / √(Σ h² / D + eps), where h is x - mean, or x itself."""
        return h * self.rstd(self.variance(x, h), eps)

    def center(self, x: Tensor) -> Tensor:
        """x - mean, from differences to the first entry, so that an offset costs nothing.

        They have the same x - mean whatever that entry is, so it has no part in the gradient.
        """
        h = x - x[..., :1].detach()
        h = h - self.mean(h)
        return h - self.mean(h)

    def variance(self, x: Tensor, h: Tensor) -> Tensor:
        """Σ h² / D."""
        return self.total(h * h) / x.shape[-1]

    def rstd(self, variance: Tensor, eps: float) -> Tensor:
        """1 / √(var + eps)."""
        return 1 / F.sqrt(variance + eps)

    def affine(self, h: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """h · weight + bias."""
        return h * weight if bias is None else h * weight + bias

    def rms_norm(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        """x / √(mean(x²) + eps) · weight."""
        return self.store(self.affine(self.scaled(x, x, eps), weight))

    # Linear

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """x weightᵀ + bias."""
        y = self.product(x, weight)
        return self.store(y if bias is None else y + bias)

    def product(self, x: Tensor, weight: Tensor) -> Tensor:
        """x weightᵀ."""
        return x @ weight.T

    def per_token_linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """x_t weight_tᵀ + bias_t."""
        y = (x.permute(1, 0, 2) @ weight.permute(0, 2, 1)).permute(1, 0, 2)
        return self.store(y if bias is None else y + bias)

    # Activations

    def gelu(self, x: Tensor) -> Tensor:
        """x Φ(x)."""
        return self.store(x * F.normal_cdf(x))

    def gelu_tanh(self, x: Tensor) -> Tensor:
        """x σ(2√(2/π) (x + 0.044715 x³)), which is the form with tanh."""
        return self.store(x * F.sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))

    def silu(self, x: Tensor) -> Tensor:
        """x σ(x)."""
        return self.store(x * F.sigmoid(x))

    def relu(self, x: Tensor) -> Tensor:
        """max(x, 0)."""
        return self.store(F.relu(x))

    def softmax(self, x: Tensor) -> Tensor:
        """exp(x - max) / Σ exp(x - max)."""
        e = F.exp(x - F.max(x, axis=-1, keepdims=True).detach())
        return self.store(e / self.total(e))

    # Mixing

    def permute(self, heads: Tensor) -> Tensor:
        """(B, T, H, d) to (B, H, T, d)."""
        return heads.transpose(1, 2)

    # Networks

    def embedding(self, ids: Array, weight: Tensor) -> Tensor:
        """weight[ids]."""
        return weight[ids]

    def residual(self, x: Tensor, y: Tensor) -> Tensor:
        """x + y."""
        return self.store(x + y)

    def gated(self, gate: Tensor, up: Tensor) -> Tensor:
        """silu(gate) · up."""
        return self.store(self.silu(gate) * up)
