"""Bugs of the embedding: the look-up, and the addition of gradients to its rows."""

import math

import numpy as np

from .... import functional as F
from ....array import Array
from ....tensors import Tensor
from ..stages import Inputs
from ..textbook import Textbook
from .registry import known
from .steps import first_row, in_format, only


@known("embedding")
class EmbeddingScaled(Textbook):
    """The rows are multiplied by √D."""

    def embedding(self, ids: Array, weight: Tensor) -> Tensor:
        return self.store(math.sqrt(weight.shape[-1]) * super().embedding(ids, weight))


@known("embedding")
class PaddingRowZero(Textbook):
    """Id 0 gives zeros, as if it were padding."""

    def embedding(self, ids: Array, weight: Tensor) -> Tensor:
        return only(super().embedding(ids, weight), (ids != 0)[..., None])


@known("embedding")
class PaddingRowNotTrained(Textbook):
    """The row of id 0 gets no gradient, as if it were padding."""

    def embedding(self, ids: Array, weight: Tensor) -> Tensor:
        return super().embedding(ids, F.concatenate([weight[:1].detach(), weight[1:]]))


@known("embedding")
class LastRowNotTrained(Textbook):
    """The last row gets no gradient."""

    def embedding(self, ids: Array, weight: Tensor) -> Tensor:
        return super().embedding(ids, F.concatenate([weight[:-1], weight[-1:].detach()]))


@known("embedding")
class IdsFromOne(Textbook):
    """The ids count from one: row id - 1."""

    def embedding(self, ids: Array, weight: Tensor) -> Tensor:
        return super().embedding(ids - 1, weight)


@known("embedding")
class IdsShifted(Textbook):
    """Row id + 1 is taken, and the first after the last."""

    def embedding(self, ids: Array, weight: Tensor) -> Tensor:
        return super().embedding((ids + 1) % len(weight), weight)


@known("embedding")
class LastIdCut(Textbook):
    """The last id is cut to the one before it."""

    def embedding(self, ids: Array, weight: Tensor) -> Tensor:
        return super().embedding(np.minimum(ids, len(weight) - 2), weight)


@known("embedding")
class LastIdWraps(Textbook):
    """The last id is taken modulo the size of a table that is one too short."""

    def embedding(self, ids: Array, weight: Tensor) -> Tensor:
        return super().embedding(ids % (len(weight) - 1), weight)


@known("embedding")
class RowsReversed(Textbook):
    """The table is read from its end."""

    def embedding(self, ids: Array, weight: Tensor) -> Tensor:
        return super().embedding(len(weight) - 1 - ids, weight)


@known("embedding", dtypes=("float64", "float32", "float16"))
class TableInBfloat16(Textbook):
    """The table is kept in bfloat16."""

    def embedding(self, ids: Array, weight: Tensor) -> Tensor:
        return super().embedding(ids, in_format(weight, "bfloat16"))


class _GradientOfRows(Textbook):
    """The right value, with gradients that reach the table in another way."""

    def scattered(self, ids: Array, cotangent: Array, gradient: Array) -> Array:
        """The gradient of the table; ``gradient`` is the right one."""
        raise NotImplementedError

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        found = super().vjp(stage, inputs, cotangent)
        if stage == "embedding":
            wrong = self.scattered(inputs["ids"], cotangent, found["weight"])
            found["weight"] = self.format.stored(wrong)
        return found


@known("embedding")
class RepeatedIdsAssigned(_GradientOfRows):
    """The gradients of a repeated id are assigned, not added: the last one remains."""

    def scattered(self, ids: Array, cotangent: Array, gradient: Array) -> Array:
        found = np.zeros_like(gradient)
        for i, one in zip(ids.ravel(), cotangent.reshape(-1, cotangent.shape[-1]), strict=True):
            found[i] = one
        return found


@known("embedding")
class RepeatedIdsFirstOnly(_GradientOfRows):
    """The gradients of a repeated id after its first are dropped."""

    def scattered(self, ids: Array, cotangent: Array, gradient: Array) -> Array:
        found = np.zeros_like(gradient)
        rows = cotangent.reshape(-1, cotangent.shape[-1])
        _, places = np.unique(ids.ravel(), return_index=True)
        found[ids.ravel()[places]] = rows[places]
        return found


@known("embedding")
class RepeatedIdsAveraged(_GradientOfRows):
    """The gradients of a repeated id are averaged."""

    def scattered(self, ids: Array, cotangent: Array, gradient: Array) -> Array:
        counts = np.bincount(ids.ravel(), minlength=len(gradient))
        return gradient / np.maximum(counts, 1)[:, None]


@known("embedding")
class RepeatedIdsNormalizedByRoot(_GradientOfRows):
    """The gradients of a repeated id are divided by the root of their number."""

    def scattered(self, ids: Array, cotangent: Array, gradient: Array) -> Array:
        counts = np.bincount(ids.ravel(), minlength=len(gradient))
        return gradient / np.sqrt(np.maximum(counts, 1))[:, None]


@known("embedding")
class TableGradientOfFirstRow(Textbook):
    """Only the first row of the batch adds to the table's gradient."""

    def embedding(self, ids: Array, weight: Tensor) -> Tensor:
        y = super().embedding(ids, weight)
        return y.detach() + first_row(y) - first_row(y).detach()


@known("embedding")
class TableGradientOfBatchAveraged(_GradientOfRows):
    """The table's gradient is divided by the size of the batch."""

    def scattered(self, ids: Array, cotangent: Array, gradient: Array) -> Array:
        return gradient / len(ids)


@known("embedding")
class TableGradientAtShiftedIds(_GradientOfRows):
    """The gradients are added to row id + 1."""

    def scattered(self, ids: Array, cotangent: Array, gradient: Array) -> Array:
        return np.roll(gradient, 1, axis=0)
