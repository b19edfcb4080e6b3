"""A backend of kernels, in plain NumPy: what it computes is right, and stands tile by tile.

Sums run over tiles of columns, products over tiles of their depth, gradients of parameters over
buffers of some rows each, as kernels for a GPU have them. Arrays are float32; in a 16-bit format
they are calculated with in float32 and rounded where a kernel would write to memory. Gradients are
written by hand. Every step is a method, at which a bug or a rewrite differs.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import numixology.functional as F
from numixology.array import ignoring_fp_errors
from numixology.verify.conformance import STAGES
from numixology.verify.conformance.formats import format_of

Array = np.ndarray
Inputs = Mapping[str, Any]
Saved = Any

SLOPE = 2 * np.sqrt(2 / np.pi)


def under(p: Inputs, start: str, **also: Any) -> dict[str, Any]:
    """The inputs whose names begin so, by the rest of their names, and settings."""
    own = {name.removeprefix(start): p[name] for name in p if name.startswith(start)}
    return {name: p[name] for name in ("eps", "num_heads") if name in p} | own | also


def slices(length: int, size: int) -> list[slice]:
    """Tiles of an axis; the last may be shorter."""
    return [slice(i, min(i + size, length)) for i in range(0, length, size)]


class Kernels:
    """The backend; it is an adapter."""

    name = "kernels"
    stages: tuple[str, ...] | None = None  # those of which there is a kernel
    profile: tuple[str, ...] = ()

    def __init__(self, dtype: str = "float32") -> None:
        self.dtype = dtype
        if self.stages is None:
            self.stages = tuple(stage for stage in STAGES if hasattr(self, f"{stage}_stage"))
        self.format = format_of(dtype)
        self.wide = np.dtype(self.format.wide)
        self.accumulation = str(self.wide)

    # Calls

    def forward(self, stage: str, inputs: Inputs) -> Array:
        with ignoring_fp_errors():
            return self.output(self.run(stage, self.read(stage, inputs))[0])

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        with ignoring_fp_errors():
            p = self.read(stage, inputs)
            saved = self.saved_for(stage, p)
            found = self.back(stage, p, saved, self.load("cotangent", cotangent))
        return {name: self.output(found[name]) for name in self.wanted(inputs)}

    def wanted(self, inputs: Inputs) -> list[str]:
        """The names of the arrays that have a gradient."""
        return [
            name
            for name, value in inputs.items()
            if isinstance(value, np.ndarray) and value.dtype.kind == "f"
        ]

    def run(self, stage: str, p: Inputs) -> tuple[Array, Saved]:
        """The output, and what the backward pass needs."""
        kernel: Callable[[Inputs], tuple[Array, Saved]] = getattr(self, f"{stage}_stage")
        return kernel(p)

    def back(self, stage: str, p: Inputs, saved: Saved, ct: Array) -> dict[str, Array]:
        """The gradients."""
        kernel: Callable[..., dict[str, Array]] = getattr(self, f"{stage}_stage_back")
        return kernel(p, saved, ct)

    def saved_for(self, stage: str, p: Inputs) -> Saved:
        """What the forward pass of these inputs saves."""
        return self.run(stage, p)[1]

    def output(self, x: Array) -> Array:
        """A result as it is handed out."""
        return x.astype(self.format.container, copy=False)

    # Memory

    def read(self, stage: str, inputs: Inputs) -> dict[str, Any]:
        return {
            name: self.load(name, value) if isinstance(value, np.ndarray) else value
            for name, value in inputs.items()
        }

    def load(self, name: str, x: Array) -> Array:
        """An argument as a kernel reads it."""
        return x if x.dtype.kind in "iu" else np.asarray(x, self.wide)

    def store(self, x: Array) -> Array:
        """Numbers as they are once they are in memory."""
        if self.dtype == str(self.wide):
            return x
        if self.dtype == "bfloat16" and self.wide == np.float32:
            return to_bfloat16(x)
        return self.format.stored(x).astype(self.wide)

    # Sums

    def column_tiles(self, columns: int) -> list[slice]:
        return slices(columns, 256)

    def depth_tiles(self, depth: int) -> list[slice]:
        return slices(depth, 256)

    def row_tiles(self, rows: int) -> list[slice]:
        return slices(rows, 128)

    def row_sum(self, x: Array) -> Array:
        """Σ over the last axis, which stays, tile by tile."""
        total = np.zeros((*x.shape[:-1], 1), x.dtype)
        for tile in self.column_tiles(x.shape[-1]):
            total += x[..., tile].sum(axis=-1, keepdims=True)
        return total

    def row_max(self, x: Array) -> Array:
        """The largest of every row."""
        return x.max(axis=-1, keepdims=True)

    def column_sum(self, x: Array) -> Array:
        """Σ over rows: one buffer for every few rows, then the sum of the buffers."""
        tiles = self.row_tiles(len(x))
        buffers = np.zeros((len(tiles), x.shape[1]), x.dtype)
        for buffer, tile in zip(buffers, tiles, strict=True):
            buffer += x[tile].sum(axis=0)
        return self.reduced(buffers)

    def reduced(self, buffers: Array) -> Array:
        """The sum of the buffers."""
        return buffers.sum(axis=0)

    def product(self, a: Array, b: Array) -> Array:
        """a b, tile by tile of its depth."""
        total = np.zeros((a.shape[0], b.shape[1]), self.wide)
        for tile in self.depth_tiles(a.shape[1]):
            total += a[:, tile] @ b[tile]
        return total

    # LayerNorm

    def norm(self, x: Array, weight: Array, bias: Array, eps: float) -> tuple[Array, Saved]:
        """(x - mean) / √(var + eps) · weight + bias, and what the backward pass needs."""
        h, rstd = self.normalized(x, eps)
        return self.store(self.affine(h, weight, bias)), (h, rstd)

    def normalized(self, x: Array, eps: float) -> tuple[Array, Array]:
        d, variance = self.moments(x)
        rstd = self.rsqrt(variance, eps)
        return d * rstd, rstd

    def moments(self, x: Array) -> tuple[Array, Array]:
        """x - mean, and the variance."""
        d = self.centered(x)
        return d, self.row_sum(d * d) / x.shape[-1]

    def centered(self, x: Array) -> Array:
        d = x - x[..., :1]
        d = d - self.row_sum(d) / x.shape[-1]
        return d - self.row_sum(d) / x.shape[-1]

    def rsqrt(self, variance: Array, eps: float) -> Array:
        return 1 / np.sqrt(variance + self.wide.type(eps))

    def affine(self, h: Array, weight: Array, bias: Array) -> Array:
        return h * weight + bias

    def norm_back(self, saved: Saved, weight: Array, ct: Array) -> tuple[Array, Array, Array]:
        """The gradients by x, weight and bias."""
        h, rstd = saved
        width = h.shape[-1]
        dx = self.norm_dx(h, rstd, ct * weight)
        return (
            self.store(dx),
            self.store(self.norm_dweight((ct * h).reshape(-1, width))),
            self.store(self.norm_dbias(ct.reshape(-1, width))),
        )

    def norm_dx(self, h: Array, rstd: Array, c: Array) -> Array:
        c = c - self.row_sum(c) / c.shape[-1]
        return (c - h * (self.row_sum(c * h) / c.shape[-1])) * rstd

    def norm_dweight(self, terms: Array) -> Array:
        return self.column_sum(terms)

    def norm_dbias(self, terms: Array) -> Array:
        return self.column_sum(terms)

    # Linear

    def affine_map(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        """x weightᵀ + bias."""
        y = self.matmul(x.reshape(-1, x.shape[-1]), weight)
        y = y if bias is None else self.with_bias(y, bias)
        return self.store(y).reshape(*x.shape[:-1], len(weight))

    def matmul(self, x: Array, weight: Array) -> Array:
        return self.product(x, weight.T)

    def with_bias(self, y: Array, bias: Array) -> Array:
        return y + bias

    def affine_map_back(
        self, x: Array, weight: Array, ct: Array, bias: bool = True
    ) -> tuple[Array, Array, Array]:
        """The gradients by x, weight and bias."""
        rows, ct_rows = x.reshape(-1, x.shape[-1]), ct.reshape(-1, ct.shape[-1])
        return (
            self.store(self.linear_dx(ct_rows, weight)).reshape(x.shape),
            self.store(self.linear_dweight(ct_rows, rows)),
            self.store(self.linear_dbias(ct_rows)),
        )

    def linear_dx(self, ct: Array, weight: Array) -> Array:
        return self.product(ct, weight)

    def linear_dweight(self, ct: Array, x: Array) -> Array:
        return self.product(ct.T, x)

    def linear_dbias(self, ct: Array) -> Array:
        return self.column_sum(ct)

    # Activations: each number by itself, with digits to spare

    def elementwise(self, fn: Callable[..., Array], *arrays: Array) -> Array:
        """fn of flat arrays, number by number."""
        shape = arrays[0].shape
        flat = [np.ascontiguousarray(one).reshape(-1) for one in arrays]
        return self.store(np.asarray(fn(*flat), self.wide)).reshape(shape)

    def gelu(self, x: Array) -> Array:
        x = x.astype(np.float64)
        return x * F.normal_cdf(x)

    def gelu_back(self, x: Array, ct: Array) -> Array:
        x = x.astype(np.float64)
        return ct * (F.normal_cdf(x) + x * F.normal_pdf(x))

    def gelu_tanh(self, x: Array) -> Array:
        return x * F.sigmoid(self.inner(x)[0])

    def gelu_tanh_back(self, x: Array, ct: Array) -> Array:
        u, du = self.inner(x)
        s = F.sigmoid(u)
        return ct * (s + np.clip(x, -30.0, 30.0) * s * F.sigmoid(-u) * du)

    def inner(self, x: Array) -> tuple[Array, Array]:
        x = np.clip(x.astype(np.float64), -30.0, 30.0)  # beyond which the gate is flat
        return SLOPE * (x + 0.044715 * x**3), SLOPE * (1 + 3 * 0.044715 * x**2)

    def silu(self, x: Array) -> Array:
        x = x.astype(np.float64)
        return x * F.sigmoid(x)

    def silu_back(self, x: Array, ct: Array) -> Array:
        x = x.astype(np.float64)
        return ct * F.sigmoid(x) * (1 + x * F.sigmoid(-x))

    # Softmax

    def probabilities(self, x: Array) -> Array:
        """exp(x - max) / Σ exp(x - max)."""
        e = np.exp(x - self.row_max(x))
        return e / self.row_sum(e)

    def softmax_back(self, y: Array, ct: Array) -> Array:
        return y * (ct - self.row_sum(ct * y))

    # Mixing and embedding

    def mix(self, x: Array, heads: int) -> Array:
        B, T, D = x.shape
        return np.array(x.reshape(B, T, heads, -1).transpose(0, 2, 1, 3)).reshape(B, T, D)

    def mix_back(self, ct: Array, heads: int) -> Array:
        B, T, D = ct.shape
        return np.array(ct.reshape(B, heads, T, -1).transpose(0, 2, 1, 3)).reshape(B, T, D)

    def gather(self, ids: Array, weight: Array) -> Array:
        return weight[ids]

    def scatter(self, ids: Array, ct: Array, weight: Array) -> Array:
        total = np.zeros(weight.shape, self.wide)
        np.add.at(total, ids.reshape(-1), ct.reshape(-1, ct.shape[-1]))
        return self.store(total)

    def add(self, x: Array, y: Array) -> Array:
        """A residual."""
        return self.store(x + y)

    # The stages that are one kernel

    def embedding_stage(self, p: Inputs) -> tuple[Array, Saved]:
        return self.gather(p["ids"], p["weight"]), None

    def embedding_stage_back(self, p: Inputs, saved: Saved, ct: Array) -> dict[str, Array]:
        return {"weight": self.scatter(p["ids"], ct, p["weight"])}

    def token_mix_stage(self, p: Inputs) -> tuple[Array, Saved]:
        return self.mix(p["x"], p["num_heads"]), None

    def token_mix_stage_back(self, p: Inputs, saved: Saved, ct: Array) -> dict[str, Array]:
        return {"x": self.mix_back(ct, p["num_heads"])}

    def layer_norm_stage(self, p: Inputs) -> tuple[Array, Saved]:
        return self.norm(p["x"], p["weight"], p["bias"], p["eps"])

    def layer_norm_stage_back(self, p: Inputs, saved: Saved, ct: Array) -> dict[str, Array]:
        dx, dweight, dbias = self.norm_back(saved, p["weight"], ct)
        return {"x": dx, "weight": dweight, "bias": dbias}

    def linear_stage(self, p: Inputs) -> tuple[Array, Saved]:
        return self.affine_map(p["x"], p["weight"], p["bias"]), p["x"]

    def linear_stage_back(self, p: Inputs, saved: Saved, ct: Array) -> dict[str, Array]:
        dx, dweight, dbias = self.affine_map_back(saved, p["weight"], ct)
        return {"x": dx, "weight": dweight, "bias": dbias}

    def gelu_stage(self, p: Inputs) -> tuple[Array, Saved]:
        return self.elementwise(self.gelu, p["x"]), p["x"]

    def gelu_stage_back(self, p: Inputs, saved: Saved, ct: Array) -> dict[str, Array]:
        return {"x": self.elementwise(self.gelu_back, saved, ct)}

    def gelu_tanh_stage(self, p: Inputs) -> tuple[Array, Saved]:
        return self.elementwise(self.gelu_tanh, p["x"]), p["x"]

    def gelu_tanh_stage_back(self, p: Inputs, saved: Saved, ct: Array) -> dict[str, Array]:
        return {"x": self.elementwise(self.gelu_tanh_back, saved, ct)}

    def silu_stage(self, p: Inputs) -> tuple[Array, Saved]:
        return self.elementwise(self.silu, p["x"]), p["x"]

    def silu_stage_back(self, p: Inputs, saved: Saved, ct: Array) -> dict[str, Array]:
        return {"x": self.elementwise(self.silu_back, saved, ct)}

    def softmax_stage(self, p: Inputs) -> tuple[Array, Saved]:
        y = self.probabilities(p["x"])
        return self.store(y), y

    def softmax_stage_back(self, p: Inputs, saved: Saved, ct: Array) -> dict[str, Array]:
        return {"x": self.store(self.softmax_back(saved, ct))}

    # Networks

    def mixer_stage(self, p: Inputs) -> tuple[Array, Saved]:
        """norm(x + token_mix(x))."""
        y = self.mixed(p["x"], p["num_heads"])
        return self.norm(y, p["norm.weight"], p["norm.bias"], p["eps"])

    def mixed(self, x: Array, heads: int) -> Array:
        """x + token_mix(x)."""
        return self.add(x, self.mix(x, heads))

    def mixer_stage_back(self, p: Inputs, saved: Saved, ct: Array) -> dict[str, Array]:
        dy, dweight, dbias = self.norm_back(saved, p["norm.weight"], ct)
        dx = self.add(dy, self.mix_back(dy, p["num_heads"]))
        return {"x": dx, "norm.weight": dweight, "norm.bias": dbias}

    def feed_forward_stage(self, p: Inputs) -> tuple[Array, Saved]:
        """x + linear2(gelu(linear1(norm(x))))."""
        n, of_norm = self.norm(p["x"], p["norm.weight"], p["norm.bias"], p["eps"])
        a = self.affine_map(n, p["linear1.weight"], p["linear1.bias"])
        g = self.activated(a)
        out = self.second(g, p["linear2.weight"], p["linear2.bias"])
        return self.add(p["x"], out), (n, of_norm, a, g)

    def activated(self, a: Array) -> Array:
        """The inner features, which the second layer reads."""
        return self.elementwise(self.gelu, a)

    def second(self, g: Array, weight: Array, bias: Array | None = None) -> Array:
        return self.affine_map(g, weight, bias)

    def feed_forward_stage_back(self, p: Inputs, saved: Saved, ct: Array) -> dict[str, Array]:
        n, of_norm, a, g = saved
        dg, dw2, db2 = self.affine_map_back(g, p["linear2.weight"], ct)
        da = self.elementwise(self.gelu_back, a, dg)
        dn, dw1, db1 = self.affine_map_back(n, p["linear1.weight"], da)
        dx, dweight, dbias = self.norm_back(of_norm, p["norm.weight"], dn)
        return {
            "x": self.add(ct, dx),
            "norm.weight": dweight,
            "norm.bias": dbias,
            "linear1.weight": dw1,
            "linear1.bias": db1,
            "linear2.weight": dw2,
            "linear2.bias": db2,
        }

    def swiglu_feed_forward_stage(self, p: Inputs) -> tuple[Array, Saved]:
        """x + w2(silu(w1(norm(x))) · w3(norm(x)))."""
        n, of_norm = self.norm(p["x"], p["norm.weight"], p["norm.bias"], p["eps"])
        gate, up = self.affine_map(n, p["w1.weight"]), self.affine_map(n, p["w3.weight"])
        g = self.gated(gate, up)
        return self.add(p["x"], self.second(g, p["w2.weight"])), (n, of_norm, gate, up, g)

    def gated(self, gate: Array, up: Array) -> Array:
        return self.store(self.elementwise(self.silu, gate) * up)

    def gated_back(self, gate: Array, up: Array, ct: Array) -> tuple[Array, Array]:
        dgate = self.elementwise(self.silu_back, gate, self.store(ct * up))
        return dgate, self.store(ct * self.elementwise(self.silu, gate))

    def swiglu_feed_forward_stage_back(
        self, p: Inputs, saved: Saved, ct: Array
    ) -> dict[str, Array]:
        n, of_norm, gate, up, g = saved
        dg, dw2, _ = self.affine_map_back(g, p["w2.weight"], ct)
        dgate, dup = self.gated_back(gate, up, dg)
        dn1, dw1, _ = self.affine_map_back(n, p["w1.weight"], dgate)
        dn3, dw3, _ = self.affine_map_back(n, p["w3.weight"], dup)
        dx, dweight, dbias = self.norm_back(of_norm, p["norm.weight"], self.store(dn1 + dn3))
        return {
            "x": self.add(ct, dx),
            "norm.weight": dweight,
            "norm.bias": dbias,
            "w1.weight": dw1,
            "w2.weight": dw2,
            "w3.weight": dw3,
        }

    def block_stage(self, p: Inputs) -> tuple[Array, Saved]:
        """feed_forward(norm(x + token_mix(x)))."""
        y, of_mixer = self.mixer_stage(under(p, "mixer.", x=p["x"]))
        out, of_ffn = self.feed_forward_stage(under(p, "ffn.", x=y))
        return out, (y, of_mixer, of_ffn)

    def block_stage_back(self, p: Inputs, saved: Saved, ct: Array) -> dict[str, Array]:
        y, of_mixer, of_ffn = saved
        ffn = self.feed_forward_stage_back(under(p, "ffn.", x=y), of_ffn, ct)
        mixer = self.mixer_stage_back(under(p, "mixer.", x=p["x"]), of_mixer, ffn.pop("x"))
        found = {"x": mixer.pop("x")}
        found |= {f"mixer.{name}": g for name, g in mixer.items()}
        return found | {f"ffn.{name}": g for name, g in ffn.items()}

    def model_stage(self, p: Inputs) -> tuple[Array, Saved]:
        x = self.embedded(p)
        saved = []
        for i in self.layers(p):
            q = under(p, f"blocks.{i}.", x=x)
            x, of_block = self.block_stage(q)
            saved.append((i, q, of_block))
        return x, saved

    def embedded(self, p: Inputs) -> Array:
        tokens = self.gather(p["ids"], p["token_embedding.weight"])
        return self.add(tokens, p["position_embedding.weight"])

    def depth(self, p: Inputs) -> int:
        return 1 + max(int(name.split(".")[1]) for name in p if name.startswith("blocks."))

    def layers(self, p: Inputs) -> list[int]:
        """Whose parameters each layer has."""
        return list(range(self.depth(p)))

    def model_stage_back(self, p: Inputs, saved: Saved, ct: Array) -> dict[str, Array]:
        found: dict[str, Array] = {
            name: np.zeros(p[name].shape, self.wide) for name in p if name.startswith("blocks.")
        }
        for i, q, of_block in reversed(saved):
            of_layer = self.block_stage_back(q, of_block, ct)
            ct = of_layer.pop("x")
            found |= {f"blocks.{i}.{name}": g for name, g in of_layer.items()}
        found["token_embedding.weight"] = self.scatter(p["ids"], ct, p["token_embedding.weight"])
        found["position_embedding.weight"] = self.position_gradient(ct)
        return found

    def position_gradient(self, ct: Array) -> Array:
        flat = self.column_sum(ct.reshape(len(ct), -1))
        return self.store(flat).reshape(ct.shape[1:])


def to_bfloat16(x: Array) -> Array:
    """Each number rounded to the nearest of bfloat16, in float32."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return np.where(np.isfinite(x), rounded.view(np.float32), x)


def to_float16(x: Array) -> Array:
    """Each number rounded to the nearest of float16, in float32."""
    return x.astype(np.float16).astype(np.float32)


def to_tf32(x: Array) -> Array:
    """Each number rounded to the nearest of TensorFloat-32, which has 11 digits."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0xFFF) + ((bits >> 13) & 1)) & np.uint32(0xFFFFE000)
    return np.where(np.isfinite(x), rounded.view(np.float32), x)
