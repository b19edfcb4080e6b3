"""The two feed-forward networks of the guide, both pre-norm with a residual.

With ``norm="post"``, as in the paper, the norm follows the residual: LayerNorm(x + network(x)).
"""

from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

import numpy as np

from ..array import DTypeLike
from ..checks import one_of, positive
from ..observe import step
from ..tensors import Tensor
from .activation import Activation, ActivationName
from .dropout import Dropout
from .layer_norm import LayerNorm
from .linear import Linear
from .module import Module, Rng

__all__ = ["FeedForward", "NetworkNorm", "SwiGLUFeedForward"]

#: Where the norm of a network stands.
NetworkNorm: TypeAlias = Literal["pre", "post"]


def _widths(hidden_dim: int, ff_dim: int | None) -> tuple[int, ...]:
    """D, and F, which is 4D if it is None."""
    (D,) = positive(hidden_dim=hidden_dim)
    return (D, *positive(ff_dim=4 * D if ff_dim is None else ff_dim))


class _Residual(Module):
    """What both have around their network: the norm and the residual."""

    network: Callable[[Tensor], Tensor]

    def __init__(self, hidden_dim: int, norm: NetworkNorm, eps: float, dtype: DTypeLike) -> None:
        one_of("norm", norm, get_args(NetworkNorm))
        self.norm_placement = norm
        self.norm = LayerNorm(hidden_dim, eps, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        if self.norm_placement == "post":
            return self.norm(step("residual", x + self.network(x)))
        return step("residual", x + self.network(self.norm(x)))


class FeedForward(_Residual):
    """y = x + W₂ · activation(W₁ · LayerNorm(x) + b₁) + b₂, with dropout after each step.

    The parts are ``norm``, ``linear1``, ``activation``, ``linear2`` and ``dropout``: 2DF + F + 3D
    parameters, which with F = 4D is 8D² + 7D.

    Args:
        hidden_dim: D, the number of features.
        ff_dim: F; 4D if None.
        activation: ``"gelu"``, ``"gelu_tanh"``, ``"relu"`` or ``"silu"``.
        dropout: the probability of a zero, in [0, 1); active in training mode only.
        bias: whether the linear layers have biases.
        norm: ``"pre"`` or ``"post"``.
        eps, rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with x (..., D), y (..., D).

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
        activation: ActivationName = "gelu",
        dropout: float = 0.1,
        bias: bool = True,
        norm: NetworkNorm = "pre",
        eps: float = 1e-5,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        D, F = _widths(hidden_dim, ff_dim)
        rng = np.random.default_rng(rng)
        super().__init__(D, norm, eps, dtype)
        self.linear1 = Linear(D, F, bias, rng=rng, dtype=dtype)
        self.activation = Activation(activation)
        self.linear2 = Linear(F, D, bias, rng=rng, dtype=dtype)
        self.dropout = Dropout(dropout, rng=rng)

    def network(self, h: Tensor) -> Tensor:
        """W₂ · activation(W₁ · h + b₁) + b₂: (..., D) to (..., D), through (..., F)."""
        h = self.dropout(self.activation(self.linear1(h)))  # (..., F)
        return self.dropout(self.linear2(h))  # (..., D)


class SwiGLUFeedForward(_Residual):
    """y = x + W₂ (SiLU(W₁ h) · W₃ h) with h = LayerNorm(x), and dropout before the residual.

    Gate and up projection both read the norm's output. The parts are ``norm``, ``w1`` (gate),
    ``silu``, ``w2`` (down), ``w3`` (up) and ``dropout``: 3DF + 2D parameters, which with F = 4D is
    12D² + 2D.

    Args:
        hidden_dim: D, the number of features.
        ff_dim: F; 4D if None.
        dropout: the probability of a zero, in [0, 1); active in training mode only.
        bias: whether the linear layers have biases.
        norm: ``"pre"`` or ``"post"``.
        eps, rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with x (..., D), y (..., D).

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
        norm: NetworkNorm = "pre",
        eps: float = 1e-5,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        D, F = _widths(hidden_dim, ff_dim)
        rng = np.random.default_rng(rng)
        super().__init__(D, norm, eps, dtype)
        self.w1 = Linear(D, F, bias, rng=rng, dtype=dtype)
        self.silu = Activation("silu")
        self.w2 = Linear(F, D, bias, rng=rng, dtype=dtype)
        self.w3 = Linear(D, F, bias, rng=rng, dtype=dtype)
        self.dropout = Dropout(dropout, rng=rng)

    def network(self, h: Tensor) -> Tensor:
        """W₂ (SiLU(W₁ h) · W₃ h): (..., D) to (..., D), through (..., F)."""
        gated = step("multiply", self.silu(self.w1(h)) * self.w3(h))  # (..., F)
        return self.dropout(self.w2(gated))  # (..., D)
