"""Check a backend that is not Python: write inputs and true results to files, let the backend read
the inputs and write its results, and compare them with the true ones. Each takes a few
seconds for all stages."""

import argparse

from ..verify.conformance import FORMATS, PROFILES, compare_vectors, write_vectors
from ..verify.conformance.sizes import read_shape
from .parsing import add_cases, subcommands
from .printing import say, show

_OPTIONS = "format", "dtype", "accumulation", "stages", "seeds", "kernel"
_SUMS = "of its sums (float64 for float64, else float32)"
_SHAPE = (
    "cases of these sizes too, such as B=64,T=16,D=768; repeat for more; --seeds 0 for no others"
)
_PROFILE = f"what the backend says of itself: {', '.join(PROFILES)}; repeat for more"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be typed."""
    steps = subcommands(parser, "subject", "ACTION")
    write = steps.add_parser("write", help="write inputs and true results to a folder")
    add, formats = write.add_argument, ["npz", "safetensors", "raw"]
    add("directory", metavar="DIR", help="a folder that is empty, or new")
    add("--format", choices=formats, default="npz", help="of the files (npz)")
    add("--dtype", choices=[*FORMATS], default="float64", help="of the backend (float64)")
    add("--accumulation", choices=["float64", "float32"], help=_SUMS)
    add_cases(write)
    add("--shape", action="append", default=[], metavar="B=64,...", help=_SHAPE)
    add("--kernel", action="store_true", help="the sizes at which kernels break too (1.7 GB)")
    write.set_defaults(run=_write)

    compare = steps.add_parser("compare", help="compare a backend's results with the true ones")
    add, profiles = compare.add_argument, {"choices": [*PROFILES], "metavar": "NAME"}
    add("directory", metavar="DIR", help="a folder of vectors")
    add("results", metavar="RESULTS", help="a folder of results")
    add("--profile", action="append", default=[], **profiles, help=_PROFILE)
    add("--json", action="store_true", help="print JSON instead of a table")
    compare.set_defaults(run=_compare)


def _write(options: argparse.Namespace) -> None:
    typed = {name: getattr(options, name) for name in _OPTIONS}
    shapes = [read_shape(text) for text in options.shape]
    say(str(write_vectors(options.directory, **typed, shapes=shapes)))


def _compare(options: argparse.Namespace) -> int:
    report = compare_vectors(options.directory, options.results, profile=options.profile)
    return show(report, options)
