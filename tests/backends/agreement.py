"""How the tests in this folder hold a calculation against the same one in torch.

Forward, gradient and second-order gradient: for an output y = f(x), a random cotangent c and a
random direction r these are y, g = ∂⟨c, y⟩/∂x, and the gradients of ⟨g, r⟩ with respect to both x
and c. Errors are relative to the tensor's largest entry; the largest of each group is printed
at the end of the run.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

import numixology as nx

torch.set_num_threads(1)

TOLERANCE = 1e-12

#: group -> forward, first, second order -> the largest relative error so far
WORST: dict[str, dict[str, float]] = defaultdict(dict)


def array_of(tensor: Any) -> np.ndarray:
    """The values of a tensor of either library."""
    if isinstance(tensor, torch.Tensor):
        return tensor.numpy(force=True)  # also detached ones, and zeros that torch never wrote
    return np.asarray(tensor)


def of_torch(array: np.ndarray, requires_grad: bool = False) -> torch.Tensor:
    """A torch tensor with a copy of the values."""
    return torch.tensor(np.asarray(array)).requires_grad_(requires_grad)


def close(
    got: Any, wanted: Any, *, group: str = "", order: str = "forward", scale: float = 0.0
) -> None:
    """Equal shapes and dtypes, and values within the tolerance of the largest entry.

    ``scale`` stands in for the largest entry where that is smaller, for tensors whose exact
    values are zero.
    """
    got, wanted = array_of(got), array_of(wanted)
    assert got.shape == wanted.shape, (got.shape, wanted.shape)
    assert got.dtype == wanted.dtype, (got.dtype, wanted.dtype)
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, wanted)
        return
    np.testing.assert_array_equal(np.isfinite(got), np.isfinite(wanted))
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(got[~finite], wanted[~finite])
    distance = np.abs(got[finite] - wanted[finite]).max(initial=0.0)
    largest = max(np.abs(wanted[finite]).max(initial=0.0), scale)
    error = float(distance / largest) if distance else 0.0
    WORST[group][order] = max(error, WORST[group].get(order, 0.0))
    assert error <= TOLERANCE, f"{group}, {order}: {error:.1e} of the largest entry"


def or_zero(gradient: Any, like: Any) -> np.ndarray:
    """A gradient that did not arrive is zero."""
    return np.zeros(like.shape) if gradient is None else array_of(gradient)


def compare(
    group: str,
    ours: tuple[nx.Tensor, Sequence[nx.Tensor]],
    theirs: tuple[torch.Tensor, Sequence[torch.Tensor]],
    *,
    seed: int = 0,
    scale: float = 0.0,
) -> None:
    """An output and its leaves, in both libraries: forward, first and second order."""
    y, leaves = ours
    y_torch, leaves_torch = theirs
    close(y, y_torch, group=group)
    rng = np.random.default_rng([seed, 1])  # not the numbers that the inputs were drawn with
    cotangent = rng.standard_normal(y.shape)
    directions = [rng.standard_normal(leaf.shape) for leaf in leaves]

    c_torch = of_torch(cotangent, True)
    first_torch = torch.autograd.grad(y_torch, leaves_torch, c_torch, create_graph=True)
    for gradient, wanted in zip(nx.grad(y, leaves, cotangent), first_torch, strict=True):
        close(gradient, wanted, group=group, order="first", scale=scale)

    c = nx.tensor(cotangent, requires_grad=True)
    first = nx.grad(y, leaves, c, create_graph=True)
    for gradient, wanted in zip(first, first_torch, strict=True):
        close(gradient, wanted, group=group, order="first", scale=scale)

    products = [(g * r).sum() for g, r in zip(first, directions, strict=True)]
    products_torch = [(g * of_torch(r)).sum() for g, r in zip(first_torch, directions, strict=True)]
    total, total_torch = sum(products), sum(products_torch)
    wanted_all = (
        torch.autograd.grad(
            total_torch, [*leaves_torch, c_torch], allow_unused=True, retain_graph=True
        )
        if total_torch.requires_grad
        else [None] * (len(leaves) + 1)
    )
    held = [leaf.grad for leaf in (*leaves, c)]
    for leaf in (*leaves, c):
        leaf.zero_grad()
    if total.requires_grad:
        total.backward(retain_graph=True)
    for leaf, wanted in zip((*leaves, c), wanted_all, strict=True):
        close(
            or_zero(leaf.grad, leaf),
            or_zero(wanted, leaf),
            group=group,
            order="second",
            scale=scale,
        )
    for leaf, before in zip((*leaves, c), held, strict=True):
        leaf.grad = before


def agree(
    group: str,
    ours: Callable[..., nx.Tensor],
    theirs: Callable[..., torch.Tensor],
    arrays: Sequence[np.ndarray],
    *,
    seed: int = 0,
    scale: float = 0.0,
) -> None:
    """A function of floating-point arrays, written with either library."""
    leaves = [nx.tensor(x, requires_grad=True) for x in arrays]
    leaves_torch = [of_torch(x, True) for x in arrays]
    y, y_torch = ours(*leaves), theirs(*leaves_torch)
    compare(group, (y, leaves), (y_torch, leaves_torch), seed=seed, scale=scale)
    plain = ours(*(np.array(x) for x in arrays))  # arrays in, arrays out
    assert isinstance(plain, np.ndarray | np.generic)
    np.testing.assert_array_equal(plain, y.data)
