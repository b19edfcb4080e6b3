"""The block, token mixer then feed-forward, and the model, embeddings then blocks."""

from typing import Any, Literal, TypeAlias

import numpy as np

from ..array import DTypeLike
from ..checks import positive
from ..errors import ArgumentError, ShapeError
from ..functional.affine import as_ids
from ..functional.mixing import Mixing
from ..observe import step
from ..tensors import Tensor
from .embedding import Embedding
from .feed_forward import Activation, FeedForward, SwiGLUFeedForward
from .module import Module, Rng
from .token_mixer import TokenMixer

__all__ = ["Network", "RankMixerBlock", "RankMixerModel"]

#: The feed-forward networks that a block may have.
Network: TypeAlias = Literal["standard", "swiglu"]


class RankMixerBlock(Module):
    """y = FFN(TokenMixer(x)): tokens exchange chunks, then each is processed alone.

    As in the guide, the mixer normalises after its residual and the network before; in the
    paper both normalise after. The parts are ``mixer`` and ``ffn``.

    Args:
        num_tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        num_heads: H, a divisor of D.
        ff_dim: F; 4D if None.
        ffn: ``"standard"`` or ``"swiglu"``.
        activation: of the standard network; SwiGLU has its own.
        dropout: the probability of a zero, in [0, 1); active in training mode only.
        mixing: ``"rankmixer"`` or ``"guide"``.
        eps: LayerNorm's.
        educational: print every step of the mixer as it happens.
        rng: a seed or a Generator for the initial values and the dropout masks.
        dtype: float64 or float32.

    Returns:
        When called with x (B, T, D), of the module's dtype, y (B, T, D).

    Raises:
        ArgumentError: a value outside its range or an unknown word.
        ShapeError: H does not divide D; when called, for input that is not (B, T, D).
        DTypeError: a ``dtype`` other than those two; when called, for input of another dtype.

    Source: guide, RankMixer Block Structure; RankMixer, section 3.1 (arXiv 2507.15551).

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> block = nx.nn.RankMixerBlock(4, 8, 4, rng=0).eval()
        >>> block(nx.tensor(np.ones((2, 4, 8)))).shape
        (2, 4, 8)
    """

    mixer: TokenMixer
    ffn: FeedForward | SwiGLUFeedForward

    def __init__(
        self,
        num_tokens: int,
        hidden_dim: int,
        num_heads: int,
        *,
        ff_dim: int | None = None,
        ffn: Network = "standard",
        activation: Activation = "gelu",
        dropout: float = 0.1,
        mixing: Mixing = "rankmixer",
        eps: float = 1e-5,
        educational: bool = False,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        rng = np.random.default_rng(rng)
        self.mixer = TokenMixer(
            num_tokens,
            hidden_dim,
            num_heads,
            mixing=mixing,
            eps=eps,
            educational=educational,
            dtype=dtype,
        )
        if ffn == "standard":
            self.ffn = FeedForward(
                hidden_dim,
                ff_dim,
                activation=activation,
                dropout=dropout,
                eps=eps,
                rng=rng,
                dtype=dtype,
            )
        elif ffn == "swiglu" and activation == "gelu":
            self.ffn = SwiGLUFeedForward(
                hidden_dim, ff_dim, dropout=dropout, eps=eps, rng=rng, dtype=dtype
            )
        elif ffn == "swiglu":
            raise ArgumentError(
                "the swiglu network has an activation of its own",
                repr(activation),
                "leave activation out",
            )
        else:
            raise ArgumentError("ffn is 'standard' or 'swiglu'", repr(ffn), "use one of the two")

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        y: Tensor = self.ffn(self.mixer(x))
        return y


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
        ff_dim, ffn, activation, dropout, mixing, eps, educational: see :class:`RankMixerBlock`.
        rng: a seed or a Generator; one is passed down, so no two blocks start alike.
        dtype: float64 or float32.

    Returns:
        When called with ids (B, T), the final hidden states (B, T, D).

    Raises:
        ArgumentError: a value outside its range or an unknown word.
        ShapeError: H does not divide D; when called, for ids that are not (B, T).
        DTypeError: a ``dtype`` other than those two; when called, for ids that are not integers.
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
        *,
        ff_dim: int | None = None,
        ffn: Network = "standard",
        activation: Activation = "gelu",
        dropout: float = 0.1,
        mixing: Mixing = "rankmixer",
        eps: float = 1e-5,
        educational: bool = False,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        vocab_size, num_tokens, hidden_dim, num_layers = positive(
            vocab_size=vocab_size,
            num_tokens=num_tokens,
            hidden_dim=hidden_dim,
            num_layers=num_layers,
        )
        rng = np.random.default_rng(rng)
        self.num_tokens = num_tokens
        self.token_embedding = Embedding(vocab_size, hidden_dim, rng=rng, dtype=dtype)
        self.position_embedding = Embedding(num_tokens, hidden_dim, rng=rng, dtype=dtype)
        self.blocks = [
            RankMixerBlock(
                num_tokens,
                hidden_dim,
                num_heads,
                ff_dim=ff_dim,
                ffn=ffn,
                activation=activation,
                dropout=dropout,
                mixing=mixing,
                eps=eps,
                educational=educational,
                rng=rng,
                dtype=dtype,
            )
            for _ in range(num_layers)
        ]

    def forward(self, ids: Any) -> Tensor:
        """Ids (B, T) to hidden states (B, T, D)."""
        ids = as_ids(ids)
        shape = ids.shape
        if len(shape) != 2 or shape[1] != self.num_tokens:
            raise ShapeError(
                f"ids have shape (B, T) with T = {self.num_tokens}",
                str(shape),
                "pad or cut the sequences",
            )
        tokens: Tensor = step("token_embedding", self.token_embedding(ids))  # (B, T, D)
        positions: Tensor = step(
            "position_embedding", self.position_embedding(np.arange(shape[1]))
        )  # (T, D)
        x = step("embedding", tokens + positions)  # (B, T, D)
        for layer, block in enumerate(self.blocks, start=1):
            x = step(f"block {layer}", block(x))  # (B, T, D)
        return x
