"""The command ``numixology``: check a machine, a gradient or a backend, explain, count."""

import argparse
import json
import os
import pkgutil
import re
import sys
import time
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import Any, NoReturn

import numpy as np

from . import __version__, nn
from .errors import ArgumentError, NumixologyError, UnsupportedError
from .explain import FIGURES, Scene, draw, feed_forward_scene, mixer_scene, model_scene
from .text import columns
from .verify.conformance import (
    EXIT_CODES,
    FORMATS,
    KINDS,
    PROFILES,
    STAGES,
    Stage,
    adapters,
    compare_vectors,
    conform,
    write_vectors,
)
from .verify.conformance.html import html_report
from .verify.conformance.mutants import try_mutants
from .verify.gradients import GradcheckReport, gradcheck
from .verify.suite import Result, every_primitive, results

__all__ = ["main"]

PASS, FAIL, USAGE = EXIT_CODES["pass"], EXIT_CODES["fail"], EXIT_CODES["usage"]
INCONCLUSIVE, UNSUPPORTED = EXIT_CODES["inconclusive"], EXIT_CODES["unsupported"]


#: Of the usual terminal, in columns.
_WIDTH = 80


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: the arguments; those of the process if None.

    Returns:
        0 if all is well, 1 if a check failed, 2 for arguments that make no sense, 3 if a check
        proved nothing, 4 if what is to be checked needs something that is not here.
    """
    try:
        options = _parser().parse_args(argv)
    except SystemExit as stop:  # argparse has said why
        return int(stop.code or 0)
    try:
        return int(options.run(options))
    except NumixologyError as error:
        said = _by_option(str(error)) if options.run in (_explain, _draw, _params) else error
        print(f"numixology {options.command}: {said}", file=sys.stderr)
        return UNSUPPORTED if isinstance(error, UnsupportedError) else USAGE


#: What may be chosen for a figure: the option, and the keyword that it is in the library.
_CHOICES = {
    "--batch": ("batch", "B, sequences in a batch"),
    "--tokens": ("num_tokens", "T, tokens in a sequence"),
    "--dim": ("hidden_dim", "D, features of a token"),
    "--heads": ("num_heads", "H, a divisor of D"),
    "--layers": ("num_layers", "number of blocks"),
    "--vocab": ("vocab_size", "V, number of different ids"),
    "--ff-dim": ("ff_dim", "F, inner features of the network"),
    "--ffn": ("ffn", "standard or swiglu"),
    "--mixing": ("mixing", "rankmixer or guide"),
}


def _by_option(message: str) -> str:
    """What the library says of its sizes, with the options by which the command has them."""
    for option, (keyword, _) in _CHOICES.items():
        if "_" in keyword:  # the others are words as well
            message = re.sub(rf"\b{keyword}\b", option, message)
    return message


def _parser() -> _Parser:
    parser = _Parser(
        prog="numixology",
        description="The reference for the RankMixer token mixer: check it, or have it explained.",
    )
    parser.add_argument("--version", action="version", version=f"numixology {__version__}")
    commands = _choice(parser, "command", "COMMAND")
    _check_options(commands.add_parser("check", help="check gradients and laws on this machine"))
    _gradcheck_options(commands.add_parser("gradcheck", help="check the gradient of a function"))
    _conform_options(
        commands.add_parser("conform", help="check another implementation, stage by stage")
    )
    _explain_options(commands.add_parser("explain", help="print what a layer does, step by step"))
    _draw_options(commands.add_parser("draw", help="draw a figure of the documentation"))
    _params_options(commands.add_parser("params", help="print the parameter table of a layer"))
    _vectors_options(
        commands.add_parser("vectors", help="check a backend that is not Python, by files")
    )
    return parser


def _choice(parser: argparse.ArgumentParser, name: str, metavar: str) -> Any:
    """Commands below a command; without one of them it prints its help."""
    parser.set_defaults(run=partial(_help, parser), **{name: None})
    return parser.add_subparsers(dest=name, metavar=metavar)


def _help(parser: argparse.ArgumentParser, _: argparse.Namespace) -> int:
    parser.print_help(sys.stderr)
    return USAGE


def _sizes(parser: argparse.ArgumentParser, **defaults: int) -> None:
    for name, default in defaults.items():
        _, meaning = _CHOICES[f"--{name}"]
        parser.add_argument(
            f"--{name}", type=int, default=default, metavar="N", help=f"{meaning} ({default})"
        )


def _network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ffn", choices=["standard", "swiglu"], default="standard", help="which network (standard)"
    )
    parser.add_argument("--ff-dim", type=int, metavar="N", help="F, its inner features (4D)")


def _mixing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mixing",
        choices=["rankmixer", "guide"],
        default="rankmixer",
        help="the paper's, or the guide's literal reading, which mixes nothing (rankmixer)",
    )


def _cases(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stage", action="append", metavar="NAME", help="such as silu; repeat for more (all)"
    )
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="cases of a kind (3)")


# vectors


def _vectors_options(parser: argparse.ArgumentParser) -> None:
    steps = _choice(parser, "subject", "WHAT")
    _write_options(steps.add_parser("write", help="write inputs and true results to a folder"))
    _compare_options(
        steps.add_parser("compare", help="compare a backend's results with the true ones")
    )


def _write_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="a folder that is empty, or new")
    parser.add_argument(
        "--format", choices=["npz", "safetensors", "raw"], default="npz", help="of the files (npz)"
    )
    parser.add_argument(
        "--dtype", choices=list(FORMATS), default="float64", help="of the backend (float64)"
    )
    parser.add_argument(
        "--accumulation",
        choices=["float64", "float32"],
        help="of its sums (float64 for float64, else float32)",
    )
    _cases(parser)
    parser.set_defaults(run=_write_vectors)


def _compare_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="a folder of vectors")
    parser.add_argument("results", metavar="RESULTS", help="a folder of results")
    parser.add_argument(
        "--profile",
        choices=list(PROFILES),
        action="append",
        default=[],
        metavar="NAME",
        help=f"what the backend says of itself: {', '.join(PROFILES)}; repeat for more",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=_compare_vectors)


def _write_vectors(options: argparse.Namespace) -> int:
    written = write_vectors(
        options.directory,
        format=options.format,
        dtype=options.dtype,
        accumulation=options.accumulation,
        stages=options.stage,
        seeds=options.seeds,
    )
    _print(
        f"{written.cases} cases with {written.tensors} tensors to compare, "
        f"{written.size:,} bytes in {len(written.files)} files in {written.folder}"
    )
    return PASS


def _compare_vectors(options: argparse.Namespace) -> int:
    report = compare_vectors(options.directory, options.results, profile=options.profile)
    if options.json:
        _print(json.dumps({"numixology": __version__} | report.as_dict(), indent=2))
    else:
        _print(str(report))
    return report.exit_code


# explain


def _explain_options(parser: argparse.ArgumentParser) -> None:
    subjects = _choice(parser, "subject", "WHAT")
    mixer = subjects.add_parser("mixer", help="the token mixer, with the values a1, a2, ...")
    _sizes(mixer, batch=2, tokens=4, dim=8, heads=4)
    _mixing(mixer)
    mixer.set_defaults(run=_explain, scene=_mixer)
    ffn = subjects.add_parser("ffn", help="a feed-forward network, with the shapes")
    _sizes(ffn, batch=4, tokens=8, dim=768)
    _network(ffn)
    ffn.set_defaults(run=_explain, scene=_ffn)
    model = subjects.add_parser("model", help="the model from ids to hidden states")
    _sizes(model, batch=2, tokens=4, dim=8, heads=4, layers=2, vocab=1000)
    _network(model)
    _mixing(model)
    model.set_defaults(run=_explain, scene=_model)


def _explain(options: argparse.Namespace) -> int:
    scene: Scene = _fitting(options.scene, options)
    _print(scene.text())
    return PASS


def _fitting(build: Callable[[argparse.Namespace], Any], options: argparse.Namespace) -> Any:
    """What ``build`` builds, unless it is larger than memory."""
    try:
        return build(options)
    except NumixologyError:
        raise
    except (MemoryError, OverflowError, ValueError) as error:  # NumPy raises all three
        raise ArgumentError("the sizes must fit in memory", str(error), "choose smaller") from error


def _mixer(o: argparse.Namespace) -> Scene:
    return mixer_scene(o.tokens, o.dim, o.heads, batch=o.batch, mixing=o.mixing)


def _ffn(o: argparse.Namespace) -> Scene:
    return feed_forward_scene(o.dim, o.ff_dim, batch=o.batch, num_tokens=o.tokens, ffn=o.ffn)


def _model(o: argparse.Namespace) -> Scene:
    return model_scene(
        o.vocab,
        o.tokens,
        o.dim,
        o.heads,
        o.layers,
        batch=o.batch,
        ff_dim=o.ff_dim,
        ffn=o.ffn,
        mixing=o.mixing,
    )


# draw


def _draw_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("figure", nargs="?", metavar="NAME", help="such as mixer; see --list")
    parser.add_argument("--list", action="store_true", help="print the names of all figures")
    parser.add_argument(
        "--format", choices=["text", "svg", "json"], default="text", help="to draw in (text)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write it there, not here")
    for option, (keyword, meaning) in _CHOICES.items():
        worded = keyword in ("ffn", "mixing")
        parser.add_argument(
            option,
            dest=keyword,
            type=str if worded else int,
            metavar="NAME" if worded else "N",
            help=meaning,
        )
    parser.set_defaults(run=_draw)


def _draw(options: argparse.Namespace) -> int:
    if options.list:
        _print(_figures())
        return PASS
    if options.figure is None:
        raise ArgumentError("draw takes the name of a figure", "none", "see numixology draw --list")
    if options.figure not in FIGURES:
        near = " or ".join(get_close_matches(options.figure, FIGURES))
        raise ArgumentError(
            "a figure has one of the known names",
            repr(options.figure),
            f"try {near}; " * bool(near) + "see numixology draw --list",
        )
    scene: Scene = _fitting(lambda o: draw(o.figure, **_chosen(o)), options)
    drawn = {"text": scene.text, "svg": scene.svg, "json": scene.json}[options.format]()
    if options.output is None:
        _print(drawn.rstrip("\n"))
    else:
        _write(options.output, drawn.rstrip("\n") + "\n")
    return PASS


def _figures() -> str:
    """The names of all figures and what they show, below the sections of the guide."""
    sections: dict[str, list[str]] = {}
    width = max(map(len, FIGURES))
    for name, figure in FIGURES.items():
        title = figure.guide or "What the guide has no section for"
        sections.setdefault(title, [title]).append(f"  {name:{width}}  {figure.about}")
    last = sections.pop("What the guide has no section for")
    return "\n\n".join("\n".join(lines) for lines in (*sections.values(), last))


def _chosen(options: argparse.Namespace) -> dict[str, int | str]:
    """The sizes that were given for a figure, which has them all."""
    given = {
        option: (keyword, value)
        for option, (keyword, _) in _CHOICES.items()
        if (value := getattr(options, keyword)) is not None
    }
    known = FIGURES[options.figure].options
    if unknown := [option for option, (keyword, _) in given.items() if keyword not in known]:
        usable = [option for option, (keyword, _) in _CHOICES.items() if keyword in known]
        raise ArgumentError(
            f"the figure {options.figure} is drawn by its own sizes",
            ", ".join(unknown),
            f"choose {', '.join(usable) or 'nothing: it has no sizes'}",
        )
    return dict(given.values())


# params


def _params_options(parser: argparse.ArgumentParser) -> None:
    subjects = _choice(parser, "subject", "WHAT")
    for name, (meaning, sizes) in _COUNTED.items():
        subject = subjects.add_parser(name, help=meaning)
        _sizes(subject, **sizes)
        if name in ("ffn", "block", "model"):
            _network(subject)
        subject.set_defaults(run=_params)


#: What has a parameter table: what it is, and the sizes it has unless others are given.
_COUNTED = {
    "ffn": ("a feed-forward network", {"dim": 768}),
    "mixer": ("the token mixer", {"tokens": 8, "dim": 768, "heads": 8}),
    "attention": ("self-attention, to compare", {"dim": 768, "heads": 8}),
    "block": ("a mixer and a network", {"tokens": 8, "dim": 768, "heads": 8}),
    "model": (
        "the model, embeddings and all",
        {"tokens": 8, "dim": 768, "heads": 8, "layers": 2, "vocab": 1000},
    ),
}


def _params(options: argparse.Namespace) -> int:
    layer: nn.Module = _fitting(_layer, options)
    _print(str(layer.parameter_table()))
    return PASS


def _layer(o: argparse.Namespace) -> nn.Module:
    if o.subject == "mixer":
        return nn.TokenMixer(o.tokens, o.dim, o.heads)
    if o.subject == "attention":
        return nn.SelfAttention(o.dim, o.heads, rng=0)
    if o.subject == "ffn":
        kind = nn.SwiGLUFeedForward if o.ffn == "swiglu" else nn.FeedForward
        return kind(o.dim, o.ff_dim, rng=0)
    how: dict[str, Any] = {"ff_dim": o.ff_dim, "ffn": o.ffn, "rng": 0}
    if o.subject == "block":
        return nn.RankMixerBlock(o.tokens, o.dim, o.heads, **how)
    return nn.RankMixerModel(o.vocab, o.tokens, o.dim, o.heads, o.layers, **how)


# gradcheck


def _gradcheck_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target", metavar="MODULE:FUNCTION", help="such as numixology.functional:gelu"
    )
    parser.add_argument(
        "--shape",
        type=shape,
        action="append",
        required=True,
        metavar="N,N",
        help="of one input of standard normal numbers; once per input",
    )
    parser.add_argument(
        "--vjp",
        metavar="MODULE:FUNCTION",
        help="a gradient written by hand, called with (cotangent, *inputs): check this one, "
        "and let the function be one of arrays",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the inputs (0)")
    parser.add_argument("--order", type=int, choices=[1, 2], default=1, help="of the gradient (1)")
    parser.add_argument(
        "--fast", action="store_true", help="4 random directions, not every coordinate"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(run=_gradcheck)


def shape(text: str) -> tuple[int, ...]:
    """``2,4,8`` as (2, 4, 8); nothing, or ``()``, is a single number."""
    shape = tuple(int(length) for length in text.strip("()").split(",") if length.strip())
    if any(length < 0 for length in shape):
        raise ValueError(text)
    return shape


def _gradcheck(options: argparse.Namespace) -> int:
    if options.seed < 0:
        raise ArgumentError("a seed is not negative", str(options.seed), "choose another")
    fn = _target(options.target)
    vjp = options.vjp and _target(options.vjp)
    rng = np.random.default_rng(options.seed)
    inputs = _fitting(lambda o: [rng.standard_normal(shape) for shape in o.shape], options)
    try:
        report = gradcheck(
            fn, *inputs, vjp=vjp, order=options.order, fast=options.fast, rng=options.seed
        )
    except NumixologyError:
        raise
    except Exception as error:  # whatever the target raises
        raise ArgumentError(
            f"{options.target} must run on inputs of these shapes",
            f"{type(error).__name__}: {_one_line(error)}",
            "choose others, one --shape per input, or call numixology.gradcheck in Python",
        ) from error
    _print(json.dumps(_report_as_json(report), indent=2) if options.json else str(report))
    return {"pass": PASS, "fail": FAIL, "inconclusive": INCONCLUSIVE}[report.verdict]


def _target(name: str) -> Callable[..., Any]:
    """The function that ``package.module:function`` names, the current folder first."""
    if ":" not in name:
        raise ArgumentError(
            "a target is written module:function", repr(name), "try numixology.functional:gelu"
        )
    path = list(sys.path)
    sys.path.insert(0, os.getcwd())
    try:
        found = pkgutil.resolve_name(name)
    except Exception as error:  # whatever the module raises
        raise ArgumentError(
            f"{name} must be importable",
            f"{type(error).__name__}: {_one_line(error)}",
            "check both names, without .py, and that it is in the current folder or installed",
        ) from error
    finally:
        sys.path[:] = path
    if not callable(found):
        raise ArgumentError(f"{name} must be a function", type(found).__name__, "name a function")
    function: Callable[..., Any] = found
    return function


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _report_as_json(report: GradcheckReport) -> dict[str, Any]:
    found = {name: _finite(value) for name, value in report._asdict().items()}
    worst = report.worst and [_finite(value) for value in report.worst]
    kinks = [{name: _finite(v) for name, v in kink._asdict().items()} for kink in report.kinks]
    return (
        {"numixology": __version__, "passed": report.passed}
        | found
        | {
            "worst": worst,
            "kinks": kinks,
        }
    )


# conform


def _conform_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "backend",
        nargs="?",
        metavar="BACKEND",
        help="numpy64, numpy32, torch, my_backend.py, package.module:adapter, ... (numpy64)",
    )
    _cases(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON instead of text")
    form.add_argument("--quiet", action="store_true", help="print the verdict only, in a line")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the report there too")
    parser.add_argument("--dtype", choices=list(FORMATS), help="of --mutants (float32)")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--list", action="store_true", help="print what can be checked")
    instead.add_argument("--new", type=Path, metavar="FILE", help="write an adapter to start from")
    instead.add_argument("--mutants", action="store_true", help="check the check on known bugs")
    parser.set_defaults(run=_conform)


def _conform(options: argparse.Namespace) -> int:
    if options.seeds < 1:
        raise ArgumentError("--seeds is a positive integer", str(options.seeds), "choose 1 or more")
    if options.dtype and not options.mutants:
        raise ArgumentError(
            "a backend has its own dtype", f"--dtype {options.dtype}", "leave it to --mutants"
        )
    alone = "--list" if options.list else "--new" if options.new else "--mutants"
    if (options.list or options.new or options.mutants) and (
        options.backend or options.stage or options.html
    ):
        raise ArgumentError(
            f"{alone} looks at no backend", "one, or --stage or --html", f"use {alone} by itself"
        )
    if options.list:
        return _list(options)
    if options.new:
        return _new(options.new)
    return _mutants(options) if options.mutants else _judge(options)


def _judge(options: argparse.Namespace) -> int:
    if options.html and (options.html.is_dir() or not options.html.parent.is_dir()):
        raise ArgumentError("--html names a file in a folder", str(options.html), "choose another")
    adapter = adapters.load(options.backend or "numpy64")
    asked = list(options.stage or STAGES)
    report = conform(adapter, stages=asked, seeds=options.seeds, progress=_counted(len(set(asked))))
    _progress("")
    report = report.loading(options.backend or "numpy64")
    if options.html:
        _write(options.html, html_report(report))
    if options.quiet:
        _print(f"{report.backend}: {report.summary}")
    else:
        _print_report(report, options)
    return report.exit_code


def _print_report(report: Any, options: argparse.Namespace) -> None:
    """What a report says, or the same as JSON."""
    if options.json:
        plain = {"numixology": __version__} | report.as_dict()
        _print(json.dumps(plain, indent=2, allow_nan=False))
    else:
        _print(str(report))


def _counted(total: int) -> Callable[[str], None]:
    """A progress line that says how many are done."""
    done: list[str] = []

    def progress(name: str) -> None:
        done.append(name)
        _progress(f"{len(done)} of {total} stages, {name}")

    return progress


def _write(path: Path, text: str, mode: str = "w") -> None:
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ArgumentError(
            f"{path} must be a file that can be written", str(error.strerror), "choose another"
        ) from error


def _new(path: Path) -> int:
    _write(path, adapters.template(), "x")
    _print(f"{path} is an adapter to start from; then: numixology conform {path}")
    return PASS


def _mutants(options: argparse.Namespace) -> int:
    report = try_mutants(options.dtype or "float32", seeds=options.seeds, progress=_progress)
    _progress("")
    _print_report(report, options)
    return PASS if report else FAIL


def _list(options: argparse.Namespace) -> int:
    if options.json:
        stages = {
            stage.name: {"inputs": stage.inputs, "output": stage.output, "formula": stage.formula}
            for stage in STAGES.values()
        }
        _print(json.dumps({"stages": stages, "kinds": KINDS, "profiles": PROFILES}, indent=2))
        return PASS
    rows = [row for stage in STAGES.values() for row in _stage_rows(stage)]
    _print(columns(("stage", "array", "shape", "computes"), rows, "<<<<"))
    networks = {"in block, in model": "what the layers inside of these are given there"}
    for title, meanings in (("kind of input", KINDS | networks), ("profile", PROFILES)):
        _print("\n" + columns((title, "meaning"), list(meanings.items()), "<<"))
    return PASS


def _stage_rows(stage: Stage) -> list[tuple[str, str, str, str]]:
    """The inputs of a stage, and its output."""
    arrays = [(name, "a number" if axes == "()" else axes) for name, axes in stage.inputs.items()]
    rows = [("", name, axes, "") for name, axes in arrays]
    rows[0] = (stage.name, *rows[0][1:3], stage.formula)
    return [*rows, ("", "output", stage.output, "")]


# check


def _check_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    start = time.perf_counter()
    done: list[Result] = []
    for result in results():
        done.append(result)
        _progress(f"{len(done)} checks, {result.what}")
    _progress("")
    failed = [result for result in done if not result.passed]
    summary = _summary(done, failed, time.perf_counter() - start)
    if options.json:
        _print(json.dumps(_as_json(done, summary), indent=2))
    else:
        rows = [
            (r.what, r.dtype, f"{r.error:.1e}", f"{r.limit:.0e}" if r.limit else "0", r.verdict)
            for r in done
        ]
        _print(columns(("what", "dtype", "worst error", "limit", "verdict"), rows, "<<>><"))
        _print("\n" + fill(summary, _WIDTH, break_long_words=False, break_on_hyphens=False))
    if any(result.verdict == "fail" for result in failed):
        return FAIL
    return INCONCLUSIVE if failed else PASS


def _summary(done: Sequence[Result], failed: Sequence[Result], seconds: float) -> str:
    where = f"numixology {__version__} on NumPy {np.__version__}, {seconds:.1f} s"
    if failed:
        names = ", ".join(result.what for result in failed[:3])
        verdict = "FAILED" if any(r.verdict == "fail" for r in failed) else "INCONCLUSIVE"
        return f"{verdict}: {len(failed)} of {len(done)} checks ({where}): {names}"
    doubles = [r for r in done if r.dtype == "float64"]
    worst = max(r.error for r in doubles if r.unit != "ulp")
    ulps = max(r.error for r in doubles if r.unit == "ulp")
    return (
        f"PASSED: {len(done)} checks ({where}): first and second gradients of all "
        f"{len(every_primitive())} primitives, the functions, modules, block and model equal "
        f"complex steps, fused gradients equal their compositions up to third order, outputs and "
        f"gradients equal 50-digit golden values, all within {worst:.0e} in float64 (erf "
        f"and the activations, entry by entry, within {ulps:.0f} ulp), and the laws of mixing hold."
    )


def _as_json(done: Sequence[Result], summary: str) -> dict[str, Any]:
    return {
        "numixology": __version__,
        "numpy": np.__version__,
        "passed": all(result.passed for result in done),
        "summary": summary,
        "checks": [
            {name: _finite(value) for name, value in result._asdict().items()} for result in done
        ],
    }


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they are words."""
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def _progress(message: str) -> None:
    """One line that overwrites itself, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{message[:78]}", end="", file=sys.stderr, flush=True)


def _print(text: str) -> None:
    """Print, with a question mark for what the output cannot encode."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "replace").decode(encoding), flush=True)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
