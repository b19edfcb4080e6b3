"""Functions with gradients as people write them by hand, from textbooks, for random_gradients.py.

Each is drawn anew: its shapes, its numbers, its constants. The source runs in JAX too (``np`` is
replaced by ``jax.numpy``), which is how its tests know that the gradients are right. So numbers are
drawn by ``draw``, and a function does not write into its arrays; a gradient may.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sweeps.random_gradients_drawing import WILD, Draw, Made


class Family(NamedTuple):
    """A kind of function: how one is drawn, and where it can run."""

    name: str
    make: Callable[[Draw], Made]
    single: bool  # whether its inputs may be float32
    tape: bool  # whether it runs on numixology's tensors


FAMILIES: list[Family] = []


def family(
    name: str, single: bool = False, tape: bool = False
) -> Callable[[Callable[[Draw], Made]], Callable[[Draw], Made]]:
    def enlisted(make: Callable[[Draw], Made]) -> Callable[[Draw], Made]:
        FAMILIES.append(Family(name, make, single, tape))
        return make

    return enlisted


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# Formulas of one number ----------------------------------------------------------------


@family("tanh", single=True, tape=True)
def _tanh(draw: Draw) -> Made:
    def vjp(ct, x):
        y = np.tanh(x)
        return ct * (1 - y * y)

    def other_output(ct, x):
        return ct * (1 - x * x)

    def exact(ct, x):
        return ct / np.cosh(x) ** 2

    x = draw.values(*draw.shape(), but=WILD)
    return Made(np.tanh, vjp, (x,), {"of the input, not the output": other_output}, exact)


@family("sigmoid", single=True, tape=True)
def _sigmoid(draw: Draw) -> Made:
    def vjp(ct, x):
        y = sigmoid(x)
        return ct * y * (1 - y)

    def squared(ct, x):
        y = sigmoid(x)
        return ct * y * y

    def exact(ct, x):
        return ct / (2 * np.cosh(x / 2)) ** 2

    x = draw.values(*draw.shape(), but=WILD)
    return Made(sigmoid, vjp, (x,), {"y for 1 - y": squared}, exact)


@family("swish with a slope", single=True, tape=True)
def _swish(draw: Draw) -> Made:
    def fn(x, beta):
        return x / (1 + np.exp(-beta * x))

    def vjp(ct, x, beta):
        s = sigmoid(beta * x)
        return ct * (s + beta * x * s * (1 - s)), (ct * x * x * s * (1 - s)).sum()

    def forgets(ct, x, beta):
        s = sigmoid(beta * x)
        return ct * s, (ct * x * x * s * (1 - s)).sum()

    def mean(ct, x, beta):
        s = sigmoid(beta * x)
        return ct * (s + beta * x * s * (1 - s)), (ct * x * x * s * (1 - s)).mean()

    inputs = draw.values(*draw.shape(), but=WILD), draw.values(but=("saturated", *WILD))
    return Made(fn, vjp, inputs, {"missing term": forgets, "mean for sum": mean})


@family("softplus")
def _softplus(draw: Draw) -> Made:
    def fn(x):
        return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)

    def vjp(ct, x):
        return ct * sigmoid(x)

    def halved(ct, x):
        return ct * np.where(x > 0, 1 - np.exp(-x), np.exp(x) / (1 + np.exp(x)))

    x = draw.values(*draw.shape(), but=WILD)
    return Made(fn, vjp, (x,), {"one branch only approximately": halved})


@family("gelu, tanh", single=True, tape=True)
def _gelu(draw: Draw) -> Made:
    c, a = (2 / 3.141592653589793) ** 0.5, 0.044715

    def fn(x):
        return 0.5 * x * (1 + np.tanh(c * (x + a * x**3)))

    def vjp(ct, x):
        t = np.tanh(c * (x + a * x**3))
        return ct * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * a * x * x))

    def no_three(ct, x):
        t = np.tanh(c * (x + a * x**3))
        return ct * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + a * x * x))

    x = draw.values(*draw.shape(), but=("saturated", *WILD))
    return Made(fn, vjp, (x,), {"missing factor 3": no_three})


@family("leaky relu", single=True)
def _leaky(draw: Draw) -> Made:
    slope = draw.among(0.0, 0.01, 0.2)

    def fn(x):
        return np.where(x > 0, x, slope * x)

    def vjp(ct, x):
        return ct * np.where(x > 0, 1.0, slope)

    def other(ct, x):
        return ct * np.where(x >= 0, 1.0, slope)

    def wrong_side(ct, x):
        return ct * np.where(x < 0, 1.0, slope)

    def outside(ct, x):
        return ct * np.where(x > 0, 1.0, np.where(x == 0, 1.5, slope))

    x = draw.values(*draw.shape())
    mistakes = {"wrong side": wrong_side, "beyond both slopes at the kink": outside}
    return Made(fn, vjp, (x,), mistakes, None, (other,))


@family("power", single=True)
def _power(draw: Draw) -> Made:
    p = draw.among(1.5, 2.0, 2.5, 3.0)

    def fn(x):
        return x**p

    def vjp(ct, x):
        return ct * p * x ** (p - 1)

    def integral(ct, x):
        return ct * x ** (p + 1) / (p + 1)

    def forgets(ct, x):
        return ct * x ** (p - 1)

    x = draw.positive(*draw.shape())
    if draw.chance(0.2):
        x = x * (x > 0.6)  # the edge of the domain
    return Made(fn, vjp, (x,), {"antiderivative": integral, "missing exponent": forgets})


@family("square root of a sum of squares with eps", tape=True)
def _root(draw: Draw) -> Made:
    eps = draw.among(1e-12, 1e-8, 1e-3)

    def fn(x):
        return np.sqrt(x * x + eps)

    def vjp(ct, x):
        return ct * x / np.sqrt(x * x + eps)

    def outside(ct, x):
        return ct * x / (np.sqrt(x * x) + eps)

    x = draw.values(*draw.shape())
    return Made(fn, vjp, (x,), {"eps outside the root": outside})


@family("logarithm that refuses what is not positive", single=True)
def _log(draw: Draw) -> Made:
    def fn(x):
        if np.any(x <= 0):
            raise ValueError("x must be positive")
        return x * np.log(x)

    def vjp(ct, x):
        return ct * (np.log(x) + 1)

    def forgets(ct, x):
        return ct * np.log(x)

    return Made(fn, vjp, (draw.positive(*draw.shape()),), {"missing term": forgets})


@family("mexican hat", tape=True)
def _hat(draw: Draw) -> Made:
    width = draw.number(0.3, 2)

    def fn(x):
        u = x * x / (width * width)
        return (1 - u) * np.exp(-u / 2)

    def vjp(ct, x):
        u = x * x / (width * width)
        return ct * np.exp(-u / 2) * x * (u - 3) / (width * width)

    def not_squared(ct, x):
        u = x * x / (width * width)
        return ct * np.exp(-u / 2) * x * (u - 3) / width

    x = draw.values(*draw.shape(), but=("saturated", *WILD))
    return Made(fn, vjp, (x,), {"width not squared": not_squared})


@family("sine and cosine of two angles", single=True)
def _angles(draw: Draw) -> Made:
    def fn(a, b):
        return np.sin(a) * np.cos(b)

    def vjp(ct, a, b):
        return ct * np.cos(a) * np.cos(b), -ct * np.sin(a) * np.sin(b)

    def sign(ct, a, b):
        return ct * np.cos(a) * np.cos(b), ct * np.sin(a) * np.sin(b)

    shape = draw.shape()
    inputs = draw.values(*shape, but=WILD), draw.values(*shape, but=WILD)
    return Made(fn, vjp, inputs, {"sign of a derivative": sign})


@family("direction of a vector, arctan2")
def _arctan2(draw: Draw) -> Made:
    def fn(y, x):
        return np.arctan2(y, x)

    def vjp(ct, y, x):
        r2 = x * x + y * y
        return ct * x / r2, -ct * y / r2

    def not_squared(ct, y, x):
        r = np.sqrt(x * x + y * y)
        return ct * x / r, -ct * y / r

    def swapped(ct, y, x):
        return vjp(ct, y, x)[::-1]

    shape = draw.shape()
    x = draw.values(*shape, but=("zeros", "halves", "tiny beside"))
    y = draw.values(*shape, but=("zeros", "halves", "tiny beside"))
    return Made(fn, vjp, (y, x), {"r for r squared": not_squared, "wrong order": swapped})


@family("phase wrapped to a turn")
def _wrap(draw: Draw) -> Made:
    turn = draw.among(1.0, 6.283185307179586, 360.0)

    def fn(x):
        return np.mod(x + turn / 2, turn) - turn / 2

    def vjp(ct, x):
        return ct * np.ones_like(x)

    def wrapped(ct, x):
        return ct * fn(x)

    x = draw.values(*draw.shape(), but=("packed", "halves", "zeros")) * turn
    return Made(fn, vjp, (x,), {"the value for its derivative": wrapped})


@family("sawtooth, x times mod(x, 1)")
def _sawtooth(draw: Draw) -> Made:
    def fn(x):
        return x * np.mod(x, 1.0)

    def vjp(ct, x):
        return ct * (np.mod(x, 1.0) + x)

    def detached(ct, x):
        return ct * np.mod(x, 1.0)

    x = draw.values(*draw.shape(), but=("halves", "zeros", "packed", "tiny beside"))
    return Made(fn, vjp, (x,), {"detached branch": detached})


@family("rounding with what it leaves")
def _floor(draw: Draw) -> Made:
    steps = draw.among(1.0, 8.0, 100.0)

    def fn(x):
        return np.floor(x * steps) / steps + x * x

    def vjp(ct, x):
        return 2 * ct * x

    def straight(ct, x):
        return ct * (1 + 2 * x)

    x = draw.values(*draw.shape(), but=("halves", "zeros", "offset", *WILD))
    return Made(fn, vjp, (x,), {"straight-through": straight})


@family("clip")
def _clip(draw: Draw) -> Made:
    low, high = -draw.number(0.2, 1), draw.number(0.2, 1)

    def fn(x, w):
        return np.clip(x, low, high) * w

    def vjp(ct, x, w):
        inside = (x >= low) & (x <= high)
        return ct * w * inside, ct * np.clip(x, low, high)

    def everywhere(ct, x, w):
        return ct * w, ct * np.clip(x, low, high)

    def unclipped(ct, x, w):
        inside = (x >= low) & (x <= high)
        return ct * w * inside, ct * x

    shape = draw.shape()
    inputs = draw.values(*shape, but=("packed",)), draw.values(*shape)
    if draw.chance(0.3):
        inputs = np.where(draw.normal(*shape) > 0, high, inputs[0]), inputs[1]
    mistakes = {"no mask": everywhere, "input for clipped input": unclipped}
    return Made(fn, vjp, inputs, mistakes)


@family("larger of two")
def _maximum(draw: Draw) -> Made:
    def fn(a, b):
        return np.maximum(a, b)

    def vjp(ct, a, b):
        return ct * (a >= b), ct * (a < b)

    def second(ct, a, b):
        return ct * (a > b), ct * (a <= b)

    def shared(ct, a, b):
        return ct * ((a > b) + 0.5 * (a == b)), ct * ((a < b) + 0.5 * (a == b))

    def both(ct, a, b):
        return ct * (a >= b), ct * (a <= b)

    def nobody(ct, a, b):
        return ct * (a > b), ct * (a < b)

    def smaller(ct, a, b):
        return ct * (a < b), ct * (a >= b)

    shape = draw.shape()
    a, b = draw.tied(*shape), draw.tied(*shape)
    if draw.chance(0.3):
        b = np.where(draw.normal(*shape) > 0, a, b)
    mistakes = {"tie counted twice": both, "tie for nobody": nobody, "wrong one": smaller}
    return Made(fn, draw.among(vjp, second, shared), (a, b), mistakes, vjp, (second, shared))


# Losses --------------------------------------------------------------------------------


@family("cross-entropy of probabilities", single=True)
def _bce(draw: Draw) -> Made:
    def fn(p, t):
        return -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p))

    def vjp(ct, p, t):
        n = p.size
        return ct * (p - t) / (p * (1 - p)) / n, -ct * (np.log(p) - np.log(1 - p)) / n

    def logits(ct, p, t):
        n = p.size
        return ct * (p - t) / n, -ct * (np.log(p) - np.log(1 - p)) / n

    def summed(ct, p, t):
        g, h = vjp(ct, p, t)
        return g * p.size, h

    n = draw.size(1, 6)
    inputs = draw.probabilities(n), draw.probabilities(n)
    return Made(fn, vjp, inputs, {"gradient by the logits": logits, "sum for mean": summed})


@family("cross-entropy of probabilities that are validated")
def _validated(draw: Draw) -> Made:
    t = np.asarray(draw.ids(2, draw.size(1, 5)), dtype=float)

    def fn(p):
        if np.any(p < 0) or np.any(p > 1):
            raise ValueError("probabilities lie between 0 and 1")
        return -(t * np.log(p) + (1 - t) * np.log(1 - p)).sum()

    def vjp(ct, p):
        return ct * (-t / p + (1 - t) / (1 - p))

    def forgets(ct, p):
        return -ct * t / p

    return Made(fn, vjp, (draw.probabilities(*t.shape),), {"missing term": forgets})


@family("cross-entropy of logits", single=True)
def _bce_logits(draw: Draw) -> Made:
    shape = draw.shape()
    t = np.asarray(draw.ids(2, *shape), dtype=float)

    def fn(z):
        return np.mean(np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z))))

    def vjp(ct, z):
        return ct * (sigmoid(z) - t) / z.size

    def summed(ct, z):
        return ct * (sigmoid(z) - t)

    def no_ct(ct, z):
        return (sigmoid(z) - t) / z.size

    z = draw.values(*shape, but=WILD)
    return Made(fn, vjp, (z,), {"sum for mean": summed, "no cotangent": no_ct})


@family("hinge loss", single=True)
def _hinge(draw: Draw) -> Made:
    n = draw.size(2, 6)
    t = 2.0 * draw.ids(2, n) - 1

    def fn(s):
        return np.mean(np.maximum(0, 1 - t * s))

    def vjp(ct, s):
        return -ct * t * (t * s < 1) / n

    def closed(ct, s):
        return -ct * t * (t * s <= 1) / n

    def wrong_mask(ct, s):
        return -ct * t * (s < 1) / n

    return Made(fn, vjp, (draw.values(n),), {"wrong mask": wrong_mask}, None, (closed,))


@family("Huber loss", single=True)
def _huber(draw: Draw) -> Made:
    delta = draw.among(0.5, 1.0, 2.0)

    def fn(x, t):
        r = x - t
        small = np.abs(r) <= delta
        return np.where(small, 0.5 * r * r, delta * (np.abs(r) - 0.5 * delta)).sum()

    def vjp(ct, x, t):
        g = ct * np.clip(x - t, -delta, delta)
        return g, -g

    def unclipped(ct, x, t):
        g = ct * (x - t)
        return g, -g

    def no_delta(ct, x, t):
        r = x - t
        g = ct * np.where(np.abs(r) <= delta, r, np.sign(r))
        return g, -g

    shape = draw.shape()
    inputs = draw.values(*shape), draw.values(*shape)
    return Made(fn, vjp, inputs, {"not clipped": unclipped, "missing constant": no_delta})


@family("focal loss")
def _focal(draw: Draw) -> Made:
    gamma = draw.among(1.0, 2.0, 3.5)

    def fn(p):
        return -((1 - p) ** gamma * np.log(p)).mean()

    def vjp(ct, p):
        q = 1 - p
        return ct * (gamma * q ** (gamma - 1) * np.log(p) - q**gamma / p) / p.size

    def detached(ct, p):
        return -ct * (1 - p) ** gamma / p / p.size

    p = draw.probabilities(draw.size(1, 6))
    return Made(fn, vjp, (p,), {"detached weight": detached})


@family("Kullback-Leibler divergence")
def _kl(draw: Draw) -> Made:
    def fn(p, q):
        return (p * np.log(p / q)).sum()

    def vjp(ct, p, q):
        return ct * (np.log(p / q) + 1), -ct * p / q

    def forgets(ct, p, q):
        return ct * np.log(p / q), -ct * p / q

    def swapped(ct, p, q):
        return ct * (np.log(p / q) + 1), -ct * q / p

    n = draw.size(2, 5)
    inputs = draw.distribution(n), draw.distribution(n)
    return Made(fn, vjp, inputs, {"missing term": forgets, "p and q exchanged": swapped})


@family("cross-entropy of softmax", single=True)
def _ce(draw: Draw) -> Made:
    n, k = draw.size(1, 3), draw.size(2, 4)
    t = draw.ids(k, n)

    def fn(z):
        shifted = z - z.max(-1, keepdims=True)
        return -(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))[np.arange(n), t].mean()

    def vjp(ct, z):
        return ct * (softmax(z) - np.eye(k)[t]) / n

    def summed(ct, z):
        return ct * (softmax(z) - np.eye(k)[t])

    def no_target(ct, z):
        return ct * softmax(z) / n

    def next_target(ct, z):
        return ct * (softmax(z) - np.eye(k)[(t + 1) % k]) / n

    mistakes = {"sum for mean": summed, "missing term": no_target, "off by one": next_target}
    return Made(fn, vjp, (draw.values(n, k, but=WILD),), mistakes)


@family("entropy of softmax", tape=True)
def _entropy(draw: Draw) -> Made:
    def fn(z):
        e = np.exp(z - z.max(-1, keepdims=True))
        p = e / e.sum(-1, keepdims=True)
        return -(p * np.log(p)).sum(-1)

    def vjp(ct, z):
        p = softmax(z)
        h = -(p * np.log(p)).sum(-1, keepdims=True)
        return -np.expand_dims(ct, -1) * p * (np.log(p) + h)

    def forgets(ct, z):
        p = softmax(z)
        return -np.expand_dims(ct, -1) * p * (np.log(p) + 1)

    z = draw.values(draw.size(1, 2), draw.size(2, 4), but=WILD)
    return Made(fn, vjp, (z,), {"missing term": forgets})


@family("squared error with a small L1 penalty")
def _penalty(draw: Draw) -> Made:
    lam = draw.power_of_ten(-12, -2)
    scale = draw.among(0.5, 1.0, 50.0)
    a = draw.normal(draw.size(2, 4), draw.size(2, 5))

    def fn(w):
        return scale * ((a @ w) ** 2).sum() + lam * np.abs(w).sum()

    def vjp(ct, w):
        return ct * (2 * scale * a.T @ (a @ w) + lam * np.sign(w))

    def dropped(ct, w):
        return ct * (2 * scale * a.T @ (a @ w))

    def no_two(ct, w):
        return ct * (scale * a.T @ (a @ w) + lam * np.sign(w))

    def squared(ct, w):
        return ct * (2 * scale * a.T @ (a @ w) + 2 * lam * w)

    w = draw.values(a.shape[1], but=("zeros",))
    mistakes = {"dropped penalty": dropped, "missing factor 2": no_two, "L2 for L1": squared}
    return Made(fn, vjp, (w,), mistakes)


@family("weighted squared error", single=True, tape=True)
def _mse(draw: Draw) -> Made:
    def fn(x, t, w):
        return (w * (x - t) * (x - t)).mean()

    def vjp(ct, x, t, w):
        r = x - t
        return 2 * ct * w * r / r.size, -2 * ct * w * r / r.size, (ct * r * r / r.size).sum(0)

    def no_reduction(ct, x, t, w):
        g, h, _ = vjp(ct, x, t, w)
        return g, h, (ct * (x - t) ** 2 / x.size).mean(0)

    def same_sign(ct, x, t, w):
        g, _, h = vjp(ct, x, t, w)
        return g, g, h

    def no_two(ct, x, t, w):
        g, h, k = vjp(ct, x, t, w)
        return g / 2, h / 2, k

    n, k = draw.size(2, 3), draw.size(1, 3)
    inputs = draw.values(n, k), draw.values(n, k), draw.values(k)
    mistakes = {"mean for sum": no_reduction, "sign": same_sign, "missing factor 2": no_two}
    return Made(fn, vjp, inputs, mistakes)
