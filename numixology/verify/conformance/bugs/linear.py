"""Bugs of linear layers, forward and backward."""

import numpy as np

from .... import functional as F
from ....array import Array
from ....tensors import Tensor
from ..textbook import Textbook, straight_through
from .registry import known
from .steps import first_row, in_digits, in_format, last_row, last_token, only


def _whole(length: int) -> int:
    """Down to a multiple of four; what is shorter is done whole."""
    return length // 4 * 4 or length


def _whole_rows(y: Tensor) -> Array:
    """Which of the tokens, all rows of the batch in one, lie below a multiple of four."""
    rows = y.size // y.shape[-1]
    return (np.arange(rows) < _whole(rows)).reshape(*y.shape[:-1], 1)


def _square(weight: Tensor) -> bool:
    return weight.shape[0] == weight.shape[1]


# The forward


@known("linear")
class WeightTransposed(Textbook):
    """A square weight is multiplied without being transposed."""

    def product(self, x: Tensor, weight: Tensor) -> Tensor:
        return super().product(x, weight.T if _square(weight) else weight)


@known("linear")
class DepthTailDropped(Textbook):
    """The terms of the sum beyond a multiple of four are left out."""

    def product(self, x: Tensor, weight: Tensor) -> Tensor:
        terms = _whole(x.shape[-1])
        return super().product(x[..., :terms], weight[:, :terms])


@known("linear")
class ColumnTailDropped(Textbook):
    """The columns of the product beyond a multiple of four stay zero."""

    def product(self, x: Tensor, weight: Tensor) -> Tensor:
        return only(
            super().product(x, weight), np.arange(weight.shape[0]) < _whole(weight.shape[0])
        )


@known("linear")
class RowTailDropped(Textbook):
    """The tokens beyond a multiple of four are not computed and stay zero."""

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        y = super().linear(x, weight, bias)
        return only(y, _whole_rows(y))


@known("linear")
class LastTokenDropped(Textbook):
    """The last token is not computed and stays zero."""

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        y = super().linear(x, weight, bias)
        return y - last_token(y)


@known("linear")
class LastRowDropped(Textbook):
    """The last row of the batch is not computed and stays zero."""

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        y = super().linear(x, weight, bias)
        return y - last_row(y)


@known("linear")
class BiasMissing(Textbook):
    """The bias is not added."""

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return super().linear(x, weight)


class _OtherBias(Textbook):
    def other(self, bias: Tensor) -> Tensor:
        """What is added in place of the bias."""
        raise NotImplementedError

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return super().linear(x, weight, None if bias is None else self.other(bias))


@known("linear")
class BiasTwice(_OtherBias):
    """The bias is added twice."""

    def other(self, bias: Tensor) -> Tensor:
        return 2 * bias


@known("linear")
class BiasSubtracted(_OtherBias):
    """The bias is subtracted."""

    def other(self, bias: Tensor) -> Tensor:
        return -bias


@known("linear")
class FirstBiasForAll(_OtherBias):
    """The bias's first entry is added to every column."""

    def other(self, bias: Tensor) -> Tensor:
        return bias[:1]


@known("linear")
class BiasForFirstRow(Textbook):
    """The bias is added to the first row of the batch only."""

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        y = self.product(x, weight)
        return self.store(y if bias is None else y + first_row(bias + 0 * y.detach()))


class _CoarseInputs(Textbook):
    def coarse(self, x: Tensor) -> Tensor:
        """What a factor is rounded to."""
        raise NotImplementedError

    def product(self, x: Tensor, weight: Tensor) -> Tensor:
        return super().product(self.coarse(x), self.coarse(weight))


@known("linear", dtypes=("float64", "float32"))
class Tf32Inputs(_CoarseInputs):
    """The factors are rounded to the eleven digits of TF32."""

    def coarse(self, x: Tensor) -> Tensor:
        return in_digits(x, 11)


@known("linear", dtypes=("float64", "float32", "float16"))
class Bfloat16Inputs(_CoarseInputs):
    """The factors are rounded to bfloat16."""

    def coarse(self, x: Tensor) -> Tensor:
        return in_format(x, "bfloat16")


@known("linear", dtypes=("float64", "float32", "bfloat16"))
class Float16Inputs(_CoarseInputs):
    """The factors are rounded to float16, where large ones overflow."""

    def coarse(self, x: Tensor) -> Tensor:
        return in_format(x, "float16")


@known("linear", dtypes=("float64",))
class Float32Inputs(_CoarseInputs):
    """The factors are rounded to float32."""

    def coarse(self, x: Tensor) -> Tensor:
        return in_format(x, "float32")


class _CoarseSums(Textbook):
    """Partial sums over two halves of the terms are kept in fewer digits."""

    kind = "float32"

    def product(self, x: Tensor, weight: Tensor) -> Tensor:
        order = self.shuffled(x.shape[-1])
        parts = [
            in_format(super(_CoarseSums, self).product(x[..., some], weight[:, some]), self.kind)
            for some in np.array_split(order, min(2, len(order)))
        ]
        total = parts[0]
        for one in parts[1:]:
            total = in_format(total + one, self.kind)
        return total


@known("linear", dtypes=("float64", "float32", "float16"), noisy=True)
class Bfloat16Sums(_CoarseSums):
    """The sums are kept in bfloat16."""

    kind = "bfloat16"


@known("linear", dtypes=("float64", "float32"), noisy=True)
class Float16Sums(_CoarseSums):
    """The sums are kept in float16, where large ones overflow."""

    kind = "float16"


@known("linear", dtypes=("float64",), noisy=True)
class Float32Sums(_CoarseSums):
    """The sums are kept in float32."""


# The backward


class _Backward(Textbook):
    """The right value, with a gradient put together from three parts."""

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        y = super().linear(x, weight, bias)
        like = self.by_x(x, weight.detach()) + self.by_weight(x.detach(), weight)
        if bias is not None:
            like = like + self.by_bias(bias + 0 * y.detach())
        return straight_through(y, self.store(like))

    def by_x(self, x: Tensor, weight: Tensor) -> Tensor:
        """What has the gradient of the input."""
        return self.product(x, weight)

    def by_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        """What has the gradient of the weight."""
        return self.product(x, weight)

    def by_bias(self, bias: Tensor) -> Tensor:
        """What has the gradient of the bias."""
        return bias


@known("linear")
class InputGradientTransposed(_Backward):
    """The input's gradient multiplies by the transpose of a square weight."""

    def by_x(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.product(x, weight.T if _square(weight) else weight)


@known("linear")
class InputGradientTailDropped(_Backward):
    """The input's gradient leaves out the columns beyond a multiple of four."""

    def by_x(self, x: Tensor, weight: Tensor) -> Tensor:
        return only(super().by_x(x, weight), np.arange(len(weight)) < _whole(len(weight)))


@known("linear")
class InputGradientWithMagnitudes(_Backward):
    """The input's gradient multiplies by |weight|."""

    def by_x(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.product(x, F.abs(weight))


@known("linear")
class WeightGradientTransposed(_Backward):
    """The gradient of a square weight comes out transposed."""

    def by_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.product(x, weight.T if _square(weight) else weight)


@known("linear")
class WeightGradientTailDropped(_Backward):
    """The weight's gradient leaves out the tokens beyond a multiple of four."""

    def by_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        y = super().by_weight(x, weight)
        return only(y, _whole_rows(y))


@known("linear")
class WeightGradientOverwritten(_Backward):
    """The weight's gradient is assigned, not added: the last row of the batch remains."""

    def by_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        return last_row(super().by_weight(x, weight))


@known("linear")
class WeightGradientOfFirstRowOnly(_Backward):
    """The weight's gradient comes from the first row of the batch only."""

    def by_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        return first_row(super().by_weight(x, weight))


@known("linear")
class WeightGradientOverBatchAveraged(_Backward):
    """The weight's gradient is divided by the size of the batch."""

    def by_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        return super().by_weight(x, weight) / len(x)


@known("linear", dtypes=("float64", "float32", "float16"))
class WeightGradientOfBfloat16Input(_Backward):
    """The input is saved for the backward in bfloat16."""

    def by_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.product(in_format(x, "bfloat16"), weight)


@known("linear")
class BiasGradientOfLastToken(_Backward):
    """The bias's gradient is the last token's, not the sum."""

    def by_bias(self, bias: Tensor) -> Tensor:
        return last_token(bias)


@known("linear")
class BiasGradientOfFirstRow(_Backward):
    """The bias's gradient comes from the first row of the batch only."""

    def by_bias(self, bias: Tensor) -> Tensor:
        return first_row(bias)


@known("linear")
class BiasGradientAveraged(_Backward):
    """The bias's gradient is an average over the tokens, not a sum."""

    def by_bias(self, bias: Tensor) -> Tensor:
        return bias / (bias.size // bias.shape[-1])


@known("linear")
class BiasGradientMissing(_Backward):
    """The bias gets no gradient."""

    def by_bias(self, bias: Tensor) -> Tensor:
        return bias.detach()
