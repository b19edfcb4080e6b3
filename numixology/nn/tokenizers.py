"""Tokenizers: from the features of a sample to its T tokens of D numbers.

A tokenizer is called with arrays of features, each (B, n), which it concatenates in that order to
(B, in_features). It returns (B, T, D), and has the attributes ``in_features``, ``num_tokens`` and
``hidden_dim``.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from ..array import DTypeLike
from ..checks import as_integer, one_of, positive
from ..errors import ArgumentError, ShapeError, shown
from ..functional.elementary import concatenate, split, stack
from ..shapes import broadcast_to
from ..tensors import Tensor
from .checks import check_input, parameter
from .linear import Linear, PerTokenLinear
from .module import Module, Rng

__all__ = ["GlobalToken", "GlobalTokenKind", "GroupTokenizer", "SlicedTokenizer"]

#: Where the numbers of a global token come from.
GlobalTokenKind: TypeAlias = Literal["learned", "projected"]


class SlicedTokenizer(Module):
    """y_t = W_t · x[td … (t+1)d] + b_t: the features in T slices, each with weights of its own.

    The slices have d = (in_features + pad) / T features. ``pad`` zeros follow the last feature; a
    slice of zeros alone makes a token that is the same for every sample, and ``empty_tokens`` says
    how many there are. The one part is ``projection``, with weights (T, D, d).

    Args:
        in_features: the number of features of a sample.
        num_tokens: T, the number of tokens, a divisor of in_features + pad.
        hidden_dim: D, the number of features of a token.
        pad: the number of zeros.
        bias: whether there are b_t.
        rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with features (B, n), one array or several, y (B, T, D).

    Raises:
        ShapeError: T does not divide in_features + pad; the message names the nearest sizes.

    Source: RankMixer (arXiv 2507.15551).

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> tokenizer = nx.nn.SlicedTokenizer(10, 4, 8, pad=2, rng=0)
        >>> user, item = np.ones((5, 7)), np.ones((5, 3))
        >>> tokenizer(user, item).shape, tokenizer.empty_tokens
        ((5, 4, 8), 0)
        >>> nx.nn.SlicedTokenizer(10, 4, 8)
        Traceback (most recent call last):
        numixology.errors.ShapeError: num_tokens must divide in_features + pad: got 10 features ...
    """

    _settings = ("in_features", "pad")

    def __init__(
        self,
        in_features: int,
        num_tokens: int,
        hidden_dim: int,
        *,
        pad: int = 0,
        bias: bool = True,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        n, T = positive(in_features=in_features, num_tokens=num_tokens)
        self.pad = as_integer(pad, "pad")
        if self.pad < 0:
            raise ArgumentError("pad is at least 0", shown(pad), "leave features out instead")
        if (n + self.pad) % T:
            invariant = "num_tokens must divide in_features + pad"
            got = f"{n} features and {T} tokens" + (f" with pad={self.pad}" if pad else "")
            raise ShapeError(invariant, got, f"use {_nearest(n, T)}, or pad={-n % T}")
        self.in_features, self.num_tokens, self.hidden_dim = n, T, hidden_dim
        slice_dim = (n + self.pad) // T
        self.projection = PerTokenLinear(T, slice_dim, hidden_dim, bias, rng=rng, dtype=dtype)

    @property
    def empty_tokens(self) -> int:
        """How many tokens see no feature, since their slices are zeros."""
        return self.pad * self.num_tokens // (self.in_features + self.pad)

    def forward(self, *features: Tensor) -> Tensor:
        """(B, n) each to (B, T, D)."""
        x = _joined(features, self, self.projection.weight)
        if self.pad:
            x = concatenate([x, np.zeros((len(x), self.pad), x.dtype)], axis=1)
        T, _, d = self.projection.weight.shape
        return self.projection(x.reshape(len(x), T, d))  # (B, T, D)


class GroupTokenizer(Module):
    """y_t = W_t · g_t + b_t: one token for each semantic group of features, of any width.

    The part ``projections`` holds T linear layers.

    Args:
        group_dims: how many features each group has: T widths.
        hidden_dim: D, the number of features of a token.
        bias: whether there are b_t.
        rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with features (B, n), one array or several, y (B, T, D). The features of a group
        lie next to each other, whichever arrays they come in.

    Source: RankMixer (arXiv 2507.15551).

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> tokenizer = nx.nn.GroupTokenizer([5, 2, 9], 8, rng=0)
        >>> tokenizer(np.ones((4, 5)), np.ones((4, 2)), np.ones((4, 9))).shape
        (4, 3, 8)
    """

    def __init__(
        self,
        group_dims: Sequence[int],
        hidden_dim: int,
        *,
        bias: bool = True,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        widths = positive(**{f"group_dims[{i}]": n for i, n in enumerate(group_dims)})
        if not widths:
            raise ArgumentError("there is at least one group", shown(group_dims), "use e.g. [8, 8]")
        rng = np.random.default_rng(rng)
        self.in_features, self.num_tokens, self.hidden_dim = sum(widths), len(widths), hidden_dim
        self.projections = [Linear(n, hidden_dim, bias, rng=rng, dtype=dtype) for n in widths]
        self._cuts = list(accumulate(widths))[:-1]

    def forward(self, *features: Tensor) -> Tensor:
        """(B, n) each to (B, T, D)."""
        groups = split(_joined(features, self, self.projections[0].weight), self._cuts, axis=1)
        pairs = zip(self.projections, groups, strict=True)
        return stack([projection(group) for projection, group in pairs], axis=1)  # (B, T, D)


class GlobalToken(Module):
    """A tokenizer with one token more, which belongs to no group of features.

    ``"learned"`` is a vector g of its own, the same for every sample; ``"projected"`` is W x + b of
    all features x of the sample. The parts are ``tokenizer`` and ``token`` (D,), a parameter, or
    ``projection``, a linear layer.

    Args:
        tokenizer: the tokenizer of the other tokens.
        kind: ``"learned"`` or ``"projected"``.
        place: ``"first"`` or ``"last"``, where the token stands.
        rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with what the tokenizer takes, (B, T, D); the tokenizer makes T - 1 of them.

    Source: TokenMixer-Large, as reported: a global token and T - 1 groups. The reports say neither
    of which kind it is nor where it stands.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> groups = nx.nn.GroupTokenizer([5, 2, 9], 8, rng=0)
        >>> tokenizer = nx.nn.GlobalToken(groups, "projected", rng=1)
        >>> tokenizer(np.ones((4, 16))).shape, tokenizer.num_tokens
        ((4, 4, 8), 4)
    """

    _settings = ("kind", "place")

    def __init__(
        self,
        tokenizer: "SlicedTokenizer | GroupTokenizer",
        kind: GlobalTokenKind = "learned",
        *,
        place: Literal["first", "last"] = "first",
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        one_of("kind", kind, get_args(GlobalTokenKind))
        one_of("place", place, ("first", "last"))
        rng = np.random.default_rng(rng)
        n, D = tokenizer.in_features, tokenizer.hidden_dim
        self.in_features, self.num_tokens, self.hidden_dim = n, tokenizer.num_tokens + 1, D
        self.kind, self.place, self.tokenizer = kind, place, tokenizer
        if kind == "learned":
            self.token = parameter(rng.standard_normal(D), dtype)
        else:
            self.projection = Linear(n, D, rng=rng, dtype=dtype)

    def forward(self, *features: Tensor) -> Tensor:
        """What the tokenizer takes to (B, T, D)."""
        tokens = self.tokenizer(*features)  # (B, T - 1, D)
        B, D = len(tokens), self.hidden_dim
        if self.kind == "learned":
            token = broadcast_to(self.token, (B, 1, D))
        else:
            token = self.projection(_joined(features, self, self.projection.weight))
            token = token.reshape(B, 1, D)
        both = [token, tokens] if self.place == "first" else [tokens, token]
        return concatenate(both, axis=1)  # (B, T, D)


def _joined(features: Sequence[Any], tokenizer: Any, like: Tensor) -> Any:
    """All features of a sample, (B, in_features)."""
    x = features[0] if len(features) == 1 else concatenate(features, axis=1)
    check_input(x, tokenizer, like, "(B, in_features)", tokenizer.in_features)
    return x


def _nearest(n: int, T: int) -> str:
    """The numbers of features and of tokens that fit, next to those given."""
    features = [str(k) for k in (n - n % T, n - n % T + T) if k]
    divisors = [t for t in range(1, n + 1) if n % t == 0]
    below, above = [t for t in divisors if t < T][-1:], [t for t in divisors if t > T][:1]
    tokens = " or ".join(map(str, below + above))
    return f"{' or '.join(features)} features, {tokens} tokens"
