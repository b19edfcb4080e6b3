"""Kernels on plain arrays: values and slopes to a few units in the last place.

They know neither tape nor tensors. What they compute stands as an equation in ``functional``; a
reader of the library may skip this room.
"""

from .gaussian import erf, gelu, normal_cdf, normal_pdf
from .kernels import Kernel, log1p, near_the_real_axis
from .logistic import gelu_tanh, sigmoid, silu, softplus, tanh

__all__ = [
    "Kernel", "erf", "gelu", "gelu_tanh", "log1p", "near_the_real_axis", "normal_cdf", "normal_pdf",
    "sigmoid", "silu", "softplus", "tanh",
]  # fmt: skip
