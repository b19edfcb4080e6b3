"""Other mixers: what else may stand where the tokens mix, from (B, T, D) to (B, T, D).

Each is a module without norm and residual of its own. A :class:`~numixology.nn.TokenMixer` and a
:class:`~numixology.nn.RankMixerBlock` put both around it; for ``mixing`` they take its name in
:data:`~numixology.nn.MIXINGS`, or the module itself. Chunk tH + h is head h of token t, and
d = D / H.

The last three of the table are exhibits. They move values between tokens, so that a test which only
looks for the identity lets them pass, and none of them is the paper's mixing.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from ..array import Array, DTypeLike
from ..checks import positive
from ..errors import ArgumentError, shown
from ..functional.distributions import log_softmax
from ..functional.elementary import exp
from ..functional.mixing import Mixing, divided, head_dim, token_mix
from ..shapes import transpose
from ..tensors import Tensor
from .attention import SelfAttention
from .checks import check_input, parameter
from .module import Module, Rng

__all__ = [
    "MIXINGS", "ChunkMixing", "FixedMixing", "FullMixing", "MixingName", "SinkhornMixing",
    "SinkhornRow",
]  # fmt: skip

#: What ``mixing=`` of a mixer or a block may say.
MixingName: TypeAlias = Literal[
    Mixing, "identity", "matrix", "matrix_per_head", "full", "sinkhorn", "attention", "channels",
    "neighbors", "twice",
]  # fmt: skip


class FixedMixing(Module):
    """y = mix(x, H), for a function that has no parameters.

    Args:
        mix: from x (B, T, D) and H to y (B, T, D).
        num_heads: H, which it is given.

    Returns:
        When called with x (B, T, D), y (B, T, D).

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> nx.nn.FixedMixing(nx.functional.token_revert, 2)(np.arange(8).reshape(1, 2, 4))
        array([[[0, 1, 4, 5],
                [2, 3, 6, 7]]])
    """

    _settings = ("name", "num_heads")

    def __init__(self, mix: Callable[[Tensor, int], Tensor], num_heads: int) -> None:
        self.mix, (self.num_heads,) = mix, positive(num_heads=num_heads)
        self.name = getattr(mix, "__name__", repr(mix)).strip("_")

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        return self.mix(x, self.num_heads)


class ChunkMixing(Module):
    """y_t^h = Σ_s W_ts^h x_s^h: for each head a learned matrix over the tokens.

    Chunks keep their head: of the T·H chunks only those of one head mix. With H = 1 this is one
    T x T matrix for all features, the linear part of MLP-Mixer's token mixing; with more heads it
    is MTmixAtt's. The matrices begin as random orthogonal ones. Were all entries 1, every token
    would get the same sum: rank 1.

    The one parameter is ``weight`` (H, T, T).

    Args:
        num_tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        num_heads: H, a divisor of D.
        rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with x (B, T, D), y (B, T, D).

    Source: Tolstikhin et al. 2021 (arXiv 2105.01601); MTmixAtt (arXiv 2510.15286), as described in
    notes on it.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> mixing = nx.nn.ChunkMixing(3, 8, 4, rng=0)
        >>> mixing(np.ones((2, 3, 8))).shape
        (2, 3, 8)
        >>> W = mixing.weight.data
        >>> bool(np.allclose(W @ W.transpose(0, 2, 1), np.eye(3)))
        True
    """

    def __init__(
        self,
        num_tokens: int,
        hidden_dim: int,
        num_heads: int = 1,
        *,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        T, D, H = positive(num_tokens=num_tokens, hidden_dim=hidden_dim, num_heads=num_heads)
        self._size, self._chunks = (T, D), (T, H, divided(D, H))
        q, r = np.linalg.qr(np.random.default_rng(rng).standard_normal((H, T, T)))
        signs = np.sign(np.diagonal(r, axis1=1, axis2=2))  # without them q is not uniform
        self.weight = parameter(q * signs[:, None], dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        check_input(x, self, self.weight, "(B, T, D)", *self._size)
        heads = transpose(x.reshape(-1, *self._chunks), (0, 2, 1, 3))  # (B, H, T, d)
        return transpose(self.weight @ heads, (0, 2, 1, 3)).reshape(*x.shape)  # (B, T, D)


class FullMixing(Module):
    """vec(y) = W vec(x): every feature of every token mixes with every other.

    All linear mixings, RankMixer's among them, are special cases. It has T²D² parameters, and is
    here as the upper bound of what mixing can do.

    The one parameter is ``weight`` (TD, TD), uniform within 1/√(TD) at first, as of a linear layer.

    Args:
        num_tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with x (B, T, D), y (B, T, D).

    Source: RankElastor (arXiv 2605.23191), as described in notes on it.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> nx.nn.FullMixing(3, 8, rng=0)(np.ones((2, 3, 8))).shape
        (2, 3, 8)
    """

    def __init__(
        self,
        num_tokens: int,
        hidden_dim: int,
        *,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        T, D = self._size = positive(num_tokens=num_tokens, hidden_dim=hidden_dim)
        bound = 1 / np.sqrt(T * D)
        weight = np.random.default_rng(rng).uniform(-bound, bound, (T * D, T * D))
        self.weight = parameter(weight, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        check_input(x, self, self.weight, "(B, T, D)", *self._size)
        flat = x.reshape(x.shape[0], len(self.weight))  # (B, T·D)
        return (flat @ self.weight.T).reshape(*x.shape)  # (B, T, D)


class SinkhornRow(NamedTuple):
    """What a temperature makes of a Sinkhorn mixing's matrix W.

    Attributes:
        temperature: τ, by which the logits are divided.
        row_error, column_error: the largest distance of a row's, a column's sum from 1.
        asymmetry: the largest entry of W - Wᵀ.
        smallest_singular_value: that of I + W, which is what a residual adds up to.

    Example:
        >>> import numixology as nx
        >>> (row,) = nx.nn.SinkhornMixing(2, 8, 2, rng=0).report()
        >>> row.temperature, row.column_error < 1e-15
        (1.0, True)
    """

    temperature: float
    row_error: float
    column_error: float
    asymmetry: float
    smallest_singular_value: float


class SinkhornMixing(Module):
    """y = W x over the N = TH chunks: W = Sinkhorn((A + Aᵀ) / 2τ), a soft permutation.

    Sinkhorn's steps divide the entries of exp((A + Aᵀ) / 2τ) by their rows' sums, then by their
    columns', again and again. What they converge to is doubly stochastic and, as they begin with a
    symmetric matrix, symmetric; after few steps and at low temperature it is neither. As τ falls, W
    becomes a permutation which is its own inverse. RankMixer's is one only where T = H. And every
    symmetric permutation but I has the eigenvalue -1: annealing makes I + W singular.
    :meth:`report` has the figures.

    The one parameter is ``weight`` A (N, N), standard normal at first.

    Args:
        num_tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        num_heads: H, a divisor of D.
        temperature: τ > 0; it may be changed later.
        steps: of Sinkhorn, each a division by rows' and by columns' sums.
        rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with x (B, T, D), y (B, T, D).

    Source: UniMixer (arXiv 2604.00590), as described in notes on it; Sinkhorn, Knopp 1967.

    Example:
        >>> import numixology as nx
        >>> mixing = nx.nn.SinkhornMixing(2, 8, 2, rng=0)
        >>> mixing(nx.tensor([[[1.0] * 8, [2.0] * 8]])).shape
        (1, 2, 8)
        >>> mixing.matrix().sum(axis=0)
        Tensor([1., 1., 1., 1.], from=sum, requires_grad=True)
    """

    _settings = ("temperature", "steps")

    def __init__(
        self,
        num_tokens: int,
        hidden_dim: int,
        num_heads: int,
        *,
        temperature: float = 1.0,
        steps: int = 20,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        T, D, H = positive(num_tokens=num_tokens, hidden_dim=hidden_dim, num_heads=num_heads)
        self._size, self._chunks = (T, D), (T * H, divided(D, H))
        self.temperature, (self.steps,) = _warm(temperature), positive(steps=steps)
        self.weight = parameter(np.random.default_rng(rng).standard_normal((T * H, T * H)), dtype)

    def matrix(self, temperature: float | None = None) -> Tensor:
        """W (N, N), at the mixing's own temperature or another."""
        tau = _warm(self.temperature if temperature is None else temperature)
        logits = (self.weight + self.weight.T) / (2 * tau)
        for _ in range(self.steps):  # in logarithms, where no quotient leaves the range
            logits = log_softmax(log_softmax(logits, axis=1), axis=0)
        return exp(logits)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        check_input(x, self, self.weight, "(B, T, D)", *self._size)
        return (self.matrix() @ x.reshape(-1, *self._chunks)).reshape(*x.shape)  # (B, T, D)

    def report(self, *temperatures: float) -> list[SinkhornRow]:
        """Sums, symmetry and smallest singular value beside τ.

        Args:
            *temperatures: by default the mixing's own.

        Returns:
            A row for each.

        Example:
            >>> import numixology as nx
            >>> mixing = nx.nn.SinkhornMixing(4, 8, 4, rng=0)
            >>> for row in mixing.report(1.0, 0.05):
            ...     print(row.temperature, round(row.smallest_singular_value, 2))
            1.0 0.75
            0.05 0.0
        """
        rows = []
        for tau in temperatures or (self.temperature,):
            W = self.matrix(tau).data.astype(np.float64)
            by_rows, by_columns = (np.abs(W.sum(axis) - 1).max() for axis in (1, 0))
            smallest = np.linalg.svd(np.eye(len(W)) + W, compute_uv=False)[-1]
            figures = (by_rows, by_columns, np.abs(W - W.T).max(), smallest)
            rows.append(SinkhornRow(tau, *map(float, figures)))
        return rows


def _warm(temperature: float) -> float:
    """τ as Python's number, beside which float32 stays float32."""
    if not temperature > 0:
        raise ArgumentError("temperature is above 0", shown(temperature), "go from 1.0 to 0.05")
    return float(temperature)


def _identity(x: Tensor, num_heads: int) -> Tensor:
    return x


def _channels(x: Tensor, num_heads: int) -> Tensor:
    """Single features dealt out in place of chunks: the shuffle of D heads."""
    return token_mix(x, x.shape[-1])


def _neighbors(x: Tensor, num_heads: int) -> Tensor:
    """The paper's mixing inside every pair of tokens and of heads, and nothing beyond."""
    d = head_dim(x.shape, num_heads)
    T = x.shape[1]
    return x.reshape(-1, T * num_heads, d)[:, _swapped(T, num_heads)].reshape(*x.shape)


def _swapped(num_tokens: int, num_heads: int) -> Array:
    """Which chunk each place gets: in all blocks of 2 x 2 chunks the two off the diagonal swap."""
    source = np.arange(num_tokens * num_heads).reshape(num_tokens, num_heads)
    even = source[: num_tokens // 2 * 2, : num_heads // 2 * 2]
    pairs = even.reshape(num_tokens // 2, 2, num_heads // 2, 2)
    even[:] = pairs.transpose(0, 3, 2, 1).reshape(even.shape)
    return source.ravel()


def _twice(x: Tensor, num_heads: int) -> Tensor:
    """Mixing as its own inverse, which it is where T = H."""
    return token_mix(token_mix(x, num_heads), num_heads)


def _fixed(mix: Callable[[Tensor, int], Tensor]) -> Callable[..., Module]:
    return lambda T, D, H, **options: FixedMixing(mix, H)


#: The mixings that are modules: from a name to what makes one of T, D and H, with keywords ``rng``
#: and ``dtype``.
MIXINGS: dict[MixingName, Callable[..., Module]] = {
    "identity": _fixed(_identity),
    "matrix": lambda T, D, H, **options: ChunkMixing(T, D, 1, **options),
    "matrix_per_head": ChunkMixing,
    "full": lambda T, D, H, **options: FullMixing(T, D, **options),
    "sinkhorn": SinkhornMixing,
    "attention": lambda T, D, H, **options: SelfAttention(D, H, **options),
    "channels": _fixed(_channels),
    "neighbors": _fixed(_neighbors),
    "twice": _fixed(_twice),
}
