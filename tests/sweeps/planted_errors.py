"""How small an error does gradcheck catch, beside torch's?

    python tests/sweeps/planted_errors.py

In every case of ``numixology check`` an error is planted in one entry of one input's gradient: an
identity whose rule multiplies that entry by 1 + size · max|g| / |g_j|, so that the error is
``size`` of the gradient's largest entry; at the largest entry it multiplies by 1 + size. At order 2
it does so in the gradient of the gradient. Without it the check must pass.

torch's gradcheck and gradgradcheck, as they are by default, are given the same functions. They
compare every entry of the Jacobian on its own, so there the rule multiplies by 1 + size, at the
entry of the largest gradient, where ours is the same error.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

# Run as a script, this file is not where its neighbors are looked for.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sweeps.false_alarms import bent, gradients

import numixology as nx
from numixology.text import columns
from numixology.verify.suite import CASES, Case, _module_cases

SIZES = [10.0**-n for n in range(1, 15)]
#: How many entries of an input are planted in turn.
ENTRIES = 3

# Plants ---------------------------------------------------------------------------------


class Plant:
    """An error in one entry of what passes through backwards, at the last of ``order`` passes."""

    def __init__(self, size: float, entry: int, order: int) -> None:
        self.size, self.entry, self.before = size, entry, order - 1

    def into(self, gradient: np.ndarray) -> np.ndarray:
        """The gradient, wrong in one entry if this is the pass."""
        if self.before:
            return gradient
        wrong = np.array(gradient)
        wrong.flat[self.entry] += self.size * np.copysign(
            np.abs(gradient).max(), gradient.flat[self.entry]
        )
        return wrong


@nx.primitive
def planted(x: Any, *, plant: Plant) -> Any:
    return x


@planted.vjp("x")
def planted_dx(ct: Any, y: Any, x: Any, *, plant: Plant) -> Any:
    if isinstance(ct, nx.Tensor):  # a first pass, which a second will go back through
        plant.before -= 1
        return ct
    return plant.into(ct)


def with_plant(
    fn: Callable[..., Any], which: int, size: float, entry: int, order: int
) -> Callable[..., Any]:
    """The function, with an error in the gradient by one of its inputs."""

    def call(*inputs: Any) -> Any:
        marked = list(inputs)
        marked[which] = planted(inputs[which], plant=Plant(size, entry, order))
        return fn(*marked)

    return call


#: Which input, the size of the error, and in which entry.
Where: TypeAlias = tuple[int, float, int]


class Tool(NamedTuple):
    """A gradient check: does it accept this case, of that order, with such an error or none?"""

    name: str
    accepts: Callable[[Case, int, int, Where | None], bool]


def ours(case: Case, order: int, seed: int, plant: Where | None) -> bool:
    fn = case.fn if order == 1 else bent(case.fn, case.inputs)
    if plant is not None:
        fn = with_plant(fn, *plant, order)
    return nx.gradcheck(fn, *case.inputs, order=order, rng=seed).verdict != "fail"


def in_torch(case: Case, order: int, seed: int, plant: Where | None) -> bool:
    import torch
    from sweeps.in_torch import FUNCTIONS

    class Planted(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, size: float, entry: int) -> Any:
            ctx.size, ctx.entry = size, entry
            return x.clone()

        @staticmethod
        def backward(ctx: Any, ct: Any) -> Any:
            if torch.is_grad_enabled():  # a first pass, which a second will go back through
                return ct, None, None
            wrong = ct.clone().reshape(-1)
            wrong[ctx.entry] *= 1 + ctx.size
            return wrong.reshape(ct.shape), None, None

    def call(*inputs: Any) -> Any:
        marked = list(inputs)
        if plant is not None:
            which, size, entry = plant
            marked[which] = Planted.apply(inputs[which], size, entry)
        return FUNCTIONS[case.name](*marked)

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    fn = call if order == 1 else bent_in_torch(call, case)
    tensors = [torch.tensor(x).requires_grad_(x.dtype.kind == "f") for x in case.inputs]
    check = torch.autograd.gradcheck if order == 1 else torch.autograd.gradgradcheck
    return bool(check(fn, tensors, raise_exception=False))


def bent_in_torch(fn: Callable[..., Any], case: Case) -> Callable[..., Any]:
    """As ``bent`` bends ours."""
    s = float(np.abs(np.asarray(case.fn(*map(nx.tensor, case.inputs)))).max())

    def curved(*inputs: Any) -> Any:
        u = fn(*inputs) / s
        return s * (u + u * u * (1 + u))

    return curved


OURS, TORCH = Tool("numixology", ours), Tool("torch", in_torch)

# Measurements ------------------------------------------------------------------------------


#: How many, and out of how many.
Count: TypeAlias = tuple[int, int]


class Measured(NamedTuple):
    """One line of the table."""

    case: str
    order: int
    ours: float | None
    torch: float | None
    at_12: Count
    at_13: Count
    accepted: Count | None


#: What RankMixer has beside the guide is made of these.
LAYERS = (
    *("Linear", "LayerNorm", "Embedding", "TokenMixer", "TokenMixer, guide", "SwiGLUFeedForward"),
    *(f"FeedForward, {name}" for name in ("gelu", "gelu_tanh", "relu", "silu")),
    *("SelfAttention", "RankMixerBlock", "RankMixerBlock, swiglu", "RankMixerModel on ids"),
)


def cases() -> list[Case]:
    return [*CASES, *(case for case in _module_cases() if case.name in LAYERS)]


def spread(case: Case, order: int, seed: int, most: int) -> Iterator[tuple[int, int]]:
    """Some entries of every floating-point input."""
    rng = np.random.default_rng((seed, order))
    for which, x in enumerate(case.inputs):
        if x.dtype.kind == "f":
            for entry in rng.choice(x.size, min(most, x.size), replace=False):
                yield which, int(entry)


def foremost(case: Case, order: int, seed: int) -> list[tuple[int, int]]:
    """The entry of every floating-point input that has the largest gradient."""
    fn = case.fn if order == 1 else bent(case.fn, case.inputs)
    found = gradients(fn, case.inputs, order, np.random.default_rng((seed, order)))
    places = [i for i, x in enumerate(case.inputs) if x.dtype.kind == "f"]
    return [(i, int(np.argmax(np.abs(g)))) for i, g in zip(places, found, strict=True)]


def smallest(tool: Tool, case: Case, order: int, seed: int) -> float | None:
    """The smallest power of ten of which it and all larger ones are caught, in the first input."""
    which, entry = foremost(case, order, seed)[0]
    caught = None
    for size in SIZES:
        if tool.accepts(case, order, seed, (which, size, entry)):
            break
        caught = size
    return caught


def caught(case: Case, order: int, size: float, seeds: Sequence[int], most: int) -> Count:
    """How many errors of that size ours catches, and out of how many."""
    answers = [
        ours(case, order, seed, (which, size, entry))
        for seed in seeds
        for which, entry in spread(case, order, seed, most)
    ]
    return answers.count(False), len(answers)


def accepted(case: Case, order: int, size: float, seed: int) -> Count:
    """How many errors of that size torch accepts, and out of how many."""
    answers = [
        in_torch(case, order, seed, (which, size, entry))
        for which, entry in foremost(case, order, seed)
    ]
    return answers.count(True), len(answers)


def measure(case: Case, order: int, seeds: Sequence[int], torch: bool, most: int) -> Measured:
    """One line: without an error both tools must accept the case."""
    for tool in (OURS, TORCH) if torch else (OURS,):
        if not tool.accepts(case, order, seeds[0], None):
            raise AssertionError(f"{tool.name} does not accept {case.name}, order {order}")
    return Measured(
        case.name,
        order,
        smallest(OURS, case, order, seeds[0]),
        smallest(TORCH, case, order, seeds[0]) if torch else None,
        caught(case, order, 1e-12, seeds, most),
        caught(case, order, 1e-13, seeds, most),
        accepted(case, order, 1e-3, seeds[0]) if torch else None,
    )


def measured(
    chosen: Sequence[Case], runs: int, seed: int = 0, torch: bool = True, most: int = ENTRIES
) -> Iterator[Measured]:
    seeds = range(seed, seed + runs)
    for case in chosen:
        for order in (1, 2):
            yield measure(case, order, seeds, torch, most)


# The table -----------------------------------------------------------------------------------


def total(pairs: Sequence[Count | None]) -> Count:
    told = [pair for pair in pairs if pair is not None]
    return sum(k for k, _ in told), sum(n for _, n in told)


def shown(pair: Count | None) -> str:
    return "" if pair is None else f"{pair[0]} of {pair[1]}"


def table(rows: Sequence[Measured], torch: bool) -> str:
    """The rows, and a line that sums them up."""

    def power(size: float | None) -> str:
        return "none" if size is None else f"{size:.0e}"

    cells = [
        (
            m.case,
            str(m.order),
            power(m.ours),
            power(m.torch) if torch else "",
            shown(m.at_12),
            shown(m.at_13),
            shown(m.accepted),
        )
        for m in rows
    ]
    header = ("case", "order", "numixology", "torch", "1e-12", "1e-13", "torch accepts 1e-3")
    text = columns(header, cells, "<>>>>>>")
    text += (
        f"\n\nOf errors of 1e-12 {shown(total([m.at_12 for m in rows]))} were caught, "
        f"of 1e-13 {shown(total([m.at_13 for m in rows]))}."
    )
    if torch:
        accepted = shown(total([m.accepted for m in rows]))
        return f"{text}\ntorch accepted {accepted} errors of 1e-3."
    return f"{text}\ntorch is not installed, so its columns are empty."


def good(rows: Sequence[Measured]) -> bool:
    """Whether all errors of 1e-12 were caught, and most of 1e-13."""
    caught, planted = total([m.at_12 for m in rows])
    finer, of = total([m.at_13 for m in rows])
    return caught == planted > 0 and 2 * finer > of


def watched(rows: Iterator[Measured], count: int) -> Iterator[Measured]:
    """The same, with a line on a terminal that counts them."""
    for done, row in enumerate(rows, 1):
        if sys.stderr.isatty():
            end = "\r\x1b[K" if done == count else ""
            print(
                f"\r\x1b[K{done} of {count}: {row.case}{end}", end="", file=sys.stderr, flush=True
            )
        yield row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1, help="how many seeds (1)")
    parser.add_argument("--seed", type=int, default=0, help="the first of them (0)")
    parser.add_argument("--only", metavar="CASE", help="this case alone")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table there too")
    options = parser.parse_args()
    torch = find_spec("torch") is not None
    chosen = [case for case in cases() if options.only in (None, case.name)]
    if not chosen or options.runs < 1:
        parser.error("no such case" if not chosen else "--runs is at least 1")
    found = measured(chosen, options.runs, options.seed, torch)
    rows = list(watched(found, 2 * len(chosen)))
    text = table(rows, torch)
    print(text)
    if options.write:
        options.write.write_text(f"{text}\n", encoding="utf-8")
    return int(not good(rows))


if __name__ == "__main__":
    sys.exit(main())
