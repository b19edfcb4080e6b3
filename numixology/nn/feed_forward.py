"""The two feed-forward networks of the guide, both pre-norm with a residual."""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np

from ..array import DTypeLike
from ..checks import positive
from ..errors import ArgumentError
from ..functional.activations import gelu, relu, silu
from ..observe import step
from ..tensors import Tensor
from .dropout import Dropout
from .layer_norm import LayerNorm
from .linear import Linear
from .module import Module, Rng, check_input

__all__ = ["Activation", "FeedForward", "SwiGLUFeedForward"]

#: The activations of the standard network.
Activation: TypeAlias = Literal["gelu", "gelu_tanh", "relu", "silu"]

_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "gelu": gelu,
    "gelu_tanh": lambda x: gelu(x, approximate="tanh"),
    "relu": relu,
    "silu": silu,
}


def _widths(hidden_dim: int, ff_dim: int | None) -> tuple[int, ...]:
    """D, and F, which is 4D if it is None."""
    (D,) = positive(hidden_dim=hidden_dim)
    return (D, *positive(ff_dim=4 * D if ff_dim is None else ff_dim))


class FeedForward(Module):
    """y = x + W₂ · activation(W₁ · LayerNorm(x) + b₁) + b₂, with dropout after each step.

    The parts are ``norm``, ``linear1`` and ``linear2``: 2DF + F + 3D parameters, which with
    F = 4D is 8D² + 7D.

    Args:
        hidden_dim: D, the number of features.
        ff_dim: F; 4D if None.
        activation: ``"gelu"``, ``"gelu_tanh"``, ``"relu"`` or ``"silu"``.
        dropout: the probability of a zero, in [0, 1); active in training mode only.
        bias: whether the linear layers have biases.
        eps: LayerNorm's.
        rng: a seed or a Generator for the initial values and the dropout masks.
        dtype: float64 or float32.

    Returns:
        When called with x (..., D), of the module's dtype, y (..., D).

    Raises:
        ArgumentError: a size is not a positive integer, the dropout lies outside [0, 1), eps is
            negative or NaN, or another word for ``activation``.
        ShapeError: when called, for input of other features.
        DTypeError: a ``dtype`` other than those two; when called, for input of another dtype.

    Source: guide, Feed Forward Network Flow.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> ffn = nx.nn.FeedForward(8, rng=0).eval()
        >>> ffn(nx.tensor(np.ones((2, 4, 8)))).shape
        (2, 4, 8)
    """

    def __init__(
        self,
        hidden_dim: int,
        ff_dim: int | None = None,
        *,
        activation: Activation = "gelu",
        dropout: float = 0.1,
        bias: bool = True,
        eps: float = 1e-5,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        D, F = _widths(hidden_dim, ff_dim)
        if activation not in _ACTIVATIONS:
            raise ArgumentError(
                f"activation is one of {', '.join(_ACTIVATIONS)}",
                repr(activation),
                "use one of them",
            )
        rng = np.random.default_rng(rng)
        self.activation = activation
        self.norm = LayerNorm(D, eps, dtype=dtype)
        self.linear1 = Linear(D, F, bias, rng=rng, dtype=dtype)
        self.linear2 = Linear(F, D, bias, rng=rng, dtype=dtype)
        self.dropout = Dropout(dropout, rng=rng)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., D), through (..., F)."""
        check_input(x, self, self.norm.weight, "(..., D)", self.norm.weight.shape[0])
        h: Tensor = step("norm", self.norm(x))  # (..., D)
        h = step("linear1", self.linear1(h))  # (..., F)
        h = step("activation", _ACTIVATIONS[self.activation](h))
        h = step("dropout", self.dropout(h))
        h = step("linear2", self.linear2(h))  # (..., D)
        h = step("dropout", self.dropout(h))
        return step("residual", x + h)


class SwiGLUFeedForward(Module):
    """y = x + W₂ (SiLU(W₁ h) · W₃ h) with h = LayerNorm(x), and dropout before the residual.

    Gate and up projection both read the norm's output. The parts are ``norm``, ``w1`` (gate),
    ``w2`` (down) and ``w3`` (up): 3DF + 2D parameters, which with F = 4D is 12D² + 2D.

    Args:
        hidden_dim: D, the number of features.
        ff_dim: F; 4D if None.
        dropout: the probability of a zero, in [0, 1); active in training mode only.
        bias: whether the linear layers have biases.
        eps: LayerNorm's.
        rng: a seed or a Generator for the initial values and the dropout masks.
        dtype: float64 or float32.

    Returns:
        When called with x (..., D), of the module's dtype, y (..., D).

    Raises:
        ArgumentError: a size is not a positive integer, the dropout lies outside [0, 1), or eps is
            negative or NaN.
        ShapeError: when called, for input of other features.
        DTypeError: a ``dtype`` other than those two; when called, for input of another dtype.

    Source: guide, SwiGLU Variant Comparison; Shazeer 2020, equation 6 (arXiv 2002.05202).

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> ffn = nx.nn.SwiGLUFeedForward(8, rng=0).eval()
        >>> ffn(nx.tensor(np.ones((2, 4, 8)))).shape
        (2, 4, 8)
    """

    def __init__(
        self,
        hidden_dim: int,
        ff_dim: int | None = None,
        *,
        dropout: float = 0.1,
        bias: bool = False,
        eps: float = 1e-5,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        D, F = _widths(hidden_dim, ff_dim)
        rng = np.random.default_rng(rng)
        self.norm = LayerNorm(D, eps, dtype=dtype)
        self.w1 = Linear(D, F, bias, rng=rng, dtype=dtype)
        self.w2 = Linear(F, D, bias, rng=rng, dtype=dtype)
        self.w3 = Linear(D, F, bias, rng=rng, dtype=dtype)
        self.dropout = Dropout(dropout, rng=rng)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., D), through (..., F)."""
        check_input(x, self, self.norm.weight, "(..., D)", self.norm.weight.shape[0])
        h: Tensor = step("norm", self.norm(x))  # (..., D)
        gate = step("silu", silu(step("w1", self.w1(h))))  # (..., F)
        h = step("multiply", gate * step("w3", self.w3(h)))  # (..., F)
        h = step("w2", self.w2(h))  # (..., D)
        h = step("dropout", self.dropout(h))
        return step("residual", x + h)
