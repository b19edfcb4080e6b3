"""How many units in the last place each function is off, beside torch, JAX and SciPy.

    python tests/accuracy/ulp_table.py --runs 20 --write docs/accuracy.txt

The truth is mpmath at 60 digits. Points are drawn anew in every run, from a seed: near 0, between
-6 and 6, in the tails to under- and overflow, where results are subnormal, among huge numbers, and
the floats on both sides of every zero of a slope. An ulp is the spacing of floats at the true
value. A peer that is not installed has an empty column.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np

import numixology as nx
from numixology import functional as F
from numixology.text import columns

mp.mp.dps = 60

Values = Callable[[np.ndarray], np.ndarray]

ROOTS = {"silu": -1.278464542761073795, "gelu": -0.751791524693564457}
ROOTS["gelu_tanh"] = -0.752461422071016258


def exact_gelu_tanh(x: mp.mpf) -> mp.mpf:
    return x / (1 + mp.exp(-2 * inner(x)))


def inner(x: mp.mpf) -> mp.mpf:
    return mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3)


def sigma(x: mp.mpf) -> mp.mpf:
    return 1 / (1 + mp.exp(-x))


def exact_gelu_tanh_slope(x: mp.mpf) -> mp.mpf:
    gate = sigma(2 * inner(x))
    slope = 2 * mp.sqrt(2 / mp.pi) * (1 + 3 * mp.mpf("0.044715") * x**2)
    return gate + x * gate * sigma(-2 * inner(x)) * slope


def phi(x: mp.mpf) -> mp.mpf:
    return mp.erfc(-x / mp.sqrt(2)) / 2


class Row(NamedTuple):
    """A function, its value and slope in many digits, and how far off each may be in float64."""

    name: str
    ours: Callable[[nx.Tensor], nx.Tensor]
    value: Callable[[mp.mpf], mp.mpf]
    slope: Callable[[mp.mpf], mp.mpf]
    value_limit: float
    slope_limit: float


ROWS = (
    Row("erf", F.erf, mp.erf, lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x), 2, 4),
    Row("sigmoid", F.sigmoid, sigma, lambda x: sigma(x) * sigma(-x), 2, 4),
    Row("tanh", F.tanh, mp.tanh, lambda x: 4 * sigma(2 * x) * sigma(-2 * x), 2, 4),
    Row(
        "silu",
        F.silu,
        lambda x: x * sigma(x),
        lambda x: sigma(x) * (1 + x * sigma(-x)),
        4,
        8,
    ),
    Row("gelu", F.gelu, lambda x: x * phi(x), lambda x: phi(x) + x * mp.npdf(x), 4, 8),
    Row(
        "gelu_tanh",
        lambda x: F.gelu(x, approximate="tanh"),
        exact_gelu_tanh,
        exact_gelu_tanh_slope,
        4,
        8,
    ),
)


def points(rng: np.random.Generator, row: Row, dtype: type, count: int) -> np.ndarray:
    """Points of every region, ``count`` of each."""
    huge = np.finfo(dtype).maxexp - 2
    sign = rng.choice([-1.0, 1.0], 6 * count)
    size = np.concatenate(
        [
            rng.uniform(0, 6, count),
            rng.uniform(6, 45, count),
            rng.uniform(45, 760, count),
            10.0 ** rng.uniform(-8, 0, count),
            2.0 ** rng.uniform(-np.finfo(dtype).maxexp + 30, -20, count),
            2.0 ** rng.uniform(10, huge, count),
        ]
    )
    found = [(sign * size).astype(dtype)]
    if row.name in ROOTS:
        root = np.array([ROOTS[row.name]], dtype)
        near = root + np.arange(-60, 61).astype(dtype) * np.spacing(root)
        found += [near, root + rng.uniform(-0.01, 0.01, count).astype(dtype)]
    return np.concatenate(found)


def far(exact: Callable[[mp.mpf], mp.mpf], v: mp.mpf) -> mp.mpf:
    """The truth where every gate has long been 0 or 1 to 60 digits, out of mpmath's reach."""
    near = mp.mpf(10**5) if v > 0 else -mp.mpf(10**5)
    return exact(near) * (v / near if abs(exact(near)) > 2 else 1)


def worst(got: np.ndarray, x: np.ndarray, exact: Callable[[mp.mpf], mp.mpf]) -> float:
    """The largest distance to the truth, in spacings of the dtype at the truth."""
    largest = 0.0
    for g, v in zip(got, x, strict=True):
        point = mp.mpf(float(v))
        truth = exact(point) if abs(point) < 10**5 else far(exact, point)
        with np.errstate(over="ignore"):
            rounded = got.dtype.type(float(truth))
        if not np.isfinite(rounded):
            continue
        error = abs(mp.mpf(float(g)) - truth) / mp.mpf(float(np.spacing(abs(rounded))))
        largest = max(largest, float(error)) if np.isfinite(g) else np.inf
    return largest


def with_ours(row: Row) -> tuple[Values, Values]:
    def slope(x: np.ndarray) -> np.ndarray:
        t = nx.tensor(x, requires_grad=True)
        row.ours(t).backward(np.ones_like(x))
        return np.asarray(t.grad)

    return lambda x: np.asarray(row.ours(nx.tensor(x))), slope


def with_torch(row: Row) -> tuple[Values, Values] | None:
    if not find_spec("torch"):
        return None
    torch = __import__("torch")
    nn = torch.nn.functional
    fn = {
        "erf": torch.erf,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "silu": nn.silu,
        "gelu": nn.gelu,
        "gelu_tanh": lambda x: nn.gelu(x, approximate="tanh"),
    }[row.name]

    def slope(x: np.ndarray) -> np.ndarray:
        t = torch.tensor(x, requires_grad=True)
        fn(t).sum().backward()
        return np.asarray(t.grad)

    return lambda x: np.asarray(fn(torch.tensor(x))), slope


def with_jax(row: Row) -> tuple[Values, Values] | None:
    if not find_spec("jax"):
        return None
    jax = __import__("jax")
    jax.config.update("jax_enable_x64", True)
    fn = {
        "erf": jax.scipy.special.erf,
        "sigmoid": jax.nn.sigmoid,
        "tanh": jax.numpy.tanh,
        "silu": jax.nn.silu,
        "gelu": lambda x: jax.nn.gelu(x, approximate=False),
        "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True),
    }[row.name]
    slope = jax.vmap(jax.grad(fn))
    return lambda x: np.asarray(fn(x)), lambda x: np.asarray(slope(x))


def with_scipy(row: Row) -> tuple[Values, Values] | None:
    if not find_spec("scipy") or row.name in ("tanh", "gelu_tanh"):
        return None
    special = __import__("scipy.special").special
    ndtr, expit = special.ndtr, special.expit

    def density(x: np.ndarray) -> np.ndarray:
        return np.exp(-x * x / 2) / np.sqrt(2 * np.pi).astype(x.dtype)

    return {
        "erf": (
            special.erf,
            lambda x: (2 / np.sqrt(np.pi)).astype(x.dtype) * np.exp(-x * x),
        ),
        "sigmoid": (expit, lambda x: expit(x) * expit(-x)),
        "silu": (lambda x: x * expit(x), lambda x: expit(x) * (1 + x * expit(-x))),
        "gelu": (lambda x: x * ndtr(x), lambda x: ndtr(x) + x * density(x)),
    }[row.name]


PEERS = {"torch": with_torch, "jax": with_jax, "scipy": with_scipy}


class Measured(NamedTuple):
    """One line of the table."""

    what: str
    dtype: str
    limit: float
    ours: float
    peers: dict[str, float | None]


def measured(runs: int, count: int = 20, seed: int = 0) -> Iterator[Measured]:
    """The worst error of every function over all runs, value and slope, in both dtypes."""
    for dtype in (np.float64, np.float32):
        for row in ROWS:
            rng = np.random.default_rng((seed, dtype().itemsize))
            drawn = [points(rng, row, dtype, count) for _ in range(runs)]
            x = np.concatenate(drawn)
            parts = (("value", row.value, row.value_limit), ("slope", row.slope, row.slope_limit))
            for i, (part, exact, limit) in enumerate(parts):
                with np.errstate(all="ignore"):
                    peers = {
                        name: None if peer(row) is None else worst(peer(row)[i](x), x, exact)
                        for name, peer in PEERS.items()
                    }
                yield Measured(
                    f"{row.name} {part}",
                    np.dtype(dtype).name,
                    limit if dtype is np.float64 else 1.0,
                    worst(with_ours(row)[i](x), x, exact),
                    peers,
                )


def shown(error: float | None) -> str:
    """An error in a table; empty for a peer that is missing or has no such function."""
    return "" if error is None else f"{error:.2f}" if error < 1000 else f"{error:.0e}"


def table(rows: list[Measured]) -> str:
    cells = [
        (m.what, m.dtype, f"{m.limit:g}", shown(m.ours), *(shown(e) for e in m.peers.values()))
        for m in rows
    ]
    return columns(("function", "dtype", "limit", "numixology", *PEERS), cells, "<<>>>>>")


def command(
    about: str,
    drawn: str,
    rows_of: Callable[..., Iterator[Any]],
    table: Callable[[list[Any]], str],
    within: Callable[[Any], bool],
) -> int:
    """Measure, print and write a table; the exit status says whether all is within its limit."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help=f"how often {drawn} are drawn (20)")
    parser.add_argument("--seed", type=int, default=0, help=f"of the {drawn} (0)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table there too")
    options = parser.parse_args()
    rows = list(rows_of(options.runs, seed=options.seed))
    text = table(rows)
    print(text)
    if options.write:
        options.write.write_text(f"{text}\n", encoding="utf-8")
    return int(not all(within(m) for m in rows))


def main() -> int:
    return command(__doc__, "points", measured, table, lambda m: m.ours <= m.limit)


if __name__ == "__main__":
    sys.exit(main())
