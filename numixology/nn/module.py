"""Modules: parameters and their names around the functions of ``functional``.

A tensor assigned to a module's attribute is a parameter of it, a module assigned to one is a
part of it, and so is every module in a list. Nothing else needs to be declared.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np

from ..array import ERRSTATE, IGNORE, Array, DTypeLike, Shape, ignoring_fp_errors
from ..checks import as_dtype
from ..errors import DTypeError, ShapeError, StateDictError
from ..tensors import Tensor, leaf
from ..text import columns

__all__ = ["Module", "ParameterRow", "ParameterTable", "Rng", "functional_call"]

#: A seed, a Generator, or None for a fresh seed.
Rng: TypeAlias = "np.random.Generator | int | None"

M = TypeVar("M", bound="Module")


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """One parameter of a module: its name, shape, count, and share of all in percent.

    Attributes:
        name: its dotted name.
        shape: the lengths of its axes.
        count: how many numbers it has.
        share: that count in percent of the module's.

    Source: guide, Parameter Distribution.

    Example:
        >>> import numixology as nx
        >>> row = nx.nn.Linear(3, 1, rng=0).parameter_table()[0]
        >>> row.name, row.shape, row.count, row.share
        ('weight', (1, 3), 3, 75.0)
    """

    name: str
    shape: Shape
    count: int
    share: float

    def __iter__(self) -> Iterator[Any]:
        return iter((self.name, self.shape, self.count, self.share))


class ParameterTable(tuple[ParameterRow, ...]):
    """The parameters of a module; prints as an aligned table with three decimals of share.

    A tuple of :class:`.ParameterRow`, made by ``Module.parameter_table()``.

    Source: guide, Parameter Distribution.

    Example:
        >>> import numixology as nx
        >>> table = nx.nn.Linear(3, 1, rng=0).parameter_table()
        >>> table
        parameter  shape  count      share
        ---------  -----  -----  ---------
        weight     1 x 3      3   75.000 %
        bias       1          1   25.000 %
        total                 4  100.000 %
        >>> table.total
        4
    """

    __slots__ = ()

    @property
    def total(self) -> int:
        """The number of parameters of all rows."""
        return sum(row.count for row in self)

    def __str__(self) -> str:
        rows = [
            (row.name, " x ".join(map(str, row.shape)), f"{row.count:,}", f"{row.share:.3f} %")
            for row in self
        ]
        total = ("total", "", f"{self.total:,}", f"{100 if self else 0:.3f} %")
        return columns(("parameter", "shape", "count", "share"), [*rows, total], "<<>>")

    __repr__ = __str__


class Module:
    """The base of all layers.

    Write a subclass with an ``__init__`` that assigns tensors and modules, and a ``forward``.
    A module starts in training mode.

    Example:
        >>> import numixology as nx
        >>> class Scale(nx.nn.Module):
        ...     def __init__(self, features):
        ...         self.weight = nx.tensor([1.0] * features, requires_grad=True)
        ...     def forward(self, x):
        ...         return x * self.weight
        >>> Scale(2)(nx.tensor([3.0, 4.0]))
        Tensor([3., 4.], from=multiply, requires_grad=True)
        >>> [name for name, _ in Scale(2).named_parameters()]
        ['weight']
    """

    training: bool = True

    def forward(self, *inputs: Any) -> Any:
        """What the module computes; subclasses define it.

        Args:
            *inputs: what the module is called with.

        Returns:
            What the subclass says.

        Raises:
            TypeError: the subclass does not define it.
        """
        raise TypeError(f"{type(self).__name__} must define forward(): got none; write one")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """:meth:`forward`, without NumPy's warnings about infinities and NaN."""
        before = ERRSTATE.get()
        try:
            ERRSTATE.set(IGNORE)
            return self.forward(*inputs, **options)
        finally:
            ERRSTATE.set(before)

    def __repr__(self) -> str:
        own = [f"{name}{list(p.shape)}" for name, p in vars(self).items() if isinstance(p, Tensor)]
        settings = [f"{name}={value!r}" for name, value in self._settings().items()]
        lines = [f"  ({name}): {part!r}".replace("\n", "\n  ") for name, part in self._parts()]
        inside = ", ".join(settings if lines else settings + own)
        if lines:
            inside += "\n" + "\n".join(lines) + "\n"
        return f"{type(self).__name__}({inside})"

    def _settings(self) -> dict[str, Any]:
        """What else a subclass wants its repr to say."""
        return {}

    def _parts(self) -> Iterator[tuple[str, "Module"]]:
        """The modules directly inside this one, with their names."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, list | tuple):
                for i, one in enumerate(value):
                    if isinstance(one, Module):
                        yield f"{name}.{i}", one

    def _entries(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Every parameter under every one of its names."""
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                yield prefix + name, value
        for name, part in self._parts():
            yield from part._entries(f"{prefix}{name}.")

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Pairs of a dotted name and a parameter; one that is used twice comes once.

        Returns:
            An iterator, in the order in which the attributes were assigned.

        Example:
            >>> import numixology as nx
            >>> [name for name, _ in nx.nn.TokenMixer(4, 8, 4).named_parameters()]
            ['norm.weight', 'norm.bias']
        """
        seen: set[int] = set()
        for name, parameter in self._entries():
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield name, parameter

    def parameters(self) -> Iterator[Tensor]:
        """The parameters, each once."""
        return (parameter for _, parameter in self.named_parameters())

    def state_dict(self) -> dict[str, Array]:
        """A copy of every parameter's values, by name, as NumPy arrays.

        Returns:
            A dict; a parameter that is used twice has an entry under each of its names.

        Example:
            >>> import numixology as nx
            >>> nx.nn.LayerNorm(2).state_dict()
            {'weight': array([1., 1.]), 'bias': array([0., 0.])}
        """
        return {name: parameter.numpy() for name, parameter in self._entries()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replace the values of all parameters, or of none.

        Args:
            state: an array of the right shape for every name of :meth:`state_dict`, and no
                other name. The values are copied and take the parameter's dtype.

        Raises:
            StateDictError: names are missing or unknown, or entries do not fit; the message
                lists all of them, and no parameter has changed.

        Example:
            >>> import numixology as nx
            >>> norm = nx.nn.LayerNorm(2)
            >>> norm.load_state_dict({"weight": [2.0, 3.0], "bias": [0.0, 1.0]})
            >>> norm.weight
            Tensor([2., 3.], requires_grad=True)
        """
        own = dict(self._entries())
        problems = [f"missing {name}" for name in own if name not in state]
        problems += [f"unexpected {name}" for name in state if name not in own]
        loaded: dict[str, Array] = {}
        for name, parameter in own.items():
            if name not in state:
                continue
            try:
                values = np.array(state[name])
            except (TypeError, ValueError):
                values = np.array(None)
            fits = np.can_cast(values.dtype, parameter.dtype, "same_kind")
            if not fits or (values.dtype.kind == "b") != (parameter.dtype.kind == "b"):
                problems.append(f"{name} of dtype {values.dtype}, not {parameter.dtype}")
            elif values.shape != parameter.shape:
                problems.append(f"{name} of shape {values.shape}, not {parameter.shape}")
            else:
                with ignoring_fp_errors():  # what float32 cannot hold becomes infinite
                    loaded[name] = values.astype(parameter.dtype)
        if problems:
            raise StateDictError(
                "a state dict has one entry of the right shape per parameter",
                "; ".join(problems),
                "compare its names with state_dict(); nothing was loaded",
            )
        for name, values in loaded.items():
            own[name].data = values

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def train(self: M, mode: bool = True) -> M:
        """Switch this module and its parts to training mode (dropout active); return it.

        Args:
            mode: False switches to evaluation mode instead.

        Returns:
            The module itself.
        """
        self.training = bool(mode)
        for _, part in self._parts():
            part.train(mode)
        return self

    def eval(self: M) -> M:
        """Switch this module and its parts to evaluation mode (no dropout); return it.

        Returns:
            The module itself.

        Example:
            >>> import numixology as nx
            >>> nx.nn.Dropout(0.5, rng=0).eval()(nx.tensor([1.0, 2.0]))
            Tensor([1., 2.])
        """
        return self.train(False)

    def parameter_table(self) -> ParameterTable:
        """Name, shape, count and share (in percent) of every parameter.

        Source: guide, Parameter Distribution.

        Example:
            >>> import numixology as nx
            >>> print(nx.nn.FeedForward(8, rng=0).parameter_table())
            parameter       shape   count      share
            --------------  ------  -----  ---------
            norm.weight     8           8    1.408 %
            norm.bias       8           8    1.408 %
            linear1.weight  32 x 8    256   45.070 %
            linear1.bias    32         32    5.634 %
            linear2.weight  8 x 32    256   45.070 %
            linear2.bias    8           8    1.408 %
            total                     568  100.000 %
        """
        counts = [(name, p.shape, p.size) for name, p in self.named_parameters()]
        total = max(1, sum(count for _, _, count in counts))
        return ParameterTable(
            ParameterRow(name, shape, count, 100 * count / total) for name, shape, count in counts
        )


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
    return replaced(module, parameters)(*inputs)


def replaced(module: M, parameters: Mapping[str, Any]) -> M:
    """A copy of the tree of modules that shares all with it but these parameters."""
    own = dict(module._entries())
    problems = [f"unexpected {name}" for name in parameters if name not in own]
    instead: dict[int, Any] = {}
    for name, value in parameters.items():
        given = value if isinstance(value, Tensor) else np.asarray(value)
        if name in own and given.shape != own[name].shape:
            problems.append(f"{name} of shape {given.shape}, not {own[name].shape}")
        elif name in own:
            instead[id(own[name])] = given
    if problems:
        raise StateDictError(
            "functional_call replaces parameters of the module by name",
            "; ".join(problems),
            "compare the names with named_parameters()",
        )
    return _twin(module, instead)


def _twin(module: M, instead: Mapping[int, Any]) -> M:
    twin = object.__new__(type(module))
    vars(twin).update(vars(module))
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            vars(twin)[name] = instead.get(id(value), value)
        elif isinstance(value, Module):
            vars(twin)[name] = _twin(value, instead)
        elif isinstance(value, list | tuple) and any(isinstance(one, Module) for one in value):
            make = getattr(type(value), "_make", type(value))  # a NamedTuple takes its fields apart
            vars(twin)[name] = make(
                _twin(one, instead) if isinstance(one, Module) else one for one in value
            )
    return twin


def parameter(values: Array, dtype: DTypeLike) -> Tensor:
    """A leaf that requires a gradient, of one of the floating-point dtypes."""
    kind = as_dtype(dtype)
    if kind.kind != "f":
        raise DTypeError("parameters are float64 or float32", str(kind), "pass dtype=np.float64")
    return leaf(values.astype(kind), requires_grad=True)


def check_input(x: Any, module: Module, like: Tensor, axes: str, *lengths: int) -> None:
    """Raise unless ``x`` has the last lengths, and the dtype of a parameter.

    Args:
        x: what the module was called with.
        module: the module, for the message.
        like: a parameter of it.
        axes: the axes of x: ``"(B, T, D)"``, or ``"(..., D)"`` for any number of leading ones.
        *lengths: the lengths of the last axes.
    """
    if not isinstance(x, (Tensor, np.ndarray)):
        raise DTypeError(
            f"{type(module).__name__} takes a tensor or an array",
            type(x).__name__,
            "wrap it with nx.tensor",
        )
    shape = x.shape
    any_number = axes[1] == "."
    if shape[-len(lengths) :] != lengths or not (any_number or len(shape) == axes.count(",") + 1):
        names = axes.strip("()").split(", ")[-len(lengths) :]
        known = ", ".join(f"{a} = {n}" for a, n in zip(names, lengths, strict=True))
        raise ShapeError(
            f"{type(module).__name__} takes x of shape {axes} with {known}",
            str(shape),
            "reshape the input, or make the module with other sizes",
        )
    if x.dtype != like.dtype and "c" not in (x.dtype.kind, like.dtype.kind):
        raise DTypeError(
            f"{type(module).__name__} has {like.dtype} parameters and takes {like.dtype} input",
            str(x.dtype),
            f"use x.astype('{like.dtype}')"
            + (f", or make the module with dtype='{x.dtype}'" if x.dtype.char in "fd" else ""),
        )
