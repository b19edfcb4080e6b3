"""What a block answers to a few inputs: the questions that tell one form of it from another.

Nothing is read of the block but its outputs, and each question is an equality that holds for some
forms and for no others, whatever the weights. A norm does not see the scale of what it normalizes;
what x + mix(x) adds to one sum has the same effect from both its places; a token that gets the same
as another answers the same if their networks are one.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from .. import nn
from ..array import Array
from ..errors import ArgumentError, DTypeError, ShapeError
from ..nn.mixers import MixingName
from ..tensors import tensor

__all__ = ["ADDED", "BlackBox", "Mixings", "Reply", "permutations"]

#: An answer, None where it cannot be told, and what showed it.
Reply: TypeAlias = tuple[Any, str]
#: Where a mixing puts each feature, (T·D,), by its name and number of heads.
Mixings: TypeAlias = dict[tuple[MixingName, int], Array]

#: Where a block of the forms that are known here adds x.
ADDED = ("around the mixing", "after the network only")

_ROWS = 64  # sequences in a call
_MOST = 2048  # features whose effects are all looked at; of more, those of three tokens


class BlackBox:
    """A block of which only the outputs are seen.

    What is equal may differ by ``same`` of the largest entry, in which rounding has room; what
    differs does so by far more. ``huge`` makes a token so large that nothing of order 1 turns it.
    """

    def __init__(
        self,
        fn: Callable[[Any], Any],
        num_tokens: int,
        hidden_dim: int,
        dtype: np.dtype[Any],
        rng: np.random.Generator,
    ) -> None:
        self.fn, self.T, self.D, self.dtype, self.rng = fn, num_tokens, hidden_dim, dtype, rng
        unit = float(np.finfo(dtype).eps)
        self.same = 1000 * unit
        self.huge = 2.0 ** round(-0.4 * math.log2(unit))  # 2²¹, and in float32 2⁹

    def __call__(self, x: Array) -> Array:
        """(N, T, D) to (N, T, D), of float64, a few sequences at a time."""
        parts = [self._output(x[i : i + _ROWS]) for i in range(0, len(x), _ROWS)]
        return np.concatenate(parts)

    def _output(self, x: Array) -> Array:
        y = np.asarray(self.fn(x.astype(self.dtype)))
        if y.shape != x.shape:
            got = f"{x.shape} to {y.shape}"
            raise ShapeError("a block goes from (B, T, D) to (B, T, D)", got, "wrap it so")
        if np.result_type(y, self.dtype) != y.dtype:
            invariant, got = f"a block returns {self.dtype} for {self.dtype}", str(y.dtype)
            raise DTypeError(invariant, got, "ask with dtype float32")
        if not np.isfinite(y).all():
            raise ArgumentError("the outputs of a block are finite", "NaN or infinity", "mend it")
        return y.astype(np.float64)

    def draw(self, rows: int) -> Array:
        """Inputs next to whose variance any eps is small."""
        return 4 * self.rng.standard_normal((rows, self.T, self.D))

    def alone(self, x: Array, token: int) -> Array:
        """The same, with other values in one token."""
        x = x.copy()
        x[:, token] = self.draw(len(x))[:, token]
        return x

    @property
    def looked_at(self) -> list[int]:
        """The tokens whose features are followed one by one."""
        few = sorted({0, 1, self.T - 1})
        return [*range(self.T)] if self.T * self.D <= _MOST else few

    def check(self) -> None:
        """Raise unless the block is a function, sequence by sequence."""
        x = self.draw(2)
        y = self(x)
        for other, what in ((self(x), "the same input"), (self(x[:1]), "the same sequence alone")):
            if (off := distance(y[: len(other)], other)) > self.same:
                invariant = "a block has one output for an input"
                got = f"another for {what}, off by {off:.0e}"
                instead = "call its eval() first, or ask with dtype float32 if it rounds to that"
                raise ArgumentError(invariant, got, instead)

    # Where the norms stand ------------------------------------------------------------------

    def norms(self) -> Reply:
        """By what the scale of x does to y.

        - ``"pre"``: y = cx + bounded, and the mixed part does not see the scale of a token.
        - ``"guide"`` and ``"post"``: norm(cx + mix(cx)) = norm(x + mix(x)), so y stays as it is.
        - ``"bare_mix"``: norm(cx + f(norm(mix(cx)))) goes to norm(x), token by token.
        """
        x = self.draw(8)
        y, far, farther = self(x), self(self.huge * x), self(2 * self.huge * x)
        larger = x.copy()
        larger[:, 0] *= self.huge
        scale = distance(self(larger), y, 1) > 1e-3  # of a token, seen by others
        if np.abs(far).max() / np.abs(y).max() > self.huge / 100:
            rest = distance(far / self.huge, x), distance(farther / (2 * self.huge), x)
            if not self._vanishes(*rest) or scale:
                return None, "y grows with x, and is not x and what sees no scale"
            if not self._meets(x, y):
                return None, "y is x and parts in which a token and what is mixed do not meet"
            return "pre", "y is x and something bounded; a token's scale changes no other token"
        last = self._last_norm()
        ends = f"ends with a {last}" if last else "does not end with a norm"
        change = distance(far, y)
        if change < 0.01 and distance(far, farther) < self.same:
            return "post" if last else "guide", f"y does not see the scale of x, and {ends}"
        other = self.huge * self.alone(x, 0)
        rest = distance(self(other), far, 1), distance(self(2 * other), farther, 1)
        seen = scale or not self._reacts(x, y)
        if last and change > 0.01 and seen and self._vanishes(*rest):
            return (
                "bare_mix",
                f"where x is large, a token of y depends on its own alone; y {ends}",
            )
        return None, f"y sees the scale of x in another way; it {ends}"

    def _reacts(self, x: Array, y: Array) -> bool:
        """Whether tokens see the values of another at all."""
        return distance(self(self.alone(x, 0)), y, 1) > self.same

    def _meets(self, x: Array, y: Array) -> bool:
        """Whether what token 0 does to others depends on what they are; or it does nothing."""
        rest = np.concatenate([x[:, :1], self.draw(len(x))[:, 1:]], axis=1)
        new = self.alone(x, 0)
        both = np.concatenate([new[:, :1], rest[:, 1:]], axis=1)
        a, b = self(new) - y, self(both) - self(rest)
        return distance(a, b, 1) > 1e-3 or not self._reacts(x, y)

    def _vanishes(self, rest: float, of_twice: float) -> bool:
        """Whether what is left at a large x is half of it at twice that x, or nothing."""
        return rest < 0.1 and of_twice < max(0.6 * rest, self.same)

    def _last_norm(self) -> str | None:
        """LayerNorm's outputs have mean((y - b) / w) = 0, RMSNorm's mean((y / w)²) = 1.

        w and b are unknown, but the same for all y: more y than unknowns show whether they exist.
        """
        x = self.draw(2 * self.D + 16)
        y = np.concatenate([self(x[i : i + _ROWS])[:, 0] for i in range(0, len(x), _ROWS)])
        scale = np.abs(y).max(axis=0)
        if not scale.all():
            return None
        singular = np.linalg.svd((y - y.mean(axis=0)) / scale, compute_uv=False)
        if singular[-1] < 10 * self.same * singular[0]:
            return "LayerNorm"
        squares = (y / scale) ** 2
        weights = np.linalg.lstsq(squares, np.ones(len(y)))[0]
        return "RMSNorm" if np.abs(squares @ weights - 1).max() < 1e-3 else None

    def normalization(self, norm: str | None) -> Reply:
        """LayerNorm subtracts the mean, so that it does not see a constant; RMSNorm does."""
        if norm is None:
            return None, "it is not known where the norms stand"
        x = self.draw(8)
        shifted = x.copy()
        shifted[:, : 1 if norm == "pre" else self.T] += 3
        if distance(self(shifted), self(x), 1) < 100 * self.same:
            return "LayerNorm", "y does not see a constant added to all features"
        return "RMSNorm", "y sees a constant added to all features"

    # What the mixing does -------------------------------------------------------------------

    def mixings(
        self, norm: str | None, normalization: str | None
    ) -> tuple[Mixings, str, str | None, str]:
        """Those that the answers leave, what showed it, and whether x is added to what is mixed."""
        known = permutations(self.T, self.D)
        if norm == "pre":
            read = "in y - x of a large x each normalized feature is where it was put"
            left = self._by_reading(known, normalization)
            return left, read, "around the mixing", "y - x is bounded"
        left, left_behind = self._by_tokens(known)
        unordered = "which feature reaches which token; in what order the network hides"
        if norm == "bare_mix":
            if not left or not self._mixed_alone(left):
                return left, unordered, None, "the first norm sees x beside what is mixed"
            alone = "the first norm sees nothing beside what is mixed"
            return left, unordered, "after the network only", alone
        if ("identity", 1) in left:
            return left, "no feature reaches another token", None, "nothing moves"
        sums = {key: to for key, to in left.items() if self._adds_up(to)}
        if sums:
            alike = "y sees a feature and the one that it is added to alike"
            return sums, alike, "around the mixing", alike
        if left and not left_behind:
            nothing = "what is moved away leaves nothing behind"
            return left, unordered, "none around the mixing", nothing
        return sums, unordered, None, "no sum x + mix(x) of a known mixing is what y sees"

    def _by_tokens(self, known: Mixings) -> tuple[Mixings, bool]:
        """Those by which each feature reaches the other tokens that it does reach.

        And whether a feature that reaches another token is seen in its own too.
        """
        T, D = self.T, self.D
        x = self.draw(1)
        y = self(x)
        reached, left_behind = {}, False
        for s in self.looked_at:
            moved = np.repeat(x, D, axis=0)
            moved[np.arange(D), s, np.arange(D)] += 16
            change = np.abs(self(moved) - y).max(axis=-1)  # (D, T)
            reached[s] = change > 10 * self.same * np.abs(y).max()
            left_behind |= bool((reached[s][:, s] & (reached[s].sum(axis=1) > 1)).any())
            reached[s][:, s] = True
        left = {
            key: to
            for key, to in known.items()
            if all((_reach(to, s, T) == found).all() for s, found in reached.items())
        }
        return left, left_behind

    def _adds_up(self, to: Array) -> bool:
        """Whether y sees x + mix(x) alone, for this mixing.

        Adding a to feature i adds a at i and at P(i). What adds the same to the token t of P(i), if
        i is in another, is a at P(i), less a at P(P(i)) if that is in t too, and so on.
        """
        T, D = self.T, self.D
        i = np.arange(T * D)
        i = i[i // D != to // D]
        i = self.rng.choice(i, min(len(i), _ROWS // 2), replace=False)
        base = self.draw(1).reshape(1, T * D)
        here, there = (np.repeat(base, len(i), axis=0) for _ in range(2))
        for row, feature in enumerate(i):
            here[row, feature] += 16
            place, amount = to[feature], 16.0
            token = place // D
            while place // D == token:
                there[row, place] += amount
                place, amount = to[place], -amount
        rows = np.arange(len(i))
        a, b = (self(x.reshape(-1, T, D))[rows, to[i] // D] for x in (here, there))
        return distance(a, b) < 100 * self.same

    def _mixed_alone(self, mixings: Mixings) -> bool:
        """Whether the first norm of ``"bare_mix"`` sees nothing beside what is mixed.

        Then the scale of all others is not seen by a token that keeps nothing of its own.
        """
        to = next(iter(mixings.values()))
        x = self.draw(1)
        x[0, 0, to[: self.D] < self.D] = 0
        larger = x.copy()
        larger[:, 1:] *= self.huge
        return distance(self(larger)[:, :1], self(x)[:, :1]) < 1e-3

    def _by_reading(self, known: Mixings, normalization: str | None) -> Mixings:
        """Those that put the normalized features of a token where y - x has them.

        For a large x the network sees nothing but x, so that what a new token s changes elsewhere
        is mix(w · z), where z is what the norm makes of it, before its weight w.
        """
        left = dict(known)
        for s in self.looked_at:
            x = np.repeat(self.draw(1), 5, axis=0)
            x[:, s] = self.draw(5)[:, s]
            z, y = normalized(x[:, s], normalization), self(self.huge * x)
            z, change = z[1:] - z[0], y[1:] - y[0]  # (4, D), (4, T, D)
            left = {key: to for key, to in left.items() if _is_put(to, s, z, change)}
        return left

    # Whose network --------------------------------------------------------------------------

    def network(self, norm: str | None, mixings: Mixings) -> Reply:
        """One network makes equal tokens of equal tokens."""
        if norm == "pre":
            return self._network_of_large(mixings)
        period = _repeat(mixings, self.T, self.D)
        if not period:
            return None, "no tokens are known to be equal after the mixing"
        part = self.draw(4)[:, :1, :period]
        y = self(np.tile(part, (1, self.T, self.D // period)))
        return self._shared(y, np.broadcast_to(y[:, :1], y.shape), 10 * self.same)

    def _network_of_large(self, mixings: Mixings) -> Reply:
        """Of a large token y - x is a part that was mixed and f(norm(x)).

        What a token does to the first is alike where the same feature of its own was put, or none.
        """
        T = self.T
        if not mixings:
            return None, "the mixing is not known"
        values, rows = self.draw(2)[:, 0], np.arange(2 * T)
        x = np.repeat(self.draw(1), 2 * T, axis=0)
        x[rows, rows % T] = np.repeat(values, T, axis=0)
        y = (self(self.huge * x) - self.huge * x)[rows, rows % T]
        change = y[:T] - y[T:]  # (T, D), of each token by its own values
        alike = np.array([_own(to, T) for to in mixings.values()])  # (mixings, T, D)
        pairs = [(s, t) for t in range(T) for s in range(t)]
        fit = {pair: (alike[:, pair[0]] == alike[:, pair[1]]).all(axis=0) for pair in pairs}
        if not any(at.any() for at in fit.values()):
            return None, "every token has features of its own in another place"
        a, b = (np.concatenate([change[pair[i]][at] for pair, at in fit.items()]) for i in (0, 1))
        return self._shared(a, b, 0.02)

    def _shared(self, a: Array, b: Array, same: float) -> Reply:
        apart = distance(a, b)
        if apart < same:
            return "shared", "equal tokens stay equal"
        if apart > 5 * same:
            return "per token", "equal tokens become different"
        return None, "equal tokens become nearly equal"


def distance(a: Array, b: Array, first: int = 0) -> float:
    """The largest difference, relative to the largest entry, of tokens from ``first`` on."""
    a, b = (x[:, first:] if first else x for x in (a, b))
    largest = max(np.abs(a).max(), np.abs(b).max())
    return float(np.abs(a - b).max() / largest) if largest else 0.0


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
