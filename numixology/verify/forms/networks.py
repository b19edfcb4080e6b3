"""Whether all tokens share the network of a block.

One network makes equal tokens of equal tokens.
"""

import numpy as np

from ...array import Array
from .black_box import BlackBox, Mixings, Reply, distance

__all__ = ["whose_network"]


def whose_network(block: BlackBox, norm: str | None, mixings: Mixings) -> Reply:
    """One network makes equal tokens of equal tokens."""
    if norm == "pre":
        return _network_of_large(block, mixings)
    period = _repeat(mixings, block.T, block.D)
    if not period:
        return None, "no tokens are known to be equal after the mixing"
    part = block.draw(4)[:, :1, :period]
    y = block(np.tile(part, (1, block.T, block.D // period)))
    return _shared(block, y, np.broadcast_to(y[:, :1], y.shape), 10 * block.same)


def _network_of_large(block: BlackBox, mixings: Mixings) -> Reply:
    """Of a large token y - x is a part that was mixed and f(norm(x)).

    What a token does to the first is alike where the same feature of its own was put, or none.
    """
    T = block.T
    if not mixings:
        return None, "the mixing is not known"
    values, rows = block.draw(2)[:, 0], np.arange(2 * T)
    x = np.repeat(block.draw(1), 2 * T, axis=0)
    x[rows, rows % T] = np.repeat(values, T, axis=0)
    y = (block(block.huge * x) - block.huge * x)[rows, rows % T]
    change = y[:T] - y[T:]  # (T, D), of each token by its own values
    alike = np.array([_own(to, T) for to in mixings.values()])  # (mixings, T, D)
    pairs = [(s, t) for t in range(T) for s in range(t)]
    fit = {pair: (alike[:, pair[0]] == alike[:, pair[1]]).all(axis=0) for pair in pairs}
    if not any(at.any() for at in fit.values()):
        return None, "every token has features of its own in another place"
    a, b = (np.concatenate([change[pair[i]][at] for pair, at in fit.items()]) for i in (0, 1))
    return _shared(block, a, b, 0.02)


def _shared(block: BlackBox, a: Array, b: Array, same: float) -> Reply:
    apart = distance(a, b)
    if apart < same:
        return "shared", "equal tokens stay equal"
    if apart > 5 * same:
        return "per token", "equal tokens become different"
    return None, "equal tokens become nearly equal"


def _own(to: Array, num_tokens: int) -> Array:
    """(T, D): at each place the feature that its token had before the mixing, or -1."""
    source = np.argsort(to).reshape(num_tokens, -1)
    D = source.shape[1]
    own: Array = np.where(source // D == np.arange(num_tokens)[:, None], source % D, -1)
    return own


def _repeat(mixings: Mixings, num_tokens: int, hidden_dim: int) -> int:
    """The largest p for which tokens that repeat p features are all alike after mixing; or 0."""
    T, D = num_tokens, hidden_dim
    for p in (p for p in range(D, 1, -1) if D % p == 0 and mixings):
        x = np.tile(np.arange(p), T * D // p)
        mixed = [x[np.argsort(to)].reshape(T, D) for to in mixings.values()]
        if all((y == y[0]).all() for y in mixed):
            return p
    return 0
