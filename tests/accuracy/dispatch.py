"""Does the processor matter? Values and slopes by each of NumPy's code paths, compared.

    python tests/accuracy/dispatch.py --write docs/accuracy_dispatch.txt

NumPy has its exp, expm1 and log1p in several versions, and takes the one for the newest
instructions that the processor has. Here the same points go through processes of their own in which
NumPy may use AVX-512, AVX2 and nothing beyond its baseline. Counted are the points at which any two
of them differ; the last columns are the worst errors against mpmath, in ulp, of a sample. An ulp is
the spacing of floats at the value; for slopes along rows, which may cancel, at the row's largest.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import mpmath as mp
import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))  # where `accuracy` is, for a script

from accuracy.ulp_table import ROWS, Row, phi, points, sigma, worst

import numixology as nx
from numixology import functional as F
from numixology.text import columns
from numixology.verify.goldens import check_goldens, read_goldens

SWITCH = "NPY_DISABLE_CPU_FEATURES"
LEVELS = ("AVX-512", "AVX2", "baseline")

ELEMENTWISE = {
    row.name: row
    for row in (
        *ROWS,
        Row(
            "softplus",
            F.softplus,
            lambda x: max(x, mp.mpf(0)) + mp.log1p(mp.exp(-abs(x))),
            sigma,
            2,
            4,
        ),
        Row("normal_cdf", F.normal_cdf, phi, mp.npdf, 4, 4),
    )
}
ALONG_ROWS: dict[str, Callable[[nx.Tensor], nx.Tensor]] = {
    "softmax": F.softmax,
    "log_softmax": F.log_softmax,
    "logsumexp": F.logsumexp,
}

Values = dict[str, np.ndarray]


def features() -> list[str]:
    """Which instructions beyond its baseline NumPy uses in this process."""
    return list(np.show_config(mode="dicts")["SIMD Extensions"].get("found", []))


def levels() -> dict[str, str]:
    """What to disable for each level; empty where NumPy has none of them to choose from."""
    found = features()
    newest = [name for name in found if name.startswith("AVX512") or name == "X86_V4"]
    if not {"AVX2", "X86_V3"} & {*found}:
        return {}
    disabled = {"AVX2": " ".join(newest), "baseline": " ".join(found)}
    return {"AVX-512": "", **disabled} if newest else disabled


def inputs(count: int, seed: int = 0) -> Values:
    """Points of every region and of the golden values, by function and dtype."""
    drawn = {}
    for dtype in (np.float64, np.float32):
        name = np.dtype(dtype).name
        rng = np.random.default_rng((seed, dtype().itemsize))
        for row in ELEMENTWISE.values():
            golden = np.array(golden_inputs(row.name)).astype(dtype)
            drawn[f"{row.name} {name}"] = np.concatenate([points(rng, row, dtype, count), golden])
        rows = rng.uniform(-8, 8, (count, 16)).astype(dtype)
        drawn |= {f"{function} {name}": rows for function in ALONG_ROWS}
    return drawn


def golden_inputs(stage: str) -> list[float]:
    return [v for entry in read_goldens() if entry["stage"] == stage for v in entry["inputs"]["x"]]


# In a process of its own ---------------------------------------------------------


def evaluate(given: Path, found: Path) -> None:
    """Every value and slope, and how the golden values fare, as this process computes them."""
    results = {}
    for key, x in np.load(given).items():
        function = key.split()[0]
        ours = ELEMENTWISE[function].ours if function in ELEMENTWISE else ALONG_ROWS[function]
        t = nx.tensor(x, requires_grad=True)
        y = ours(t)
        cotangent = [1.0] if function in ELEMENTWISE else [1.0, -2.0, 0.5]
        y.backward(np.resize(np.array(cotangent, x.dtype), y.shape))
        results[f"{key} value"] = np.asarray(y)
        results[f"{key} slope"] = np.asarray(t.grad)
    results["goldens"] = np.array([golden.share for golden in check_goldens()])
    results["features"] = np.array(features(), str)
    np.savez(found, **results)


def evaluated(given: Values, disabled: str) -> Values:
    """What `evaluate` finds in a process where NumPy does without some features."""
    with TemporaryDirectory() as folder:
        before, after = Path(folder, "given.npz"), Path(folder, "found.npz")
        np.savez(before, **given)
        off = f"{os.environ.get(SWITCH, '')} {disabled}".strip()
        subprocess.run(
            [sys.executable, __file__, "--evaluate", before, after],
            env={**os.environ, SWITCH: off},
            check=True,
        )
        with np.load(after) as found:
            return dict(found)


# Comparing -----------------------------------------------------------------------


class Compared(NamedTuple):
    """One line of the table."""

    what: str
    dtype: str
    points: int
    differ: int
    apart: float
    limit: float | None
    errors: dict[str, float]


def compared(given: Values, found: Mapping[str, Values], sample: int) -> Iterator[Compared]:
    """Every function, value and slope: the levels against each other and against mpmath."""
    for key, x in given.items():
        function, dtype = key.split()
        for part in ("value", "slope"):
            results = [values[f"{key} {part}"] for values in found.values()]
            low, high = np.minimum.reduce(results), np.maximum.reduce(results)
            differ = low != high
            size = np.abs(low)
            if function in ALONG_ROWS and part == "slope":
                size = np.broadcast_to(size.max(axis=-1, keepdims=True), size.shape)
            apart = (high[differ] - low[differ]) / np.spacing(size[differ])
            limit, errors = None, {}
            if function in ELEMENTWISE:
                limit, errors = against_mpmath(ELEMENTWISE[function], part, x, results, sample)
            yield Compared(
                f"{function} {part}",
                dtype,
                low.size,
                int(differ.sum()),
                float(apart.max(initial=0)),
                limit,
                dict(zip(found, errors, strict=False)),
            )


def against_mpmath(
    row: Row, part: str, x: np.ndarray, results: list[np.ndarray], sample: int
) -> tuple[float, list[float]]:
    """How far off the value or slope may be, and how far it is by each level."""
    exact = row.value if part == "value" else row.slope
    limit = row.value_limit if part == "value" else row.slope_limit
    some = slice(None, None, max(1, x.size // sample))
    errors = [worst(result[some], x[some], exact) for result in results]
    return (limit if x.dtype == np.float64 else 1.0), errors


def table(rows: list[Compared], names: list[str]) -> str:
    cells = [
        (
            row.what,
            row.dtype,
            str(row.points),
            str(row.differ),
            f"{row.apart:.0f}",
            "" if row.limit is None else f"{row.limit:g}",
            *(f"{row.errors[name]:.2f}" if row.errors else "" for name in names),
        )
        for row in rows
    ]
    header = ("function", "dtype", "points", "differ", "by ulp", "limit", *names)
    return columns(header, cells, "<<" + ">" * (4 + len(names)))


def goldens(found: Mapping[str, Values]) -> str:
    counts = [
        f"{values['goldens'].size - failed(values)} of {values['goldens'].size} ({name})"
        for name, values in found.items()
    ]
    return f"golden values within their limits: {', '.join(counts)}"


def outside(rows: list[Compared]) -> list[Compared]:
    """The lines with an error above its limit."""
    return [row for row in rows if row.limit and not max(row.errors.values()) <= row.limit]


def failed(values: Values) -> int:
    """How many golden values are outside their limits."""
    return int((~(values["goldens"] <= 1)).sum())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="points of each region (2000)")
    parser.add_argument("--sample", type=int, default=4000, help="points for mpmath, about (4000)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table there too")
    parser.add_argument("--evaluate", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.evaluate:
        evaluate(*options.evaluate)
        return 0
    if len(levels()) < len(LEVELS):
        print(f"NumPy has not all of {', '.join(LEVELS)} to choose from here: nothing is written")
        return 0
    given = inputs(options.count)
    found = {name: evaluated(given, disabled) for name, disabled in levels().items()}
    rows = list(compared(given, found, options.sample))
    text = f"{table(rows, list(found))}\n\n{goldens(found)}\nNumPy {np.__version__}"
    print(text)
    if options.write:
        options.write.write_text(f"{text}\n", encoding="utf-8")
    return int(bool(outside(rows)) or any(failed(values) for values in found.values()))


if __name__ == "__main__":
    sys.exit(main())
