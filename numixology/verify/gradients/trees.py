"""Tuples, lists and dicts of arrays: their leaves in order, and the same tree of other leaves.

A list of Python's numbers, however nested, is an array.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = ["argument_names", "is_tree", "leaves", "rebuilt", "signature_of"]

_NUMBERS = (bool, int, float)
#: No array has so many axes.
_DEEPEST = 65


def leaves(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf with its name, such as ``params['w']``; dicts in the order of their keys."""
    if is_tree(tree):
        for key, part in _parts(tree):
            yield from leaves(part, f"{name}[{key!r}]")
    else:
        yield name, tree


def rebuilt(tree: Any, others: Iterator[Any]) -> Any:
    """The tree with other leaves, one for each of its own."""
    if not is_tree(tree):
        return next(others)
    parts = {key: rebuilt(part, others) for key, part in _parts(tree)}
    if isinstance(tree, dict):
        return {key: parts[key] for key in tree}
    if hasattr(tree, "_fields"):  # a named tuple
        return type(tree)(*parts.values())
    return type(tree)(parts.values())


def is_tree(value: Any) -> bool:
    """Whether it is a tuple, list or dict, and no list of numbers."""
    return isinstance(value, dict) or (isinstance(value, list | tuple) and not _is_numbers(value))


def _parts(tree: Any) -> list[tuple[Any, Any]]:
    if isinstance(tree, dict):
        return sorted(tree.items(), key=lambda item: str(item[0]))
    return list(enumerate(tree))


def _is_numbers(value: Any) -> bool:
    """Whether it is a number or lists of them; also a list so deep that nobody means a tree."""
    level = [value]
    for _ in range(_DEEPEST):
        lists = [one for one in level if isinstance(one, list | tuple)]
        if not all(type(one) in _NUMBERS for one in level if not isinstance(one, list | tuple)):
            return False  # those of NumPy are arrays without axes
        if not lists:
            return True
        if not all(lists):
            return False
        level = [*{id(part): part for one in lists for part in one}.values()]  # it may hold itself
    return True


def argument_names(fn: Callable[..., Any], count: int) -> list[str]:
    """What ``fn`` calls its arguments; ``inputs[i]`` for one without a name."""
    if isinstance(fn, np.ufunc):  # older releases of NumPy give them no signature
        return ["x"] if count == 1 else [f"x{i + 1}" for i in range(count)]
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    signature = signature_of(fn)
    parameters = list(signature.parameters.values()) if signature else []
    names = [one.name for one in parameters if one.kind in positional]
    rest = next((one.name for one in parameters if one.kind is one.VAR_POSITIONAL), "")
    first, rest = len(names), rest or "inputs"
    return names[:count] + [f"{rest}[{i}]" for i in range(count - first)]


def signature_of(fn: Any) -> inspect.Signature | None:
    """The signature of a function, if it can be told; some written in C have none."""
    try:
        return inspect.signature(fn)
    except (TypeError, ValueError):
        return None
