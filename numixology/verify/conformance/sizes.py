"""Sizes: at which edges kernels break, and cases whose sizes cross each of them from both sides.

A kernel works on tiles of 32, 64, ... numbers, keeps indices in 8 or 16 bits, and unrolls loops
over heads and blocks. So it is right up to a size and wrong beyond, or wrong where a size is no
multiple of the tile. :func:`kernel_sizes` has every axis one below, at and one above such edges.

Sizes are known by the letters of the shapes: B batch, T tokens, D features, H heads, F inner width
or outputs, V ids, L blocks.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any, TypeAlias

from ...errors import ArgumentError, shown
from .stages import Inputs, depth_of, inputs_of

__all__ = [
    "EDGES",
    "LETTERS",
    "Sizes",
    "fitted",
    "kernel_sizes",
    "letters_of",
    "read_shape",
    "shape_of",
    "sizes_in",
]

Sizes: TypeAlias = dict[str, int]

#: What each letter counts.
LETTERS = {
    "B": "sequences of a batch",
    "T": "tokens",
    "D": "features",
    "H": "heads",
    "F": "inner width, or outputs of linear",
    "V": "ids",
    "L": "blocks",
}

_TILES = (32, 64, 128, 256, 1024, 2048, 4096)
#: Where kernels break, by axis; rows are B · T.
EDGES = {
    "rows": (*_TILES, 65536),
    "D": _TILES,
    "F": _TILES,
    "T": (8, 16, 32, 64, 128),
    "H": (4, 8, 16, 32, 64),
    "V": (256, 65536),
    "L": (2, 4),
}


def _around(edges: Sequence[int]) -> list[int]:
    return [edge + beside for edge in edges for beside in (-1, 0, 1)]


#: How far away a supported size is looked for.
_FARTHEST = 1 << 17

_WIDTHS = [3, 2, 1, *_around(_TILES)]
_ROWS = _around((*_TILES, 65536))[::-1]  # many rows where there are few columns
_HEADS = [1, 2, *_around(EDGES["H"])]
_TOKENS = [*_around(EDGES["T"])[::-1], 2, 1]


def letters_of(stage: str) -> str:
    """The letters of a stage's sizes, in the order of :data:`LETTERS`."""
    inputs = inputs_of(stage, {})
    found = [*"".join(inputs.values()), *"H" * ("num_heads" in inputs), *"L" * (stage == "model")]
    return "".join(letter for letter in LETTERS if letter in found)


def sizes_in(stage: str, inputs: Inputs) -> Sizes:
    """The sizes of a case, from its arrays."""
    found = {"H": inputs["num_heads"]} if "num_heads" in inputs else {}
    if stage == "model":
        found["L"] = depth_of(inputs)
    for name, axes in inputs_of(stage, inputs).items():
        if axes != "()":
            shape = inputs[name.replace(".i.", ".0.")].shape
            found |= zip(axes.strip("(,)").split(", "), shape, strict=True)
    return {letter: found[letter] for letter in LETTERS if letter in found}


def shape_of(axes: str, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The shape of an array whose axes are given in letters, such as ``"(B, T, D)"``; W is TD/H."""
    if "W" in axes:  # of a token that is mixed
        sizes = {**sizes, "W": sizes["T"] * sizes["D"] // sizes["H"]}
    lengths = axes.strip("(,)").split(", ")
    return tuple(int(one[:-1] or 1) * sizes[one[-1]] for one in lengths)


def kernel_sizes(stage: str) -> Iterator[Sizes]:
    """The sizes of the large cases of a stage: every edge of every axis, from both sides."""
    letters = letters_of(stage)
    inner = cycle((1, 5, 2, 3))  # F beside D: equal to it, smaller and larger
    found: list[Sizes] = [{"B": 1, "T": 1, "D": 6, "H": 2, "F": 9, "V": 4, "L": 1}]
    for D, rows in zip(_WIDTHS, _ROWS, strict=True):
        T = _divisor(rows, at_most=64)
        H = _divisor(D, at_most=64)
        F = D if D < 40 else next(inner)
        found.append({"B": rows // T, "T": T, "D": D, "H": H, "F": F, "V": 2 * T + 3, "L": 1})
    if "F" in letters:
        widths = cycle((33, 31, 8, 32))
        for F in _around(_TILES):
            D = next(widths)
            found.append({"B": 3, "T": 2, "D": D, "H": _divisor(D, 8), "F": F, "V": 9, "L": 1})
    if "H" in letters:
        depths = cycle((3, 1, 5, 2, 4))
        for H, T in zip(_HEADS, _TOKENS, strict=True):
            found.append({"B": 2, "T": T, "D": 3 * H, "H": H, "F": 7, "V": 11, "L": next(depths)})
        for n in (2, 4, 8, 16, 33, 65):  # as many heads as tokens, as in the paper
            found.append({"B": 3, "T": n, "D": 2 * n, "H": n, "F": 8 * n, "V": 11, "L": 2})
    if "V" in letters:
        for V in _around(EDGES["V"]):
            found.append({"B": 5, "T": 4, "D": 6, "H": 2, "F": 6, "V": V, "L": 2})
    for sizes in found:
        yield {letter: sizes[letter] for letter in letters}


def _divisor(n: int, at_most: int) -> int:
    """The largest divisor that is no larger."""
    return max(k for k in range(1, min(n, at_most) + 1) if n % k == 0)


# What a backend supports ---------------------------------------------------------------


def fitted(sizes: Mapping[str, int], requires: Mapping[str, Any]) -> Sizes:
    """The nearest sizes that a backend supports; the same where it supports these.

    Args:
        sizes: by letter.
        requires: by letter, a rule or a list of rules: an integer that divides the size, a letter
            of the same size, ``"<=128"``, ``">=16"``, or ``"power of two"``.

    Returns:
        Sizes in which H divides D.

    Raises:
        ArgumentError: a rule that cannot be read, or none of the sizes near fits.

    Example:
        >>> from numixology.verify.conformance.sizes import fitted
        >>> fitted({"B": 2, "T": 3, "D": 100, "H": 5}, {"D": 64, "H": "T"})
        {'B': 2, 'T': 3, 'D': 192, 'H': 3}
    """
    found, rules = dict(sizes), {letter: _rules(letter, requires) for letter in sizes}
    equal = {k: each for k in found for each in rules[k] if each in found}
    own = {k: [rule for rule in each if rule not in LETTERS] for k, each in rules.items()}
    for letter in sorted(found, key=lambda letter: (letter in equal, letter == "D")):
        near = found[equal[letter]] if letter in equal else found[letter]
        found[letter] = _nearest(letter, near, own[letter])
    if "D" in found and "H" in found and found["D"] % found["H"]:
        H = found["H"]
        both = "T" if equal.get("H") == "T" else "H"
        try:
            found["D"] = _nearest("D", found["D"], [*own["D"], H])
        except ArgumentError:  # as where D is a power of two and H is not
            found["H"] = _nearest("H", H, [*own[both], lambda n: found["D"] % n == 0])
            found[both] = found["H"]
    return found


def _rules(letter: str, requires: Mapping[str, Any]) -> list[Any]:
    given = requires.get(letter, [])
    return list(given) if isinstance(given, list | tuple) else [given]


def _nearest(letter: str, n: int, rules: Sequence[Any]) -> int:
    for distance in range(_FARTHEST):
        for size in (n + distance, n - distance):
            if size > 0 and all(_holds(rule, size) for rule in rules):
                return size
    raise ArgumentError(
        f"what a backend requires of {letter} can be met",
        " and ".join(map(shown, rules)),
        "leave a rule out",
    )


def _holds(rule: Any, size: int) -> bool:
    """Whether a size obeys a rule."""
    if callable(rule):
        return bool(rule(size))
    if isinstance(rule, int) and rule > 0:
        return size % rule == 0
    match str(rule).replace(" ", ""):
        case "poweroftwo":
            return size & (size - 1) == 0
        case text if text[:2] in ("<=", ">=") and text[2:].isdecimal():
            return size <= int(text[2:]) if text[0] == "<" else size >= int(text[2:])
    raise ArgumentError(
        "a backend requires of a size a divisor, another letter, a limit or a power of two",
        shown(rule),
        'write such as {"D": 64, "H": "T", "T": "<=128"}',
    )


def read_shape(text: str) -> Sizes:
    """``"B=512,T=16,D=768"`` as sizes.

    Raises:
        ArgumentError: it is written otherwise, or H does not divide D.

    Example:
        >>> from numixology.verify.conformance.sizes import read_shape
        >>> read_shape("B=512,T=16,D=768")
        {'B': 512, 'T': 16, 'D': 768}
    """
    found = {}
    for part in text.replace(" ", "").split(","):
        letter, _, number = part.partition("=")
        if letter not in LETTERS or not number.isdecimal() or not int(number):
            raise ArgumentError(
                f"a shape has positive sizes of {', '.join(LETTERS)}",
                shown(part),
                "write such as B=512,T=16,D=768,H=16,F=3072",
            )
        found[letter] = int(number)
    if "H" in found and "D" in found and found["D"] % found["H"]:
        raise ArgumentError(
            "H divides D", f"D={found['D']}, H={found['H']}", "choose another number of heads"
        )
    return found
