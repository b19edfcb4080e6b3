"""Results of a backend that is not Python, from files, beside what is true."""

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path

from ...array import Array, ignoring_fp_errors
from ...errors import ArgumentError, VectorError
from .bounds import Prepared
from .diagnosis import Lineup, diagnose
from .kit import blind_spots, compared, detectable_in, excused, outcome_of
from .manifest import MANIFEST, read_manifest, result_key
from .packing import Header, Source, carried, reading, source_of
from .scales import PROFILES
from .stages import NETWORKS
from .vectors import read_vectors
from .verdicts import Comparison, ConformanceReport, StageReport

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
        ArgumentError: no such profile.
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
    for name in profile:
        if name not in PROFILES:
            raise ArgumentError(
                "a profile is one of those known here", repr(name), f"use {', '.join(PROFILES)}"
            )
    about, folder = read_manifest(Path(directory)), Path(results)
    with reading(folder):
        names = os.listdir(folder)
    if MANIFEST in names:
        found = f"a folder of vectors, with {MANIFEST}"
        raise VectorError(f"{folder} holds results", found, "name another")
    reports: list[StageReport] = []
    for stage, group in groupby(read_vectors(directory), lambda one: one.case.stage):
        cases = list(group)
        with ExitStack() as stack:
            source, wanted = _results(folder, names, stage, cases, stack)
            with reading(Path(directory) / MANIFEST):  # inputs that no stage understands
                # What is wrong with a network is told by a part of it, if one fails.
                told = stage in NETWORKS and any(one.outcome == "fail" for one in reports)
                lineup = None if told else Lineup(cases, about["accumulation"])
                judged = _judged(cases, source, wanted, lineup, profile)
        reports.append(judged)
    _misnamed(folder, names, reports)
    name = Path(os.path.abspath(folder)).name
    return ConformanceReport(name, about["dtype"], about["accumulation"], profile, reports)


# Finding results ---------------------------------------------------------------


def _results(
    folder: Path, names: Collection[str], stage: str, cases: Sequence[Prepared], stack: ExitStack
) -> tuple[Source, dict[str, Header]]:
    """Where the results of a stage are, and what they have to be."""
    raw = [name for name in names if name.startswith(f"{stage}.") and name.endswith(".bin")]
    raw = [name.removesuffix(".bin") for name in raw if name != f"{stage}.bin"]
    kinds = [kind for kind in ("npz", "safetensors") if f"{stage}.{kind}" in names]
    kinds += ["raw"] if raw else []
    if len(kinds) > 1:
        invariant = f"{folder} has the results for {stage} in one format"
        raise VectorError(invariant, " and ".join(kinds), "remove those that are old")
    kind = "".join(kinds) or "raw"
    dtype = carried(cases[0].case.dtype, kind)
    wanted = {
        result_key(one.case, tensor): Header(dtype, scale.shape)
        for one in cases
        for tensor, scale in one.scales.items()
    }
    lengths = {key: header.length for key, header in wanted.items()}
    places = {key: (folder / f"{key}.bin", lengths.get(key, 0), 0) for key in raw}
    return source_of(folder / f"{stage}.{kind}", places, stack), wanted


def _misnamed(folder: Path, names: Collection[str], reports: list[StageReport]) -> None:
    """Say how files of results are called, if there are none, or some are called otherwise."""
    stages = {one.stage for one in reports}
    ends = (".bin", ".npz", ".safetensors")
    strays = [name for name in names if not (name.split(".")[0] in stages and name.endswith(ends))]
    empty = not any(one.comparisons or one.broken or one.remarks for one in reports)
    gap = next((i for i, one in enumerate(reports) if one.outcome == "not covered"), None)
    if gap is not None and (strays or empty):
        stage = reports[gap].stage
        but = f", but files such as {min(strays)[:100]!r}" if strays else ""
        said = f"they are called {stage}.plain.0.output.bin and so on, or {stage}.npz"
        said = f"{folder} has no results for {stage}{but}; {said}"
        reports[gap] = reports[gap]._replace(remarks=(*reports[gap].remarks, said))


# Judging -----------------------------------------------------------------------


def _judged(
    cases: Sequence[Prepared],
    source: Source,
    wanted: Mapping[str, Header],
    lineup: Lineup | None,
    profile: Sequence[str],
) -> StageReport:
    """A stage as :func:`.examined` judges it, but for what files do not show."""
    stage = cases[0].case.stage
    comparisons: list[Comparison] = []
    answers: list[dict[str, Array]] = []
    for one in cases:
        answers.append({})
        for tensor in one.bounds:
            if (key := result_key(one.case, tensor)) in source.keys:
                found, got = source.read(key, wanted[key])
                if wrong := _unlike(key, found, wanted[key]):
                    return StageReport(stage, "fail", comparisons, (wrong,))
                answers[-1][tensor] = got
                with ignoring_fp_errors():
                    comparisons.append(compared(one, tensor, got, profile))
    unknown = sorted(set(source.keys) - set(wanted))
    strays = f"{len(unknown)} results belong to no case, such as {[*unknown, ''][0][:100]!r}"
    remarks = [strays] if unknown else []
    if not comparisons:
        return StageReport(stage, "not covered", remarks=tuple(remarks))
    partial, gaps = _gaps(source.keys, wanted)
    bug = None
    with ignoring_fp_errors():
        blind = blind_spots(cases, comparisons)
        outcome = outcome_of(comparisons, broken=False, unproved=bool(blind) or partial)
        if outcome == "fail":
            bug = diagnose(None, cases, (), lineup, answers, profile) if lineup else None
            remarks += [] if bug and bug.named else excused(cases, answers, profile)
    return StageReport(
        stage,
        outcome,
        comparisons,
        remarks=(*gaps, *remarks),
        blind=", ".join(blind),
        detectable=detectable_in(comparisons),
        diagnosis=bug,
    )


def _unlike(key: str, found: Header, wanted: Header) -> str:
    """What is misshapen about a result, if anything is."""
    if found.shape != wanted.shape:
        return f"{key} has shape {found.shape}, not {wanted.shape}"
    if found.dtype != wanted.dtype:
        return f"{key} has dtype {found.dtype}, not {wanted.dtype}: write results in {wanted.dtype}"
    return ""


def _gaps(keys: Collection[str], wanted: Collection[str]) -> tuple[bool, list[str]]:
    """Whether results are missing that forbid a pass, and what there is to say of them."""
    partial, remarks = False, []
    for role in ("output", "gradient"):
        known = [key for key in wanted if key.split(".")[3] == role]
        absent = [key for key in known if key not in keys]
        if absent and absent == known:
            partial = partial or role == "output"
            remarks.append(f"its {role}s are not covered: there are no results for them")
        elif absent:
            partial = True
            some = f"{len(absent)} of {len(known)} {role}s"
            remarks.append(f"{some} are not covered, such as {absent[0]}")
    return partial, remarks
