"""Vectors on disk: what is written comes back, results are judged, hostile files are refused."""

import hashlib
import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vector_numbers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import refused
from sweeps.rewrites import ShuffledSums

from numixology import functional as F
from numixology.errors import ArgumentError, DTypeError, VectorError
from numixology.verify.conformance import (
    BUGS,
    EXIT_CODES,
    KINDS,
    STAGES,
    Textbook,
    cases,
    compare_vectors,
    packing,
    read_vectors,
    result_key,
    write_vectors,
)
from numixology.verify.conformance.bounds import measured, prepared
from numixology.verify.conformance.packing import carried, contents, packed
from numixology.verify.conformance.vectors import SPEC

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples" / "vectors"
FORMATS = ("npz", "safetensors", "raw")
DTYPES = ("float64", "float32", "bfloat16", "float16")
FEW = ["embedding", "token_mix", "silu"]


def needs(container: str, dtype: str = "float32") -> None:
    """Skip where the library is missing that writes such files."""
    if container == "safetensors":
        pytest.importorskip("safetensors")
        if dtype == "bfloat16":
            pytest.importorskip("ml_dtypes")


@pytest.fixture(scope="module")
def vectors(tmp_path_factory) -> Callable[..., Path]:
    """Folders of vectors, each written once."""
    written: dict[tuple[str, str], Path] = {}

    def of(container: str = "npz", dtype: str = "float32") -> Path:
        needs(container, dtype)
        if (container, dtype) not in written:
            folder = tmp_path_factory.mktemp(f"{container}-{dtype}") / "vectors"
            write_vectors(folder, format=container, dtype=dtype, stages=FEW, seeds=2)
            written[container, dtype] = folder
        return written[container, dtype]

    return of


class Off(Textbook):
    """A SiLU that is off by a little, and only far to the right."""

    def silu(self, x: Any) -> Any:
        return super().silu(x) * np.where(x.data > 30, 1 + 3e-6, 1).astype(x.dtype)


def answers(folder: Path, backend: Any) -> dict[str, np.ndarray]:
    """What a backend returns for every case, by key."""
    found = {}
    for one in read_vectors(folder):
        case = one.case
        found[result_key(case)] = backend.forward(case.stage, case.inputs)
        for name, value in backend.vjp(case.stage, case.inputs, case.cotangent).items():
            found[result_key(case, name)] = value
    return found


def lay(folder: Path, results: dict[str, np.ndarray], dtype="float32", container="npz") -> Path:
    """Results as a backend would write them."""
    folder.mkdir(exist_ok=True)
    stages: dict[str, dict[str, Any]] = {}
    for key, value in results.items():
        tensor = packed(value, carried(dtype, container))
        stages.setdefault(key.partition(".")[0], {})[key] = tensor
        if container == "raw":
            (folder / f"{key}.bin").write_bytes(tensor)
    if container != "raw":
        for stage, tensors in stages.items():
            (folder / f"{stage}.{container}").write_bytes(contents(container, tensors))
    return folder


@pytest.fixture(scope="module")
def right(vectors) -> dict[str, np.ndarray]:
    """The results of a backend in float32 that is right."""
    return answers(vectors(), ShuffledSums("float32"))


def flat(report: Any) -> str:
    return " ".join(str(report).split())


def outcomes(report: Any) -> dict[str, str]:
    return {one.stage: one.outcome for one in report.stages}


# Writing and reading -------------------------------------------------------------------


@pytest.mark.parametrize("container", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_was_written_comes_back(vectors, container, dtype) -> None:
    wide = "float64" if dtype == "float64" else "float32"
    truly = prepared(dtype, wide, FEW, 2)
    read = list(read_vectors(vectors(container, dtype)))
    assert [one.case.name for one in read] == sorted(
        (one.case.name for one in truly), key=[one.case.name for one in truly].index
    )
    assert {one.case.name for one in read} == {one.case.name for one in truly}
    known = {one.case.name: one for one in truly}
    for one in read:
        true = known[one.case.name]
        assert (one.bounds, one.accumulation) == (true.bounds, true.accumulation)
        assert one.case.inputs.keys() == true.case.inputs.keys()
        same(one.case.inputs, true.case.inputs)
        same({"ct": one.case.cotangent}, {"ct": true.case.cotangent})
        same({"output": one.truth.output}, {"output": true.truth.output})
        same(one.truth.gradients, true.truth.gradients)
        same(one.scales, true.scales)


def same(found: Any, true: Any) -> None:
    """Bit for bit, and of one dtype and shape."""
    assert found.keys() == true.keys()
    for name, value in true.items():
        assert type(found[name]) is type(value)
        if isinstance(value, np.ndarray):
            assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)
            assert found[name].tobytes() == value.tobytes()
        else:
            assert found[name] == value


def test_the_other_readers_read_them_too(vectors) -> None:
    library = pytest.importorskip("safetensors.numpy")
    tensors = library.load_file(vectors("safetensors") / "silu.safetensors")
    raw = vectors("raw")
    about = json.loads((raw / "manifest.json").read_text())
    with np.load(vectors() / "silu.npz", allow_pickle=False) as archive:
        assert set(archive.files) == set(tensors)
        for case in about["cases"]:
            for one in case["tensors"]:
                data = (raw / one["file"]).read_bytes()[one["offset"] :][: one["length"]]
                assert hashlib.sha256(data).hexdigest() == one["sha256"]
                if case["stage"] == "silu":
                    assert archive[one["key"]].tobytes() == data == tensors[one["key"]].tobytes()
                    assert list(archive[one["key"]].shape) == one["shape"]


def test_bfloat16_is_written_as_it_is(vectors) -> None:
    header = (vectors("safetensors", "bfloat16") / "silu.safetensors").read_bytes()
    entries = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])
    assert entries["silu.plain.0.input.x"]["dtype"] == "BF16"
    about = json.loads((vectors("npz", "bfloat16") / "manifest.json").read_text())
    dtypes = {one["role"]: one["dtype"] for case in about["cases"] for one in case["tensors"]}
    assert (dtypes["input"], dtypes["output"]) == ("float32", "float64")


@pytest.mark.parametrize("container", ["npz", "raw"])
def test_cases_have_the_sizes_asked_for(tmp_path, monkeypatch, container) -> None:
    """A stage takes of a shape what it has, and no case is written twice."""
    monkeypatch.setattr(cases, "kernel_sizes", lambda stage: iter([{"B": 3, "T": 11, "D": 33}]))
    shapes = [{"B": 4, "T": 5, "D": 6, "H": heads} for heads in (2, 3)] + [{"V": 7}]
    stages = ["silu", "token_mix"]
    about = {"format": container, "dtype": "float32", "stages": stages, "seeds": 0}
    folder, mine = tmp_path / "vectors", tmp_path / "mine"
    write_vectors(folder, kernel=True, shapes=shapes, **about)
    read = [one.case for one in read_vectors(folder)]
    own = [case.name for case in read if case.kind == "shape"]
    assert own == [
        "token_mix/shape/B=4,T=5,D=6,H=2",
        "token_mix/shape/B=4,T=5,D=6,H=3",
        "silu/shape/B=4,T=5,D=6",
    ]
    (large,) = [case for case in read if case.name == "silu/kernel/B=3,T=11,D=33"]
    assert large.inputs["x"].shape == (3, 11, 33)
    assert large.sizes == {"B": 3, "T": 11, "D": 33}
    entries = json.loads((folder / "manifest.json").read_text())["cases"]
    assert {"B": 4, "T": 5, "D": 6, "H": 3} in [case["sizes"] for case in entries]
    lay(mine, answers(folder, ShuffledSums("float32")), container=container)
    report = compare_vectors(folder, mine, profile=["offsets"])
    assert outcomes(report) == dict.fromkeys(["token_mix", "silu"], "pass"), str(report)


def test_a_stage_that_has_none_of_the_sizes_has_no_file(tmp_path) -> None:
    written = write_vectors(tmp_path, stages=["silu", "embedding"], seeds=0, shapes=[{"V": 7}])
    assert (written.cases, written.files) == (1, ["embedding.npz", "manifest.json"])


@pytest.mark.parametrize("container", FORMATS)
def test_two_writes_are_one(tmp_path, container) -> None:
    needs(container)
    for name in ("one", "two"):
        write_vectors(tmp_path / name, format=container, dtype="float32", stages=["silu"], seeds=1)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "two").iterdir())
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_verdict_can_be_had_from_the_files_alone(vectors) -> None:
    """The rule, with NumPy standing for a program that has only the raw files."""
    folder = vectors("raw")
    about = json.loads((folder / "manifest.json").read_text())

    def load(one: dict[str, Any]) -> np.ndarray:
        return np.fromfile(
            folder / one["file"],
            np.dtype(one["dtype"]).newbyteorder("<"),
            count=int(np.prod(one["shape"])),
            offset=one["offset"],
        ).reshape(one["shape"])

    for case in about["cases"]:
        if case["stage"] == "silu":
            tensors = {one["key"].removeprefix(case["case"] + "."): one for one in case["tensors"]}
            x, output = load(tensors["input.x"]), tensors["output"]
            scale = load(tensors[output["scale"].removeprefix(case["case"] + ".")])
            for got, passes in ((Textbook("float32").forward("silu", {"x": x}), True), (-x, False)):
                error = np.max(np.abs(got - load(output)) / (scale * about["unit"]))
                assert bool(error <= output["bound"]) is passes


@pytest.mark.parametrize("got", [np.inf, -np.inf, np.nan, 1.0])
@pytest.mark.parametrize("share", [1.0, -1.0, 1 - 2**-23, -1 + 2**-23, 0.5, np.nan])
def test_the_rule_is_that_of_the_comparison(vectors, got, share) -> None:
    """Next to the largest number, where infinity may be right."""
    about = json.loads((vectors() / "manifest.json").read_text())
    true = share * about["overflow"]
    scale, unit = abs(true) if true == true else 1.0, about["unit"]
    far = np.isinf(got) and np.sign(got) == np.sign(true)
    far = far and abs(true) + 8 * scale * unit >= about["overflow"]
    right = got == true or (np.isnan(got) and np.isnan(true)) or far
    by_rule = 0.0 if right else abs(got - true) / (scale * unit)
    found = measured(np.array([got]), np.array([true]), np.array([scale]), "float32").error
    assert found == (np.inf if np.isnan(by_rule) else by_rule)


def test_the_index_says_what_the_manifest_says(vectors) -> None:
    folder = vectors("raw")
    head, *lines = (folder / "index.tsv").read_text("ascii").splitlines()
    rows = [dict(zip(head[1:].split("\t"), line.split("\t"), strict=True)) for line in lines]
    cases = json.loads((folder / "manifest.json").read_text())["cases"]
    by_key = {one["key"]: one for case in cases for one in case["tensors"]}
    assert len(rows) == len(by_key)
    for row in rows:
        names = [row["case"], row["role"], row["name"]]
        one = by_key[".".join(name for name in names if name != "-")]
        assert (int(row["offset"]), int(row["length"])) == (one["offset"], one["length"])
        assert (row["file"], row["dtype"]) == (one["file"], one["dtype"])
        assert row["shape"] == ",".join(map(str, one["shape"]))
        if row["bound"] != "-":
            assert float(row["bound"]) == one["bound"]
            assert int(row["scale_offset"]) == by_key[one["scale"]]["offset"]
        assert " " not in "".join(row.values())
    assert {row["settings"] for row in rows if row["case"] == "token_mix.plain.0"} == {
        "num_heads=2"
    }


# Numbers that stay -----------------------------------------------------------------------

#: Written by tests/vector_numbers.py when there is a new version, and never else.
HELD = json.loads(vector_numbers.FILE.read_text("utf-8"))


def test_the_numbers_are_of_this_version() -> None:
    assert HELD["spec"] == SPEC


@pytest.mark.parametrize("stage", STAGES)
def test_inputs_never_change_within_a_version(stage) -> None:
    digest = vector_numbers.digest_of_inputs(stage)
    assert digest == HELD["inputs"][stage], "other vectors need another vectors.SPEC"


@pytest.mark.parametrize("key", HELD["tensors"])
def test_tensors_never_change_within_a_version(vectors, key) -> None:
    """Inputs, and results in which nothing is calculated, bit for bit."""
    cases = json.loads((vectors() / "manifest.json").read_text())["cases"]
    found = {one["key"]: one["sha256"] for case in cases for one in case["tensors"]}
    assert found[key] == HELD["tensors"][key]


@pytest.mark.parametrize("name", HELD["results"])
def test_results_change_by_no_more_than_processors_do(name) -> None:
    value, scale = vector_numbers.result(name)
    assert measured(value, np.array(HELD["results"][name]), scale, "float64").error <= 2


# Comparing -----------------------------------------------------------------------------


@pytest.mark.parametrize("container", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_right_backend_passes(vectors, tmp_path, container, dtype) -> None:
    folder = vectors(container, dtype)
    results = lay(tmp_path / "mine", answers(folder, ShuffledSums(dtype)), dtype, container)
    report = compare_vectors(folder, results)
    assert outcomes(report) == dict.fromkeys(FEW, "pass"), str(report)
    assert (report.verdict, report.exit_code, report.backend) == ("pass", 0, "mine")
    assert (report.dtype, report.profile) == (dtype, [])
    assert not any(one.remarks or one.broken for one in report.stages)
    silu = next(one for one in report.stages if one.stage == "silu")
    assert 0 < silu.detectable < 0.1


@pytest.mark.parametrize("container", FORMATS)
def test_the_results_format_is_their_own_affair(vectors, right, tmp_path, container) -> None:
    needs(container)
    results = lay(tmp_path / "mine", right, "float32", container)
    assert compare_vectors(vectors("raw"), results).verdict == "pass"


def test_a_wrong_result_is_found(vectors, tmp_path) -> None:
    results = lay(tmp_path / "mine", answers(vectors(), Off("float32")))
    report = compare_vectors(vectors(), results)
    assert (report.verdict, report.exit_code) == ("fail", 1)
    assert outcomes(report) == {"embedding": "pass", "token_mix": "pass", "silu": "fail"}
    assert report.first_failure is not None
    worst = report.first_failure.worst
    assert worst is not None
    assert worst.kind in ("offset", "saturated", "huge")
    assert worst.error > worst.bound


@pytest.mark.parametrize("bug", ["quick-gelu-for-silu", "slope-without-x"])
def test_a_known_bug_is_named_from_the_answers_alone(vectors, right, tmp_path, bug) -> None:
    wrong = answers(vectors(), BUGS[bug].make("float32"))
    found = {key: value for key, value in wrong.items() if key.startswith("silu.")}
    report = compare_vectors(vectors(), lay(tmp_path / "mine", right | found))
    assert report.first_failure is not None
    diagnosis = report.first_failure.diagnosis
    assert diagnosis is not None
    assert (diagnosis.bug, diagnosis.named) == (bug, True)
    assert str(diagnosis).startswith("matches")
    assert not report.first_failure.remarks


def test_a_bug_in_a_part_is_named_where_it_is_seen_first(tmp_path) -> None:
    folder, mine = tmp_path / "vectors", tmp_path / "mine"
    write_vectors(folder, dtype="float32", stages=["layer_norm", "feed_forward"], seeds=1)
    wrong = answers(folder, BUGS["eps-added-to-deviation"].make("float32"))
    both = compare_vectors(folder, lay(mine, wrong)).stages
    assert [one.outcome for one in both] == ["fail", "fail"]
    assert [one.diagnosis.bug for one in both] == ["eps-added-to-deviation", "layer_norm"]
    (mine / "layer_norm.npz").unlink()
    whole = compare_vectors(folder, mine).first_failure
    assert whole is not None
    assert whole.diagnosis is not None
    assert (whole.stage, whole.diagnosis.bug) == ("feed_forward", "eps-added-to-deviation")


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_one_wrong_number_is_found(vectors, right, tmp_path, value) -> None:
    key = "silu.plain.1.gradient.x"
    wrong = right | {key: right[key].copy()}
    wrong[key][1, 2, 3] = value
    report = compare_vectors(vectors(), lay(tmp_path / "mine", wrong))
    assert report.first_failure is not None
    assert report.first_failure.worst is not None
    assert report.first_failure.worst.place == (1, 2, 3)
    assert (report.first_failure.worst.case, report.first_failure.worst.tensor) == (
        "silu/plain/1",
        "x",
    )


def test_a_stage_without_results_is_not_covered(vectors, right, tmp_path) -> None:
    some = {key: value for key, value in right.items() if not key.startswith("silu.")}
    report = compare_vectors(vectors(), lay(tmp_path / "mine", some))
    assert outcomes(report) == {"embedding": "pass", "token_mix": "pass", "silu": "not covered"}
    assert report.verdict == "pass"
    assert "2 of 19 stages covered" in str(report)


def test_nothing_is_no_pass(vectors, tmp_path) -> None:
    report = compare_vectors(vectors(), tmp_path)
    assert set(outcomes(report).values()) == {"not covered"}
    assert (report.verdict, report.exit_code) == ("unsupported", EXIT_CODES["unsupported"])


def test_a_backend_without_gradients_is_told(vectors, right, tmp_path) -> None:
    some = {key: value for key, value in right.items() if ".gradient." not in key}
    report = compare_vectors(vectors(), lay(tmp_path / "mine", some, container="raw"))
    assert report.verdict == "pass"
    for one in report.stages:
        assert one.remarks == ("its gradients are not covered: there are no results for them",)


@pytest.mark.parametrize(
    ("dropped", "says"),
    [
        (r"silu\.plain\.0\.output", "of {} outputs are not covered, such as silu.plain.0.output"),
        (r"silu\.tiny\.1\.gradient\.x", "1 of {} gradients are not covered"),
        (r"silu\..*\.output", "its outputs are not covered: there are no results for them"),
    ],
)
def test_a_missing_result_is_no_pass(vectors, right, tmp_path, dropped, says) -> None:
    some = {key: value for key, value in right.items() if not re.fullmatch(dropped, key)}
    report = compare_vectors(vectors(), lay(tmp_path / "mine", some))
    assert outcomes(report)["silu"] == "inconclusive"
    assert (report.verdict, report.exit_code) == ("inconclusive", 3)
    assert says.format(2 * len(KINDS)) in str(report)


def test_a_mistyped_key_is_shown(vectors, right, tmp_path) -> None:
    wrong = dict(right)
    wrong["silu.plain.0.outputs"] = wrong.pop("silu.plain.0.output")
    report = compare_vectors(vectors(), lay(tmp_path / "mine", wrong))
    assert report.verdict == "inconclusive"
    assert "1 results belong to no case, such as 'silu.plain.0.outputs'" in str(report)


@pytest.mark.parametrize("container", ["npz", "safetensors"])
def test_another_shape_or_dtype_fails(vectors, right, tmp_path, container) -> None:
    needs(container)
    key = "silu.plain.0.output"
    lay(tmp_path / "shape", right | {key: right[key][..., 1:]}, container=container)
    report = compare_vectors(vectors(), tmp_path / "shape")
    assert report.verdict == "fail"
    assert f"{key} is 2 x 3 x 9 float32, and has to be 2 x 3 x 10 float32" in flat(report)
    lay(tmp_path / "dtype", right, dtype="float64", container=container)
    report = compare_vectors(vectors(), tmp_path / "dtype")
    assert set(outcomes(report).values()) == {"fail"}
    assert f"{key} is 2 x 3 x 10 float64, and has to be 2 x 3 x 10 float32" in flat(report)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<f4", ">f4"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_whatever_numpy_saves_is_understood(vectors, right, tmp_path, order, kind, save) -> None:
    for stage in FEW:
        mine = {key: value for key, value in right.items() if key.startswith(f"{stage}.")}
        laid = {key: np.asarray(value.astype(kind), order=order) for key, value in mine.items()}
        save(tmp_path / f"{stage}.npz", **laid)
    assert compare_vectors(vectors(), tmp_path).verdict == "pass"


class Rough(Textbook):
    """A SiLU whose gate is accurate relative to 1, and not to its tiny values."""

    def silu(self, x: Any) -> Any:
        return self.store(x * (F.sigmoid(x) + 2e-7))


def test_a_profile_explains_what_it_explains(vectors, tmp_path) -> None:
    results = lay(tmp_path / "mine", answers(vectors(), Rough("float32")))
    assert compare_vectors(vectors(), results).verdict == "fail"
    report = compare_vectors(vectors(), results, profile=["tails"])
    assert outcomes(report)["silu"] == "known", str(report)
    assert report.profile == ["tails"]
    with refused(DTypeError, "luck", "tails"):
        compare_vectors(vectors(), results, profile=["luck"])


def test_a_profile_that_would_explain_everything_is_suggested(vectors, tmp_path) -> None:
    results = lay(tmp_path / "mine", answers(vectors(), Rough("float32")))
    silu = compare_vectors(vectors(), results).first_failure
    assert silu is not None
    assert silu.excuse == "tails"
    wrong = lay(tmp_path / "wrong", answers(vectors(), Off("float32")))
    worse = compare_vectors(vectors(), wrong).first_failure
    assert worse is not None
    assert not worse.remarks


def test_files_that_are_called_otherwise_are_no_results_and_that_is_said(vectors, tmp_path) -> None:
    for names in ((), ("silu_plain_0_output.bin", "embedding.plain.0.output", "notes.txt")):
        for name in names:
            (tmp_path / name).write_bytes(b"1234")
        report = compare_vectors(vectors(), tmp_path)
        assert report.verdict == "unsupported"
        (said,) = [text for one in report.stages for text in one.remarks]
        assert said == (
            f"{tmp_path} has no results; they are called embedding.plain.0.output.bin and so on, "
            "or embedding.npz"
        )


# What makes no sense ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "error", "says"),
    [
        ({"format": "hdf5"}, ArgumentError, "use npz, safetensors, raw"),
        ({"dtype": "float8"}, DTypeError, "float8"),
        ({"accumulation": "float16"}, DTypeError, "did you mean 'float64'?"),
        ({"stages": ["attention"]}, ArgumentError, "'attention'"),
        ({"seeds": 0}, ArgumentError, "at least one case"),
    ],
)
def test_senseless_arguments_are_refused(tmp_path, how, error, says) -> None:
    with refused(error, says):
        write_vectors(tmp_path / "new", **how)
    assert not (tmp_path / "new").exists()


def test_a_folder_with_files_is_left_alone(tmp_path) -> None:
    (tmp_path / "mine").write_text("mine")
    with refused(ArgumentError, "empty, or new", "1 files in it"):
        write_vectors(tmp_path)
    with refused(ArgumentError, "empty, or new"):
        write_vectors(tmp_path / "mine")
    with refused(ArgumentError, "empty, or new"):
        write_vectors(tmp_path / "mine" / "below", stages=["silu"], seeds=1)


def test_the_missing_library_is_named(vectors, tmp_path, monkeypatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(packing, "import_module", missing)
    with refused(ArgumentError, "pip install numixology[vectors]", "safetensors"):
        write_vectors(tmp_path / "new", format="safetensors", stages=["silu"], seeds=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "silu.safetensors").touch()
    with refused(ArgumentError, "pip install numixology[vectors]", "safetensors"):
        compare_vectors(vectors(), tmp_path / "mine")


def test_a_folder_that_is_there_may_be_empty(tmp_path) -> None:
    assert write_vectors(tmp_path, stages=["silu"], seeds=1).folder == tmp_path


def test_a_folder_that_cannot_be_made_is_named(tmp_path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with refused(ArgumentError, "a folder that is empty, or new: got", "link"):
        write_vectors(tmp_path / "link", stages=["silu"], seeds=1)


def test_vectors_are_no_results(vectors, tmp_path) -> None:
    with refused(VectorError, "a folder of vectors"):
        compare_vectors(vectors(), vectors())
    with refused(VectorError, "nowhere: it must be readable: got No such file"):
        compare_vectors(vectors(), tmp_path / "nowhere")
    with refused(
        VectorError, "a folder of vectors has a manifest.json", "and then that of results"
    ):
        compare_vectors(tmp_path, vectors())
    with refused(VectorError, "manifest.json: it must be readable: got No such file"):
        compare_vectors(tmp_path / "nowhere", tmp_path)


def test_results_in_two_formats_are_refused(vectors, right, tmp_path) -> None:
    lay(tmp_path, right)
    lay(tmp_path, right, container="raw")
    with refused(VectorError, "in one format: got .bin and .npz"):
        compare_vectors(vectors(), tmp_path)


# Hostile files ---------------------------------------------------------------------------


#: The one case of the folders that are read a thousand times.
CASE = "silu.shape.B=2,T=3,D=10"
KEY = f"{CASE}.output"


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Callable[[str], tuple[Path, Path]]:
    """Vectors of one case, and results for it."""
    made: dict[str, tuple[Path, Path]] = {}

    def of(container: str = "raw") -> tuple[Path, Path]:
        needs(container)
        if container not in made:
            folder, sizes = tmp_path_factory.mktemp(container), [{"B": 2, "T": 3, "D": 10}]
            how = {"dtype": "float32", "stages": ["silu"], "seeds": 0, "shapes": sizes}
            write_vectors(folder / "vectors", format=container, **how)
            mine = answers(folder / "vectors", Textbook("float32"))
            made[container] = folder / "vectors", lay(folder / "mine", mine, container=container)
        return made[container]

    return of


@pytest.fixture
def copied(small, tmp_path) -> Callable[[str], Path]:
    """Vectors that a test may damage."""

    def of(container: str) -> Path:
        return Path(shutil.copytree(small(container)[0], tmp_path / container))

    return of


def attempt(folder: Path, results: Path | None = None) -> str:
    """What is said of damaged files; only a VectorError may come."""
    try:
        if results is None:
            for _ in read_vectors(folder):
                pass
        else:
            compare_vectors(folder, results, profile=["offsets", "tails"])
    except VectorError as error:
        assert "\n" not in str(error)
        return str(error)
    return ""


def edited(folder: Path, edit: Callable[[Any], None], *, honest: bool = False) -> str:
    """The manifest, changed, with a digest that belongs to it."""
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    edit(content)
    if not honest and isinstance(content, dict):
        content.pop("sha256", None)
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        content["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(content))
    return attempt(folder)


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [
        ("head", "spec", "2"),
        ("head", "format", "pickle"),
        ("head", "cases", {"a": 1}),
        ("case", "stage", "../../etc"),
        ("case", "tensors", []),
        ("case", "settings", 7),
        ("input", "dtype", "object"),
        ("input", "shape", [1.5]),
        ("input", "shape", [2**62, 2**62]),
        ("input", "offset", 8),
        ("input", "sha256", "0" * 64),
    ],
)
def test_a_manifest_that_lies_is_refused(copied, where, name, value) -> None:
    def edit(content: Any) -> None:
        case = content["cases"][0]
        (output,) = [one for one in case["tensors"] if one["role"] == "output"]
        places = {"head": content, "case": case, "input": case["tensors"][0], "output": output}
        places[where][name] = value

    assert edited(copied("raw"), edit)


def test_a_changed_manifest_is_noticed(copied) -> None:
    found = edited(copied("npz"), lambda m: m.update(seeds=4), honest=True)
    assert "the manifest has the sha256" in found


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a": 1, "a": 2}',
        b'{"spec": NaN}',
        b'{"spec": 1e999}',
        b'{"spec": ' + b"9" * 10_000 + b"}",
        b'{"spec": "1", "sha256": "\\ud800"}',
        b'{"spec": "1"}',
    ],
)
def test_a_manifest_that_is_none_is_refused(copied, text) -> None:
    folder = copied("npz")
    (folder / "manifest.json").write_bytes(text)
    assert "manifest.json" in attempt(folder)


@pytest.mark.parametrize("container", FORMATS)
@pytest.mark.parametrize("kind", ["missing", "folder", "empty"])
def test_what_is_no_file_of_vectors_is_refused(copied, container, kind) -> None:
    folder = copied(container)
    path = folder / f"silu{packing.CONTAINERS[container]}"
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    assert str(path) in attempt(folder)


def npz(path: Path, key: str, head: bytes, data: bytes, method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(f"{key}.npy", head + data)


def npy(descr: str, shape: str, version: bytes = b"\1\0") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("head", "data"),
    [
        (npy("'<f4'", "(2, 3, 10)"), bytes(100)),
        (npy("'<f4'", "(2 3,)"), bytes(240)),
        (npy("__import__('os')", "(2, 3, 10)"), bytes(240)),
        (b"\x93NUMPY\1\0\xff\xff", bytes(10**6)),
        (b"\x93NUMPY\2\0\xff\xff\xff\xff", bytes(10**6)),
        (b"\x93NUMPY\4\0", bytes(100)),
    ],
)
def test_hostile_npy_is_refused(small, tmp_path, head, data) -> None:
    npz(tmp_path / "silu.npz", KEY, head, data)
    assert f"{tmp_path / 'silu.npz'}: it must be readable: got" in attempt(small()[0], tmp_path)


def test_objects_are_not_unpickled(small, tmp_path) -> None:
    np.savez(tmp_path / "silu.npz", **{KEY: np.full((2, 3, 10), None)})
    assert "silu.npz: it must be readable: got ValueError" in attempt(small()[0], tmp_path)


def test_a_file_of_vectors_is_what_the_manifest_says(copied) -> None:
    folder = copied("npz")
    with np.load(folder / "silu.npz") as held:
        tensors = dict(held)
    other = {(f"{key}s" if key == KEY else key): value for key, value in tensors.items()}
    np.savez(folder / "silu.npz", **other)
    assert f"{KEY} is in it" in attempt(folder)
    np.savez(folder / "silu.npz", **tensors | {KEY: tensors[KEY].astype(np.float32)})
    assert f"{KEY} is 2 x 3 x 10 float64" in attempt(folder)


def framed(header: Any) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(240)


def entry(dtype: Any = "F32", shape: Any = (2, 3, 10), offsets: Any = (0, 240)) -> dict[str, Any]:
    return {KEY: {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


@pytest.mark.parametrize(
    "data",
    [
        *map(framed, ({}, [], {KEY: 7}, {KEY: {"dtype": "F32", "shape": [2, 3, 10]}})),
        *(framed(entry(offsets=pair)) for pair in ([0, 10**12], [240, 0], [-240, 0], [0, 0])),
        *map(framed, (entry(shape=[2**62, 4]), entry(shape="x"), entry(["F32"]), entry("X9"))),
        *(size.to_bytes(8, "little") + b"{}" * 100 for size in (0, 1, 2**30, 2**63, 2**64 - 1)),
    ],
)
def test_hostile_safetensors_are_refused(small, tmp_path, data) -> None:
    needs("safetensors")
    path = tmp_path / "silu.safetensors"
    path.write_bytes(data)
    assert f"{path}: it must be readable: got" in attempt(small()[0], tmp_path)


def test_what_safetensors_says_of_itself_is_no_tensor(small, tmp_path) -> None:
    folder, results = small("safetensors")
    data = (results / "silu.safetensors").read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps({"__metadata__": {"by": "hand"}} | json.loads(data[8:start])).encode()
    framed = len(header).to_bytes(8, "little") + header + data[start:]
    (tmp_path / "silu.safetensors").write_bytes(framed)
    report = compare_vectors(folder, tmp_path)
    assert report == compare_vectors(folder, results)._replace(backend=report.backend)


@pytest.mark.parametrize("size", [0, 239, 241, 480])
def test_a_raw_result_of_another_length_fails(small, tmp_path, size) -> None:
    (tmp_path / f"{KEY}.bin").write_bytes(bytes(size))
    report = compare_vectors(small()[0], tmp_path)
    assert outcomes(report)["silu"] == "fail"
    assert f"{KEY} is {size} bytes, and has to be 2 x 3 x 10 float32" in flat(report)


@pytest.mark.parametrize("container", FORMATS)
@settings(max_examples=60)
@given(data=st.data())
def test_damage_is_always_one_clear_error(small, container, data) -> None:
    """Bytes flipped, cut off or put in, in vectors and in results."""
    needs(container)
    folder, results = small(container)
    where = data.draw(st.sampled_from([folder, results]))
    files = sorted(path for path in where.iterdir() if path.name != "index.tsv")
    path = data.draw(st.sampled_from(files[:6]))
    kept = path.read_bytes()
    changed = bytearray(kept)
    ends = st.one_of(st.integers(0, 200), st.integers(max(0, len(kept) - 3000), len(kept)))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.one_of(ends, st.integers(0, len(kept))))
        how = data.draw(st.sampled_from(["flip", "cut", "insert", "huge"]))
        if how == "flip" and place < len(changed):
            changed[place] ^= data.draw(st.integers(1, 255))
        elif how == "cut":
            del changed[place : place + data.draw(st.integers(1, 500))]
        elif how == "insert":
            changed[place:place] = data.draw(st.binary(min_size=1, max_size=20))
        else:
            changed[place : place + 4] = b"\xff\xff\xff\x7f"
    path.write_bytes(changed)
    try:
        if not attempt(folder, results) and where == folder:  # what was changed means nothing
            found = [one.truth.output.tobytes() for one in read_vectors(folder)]
            path.write_bytes(kept)
            assert found == [one.truth.output.tobytes() for one in read_vectors(folder)]
    finally:
        path.write_bytes(kept)


@given(st.binary(max_size=300))
@example(b"")
@example(b"PK\5\6" + bytes(18))
def test_noise_is_no_npz(small, noise) -> None:
    folder, _ = small("raw")
    results = folder.parent / "noise"
    results.mkdir(exist_ok=True)
    (results / "silu.npz").write_bytes(noise)
    attempt(folder, results)


# Programs in other languages -----------------------------------------------------------------


def compiler() -> str:
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if found is None:
        pytest.skip("there is no C compiler here")
    return found


def in_c(folder: Path, source: str) -> list[str]:
    (folder / "silu.c").write_text(source, "utf-8")
    program = str(folder / "silu")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-O2", "-o", program]
    subprocess.run([compiler(), *flags, str(folder / "silu.c"), "-lm"], check=True, timeout=120)
    return [program]


def in_javascript(folder: Path, source: str) -> list[str]:
    if (node := shutil.which("node")) is None:
        pytest.skip("there is no Node.js here")
    (folder / "silu.mjs").write_text(source, "utf-8")
    return [node, str(folder / "silu.mjs")]


PROGRAMS = {
    "silu.c": (in_c, "x * sigmoid(-x)", "x * sigmoid(x)", "return x / (1.0f", "return x / (1.001f"),
    "silu.mjs": (in_javascript, "x * sigmoid(-x)", "x * sigmoid(x)", "x / (1 +", "x / (1.001 +"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_in_another_language_is_judged(vectors, tmp_path, name) -> None:
    build, *_ = PROGRAMS[name]
    program = build(tmp_path, (EXAMPLES / name).read_text("utf-8"))
    (tmp_path / "mine").mkdir()
    done = run(program, vectors("raw"), tmp_path / "mine")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.startswith(f"silu: {4 * len(KINDS)} tensors, 0 failures, at most 0.")
    report = compare_vectors(vectors("raw"), tmp_path / "mine")
    assert outcomes(report)["silu"] == "pass"
    assert len(next(one for one in report.stages if one.stage == "silu").comparisons) == 4 * len(
        KINDS
    )


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("planted", [1, 3])
def test_a_bug_in_another_language_is_found(vectors, tmp_path, name, planted) -> None:
    """By the program itself and by the comparison, forward and backward."""
    build, *changes = PROGRAMS[name]
    source = (EXAMPLES / name).read_text("utf-8")
    assert changes[planted - 1] in source
    program = build(tmp_path, source.replace(changes[planted - 1], changes[planted]))
    (tmp_path / "mine").mkdir()
    done = run(program, vectors("raw"), tmp_path / "mine")
    assert done.returncode == 1
    assert "roundings, and may be by" in done.stdout
    report = compare_vectors(vectors("raw"), tmp_path / "mine")
    assert report.first_failure is not None
    wrong = {one.tensor for one in report.first_failure.comparisons if one.outcome == "fail"}
    assert wrong == ({"x"} if planted == 1 else {"output"})


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_says_what_it_cannot_do(vectors, tmp_path, name) -> None:
    program = PROGRAMS[name][0](tmp_path, (EXAMPLES / name).read_text("utf-8"))
    assert run(program, vectors("raw", "float16"), tmp_path).returncode == 4
    assert run(program).returncode == 2


def run(program: list[str], *arguments: Path) -> subprocess.CompletedProcess[str]:
    command = [*program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)
