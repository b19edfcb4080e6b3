"""Gradients kept from being too large, between the backward and the step."""

import math
from collections.abc import Iterable

import numpy as np

from ..array import ignoring_fp_errors, upcast
from ..errors import ArgumentError, shown
from ..tensors import Tensor
from .optimizer import as_parameters

__all__ = ["clip_grad_norm", "clip_grad_value"]


def clip_grad_norm(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients by min(1, max_norm / (‖g‖ + 1e-6)), g being all of them in a row.

    Args:
        parameters: tensors; those without a gradient count as nothing.
        max_norm: the largest norm that is kept, above 0.

    Returns:
        ‖g‖ before the scaling. If it is infinite or NaN, gradients become zero or NaN.

    Source: Pascanu et al. 2013, algorithm 1 (arXiv 1211.5063), in torch's form.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor([3.0, 4.0], requires_grad=True)
        >>> (x * x / 2).sum().backward()
        >>> nx.optim.clip_grad_norm([x], max_norm=1.0)
        5.0
        >>> x.grad
        Tensor([0.5999999, 0.7999998])
    """
    gradients, most = _gradients(parameters, max_norm)
    with ignoring_fp_errors():
        norm = math.sqrt(sum(float(np.sum(np.square(upcast(g.data)))) for g in gradients))
        scale = min(most / (norm + 1e-6), 1.0)  # in this order NaN stays NaN
        for g in gradients:
            g.data = np.asarray(g.data * scale)
    return norm


def clip_grad_value(parameters: Iterable[Tensor], clip_value: float) -> None:
    """Move every number of every gradient into [-clip_value, clip_value].

    Args:
        parameters: tensors; those without a gradient stay without.
        clip_value: the largest size that is kept, above 0.

    Returns:
        Nothing.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor([0.5, -4.0], requires_grad=True)
        >>> (x * x / 2).sum().backward()
        >>> nx.optim.clip_grad_value([x], clip_value=1.0)
        >>> x.grad
        Tensor([ 0.5, -1. ])
    """
    gradients, most = _gradients(parameters, clip_value)
    for g in gradients:
        g.data = np.asarray(np.clip(g.data, -most, most))


def _gradients(parameters: Iterable[Tensor], most: float) -> tuple[list[Tensor], float]:
    """All gradients, and the size as Python's number, beside which float32 stays float32."""
    if not most > 0:
        raise ArgumentError("gradients are clipped to a size above 0", shown(most), "use e.g. 1.0")
    return [p.grad for p in as_parameters(parameters) if p.grad is not None], float(most)
