"""What users plausibly get wrong, tried on every public function: refused in words, or answered.

Python's own TypeError is words enough for what is no argument at all. Any other error would be
NumPy's or Python's, about something that the user did not write. The one exception: an array where
a single flag or word belongs, of which NumPy says that it has no single truth.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import numixology as nx
from numixology import functional as F
from numixology.errors import NumixologyError
from numixology.primitives import HANDLED_FUNCTIONS

RNG = np.random.default_rng(0)
X = nx.tensor(RNG.uniform(0.5, 2.0, (2, 4)), requires_grad=True)
ROW = nx.tensor(RNG.uniform(0.5, 2.0, 4))
BIT = nx.tensor([True, False, True, False])
IDS = nx.tensor([0, 1, 1])
BATCH = nx.tensor(RNG.uniform(0.5, 2.0, (1, 2, 4)))


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def deep() -> list[Any]:
    value: list[Any] = [1.0]
    for _ in range(1000):
        value = [value]
    return value


# What stands where something else belongs. Made anew for each call, and never compared.
NONSENSE: dict[str, Callable[[], Any]] = {
    "ragged list": lambda: [[1.0], [2.0, 3.0]],
    "deep list": deep,
    "endless list": endless,
    "list of a tensor": lambda: [nx.tensor(1.0), 2.0],
    "None": lambda: None,
    "text": lambda: "text",
    "fraction": lambda: 1.5,
    "list of fractions": lambda: [0.5, 1.5],
    "list of text": lambda: ["a", "b"],
    "dictionary": lambda: {},
    "object": object,
    "complex": lambda: 1j,
    "matrix": lambda: np.array([[1.0, 2.0]]).view(np.matrix),
    "masked array": lambda: np.ma.array([1.0, 2.0], mask=[True, False]),
    "array of text": lambda: np.array(["a", "b"]),
    "array of objects": lambda: np.array([None, {}], object),
    "array of two": lambda: np.array([1.0, 2.0]),
    "huge integer": lambda: 10**30,
    "negative integer": lambda: -7,
    "nan": lambda: float("nan"),
}

UNARY = """absolute abs negative sign exp expm1 log log1p sqrt square erf normal_cdf normal_pdf relu
    sigmoid silu softplus tanh contiguous"""
BINARY = "add subtract multiply divide power maximum minimum"
OPERATORS = """__add__ __radd__ __sub__ __mul__ __rmul__ __truediv__ __pow__ __rpow__ __matmul__
    __eq__ __lt__ __mod__ __floordiv__ __contains__"""

# A right call of each function: its arguments, and its options.
CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    **dict.fromkeys(
        [
            "absolute",
            "abs",
            "negative",
            "sign",
            "exp",
            "expm1",
            "log",
            "log1p",
            "sqrt",
            "square",
            "erf",
            "normal_cdf",
            "normal_pdf",
            "relu",
            "sigmoid",
            "silu",
            "softplus",
            "tanh",
            "contiguous",
        ],
        ((X,), {}),
    ),
    **dict.fromkeys(
        ["add", "subtract", "multiply", "divide", "power", "maximum", "minimum"], ((X, ROW), {})
    ),
    **dict.fromkeys(["sum", "mean", "max", "min", "prod"], ((X, 0), {"keepdims": True})),
    "var": ((X, 0), {"ddof": 1, "keepdims": True}),
    "cumsum": ((X, 1), {}),
    "matmul": ((X, ROW), {}),
    "einsum": (("ij,j->i", X, ROW), {}),
    "clip": ((X, 0.0, 1.0), {}),
    "where": ((BIT, X, ROW), {}),
    "astype": ((X, "float32"), {}),
    "broadcast_to": ((ROW, (2, 4)), {}),
    "expand_dims": ((X, 0), {}),
    "reshape": ((X, (4, 2)), {}),
    "squeeze": ((BATCH, 0), {}),
    "transpose": ((X, (1, 0)), {}),
    "concatenate": (([X, X], 0), {}),
    "stack": (([X, X], 0), {}),
    "split": ((X, 2, 1), {}),
    "gelu": ((X, "tanh"), {}),
    "softmax": ((X, -1), {}),
    "log_softmax": ((X, -1), {}),
    "logsumexp": ((X, -1), {}),
    "layer_norm": ((X, ROW, ROW, 1e-5), {}),
    "rms_norm": ((X, ROW, 1e-5), {}),
    "per_token_linear": ((BATCH, nx.tensor(np.ones((2, 3, 4))), nx.tensor(np.ones((2, 3)))), {}),
    "linear": ((X, nx.tensor(np.ones((3, 4))), nx.tensor(np.ones(3))), {}),
    "dropout": ((X, 0.5), {"training": True, "rng": 0}),
    "embedding": ((IDS, X), {}),
    "attention": ((BATCH, BATCH, BATCH), {}),
    "token_mix": ((BATCH, 2), {"mixing": "rankmixer"}),
    "token_revert": ((BATCH, 2), {}),
    "mixing_steps": ((BATCH, 2), {"mixing": "guide"}),
    "chunk_cycles": ((3, 2), {}),
    "chunk_destinations": ((3, 2), {}),
    "depth_to_mix": ((3, 2), {}),
    "mixing_order": ((3, 2), {}),
    "mixing_rank": ((3, 2), {}),
    "mixing_condition": ((3, 2), {}),
    "cross_entropy": ((X, nx.tensor([0, 1])), {"reduction": "mean"}),
    "binary_cross_entropy_with_logits": ((ROW, BIT), {"reduction": "sum"}),
    "mse_loss": ((X, X), {"reduction": "none"}),
}

# Methods of tensors, beside those that are functions.
METHODS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "view": ((X, (4, 2)), {}),
    "reshape": ((X, 4, 2), {}),
    "permute": ((X, 1, 0), {}),
    "transpose": ((X, 0, 1), {}),
    "flatten": ((BATCH, 0, 1), {}),
    "unflatten": ((X, 1, (2, 2)), {}),
    "stride": ((X, 0), {}),
    "__getitem__": ((X, 0), {}),
    "__setitem__": ((X, 0, 1.0), {}),
    **dict.fromkeys(
        [
            "__add__",
            "__radd__",
            "__sub__",
            "__mul__",
            "__rmul__",
            "__truediv__",
            "__pow__",
            "__rpow__",
            "__matmul__",
            "__eq__",
            "__lt__",
            "__mod__",
            "__floordiv__",
            "__contains__",
        ],
        ((X, ROW), {}),
    ),
    "__and__": ((BIT, BIT), {}),
}

# Words of NumPy's for which there is no place here, or another one.
KEYWORDS = {
    "out": np.zeros((2, 4)),
    "where": np.ones((2, 4), bool),
    "dtype": "float32",
    "initial": 1.0,
    "correction": 1,
    "order": "F",
    "casting": "unsafe",
    "axis": 1,
    "keepdims": True,
    "optimize": True,
}


def changed(arguments: tuple[Any, ...], options: dict[str, Any], nonsense: Any) -> Iterator[Any]:
    """The call with nonsense in the place of each argument in turn."""
    for i in range(len(arguments)):
        yield (*arguments[:i], nonsense(), *arguments[i + 1 :]), options
    for name in options.keys() - {"rng"}:  # NumPy's, which crashes on endless lists
        yield arguments, {**options, name: nonsense()}
    if isinstance(arguments[0], list):
        yield ([arguments[0][0], nonsense()], *arguments[1:]), options


def in_words(call: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    try:
        call(*arguments, **options)
    except (NumixologyError, TypeError) as error:
        assert len(str(error)) < 3000
    except ValueError as error:
        assert "truth value of an array" in str(error)


def test_every_function_is_tried() -> None:
    assert set(CALLS) == set(F.__all__)
    for name, (arguments, options) in CALLS.items():
        getattr(F, name)(*arguments, **options)


@pytest.mark.parametrize("name", CALLS)
def test_functions_refuse_in_words(name) -> None:
    for nonsense, make in NONSENSE.items():
        if nonsense == "huge integer" and name.startswith("chunk"):
            continue  # as many chunks as no memory holds
        for arguments, options in changed(*CALLS[name], make):
            in_words(getattr(F, name), arguments, options)


@pytest.mark.parametrize("name", METHODS)
def test_methods_refuse_in_words(name) -> None:
    (tensor, *rest), options = METHODS[name]
    for nonsense in NONSENSE.values():
        for arguments, words in changed(tuple(rest), options, nonsense):
            in_words(getattr(tensor, name), arguments, words)


NUMPYS = {
    f.__name__: (f, CALLS[ours.__name__])
    for f, ours in HANDLED_FUNCTIONS.items()
    if ours.__name__ in CALLS
}


@pytest.mark.parametrize("name", NUMPYS)
def test_numpys_functions_of_tensors_refuse_in_words(name) -> None:
    function, (arguments, options) = NUMPYS[name]
    function(*arguments, **options)
    for nonsense in NONSENSE.values():
        for i in range(1, len(arguments)):
            others = (*arguments[:i], nonsense(), *arguments[i + 1 :])
            in_words(function, others, options)
    known = inspect.signature(HANDLED_FUNCTIONS[function]).parameters
    for word, value in KEYWORDS.items():
        if word not in known:
            with pytest.raises(TypeError):
                function(arguments[0], *arguments[1:], **{**options, word: value})


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_making_and_differentiating_refuse_in_words(nonsense) -> None:
    make = NONSENSE[nonsense]
    loss = (X * X).sum()
    for call in (
        lambda: nx.tensor(make()),
        lambda: nx.tensor([1.0], dtype=make()),
        lambda: (X * X).backward(make()),
        lambda: nx.grad(make(), X),
        lambda: nx.grad(loss, make()),
        lambda: nx.grad(X * X, X, make()),
        lambda: nx.vjp(F.exp, make()),
        lambda: nx.vjp(F.exp, X)[1](make()),
        lambda: nx.jvp(F.exp, (X,), make()),
        lambda: nx.jvp(F.exp, make(), (X,)),
        lambda: nx.jacobian(F.exp, make()),
        lambda: nx.debug_shapes(make(), "x"),
        lambda: nx.gradcheck(F.exp, make(), fast=True),
        lambda: setattr(nx.tensor([1.0]), "data", make()),
        lambda: setattr(nx.tensor([1.0]), "grad", make()),
    ):
        in_words(call, (), {})
