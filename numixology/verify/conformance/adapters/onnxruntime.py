"""ONNX Runtime as a backend: every stage as a graph of ONNX operators, forward only."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from ....array import Array
from ....errors import UnsupportedError
from ..cases import make_case
from ..memory import LAYOUTS
from ..networks import Networks
from ..stages import Inputs
from .shared import Backend, sizes_of

__all__ = ["OPSET", "PROFILE", "OnnxRuntime"]

#: Of the operators; the first with Gelu.
OPSET = 20
_IR_VERSION = 9  # of the same age

#: What ONNX Runtime is known to do otherwise than the reference, by format. ONNX keeps epsilon in
#: float32, and ONNX Runtime the constants of the tanh GELU. float16 it calculates in float32.
PROFILE: dict[str, tuple[str, ...]] = {
    "float64": ("tails", "constants"),
    "float32": ("tails", "offsets"),
    "float16": (),
}


class _Graph(Networks[Any]):
    """Layers as nodes of a graph; what they take and return are names."""

    def __init__(self, inputs: Inputs, kind: int) -> None:
        self.kind = kind
        self.shapes = {k: v.shape for k, v in inputs.items() if isinstance(v, np.ndarray)}
        deep = self.shapes.get("position_embedding.weight", ())
        self.shape = self.shapes["x"] if "x" in self.shapes else (*self.shapes["ids"], *deep[1:])
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """The name of a new node's output."""
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def reshaped(self, x: str, *shape: int) -> str:
        """A Reshape."""
        return self.node("Reshape", x, self.constant(TensorProto.INT64, [len(shape)], shape))

    def constant(self, kind: int, shape: Sequence[int], values: Sequence[float]) -> str:
        """The name of an array of those numbers."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(helper.make_tensor(name, kind, shape, values))
        return name

    def embedding(self, ids: str, weight: str) -> str:
        """weight[ids]."""
        return self.node("Gather", weight, ids, axis=0)

    def token_mix(self, x: str, num_heads: int) -> str:
        """(B, T, H, d) to (B, H, T, d), regrouped H chunks per token."""
        return self.exchanged(x, self.shape[1], num_heads)

    def token_revert(self, x: str, num_heads: int) -> str:
        """(B, H, T, d) to (B, T, H, d)."""
        return self.exchanged(x, num_heads, self.shape[1])

    def exchanged(self, x: str, first: int, second: int) -> str:
        """x as chunks by two axes, which change places, and back to (B, T, D)."""
        B, T, D = self.shape
        chunks = self.reshaped(x, B, first, second, T * D // (first * second))
        return self.reshaped(self.node("Transpose", chunks, perm=[0, 2, 1, 3]), B, T, D)

    def grouped(self, x: str, num_heads: int) -> str:
        """(B, T, D) to (B, H, TD/H)."""
        B, T, D = self.shape
        return self.reshaped(x, B, num_heads, T * D // num_heads)

    def ungrouped(self, h: str, x: str) -> str:
        """(B, H, TD/H) to (B, T, D)."""
        return self.reshaped(h, *self.shape)

    def rms_norm(self, x: str, weight: str, eps: float) -> str:
        """x / √(mean(x²) + eps) · weight."""
        axis = self.constant(TensorProto.INT64, [1], [-1])
        mean = self.node("ReduceMean", self.node("Mul", x, x), axis, keepdims=1)
        rms = self.node("Sqrt", self.node("Add", mean, self.constant(self.kind, [], [eps])))
        return self.node("Mul", self.node("Div", x, rms), weight)

    def layer_norm(self, x: str, weight: str, bias: str, eps: float) -> str:
        """(x - mean) / √(var + eps) · weight + bias."""
        return self.node("LayerNormalization", x, weight, bias, axis=-1, epsilon=eps)

    def linear(self, x: str, weight: str, bias: str | None = None) -> str:
        """x weightᵀ + bias."""
        y = self.node("MatMul", x, self.node("Transpose", weight, perm=[1, 0]))
        return y if bias is None else self.node("Add", y, bias)

    def per_token_linear(self, x: str, weight: str, bias: str | None = None) -> str:
        """x_t weight_tᵀ + bias_t."""
        rows = self.node("Transpose", x, perm=[1, 0, 2])
        y = self.node("MatMul", rows, self.node("Transpose", weight, perm=[0, 2, 1]))
        y = self.node("Transpose", y, perm=[1, 0, 2])
        return y if bias is None else self.node("Add", y, bias)

    def gelu(self, x: str) -> str:
        """x Φ(x)."""
        return self.node("Gelu", x)

    def gelu_tanh(self, x: str) -> str:
        """½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))."""
        return self.node("Gelu", x, approximate="tanh")

    def relu(self, x: str) -> str:
        """max(x, 0)."""
        return self.node("Relu", x)

    def softmax(self, x: str) -> str:
        """exp(x) / Σ exp(x)."""
        return self.node("Softmax", x, axis=-1)

    def silu(self, x: str) -> str:
        """x σ(x)."""
        return self.node("Mul", x, self.node("Sigmoid", x))

    def residual(self, x: str, y: str) -> str:
        """x + y."""
        return self.node("Add", x, y)

    def gated(self, gate: str, up: str) -> str:
        """silu(gate) · up."""
        return self.node("Mul", self.silu(gate), up)


class OnnxRuntime(Backend):
    """ONNX Runtime on the CPU: LayerNormalization, MatMul, Gelu, Sigmoid, Softmax, Gather, ...

    Graphs have no gradients, so there is no vjp, and gradients are reported as not covered. Stages
    for which ONNX Runtime has no kernels in the format are left out of ``stages``.

    Args:
        dtype: ``"float64"``, ``"float32"`` or ``"float16"``.
        declares: what else an adapter may say of itself; see :class:`.Adapter`.

    Attributes:
        name: the version.
        dtype: the format of all numbers.
        accumulation: float64 for float64, else float32.
        stages: those for which there are kernels.
        profile: that of :data:`PROFILE`.

    Raises:
        DTypeError: no such format.
        UnsupportedError: bfloat16, for which the CPU has no kernels.

    Example:
        >>> from numixology.verify.conformance import conform
        >>> from numixology.verify.conformance.adapters import load
        >>> report = conform(load("onnxruntime"), stages=["softmax"], quick=True)
        >>> report.verdict, report.stages[0].remarks[0]
        ('pass', 'its gradients are not covered: the adapter has no vjp')
    """

    lost = tuple(LAYOUTS)

    def __init__(self, dtype: str = "float32", **declares: Any) -> None:
        name = f"ONNX Runtime {onnxruntime.__version__} on cpu"
        super().__init__(name, dtype, PROFILE.get(dtype, ()), declares)
        if dtype not in PROFILE:
            invariant = "ONNX Runtime calculates on the CPU in float64, float32 and float16"
            raise UnsupportedError(invariant, dtype, f"use {', '.join(PROFILE)}")
        self.kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.sessions: dict[Any, Any] = {}
        self.stages = [stage for stage in self.stages if self._runs(stage)]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "sessions": {}}  # for another process to make again

    def forward(self, stage: str, inputs: Inputs) -> Array:
        """What a stage computes."""
        arrays = {name: x for name, x in inputs.items() if isinstance(x, np.ndarray)}
        found: Array = self._session(stage, inputs).run(None, arrays)[0]
        return found

    def _runs(self, stage: str) -> bool:
        try:
            self._session(stage, make_case(stage, dtype=self.dtype).inputs)
        except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
            return False
        return True

    def _session(self, stage: str, inputs: Inputs) -> Any:
        key = (stage, sizes_of(stage, inputs))
        if key not in self.sessions:
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4  # what is wrong is raised
            options.intra_op_num_threads = 1
            model, where = self._model(stage, inputs).SerializeToString(), ["CPUExecutionProvider"]
            self.sessions[key] = onnxruntime.InferenceSession(model, options, providers=where)
        return self.sessions[key]

    def _model(self, stage: str, inputs: Inputs) -> Any:
        graph = _Graph(inputs, self.kind)
        p = {k: k if isinstance(v, np.ndarray) else v for k, v in inputs.items()}
        output = graph.run(stage, p)
        kinds = {k: TensorProto.INT64 if k == "ids" else self.kind for k in graph.shapes}
        info = helper.make_tensor_value_info
        takes = [info(name, kinds[name], shape) for name, shape in graph.shapes.items()]
        gives = [info(output, self.kind, [None] * 3)]
        made = helper.make_graph(graph.nodes, stage, takes, gives, graph.constants)
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = _IR_VERSION
        onnx.checker.check_model(model)
        return model
