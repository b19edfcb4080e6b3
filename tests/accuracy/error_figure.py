"""Draw each function's error over the range of its argument, beside torch and SciPy.

    python tests/accuracy/error_figure.py --write docs/_static/accuracy_errors.svg

The range is cut into bins, even in a scale that is linear up to 1 and logarithmic beyond, and of
each the worst error in float64 is drawn, in ulp. The truth is mpmath, as for the table.
"""

import argparse
import re
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("svg")
sys.path.append(str(Path(__file__).resolve().parents[1]))  # where `accuracy` is, for a script

from accuracy.ulp_table import ROWS, Row, Values, with_ours, with_scipy, with_torch, worst
from matplotlib import pyplot as plt

# Beyond these the value and the slope have ended as 0, 1 or x.
RANGES = {"erf": 40, "sigmoid": 800, "tanh": 800, "silu": 800, "gelu": 40, "gelu_tanh": 40}
LOWEST, HIGHEST = 0.1, 1e4  # what lies outside is drawn on the edge
OURS, TORCH, SCIPY = "#1f5fa8", "#d95f02", "#8a8a8a"

STYLE = {
    "svg.hashsalt": "numixology",  # else the names inside the file are drawn by lot
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 8,
    "path.simplify": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def edges(end: float, bins: int) -> np.ndarray:
    """Bounds of the bins from -end to end."""
    reach = 1 + np.log10(end)
    steps = np.linspace(-reach, reach, bins + 1)
    far = np.abs(steps) > 1
    return np.where(far, np.sign(steps) * 10 ** (np.abs(steps) - 1), steps)


def errors(values: Values, exact: Any, drawn: np.ndarray) -> np.ndarray:
    """The worst error in each row of points."""
    got = values(drawn.reshape(-1)).reshape(drawn.shape)
    return np.array([worst(g, x, exact) for g, x in zip(got, drawn, strict=True)])


def dots(axes: Any, x: np.ndarray, y: np.ndarray, **style: Any) -> None:
    """Points as lines of no length with round ends: a tenth of the size of markers."""
    apart = np.full(x.shape, np.nan)
    axes.plot(
        np.stack([x, x, apart], 1).reshape(-1),
        np.stack([y, y, apart], 1).reshape(-1),
        solid_capstyle="round",
        linewidth=2.5,
        clip_on=False,
        **style,
    )


def panel(axes: Any, row: Row, part: int, bins: int, each: int) -> None:
    """One function's value (part 0) or slope (part 1)."""
    bounds = edges(RANGES[row.name], bins)
    rng = np.random.default_rng(part)
    drawn = rng.uniform(bounds[:-1, None], bounds[1:, None], (bins, each))
    middle = (bounds[:-1] + bounds[1:]) / 2
    exact = (row.value, row.slope)[part]
    for name, peer, color in (("torch", with_torch, TORCH), ("SciPy", with_scipy, SCIPY)):
        found = peer(row)
        if found is not None:
            with np.errstate(all="ignore"):
                off = errors(found[part], exact, drawn)
            dots(axes, middle, np.clip(off, LOWEST, HIGHEST), color=color, alpha=0.5, label=name)
    off = errors(with_ours(row)[part], exact, drawn)
    axes.plot(middle, np.clip(off, LOWEST, HIGHEST), color=OURS, linewidth=1.2, label="numixology")
    limit = (row.value_limit, row.slope_limit)[part]
    axes.axhline(limit, color="black", linewidth=0.8, linestyle="--", label="target")
    axes.set_xscale("symlog", linthresh=1, linscale=1)
    axes.set_yscale("log")
    axes.set_xlim(-RANGES[row.name], RANGES[row.name])
    axes.set_ylim(LOWEST, HIGHEST)
    axes.set_xticks([n for n in (-100, -10, -1, 0, 1, 10, 100) if abs(n) < RANGES[row.name]])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yticks([0.1, 1, 10, 100, 1000, 10000], ["≤ 0.1", "1", "10", "100", "1e3", "≥ 1e4"])
    axes.minorticks_off()
    axes.set_title(f"{row.name}, {('value', 'slope')[part]}", fontsize=9)


def draw(bins: int, each: int) -> str:
    """The figure, as SVG: a row for each function, its value and its slope."""
    with matplotlib.rc_context(STYLE):
        figure, grid = plt.subplots(
            len(ROWS), 2, figsize=(7.5, 1.75 * len(ROWS)), layout="constrained"
        )
        for row, pair in zip(ROWS, grid, strict=True):
            for part, axes in enumerate(pair):
                panel(axes, row, part, bins, each)
            pair[0].set_ylabel("error in ulp")
        for axes in grid[-1]:
            axes.set_xlabel("x")
        named = dict(zip(*reversed(grid[0][0].get_legend_handles_labels()), strict=True))
        figure.legend(named.values(), named.keys(), loc="outside upper center", ncols=4)
        svg = as_svg(figure)
        plt.close(figure)
    return svg


def as_svg(figure: Any) -> str:
    """The file's text, the same for the same figure, with two decimals to each coordinate."""
    file = StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    short = re.sub(r"(\d\.\d\d)\d+", r"\1", file.getvalue())
    short = re.sub(r"M (\S+ \S+) *\nL \1 *\n", r"M \1h0\n", short)  # the dots
    return "\n".join(line.rstrip() for line in short.splitlines()) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bins", type=int, default=160, help="bins in each panel (160)")
    parser.add_argument("--each", type=int, default=12, help="points in each bin (12)")
    parser.add_argument("--write", type=Path, metavar="FILE", required=True, help="the SVG")
    options = parser.parse_args()
    options.write.write_text(draw(options.bins, options.each), encoding="utf-8")


if __name__ == "__main__":
    main()
