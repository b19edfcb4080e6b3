"""The command ``numixology``. Each of its commands is the module of that name in this folder.

A command's module has ``arguments``, which says what may be typed, and ``run``, which does it and
returns the exit status if that is not 0; its docstring is its help. It is loaded only if it is the
one asked for.
"""

import sys
from collections.abc import Sequence
from importlib import import_module

from ..errors import EXIT_CODES, NumixologyError, UnsupportedError
from ..version import __version__
from .parsing import Parser, subcommands
from .printing import complain

__all__ = ["main"]

#: Every command, and what the help says of it in a line.
COMMANDS = {
    "check": "check gradients and laws on this machine",
    "gradcheck": "check the gradient of a function",
    "conform": "check another implementation, stage by stage",
    "explain": "explain a layer, a step, a law or a cost",
    "draw": "draw a figure of the documentation",
    "params": "print the parameter table of a layer",
    "train": "train on a task that needs mixing",
    "which": "ask a block which RankMixer it is",
    "vectors": "check a backend that is not Python, by files",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: the arguments; those of the process if None.

    Returns:
        0 if all is well, 1 if a check failed, 2 for arguments that make no sense, 3 if a check
        proved nothing, 4 if what is to be checked needs something that is not here, 130 if it was
        interrupted.
    """
    typed = sys.argv[1:] if argv is None else argv
    try:
        options = _parser(typed).parse_args(typed)
    except SystemExit as stop:  # argparse has said why
        return int(stop.code or 0)
    try:
        return int(options.run(options) or 0)
    except NumixologyError as error:
        complain(f"numixology {options.command}: {error}")
        return EXIT_CODES["unsupported" if isinstance(error, UnsupportedError) else "usage"]
    except KeyboardInterrupt:
        complain(f"\nnumixology {options.command}: interrupted")
        return 130  # as shells have it


def _parser(typed: Sequence[str]) -> Parser:
    """All commands, of which only the one that is typed has its arguments."""
    statuses = ", ".join(f"{code} {meaning}" for meaning, code in EXIT_CODES.items())
    colors = "Verdicts have colors on a terminal; NO_COLOR and FORCE_COLOR decide otherwise."
    parser = Parser(
        prog="numixology",
        description="The reference for the RankMixer token mixer: check it, or have it explained.",
        epilog=f"{colors} Exit status: {statuses}; code that calls os._exit sets its own.",
    )
    parser.set_defaults(json=False, quiet=False)
    parser.add_argument("-V", "--version", action="version", version=f"numixology {__version__}")
    commands = subcommands(parser, "command", "COMMAND")
    for name, about in COMMANDS.items():
        command = commands.add_parser(name, help=about, epilog=parser.epilog)
        if name in typed[:1]:
            module = import_module(f".{name}", __name__)
            command.description = module.__doc__
            module.arguments(command)
    return parser
