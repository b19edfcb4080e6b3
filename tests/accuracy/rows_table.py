"""How far off what is calculated row by row is, as a share of its limit, beside torch, JAX, SciPy.

    python tests/accuracy/rows_table.py --runs 20 --write docs/accuracy_rows.txt

Softmax and its logarithms, both norms and Linear, forward and backward. The truth is each formula
as a textbook has it, in mpmath at 60 digits or more. Rows are drawn anew in every run, from a seed.
One number of a row may be tiny because large ones cancel, so most limits are a share of something
larger, such as the largest cotangent; the table names it. A peer that is not installed, or that
does not have the function, has an empty column.
"""

import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))  # where `accuracy` is, for a script

from accuracy.ulp_table import command, shown

import numixology as nx
from numixology import functional as F
from numixology.text import columns

Number = Any
#: What is right, and how far off it may be, of every number of a result in order.
Truth = list[tuple[Number, Number]]


class Case(NamedTuple):
    """What a function is given: (N, D) rows, parameters, and the cotangent of its output."""

    x: np.ndarray
    ct: np.ndarray
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None
    eps: float = 0.0


# The rows ---------------------------------------------------------------------

NORMS = ("layer_norm", "rms_norm")
WIDTHS = (1, 2, 3, 4, 7, 8, 16, 64)


def normal(rng: np.random.Generator, shape: tuple[int, int], huge: float) -> np.ndarray:
    return rng.normal(size=shape)


def winner(rng: np.random.Generator, shape: tuple[int, int], huge: float) -> np.ndarray:
    """One entry stands 60, or some hundreds, above the rest."""
    x = rng.normal(size=shape)
    x[np.arange(len(x)), rng.integers(0, shape[1], len(x))] += rng.choice([60, 200, 600])
    return x


def outlier(rng: np.random.Generator, shape: tuple[int, int], huge: float) -> np.ndarray:
    """One entry stands 1e8 above the rest."""
    x = rng.normal(size=shape)
    x[np.arange(len(x)), rng.integers(0, shape[1], len(x))] += 1e8
    return x


def near_a_sum_of_one(rng: np.random.Generator, shape: tuple[int, int], huge: float) -> np.ndarray:
    """The exponentials of a row add up to about 1, so that their logarithm is about 0."""
    x = rng.normal(size=shape) * rng.choice([0, 1])
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


Draw = Callable[[np.random.Generator, tuple[int, int], float], np.ndarray]

KINDS: dict[str, Draw] = {
    "normal": normal,
    "of one scale": lambda rng, shape, huge: normal(rng, shape, huge) * 10 ** rng.uniform(-4, 3),
    "of many scales": lambda rng, shape, huge: (
        normal(rng, shape, huge) * 10 ** rng.uniform(-9, 2, shape)
    ),
    "winner": winner,
    "outlier": outlier,
    "spread": lambda rng, shape, huge: rng.uniform(-350, 350, shape),
    "ties": lambda rng, shape, huge: rng.integers(-1, 2, shape).astype(np.float64),
    "constant": lambda rng, shape, huge: np.full(shape, rng.normal()),
    "offset": lambda rng, shape, huge: 1e4 + 1e-3 * normal(rng, shape, huge),
    "far offset": lambda rng, shape, huge: 1e8 + normal(rng, shape, huge),
    "huge": lambda rng, shape, huge: huge * normal(rng, shape, huge),
    "tiny": lambda rng, shape, huge: normal(rng, shape, huge) / huge,
    "sum of one": near_a_sum_of_one,
}


def row_cases(rng: np.random.Generator, dtype: type, function: str) -> Iterator[Case]:
    """Rows of every kind and width, in batches of 1 and of 4; some wide ones."""
    huge = 1e200 if dtype is np.float64 else 1e30
    if function in NORMS:
        huge = min(huge, 1e100)  # so that squares stay in the range
    wide = rng.choice(list(KINDS), 2)
    for kind, draw in KINDS.items():
        for width in (*WIDTHS, *([768] if kind in wide else [])):
            count = 1 if width == 768 else int(rng.choice([1, 4]))
            x = draw(rng, (count, width), huge).astype(dtype)
            parameters = [
                rng.normal(size=width).astype(dtype) if rng.random() < 0.7 else None
                for _ in range(2)
            ]
            eps = float(rng.choice([1e-5, 1e-12, 0.0]))
            if function in NORMS and eps == 0.0 and np.ptp(x, axis=1).min() == 0:
                eps = 1e-5  # a constant row has no direction
            ct = rng.normal(size=(count, 1 if function == "logsumexp" else width))
            yield Case(x, (ct * 10 ** rng.uniform(-3, 3)).astype(dtype), *parameters, eps)


def matrix_cases(rng: np.random.Generator, dtype: type) -> Iterator[Case]:
    """Matrices of every width, with entries of one scale and of many."""
    for width in (*WIDTHS, 768):
        rows, out = (2, 3) if width == 768 else (int(n) for n in rng.choice([1, 4, 9], 2))
        spread = rng.choice([0, 3, 12])

        def drawn(*shape: int, spread: float = spread) -> np.ndarray:
            return (rng.normal(size=shape) * 10 ** rng.uniform(-spread, spread, shape)).astype(
                dtype
            )

        bias = drawn(out) if rng.random() < 0.7 else None
        yield Case(drawn(rows, width), drawn(rows, out), drawn(out, width), bias)


def cases(rng: np.random.Generator, dtype: type, function: str) -> Iterator[Case]:
    """All cases of one run."""
    if function == "linear":
        yield from matrix_cases(rng, dtype)
        return
    yield from row_cases(rng, dtype, function)
    if function in NORMS:  # sums over many rows, of which none cancels
        x, ct = rng.normal(size=(500, 3)), rng.uniform(1, 2, (500, 3))
        yield Case(x.astype(dtype), ct.astype(dtype), np.ones(3, dtype), np.ones(3, dtype), 1e-5)


# The truth --------------------------------------------------------------------


def exactly(values: np.ndarray) -> list[Any]:
    """The same numbers, in the same lists of lists, as mpmath has them."""
    return [exactly(v) if np.ndim(v) else mp.mpf(float(v)) for v in values]


def spacing(true: Number, dtype: type) -> Number:
    """The distance between the floats around the truth: one ulp."""
    with np.errstate(over="ignore"):
        return mp.mpf(float(np.spacing(np.abs(dtype(float(true))))))


def rounding(true: Number, dtype: type) -> Number:
    """Half an ulp: what the nearest float may be off, where that is more than the limit."""
    return spacing(true, dtype) / 2


def least(dtype: type) -> Number:
    """The smallest float: no result can be asked to be nearer than that."""
    return mp.mpf(float(np.finfo(dtype).smallest_subnormal))


def is_double(case: Case) -> bool:
    return case.x.dtype == np.float64


def digits_for(row: np.ndarray) -> int:
    """60, and as many as the smallest share has zeros: a gradient is what shares leave of 1."""
    return 60 + int(min(np.ptp(row.astype(np.float64)), 800) / 2)


def shares(x: list[Number]) -> tuple[list[Number], Number]:
    """p_i = exp(x_i) / Σ exp(x_j), and ln Σ exp(x_j)."""
    largest = max(x)
    e = [mp.exp(one - largest) if largest - one < 10**4 else mp.mpf(0) for one in x]
    total = mp.fsum(e)
    return [one / total for one in e], largest + mp.log(total)


def exact_family(case: Case, function: str) -> dict[str, Truth]:
    value: Truth = []
    gradient: Truth = []
    for row, cts in zip(case.x, case.ct, strict=True):
        with mp.workdps(digits_for(row)):
            x, ct = exactly(row), exactly(cts)
            p, lse = shares(x)
            if function == "softmax":
                y = p
                mean = mp.fsum(c * one for c, one in zip(ct, p, strict=True))
                dx = [one * (c - mean) for c, one in zip(ct, p, strict=True)]
            elif function == "log_softmax":
                y = [one - lse for one in x]
                total = mp.fsum(ct)
                dx = [c - one * total for c, one in zip(ct, p, strict=True)]
            else:
                y, dx = [lse], [ct[0] * one for one in p]
            largest = max(x)
            scale = mp.fsum(map(abs, ct)) if function == "log_softmax" else max(map(abs, ct))
            value += [
                (true, value_limit(case, function, true, largest - one))
                for true, one in zip(y, x, strict=False)  # the sum's logarithm is one for all x
            ]
            gradient += with_limit(dx, gradient_limit(case, scale))
    return {"value": value, "gradient": gradient}


def value_limit(case: Case, function: str, true: Number, below: Number) -> Number:
    """``below`` is how far the entry of x stands below the largest."""
    dtype = case.x.dtype.type
    if function == "softmax":
        return (8 + below if is_double(case) else 1) * spacing(true, dtype)
    return max((8 if is_double(case) else 1) * spacing(true, dtype), mp.mpf(2) ** -52)


def gradient_limit(case: Case, scale: Number) -> Number:
    share = mp.mpf("1e-15" if is_double(case) else "6.1e-8")
    return share * scale + least(case.x.dtype.type) * (1 + scale)  # of a subnormal share


def with_limit(true: list[Number], limit: Number) -> Truth:
    return [(one, limit) for one in true]


def exact_norm(case: Case, function: str) -> dict[str, Truth]:
    """LayerNorm; RMSNorm is the same where 0 stands for the means."""
    takes_mean = function == "layer_norm"
    share = mp.mpf("1e-15" if is_double(case) else "6.1e-8")
    tiny = least(case.x.dtype.type)
    width = case.x.shape[1]
    weight = [mp.mpf(1)] * width if case.weight is None else exactly(case.weight)
    no_bias = case.bias is None or not takes_mean
    bias = [mp.mpf(0)] * width if no_bias else exactly(case.bias)
    found: dict[str, Truth] = {"y": [], "dx": [], "dweight": [], "dbias": []}
    parts: list[list[Number]] = []
    tops: list[Number] = []
    cts = exactly(case.ct)
    for row, ct in zip(exactly(case.x), cts, strict=True):
        mean = mp.fsum(row) / width * takes_mean
        variance = mp.fsum((one - mean) ** 2 for one in row) / width
        rstd = 1 / mp.sqrt(variance + mp.mpf(case.eps))
        h = [(one - mean) * rstd for one in row]
        y = [one * w + b for one, w, b in zip(h, weight, bias, strict=True)]
        tops.append(max(map(abs, h)))
        size = tops[-1] * max(map(abs, weight)) + max(map(abs, bias))
        dh = [c * w for c, w in zip(ct, weight, strict=True)]
        mean_dh = mp.fsum(dh) / width * takes_mean
        mean_dh_h = mp.fsum(a * b for a, b in zip(dh, h, strict=True)) / width
        dx = [(a - mean_dh - b * mean_dh_h) * rstd for a, b in zip(dh, h, strict=True)]
        found["y"] += with_limit(y, share * size + tiny)
        limit = share * max(abs(one) for one in dh) * rstd + tiny
        found["dx"] += [(one, max(limit, rounding(one, case.x.dtype.type))) for one in dx]
        parts.append([c * one for c, one in zip(ct, h, strict=True)])
    added = max(share, len(cts) * mp.mpf(2) ** -53)
    for part, column in zip(zip(*parts, strict=True), zip(*cts, strict=True), strict=True):
        size = mp.fsum(abs(one) * top for one, top in zip(column, tops, strict=True))
        found["dweight"].append((mp.fsum(part), added * size + tiny))
        found["dbias"].append((mp.fsum(column), added * mp.fsum(map(abs, column)) + tiny))
    return found if takes_mean else {part: found[part] for part in ("y", "dx", "dweight")}


def exact_linear(case: Case) -> dict[str, Truth]:
    x, ct, weight = exactly(case.x), exactly(case.ct), exactly(case.weight)
    bias = [] if case.bias is None else exactly(case.bias)
    columns_of_weight = list(zip(*weight, strict=True))
    found: dict[str, Truth] = {"y": [], "dx": [], "dweight": [], "dbias": []}
    for row, c in zip(x, ct, strict=True):
        for o, w in enumerate(weight):
            terms = [a * b for a, b in zip(row, w, strict=True)] + bias[o : o + 1]
            found["y"].append(summed(case, terms))
        for column in columns_of_weight:
            found["dx"].append(summed(case, [a * b for a, b in zip(c, column, strict=True)]))
    for c in zip(*ct, strict=True):
        for column in zip(*x, strict=True):
            found["dweight"].append(summed(case, [a * b for a, b in zip(c, column, strict=True)]))
        found["dbias"].append(summed(case, list(c)))
    return found


def summed(case: Case, terms: list[Number]) -> tuple[Number, Number]:
    """Σ of K terms, which may be off by K roundings of Σ |term|."""
    share = mp.mpf(2) ** (-53 if is_double(case) else -24)
    size = mp.fsum(abs(one) for one in terms)
    return mp.fsum(terms), len(terms) * (share * size + least(case.x.dtype.type))


def truth(case: Case, function: str) -> dict[str, Truth]:
    with mp.workdps(60):
        if function in NORMS:
            return exact_norm(case, function)
        if function == "linear":
            return exact_linear(case)
        return exact_family(case, function)


# The engines ------------------------------------------------------------------

#: Arrays by the name of the part, without those that the engine does not have.
Results = dict[str, np.ndarray]
Engine = Callable[[Case, str], Results]


def named(function: str, y: Any, gradients: list[Any]) -> Results:
    names = ("y", "dx", "dweight", "dbias")
    if function not in (*NORMS, "linear"):
        names = ("value", "gradient")
    found = zip(names, (y, *gradients), strict=False)
    return {name: np.asarray(array) for name, array in found if array is not None}


def with_ours(case: Case, function: str) -> Results:
    leaves = [a if a is None else nx.tensor(a, requires_grad=True) for a in given(case, function)]
    options = {"eps": case.eps} if function in NORMS else {}
    if function == "logsumexp":
        options = {"keepdims": True}
    y = getattr(F, function)(*leaves, **options)
    y.backward(case.ct)
    return named(function, y, [None if leaf is None else leaf.grad for leaf in leaves])


def with_torch(case: Case, function: str) -> Results:
    if not find_spec("torch"):
        return {}
    torch = __import__("torch")
    nn = torch.nn.functional
    leaves = [
        a if a is None else torch.tensor(a, requires_grad=True) for a in given(case, function)
    ]
    y = {
        "softmax": lambda x: torch.softmax(x, -1),
        "log_softmax": lambda x: torch.log_softmax(x, -1),
        "logsumexp": lambda x: torch.logsumexp(x, -1, keepdim=True),
        "layer_norm": lambda x, w, b: nn.layer_norm(x, x.shape[-1:], w, b, case.eps),
        "rms_norm": lambda x, w: nn.rms_norm(x, x.shape[-1:], w, case.eps),
        "linear": nn.linear,
    }[function](*leaves)
    y.backward(torch.tensor(case.ct))
    gradients = [None if leaf is None else leaf.grad for leaf in leaves]
    return named(function, y.detach(), gradients)


def with_jax(case: Case, function: str) -> Results:
    if not find_spec("jax"):
        return {}
    jax = __import__("jax")
    jax.config.update("jax_enable_x64", True)

    def affine(y: Any, w: Any, b: Any) -> Any:
        y = y if w is None else y * w
        return y if b is None else y + b

    def layer_norm(x: Any, w: Any, b: Any) -> Any:
        return affine(jax.nn.standardize(x, epsilon=case.eps), w, b)

    def rms_norm(x: Any, w: Any) -> Any:
        return affine(x / jax.numpy.sqrt((x * x).mean(-1, keepdims=True) + case.eps), w, None)

    fn = {
        "softmax": jax.nn.softmax,
        "log_softmax": jax.nn.log_softmax,
        "logsumexp": lambda x: jax.nn.logsumexp(x, axis=-1, keepdims=True),
        "layer_norm": layer_norm,
        "rms_norm": rms_norm,
        "linear": lambda x, w, b: affine(x @ w.T, None, b),
    }[function]
    y, pull_back = jax.vjp(fn, *given(case, function))
    return named(function, y, list(pull_back(case.ct)))


def with_scipy(case: Case, function: str) -> Results:
    if not find_spec("scipy") or function in (*NORMS, "linear"):
        return {}
    special = __import__("scipy.special").special
    return named(function, getattr(special, function)(case.x, axis=-1), [])


def given(case: Case, function: str) -> list[np.ndarray | None]:
    if function in ("layer_norm", "linear"):
        return [case.x, case.weight, case.bias]
    if function == "rms_norm":
        return [case.x, case.weight]
    return [case.x]


PEERS: dict[str, Engine] = {"torch": with_torch, "jax": with_jax, "scipy": with_scipy}


# The table --------------------------------------------------------------------


class Part(NamedTuple):
    """A result of a function, and how far off it may be in float64 and in float32, in words."""

    name: str
    double: str
    single: str


VALUE = Part("value", "8 ulp or 2^-52", "1 ulp or 2^-52")


def gradient_of(scale: str) -> Part:
    return Part("gradient", f"1e-15 of {scale}", f"6.1e-8 of {scale}")


PARTS = {
    "softmax": (Part("value", "8 + |x - max| ulp", "1 ulp"), gradient_of("max|dy|")),
    "log_softmax": (VALUE, gradient_of("sum|dy|")),
    "logsumexp": (VALUE, gradient_of("|dy|")),
    "layer_norm": tuple(
        Part(name, f"{double} of {scale}", f"6.1e-8 of {scale}{rounded}")
        for name, double, scale, rounded in (
            ("y", "1e-15", "max|h| max|weight| + max|bias|", ""),
            ("dx", "1e-15", "max|dy weight| / std", ", or rounded"),
            ("dweight", "1e-15 or 2^-53 N", "sum(|dy| max|h|)", ""),
            ("dbias", "1e-15 or 2^-53 N", "sum|dy|", ""),
        )
    ),
    "rms_norm": tuple(
        Part(name, f"{double} of {scale}", f"6.1e-8 of {scale}{rounded}")
        for name, double, scale, rounded in (
            ("y", "1e-15", "max|h| max|weight|", ""),
            ("dx", "1e-15", "max|dy weight| / rms", ", or rounded"),
            ("dweight", "1e-15 or 2^-53 N", "sum(|dy| max|h|)", ""),
        )
    ),
    "linear": tuple(
        Part(name, f"2^-53 K sum|{terms}|", f"2^-24 K sum|{terms}|")
        for name, terms in (
            ("y", "x weight"),
            ("dx", "dy weight"),
            ("dweight", "dy x"),
            ("dbias", "dy"),
        )
    ),
}


class Measured(NamedTuple):
    """One line of the table; the errors are shares of the limit."""

    what: str
    dtype: str
    limit: str
    ours: float
    peers: dict[str, float | None]


def off(got: np.ndarray, true: Truth) -> float:
    """The largest error, as a share of its limit; what overflows in truth is left out."""
    largest = 0.0
    for g, (t, limit) in zip(got.reshape(-1), true, strict=True):
        if abs(t) > np.finfo(got.dtype).max:
            continue
        if not np.isfinite(g):
            return np.inf
        largest = max(largest, float(abs(mp.mpf(float(g)) - t) / limit))
    return largest


def worst_of(
    function: str, dtype: type, engines: dict[str, Engine], runs: int, seed: int
) -> dict[tuple[str, str], float]:
    """The largest error of every part in every engine that has it, over all runs."""
    rng = np.random.default_rng((seed, dtype().itemsize))
    worst: dict[tuple[str, str], float] = {}
    for case in (case for _ in range(runs) for case in cases(rng, dtype, function)):
        true = truth(case, function)
        for name, engine in engines.items():
            with np.errstate(all="ignore"):
                results = engine(case, function)
            for part, got in results.items():
                share = off(got, true[part])
                worst[name, part] = max(share, worst.get((name, part), 0.0))
    return worst


def measured(
    runs: int, seed: int = 0, peers: dict[str, Engine] | None = None
) -> Iterator[Measured]:
    """The worst error of every part of every function over all runs, in both dtypes."""
    peers = PEERS if peers is None else peers
    for dtype in (np.float64, np.float32):
        for function, parts in PARTS.items():
            worst = worst_of(function, dtype, {"ours": with_ours, **peers}, runs, seed)
            for part in parts:
                yield Measured(
                    f"{function} {part.name}",
                    np.dtype(dtype).name,
                    part.double if dtype is np.float64 else part.single,
                    worst["ours", part.name],
                    {name: worst.get((name, part.name)) for name in peers},
                )


def table(rows: list[Measured]) -> str:
    cells = [
        (m.what, m.dtype, m.limit, shown(m.ours), *(shown(e) for e in m.peers.values()))
        for m in rows
    ]
    peers = rows[0].peers
    header = ("function", "dtype", "limit", "numixology", *peers)
    return columns(header, cells, "<<<>" + ">" * len(peers))


def main() -> int:
    return command(__doc__, "rows", measured, table, lambda m: m.ours <= 1)


if __name__ == "__main__":
    sys.exit(main())
