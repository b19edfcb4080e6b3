"""Bugs of GELU, SiLU and softmax, forward and backward."""

import math

from .... import functional as F
from ....tensors import Tensor
from ..textbook import Textbook, straight_through
from .registry import known
from .steps import rounded_up

_ROOT = math.sqrt(2 / math.pi)


def _tanh_form(x: Tensor, cubic: float = 0.044715, root: float = _ROOT) -> Tensor:
    return x * F.sigmoid(2 * root * (x + cubic * x * x * x))


def _erf_form(x: Tensor) -> Tensor:
    return x * F.normal_cdf(x)


# GELU


class _Gelu(Textbook):
    """Computes something else than x Φ(x)."""

    def instead(self, x: Tensor) -> Tensor:
        """What takes the place of x Φ(x)."""
        raise NotImplementedError

    def gelu(self, x: Tensor) -> Tensor:
        return self.store(self.instead(x))


@known("gelu")
class TanhForErf(_Gelu):
    """GELU is computed in the form with tanh."""

    def instead(self, x: Tensor) -> Tensor:
        return _tanh_form(x)


@known("gelu")
class QuickGelu(_Gelu):
    """GELU is computed as x σ(1.702 x)."""

    def instead(self, x: Tensor) -> Tensor:
        return x * F.sigmoid(1.702 * x)


@known("gelu")
class SiluForGelu(_Gelu):
    """SiLU takes the place of GELU."""

    def instead(self, x: Tensor) -> Tensor:
        return x * F.sigmoid(x)


@known("gelu")
class ReluForGelu(_Gelu):
    """ReLU takes the place of GELU."""

    def instead(self, x: Tensor) -> Tensor:
        return F.relu(x)


@known("gelu")
class ErfWithoutRootTwo(_Gelu):
    """The argument of erf is not divided by √2."""

    def instead(self, x: Tensor) -> Tensor:
        return x * F.normal_cdf(math.sqrt(2) * x)


@known("gelu")
class RootTwoMistyped(_Gelu):
    """√2 is written as 1.414."""

    def instead(self, x: Tensor) -> Tensor:
        return x * F.normal_cdf(math.sqrt(2) / 1.414 * x)


@known("gelu")
class HalfDropped(_Gelu):
    """The factor ½ is missing."""

    def instead(self, x: Tensor) -> Tensor:
        return 2 * _erf_form(x)


@known("gelu")
class GeluInputCut(_Gelu):
    """The input is cut to ±10 first, and nothing larger comes out."""

    def instead(self, x: Tensor) -> Tensor:
        return _erf_form(F.clip(x, -10.0, 10.0))


@known("gelu")
class GeluTailCut(_Gelu):
    """Below -3 the result is zero, above 3 it is x."""

    def instead(self, x: Tensor) -> Tensor:
        y = F.where(x < -3, 0.0, _erf_form(x))
        return F.where(x > 3, x, y)


@known("gelu")
class ErfFromPolynomial(_Gelu):
    """erf comes from a short polynomial that is right to 1.5e-7."""

    def instead(self, x: Tensor) -> Tensor:
        z = F.abs(x) * math.sqrt(0.5)
        t = 1 / (1 + 0.3275911 * z)
        p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * -1.453152027)))
        p = p + 1.061405429 * t * t * t * t * t
        erf = F.sign(x).detach() * (1 - p * F.exp(-z * z))
        return 0.5 * x * (1 + erf)


@known("gelu")
class GeluGateOnly(_Gelu):
    """The gate Φ(x) comes out, not multiplied by x."""

    def instead(self, x: Tensor) -> Tensor:
        return F.normal_cdf(x)


class _GeluBackward(Textbook):
    """The right value, with another gradient."""

    def like(self, x: Tensor) -> Tensor:
        """What has that gradient."""
        raise NotImplementedError

    def gelu(self, x: Tensor) -> Tensor:
        return straight_through(super().gelu(x), self.store(self.like(x)))


@known("gelu")
class BackwardOfTanhForm(_GeluBackward):
    """The backward of GELU is that of the form with tanh."""

    def like(self, x: Tensor) -> Tensor:
        return _tanh_form(x)


@known("gelu")
class BackwardWithoutDensity(_GeluBackward):
    """The backward of GELU lacks the term x φ(x)."""

    def like(self, x: Tensor) -> Tensor:
        return x * F.normal_cdf(x).detach()


@known("gelu")
class BackwardWithDensityOnly(_GeluBackward):
    """The backward of GELU lacks the term Φ(x)."""

    def like(self, x: Tensor) -> Tensor:
        return x.detach() * F.normal_cdf(x)


@known("gelu")
class DensityWithoutX(_GeluBackward):
    """The backward of GELU adds φ(x), not multiplied by x."""

    def like(self, x: Tensor) -> Tensor:
        return x * F.normal_cdf(x).detach() + F.normal_cdf(x)


@known("gelu")
class DensityWithoutHalf(_GeluBackward):
    """The density in the backward of GELU is exp(-x²) / √(2π)."""

    def like(self, x: Tensor) -> Tensor:
        gate = F.normal_cdf(x).detach()
        density = (F.exp(-x * x) / math.sqrt(2 * math.pi)).detach()
        return x * (gate + x.detach() * density)


@known("gelu")
class DensityWithRootPi(_GeluBackward):
    """The density in the backward of GELU is divided by √π, not by √(2π)."""

    def like(self, x: Tensor) -> Tensor:
        gate = F.normal_cdf(x)
        return x * gate.detach() + math.sqrt(2) * x.detach() * gate


@known("gelu")
class BackwardOfQuickGelu(_GeluBackward):
    """The backward of GELU is that of x σ(1.702 x)."""

    def like(self, x: Tensor) -> Tensor:
        return x * F.sigmoid(1.702 * x)


@known("gelu")
class BackwardOfRelu(_GeluBackward):
    """The backward of GELU is that of ReLU."""

    def like(self, x: Tensor) -> Tensor:
        return F.relu(x)


@known("gelu")
class BackwardAtTheOutput(_GeluBackward):
    """The backward of GELU takes the slope at the output, not at the input."""

    def like(self, x: Tensor) -> Tensor:
        y = _erf_form(x).detach()
        return x * (F.normal_cdf(y) + F.clip(y, -1e3, 1e3) * F.normal_pdf(y)).detach()


# GELU in the form with tanh


class _GeluTanh(Textbook):
    """Computes something else than the form with tanh."""

    def instead(self, x: Tensor) -> Tensor:
        """What takes its place."""
        raise NotImplementedError

    def gelu_tanh(self, x: Tensor) -> Tensor:
        return self.store(self.instead(x))


@known("gelu_tanh")
class ErfForTanh(_GeluTanh):
    """The form with tanh is computed with erf."""

    def instead(self, x: Tensor) -> Tensor:
        return _erf_form(x)


@known("gelu_tanh")
class QuickGeluForTanh(_GeluTanh):
    """The form with tanh is computed as x σ(1.702 x)."""

    def instead(self, x: Tensor) -> Tensor:
        return x * F.sigmoid(1.702 * x)


@known("gelu_tanh")
class CubicMistyped(_GeluTanh):
    """0.044715 is written as 0.044175."""

    def instead(self, x: Tensor) -> Tensor:
        return _tanh_form(x, 0.044175)


@known("gelu_tanh")
class CubicTruncated(_GeluTanh):
    """0.044715 is written as 0.0447."""

    def instead(self, x: Tensor) -> Tensor:
        return _tanh_form(x, 0.0447)


@known("gelu_tanh")
class CubicMissing(_GeluTanh):
    """The term with x³ is missing."""

    def instead(self, x: Tensor) -> Tensor:
        return _tanh_form(x, 0.0)


@known("gelu_tanh")
class SquareForCube(_GeluTanh):
    """The term with x³ has x² in it."""

    def instead(self, x: Tensor) -> Tensor:
        return x * F.sigmoid(2 * _ROOT * (x + 0.044715 * x * x))


@known("gelu_tanh")
class RootTwoOverPiTruncated(_GeluTanh):
    """√(2/π) is written as 0.797."""

    def instead(self, x: Tensor) -> Tensor:
        return _tanh_form(x, root=0.797)


@known("gelu_tanh")
class RootTwoOverPiRounded(_GeluTanh):
    """√(2/π) is written as 0.7978."""

    def instead(self, x: Tensor) -> Tensor:
        return _tanh_form(x, root=0.7978)


@known("gelu_tanh")
class RootMissing(_GeluTanh):
    """2/π stands where its root should."""

    def instead(self, x: Tensor) -> Tensor:
        return _tanh_form(x, root=2 / math.pi)


@known("gelu_tanh")
class TanhHalfDropped(_GeluTanh):
    """The factor ½ is missing."""

    def instead(self, x: Tensor) -> Tensor:
        return 2 * _tanh_form(x)


@known("gelu_tanh")
class TanhOverflow(_GeluTanh):
    """tanh u is (exp(2u) - 1) / (exp(2u) + 1), which overflows to NaN."""

    def instead(self, x: Tensor) -> Tensor:
        e = F.exp(2 * _ROOT * (x + 0.044715 * x * x * x))
        return x * (e / (1 + e))


class _GeluTanhBackward(Textbook):
    """The right value, with another gradient."""

    def like(self, x: Tensor) -> Tensor:
        """What has that gradient."""
        raise NotImplementedError

    def gelu_tanh(self, x: Tensor) -> Tensor:
        return straight_through(super().gelu_tanh(x), self.store(self.like(x)))


@known("gelu_tanh")
class BackwardOfErfForm(_GeluTanhBackward):
    """The backward of the form with tanh is that of the form with erf."""

    def like(self, x: Tensor) -> Tensor:
        return _erf_form(x)


@known("gelu_tanh")
class BackwardWithoutCubicSlope(_GeluTanhBackward):
    """The backward leaves out 3 · 0.044715 x², the slope of the cubic term."""

    def like(self, x: Tensor) -> Tensor:
        return x * F.sigmoid(2 * _ROOT * (x + (0.044715 * x * x * x).detach()))


@known("gelu_tanh")
class CubicSlopeWithoutThree(_GeluTanhBackward):
    """The slope of the cubic term lacks its 3 in the backward."""

    def like(self, x: Tensor) -> Tensor:
        cube = 0.044715 * x * (x * x).detach()
        return x * F.sigmoid(2 * _ROOT * (x + cube))


@known("gelu_tanh")
class BackwardOfGateOnly(_GeluTanhBackward):
    """The backward lacks the term with the slope of tanh."""

    def like(self, x: Tensor) -> Tensor:
        return x * F.sigmoid(2 * _ROOT * (x + 0.044715 * x * x * x)).detach()


# SiLU


class _Silu(Textbook):
    """Computes something else than x σ(x)."""

    def instead(self, x: Tensor) -> Tensor:
        """What takes its place."""
        raise NotImplementedError

    def silu(self, x: Tensor) -> Tensor:
        return self.store(self.instead(x))


@known("silu")
class SigmoidOverflow(_Silu):
    """The sigmoid is exp(x) / (1 + exp(x)), which overflows to NaN."""

    def instead(self, x: Tensor) -> Tensor:
        e = F.exp(x)
        return x * (e / (1 + e))


@known("silu")
class SigmoidMissing(_Silu):
    """The gate is left out: x comes out."""

    def instead(self, x: Tensor) -> Tensor:
        return x


@known("silu")
class SiluGateOnly(_Silu):
    """The gate σ(x) comes out, not multiplied by x."""

    def instead(self, x: Tensor) -> Tensor:
        return F.sigmoid(x)


@known("silu")
class GeluForSilu(_Silu):
    """GELU takes the place of SiLU."""

    def instead(self, x: Tensor) -> Tensor:
        return _erf_form(x)


@known("silu")
class QuickGeluForSilu(_Silu):
    """The sigmoid is that of 1.702 x."""

    def instead(self, x: Tensor) -> Tensor:
        return x * F.sigmoid(1.702 * x)


@known("silu")
class HardSwish(_Silu):
    """Hard swish, x min(max(x + 3, 0), 6) / 6, takes the place of SiLU."""

    def instead(self, x: Tensor) -> Tensor:
        return x * F.clip(x + 3, 0.0, 6.0) / 6


@known("silu")
class SigmoidNegated(_Silu):
    """The sigmoid is that of -x."""

    def instead(self, x: Tensor) -> Tensor:
        return x * F.sigmoid(-x)


@known("silu")
class SiluInputCut(_Silu):
    """The input is cut to ±20 first, and nothing larger comes out."""

    def instead(self, x: Tensor) -> Tensor:
        x = F.clip(x, -20.0, 20.0)
        return x * F.sigmoid(x)


class _SiluBackward(Textbook):
    """The right value, with another gradient."""

    def like(self, x: Tensor) -> Tensor:
        """What has that gradient."""
        raise NotImplementedError

    def silu(self, x: Tensor) -> Tensor:
        return straight_through(super().silu(x), self.store(self.like(x)))


@known("silu")
class BackwardOfSigmoid(_SiluBackward):
    """The backward of SiLU is that of the sigmoid."""

    def like(self, x: Tensor) -> Tensor:
        return F.sigmoid(x)


@known("silu")
class BackwardWithoutSlope(_SiluBackward):
    """The backward of SiLU lacks the term x σ(x) (1 - σ(x))."""

    def like(self, x: Tensor) -> Tensor:
        return x * F.sigmoid(x).detach()


@known("silu")
class SlopeWithoutX(_SiluBackward):
    """The backward of SiLU lacks the x in x σ(x) (1 - σ(x))."""

    def like(self, x: Tensor) -> Tensor:
        return x * F.sigmoid(x).detach() + F.sigmoid(x)


@known("silu")
class SlopeWithoutComplement(_SiluBackward):
    """The backward of SiLU lacks the 1 - σ(x) in x σ(x) (1 - σ(x))."""

    def like(self, x: Tensor) -> Tensor:
        gate = F.sigmoid(x).detach()
        return x * (gate + (x * gate).detach())


@known("silu")
class SiluBackwardAtTheOutput(_SiluBackward):
    """The backward of SiLU takes the slope at the output, not at the input."""

    def like(self, x: Tensor) -> Tensor:
        y = (x * F.sigmoid(x)).detach()
        return x * (F.sigmoid(y) * (1 + F.clip(y, -1e3, 1e3) * F.sigmoid(-y)))


# Softmax


@known("softmax")
class SoftmaxWithoutShift(Textbook):
    """The maximum is not subtracted, and exp overflows."""

    def softmax(self, x: Tensor) -> Tensor:
        e = F.exp(x)
        return self.store(e / self.total(e))


@known("softmax")
class SoftmaxShiftOfTensor(Textbook):
    """One maximum, that of the whole tensor, is subtracted: low rows underflow to 0/0."""

    def softmax(self, x: Tensor) -> Tensor:
        e = F.exp(x - F.max(x).detach())
        return self.store(e / self.total(e))


@known("softmax")
class SoftmaxOverTokens(Textbook):
    """The softmax runs over the tokens."""

    def softmax(self, x: Tensor) -> Tensor:
        return super().softmax(x.permute(0, 2, 1)).permute(0, 2, 1)


@known("softmax")
class SoftmaxOverBatch(Textbook):
    """The softmax runs over the batch."""

    def softmax(self, x: Tensor) -> Tensor:
        return super().softmax(x.permute(2, 1, 0)).permute(2, 1, 0)


@known("softmax")
class SoftmaxOfPaddedLanes(Textbook):
    """Lanes beyond D up to a multiple of four are zero, and are in the sum."""

    def softmax(self, x: Tensor) -> Tensor:
        top = F.maximum(F.max(x, axis=-1, keepdims=True), 0.0).detach()
        e, lane = F.exp(x - top), F.exp(-top)
        spare = rounded_up(x.shape[-1], 4) - x.shape[-1]
        return self.store(e / (self.total(e) + spare * lane))


@known("softmax")
class SoftmaxDividedByMax(Textbook):
    """The exponentials are divided by their maximum, not by their sum."""

    def softmax(self, x: Tensor) -> Tensor:
        e = F.exp(x - F.max(x, axis=-1, keepdims=True).detach())
        return self.store(e / F.max(e, axis=-1, keepdims=True))


@known("softmax")
class SoftmaxWithTemperature(Textbook):
    """The input is divided by √D first."""

    def softmax(self, x: Tensor) -> Tensor:
        return super().softmax(x / math.sqrt(x.shape[-1]))


@known("softmax")
class SoftmaxToBaseTwo(Textbook):
    """2ˣ stands where eˣ should: the factor log₂ e is missing."""

    def softmax(self, x: Tensor) -> Tensor:
        return super().softmax(math.log(2) * x)


@known("softmax")
class SoftmaxWithEps(Textbook):
    """1e-6 is added to the sum."""

    def softmax(self, x: Tensor) -> Tensor:
        e = F.exp(x - F.max(x, axis=-1, keepdims=True).detach())
        return self.store(e / (self.total(e) + 1e-6))


@known("softmax")
class LogSoftmax(Textbook):
    """The logarithm of the softmax comes out."""

    def softmax(self, x: Tensor) -> Tensor:
        return self.store(F.log_softmax(x))


@known("softmax")
class SoftmaxTailDropped(Textbook):
    """The columns beyond a multiple of four are not in the sum."""

    def softmax(self, x: Tensor) -> Tensor:
        e = F.exp(x - F.max(x, axis=-1, keepdims=True).detach())
        return self.store(e / self.total(e[..., : x.shape[-1] // 4 * 4 or None]))


class _SoftmaxBackward(Textbook):
    """The right value, with another gradient."""

    def like(self, x: Tensor, y: Tensor) -> Tensor:
        """What has that gradient; ``y`` is the softmax."""
        raise NotImplementedError

    def softmax(self, x: Tensor) -> Tensor:
        y = super().softmax(x)
        return straight_through(y, self.store(self.like(x, y.detach())))


@known("softmax")
class SoftmaxGradientWithoutSum(_SoftmaxBackward):
    """The backward of the softmax lacks the sum: y · ct alone."""

    def like(self, x: Tensor, y: Tensor) -> Tensor:
        return x * y


@known("softmax")
class SoftmaxGradientDiagonal(_SoftmaxBackward):
    """The backward of the softmax is that of a sigmoid: y (1 - y) · ct."""

    def like(self, x: Tensor, y: Tensor) -> Tensor:
        return x * (y * (1 - y))


@known("softmax")
class SoftmaxGradientWithPlainSum(_SoftmaxBackward):
    """The sum in the backward of the softmax is Σ ct, not Σ ct · y."""

    def like(self, x: Tensor, y: Tensor) -> Tensor:
        return x * y - self.total(x * y)
