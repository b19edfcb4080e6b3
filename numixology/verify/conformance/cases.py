"""Cases: inputs that bring out mistakes, made from a seed, and what is true of them.

There are two sets. The quick one has many kinds of numbers at small sizes; the kernel set has the
sizes at which kernels break, see :mod:`.sizes`.

Parameters are scrambled, since ones and zeros hide what is dropped. Shapes are odd, and T ≠ H but
in some cases, since equal axes hide what is exchanged. Every array holds numbers of the backend's
format, so that a backend starts from the very numbers that the reference starts from.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ...array import Array, ignoring_fp_errors
from ...errors import ArgumentError, unknown
from ...tensors import leaf
from ...transforms import grad
from .formats import Format, format_of
from .memory import held
from .sizes import Sizes, fitted, kernel_sizes, letters_of, shape_of
from .stages import FEED_FORWARDS, OPTIONS, STAGES, Inputs, inputs_of, stage_of

__all__ = [
    "KERNEL_KINDS",
    "KINDS",
    "CASE_LAYOUTS",
    "Case",
    "Truth",
    "cases_of",
    "fresh",
    "in_float64",
    "make_case",
    "truth_of",
]

#: (B, T, H, d) of the quick set: D = H · d, and T differs from H but where one of them is 1.
SIZES = (
    (2, 3, 2, 5),
    (3, 5, 4, 3),
    (1, 1, 3, 2),
    (1, 4, 1, 7),
    (2, 6, 3, 4),
    (5, 2, 4, 2),
    (1, 1, 1, 5),
)

#: What the numbers of the quick set are like.
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
#: The same of the kernel set.
KERNEL_KINDS = {
    "kernel": "normal numbers, twice as large at the end of every axis",
    "positive": "long sums of positive numbers, which show in what they are added up",
    "masked": "scores of which many are -inf",
    "wide": "numbers up to ±90, beyond which exp overflows in float32",
    "loud": "a cotangent of size 1e4",
    "faint": "a cotangent of size 1e-4",
    "shape": "normal numbers in sizes of the author's own",
}
# Which stages have cases of a kind of the kernel set at the sizes of the quick set.
_BEND = ("softmax", "gelu", "gelu_tanh", "silu", *FEED_FORWARDS.values(), "block")
_OF_KIND = {"masked": ("softmax",), "wide": _BEND, "loud": tuple(STAGES), "faint": tuple(STAGES)}
# Long sums over columns, and over rows.
_COLUMNS, _ROWS = {"B": 2, "T": 3, "D": 4101}, {"B": 1367, "T": 3, "D": 6}
_LONG: dict[str, tuple[Sizes, ...]] = {
    **dict.fromkeys(("linear", "per_token_linear"), ({**_COLUMNS, "F": 5}, {**_ROWS, "F": 5})),
    **dict.fromkeys(("layer_norm", "rms_norm"), (_COLUMNS, _ROWS)),
    "softmax": (_COLUMNS, _ROWS),
    "embedding": ({**_ROWS, "V": 4},),
}

#: How many numbers an array of the kernel set has at most, where requirements make it larger, or
#: every token has weights of its own.
_LARGEST = 1 << 19

#: In a format with the range of float32, the weights of norms around which numbers reach ±1000.
_LOUD = 128.0

#: What is added to a variance; a kernel may not have one of its own.
EPS = (1e-5, 1e-6, 2e-3)

#: How arrays lie in memory, see :data:`.LAYOUTS`; at first one after another.
CASE_LAYOUTS = ("", "read-only arrays", "Fortran order", "gaps between elements")


class Case(NamedTuple):
    """A stage with inputs and a cotangent.

    Attributes:
        stage: its name.
        kind: one of :data:`.KINDS` or :data:`.KERNEL_KINDS`.
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
        ('softmax/saturated/1', 'gaps between elements', dtype('float16'))
    """

    stage: str
    kind: str
    seed: int
    dtype: str
    inputs: Inputs
    cotangent: Array
    layout: str = ""
    sizes: Mapping[str, int] = MappingProxyType({})

    @property
    def name(self) -> str:
        """For reports."""
        shape = ",".join(f"{letter}={n}" for letter, n in self.sizes.items())
        return f"{self.stage}/{self.kind}/{shape or self.seed}"

    @property
    def differentiable(self) -> list[str]:
        """The names of the floating-point arrays among the inputs: they have gradients."""
        return [name for name, value in self.inputs.items() if _is_float(value)]


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


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

    @property
    def tensors(self) -> dict[str, Array]:
        """The output, under ``"output"``, and the gradients."""
        return {"output": self.output} | self.gradients


def make_case(
    stage: str,
    kind: str = "plain",
    seed: int = 0,
    dtype: str = "float64",
    sizes: Mapping[str, int] | None = None,
    options: Mapping[str, str] | None = None,
) -> Case:
    """The case of that stage, kind, seed and format.

    Args:
        stage: a key of :data:`.STAGES`.
        kind: a key of :data:`KINDS` or :data:`KERNEL_KINDS`.
        seed: from 0; it chooses the sizes and the numbers.
        dtype: a key of :data:`.FORMATS`.
        sizes: some of the letters in the shapes of the stage, such as ``{"B": 3, "D": 1025}``, and
            H, F, V and L; the seed chooses the others.
        options: what the networks are, see :data:`.OPTIONS`; by default the guide's.

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
    if kind not in (kinds := [*KINDS, *KERNEL_KINDS]):
        raise unknown("kind of input", kind, kinds)
    known, options = stage_of(stage), options or {}
    rng = np.random.default_rng([seed, *f"{stage} {kind}".encode()])
    draw = _Draw(rng, format_of(dtype), kind)
    turn = seed + kinds.index(kind)  # so that even one seed has each layout and eps
    lengths = _lengths(stage, kind, seed, sizes or {})
    settings = {"eps": EPS[turn % len(EPS)], "num_heads": lengths["H"]}
    inputs: dict[str, Any] = {
        name.replace(".i.", f".{i}."): settings[name]
        if name in settings
        else draw.array(name, shape_of(axes, lengths), lengths["V"])
        for i in range(lengths["L"])
        for name, axes in inputs_of(stage, options).items()
        if not i or ".i." in name
    }
    guide = {name: OPTIONS[name][0] for name in known.options}
    inputs |= {
        name: options[name] for name in guide if options.get(name, guide[name]) != guide[name]
    }
    layout = CASE_LAYOUTS[-1 if kind == "strided" else turn % len(CASE_LAYOUTS)]
    cotangent = draw.cotangent(shape_of(known.output, lengths))
    return fresh(Case(stage, kind, seed, dtype, inputs, cotangent, layout, dict(sizes or {})))


def _lengths(stage: str, kind: str, seed: int, sizes: Mapping[str, int]) -> Sizes:
    """Every letter's size: the one asked for, or that of the seed."""
    B, T, H, d = SIZES[seed % len(SIZES)]
    if kind == "single":
        B = T = 1
    found = {"B": B, "T": T, "D": H * d, "H": H, "L": 2} | dict(sizes)
    if found["D"] % found["H"]:  # only one of the two was asked for
        found |= {"D": found["H"] * d} if "H" in sizes else {"H": 1}
    square = stage.endswith("linear") and not sizes  # once in a while: weight.T is not weight
    width = (found["D"], 7)[seed % 2] if square else found["D"] + 3
    return {"F": width, "V": 2 * found["T"] + 3} | found


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
        if offset and self.kind == "wide" and self.form.highest > 16:
            offset = _LOUD  # else a norm makes what is inside of a network small again
        large = self.kind in ("kernel", "shape") and name.endswith("weight") and len(shape) > 1
        size = shape[-1] ** -0.5 if large else 0.5  # so that activations stay where they bend
        return self.form.stored(self.shaped(offset + size * self.rng.standard_normal(shape)))

    def shaped(self, values: Array) -> Array:
        """Numbers as the kind has them everywhere."""
        if self.kind == "positive":
            return np.abs(values)
        if self.kind == "kernel":
            for axis in range(values.ndim):
                values[(slice(None),) * axis + (-1,)] *= 2
        return values

    def ids(self, shape: tuple[int, ...], words: int) -> Array:
        """Ids with repetitions; padded ones end in id 0."""
        ids = self.rng.integers(0, max(2, words // 2), shape)
        ids.flat[0] = words - 1  # the last word occurs
        if self.kind == "padded":
            ids[:, -(-2 * shape[1] // 3) :] = 0
        return ids

    def activations(self, shape: tuple[int, ...]) -> Array:
        """What flows through the network."""
        # A gradient through 1 / √var is a cube: through two sums and a mean "huge" stays normal.
        powers = {"tiny": self.form.lowest // 4, "huge": self.form.highest * 5 // 16 - 2}
        x = self.rng.standard_normal(shape) * 2.0 ** powers.get(self.kind, 0)
        if self.kind in ("saturated", "wide"):
            largest = 40 if self.kind == "saturated" else 90
            x = self.rng.uniform(-largest, largest, shape)
        if self.kind == "wide" and shape[-1] > 1000:
            x.sort(axis=-1)  # every tile has a maximum above those before it
        if self.kind == "padded" and len(shape) == 3:
            x[:, -(-2 * shape[1] // 3) :] = 0
        if self.kind == "masked":
            x[self.rng.random(shape) < 0.5] = -np.inf
            x[..., 0] = 0.0  # no row is masked altogether
        return self.shaped(x + 1e4 if self.kind == "offset" else x)

    def cotangent(self, shape: tuple[int, ...]) -> Array:
        """A random one, never a sum."""
        size = {"loud": 1e4, "faint": 1e-4}.get(self.kind, 1.0)
        return self.form.stored(size * self.shaped(self.rng.standard_normal(shape)))


def fresh(case: Case) -> Case:
    """The case with arrays of its own, which lie in memory as before: a backend may spoil them."""

    def laid(value: Any) -> Any:
        return held(value, case.layout).array if isinstance(value, np.ndarray) else value

    inputs = {name: laid(value) for name, value in case.inputs.items()}
    return case._replace(inputs=inputs, cotangent=laid(case.cotangent))


def in_float64(inputs: Inputs) -> dict[str, Any]:
    """Inputs with every floating-point array in float64."""
    floats = {name: x.astype(np.float64) for name, x in inputs.items() if _is_float(x)}
    return {**inputs, **floats}


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
    names, inputs = case.differentiable, in_float64(case.inputs)
    tracked = [leaf(inputs[name], requires_grad=True) for name in names]
    with ignoring_fp_errors():
        output = stage_of(case.stage).reference(
            {**inputs, **dict(zip(names, tracked, strict=True))}
        )
        found = grad(output, tracked, leaf(case.cotangent.astype(np.float64)))
    return Truth(output.data, {k: g.data for k, g in zip(names, found, strict=True)})


def cases_of(
    stage: str,
    dtype: str,
    seeds: int = 3,
    quick: bool = True,
    shapes: Sequence[Mapping[str, int]] = (),
    requires: Mapping[str, Any] | None = None,
    options: Mapping[str, str] | None = None,
) -> Iterator[Case]:
    """What a backend is asked at a stage.

    Args:
        stage: a key of :data:`.STAGES`.
        dtype: a key of :data:`.FORMATS`.
        seeds: how many cases of every kind the quick set has.
        quick: leave out the kernel set.
        shapes: sizes of the author's own.
        requires: what sizes the backend supports, see ``sizes.fitted``; the nearest take the place
            of those that it does not.
        options: what its networks are, see :data:`.OPTIONS`.

    Returns:
        The cases, one after another.

    Raises:
        ArgumentError: no seeds, no such stage, or a rule that cannot be read.

    Example:
        >>> from numixology.verify.conformance import cases_of
        >>> [case.name for case in cases_of("gelu", "float32", seeds=1)][:3]
        ['gelu/plain/0', 'gelu/padded/0', 'gelu/tiny/0']
    """
    if seeds < 0 or not (seeds or shapes or not quick):
        raise ArgumentError("seeds is a positive integer", str(seeds), "choose 1 or more")
    requires, letters = requires or {}, letters_of(stage)
    per_token = "F" in letters and "per_token" in stage + (options or {}).get("ffn", "")

    def made(kind: str, seed: int, sizes: Mapping[str, int] | None = None) -> Case:
        if requires:
            asked = _lengths(stage, kind, seed, sizes or {})
            sizes = _within({k: asked[k] for k in asked if k in letters}, requires, per_token)
        return make_case(stage, kind, seed, dtype, sizes, options)

    for kind in KINDS:
        yield from (made(kind, seed) for seed in range(seeds))
    if not quick:
        for i, sizes in enumerate(kernel_sizes(stage)):
            if per_token:
                sizes["F"] = min(sizes["F"], max(1, _LARGEST // (sizes["T"] * sizes["D"])))
            if stage != "mixer_large" or _widest(_within(sizes, requires, False)) <= _LARGEST // 2:
                yield made("kernel", i, sizes)  # its layers are asked for by themselves
        for kind, stages in _OF_KIND.items():
            if stage in stages:
                yield from (made(kind, seed) for seed in range(2))
        for i, sizes in enumerate(_LONG.get(stage, ())):
            yield made("positive", i, sizes)
            if stage in _OF_KIND["wide"]:
                yield made("wide", i, sizes)
    for own in dict.fromkeys(tuple((k, n[k]) for k in letters if k in n) for n in shapes):
        if own:  # otherwise none of its sizes is one of the stage's
            yield make_case(stage, "shape", 0, dtype, dict(own), options)


def _widest(sizes: Sizes) -> int:
    """How many numbers the largest weight of a TokenMixer-Large block has."""
    T, D, H = (sizes[letter] for letter in "TDH")
    return 2 * T * D * D * max(H, T) // H


def _within(sizes: Sizes, requires: Mapping[str, Any], per_token: bool) -> Sizes:
    """Supported sizes near those asked for, with fewer sequences where it would be many numbers.

    Where every token has weights of its own, with fewer tokens too.
    """
    found = fitted(sizes, requires)
    if per_token and "F" in found:
        most = max(1, _LARGEST // (found["D"] * found["F"]))
        found = fitted(found | {"T": min(found["T"], most)}, requires)
    most = max(1, _LARGEST // (found["T"] * max(found.get(k, 1) for k in "DF")))
    return fitted(found | {"B": min(found["B"], most)}, requires)
