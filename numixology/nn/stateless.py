"""A module called with other parameters, which it never sees."""

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from ..errors import StateDictError
from ..tensors import Tensor
from .module import Module

__all__ = ["functional_call", "twin"]

M = TypeVar("M", bound=Module)


def functional_call(module: Module, parameters: Mapping[str, Any], *inputs: Any) -> Any:
    """Call ``module`` with other parameters, without touching it.

    With arrays for all parameters and inputs the whole calculation runs on plain arrays,
    complex ones included, and records nothing.

    Args:
        module: any module.
        parameters: an array or tensor of the right shape for some or all parameter names.
        *inputs: what the module is called with.

    Returns:
        What the module returns.

    Raises:
        StateDictError: unknown names or other shapes; the message lists all of them.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> layer = nx.nn.Linear(2, 1, rng=0)
        >>> twos = {"weight": np.full((1, 2), 2.0), "bias": np.zeros(1)}
        >>> nx.nn.functional_call(layer, twos, np.ones((3, 2)))
        array([[4.],
               [4.],
               [4.]])
    """
    own = dict(module._entries())
    problems = [f"unexpected {name}" for name in parameters if name not in own]
    replacements: dict[int, Any] = {}
    for name, value in parameters.items():
        given = value if isinstance(value, Tensor) else np.asarray(value)
        if name in own and given.shape != own[name].shape:
            problems.append(f"{name} of shape {given.shape}, not {own[name].shape}")
        elif name in own:
            replacements[id(own[name])] = given
    if problems:
        invariant = "functional_call replaces parameters of the module by name"
        instead = "compare the names with named_parameters()"
        raise StateDictError(invariant, "; ".join(problems), instead)
    return twin(module, replacements)(*inputs)


def twin(module: M, instead: Mapping[int, Any]) -> M:
    """A copy of the tree of modules that shares all with it but the parameters of these ids."""
    copy = object.__new__(type(module))
    vars(copy).update(vars(module))
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            vars(copy)[name] = instead.get(id(value), value)
        elif isinstance(value, Module):
            vars(copy)[name] = twin(value, instead)
        elif isinstance(value, list | tuple) and any(isinstance(one, Module) for one in value):
            make = getattr(type(value), "_make", type(value))  # a NamedTuple takes its fields apart
            vars(copy)[name] = make(
                twin(one, instead) if isinstance(one, Module) else one for one in value
            )
    return copy
