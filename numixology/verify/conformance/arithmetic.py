"""Promises about numbers, and properties of them that are neither right nor wrong.

A gradient is linear in its cotangent, -inf is an entry like others for a softmax, and sums have as
many digits as a backend says.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from ...array import Array
from .bench import COTANGENT, Bench, Results, Trial, with_arrays
from .bounds import GUARD
from .calling import called
from .cases import Case, truth_of
from .formats import FORMATS, format_of
from .stages import NETWORKS

__all__ = ["linear", "masked", "sums", "tiny_results"]


def linear(bench: Bench) -> Iterator[Trial]:
    """Cotangents of zeros, larger and smaller ones, and two that add up to a third."""
    if "vjp" not in bench.functions:
        return
    case, form = bench.case, format_of(bench.case.dtype)
    base = {name: one.astype(np.float64) for name, one in bench.base.items() if name != "output"}
    scales = {name: bench.scales()[name] for name in base}
    least = 2.0**form.lowest / (GUARD * form.unit)  # to flush subnormals is no less linear
    largest = max(float(scale.max(initial=0.0)) for scale in scales.values())
    for factor in (0.0, 2.0**10, 2.0**20, 2.0**-10, 2.0**-40):  # which round nothing
        if largest * factor < 2.0 ** (form.highest - 2):
            scaled = case._replace(cotangent=form.stored(case.cotangent * factor))
            when = f"with a cotangent {factor:g} times as large"
            wanted = {name: form.stored(factor * one) for name, one in base.items()}
            by = {name: factor * scale + least for name, scale in scales.items()}
            call, slack = partial(bench.ask, scaled, ["vjp"]), 2.0 if factor else 0.0
            yield Trial(when, call, wanted, f"{factor:g} times the first", by, slack)
    odd = np.indices(case.cotangent.shape).sum(axis=0) % 2 == 1
    parts = [case._replace(cotangent=case.cotangent * one) for one in (odd, ~odd)]

    def summed() -> Results:
        first, second = (bench.ask(part, ["vjp"]) for part in parts)
        return {name: first[name].astype(np.float64) + second[name] for name in first}

    when, than = "with the parts of a cotangent one after the other", "that of the whole"
    one, other = map(bench.scales, parts)
    yield Trial(when, summed, base, than, {name: one[name] + other[name] for name in base}, slack=3)


def masked(bench: Bench) -> Iterator[Trial]:
    """Scores of -inf, of which the exponential is 0; where all are, 0 and NaN are both right."""
    if bench.case.stage != "softmax" or not bench.right():
        return
    plain = bench.made("softmax", B=2, T=3, D=300)

    def case(score: float) -> Case:
        """With a row, half of a row, and every other entry of the other rows masked."""
        x = plain.inputs["x"].copy()
        rows = x.reshape(-1, x.shape[-1])
        rows[0] = rows[1, : x.shape[-1] // 2] = rows[2:, 1::2] = score
        rows[3:4, ::2] = -3e4
        return with_arrays(plain, {"x": x})

    finite = case(-6e4)  # of which the exponential is 0 too
    wanted = truth_of(finite).tensors

    def infinite() -> Results:
        got = bench.ask(case(-np.inf))
        for name, one in got.items():
            if np.isnan(one[0, 0]).all() or not one[0, 0].any():
                one[0, 0] = wanted[name][0, 0]
        return got

    trial = bench.trial("with scores of -6e4", wanted, "is right", finite, slack=4)
    yield trial
    yield trial._replace(when="with scores of -inf", call=infinite)


# Properties ---------------------------------------------------------------------------


#: What three numbers among zeros add up to, of which two cancel. It is small, so that those two
#: may be as many times larger as a format has digits.
_ONE = 2.0**-9


def sums(bench: Bench) -> Iterator[str]:
    """How many digits its sums keep: 2ᵖ⁻¹ + 1 - 2ᵖ⁻¹ is 1 with p of them, and 0 with fewer."""
    about, form = bench.about, format_of(bench.case.dtype)
    names = {one.digits: one.name for one in FORMATS.values() if one.digits - 10 < form.highest}
    kept: dict[str, int] = {}
    for case, function, lanes in _with_sums(bench, sorted(names)):
        truth = truth_of(case).tensors
        for tensor, got in bench.ask(case, [function]).items():
            seen = truth[tensor] == _ONE
            right = np.abs(got - _ONE) < _ONE / 4
            if tensor != "x" and seen.any():
                lost = np.broadcast_to(lanes, seen.shape)[seen & ~right]
                kept[tensor] = max((p for p in names if p < lost.min(initial=99)), default=0)
    least = min(kept.values(), default=0)
    if not least:  # no sums are seen, or something else is wrong with them
        return
    where = " and the ".join(called(tensor) for tensor, p in kept.items() if p == least)
    text = f"sums in the {where} keep {least} digits, as in {names[least]}"
    declared = min(format_of(about.accumulation).digits, max(names))
    if least >= declared or "sums" in about.profile:
        bench.remarks.append(text)
    else:
        yield f"{text}; it declares {about.accumulation}, which has {declared}"


def _with_sums(bench: Bench, levels: Sequence[int]) -> Iterator[tuple[Case, str, Array]]:
    """Cases with sums of three numbers, what to call, and the digits that each sum needs."""
    form, stage = format_of(bench.case.dtype), bench.case.stage
    if stage == "linear":  # over the features
        wide = bench.made(stage, B=4, T=16, D=4096, F=3)
        x, weight, bias = (wide.inputs[name] * 0 for name in ("x", "weight", "bias"))
        digits = np.resize(levels, x.shape[:2])
        x = form.stored(_sparse(digits.ravel(), x.shape[-1])).reshape(x.shape)
        inputs = {"x": x, "weight": weight + 1, "bias": bias}
        yield with_arrays(wide, inputs), "forward", digits[..., None]
    if "vjp" in bench.functions:  # over the rows
        case = bench.made(stage, B=32, T=16, D=64, F=64, H=16)
        ids = {"ids": case.inputs["ids"] * 0} if stage == "embedding" else {}
        shape = case.cotangent.shape
        digits = np.resize(levels, shape[-1])
        ct = form.stored(_sparse(digits, shape[0] * shape[1]).T).reshape(shape)
        yield with_arrays(case, {**ids, COTANGENT: ct}), "vjp", digits


def _sparse(digits: Array, length: int) -> Array:
    """Rows of zeros, but for 2ᵖ⁻¹, 1 and -2ᵖ⁻¹ at random places."""
    rng, found = np.random.default_rng(length), np.zeros((len(digits), length))
    for p, row in zip(digits.tolist(), found, strict=True):
        row[rng.permutation(length)[:3]] = 2.0 ** (p - 1), 1.0, -(2.0 ** (p - 1))
    return _ONE * found


def tiny_results(bench: Bench) -> Iterator[str]:
    """Whether results below the smallest normal number are kept, or come out as zero."""
    case, form = bench.case, format_of(bench.case.dtype)
    tiny, inputs = 2.0 ** (form.lowest - 2), case.inputs
    linear_in = [name for name in ("weight", "bias") if name in inputs] or ["x"]
    small = {name: form.stored(inputs[name] * tiny) for name in linear_in if name in inputs}
    if case.stage in NETWORKS:
        small = {}
    elif case.stage == "softmax":
        places = np.arange(inputs["x"].shape[-1]) % 2
        small = {"x": form.stored(inputs["x"] + np.log(tiny) * places)}
    tries = {
        "forward": case._replace(inputs={**inputs, **small}),
        "vjp": case._replace(cotangent=form.stored(case.cotangent * tiny)),
    }
    zero: list[bool] = []
    for function in bench.functions if small else bench.functions[1:]:
        truth = truth_of(tries[function]).tensors
        for tensor, got in bench.ask(tries[function], [function]).items():
            true = np.abs(truth[tensor])
            zero += (got == 0)[(true > 4 * form.smallest) & (true < 2.0**form.lowest)].tolist()
    if not zero:
        return
    become = "come out as zero" if all(zero) else "come out as zero at times"
    text = f"results below the smallest normal number {become if any(zero) else 'are kept'}"
    declared = bench.about.subnormals
    if declared not in (None, "flushed" if any(zero) else "kept"):
        text += f"; it declares that they are {declared}"
    if declared == "kept" and any(zero):
        yield text
    else:
        bench.remarks.append(text)
