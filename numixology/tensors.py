"""Tensors: nodes of the tape with operators, methods and NumPy's protocols.

An operator or method is a primitive of an earlier room, called with the tensor itself.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from inspect import Parameter, signature
from typing import Any, TypeAlias, overload

import numpy as np

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
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    matmul,
    multiply,
    negative,
    not_equal,
    power,
    remainder,
    subtract,
)
from .array import Array, Axis, DTypeLike, Scalar, Shape
from .autograd import Node, Primitive
from .dtypes import as_dtype, bad_dtype, cast
from .errors import ArgumentError, DTypeError, ShapeError, TapeError
from .observe import paused
from .primitives import HANDLED_FUNCTIONS, as_array, gradients, implements
from .reductions import cumsum, max, mean, min, prod, sum, var
from .shapes import (
    _reshape,
    as_integers,
    astype,
    checked_axis,
    contiguous,
    getitem,
    plain_index,
    resolved,
    squeeze,
    transpose,
)

__all__ = [
    "Operand",
    "Tensor",
    "cotangent_for",
    "leaf",
    "tensor",
]

#: What may stand beside a tensor in a calculation.
Operand: TypeAlias = "Tensor | Array | Scalar | Sequence[Any]"

# float64, float32, int32, int64 (which is l or q), bool, and the complex numbers that only the
# gradient check makes.
_FIT = frozenset("dfilq?FD")

#: Arguments that NumPy's functions name in another way.
_RENAMED = {"a_min": "min", "a_max": "max", "newshape": "shape"}


class Tensor(Node):
    """An array of float64, float32, int64, int32 or bool that remembers where it came from.

    NumPy's functions and operators on tensors are recorded or refused. A few calls never ask the
    tensor and take its values off the tape: ``np.array([t, u])``, ``np.full(2, t)``,
    ``masked_array * t`` and ``math.exp(t)``. Write ``nx.functional.stack([t, u])`` and
    ``np.exp(t)`` instead.

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
        super().__init__(_fresh_array(data, dtype))
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
        return transpose(self)

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
            _check_gradient(gradient, self)
        self._grad = gradient

    @classmethod
    def made_by(cls, primitive: Primitive, data: Array) -> "Tensor":
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
        """The same values, in the same memory, without a past.

        Returns:
            A tensor that requires no gradient.

        Example:
            >>> import numixology as nx
            >>> x = nx.tensor([1.0, 2.0], requires_grad=True)
            >>> (x * x).detach()
            Tensor([1., 4.])
        """
        return leaf(self._data)

    def numpy(self) -> Array:
        """A copy of the values as a NumPy array. ``np.asarray(t)`` is a read-only view.

        Example:
            >>> import numixology as nx
            >>> nx.tensor([1.0, 2.0], requires_grad=True).numpy()
            array([1., 2.])
        """
        return np.array(self._data)

    def item(self) -> Any:
        """The value of a tensor of one element, as a Python number.

        Raises:
            ShapeError: there is not exactly one element.
        """
        if self.size != 1:
            raise ShapeError(
                "item() needs exactly one element",
                f"shape {self.shape}",
                "index or reduce it first",
            )
        return self._data.item()

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self._data.tolist()

    def __reduce__(self) -> tuple[Callable[..., "Tensor"], tuple[Any, ...]]:
        if self._requires_grad and self.primitive is not None:
            raise TapeError(
                "only a tensor without a past can be copied or pickled",
                f"one from {self.primitive.__name__}",
                "detach() it first",
            )
        return _rebuilt, (np.array(self._data), self._requires_grad, self.grad)

    # Backwards

    def backward(
        self,
        gradient: "Tensor | Array | Scalar | None" = None,
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

    def __add__(self, other: Operand) -> "Tensor":
        return add(self, _operand(other))

    def __radd__(self, other: Operand) -> "Tensor":
        return add(_operand(other), self)

    def __sub__(self, other: Operand) -> "Tensor":
        return subtract(self, _operand(other))

    def __rsub__(self, other: Operand) -> "Tensor":
        return subtract(_operand(other), self)

    def __mul__(self, other: Operand) -> "Tensor":
        return multiply(self, _operand(other))

    def __rmul__(self, other: Operand) -> "Tensor":
        return multiply(_operand(other), self)

    def __truediv__(self, other: Operand) -> "Tensor":
        return divide(self, _operand(other))

    def __rtruediv__(self, other: Operand) -> "Tensor":
        return divide(_operand(other), self)

    # t += u makes a new tensor and calls it t. On a leaf that would leave the parameter as it was.

    def __iadd__(self, other: Operand) -> "Tensor":
        return _not_in_place(self, "+=") + other

    def __isub__(self, other: Operand) -> "Tensor":
        return _not_in_place(self, "-=") - other

    def __imul__(self, other: Operand) -> "Tensor":
        return _not_in_place(self, "*=") * other

    def __itruediv__(self, other: Operand) -> "Tensor":
        return _not_in_place(self, "/=") / other

    def __floordiv__(self, other: Operand) -> "Tensor":
        return floor_divide(self, _operand(other))

    def __rfloordiv__(self, other: Operand) -> "Tensor":
        return floor_divide(_operand(other), self)

    def __mod__(self, other: Operand) -> "Tensor":
        return remainder(self, _operand(other))

    def __rmod__(self, other: Operand) -> "Tensor":
        return remainder(_operand(other), self)

    def __pow__(self, other: Operand) -> "Tensor":
        return power(self, _operand(other))

    def __rpow__(self, other: Operand) -> "Tensor":
        return power(_operand(other), self)

    def __matmul__(self, other: Operand) -> "Tensor":
        return matmul(self, _operand(other))

    def __rmatmul__(self, other: Operand) -> "Tensor":
        return matmul(_operand(other), self)

    def __neg__(self) -> "Tensor":
        return negative(self)

    def __pos__(self) -> "Tensor":
        return self

    def __abs__(self) -> "Tensor":
        return absolute(self)

    def __eq__(self, other: object) -> Any:
        return equal(self, _operand(other)) if _is_operand(other) else NotImplemented

    def __ne__(self, other: object) -> Any:
        return not_equal(self, _operand(other)) if _is_operand(other) else NotImplemented

    def __lt__(self, other: Operand) -> "Tensor":
        return less(self, _operand(other))

    def __le__(self, other: Operand) -> "Tensor":
        return less_equal(self, _operand(other))

    def __gt__(self, other: Operand) -> "Tensor":
        return greater(self, _operand(other))

    def __ge__(self, other: Operand) -> "Tensor":
        return greater_equal(self, _operand(other))

    def __and__(self, other: Operand) -> "Tensor":
        return logical_and(_mask(self), _mask(other))

    def __rand__(self, other: Operand) -> "Tensor":
        return logical_and(_mask(other), _mask(self))

    def __or__(self, other: Operand) -> "Tensor":
        return logical_or(_mask(self), _mask(other))

    def __ror__(self, other: Operand) -> "Tensor":
        return logical_or(_mask(other), _mask(self))

    def __xor__(self, other: Operand) -> "Tensor":
        return logical_xor(_mask(self), _mask(other))

    def __rxor__(self, other: Operand) -> "Tensor":
        return logical_xor(_mask(other), _mask(self))

    def __invert__(self) -> "Tensor":
        return logical_not(_mask(self))

    # Python's own questions, answered as an array answers them

    def __len__(self) -> int:
        if self.ndim == 0:
            raise DTypeError("len() needs an axis", "a tensor of shape ()", "use item()")
        return len(self._data)

    def __iter__(self) -> Iterator["Tensor"]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Operand) -> bool:
        return _is_operand(value) and bool((self == value).data.any())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ShapeError(
                "the truth of a tensor is defined for one element",
                f"shape {self.shape}",
                "use bool(np.asarray(t).any()) or .all()",
            )
        return bool(self.item())

    def __float__(self) -> float:
        return float(self._only_element("float()"))

    def __int__(self) -> int:
        return int(self._only_element("int()"))

    def __index__(self) -> int:
        if self.dtype.kind != "i" or self.ndim:
            raise DTypeError(
                "an index must be a single integer",
                f"shape {self.shape} of {self.dtype}",
                "use item() of an integer tensor",
            )
        return int(self.item())

    def __format__(self, spec: str) -> str:
        whole = self.ndim > 0 and not spec
        return format(str(self) if whole else self._only_element("a format"), spec)

    def _only_element(self, asked: str) -> Any:
        if self.size != 1:
            raise DTypeError(
                f"{asked} needs exactly one element",
                f"shape {self.shape}",
                "index or reduce it first",
            )
        return self.item()

    def __getitem__(self, index: Any) -> "Tensor":
        return getitem(self, index=plain_index(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        raise DTypeError(
            "a tensor's values do not change under it",
            f"an assignment to [{index!r}]",
            "build a new one with nx.functional.where or concatenate; "
            "for data outside any calculation write t.data[...] = value",
        )

    # NumPy's protocols

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        if dtype is not None and np.dtype(dtype) != self.dtype:
            if copy is False:
                raise ArgumentError(
                    "another dtype needs a copy", "copy=False", "leave copy out, or dtype"
                )
            return self._data.astype(dtype)
        if copy:
            return np.array(self._data)
        view = self._data.view()
        view.flags.writeable = False
        return view

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__":
            raise _not_for_tensors(
                f"np.{ufunc.__name__}.{method}", "use a function of nx.functional"
            )
        return _stand_in(ufunc, kwargs)(*map(_operand, inputs))

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        args, kwargs = _by_name(function, args, kwargs)
        return _stand_in(function, kwargs)(*args, **kwargs)

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
        result = _reshape(self, shape=wanted)
        if self.size and not np.may_share_memory(result.data, self._data):
            raise ShapeError(
                f"view{wanted} must be expressible with strides",
                f"shape {self.shape} and strides {self.stride()}",
                "call contiguous() first, or reshape()",
            )
        return result

    def reshape(self, *shape: int | Sequence[int]) -> "Tensor":
        """The same values, in the same order, under another shape.

        Args:
            *shape: the new lengths, as numbers or one sequence; one may be -1.

        Returns:
            A view where strides can express it, else a copy.

        Raises:
            ShapeError: another number of values, or more than one -1.
            DTypeError: a length that is not an integer.
        """
        return _reshape(self, shape=resolved(as_integers(shape), self.shape, "reshape"))

    def permute(self, *dims: int | Sequence[int]) -> "Tensor":
        """The axes in another order: axis i of the result is axis ``dims[i]`` of this tensor.

        Args:
            *dims: every axis once, as numbers or one sequence.

        Returns:
            A view; only the strides change.

        Raises:
            ShapeError: an axis that is missing, named twice or not there.
            DTypeError: an axis that is not an integer.

        Source: guide, Token Mixer Step-by-Step (Step 2: Permutation).

        Example:
            >>> import numixology as nx
            >>> x = nx.tensor([[1, 2, 3], [4, 5, 6]])
            >>> x.permute(1, 0)
            Tensor([[1, 4],
                    [2, 5],
                    [3, 6]], from=transpose)
        """
        return transpose(self, as_integers(dims))

    def transpose(self, dim0: int, dim1: int) -> "Tensor":
        """Axes ``dim0`` and ``dim1`` exchanged (torch's meaning, not NumPy's).

        Args:
            dim0: an axis, counted from 0, or from the end if negative.
            dim1: likewise.

        Returns:
            A view; only the strides change.

        Raises:
            ShapeError: no such axis.
            DTypeError: an axis that is not an integer.

        Example:
            >>> import numixology as nx
            >>> nx.tensor([[[1, 2]], [[3, 4]]]).transpose(0, 2).shape
            (2, 1, 2)
        """
        order = list(range(self.ndim))
        a, b = checked_axis(dim0, self.ndim), checked_axis(dim1, self.ndim)
        order[a], order[b] = order[b], order[a]
        return transpose(self, tuple(order))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> "Tensor":
        """Axes ``start_dim`` to ``end_dim``, both included, as one.

        Args:
            start_dim: the first of them.
            end_dim: the last of them; a single number becomes one axis of length one.

        Returns:
            A view where strides can express it, else a copy.

        Raises:
            ShapeError: no such axis, or the last before the first.
            DTypeError: an axis that is not an integer.

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
        return _reshape(self, shape=(*self.shape[:start], middle, *self.shape[end + 1 :]))

    def unflatten(self, dim: int, sizes: Sequence[int]) -> "Tensor":
        """Axis ``dim`` cut into axes of the given lengths.

        Args:
            dim: the axis.
            sizes: the lengths, of which one may be -1; their product is the axis's length.

        Returns:
            A view, since any axis can be cut without moving a value.

        Raises:
            ShapeError: no such axis, or lengths of another product.
            DTypeError: an axis or a length that is not an integer.

        Source: guide, Token Mixer Step-by-Step (Step 4: Unflatten).

        Example:
            >>> import numpy as np
            >>> import numixology as nx
            >>> nx.tensor(np.zeros((2, 16, 2))).unflatten(1, (4, 4)).shape
            (2, 4, 4, 2)
        """
        axis = checked_axis(dim, self.ndim)
        parts = resolved(as_integers((sizes,)), (self.shape[axis],), "unflatten")
        return _reshape(self, shape=(*self.shape[:axis], *parts, *self.shape[axis + 1 :]))

    def contiguous(self) -> "Tensor":
        """This tensor if its values lie in memory in order, else a copy in which they do.

        Source: guide, Implementation Tips (Memory Optimization).

        Example:
            >>> import numixology as nx
            >>> x = nx.tensor([[1, 2, 3], [4, 5, 6]]).permute(1, 0)
            >>> x.is_contiguous(), x.contiguous().is_contiguous()
            (False, True)
        """
        return contiguous(self)

    def is_contiguous(self) -> bool:
        """Whether the values lie in memory in the order of the axes."""
        return self._data.flags.c_contiguous

    @overload
    def stride(self) -> Shape: ...
    @overload
    def stride(self, dim: int) -> int: ...
    def stride(self, dim: int | None = None) -> Shape | int:
        """The steps in memory from one element to the next along each axis, in elements.

        Args:
            dim: one axis, or None for all of them.

        Returns:
            A tuple, or a single integer for one axis.

        Raises:
            ShapeError: no such axis.
            DTypeError: an axis that is not an integer.

        Example:
            >>> import numixology as nx
            >>> x = nx.tensor([[1, 2, 3], [4, 5, 6]])
            >>> x.stride(), x.permute(1, 0).stride(), x.stride(0)
            ((3, 1), (1, 3), 3)
        """
        strides = tuple(step // self._data.itemsize for step in self._data.strides)
        return strides if dim is None else strides[checked_axis(dim, self.ndim)]

    def squeeze(self, axis: Axis = None, *, dim: Axis = None) -> "Tensor":
        """Without its axes of length one; see :func:`numixology.functional.squeeze`."""
        return squeeze(self, axis, dim=dim)

    def astype(self, dtype: DTypeLike) -> "Tensor":
        """The values in another of the five dtypes; see :func:`numixology.functional.astype`."""
        return astype(self, dtype)

    # Reductions: axis= or dim=, keepdims= or keepdim=

    def sum(
        self, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False
    ) -> "Tensor":
        """The sum over ``axis``; see :func:`numixology.functional.sum`."""
        return sum(self, axis, keepdims, dim=dim, keepdim=keepdim)

    def mean(
        self, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False
    ) -> "Tensor":
        """The mean over ``axis``; see :func:`numixology.functional.mean`."""
        return mean(self, axis, keepdims, dim=dim, keepdim=keepdim)

    def var(
        self,
        axis: Axis = None,
        keepdims: bool = False,
        *,
        ddof: int = 0,
        dim: Axis = None,
        keepdim: bool = False,
    ) -> "Tensor":
        """The variance over ``axis``; see :func:`numixology.functional.var`."""
        return var(self, axis, keepdims, ddof=ddof, dim=dim, keepdim=keepdim)

    def max(
        self, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False
    ) -> "Tensor":
        """The largest value over ``axis``, without its index; see
        :func:`numixology.functional.max`.
        """
        return max(self, axis, keepdims, dim=dim, keepdim=keepdim)

    def min(
        self, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False
    ) -> "Tensor":
        """The smallest value over ``axis``, without its index; see
        :func:`numixology.functional.min`.
        """
        return min(self, axis, keepdims, dim=dim, keepdim=keepdim)

    def prod(
        self, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False
    ) -> "Tensor":
        """The product over ``axis``; see :func:`numixology.functional.prod`."""
        return prod(self, axis, keepdims, dim=dim, keepdim=keepdim)

    def cumsum(self, axis: int | None = None, *, dim: int | None = None) -> "Tensor":
        """The running sum along ``axis``; see :func:`numixology.functional.cumsum`."""
        return cumsum(self, axis, dim=dim)

    def clip(self, min: Scalar | None = None, max: Scalar | None = None) -> "Tensor":
        """The values cut off below ``min`` and above ``max``; see
        :func:`numixology.functional.clip`.
        """
        return clip(self, min, max)


def tensor(data: Any, *, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of ``data``.

    Args:
        data: numbers, nested lists of them, or an array.
        dtype: float64, float32, int64, int32 or bool; by default that of the data.
        requires_grad: whether ``backward`` fills ``.grad``; floating-point dtypes only.

    Returns:
        A leaf, of the shape of the data.

    Raises:
        DTypeError: the data is not numbers, or of another dtype, or an integer tensor is asked
            to require gradients.
        ShapeError: nested lists of unequal lengths.
        ArgumentError: values that do not fit the integers asked for.
        TapeError: the data is a tensor that requires a gradient, which a copy would lose.

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
        ShapeError: left out where the output has axes or many elements, or of another shape.
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
        if not _is_operand(gradient):
            raise DTypeError(
                "a gradient must be a tensor or an array",
                type(gradient).__name__,
                "convert it first",
            )
        gradient = leaf(np.asarray(gradient))
    _check_gradient(gradient, output)
    return gradient


def _check_gradient(gradient: Tensor, of: Tensor) -> None:
    if gradient.shape != of.shape:
        raise ShapeError(
            f"the gradient of a tensor of shape {of.shape} has that shape",
            str(gradient.shape),
            "reshape or broadcast it first",
        )
    if gradient.dtype != of.dtype:
        raise DTypeError(
            f"the gradient of a {of.dtype} tensor is {of.dtype}",
            str(gradient.dtype),
            f"use .astype('{of.dtype}')",
        )


def _accumulate(node: Any, gradient: Tensor) -> None:
    """Out of place, so that whoever holds the old gradient keeps it."""
    before = node.grad
    if before is not None:
        gradient = paused(add, before, gradient)  # it is part of the backward
    node._grad = gradient


def _rebuilt(values: Array, requires_grad: bool, grad: Tensor | None) -> Tensor:
    made = leaf(values, requires_grad)
    made.grad = grad
    return made


def _fresh_array(data: Any, dtype: DTypeLike | None) -> Array:
    """A fresh array of one of the five dtypes."""
    wanted = None if dtype is None else as_dtype(dtype)
    if isinstance(data, Tensor):
        if data.requires_grad:
            raise TapeError(
                "nx.tensor copies values and would lose their past",
                "a tensor that requires a gradient",
                "call detach() first, or use the tensor itself",
            )
        data = data.data
    if hasattr(data, "mask") and isinstance(data, np.ma.MaskedArray):
        raise DTypeError(
            "a tensor has a value everywhere", "a masked array", "fill it first, with .filled(...)"
        )
    array = np.array(as_array(data, "nx.tensor"))
    if array.dtype.kind not in "fiub":
        raise bad_dtype(str(array.dtype))
    if wanted is None:
        return array.astype(as_dtype(array.dtype), copy=False)
    return cast(array, wanted)


def _not_in_place(t: Tensor, sign: str) -> Tensor:
    if t.requires_grad and t.primitive is None:
        raise TapeError(
            "a leaf that requires a gradient does not change in a calculation",
            f"t {sign} ...",
            f"write t.data {sign} ... to update it, or y = t + ... for a new tensor",
        )
    return t


_OPERANDS = (Tensor, np.ndarray, bool, int, float, complex, np.generic, list, tuple)


def _is_operand(other: object) -> bool:
    return isinstance(other, _OPERANDS)


def _operand(other: object) -> Tensor | Array | Scalar:
    """What stands beside a tensor: numbers stay weak, lists become arrays."""
    if isinstance(other, (Tensor, float, int)):
        return other
    if not _is_operand(other):
        raise DTypeError(
            "an operand must be a tensor, an array or a number",
            type(other).__name__,
            "convert it with nx.tensor, or join tensors with nx.functional.stack",
        )
    if hasattr(other, "mask") and isinstance(other, np.ma.MaskedArray):
        raise DTypeError(
            "an operand has a value everywhere",
            "a masked array",
            "fill it first, with .filled(...)",
        )
    array = as_array(other, "an operand")
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise DTypeError("an operand must hold real numbers", str(array.dtype), "convert it first")
    return array


@overload
def _mask(other: Tensor) -> Tensor: ...
@overload
def _mask(other: Operand) -> Tensor | Array | Scalar: ...
def _mask(other: Operand) -> Tensor | Array | Scalar:
    mask = _operand(other)
    if getattr(mask, "dtype", np.dtype(type(mask))) != np.bool_:
        raise DTypeError(
            "& | ^ ~ combine boolean tensors",
            str(getattr(mask, "dtype", type(mask).__name__)),
            "compare first, as in (x > 0) & (x < 1)",
        )
    return mask


# What an array is, not a calculation with it: these NumPy functions answer for tensors too.
implements(np.shape)(lambda t: t.shape)
implements(np.ndim)(lambda t: t.ndim)
implements(np.size)(lambda t: t.size)

# Bit by bit NumPy's & | ^ ~ agree with these on booleans, and on nothing else.
implements(np.bitwise_and)(lambda a, b: logical_and(_mask(a), _mask(b)))
implements(np.bitwise_or)(lambda a, b: logical_or(_mask(a), _mask(b)))
implements(np.bitwise_xor)(lambda a, b: logical_xor(_mask(a), _mask(b)))
implements(np.invert)(lambda x: logical_not(_mask(x)))


def _by_name(
    function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[Sequence[Any], dict[str, Any]]:
    """All arguments but the first by name: the order of NumPy's arguments is not ours."""
    ours = HANDLED_FUNCTIONS.get(function)
    if ours is None or isinstance(ours, Primitive):  # a primitive has NumPy's order
        return args, kwargs
    try:
        parameters = signature(function).parameters
    except ValueError:  # a function written in C
        return args, kwargs
    if any(p.kind is Parameter.VAR_POSITIONAL for p in parameters.values()):
        return args, kwargs
    given = dict(zip(parameters, args, strict=False)) | kwargs
    first = given.pop(next(iter(parameters)))
    return (first,), {
        _RENAMED.get(name, name): value
        for name, value in given.items()
        if name not in parameters or value is not parameters[name].default
    }


def _stand_in(function: Any, kwargs: Any) -> Callable[..., Any]:
    """Our function of the same meaning as NumPy's."""
    ours = HANDLED_FUNCTIONS.get(function)
    known = () if ours is None or isinstance(function, np.ufunc) else signature(ours).parameters
    refused = [word for word in kwargs if word not in known]
    if ours is not None and not refused:
        return ours
    room = getattr(function, "__module__", None) or "numpy"
    name = f"{room.replace('numpy', 'np', 1)}.{function.__name__}"
    if "out" in refused:
        raise _not_for_tensors(
            f"{name}(..., out=...)", "write y = y + t, not y += t, so that the result is recorded"
        )
    if refused and ours is not None:
        raise _not_for_tensors(f"{name}(..., {refused[0]}=...)", f"leave {refused[0]} out")
    raise _not_for_tensors(
        name, f"use nx.functional, or {name}(np.asarray(t)) for plain values off the tape"
    )


def _not_for_tensors(received: str, instead: str) -> DTypeError:
    return DTypeError("NumPy functions on tensors must be recorded", received, instead)
