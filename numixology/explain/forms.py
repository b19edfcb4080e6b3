"""Which RankMixer is yours? The form of a block, named from its outputs alone."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple, get_args

import numpy as np

from .. import nn
from ..array import DTypeLike
from ..checks import as_dtype, positive
from ..errors import ArgumentError, StateDictError
from ..nn.activation import ActivationName
from ..nn.mixers import MixingName
from ..nn.rankmixer import BlockNorm, Network
from ..text import filled
from .questions import ADDED, BlackBox, distance

__all__ = ["Answer", "BlockForm", "identify"]

_EPS = tuple(float(f"1e-{n}") for n in range(3, 13))
#: The first matrix of each network, and its number of axes.
_FIRST: dict[Network, tuple[str, int]] = {
    "standard": ("ffn.linear1.weight", 2),
    "per_token": ("ffn.linear1.weight", 3),
    "swiglu": ("ffn.w1.weight", 2),
    "per_token_swiglu": ("ffn.w1.weight", 3),
}
#: Where the norms stand.
_WHERE: dict[BlockNorm, str] = {
    "guide": "the mixer's norm follows its residual, the network's comes first: the Visual Guide's",
    "post": "both norms follow their residuals: the paper's",
    "pre": "both norms come first",
    "bare_mix": "no residual around the mixing, and one around both halves",
}
_GATED = ("swiglu", "per_token_swiglu")


class Answer(NamedTuple):
    """What was asked of a block, what it answered, and what showed it.

    Attributes:
        question: what was to be known.
        answer: what is so, or "cannot tell".
        because: what showed it, or what is missing.
    """

    question: str
    answer: str
    because: str


class BlockForm(NamedTuple):
    """What :func:`numixology.explain.identify` found.

    Its words are those of :class:`numixology.nn.RankMixerBlock`. It prints as questions and
    answers. What cannot be told is None; mixings are several or none.

    Attributes:
        norm: ``"guide"``, ``"post"``, ``"pre"`` or ``"bare_mix"``.
        normalization: ``"LayerNorm"`` or ``"RMSNorm"``: the first norm.
        mixings: pairs of a mixing and its H, all that answer so.
        network: ``"shared"`` or ``"per token"``.
        eps: of the norms; only the parameters tell it.
        ffn: the name of the network.
        activation: its activation.
        answers: an :class:`.Answer` to each question.

    Example:
        >>> import numixology as nx
        >>> block = nx.nn.RankMixerBlock(3, 12, 3, norm="pre", rng=0).eval()
        >>> found = nx.explain.identify(block, 3, 12)
        >>> found.norm, found.mixings, found.network, found.activation
        ('pre', (('rankmixer', 3),), 'shared', None)
    """

    norm: BlockNorm | None
    normalization: str | None
    mixings: tuple[tuple[MixingName, int], ...]
    network: str | None
    eps: float | None
    ffn: str | None
    activation: str | None
    answers: tuple[Answer, ...]

    @property
    def name(self) -> str:
        """Where the norms stand, and whose network it is."""
        return f"{self.norm or 'no form known here'}, {self.ffn or self.network or 'some'} network"

    def __str__(self) -> str:
        lines = [f"form: {self.name}"]
        if self.norm:
            lines.append(filled(_WHERE[self.norm], 6))
        for question, answer, because in self.answers:
            lines += [f"{question + ':':14}{answer}", filled(because, 16)]
        return "\n".join(lines)


def identify(
    fn: Callable[[Any], Any],
    num_tokens: int,
    hidden_dim: int,
    *,
    parameters: Mapping[str, Any] | None = None,
    dtype: DTypeLike = "float64",
    rng: Any = 0,
) -> BlockForm:
    """Ask a block of any framework a few questions through its outputs, and name its form.

    Args:
        fn: the block, in evaluation mode: from an array (B, T, D), with any B, to (B, T, D).
        num_tokens, hidden_dim: T and D.
        parameters: the block's, under the names of :class:`numixology.nn.RankMixerBlock`. With
            them the block is built here too, in each form that is left, and its outputs are
            compared: that tells eps, and one activation from another.
        dtype: float64 or float32, what ``fn`` takes.
        rng: a seed or Generator for the inputs.

    Returns:
        A :class:`.BlockForm`.

    Raises:
        ShapeError: ``fn`` returns another shape.
        DTypeError: ``fn`` returns fewer digits than it is given.
        ArgumentError: T is 1 or D below 4; or the outputs are not finite, or not the same for the
            same sequence.
        StateDictError: the parameters are not those of a block.

    Example:
        >>> import numixology as nx
        >>> block = nx.nn.RankMixerBlock(4, 8, 4, ffn="per_token", norm="post", rng=0).eval()
        >>> for question, answer, _ in nx.explain.identify(block, 4, 8).answers:
        ...     print(f"{question:12} {answer}")
        norms        post
        kind of norm LayerNorm
        mixing       rankmixer, H = 4 (d = 2)
        residual     around the mixing
        network      per token
        eps          cannot tell
        activation   cannot tell
        >>> found = nx.explain.identify(block, 4, 8, parameters=block.state_dict())
        >>> found.ffn, found.activation, found.eps
        ('per_token', 'gelu', 1e-05)
    """
    T, D = positive(num_tokens=num_tokens, hidden_dim=hidden_dim)
    if T == 1 or D < 4:
        invariant = "a block that can be told has two tokens and four features"
        raise ArgumentError(invariant, f"{T} and {D}", "make a larger one")
    block = BlackBox(fn, T, D, as_dtype(dtype), np.random.default_rng(rng))
    block.check()
    found, residual, because = _asked(block)
    if parameters is not None:
        found, equal = _compared(block, found, parameters)
        because |= dict.fromkeys(("mixing", "eps", "activation"), equal)
    said = {
        "norms": found.norm,
        "kind of norm": found.normalization,
        "mixing": _listed(found.mixings, D),
        "residual": residual,
        "network": found.ffn or found.network,
        "eps": found.eps and f"{found.eps:g}",
        "activation": found.activation,
    }
    answers = (Answer(what, said[what] or "cannot tell", because[what]) for what in said)
    return found._replace(answers=(*answers,))


def _asked(block: BlackBox) -> tuple[BlockForm, str | None, dict[str, str]]:
    """What the outputs alone show: the form, where x is added, and why each is said."""
    hidden = "the outputs do not show it; see parameters= of identify"
    because = dict.fromkeys(("eps", "activation"), hidden)
    norm, because["norms"] = block.norms()
    normalization, because["kind of norm"] = block.normalization(norm)
    mixings, because["mixing"], residual, because["residual"] = block.mixings(norm, normalization)
    nothing_moves = ("identity", 1) in mixings
    if norm and residual not in ADDED and not nothing_moves:
        because["norms"] += f" as in {norm!r}, but {because['residual']}"
        norm = None
    network, because["network"] = block.network(norm, mixings)
    form = BlockForm(norm, normalization, (*mixings,), network, None, None, None, ())
    return form, residual, because


def _listed(mixings: Iterable[tuple[str, int]], hidden_dim: int) -> str:
    """The mixings, those of one name together."""
    heads: dict[str, list[int]] = {}
    for name, H in mixings:
        heads.setdefault(name, []).append(H)
    return "; or ".join(
        f"{name}, {' or '.join(f'H = {H} (d = {hidden_dim // H})' for H in several)}"
        for name, several in heads.items()
    )


# With its parameters ------------------------------------------------------------------------


class _Form(NamedTuple):
    """One way to build the block."""

    norm: BlockNorm
    mixing: tuple[MixingName, int]
    activation: ActivationName
    eps: float


def _compared(
    block: BlackBox, found: BlockForm, parameters: Mapping[str, Any]
) -> tuple[BlockForm, str]:
    """What is left if the block is built in each form that may be, and its outputs compared."""
    scales = 10.0 ** -np.arange(8)  # down to variances next to which any eps is large
    x = block.draw(len(scales)) * scales[:, None, None]
    y, ffn = block(x), _network(parameters)
    errors = {
        form: max(map(distance, np.asarray(built(x.astype(block.dtype))).astype(float), y))
        for form, built in _built(block, found, parameters, ffn)
    }
    if not errors:
        return found._replace(ffn=ffn), "no mixing that could be built is left"
    best = min(errors.values())
    if best > 10 * block.same:
        return found._replace(ffn=ffn), f"of what could be built the nearest is off by {best:.0e}"
    alike = [form for form, error in errors.items() if error <= 10 * best]
    others = min((error for error in errors.values() if error > 10 * best), default=np.inf)
    norm, mixing, activation, eps = (_only({form[i] for form in alike}) for i in range(4))
    found = found._replace(
        norm=norm,
        mixings=(mixing,) if mixing else found.mixings,
        eps=eps,
        ffn=ffn,
        activation="silu" if ffn in _GATED else activation,
    )
    return found, f"built so, the outputs differ by {best:.0e}, and otherwise by {others:.0e}"


def _network(parameters: Mapping[str, Any]) -> Network:
    """The name of the network that has these parameters."""
    for ffn, (first, axes) in _FIRST.items():
        if first in parameters and np.ndim(parameters[first]) == axes:
            return ffn
    invariant = "the parameters have the names of a RankMixerBlock's"
    got = ", ".join(parameters) or "none"
    raise StateDictError(invariant, got, "rename them: ffn.linear1.weight is the first matrix")


def _built(
    block: BlackBox, found: BlockForm, parameters: Mapping[str, Any], ffn: Network
) -> Iterator[tuple[_Form, nn.Module]]:
    """A block of each form with these parameters; one block has every eps in turn."""
    ff_dim = np.shape(parameters[_FIRST[ffn][0]])[-2]
    norms = [norm for norm in get_args(BlockNorm) if found.norm in (norm, None)]
    activations = ("gelu",) if ffn in _GATED else get_args(ActivationName)
    for norm, mixing, activation in product(norms, found.mixings, activations):
        built = nn.RankMixerBlock(
            block.T, block.D, mixing[1], mixing=mixing[0], norm=norm, ffn=ffn, ff_dim=ff_dim,
            activation=activation, dropout=0.0, rng=0, dtype=block.dtype,
        )  # fmt: skip
        built.load_state_dict(parameters)
        parts = (*vars(built.mixer).values(), *vars(built.ffn).values())
        for eps in _EPS:
            for part in parts:
                if isinstance(part, nn.LayerNorm):
                    part.eps = eps
            yield _Form(norm, mixing, activation, eps), built


def _only(values: set[Any]) -> Any:
    """The value if there is one; None if there are several."""
    return values.pop() if len(values) == 1 else None
