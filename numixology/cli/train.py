"""Train a small network on a task that it cannot learn unless its tokens see each other, and see
how far it comes with one mixing or another."""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from ..checks import positive
from ..errors import ArgumentError
from ..explain import Chart, Scene, Series, chart_plot
from ..nn import Module
from ..nn.mixers import MixingName
from ..optim import Adam
from ..tensors import Tensor
from ..text import columns
from ..training import TASKS, TaskModel, load, save, train
from .parsing import natural, subcommands
from .printing import bar, progress, say, write

_SAVE = "save the state there every 50 steps and at the end (.npz or .safetensors)"
#: Steps between two savings, and points of a curve that are drawn.
_EVERY, _POINTS = 50, 100


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be typed."""
    subjects = subcommands(parser, "subject", "WHAT")
    for name, task in TASKS.items():
        subject = subjects.add_parser(name, help=task.about)
        _add_training(subject)
        subject.set_defaults(run=_run_task)


def _add_training(subject: argparse.ArgumentParser) -> None:
    add, mixings = subject.add_argument, get_args(MixingName)
    about = f"{', '.join(mixings)}; repeat for more (rankmixer)"
    add("--mixing", action="append", choices=mixings, metavar="NAME", help=about)
    add("--steps", type=int, default=600, metavar="N", help="of Adam, in all (600)")
    add("--seed", type=natural, default=0, metavar="N", help="of all that is random (0)")
    add("--svg", type=Path, metavar="FILE", help="draw the loss there too")
    add("--save", type=Path, metavar="FILE", help=_SAVE)
    add("--resume", action="store_true", help="go on from the file that --save names")


class _Trained(NamedTuple):
    """A model after its training, and the loss before each step."""

    mixing: str
    model: Any
    losses: Sequence[float]
    seconds: float


def _run_task(options: argparse.Namespace) -> None:
    task = TASKS[options.subject]
    make = partial(TaskModel, task)
    runs = [*_trained(options, ["rankmixer"], make, lambda model, rng: task.loss(model))]
    losses = [task.loss(run.model).item() for run in runs]
    rows = [
        [run.mixing, f"{loss:.6f}", f"{task.bound:.6f}", f"{run.seconds:.1f}"]
        for run, loss in zip(runs, losses, strict=True)
    ]
    header = ["mixing", "loss", "least without mixing", "seconds"]
    bound = Series("least without mixing", len(runs[0].losses) * (task.bound,))
    _show(options, task.about, columns(header, rows, "<>>>"), runs, bound)


def _trained(
    options: argparse.Namespace,
    mixings: Sequence[str],
    make: Callable[..., Module],
    loss: Callable[[Any, np.random.Generator], Tensor],
) -> Iterator[_Trained]:
    """A model for each mixing, trained from the same seed."""
    positive(**{"--steps": options.steps})
    names = options.mixing or mixings
    if options.save and len(names) > 1:
        raise ArgumentError("a file has one training", f"{len(names)} mixings", "give one --mixing")
    if options.resume and not options.save:
        raise ArgumentError("--resume goes on from a file", "none", "name it with --save")
    if options.save and options.save.exists() and not options.resume:
        invariant, got = "--save replaces no other training", f"{options.save}, which exists"
        raise ArgumentError(invariant, got, "go on from it with --resume, or choose another")
    for name in names:
        rng = np.random.default_rng(options.seed)
        model, start = make(mixing=name, rng=rng), time.perf_counter()
        losses = _losses(options, name, model, partial(loss, model, rng), rng)
        yield _Trained(name, model, losses, time.perf_counter() - start)
    progress("")


def _losses(
    options: argparse.Namespace,
    name: str,
    model: Module,
    loss: Callable[[], Tensor],
    rng: np.random.Generator,
) -> list[float]:
    """Train, from the beginning or from where the file ends, and save now and then."""
    optimizer = Adam(model.parameters(), lr=3e-3)
    settings = json.dumps([options.subject, name, options.seed])
    losses: list[float] = []
    if options.resume:
        saved = bytes(load(options.save).get("settings", b"")).decode()
        if saved != settings:
            invariant = f"--resume goes on with the training in {options.save}"
            raise ArgumentError(invariant, f"{settings} for {saved or 'none'}", "type the same")
        losses = load(options.save, model=model, optimizer=optimizer, rng=rng)["losses"].tolist()

    def keep() -> None:
        if options.save:
            text = np.frombuffer(settings.encode(), np.uint8)
            state = {"model": model, "optimizer": optimizer, "rng": rng, "losses": losses}
            save(options.save, **state, settings=text)

    keep()  # a file that cannot be written is known before the training
    for value in train(loss, optimizer, options.steps):
        losses.append(value)
        bar(f"{name} {value:.4f}", optimizer.steps / options.steps)
        if optimizer.steps % _EVERY == 0:
            keep()
    keep()
    return losses


def _show(
    options: argparse.Namespace, about: str, table: str, runs: Sequence[_Trained], bound: Series
) -> None:
    """The table, and the losses as curves, here and in a file."""
    last = len(runs[0].losses)
    points = sorted({*np.linspace(0, last - 1, _POINTS, dtype=int).tolist()})
    curves = [*(Series(run.mixing, tuple(run.losses)) for run in runs), bound]
    chosen = tuple(Series(one.name, tuple(one.values[i] for i in points)) for one in curves)
    x = tuple(float(i + 1) for i in points)
    chart = Chart("Loss before each step", "step", x, "nats", chosen, log_y=True)
    title = f"{options.subject}: {about}"
    say(f"{title}\n\n{table}\n\n{chart_plot(chart)}")
    if options.svg:
        write(options.svg, Scene(title, f"The loss over {last} steps of Adam.", (chart,)).svg())
