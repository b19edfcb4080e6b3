"""The adapter that is always there: this package's own functions, in float64 or in float32."""

from typing import Any

import numpy as np

from ....array import Array, ignoring_fp_errors
from ....tensors import leaf
from ....transforms import grad
from ..stages import Inputs, stage_of
from .shared import Backend, arrays_of

__all__ = ["Numpy"]


class Numpy(Backend):
    """This package's functions: forward on arrays, gradients from the tape.

    It supports all stages, forms sums in the dtype of their terms, as NumPy does, and declares no
    profile: nothing is excused.

    Args:
        dtype: ``"float64"`` or ``"float32"``.
        declares: what else an adapter may say of itself; see :class:`.Adapter`.

    Example:
        >>> from numixology.verify.conformance import conform
        >>> from numixology.verify.conformance.adapters import load
        >>> conform(load("numpy32"), stages=["silu"], quick=True).verdict
        'pass'
    """

    def __init__(self, dtype: str = "float64", **declares: Any) -> None:
        super().__init__(f"numixology, NumPy {np.__version__}", dtype, (), declares)

    def forward(self, stage: str, inputs: Inputs) -> Array:
        """What a stage computes."""
        with ignoring_fp_errors():
            return np.asarray(stage_of(stage).reference(inputs))

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        """The gradients of ⟨cotangent, output⟩ by the floating-point inputs."""
        leaves = {name: leaf(x, requires_grad=True) for name, x in arrays_of(inputs).items()}
        with ignoring_fp_errors():
            output = stage_of(stage).reference({**inputs, **leaves})
            found = grad(output, list(leaves.values()), leaf(cotangent))
        return {name: g.numpy() for name, g in zip(leaves, found, strict=True)}
