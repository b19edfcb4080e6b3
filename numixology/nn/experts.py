"""Mixtures of experts: v_t = Σ_j G_tj e_tj(s_t), where each token has E networks of its own.

They stand for the feed-forward network of a block, and have neither norm nor residual. All experts
are calculated, also those with a gate of 0, in one batched product for each layer: a reference has
to be right for any gates, and saves nothing by leaving experts out.
"""

from typing import Any, NamedTuple

import numpy as np

from ..array import Array, DTypeLike, ignoring_fp_errors
from ..checks import positive
from ..errors import ShapeError
from ..functional.affine import per_token_linear
from ..functional.elementary import einsum
from ..modes import no_grad
from ..tensors import Tensor
from .activation import Activation, ActivationName
from .checks import check_input, parameter
from .linear import PerTokenLinear
from .module import Module, Rng
from .routing import ReLURouter, RoutingPolicy, TopKRouter
from .stateless import twin

__all__ = [
    "ExpertReport", "Experts", "MixtureOfExperts", "SparseMoE", "SparsePerTokenMoE",
    "SwiGLUExperts",
]  # fmt: skip


class ExpertLinear(Module):
    """y_tj = W_tj x_tj + b_tj: weights of its own for each expert j of each token t.

    Each slice of ``weight`` (T, E, out, in) and ``bias`` (T, E, out) starts as a linear layer does.
    x is (B, T, E, in), or (B, T, in) where all experts of a token read the same.
    """

    def __init__(
        self,
        num_tokens: int,
        num_experts: int,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        T, E = positive(num_tokens=num_tokens, num_experts=num_experts)
        slices = PerTokenLinear(T * E, in_features, out_features, bias, rng=rng, dtype=dtype)
        self.weight = parameter(_by_expert(slices.weight.data, T, E), dtype)
        given = slices.bias
        self.bias = None if given is None else parameter(_by_expert(given.data, T, E), dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, in) or (B, T, E, in) to (B, T, E, out)."""
        T, E, out, n = self.weight.shape
        if np.ndim(x) != 4:  # one product with the rows of all experts
            check_input(x, self, self.weight, "(B, T, in)", T, n)
            tokens, rows = T, E * out
        else:  # one for each expert, as if it were a token
            check_input(x, self, self.weight, "(B, T, E, in)", T, E, n)
            tokens, rows = T * E, out
            x = x.reshape(len(x), tokens, n)
        bias = None if self.bias is None else self.bias.reshape(tokens, rows)
        y = per_token_linear(x, self.weight.reshape(tokens, rows, n), bias)
        return y.reshape(len(x), T, E, out)


def _by_expert(values: Array, T: int, E: int) -> Array:
    """(T · E, ...) to (T, E, ...)."""
    return values.reshape(T, E, *values.shape[1:])


class Experts(Module):
    """e_tj(s_t) = W₂ · activation(W₁ · s_t + b₁) + b₂, with weights of its own for each t and j.

    The parts are ``linear1``, with weights (T, E, F, D), ``activation`` and ``linear2``, with
    weights (T, E, D, F).

    Args:
        num_tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        num_experts: E, the number of experts of a token.
        ff_dim: F; 4D if None.
        activation: ``"gelu"``, ``"gelu_tanh"``, ``"relu"`` or ``"silu"``.
        bias: whether the linear layers have biases.
        rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with s (B, T, D), e (B, T, E, D).

    Source: RankMixer (arXiv 2507.15551).

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> experts = nx.nn.Experts(4, 8, 3, rng=0)
        >>> experts(np.ones((2, 4, 8))).shape, experts.linear1.weight.shape
        ((2, 4, 3, 8), (4, 3, 32, 8))
    """

    def __init__(
        self,
        num_tokens: int,
        hidden_dim: int,
        num_experts: int,
        ff_dim: int | None = None,
        *,
        activation: ActivationName = "gelu",
        bias: bool = True,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        rng = np.random.default_rng(rng)
        T, D, E = num_tokens, hidden_dim, num_experts
        F = 4 * D if ff_dim is None else ff_dim
        self.linear1 = ExpertLinear(T, E, D, F, bias, rng=rng, dtype=dtype)
        self.activation = Activation(activation)
        self.linear2 = ExpertLinear(T, E, F, D, bias, rng=rng, dtype=dtype)

    def forward(self, s: Tensor) -> Tensor:
        """(B, T, D) to (B, T, E, D), through (B, T, E, F)."""
        return self.linear2(self.activation(self.linear1(s)))


class SwiGLUExperts(Module):
    """e_tj(s_t) = W₂ (SiLU(W₁ s_t) · W₃ s_t), with weights of its own for each t and j.

    The parts are ``w1`` (gate) and ``w3`` (up), with weights (T, E, F, D), ``silu``, and ``w2``
    (down), with weights (T, E, D, F).

    Args:
        num_tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        num_experts: E, the number of experts of a token.
        ff_dim: F; 4D if None.
        bias: whether the linear layers have biases.
        rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with s (B, T, D), e (B, T, E, D).

    Source: TokenMixer-Large, as reported; Shazeer 2020, equation 6 (arXiv 2002.05202).

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> experts = nx.nn.SwiGLUExperts(4, 8, 3, 10, rng=0)
        >>> experts(np.ones((2, 4, 8))).shape, experts.w2.weight.shape
        ((2, 4, 3, 8), (4, 3, 8, 10))
    """

    def __init__(
        self,
        num_tokens: int,
        hidden_dim: int,
        num_experts: int,
        ff_dim: int | None = None,
        *,
        bias: bool = False,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        rng = np.random.default_rng(rng)
        T, D, E = num_tokens, hidden_dim, num_experts
        F = 4 * D if ff_dim is None else ff_dim
        self.w1 = ExpertLinear(T, E, D, F, bias, rng=rng, dtype=dtype)
        self.silu = Activation("silu")
        self.w2 = ExpertLinear(T, E, F, D, bias, rng=rng, dtype=dtype)
        self.w3 = ExpertLinear(T, E, D, F, bias, rng=rng, dtype=dtype)

    def forward(self, s: Tensor) -> Tensor:
        """(B, T, D) to (B, T, E, D), through (B, T, E, F)."""
        return self.w2(self.silu(self.w1(s)) * self.w3(s))


class ExpertReport(NamedTuple):
    """What the experts of a layer do on some tokens; it prints readably.

    Attributes:
        active: how many experts of a token count when serving, on average.
        dead: the experts that never count when serving, as pairs of a token and an expert.
        scale: how large the output is when serving, relative to that in training, both as the root
            of the mean square. Far from 1, the layers behind get what they were not trained on;
            NaN where both are 0.
        num_tokens, num_experts: T and E.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> moe = nx.nn.SparseMoE(4, 8, 3, policy="separate", rng=0)
        >>> s = np.random.default_rng(0).standard_normal((64, 4, 8))
        >>> print(moe.report(s))
        1.57 of 3 experts active, 0 of 12 dead; serving has 1.39 times the scale of training
    """

    active: float
    dead: tuple[tuple[int, int], ...]
    scale: float
    num_tokens: int
    num_experts: int

    def __str__(self) -> str:
        return (
            f"{self.active:.2f} of {self.num_experts} experts active, {len(self.dead)} of "
            f"{self.num_tokens * self.num_experts} dead; serving has {self.scale:.2f} times the "
            f"scale of training"
        )


class MixtureOfExperts(Module):
    """v_t = Σ_j G_tj e_tj(s_t) + the sum of shared experts, which no gate scales.

    The parts are ``router``, ``experts`` and ``shared``, or None.

    Args:
        router: a module from s (B, T, D) to gates G (B, T, E).
        experts: a module from s to their outputs (B, T, E, D).
        shared: one from s to those of the shared experts (B, T, S, D), or None.

    Returns:
        When called with s (B, T, D), v (B, T, D).

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> router = nx.nn.TopKRouter(4, 8, 3, 1, rng=0)
        >>> moe = nx.nn.MixtureOfExperts(router, nx.nn.Experts(4, 8, 3, rng=1))
        >>> moe(np.ones((2, 4, 8))).shape
        (2, 4, 8)
    """

    def __init__(self, router: Module, experts: Module, shared: Module | None = None) -> None:
        self.router, self.experts, self.shared = router, experts, shared

    def forward(self, s: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        v = einsum("bte,bted->btd", self.router(s), self.experts(s))
        return v if self.shared is None else v + self.shared(s).sum(axis=2)

    def report(self, s: Any) -> ExpertReport:
        """How many experts count for these tokens, which never do, and what serving changes.

        Args:
            s: (B, T, D), what the layer is called with.

        Returns:
            An :class:`ExpertReport`; the layer and its mode stay as they are.
        """
        serving, training = twin(self, {}).eval(), twin(self, {}).train()
        with no_grad():
            active = np.asarray(serving.router(s)) > 0  # (B, T, E)
            with ignoring_fp_errors():
                scale = float(_size(serving(s)) / _size(training(s)))
        dead = tuple((int(t), int(j)) for t, j in np.argwhere(~active.any(axis=0)))
        return ExpertReport(float(active.sum(axis=-1).mean()), dead, scale, *active.shape[1:])


def _size(v: Tensor) -> Any:
    """The root of the mean square."""
    return np.sqrt(np.mean(np.square(np.asarray(v))))


class SparseMoE(MixtureOfExperts):
    """v_t = Σ_j G_tj e_tj(s_t) with the gates of a :class:`ReLURouter`, as in RankMixer.

    The parts are ``router`` and ``experts``, an :class:`Experts`.

    Args:
        num_tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        num_experts: E, the number of experts of a token.
        ff_dim: F, the width of an expert; 4D if None.
        policy: ``"joint"``, ``"separate"``, ``"tied"`` or ``"single"``, see
            :mod:`numixology.nn.routing`.
        activation: ``"gelu"``, ``"gelu_tanh"``, ``"relu"`` or ``"silu"``.
        rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with s (B, T, D), v (B, T, D).

    Source: RankMixer (arXiv 2507.15551).

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> moe = nx.nn.SparseMoE(4, 8, 3, ff_dim=16, rng=0).eval()
        >>> moe(np.ones((2, 4, 8))).shape
        (2, 4, 8)
    """

    def __init__(
        self,
        num_tokens: int,
        hidden_dim: int,
        num_experts: int,
        ff_dim: int | None = None,
        *,
        policy: RoutingPolicy = "joint",
        activation: ActivationName = "gelu",
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        rng = np.random.default_rng(rng)
        T, D, E = num_tokens, hidden_dim, num_experts
        super().__init__(
            ReLURouter(T, D, E, policy, rng=rng, dtype=dtype),
            Experts(T, D, E, ff_dim, activation=activation, rng=rng, dtype=dtype),
        )


class SparsePerTokenMoE(MixtureOfExperts):
    """v_t = α Σ_j∈top-k g_tj e_tj(s_t) + shared_t(s_t), as in TokenMixer-Large.

    It is as sparse in training as in serving. The parts are ``router``, a :class:`TopKRouter`,
    ``experts``, a :class:`SwiGLUExperts`, and ``shared``, one with a single expert for each token,
    or None.

    Args:
        num_tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        num_experts: E, the number of experts of a token.
        top_k: k, how many of them count.
        ff_dim: F, the width of an expert; 4D / E if None.
        gate_scale: α; E / k if None.
        shared: whether there is a shared expert.
        rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with s (B, T, D), v (B, T, D).

    Raises:
        ShapeError: F is None and E does not divide 4D.

    Source: TokenMixer-Large, Sparse-Pertoken MoE, as reported.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> moe = nx.nn.SparsePerTokenMoE(4, 8, num_experts=4, top_k=2, rng=0)
        >>> moe(np.ones((2, 4, 8))).shape, moe.experts.w1.weight.shape, moe.router.gate_scale
        ((2, 4, 8), (4, 4, 8, 8), 2.0)
    """

    def __init__(
        self,
        num_tokens: int,
        hidden_dim: int,
        num_experts: int,
        top_k: int,
        ff_dim: int | None = None,
        *,
        gate_scale: float | None = None,
        shared: bool = True,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        rng = np.random.default_rng(rng)
        T, D, E = num_tokens, hidden_dim, num_experts
        router = TopKRouter(T, D, E, top_k, gate_scale, rng=rng, dtype=dtype)
        if ff_dim is None and 4 * D % E:
            invariant, instead = (
                "num_experts divides 4 hidden_dim",
                "give ff_dim, the expert's width",
            )
            raise ShapeError(invariant, f"{E} and 4 · {D}", instead)
        F = 4 * D // E if ff_dim is None else ff_dim
        experts = SwiGLUExperts(T, D, E, F, rng=rng, dtype=dtype)
        one = SwiGLUExperts(T, D, 1, F, rng=rng, dtype=dtype) if shared else None
        super().__init__(router, experts, one)
