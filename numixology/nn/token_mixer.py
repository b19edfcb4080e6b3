"""The token mixer: LayerNorm of the input plus its mixed tokens."""

import math
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from ..array import DTypeLike
from ..checks import one_of, positive
from ..errors import ArgumentError
from ..functional import mixing as laws
from ..functional.mixing import Mixing, divided, token_mix
from ..observe import educational as printing
from ..observe import silence, step
from ..tensors import Tensor
from .checks import check_input, returned
from .layer_norm import LayerNorm
from .mixers import MIXINGS, MixingName
from .module import Module, Rng

__all__ = ["MixerNorm", "TokenMixer"]

#: Where the norm of a mixer stands.
MixerNorm: TypeAlias = Literal["post", "pre", "bare"]


class TokenMixer(Module):
    """y = LayerNorm(x + token_mix(x)).

    ``mixing="rankmixer"`` is the paper's mixing where T = H, and its continuation to any T and
    any H that divides D. ``mixing="guide"`` is the guide's literal reading, an exhibit: it
    permutes back, so its output is LayerNorm(2x) and no token sees another. The other names, and
    modules from (B, T, D) to (B, T, D), take the place of token_mix: see
    :mod:`numixology.nn.mixers`.

    ``norm="post"`` is the formula above. ``"pre"`` is x + token_mix(LayerNorm(x)), and ``"bare"``
    is LayerNorm(token_mix(x)), with no residual.

    The one part is ``norm``; a mixing that is a module is another, ``mixing``.

    Args:
        num_tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        num_heads: H, a divisor of D.
        mixing: ``"rankmixer"``, ``"guide"``, another name of :data:`MixingName`, or a module. The
            laws below are those of the first two; for others they raise an ArgumentError.
        norm: ``"post"``, ``"pre"`` or ``"bare"``.
        educational: print every step as it happens.
        eps, rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with x (B, T, D), y (B, T, D).

    Source: RankMixer, section 3.2 (arXiv 2507.15551); guide, Token Mixer Step-by-Step.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> mixer = nx.nn.TokenMixer(num_tokens=4, hidden_dim=8, num_heads=4)
        >>> x = nx.tensor(np.arange(64.0).reshape(2, 4, 8))
        >>> mixer(x).shape
        (2, 4, 8)
        >>> mixer.depth_to_mix, mixer.order, mixer.fixed_chunks, mixer.lost_dimensions
        (1, 2, 4, 12)
    """

    _settings = ("num_tokens", "num_heads", "mixing")

    mixing: Mixing | Module

    def __init__(
        self,
        num_tokens: int,
        hidden_dim: int,
        num_heads: int,
        *,
        mixing: MixingName | Module = "rankmixer",
        norm: MixerNorm = "post",
        eps: float = 1e-5,
        educational: bool = False,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        T, D, H = positive(num_tokens=num_tokens, hidden_dim=hidden_dim, num_heads=num_heads)
        if not isinstance(mixing, Module):
            divided(D, H)
        one_of("norm", norm, get_args(MixerNorm))
        self.num_tokens, self.hidden_dim, self.num_heads = T, D, H
        self.norm_placement, self.educational = norm, educational
        if isinstance(mixing, TokenMixer):
            invariant = "a mixing has neither norm nor residual, which the mixer puts around it"
            instead = "give what it mixes by, its .mixing, or set the .mixer of a block"
            raise ArgumentError(invariant, "a TokenMixer", instead)
        if isinstance(mixing, Module) or mixing == "rankmixer" or mixing == "guide":
            self.mixing = mixing
        else:
            one_of("mixing", mixing, get_args(MixingName))
            self.mixing = MIXINGS[mixing](T, D, H, rng=rng, dtype=dtype)
        self.norm = LayerNorm(D, eps, rng=rng, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        check_input(x, self, self.norm.weight, "(B, T, D)", self.num_tokens, self.hidden_dim)
        if self.norm_placement == "pre":
            return step("residual", x + self.mix(self.norm(x)))
        if self.norm_placement == "bare":
            return self.norm(self.mix(x))
        return self.norm(step("residual", x + self.mix(x)))

    def mix(self, x: Tensor) -> Tensor:
        """token_mix(x), or what stands for it: (B, T, D) to (B, T, D)."""
        if not isinstance(self.mixing, Module):
            return token_mix(x, self.num_heads, mixing=self.mixing)
        return returned(self.mixing(x), x, "a mixing")

    def __call__(self, *inputs: Any, **options: Any) -> Tensor:
        """:meth:`forward`; in educational mode its steps are printed."""
        if self.educational:
            with printing():
                return super().__call__(*inputs, **options)
        return super().__call__(*inputs, **options)

    def forward_production(self, x: Tensor) -> Tensor:
        """The same forward, printing nothing even in educational mode.

        Args:
            x: (B, T, D), of the mixer's dtype.

        Returns:
            (B, T, D), of that dtype.

        Source: guide, Educational Mode.

        Example:
            >>> import numpy as np
            >>> import numixology as nx
            >>> mixer = nx.nn.TokenMixer(4, 8, 4, educational=True)
            >>> mixer.forward_production(nx.tensor(np.ones((2, 4, 8)))).shape
            (2, 4, 8)
        """
        with silence():
            return super().__call__(x)

    # The laws of its mixing

    @property
    def depth_to_mix(self) -> int | None:
        """⌈log_H T⌉ layers let every token see every token; None if none do."""
        return laws.depth_to_mix(self.num_tokens, self.num_heads, mixing=self._permutation())

    @property
    def order(self) -> int:
        """How many mixings in a row are the identity."""
        mixes = self._permutation() == "rankmixer"
        return laws.mixing_order(self.num_tokens, self.num_heads) if mixes else 1

    @property
    def fixed_chunks(self) -> int:
        """How many of the T·H chunks stay where they are, which is gcd(T - 1, H - 1) + 1."""
        T, H = self.num_tokens, self.num_heads
        return math.gcd(T - 1, H - 1) + 1 if self._permutation() == "rankmixer" else T * H

    @property
    def lost_dimensions(self) -> int:
        """How many of the T·D dimensions x + token_mix(x) loses, d for each even cycle."""
        if self._permutation() == "guide":
            return 0
        T, H = self.num_tokens, self.num_heads
        return (T * H - laws.mixing_rank(T, H)) * self.hidden_dim // H

    def _permutation(self) -> Mixing:
        """Its mixing, if it is one that the laws know."""
        if isinstance(self.mixing, Module):
            invariant = "the laws of mixing are those of 'rankmixer' and 'guide'"
            got = f"mixing={type(self.mixing).__name__}(...)"
            raise ArgumentError(invariant, got, "measure it: nx.explain.cross_token_jacobian")
        return self.mixing
