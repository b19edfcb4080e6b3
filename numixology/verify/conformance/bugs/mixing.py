"""Bugs of the token mixer, forward and backward."""

from typing import Any

import numpy as np

from .... import functional as F
from ....array import Array
from ....tensors import Tensor
from ..stages import Inputs
from ..textbook import Textbook, straight_through
from .registry import known
from .steps import first_row, in_format


@known("token_mix")
class MixerIdentity(Textbook):
    """The axes are not permuted, or permuted back before the merge: the input comes out."""

    def permute(self, heads: Tensor) -> Tensor:
        return heads


@known("token_mix")
class HeadsInterleaved(Textbook):
    """D is split as (d, H), so that a head takes every H-th column."""

    def partition(self, x: Tensor, num_heads: int) -> Tensor:
        B, T, D = x.shape
        return x.reshape(B, T, D // num_heads, num_heads).permute(0, 1, 3, 2)


@known("token_mix")
class MergedColumnFirst(Textbook):
    """The chunks of a head are merged with their columns leading: D is transposed with T."""

    def merge(self, heads: Tensor, shape: tuple[int, ...]) -> Tensor:
        return heads.permute(0, 1, 3, 2).reshape(shape)


@known("token_mix")
class MergedTokenMajor(Textbook):
    """The mixed chunks are merged from (B, T, d, H)."""

    def permute(self, heads: Tensor) -> Tensor:
        return heads.permute(0, 1, 3, 2)


@known("token_mix")
class MixedAcrossBatch(Textbook):
    """The heads come to lie before the batch, so that its rows mix."""

    def permute(self, heads: Tensor) -> Tensor:
        return heads.permute(2, 0, 1, 3)


@known("token_mix")
class TokensLeadTheBatch(Textbook):
    """The tokens come to lie before the batch, so that its rows mix."""

    def permute(self, heads: Tensor) -> Tensor:
        return heads.permute(1, 0, 2, 3)


@known("token_mix")
class MixerInverse(Textbook):
    """The inverse permutation: (B, H, T, d) to (B, T, H, d)."""

    def token_mix(self, x: Tensor, num_heads: int) -> Tensor:
        B, T, D = x.shape
        return x.reshape(B, num_heads, T, D // num_heads).permute(0, 2, 1, 3).reshape(B, T, D)


@known("token_mix")
class HeadsReversed(Textbook):
    """The heads lie in reverse order."""

    def permute(self, heads: Tensor) -> Tensor:
        return super().permute(heads)[:, ::-1]


@known("token_mix")
class TokensReversed(Textbook):
    """The tokens of a head lie in reverse order."""

    def permute(self, heads: Tensor) -> Tensor:
        return super().permute(heads)[:, :, ::-1]


@known("token_mix")
class ChunksShifted(Textbook):
    """Every chunk lies one place farther on."""

    def merge(self, heads: Tensor, shape: tuple[int, ...]) -> Tensor:
        B, H, T, d = heads.shape
        chunks = heads.reshape(B, H * T, d)
        return chunks[:, np.roll(np.arange(H * T), 1)].reshape(shape)


@known("token_mix")
class ColumnsReversed(Textbook):
    """The columns of every chunk lie in reverse order."""

    def permute(self, heads: Tensor) -> Tensor:
        return super().permute(heads)[..., ::-1]


@known("token_mix")
class LastHeadForgotten(Textbook):
    """The last head stays zero."""

    def permute(self, heads: Tensor) -> Tensor:
        mixed = super().permute(heads)
        return F.concatenate([mixed[:, :-1], 0 * mixed[:, -1:]], axis=1)


@known("token_mix")
class FirstTokenNotMixed(Textbook):
    """The first token keeps its own chunks."""

    def token_mix(self, x: Tensor, num_heads: int) -> Tensor:
        return F.concatenate([x[:, :1], super().token_mix(x, num_heads)[:, 1:]], axis=1)


@known("token_mix")
class FirstRowForAll(Textbook):
    """Every row of the batch gets the first row's tokens."""

    def token_mix(self, x: Tensor, num_heads: int) -> Tensor:
        return super().token_mix(x[np.zeros(len(x), np.int64)], num_heads)


@known("token_mix")
class MixedTwice(Textbook):
    """The tokens are mixed twice."""

    def token_mix(self, x: Tensor, num_heads: int) -> Tensor:
        return super().token_mix(super().token_mix(x, num_heads), num_heads)


@known("token_mix", dtypes=("float64", "float32", "float16"))
class MixedInBfloat16(Textbook):
    """The tokens pass through bfloat16 on their way."""

    def token_mix(self, x: Tensor, num_heads: int) -> Tensor:
        return in_format(super().token_mix(x, num_heads), "bfloat16")


def _as_it_lies(x: Array) -> Array:
    """The memory under an array, read as if there were no gaps and the last axis were dense."""
    memory = x if x.base is None else x.base
    return np.asarray(memory).ravel(order="K")[: x.size].reshape(x.shape)


@known("token_mix", "layer_norm", "softmax")
class StridesIgnored(Textbook):
    """An input with gaps, or in Fortran's order, is read as if it were contiguous."""

    def wrapped(self, inputs: Inputs) -> dict[str, Any]:
        return super().wrapped({**inputs, "x": _as_it_lies(inputs["x"])})


@known("token_mix", "linear", "gelu")
class CotangentStridesIgnored(Textbook):
    """A cotangent with gaps, or in Fortran's order, is read as if it were contiguous."""

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        return super().vjp(stage, inputs, _as_it_lies(cotangent))


class _Backward(Textbook):
    """The right value, with another gradient."""

    def like(self, x: Tensor, num_heads: int) -> Tensor:
        """What has that gradient."""
        raise NotImplementedError

    def token_mix(self, x: Tensor, num_heads: int) -> Tensor:
        return straight_through(super().token_mix(x, num_heads), self.like(x, num_heads))


@known("token_mix")
class MixerGradientNotPermuted(_Backward):
    """The gradient is handed on without being permuted back."""

    def like(self, x: Tensor, num_heads: int) -> Tensor:
        return 1 * x


@known("token_mix")
class MixerGradientPermutedForward(_Backward):
    """The gradient is permuted as the input was, not back."""

    def like(self, x: Tensor, num_heads: int) -> Tensor:
        B, T, D = x.shape
        return x.reshape(B, num_heads, T, D // num_heads).permute(0, 2, 1, 3).reshape(B, T, D)


@known("token_mix")
class MixerGradientMissing(_Backward):
    """No gradient passes through the mixer."""

    def like(self, x: Tensor, num_heads: int) -> Tensor:
        return 0 * x


@known("token_mix")
class MixerGradientOfFirstRow(_Backward):
    """Only the first row of the batch gets a gradient."""

    def like(self, x: Tensor, num_heads: int) -> Tensor:
        return first_row(Textbook.token_mix(self, x, num_heads))


@known("token_mix")
class MixerGradientNegated(_Backward):
    """The gradient has the wrong sign."""

    def like(self, x: Tensor, num_heads: int) -> Tensor:
        return -Textbook.token_mix(self, x, num_heads)
