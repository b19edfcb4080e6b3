"""Bugs of size: right on small arrays, wrong from some size on, or at some sizes only."""

import numpy as np
from sweeps.kernel_bug import bug
from sweeps.kernels import Array, Inputs, Kernels, Saved, slices


def rows_of(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])


# LayerNorm


@bug("size", "layer_norm", "D", 1025)
class NormOfOneTile(Kernels):
    """A row has one tile of 1,024 columns, and the sums miss what lies beyond it."""

    def column_tiles(self, columns: int) -> list[slice]:
        return slices(min(columns, 1024), 256)


@bug("size", "layer_norm", "D", 33)
class NormOfFirstWarp(Kernels):
    """Of 8 warps of 32 lanes each, which share a row, the first one's sum is taken for all."""

    def row_sum(self, x: Array) -> Array:
        first = np.arange(x.shape[-1]) // 32 % 8 == 0
        return x[..., first].sum(axis=-1, keepdims=True)


@bug("size", "layer_norm", "D", 513)
class NormHalfOfWarpSums(Kernels):
    """The second step of a block's reduction reads 16 of its 32 warps' sums."""

    def row_sum(self, x: Array) -> Array:
        read = np.arange(x.shape[-1]) % 1024 < 512
        return x[..., read].sum(axis=-1, keepdims=True)


@bug("size", "layer_norm", "D", 257)
class ChunkedVarianceWithoutMeans(Kernels):
    """Squares of chunks of 256 are merged without the differences of the chunks' means."""

    def moments(self, x: Array) -> tuple[Array, Array]:
        squares = sum((self.centered(x[..., t]) ** 2).sum(-1) for t in slices(x.shape[-1], 256))
        return self.centered(x), np.asarray(squares)[..., None] / x.shape[-1]


@bug("size", "layer_norm", "D", 129)
class WelfordOfEqualChunks(Kernels):
    """Means of chunks of 128 are merged as if the last chunk were as long as the others."""

    def moments(self, x: Array) -> tuple[Array, Array]:
        d = self.centered(x)
        tiles = slices(x.shape[-1], 128)
        means = np.stack([d[..., t].mean(axis=-1) for t in tiles], axis=-1)
        d = d - means.mean(axis=-1, keepdims=True)
        return d, self.row_sum(d * d) / x.shape[-1]


@bug("size", "layer_norm", "D", 3)
class VarianceOfPaddedRow(Kernels):
    """A row is padded with zeros to a power of two, whose distances to the mean count."""

    def moments(self, x: Array) -> tuple[Array, Array]:
        d, variance = super().moments(x)
        width = x.shape[-1]
        padding = (1 << (width - 1).bit_length()) - width
        return d, variance + padding / width * x.mean(axis=-1, keepdims=True) ** 2


@bug("size", "layer_norm", "D", 65)
class TailWithFirstWeights(Kernels):
    """Past 64 columns loads are of 8, and the columns left over count their weights from zero."""

    def affine(self, h: Array, weight: Array, bias: Array) -> Array:
        width, at = len(weight), np.arange(len(weight))
        if width > 64:
            at = np.where(at < width // 8 * 8, at, at - width // 8 * 8)
        return h * weight[at] + bias


@bug("size", "layer_norm", "rows", 1025)
class FirstBuffersOfDweight(Kernels):
    """Gradients of parameters lie in a buffer for every 16 rows, of which 64 are added."""

    def row_tiles(self, rows: int) -> list[slice]:
        return slices(rows, 16)

    def reduced(self, buffers: Array) -> Array:
        return super().reduced(buffers[:64])


@bug("size", "layer_norm", "rows", 129)
class DweightWithoutLastRows(Kernels):
    """Rows that do not fill the last buffer of 128 are missing in the gradient by the weight."""

    def norm_dweight(self, terms: Array) -> Array:
        return super().norm_dweight(terms[: len(terms) // 128 * 128 or None])


@bug("size", "layer_norm", "rows", 65536)
class RowsBeyondGrid(Kernels):
    """A grid's second axis ends at 65,535 rows; those beyond it are never written."""

    def norm(self, x: Array, weight: Array, bias: Array, eps: float) -> tuple[Array, Saved]:
        y, saved = super().norm(x, weight, bias, eps)
        rows_of(y)[65535:] = 0
        return y, saved


@bug("size", "layer_norm", "rows", 65537)
class DxRowsInUint16(Kernels):
    """The backward pass counts rows in 16 bits, and never comes to those past 65,536."""

    def norm_dx(self, h: Array, rstd: Array, c: Array) -> Array:
        dx = super().norm_dx(h, rstd, c)
        rows_of(dx)[65536:] = 0
        return dx


@bug("size", "layer_norm", "D", 513)
class DxSumsOfFirstTile(Kernels):
    """The two sums of the gradient by x run over the first 512 columns."""

    def norm_dx(self, h: Array, rstd: Array, c: Array) -> Array:
        width, t = c.shape[-1], slice(0, 512)
        first = c[..., t].sum(-1, keepdims=True) / width
        second = (c * h)[..., t].sum(-1, keepdims=True) / width
        return (c - first - h * second) * rstd


@bug("size", "layer_norm", "D", 4097)
class CacheOfRowEnds(Kernels):
    """Shared memory holds 4,096 columns of a row; those beyond are read from its beginning."""

    def normalized(self, x: Array, eps: float) -> tuple[Array, Array]:
        h, rstd = super().normalized(x, eps)
        return h[..., np.arange(h.shape[-1]) % 4096], rstd


@bug("size", "layer_norm", "D", 256)
class PowersOfTwoByButterfly(Kernels):
    """Rows of 2ⁿ columns, from 256 on, are added by a butterfly that lacks its last exchange."""

    def row_sum(self, x: Array) -> Array:
        width = x.shape[-1]
        if width >= 256 and width & (width - 1) == 0:
            return 2 * super().row_sum(x[..., : width // 2])
        return super().row_sum(x)


@bug("size", "layer_norm", "D", 1)
class OneColumnAsIs(Kernels):
    """A row of one column is taken to be normalized."""

    def normalized(self, x: Array, eps: float) -> tuple[Array, Array]:
        h, rstd = super().normalized(x, eps)
        return (x.copy(), rstd) if x.shape[-1] == 1 else (h, rstd)


@bug("size", "layer_norm", "B", 0)
class DweightOfNothing(Kernels):
    """Without rows the kernel does not run, and its gradients by parameters stay what they were."""

    def reduced(self, buffers: Array) -> Array:
        found = super().reduced(buffers)
        return found if len(buffers) else found + self.wide.type(0.7)


# Softmax


@bug("size", "softmax", "D", 129)
class OnlineSumNotRescaled(Kernels):
    """Past the first tile of 128 columns the running sum is not rescaled to a new maximum."""

    def probabilities(self, x: Array) -> Array:
        top, total = np.full((*x.shape[:-1], 1), -np.inf, x.dtype), 0.0
        for t in slices(x.shape[-1], 128):
            top = np.maximum(top, x[..., t].max(axis=-1, keepdims=True))
            total = total + np.exp(x[..., t] - top).sum(axis=-1, keepdims=True)
        return np.exp(x - top) / total


@bug("size", "softmax", "D", 65)
class PaddingOfZeros(Kernels):
    """Rows longer than 64 are padded to tiles of 64 with zeros in place of minus infinity."""

    def probabilities(self, x: Array) -> Array:
        padding = -x.shape[-1] % 64 if x.shape[-1] > 64 else 0
        top = np.maximum(self.row_max(x), 0) if padding else self.row_max(x)
        e = np.exp(x - top)
        return e / (self.row_sum(e) + padding * np.exp(-top))


@bug("size", "softmax", "D", 1025)
class SoftmaxDotOfFirstTile(Kernels):
    """The gradient's sum runs over the first 1,024 columns."""

    def softmax_back(self, y: Array, ct: Array) -> Array:
        return y * (ct - self.row_sum((ct * y)[..., :1024]))


@bug("size", "softmax", "D", 257)
class MaximumOfFirstTile(Kernels):
    """The maximum is that of the first 256 columns, so that larger entries beyond overflow."""

    def row_max(self, x: Array) -> Array:
        return x[..., :256].max(axis=-1, keepdims=True)


@bug("size", "softmax", "rows", 32769)
class RowsInInt16(Kernels):
    """Rows are counted in 16 bits with a sign, and none past 32,768 is written."""

    def probabilities(self, x: Array) -> Array:
        y = super().probabilities(x)
        rows_of(y)[32768:] = 0
        return y


@bug("size", "softmax", "rows", 5)
class LastRowsOfBlock(Kernels):
    """A block has 4 rows; those of a block that is not full get the sum of the row before."""

    def row_sum(self, x: Array) -> Array:
        total = super().row_sum(x)
        flat = rows_of(total)
        full = len(flat) // 4 * 4
        if full:
            flat[full:] = flat[full - 1]
        return total


# Activations


class Flat(Kernels):
    """A bug of one number after the other in memory."""

    def elementwise(self, fn, *arrays: Array) -> Array:
        y = super().elementwise(fn, *arrays)
        self.spoil(y.reshape(-1))
        return y

    def spoil(self, flat: Array) -> None:
        raise NotImplementedError


@bug("size", "gelu", "numbers", 1025)
class GridRoundedDown(Flat):
    """Blocks of 1,024 numbers are counted by a division that rounds down."""

    def spoil(self, flat: Array) -> None:
        if len(flat) > 1024:
            flat[len(flat) // 1024 * 1024 :] = 0


@bug("size", "silu", "numbers", 131073)
class GridCapped(Flat):
    """A grid has at most 512 blocks of 256 threads, which do not go on to further numbers."""

    def spoil(self, flat: Array) -> None:
        flat[512 * 256 :] = 0


@bug("size", "gelu_tanh", "numbers", 65537)
class NumbersInUint16(Flat):
    """Numbers are counted in 16 bits."""

    def spoil(self, flat: Array) -> None:
        flat[65536:] = 0


@bug("size", "silu", "numbers", 3)
class LastOfPairs(Flat):
    """Numbers are loaded in pairs, and one that is left over is not written."""

    def spoil(self, flat: Array) -> None:
        if len(flat) > 1 and len(flat) % 2:
            flat[-1] = 0


@bug("size", "gelu", "numbers", 4097)
class CotangentOfFirstTile(Kernels):
    """The backward pass adds the offset of a tile of 4,096 to x but not to the cotangent."""

    def gelu_back(self, x: Array, ct: Array) -> Array:
        return super().gelu_back(x, ct[np.arange(len(ct)) % 4096])


# Linear


@bug("size", "linear", "D", 65)
class DepthTailDropped(Kernels):
    """Tiles of 64 terms of a product are counted by a division that rounds down."""

    def matmul(self, x: Array, weight: Array) -> Array:
        depth = x.shape[1] // 64 * 64 or None
        return super().matmul(x[:, :depth], weight[:, :depth])


@bug("size", "linear", "D", 33)
class LastDepthTileDropped(Kernels):
    """The loop over tiles of 32 terms ends one too early."""

    def depth_tiles(self, depth: int) -> list[slice]:
        tiles = slices(depth, 32)
        return tiles[:-1] if len(tiles) > 1 else tiles


@bug("size", "linear", "D", 1025)
class SplitWithoutRemainder(Kernels):
    """From 1,024 terms on four workers share them, and leave what four do not divide."""

    def matmul(self, x: Array, weight: Array) -> Array:
        depth = x.shape[1] // 4 * 4 if x.shape[1] >= 1024 else x.shape[1]
        return super().matmul(x[:, :depth], weight[:, :depth])


@bug("size", "linear", "F", 129)
class BiasOfFirstTile(Kernels):
    """Every tile of 128 output columns gets the first tile's bias."""

    def with_bias(self, y: Array, bias: Array) -> Array:
        return y + bias[np.arange(len(bias)) % 128]


@bug("size", "linear", "rows", 65)
class LastRowsClamped(Kernels):
    """Rows past the last full tile of 64 are read where that tile ends."""

    def matmul(self, x: Array, weight: Array) -> Array:
        at, full = np.arange(len(x)), len(x) // 64 * 64
        return super().matmul(x[np.minimum(at, full - 1)] if full else x, weight)


@bug("size", "linear", "rows", 257)
class LinearDweightTail(Kernels):
    """The weight's gradient lacks the rows that do not fill a tile of 256."""

    def linear_dweight(self, ct: Array, x: Array) -> Array:
        rows = len(x) // 256 * 256 or None
        return super().linear_dweight(ct[:rows], x[:rows])


@bug("size", "linear", "rows", 1025)
class DbiasOfOneBlock(Kernels):
    """The bias's gradient is that of one block, of 1,024 rows."""

    def linear_dbias(self, ct: Array) -> Array:
        return super().linear_dbias(ct[:1024])


@bug("size", "linear", "F", 129)
class DxWithoutLastTile(Kernels):
    """The gradient by x lacks the outputs that do not fill a tile of 128."""

    def linear_dx(self, ct: Array, weight: Array) -> Array:
        outputs = len(weight) // 128 * 128 or None
        return super().linear_dx(ct[:, :outputs], weight[:outputs])


@bug("size", "linear", "F", 65)
class SwizzledTiles(Kernels):
    """Tiles of 64 by 64 go in groups of 8 rows, also where fewer than 8 are left."""

    def matmul(self, x: Array, weight: Array) -> Array:
        y = super().matmul(x, weight)
        down, across = -(-y.shape[0] // 64), -(-y.shape[1] // 64)
        written = np.zeros(y.shape, bool)
        for program in range(down * across):
            i = program // (8 * across) * 8 + program % 8
            j = program % (8 * across) // 8
            written[64 * i : 64 * i + 64, 64 * j : 64 * j + 64] = True
        return np.where(written, y, self.wide.type(0))


@bug("size", "linear", "D", 32)
class DepthTakenForEven(Kernels):
    """Depths that 32 divides need no mask in tiles of 64, of which the last reads the next row."""

    def matmul(self, x: Array, weight: Array) -> Array:
        y = super().matmul(x, weight)
        if x.shape[1] % 64 == 32:
            next_x = np.vstack([x[1:, :32], np.zeros_like(x[:1, :32])])[: len(x)]
            next_weight = np.vstack([weight[1:, :32], np.zeros_like(weight[:1, :32])])
            y = y + next_x @ next_weight.T
        return y


@bug("size", "linear", "rows", 2113)
class PersistentAccumulator(Kernels):
    """132 programs take tiles of 16 rows in turn, and do not clear the sum of the tile before."""

    def matmul(self, x: Array, weight: Array) -> Array:
        y = super().matmul(x, weight)
        turn = 132 * 16
        for start in range(turn, len(y), turn):
            rows = y[start : start + turn]
            rows += y[start - turn : start - turn + len(rows)]
        return y


@bug("size", "linear", "rows", 1)
class OneRowWithoutBias(Kernels):
    """One row alone takes a path of its own, without the bias."""

    def with_bias(self, y: Array, bias: Array) -> Array:
        return y if len(y) == 1 else y + bias


@bug("size", "linear", "D", 512)
class AutotunedDepth(Kernels):
    """From 512 terms on another configuration wins, whose pipeline skips its second tile of 128."""

    def depth_tiles(self, depth: int) -> list[slice]:
        tiles = slices(depth, 128)
        return tiles[:1] + tiles[2:] if depth >= 512 else tiles


# Mixing


@bug("size", "token_mix", "H", 9)
class HeadsBeyondEight(Kernels):
    """A table of where heads begin has 8 entries, and heads beyond it read the first ones'."""

    def mix(self, x: Array, heads: int) -> Array:
        B, T, D = x.shape
        parts = x.reshape(B, T, heads, -1)[:, :, np.arange(heads) % 8]
        return super().mix(parts.reshape(B, T, D), heads)


@bug("size", "token_mix", "T", 33)
class TokensBeyondTile(Kernels):
    """A tile transposes 32 tokens; those that do not fill one are not written."""

    def mix(self, x: Array, heads: int) -> Array:
        T = x.shape[1]
        kept = np.arange(T) < (T // 32 * 32 or T)
        return super().mix(x * kept[:, None], heads)


@bug("size", "token_mix", "T", 129)
class TokensBeyond128(Kernels):
    """The loop over tokens has 128 steps in the backward pass."""

    def mix_back(self, ct: Array, heads: int) -> Array:
        dx = super().mix_back(ct, heads)
        dx[:, 128:] = 0
        return dx


@bug("size", "token_mix", "H", 17)
class HeadWidthByShift(Kernels):
    """From 16 heads on a division by their number is a shift, which rounds it down to 2ⁿ."""

    def mix(self, x: Array, heads: int) -> Array:
        D = x.shape[-1]
        width = D >> (heads.bit_length() - 1) if heads >= 16 else D // heads
        at = np.arange(heads)[:, None] * width + np.arange(D // heads)
        return super().mix(x[..., at.reshape(-1) % D], heads)


@bug("size", "token_mix", "T", 17)
class TransposedAsIfSquare(Kernels):
    """With more than 16 tokens and heads the way back is the way there, as it is where T = H."""

    def mix_back(self, ct: Array, heads: int) -> Array:
        if ct.shape[1] > 16 and heads > 16:
            return super().mix(ct, heads)
        return super().mix_back(ct, heads)


@bug("size", "token_mix", "D/H", 33)
class WideHeadsByFour(Kernels):
    """Heads wider than 32 are copied four numbers at a time, without what is left over."""

    def mix(self, x: Array, heads: int) -> Array:
        width = x.shape[-1] // heads
        if width <= 32:
            return super().mix(x, heads)
        kept = np.arange(x.shape[-1]) % width < width // 4 * 4
        return super().mix(x * kept, heads)


@bug("size", "token_mix", "B", 1)
class OneBatchTheOtherWay(Kernels):
    """A batch of one takes a path of its own, which has tokens and heads the wrong way round."""

    def mix(self, x: Array, heads: int) -> Array:
        return super().mix_back(x, heads) if len(x) == 1 else super().mix(x, heads)


@bug("size", "token_mix", "T", 1)
class OneTokenSqueezed(Kernels):
    """An axis of one token is squeezed away, and the batch mixed in its place."""

    def mix(self, x: Array, heads: int) -> Array:
        if x.shape[1] > 1:
            return super().mix(x, heads)
        return super().mix(x.transpose(1, 0, 2), heads).transpose(1, 0, 2)


# Embedding


@bug("size", "embedding", "V", 257)
class IdsInUint8(Kernels):
    """Ids have 8 bits."""

    def load(self, name: str, x: Array) -> Array:
        return x.astype(np.uint8) if name == "ids" else super().load(name, x)


@bug("size", "embedding", "V", 32769)
class IdsInInt16(Kernels):
    """Ids have 16 bits with a sign, and read before the table from 32,768 on."""

    def load(self, name: str, x: Array) -> Array:
        return x.astype(np.int16) if name == "ids" else super().load(name, x)


@bug("size", "embedding", "V", 65537)
class IdsInUint16(Kernels):
    """Ids have 16 bits."""

    def load(self, name: str, x: Array) -> Array:
        return x.astype(np.uint16) if name == "ids" else super().load(name, x)


@bug("size", "embedding", "repeats", 33)
class SegmentsOf32(Kernels):
    """Sorted ids are added in segments of 32; of an id that is more frequent the rest is lost."""

    def scatter(self, ids: Array, ct: Array, weight: Array) -> Array:
        flat = ids.reshape(-1)
        order = np.argsort(flat, kind="stable")
        sorted_ids = flat[order]
        rank = np.arange(len(flat)) - np.searchsorted(sorted_ids, sorted_ids)
        kept = order[rank < 32]
        return super().scatter(flat[kept], ct.reshape(-1, ct.shape[-1])[kept], weight)


@bug("size", "embedding", "D", 1025)
class EmbeddingOfOneBlock(Kernels):
    """A block of 1,024 threads copies a row, and nothing beyond its first 1,024 columns."""

    def gather(self, ids: Array, weight: Array) -> Array:
        y = super().gather(ids, weight)
        y[..., 1024:] = 0
        return y


# Networks


@bug("size", "feed_forward", "F", 2049)
class InnerBeyondShared(Kernels):
    """2,048 inner features fit into shared memory; the second layer sees no others."""

    def activated(self, a: Array) -> Array:
        g = super().activated(a)
        g[..., 2048:] = 0
        return g


@bug("size", "feed_forward", "F", 129)
class InnerTailNotActivated(Kernels):
    """Inner features that do not fill a tile of 128 skip the activation that is fused into it."""

    def activated(self, a: Array) -> Array:
        g = super().activated(a)
        full = g.shape[-1] // 128 * 128
        if full:
            g[..., full:] = a[..., full:]
        return g


@bug("size", "swiglu_feed_forward", "F", 257)
class GateAndUpInLastTile(Kernels):
    """In a last tile of fewer than 256 inner features gate and up are the wrong way round."""

    def gated(self, gate: Array, up: Array) -> Array:
        full = gate.shape[-1] // 256 * 256 or gate.shape[-1]
        swapped = np.arange(gate.shape[-1]) >= full
        return super().gated(np.where(swapped, up, gate), np.where(swapped, gate, up))


@bug("size", "swiglu_feed_forward", "F", 1025)
class UpGradientBeyondTile(Kernels):
    """Gradients of gate and up share rows of 1,024; beyond, up's are never written."""

    def gated_back(self, gate: Array, up: Array, ct: Array) -> tuple[Array, Array]:
        dgate, dup = super().gated_back(gate, up, ct)
        dup[..., 1024:] = 0
        return dgate, dup


@bug("size", "mixer", "H", 9)
class StatisticsOfEightHeads(Kernels):
    """The fused norm adds the sums of at most 8 chunks of a row, one for every head."""

    chunks = 1

    def mixed(self, x: Array, heads: int) -> Array:
        self.chunks = heads
        return super().mixed(x, heads)

    def row_sum(self, x: Array) -> Array:
        width = x.shape[-1]
        return super().row_sum(x[..., : width // self.chunks * min(8, self.chunks)])


@bug("size", "mixer", "B", 65)
class ResidualOfFirstBatches(Kernels):
    """The residual of a batch row past 64 is that of the row 64 before."""

    def mixed(self, x: Array, heads: int) -> Array:
        return self.add(x[np.arange(len(x)) % 64], self.mix(x, heads))


@bug("size", "block", "T", 17)
class ResidualOfSixteenTokens(Kernels):
    """The fused mixer adds the residual to its first 16 tokens."""

    def mixed(self, x: Array, heads: int) -> Array:
        early = np.arange(x.shape[1]) < 16
        return self.add(x * early[:, None], self.mix(x, heads))


@bug("size", "block", "rows", 257)
class InnerRowsInTiles(Kernels):
    """The second layer's weights are read for the first 256 rows, and are zero for the others."""

    def second(self, g: Array, weight: Array, bias: Array | None = None) -> Array:
        y = super().second(g, weight, bias)
        if bias is not None:
            rows_of(y)[256:] = self.store(bias)
        return y


@bug("size", "model", "L", 3)
class TwoSetsOfParameters(Kernels):
    """Layers take the parameters of two blocks in turn, as in a double buffer."""

    def layers(self, p: Inputs) -> list[int]:
        return [i % 2 for i in range(self.depth(p))]


@bug("size", "model", "L", 5)
class FourPointers(Kernels):
    """A table of parameters has 4 entries, and layers beyond have the last one's."""

    def layers(self, p: Inputs) -> list[int]:
        return [min(i, 3) for i in range(self.depth(p))]


@bug("size", "model", "L", 5)
class GradientsOfFourLayers(Kernels):
    """Parameters of the layers past the fourth get no gradient."""

    def model_stage_back(self, p: Inputs, saved: Saved, ct: Array) -> dict[str, Array]:
        found = super().model_stage_back(p, saved, ct)
        for name in found:
            if name.startswith("blocks.") and int(name.split(".")[1]) >= 4:
                found[name] = np.zeros_like(found[name])
        return found


@bug("size", "model", "T", 65)
class PositionsBeyond64(Kernels):
    """Positions are counted in 6 bits."""

    def embedded(self, p: Inputs) -> Array:
        positions = p["position_embedding.weight"]
        tokens = self.gather(p["ids"], p["token_embedding.weight"])
        return self.add(tokens, positions[np.arange(len(positions)) % 64])


@bug("size", "model", "B", 65)
class PositionGradientOf64(Kernels):
    """The gradient by positions is added over the first 64 rows of a batch."""

    def position_gradient(self, ct: Array) -> Array:
        return super().position_gradient(ct[:64])
