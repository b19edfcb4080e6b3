"""The arguments of a gradient check: options, a seed, inputs, and a module as a function."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from ...array import Array
from ...errors import ArgumentError, DTypeError, shown
from ...nn import Module
from ...nn.stateless import twin
from ...tensors import Tensor
from .executors import Executor
from .trees import argument_names, signature_of

__all__ = ["Method", "Options", "refuse_calls", "refuse_dtypes", "stream", "with_parameters"]

Method: TypeAlias = Literal["auto", "complex", "central"]


class Options(NamedTuple):
    """The options of a check, as :func:`.gradcheck` describes them."""

    method: Method
    order: int
    tolerance: float | None
    fast: bool
    strict: bool
    nondet_tol: float
    check_jvp: Callable[..., Any] | None
    executor: Executor | None

    def refuse(self, vjp: Callable[..., Any] | None) -> None:
        """Raise ArgumentError for values that no check can have."""
        if self.method not in ("auto", "complex", "central"):
            raise ArgumentError(
                "method is 'auto', 'complex' or 'central'", repr(self.method), "use one of them"
            )
        if self.order not in (1, 2) or (self.order == 2 and vjp is not None):
            raise ArgumentError(
                "order is 1 or, without vjp=, 2",
                repr(self.order),
                "check a vjp of your own as order 1, or make it the rule of a primitive",
            )
        if self.tolerance is not None and not self.tolerance > 0:
            raise ArgumentError(
                "tolerance is positive", repr(self.tolerance), "leave it out for the default"
            )


def with_parameters(
    module: Module, inputs: Sequence[Any]
) -> tuple[Callable[..., Any], list[Any], list[str]]:
    """A function of a module's inputs and parameters, these, and the names of all of them."""
    parameters = dict(module.named_parameters())
    names = [*argument_names(module.forward, len(inputs)), *parameters]
    run = _WithParameters(module, len(inputs), list(parameters.values())).run
    return run, [*inputs, *parameters.values()], names


def stream(rng: "np.random.Generator | int") -> "np.random.Generator":
    """A Generator that differs from ``default_rng(rng)``, from which the input may be drawn."""
    seed = rng.integers(2**63) if isinstance(rng, np.random.Generator) else rng
    if not isinstance(seed, int | np.integer) or seed < 0:
        instead = "leave it out, or give e.g. rng=1: a check that fails can then be repeated"
        raise ArgumentError("rng is a seed or a Generator", shown(seed), instead)
    return np.random.default_rng((int(seed), 0x6E78))


def refuse_calls(
    fn: Callable[..., Any], vjp: Callable[..., Any] | None, inputs: Sequence[Any]
) -> None:
    """Refuse functions that cannot be called with the inputs."""
    library = type(fn).__module__.partition(".")[0]
    if vjp is None and library in ("torch", "jax", "jaxlib", "flax"):
        raise ArgumentError(
            "fn is a function of numixology's tensors or, with vjp=, of NumPy arrays",
            f"{type(fn).__name__} of {library}",
            "wrap it and its gradient as functions of arrays, as the page on gradcheck shows",
        )
    one_by_one = ""
    if len(inputs) == 1 and isinstance(inputs[0], tuple):
        one_by_one = ", one by one and not in a tuple"
    for name, call, given in (("fn", fn, inputs), ("vjp", vjp, ["cotangent", *inputs])):
        signature = signature_of(call)
        try:
            if signature:
                signature.bind(*given)
        except TypeError as error:
            raise ArgumentError(
                f"gradcheck calls {name}({'cotangent, ' * (name == 'vjp')}*inputs)",
                str(error),
                f"give the inputs that {name} takes{one_by_one}",
            ) from error


def refuse_dtypes(floating: Sequence[np.dtype[Any]], values: Sequence[Array]) -> None:
    """Refuse inputs of which none, or not each, is of a dtype that can be differentiated."""
    received = ", ".join(str(one.dtype) for one in values) or "none"
    if not floating:
        raise DTypeError(
            "gradcheck needs a floating-point input", received, "convert one to float64"
        )
    if not all(one in (np.float64, np.float32) for one in floating):
        raise DTypeError(
            "floating-point inputs are float64 or float32", received, "convert them with astype"
        )


class _WithParameters:
    """A module as a function of its inputs and, after them, its parameters."""

    def __init__(self, module: Module, arity: int, parameters: Sequence[Tensor]) -> None:
        self.module, self.arity, self.parameters = module, arity, parameters

    def run(self, *values: Any) -> Any:
        """Call the module with these inputs and parameters."""
        pairs = zip(self.parameters, values[self.arity :], strict=True)
        return twin(self.module, {id(own): value for own, value in pairs})(*values[: self.arity])
