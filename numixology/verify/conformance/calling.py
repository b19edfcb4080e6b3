"""A backend is called, and what it returns is made sense of.

Backends are written with the habits of other libraries. What they return is understood where it can
mean one thing only; otherwise a sentence says what to return.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ...array import Array
from ...errors import StateDictError, UnsupportedError, shortened
from .cases import Case, fresh
from .formats import format_of

__all__ = ["Answer", "Fault", "Raised", "Refused", "answered", "array_of", "asked", "called"]
__all__ += ["in_a_line"]


class Fault(Exception):
    """What a backend returns cannot be compared; the text says why."""


class Raised(Fault):
    """A backend has raised something."""


class Refused(Exception):
    """A backend does not cover a case."""


class Answer(NamedTuple):
    """What a backend says of a case.

    Attributes:
        results: what can be compared, by tensor, in arrays that nobody else holds. The output is
            among them even where the gradients are at fault or refused.
        fault: why the rest cannot be compared; empty if nothing is wrong with it.
        refused: why the backend does not cover the rest; empty if it does.
    """

    results: dict[str, Array]
    fault: str = ""
    refused: str = ""


def answered(adapter: Any, case: Case, backward: bool) -> Answer:
    """The output and, if asked for, the gradients of a case.

    Raises:
        StateDictError: a wrapped module lacks a parameter; nothing can be said of any case.
    """
    results: dict[str, Array] = {}
    for function in ("forward", "vjp") if backward else ("forward",):
        own = fresh(case)  # forward may have written into its inputs
        try:
            results |= {k: np.array(x) for k, x in asked(adapter, own, function).items()}
        except Refused as why:
            return Answer(results, refused=str(why))
        except Fault as fault:
            return Answer(results, str(fault))
    return Answer(results)


def asked(adapter: Any, case: Case, function: str) -> dict[str, Array]:
    """What ``"forward"`` or ``"vjp"`` says of a case's own arrays, in arrays that it may hold.

    Raises:
        Fault: that cannot be compared.
        Raised: it raises something.
        Refused: it does not cover the case.
        StateDictError: see :func:`answered`.
    """
    try:
        if function == "forward":
            names, returned = ["output"], {"output": adapter.forward(case.stage, case.inputs)}
        else:
            names = case.differentiable
            returned = _named(adapter.vjp(case.stage, case.inputs, case.cotangent), names)
    except (StateDictError, Fault):
        raise
    except (NotImplementedError, UnsupportedError) as error:
        raise Refused(f"its {function} raised {in_a_line(error)}") from error
    except (Exception, SystemExit) as error:  # whatever a backend raises
        raise Raised(f"its {function} raised {in_a_line(error)}") from error
    return {name: _checked(returned, name, case) for name in names}


def _named(gradients: Any, names: list[str]) -> dict[str, Any]:
    """What a vjp returns, by the names of the inputs; a single gradient needs none."""
    if isinstance(gradients, Mapping):
        return dict(gradients)
    alone = gradients
    if isinstance(gradients, tuple | list) and len(gradients) == 1:
        (alone,) = gradients  # as jax.vjp returns it
    if len(names) == 1 and hasattr(alone, "shape"):
        return {names[0]: alone}
    wanted = ", ".join(f'"{name}": ...' for name in names)
    what = "nothing" if gradients is None else f"{_kind(gradients)} without names"
    raise Fault(f"its vjp returns {what}: return a dict, {{{wanted}}}")


def _checked(results: Mapping[str, Any], name: str, case: Case) -> Array:
    """A result as an array of NumPy, of the shape and the dtype that it should have."""
    said = f"the {called(name)}"
    if name not in results:
        others = [other for other in results if other not in case.inputs]
        raise Fault(f"{said} is missing{f': there is one of {others}' if others else ''}")
    shape = case.cotangent.shape if name == "output" else case.inputs[name].shape
    got, dtype = array_of(results[name], case.dtype, said), format_of(case.dtype).container
    if got.shape != shape:
        raise Fault(f"{said} has shape {got.shape}, not {shape}")
    if got.dtype != dtype:
        raise Fault(f"{said} has dtype {got.dtype}, not {np.dtype(dtype)}")
    return got


def array_of(value: Any, dtype: str, said: str = "the output") -> Array:
    """A tensor of torch, an array of JAX, or whatever else holds numbers, as an array of NumPy.

    It shares memory where it can. bfloat16 becomes float32 in a backend of that format.
    """
    whole, kind = value, str(getattr(value, "dtype", ""))
    for step in ("detach", "cpu"):  # of torch
        whole = getattr(whole, step, lambda same=whole: same)()
    if kind.endswith("bfloat16") and dtype == "bfloat16":
        whole = whole.float() if hasattr(whole, "float") else np.asarray(whole).astype(np.float32)
    try:
        if isinstance(whole, tuple | list) or not hasattr(whole, "shape"):
            raise TypeError
        return np.asarray(whole) if hasattr(whole, "__array__") else np.from_dlpack(whole)
    except Exception as error:  # whatever the other library raises
        why = f" ({in_a_line(error)})" if str(error) else ""
        what = "None" if value is None else f"{_kind(value)}, not a NumPy array{why}"
        raise Fault(f"{said} is {what}: return an array of NumPy") from error


def _kind(value: Any) -> str:
    """The type of a value, for reports."""
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def called(tensor: str) -> str:
    """A tensor in a sentence."""
    return "output" if tensor == "output" else f"gradient of {tensor}"


def in_a_line(error: BaseException) -> str:
    """What a backend raised, for reports."""
    return shortened(f"{type(error).__name__}: {' '.join(str(error).split())}", 300)
