"""Results of a backend that is not Python, from files, beside what is true."""

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace

from ...array import Array, ignoring_fp_errors
from ...errors import VectorError
from .adapter import Declaration
from .bounds import Prepared
from .calling import Answer
from .kit import Found
from .packing import carried, described, reading, tensors_of, unpacked
from .vectors import MANIFEST, read_manifest, read_vectors, result_key
from .verdicts import ConformanceReport, StageReport

__all__ = ["compare_vectors"]


def compare_vectors(
    directory: str | os.PathLike[str],
    results: str | os.PathLike[str],
    *,
    profile: Sequence[str] = (),
) -> ConformanceReport:
    """Compare the results of a backend with what is true.

    A result is the output of a case, or the gradient by one of its inputs, in the backend's dtype
    (in ``.npz`` files float32 for bfloat16) and of the shape that it truly has. Its key is that of
    the true tensor, such as ``silu.plain.0.output`` or ``silu.plain.0.gradient.x``. The results of
    a stage lie in ``STAGE.npz`` or ``STAGE.safetensors`` under their keys, or each in a raw file
    ``KEY.bin``, whatever the format of the vectors.

    A stage without results is not covered, and one without gradients is judged by its outputs and
    says so. A stage of whose outputs or gradients some are missing is inconclusive: it may be those
    that are wrong.

    Args:
        directory: a folder that :func:`.write_vectors` has written.
        results: a folder of results, which is another one.
        profile: some of :data:`.PROFILES`, which the backend says of itself.

    Returns:
        The report that ``conform`` gives of a backend that it calls, with the known bug that its
        results are those of, but for what files cannot show: what it does to its arguments, to NaN
        and to batches, and whether it says the same twice.

    Raises:
        DTypeError: no such profile.
        VectorError: a file is missing, damaged, or not what it claims to be.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from numixology.verify.conformance import (
        ...     compare_vectors, read_vectors, result_key, write_vectors
        ... )
        >>> with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as mine:
        ...     _ = write_vectors(folder, stages=["silu"])
        ...     results = {}
        ...     for one in read_vectors(folder):
        ...         x = one.case.inputs["x"]
        ...         results[result_key(one.case)] = x * (1 + np.tanh(x / 2)) / 2
        ...     np.savez(f"{mine}/silu.npz", **results)
        ...     strictly = compare_vectors(folder, mine)
        ...     leniently = compare_vectors(folder, mine, profile=["tails"])
        >>> strictly.verdict, leniently.verdict, leniently.stages[0].outcome
        ('fail', 'pass', 'known')
    """
    content, folder = read_manifest(Path(directory)), Path(results)
    said = {name: content[name] for name in ("dtype", "accumulation")}
    name = Path(os.path.abspath(folder)).name
    backend = SimpleNamespace(name=name, profile=profile, forward=None, vjp=result_key, **said)
    about = Declaration(backend)
    with reading(folder):
        names = os.listdir(folder)
    if MANIFEST in names:
        found = f"a folder of vectors, with {MANIFEST}"
        raise VectorError(f"{folder} holds results", found, "name another")
    reports: list[StageReport] = []
    for stage, cases in groupby(read_vectors(directory), lambda one: one.case.stage):
        tensors = _results(folder, names, stage)
        with ignoring_fp_errors():
            reports.append(_judged(cases, tensors, about, reports))
    if reports and not any(one.comparisons or one.broken or one.remarks for one in reports):
        stage = reports[0].stage
        called = f"they are called {stage}.plain.0.output.bin and so on, or {stage}.npz"
        reports[0] = reports[0]._replace(remarks=[f"{folder} has no results; {called}"])
    return ConformanceReport(name, about.dtype, about.accumulation, about.profile, reports)


def _results(folder: Path, names: Iterable[str], stage: str) -> dict[str, Array]:
    """The results of a stage, by key."""
    files = [name for name in names if re.fullmatch(rf"{stage}\.(npz|safetensors|.+\.bin)", name)]
    if len(kinds := sorted({Path(name).suffix for name in files})) > 1:
        got, instead = " and ".join(kinds), "remove those that are old"
        raise VectorError(f"{folder} has the results for {stage} in one format", got, instead)
    return {key: x for name in files for key, x in tensors_of(folder / name).items()}


def _judged(
    cases: Iterable[Prepared],
    tensors: Mapping[str, Array],
    about: Declaration,
    earlier: Sequence[StageReport],
) -> StageReport:
    """A stage as ``conform`` judges it, but for what files do not show."""
    found, known = Found(about), []
    for one in cases:
        results, fault = {}, ""
        for tensor, scale in one.scales.items():
            known.append(key := result_key(one.case, tensor))
            if key in tensors:
                wanted = described(carried(about.dtype), scale.shape)
                array = unpacked(tensors[key], about.dtype, scale.shape)
                if (got := described(array.dtype.name, array.shape)) == wanted:
                    results[tensor] = array
                else:
                    fault = fault or f"{key} is {got}, and has to be {wanted}"
        found.add(one, Answer(results, fault))
    report = found.report(earlier=earlier)
    partial, remarks = _gaps(tensors, known) if found.comparisons else (False, [])
    if unknown := sorted(tensors.keys() - known):
        remarks.append(f"{len(unknown)} results belong to no case, such as {unknown[0][:100]!r}")
    if partial and report.outcome != "fail":
        report = report._replace(outcome="inconclusive")
    return report._replace(remarks=(*remarks, *report.remarks))


def _gaps(keys: Collection[str], wanted: Collection[str]) -> tuple[bool, list[str]]:
    """Whether results are missing that forbid a pass, and what there is to say of them."""
    partial, remarks = False, []
    for role in ("output", "gradient"):
        known = [key for key in wanted if key.split(".")[3] == role]
        absent = [key for key in known if key not in keys]
        whole = absent == known
        partial |= bool(absent) and not (whole and role == "gradient")
        if absent and whole:
            remarks.append(f"its {role}s are not covered: there are no results for them")
        elif absent:
            some = f"{len(absent)} of {len(known)} {role}s"
            remarks.append(f"{some} are not covered, such as {absent[0]}")
    return partial, remarks
