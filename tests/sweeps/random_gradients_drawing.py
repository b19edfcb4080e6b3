"""Random numbers as users have them, for the functions of random_gradients.py."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"
#: ``vjp(cotangent, *inputs)`` returns one gradient per floating-point input, or just the one.
Vjp: TypeAlias = Callable[..., Any]


class Made(NamedTuple):
    """A function, what it is called with, a gradient of it that is right, and wrong ones.

    ``exact`` computes the same gradient without losing the digits that ``vjp`` loses, and
    ``others`` are right as well: at a tie there are several.
    """

    fn: Callable[..., Any]
    vjp: Vjp
    inputs: tuple[Any, ...]
    mistakes: Mapping[str, Vjp] = {}
    exact: Vjp | None = None
    others: tuple[Vjp, ...] = ()


class Draw:
    """Shapes and numbers, all from one generator."""

    def __init__(self, rng: np.random.Generator, plain: bool = False) -> None:
        self.rng, self.plain = rng, plain
        self.kinds: list[str] = []

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def among(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def size(self, least: int = 1, most: int = 4) -> int:
        return int(self.rng.integers(least, most + 1))

    def number(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def power_of_ten(self, low: float, high: float) -> float:
        return float(10 ** self.rng.uniform(low, high))

    def shape(self, most: int = 8) -> tuple[int, ...]:
        """A shape of up to three axes, and a handful of entries."""
        while True:
            found = tuple(int(n) for n in self.rng.integers(1, 5, size=self.rng.integers(0, 4)))
            if np.prod(found) <= most:
                return found

    def normal(self, *shape: int) -> Array:
        return np.asarray(self.rng.standard_normal(shape))

    def positive(self, *shape: int) -> Array:
        """Numbers above zero: near one, of many sizes, or some of them tiny."""
        kind = "normal" if self.plain else self.among("normal", "normal", "many sizes", "tiny")
        self.kinds.append(f"positive {kind}")
        x = np.exp(self.normal(*shape))
        if kind == "many sizes":
            x = x * 10.0 ** self.rng.integers(-5, 6, size=shape)
        if kind == "tiny":
            x = np.where(self.rng.random(shape) < 0.4, x * 1e-9, x)
        return np.asarray(x)

    def probabilities(self, *shape: int) -> Array:
        """Between zero and one, sometimes close to either."""
        spread = 1.0 if self.plain else self.among(1.0, 1.0, 4.0, 12.0)
        self.kinds.append(f"probabilities {spread:g}")
        return np.asarray(1 / (1 + np.exp(-spread * self.normal(*shape))))

    def distribution(self, *shape: int) -> Array:
        """Probabilities that add up to one along the last axis."""
        z = self.normal(*shape) * (1.0 if self.plain else self.among(1.0, 1.0, 4.0))
        p = np.exp(z - z.max(-1, keepdims=True))
        return np.asarray(p / p.sum(-1, keepdims=True))

    def ids(self, bound: int, *shape: int) -> Array:
        return self.rng.integers(bound, size=shape)

    def tied(self, *shape: int) -> Array:
        """Numbers some of which are equal, often."""
        x = self.normal(*shape)
        if self.plain or self.chance(0.5):
            return x
        self.kinds.append("ties")
        return np.asarray(np.round(2 * x) / 2)

    def values(self, *shape: int, but: tuple[str, ...] = ()) -> Array:
        """Numbers of any kind except those."""
        usual = ("normal", "normal", "normal", "uniform", "zeros", "halves")
        odd = ("saturated", "packed", "offset", "tiny beside", "large", "small")
        choices = [kind for kind in (*usual, *odd) if kind not in but]
        kind = "normal" if self.plain else self.among(*choices)
        self.kinds.append(kind)
        x = self.normal(*shape)
        some = self.rng.random(shape) < 0.4
        if kind == "uniform":
            x = self.rng.uniform(-1, 1, size=shape)
        elif kind == "zeros":
            x = np.where(some, 0.0, x)
        elif kind == "halves":
            x = np.round(2 * x) / 2
        elif kind == "saturated":
            x = 12 * x
        elif kind == "packed":
            x = x * 10.0 ** self.rng.integers(-7, 7, size=shape)
        elif kind == "offset":
            x = x + 10.0 ** self.rng.integers(2, 6)
        elif kind == "tiny beside":
            x = np.where(some, 1e-20 * x, x)
        elif kind == "large":
            x = x * 1e4
        elif kind == "small":
            x = x * 1e-4
        return np.asarray(x)


#: What overflows an exponential or leaves no digits after it.
WILD = ("packed", "offset", "large")
