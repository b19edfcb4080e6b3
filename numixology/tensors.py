"""Tensors: nodes of the tape with operators, methods and NumPy's protocols.

The first half of this room is the class; the second half is the primitives that its operators
and methods need, each a forward in plain NumPy with its vjp rules directly below. A rule is
``rule(ct, y, *arguments)``: the cotangent of the output, the output, and the arguments.
"""

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from inspect import Parameter, signature
from typing import Any, TypeAlias, TypeVar, overload

import numpy as np

from .array import Array, DTypeLike, Scalar, Shape, axes_of, kept_shape, quietly, real_part
from .autograd import NAMESAKES, Node, Primitive, namesake, primitive, sweep
from .errors import ArgumentError, DTypeError, IndexRangeError, ShapeError, TapeError

__all__ = [
    "DTYPES",
    "A",
    "Axis",
    "Operand",
    "Tensor",
    "absolute",
    "add",
    "as_dtype",
    "astype",
    "broadcast_to",
    "clip",
    "contiguous",
    "cumsum",
    "divide",
    "equal",
    "floor_divide",
    "getitem",
    "greater",
    "greater_equal",
    "leaf",
    "less",
    "less_equal",
    "log",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "multiply",
    "negative",
    "not_equal",
    "power",
    "prod",
    "remainder",
    "reshape",
    "scatter",
    "sign",
    "squeeze",
    "subtract",
    "sum",
    "tensor",
    "transpose",
    "var",
    "where",
]

#: The dtypes that tensors have.
DTYPES = tuple(np.dtype(t) for t in (np.float64, np.float32, np.int64, np.int32, np.bool_))

#: What may stand beside a tensor in a calculation.
Operand: TypeAlias = "Tensor | Array | Scalar | Sequence[Any]"
#: One axis, several, or all (None).
Axis: TypeAlias = int | tuple[int, ...] | None

#: Arguments that NumPy's functions name in another way.
_RENAMED = {"a_min": "min", "a_max": "max", "newshape": "shape"}

#: Arrays in, arrays out; tensors in, tensors out.
A = TypeVar("A", Array, "Tensor")


class Tensor(Node):
    """An array of float64, float32, int64, int32 or bool that remembers where it came from.

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
        super().__init__(_copied(data, dtype))
        self.requires_grad = requires_grad

    # What it is

    @property
    def data(self) -> Array:
        """The array itself. Assigning to it (also ``t.data -= step``) replaces the values.

        The new values must have the same shape and dtype. A backward through what was computed
        from the old values is then an error. Writing into the array, ``t.data[0] = 1``, is not
        noticed: do it only where no tape depends on the value.
        """
        return self.value

    @data.setter
    def data(self, values: Array) -> None:
        if not isinstance(values, np.ndarray):
            raise DTypeError(
                "data must be a NumPy array", type(values).__name__, "use np.array(...)"
            )
        if values.shape != self.shape or values.dtype != self.dtype:
            raise ShapeError(
                f"data must keep shape {self.shape} and dtype {self.dtype}",
                f"shape {values.shape} and {values.dtype}",
                "make a new tensor with nx.tensor(...)",
            )
        self.value = values.view()  # a new object: the tape notices the change

    @property
    def shape(self) -> Shape:
        """The lengths of the axes."""
        return self.value.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.value.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the values."""
        return self.value.dtype

    @property
    def size(self) -> int:
        """The number of values."""
        return self.value.size

    @property
    def T(self) -> "Tensor":
        """The tensor with its axes in reverse order."""
        return transpose(self)

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor; can be set on a leaf."""
        return self.tracked

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if self.primitive is not None and bool(wanted) != self.tracked:
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
        self.tracked = bool(wanted)

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

    def __repr__(self) -> str:
        prefix = f"{type(self).__name__}("
        parts = [np.array2string(self.value, separator=", ", prefix=prefix)]
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
        return leaf(self.value)

    def numpy(self) -> Array:
        """A copy of the values as a NumPy array. ``np.asarray(t)`` is a read-only view.

        Example:
            >>> import numixology as nx
            >>> nx.tensor([1.0, 2.0], requires_grad=True).numpy()
            array([1., 2.])
        """
        return np.array(self.value)

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
        return self.value.item()

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self.value.tolist()

    def __reduce__(self) -> tuple[Callable[..., "Tensor"], tuple[Any, ...]]:
        if self.tracked and self.primitive is not None:
            raise TapeError(
                "only a tensor without a past can be copied or pickled",
                f"one from {self.primitive.__name__}",
                "detach() it first",
            )
        return _rebuilt, (np.array(self.value), self.tracked, self.grad)

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
        found = sweep(
            [self],
            [cotangent if create_graph else cotangent.value],
            create_graph=create_graph,
            free=not (retain_graph or create_graph),
        )
        for node, total in found:
            _accumulate(node, total if create_graph else leaf(total))

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
        return len(self.value)

    def __iter__(self) -> Iterator["Tensor"]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Operand) -> bool:
        return _is_operand(value) and bool((self == value).value.any())

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
        return getitem(self, index=_index(index))

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
            return self.value.astype(dtype)
        if copy:
            return np.array(self.value)
        view = self.value.view()
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
        wanted = _resolved(_unpacked(shape), self.shape, "view")
        result = _reshape(self, shape=wanted)
        if self.size and not np.may_share_memory(result.value, self.value):
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
        return _reshape(self, shape=_resolved(_unpacked(shape), self.shape, "reshape"))

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
        return transpose(self, _unpacked(dims))

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
        a, b = _axis(dim0, self.ndim), _axis(dim1, self.ndim)
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
        start, end = _axis(start_dim, self.ndim), _axis(end_dim, self.ndim)
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
        axis = _axis(dim, self.ndim)
        parts = _resolved(_unpacked((sizes,)), (self.shape[axis],), "unflatten")
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
        return self.value.flags.c_contiguous

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
        strides = tuple(step // self.value.itemsize for step in self.value.strides)
        return strides if dim is None else strides[_axis(dim, self.ndim)]

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


def as_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """``dtype`` as one of the five that tensors have.

    Raises:
        DTypeError: it is another one.
    """
    try:
        found = np.dtype(dtype).newbyteorder("=")
    except TypeError as error:
        raise _bad_dtype(repr(dtype)) from error
    if found not in DTYPES:
        raise _bad_dtype(str(found))
    return found


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
    if isinstance(gradient, bool | int | float) and output.ndim == 0:
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
    if gradient.dtype != of.dtype and gradient.dtype.kind != "c":
        raise DTypeError(
            f"the gradient of a {of.dtype} tensor is {of.dtype}",
            str(gradient.dtype),
            f"use .astype('{of.dtype}')",
        )


def _accumulate(node: Any, gradient: Tensor) -> None:
    """Out of place, so that whoever holds the old gradient keeps it."""
    before = node.grad
    node._grad = gradient if before is None else before + gradient


def _rebuilt(values: Array, requires_grad: bool, grad: Tensor | None) -> Tensor:
    made = leaf(values, requires_grad)
    made.grad = grad
    return made


def _copied(data: Any, dtype: DTypeLike | None) -> Array:
    """A fresh array of one of the five dtypes."""
    wanted = None if dtype is None else as_dtype(dtype)
    if isinstance(data, Tensor):
        if data.tracked:
            raise TapeError(
                "nx.tensor copies values and would lose their past",
                "a tensor that requires a gradient",
                "call detach() first, or use the tensor itself",
            )
        data = data.value
    if hasattr(data, "mask") and isinstance(data, np.ma.MaskedArray):
        raise DTypeError(
            "a tensor has a value everywhere", "a masked array", "fill it first, with .filled(...)"
        )
    if isinstance(data, list | tuple) and _holds_tensor(data):
        raise DTypeError(
            "nx.tensor takes numbers", "a list of tensors", "join them with nx.functional.stack"
        )
    try:
        array = np.array(data)
    except (ValueError, TypeError) as error:
        raise ShapeError(
            "nested lists must have equal lengths", str(error).split(".")[0], "pad or cut them"
        ) from error
    if array.dtype.kind not in "fiub":
        raise _bad_dtype(str(array.dtype))
    if wanted is None:
        return array.astype(as_dtype(array.dtype), copy=False)
    return _cast(array, wanted)


def _holds_tensor(data: Sequence[Any]) -> bool:
    return any(
        isinstance(one, Tensor) or (isinstance(one, list | tuple) and _holds_tensor(one))
        for one in data
    )


def _cast(array: Array, dtype: np.dtype[Any]) -> Array:
    """Values outside float32's range become infinite; a NaN or infinity is not an integer."""
    if dtype.kind == "i" and array.dtype.kind == "f":
        info = np.iinfo(dtype)
        wide = array.astype(np.promote_types(array.dtype, np.float32), copy=False)
        if not ((wide >= info.min) & (wide < info.max + 1)).all():  # max itself may round up
            raise ArgumentError(
                f"values must fit {dtype}", "NaN, infinity or a number beyond it", "clip them first"
            )
    if dtype.kind == "i" and array.dtype.kind in "iu" and array.size:
        info = np.iinfo(dtype)
        if array.min() < info.min or array.max() > info.max:
            raise ArgumentError(
                f"values must fit {dtype}", f"values up to {array.max()}", "clip them first"
            )
    with quietly():
        return array.astype(dtype)


def _bad_dtype(received: str) -> DTypeError:
    return DTypeError(
        "tensors hold float64, float32, int64, int32 or bool",
        received,
        "convert it first, or pass dtype=",
    )


def _is_operand(other: object) -> bool:
    return isinstance(
        other, Tensor | np.ndarray | bool | int | float | complex | np.generic | list | tuple
    )


def _operand(other: object) -> Tensor | Array | Scalar:
    """What stands beside a tensor: numbers stay weak, lists become arrays."""
    if isinstance(other, (Tensor, float, int)):
        return other
    if not _is_operand(other) or (isinstance(other, list | tuple) and _holds_tensor(other)):
        raise DTypeError(
            "an operand must be a tensor, an array or a number",
            type(other).__name__,
            "convert it with nx.tensor, or join tensors with nx.functional.stack",
        )
    if isinstance(other, np.ma.MaskedArray):
        raise DTypeError(
            "an operand has a value everywhere",
            "a masked array",
            "fill it first, with .filled(...)",
        )
    array = np.asarray(other)
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
namesake(np.shape)(lambda t: t.shape)
namesake(np.ndim)(lambda t: t.ndim)
namesake(np.size)(lambda t: t.size)


def _by_name(
    function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[Sequence[Any], dict[str, Any]]:
    """All arguments but the first by name: the order of NumPy's arguments is not ours."""
    ours = NAMESAKES.get(function)
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
    ours = NAMESAKES.get(function)
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


def _integer(value: Any, what: str) -> int:
    try:
        return operator.index(value)
    except TypeError as error:
        raise DTypeError(f"{what} must be an integer", repr(value), "use an int") from error


def _axis(dim: int, ndim: int) -> int:
    """``dim`` counted from 0."""
    axis = _integer(dim, "an axis")
    if not -ndim <= axis < ndim:
        raise ShapeError(
            f"an axis of a tensor of {ndim} dimensions lies from {-ndim} to {ndim - 1}",
            str(dim),
            "count the axes again",
        )
    return axis % ndim


def _unpacked(lengths: Sequence[Any]) -> Shape:
    """``f(2, 3)`` and ``f((2, 3))`` mean the same."""
    if len(lengths) == 1 and isinstance(lengths[0], list | tuple):
        lengths = lengths[0]
    return tuple(_integer(n, "a length") for n in lengths)


def _resolved(shape: Shape, old: Shape, asked: str) -> Shape:
    """``shape`` with its -1 worked out."""
    size = math.prod(old)
    known = math.prod(n for n in shape if n != -1)
    unknown = shape.count(-1)
    works = (size == known) if not unknown else (unknown == 1 and known and size % known == 0)
    if not works or any(n < -1 for n in shape):
        raise ShapeError(
            f"{asked}{shape} must keep the {size} values of shape {old}",
            f"{known} values" if not unknown else f"{size} values in groups of {known}",
            "give lengths whose product is that number; at most one may be -1",
        )
    return tuple(size // known if n == -1 else n for n in shape)


def _index(index: Any) -> Any:
    """A NumPy index: tensors become arrays, and arrays are copied, since they may change."""
    if isinstance(index, tuple):
        return tuple(_index(one) for one in index)
    if isinstance(index, Tensor):
        index = index.value
    if isinstance(index, list | np.ndarray):
        try:
            index = np.array(index)
        except ValueError as error:
            raise IndexRangeError(
                "an index array holds integers or booleans", "lists of unequal lengths", "pad them"
            ) from error
        if index.size == 0 and index.dtype.kind == "f":
            index = index.astype(np.int64)
        if index.dtype.kind not in "iub":
            raise IndexRangeError(
                "an index array holds integers or booleans", str(index.dtype), "convert it first"
            )
    return index


# Arithmetic


@primitive(np.add, broadcasts=True)
def add(a: Array, b: Array) -> Array:
    """a + b, elementwise and broadcasting.

    Args:
        a: an array, a tensor or a number, of any shape and dtype.
        b: likewise, of a shape that broadcasts with that of ``a``.

    Returns:
        The broadcast shape, of NumPy's common dtype.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import numixology as nx
        >>> nx.functional.add(nx.tensor([[1.0], [2.0]]), nx.tensor([10.0, 20.0]))
        Tensor([[11., 21.],
                [12., 22.]], from=add)
    """
    return np.add(a, b)


@add.vjp("a")
def add_da(ct: A, y: A, a: A, b: A) -> A:
    return ct


@add.vjp("b")
def add_db(ct: A, y: A, a: A, b: A) -> A:
    return ct


@primitive(np.subtract, broadcasts=True)
def subtract(a: Array, b: Array) -> Array:
    """a - b, elementwise and broadcasting.

    Args:
        a: an array, a tensor or a number, of any shape and dtype.
        b: likewise, of a shape that broadcasts with that of ``a``.

    Returns:
        The broadcast shape, of NumPy's common dtype.

    Raises:
        ShapeError: the shapes do not broadcast.
        DTypeError: both are boolean.

    Example:
        >>> import numixology as nx
        >>> nx.functional.subtract(nx.tensor([5.0, 7.0]), 2.0)
        Tensor([3., 5.], from=subtract)
    """
    return np.subtract(a, b)


@subtract.vjp("a")
def subtract_da(ct: A, y: A, a: A, b: A) -> A:
    return ct


@subtract.vjp("b")
def subtract_db(ct: A, y: A, a: A, b: A) -> A:
    return -ct


@primitive(np.multiply, broadcasts=True)
def multiply(a: Array, b: Array) -> Array:
    """a · b, elementwise and broadcasting.

    Args:
        a: an array, a tensor or a number, of any shape and dtype.
        b: likewise, of a shape that broadcasts with that of ``a``.

    Returns:
        The broadcast shape, of NumPy's common dtype.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import numixology as nx
        >>> nx.functional.multiply(nx.tensor([2.0, 3.0]), nx.tensor([4.0, 5.0]))
        Tensor([ 8., 15.], from=multiply)
    """
    return np.multiply(a, b)


@multiply.vjp("a")
def multiply_da(ct: A, y: A, a: A, b: A) -> A:
    return ct * b


@multiply.vjp("b")
def multiply_db(ct: A, y: A, a: A, b: A) -> A:
    return ct * a


@primitive(np.true_divide, broadcasts=True)
def divide(a: Array, b: Array) -> Array:
    """a / b, elementwise and broadcasting; x / 0 is ±inf, and 0 / 0 is NaN.

    Args:
        a: an array, a tensor or a number, of any shape and dtype.
        b: likewise, of a shape that broadcasts with that of ``a``.

    Returns:
        The broadcast shape, of NumPy's common dtype; float64 for integers.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import numixology as nx
        >>> nx.functional.divide(nx.tensor([1, 2]), 4)
        Tensor([0.25, 0.5 ], from=divide)
    """
    return np.true_divide(a, b)


@divide.vjp("a")
def divide_da(ct: A, y: A, a: A, b: A) -> A:
    return ct / b


@divide.vjp("b")
def divide_db(ct: A, y: A, a: A, b: A) -> A:
    return -ct * y / b


def _of_numbers(y: Array, a: Any, b: Any) -> Array:
    """y = f(a, b), unless NumPy took two booleans for numbers of eight bits."""
    if y.dtype == np.int8 and np.result_type(a, b) == np.bool_:
        raise DTypeError("// % ** take numbers", "two booleans", "use .astype('int64')")
    return y


@primitive(np.floor_divide, broadcasts=True)
def floor_divide(a: Array, b: Array) -> Array:
    """⌊a / b⌋, elementwise and broadcasting; piecewise constant, so its gradient is 0."""
    if np.iscomplexobj(a) or np.iscomplexobj(b):
        return np.floor_divide(real_part(a), real_part(b)).astype(np.result_type(a, b))
    return _of_numbers(np.floor_divide(a, b), a, b)


@floor_divide.vjp("a")
def floor_divide_da(ct: A, y: A, a: A, b: A) -> A:
    return ct * 0


@floor_divide.vjp("b")
def floor_divide_db(ct: A, y: A, a: A, b: A) -> A:
    return ct * 0


@primitive(np.remainder, broadcasts=True)
def remainder(a: Array, b: Array) -> Array:
    """a - b ⌊a / b⌋, elementwise and broadcasting."""
    if np.iscomplexobj(a) or np.iscomplexobj(b):
        y: Array = a - b * np.floor_divide(real_part(a), real_part(b))  # analytic in each piece
        return y
    return _of_numbers(np.remainder(a, b), a, b)


@remainder.vjp("a")
def remainder_da(ct: A, y: A, a: A, b: A) -> A:
    return ct


@remainder.vjp("b")
def remainder_db(ct: A, y: A, a: A, b: A) -> A:
    return -ct * floor_divide(a, b)


@primitive(np.negative)
def negative(x: Array) -> Array:
    """-x, elementwise.

    Args:
        x: any shape; numbers, not booleans.

    Returns:
        The shape and dtype of ``x``.

    Raises:
        DTypeError: booleans.

    Example:
        >>> import numixology as nx
        >>> nx.functional.negative(nx.tensor([1.0, -2.0]))
        Tensor([-1.,  2.], from=negative)
    """
    return np.negative(x)


@negative.vjp("x")
def negative_dx(ct: A, y: A, x: A) -> A:
    return -ct


@primitive(np.power, broadcasts=True)
def power(a: Array | Scalar, b: Array | Scalar) -> Array:
    """aᵇ, elementwise and broadcasting.

    At b = 0 the derivative by ``a`` is 0, and at a = 0 ≤ b the derivative by ``b`` is 0.

    Args:
        a: an array, a tensor or a number, of any shape and dtype.
        b: likewise, of a shape that broadcasts with that of ``a``.

    Returns:
        The broadcast shape, of NumPy's common dtype; NaN for a < 0 and a b that is not whole.

    Raises:
        ShapeError: the shapes do not broadcast, or integers are raised to negative integers.
        DTypeError: both are boolean.

    Example:
        >>> import numixology as nx
        >>> nx.functional.power(nx.tensor([2.0, 3.0]), nx.tensor([3.0, -1.0]))
        Tensor([8.        , 0.33333333], from=power)
    """
    return _of_numbers(a**b if isinstance(a, np.ndarray) else np.power(a, b), a, b)


@power.vjp("a")
def power_da(ct: A, y: A, a: A, b: A | float) -> A:
    if isinstance(b, bool | int | float):
        return ct * b * a ** (b - 1) if b else ct * 0
    constant: A = b == 0
    da: A = ct * b * a ** where(constant, 1.0, b - 1)
    return where(constant, 0.0, da)


@power.vjp("b")
def power_db(ct: A, y: A, a: A, b: A) -> A:
    certain = logical_and(equal(a, 0), greater_equal(b, 0))  # y ln a, not inf · ln 1, where b < 0
    return ct * y * log(where(certain, 1.0, a))


@primitive(np.absolute)
def absolute(x: Array) -> Array:
    """The absolute value of x, elementwise; its derivative at 0 is taken as 0.

    Of complex arrays it is the analytic continuation ±x, not the modulus, as complex-step
    differentiation needs it. ``nx.functional.abs`` is the same function.

    Args:
        x: any shape and dtype.

    Returns:
        The shape and dtype of ``x``.

    Example:
        >>> import numixology as nx
        >>> nx.functional.absolute(nx.tensor([-1.5, 0.0, 2.0]))
        Tensor([1.5, 0. , 2. ], from=absolute)
    """
    return np.where(x.real < 0, -x, x) if np.iscomplexobj(x) else np.absolute(x)


@absolute.vjp("x")
def absolute_dx(ct: A, y: A, x: A) -> A:
    return ct * sign(x)


@primitive(np.sign)
def sign(x: Array) -> Array:
    """-1, 0 or 1, elementwise; piecewise constant, so its gradient is 0.

    Args:
        x: any shape; numbers, not booleans.

    Returns:
        The shape and dtype of ``x``; NaN stays NaN.

    Raises:
        DTypeError: booleans.

    Example:
        >>> import numixology as nx
        >>> nx.functional.sign(nx.tensor([-1.5, 0.0, 2.0]))
        Tensor([-1.,  0.,  1.], from=sign)
    """
    return np.sign(real_part(x)) + 0 * x if np.iscomplexobj(x) else np.sign(x)


@sign.vjp("x")
def sign_dx(ct: A, y: A, x: A) -> A:
    return ct * 0


@primitive(np.log)
def log(x: Array) -> Array:
    """ln x, elementwise: -inf at 0 and NaN below.

    Args:
        x: any shape, floating-point.

    Returns:
        The shape and dtype of ``x``; float64 for integers.

    Raises:
        DTypeError: a boolean tensor.

    Example:
        >>> import numixology as nx
        >>> nx.functional.log(nx.tensor([1.0, 10.0]))
        Tensor([0.        , 2.30258509], from=log)
    """
    return np.log(x)


@log.vjp("x")
def log_dx(ct: A, y: A, x: A) -> A:
    return ct / x


# Choosing


@namesake(np.where)
@primitive(broadcasts=True)
def where(condition: Array, a: Array, b: Array) -> Array:
    """``a`` where ``condition`` holds, else ``b``, elementwise and broadcasting.

    Args:
        condition: booleans of any shape; of numbers, all but 0 hold. It has no gradient.
        a: an array, a tensor or a number, of a shape that broadcasts with the others.
        b: likewise.

    Returns:
        The broadcast shape, of the common dtype of ``a`` and ``b``.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor([-1.0, 2.0])
        >>> nx.functional.where(x > 0, x, 0.0)
        Tensor([0., 2.], from=where)
    """
    return np.where(condition, a, b)


@where.vjp("a")
def where_da(ct: A, y: A, condition: A, a: A, b: A) -> A:
    return where(condition, ct, 0.0)


@where.vjp("b")
def where_db(ct: A, y: A, condition: A, a: A, b: A) -> A:
    return where(condition, 0.0, ct)


@primitive(np.maximum, broadcasts=True)
def maximum(a: Array, b: Array) -> Array:
    """The larger of a and b, elementwise and broadcasting; NaN if either is.

    Where the two are equal, each gets half of the cotangent; where one is NaN, both get all of
    it, so that a NaN is not hidden.

    Args:
        a: an array, a tensor or a number, of any shape and dtype.
        b: likewise, of a shape that broadcasts with that of ``a``.

    Returns:
        The broadcast shape, of NumPy's common dtype.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import numixology as nx
        >>> nx.functional.maximum(nx.tensor([1.0, 5.0]), nx.tensor([3.0, 2.0]))
        Tensor([3., 5.], from=maximum)
    """
    return np.maximum(a, b)


@maximum.vjp("a")
def maximum_da(ct: A, y: A, a: A, b: A) -> A:
    return where(less(a, b), 0.0, where(equal(a, b), 0.5 * ct, ct))


@maximum.vjp("b")
def maximum_db(ct: A, y: A, a: A, b: A) -> A:
    return where(greater(a, b), 0.0, where(equal(a, b), 0.5 * ct, ct))


@primitive(np.minimum, broadcasts=True)
def minimum(a: Array, b: Array) -> Array:
    """The smaller of a and b, elementwise and broadcasting; NaN if either is.

    Where the two are equal, each gets half of the cotangent; where one is NaN, both get all of
    it, so that a NaN is not hidden.

    Args:
        a: an array, a tensor or a number, of any shape and dtype.
        b: likewise, of a shape that broadcasts with that of ``a``.

    Returns:
        The broadcast shape, of NumPy's common dtype.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import numixology as nx
        >>> nx.functional.minimum(nx.tensor([1.0, 5.0]), nx.tensor([3.0, 2.0]))
        Tensor([1., 2.], from=minimum)
    """
    return np.minimum(a, b)


@minimum.vjp("a")
def minimum_da(ct: A, y: A, a: A, b: A) -> A:
    return where(greater(a, b), 0.0, where(equal(a, b), 0.5 * ct, ct))


@minimum.vjp("b")
def minimum_db(ct: A, y: A, a: A, b: A) -> A:
    return where(less(a, b), 0.0, where(equal(a, b), 0.5 * ct, ct))


@primitive
def _clip(x: Array, *, low: Scalar | None, high: Scalar | None) -> Array:
    if np.iscomplexobj(x):
        return np.where(
            real_part(x) == np.clip(real_part(x), low, high), x, np.clip(x.real, low, high)
        )
    return np.clip(x, low, high)


@_clip.vjp("x")
def _clip_dx(ct: A, y: A, x: A, *, low: Scalar | None, high: Scalar | None) -> A:
    inside = equal(x, y)
    return where(inside, ct, 0.0)


@namesake(np.clip)
def clip(x: A, min: Scalar | None = None, max: Scalar | None = None) -> A:
    """x cut off below ``min`` and above ``max``; the derivative is 1 on both bounds.

    Args:
        x: any shape and dtype.
        min: the lower bound, a number, or None for none.
        max: the upper bound, likewise; it wins where it is below ``min``.

    Returns:
        The shape of ``x``, of the common dtype with the bounds; NaN stays NaN.

    Raises:
        ArgumentError: neither bound is given.
        DTypeError: a bound is a tensor.

    Example:
        >>> import numixology as nx
        >>> nx.functional.clip(nx.tensor([-2.0, 0.5, 3.0]), 0.0, 1.0)
        Tensor([0. , 0.5, 1. ], from=clip)
    """
    if min is None and max is None:
        raise ArgumentError("clip needs a bound", "neither min nor max", "give one of them")
    for bound in (min, max):
        if isinstance(bound, Node):
            raise DTypeError(
                "the bounds of clip are constants",
                "a tensor",
                "use maximum and minimum, which differentiate",
            )
    return _clip(x, low=min, high=max)


@primitive(np.equal, broadcasts=True)
def equal(a: Array, b: Array) -> Array:
    """a = b, elementwise and broadcasting."""
    return np.equal(a, b)


@primitive(np.not_equal, broadcasts=True)
def not_equal(a: Array, b: Array) -> Array:
    """a ≠ b, elementwise and broadcasting."""
    return np.not_equal(a, b)


@primitive(np.less, broadcasts=True)
def less(a: Array, b: Array) -> Array:
    """a < b, elementwise and broadcasting; complex arrays by their real parts."""
    return np.less(real_part(a), real_part(b))


@primitive(np.less_equal, broadcasts=True)
def less_equal(a: Array, b: Array) -> Array:
    """a ≤ b, elementwise and broadcasting; complex arrays by their real parts."""
    return np.less_equal(real_part(a), real_part(b))


@primitive(np.greater, broadcasts=True)
def greater(a: Array, b: Array) -> Array:
    """a > b, elementwise and broadcasting; complex arrays by their real parts."""
    return np.greater(real_part(a), real_part(b))


@primitive(np.greater_equal, broadcasts=True)
def greater_equal(a: Array, b: Array) -> Array:
    """a ≥ b, elementwise and broadcasting; complex arrays by their real parts."""
    return np.greater_equal(real_part(a), real_part(b))


@primitive(np.logical_and, broadcasts=True)
def logical_and(a: Array, b: Array) -> Array:
    """Both hold, elementwise and broadcasting."""
    return np.logical_and(a, b)


@primitive(np.logical_or, broadcasts=True)
def logical_or(a: Array, b: Array) -> Array:
    """At least one holds, elementwise and broadcasting."""
    return np.logical_or(a, b)


@primitive(np.logical_xor, broadcasts=True)
def logical_xor(a: Array, b: Array) -> Array:
    """Exactly one holds, elementwise and broadcasting."""
    return np.logical_xor(a, b)


@primitive(np.logical_not)
def logical_not(x: Array) -> Array:
    """It does not hold, elementwise."""
    return np.logical_not(x)


# Bit by bit NumPy's & | ^ ~ agree with these on booleans, and on nothing else.
namesake(np.bitwise_and)(lambda a, b: logical_and(_mask(a), _mask(b)))
namesake(np.bitwise_or)(lambda a, b: logical_or(_mask(a), _mask(b)))
namesake(np.bitwise_xor)(lambda a, b: logical_xor(_mask(a), _mask(b)))
namesake(np.invert)(lambda x: logical_not(_mask(x)))


# Matrices


@primitive(np.matmul, broadcasts=True)
def matmul(a: Array, b: Array) -> Array:
    """y_ij = Σ_k a_ik b_kj over the last two axes; vectors and leading axes as in NumPy.

    Args:
        a: (..., n, k), or (k,) for a row.
        b: (..., k, m), or (k,) for a column; the leading axes broadcast.

    Returns:
        (..., n, m), without the n of a row and the m of a column; of NumPy's common dtype.

    Raises:
        ShapeError: a number instead of a matrix, sums of two lengths, or leading axes that do
            not broadcast.

    Example:
        >>> import numixology as nx
        >>> a = nx.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> nx.functional.matmul(a, nx.tensor([[1.0], [10.0]]))
        Tensor([[21.],
                [43.]], from=matmul)
    """
    y: Array = np.matmul(a, b)
    return y


@matmul.vjp("a")
def matmul_da(ct: A, y: A, a: A, b: A) -> A:
    if b.ndim == 1:
        return _column(ct) * b if a.ndim > 1 else ct * b  # (..., n, k)
    if a.ndim == 1:
        return (b @ _column(ct)).reshape(*b.shape[:-1])  # (..., k)
    return ct @ _swap_last(b)  # (..., n, k)


@matmul.vjp("b")
def matmul_db(ct: A, y: A, a: A, b: A) -> A:
    if a.ndim == 1:
        return _column(a) * ct.reshape(*ct.shape[:-1], 1, ct.shape[-1]) if b.ndim > 1 else ct * a
    if b.ndim == 1:
        return (_swap_last(a) @ _column(ct)).reshape(*a.shape[:-2], a.shape[-1])  # (..., k)
    return _swap_last(a) @ ct  # (..., k, m)


def _column(x: A) -> A:
    return x.reshape(*x.shape, 1)


def _swap_last(x: A) -> A:
    return transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


# Shapes


@primitive
def _reshape(x: Array, *, shape: Shape) -> Array:
    return np.reshape(x, shape)


@_reshape.vjp("x")
def _reshape_dx(ct: A, y: A, x: A, *, shape: Shape) -> A:
    return ct.reshape(x.shape)


@namesake(np.reshape)
def reshape(x: A, shape: int | Sequence[int]) -> A:
    """The same values, in the same order, under another shape.

    Args:
        x: an array or a tensor of any shape and dtype.
        shape: the new lengths, or one number; one of them may be -1, for what is left.

    Returns:
        That shape, of the dtype of ``x``; a view where strides can express it, else a copy.

    Raises:
        ShapeError: another number of values, or more than one -1.
        DTypeError: a length that is not an integer.

    Source: guide, Token Mixer Step-by-Step (Step 1: Head Partitioning).

    Example:
        >>> import numixology as nx
        >>> nx.functional.reshape(nx.tensor([1, 2, 3, 4, 5, 6]), (2, -1))
        Tensor([[1, 2, 3],
                [4, 5, 6]], from=reshape)
    """
    return _reshape(x, shape=_resolved(_unpacked((shape,)), x.shape, "reshape"))


@primitive
def _transpose(x: Array, *, axes: Shape) -> Array:
    return np.transpose(x, axes)


@_transpose.vjp("x")
def _transpose_dx(ct: A, y: A, x: A, *, axes: Shape) -> A:
    return _transpose(ct, axes=tuple(np.argsort(axes)))


@namesake(np.transpose)
def transpose(x: A, axes: Sequence[int] | None = None) -> A:
    """The axes in another order: axis i of the result is axis ``axes[i]`` of x.

    Args:
        x: an array or a tensor of any shape and dtype.
        axes: every axis of ``x`` once; None for the reverse order.

    Returns:
        A view in that order, of the dtype of ``x``.

    Raises:
        ShapeError: an axis that is missing, named twice or not there.
        DTypeError: an axis that is not an integer.

    Source: guide, Token Mixer Step-by-Step (Step 2: Permutation).

    Example:
        >>> import numixology as nx
        >>> nx.functional.transpose(nx.tensor([[1, 2, 3], [4, 5, 6]]), (1, 0))
        Tensor([[1, 4],
                [2, 5],
                [3, 6]], from=transpose)
    """
    if axes is None:
        return _transpose(x, axes=tuple(range(x.ndim))[::-1])
    order = tuple(axes)
    if sorted(order) != [*range(x.ndim)]:
        order = tuple([_axis(axis, x.ndim) for axis in axes])
    if len(order) != x.ndim or len(set(order)) != x.ndim:
        raise ShapeError(
            f"the order of {x.ndim} axes names each of them once",
            str(tuple(axes)),
            f"use a permutation of {tuple(range(x.ndim))}",
        )
    return _transpose(x, axes=order)


@primitive(broadcasts=True)
def _broadcast_to(x: Array, *, shape: Shape) -> Array:
    return np.broadcast_to(x, shape)


@_broadcast_to.vjp("x")
def _broadcast_to_dx(ct: A, y: A, x: A, *, shape: Shape) -> A:
    return ct


@namesake(np.broadcast_to)
def broadcast_to(x: A, shape: int | Sequence[int]) -> A:
    """x repeated along axes of length one, and along new leading axes, up to ``shape``.

    Args:
        x: any shape and dtype.
        shape: the lengths wanted, or one number.

    Returns:
        That shape, of the dtype of ``x``; a view that cannot be written to.

    Raises:
        ShapeError: ``x`` does not broadcast to ``shape``.
        DTypeError: a length that is not an integer.

    Example:
        >>> import numixology as nx
        >>> nx.functional.broadcast_to(nx.tensor([1.0, 2.0]), (2, 2))
        Tensor([[1., 2.],
                [1., 2.]], from=broadcast_to)
    """
    return _broadcast_to(x, shape=_unpacked((shape,)))


@namesake(np.squeeze)
def squeeze(x: A, axis: Axis = None, *, dim: Axis = None) -> A:
    """x without its axes of length one, or without those of them that ``axis`` names.

    Args:
        x: an array or a tensor of any shape and dtype.
        axis: one axis, several as a tuple, or None for every axis of length one.
        dim: torch's name for ``axis``.

    Returns:
        The shape without those axes, of the dtype of ``x``.

    Raises:
        ShapeError: an axis of another length, one that is not there, or one named twice.
        DTypeError: an axis that is not an integer.
        ArgumentError: both ``axis`` and ``dim`` are given.

    Example:
        >>> import numixology as nx
        >>> nx.functional.squeeze(nx.tensor([[[1.0, 2.0]]]), 0).shape
        (1, 2)
    """
    axis = _either("axis", axis, "dim", dim)
    if axis is None:
        return reshape(x, [n for n in x.shape if n != 1])
    gone = _axes(axis, x.ndim)
    if any(x.shape[i] != 1 for i in gone):
        raise ShapeError(
            "squeeze removes axes of length one", f"axis {axis} of shape {x.shape}", "use reshape"
        )
    return reshape(x, [n for i, n in enumerate(x.shape) if i not in gone])


@primitive
def _contiguous(x: Array) -> Array:
    return np.array(x, order="C")


@_contiguous.vjp("x")
def _contiguous_dx(ct: A, y: A, x: A) -> A:
    return ct


def contiguous(x: A) -> A:
    """x itself if its values lie in memory in order, else a copy in which they do.

    Args:
        x: an array or a tensor of any shape and dtype.

    Returns:
        The shape and dtype of ``x``.

    Source: guide, Implementation Tips (Memory Optimization).

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).T
        >>> x.stride(), nx.functional.contiguous(x).stride()
        ((1, 3), (2, 1))
    """
    values = x.value if isinstance(x, Tensor) else x
    return x if values.flags.c_contiguous else _contiguous(x)


@primitive
def _astype(x: Array, *, dtype: np.dtype[Any]) -> Array:
    return x.astype(dtype) if np.iscomplexobj(x) else _cast(x, dtype)


@_astype.vjp("x")
def _astype_dx(ct: A, y: A, x: A, *, dtype: np.dtype[Any]) -> A:
    return ct.astype(x.dtype)


def astype(x: A, dtype: DTypeLike) -> A:
    """A copy of the values in another of the five dtypes; the cotangent comes back in x's own.

    From floating-point to integers what follows the point is cut off, and what float32 cannot
    hold becomes infinite. Complex arrays are returned as they are.

    Args:
        x: an array or a tensor of any shape.
        dtype: float64, float32, int64, int32 or bool, or its name.

    Returns:
        The shape of ``x``, of that dtype; integers and booleans carry no gradient.

    Raises:
        DTypeError: another dtype.
        ArgumentError: a NaN, an infinity or a number that does not fit the integers asked for.

    Example:
        >>> import numixology as nx
        >>> nx.functional.astype(nx.tensor([1.7, -1.7]), "int64")
        Tensor([ 1, -1], from=astype)
    """
    if x.dtype.kind == "c":
        return x
    return _astype(x, dtype=as_dtype(dtype))


@primitive
def getitem(x: Array, *, index: Any) -> Array:
    """x[index], NumPy's indexing: integers, slices, None, Ellipsis, integer arrays, masks."""
    part: Array = x[index]
    return part


@getitem.vjp("x")
def getitem_dx(ct: A, y: A, x: A, *, index: Any) -> A:
    return scatter(ct, index=index, shape=x.shape)


@primitive
def scatter(x: Array, *, index: Any, shape: Shape) -> Array:
    """Zeros of the given shape with x added at ``index``: the transpose of ``getitem``."""
    y = np.zeros(shape, x.dtype)
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(part, np.ndarray) and part.dtype != np.bool_ for part in parts):
        np.add.at(y, index, x)  # an index array may name an element twice
    else:
        y[index] = x
    return y


@scatter.vjp("x")
def scatter_dx(ct: A, y: A, x: A, *, index: Any, shape: Shape) -> A:
    return getitem(ct, index=index)


# Reductions

# NumPy's own, under types that leave ``keepdims`` open until the call.
_add_reduce: Callable[..., Array] = np.add.reduce
_maximum_reduce: Callable[..., Array] = np.maximum.reduce
_minimum_reduce: Callable[..., Array] = np.minimum.reduce


@primitive
def _sum(x: Array, *, axis: Axis, keepdims: bool) -> Array:
    return _add_reduce(x, axis=axis, keepdims=keepdims)


@_sum.vjp("x")
def _sum_dx(ct: A, y: A, x: A, *, axis: Axis, keepdims: bool) -> A:
    return broadcast_to(ct.reshape(kept_shape(x.shape, axis)), x.shape)


@namesake(np.sum)
def sum(
    x: A, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False
) -> A:
    """Σ x over ``axis``.

    Args:
        x: any shape and dtype.
        axis: one axis, several as a tuple, or None for all of them.
        keepdims: leave those axes in, at length one.
        dim, keepdim: torch's names for ``axis`` and ``keepdims``.

    Returns:
        The shape of ``x`` without those axes, of its dtype; int64 for int32 and booleans. The
        sum of no values is 0.

    Raises:
        ShapeError: no such axis, or one named twice.
        DTypeError: an axis that is not an integer.
        ArgumentError: both ``axis`` and ``dim`` are given.

    Example:
        >>> import numixology as nx
        >>> nx.functional.sum(nx.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
        Tensor([4., 6.], from=sum)
    """
    return _sum(x, axis=_reduced(x, axis, dim), keepdims=keepdims or keepdim)


@namesake(np.mean)
def mean(
    x: A, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False
) -> A:
    """Σ x / n over ``axis``, of n values each.

    Args:
        x: an array or a tensor of any shape and dtype.
        axis: one axis, several as a tuple, or None for all of them.
        keepdims: leave those axes in, at length one.
        dim, keepdim: torch's names for ``axis`` and ``keepdims``.

    Returns:
        The shape of ``x`` without those axes, of its dtype; float64 for integers and booleans.
        The mean of no values is NaN.

    Raises:
        ShapeError: no such axis, or one named twice.
        DTypeError: an axis that is not an integer.
        ArgumentError: both ``axis`` and ``dim`` are given.

    Example:
        >>> import numixology as nx
        >>> nx.functional.mean(nx.tensor([[1.0, 2.0], [3.0, 5.0]]), axis=1, keepdims=True)
        Tensor([[1.5],
                [4. ]], from=divide)
    """
    axis = _reduced(x, axis, dim)
    return divide(sum(x, axis, keepdims or keepdim), _count(x, axis))


@namesake(np.var)
def var(
    x: A,
    axis: Axis = None,
    keepdims: bool = False,
    *,
    ddof: int = 0,
    dim: Axis = None,
    keepdim: bool = False,
) -> A:
    """Σ (x - mean)² / (n - ddof) over ``axis``, of n values each.

    Args:
        x: an array or a tensor of any shape and dtype.
        axis: one axis, several as a tuple, or None for all of them.
        keepdims: leave those axes in, at length one.
        ddof: 0, NumPy's default, for the biased variance; 1, torch's, for the unbiased one.
        dim, keepdim: torch's names for ``axis`` and ``keepdims``.

    Returns:
        The shape of ``x`` without those axes, of its dtype; float64 for integers and booleans.
        Infinite or NaN where n ≤ ddof.

    Raises:
        ShapeError: no such axis, or one named twice.
        DTypeError: an axis that is not an integer.
        ArgumentError: both ``axis`` and ``dim`` are given.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor([1.0, 2.0, 3.0, 6.0])
        >>> nx.functional.var(x).item(), nx.functional.var(x, ddof=1).item()
        (3.5, 4.666666666666667)
    """
    axis = _reduced(x, axis, dim)
    count = _count(x, axis) - ddof
    centred = subtract(x, mean(x, axis, keepdims=True))
    squares = sum(multiply(centred, centred), axis, keepdims or keepdim)
    return divide(squares, count if count > 0 else 0)


@primitive
def _max(x: Array, *, axis: Axis, keepdims: bool) -> Array:
    return _maximum_reduce(x, axis=axis, keepdims=keepdims)


@primitive
def _min(x: Array, *, axis: Axis, keepdims: bool) -> Array:
    return _minimum_reduce(x, axis=axis, keepdims=keepdims)


def extremum_dx(ct: A, y: A, x: A, *, axis: Axis, keepdims: bool) -> A:
    """Where several values are the extremum, they share the cotangent equally."""
    shape = kept_shape(x.shape, axis)
    chosen = equal(x, y.reshape(shape)).astype(ct.dtype)
    dx: A = ct.reshape(shape) * chosen / sum(chosen, axis, keepdims=True)
    return dx


_max.vjp("x")(extremum_dx)
_min.vjp("x")(extremum_dx)


@namesake(np.max, np.amax)
def max(
    x: A, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False
) -> A:
    """The largest x over ``axis``; equal values share its gradient equally.

    Args:
        x: an array or a tensor of any shape and dtype.
        axis: one axis, several as a tuple, or None for all of them.
        keepdims: leave those axes in, at length one.
        dim, keepdim: torch's names for ``axis`` and ``keepdims``.

    Returns:
        The shape of ``x`` without those axes, of its dtype; the values alone, without their
        indices. NaN where any of them is.

    Raises:
        ShapeError: no such axis, one named twice, or no values to choose from.
        DTypeError: an axis that is not an integer.
        ArgumentError: both ``axis`` and ``dim`` are given.

    Example:
        >>> import numixology as nx
        >>> nx.functional.max(nx.tensor([[1.0, 5.0], [3.0, 2.0]]), axis=1)
        Tensor([5., 3.], from=max)
    """
    axis = _reduced(x, axis, dim)
    _refuse_empty(x, axis, "max")
    return _max(x, axis=axis, keepdims=keepdims or keepdim)


@namesake(np.min, np.amin)
def min(
    x: A, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False
) -> A:
    """The smallest x over ``axis``; equal values share its gradient equally.

    Args:
        x: an array or a tensor of any shape and dtype.
        axis: one axis, several as a tuple, or None for all of them.
        keepdims: leave those axes in, at length one.
        dim, keepdim: torch's names for ``axis`` and ``keepdims``.

    Returns:
        The shape of ``x`` without those axes, of its dtype; the values alone, without their
        indices. NaN where any of them is.

    Raises:
        ShapeError: no such axis, one named twice, or no values to choose from.
        DTypeError: an axis that is not an integer.
        ArgumentError: both ``axis`` and ``dim`` are given.

    Example:
        >>> import numixology as nx
        >>> nx.functional.min(nx.tensor([[1.0, 5.0], [3.0, 2.0]]), axis=1)
        Tensor([1., 2.], from=min)
    """
    axis = _reduced(x, axis, dim)
    _refuse_empty(x, axis, "min")
    return _min(x, axis=axis, keepdims=keepdims or keepdim)


@namesake(np.prod)
def prod(
    x: A, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False
) -> A:
    """Π x over ``axis``: multiplied in pairs, then pairs of pairs, so that zeros do no harm.

    Args:
        x: an array or a tensor of any shape and dtype.
        axis: one axis, several as a tuple, or None for all of them.
        keepdims: leave those axes in, at length one.
        dim, keepdim: torch's names for ``axis`` and ``keepdims``.

    Returns:
        The shape of ``x`` without those axes, of its dtype; int64 for int32 and booleans. The
        product of no values is 1.

    Raises:
        ShapeError: no such axis, or one named twice.
        DTypeError: an axis that is not an integer.
        ArgumentError: both ``axis`` and ``dim`` are given.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor([2.0, 0.0, 3.0], requires_grad=True)
        >>> nx.functional.prod(x).backward()
        >>> x.grad
        Tensor([0., 6., 0.])
    """
    gone: Shape = axes_of(_reduced(x, axis, dim), x.ndim)
    shape = kept_shape(x.shape, gone) if keepdims or keepdim else None
    kept: list[int] = [i for i in range(x.ndim) if i not in gone]
    lengths = [x.shape[i] for i in kept]
    x = transpose(x, (*gone, *kept)).reshape(math.prod(x.shape[i] for i in gone), *lengths)
    if x.dtype.kind in "iub":
        x = astype(x, np.int64)
    if len(x) == 0:
        x = sum(x, 0, keepdims=True) + 1
    while len(x) > 1:
        half = len(x) // 2
        pairs = multiply(x[:half], x[half : 2 * half])  # (n // 2, ...)
        x = pairs if len(x) == 2 * half else _append(pairs, x[2 * half :])
    return x.reshape(shape if shape is not None else tuple(lengths))


def _append(x: A, last: A) -> A:
    """x with one more row: each part written among zeros, then added."""
    shape = (len(x) + 1, *x.shape[1:])
    return scatter(x, index=slice(0, -1), shape=shape) + scatter(
        last, index=slice(-1, None), shape=shape
    )


@primitive
def _cumsum(x: Array, *, axis: int) -> Array:
    return np.add.accumulate(x, axis=axis)


@_cumsum.vjp("x")
def _cumsum_dx(ct: A, y: A, x: A, *, axis: int) -> A:
    backwards = (slice(None),) * axis + (slice(None, None, -1),)
    return getitem(_cumsum(getitem(ct, index=backwards), axis=axis), index=backwards)


@namesake(np.cumsum)
def cumsum(x: A, axis: int | None = None, *, dim: int | None = None) -> A:
    """y_i = x_0 + … + x_i along ``axis``.

    Args:
        x: an array or a tensor of any shape and dtype.
        axis: one axis; None for all values in order, as one sequence.
        dim: torch's name for ``axis``.

    Returns:
        The shape of ``x``, or (size,) for None; of its dtype, and int64 for int32 and booleans.

    Raises:
        ShapeError: no such axis.
        DTypeError: an axis that is not an integer.
        ArgumentError: both ``axis`` and ``dim`` are given.

    Example:
        >>> import numixology as nx
        >>> nx.functional.cumsum(nx.tensor([1.0, 2.0, 3.0]))
        Tensor([1., 3., 6.], from=cumsum)
    """
    axis = _either("axis", axis, "dim", dim)
    if axis is None:
        return _cumsum(reshape(x, -1), axis=0)
    return _cumsum(x, axis=_axis(axis, x.ndim))


def _either(name: str, value: Any, other_name: str, other: Any) -> Any:
    if value is not None and other is not None:
        raise ArgumentError(
            f"{name} and {other_name} mean the same", f"{value} and {other}", "give one of them"
        )
    return value if other is None else other


def _axes(axis: Any, ndim: int) -> Shape:
    named = tuple(axis) if isinstance(axis, list | tuple) else (axis,)
    axes = tuple(_axis(one, ndim) for one in named)
    if len(set(axes)) < len(axes):
        raise ShapeError("axes must differ", str(axis), "name each axis once")
    return axes


def _reduced(x: Any, axis: Axis, dim: Axis) -> Axis:
    """The axes to reduce, checked, counted from 0."""
    axis = _either("axis", axis, "dim", dim)
    return None if axis is None else _axes(axis, x.ndim)


def _count(x: Any, axis: Axis) -> int:
    """How many values each result is made from."""
    return math.prod(x.shape[i] for i in axes_of(axis, x.ndim))


def _refuse_empty(x: Any, axis: Axis, name: str) -> None:
    if _count(x, axis) == 0:
        raise ShapeError(
            f"{name} needs at least one value", f"shape {x.shape}", "check the input first"
        )
