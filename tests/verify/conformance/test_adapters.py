"""The adapters that need no other library, how one is found, and the file one starts from."""

import doctest
import importlib
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from support import refused

from numixology.errors import ArgumentError, DTypeError, ShapeError, UnsupportedError
from numixology.verify.conformance import STAGES, Textbook, conform, make_case, truth_of
from numixology.verify.conformance.adapters import NAMES, Numpy, Sizes, load, template
from numixology.verify.conformance.adapters.layers import (
    arrays_of,
    authors_names,
    parameters_of,
    sizes_of,
    wanted,
)

ADAPTERS = "numixology.verify.conformance.adapters"


@pytest.fixture
def without(monkeypatch):
    """Make a library, and the adapter of it, as if neither were there."""

    def forget(name: str) -> None:
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, f"{ADAPTERS}.{name}", raising=False)

    return forget


def written(folder: Path, text: str, name: str = "mine.py") -> str:
    (folder / name).write_text(text, "utf-8")
    return str(folder / name)


# Ours


@pytest.mark.parametrize("name", ["numpy32", "numpy64"])
def test_ours_pass_with_nothing_excused(name) -> None:
    adapter = load(name)
    report = conform(adapter, seeds=2)
    assert report.verdict == "pass", str(report)
    assert [one.outcome for one in report.stages] == ["pass"] * len(STAGES)
    assert not adapter.profile
    assert adapter.dtype == adapter.accumulation == name.replace("numpy", "float")


@pytest.mark.parametrize("stage", STAGES)
def test_ours_in_float64_is_the_reference(stage) -> None:
    case = make_case(stage, seed=1)
    truth, adapter = truth_of(case), Numpy()
    np.testing.assert_array_equal(adapter.forward(stage, case.inputs), truth.output)
    gradients = adapter.vjp(stage, case.inputs, case.cotangent)
    assert gradients.keys() == truth.gradients.keys()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, truth.gradients[name], rtol=1e-12, atol=1e-12)
        assert type(gradient) is np.ndarray


def test_ours_survive_a_process_boundary() -> None:
    adapter = pickle.loads(pickle.dumps(load("numpy32")))
    assert (adapter.name, adapter.dtype) == (load("numpy32").name, "float32")


# Finding


def test_every_name_is_described() -> None:
    assert list(NAMES) == ["numpy64", "numpy32", "torch", "jax", "onnxruntime"]
    assert all(NAMES.values())


@pytest.mark.parametrize("target", ["tensorflow", "", "torch.py.txt", "numpy32 ", "a b:c", ":x"])
def test_what_is_no_name_is_refused_with_the_names(target) -> None:
    with refused(ArgumentError, "an adapter is a name", "numpy64, numpy32, torch, jax"):
        load(target)


@pytest.mark.parametrize("name", ["torch", "jax", "onnxruntime"])
def test_a_missing_library_is_unsupported_and_says_how_to_get_it(name, without) -> None:
    without(name)
    with refused(UnsupportedError, f"the adapter {name} needs", "numixology[backends]"):
        load(f"{name}:dtype=float64")


def test_an_object_in_a_file(tmp_path) -> None:
    path = written(
        tmp_path, "from numixology.verify.conformance import Textbook\nadapter = Textbook()"
    )
    assert load(path).name == "textbook"
    with refused(ArgumentError, "takes no options", "device"):
        load(path, device="cuda")


@pytest.mark.parametrize(
    "text",
    [
        "from numixology.verify.conformance import Textbook as adapter",
        "from numixology.verify.conformance import Textbook\n"
        "def adapter(dtype='float64', accumulation=None, order=None):\n"
        "    return Textbook(dtype, accumulation, order)",
    ],
)
def test_a_class_or_a_function_in_a_file_takes_options(tmp_path, text) -> None:
    path = written(tmp_path, text)
    assert load(path).dtype == "float64"
    assert load(f"{path}:dtype=float16").dtype == "float16"
    assert load(f"{path}:dtype = float16, accumulation=float64").accumulation == "float64"
    assert load(path, dtype="bfloat16").dtype == "bfloat16"
    assert load(f"{path}:dtype=float16", dtype="bfloat16").dtype == "bfloat16"
    with refused(ArgumentError, "size", "it takes dtype, accumulation, order"):
        load(f"{path}:size=3")


def test_words_are_switches(tmp_path) -> None:
    text = """
class Switches:
    name, dtype = "switches", "float64"
    def __init__(self, **options):
        self.options = options
    def forward(self, stage, inputs): ...
adapter = Switches
"""
    path = written(tmp_path, text)
    found = load(f"{path}:a=on,b=off,c=true,d=no,e=1").options
    assert found == {"a": True, "b": False, "c": True, "d": False, "e": "1"}
    for wrong in ("a=1,b", "=1", "a=1,=2"):
        with refused(ArgumentError, "options are written name=value"):
            load(f"{path}:{wrong}")


def test_a_file_finds_what_lies_beside_it(tmp_path) -> None:
    written(tmp_path, "NAME = 'from beside'", "beside_it.py")
    path = written(
        tmp_path,
        "import dataclasses, beside_it\n"
        "@dataclasses.dataclass\n"
        "class adapter:\n"
        "    name: str = beside_it.NAME\n"
        "    dtype: str = 'float64'\n"
        "    def forward(self, stage, inputs): ...\n",
    )
    before = list(sys.path)
    assert load(path).name == "from beside"
    assert sys.path == before


def test_an_object_in_a_module(tmp_path, monkeypatch) -> None:
    assert isinstance(load("numixology.verify.conformance:Textbook"), Textbook)
    assert load("numixology.verify.conformance:Textbook", dtype="float32").dtype == "float32"
    written(
        tmp_path,
        "from numixology.verify.conformance import Textbook\none = Textbook('float16')",
        "here.py",
    )
    monkeypatch.chdir(tmp_path)
    assert load("here:one").dtype == "float16"


def test_what_cannot_be_found_or_run(tmp_path) -> None:
    with refused(ArgumentError, "nowhere.py", "--new"):
        load(str(tmp_path / "nowhere.py"))
    with refused(ArgumentError, "no nowhere_at_all"):
        load("nowhere_at_all.inside:thing")
    with refused(ArgumentError, "has an adapter called nothing"):
        load("numixology:nothing")
    with refused(ArgumentError, "has an adapter called adapter"):
        load(written(tmp_path, "x = 1"))
    with refused(ArgumentError, "ZeroDivisionError"):
        load(written(tmp_path, "1 / 0"))
    with refused(ArgumentError, "SyntaxError"):
        load(written(tmp_path, "adapter ="))
    with refused(UnsupportedError, "no a_missing_library", "install it"):
        load(written(tmp_path, "import a_missing_library"))
    with refused(UnsupportedError, "no device"):
        load(
            written(
                tmp_path,
                "from numixology.errors import UnsupportedError\n"
                "raise UnsupportedError('it runs on a device', 'no device', 'get one')",
            )
        )


def test_an_unknown_format_is_refused() -> None:
    with refused(DTypeError, "'int8'"):
        Numpy("int8")


# The file to start from


def test_the_template_passes_where_it_is_done(tmp_path) -> None:
    report = conform(load(written(tmp_path, template(), "my_backend.py")))
    assert report.verdict == "pass"
    outcomes = {one.stage: one.outcome for one in report.stages}
    assert outcomes.pop("silu") == "pass"
    assert set(outcomes.values()) == {"not covered"}


def test_the_template_names_every_stage_and_every_input() -> None:
    text = template()
    for stage in STAGES.values():
        assert stage.name in text
    for name in {name for stage in STAGES.values() for name in stage.inputs if "." not in name}:
        assert name in text
    assert max(map(len, text.splitlines())) <= 100
    assert text.isascii()  # whatever encoding it is written in


def test_the_template_says_what_else_a_backend_may_do(tmp_path) -> None:
    # a stage that is listed but not written is not covered
    text = template().replace('stages = ["silu"]', 'stages = ["silu", "softmax"]')
    report = conform(load(written(tmp_path, text)), stages=["silu", "softmax"])
    assert {one.stage: one.outcome for one in report.stages} == {
        "silu": "pass",
        "softmax": "not covered",
    }


# What the adapters of other libraries share


@pytest.mark.parametrize("stage", STAGES)
def test_sizes_are_read_off_the_inputs(stage) -> None:
    inputs = make_case(stage, seed=1).inputs
    sizes, letters = sizes_of(stage, inputs), " ".join(STAGES[stage].inputs.values())
    assert (sizes.batch, sizes.tokens) == (3, 5)
    assert sizes.hidden_dim == 12 * ("D" in letters)
    assert sizes.num_heads == inputs.get("num_heads", 0)
    assert sizes.ff_dim == ({"linear": 7}.get(stage, 15) if "F" in letters else 0)
    assert sizes.vocab_size == (13 if "V" in letters else 0)
    assert sizes.num_layers == (2 if stage == "model" else 0)
    assert sizes.eps == inputs.get("eps", 0.0)
    assert hash(sizes) == hash(Sizes(*sizes))


def test_authors_names() -> None:
    ours = parameters_of(make_case("model").inputs)
    names = {
        "blocks.i.mixer.norm.weight": "layers.i.ln1.scale",
        "blocks.1.mixer.norm.bias": "last.bias",
        "token_embedding.weight": "i.table",
    }
    found = authors_names(ours, names)
    assert found["blocks.0.mixer.norm.weight"] == "layers.0.ln1.scale"
    assert found["blocks.1.mixer.norm.weight"] == "layers.1.ln1.scale"
    assert found["blocks.0.mixer.norm.bias"] == "blocks.0.mixer.norm.bias"
    assert found["blocks.1.mixer.norm.bias"] == "last.bias"
    assert found["token_embedding.weight"] == "i.table"
    assert list(found) == list(ours)
    assert len(set(found.values())) == len(found)


def test_what_has_gradients() -> None:
    inputs = make_case("linear").inputs
    assert list(arrays_of(inputs)) == ["x", "weight", "bias"]
    assert list(parameters_of(inputs)) == ["weight", "bias"]
    assert list(arrays_of(make_case("embedding").inputs)) == ["weight"]


def test_an_output_of_another_shape_is_refused() -> None:
    wanted(np.zeros((2, 3)), (2, 3))
    with refused(ShapeError, "(3, 2)"):
        wanted(np.zeros((3, 2)), (2, 3))


def test_a_ready_adapter_is_made_with_its_options(monkeypatch) -> None:
    """As those of other libraries are, whose modules stand aside here."""
    module = types.ModuleType(f"{ADAPTERS}.torch")
    module.Torch = lambda device="cpu", dtype="float32": Textbook(dtype, order=len(device))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    found = load("torch:dtype=bfloat16,device=cuda")
    assert (found.dtype, found.order) == ("bfloat16", 4)
    with refused(ArgumentError, "tf64", "it takes device, dtype"):
        load("torch:tf64=on")


@pytest.mark.parametrize("module", ["blank", "builtin", "layers", "loading"])
def test_the_examples(module) -> None:
    found = doctest.testmod(
        importlib.import_module(f"{ADAPTERS}.{module}"),
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
    )
    assert found.attempted
    assert not found.failed
