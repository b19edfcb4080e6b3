"""One step of training of the smaller of the paper's models, with k = 4, beside torch.

    python tests/benchmarks/step.py --write docs/cost_step.txt

Forward, backward and Adam on a batch of 512 in float32 with one thread; the loss is the mean square
error to random targets. Both start from the same parameters. Each has a process, and so a peak of
memory, of its own, and takes turns, of which the first does not count. Seconds are the processor's:
what else the machine does is not in them.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is loaded
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np

import numixology as nx
from numixology.explain.cost.closed_forms import value

BATCH, RATE = 512, 1e-3
#: Of N of the paper's blocks, as the closed form of one of them has it.
PARAMETERS, FLOPS = "2NTDF + NTF + NTD + 4ND", "4NBTDF + 17NBTD + 6NBTF + 4NBT"
PHASES = ("forward", "backward", "Adam")

Phases = tuple[Callable[[], Any], ...]


class Sizes(NamedTuple):
    """T, which is H too, D, and the number of blocks."""

    num_tokens: int
    hidden_dim: int
    num_layers: int

    def count(self, formula: str, batch: int = 1) -> int:
        T, D, N = self
        return value(formula, {"B": batch, "T": T, "D": D, "N": N, "F": 4 * D})


MODEL = Sizes(16, 768, 2)


class Stack(nx.nn.Module):
    """The paper's blocks, one after another."""

    def __init__(self, sizes: Sizes, dtype: str = "float32") -> None:
        T, D, N = sizes
        how = {"norm": "post", "ffn": "per_token", "dropout": 0.0, "dtype": dtype}
        rng = np.random.default_rng(0)
        self.blocks = [nx.nn.RankMixerBlock(T, D, T, rng=rng, **how) for _ in range(N)]

    def forward(self, x: nx.Tensor) -> nx.Tensor:
        for block in self.blocks:
            x = block(x)
        return x


def problem(sizes: Sizes, batch: int) -> tuple[Any, Any, Any]:
    """The model, its inputs and targets."""
    model = Stack(sizes)
    shape = (batch, sizes.num_tokens, sizes.hidden_dim)
    rng = np.random.default_rng(1)
    x, target = (rng.standard_normal(shape, dtype=np.float32) for _ in range(2))
    return model, x, target


def of_numixology(sizes: Sizes, batch: int) -> Phases:
    """The three phases of a step; the first returns the loss."""
    model, x, target = problem(sizes, batch)
    optimizer = nx.optim.Adam(model.parameters(), lr=RATE)
    held = {}

    def forward() -> float:
        optimizer.zero_grad()
        held["loss"] = nx.functional.mse_loss(model(x), target)
        return held["loss"].item()

    return forward, lambda: held.pop("loss").backward(), optimizer.step


def of_torch(sizes: Sizes, batch: int) -> Phases:
    """The same calculation."""
    torch = import_module("torch")
    torch.set_num_threads(1)
    model, x, target = problem(sizes, batch)
    x, target = torch.from_numpy(x), torch.from_numpy(target)
    leaves = {name: torch.from_numpy(p).requires_grad_() for name, p in model.state_dict().items()}
    count, T, D = len(model.blocks), sizes.num_tokens, sizes.hidden_dim
    del model
    optimizer = torch.optim.Adam(leaves.values(), lr=RATE)
    functional, held = torch.nn.functional, {}

    def norm(name: str, x: Any) -> Any:
        return functional.layer_norm(x, (D,), leaves[f"{name}.weight"], leaves[f"{name}.bias"])

    def linear(name: str, h: Any) -> Any:
        """h (T, B, in) to (T, B, out)."""
        weight, bias = leaves[f"{name}.weight"], leaves[f"{name}.bias"]
        return torch.baddbmm(bias[:, None], h, weight.transpose(1, 2))

    def block(name: str, x: Any) -> Any:
        mixed = x.view(batch, T, T, D // T).transpose(1, 2).reshape(x.shape)
        s = norm(f"{name}.mixer.norm", x + mixed)
        h = linear(f"{name}.ffn.linear1", s.transpose(0, 1))
        h = linear(f"{name}.ffn.linear2", functional.gelu(h))
        return norm(f"{name}.ffn.norm", s + h.transpose(0, 1))

    def forward() -> float:
        optimizer.zero_grad()
        y = x
        for i in range(count):
            y = block(f"blocks.{i}", y)
        held["loss"] = functional.mse_loss(y, target)
        return held["loss"].item()

    return forward, lambda: held.pop("loss").backward(), optimizer.step


ENGINES = {"numixology": of_numixology, "torch": of_torch}


def measured(engine: str, sizes: Sizes, batch: int, turns: int) -> dict[str, Any]:
    """The fastest time of each phase, the loss before every step, and the peak memory."""
    start = time.process_time()
    phases = ENGINES[engine](sizes, batch)
    found: dict[str, Any] = {"build": time.process_time() - start, "losses": []}
    times: dict[str, list[float]] = {name: [] for name in PHASES}
    for _ in range(1 + turns):
        for name, phase in zip(PHASES, phases, strict=True):
            start = time.process_time()
            loss = phase()
            times[name].append(time.process_time() - start)
            if name == "forward":
                found["losses"].append(loss)
    found |= {name: min(each[1:]) for name, each in times.items()}
    return found | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def lines(found: dict[str, dict[str, Any]], batch: int) -> Iterator[str]:
    """The table."""
    flops = 3 * MODEL.count(FLOPS, batch)  # the backward has two products for each
    has = f"{MODEL.count(PARAMETERS):,} parameters"
    yield f"RankMixer-100M: {has}, B = {batch}, float32, one thread, processor time"
    yield f"NumPy {np.__version__}"
    yield ""
    yield f"{'':22}" + "".join(f"{name:>12}" for name in found)
    for phase in ("build", *PHASES):
        yield f"{phase + ', s':22}" + "".join(f"{one[phase]:12.2f}" for one in found.values())
    steps = [sum(one[phase] for phase in PHASES) for one in found.values()]
    yield f"{'a step, s':22}" + "".join(f"{step:12.2f}" for step in steps)
    yield f"{'billions a second':22}" + "".join(f"{flops / step / 1e9:12.0f}" for step in steps)
    yield f"{'peak memory, GB':22}" + "".join(
        f"{one['peak'] / 1e9:12.1f}" for one in found.values()
    )
    for i, when in enumerate(("before", "after one step")):
        losses = [one["losses"][i] for one in found.values()]
        yield f"{'loss ' + when:22}" + "".join(f"{loss:12.5f}" for loss in losses)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=BATCH, help=f"B ({BATCH})")
    parser.add_argument("--turns", type=int, default=2, help="steps that count (2)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table there")
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.engine:
        print(json.dumps(measured(options.engine, MODEL, options.batch, options.turns)))
        return
    found = {}
    for engine in ENGINES:
        command = [sys.executable, __file__, "--engine", engine, "--turns", str(options.turns)]
        command += ["--batch", str(options.batch)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found[engine] = json.loads(done.stdout)
    text = "\n".join(lines(found, options.batch))
    print(text)
    if options.write:
        options.write.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
