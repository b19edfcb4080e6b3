"""Does a training that is killed lose what it has saved?

    python tests/sweeps/kills.py --kills 100

A process trains with dropout and saves after every step. It is killed, as by a loss of power, a
random moment after its first save; then the file is loaded and another process goes on from it.
Every time the file must be whole, no older than the last one, and to the bit what a training that
is never killed has after as many steps. An unfinished file beside it shows that the kill fell into
the middle of a save.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

import numixology as nx
from numixology.training import TASKS, TaskModel, train


class Training:
    """Model, optimizer and random state, and the losses so far."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        model = TaskModel(TASKS["cross"], dropout=0.1, rng=rng)
        optimizer = nx.optim.Adam(model.parameters(), lr=3e-3)
        self.parts = {"model": model, "optimizer": optimizer, "rng": rng}
        self.losses: list[float] = []

    def load(self, path: Path) -> None:
        self.losses = nx.load(path, **self.parts)["losses"].tolist()

    def save(self, path: Path) -> None:
        nx.save(path, **self.parts, losses=self.losses)

    def steps(self, until: int):
        model = self.parts["model"]
        for loss in train(lambda: TASKS["cross"].loss(model), self.parts["optimizer"], until):
            self.losses.append(loss)
            yield loss


def train_and_save(path: Path) -> None:
    """What is killed."""
    training = Training()
    if path.exists():
        training.load(path)
    for _ in training.steps(sys.maxsize):
        training.save(path)


class Found(NamedTuple):
    """How many kills there were, what they did, and how many steps were taken."""

    kills: int
    inside_saves: int
    lost: int
    steps: int


def killed(kills: int, folder: Path, seed: int = 0, longest: float = 0.2) -> Found:
    """Kill a training so often, and compare each file with a training that is never killed.

    ``longest`` is the longest wait between the first save and the kill, in seconds.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    rng, path, other = np.random.default_rng(seed), folder / "run.npz", folder / "reference.npz"
    reference, before, lost = Training(), 0, 0
    for _ in range(kills):
        made = path.stat().st_mtime_ns if path.exists() else 0
        process = context.Process(target=train_and_save, args=(path,))
        process.start()
        while not path.exists() or path.stat().st_mtime_ns == made:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, longest))
        process.kill()
        process.join()
        after = int(nx.load(path)["optimizer.steps"])
        for _ in reference.steps(after):
            pass
        reference.save(other)
        lost += after <= before or path.read_bytes() != other.read_bytes()
        before = after
    inside = len(list(folder.glob("run.npz.*.tmp")))
    return Found(kills, inside, lost, before)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        found = killed(options.kills, Path(folder), options.seed)
    print(
        f"{found.kills} kills in {time.perf_counter() - start:.0f} s, {found.inside_saves} of them"
        f" in the middle of a save, over {found.steps} steps: {found.lost} lost what was saved"
    )
    return found.lost > 0


if __name__ == "__main__":
    sys.exit(main())
