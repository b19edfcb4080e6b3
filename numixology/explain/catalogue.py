"""Every figure by its name: what ``numixology draw`` and the pages of the documentation draw."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from ..errors import ArgumentError, unknown
from .drawing.scene import Scene
from .figures import costs, flow, forms, laws, layers, mixing, shapes, steps, tapes, walk

__all__ = ["FIGURES", "Figure", "contents", "draw"]


class Figure(NamedTuple):
    """A figure that can be drawn by its name.

    Attributes:
        draw: the function that draws it; its keywords are the sizes that may be chosen.
        about: what it shows, in a line.
        guide: the section of the guide that it redraws; empty where the guide has none.

    Example:
        >>> import numixology as nx
        >>> nx.explain.FIGURES["mixer"].guide
        'Token Mixer Step-by-Step'
    """

    draw: Callable[..., Scene]
    about: str
    guide: str = ""

    @property
    def options(self) -> list[str]:
        """The keywords that may be given to :func:`.draw`."""
        return list(inspect.signature(self.draw).parameters)


_STEPS = "Token Mixer Step-by-Step"
_COST = "Computational Complexity"

#: Every figure, in the order of the guide and then of the pages.
FIGURES = {
    "batch": Figure(shapes.batch_scene, "sequences of tokens, by index", "Visual Representation"),
    "mixer": Figure(mixing.mixer_scene, "the token mixer, all steps", _STEPS),
    "partition": Figure(partial(mixing.step_scene, "partition"), "tokens cut into heads", _STEPS),
    "permute": Figure(partial(mixing.step_scene, "permute"), "heads first, then tokens", _STEPS),
    "flatten": Figure(partial(mixing.step_scene, "flatten"), "one sequence of chunks", _STEPS),
    "merge": Figure(partial(mixing.step_scene, "merge"), "chunks regrouped: the mixing", _STEPS),
    "residual": Figure(partial(mixing.step_scene, "residual"), "the input added", _STEPS),
    "norm": Figure(partial(mixing.step_scene, "norm"), "every token normalized", _STEPS),
    "ffn": Figure(
        flow.feed_forward_scene,
        "a feed-forward network with its shapes",
        "Feed Forward Network Flow",
    ),
    "swiglu": Figure(
        flow.swiglu_scene, "the standard network beside SwiGLU", "SwiGLU Variant Comparison"
    ),
    "attention": Figure(flow.attention_scene, "self-attention, to compare"),
    "block": Figure(flow.block_scene, "the mixer, then the network", "RankMixer Block Structure"),
    "model": Figure(flow.model_scene, "the model from ids to hidden states", "Multi-Layer Model"),
    "mixer-flops": Figure(costs.mixer_cost_scene, "what the token mixer costs", _COST),
    "attention-flops": Figure(costs.attention_cost_scene, "what self-attention costs", _COST),
    "block-flops": Figure(costs.block_cost_scene, "what a whole block costs", _COST),
    "memory": Figure(costs.memory_scene, "how many numbers are kept", "Memory Usage Scaling"),
    "ratio": Figure(costs.ratio_scene, "attention / mixer in FLOPs", "Performance Scaling Chart"),
    "walk": Figure(
        walk.walk_scene, "one sequence all the way, with its numbers", "Multi-Layer Model"
    ),
    "walk-backward": Figure(walk.walk_backward_scene, "the way back, to one weight's update"),
    "strides": Figure(shapes.strides_scene, "which lines copy, and why", "Memory Optimization"),
    "activations": Figure(layers.activations_scene, "GELU, ReLU and SiLU with their slopes"),
    "layer-norm": Figure(layers.layer_norm_scene, "one token through LayerNorm"),
    "forms": Figure(forms.forms_scene, "the block in its forms, as equations"),
    "step-sizes": Figure(steps.step_size_scene, "the error of a difference, by its step"),
    "shuffle": Figure(laws.shuffle_scene, "where mixing moves each chunk"),
    "jacobian": Figure(laws.jacobian_scene, "the Jacobian of mixing, by chunks"),
    "cycles": Figure(laws.cycles_scene, "the cycles of mixing, and its order"),
    "receptive-field": Figure(laws.receptive_field_scene, "which token sees which, by layers"),
    "why-square": Figure(laws.why_square_scene, "the paper's reshaping beside the regrouping"),
    "null-space": Figure(laws.null_space_scene, "what x + mix(x) loses"),
    "revert": Figure(laws.revert_scene, "mixed tokens put back, and mixed again"),
    "tape": Figure(tapes.example_tape, "the tape of s * (s + 1)"),
    "tape-backward": Figure(tapes.example_backward, "gradients flowing back through it"),
    "order": Figure(tapes.example_order, "a tape read in a wrong order and in the right one"),
    "second-derivative": Figure(tapes.example_second_derivative, "the tape of a gradient"),
}


def draw(name: str, **sizes: Any) -> Scene:
    """The figure of that name.

    Args:
        name: one of :data:`FIGURES`.
        sizes: what to choose instead of the figure's defaults, such as ``num_tokens=3``.

    Returns:
        A :class:`.Scene`.

    Raises:
        ArgumentError: no figure of that name, or a size that it does not have.

    Example:
        >>> import numixology as nx
        >>> print(nx.explain.draw("merge", num_tokens=2, hidden_dim=4, num_heads=2).title)
        Step 4: Merge
    """
    if name not in FIGURES:
        raise unknown("figure", name, FIGURES, "numixology draw --list names them")
    figure = FIGURES[name]
    others = [size for size in sizes if size not in figure.options]
    if others:
        takes = ", ".join(figure.options) or "no size options"
        raise ArgumentError(f"figure {name!r} takes {takes}", ", ".join(others), "leave it out")
    return figure.draw(**sizes)


def contents() -> str:
    """The names of all figures and what they show, below the sections of the guide."""
    without = "What the guide has no section for"
    sections: dict[str, list[str]] = {}
    width = max(map(len, FIGURES))
    for name, figure in FIGURES.items():
        title = figure.guide or without
        sections.setdefault(title, [title]).append(f"  {name:{width}}  {figure.about}")
    last = sections.pop(without)
    return "\n\n".join("\n".join(lines) for lines in (*sections.values(), last))
