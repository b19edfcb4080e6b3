"""A backend on the bench: every call of it is watched, and two answers of it can be compared.

Whatever a backend is called for, it must leave alone what it is given, return memory that nobody
else has, and not touch it later.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ...array import Array
from .adapter import Declaration
from .bounds import Measured, Prepared, measured
from .calling import Fault, Refused, asked, called
from .cases import Case, make_case, truth_of
from .memory import held, intruders
from .scales import Scales, scales_of
from .sizes import fitted, letters_of

__all__ = ["COTANGENT", "Bench", "Results", "Trial", "arrays_of", "with_arrays"]

Results = dict[str, Array]

#: What the cotangent is called among the arrays.
COTANGENT = "its cotangent"


class Trial(NamedTuple):
    """A promise: what is done, and what must come of it.

    Attributes:
        when: what is done, in words.
        call: does it.
        wanted: what must come, by tensor; what else comes does not matter.
        than: what that is, in words; if empty, ``when`` says all that there is to say.
        scales: by what errors are measured.
        slack: how many bounds it may be off.
        part: which part of the output and of the gradient of x is meant.
        narrower: what to try if it fails, to say more.
        again: does it once more with all that led to it, if that is more than the call.
    """

    when: str
    call: Callable[[], Results]
    wanted: Results
    than: str
    scales: Scales
    slack: float = 2.0
    part: Any = ...
    narrower: Sequence["Trial"] = ()
    again: Callable[[], Results] | None = None


def arrays_of(case: Case, functions: Collection[str]) -> Results:
    """The arrays with which forward or vjp is called, by name."""
    arrays = {name: one for name, one in case.inputs.items() if isinstance(one, np.ndarray)}
    return arrays | {COTANGENT: case.cotangent} if "vjp" in functions else arrays


def with_arrays(case: Case, arrays: Mapping[str, Array]) -> Case:
    """A case with some of its arrays replaced."""
    inputs = {**case.inputs, **arrays}
    return case._replace(cotangent=inputs.pop(COTANGENT, case.cotangent), inputs=inputs)


class Bench:
    """A backend, with the case on which its promises are tried.

    Args:
        about: the backend, and what it says of itself.
        one: a case with several rows in its batch; ``base`` is what the backend says of it.
        backward: whether its gradients are tried.

    Raises:
        Fault: what it says of that case cannot be compared.
        Refused: it does not cover that case.
    """

    def __init__(self, about: Declaration, one: Prepared, backward: bool) -> None:
        self.about, self.one, self.case = about, one, one.case
        self.functions = ("forward", "vjp") if backward else ("forward",)
        self.noted: dict[str, None] = {}
        self.remarks: list[str] = []
        self._scales: dict[int, tuple[Case, Scales]] = {}  # the case is held, so its id is its own
        self._earlier: list[tuple[str, Array, Array]] = []
        self.base = self.ask()

    def ask(
        self,
        case: Case | None = None,
        functions: Collection[str] = (),
        layout: str = "",
        names: Collection[str] = (),
    ) -> Results:
        """What the backend says of a case, where all arrays, or those named, have that layout.

        Raises:
            Fault: what it says cannot be compared.
            Raised: it raises something.
            Refused: it does not cover the case.
        """
        case = case or self.case
        results: Results = {}
        for function in functions or self.functions:
            given = {
                name: held(one, layout if not names or name in names else "")
                for name, one in arrays_of(case, [function]).items()
            }
            laid = with_arrays(case, {name: one.array for name, one in given.items()})
            try:
                returned = asked(self.about, laid, function)
            finally:
                self.noted |= dict.fromkeys(intruders(given))
            self._watch(returned, {name: one.memory for name, one in given.items()})
            results |= {name: np.array(one) for name, one in returned.items()}
        return results

    def trial(
        self,
        when: str,
        wanted: Results,
        than: str,
        case: Case | None = None,
        call: Callable[[], Results] | None = None,
        **more: Any,
    ) -> Trial:
        """A promise about the answer to a case, which is measured by that case's scales."""
        return Trial(when, call or partial(self.ask, case), wanted, than, self.scales(case), **more)

    def made(self, stage: str, **sizes: int) -> Case:
        """A plain case of any stage, of these sizes or the nearest that the backend supports."""
        own = {letter: sizes[letter] for letter in letters_of(stage) if letter in sizes}
        about, dtype = self.about, self.case.dtype
        return make_case(stage, "plain", 0, dtype, fitted(own, about.requires), about.options)

    def _watch(self, returned: Results, given: Mapping[str, Array]) -> None:
        """Note whose memory the results are in, and whether those of earlier calls have changed."""
        shared, seen = [], list(given.items())
        for tensor, array in returned.items():
            shared += [
                f"its {called(tensor)} shares memory with {name}"
                for name, memory in seen
                if np.shares_memory(array, memory) and 0 not in array.strides  # but one number
            ]
            seen.append((f"its {called(tensor)}", array))
        for tensor, array, kept in self._earlier:
            again = any(np.shares_memory(array, one) for one in returned.values())
            if again or not np.array_equal(array, kept, equal_nan=True):
                shared.append(f"a later call overwrites its {called(tensor)}")
        self.noted |= dict.fromkeys(shared)
        latest = [(tensor, array, array.copy()) for tensor, array in returned.items()]
        self._earlier = (latest + self._earlier)[:40]

    def scales(self, case: Case | None = None) -> Scales:
        """By what errors are measured, under what the backend declares."""
        case = case or self.case
        if id(case) not in self._scales:
            truth = self.one.truth if case is self.case else truth_of(case)
            how = self.about.profile, self.one.accumulation, self.one.once
            self._scales[id(case)] = case, scales_of(case, truth, *how)
        return self._scales[id(case)][1]

    def beyond(self, got: Results, trial: Trial) -> dict[str, Measured]:
        """The tensors that are not what they must be, and where each differs most."""
        found = {}
        for name in trial.wanted.keys() & got.keys():
            part = trial.part if name in ("output", "x") else ...
            true = trial.wanted[name][part].astype(np.float64)
            # a wrong answer may be larger than the right one, and with it its roundings
            size = np.where(np.isfinite(true), np.abs(true), 0)
            scale = np.maximum(trial.scales[name][part], size)
            error = measured(got[name][part], true, scale, self.case.dtype)
            if error.error > trial.slack * self.one.bounds[name]:
                found[name] = error
        return {name: found[name] for name in trial.wanted if name in found}

    def right(self) -> bool:
        """Whether the backend is right on its own case, so that others may be held to the truth."""
        return not self.beyond(self.base, self.trial("", self.one.truth.tensors, "", slack=1))

    def tried(self, trial: Trial) -> str:
        """What is wrong, in a sentence; empty if nothing is, and if the backend refuses."""
        try:
            found = self.beyond(trial.call(), trial)
        except Fault as fault:
            return f"{trial.when} {fault}" if trial.wanted else ""
        except Refused as why:
            self.remarks += [f"not covered {trial.when}: {why}"] * bool(trial.wanted)
            return ""
        if not found or not trial.than:
            return trial.when if found else ""
        few = " and another ".join([called(name) for name in found][:3])
        wrong = few if len(found) <= 3 else f"{few} and {len(found) - 3} others"
        name, worst = next(iter(found.items()))
        label = name if name == "output" else f"{name}.grad"
        where = f"{label}{list(worst.place)} is {worst.got:.6g}, not {worst.true:.6g}"
        return f"{trial.when} it returns another {wrong} than {trial.than}: {where}"
