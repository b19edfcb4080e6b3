"""Layers, indexing, linear algebra, recurrences and physics, for random_gradients.py.

As in random_gradients_functions.py, numbers are drawn by ``draw``, and gradients are written as
people write them.
"""

import numpy as np
from sweeps.random_gradients_drawing import WILD, Draw, Made
from sweeps.random_gradients_functions import family, sigmoid, softmax

# Norms and normalizations ---------------------------------------------------------------


@family("length of a vector", single=True)
def _length(draw: Draw) -> Made:
    def fn(x):
        return np.sqrt((x * x).sum(-1))

    def vjp(ct, x):
        return np.expand_dims(ct / np.sqrt((x * x).sum(-1)), -1) * x

    def squared(ct, x):
        return np.expand_dims(ct, -1) * 2 * x

    def not_divided(ct, x):
        return np.expand_dims(ct, -1) * x

    x = draw.values(draw.size(1, 2), draw.size(1, 4))
    mistakes = {"of the squared length": squared, "not divided by the length": not_divided}
    return Made(fn, vjp, (x,), mistakes)


@family("numpy.linalg.norm")
def _norm(draw: Draw) -> Made:
    def vjp(ct, x):
        return ct * x / np.sqrt((x * x).sum())

    def squared(ct, x):
        return ct * x / (x * x).sum()

    def fn(x):
        return np.linalg.norm(x)

    return Made(fn, vjp, (draw.values(draw.size(1, 6)),), {"divided by the square": squared})


@family("p-norm")
def _p_norm(draw: Draw) -> Made:
    p = draw.among(1.5, 3.0, 4.0)

    def fn(x):
        return (np.abs(x) ** p).sum() ** (1 / p)

    def vjp(ct, x):
        total = (np.abs(x) ** p).sum()
        return ct * np.sign(x) * np.abs(x) ** (p - 1) * total ** (1 / p - 1)

    def no_sign(ct, x):
        return np.abs(vjp(1.0, x)) * ct

    def inner(ct, x):
        return ct * p * np.sign(x) * np.abs(x) ** (p - 1)

    x = draw.values(draw.size(2, 6))
    return Made(fn, vjp, (x,), {"sign forgotten": no_sign, "outer power forgotten": inner})


@family("unit vector", single=True, tape=True)
def _unit(draw: Draw) -> Made:
    eps = draw.among(0.0, 1e-8, 1e-3)

    def fn(x):
        return x / np.sqrt((x * x).sum(-1, keepdims=True) + eps)

    def vjp(ct, x):
        r = np.sqrt((x * x).sum(-1, keepdims=True) + eps)
        y = x / r
        return (ct - y * (ct * y).sum(-1, keepdims=True)) / r

    def detached(ct, x):
        return ct / np.sqrt((x * x).sum(-1, keepdims=True) + eps)

    x = draw.values(draw.size(1, 2), draw.size(2, 4))
    return Made(fn, vjp, (x,), {"detached length": detached})


@family("cosine similarity", single=True)
def _cosine(draw: Draw) -> Made:
    def parts(a, b):
        return np.sqrt((a * a).sum()), np.sqrt((b * b).sum())

    def fn(a, b):
        na, nb = parts(a, b)
        return (a * b).sum() / (na * nb)

    def vjp(ct, a, b):
        na, nb = parts(a, b)
        c = (a * b).sum() / (na * nb)
        return ct * (b / nb - c * a / na) / na, ct * (a / na - c * b / nb) / nb

    def detached(ct, a, b):
        na, nb = parts(a, b)
        return ct * b / (na * nb), ct * a / (na * nb)

    def one(ct, a, b):
        return vjp(ct, a, b)[0], vjp(ct, a, b)[0]

    n = draw.size(2, 5)
    inputs = draw.values(n), draw.values(n)
    return Made(fn, vjp, inputs, {"detached lengths": detached, "one gradient twice": one})


@family("layer norm", single=True, tape=True)
def _layer_norm(draw: Draw) -> Made:
    eps = draw.among(1e-12, 1e-5, 1e-3)

    def hat(x):
        c = x - x.mean(-1, keepdims=True)
        s = np.sqrt((c * c).mean(-1, keepdims=True) + eps)
        return c / s, s

    def fn(x, w, b):
        c = x - x.mean(-1, keepdims=True)
        return c / np.sqrt((c * c).mean(-1, keepdims=True) + eps) * w + b

    def vjp(ct, x, w, b):
        h, s = hat(x)
        g = ct * w
        m, v = g.mean(-1, keepdims=True), (g * h).mean(-1, keepdims=True)
        return (g - m - h * v) / s, (ct * h).sum(0), ct.sum(0)

    def no_mean(ct, x, w, b):
        h, s = hat(x)
        g = ct * w
        return (g - h * (g * h).mean(-1, keepdims=True)) / s, (ct * h).sum(0), ct.sum(0)

    def no_variance(ct, x, w, b):
        h, s = hat(x)
        g = ct * w
        return (g - g.mean(-1, keepdims=True)) / s, (ct * h).sum(0), ct.sum(0)

    def eps_outside(ct, x, w, b):
        h, s = hat(x)
        g = ct * w
        m, v = g.mean(-1, keepdims=True), (g * h).mean(-1, keepdims=True)
        return (g - m - h * v) / (np.sqrt(s * s - eps) + eps), (ct * h).sum(0), ct.sum(0)

    def mean(ct, x, w, b):
        return vjp(ct, x, w, b)[0], (ct * hat(x)[0]).mean(0), ct.mean(0)

    def not_reduced(ct, x, w, b):
        return vjp(ct, x, w, b)[0], ct * hat(x)[0], ct

    n, d = draw.size(1, 3), draw.size(2, 4)
    x = draw.values(n, d, but=("packed",))
    mistakes = {
        "missing term of the mean": no_mean,
        "missing term of the variance": no_variance,
        "eps outside the root": eps_outside,
        "mean for sum": mean,
        "not reduced": not_reduced,
    }
    return Made(fn, vjp, (x, draw.values(d, but=WILD), draw.normal(d)), mistakes)


@family("batch norm")
def _batch_norm(draw: Draw) -> Made:
    eps = 1e-5

    def fn(x, w):
        return (x - x.mean(0)) / np.sqrt(x.var(0) + eps) * w

    def vjp(ct, x, w):
        n = len(x)
        s = np.sqrt(x.var(0) + eps)
        h = (x - x.mean(0)) / s
        g = ct * w
        dw = (ct * h).sum(0)
        return (n * g - g.sum(0) - h * (g * h).sum(0)) / (n * s), dw

    def biased(ct, x, w):
        n = len(x)
        s = np.sqrt(x.var(0) + eps)
        h = (x - x.mean(0)) / s
        g = ct * w
        return (n * g - g.sum(0) - h * (g * h).sum(0)) / ((n - 1) * s), (ct * h).sum(0)

    def detached(ct, x, w):
        s = np.sqrt(x.var(0) + eps)
        return ct * w / s, (ct * (x - x.mean(0)) / s).sum(0)

    n, d = draw.size(2, 4), draw.size(1, 3)
    inputs = draw.values(n, d, but=("packed",)), draw.normal(d)
    return Made(fn, vjp, inputs, {"n - 1 for n": biased, "detached statistics": detached})


@family("root mean square norm", single=True, tape=True)
def _rms(draw: Draw) -> Made:
    eps = draw.among(1e-8, 1e-5)

    def fn(x, w):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w

    def vjp(ct, x, w):
        s = np.sqrt((x * x).mean(-1, keepdims=True) + eps)
        h = x / s
        g = ct * w
        return (g - h * (g * h).mean(-1, keepdims=True)) / s, (ct * h).sum(0)

    def summed(ct, x, w):
        s = np.sqrt((x * x).mean(-1, keepdims=True) + eps)
        h = x / s
        g = ct * w
        return (g - h * (g * h).sum(-1, keepdims=True)) / s, (ct * h).sum(0)

    n, d = draw.size(1, 2), draw.size(2, 4)
    return Made(fn, vjp, (draw.values(n, d), draw.normal(d)), {"sum for mean": summed})


# Softmax and attention ------------------------------------------------------------------


@family("softmax", single=True, tape=True)
def _softmax(draw: Draw) -> Made:
    def fn(x):
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    def vjp(ct, x):
        y = softmax(x)
        return y * (ct - (ct * y).sum(-1, keepdims=True))

    def diagonal(ct, x):
        y = softmax(x)
        return ct * y * (1 - y)

    x = draw.values(draw.size(1, 2), draw.size(2, 4), but=("packed", "large"))
    return Made(fn, vjp, (x,), {"diagonal of the Jacobian only": diagonal})


@family("log softmax", single=True)
def _log_softmax(draw: Draw) -> Made:
    def fn(x):
        shifted = x - x.max(-1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))

    def vjp(ct, x):
        return ct - softmax(x) * ct.sum(-1, keepdims=True)

    def not_summed(ct, x):
        return ct - softmax(x) * ct

    x = draw.values(draw.size(1, 2), draw.size(2, 4), but=("packed", "large"))
    return Made(fn, vjp, (x,), {"cotangent not summed": not_summed})


@family("pool by log-sum-exp", single=True, tape=True)
def _pool(draw: Draw) -> Made:
    t = draw.among(0.1, 1.0, 10.0)

    def fn(x):
        m = (x / t).max(-1, keepdims=True)
        return t * (np.log(np.exp(x / t - m).sum(-1)) + m[..., 0])

    def vjp(ct, x):
        return np.expand_dims(ct, -1) * softmax(x / t)

    def temperature(ct, x):
        return t * np.expand_dims(ct, -1) * softmax(x / t)

    x = draw.values(draw.size(1, 2), draw.size(2, 4), but=("packed", "large"))
    return Made(fn, vjp, (x,), {"temperature twice": temperature})


@family("attention")
def _attention(draw: Draw) -> Made:
    n, d = draw.size(2, 3), 2
    causal = draw.chance(0.5)
    mask = np.tril(np.ones((n, n))) > 0 if causal else np.ones((n, n)) > 0

    def weights(q, k):
        return softmax(np.where(mask, q @ k.T / d**0.5, -1e30))

    def fn(q, k, v):
        return weights(q, k) @ v

    def parts(ct, q, k, v):
        a = weights(q, k)
        da = ct @ v.T
        return a, a * (da - (da * a).sum(-1, keepdims=True)) / d**0.5

    def vjp(ct, q, k, v):
        a, ds = parts(ct, q, k, v)
        return ds @ k, ds.T @ q, a.T @ ct

    def no_scale(ct, q, k, v):
        a, ds = parts(ct, q, k, v)
        return ds @ k * d**0.5, ds.T @ q * d**0.5, a.T @ ct

    def not_transposed(ct, q, k, v):
        a, ds = parts(ct, q, k, v)
        return ds @ k, ds @ q, a.T @ ct

    def exchanged(ct, q, k, v):
        a, ds = parts(ct, q, k, v)
        return ds.T @ q, ds @ k, a.T @ ct

    inputs = tuple(draw.values(n, d, but=("offset", *WILD)) for _ in range(3))
    mistakes = {
        "missing scale": no_scale,
        "not transposed": not_transposed,
        "queries and keys exchanged": exchanged,
    }
    return Made(fn, vjp, inputs, mistakes)


# Linear layers --------------------------------------------------------------------------


@family("linear layer", single=True, tape=True)
def _linear(draw: Draw) -> Made:
    def fn(x, w, b):
        return x @ w.T + b

    def vjp(ct, x, w, b):
        return ct @ w, ct.T @ x, ct.sum(0)

    def transposed(ct, x, w, b):
        return ct @ (w.T if w.shape[0] == w.shape[1] else w), ct.T @ x, ct.sum(0)

    def mean(ct, x, w, b):
        return ct @ w, ct.T @ x / len(x), ct.mean(0)

    def first(ct, x, w, b):
        return ct @ w, ct.T @ x, ct[0]

    def not_reduced(ct, x, w, b):
        return ct @ w, ct.T @ x, ct

    n, d, k = draw.size(1, 3), draw.size(1, 3), draw.size(1, 3)
    inputs = draw.values(n, d), draw.values(k, d), draw.values(k)
    mistakes = {
        "transposed weight": transposed,
        "mean for sum": mean,
        "first row only": first,
        "not reduced": not_reduced,
    }
    return Made(fn, vjp, inputs, mistakes)


@family("two layers with tanh", single=True, tape=True)
def _network(draw: Draw) -> Made:
    def fn(x, w, u):
        return np.tanh(x @ w) @ u

    def vjp(ct, x, w, u):
        y = np.tanh(x @ w)
        d = (ct @ u.T) * (1 - y * y)
        return d @ w.T, x.T @ d, y.T @ ct

    def no_activation(ct, x, w, u):
        y = np.tanh(x @ w)
        d = ct @ u.T
        return d @ w.T, x.T @ d, y.T @ ct

    def stale(ct, x, w, u):
        y = np.tanh(x @ w)
        d = (ct @ u.T) * (1 - y * y)
        return d @ w.T, x.T @ d, (x @ w).T @ ct

    n, d, h, k = (draw.size(1, 2) for _ in range(4))
    but = ("saturated", *WILD)
    inputs = draw.values(n, d, but=but), draw.values(d, h, but=but), draw.values(h, k, but=but)
    mistakes = {"missing derivative": no_activation, "before the activation": stale}
    return Made(fn, vjp, inputs, mistakes)


@family("bilinear form by einsum")
def _bilinear(draw: Draw) -> Made:
    def fn(a, w, b):
        return np.einsum("ni,oij,nj->no", a, w, b)

    def vjp(ct, a, w, b):
        return (
            np.einsum("no,oij,nj->ni", ct, w, b),
            np.einsum("no,ni,nj->oij", ct, a, b),
            np.einsum("no,oij,ni->nj", ct, w, a),
        )

    def transposed(ct, a, w, b):
        da, dw, db = vjp(ct, a, w, b)
        return da, dw.swapaxes(1, 2) if dw.shape[1] == dw.shape[2] else dw, db

    n, o, i, j = (draw.size(1, 2) for _ in range(4))
    inputs = draw.values(n, i), draw.values(o, i, j), draw.values(n, j)
    return Made(fn, vjp, inputs, {"transposed weight": transposed})


@family("quadratic form")
def _quadratic(draw: Draw) -> Made:
    def fn(x, a):
        return x @ a @ x

    def vjp(ct, x, a):
        return ct * (a + a.T) @ x, ct * np.outer(x, x)

    def symmetric(ct, x, a):
        return ct * 2 * a @ x, ct * np.outer(x, x)

    def once(ct, x, a):
        return ct * a @ x, ct * np.outer(x, x)

    n = draw.size(2, 3)
    inputs = draw.values(n), draw.values(n, n)
    return Made(fn, vjp, inputs, {"as if symmetric": symmetric, "missing term": once})


@family("convolution by a loop")
def _convolution(draw: Draw) -> Made:
    n, k = draw.size(3, 6), draw.size(1, 3)
    stride = draw.size(1, 2)
    starts = range(0, n - k + 1, stride)

    def fn(x, w):
        return np.stack([(x[i : i + k] * w).sum() for i in starts])

    def vjp(ct, x, w):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for c, i in zip(ct, starts, strict=True):
            dx[i : i + k] += c * w
            dw += c * x[i : i + k]
        return dx, dw

    def overwritten(ct, x, w):
        dx = np.zeros_like(x)
        for c, i in zip(ct, starts, strict=True):
            dx[i : i + k] = c * w
        return dx, vjp(ct, x, w)[1]

    def flipped(ct, x, w):
        return vjp(ct, x, w[::-1])

    inputs = draw.values(n), draw.values(k)
    return Made(fn, vjp, inputs, {"overwritten, not added": overwritten, "flipped": flipped})


# Linear algebra -------------------------------------------------------------------------


def well_conditioned(draw: Draw, n: int):
    return draw.normal(n, n) + 3 * np.eye(n)


@family("solving a linear system")
def _solve(draw: Draw) -> Made:
    def fn(a, b):
        return np.linalg.solve(a, b)

    def vjp(ct, a, b):
        lam = np.linalg.solve(a.T, ct)
        return -np.outer(lam, np.linalg.solve(a, b)), lam

    def not_transposed(ct, a, b):
        lam = np.linalg.solve(a, ct)
        return -np.outer(lam, np.linalg.solve(a, b)), lam

    def positive(ct, a, b):
        da, db = vjp(ct, a, b)
        return -da, db

    n = draw.size(1, 3)
    inputs = well_conditioned(draw, n), draw.values(n)
    return Made(fn, vjp, inputs, {"not transposed": not_transposed, "sign": positive})


@family("inverse of a matrix")
def _inverse(draw: Draw) -> Made:
    def vjp(ct, a):
        y = np.linalg.inv(a)
        return -y.T @ ct @ y.T

    def not_transposed(ct, a):
        y = np.linalg.inv(a)
        return -y @ ct @ y

    def fn(a):
        return np.linalg.inv(a)

    a = well_conditioned(draw, draw.size(2, 3))
    return Made(fn, vjp, (a,), {"not transposed": not_transposed})


@family("logarithm of a determinant")
def _logdet(draw: Draw) -> Made:
    def fn(a):
        return np.log(np.linalg.det(a))

    def vjp(ct, a):
        return ct * np.linalg.inv(a).T

    def not_transposed(ct, a):
        return ct * np.linalg.inv(a)

    def of_det(ct, a):
        return ct * np.linalg.det(a) * np.linalg.inv(a).T

    a = well_conditioned(draw, draw.size(2, 3))
    a[0] *= np.sign(np.linalg.det(a))
    mistakes = {"not transposed": not_transposed, "of the determinant": of_det}
    return Made(fn, vjp, (a,), mistakes)


@family("Gaussian likelihood by Cholesky")
def _cholesky(draw: Draw) -> Made:
    n = draw.size(1, 3)
    m = draw.normal(n, n)
    k = m @ m.T + np.eye(n)

    def fn(x, s):
        chol = np.linalg.cholesky(k + s * np.eye(n))
        z = np.linalg.solve(chol, x)
        return 0.5 * (z * z).sum() + np.log(np.diag(chol)).sum()

    def vjp(ct, x, s):
        inv = np.linalg.inv(k + s * np.eye(n))
        a = inv @ x
        return ct * a, 0.5 * ct * (np.trace(inv) - a @ a)

    def no_half(ct, x, s):
        inv = np.linalg.inv(k + s * np.eye(n))
        a = inv @ x
        return ct * a, ct * (0.5 * np.trace(inv) - a @ a)

    def no_determinant(ct, x, s):
        a = np.linalg.solve(k + s * np.eye(n), x)
        return ct * a, -0.5 * ct * (a @ a)

    inputs = draw.values(n), np.asarray(draw.power_of_ten(-6, 0))
    mistakes = {"missing factor 2": no_half, "missing term": no_determinant}
    return Made(fn, vjp, inputs, mistakes)


# Indexing and order ---------------------------------------------------------------------


@family("embedding", single=True)
def _embedding(draw: Draw) -> Made:
    rows = draw.size(2, 3)
    ids = draw.ids(rows, draw.size(2, 4))

    def fn(table, ids):
        return table[ids]

    def vjp(ct, table, ids):
        g = np.zeros_like(table)
        np.add.at(g, ids, ct)
        return g

    def overwritten(ct, table, ids):
        g = np.zeros_like(table)
        g[ids] = ct
        return g

    def buffered(ct, table, ids):
        g = np.zeros_like(table)
        g[ids] += ct
        return g

    def shifted(ct, table, ids):
        g = np.zeros_like(table)
        np.add.at(g, (ids + 1) % rows, ct)
        return g

    table = draw.values(rows, draw.size(1, 3))
    mistakes = {
        "duplicates overwritten": overwritten,
        "duplicates buffered": buffered,
        "off by one": shifted,
    }
    return Made(fn, vjp, (table, ids), mistakes)


@family("mean of each segment")
def _segments(draw: Draw) -> Made:
    groups, n = draw.size(1, 3), draw.size(2, 6)
    ids = draw.ids(groups, n)
    counts = np.maximum(np.bincount(ids, minlength=groups), 1)

    def fn(x):
        return np.stack([x[ids == i].sum() / counts[i] for i in range(groups)])

    def vjp(ct, x):
        return (ct / counts)[ids]

    def summed(ct, x):
        return ct[ids]

    def all_of_them(ct, x):
        return (ct / n)[ids]

    x = draw.values(n)
    return Made(fn, vjp, (x,), {"sum for mean": summed, "wrong count": all_of_them})


@family("flipped, shifted and joined")
def _joined(draw: Draw) -> Made:
    def fn(a, b):
        return np.concatenate([a[::-1], np.roll(b, 1), a * b])

    def vjp(ct, a, b):
        n = len(a)
        first, second, third = ct[:n], ct[n : 2 * n], ct[2 * n :]
        return first[::-1] + third * b, np.roll(second, -1) + third * a

    def not_flipped(ct, a, b):
        n = len(a)
        return ct[:n] + ct[2 * n :] * b, vjp(ct, a, b)[1]

    def wrong_way(ct, a, b):
        n = len(a)
        return vjp(ct, a, b)[0], np.roll(ct[n : 2 * n], 1) + ct[2 * n :] * a

    n = draw.size(2, 4)
    inputs = draw.values(n), draw.values(n)
    return Made(fn, vjp, inputs, {"not flipped back": not_flipped, "shifted twice": wrong_way})


@family("sorted, with weights")
def _sorted(draw: Draw) -> Made:
    w = draw.normal(draw.size(2, 5))

    def fn(x):
        return np.sort(x) * w

    def vjp(ct, x):
        g = np.zeros_like(x)
        g[np.argsort(x, kind="stable")] = ct * w
        return g

    def permuted(ct, x):
        return (ct * w)[np.argsort(x, kind="stable")]

    x = draw.values(*w.shape, but=("zeros", "halves"))
    return Made(fn, vjp, (x,), {"permutation for its inverse": permuted})


@family("median")
def _median(draw: Draw) -> Made:
    def fn(x):
        return np.median(x)

    def vjp(ct, x):
        n, order = len(x), np.argsort(x, kind="stable")
        g = np.zeros_like(x)
        g[order[n // 2]] += ct / 2
        g[order[(n - 1) // 2]] += ct / 2
        return g

    def upper(ct, x):
        g = np.zeros_like(x)
        g[np.argsort(x, kind="stable")[len(x) // 2]] = ct
        return g

    x = draw.values(draw.size(1, 6), but=("zeros", "halves"))
    return Made(fn, vjp, (x,), {"upper of two only": upper})


@family("largest of a row, tied or not")
def _largest(draw: Draw) -> Made:
    def fn(x):
        return x.max(-1)

    def at(x, ct, which):
        g = np.zeros_like(x)
        g[np.arange(len(x)), which] = ct
        return g

    def vjp(ct, x):
        return at(x, ct, x.argmax(-1))

    def last(ct, x):
        return at(x, ct, x.shape[1] - 1 - x[:, ::-1].argmax(-1))

    def shared(ct, x):
        mask = x == x.max(-1, keepdims=True)
        return ct[:, None] * mask / mask.sum(-1, keepdims=True)

    def everybody(ct, x):
        return ct[:, None] * (x == x.max(-1, keepdims=True))

    def nobody(ct, x):
        mask = x == x.max(-1, keepdims=True)
        return ct[:, None] * mask * (mask.sum(-1, keepdims=True) == 1)

    def smallest(ct, x):
        return at(x, ct, x.argmin(-1))

    x = draw.tied(draw.size(1, 3), draw.size(2, 4))
    mistakes = {
        "tie counted twice": everybody,
        "tie for nobody": nobody,
        "argmin for argmax": smallest,
    }
    return Made(fn, draw.among(vjp, last, shared), (x,), mistakes, vjp, (last, shared))


@family("pool by maximum, windows that overlap")
def _max_pool(draw: Draw) -> Made:
    n, k = draw.size(3, 6), 2

    def fn(x):
        return np.stack([x[i : i + k].max() for i in range(n - k + 1)])

    def vjp(ct, x):
        g = np.zeros_like(x)
        for i, c in enumerate(ct):
            g[i + x[i : i + k].argmax()] += c
        return g

    def overwritten(ct, x):
        g = np.zeros_like(x)
        for i, c in enumerate(ct):
            g[i + x[i : i + k].argmax()] = c
        return g

    def averaged(ct, x):
        g = np.zeros_like(x)
        for i, c in enumerate(ct):
            g[i : i + k] += c / k
        return g

    def everybody(ct, x):
        g = np.zeros_like(x)
        for i, c in enumerate(ct):
            g[i : i + k] += c * (x[i : i + k] == x[i : i + k].max())
        return g

    x = draw.tied(n)
    mistakes = {
        "overwritten, not added": overwritten,
        "mean for maximum": averaged,
        "tie counted twice": everybody,
    }
    return Made(fn, vjp, (x,), mistakes, vjp)


@family("sum of the two largest")
def _top(draw: Draw) -> Made:
    def fn(x):
        return np.sort(x)[-2:].sum()

    def vjp(ct, x):
        g = np.zeros_like(x)
        g[np.argsort(x, kind="stable")[-2:]] = ct
        return g

    def first(ct, x):
        g = np.zeros_like(x)
        g[np.argmax(x)] = ct
        return g

    def third(ct, x):
        g = np.zeros_like(x)
        g[np.argsort(x, kind="stable")[-3:]] = ct
        return g

    x = draw.tied(draw.size(3, 6))
    return Made(fn, vjp, (x,), {"only one of them": first, "one too many": third}, vjp)


# Sums along the way and recurrences -----------------------------------------------------


@family("cumulative sum", single=True, tape=True)
def _cumsum(draw: Draw) -> Made:
    def fn(x):
        return np.cumsum(x, axis=-1) ** 2

    def vjp(ct, x):
        g = 2 * ct * np.cumsum(x, axis=-1)
        return np.cumsum(g[..., ::-1], axis=-1)[..., ::-1]

    def forwards(ct, x):
        return np.cumsum(2 * ct * np.cumsum(x, axis=-1), axis=-1)

    def no_two(ct, x):
        return vjp(ct, x) / 2

    x = draw.values(draw.size(2, 6))
    return Made(fn, vjp, (x,), {"not reversed": forwards, "missing factor 2": no_two})


@family("cumulative product")
def _cumprod(draw: Draw) -> Made:
    def fn(x):
        return np.cumprod(x)

    def vjp(ct, x):
        g = ct * np.cumprod(x)
        return np.cumsum(g[::-1])[::-1] / x

    def forwards(ct, x):
        return np.cumsum(ct * np.cumprod(x)) / x

    def last(ct, x):
        return ct[-1] * np.prod(x) / x

    x = draw.values(draw.size(2, 5), but=("zeros", "halves", "tiny beside"))
    return Made(fn, vjp, (x,), {"not reversed": forwards, "of the last product only": last})


@family("recurrent network")
def _recurrent(draw: Draw) -> Made:
    steps, n = draw.size(1, 4), draw.size(1, 2)

    def states(x, w, h):
        found = [h]
        for t in range(steps):
            found.append(np.tanh(w @ found[-1] + x[t]))
        return found

    def fn(x, w, h):
        return states(x, w, h)[-1]

    def backward(ct, x, w, h, keep=1.0, through=True):
        hs = states(x, w, h)
        dx, dw, d = np.zeros_like(x), np.zeros_like(w), ct
        for t in reversed(range(steps)):
            d = d * (1 - hs[t + 1] ** 2)
            dx[t] = d
            dw = dw * keep + np.outer(d, hs[t])
            d = w.T @ d if through else 0 * d
        return dx, dw, d

    def vjp(ct, x, w, h):
        return backward(ct, x, w, h)

    def overwritten(ct, x, w, h):
        return backward(ct, x, w, h, keep=0.0)

    def truncated(ct, x, w, h):
        return backward(ct, x, w, h, through=False)

    but = ("saturated", *WILD)
    inputs = draw.values(steps, n, but=but), draw.values(n, n, but=but), draw.normal(n)
    mistakes = {"overwritten, not added": overwritten, "truncated after a step": truncated}
    return Made(fn, vjp, inputs, mistakes)


@family("gated recurrent cell")
def _gru(draw: Draw) -> Made:
    def fn(x, h, u, v):
        z = sigmoid(x + u * h)
        return (1 - z) * h + z * np.tanh(x + v * h)

    def vjp(ct, x, h, u, v):
        z, c = sigmoid(x + u * h), np.tanh(x + v * h)
        dz, dc = ct * (c - h) * z * (1 - z), ct * z * (1 - c * c)
        return dz + dc, ct * (1 - z) + dz * u + dc * v, dz * h, dc * h

    def detached_gate(ct, x, h, u, v):
        z, c = sigmoid(x + u * h), np.tanh(x + v * h)
        dc = ct * z * (1 - c * c)
        return dc, ct * (1 - z) + dc * v, vjp(ct, x, h, u, v)[2], dc * h

    def no_path(ct, x, h, u, v):
        dx, dh, du, dv = vjp(ct, x, h, u, v)
        return dx, dh - ct * (1 - sigmoid(x + u * h)), du, dv

    n = draw.size(1, 3)
    but = ("saturated", *WILD)
    inputs = tuple(draw.values(n, but=but) for _ in range(4))
    return Made(fn, vjp, inputs, {"detached gate": detached_gate, "missing term": no_path})


@family("exponential moving average")
def _average(draw: Draw) -> Made:
    n = draw.size(2, 6)

    def fn(x, a):
        found, y = [], 0 * x[0]
        for t in range(n):
            y = a * y + (1 - a) * x[t]
            found.append(y)
        return np.stack(found)

    def vjp(ct, x, a):
        ys = [0 * x[0], *fn(x, a)]
        dx, da, d = np.zeros_like(x), 0 * a, 0 * a
        for t in reversed(range(n)):
            d = d + ct[t]
            dx[t] = (1 - a) * d
            da = da + d * (ys[t] - x[t])
            d = a * d
        return dx, da

    def no_history(ct, x, a):
        return (1 - a) * ct, vjp(ct, x, a)[1]

    def later(ct, x, a):
        ys = fn(x, a)
        dx, da, d = np.zeros_like(x), 0 * a, 0 * a
        for t in reversed(range(n)):
            d = d + ct[t]
            dx[t] = (1 - a) * d
            da = da + d * (ys[t] - x[t])
            d = a * d
        return dx, da

    inputs = draw.values(n), np.asarray(draw.number(0.1, 0.99))
    return Made(fn, vjp, inputs, {"no history": no_history, "off by one": later})


# Interpolation, physics, fits -----------------------------------------------------------


@family("interpolation in a table")
def _interpolation(draw: Draw) -> Made:
    n = draw.size(3, 5)
    grid = np.arange(n) * draw.among(0.5, 1.0, 1000.0)

    def fn(x, y):
        return np.interp(x, grid, y)

    def place(x):
        i = np.clip(np.searchsorted(grid, x, side="right") - 1, 0, n - 2)
        return i, (x - grid[i]) / (grid[i + 1] - grid[i])

    def vjp(ct, x, y):
        i, t = place(x)
        dy = np.zeros_like(y)
        np.add.at(dy, i, ct * (1 - t))
        np.add.at(dy, i + 1, ct * t)
        return ct * (y[i + 1] - y[i]) / (grid[i + 1] - grid[i]), dy

    def overwritten(ct, x, y):
        i, t = place(x)
        dy = np.zeros_like(y)
        dy[i] += ct * (1 - t)
        dy[i + 1] += ct * t
        return vjp(ct, x, y)[0], dy

    def no_spacing(ct, x, y):
        i, _ = place(x)
        return ct * (y[i + 1] - y[i]), vjp(ct, x, y)[1]

    x = draw.rng.uniform(0.01, 0.99, draw.size(1, 4)) * grid[-1]
    mistakes = {"duplicates buffered": overwritten, "missing spacing": no_spacing}
    return Made(fn, vjp, (x, draw.values(n)), mistakes)


@family("bilinear interpolation")
def _bilinear_image(draw: Draw) -> Made:
    def parts(image, y, x):
        i, j = int(np.floor(y)), int(np.floor(x))
        return i, j, y - i, x - j

    def fn(image, y, x):
        i, j, s, t = parts(image, y, x)
        top = image[i, j] * (1 - t) + image[i, j + 1] * t
        return top * (1 - s) + (image[i + 1, j] * (1 - t) + image[i + 1, j + 1] * t) * s

    def vjp(ct, image, y, x):
        i, j, s, t = parts(image, y, x)
        g = np.zeros_like(image)
        g[i, j], g[i, j + 1] = (1 - s) * (1 - t), (1 - s) * t
        g[i + 1, j], g[i + 1, j + 1] = s * (1 - t), s * t
        a, b, c, d = image[i, j], image[i, j + 1], image[i + 1, j], image[i + 1, j + 1]
        dy = (c - a) * (1 - t) + (d - b) * t
        return ct * g, ct * dy, ct * ((b - a) * (1 - s) + (d - c) * s)

    def exchanged(ct, image, y, x):
        g, dy, dx = vjp(ct, image, y, x)
        return g, dx, dy

    def transposed(ct, image, y, x):
        g, dy, dx = vjp(ct, image, y, x)
        return g.T, dy, dx

    image = draw.values(3, 3)
    y, x = (np.asarray(draw.number(0.02, 1.98)) for _ in range(2))
    mistakes = {"axes exchanged": exchanged, "transposed": transposed}
    return Made(fn, vjp, (image, y, x), mistakes)


@family("energy of springs")
def _springs(draw: Draw) -> Made:
    n = draw.size(2, 3)
    pairs = [(i, j) for i in range(n) for j in range(i)]
    rest = draw.number(0.5, 1.5)

    def fn(r, k):
        total = 0.0
        for i, j in pairs:
            d = r[i] - r[j]
            total = total + 0.5 * k * (np.sqrt((d * d).sum()) - rest) ** 2
        return total

    def vjp(ct, r, k):
        g, dk = np.zeros_like(r), 0 * k
        for i, j in pairs:
            d = r[i] - r[j]
            length = np.sqrt((d * d).sum())
            f = k * (length - rest) * d / length
            g[i] += f
            g[j] -= f
            dk = dk + 0.5 * (length - rest) ** 2
        return ct * g, ct * dk

    def one_end(ct, r, k):
        g = np.zeros_like(r)
        for i, j in pairs:
            d = r[i] - r[j]
            length = np.sqrt((d * d).sum())
            g[i] += k * (length - rest) * d / length
        return ct * g, vjp(ct, r, k)[1]

    def force(ct, r, k):
        g, dk = vjp(ct, r, k)
        return -g, dk

    inputs = draw.values(n, 2, but=("packed", "offset")), np.asarray(draw.power_of_ten(-3, 4))
    return Made(fn, vjp, inputs, {"one end only": one_end, "force for gradient": force})


@family("Lennard-Jones potential")
def _lennard_jones(draw: Draw) -> Made:
    def fn(r, eps, sigma):
        s = (sigma / r) ** 6
        return (4 * eps * (s * s - s)).sum()

    def vjp(ct, r, eps, sigma):
        s = (sigma / r) ** 6
        slope = 4 * eps * (12 * s * s - 6 * s)
        return -ct * slope / r, ct * (4 * (s * s - s)).sum(), ct * (slope / sigma).sum()

    def attraction(ct, r, eps, sigma):
        s = (sigma / r) ** 6
        slope = 4 * eps * (12 * s * s - 12 * s)
        return -ct * slope / r, *vjp(ct, r, eps, sigma)[1:]

    r = draw.rng.uniform(0.8, 3, draw.size(1, 4))
    inputs = r, np.asarray(draw.power_of_ten(-3, 2)), np.asarray(draw.number(0.8, 1.2))
    return Made(fn, vjp, inputs, {"constant of one term": attraction})


@family("fit of a decay, parameters packed")
def _decay(draw: Draw) -> Made:
    rate, amplitude = draw.power_of_ten(-6, -2), draw.power_of_ten(2, 6)
    t = np.linspace(0, 2 / rate, draw.size(2, 4))
    data = amplitude * np.exp(-rate * t) * (1 + 0.1 * draw.normal(*t.shape))

    def fn(p):
        return ((p[0] * np.exp(-p[1] * t) + p[2] - data) ** 2).mean()

    def vjp(ct, p):
        e = np.exp(-p[1] * t)
        r = 2 * ct * (p[0] * e + p[2] - data) / len(t)
        return np.stack([(r * e).sum(), -(r * p[0] * t * e).sum(), r.sum()])

    def sign(ct, p):
        return vjp(ct, p) * np.array([1, -1, 1])

    def no_offset(ct, p):
        return vjp(ct, p) * np.array([1, 1, 0])

    p = np.array([amplitude * draw.number(0.8, 1.2), rate * draw.number(0.8, 1.2), 0.3])
    mistakes = {"sign of a derivative": sign, "small derivative forgotten": no_offset}
    return Made(fn, vjp, (p,), mistakes)


@family("polynomial by Horner's rule")
def _horner(draw: Draw) -> Made:
    n = draw.size(2, 4)

    def fn(x, c):
        y = 0 * x
        for k in reversed(range(n)):
            y = y * x + c[k]
        return y

    def vjp(ct, x, c):
        dx = sum(k * c[k] * x ** (k - 1) for k in range(1, n))
        return ct * dx, np.stack([(ct * x**k).sum() for k in range(n)])

    def no_factor(ct, x, c):
        return ct * sum(c[k] * x ** (k - 1) for k in range(1, n)), vjp(ct, x, c)[1]

    def reversed_order(ct, x, c):
        dx, dc = vjp(ct, x, c)
        return dx, dc[::-1]

    inputs = draw.values(draw.size(1, 3), but=("zeros", "tiny beside")), draw.values(n)
    mistakes = {"exponent forgotten": no_factor, "wrong order": reversed_order}
    return Made(fn, vjp, inputs, mistakes)


@family("float32 inside")
def _float32_inside(draw: Draw) -> Made:
    back = draw.chance(0.5)

    def fn(x, w):
        kind = np.float32
        y = np.tanh(x.astype(kind)) * w.astype(kind)
        return y.astype(x.dtype) if back else y

    def vjp(ct, x, w):
        y = np.tanh(x)
        return ct * (1 - y * y) * w, ct * y

    def forgets(ct, x, w):
        return ct * w, ct * np.tanh(x)

    shape = draw.shape()
    inputs = draw.values(*shape, but=("saturated", *WILD)), draw.normal(*shape)
    return Made(fn, vjp, inputs, {"missing derivative": forgets})


# Several outputs ------------------------------------------------------------------------


@family("mean and variance, a tuple")
def _moments(draw: Draw) -> Made:
    def fn(x):
        m = x.mean(-1)
        return m, ((x - np.expand_dims(m, -1)) ** 2).mean(-1)

    def vjp(ct, x):
        dm, dv = (np.expand_dims(one, -1) for one in ct)
        n = x.shape[-1]
        return dm / n + np.zeros_like(x) + 2 * dv * (x - x.mean(-1, keepdims=True)) / n

    def first_only(ct, x):
        return np.expand_dims(ct[0], -1) / x.shape[-1] + np.zeros_like(x)

    def unbiased(ct, x):
        dm, dv = (np.expand_dims(one, -1) for one in ct)
        n = x.shape[-1]
        return dm / n + 2 * dv * (x - x.mean(-1, keepdims=True)) / (n - 1)

    x = draw.values(draw.size(1, 2), draw.size(2, 4))
    return Made(fn, vjp, (x,), {"second output ignored": first_only, "n - 1 for n": unbiased})


@family("loss and probabilities, a dict")
def _outputs(draw: Draw) -> Made:
    k = draw.size(2, 3)
    t = draw.size(0, k - 1)
    small = draw.among(1.0, 1e-4, 1e-8)

    def fn(z):
        p = softmax(z)
        return {"loss": -np.log(p[t]), "p": small * p}

    def vjp(ct, z):
        p, one = softmax(z), np.eye(k)[t]
        c = small * ct["p"]
        return ct["loss"] * (p - one) + p * (c - (c * p).sum())

    def loss_only(ct, z):
        return ct["loss"] * (softmax(z) - np.eye(k)[t])

    def exchanged(ct, z):
        p, one = softmax(z), np.eye(k)[t]
        return small * ct["loss"] * (p - one) + p * (ct["p"] - (ct["p"] * p).sum())

    mistakes = {"second output ignored": loss_only, "factor on the wrong one": exchanged}
    return Made(fn, vjp, (draw.values(k, but=WILD),), mistakes)


@family("values and a small second output, a tuple")
def _small_output(draw: Draw) -> Made:
    small = draw.power_of_ten(-9, -1)

    def fn(x, w):
        return x * w, small * np.sin(x).sum()

    def vjp(ct, x, w):
        return ct[0] * w + small * ct[1] * np.cos(x), ct[0] * x

    def ignored(ct, x, w):
        return ct[0] * w, ct[0] * x

    def negative(ct, x, w):
        return ct[0] * w - small * ct[1] * np.cos(x), ct[0] * x

    shape = draw.shape()
    inputs = draw.values(*shape, but=WILD), draw.values(*shape)
    return Made(fn, vjp, inputs, {"second output ignored": ignored, "sign": negative})
