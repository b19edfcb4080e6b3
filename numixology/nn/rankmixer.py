"""The block, token mixer then feed-forward, and the model, embeddings then blocks."""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, TypedDict, Unpack, get_args

import numpy as np

from ..array import DTypeLike
from ..checks import one_of, positive
from ..errors import ArgumentError, ShapeError, shown
from ..functional.affine import as_ids
from ..observe import step
from ..tensors import Tensor
from .activation import ActivationName
from .embedding import Embedding
from .feed_forward import (
    FeedForward,
    NetworkNorm,
    PerTokenFeedForward,
    PerTokenSwiGLU,
    SwiGLUFeedForward,
    with_residual,
)
from .mixers import MixingName
from .module import Module, Rng
from .token_mixer import MixerNorm, TokenMixer

__all__ = ["BlockNorm", "BlockOptions", "Network", "RankMixerBlock", "RankMixerModel"]

#: The feed-forward networks that have a name.
Network: TypeAlias = Literal["standard", "swiglu", "per_token", "per_token_swiglu"]
#: Where the norms of a block stand.
BlockNorm: TypeAlias = Literal["guide", "post", "pre", "bare_mix"]

# Of the mixer and of the network.
_NORMS: dict[BlockNorm, tuple[MixerNorm, NetworkNorm]] = {
    "guide": ("post", "pre"),
    "post": ("post", "post"),
    "pre": ("pre", "pre"),
    "bare_mix": ("bare", "post"),
}
_NETWORKS: dict[str, Callable[..., Module]] = {
    "standard": FeedForward,
    "swiglu": SwiGLUFeedForward,
    "per_token": PerTokenFeedForward,
    "per_token_swiglu": PerTokenSwiGLU,
}


class BlockOptions(TypedDict, total=False):
    """The options of a block, and of the blocks of a model.

    Attributes:
        ff_dim, ffn, activation, dropout, mixing, norm, educational, eps, rng, dtype: see
            :class:`RankMixerBlock`.

    Example:
        >>> import numixology as nx
        >>> options: nx.nn.BlockOptions = {"ffn": "swiglu", "dropout": 0.0, "rng": 0}
        >>> nx.nn.RankMixerBlock(4, 8, 4, **options).ffn.dropout
        Dropout(0.0)
    """

    ff_dim: int | None
    ffn: Network | Module
    activation: ActivationName
    dropout: float
    mixing: MixingName | Module
    norm: BlockNorm
    educational: bool
    eps: float
    rng: Rng
    dtype: DTypeLike


def _given(options: BlockOptions, *names: str) -> dict[str, Any]:
    """Those of the options that are given; the others have their defaults in the parts."""
    return {name: option for name, option in options.items() if name in names}


class RankMixerBlock(Module):
    """y = FFN(TokenMixer(x)): tokens exchange chunks, then each is processed alone.

    The parts are ``mixer`` and ``ffn``; ``norm`` says where their norms stand:

    - ``"guide"``: s = norm(x + mix(x)), y = s + f(norm(s));
    - ``"post"``, the paper's: s = norm(x + mix(x)), y = norm(s + f(s));
    - ``"pre"``: s = x + mix(norm(x)), y = s + f(norm(s));
    - ``"bare_mix"``, much copied: y = norm(x + f(norm(mix(x)))), with one residual around both.

    Any module from (B, T, D) to (B, T, D) may replace a part; in ``"bare_mix"`` the network is
    called with ``residual=x`` beside its input.

    Args:
        num_tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        num_heads: H, a divisor of D.
        **options: those that follow, each with a default.
        ff_dim: F; 4D if None, the default.
        ffn: ``"standard"``, the default, ``"swiglu"``, ``"per_token"``, the paper's,
            ``"per_token_swiglu"``, or a module of your own from (B, T, D) to (B, T, D). Unless it
            is one of the networks of this package, norm and residual are put around it.
        activation: of the standard networks, by default ``"gelu"``; SwiGLU has its own.
        dropout: the probability of a zero, by default 0.1; active in training mode only.
        mixing: ``"rankmixer"``, the default, ``"guide"``, or what else :class:`TokenMixer` takes.
        norm: ``"guide"``, the default, ``"post"``, ``"pre"`` or ``"bare_mix"``.
        educational: print every step of the mixer as it happens; by default False.
        eps, rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with x (B, T, D), y (B, T, D).

    Source: guide, RankMixer Block Structure; RankMixer, section 3.1 (arXiv 2507.15551).

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> block = nx.nn.RankMixerBlock(4, 8, 4, rng=0).eval()
        >>> block(nx.tensor(np.ones((2, 4, 8)))).shape
        (2, 4, 8)
    """

    ffn: Module

    def __init__(
        self, num_tokens: int, hidden_dim: int, num_heads: int, **options: Unpack[BlockOptions]
    ) -> None:
        known = BlockOptions.__annotations__
        if unknown := options.keys() - known.keys():
            has, got = ", ".join(known), ", ".join(sorted(unknown))
            raise TypeError(f"a block has the options {has}: got {got}; check the spelling")
        self.norm_placement = options.get("norm", "guide")
        one_of("norm", self.norm_placement, _NORMS)
        mixer_norm, network_norm = _NORMS[self.norm_placement]
        options["rng"] = np.random.default_rng(options.get("rng"))
        own = _given(options, "mixing", "educational", "eps", "rng", "dtype")
        self.mixer = TokenMixer(num_tokens, hidden_dim, num_heads, norm=mixer_norm, **own)
        self.ffn = _network(num_tokens, hidden_dim, network_norm, options)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        if self.norm_placement == "bare_mix":
            return self.ffn(self.mixer(x), residual=x)
        return self.ffn(self.mixer(x))


def _network(num_tokens: int, hidden_dim: int, norm: NetworkNorm, options: BlockOptions) -> Module:
    """The network that the options ask for, with its norm and residual."""
    ffn, activation = options.get("ffn", "standard"), options.get("activation", "gelu")
    own = _given(options, "eps", "dtype") | {"norm": norm}
    if isinstance(ffn, Module):
        if unread := _given(options, "ff_dim", "activation", "dropout"):
            invariant = "a network of your own has its width, activation and dropout"
            raise ArgumentError(invariant, ", ".join(unread), "leave out what it was made with")
        return with_residual(ffn, hidden_dim, **own)
    one_of("ffn", ffn, get_args(Network))
    own |= _given(options, "ff_dim", "dropout", "rng")
    if ffn in ("standard", "per_token"):
        own["activation"] = activation
    elif activation != "gelu":
        invariant = f"the {ffn} network has an activation of its own"
        raise ArgumentError(invariant, shown(activation), "leave activation out")
    sizes = (num_tokens, hidden_dim) if ffn.startswith("per_token") else (hidden_dim,)
    return _NETWORKS[ffn](*sizes, **own)


class RankMixerModel(Module):
    """Token plus position embeddings, then ``num_layers`` blocks.

    The position table is (T, D), broadcast over the batch. The parts are ``token_embedding``,
    ``position_embedding`` and ``blocks``.

    Args:
        vocab_size: V, the number of different ids.
        num_tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        num_heads: H, a divisor of D.
        num_layers: the number of blocks.
        **options: those of :class:`RankMixerBlock`. A module that is given for ``ffn`` or
            ``mixing`` stands in every block, and so do its parameters; for others, replace the
            parts of each of ``blocks``.

    Returns:
        When called with ids (B, T), the final hidden states (B, T, D).

    Raises:
        ShapeError: when called, for ids that are not (B, T).
        DTypeError: when called, for ids that are not integers.
        IndexRangeError: when called, for ids that do not lie from 0 to V - 1.

    Source: guide, Multi-Layer Model.

    Example:
        >>> import numixology as nx
        >>> model = nx.nn.RankMixerModel(100, 4, 8, 4, 2, rng=0).eval()
        >>> model([[1, 2, 3, 4], [5, 6, 7, 8]]).shape
        (2, 4, 8)
    """

    def __init__(
        self,
        vocab_size: int,
        num_tokens: int,
        hidden_dim: int,
        num_heads: int,
        num_layers: int,
        **options: Unpack[BlockOptions],
    ) -> None:
        V, T = positive(vocab_size=vocab_size, num_tokens=num_tokens)
        D, N = positive(hidden_dim=hidden_dim, num_layers=num_layers)
        options["rng"] = np.random.default_rng(options.get("rng"))
        own = _given(options, "rng", "dtype")
        self.num_tokens = T
        self.token_embedding = Embedding(V, D, **own)
        self.position_embedding = Embedding(T, D, **own)
        self.blocks = [RankMixerBlock(T, D, num_heads, **options) for _ in range(N)]

    def forward(self, ids: Any) -> Tensor:
        """Ids (B, T) to hidden states (B, T, D)."""
        ids, T = as_ids(ids, "the model"), self.num_tokens
        if ids.ndim != 2 or ids.shape[1] != T:
            invariant = f"ids have shape (B, T) with T = {T}"
            raise ShapeError(invariant, str(ids.shape), "pad or cut the sequences")
        x = self.token_embedding(ids) + self.position_embedding(np.arange(T))  # (B, T, D)
        x = step("embedding", x)
        for block in self.blocks:
            x = block(x)  # (B, T, D)
        return x
