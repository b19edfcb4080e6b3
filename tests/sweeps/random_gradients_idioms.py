"""Functions in NumPy idioms that complex steps do not survive, and ones that refuse inputs.

As in random_gradients_functions.py, numbers are drawn by ``draw``, and gradients are written as
people write them.
"""

import math

import numpy as np
from sweeps.random_gradients_drawing import WILD, Draw, Made
from sweeps.random_gradients_functions import family


@family("filled in by a loop")
def _loop(draw: Draw) -> Made:
    n = draw.size(2, 5)

    def fn(x, k):
        out = np.zeros(n)
        for i in range(n):
            out[i] = x[i] * x[i - 1] + k * x[i] ** 2
        return out

    def vjp(ct, x, k):
        dx = np.zeros(n)
        for i in range(n):
            dx[i] += ct[i] * (x[i - 1] + 2 * k * x[i])
            dx[i - 1] += ct[i] * x[i]
        return dx, (ct * x * x).sum()

    def no_neighbor(ct, x, k):
        return ct * (np.roll(x, 1) + 2 * k * x), (ct * x * x).sum()

    def not_wrapped(ct, x, k):
        dx = ct * (np.roll(x, 1) + 2 * k * x)
        dx[:-1] += ct[1:] * x[1:]
        return dx, (ct * x * x).sum()

    inputs = draw.values(n), draw.values(but=("packed",))
    mistakes = {"missing term": no_neighbor, "missing term at the edge": not_wrapped}
    return Made(fn, vjp, inputs, mistakes)


@family("by the functions of math")
def _math(draw: Draw) -> Made:
    def fn(x):
        return sum(math.exp(-(v**2)) * math.sin(3 * v) for v in x)

    def vjp(ct, x):
        return ct * np.exp(-(x**2)) * (3 * np.cos(3 * x) - 2 * x * np.sin(3 * x))

    def no_three(ct, x):
        return ct * np.exp(-(x**2)) * (np.cos(3 * x) - 2 * x * np.sin(3 * x))

    x = draw.values(draw.size(1, 5), but=("saturated", *WILD))
    return Made(fn, vjp, (x,), {"missing factor 3": no_three})


@family("hypotenuse", single=True)
def _hypotenuse(draw: Draw) -> Made:
    def fn(a, b):
        return np.hypot(a, b)

    def vjp(ct, a, b):
        r = np.hypot(a, b)
        return ct * a / r, ct * b / r

    def exchanged(ct, a, b):
        return vjp(ct, a, b)[::-1]

    shape = draw.shape()
    but = ("zeros", "halves", "tiny beside")
    inputs = draw.values(*shape, but=but), draw.values(*shape, but=but)
    return Made(fn, vjp, inputs, {"wrong order": exchanged})


@family("standard score by numpy.std")
def _score(draw: Draw) -> Made:
    def fn(x):
        return (x - np.mean(x)) / np.std(x)

    def vjp(ct, x):
        z = fn(x)
        return (ct - ct.mean() - z * (ct * z).mean()) / np.std(x)

    def detached(ct, x):
        return (ct - ct.mean()) / np.std(x)

    def no_mean(ct, x):
        z = fn(x)
        return (ct - z * (ct * z).mean()) / np.std(x)

    x = draw.values(draw.size(3, 6), but=("zeros", "halves", "tiny beside"))
    return Made(
        fn, vjp, (x,), {"detached deviation": detached, "missing term of the mean": no_mean}
    )


@family("running maximum")
def _running(draw: Draw) -> Made:
    def fn(x):
        return np.maximum.accumulate(x)

    def vjp(ct, x):
        g, best = np.zeros_like(x), 0
        for i in range(len(x)):
            best = i if x[i] > x[best] else best
            g[best] += ct[i]
        return g

    def overwritten(ct, x):
        g, best = np.zeros_like(x), 0
        for i in range(len(x)):
            best = i if x[i] > x[best] else best
            g[best] = ct[i]
        return g

    def itself(ct, x):
        return ct * (x == np.maximum.accumulate(x))

    x = draw.tied(draw.size(2, 5))
    mistakes = {"overwritten, not added": overwritten, "only where it is reached": itself}
    return Made(fn, vjp, (x,), mistakes, vjp)


@family("total variation")
def _variation(draw: Draw) -> Made:
    n, lam = draw.size(2, 5), draw.power_of_ten(-10, 0)
    target = draw.normal(n)

    def fn(x):
        return ((x - target) ** 2).sum() + lam * np.abs(np.diff(x)).sum()

    def vjp(ct, x):
        s = np.sign(np.diff(x))
        g = 2 * (x - target)
        g[1:] += lam * s
        g[:-1] -= lam * s
        return ct * g

    def one_side(ct, x):
        g = 2 * (x - target)
        g[1:] += lam * np.sign(np.diff(x))
        return ct * g

    def dropped(ct, x):
        return 2 * ct * (x - target)

    x = draw.values(n, but=("zeros", "tiny beside"))
    return Made(fn, vjp, (x,), {"one end only": one_side, "dropped penalty": dropped})


@family("product of all")
def _product(draw: Draw) -> Made:
    def fn(x):
        return np.prod(x)

    def vjp(ct, x):
        return ct * np.array([np.prod(np.delete(x, i)) for i in range(len(x))])

    def itself(ct, x):
        return ct * np.prod(x) * np.ones_like(x)

    x = draw.values(draw.size(2, 5), but=("tiny beside",))
    return Made(fn, vjp, (x,), {"not divided": itself})


@family("rotation by an angle")
def _rotation(draw: Draw) -> Made:
    def matrix(a):
        return np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])

    def fn(p, a):
        return p @ matrix(a).T

    def vjp(ct, p, a):
        slope = np.array([[-np.sin(a), -np.cos(a)], [np.cos(a), -np.sin(a)]])
        return ct @ matrix(a), (ct * (p @ slope.T)).sum()

    def inverse(ct, p, a):
        return ct @ matrix(a).T, vjp(ct, p, a)[1]

    def sign(ct, p, a):
        da = (ct * (p @ np.array([[-np.sin(a), np.cos(a)], [np.cos(a), -np.sin(a)]]).T)).sum()
        return ct @ matrix(a), da

    inputs = draw.values(draw.size(1, 3), 2), draw.values(but=WILD)
    return Made(fn, vjp, inputs, {"not transposed": inverse, "sign of a derivative": sign})


@family("cross-entropy of a distribution that is validated")
def _distribution(draw: Draw) -> Made:
    n = draw.size(2, 5)
    t = draw.ids(n)
    strict = draw.chance(0.2)

    def fn(p):
        if np.any(p <= 0) or (strict and abs(p.sum() - 1) > 1e-6):
            raise ValueError("p must be a distribution")
        return -np.log(p[t] / p.sum())

    def vjp(ct, p):
        return ct * (1 / p.sum() - np.eye(n)[t] / p[t])

    def not_normalized(ct, p):
        return -ct * np.eye(n)[t] / p[t]

    return Made(fn, vjp, (draw.distribution(n),), {"missing term": not_normalized})


@family("stress beside a limit, which raises above it")
def _stress(draw: Draw) -> Made:
    limit = draw.power_of_ten(0, 6)

    def fn(x):
        if np.any(x > limit):
            raise ArithmeticError("the limit is exceeded")
        return np.sqrt(limit - x) * x

    def vjp(ct, x):
        r = np.sqrt(limit - x)
        return ct * (r - x / (2 * r))

    def forgets(ct, x):
        return ct * np.sqrt(limit - x)

    margin = draw.among(1.0, 1.0, 1e-3, 1e-6, 1e-9)
    x = limit * (1 - margin * draw.rng.uniform(0.2, 0.9, draw.size(1, 4)))
    return Made(fn, vjp, (x,), {"missing term": forgets})
