"""Tensors: nodes of the tape with operators and methods.

An operator or method is a function of an earlier module, called with the tensor itself.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from threading import RLock
from typing import Any, Self, TypeAlias, overload

import numpy as np

from . import arithmetic, checks, dispatch, reductions, shapes
from .array import Array, DTypeLike, Scalar, Shape
from .autograd import Node, Primitive
from .errors import DTypeError, ShapeError, TapeError, shown
from .notebook import captioned
from .observe import paused
from .primitives import gradients

__all__ = ["Operand", "Tensor", "cotangent_for", "leaf", "tensor"]

#: What may stand beside a tensor in a calculation.
Operand: TypeAlias = "Tensor | Array | Scalar | Sequence[Any]"
Operator: TypeAlias = "Callable[[Tensor, Operand], Tensor]"

# The five dtypes (int64 is l or q), and the complex ones that only the gradient check makes.
_FIT = frozenset("dfilq?FD")

# Threads that add to one .grad take turns.
_ACCUMULATING = RLock()


def _operator(function: Callable[..., Any]) -> Operator:
    """The operator of a function, for a tensor on the left."""

    def left(self: "Tensor", other: "Operand") -> "Tensor":
        return function(self, checks.as_operand(other))  # type: ignore[no-any-return]

    return left


def _operators(function: Callable[..., Any], sign: str) -> tuple[Operator, Operator, Operator]:
    """The operators t + u, u + t and t += u of a function."""
    left = _operator(function)

    def right(self: "Tensor", other: "Operand") -> "Tensor":
        return function(checks.as_operand(other), self)  # type: ignore[no-any-return]

    def update(self: "Tensor", other: "Operand") -> "Tensor":
        if self.requires_grad and self.primitive is None:
            # A new tensor would be called t, and the parameter would stay what it was.
            raise TapeError(
                "a leaf that requires a gradient does not change in a calculation",
                f"t {sign} ...",
                f"write t.data {sign} ... to update it, or y = t + ... for a new tensor",
            )
        return left(self, other)

    return left, right, update


class Tensor(Node):
    """An array of float64, float32, int64, int32 or bool that remembers where it came from.

    NumPy's functions and operators on tensors are recorded or refused. A few calls never ask the
    tensor, or ask it only for its values as ``np.asarray(t)`` does, and so take them off the tape:
    ``out[:] = t``, ``np.full(2, t)`` and ``np.array([t, u])``, where ``nx.functional.stack`` is
    meant; ``sparse @ t`` with SciPy's sparse arrays and ``masked_array * t``, which take an
    ``nx.primitive`` of one's own; ``math.exp(t)`` for ``np.exp(t)``.

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
        super().__init__(checks.as_values(data, dtype))
        self.requires_grad = requires_grad

    # What it is

    @property
    def data(self) -> Array:
        """The array itself. Assigning to it replaces the values by others of the same shape.

        ``t.data = values`` copies them; a backward through what was computed from the old ones is
        then an error, as it is after ``t.data -= step``. The latter, and ``t.data[0] = 1``, also
        change views and detached tensors, which share the memory: their tapes do not notice.
        """
        return self._data

    @data.setter
    def data(self, values: Array) -> None:
        if type(values) is not np.ndarray:
            raise DTypeError("data is a plain NumPy array", type(values).__name__, "use np.asarray")
        checks.check_like(values, self, "data")
        own = values is self._data  # as in t.data -= step
        self._data = values.view() if own else values.copy()  # a new object: the tape notices

    @property
    def value(self) -> Array:
        """``data``, by the name under which programs written before it may ask for it."""
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
            came = f"one from {self.primitive.__name__}"
            raise TapeError("requires_grad is set on leaves only", came, "detach() it first")
        if wanted and self.dtype.kind != "f":
            raise DTypeError(
                "only floating-point tensors can require gradients", str(self.dtype), "pass dtype="
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
                raise DTypeError("grad is a Tensor or None", shown(gradient), "use nx.tensor")
            checks.check_like(gradient, self, "gradient")
        self._grad = gradient

    @classmethod
    def made_by(cls, primitive: Primitive, data: Array) -> Self:
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

    def _repr_html_(self) -> str:
        """The values, and below them shape, dtype, and the shapes that they were made from."""
        about = [f"shape {self.shape}", str(self.dtype)]
        if self.primitive is not None:
            arrays = [one for one in self.inputs or () if isinstance(one, Tensor | np.ndarray)]
            of = f" of shapes {' and '.join(str(one.shape) for one in arrays)}" if arrays else ""
            about.append(f"from {self.primitive.__name__}{of}")
        if self.requires_grad:
            about.append("requires a gradient")
        return captioned(repr(self), ", ".join(about))

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
        """The value of a tensor of one element, as a Python number."""
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
            came = f"one from {self.primitive.__name__}"
            raise TapeError("only a leaf can be copied or pickled", came, "detach() it first")
        own = getattr(self, "__dict__", None)  # what a subclass has added
        copied = (np.array(self._data), self._requires_grad, type(self))
        return leaf, copied, (own, {"_grad": self.grad})

    # Backwards

    def backward(
        self,
        gradient: "Operand | None" = None,
        retain_graph: bool = False,
        create_graph: bool = False,
    ) -> None:
        """Add the gradient of this tensor to ``.grad`` of every leaf it was computed from.

        Args:
            gradient: the cotangent of this tensor, of its shape and dtype; 1 for a single number
                if it is left out.
            retain_graph: keep the tape, so that ``backward`` can be called again.
            create_graph: keep and record it, so that ``.grad`` can be differentiated. It then
                refers to the tape that refers to its leaf: set it to None when done, or use
                :func:`numixology.grad`, which makes no such cycle.

        Raises:
            TapeError: nothing was recorded, or the tape was freed.
            ShapeError: no gradient for a tensor of many numbers, or one of another shape.
            DTypeError: a gradient of another dtype.

        Example:
            >>> import numixology as nx
            >>> x = nx.tensor([1.0, 2.0, 3.0], requires_grad=True)
            >>> (x * x).backward(nx.tensor([1.0, 10.0, 100.0]))
            >>> x.grad
            Tensor([  2.,  40., 600.])
        """
        cotangent = cotangent_for(self, gradient)
        seed = cotangent if create_graph else cotangent.data
        free = not (retain_graph or create_graph)
        found = gradients([self], [seed], create_graph=create_graph, free=free)
        for node, total in found.items():
            _accumulate(node, total if isinstance(total, Tensor) else leaf(total))

    def zero_grad(self) -> None:
        """Forget the accumulated gradient."""
        self._grad = None

    # Operators: NumPy's meaning, recorded

    __add__, __radd__, __iadd__ = _operators(arithmetic.add, "+=")
    __sub__, __rsub__, __isub__ = _operators(arithmetic.subtract, "-=")
    __mul__, __rmul__, __imul__ = _operators(arithmetic.multiply, "*=")
    __truediv__, __rtruediv__, __itruediv__ = _operators(arithmetic.divide, "/=")
    __floordiv__, __rfloordiv__, __ifloordiv__ = _operators(arithmetic.floor_divide, "//=")
    __mod__, __rmod__, __imod__ = _operators(arithmetic.remainder, "%=")
    __pow__, __rpow__, __ipow__ = _operators(arithmetic.power, "**=")
    __matmul__, __rmatmul__, __imatmul__ = _operators(arithmetic.matmul, "@=")
    __and__, __rand__, __iand__ = _operators(dispatch.bitwise_and, "&=")
    __or__, __ror__, __ior__ = _operators(dispatch.bitwise_or, "|=")
    __xor__, __rxor__, __ixor__ = _operators(dispatch.bitwise_xor, "^=")
    __lt__, __le__ = _operator(arithmetic.less), _operator(arithmetic.less_equal)
    __gt__, __ge__ = _operator(arithmetic.greater), _operator(arithmetic.greater_equal)
    __invert__ = dispatch.invert

    def __eq__(self, other: object) -> Any:
        known = checks.is_operand(other)
        return arithmetic.equal(self, checks.as_operand(other)) if known else NotImplemented

    def __ne__(self, other: object) -> Any:
        known = checks.is_operand(other)
        return arithmetic.not_equal(self, checks.as_operand(other)) if known else NotImplemented

    def __neg__(self) -> "Tensor":
        return arithmetic.negative(self)

    def __pos__(self) -> "Tensor":
        return self

    def __abs__(self) -> "Tensor":
        return arithmetic.absolute(self)

    # Python's own questions, answered as an array answers them

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator["Tensor"]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Operand) -> bool:
        return checks.is_operand(value) and bool((self == value).data.any())

    def __bool__(self) -> bool:
        return bool(self._only_element("the truth of a tensor"))

    def __float__(self) -> float:
        return float(self._only_element("float()"))

    def __int__(self) -> int:
        return int(self._only_element("int()"))

    def __index__(self) -> int:
        return self._data.__index__()

    def __format__(self, spec: str) -> str:
        whole = self.ndim > 0 and not spec
        return format(str(self) if whole else self._only_element("a format"), spec)

    def __getitem__(self, index: Any) -> "Tensor":
        return shapes.getitem(self, index=checks.plain_index(index))

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
        return dispatch.call_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        found = dispatch.call_function(function, arguments, options)
        return tensor(found) if function in dispatch.CREATION_FUNCTIONS else found

    # Functions of other rooms, whose first argument is the tensor

    astype, contiguous, squeeze = shapes.astype, shapes.contiguous, shapes.squeeze
    sum, mean, var = reductions.sum, reductions.mean, reductions.var
    max, min = reductions.max, reductions.min
    prod, cumsum = reductions.prod, reductions.cumsum
    clip = arithmetic.clip

    # Shapes, with torch's meaning

    def view(self, *shape: int | Sequence[int]) -> "Tensor":
        """As ``reshape``, but the same memory; refused where strides cannot express the shape.

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
        wanted = checks.resolved(shape, self.shape, "view")
        result = shapes._reshape(self, shape=wanted)
        if self.size and not np.may_share_memory(result.data, self._data):
            raise ShapeError(
                f"view{wanted} must be expressible with strides",
                f"shape {self.shape} and strides {self.stride()}",
                "call contiguous() first, or reshape()",
            )
        return result

    def reshape(self, *shape: int | Sequence[int]) -> "Tensor":
        """See :func:`numixology.functional.reshape`; the lengths are numbers or one sequence."""
        return shapes._reshape(self, shape=checks.resolved(shape, self.shape, "reshape"))

    def permute(self, *dims: int | Sequence[int]) -> "Tensor":
        """See :func:`numixology.functional.transpose`; the axes are numbers or one sequence.

        Source: guide, Token Mixer Step-by-Step (Step 2: Permutation).
        """
        return shapes.transpose(self, checks.as_integers(dims))

    def transpose(self, dim0: int, dim1: int) -> "Tensor":
        """Axes ``dim0`` and ``dim1`` exchanged (torch's meaning, not NumPy's): a view."""
        order = list(range(self.ndim))
        a, b = checks.checked_axis(dim0, self.ndim), checks.checked_axis(dim1, self.ndim)
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
        start, end = (checks.checked_axis(dim, self.ndim) for dim in (start_dim, end_dim))
        if start > end:
            raise ShapeError("start_dim comes first", f"{start_dim} and {end_dim}", "exchange them")
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
        axis = checks.checked_axis(dim, self.ndim)
        parts = checks.resolved((sizes,), (self.shape[axis],), "unflatten")
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
        return strides if dim is None else strides[checks.checked_axis(dim, self.ndim)]


def tensor(data: Any, *, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of ``data``, as :class:`Tensor` makes it.

    Args:
        data: numbers, nested lists of them, or an array.
        dtype: float64, float32, int64, int32 or bool; by default that of the data.
        requires_grad: whether ``backward`` fills ``.grad``; floating-point dtypes only.

    Returns:
        A leaf, of the shape of the data.

    Example:
        >>> import numixology as nx
        >>> nx.tensor([[1, 2], [3, 4]], dtype="float32")
        Tensor([[1., 2.],
                [3., 4.]], dtype=float32)
    """
    return Tensor(data, dtype=dtype, requires_grad=requires_grad)


def leaf(array: Array, requires_grad: bool = False, kind: type[Tensor] = Tensor) -> Tensor:
    """A tensor around ``array`` itself: no copy, no questions about its dtype."""
    made = kind.__new__(kind)
    Node.__init__(made, array, requires_grad)
    return made


def cotangent_for(output: Tensor, gradient: "Operand | None") -> Tensor:
    """``gradient`` as the cotangent of ``output``; left out it is 1, for a single number."""
    found = checks.as_cotangent(gradient, output)
    return found if isinstance(found, Tensor) else leaf(found)


def _accumulate(node: Any, gradient: Tensor) -> None:
    """Out of place, so that whoever holds the old gradient keeps it."""
    with _ACCUMULATING:
        before = node.grad
        # The addition is part of the backward, which nobody watches.
        node._grad = gradient if before is None else paused(arithmetic.add, before, gradient)
