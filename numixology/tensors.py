"""Tensors: nodes of the tape with operators and methods.

An operator or method is a function of an earlier room, called with the tensor itself.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import index as as_index
from threading import RLock
from typing import Any, TypeAlias, TypeVar, overload

import numpy as np

from . import reductions, shapes
from .arithmetic import (
    absolute,
    add,
    clip,
    divide,
    equal,
    floor_divide,
    greater,
    greater_equal,
    less,
    less_equal,
    matmul,
    multiply,
    negative,
    not_equal,
    power,
    remainder,
    subtract,
)
from .array import Array, DTypeLike, Scalar, Shape
from .autograd import Node, Primitive
from .checks import (
    as_integers,
    as_operand,
    as_values,
    check_gradient,
    checked_axis,
    is_operand,
    plain_index,
    resolved,
)
from .dispatch import bitwise_and, bitwise_or, bitwise_xor, call_function, call_ufunc, invert
from .errors import DTypeError, ShapeError, TapeError, shown
from .observe import paused
from .primitives import as_constant, gradients, implements
from .shapes import _reshape, getitem

__all__ = ["Operand", "Tensor", "cotangent_for", "leaf", "tensor"]

#: What may stand beside a tensor in a calculation.
Operand: TypeAlias = "Tensor | Array | Scalar | Sequence[Any]"
Operator: TypeAlias = "Callable[[Tensor, Operand], Tensor]"
Kind = TypeVar("Kind", bound="Tensor")

# float64, float32, int32, int64 (which is l or q), bool, and the complex numbers that only the
# gradient check makes.
_FIT = frozenset("dfilq?FD")

# Threads that add to one .grad take turns.
_ACCUMULATING = RLock()


def _left(function: Callable[..., Any]) -> Operator:
    """The operator of a function, for the tensor on its left."""

    def operator(self: "Tensor", other: "Operand") -> "Tensor":
        return function(self, as_operand(other))  # type: ignore[no-any-return]

    return operator


def _right(function: Callable[..., Any]) -> Operator:
    """The operator of a function, for the tensor on its right."""

    def operator(self: "Tensor", other: "Operand") -> "Tensor":
        return function(as_operand(other), self)  # type: ignore[no-any-return]

    return operator


def _update(function: Callable[..., Any], sign: str) -> Operator:
    """t += u makes a new tensor and calls it t; on a leaf the parameter would stay what it was."""

    def operator(self: "Tensor", other: "Operand") -> "Tensor":
        if self.requires_grad and self.primitive is None:
            raise TapeError(
                "a leaf that requires a gradient does not change in a calculation",
                f"t {sign} ...",
                f"write t.data {sign} ... to update it, or y = t + ... for a new tensor",
            )
        return function(self, as_operand(other))  # type: ignore[no-any-return]

    return operator


class Tensor(Node):
    """An array of float64, float32, int64, int32 or bool that remembers where it came from.

    NumPy's functions and operators on tensors are recorded or refused. A few calls never ask the
    tensor, or ask it only for its values as ``np.asarray(t)`` does, and so take them off the tape:

    - ``out[:] = t`` into an array, ``np.full(2, t)``, ``np.array([t, u])``: join tensors with
      ``nx.functional.stack`` or ``concatenate`` instead;
    - ``sparse @ t`` with SciPy's sparse arrays and ``masked_array * t``: write the product as an
      ``nx.primitive``, or with plain arrays;
    - ``math.exp(t)`` and other functions of Python's numbers: write ``np.exp(t)``.

    Args:
        data: numbers, nested lists of them, or an array; it is copied.
        dtype: one of the five dtypes; by default that of the data.
        requires_grad: whether ``backward`` fills ``.grad``; floating-point dtypes only.

    Raises:
        DTypeError: the data is not numbers, or of another dtype, or an integer tensor is asked
            to require gradients.
        ShapeError: nested lists of unequal lengths.
        ArgumentError: values that do not fit the integers asked for.
        TapeError: the data is a tensor that requires a gradient, which a copy would lose.

    Source: guide, Tensor Shape Basics.

    Example:
        >>> import numixology as nx
        >>> x = nx.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad
        Tensor([[2., 4.],
                [6., 8.]])
    """

    __slots__ = ("_grad",)
    __hash__ = object.__hash__

    def __init__(
        self, data: Any, *, dtype: DTypeLike | None = None, requires_grad: bool = False
    ) -> None:
        super().__init__(as_values(data, dtype))
        self.requires_grad = requires_grad

    # What it is

    @property
    def data(self) -> Array:
        """The array itself. Assigning to it replaces the values by others of the same shape.

        ``t.data = values`` copies them, and a backward through what was computed from the old
        ones is then an error; ``t.data -= step`` is such an assignment too. But like any writing
        into an array, as in ``t.data[0] = 1``, it also changes the tensors that share the memory,
        views and detached ones, whose tapes do not notice: do it where no tape depends on them.
        """
        return self._data

    @data.setter
    def data(self, values: Array) -> None:
        if type(values) is not np.ndarray:
            raise DTypeError(
                "data must be a plain NumPy array", type(values).__name__, "use np.asarray(...)"
            )
        if values.shape != self.shape or values.dtype != self.dtype:
            raise ShapeError(
                f"data must keep shape {self.shape} and dtype {self.dtype}",
                f"shape {values.shape} and {values.dtype}",
                "make a new tensor with nx.tensor(...)",
            )
        own = values is self._data  # as in t.data -= step
        self._data = values.view() if own else values.copy()  # a new object: the tape notices

    @property
    def value(self) -> Array:
        """The array, to be read: ``data`` without assignment."""
        return self._data

    @property
    def shape(self) -> Shape:
        """The lengths of the axes."""
        return self._data.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._data.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the values."""
        return self._data.dtype

    @property
    def size(self) -> int:
        """The number of values."""
        return self._data.size

    @property
    def T(self) -> "Tensor":
        """The tensor with its axes in reverse order."""
        return shapes.transpose(self)

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor; can be set on a leaf."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if self.primitive is not None and bool(wanted) != self._requires_grad:
            raise TapeError(
                "requires_grad is set on leaves only",
                f"a tensor from {self.primitive.__name__}",
                "use detach() first, or nx.no_grad()",
            )
        if wanted and self.dtype.kind != "f":
            raise DTypeError(
                "only floating-point tensors can require gradients",
                str(self.dtype),
                "pass dtype=np.float64, or leave requires_grad=False",
            )
        self._requires_grad = bool(wanted)

    @property
    def grad(self) -> "Tensor | None":
        """The gradient that ``backward`` has accumulated so far, or None."""
        return getattr(self, "_grad", None)

    @grad.setter
    def grad(self, gradient: "Tensor | None") -> None:
        if gradient is not None:
            if not isinstance(gradient, Tensor):
                raise DTypeError(
                    "grad must be a Tensor or None",
                    type(gradient).__name__,
                    "wrap it with nx.tensor(...)",
                )
            check_gradient(gradient, self)
        self._grad = gradient

    @classmethod
    def made_by(cls: type[Kind], primitive: Primitive, data: Array) -> Kind:
        """A tensor around an output, of one of the five dtypes or complex."""
        if data.dtype.char not in _FIT:
            raise DTypeError(
                f"{primitive.__name__} of tensors holds float64, float32, int64, int32 or bool",
                f"arguments of which NumPy makes {data.dtype}",
                "convert them first, with .astype('float64') or .astype('int64')",
            )
        return super().made_by(primitive, data)

    def __repr__(self) -> str:
        prefix = f"{type(self).__name__}("
        parts = [np.array2string(self._data, separator=", ", prefix=prefix)]
        if self.size == 0:
            parts.append(f"shape={self.shape}")
        if self.dtype not in (np.float64, np.int64, np.bool_) or self.size == 0:
            parts.append(f"dtype={self.dtype}")
        if self.primitive is not None:
            parts.append(f"from={self.primitive.__name__}")
        if self.requires_grad:
            parts.append("requires_grad=True")
        return f"{prefix}{', '.join(parts)})"

    # Leaving the tape

    def detach(self) -> "Tensor":
        """The same values, in the same memory, without a past and without a gradient."""
        return leaf(self._data)

    def numpy(self) -> Array:
        """A copy of the values as a NumPy array. ``np.asarray(t)`` is a read-only view."""
        return np.array(self._data)

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self._data.tolist()

    def item(self) -> Any:
        """The value of a tensor of one element, as a Python number.

        Raises:
            ShapeError: there is not exactly one element.
        """
        return self._only_element("item()")

    def _only_element(self, asked: str) -> Any:
        if self.size != 1:
            raise ShapeError(
                f"{asked} needs exactly one element",
                f"shape {self.shape}",
                "index or reduce it first, or ask np.asarray(t).any() or .all()",
            )
        return self._data.item()

    def __reduce__(self) -> tuple[Any, ...]:
        if self._requires_grad and self.primitive is not None:
            raise TapeError(
                "only a tensor without a past can be copied or pickled",
                f"one from {self.primitive.__name__}",
                "detach() it first",
            )
        values = np.array(self._data)
        own = getattr(self, "__dict__", None)  # what a subclass has added
        return _rebuilt, (type(self), values, self._requires_grad, self.grad), own

    # Backwards

    def backward(
        self,
        gradient: "Operand | None" = None,
        retain_graph: bool = False,
        create_graph: bool = False,
    ) -> None:
        """Add the gradient of this tensor to ``.grad`` of every leaf it was computed from.

        Args:
            gradient: the cotangent of this tensor, of its shape and dtype; may be left out for
                a single number, where it is 1.
            retain_graph: keep the tape, so that ``backward`` can be called again.
            create_graph: record the backward itself, so that ``.grad`` can be differentiated;
                keeps the tape. Each ``.grad`` then refers to the tape that refers to its leaf:
                set it to None when done, or use :func:`numixology.grad`, which makes no such
                cycle.

        Raises:
            TapeError: nothing was recorded, or the tape was freed.
            ShapeError: no gradient for a tensor that is not a single number, or one of another
                shape.
            DTypeError: a gradient of another dtype.

        Example:
            >>> import numixology as nx
            >>> x = nx.tensor([1.0, 2.0, 3.0], requires_grad=True)
            >>> (x * x).backward(nx.tensor([1.0, 10.0, 100.0]))
            >>> x.grad
            Tensor([  2.,  40., 600.])
        """
        cotangent = cotangent_for(self, gradient)
        found = gradients(
            [self],
            [cotangent if create_graph else cotangent.data],
            create_graph=create_graph,
            free=not (retain_graph or create_graph),
        )
        for node, total in found.items():
            _accumulate(node, total if isinstance(total, Tensor) else leaf(total))

    def zero_grad(self) -> None:
        """Forget the accumulated gradient."""
        self._grad = None

    # Operators: NumPy's meaning, recorded

    __add__, __radd__, __iadd__ = _left(add), _right(add), _update(add, "+=")
    __sub__, __rsub__, __isub__ = _left(subtract), _right(subtract), _update(subtract, "-=")
    __mul__, __rmul__, __imul__ = _left(multiply), _right(multiply), _update(multiply, "*=")
    __truediv__, __rtruediv__, __itruediv__ = _left(divide), _right(divide), _update(divide, "/=")
    __floordiv__, __rfloordiv__ = _left(floor_divide), _right(floor_divide)
    __mod__, __rmod__ = _left(remainder), _right(remainder)
    __pow__, __rpow__, __ipow__ = _left(power), _right(power), _update(power, "**=")
    __matmul__, __rmatmul__, __imatmul__ = _left(matmul), _right(matmul), _update(matmul, "@=")
    __and__, __rand__ = _left(bitwise_and), _right(bitwise_and)
    __or__, __ror__ = _left(bitwise_or), _right(bitwise_or)
    __xor__, __rxor__ = _left(bitwise_xor), _right(bitwise_xor)
    __lt__, __le__, __gt__, __ge__ = map(_left, (less, less_equal, greater, greater_equal))

    def __eq__(self, other: object) -> Any:
        return equal(self, as_operand(other)) if is_operand(other) else NotImplemented

    def __ne__(self, other: object) -> Any:
        return not_equal(self, as_operand(other)) if is_operand(other) else NotImplemented

    def __neg__(self) -> "Tensor":
        return negative(self)

    def __pos__(self) -> "Tensor":
        return self

    def __abs__(self) -> "Tensor":
        return absolute(self)

    def __invert__(self) -> "Tensor":
        return invert(self)  # type: ignore[no-any-return]

    # Python's own questions, answered as an array answers them

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator["Tensor"]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Operand) -> bool:
        return is_operand(value) and bool((self == value).data.any())

    def __bool__(self) -> bool:
        return bool(self._only_element("the truth of a tensor"))

    def __float__(self) -> float:
        return float(self._only_element("float()"))

    def __int__(self) -> int:
        return int(self._only_element("int()"))

    def __index__(self) -> int:
        return as_index(self._data)

    def __format__(self, spec: str) -> str:
        whole = self.ndim > 0 and not spec
        return format(str(self) if whole else self._only_element("a format"), spec)

    def __getitem__(self, index: Any) -> "Tensor":
        return getitem(self, index=plain_index(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        raise DTypeError(
            "a tensor's values do not change under it",
            f"an assignment to [{shown(index)}]",
            "build a new one with nx.functional.where or concatenate; "
            "for data outside any calculation write t.data[...] = value",
        )

    # NumPy's protocols

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        array: Array = np.array(self._data, dtype, copy=copy)
        if array is self._data:
            array = array.view()
            array.flags.writeable = False
        return array

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return call_ufunc(ufunc, method, inputs, options)

    def __array_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        arguments: Sequence[Any],
        options: Mapping[str, Any],
    ) -> Any:
        return call_function(function, arguments, options)

    # Functions of other rooms, whose first argument is the tensor

    astype, contiguous, squeeze = shapes.astype, shapes.contiguous, shapes.squeeze
    sum, mean, var = reductions.sum, reductions.mean, reductions.var
    max, min = reductions.max, reductions.min
    prod, cumsum = reductions.prod, reductions.cumsum
    clip = clip

    # Shapes, with torch's meaning

    def view(self, *shape: int | Sequence[int]) -> "Tensor":
        """The same memory under another shape; refused where strides cannot express it.

        Args:
            *shape: the new lengths, as numbers or one sequence; one may be -1.

        Raises:
            ShapeError: the sizes differ, or the memory would have to be copied.

        Example:
            >>> import numixology as nx
            >>> x = nx.tensor([[1, 2, 3], [4, 5, 6]])
            >>> x.view(3, 2).shape
            (3, 2)
            >>> x.permute(1, 0).view(6)
            Traceback (most recent call last):
            numixology.errors.ShapeError: view(6,) must be expressible with strides: got \
shape (3, 2) and strides (1, 3); call contiguous() first, or reshape()
        """
        wanted = resolved(as_integers(shape), self.shape, "view")
        result: Tensor = _reshape(self, shape=wanted)
        if self.size and not np.may_share_memory(result.data, self._data):
            raise ShapeError(
                f"view{wanted} must be expressible with strides",
                f"shape {self.shape} and strides {self.stride()}",
                "call contiguous() first, or reshape()",
            )
        return result

    def reshape(self, *shape: int | Sequence[int]) -> "Tensor":
        """See :func:`numixology.functional.reshape`; the lengths are numbers or one sequence."""
        return shapes.reshape(self, as_integers(shape))

    def permute(self, *dims: int | Sequence[int]) -> "Tensor":
        """See :func:`numixology.functional.transpose`; the axes are numbers or one sequence.

        Source: guide, Token Mixer Step-by-Step (Step 2: Permutation).
        """
        return shapes.transpose(self, as_integers(dims))

    def transpose(self, dim0: int, dim1: int) -> "Tensor":
        """Axes ``dim0`` and ``dim1`` exchanged (torch's meaning, not NumPy's): a view.

        Example:
            >>> import numixology as nx
            >>> nx.tensor([[[1, 2]], [[3, 4]]]).transpose(0, 2).shape
            (2, 1, 2)
        """
        order = list(range(self.ndim))
        a, b = checked_axis(dim0, self.ndim), checked_axis(dim1, self.ndim)
        order[a], order[b] = order[b], order[a]
        return shapes.transpose(self, tuple(order))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> "Tensor":
        """Axes ``start_dim`` to ``end_dim``, both included, as one; of a number, an axis of one.

        Source: guide, Token Mixer Step-by-Step (Step 3: Flatten for Mixing).

        Example:
            >>> import numpy as np
            >>> import numixology as nx
            >>> nx.tensor(np.zeros((2, 4, 4, 2))).flatten(1, 2).shape
            (2, 16, 2)
        """
        if self.ndim == 0:
            return self.reshape(1)
        start, end = checked_axis(start_dim, self.ndim), checked_axis(end_dim, self.ndim)
        if start > end:
            raise ShapeError(
                "start_dim must not come after end_dim",
                f"{start_dim} and {end_dim}",
                "exchange the two",
            )
        middle = math.prod(self.shape[start : end + 1])
        return self.reshape(*self.shape[:start], middle, *self.shape[end + 1 :])

    def unflatten(self, dim: int, sizes: Sequence[int]) -> "Tensor":
        """Axis ``dim`` cut into axes of the given lengths, of which one may be -1: a view.

        Source: guide, Token Mixer Step-by-Step (Step 4: Unflatten).

        Example:
            >>> import numpy as np
            >>> import numixology as nx
            >>> nx.tensor(np.zeros((2, 16, 2))).unflatten(1, (4, 4)).shape
            (2, 4, 4, 2)
        """
        axis = checked_axis(dim, self.ndim)
        parts = resolved(as_integers((sizes,)), (self.shape[axis],), "unflatten")
        return self.reshape(*self.shape[:axis], *parts, *self.shape[axis + 1 :])

    def is_contiguous(self) -> bool:
        """Whether the values lie in memory in the order of the axes."""
        return self._data.flags.c_contiguous

    @overload
    def stride(self) -> Shape: ...
    @overload
    def stride(self, dim: int) -> int: ...
    def stride(self, dim: int | None = None) -> Shape | int:
        """The steps in memory from one element to the next along each axis, or along ``dim``.

        Example:
            >>> import numixology as nx
            >>> x = nx.tensor([[1, 2, 3], [4, 5, 6]])
            >>> x.stride(), x.permute(1, 0).stride(), x.stride(0)
            ((3, 1), (1, 3), 3)
        """
        strides = tuple(step // self._data.itemsize for step in self._data.strides)
        return strides if dim is None else strides[checked_axis(dim, self.ndim)]


def tensor(data: Any, *, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of ``data``, as :class:`Tensor` makes it.

    Args:
        data: numbers, nested lists of them, or an array.
        dtype: float64, float32, int64, int32 or bool; by default that of the data.
        requires_grad: whether ``backward`` fills ``.grad``; floating-point dtypes only.

    Returns:
        A leaf, of the shape of the data.

    Source: guide, Tensor Shape Basics.

    Example:
        >>> import numixology as nx
        >>> nx.tensor([[1, 2], [3, 4]], dtype="float32")
        Tensor([[1., 2.],
                [3., 4.]], dtype=float32)
    """
    return Tensor(data, dtype=dtype, requires_grad=requires_grad)


def leaf(array: Array, requires_grad: bool = False) -> Tensor:
    """A tensor around ``array`` itself: no copy, no questions about its dtype."""
    made = Tensor.__new__(Tensor)
    Node.__init__(made, array, requires_grad)
    return made


def cotangent_for(output: Tensor, gradient: "Operand | None") -> Tensor:
    """``gradient`` as the cotangent of ``output``; left out it is 1, for a single number.

    Raises:
        TapeError: the output does not require a gradient.
        ShapeError: left out where the output has many elements, or of another shape.
        DTypeError: of another dtype.
    """
    if not output.requires_grad:
        raise TapeError(
            "a backward starts from a tensor computed from one that requires a gradient",
            f"a tensor of shape {output.shape} with requires_grad=False",
            "pass requires_grad=True when making the inputs, and leave nx.no_grad()",
        )
    if gradient is None:
        if output.size != 1:
            raise ShapeError(
                "a backward without a gradient starts from a single number",
                f"shape {output.shape}",
                "reduce it first, or pass a gradient of that shape",
            )
        return leaf(np.ones(output.shape, output.dtype))
    if isinstance(gradient, (bool, int, float)) and output.ndim == 0:
        return leaf(np.array(gradient, output.dtype))
    if not isinstance(gradient, Tensor):
        gradient = leaf(np.asarray(as_constant(gradient, "a backward")))
    check_gradient(gradient, output)
    return gradient


def _accumulate(node: Any, gradient: Tensor) -> None:
    """Out of place, so that whoever holds the old gradient keeps it."""
    with _ACCUMULATING:
        before = node.grad
        # The addition is part of the backward, which nobody watches.
        node._grad = gradient if before is None else paused(add, before, gradient)


def _rebuilt(kind: type[Kind], values: Array, requires_grad: bool, grad: Tensor | None) -> Kind:
    made = kind.__new__(kind)
    Node.__init__(made, values, requires_grad)
    made.grad = grad
    return made


# What NumPy makes in the shape of a tensor is a tensor, so that nothing is assigned into it.


@implements(np.zeros_like)
def zeros_like(x: Tensor, dtype: DTypeLike | None = None) -> Tensor:
    """Zeros in the shape and dtype of a tensor."""
    return tensor(np.zeros_like(x._data, dtype))


@implements(np.ones_like)
def ones_like(x: Tensor, dtype: DTypeLike | None = None) -> Tensor:
    """Ones in the shape and dtype of a tensor."""
    return tensor(np.ones_like(x._data, dtype))


@implements(np.full_like)
def full_like(x: Tensor, fill_value: Scalar, dtype: DTypeLike | None = None) -> Tensor:
    """One number in the shape and dtype of a tensor."""
    return tensor(np.full_like(x._data, fill_value, dtype))
