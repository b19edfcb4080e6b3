r"""The golden values: what every stage gives at 50 digits, and how far off this machine is.

``data/goldens.json`` holds inputs, which float64 represents exactly, and for every stage from erf
to the whole model the output and all gradients for one cotangent. They come from a derivation of
its own in mpmath, scalar by scalar, that shares no code with the package
(``tests/oracle/make_goldens.py``), and are rounded once to float64.

How far off a result may be is laid down beforehand, in one of three ways.

**Functions of one number** may be off by so many units in the last place (ulp), the spacing of
float64 at the true value: 0 for ReLU; 2 for erf, sigmoid and tanh; 4 for SiLU, both GELUs and
softplus; and their slopes by 0, by 4 and by 8 (softplus' slope is the sigmoid, and has 4). This
holds in the tails, at subnormal numbers and next to a slope's zero too.

**Softmax** may be off by 8 + \|x - max\| / 2 ulp, since the exponential turns the rounding of its
argument into that; log_softmax and logsumexp by as much or by 2⁻⁵² if that is more, as they pass
through 0. Their gradients may be off by 1e-14 of the row's largest entry.

**Layers** are judged by the tensor's largest entry. Nothing happens to a number in ``token_mix``
and ``token_revert``, and ``embedding`` only adds up numbers of few digits: there the limit is 0.
LayerNorm's is 5e-16 of the largest \|h weight\| + \|bias\| forward, of the largest \|dy weight\|
rstd for the gradient of x, and of Σ \|term\| for those of its parameters. For all others the
oracle has passed an error bound through its own formulas: 2⁻⁵³ of each result for an operation,
K 2⁻⁵³ Σ \|a b\| for a sum of K products in whatever order, the figures above for functions and
LayerNorm, and what the arguments were off times the derivative. The bound stands in the file; half
a unit in the last place of the largest entry is added to it here, since the true value was rounded
too. It is the worst case, and grows with depth, up to 4e-12 for the first of two blocks: hence
every stage is also judged alone.

None of these figures was adjusted to what the package gives.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from .. import functional as F
from .. import nn
from ..array import Array, Shape, ignoring_fp_errors
from ..errors import NumixologyError
from ..tensors import Tensor, tensor
from ..transforms import grad

__all__ = ["Golden", "GoldenError", "check_goldens", "read_goldens"]

_HALF_UNIT = 2.0**-53

#: The version of the golden values that this module knows.
SPEC = "0.1"

Measure: TypeAlias = Literal["ulp", "of the largest"]
_Entry: TypeAlias = dict[str, Any]


class GoldenError(NumixologyError, ValueError):
    """The file of golden values is not the one that was shipped.

    Example:
        >>> from numixology.verify.goldens import read_goldens
        >>> read_goldens("{}")
        Traceback (most recent call last):
        numixology.verify.goldens.GoldenError: the golden values have a manifest and cases: ...
    """


class Golden(NamedTuple):
    """How far one tensor of one case is from its true values.

    Attributes:
        stage: a function, layer or network.
        case: which of its inputs.
        name: "output", or "gradient of" an argument or parameter.
        ulp: the worst error in units in the last place of the true value; a whole number, as that
            value is rounded too, wherever the result has no fewer digits.
        relative: the worst error, divided by the tensor's largest entry (by 1 if all are 0).
        measure: which of the two is judged, "ulp" or "of the largest".
        error: the error, so measured, of the entry that is nearest to its limit.
        limit: how large that may be.
        share: that error divided by that limit.

    Example:
        >>> from numixology.verify.goldens import check_goldens
        >>> first = next(check_goldens())
        >>> first.stage, first.name, first.measure, first.limit, first.passed
        ('erf', 'output', 'ulp', 2.0, True)
    """

    stage: str
    case: str
    name: str
    ulp: float
    relative: float
    measure: Measure
    error: float
    limit: float
    share: float

    @property
    def passed(self) -> bool:
        """Whether every entry is within its limit."""
        return self.share <= 1


# The stages --------------------------------------------------------------------


def _gelu_tanh(x: Any) -> Any:
    return F.gelu(x, approximate="tanh")


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "erf": F.erf,
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
    "relu": F.relu,
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_tanh": _gelu_tanh,
    "softplus": F.softplus,
    "softmax": F.softmax,
    "log_softmax": F.log_softmax,
    "logsumexp": F.logsumexp,
    "layer_norm": F.layer_norm,
    "rms_norm": F.rms_norm,
    "linear": F.linear,
    "per_token_linear": F.per_token_linear,
    "embedding": F.embedding,
    "token_mix": F.token_mix,
    "token_revert": F.token_revert,
    "attention": F.attention,
}

_MODULES: dict[str, Callable[..., nn.Module]] = {
    "feed_forward": nn.FeedForward,
    "swiglu_feed_forward": nn.SwiGLUFeedForward,
    "per_token_feed_forward": nn.PerTokenFeedForward,
    "per_token_swiglu": nn.PerTokenSwiGLU,
    "sparse_moe": nn.SparseMoE,
    "sparse_per_token_moe": nn.SparsePerTokenMoE,
    "self_attention": nn.SelfAttention,
    "token_mixer": nn.TokenMixer,
    "token_mixer_large_block": nn.TokenMixerLargeBlock,
    "chunk_mixing": nn.ChunkMixing,
    "sinkhorn_mixing": nn.SinkhornMixing,
    "block": nn.RankMixerBlock,
    "model": nn.RankMixerModel,
}

#: Units in the last place, of the value and of the slope.
_ULPS: dict[str, tuple[int, int]] = {
    "erf": (2, 4),
    "sigmoid": (2, 4),
    "tanh": (2, 4),
    "relu": (0, 0),
    "silu": (4, 8),
    "gelu": (4, 8),
    "gelu_tanh": (4, 8),
    "softplus": (4, 4),
}
_ROWS = ("softmax", "log_softmax", "logsumexp")
_EXACT = ("embedding", "token_mix", "token_revert")


def check_goldens() -> Iterator[Golden]:
    """Run every golden case, forward and backward, and measure each tensor.

    Functions are called on tensors; modules are built, given the golden parameters by
    ``load_state_dict``, and called in evaluation mode.

    Returns:
        An iterator of :class:`Golden`, one for each output and each gradient.

    Raises:
        GoldenError: the file is damaged.

    Example:
        >>> from numixology.verify.goldens import check_goldens
        >>> all(golden.passed for golden in check_goldens() if golden.stage == "token_mix")
        True
    """
    for entry in read_goldens():
        true = _true_values(entry)
        found = _run(entry)
        for name, values in true.items():
            yield _golden_of(entry, name, found[name], values)


def _run(entry: _Entry) -> dict[str, Array]:
    """The installed package's output and gradients."""
    leaves = {
        name: tensor(values, dtype=np.float64, requires_grad=True)
        for name, values in entry["inputs"].items()
    }
    options = dict(entry["options"])
    ids: list[Any] = [np.array(options.pop("ids"), np.int64)] if "ids" in options else []
    if entry["stage"] in _FUNCTIONS:
        output = _FUNCTIONS[entry["stage"]](*ids, **leaves, **options)
    else:
        module = _MODULES[entry["stage"]](**options, rng=0).eval()
        inputs = [leaves.pop("x")] if "x" in leaves else ids
        module.load_state_dict({name: one.data for name, one in leaves.items()})
        parameters = dict(module.named_parameters())
        leaves = {name: parameters.get(name, inputs[0]) for name in entry["inputs"]}
        output = module(*inputs)
    cotangent = np.array(entry["cotangent"], np.float64)
    gradients: tuple[Tensor, ...] = grad(output, list(leaves.values()), cotangent)
    found = {"output": output.data}
    for name, one in zip(leaves, gradients, strict=True):
        found[f"gradient of {name}"] = one.data
    return found


# Measuring ---------------------------------------------------------------------


def _true_values(entry: _Entry) -> dict[str, Array]:
    named = {"output": entry["output"]}
    named |= {f"gradient of {name}": values for name, values in entry["gradients"].items()}
    return {name: np.array(values, np.float64) for name, values in named.items()}


def _golden_of(entry: _Entry, name: str, found: Array, true: Array) -> Golden:
    """One tensor, by the measure that its stage has; what is no number is infinitely far off."""
    measure, limits = _limits(entry, name, true)
    with ignoring_fp_errors():
        comparable = found.shape == true.shape and np.isfinite(found).all()
        off = np.abs(found - true) if comparable else np.full(true.shape, np.inf)
        ulps = off / np.spacing(np.abs(true))
        relative = off / _largest(true)
        errors = ulps if measure == "ulp" else relative
        shares = np.where(errors == 0, 0.0, errors / limits)
    worst = np.unravel_index(np.argmax(shares), shares.shape)
    return Golden(
        entry["stage"],
        entry["case"],
        name,
        float(ulps.max()),
        float(relative.max()),
        measure,
        float(errors[worst]),
        float(limits[worst]),
        float(shares[worst]),
    )


def _largest(true: Array) -> float:
    return float(np.abs(true).max()) or 1.0


def _limits(entry: _Entry, name: str, true: Array) -> tuple[Measure, Array]:
    """How each entry is measured, and how far off it may be; see the module's docstring."""
    stage = entry["stage"]
    if stage in _ULPS:
        return "ulp", np.full(true.shape, float(_ULPS[stage][name != "output"]))
    if stage in _ROWS and name == "output":
        return "ulp", _row_ulps(entry, true)
    if stage in _ROWS:
        rows = np.abs(true).max(axis=-1, keepdims=True)
        return "of the largest", np.broadcast_to(1e-14 * rows / _largest(true), true.shape)
    if stage in _EXACT:
        return "of the largest", np.zeros(true.shape)
    bound = entry["bounds"][name.removeprefix("gradient of ")]
    return "of the largest", np.full(true.shape, bound / _largest(true) + _HALF_UNIT)


def _row_ulps(entry: _Entry, true: Array) -> Array:
    x = np.array(entry["inputs"]["x"], np.float64)
    if entry["stage"] == "logsumexp":
        limits = np.full(true.shape, 8.0)
    else:
        limits = 8 + (x.max(axis=-1, keepdims=True) - x) / 2
    if entry["stage"] != "softmax":
        limits = np.maximum(limits, 2.0**-52 / np.spacing(np.abs(true)))
    return np.asarray(limits)


# Reading -----------------------------------------------------------------------


def read_goldens(text: str | None = None) -> list[dict[str, Any]]:
    """The golden cases, after a look at the manifest, the digest and every shape.

    Args:
        text: JSON to read; what the package ships if None.

    Returns:
        One dict for each case, with its stage, case, options, inputs, cotangent, output, gradients,
        and bounds where the stage has them.

    Raises:
        GoldenError: the text is not JSON, the manifest is missing or of another version, the
            sha256 differs, or the stages or shapes are not those of the manifest.

    Example:
        >>> from numixology.verify.goldens import read_goldens
        >>> sorted(read_goldens()[0])
        ['case', 'cotangent', 'gradients', 'inputs', 'options', 'output', 'stage']
    """
    if text is None:
        text = _shipped()
    try:
        content = json.loads(text)
    except ValueError as error:
        raise _damaged("the golden values are JSON", str(error)) from error
    match content:
        case {"manifest": {"spec": spec, "sha256": digest, "stages": stages}, "cases": entries}:
            pass
        case _:
            keys = list(content) if isinstance(content, dict) else type(content).__name__
            raise _damaged("the golden values have a manifest and cases", str(keys))
    if spec != SPEC:
        raise _damaged(f"the golden values have version {SPEC}", repr(spec))
    actual = _digest(entries)
    if actual != digest:
        raise _damaged(f"the cases have the sha256 {digest}", actual)
    _check_shapes(entries, stages)
    return list(entries)


def _shipped() -> str:
    try:
        return files(__package__).joinpath("data", "goldens.json").read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged("the package ships verify/data/goldens.json", str(error)) from error


def _damaged(invariant: str, received: str) -> GoldenError:
    return GoldenError(invariant, received, "install numixology again")


def _digest(entries: Any) -> str:
    """The sha256 of the cases in canonical JSON, so that line ends and spaces do not matter."""
    canonical = json.dumps(entries, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _check_shapes(entries: Any, stages: Mapping[str, Any]) -> None:
    """The cases are those of the manifest, stages that this module runs, of the shapes it says."""
    listed = {(stage, case) for stage, cases in stages.items() for case in cases}
    held = {(entry["stage"], entry["case"]) for entry in entries}
    if listed != held or len(entries) != len(held):
        raise _damaged("the manifest lists every case once", str(sorted(listed ^ held)))
    unknown = {*stages} ^ {*_FUNCTIONS, *_MODULES}
    if unknown:
        raise _damaged("the stages are those that this version runs", str(sorted(unknown)))
    for entry in entries:
        where = f"{entry['stage']}, {entry['case']}"
        wanted = {k: tuple(v) for k, v in stages[entry["stage"]][entry["case"]].items()}
        found = {name: _shape(values, where) for name, values in entry["inputs"].items()}
        found["output"] = _shape(entry["output"], where)
        if found != wanted:
            raise _damaged(f"{where} has the shapes {wanted}", str(found))
        gradients = {name: _shape(values, where) for name, values in entry["gradients"].items()}
        expected = {name: shape for name, shape in found.items() if name != "output"}
        if gradients != expected or _shape(entry["cotangent"], where) != found["output"]:
            raise _damaged(f"the gradients of {where} have its inputs' shapes", str(gradients))


def _shape(values: Any, where: str) -> Shape:
    try:
        array = np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        raise _damaged(f"{where} holds numbers", str(error)) from error
    return array.shape
