"""Modules: parameters, parts and state around the functions of ``functional``.

A tensor assigned to a module's attribute is a parameter of it, a module assigned to one is a
part of it, and so is every module in a list. Nothing else needs to be declared; tensors in a list,
and modules in a dict or in a list of lists, are not found.
"""

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np

from ..array import ERRSTATE, IGNORE, Array, Setting, ignoring_fp_errors
from ..checks import fitting_state
from ..errors import DTypeError, shown
from ..observe import observers, step
from ..tensors import Tensor
from .parameter_table import ParameterRow, ParameterTable

__all__ = ["Module", "Rng"]

#: A seed, a Generator, or None for a fresh seed.
Rng: TypeAlias = "np.random.Generator | int | None"

M = TypeVar("M", bound="Module")

_calling: ContextVar["Module | None"] = ContextVar("calling", default=None)


class Module:
    """The base of all layers.

    Write a subclass with an ``__init__`` that assigns tensors and modules, and a ``forward``.
    A module starts in training mode. An observer sees what a part returns, under the part's name in
    the module that calls it.

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
    #: The attributes that the repr of a subclass shows.
    _settings: ClassVar[tuple[str, ...]] = ()

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

    def __call__(self, *inputs: Any, **options: Any) -> Tensor:
        """:meth:`forward`, without NumPy's warnings about infinities and NaN."""
        run: Callable[..., Tensor] = self._announced if observers() else self.forward
        if ERRSTATE.get() is IGNORE:  # as it is inside another module
            return run(*inputs, **options)
        with ignoring_fp_errors():
            return run(*inputs, **options)

    def _announced(self, *inputs: Any, **options: Any) -> Any:
        """:meth:`forward`; its result is a step of the module that calls this one as its part."""
        caller = _calling.get()
        with Setting(_calling, self):
            y = self.forward(*inputs, **options)
        names = [name for name, part in caller._parts() if part is self] if caller else []
        return step(names[0], y) if names and isinstance(y, Tensor | np.ndarray) else y

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(vars(self).get(name), Tensor) and not isinstance(value, Tensor | None):
            invariant = f"{name} of {type(self).__name__} is a parameter, and those are tensors"
            instead = f"set .{name}.data = ..., or .{name} = nx.tensor(..., requires_grad=True)"
            raise DTypeError(invariant, shown(value), instead)
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        own = [f"{name}{list(p.shape)}" for name, p in vars(self).items() if isinstance(p, Tensor)]
        values = {name: getattr(self, name) for name in self._settings}
        settings = [f"{name}={v!r}" for name, v in values.items() if not isinstance(v, Module)]
        lines = [f"  ({name}): {part!r}".replace("\n", "\n  ") for name, part in self._parts()]
        inside = ", ".join(settings if lines else settings + own)
        if lines:
            inside += "\n" + "\n".join(lines) + "\n"
        return f"{type(self).__name__}({inside})"

    # Parts and parameters

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
        names: dict[Tensor, str] = {}
        for name, parameter in self._entries():
            names.setdefault(parameter, name)
        return ((name, parameter) for parameter, name in names.items())

    def parameters(self) -> Iterator[Tensor]:
        """The parameters, each once."""
        return (parameter for _, parameter in self.named_parameters())

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

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.zero_grad()

    # State

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
        for name, values in fitting_state(state, own).items():
            own[name].data = values

    # Modes

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
