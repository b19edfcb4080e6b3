"""Bugs of the feed-forward networks, the block and the model, whose parts are right."""

import math
from collections.abc import Callable, Iterable

import numpy as np

from .... import functional as F
from ....array import Array
from ....tensors import Tensor
from ..stages import Inputs, part
from ..textbook import Textbook, straight_through
from .registry import known
from .steps import first_row, last_row

# The feed-forward network


@known("feed_forward", "swiglu_feed_forward")
class ResidualMissing(Textbook):
    """The input is not added back."""

    def residual(self, x: Tensor, y: Tensor) -> Tensor:
        return y


@known("feed_forward", "swiglu_feed_forward")
class ResidualHalved(Textbook):
    """Half of the input is added back."""

    def residual(self, x: Tensor, y: Tensor) -> Tensor:
        return super().residual(0.5 * x, y)


@known("feed_forward", "swiglu_feed_forward")
class ResidualTwice(Textbook):
    """The input is added back twice."""

    def residual(self, x: Tensor, y: Tensor) -> Tensor:
        return super().residual(2 * x, y)


@known("feed_forward", "swiglu_feed_forward")
class ResidualAveraged(Textbook):
    """The input and the branch are averaged, not added."""

    def residual(self, x: Tensor, y: Tensor) -> Tensor:
        return super().residual(x, y) / 2


@known("feed_forward", "swiglu_feed_forward")
class ResidualSubtracted(Textbook):
    """The branch is subtracted from the input."""

    def residual(self, x: Tensor, y: Tensor) -> Tensor:
        return super().residual(x, -y)


@known("feed_forward", "swiglu_feed_forward")
class ResidualGradientDropped(Textbook):
    """The gradient of the residual path is overwritten by that of the branch."""

    def residual(self, x: Tensor, y: Tensor) -> Tensor:
        return super().residual(x.detach(), y)


@known("feed_forward", "swiglu_feed_forward")
class BranchGradientDropped(Textbook):
    """The gradient of the branch is overwritten by that of the residual path."""

    def first_norm(self, p: Inputs) -> Tensor:
        return super().first_norm({**p, "x": p["x"].detach()})


@known("feed_forward", "swiglu_feed_forward")
class ResidualOfTheNormed(Textbook):
    """The normed input is added back, not the input."""

    def around(self, p: Inputs, branch: Callable[[Inputs, Tensor], Tensor]) -> Tensor:
        h = self.first_norm(p)
        return self.residual(h, branch(p, h))


@known("feed_forward", "swiglu_feed_forward")
class PreNormMissing(Textbook):
    """The branch starts from the input as it is, without the norm."""

    def first_norm(self, p: Inputs) -> Tensor:
        x: Tensor = p["x"]
        return x


@known("feed_forward", "swiglu_feed_forward")
class PostNormForPreNorm(Textbook):
    """The norm comes last, after the sum: norm(x + branch(x))."""

    def around(self, p: Inputs, branch: Callable[[Inputs, Tensor], Tensor]) -> Tensor:
        return self.first_norm({**p, "x": self.residual(p["x"], branch(p, p["x"]))})


@known("feed_forward", "swiglu_feed_forward")
class NormOfTheBranch(Textbook):
    """The norm stands after the branch: x + norm(branch(x))."""

    def around(self, p: Inputs, branch: Callable[[Inputs, Tensor], Tensor]) -> Tensor:
        return self.residual(p["x"], self.first_norm({**p, "x": branch(p, p["x"])}))


@known("feed_forward", "swiglu_feed_forward")
class NormedTwice(Textbook):
    """The norm is applied twice."""

    def first_norm(self, p: Inputs) -> Tensor:
        return super().first_norm({**p, "x": super().first_norm(p)})


@known("feed_forward")
class TanhGeluInside(Textbook):
    """The network's activation is GELU in the form with tanh."""

    def activation(self, x: Tensor) -> Tensor:
        return self.gelu_tanh(x)


@known("feed_forward")
class SiluInside(Textbook):
    """The network's activation is SiLU."""

    def activation(self, x: Tensor) -> Tensor:
        return self.silu(x)


@known("feed_forward")
class ReluInside(Textbook):
    """The network's activation is ReLU."""

    def activation(self, x: Tensor) -> Tensor:
        return F.relu(x)


@known("feed_forward")
class ActivationMissing(Textbook):
    """The network has no activation."""

    def activation(self, x: Tensor) -> Tensor:
        return x


@known("feed_forward")
class ActivationTwice(Textbook):
    """The activation is applied again after the second layer."""

    def branch(self, p: Inputs, h: Tensor) -> Tensor:
        return self.activation(super().branch(p, h))


@known("feed_forward")
class ActivationAtTheEnd(Textbook):
    """The activation follows the second layer, not the first."""

    def branch(self, p: Inputs, h: Tensor) -> Tensor:
        h = self.linear(h, p["linear1.weight"], p["linear1.bias"])
        return self.activation(self.linear(h, p["linear2.weight"], p["linear2.bias"]))


@known("feed_forward")
class FirstBiasMissing(Textbook):
    """The first layer has no bias."""

    def branch(self, p: Inputs, h: Tensor) -> Tensor:
        return super().branch({**p, "linear1.bias": None}, h)


@known("feed_forward")
class SecondBiasMissing(Textbook):
    """The second layer has no bias."""

    def branch(self, p: Inputs, h: Tensor) -> Tensor:
        return super().branch({**p, "linear2.bias": None}, h)


@known("feed_forward")
class WeightsTied(Textbook):
    """The second layer's weight is the transpose of the first's."""

    def branch(self, p: Inputs, h: Tensor) -> Tensor:
        return super().branch({**p, "linear2.weight": p["linear1.weight"].T}, h)


@known("feed_forward", unsteady=True)
class DropoutActive(Textbook):
    """Dropout zeroes a tenth of the numbers, though the network is evaluated."""

    def dropout(self, x: Tensor) -> Tensor:
        kept = np.random.default_rng().random(x.shape) >= 0.1
        return x * (kept / 0.9).astype(x.dtype)


@known("feed_forward")
class DropoutScaled(Textbook):
    """Dropout still multiplies by 1 / (1 - p), though it drops nothing."""

    def dropout(self, x: Tensor) -> Tensor:
        return x / 0.9


@known("feed_forward")
class DropoutScaledDown(Textbook):
    """Dropout multiplies by 1 - p, as if training had not scaled."""

    def dropout(self, x: Tensor) -> Tensor:
        return x * 0.9


@known("feed_forward")
class DropoutInBackward(Textbook):
    """The backward applies a dropout mask, though the forward applied none."""

    def dropout(self, x: Tensor) -> Tensor:
        kept = np.random.default_rng(x.shape).random(x.shape) >= 0.1
        return straight_through(x, x * (kept / 0.9).astype(x.dtype))


# SwiGLU


@known("swiglu_feed_forward")
class GateAndUpSwapped(Textbook):
    """The activation is on w3, and w1 is what it multiplies."""

    def gated(self, gate: Tensor, up: Tensor) -> Tensor:
        return super().gated(up, gate)


@known("swiglu_feed_forward")
class ActivationOfProduct(Textbook):
    """The activation comes after the product: silu(w1(h) · w3(h))."""

    def gated(self, gate: Tensor, up: Tensor) -> Tensor:
        return self.silu(gate * up)


@known("swiglu_feed_forward")
class BothActivated(Textbook):
    """The activation is on w1 and on w3."""

    def gated(self, gate: Tensor, up: Tensor) -> Tensor:
        return super().gated(gate, self.silu(up))


@known("swiglu_feed_forward")
class GateNotActivated(Textbook):
    """There is no activation: w1(h) · w3(h)."""

    def gated(self, gate: Tensor, up: Tensor) -> Tensor:
        return self.store(gate * up)


@known("swiglu_feed_forward")
class GeluGate(Textbook):
    """The gate is GELU, as in GEGLU."""

    def gated(self, gate: Tensor, up: Tensor) -> Tensor:
        return self.store(self.gelu(gate) * up)


@known("swiglu_feed_forward")
class SigmoidGate(Textbook):
    """The gate is the sigmoid, as in GLU."""

    def gated(self, gate: Tensor, up: Tensor) -> Tensor:
        return self.store(F.sigmoid(gate) * up)


@known("swiglu_feed_forward")
class ReluGate(Textbook):
    """The gate is ReLU, as in ReGLU."""

    def gated(self, gate: Tensor, up: Tensor) -> Tensor:
        return self.store(F.relu(gate) * up)


@known("swiglu_feed_forward")
class UpMissing(Textbook):
    """The gate is not multiplied by w3(h)."""

    def gated(self, gate: Tensor, up: Tensor) -> Tensor:
        return self.silu(gate)


@known("swiglu_feed_forward")
class GateAndUpAdded(Textbook):
    """The gate and w3(h) are added, not multiplied."""

    def gated(self, gate: Tensor, up: Tensor) -> Tensor:
        return self.store(self.silu(gate) + up)


@known("swiglu_feed_forward")
class UpOfTheInput(Textbook):
    """w3 is applied to the input before the norm."""

    def gated_branch(self, p: Inputs, h: Tensor, k: Tensor) -> Tensor:
        return super().gated_branch(p, h, p["x"])


@known("swiglu_feed_forward")
class GateAndUpShared(Textbook):
    """w1 serves for w3 too."""

    def gated_branch(self, p: Inputs, h: Tensor, k: Tensor) -> Tensor:
        return super().gated_branch({**p, "w3.weight": p["w1.weight"]}, h, k)


@known("swiglu_feed_forward")
class GateAndUpInterleaved(Textbook):
    """The rows of w1 and w3 are taken as interleaved, as in one packed weight."""

    def gated_branch(self, p: Inputs, h: Tensor, k: Tensor) -> Tensor:
        packed = F.concatenate([p["w1.weight"], p["w3.weight"]])
        return super().gated_branch(
            {**p, "w1.weight": packed[::2], "w3.weight": packed[1::2]}, h, k
        )


@known("swiglu_feed_forward")
class UpGradientDropped(Textbook):
    """The normed input's gradient counts the gate's path only, not that of w3."""

    def gated_branch(self, p: Inputs, h: Tensor, k: Tensor) -> Tensor:
        return super().gated_branch(p, h, k.detach())


@known("swiglu_feed_forward")
class GateGradientDropped(Textbook):
    """The normed input's gradient counts the path of w3 only, not the gate's."""

    def gated_branch(self, p: Inputs, h: Tensor, k: Tensor) -> Tensor:
        return super().gated_branch(p, h.detach(), k)


@known("swiglu_feed_forward")
class GateGradientOfSigmoid(Textbook):
    """The gate's backward is that of the sigmoid."""

    def gated(self, gate: Tensor, up: Tensor) -> Tensor:
        y = super().gated(gate, up)
        like = self.silu(gate).detach() * up + F.sigmoid(gate) * up.detach()
        return straight_through(y, self.store(like))


# The block


@known("block")
class MixerResidualMissing(Textbook):
    """The mixer's input is not added back: norm(token_mix(x))."""

    def mixed(self, x: Tensor, num_heads: int) -> Tensor:
        return self.token_mix(x, num_heads)


@known("block")
class MixerResidualAfterNorm(Textbook):
    """The mixer's input is added after the norm: x + norm(token_mix(x))."""

    def mixer(self, x: Tensor, num_heads: int, norm: Inputs) -> Tensor:
        return self.residual(x, self.mixer_norm(self.token_mix(x, num_heads), norm))


@known("block")
class MixerResidualAroundNorm(Textbook):
    """The mixer's input is added once more after the norm: x + norm(x + token_mix(x))."""

    def mixer(self, x: Tensor, num_heads: int, norm: Inputs) -> Tensor:
        return self.residual(x, super().mixer(x, num_heads, norm))


@known("block")
class MixerPreNorm(Textbook):
    """The mixer's norm comes first: x + token_mix(norm(x))."""

    def mixer(self, x: Tensor, num_heads: int, norm: Inputs) -> Tensor:
        return self.residual(x, self.token_mix(self.mixer_norm(x, norm), num_heads))


@known("block")
class MixerNormMissing(Textbook):
    """The mixer has no norm: the feed-forward network sees x + token_mix(x)."""

    def mixer_norm(self, y: Tensor, norm: Inputs) -> Tensor:
        return y


@known("block")
class MixerMissing(Textbook):
    """Nothing is mixed: the block is norm and feed-forward network."""

    def mixed(self, x: Tensor, num_heads: int) -> Tensor:
        return x


@known("block")
class MixerResidualHalved(Textbook):
    """Half of the mixer's input is added back."""

    def mixed(self, x: Tensor, num_heads: int) -> Tensor:
        return self.residual(0.5 * x, self.token_mix(x, num_heads))


@known("block")
class MixerResidualGradientDropped(Textbook):
    """The gradient of the mixer's residual path is overwritten by that of the mixing."""

    def mixed(self, x: Tensor, num_heads: int) -> Tensor:
        return self.residual(x.detach(), self.token_mix(x, num_heads))


@known("block")
class MixingGradientDropped(Textbook):
    """The gradient of the mixing is overwritten by that of the mixer's residual path."""

    def mixed(self, x: Tensor, num_heads: int) -> Tensor:
        return self.residual(x, self.token_mix(x.detach(), num_heads))


@known("block")
class NormsShared(Textbook):
    """The mixer's norm serves for the feed-forward network too."""

    def block(self, p: Inputs) -> Tensor:
        shared = {f"ffn.norm.{name}": p[f"mixer.norm.{name}"] for name in ("weight", "bias")}
        return super().block({**p, **shared})


@known("block")
class NormsSwapped(Textbook):
    """The two norms have each other's parameters."""

    def block(self, p: Inputs) -> Tensor:
        names = ("weight", "bias")
        first = {f"ffn.norm.{name}": p[f"mixer.norm.{name}"] for name in names}
        second = {f"mixer.norm.{name}": p[f"ffn.norm.{name}"] for name in names}
        return super().block({**p, **first, **second})


@known("block")
class FeedForwardFirst(Textbook):
    """The feed-forward network comes before the mixer."""

    def block(self, p: Inputs) -> Tensor:
        y = self.feed_forward(part(p, "ffn", x=p["x"]))
        return self.mixer(y, p["num_heads"], part(p, "mixer.norm"))


@known("block")
class FeedForwardMissing(Textbook):
    """The block ends after the mixer."""

    def block(self, p: Inputs) -> Tensor:
        return self.mixer(p["x"], p["num_heads"], part(p, "mixer.norm"))


@known("block")
class FeedForwardBeside(Textbook):
    """The feed-forward network runs on the block's input, beside the mixer."""

    def block(self, p: Inputs) -> Tensor:
        y = self.mixer(p["x"], p["num_heads"], part(p, "mixer.norm"))
        q = part(p, "ffn", x=p["x"])
        return self.residual(y, self.branch(q, self.first_norm(q)))


@known("block")
class ResidualFromTheBlockInput(Textbook):
    """The second residual adds the block's input, not the mixer's output."""

    def block(self, p: Inputs) -> Tensor:
        q = part(p, "ffn", x=self.mixer(p["x"], p["num_heads"], part(p, "mixer.norm")))
        return self.residual(p["x"], self.branch(q, self.first_norm(q)))


@known("block")
class OneHeadTooFew(Textbook):
    """The block mixes with one head whatever it is told."""

    def mixer(self, x: Tensor, num_heads: int, norm: Inputs) -> Tensor:
        return super().mixer(x, 1, norm)


# The model


@known("model")
class FirstBlockForAll(Textbook):
    """Every block has the parameters of the first."""

    def layers(self, depth: int) -> Iterable[int]:
        return [0] * depth


@known("model")
class LastBlockSkipped(Textbook):
    """The last block is left out."""

    def layers(self, depth: int) -> Iterable[int]:
        return range(depth - 1)


@known("model")
class BlocksReversed(Textbook):
    """The blocks run in reverse order."""

    def layers(self, depth: int) -> Iterable[int]:
        return reversed(range(depth))


@known("model")
class BlocksOnTheEmbedding(Textbook):
    """The last block starts from the embedding, not from what the block before it returned."""

    def layers(self, depth: int) -> Iterable[int]:
        return [depth - 1]


@known("model")
class TapeCutBetweenBlocks(Textbook):
    """No gradient passes from the last block to what comes before it."""

    def layer(self, p: Inputs, i: int, x: Tensor) -> Tensor:
        return super().layer(p, i, x.detach())


class _Positions(Textbook):
    """Other positions are added."""

    def other(self, positions: Tensor, ids: Array) -> Tensor:
        """What is added in place of the positions."""
        raise NotImplementedError

    def embedded(self, ids: Array, tokens: Tensor, positions: Tensor) -> Tensor:
        y = self.embedding(ids, tokens)
        return self.residual(y, self.other(positions, ids) + 0 * y.detach())


@known("model")
class PositionsMissing(_Positions):
    """The positions are not added."""

    def other(self, positions: Tensor, ids: Array) -> Tensor:
        return 0 * positions


@known("model")
class PositionsShifted(_Positions):
    """The positions are off by one, and wrap around."""

    def other(self, positions: Tensor, ids: Array) -> Tensor:
        return positions[np.roll(np.arange(ids.shape[1]), 1)]


@known("model")
class PositionsReversed(_Positions):
    """The positions count from the end."""

    def other(self, positions: Tensor, ids: Array) -> Tensor:
        return positions[::-1]


@known("model")
class PositionsFromOne(_Positions):
    """The positions count from one, and the last is cut to the table."""

    def other(self, positions: Tensor, ids: Array) -> Tensor:
        last = ids.shape[1] - 1
        return positions[np.minimum(np.arange(1, last + 2), last)]


@known("model")
class FirstPositionForAll(_Positions):
    """Every token gets the first position."""

    def other(self, positions: Tensor, ids: Array) -> Tensor:
        return positions[:1]


@known("model")
class PositionsTwice(_Positions):
    """The positions are added twice."""

    def other(self, positions: Tensor, ids: Array) -> Tensor:
        return 2 * positions


@known("model")
class PositionsOfFirstRow(_Positions):
    """The positions are added to the first row of the batch only."""

    def embedded(self, ids: Array, tokens: Tensor, positions: Tensor) -> Tensor:
        y = self.embedding(ids, tokens)
        return self.residual(y, first_row(positions + 0 * y.detach()))


@known("model")
class EmbeddingScaledInModel(Textbook):
    """The token embeddings are multiplied by √D before the positions are added."""

    def embedded(self, ids: Array, tokens: Tensor, positions: Tensor) -> Tensor:
        return super().embedded(ids, math.sqrt(tokens.shape[-1]) * tokens, positions)


class _PositionGradient(Textbook):
    """The right value, with another gradient of the positions."""

    def like(self, positions: Tensor) -> Tensor:
        """What has that gradient; positions of every row of the batch."""
        raise NotImplementedError

    def embedded(self, ids: Array, tokens: Tensor, positions: Tensor) -> Tensor:
        y = super().embedded(ids, tokens, positions)
        rows = positions[: ids.shape[1]] + 0 * y.detach()
        return straight_through(y, self.embedding(ids, tokens) + self.like(rows))


@known("model")
class PositionGradientOfFirstRow(_PositionGradient):
    """The positions' gradient comes from the first row of the batch only."""

    def like(self, positions: Tensor) -> Tensor:
        return first_row(positions)


@known("model")
class PositionGradientOverwritten(_PositionGradient):
    """The positions' gradient is assigned, not added: the last row of the batch remains."""

    def like(self, positions: Tensor) -> Tensor:
        return last_row(positions)


@known("model")
class PositionGradientAveraged(_PositionGradient):
    """The positions' gradient is an average over the batch, not a sum."""

    def like(self, positions: Tensor) -> Tensor:
        return positions / len(positions)


@known("model")
class PositionsNotTrained(_PositionGradient):
    """The positions get no gradient."""

    def like(self, positions: Tensor) -> Tensor:
        return positions.detach()


@known("model")
class EmbeddingNotTrained(Textbook):
    """The token embeddings get no gradient."""

    def embedded(self, ids: Array, tokens: Tensor, positions: Tensor) -> Tensor:
        return super().embedded(ids, tokens.detach(), positions)
