"""Check another implementation of the layers, stage by stage, outputs and gradients, within what
rounding does in its format. A backend as fast as NumPy takes half a minute, and with --quick a few
seconds. The report begins with PASS or FAIL, what is wrong and where."""

import argparse
from pathlib import Path

from ..errors import ArgumentError
from ..verify import conformance as kit
from ..verify.conformance import adapters
from ..verify.conformance.sizes import read_shape
from .parsing import add_cases, add_form
from .printing import bar, say, show, write

_BACKENDS = "numpy64, numpy32, torch, my_backend.py, package.module:adapter, ... (numpy64)"

_NEW = "write an adapter to start from; after torch or jax, one for code of that library"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be typed."""
    parser.add_argument("backend", nargs="?", metavar="BACKEND", help=_BACKENDS)
    add_cases(parser)
    add = parser.add_argument
    add("--quick", action="store_true", help="leave out the large cases")
    shape = "run every stage in these sizes too, such as B=64,T=16,D=768,H=16,F=3072; repeatable"
    add("--shape", action="append", dest="shapes", metavar="SIZES", help=shape)
    add("--repeat", type=int, default=1, metavar="N", help="calls of a case to find races")
    add_form(parser)
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the report there too")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--list", action="store_true", help="print what can be checked")
    instead.add_argument("--new", type=Path, metavar="FILE", help=_NEW)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int | None:
    """Check a backend, or do what is asked for instead."""
    alone = [f"--{name}" for name in ("list", "new") if getattr(options, name)]
    if alone and ((options.backend and options.list) or options.stages or options.html):
        invariant = f"{alone[0]} looks at no backend"
        raise ArgumentError(invariant, "one, or --stage or --html", "use it by itself")
    if options.list:
        say(kit.overview())
    elif options.new:
        write(options.new, adapters.template(options.backend or ""), "x")
        say(f"{options.new} is an adapter to start from:\n  numixology conform {options.new}")
    return None if alone else _judge(options)


def _judge(options: argparse.Namespace) -> int:
    if options.html and (options.html.is_dir() or not options.html.parent.is_dir()):
        raise ArgumentError("--html names a file in a folder", str(options.html), "choose another")
    report = kit.conform(
        adapters.load(options.backend or "numpy64"),
        stages=options.stages,
        seeds=options.seeds,
        quick=options.quick,
        shapes=[read_shape(text) for text in options.shapes or ()],
        repeat=options.repeat,
        progress=bar,
    )
    if options.html:
        write(options.html, kit.html_report(report))
    return show(report, options)
