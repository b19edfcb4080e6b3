"""TokenMixer-Large: tokens are mixed, processed, and put back before the residual is added.

RankMixer adds x to tokens that have been mixed: its sum adds unlike chunks, and is singular for
many sizes. Here the mixed tokens pass a network of their own, the inverse mixing returns every
chunk to its place, and only then x is added. The shapes fit for every H.

The paper contradicts itself about the norms. Its equations have them around the sum,
norm(F(x) + x); its text and its ablation have them before the network, F(norm(x)) + x. Public code
is split. Both are here, as ``norm="outside"`` and ``norm="inside"``. The paper itself could not be
read: what is said about it follows notes on it and public implementations.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias, TypedDict, Unpack, get_args

import numpy as np

from ..array import DTypeLike
from ..checks import one_of, positive
from ..errors import ArgumentError
from ..functional.mixing import divided, token_mix, token_revert
from ..observe import step
from ..tensors import Tensor
from .checks import check_input
from .feed_forward import NetworkNorm, PerTokenSwiGLU, with_residual
from .module import Module, Rng
from .rms_norm import RMSNorm

__all__ = ["LargeNorm", "LargeResidual", "TokenMixerLarge", "TokenMixerLargeBlock"]

#: Where the norms of a TokenMixer-Large block stand.
LargeNorm: TypeAlias = Literal["inside", "outside"]
#: What a TokenMixer-Large block adds its last network to.
LargeResidual: TypeAlias = Literal["aligned", "original", "standard", "reverted", "mixed_again"]

_NORMS: dict[LargeNorm, NetworkNorm] = {"inside": "pre", "outside": "post"}


def _left(x: Tensor, num_heads: int) -> Tensor:
    """Mixed tokens, left as they are."""
    return x


# How the mixed tokens are put back, and whether the last network is added to the block's input.
_RESIDUALS: dict[LargeResidual, tuple[Callable[[Tensor, int], Tensor], bool]] = {
    "aligned": (token_revert, True),
    "original": (_left, True),
    "standard": (_left, False),
    "reverted": (token_revert, False),
    "mixed_again": (token_mix, True),
}


class _Options(TypedDict, total=False):
    """Of a block, with its defaults."""

    ffn: Callable[[int, int], Module] | None
    expansion: int
    norm: LargeNorm
    residual: LargeResidual
    dropout: float
    eps: float
    rng: Rng
    dtype: DTypeLike


class TokenMixerLargeBlock(Module):
    """m = h + F(norm(h)) with h = mix(x), then y = x + G(norm(revert(m))).

    h is H tokens of width T·d with d = D / H, and F has weights of its own for each of them; G has
    weights of its own for each of the T tokens. Both are SwiGLU networks whose hidden width is n
    times that of their tokens: 3nT²D²/H + 3nTD² = 3nTD²(1 + T/H) weights, besides those of the
    norms, TD/H + D. H > T makes the first network the smaller one. At first the down projections
    are 0.01 times those of a linear layer, so that the block starts near the identity.

    ``norm="outside"`` has norm(h + F(h)) and norm(x + G(revert(m))) instead.

    ``residual`` says what G is added to, and which tokens it reads:

    - ``"aligned"``, the paper's: x, and m put back;
    - ``"original"``: x, and m as it is, so that unlike tokens are added, as in RankMixer;
    - ``"standard"``: m as it is, so that x itself is not added again;
    - ``"reverted"``, a mistake in public code: m put back, which holds F a second time;
    - ``"mixed_again"``, another: x, and m mixed again, which is put back only where T = H.

    The first three are those of the paper's Table 3, as far as notes on it describe them. The parts
    are ``mixed``, which is F, and ``reverted``, which is G, each with its ``norm``.

    Args:
        num_tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        num_heads: H, a divisor of D.
        ffn: what makes F, given H and TD/H, and G, given T and D: networks of your own, which keep
            the shapes (B, H, TD/H) and (B, T, D). Unless they are of this package's networks,
            RMSNorm and residual are put around them. None makes the SwiGLU networks.
        expansion: n, the hidden widths over those of the tokens.
        norm: ``"inside"`` or ``"outside"``.
        residual: one of the words above.
        dropout: the probability of a zero, in [0, 1); active in training mode only.
        eps: that of the RMSNorms.
        rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with x (B, T, D), y (B, T, D).

    Source: TokenMixer-Large, section 3.3 (arXiv 2602.06563).

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> block = nx.nn.TokenMixerLargeBlock(4, 12, 2, rng=0)
        >>> block(nx.tensor(np.ones((3, 4, 12)))).shape
        (3, 4, 12)
        >>> block.mixed.w1.weight.shape, block.reverted.w1.weight.shape
        ((2, 96, 24), (4, 48, 12))
    """

    _settings = ("num_tokens", "num_heads", "residual")

    def __init__(
        self,
        num_tokens: int,
        hidden_dim: int,
        num_heads: int,
        *,
        ffn: Callable[[int, int], Module] | None = None,
        expansion: int = 4,
        norm: LargeNorm = "inside",
        residual: LargeResidual = "aligned",
        dropout: float = 0.0,
        eps: float = 1e-5,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        T, D, H = positive(num_tokens=num_tokens, hidden_dim=hidden_dim, num_heads=num_heads)
        (n,) = positive(expansion=expansion)
        one_of("norm", norm, get_args(LargeNorm))
        one_of("residual", residual, get_args(LargeResidual))
        self.num_tokens, self.hidden_dim, self.num_heads, self.residual = T, D, H, residual
        rng, placement = np.random.default_rng(rng), _NORMS[norm]
        if ffn is not None and (n, dropout) != (4, 0.0):
            got = f"expansion={n}, dropout={dropout}"
            invariant = "networks of your own have their widths and dropout"
            raise ArgumentError(invariant, got, "leave out what they were made with")

        def network(tokens: int, width: int) -> Module:
            if ffn is None:
                swiglu = PerTokenSwiGLU(
                    tokens, width, n * width, dropout=dropout, norm=placement, rng=rng, dtype=dtype
                )
                swiglu.w2.weight.data = 0.01 * swiglu.w2.weight.data
                swiglu.norm = RMSNorm(width, eps, dtype=dtype)
                return swiglu
            own = ffn(tokens, width)
            part = with_residual(own, width, placement, dtype=dtype)
            if part is not own:
                part.norm = RMSNorm(width, eps, dtype=dtype)
            return part

        self.mixed = network(H, T * divided(D, H))
        self.reverted = network(T, D)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        T, D, H = self.num_tokens, self.hidden_dim, self.num_heads
        check_input(x, self, x, "(B, T, D)", T, D)  # the networks check its dtype
        put_back, adds_input = _RESIDUALS[self.residual]
        m = self.mixed(token_mix(x, H).reshape(x.shape[0], H, T * D // H))  # (B, H, T·d)
        r = step("revert", put_back(m.reshape(*x.shape), H))  # (B, T, D)
        return self.reverted(r, x if adds_input else r)


class TokenMixerLarge(Module):
    """Blocks in a row; every ``interval`` of them, their input is added once more.

    x_l = block_l(x_{l-1}), and where l < L is a multiple of the interval k, plus x_{l-k}. The last
    layer has no such sum, which would bring the lower layers' features back just before the heads.
    :meth:`outputs` returns these x_l too: losses on them train the lower layers directly.

    The one part is ``blocks``.

    Args:
        num_tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        num_heads: H, a divisor of D.
        num_layers: L, the number of blocks.
        interval: k; the paper's is 2 or 3. With k ≥ L nothing is added.
        **options: those of :class:`TokenMixerLargeBlock`, with its defaults.

    Returns:
        When called with x (B, T, D), y (B, T, D).

    Source: TokenMixer-Large, section 3.3.4 (arXiv 2602.06563); where the sums stand, as implemented
    in public code.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> model = nx.nn.TokenMixerLarge(4, 12, 2, num_layers=5, rng=0)
        >>> model(nx.tensor(np.ones((3, 4, 12)))).shape
        (3, 4, 12)
    """

    _settings = ("interval",)

    def __init__(
        self,
        num_tokens: int,
        hidden_dim: int,
        num_heads: int,
        num_layers: int,
        *,
        interval: int = 2,
        **options: Unpack[_Options],
    ) -> None:
        L, self.interval = positive(num_layers=num_layers, interval=interval)
        options["rng"] = np.random.default_rng(options.get("rng"))
        sizes = (num_tokens, hidden_dim, num_heads)
        self.blocks = [TokenMixerLargeBlock(*sizes, **options) for _ in range(L)]

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        return self.outputs(x)[-1]

    def outputs(self, x: Tensor) -> list[Tensor]:
        """The outputs for auxiliary losses, and last the output.

        Args:
            x: (B, T, D), of the model's dtype.

        Returns:
            A list of tensors (B, T, D), one for each layer l < L that is a multiple of the
            interval, and one for layer L.

        Example:
            >>> import numpy as np
            >>> import numixology as nx
            >>> model = nx.nn.TokenMixerLarge(4, 12, 2, num_layers=4, rng=0)
            >>> low, y = model.outputs(nx.tensor(np.ones((3, 4, 12))))
            >>> loss = (y**2).mean() + 0.1 * (low**2).mean()
        """
        start, outputs = x, []
        for number, block in enumerate(self.blocks, 1):
            x = block(x)  # (B, T, D)
            if number % self.interval == 0 and number < len(self.blocks):
                start = x = step("inter_residual", x + start)
                outputs.append(x)
        return [*outputs, x]
