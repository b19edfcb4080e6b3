"""What the scripts that derive constants share: interpolation, literals, and comparing."""

import argparse
import textwrap
from collections.abc import Callable
from pathlib import Path

import mpmath as mp


def interpolate(
    f: Callable[[mp.mpf], mp.mpf], low: mp.mpf, high: mp.mpf, degree: int
) -> list[mp.mpf]:
    """Interpolate f on [low, high] at Chebyshev nodes; coefficients, highest power first."""
    angles = [mp.pi * (2 * j + 1) / (2 * degree + 2) for j in range(degree + 1)]
    nodes = [(low + high) / 2 + (high - low) / 2 * mp.cos(angle) for angle in angles]
    powers = mp.matrix([[node**k for k in range(degree, -1, -1)] for node in nodes])
    return list(mp.lu_solve(powers, mp.matrix([f(node) for node in nodes])))


def pair(value: mp.mpf, places: int | None = None) -> list[float]:
    """The double nearest to value, or that of so many binary places; and what is left."""
    high = float(value) if places is None else float(mp.nint(value * 2**places)) / 2**places
    return [high, float(value - mp.mpf(high))]


def literal(name: str, values: list[float]) -> str:
    """The assignment as the module has it: a number, a pair, or a polynomial."""
    if len(values) == 1:
        return f"{name} = {values[0]!r}\n"
    if len(values) == 2:
        return f"{name} = ({values[0]!r}, {values[1]!r})\n"
    numbers = "".join(f"{value!r}, " for value in values).rstrip()
    lines = textwrap.indent(textwrap.fill(numbers, 96, break_on_hyphens=False), "    ")
    return f"{name} = constants(\n{lines}\n)  # fmt: skip\n"


def run(description: str, module: Path, derive: Callable[[], dict[str, str]]) -> int:
    """Print the literals, or with ``--check`` compare them; return the exit status.

    Args:
        description: what the script is for.
        module: the file that has the literals.
        derive: the assignments as the module has them, by name.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="compare with the module's literals")
    check = parser.parse_args().check

    literals = derive()
    if not check:
        print("".join(literals.values()), end="")
        return 0

    text = module.read_text(encoding="utf-8")
    different = [name for name, literal in literals.items() if literal not in text]
    for name in different:
        print(f"{name} is not what {module.name} has: run without --check and paste the result")
    if not different:
        print(f"identical: {', '.join(literals)}")
    return 1 if different else 0
