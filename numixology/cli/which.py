"""Ask a block of any framework a few questions through its outputs, and name its form: where the
norms stand, which mixing, whose network. It takes a second; exit status 3 says that it is none that
is known here."""

import argparse

from ..errors import EXIT_CODES
from ..verify import identify
from .parsing import SIZES, fitting, in_one_line, named, natural
from .printing import say

#: What to do about an error of the block itself.
_INSTEAD = "check --tokens and --dim; for torch wrap it: f(torch.from_numpy(x)).numpy(force=True)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be typed."""
    add = parser.add_argument
    add("target", metavar="MODULE:FUNCTION", help="from an array (B, T, D) to an array (B, T, D)")
    for keyword in ("num_tokens", "hidden_dim"):
        option, _, meaning = SIZES[keyword]
        add(option, type=int, required=True, metavar="N", dest=keyword, help=meaning)
    add("--dtype", choices=["float64", "float32"], default="float64", help="of arrays (float64)")
    add("--seed", type=natural, default=0, metavar="N", help="of the inputs (0)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Name the form of a block."""
    sizes = (options.num_tokens, options.hidden_dim)
    with (
        fitting(),
        in_one_line(f"{options.target} must take arrays (B, T, D)", _INSTEAD),
    ):
        found = identify(named(options.target), *sizes, dtype=options.dtype, rng=options.seed)
    say(str(found))
    return EXIT_CODES["pass" if found.norm else "inconclusive"]
