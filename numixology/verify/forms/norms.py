"""Where the norms of a block stand, and of which kind they are.

A norm does not see the scale of what it normalizes.
"""

import numpy as np

from ...array import Array
from .black_box import BlackBox, Reply, distance

__all__ = ["kind_of_norm", "where_norms_stand"]


def where_norms_stand(block: BlackBox) -> Reply:
    """By what the scale of x does to y.

    - ``"pre"``: y = cx + bounded, and the mixed part does not see the scale of a token.
    - ``"guide"`` and ``"post"``: norm(cx + mix(cx)) = norm(x + mix(x)), so y stays as it is.
    - ``"bare_mix"``: norm(cx + f(norm(mix(cx)))) goes to norm(x), token by token.
    """
    x = block.draw(8)
    y, far, farther = block(x), block(block.huge * x), block(2 * block.huge * x)
    larger = x.copy()
    larger[:, 0] *= block.huge
    scale = distance(block(larger), y, 1) > 1e-3  # of a token, seen by others
    if np.abs(far).max() / np.abs(y).max() > block.huge / 100:
        rest = distance(far / block.huge, x), distance(farther / (2 * block.huge), x)
        if not _vanishes(block, *rest) or scale:
            return None, "y grows with x, and is not x and what sees no scale"
        if not _meets(block, x, y):
            return None, "y is x and parts in which a token and what is mixed do not meet"
        return "pre", "y is x and something bounded; a token's scale changes no other token"
    last = _last_norm(block)
    ends = f"ends with a {last}" if last else "does not end with a norm"
    change = distance(far, y)
    if change < 0.01 and distance(far, farther) < block.same:
        return "post" if last else "guide", f"y does not see the scale of x, and {ends}"
    other = block.huge * block.alone(x, 0)
    rest = distance(block(other), far, 1), distance(block(2 * other), farther, 1)
    seen = scale or not _reacts(block, x, y)
    if last and change > 0.01 and seen and _vanishes(block, *rest):
        return "bare_mix", f"where x is large, a token of y depends on its own alone; y {ends}"
    return None, f"y sees the scale of x in another way; it {ends}"


def _reacts(block: BlackBox, x: Array, y: Array) -> bool:
    """Whether tokens see the values of another at all."""
    return distance(block(block.alone(x, 0)), y, 1) > block.same


def _meets(block: BlackBox, x: Array, y: Array) -> bool:
    """Whether what token 0 does to others depends on what they are; or it does nothing."""
    rest = np.concatenate([x[:, :1], block.draw(len(x))[:, 1:]], axis=1)
    new = block.alone(x, 0)
    both = np.concatenate([new[:, :1], rest[:, 1:]], axis=1)
    a, b = block(new) - y, block(both) - block(rest)
    return distance(a, b, 1) > 1e-3 or not _reacts(block, x, y)


def _vanishes(block: BlackBox, rest: float, of_twice: float) -> bool:
    """Whether what is left at a large x is half of it at twice that x, or nothing."""
    return rest < 0.1 and of_twice < max(0.6 * rest, block.same)


def _last_norm(block: BlackBox) -> str | None:
    """LayerNorm's outputs have mean((y - b) / w) = 0, RMSNorm's mean((y / w)²) = 1.

    w and b are unknown, but the same for all y: more y than unknowns show whether they exist.
    """
    y = block(block.draw(2 * block.D + 16))[:, 0]
    scale = np.abs(y).max(axis=0)
    if not scale.all():
        return None
    singular = np.linalg.svd((y - y.mean(axis=0)) / scale, compute_uv=False)
    if singular[-1] < 10 * block.same * singular[0]:
        return "LayerNorm"
    squares = (y / scale) ** 2
    weights = np.linalg.lstsq(squares, np.ones(len(y)))[0]
    return "RMSNorm" if np.abs(squares @ weights - 1).max() < 1e-3 else None


def kind_of_norm(block: BlackBox, norm: str | None) -> Reply:
    """LayerNorm subtracts the mean, so that it does not see a constant; RMSNorm does."""
    if norm is None:
        return None, "it is not known where the norms stand"
    x = block.draw(8)
    shifted = x.copy()
    shifted[:, : 1 if norm == "pre" else block.T] += 3
    if distance(block(shifted), block(x), 1) < 100 * block.same:
        return "LayerNorm", "y does not see a constant added to all features"
    return "RMSNorm", "y sees a constant added to all features"
