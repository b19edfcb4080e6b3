"""Which mixing a block has, and where it adds x.

What x + mix(x) adds to one sum has the same effect from both its places.
"""

import numpy as np

from ... import nn
from ...array import Array
from ...nn.mixers import MixingName
from ...tensors import tensor
from .black_box import ROWS, BlackBox, Mixings, distance

__all__ = ["ADDED", "permutations", "which_mixings"]

#: Where a block of the forms that are known here adds x.
ADDED = ("around the mixing", "after the network only")


def which_mixings(
    block: BlackBox, norm: str | None, normalization: str | None
) -> tuple[Mixings, str, str | None, str]:
    """Those that the answers leave, what showed it, and whether x is added to what is mixed."""
    known = permutations(block.T, block.D)
    if norm == "pre":
        read = "in y - x of a large x each normalized feature is where it was put"
        left = _by_reading(block, known, normalization)
        return left, read, "around the mixing", "y - x is bounded"
    left, left_behind = _by_tokens(block, known)
    unordered = "which feature reaches which token; in what order the network hides"
    if norm == "bare_mix":
        if not left or not _mixed_alone(block, left):
            return left, unordered, None, "the first norm sees x beside what is mixed"
        alone = "the first norm sees nothing beside what is mixed"
        return left, unordered, "after the network only", alone
    if ("identity", 1) in left:
        return left, "no feature reaches another token", None, "nothing moves"
    sums = {key: to for key, to in left.items() if _adds_up(block, to)}
    if sums:
        alike = "y sees a feature and the one that it is added to alike"
        return sums, alike, "around the mixing", alike
    if left and not left_behind:
        nothing = "what is moved away leaves nothing behind"
        return left, unordered, "none around the mixing", nothing
    return sums, unordered, None, "no sum x + mix(x) of a known mixing is what y sees"


def _by_tokens(block: BlackBox, known: Mixings) -> tuple[Mixings, bool]:
    """Those by which each feature reaches the other tokens that it does reach.

    And whether a feature that reaches another token is seen in its own too.
    """
    T, D = block.T, block.D
    x = block.draw(1)
    y = block(x)
    reached, left_behind = {}, False
    for s in block.looked_at:
        moved = np.repeat(x, D, axis=0)
        moved[np.arange(D), s, np.arange(D)] += 16
        change = np.abs(block(moved) - y).max(axis=-1)  # (D, T)
        reached[s] = change > 10 * block.same * np.abs(y).max()
        left_behind |= bool((reached[s][:, s] & (reached[s].sum(axis=1) > 1)).any())
        reached[s][:, s] = True
    left = {
        key: to
        for key, to in known.items()
        if all((_reach(to, s, T) == found).all() for s, found in reached.items())
    }
    return left, left_behind


def _adds_up(block: BlackBox, to: Array) -> bool:
    """Whether y sees x + mix(x) alone, for this mixing.

    Adding a to feature i adds a at i and at P(i). What adds the same to the token t of P(i), if
    i is in another, is a at P(i), less a at P(P(i)) if that is in t too, and so on.
    """
    T, D = block.T, block.D
    i = np.arange(T * D)
    i = i[i // D != to // D]
    i = block.rng.choice(i, min(len(i), ROWS // 2), replace=False)
    base = block.draw(1).reshape(1, T * D)
    here, there = (np.repeat(base, len(i), axis=0) for _ in range(2))
    for row, feature in enumerate(i):
        here[row, feature] += 16
        place, amount = to[feature], 16.0
        token = place // D
        while place // D == token:
            there[row, place] += amount
            place, amount = to[place], -amount
    rows = np.arange(len(i))
    a, b = (block(x.reshape(-1, T, D))[rows, to[i] // D] for x in (here, there))
    return distance(a, b) < 100 * block.same


def _mixed_alone(block: BlackBox, mixings: Mixings) -> bool:
    """Whether the first norm of ``"bare_mix"`` sees nothing beside what is mixed.

    Then the scale of all others is not seen by a token that keeps nothing of its own.
    """
    to = next(iter(mixings.values()))
    x = block.draw(1)
    x[0, 0, to[: block.D] < block.D] = 0
    larger = x.copy()
    larger[:, 1:] *= block.huge
    return distance(block(larger)[:, :1], block(x)[:, :1]) < 1e-3


def _by_reading(block: BlackBox, known: Mixings, normalization: str | None) -> Mixings:
    """Those that put the normalized features of a token where y - x has them.

    For a large x the network sees nothing but x, so that what a new token s changes elsewhere
    is mix(w · z), where z is what the norm makes of it, before its weight w.
    """
    left = dict(known)
    for s in block.looked_at:
        x = np.repeat(block.draw(1), 5, axis=0)
        x[:, s] = block.draw(5)[:, s]
        z, y = normalized(x[:, s], normalization), block(block.huge * x)
        z, change = z[1:] - z[0], y[1:] - y[0]  # (4, D), (4, T, D)
        left = {key: to for key, to in left.items() if _is_put(to, s, z, change)}
    return left


def normalized(x: Array, normalization: str | None) -> Array:
    """x with the variance 1 in each row, or the mean of squares."""
    if normalization == "LayerNorm":
        x = x - x.mean(axis=-1, keepdims=True)
    scaled: Array = x / np.sqrt((x * x).mean(axis=-1, keepdims=True))
    return scaled


def permutations(num_tokens: int, hidden_dim: int) -> Mixings:
    """The mixings of the package that only move features, each once, under its first name."""
    T, D = num_tokens, hidden_dim
    features = tensor(np.arange(float(T * D)).reshape(1, T, D))
    found: dict[bytes, tuple[tuple[MixingName, int], Array]] = {}
    names: tuple[MixingName, ...] = ("identity", "rankmixer", "neighbors", "twice")
    for name in names:
        for H in (n for n in range(1, D + 1) if D % n == 0):
            mixed = nn.TokenMixer(T, D, H, mixing=name).mix(features)
            to = np.argsort(np.asarray(mixed).ravel())
            found.setdefault(to.tobytes(), ((name, H), to))
    return dict(found.values())


def _reach(to: Array, token: int, num_tokens: int) -> Array:
    """(D, T): the tokens in which the features of a token are before the mixing or after."""
    tokens = to.reshape(num_tokens, -1)[token] // (len(to) // num_tokens)
    reach: Array = tokens[:, None] == np.arange(num_tokens)
    reach[:, token] = True
    return reach


def _is_put(to: Array, token: int, z: Array, change: Array) -> bool:
    """Whether what changed elsewhere is w · z, each at the place that the mixing has for it."""
    _, T, D = change.shape
    source = np.argsort(to).reshape(T, D)
    elsewhere = np.arange(T) != token
    mine = (source // D == token) & elsewhere[:, None]
    moved = z[:, source % D] * mine  # (4, T, D)
    w = (change * moved).sum(axis=0) / np.where(mine, (moved**2).sum(axis=0), 1)
    largest = max(np.abs(change[:, elsewhere]).max(), 0.01 * np.abs(z).max())
    off = np.abs(change - w * moved)[:, elsewhere].max()
    return bool(off < 0.02 * largest and (np.abs(w[mine]) > 1e-3 * np.abs(w).max()).all())
