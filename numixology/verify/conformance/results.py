"""Results of a backend that is not Python, from files, beside what is true."""

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from ...array import Array, ignoring_fp_errors
from ...errors import ArgumentError, VectorError
from .bounds import Prepared
from .kit import blind_spots, compared, detectable_in, excused, outcome_of
from .manifest import Manifest, read_manifest, result_key
from .packing import Header, carried
from .scales import PROFILES
from .sources import NpzFile, RawFolder, SafetensorsFile, Source, reading
from .vectors import MANIFEST, read_stage
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
        The report that ``conform`` gives of a backend that it calls, but for what files cannot
        show: what it does to its arguments, to NaN and to batches, and whether it says the same
        twice.

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
    folder, found = Path(directory), Path(results)
    manifest = read_manifest(folder / MANIFEST)
    names = _listed(found)
    reports = []
    for stage in manifest.stages:
        with ExitStack() as stack:
            source, wanted = _results(found, names, manifest, stage, stack)
            cases = list(read_stage(folder, manifest, stage))
            reports.append(_judged(stage, cases, source, wanted, profile))
    if not any(one.comparisons or one.broken or one.remarks for one in reports):
        reports[:1] = [_nothing_found(manifest, one, found) for one in reports[:1]]
    return ConformanceReport(
        Path(os.path.abspath(found)).name, manifest.dtype, manifest.accumulation, profile, reports
    )


# Finding results ---------------------------------------------------------------


def _listed(folder: Path) -> Collection[str]:
    """The files in a folder of results; true values are none."""
    with reading(folder):
        names = frozenset(os.listdir(folder))
    if MANIFEST in names:
        raise VectorError(
            f"{folder} holds results", f"a folder of vectors, with {MANIFEST}", "name another"
        )
    return names


def _results(
    folder: Path, names: Collection[str], manifest: Manifest, stage: str, stack: ExitStack
) -> tuple[Source, dict[str, Header]]:
    """Where the results of a stage are, and what they have to be."""
    raw = {name[:-4] for name in names if name.startswith(f"{stage}.") and name.endswith(".bin")}
    raw.discard(stage)
    kinds = [kind for kind in ("npz", "safetensors") if f"{stage}.{kind}" in names]
    kinds += ["raw"] if raw else []
    if len(kinds) > 1:
        raise VectorError(
            f"{folder} has the results for {stage} in one format",
            " and ".join(kinds),
            "remove those that are old",
        )
    dtype = carried(manifest.dtype, kinds[0] if kinds else "raw")
    wanted = {
        sheet.key(item): Header(dtype, item.header.shape)
        for sheet in manifest.of(stage)
        for item in sheet.items
        if item.bound is not None
    }
    if kinds == ["npz"]:
        return NpzFile(folder / f"{stage}.npz", stack), wanted
    if kinds == ["safetensors"]:
        return SafetensorsFile(folder / f"{stage}.safetensors"), wanted
    return RawFolder(folder, raw, wanted), wanted


def _nothing_found(manifest: Manifest, report: StageReport, folder: Path) -> StageReport:
    """A report that says how files of results are called, if those found are called otherwise."""
    case = manifest.of(report.stage)[0].name
    remark = (
        f"{folder} has no results; they are files such as {case}.output.bin or {report.stage}.npz"
    )
    return report._replace(remarks=(remark,))


# Judging -----------------------------------------------------------------------


def _judged(
    stage: str,
    cases: Sequence[Prepared],
    source: Source,
    wanted: Mapping[str, Header],
    profile: Sequence[str],
) -> StageReport:
    """A stage as :func:`.examined` judges it, but for what files do not show."""
    comparisons: list[Comparison] = []
    answers: list[dict[str, Array]] = []
    for one in cases:
        keys = {tensor: result_key(one.case, tensor) for tensor in one.bounds}
        found = {tensor: key for tensor, key in keys.items() if key in source.keys}
        for key in found.values():
            if wrong := _misshapen(key, source.header(key), wanted[key]):
                return StageReport(stage, "fail", comparisons, (wrong,))
        answers.append({tensor: source.array(key) for tensor, key in found.items()})
        with ignoring_fp_errors():
            comparisons += [
                compared(one, tensor, got, profile) for tensor, got in answers[-1].items()
            ]
    strays = _strays(source, wanted)
    if not comparisons:
        return StageReport(stage, "not covered", remarks=strays)
    partial, gaps = _gaps(source, wanted)
    with ignoring_fp_errors():
        blind = blind_spots(cases, comparisons)
        outcome = outcome_of(comparisons, broken=False, unproved=bool(blind) or partial)
        excuse = excused(cases, answers, profile) if outcome == "fail" else []
    return StageReport(
        stage,
        outcome,
        comparisons,
        remarks=(*gaps, *strays, *excuse),
        blind=", ".join(blind),
        detectable=detectable_in(comparisons),
    )


def _misshapen(key: str, found: Header, wanted: Header) -> str:
    if found.shape != wanted.shape:
        return f"{key} has shape {found.shape}, not {wanted.shape}"
    if found.dtype != wanted.dtype:
        return f"{key} has dtype {found.dtype}, not {wanted.dtype}"
    return ""


def _gaps(source: Source, wanted: Mapping[str, Header]) -> tuple[bool, list[str]]:
    """Whether results are missing that forbid a pass, and what there is to say of them."""
    partial, remarks = False, []
    for role in ("output", "gradient"):
        keys = [key for key in wanted if key.split(".")[3] == role]
        absent = [key for key in keys if key not in source.keys]
        if absent and len(absent) == len(keys):
            partial = partial or role == "output"
            remarks.append(f"its {role}s are not covered: there are no results for them")
        elif absent:
            partial = True
            remarks.append(
                f"{len(absent)} of {len(keys)} {role}s are not covered, such as {absent[0]}"
            )
    return partial, remarks


def _strays(source: Source, wanted: Mapping[str, Header]) -> tuple[str, ...]:
    """What may be a mistyped key."""
    unknown = sorted(set(source.keys) - set(wanted))
    if not unknown:
        return ()
    return (f"{len(unknown)} results belong to no case, such as {unknown[0][:100]!r}",)
