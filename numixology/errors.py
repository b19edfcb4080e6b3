"""What can go wrong, said so that it can be mended.

Every error of numixology has three parts: the invariant that was broken, what was received,
and what to do instead. Each class also derives from the Python exception that a user would
think of first, so ``except ValueError`` keeps working. Messages are short, however large the
argument.
"""

import reprlib
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

__all__ = [
    "ArgumentError", "DTypeError", "GradientError", "IndexRangeError", "NumixologyError",
    "ShapeError", "StateDictError", "TapeError", "UnsupportedError", "VectorError",
]  # fmt: skip

#: The exit status of every command by what it found; "usage" is what makes no sense.
EXIT_CODES = {"pass": 0, "fail": 1, "usage": 2, "inconclusive": 3, "unsupported": 4}


class NumixologyError(Exception):
    """The invariant, what was received, and what to do instead.

    Args:
        invariant: what always holds, as a sentence without a full stop.
        received: what came instead of it; empty if the invariant says so itself.
        instead: what the caller can do about it.

    Example:
        >>> print(ShapeError("hidden_dim must be divisible by num_heads", "8 and 3", "try 2 or 4"))
        hidden_dim must be divisible by num_heads: got 8 and 3; try 2 or 4
    """

    def __init__(self, invariant: str, received: str, instead: str) -> None:
        super().__init__(*(shortened(part) for part in (invariant, received, instead)))

    def __str__(self) -> str:
        invariant, received, instead = self.args
        return f"{invariant}{received and f': got {received}'}; {instead}"


class ShapeError(NumixologyError, ValueError):
    """A number of dimensions, an axis or a length does not fit.

    Example:
        >>> import numixology as nx
        >>> nx.nn.TokenMixer(num_tokens=4, hidden_dim=8, num_heads=3)
        Traceback (most recent call last):
        numixology.errors.ShapeError: hidden_dim must be divisible by num_heads: got 8 and 3; ...
    """


class ArgumentError(NumixologyError, ValueError):
    """A value lies outside its range, or a name is not one of those known.

    Example:
        >>> import numixology as nx
        >>> nx.functional.gelu(nx.tensor([1.0]), approximate="sigmoid")
        Traceback (most recent call last):
        numixology.errors.ArgumentError: approximate is 'none' or 'tanh': got 'sigmoid'; ...
    """


class DTypeError(NumixologyError, TypeError):
    """A type or dtype does not fit, or an operation is not one that tensors have.

    Example:
        >>> import numixology as nx
        >>> nx.tensor([1, 2], requires_grad=True)
        Traceback (most recent call last):
        numixology.errors.DTypeError: only floating-point tensors can require gradients: ...
    """


class IndexRangeError(NumixologyError, IndexError):
    """An index, or an id looked up in a table, lies outside it.

    Example:
        >>> import numixology as nx
        >>> nx.functional.embedding([3], nx.tensor([[1.0], [2.0]]))
        Traceback (most recent call last):
        numixology.errors.IndexRangeError: ids lie from 0 to 1: got 3 at (0,); ...
    """


class TapeError(NumixologyError, RuntimeError):
    """The tape cannot answer: nothing was recorded, it was freed, or a value on it changed.

    Example:
        >>> import numixology as nx
        >>> nx.tensor(2.0).backward()
        Traceback (most recent call last):
        numixology.errors.TapeError: a backward starts from a tensor computed from one that ...
    """


class StateDictError(NumixologyError, KeyError, ValueError):
    """Names are missing or unknown, or shapes differ; the message lists every one of them.

    A missing name is a KeyError and a misshapen entry a ValueError; one message lists both, so
    this class is both.

    Example:
        >>> import numixology as nx
        >>> nx.nn.LayerNorm(2).load_state_dict({"weight": [1.0, 1.0, 1.0]})
        Traceback (most recent call last):
        numixology.errors.StateDictError: ... got missing bias; weight of shape (3,), not (2,); ...
    """


class GradientError(NumixologyError, RuntimeError):
    """A gradient check did not pass, and was asked to raise.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> try:
        ...     nx.gradcheck(np.exp, np.ones(2), vjp=lambda ct, x: ct, raise_on_failure=True)
        ... except nx.errors.GradientError as error:
        ...     print(error.args[0])
        a gradient must say what the function does
    """


class UnsupportedError(NumixologyError, RuntimeError):
    """What is asked for needs a library, a device or a kernel that is not here.

    Example:
        >>> from numixology.errors import UnsupportedError
        >>> print(UnsupportedError("torch runs on a device", "no CUDA", "use the CPU"))
        torch runs on a device: got no CUDA; use the CPU
    """


class VectorError(NumixologyError, ValueError):
    """A file of test vectors, or of results for them, is missing, damaged or not what it claims.

    Example:
        >>> from numixology.verify.conformance import compare_vectors
        >>> compare_vectors("nowhere", "results")
        Traceback (most recent call last):
        numixology.errors.VectorError: nowhere/manifest.json: it must be readable: got ...
    """


def shortened(text: str, most: int = 900) -> str:
    """The text, without its middle where it is too long to be read."""
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"


def shown(value: Any) -> str:
    """What was given, in a few words: arrays by their shape, large or nested values cut."""
    shape, dtype = getattr(value, "shape", ()), getattr(value, "dtype", None)
    return f"shape {shape} of {dtype}" if shape else reprlib.repr(value)


def nearest(word: Any, words: Iterable[str], instead: str) -> str:
    """Advice about a word that is none of those known: the nearest of them, or else ``instead``."""
    text = "none" if word is None else word
    near = get_close_matches(text, words, 1, 0.65) if isinstance(text, str) else []
    return f"did you mean {near[0]!r}?" if near else instead


def unknown(what: str, word: Any, words: Iterable[str], instead: str = "") -> ArgumentError:
    """A name that nothing has.

    Args:
        what: the kind of thing that is named.
        word: the name.
        words: the names that there are.
        instead: what to do if none of them is near; to use one of them, unless that is said.
    """
    names = [*words]
    advice = nearest(word, names, instead or f"use {', '.join(names)}")
    return ArgumentError(f"unknown {what} {shown(word)}", "", advice)


# The tape's own errors. A primitive is known by its name, its arguments, and whether it broadcasts.


def no_argument(primitive: Any, argument: str) -> ArgumentError:
    """A rule is registered for an argument that the forward does not have."""
    invariant = f"a rule of {primitive.__name__} belongs to one of its positional arguments"
    instead = f"use one of {', '.join(primitive.arguments) or '*arguments'}"
    return ArgumentError(invariant, repr(argument), instead)


def no_rule(primitive: Any, position: int) -> TapeError:
    """A gradient is asked for by an argument that has no rule."""
    name = primitive.arguments[position] if primitive.arguments else "*arguments"
    invariant = f"{primitive.__name__} must have a rule for every argument that requires a gradient"
    instead = f"write one below it: @{primitive.__name__}.vjp({name!r}); or detach() the argument"
    return TapeError(invariant, f"none for {name!r}", instead)


def bad_rule(primitive: Any, part: Any, shape: Sequence[int]) -> NumixologyError:
    """A rule returned no array, or one of another shape than its argument's."""
    if not hasattr(part, "shape"):
        invariant = f"a rule of {primitive.__name__} must return an array of shape {shape}"
        return DTypeError(invariant, type(part).__name__, "mend the rule: it may lack a return")
    invariant = f"a rule of {primitive.__name__} must return its argument's shape {shape}"
    instead = "mend the rule, or declare broadcasts=True if the forward broadcasts"
    return ShapeError(invariant, str(part.shape), instead)


def tape_freed(primitive: Any) -> TapeError:
    """A backward meets a call whose inputs an earlier one has forgotten."""
    got = f"a second backward through {primitive.__name__}, whose inputs an earlier one has freed"
    instead = "compute the output again, or pass retain_graph=True to the first backward"
    return TapeError("a tape is read once", got, instead)


def value_changed(primitive: Any, shape: Sequence[int]) -> TapeError:
    """The data of a tensor on the tape was replaced after it was used."""
    name = primitive.__name__
    invariant = f"a value must stay as it was between {name}() and the backward through it"
    instead = "assign to .data after the backward, or compute the output again"
    return TapeError(invariant, f"data of shape {shape} assigned in between", instead)
