"""The adapter that is always there: this package's own functions, in float64 or in float32."""

import numpy as np

from ....array import Array, ignoring_fp_errors
from ....tensors import leaf
from ....transforms import grad
from ..formats import format_of
from ..stages import STAGES, Inputs, stage_of
from .layers import arrays_of

__all__ = ["Numpy"]


class Numpy:
    """This package's functions: forward on arrays, gradients from the tape.

    It supports all stages, forms sums in the dtype of their terms, as NumPy does, and declares no
    profile: nothing is excused.

    Args:
        dtype: ``"float64"`` or ``"float32"``.

    Example:
        >>> from numixology.verify.conformance import conform
        >>> from numixology.verify.conformance.adapters import load
        >>> conform(load("numpy32"), stages=["silu"], seeds=1).verdict
        'pass'
    """

    stages: tuple[str, ...] = tuple(STAGES)
    profile: tuple[str, ...] = ()

    def __init__(self, dtype: str = "float64") -> None:
        self.dtype = self.accumulation = format_of(dtype).name
        self.name = f"numixology, NumPy {np.__version__}"

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
