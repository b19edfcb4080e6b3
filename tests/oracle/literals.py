"""What the scripts that derive constants share: interpolation, and comparing with a module."""

import argparse
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
