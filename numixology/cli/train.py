"""Train a small network on a task that it cannot learn unless its tokens see each other, or on a
table, and print how far it comes with one mixing or another. A task takes five seconds a mixing."""

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
from ..explain import Chart, Scene, Series, panel_text
from ..functional import binary_cross_entropy_with_logits
from ..modes import no_grad
from ..nn import Module
from ..nn.mixers import MixingName
from ..optim import Adam
from ..tensors import Tensor
from ..text import columns, filled
from ..training import (
    TASKS,
    FeatureTable,
    TableModel,
    TaskModel,
    auc,
    generated_table,
    load,
    read_csv,
    save,
    train,
)
from .parsing import natural, subcommands
from .printing import bar, progress, say, write

_SAVE = "save the state every 50 steps and at the end (.npz or .safetensors)"
#: Steps between two savings, losses that are printed, points of a curve, rows of a batch, and rows
#: of those held out that are scored at once.
_EVERY, _PRINTED, _POINTS, _BATCH, _ROWS = 50, 11, 100, 256, 10_000
_TABLE = """Train a small network on a table, the generated one or your own, and rank rows that
were held out. In a CSV file a column of more than 10 different numbers is numeric, unless it is
named as categorical; any other is categorical."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be typed."""
    subjects = subcommands(parser, "subject", "TASK")
    for name, task in TASKS.items():
        subject = subjects.add_parser(name, help=task.about)
        _add_training(subject, 600, ["rankmixer"])
        subject.set_defaults(run=_run_task, csv=None, target=None, categorical=[])
    about = "rows of features, to the AUC of a target"
    table = subjects.add_parser("table", help=about, description=_TABLE)
    table.add_argument("--csv", metavar="FILE", help="a table; its first line names the columns")
    table.add_argument("--target", metavar="COLUMN", help="the column to predict, with two labels")
    table.add_argument(
        "--categorical", action="append", default=[], metavar="COLUMN",
        help="a column whose numbers are ids; repeatable",
    )  # fmt: skip
    _add_training(table, 300, ["identity", "rankmixer", "matrix", "attention"])
    table.set_defaults(run=_run_table)


def _add_training(
    subject: argparse.ArgumentParser, steps: int, mixings: Sequence[MixingName]
) -> None:
    add, known = subject.add_argument, get_args(MixingName)
    about = f"how tokens mix: {', '.join(known)}; repeatable ({', '.join(mixings)})"
    add("--mixing", action="append", choices=known, metavar="NAME", help=about)
    add("--steps", type=int, default=steps, metavar="N", help=f"steps of Adam, in all ({steps})")
    add("--seed", type=natural, default=0, metavar="N", help="seed of random numbers (0)")
    add("--svg", type=Path, metavar="FILE", help="draw the loss as a figure")
    add("--save", type=Path, metavar="FILE", help=_SAVE)
    subject.set_defaults(mixings=mixings)
    add("--resume", action="store_true", help="go on from the file of --save")


class _Trained(NamedTuple):
    """A model after its training, and the loss before each step."""

    mixing: str
    model: Any
    losses: Sequence[float]
    seconds: float


def _run_task(options: argparse.Namespace) -> None:
    task = TASKS[options.subject]
    make = partial(TaskModel, task)
    runs = [*_trained(options, make, lambda model, rng: task.loss(model))]
    losses = [task.loss(run.model).item() for run in runs]
    rows = [
        [run.mixing, f"{loss:.6f}", f"{task.bound:.6f}", f"{run.seconds:.1f}"]
        for run, loss in zip(runs, losses, strict=True)
    ]
    header = ["mixing", "loss", "least without mixing", "seconds"]
    bound = Series("least without mixing", len(runs[0].losses) * (task.bound,))
    _show(options, task.about, columns(header, rows, "<>>>"), runs, bound)


def _run_table(options: argparse.Namespace) -> None:
    rng = np.random.default_rng(options.seed)
    if (options.csv is None) != (options.target is None):
        invariant, instead = "--csv and --target go together", "give both, or neither"
        raise ArgumentError(invariant, "one of them", instead)
    if options.categorical and options.csv is None:
        raise ArgumentError("--categorical names columns of a file", "none", "name it with --csv")
    whole = (
        read_csv(options.csv, options.target, categorical=options.categorical)
        if options.csv
        else generated_table(rng=rng)
    )
    order = rng.permutation(len(whole.target))
    cut = len(order) * 3 // 4
    rows, held_out = whole.rows(order[:cut]), whole.rows(order[cut:])
    if len({*rows.target}) < 2 or len({*held_out.target}) < 2:
        invariant = "both labels are among the rows to train on and among those held out"
        raise ArgumentError(invariant, f"a table of {len(order)} rows", "take a longer one")

    def loss(model: TableModel, rng: np.random.Generator) -> Tensor:
        return rows.rows(rng.integers(cut, size=_BATCH)).loss(model)

    runs = [*_trained(options, partial(TableModel, whole), loss)]
    table = [[run.mixing, *_judged(run.model, held_out), f"{run.seconds:.1f}"] for run in runs]
    header = ["mixing", "parameters", "loss", "AUC", "seconds"]
    p = rows.target.mean()
    guess = Series("a constant", len(runs[0].losses) * (-p * np.log(p) - (1 - p) * np.log(1 - p),))
    count = whole.ids.shape[1]
    kinds = {"categories": whole.names[:count], "numbers": whole.names[count:]}
    read = [f"{kind} {', '.join(names)}" for kind, names in kinds.items() if names]
    about = f"{'; '.join(read)}; {cut:,} rows, {len(order) - cut:,} held out"
    _show(options, about, columns(header, table, "<>>>>"), runs, guess)


def _judged(model: TableModel, held_out: FeatureTable) -> list[str]:
    """The number of parameters, and loss and AUC on rows that were not trained on."""
    features, target = np.hstack([held_out.ids, held_out.numbers]), held_out.target
    # each different row once, since a row's place in a batch may change its last digit
    _, rows, place = np.unique(features, axis=0, return_index=True, return_inverse=True)
    with no_grad():
        runs = [held_out.rows(rows[i : i + _ROWS]) for i in range(0, len(rows), _ROWS)]
        parts = [model(run.ids, run.numbers).data for run in runs]
    scores = np.concatenate(parts)[place.ravel()]
    loss = float(binary_cross_entropy_with_logits(scores, target))
    return [f"{model.parameter_table().total:,}", f"{loss:.4f}", f"{auc(scores, target):.4f}"]


def _trained(
    options: argparse.Namespace,
    make: Callable[..., Module],
    loss: Callable[[Any, np.random.Generator], Tensor],
) -> Iterator[_Trained]:
    """A model for each mixing, trained from the same seed."""
    positive(**{"--steps": options.steps})
    names = options.mixing or options.mixings
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
    table = options.csv, options.target, *options.categorical
    settings = json.dumps([options.subject, name, options.seed, *table])
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
    """The table, and the losses: some of them here, and as curves in a file."""
    last = len(runs[0].losses)
    curves = [*(Series(run.mixing, tuple(run.losses)) for run in runs), bound]

    def chart(most: int) -> Chart:
        points = sorted({*np.linspace(0, last - 1, most, dtype=int).tolist()})
        chosen = tuple(Series(one.name, tuple(one.values[i] for i in points)) for one in curves)
        x = tuple(float(i + 1) for i in points)
        return Chart("Loss before each step", "step", x, "nats", chosen, log_y=True)

    title = f"{options.subject}: {about}"
    say(f"{filled(title)}\n\n{table}\n\n{panel_text(chart(_PRINTED))}")
    if options.svg:
        about = f"The loss over {last} steps of Adam."
        write(options.svg, Scene(title, about, (chart(_POINTS),)).svg())
