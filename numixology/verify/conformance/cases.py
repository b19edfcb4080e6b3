"""Cases: inputs that bring out mistakes, made from a seed, and what is true of them.

Parameters are scrambled, since ones and zeros hide what is dropped. Shapes are odd and T ≠ H, since
equal axes hide what is exchanged. Every array holds numbers of the backend's format, so that a
backend starts from the very numbers that the reference starts from.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ...array import Array, ignoring_fp_errors
from ...errors import ArgumentError
from ...tensors import Tensor, leaf
from ...transforms import grad
from .formats import Format, format_of
from .stages import NETWORKS, STAGES, Inputs, stage_of
from .textbook import Textbook

__all__ = [
    "KINDS",
    "CASE_LAYOUTS",
    "Case",
    "Truth",
    "cases_of",
    "fresh",
    "in_float64",
    "inside",
    "make_case",
    "truth_of",
]

#: (B, T, H, d): D = H · d, and T differs from H but where one of them is 1.
SIZES = (
    (2, 3, 2, 5),
    (3, 5, 4, 3),
    (1, 1, 3, 2),
    (1, 4, 1, 7),
    (2, 6, 3, 4),
    (5, 2, 4, 2),
    (1, 1, 1, 5),
)

#: What the numbers are like.
KINDS = {
    "plain": "normal numbers",
    "padded": "a third of the tokens are zero, or the same id",
    "tiny": "so small that squares leave the normal range in the end, and eps matters",
    "huge": "so large that cubes nearly overflow, and their reciprocals nearly underflow",
    "offset": "rows of mean 1e4 and deviation 1",
    "strided": "normal numbers, every array a view with gaps",
    "saturated": "numbers up to ±40, where activations are flat",
    "single": "one token in a batch of one",
}

#: What is added to a variance; a kernel may not have one of its own.
EPS = (1e-5, 1e-6, 2e-3)

#: How arrays lie in memory.
CASE_LAYOUTS = ("contiguous", "read-only", "Fortran-ordered", "strided")


class Case(NamedTuple):
    """A stage with inputs and a cotangent.

    Attributes:
        stage: its name.
        kind: one of :data:`.KINDS`, or where inside a model the inputs come from.
        seed: what else it was made from.
        dtype: the format of all numbers.
        inputs: arrays and settings by name.
        cotangent: of the shape of the output.
        layout: how the arrays lie in memory.
        sizes: B, T, D and so on, where they were asked for; otherwise the seed chose them.

    Example:
        >>> from numixology.verify.conformance import make_case
        >>> case = make_case("softmax", "saturated", seed=1, dtype="float16")
        >>> case.name, case.layout, case.inputs["x"].dtype
        ('softmax/saturated/1', 'strided', dtype('float16'))
    """

    stage: str
    kind: str
    seed: int
    dtype: str
    inputs: Inputs
    cotangent: Array
    layout: str = "contiguous"
    sizes: Mapping[str, int] = MappingProxyType({})

    @property
    def name(self) -> str:
        """For reports."""
        shape = ",".join(f"{letter}={n}" for letter, n in self.sizes.items())
        return f"{self.stage}/{self.kind}/{shape or self.seed}"

    @property
    def differentiable(self) -> list[str]:
        """The names of the floating-point arrays among the inputs: they have gradients."""
        return [
            name
            for name, value in self.inputs.items()
            if isinstance(value, np.ndarray) and value.dtype.kind == "f"
        ]


class Truth(NamedTuple):
    """What the reference says of a case, in float64.

    Attributes:
        output: what the stage computes.
        gradients: of ⟨cotangent, output⟩ by each floating-point input, under its name.

    Example:
        >>> from numixology.verify.conformance import make_case, truth_of
        >>> truth = truth_of(make_case("linear"))
        >>> truth.output.shape, list(truth.gradients)
        ((2, 3, 10), ['x', 'weight', 'bias'])
    """

    output: Array
    gradients: dict[str, Array]


def make_case(
    stage: str,
    kind: str = "plain",
    seed: int = 0,
    dtype: str = "float64",
    sizes: Mapping[str, int] | None = None,
) -> Case:
    """The case of that stage, kind, seed and format.

    Args:
        stage: a key of :data:`.STAGES`.
        kind: a key of :data:`KINDS`.
        seed: from 0; it chooses the sizes and the numbers.
        dtype: a key of :data:`.FORMATS`.
        sizes: some of the letters in the shapes of the stage, such as ``{"B": 3, "D": 1025}``, and
            H, F, V and L; the seed chooses the others.

    Returns:
        The same case every time.

    Raises:
        ArgumentError: no such stage or kind.
        DTypeError: no such format.

    Example:
        >>> from numixology.verify.conformance import make_case
        >>> case = make_case("linear", "plain", seed=1)
        >>> {name: x.shape for name, x in case.inputs.items()}, case.cotangent.shape
        ({'x': (3, 5, 12), 'weight': (7, 12), 'bias': (7,)}, (3, 5, 7))
    """
    if kind not in KINDS:
        raise ArgumentError(
            "a kind of input is one of those listed", repr(kind), f"use {', '.join(KINDS)}"
        )
    form = format_of(dtype)
    shapes = stage_of(stage)
    draw = _Draw(np.random.default_rng([seed, *f"{stage} {kind}".encode()]), form, kind)
    turn = seed + [*KINDS].index(kind)  # so that even one seed has each layout and eps
    b, t, heads, d = SIZES[seed % len(SIZES)]
    if kind == "single":
        b = t = 1
    lengths = {"B": b, "T": t, "D": heads * d, "H": heads, "L": 2} | dict(sizes or {})
    lengths = {"F": lengths["D"] + 3, "V": 2 * lengths["T"] + 3} | lengths
    if stage == "linear" and not sizes:
        lengths["F"] = (lengths["D"], 7)[seed % 2]  # square once in a while: weight.T is not weight
    names = {name: axes for name, axes in shapes.inputs.items() if not name.startswith("blocks.i.")}
    for i in range(lengths["L"]):
        names |= {
            name.replace(".i.", f".{i}."): axes
            for name, axes in shapes.inputs.items()
            if name.startswith("blocks.i.")
        }
    inputs: dict[str, Any] = {}
    for name, axes in names.items():
        if axes == "()":
            inputs[name] = {"eps": EPS[turn % len(EPS)], "num_heads": lengths["H"]}[name]
        else:
            shape = tuple(lengths[axis] for axis in axes.strip("(,)").split(", "))
            inputs[name] = draw.array(name, shape, lengths["V"])
    with ignoring_fp_errors():
        output = stage_of(stage).reference(in_float64(inputs))
    layout = "strided" if kind == "strided" else CASE_LAYOUTS[turn % len(CASE_LAYOUTS)]
    laid = {name: _laid(value, layout) for name, value in inputs.items()}
    cotangent = _laid(draw.cotangent(output.shape), layout)
    return Case(stage, kind, seed, dtype, laid, cotangent, layout, dict(sizes or {}))


class _Draw:
    """Numbers of one kind and format."""

    def __init__(self, rng: np.random.Generator, form: Format, kind: str) -> None:
        self.rng, self.form, self.kind = rng, form, kind

    def array(self, name: str, shape: tuple[int, ...], words: int) -> Array:
        """An input by its name: ids, activations, or a parameter."""
        if name == "ids":
            return self.ids(shape, words)
        if name == "x" or name.endswith("embedding.weight"):
            return self.form.stored(self.activations(shape))
        offset = 1.0 if name.endswith("norm.weight") else 0.0
        return self.form.stored(offset + 0.5 * self.rng.standard_normal(shape))

    def ids(self, shape: tuple[int, ...], words: int) -> Array:
        """Ids with repetitions; padded ones end in id 0."""
        ids = self.rng.integers(0, max(2, words // 2), shape)
        ids.flat[0] = words - 1  # the last word occurs
        if self.kind == "padded":
            ids[:, -(-2 * shape[1] // 3) :] = 0
        return ids

    def activations(self, shape: tuple[int, ...]) -> Array:
        """What flows through the network."""
        x = self.rng.standard_normal(shape)
        if self.kind == "padded" and len(shape) == 3:
            x[:, -(-2 * shape[1] // 3) :] = 0
        elif self.kind == "tiny":
            x *= 2.0 ** (self.form.lowest // 4)
        elif self.kind == "huge":
            # A gradient through 1 / √var is a cube: through two sums and a mean it stays normal.
            x *= 2.0 ** (self.form.highest * 5 // 16 - 2)
        elif self.kind == "offset":
            x += 1e4
        elif self.kind == "saturated":
            x = self.rng.uniform(-40, 40, shape)
        return x

    def cotangent(self, shape: tuple[int, ...]) -> Array:
        """A random one, never a sum."""
        return self.form.stored(self.rng.standard_normal(shape))


def _laid(value: Any, layout: str) -> Any:
    """An array in that layout; anything else as it is."""
    if not isinstance(value, np.ndarray) or not value.ndim:
        return value
    if layout == "Fortran-ordered":
        return value.copy(order="F")
    if layout == "strided":
        return np.repeat(value, 2, axis=-1)[..., ::2]
    value = value.copy()
    value.flags.writeable = layout != "read-only"
    return value


def fresh(case: Case) -> Case:
    """The case with arrays of its own, which lie in memory as before: a backend may spoil them."""
    inputs = {name: _laid(value, case.layout) for name, value in case.inputs.items()}
    return case._replace(inputs=inputs, cotangent=_laid(case.cotangent, case.layout))


def in_float64(inputs: Inputs) -> dict[str, Any]:
    """Inputs with every floating-point array in float64."""
    return {
        name: value.astype(np.float64)
        if isinstance(value, np.ndarray) and value.dtype.kind == "f"
        else value
        for name, value in inputs.items()
    }


def truth_of(case: Case) -> Truth:
    """The output of the reference and its gradients.

    Args:
        case: the inputs and the cotangent.

    Returns:
        A :class:`Truth`.

    Example:
        >>> from numixology.verify.conformance import make_case, truth_of
        >>> case = make_case("softmax")
        >>> bool((abs(truth_of(case).output.sum(-1) - 1) < 1e-15).all())
        True
    """
    wrapped = {
        name: leaf(value, requires_grad=True)
        if isinstance(value, np.ndarray) and value.dtype.kind == "f"
        else value
        for name, value in in_float64(case.inputs).items()
    }
    with ignoring_fp_errors():
        output = stage_of(case.stage).reference(wrapped)
        tracked = {k: v for k, v in wrapped.items() if isinstance(v, Tensor)}
        cotangent = leaf(case.cotangent.astype(np.float64))
        found = grad(output, list(tracked.values()), cotangent)
    return Truth(output.data, {k: g.data for k, g in zip(tracked, found, strict=True)})


def cases_of(stage: str, dtype: str, seeds: Sequence[int] = range(7)) -> Iterator[Case]:
    """Every kind of case of a stage, over the seeds.

    Args:
        stage: a key of :data:`.STAGES`.
        dtype: a key of :data:`.FORMATS`.
        seeds: from which each kind is made.

    Returns:
        The cases, one after another.

    Example:
        >>> from numixology.verify.conformance import cases_of
        >>> [case.name for case in cases_of("gelu", "float32", seeds=[0])][:3]
        ['gelu/plain/0', 'gelu/padded/0', 'gelu/tiny/0']
    """
    for kind in KINDS:
        for seed in seeds:
            yield make_case(stage, kind, seed, dtype)


# Inside a model -----------------------------------------------------------------------


def _noted(stage: str) -> Callable[..., Tensor]:
    """The textbook's stage, which also notes what it was called with and what it returned."""
    compute, names = getattr(Textbook, stage), STAGES[stage].inputs

    def noted(recorder: "_Recorder", *args: Any) -> Tensor:
        output: Tensor = compute(recorder, *args)
        if stage in NETWORKS:
            recorder.calls.append((stage, args[0], output))
        elif len(args) == len(names):  # a linear layer without a bias is no stage
            recorder.calls.append((stage, dict(zip(names, args, strict=True)), output))
        return output

    return noted


class _Recorder(Textbook):
    """Remembers every stage inside a network."""

    def __init__(self) -> None:
        super().__init__("float64")
        self.calls: list[tuple[str, Inputs, Tensor]] = []

    embedding, token_mix = _noted("embedding"), _noted("token_mix")
    layer_norm, linear = _noted("layer_norm"), _noted("linear")
    gelu, silu = _noted("gelu"), _noted("silu")
    feed_forward, block = _noted("feed_forward"), _noted("block")


def inside(case: Case) -> Iterator[Case]:
    """The stages inside a network, each with the reference's inputs and cotangent there.

    Args:
        case: of a network, such as ``block``.

    Returns:
        The cases, in the order in which the network comes to them.

    Example:
        >>> from numixology.verify.conformance import inside, make_case
        >>> [case.name for case in inside(make_case("block", seed=1))][:3]
        ['token_mix/in block/100', 'layer_norm/in block/101', 'layer_norm/in block/102']
    """
    form = format_of(case.dtype)
    recorder = _Recorder()
    with ignoring_fp_errors():
        output = recorder.run(case.stage, recorder.wrapped(case.inputs))
        calls = [call for call in recorder.calls if call[0] != case.stage]
        cotangent = leaf(case.cotangent.astype(np.float64))
        cotangents = grad(output, [call[2] for call in calls], cotangent) if calls else ()
    for i, ((stage, inputs, _), ct) in enumerate(zip(calls, cotangents, strict=True)):
        known = stage_of(stage).inputs
        stored = {
            k: _laid(form.stored(v.data) if isinstance(v, Tensor) else v, "contiguous")
            for k, v in inputs.items()
            if isinstance(v, Tensor) or k in known  # settings of the network may be others
        }
        yield Case(
            stage,
            f"in {case.stage}",
            100 * case.seed + i,
            case.dtype,
            stored,
            _laid(form.stored(ct.data), "contiguous"),
        )
