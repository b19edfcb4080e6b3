"""What ``numixology check`` checks on this machine: cases, each with a figure and a limit.

Gradients of first and second order of every primitive, function and module, each fused gradient
against its composition from elementary functions up to third order, the laws of mixing, and the
golden values of every stage.
"""

import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, product
from typing import Any, NamedTuple

import numpy as np

from .. import arithmetic, nn, primitives, reductions, shapes
from .. import functional as F
from ..array import Array
from ..autograd import Node, Primitive
from ..errors import EXIT_CODES, NumixologyError
from ..explain.dependence import null_space_direction
from ..functional import (
    activations,
    affine,
    distributions,
    elementary,
    losses,
    mixing,
    normalization,
    special,
)
from ..notebook import report_html
from ..tensors import Tensor, tensor
from ..text import columns, filled, fitted, for_json
from ..transforms import grad, jacobian
from ..version import __version__
from .goldens import Golden, check_goldens
from .gradients import gradcheck

__all__ = ["CASES", "COMPOSITIONS", "Case", "CheckReport", "Result"]
__all__ += ["check", "every_primitive", "results"]

_FUSED_LIMIT = 1e-11

#: So many failures a report prints.
_SHOWN = 8
_LEGEND = (
    "Functions and modules, which use all {} primitives: the tape's gradients equal complex steps, "
    "in first and second order and in float32. Compositions: fused functions equal what they are "
    "made of, to third order. Golden values: outputs and gradients equal those of mpmath at 50 "
    "digits. Errors are relative to the largest entry, or counted in units in the last place (ulp)."
)


class Case(NamedTuple):
    """A function, or a module as one, and inputs to check its gradient at."""

    name: str
    fn: Callable[..., Any]
    inputs: Sequence[Array]
    kind: str = "functions"


class Result(NamedTuple):
    """One check: of which group, what was checked, how far off it was, and how far it may be."""

    group: str
    what: str
    dtype: str
    error: float
    limit: float
    verdict: str

    @property
    def passed(self) -> bool:
        """Whether the verdict is "pass"."""
        return self.verdict == "pass"

    @property
    def share(self) -> float:
        """The error as a part of the limit; infinite where it did not pass."""
        return self.error / (self.limit or 1.0) if self.passed else math.inf

    @property
    def figures(self) -> tuple[str, str]:
        """The error and the limit, as they are printed."""
        return f"{self.error:.2g}", f"{self.limit:.1g}"


class CheckReport(NamedTuple):
    """What :func:`check` found; it is true if every check passed, and prints readably.

    Attributes:
        results: one for each check.
        primitives: how many primitives there are.
        seconds: how long it took.
    """

    results: Sequence[Result]
    primitives: int
    seconds: float

    @property
    def failed(self) -> list[Result]:
        """The checks that did not pass."""
        return [result for result in self.results if not result.passed]

    @property
    def verdict(self) -> str:
        """``"pass"``, ``"fail"``, or ``"inconclusive"`` if nothing failed but not all passed."""
        verdicts = {result.verdict for result in self.failed}
        return "fail" if "fail" in verdicts else "inconclusive" if verdicts else "pass"

    @property
    def exit_code(self) -> int:
        """0 for a pass, 1 for a failure, 3 if something proved nothing."""
        return EXIT_CODES[self.verdict]

    @property
    def summary(self) -> str:
        """The verdict, how many checks there were, on what, and how long it took."""
        word = {"pass": "PASSED", "fail": "FAILED"}.get(self.verdict, "INCONCLUSIVE")
        wrong = f"{len(self.failed)} of " if self.failed else ""
        return (
            f"{word}: {wrong}{len(self.results)} checks in {self.seconds:.1f} s "
            f"(numixology {__version__}, NumPy {np.__version__})"
        )

    def __bool__(self) -> bool:
        return self.verdict == "pass"

    def __str__(self) -> str:
        rows = []
        for group, found in self._groups().items():
            worst = max(found, key=lambda one: one.share)
            name = re.split("[,:(]", worst.what)[0] if worst.error else ""
            rows.append((worst.verdict, group, f"{len(found)}", *worst.figures, name))
        heads = ("", "group", "checks", "error", "limit", "nearest its limit")
        lines = [
            filled(
                f"{r.verdict}: {r.what} ({r.group}), error {r.error:.2g}, limit {r.limit:.1g}", 2
            )
            for r in self.failed[:_SHOWN]
        ]
        if len(self.failed) > _SHOWN:
            lines.append(f"  and {len(self.failed) - _SHOWN} more, which --all prints")
        legend = filled(_LEGEND.format(self.primitives), hanging=0)
        return "\n".join([self.summary, *lines, "", columns(heads, rows, "<<>>><", 80), "", legend])

    def everything(self) -> str:
        """The verdict, and a line for every check."""
        parts = [self.summary]
        for group, found in self._groups().items():
            rows = [
                f"  {r.verdict}  {r.figures[0]:>7} of {r.figures[1]:>5}  {r.what}" for r in found
            ]
            parts.append("\n".join([group, *rows]))
        return fitted("\n\n".join(parts))

    def _groups(self) -> dict[str, list[Result]]:
        groups: dict[str, list[Result]] = {}
        for one in self.results:
            groups.setdefault(one.group, []).append(one)
        return groups

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return report_html(self)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data, for JSON, which has no NaN and no infinity: they are words."""
        return {
            "numpy": np.__version__,
            "passed": bool(self),
            "summary": self.summary,
            "checks": for_json(self.results),
        }


def _draw(seed: int) -> Callable[..., Array]:
    """Normal numbers from a seed, kept away from 0, where several functions have a kink."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int, positive: bool = False) -> Array:
        x = rng.standard_normal(shape)
        x += np.where(x < 0, -0.1, 0.1)
        return np.abs(x) if positive else x

    return normal


_normal = _draw(1)
_x, _y, _row = _normal(3, 4), _normal(3, 4), _normal(4)
_positive = _normal(3, 4, positive=True)
_tokens = _normal(2, 3, 8)  # T = 3 and H = 4 or 2: a permutation and its inverse differ
_repeated = np.array([2, 0, 2])
_mask = _x > 0
_classes = np.array([1, 0, 3])

#: Every function of ``numixology.functional`` that has a gradient.
CASES: tuple[Case, ...] = (
    Case("add", F.add, [_x, _row]),
    Case("subtract", F.subtract, [_x, _row]),
    Case("multiply", F.multiply, [_x, _row]),
    Case("divide", F.divide, [_x, _row]),
    Case("floor_divide, remainder", lambda a, b: a // b + a % b, [_x, _positive]),
    Case("negative", F.negative, [_x]),
    Case("power, both arguments", F.power, [_positive, _row]),
    Case("power, whole exponent", lambda x: x**3, [_x]),
    Case("absolute", F.absolute, [_x]),
    Case("sign", lambda x: F.sign(x) * x, [_x]),
    Case("exp", F.exp, [_x]),
    Case("expm1", F.expm1, [_x]),
    Case("log", F.log, [_positive]),
    Case("log1p", F.log1p, [_positive]),
    Case("sqrt", F.sqrt, [_positive]),
    Case("square", F.square, [_x]),
    Case("maximum", F.maximum, [_x, _y]),
    Case("minimum", F.minimum, [_x, _y]),
    Case("clip", lambda x: F.clip(x, -1.0, 0.7) + x, [_x]),
    Case("where", lambda a, b: F.where(_mask, a, b), [_x, _y]),
    Case("where, by its own condition", lambda a: F.where(a, a * a, 3.0), [_x]),
    Case("matmul", F.matmul, [_normal(2, 3, 4), _normal(4, 5)]),
    Case("matmul, vectors", lambda a, b, c: (a @ b) @ c, [_normal(3), _normal(3, 4), _normal(4)]),
    Case("einsum", lambda a, b: F.einsum("ij,kjl->lk", a, b), [_x, _normal(2, 4, 3)]),
    Case("sum", lambda x: F.sum(x, axis=0), [_x]),
    Case("mean", lambda x: F.mean(x, axis=1, keepdims=True), [_x]),
    Case("var", lambda x: F.var(x, axis=1), [_x]),
    Case("max", lambda x: F.max(x, axis=1), [_x]),
    Case("min", lambda x: F.min(x, axis=0), [_x]),
    Case("prod", lambda x: F.prod(x, axis=1), [_x]),
    Case("cumsum", lambda x: F.cumsum(x, axis=1), [_x]),
    Case("reshape", lambda x: F.reshape(x, (2, 6)), [_x]),
    Case("transpose", lambda x: F.transpose(x, (2, 0, 1)), [_tokens]),
    Case("broadcast_to", lambda x: F.broadcast_to(x, (3, 4)), [_row]),
    Case("squeeze, expand_dims", lambda x: F.expand_dims(F.squeeze(x, 0), -1), [_row[None]]),
    Case("contiguous", lambda x: x.permute(1, 0).contiguous(), [_x]),
    Case("indexing", lambda x: x[_repeated, 1:] * x[:, None, 0], [_x]),
    Case("scatter", lambda x: shapes.scatter(x, index=_repeated, shape=(5, 4)), [_x]),
    Case("copy_of", primitives.copy_of, [_x]),
    Case("astype", lambda x: F.astype(x, x.dtype) * x, [_x]),
    Case("concatenate", lambda a, b: F.concatenate([a, b, a], axis=0), [_x, _y]),
    Case("stack", lambda a, b: F.stack([a, b], axis=1), [_x, _y]),
    Case("split", lambda x: F.split(x, 2, axis=1)[1], [_x]),
    Case("erf", F.erf, [_x]),
    Case("normal_cdf", F.normal_cdf, [_x]),
    Case("normal_pdf", F.normal_pdf, [_x]),
    Case("relu", F.relu, [_x]),
    Case("sigmoid", F.sigmoid, [_x]),
    Case("slope of sigmoid", activations._sigmoid_slope, [_x]),
    Case("tanh", F.tanh, [_x]),
    Case("silu", F.silu, [_x]),
    Case("gelu", F.gelu, [_x]),
    Case("gelu_tanh", lambda x: F.gelu(x, approximate="tanh"), [_x]),
    Case("softplus", F.softplus, [_x]),
    Case("softmax", F.softmax, [_x]),
    Case("log_softmax", F.log_softmax, [_x]),
    Case("logsumexp", F.logsumexp, [_x]),
    Case("layer_norm", F.layer_norm, [_tokens, _normal(8), _normal(8)]),
    Case("rms_norm", F.rms_norm, [_tokens, _normal(8)]),
    Case("linear", F.linear, [_tokens, _normal(5, 8), _normal(5)]),
    Case("per_token_linear", F.per_token_linear, [_tokens, _normal(3, 5, 8), _normal(3, 5)]),
    Case("embedding", lambda w: F.embedding(_repeated, w), [_x]),
    Case("attention", F.attention, [_normal(2, 3, 4), _normal(2, 5, 4), _normal(2, 5, 3)]),
    Case("token_mix", lambda x: F.token_mix(x, 4), [_tokens]),
    Case("token_mix, guide", lambda x: F.token_mix(x, 4, mixing="guide"), [_tokens]),
    Case("token_revert", lambda x: F.token_revert(x, 4), [_tokens]),
    Case("cross_entropy", lambda x: F.cross_entropy(x, _classes), [_x]),
    Case("binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits, [_x, _y]),
    Case("mse_loss", F.mse_loss, [_x, _y]),
)


def _module_cases() -> Iterator[Case]:
    """Every module, with its parameters as inputs too."""
    x = _draw(2)(2, 3, 8)
    small = x[..., :4]  # of networks: every number of a weight is a coordinate to check
    yield _of_module("Linear", nn.Linear(8, 5, rng=0), x)
    yield _of_module("LayerNorm", nn.LayerNorm(8), x)
    yield _of_module("RMSNorm", nn.RMSNorm(8), x)
    yield _of_module("PerTokenLinear", nn.PerTokenLinear(3, 8, 5, rng=0), x)
    yield _of_module("Embedding", nn.Embedding(4, 3, rng=0), _repeated)
    yield _of_module("TokenMixer", nn.TokenMixer(3, 8, 4), x)
    yield _of_module("TokenMixer, guide", nn.TokenMixer(3, 8, 4, mixing="guide"), x)
    yield _of_module("ChunkMixing", nn.ChunkMixing(3, 8, 4, rng=0), x)
    yield _of_module("FullMixing", nn.FullMixing(3, 4, rng=0), small)
    yield _of_module("SinkhornMixing", nn.SinkhornMixing(3, 8, 2, steps=3, rng=0), x)
    yield _of_module("FixedMixing, neighbors", nn.MIXINGS["neighbors"](3, 8, 4), x)
    for activation in ("gelu", "gelu_tanh", "relu", "silu"):
        network = nn.FeedForward(4, 5, activation=activation, rng=0)
        yield _of_module(f"FeedForward, {activation}", network, small)
    yield _of_module("SwiGLUFeedForward", nn.SwiGLUFeedForward(4, 5, rng=0), small)
    yield _of_module("PerTokenFeedForward", nn.PerTokenFeedForward(3, 4, 2, rng=0), small)
    yield _of_module("PerTokenSwiGLU", nn.PerTokenSwiGLU(3, 4, 2, rng=0), small)
    own = nn.ResidualNetwork(nn.Linear(4, 4, rng=0), 4, norm="post")
    yield _of_module("ResidualNetwork, post", own, small)
    yield _of_module("MeanPooling", nn.MeanPooling(), x)
    yield _of_module("TaskHeads", nn.TaskHeads(8, ["finish", "skip"], rng=0), x[0])
    # Without biases: softmax does not see a shift of all keys, so the key's has no gradient.
    yield _of_module("SelfAttention", nn.SelfAttention(4, 2, bias=False, rng=0), small)
    features = _draw(2)(2, 6)
    yield _of_module("SlicedTokenizer", nn.SlicedTokenizer(6, 3, 5, rng=0), features)
    groups = nn.GroupTokenizer([1, 2, 3], 4, rng=0)
    yield _of_module("GlobalToken, learned", nn.GlobalToken(groups, rng=0), features)
    yield _of_module("GlobalToken, projected", nn.GlobalToken(groups, "projected", rng=0), features)
    yield _of_module("PaddedMixing", nn.PaddedMixing(3, 8, 3), x)
    moe = nn.SparseMoE(3, 4, 2, 2, policy="single", rng=0)
    yield _of_module("SparseMoE, serving", moe, small)
    for policy in ("joint", "tied"):
        moe = nn.SparseMoE(3, 4, 2, 2, policy=policy, rng=0)
        yield _of_module(f"SparseMoE, {policy} training", moe, small, training=True)
    yield _of_module("SparsePerTokenMoE", nn.SparsePerTokenMoE(3, 2, 3, 2, 2, rng=0), x[..., :2])
    yield _of_module("RankMixerBlock", nn.RankMixerBlock(3, 4, 2, ff_dim=5, rng=0), small)
    block = nn.RankMixerBlock(3, 4, 2, ff_dim=5, ffn="swiglu", rng=0)
    yield _of_module("RankMixerBlock, swiglu", block, small)
    for norm in ("post", "pre", "bare_mix"):
        block = nn.RankMixerBlock(3, 4, 2, ff_dim=2, ffn="per_token", norm=norm, rng=0)
        yield _of_module(f"RankMixerBlock, per_token, {norm}", block, small)
    block = nn.RankMixerBlock(3, 4, 2, ff_dim=2, ffn="per_token_swiglu", norm="post", rng=0)
    yield _of_module("RankMixerBlock, per_token_swiglu, post", block, small)
    large = nn.TokenMixerLargeBlock(3, 2, 2, expansion=1, norm="outside", rng=0)
    yield _of_module("TokenMixerLargeBlock, outside", large, x[..., :2])
    stack = nn.TokenMixerLarge(3, 2, 2, 2, interval=1, expansion=1, rng=0)
    yield _of_module("TokenMixerLarge", stack, x[..., :2])
    model = nn.RankMixerModel(4, 3, 4, 2, 2, ff_dim=2, rng=0)
    yield _of_module("RankMixerModel on ids", model, np.array([[3, 0, 3], [1, 2, 0]]))


def _of_module(name: str, module: nn.Module, x: Array, training: bool = False) -> Case:
    module.train(training)
    rng = np.random.default_rng(3)
    state = module.state_dict()
    names = list(state)
    # Scrambled: a weight of ones and a bias of zeros would hide a rule that forgets them.
    values = [p + 0.3 * rng.standard_normal(p.shape) for p in state.values()]

    def call(x: Any, *parameters: Any) -> Any:
        return nn.functional_call(module, dict(zip(names, parameters, strict=True)), x)

    return Case(name, call, [x, *values], "modules")


#: What each fused function of :data:`CASES` is made of.
COMPOSITIONS: dict[str, Callable[..., Any]] = {
    "sigmoid": lambda x: 1 / (1 + F.exp(-x)),
    "tanh": lambda x: F.expm1(2 * x) / (F.exp(2 * x) + 1),
    "silu": lambda x: x / (1 + F.exp(-x)),
    "gelu": lambda x: 0.5 * x * (1 + F.erf(x / math.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + F.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "softplus": lambda x: F.log(1 + F.exp(x)),
    "normal_cdf": lambda x: 0.5 * (1 + F.erf(x / math.sqrt(2))),
    "softmax": lambda x: F.exp(x) / F.exp(x).sum(axis=-1, keepdims=True),
    "log_softmax": lambda x: x - F.log(F.exp(x).sum(axis=-1, keepdims=True)),
    "logsumexp": lambda x: F.log(F.exp(x).sum(axis=-1)),
    "layer_norm": lambda x, w, b: (
        (x - x.mean(-1, keepdims=True)) / F.sqrt(x.var(-1, keepdims=True) + 1e-5) * w + b
    ),
    "rms_norm": lambda x, w: x / F.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * w,
    "linear": lambda x, w, b: x @ w.T + b,
    "per_token_linear": lambda x, w, b: F.einsum("bti,toi->bto", x, w) + b,
    "embedding": lambda w: w[_repeated],
    "token_mix": lambda x: F.mixing_steps(x, 4)["merge"],
}


def every_primitive() -> set[Primitive]:
    """Every primitive of the package that has a rule."""
    rooms = (
        primitives, shapes, arithmetic, reductions, activations, affine, distributions, elementary,
        losses, mixing, normalization, special,
    )  # fmt: skip
    things = [thing for room in rooms for thing in vars(room).values()]
    return {thing for thing in things if isinstance(thing, Primitive) and any(thing.rules)}


def check(progress: Callable[[str, float], None] = lambda group, share: None) -> CheckReport:
    """Run every check.

    Args:
        progress: called after every check with its group and the share of the work that is done.
    """
    start = time.perf_counter()
    sizes = [sum(x.size for x in case.inputs) for case in _cases() for _ in range(3)]
    done, found = accumulate(sizes), []
    for result in results():
        found.append(result)
        progress(result.group, next(done, sum(sizes)) / sum(sizes))
    return CheckReport(found, len(every_primitive()), time.perf_counter() - start)


def _cases() -> list[Case]:
    return [*CASES, *_module_cases()]


def results() -> Iterator[Result]:
    """Run every check, one after another."""
    met: set[Primitive] = set()
    for case in _cases():
        met |= _primitives_of(case)
        yield _gradient("gradient", case, case.fn, np.float64)
        yield _gradient("second order", case, _bent(case.fn), np.float64, order=2)
        yield _gradient("float32", case, case.fn, np.float32)
    unmet = every_primitive() - met
    names = ", ".join(sorted(one.__name__ for one in unmet)) or "none"
    yield _judged("primitives", f"without a case: {names}", float(len(unmet)), 0.0)
    for case, order in product(CASES, (1, 2, 3)):
        if case.name in COMPOSITIONS:
            error = _disagreement(case.fn, COMPOSITIONS[case.name], case.inputs, order)
            yield _judged("compositions", f"{case.name}, order {order}", error, _FUSED_LIMIT)
    yield from _laws()
    yield from _goldens()


def _primitives_of(case: Case) -> set[Primitive]:
    """The primitives on the tape that a case leaves."""
    output = case.fn(*[tensor(x, requires_grad=x.dtype.kind == "f") for x in case.inputs])
    met: set[Primitive] = set()
    seen: set[int] = set()
    stack = [output]
    while stack:
        node = stack.pop()
        if isinstance(node, Node) and node.requires_grad and id(node) not in seen:
            seen.add(id(node))
            stack.extend(node.inputs or ())
            if node.primitive is not None:
                met.add(node.primitive)
    return met


def _bent(fn: Callable[..., Any]) -> Callable[..., Any]:
    """f + f² + f³ has three derivatives even where f is linear."""

    def bent(*inputs: Any) -> Any:
        y = fn(*inputs)
        return y + y * y * (1 + y)

    return bent


def _gradient(what: str, case: Case, fn: Callable[..., Any], dtype: Any, order: int = 1) -> Result:
    inputs = [x.astype(dtype) if x.dtype.kind == "f" else x for x in case.inputs]
    group, kind = f"{case.kind}: {what}", np.dtype(dtype).name
    try:
        report = gradcheck(fn, *inputs, method="complex", order=order)
    except NumixologyError as error:
        return Result(group, f"{case.name} ({error})", kind, math.nan, math.nan, "fail")
    return Result(group, case.name, kind, report.max_error, report.tolerance, report.verdict)


def _judged(group: str, what: str, error: float, limit: float) -> Result:
    return Result(group, what, "float64", error, limit, "pass" if error <= limit else "fail")


def _disagreement(
    fused: Callable[..., Any], composed: Callable[..., Any], inputs: Sequence[Array], order: int
) -> float:
    """The largest difference of two functions' derivatives, relative to the largest entry."""
    rng = np.random.default_rng(4)
    points = [tensor(x, requires_grad=True) for x in inputs]
    pairs: list[Tensor] = [_bent(fused)(*points), _bent(composed)(*points)]
    error = 0.0
    for _ in range(order):
        weight = rng.standard_normal(pairs[0].shape)
        slopes = [grad(out, points, weight, create_graph=True) for out in pairs]
        for ours, theirs in zip(*slopes, strict=True):
            scale = np.abs(theirs.data).max()
            error = max(error, float(np.abs(ours.data - theirs.data).max() / scale))
        weights = [rng.standard_normal(x.shape) for x in inputs]
        pairs = [_total(found, weights) for found in slopes]
    return error


def _total(found: Sequence[Tensor], weights: Sequence[Array]) -> Tensor:
    """Σ ⟨weight, gradient⟩, from one gradient per input."""
    first, *rest = [(g * w).sum() for g, w in zip(found, weights, strict=True)]
    for one in rest:
        first = first + one
    return first


def _laws() -> Iterator[Result]:
    """The laws of mixing on integers, where every difference is 0 or at least 1."""
    held: dict[str, bool] = {}
    for t, h in product(range(1, 9), repeat=2):
        for what, holds in _laws_of(t, h):
            held[what] = holds and held.get(what, True)
    guide = _sees(5, 5, "guide", 3)
    held["the guide's mixing mixes nothing"] = np.array_equal(guide, np.eye(5))
    for what, holds in held.items():
        verdict = "pass" if holds else "fail"
        yield Result("laws of mixing", what, "int64", 0.0 if holds else 1.0, 0.0, verdict)


def _laws_of(t: int, h: int) -> Iterator[tuple[str, bool]]:
    x = np.arange(2 * t * h * 3).reshape(2, t, h * 3)
    y = F.token_mix(x, h)
    yield "mixing is a permutation", np.array_equal(np.sort(y, axis=None), x.ravel())
    back = F.token_mix(y.reshape(2, h, -1), t).reshape(x.shape)
    yield "mixing with T and H exchanged undoes it", np.array_equal(back, x)
    yield "token_revert undoes mixing", np.array_equal(F.token_revert(y, h), x)
    if t == h:
        paper = x.reshape(2, t, h, 3).transpose(0, 2, 1, 3).reshape(x.shape)
        yield "mixing is the paper's formula where T = H", np.array_equal(y, paper)
        yield "mixing twice is the identity where T = H", np.array_equal(F.token_mix(y, h), x)
    moved = mixing.chunk_destinations(t, h)
    follows = all(moved[i] == i * t % (t * h - 1) for i in range(t * h - 1))
    yield "chunk i moves to iT mod (TH - 1)", follows
    order = _order(t, h) == mixing.mixing_order(t, h)
    yield "mixing_order mixings are the identity, and no fewer", order
    figures = mixing.mixing_rank(t, h), round(mixing.mixing_condition(t, h), 9)
    found = _rank_and_condition(t, h)
    yield "mixing_rank and mixing_condition are those of I + P", found == figures
    deep = _depth(t, h) == mixing.depth_to_mix(t, h)
    yield "after depth_to_mix layers every token sees every token, and not before", deep
    chunks = np.arange(t * h)
    seen = F.token_mix(chunks.reshape(1, t, h), h)[0] // h
    graph = np.array_equal(seen, chunks.reshape(t, h) % t)
    yield "token s sees the H tokens from sH on, modulo T", graph
    if t == h > 1:
        A = null_space_direction(t, h, 3)[None]
        turned = np.array_equal(F.token_mix(A, h), -A)
        yield "mixing turns null_space_direction into its negative", turned


def _order(t: int, h: int) -> int | None:
    start = np.arange(t * h).reshape(1, t, h)
    x = start
    for n in range(1, t * h + 1):
        x = F.token_mix(x, h)
        if np.array_equal(x, start):
            return n
    return None


def _rank_and_condition(t: int, h: int) -> tuple[int, float]:
    """Of I + P, by its singular values; the condition to nine digits after the point."""
    P = F.token_mix(np.eye(t * h).reshape(-1, t, h), h).reshape(t * h, t * h)
    values = np.linalg.svd(np.eye(t * h) + P, compute_uv=False)
    rank = int((values > 1e-9).sum())
    return rank, round(float(values[0] / values[-1]), 9) if rank == t * h else math.inf


def _depth(t: int, h: int) -> int | None:
    for layers in range(5):
        if _sees(t, h, "rankmixer", layers).all():
            return layers
    return None


def _sees(t: int, h: int, kind: Any, layers: int) -> Array:
    """Which tokens (columns) each output token (row) depends on, by the Jacobian.

    A layer here is mixing, then a sum over each token's features, as any layer that acts on
    tokens alone can do; positive numbers do not cancel.
    """

    def network(x: Tensor) -> Tensor:
        for _ in range(layers):
            x = F.token_mix(x, h, mixing=kind)
            x = x + F.broadcast_to(x.sum(axis=-1, keepdims=True), x.shape)
        return x

    slopes = np.asarray(jacobian(network, np.ones((1, t, h))))  # (1, t, h, 1, t, h)
    return np.asarray(slopes.sum(axis=(0, 2, 3, 5)) > 0)


def _goldens() -> Iterator[Result]:
    """The output and gradients of every stage against mpmath, of all cases the worst."""
    worst: dict[tuple[str, str], Golden] = {}
    try:
        for golden in check_goldens():
            of = golden.stage, golden.name
            if of not in worst or golden.share > worst[of].share:
                worst[of] = golden
    except NumixologyError as error:
        yield Result("golden values", str(error), "float64", math.nan, math.nan, "fail")
    for (stage, name), golden in worst.items():
        group = "golden values, ulp" if golden.measure == "ulp" else "golden values"
        verdict = "pass" if golden.passed else "fail"
        figures = golden.error, golden.limit, verdict
        yield Result(group, f"{stage}: {name}", "float64", *figures)
