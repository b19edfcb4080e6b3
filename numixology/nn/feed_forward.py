"""The two feed-forward networks of the guide, both pre-norm with a residual.

With ``norm="post"``, as in the paper, the norm follows the residual: LayerNorm(x + network(x)).
Each has a form in which every token has weights of its own, as in the paper: the same network, of
other linear layers. :class:`ResidualNetwork` puts norm and residual around any other network.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, TypedDict, Unpack, get_args

import numpy as np

from ..array import DTypeLike
from ..checks import one_of, positive
from ..errors import ArgumentError
from ..observe import step
from ..tensors import Tensor
from .activation import Activation, ActivationName
from .checks import returned
from .dropout import Dropout
from .layer_norm import LayerNorm
from .linear import Linear, PerTokenLinear
from .module import Module, Rng

__all__ = [
    "FeedForward", "NetworkNorm", "PerTokenFeedForward", "PerTokenSwiGLU", "ResidualNetwork",
    "SwiGLUFeedForward",
]  # fmt: skip

#: Where the norm of a network stands.
NetworkNorm: TypeAlias = Literal["pre", "post"]


def _widths(hidden_dim: int, ff_dim: int | None) -> tuple[int, ...]:
    """D, and F, which is 4D if it is None."""
    (D,) = positive(hidden_dim=hidden_dim)
    return (D, *positive(ff_dim=4 * D if ff_dim is None else ff_dim))


class _Residual(Module):
    """What all have around their network: the norm and the residual."""

    network: Callable[[Tensor], Tensor]
    norm: Module

    def __init__(self, hidden_dim: int, norm: NetworkNorm, eps: float, dtype: DTypeLike) -> None:
        one_of("norm", norm, get_args(NetworkNorm))
        self.norm_placement = norm
        self.norm = LayerNorm(hidden_dim, eps, dtype=dtype)

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """(..., D) to (..., D). What the network gives is added to x, or to ``residual``."""
        to = x if residual is None else residual
        if self.norm_placement == "post":
            return self.norm(self._added(to, x))
        return self._added(to, self.norm(x))

    def _added(self, to: Tensor, h: Tensor) -> Tensor:
        """What the network gives for h, added."""
        f = returned(self.network(h), h, "a network")
        return step("residual", to + returned(f, to, "a network"))

    def _linear(self, n: int, out: int, bias: bool, **options: Any) -> Linear | PerTokenLinear:
        """What the network is made of."""
        return Linear(n, out, bias, **options)


class ResidualNetwork(_Residual):
    """y = x + network(LayerNorm(x)), or with ``norm="post"`` LayerNorm(x + network(x)).

    The parts are ``norm`` and ``network``.

    Args:
        network: any module from (..., D) to (..., D).
        hidden_dim: D, the number of features.
        norm: ``"pre"`` or ``"post"``.
        eps, rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with x (..., D), y (..., D).

    Source: RankMixer, section 3.1 (arXiv 2507.15551).

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> network = nx.nn.ResidualNetwork(nx.nn.Linear(8, 8, rng=0), 8, norm="post")
        >>> network(nx.tensor(np.ones((2, 4, 8)))).shape
        (2, 4, 8)
    """

    def __init__(
        self,
        network: Module,
        hidden_dim: int,
        *,
        norm: NetworkNorm = "pre",
        eps: float = 1e-5,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__(hidden_dim, norm, eps, dtype)
        self.network = network


def with_residual(network: Module, hidden_dim: int, norm: NetworkNorm, **options: Any) -> _Residual:
    """A network of the user's, with norm and residual around it unless it is one of this page."""
    if not isinstance(network, _Residual):
        return ResidualNetwork(network, hidden_dim, norm=norm, **options)
    if network.norm_placement != norm:
        invariant = f"in this block the norm of the network is {norm!r}"
        got = f"a {type(network).__name__} with norm={network.norm_placement!r}"
        raise ArgumentError(invariant, got, f"make it with norm={norm!r}")
    return network


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
        self.linear1 = self._linear(D, F, bias, rng=rng, dtype=dtype)
        self.activation = Activation(activation)
        self.linear2 = self._linear(F, D, bias, rng=rng, dtype=dtype)
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
        self.w1 = self._linear(D, F, bias, rng=rng, dtype=dtype)
        self.silu = Activation("silu")
        self.w2 = self._linear(F, D, bias, rng=rng, dtype=dtype)
        self.w3 = self._linear(D, F, bias, rng=rng, dtype=dtype)
        self.dropout = Dropout(dropout, rng=rng)

    def network(self, h: Tensor) -> Tensor:
        """W₂ (SiLU(W₁ h) · W₃ h): (..., D) to (..., D), through (..., F)."""
        gated = step("multiply", self.silu(self.w1(h)) * self.w3(h))  # (..., F)
        return self.dropout(self.w2(gated))  # (..., D)


class _Options(TypedDict, total=False):
    """Of every network, with the defaults of the shared one."""

    dropout: float
    bias: bool
    norm: NetworkNorm
    eps: float
    rng: Rng
    dtype: DTypeLike


class _FeedForwardOptions(_Options, total=False):
    activation: ActivationName


class PerTokenFeedForward(FeedForward):
    """y_t = x_t + W₂_t · activation(W₁_t · LayerNorm(x_t) + b₁_t) + b₂_t.

    :class:`FeedForward` with weights of its own for every token. The norm is shared. ``linear1``
    and ``linear2`` are :class:`PerTokenLinear`: T(2DF + F + D) + 2D parameters.

    Args:
        num_tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        ff_dim: F; 4D if None.
        **options: those of :class:`FeedForward`, with its defaults.

    Returns:
        When called with x (B, T, D), y (B, T, D).

    Source: RankMixer, section 3.3 (arXiv 2507.15551), where ``norm`` is ``"post"``.

    Example:
        >>> import numixology as nx
        >>> ffn = nx.nn.PerTokenFeedForward(4, 8, norm="post", rng=0)
        >>> ffn.linear1.weight.shape, ffn.linear2.weight.shape
        ((4, 32, 8), (4, 8, 32))
    """

    def __init__(
        self,
        num_tokens: int,
        hidden_dim: int,
        ff_dim: int | None = None,
        **options: Unpack[_FeedForwardOptions],
    ) -> None:
        self.num_tokens = num_tokens
        super().__init__(hidden_dim, ff_dim, **options)

    def _linear(self, n: int, out: int, bias: bool, **options: Any) -> PerTokenLinear:
        return PerTokenLinear(self.num_tokens, n, out, bias, **options)


class PerTokenSwiGLU(SwiGLUFeedForward):
    """y_t = x_t + W₂_t (SiLU(W₁_t h_t) · W₃_t h_t) with h = LayerNorm(x).

    :class:`SwiGLUFeedForward` with weights of its own for every token. The norm is shared. ``w1``
    (gate), ``w2`` (down) and ``w3`` (up) are :class:`PerTokenLinear`: 3TDF + 2D parameters.

    Args:
        num_tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        ff_dim: F; 4D if None.
        **options: those of :class:`SwiGLUFeedForward`, with its defaults.

    Returns:
        When called with x (B, T, D), y (B, T, D).

    Source: RankMixer, section 3.3 (arXiv 2507.15551); Shazeer 2020, equation 6 (arXiv 2002.05202).

    Example:
        >>> import numixology as nx
        >>> ffn = nx.nn.PerTokenSwiGLU(4, 8, 12, rng=0)
        >>> ffn.w1.weight.shape, ffn.w2.weight.shape
        ((4, 12, 8), (4, 8, 12))
    """

    def __init__(
        self,
        num_tokens: int,
        hidden_dim: int,
        ff_dim: int | None = None,
        **options: Unpack[_Options],
    ) -> None:
        self.num_tokens = num_tokens
        super().__init__(hidden_dim, ff_dim, **options)

    def _linear(self, n: int, out: int, bias: bool, **options: Any) -> PerTokenLinear:
        return PerTokenLinear(self.num_tokens, n, out, bias, **options)
