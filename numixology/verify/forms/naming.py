"""Which RankMixer is yours? The form of a block, named from its outputs alone."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ...array import DTypeLike
from ...checks import as_dtype, positive
from ...errors import ArgumentError
from ...nn.mixers import MixingName
from ...nn.rankmixer import BlockNorm
from ...text import filled
from .black_box import BlackBox
from .mixings import ADDED, which_mixings
from .networks import whose_network
from .norms import kind_of_norm, where_norms_stand

__all__ = ["Answer", "BlockForm", "identify"]

_UNKNOWN = "cannot tell"
#: Where the norms stand.
_WHERE: dict[BlockNorm, str] = {
    "guide": "the mixer's norm follows its residual, the network's comes first: the Visual Guide's",
    "post": "both norms follow their residuals: the paper's",
    "pre": "both norms come first",
    "bare_mix": "no residual around the mixing, and one around both halves",
}


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
    """What :func:`numixology.verify.identify` found.

    Its words are those of :class:`numixology.nn.RankMixerBlock`. It prints as questions and
    answers. What cannot be told is None; mixings are several or none.

    Attributes:
        norm: ``"guide"``, ``"post"``, ``"pre"`` or ``"bare_mix"``.
        normalization: ``"LayerNorm"`` or ``"RMSNorm"``: the first norm.
        mixings: pairs of a mixing and its H, all that answer so.
        network: ``"shared"`` or ``"per token"``.
        answers: an :class:`.Answer` to each question.

    Example:
        >>> import numixology as nx
        >>> block = nx.nn.RankMixerBlock(3, 12, 3, norm="pre", rng=0).eval()
        >>> found = nx.verify.identify(block, 3, 12)
        >>> found.norm, found.mixings, found.network
        ('pre', (('rankmixer', 3),), 'shared')
    """

    norm: BlockNorm | None
    normalization: str | None
    mixings: tuple[tuple[MixingName, int], ...]
    network: str | None
    answers: tuple[Answer, ...]

    @property
    def name(self) -> str:
        """Where the norms stand, and whose network it is."""
        return f"{self.norm or 'no form known here'}, {self.network or 'some'} network"

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
    dtype: DTypeLike = "float64",
    rng: Any = 0,
) -> BlockForm:
    """Ask a block of any framework a few questions through its outputs, and name its form.

    Args:
        fn: the block, in evaluation mode: from an array (B, T, D), with any B, to (B, T, D).
        num_tokens, hidden_dim: T and D.
        dtype: float64 or float32, what ``fn`` takes.
        rng: a seed or Generator for the inputs.

    Returns:
        A :class:`.BlockForm`.

    Raises:
        ShapeError: ``fn`` returns another shape.
        DTypeError: ``fn`` returns fewer digits than it is given.
        ArgumentError: T is 1 or D below 4; or the outputs are not finite, or not the same for the
            same sequence.

    Example:
        >>> import numixology as nx
        >>> block = nx.nn.RankMixerBlock(4, 8, 4, ffn="per_token", norm="post", rng=0).eval()
        >>> for question, answer, _ in nx.verify.identify(block, 4, 8).answers:
        ...     print(f"{question:12} {answer}")
        norms        post
        kind of norm LayerNorm
        mixing       rankmixer, H = 4 (d = 2)
        residual     around the mixing
        network      per token
    """
    T, D = positive(num_tokens=num_tokens, hidden_dim=hidden_dim)
    if T == 1 or D < 4:
        invariant = "a block that can be told has two tokens and four features"
        raise ArgumentError(invariant, f"{T} and {D}", "make a larger one")
    block = BlackBox(fn, T, D, as_dtype(dtype), np.random.default_rng(rng))
    block.check()
    norm, why_norm = where_norms_stand(block)
    normalization, why_kind = kind_of_norm(block, norm)
    mixings, why_mixing, residual, why_residual = which_mixings(block, norm, normalization)
    if norm and residual not in ADDED and ("identity", 1) not in mixings:
        why_norm += f" as in {norm!r}, but {why_residual}"
        norm = None
    network, why_network = whose_network(block, norm, mixings)
    answers = (
        Answer("norms", norm or _UNKNOWN, why_norm),
        Answer("kind of norm", normalization or _UNKNOWN, why_kind),
        Answer("mixing", _listed(mixings, D) or _UNKNOWN, why_mixing),
        Answer("residual", residual or _UNKNOWN, why_residual),
        Answer("network", network or _UNKNOWN, why_network),
    )
    return BlockForm(norm, normalization, (*mixings,), network, answers)


def _listed(mixings: Iterable[tuple[str, int]], hidden_dim: int) -> str:
    """The mixings, those of one name together."""
    heads: dict[str, list[int]] = {}
    for name, H in mixings:
        heads.setdefault(name, []).append(H)
    return "; or ".join(
        f"{name}, {' or '.join(f'H = {H} (d = {hidden_dim // H})' for H in several)}"
        for name, several in heads.items()
    )
