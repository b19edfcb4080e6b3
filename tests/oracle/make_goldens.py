"""Make ``numixology/verify/data/goldens.json``: the oracle's values, rounded once to float64.

Each value is calculated with 50 digits, and again with 100: if the two do not round to the same
double, the case is refused. The error that float64 may make is bounded in one of three ways, see
``numixology/verify/goldens.py``; where it is a number, it stands beside the values as ``bounds``,
rounded up to three digits.

Run the script with ``--check`` to compare the file with what it should hold (exit status 1 if it
differs), or with ``--write`` to write it.
"""

import argparse
import hashlib
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mpmath as mp

sys.path.append(str(Path(__file__).resolve().parents[1]))  # where `oracle` is, for a script

from oracle.arithmetic import Bounded, error_of, leaves, mapped
from oracle.elementwise import FUNCTIONS
from oracle.golden_cases import Case, all_cases

SPEC = "0.1"  # golden numbers never change within a version
DIGITS = 50
FILE = Path(__file__).resolve().parents[2] / "numixology" / "verify" / "data" / "goldens.json"

#: Stages whose limits follow from their inputs alone.
WITHOUT_BOUNDS = {*FUNCTIONS, "softmax", "log_softmax", "logsumexp", "embedding", "token_mix"}
WITHOUT_BOUNDS |= {"token_revert"}


def nearest(value: mp.mpf) -> float:
    """The double nearest to value; float() would round a subnormal one twice."""
    if abs(value) < mp.mpf(2) ** -1022:
        return math.ldexp(int(mp.nint(mp.ldexp(value, 1074))), -1074)
    return float(value)


def true_values(case: Case, digits: int) -> dict[str, Any]:
    """Output and gradients, rounded once to float64."""
    with mp.workdps(digits):
        inputs = mapped(mp.mpf, list(case.inputs.values()))
        named = dict(zip(case.inputs, inputs, strict=True))
        output = case.forward(named)
        gradients = case.backward(mapped(mp.mpf, case.cotangent), named)
        smallest = mp.mpf(10) ** (-digits // 2) * max(abs(one) for one in leaves(output))
        if case.stage == "self_attention":
            # Softmax does not see a shift of all keys: what is left of this one is 1e-50.
            zero = gradients["key.bias"]
            if max(abs(one) for one in zero) > smallest:
                raise ArithmeticError("the gradient of the key's bias must be 0")
            gradients["key.bias"] = mapped(lambda one: mp.mpf(0), zero)
        return {
            "output": mapped(nearest, output),
            "gradients": {name: mapped(nearest, gradients[name]) for name in case.inputs},
        }


def bounds(case: Case) -> dict[str, float]:
    """The largest error that float64 may make in each tensor, rounded up to three digits."""
    with mp.workdps(DIGITS):
        if case.bounds is not None:
            found = case.bounds(case)
        else:
            given = {name: mapped(without_error, value) for name, value in case.inputs.items()}
            cotangent = mapped(without_error, case.cotangent)
            tensors = {"output": case.forward(given), **case.backward(cotangent, given)}
            found = {
                name: max(error_of(one) for one in leaves(tensors[name]))
                for name in ("output", *case.inputs)
            }
    return {name: float(f"{float(one) * 1.005:.3g}") for name, one in found.items()}


def without_error(number: float) -> Bounded:
    """What a case begins with; the rounding begins with the first operation."""
    return Bounded(mp.mpf(number), mp.mpf(0))


def golden(case: Case) -> dict[str, Any]:
    """One entry of the file."""
    values = true_values(case, DIGITS)
    if values != true_values(case, 2 * DIGITS):
        raise ArithmeticError(f"{case.stage}, {case.name}: {DIGITS} digits do not suffice")
    entry = {
        "stage": case.stage,
        "case": case.name,
        "options": case.options,
        "inputs": case.inputs,
        "cotangent": case.cotangent,
        **values,
    }
    if case.stage not in WITHOUT_BOUNDS:
        entry["bounds"] = bounds(case)
    return entry


def shape(nested: Any) -> list[int]:
    """The lengths of the axes of a list of lists."""
    return [len(nested), *shape(nested[0])] if isinstance(nested, list) else []


def manifest(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the file holds, how it was made, and the sha256 of the cases' canonical JSON."""
    stages: dict[str, Any] = {}
    for entry in entries:
        shapes = {name: shape(value) for name, value in entry["inputs"].items()}
        shapes["output"] = shape(entry["output"])
        stages.setdefault(entry["stage"], {})[entry["case"]] = shapes
    canonical = json.dumps(entries, sort_keys=True, separators=(",", ":"))
    return {
        "spec": SPEC,
        "made": "by tests/oracle/make_goldens.py with mpmath, each value rounded once to float64",
        "digits": DIGITS,
        "sha256": hashlib.sha256(canonical.encode("ascii")).hexdigest(),
        "stages": stages,
    }


def text(value: Any, indent: int = 0) -> str:
    """JSON with one row of numbers to a line, so that a difference can be read."""
    inner = " " * (indent + 1)
    if (
        isinstance(value, dict)
        and value
        and any(isinstance(v, dict | list) for v in value.values())
    ):
        parts = [f"{json.dumps(key)}: {text(one, indent + 1)}" for key, one in value.items()]
        return "{\n" + ",\n".join(inner + one for one in parts) + "\n" + " " * indent + "}"
    if isinstance(value, list) and value and isinstance(value[0], dict | list):
        parts = [text(one, indent + 1) for one in value]
        return "[\n" + ",\n".join(inner + one for one in parts) + "\n" + " " * indent + "]"
    return json.dumps(value)


def contents(cases: Sequence[Case]) -> str:
    """The whole file."""
    entries = [golden(case) for case in cases]
    return text({"manifest": manifest(entries), "cases": entries}) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file, or compare with it; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--check", action="store_true", help="compare with the file")
    choice.add_argument("--write", action="store_true", help="write the file")
    options = parser.parse_args(arguments)
    made = contents(all_cases())
    if options.write:
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(made, encoding="ascii", newline="\n")
        print(f"{FILE.name}: {len(made)} bytes")
        return 0
    same = FILE.exists() and FILE.read_text(encoding="ascii") == made
    print(f"{FILE.name} {'holds what the oracle gives' if same else 'differs from the oracle'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
