"""Check the gradient of a function of arrays or tensors, at random inputs, by steps along the
imaginary axis or the real one. Every number of the inputs is moved, so small inputs are enough:
they take a second. The report begins with PASS, FAIL or INCONCLUSIVE."""

import argparse

import numpy as np

from ..verify import gradcheck
from .parsing import fitting, in_one_line, named, natural
from .printing import show


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be typed."""
    inputs = "shape of an input of normal numbers; once per input"
    vjp = "your gradient, called with (cotangent, *inputs); without it numixology's is checked"
    add = parser.add_argument
    add("target", metavar="MODULE:FUNCTION", help="such as my_file.py:swish")
    add("--shape", type=shape, action="append", required=True, metavar="N,N", help=inputs)
    add("--vjp", metavar="MODULE:FUNCTION", help=vjp)
    add("--seed", type=natural, default=0, metavar="N", help="seed of the inputs (0)")
    add("--order", type=int, choices=[1, 2], default=1, help="order of the gradient (1)")
    add("--fast", action="store_true", help="move 4 random directions, not every number")
    add("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(run=run)


def shape(text: str) -> tuple[int, ...]:
    """``2,4,8`` as (2, 4, 8); nothing, or ``()``, is a single number."""
    try:
        return tuple(natural(length) for length in text.strip("()").split(",") if length.strip())
    except ValueError as error:
        said = f"write lengths with commas, such as 2,4: got {text!r}"
        raise argparse.ArgumentTypeError(said) from error


def run(options: argparse.Namespace) -> int:
    """Check a gradient."""
    fn = named(options.target)
    vjp = options.vjp and named(options.vjp)
    rng = np.random.default_rng(options.seed)
    with fitting():
        inputs = [rng.standard_normal(shape) for shape in options.shape]
    how = {"order": options.order, "fast": options.fast, "rng": options.seed}
    runs = "" if vjp else " as numixology's tensors, since there is no --vjp"
    instead = "choose others, one per input" if vjp else "give other shapes, or a --vjp"
    with in_one_line(f"{options.target} must run on inputs of these shapes{runs}", instead):
        report = gradcheck(fn, *inputs, vjp=vjp, **how)
    return show(report, options)
