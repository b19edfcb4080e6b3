"""ONNX Runtime as a backend: every stage as a graph of ONNX operators, forward only."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from ....array import Array, Shape
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


class _Value(NamedTuple):
    """What a node of a graph returns, with the operations that networks are made of."""

    graph: "_Graph"
    name: str
    shape: Shape

    def __add__(self, other: Any) -> "_Value":
        return self.graph.node("Add", self, other)

    def __mul__(self, other: Any) -> "_Value":
        return self.graph.node("Mul", self, other)

    def reshape(self, *shape: int) -> "_Value":
        """The same numbers in another shape."""
        whole = self.graph.constant(TensorProto.INT64, [len(shape)], shape)
        return self.graph.node("Reshape", self, whole, shape=shape)

    def swapaxes(self, first: int, second: int) -> "_Value":
        """Two axes change places."""
        perm = [*range(len(self.shape))]
        perm[first], perm[second] = perm[second], perm[first]
        shape = tuple(self.shape[axis] for axis in perm)
        return self.graph.node("Transpose", self, shape=shape, perm=perm)


class _Graph(Networks[Any]):
    """Layers as nodes of a graph."""

    def __init__(self, kind: int) -> None:
        self.kind = kind
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(
        self, operator: str, *inputs: _Value, shape: Shape | None = None, **attributes: Any
    ) -> _Value:
        """What a new node returns; its shape is that of the first input unless it is given."""
        name = f"{operator}_{len(self.nodes)}"
        given = [one.name for one in inputs]
        self.nodes.append(helper.make_node(operator, given, [name], **attributes))
        return _Value(self, name, shape or inputs[0].shape)

    def constant(self, kind: int, shape: Sequence[int], values: Sequence[float]) -> _Value:
        """An array of those numbers."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(helper.make_tensor(name, kind, shape, values))
        return _Value(self, name, tuple(shape))

    def embedding(self, ids: _Value, weight: _Value) -> _Value:
        """weight[ids]."""
        return self.node("Gather", weight, ids, shape=(*ids.shape, weight.shape[1]), axis=0)

    def rms_norm(self, x: _Value, weight: _Value, eps: float) -> _Value:
        """x / √(mean(x²) + eps) · weight."""
        axis = self.constant(TensorProto.INT64, [1], [-1])
        mean = self.node("ReduceMean", x * x, axis, keepdims=1)
        rms = self.node("Sqrt", mean + self.constant(self.kind, [], [eps]))
        return self.node("Div", x, rms) * weight

    def layer_norm(self, x: _Value, weight: _Value, bias: _Value, eps: float) -> _Value:
        """(x - mean) / √(var + eps) · weight + bias."""
        return self.node("LayerNormalization", x, weight, bias, axis=-1, epsilon=eps)

    def linear(self, x: _Value, weight: _Value, bias: _Value | None = None) -> _Value:
        """x weightᵀ + bias."""
        shape = (*x.shape[:-1], weight.shape[-2])
        y = self.node("MatMul", x, weight.swapaxes(-1, -2), shape=shape)
        return y if bias is None else y + bias

    def per_token_linear(self, x: _Value, weight: _Value, bias: _Value | None = None) -> _Value:
        """x_t weight_tᵀ + bias_t."""
        y = self.linear(x.swapaxes(0, 1), weight).swapaxes(0, 1)
        return y if bias is None else y + bias

    def gelu(self, x: _Value) -> _Value:
        """x Φ(x)."""
        return self.node("Gelu", x)

    def gelu_tanh(self, x: _Value) -> _Value:
        """½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))."""
        return self.node("Gelu", x, approximate="tanh")

    def relu(self, x: _Value) -> _Value:
        """max(x, 0)."""
        return self.node("Relu", x)

    def softmax(self, x: _Value) -> _Value:
        """exp(x) / Σ exp(x)."""
        return self.node("Softmax", x, axis=-1)

    def silu(self, x: _Value) -> _Value:
        """x σ(x)."""
        return x * self.node("Sigmoid", x)


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
        graph, info = _Graph(self.kind), helper.make_tensor_value_info
        arrays = {name: x for name, x in inputs.items() if isinstance(x, np.ndarray)}
        values = {name: _Value(graph, name, x.shape) for name, x in arrays.items()}
        output = graph.run(stage, {**inputs, **values}).name
        kinds = {"ids": TensorProto.INT64}
        takes = [info(name, kinds.get(name, self.kind), x.shape) for name, x in arrays.items()]
        gives = [info(output, self.kind, [None] * 3)]
        made = helper.make_graph(graph.nodes, stage, takes, gives, graph.constants)
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = _IR_VERSION
        onnx.checker.check_model(model)
        return model
