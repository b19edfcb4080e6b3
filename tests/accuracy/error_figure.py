"""Measure each function's error over the range of its argument, beside torch and SciPy.

    python tests/accuracy/error_figure.py --write docs/accuracy_errors.json

The range is cut into bins, even in a scale that is linear up to 1 and logarithmic beyond, and of
each the worst error in float64 is kept, in ulp. The truth is mpmath, as for the table. What is
written is a scene, which the page draws.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))  # where `accuracy` is, for a script

from accuracy.ulp_table import ROWS, Row, Values, with_ours, with_scipy, with_torch, worst

from numixology.explain import Chart, Scene, Series

# Beyond these the value and the slope have ended as 0, 1 or x.
RANGES = {"erf": 40, "sigmoid": 800, "tanh": 800, "silu": 800, "gelu": 40, "gelu_tanh": 40}
LOWEST, HIGHEST = 0.1, 1e4  # what lies outside is drawn on the edge
PARTS = ("value", "slope")


def edges(end: float, bins: int) -> np.ndarray:
    """Bounds of the bins from -end to end."""
    reach = 1 + np.log10(end)
    steps = np.linspace(-reach, reach, bins + 1)
    far = np.abs(steps) > 1
    return np.where(far, np.sign(steps) * 10 ** (np.abs(steps) - 1), steps)


def errors(values: Values, exact: Any, drawn: np.ndarray) -> np.ndarray:
    """The worst error in each row of points."""
    with np.errstate(all="ignore"):
        got = values(drawn.reshape(-1)).reshape(drawn.shape)
    return np.array([worst(g, x, exact) for g, x in zip(got, drawn, strict=True)])


def curve(name: str, off: np.ndarray) -> Series:
    """Errors with three digits, which is more than a curve shows."""
    kept = np.clip(off, LOWEST, HIGHEST)
    return Series(name, tuple(float(f"{error:.3g}") for error in kept))


def chart(row: Row, part: int, bins: int, each: int) -> Chart:
    """One function's value (part 0) or slope (part 1)."""
    bounds = edges(RANGES[row.name], bins)
    rng = np.random.default_rng(part)
    drawn = rng.uniform(bounds[:-1, None], bounds[1:, None], (bins, each))
    exact = (row.value, row.slope)[part]
    limit = (row.value_limit, row.slope_limit)[part]
    curves = [
        curve("numixology", errors(with_ours(row)[part], exact, drawn)),
        curve("target", np.full(bins, float(limit))),
    ]
    for name, found in (("torch", with_torch(row)), ("SciPy", with_scipy(row))):
        if found is not None:
            curves.append(curve(name, errors(found[part], exact, drawn)))
    middle = tuple(float(f"{x:.4g}") for x in (bounds[:-1] + bounds[1:]) / 2)
    title = f"{row.name}, {PARTS[part]}"
    return Chart(title, "x", middle, "error in ulp", tuple(curves), log_y=True, symlog_x=True)


def measured(bins: int, each: int) -> Scene:
    """The figure: a panel for each function's value and one for its slope."""
    panels = tuple(chart(row, part, bins, each) for row in ROWS for part in range(len(PARTS)))
    about = (
        f"The worst error in each of {bins} parts of the range, in ulp, against x, for the values "
        "and slopes of six functions, with the target beside: what an error may be."
    )
    return Scene("Errors over the range, in float64", about, panels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bins", type=int, default=48, help="bins in each panel (48)")
    parser.add_argument("--each", type=int, default=80, help="points in each bin (80)")
    parser.add_argument("--write", type=Path, metavar="FILE", required=True, help="the scene")
    options = parser.parse_args()
    options.write.write_text(measured(options.bins, options.each).json() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
