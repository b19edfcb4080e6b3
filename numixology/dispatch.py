"""NumPy's two protocols: what ``np.exp(tensor)``, ``array * tensor`` and ``np.sum(tensor)`` mean.

Before NumPy calculates it asks its arguments: ``__array_ufunc__`` of a ufunc (NEP 13) and
``__array_function__`` of any other function (NEP 18). A tensor answers with the function that
:func:`.implements` has put into the table, or refuses: an array from outside the tape, returned in
silence, would be the one wrong answer.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from inspect import Parameter, signature
from typing import Any

import numpy as np

from .arithmetic import logical_and, logical_not, logical_or, logical_xor
from .autograd import Node, Primitive
from .checks import as_mask, as_operand
from .errors import DTypeError
from .primitives import HANDLED_FUNCTIONS, implements

__all__ = ["bitwise_and", "bitwise_or", "bitwise_xor", "call_function", "call_ufunc", "invert"]

#: What an array is, not a calculation with it: NumPy's own answers, a bool, a number or an array.
WITHOUT_GRADIENT: frozenset[Callable[..., Any]] = frozenset((
    np.shape, np.ndim, np.size, np.result_type, np.iscomplexobj, np.isrealobj, np.isfinite,
    np.isinf, np.isnan, np.signbit, np.may_share_memory, np.shares_memory,
))  # fmt: skip

#: Arrays in the shape of a tensor, of which a tensor is made, so that nothing is assigned into it.
CREATION_FUNCTIONS: frozenset[Callable[..., Any]] = frozenset((
    np.empty_like, np.full_like, np.ones_like, np.zeros_like,
))  # fmt: skip

#: Arguments that NumPy's functions name in another way.
RENAMED = {"a_min": "min", "a_max": "max", "newshape": "shape"}

#: What to write instead of an argument of NumPy that would change the result.
INSTEAD = {
    "correction": "write ddof=",
    "dtype": "convert before or afterwards, with .astype(...)",
    "initial": "combine the result with +, *, nx.functional.maximum or minimum",
    "order": "transpose or permute first",
    "where": "choose with nx.functional.where",
    "axes": "transpose or permute first",
    "axis": "reduce or index with functions of nx.functional",
    **dict.fromkeys(
        ("casting", "device", "like", "optimize", "signature", "subok"),
        "leave it out: results are NumPy's without it",
    ),
}


def call_ufunc(
    ufunc: np.ufunc, method: str, inputs: Sequence[Any], options: Mapping[str, Any]
) -> Any:
    """The answer of ``__array_ufunc__``."""
    if method != "__call__":
        raise _refusal(f"np.{ufunc.__name__}.{method}", "use a function of nx.functional")
    if ufunc in WITHOUT_GRADIENT and not options:
        return ufunc(*map(_values, inputs))
    return _implementation(ufunc, options)(*map(as_operand, inputs))


def call_function(
    function: Callable[..., Any], arguments: Sequence[Any], options: Mapping[str, Any]
) -> Any:
    """The answer of ``__array_function__``."""
    if function in WITHOUT_GRADIENT or function in CREATION_FUNCTIONS:
        return function(*map(_values, arguments), **{k: _values(v) for k, v in options.items()})
    arguments, options = _by_name(function, arguments, options)
    return _implementation(function, options)(*arguments, **options)


def _values(argument: Any) -> Any:
    return argument.data if isinstance(argument, Node) else argument


def _by_name(
    function: Callable[..., Any], arguments: Sequence[Any], options: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """All arguments but the first by name: the order of NumPy's arguments is not ours."""
    ours = HANDLED_FUNCTIONS.get(function)
    if ours is None or isinstance(ours, Primitive):  # a primitive has NumPy's order
        return arguments, options
    try:
        parameters = _parameters(function)
    except ValueError:  # a function written in C
        return arguments, options
    if any(p.kind is Parameter.VAR_POSITIONAL for p in parameters.values()):
        return arguments, options
    given = dict(zip(parameters, arguments, strict=False)) | {**options}
    first = given.pop(next(iter(parameters)))
    return (first,), {
        RENAMED.get(name, name): value
        for name, value in given.items()
        if name not in parameters or value is not parameters[name].default
    }


@cache
def _parameters(function: Callable[..., Any]) -> Mapping[str, Parameter]:
    return signature(function).parameters


def _implementation(function: Callable[..., Any], options: Mapping[str, Any]) -> Callable[..., Any]:
    """Our function of the same meaning, which knows these options."""
    room = (getattr(function, "__module__", None) or "numpy").replace("numpy", "np", 1)
    name = f"{room}.{function.__name__}"
    ours = HANDLED_FUNCTIONS.get(function)
    into = options.get("out")
    if any(isinstance(one, Node) for one in (into if isinstance(into, tuple) else (into,))):
        raise _refusal(
            f"{name} with a tensor to write into",
            "give it one argument less; an array as an input of nx.jvp stands in a tuple",
        )
    if "out" in options:
        raise _refusal(f"{name}(..., out=...)", "write y = y + t, not y += t")
    if ours is None:
        raise _refusal(
            name, f"use nx.functional, or {name}(np.asarray(t)) for plain values off the tape"
        )
    known = () if isinstance(function, np.ufunc) else _parameters(ours)
    for word in options:
        if word not in known:
            instead = INSTEAD.get(word, f"see the arguments of nx.functional.{ours.__name__}")
            raise _refusal(f"{name}(..., {word}=...)", instead)
    return ours


def _refusal(received: str, instead: str) -> DTypeError:
    return DTypeError("NumPy functions on tensors must be recorded", received, instead)


# Bit by bit NumPy's & | ^ ~ agree with logic on booleans, and on nothing else.


@implements(np.bitwise_and)
def bitwise_and(a: Any, b: Any) -> Any:
    """a & b, of booleans only."""
    return logical_and(as_mask(a), as_mask(b))


@implements(np.bitwise_or)
def bitwise_or(a: Any, b: Any) -> Any:
    """a | b, of booleans only."""
    return logical_or(as_mask(a), as_mask(b))


@implements(np.bitwise_xor)
def bitwise_xor(a: Any, b: Any) -> Any:
    """a ^ b, of booleans only."""
    return logical_xor(as_mask(a), as_mask(b))


@implements(np.invert)
def invert(x: Any) -> Any:
    """~x, of booleans only."""
    return logical_not(as_mask(x))
