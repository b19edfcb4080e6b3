"""The adapters that need no other library, how one is found, and the file one starts from."""

import doctest
import importlib
import itertools
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from support import refused

from numixology.errors import (
    ArgumentError,
    DTypeError,
    StateDictError,
    UnsupportedError,
)
from numixology.verify.conformance import STAGES, Textbook, conform, make_case, truth_of
from numixology.verify.conformance.adapter import DECLARES
from numixology.verify.conformance.adapters import (
    NAMES,
    Combined,
    Numpy,
    Sizes,
    load,
    template,
)
from numixology.verify.conformance.adapters.shared import (
    Names,
    arrays_of,
    called,
    sizes_of,
    title,
)
from numixology.verify.conformance.calling import answered
from numixology.verify.conformance.memory import LAYOUTS
from numixology.verify.conformance.stages import OPTIONS

ADAPTERS = "numixology.verify.conformance.adapters"


#: The quick set, one case of every kind.
QUICK = {"seeds": 1, "quick": True}


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
    report = conform(adapter, **QUICK)
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
    with refused(ArgumentError, f"unknown adapter {target!r}; "):
        load(target)


@pytest.mark.parametrize(
    ("name", "library", "missing"),
    [
        ("torch", "torch", "torch"),
        ("jax", "jax", "jax"),
        ("onnxruntime", "onnx", "onnx onnxruntime"),
    ],
)
def test_a_missing_library_is_unsupported_and_says_how_to_get_it(
    name, library, missing, without
) -> None:
    without(library)
    with refused(UnsupportedError, f"the adapter {name} needs", f"pip install {missing}"):
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
        "def adapter(dtype='float64', accumulation=None):\n"
        "    return Textbook(dtype, accumulation)",
    ],
)
def test_a_class_or_a_function_in_a_file_takes_options(tmp_path, text) -> None:
    path = written(tmp_path, text)
    assert load(path).dtype == "float64"
    assert load(f"{path}:dtype=float16").dtype == "float16"
    assert load(f"{path}:dtype = float16, accumulation=float64").accumulation == "float64"
    assert load(path, dtype="bfloat16").dtype == "bfloat16"
    assert load(f"{path}:dtype=float16", dtype="bfloat16").dtype == "bfloat16"
    with refused(ArgumentError, "size", "it takes dtype, accumulation"):
        load(f"{path}:size=3")


def test_another_object_in_a_file(tmp_path) -> None:
    text = """
from numixology.verify.conformance import Textbook
class Mine(Textbook):
    name = "mine"
made = Mine("float16")
"""
    path = written(tmp_path, text)
    assert load(f"{path}:Mine").name == "mine"
    assert load(f"{path}:Mine,dtype=float32").dtype == "float32"
    assert load(f"{path}:made").dtype == "float16"
    with refused(ArgumentError, "must define Yours"):
        load(f"{path}:Yours")
    with refused(ArgumentError, "options are written name=value"):
        load(f"{path}:Mine,float32")


def test_what_is_declared_of_a_ready_adapter() -> None:
    adapter = load("numpy32:accumulation=float64,ffn=swiglu,activation=gelu_tanh,heads=tokens")
    assert (adapter.accumulation, adapter.heads) == ("float64", "tokens")
    assert adapter.options == {"ffn": "swiglu", "activation": "gelu_tanh"}
    adapter = Numpy("float32", requires={"D": 4}, profile=None, stages=("silu",))
    assert (adapter.requires, adapter.profile, adapter.stages) == ({"D": 4}, (), ("silu",))
    with refused(ArgumentError, "unknown option 'sparse'; use "):
        load("numpy32:sparse=on")
    with refused(DTypeError, "'twice'; use once"):
        load("numpy32:rounds=twice")


@pytest.mark.parametrize("made", ["adapter = abs", "def adapter(x): ..."])
def test_a_function_in_place_of_an_adapter(tmp_path, made) -> None:
    with refused(DTypeError, "an adapter has name, dtype and forward", "torch_module(lambda"):
        load(written(tmp_path, made))


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
    with refused(ArgumentError, "must define nothing"):
        load("numixology:nothing")
    with refused(ArgumentError, "must define adapter"):
        load(written(tmp_path, "x = 1"))
    with refused(ArgumentError, "ZeroDivisionError"):
        load(written(tmp_path, "1 / 0"))
    with refused(ArgumentError, "SyntaxError"):
        load(written(tmp_path, "adapter ="))
    with refused(ArgumentError, "SystemExit: 0"):
        load(written(tmp_path, "raise SystemExit(0)"))
    with refused(ArgumentError, "KeyError: 'weights'"):
        load(written(tmp_path, "def adapter(): return {}['weights']"))
    with refused(UnsupportedError, "no a_missing_library", "pip install a_missing_library"):
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


# Several as one


class Half(Textbook):
    """Without gradients, and with a few words of its own."""

    stages, vjp, lost = ["gelu"], None, ("stride 0",)
    requires, shapes = {"D": 2}, [{"B": 4}]


def test_combined_adapters_answer_for_their_stages() -> None:
    adapter = Combined(Numpy("float32", stages=["silu"], requires={"T": 1}), Half("float32"))
    assert adapter.name == f"numixology, NumPy {np.__version__}; textbook"
    assert (adapter.stages, adapter.dtype) == (["silu", "gelu"], "float32")
    assert answered(adapter, make_case("silu", dtype="float32"), True).fault == ""
    gelu, silu = conform(adapter, stages=["gelu", "silu"], **QUICK).stages
    assert (gelu.outcome, silu.outcome) == ("pass", "pass")
    assert {one.tensor for one in silu.comparisons} == {"output", "x"}
    assert {one.tensor for one in gelu.comparisons} == {"output"}
    assert any("the adapter has no vjp" in text for text in gelu.remarks)


@pytest.mark.parametrize(
    ("dtype", "other", "says"),
    [
        ("float32", {"stages": ["silu"]}, "silu in float32; silu in float32"),
        ("float64", {"stages": ["gelu"]}, "silu in float32; gelu in float64"),
        ("float32", {"stages": ["gelu"], "accumulation": "float64"}, "gelu in float32"),
    ],
)
def test_adapters_that_contradict_are_not_combined(dtype, other, says) -> None:
    one = Numpy("float32", stages=["silu"])
    with refused(ArgumentError, "combined adapters have one format", says):
        Combined(one, Numpy(dtype, **other))


def test_each_of_combined_adapters_is_judged_by_what_it_says_of_itself() -> None:
    """Two networks of which each has other options, and one that knows no other sizes."""
    standard = Numpy("float32", stages=["feed_forward"], activation="relu", requires={"T": "<=1"})
    gated = Numpy("float32", stages=["block"], ffn="swiglu")
    one, other = conform(
        Combined(standard, gated), stages=["feed_forward", "block"], **QUICK
    ).stages
    assert (one.outcome, other.outcome) == ("pass", "pass")
    assert one.sizes["T"] == (1, 1) and other.sizes["T"][1] > 1


# The file to start from


def test_the_template_passes_where_it_is_done(tmp_path) -> None:
    report = conform(load(written(tmp_path, template(), "my_backend.py")), quick=True)
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
    for word in (*DECLARES, *LAYOUTS, *OPTIONS, *itertools.chain(*OPTIONS.values())):
        assert word in text
    assert max(map(len, text.splitlines())) <= 100
    assert text.isascii()  # whatever encoding it is written in


def test_the_template_says_what_else_a_backend_may_do(tmp_path) -> None:
    # a stage that is listed but not written is not covered
    text = template().replace('stages = ["silu"]', 'stages = ["silu", "softmax"]')
    report = conform(load(written(tmp_path, text)), stages=["silu", "softmax"], quick=True)
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
    assert sizes.ff_dim == ((7 if stage.endswith("linear") else 15) if "F" in letters else 0)
    assert sizes.vocab_size == (13 if "V" in letters else 0)
    assert sizes.num_layers == (2 if stage == "model" else 0)
    assert sizes.eps == inputs.get("eps", 0.0)
    assert hash(sizes) == hash(Sizes(*sizes))


def test_authors_names() -> None:
    arrays = arrays_of(make_case("model").inputs)
    names = {
        "blocks.i.mixer.norm.weight": "layers.i.ln1.scale",
        "blocks.1.mixer.norm.bias": "last.bias",
        "token_embedding.weight": "i.table",
    }
    found = Names("model", names, {}).of(arrays)
    assert found["blocks.0.mixer.norm.weight"] == "layers.0.ln1.scale"
    assert found["blocks.1.mixer.norm.weight"] == "layers.1.ln1.scale"
    assert found["blocks.0.mixer.norm.bias"] == "blocks.0.mixer.norm.bias"
    assert found["blocks.1.mixer.norm.bias"] == "last.bias"
    assert found["token_embedding.weight"] == "i.table"
    assert list(found) == list(arrays)
    assert len(set(found.values())) == len(found)
    assert list(Names("linear", {}, {}).of(make_case("linear").inputs)) == ["weight", "bias"]


def test_names_of_no_parameter_are_refused() -> None:
    with refused(StateDictError, "got wieght; use x, weight, bias"):
        Names("linear", {"wieght": "kernel"}, {})
    Names("block", {"ffn.w1.weight": "gate"}, {"ffn": "swiglu"})
    with refused(StateDictError, "got ffn.w1.weight; use x, "):
        Names("block", {"ffn.w1.weight": "gate"}, {})


def test_what_code_is_called() -> None:
    assert [title(code) for code in (max, Textbook, Textbook())] == ["max", "Textbook", "Textbook"]


def positional(first, second, third, /):
    return first, second, third


def by_name(x, *, eps, scale=1, **more):
    return x, eps, scale


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (by_name, ("x", 0.1, 1)),
        (lambda x, weight=None: (x, weight), ("x", "w")),
        (lambda x, /, eps: (x, eps), ("x", 0.1)),
        (lambda whatever: whatever, "alone"),
        (lambda whatever, more=2: (whatever, more), ("alone", 2)),
        (lambda *several: several, ("a", "b", "c")),
        (lambda p, t: (p, t), ("a", "b")),
        (positional, ("a", "b", "c")),
        (max, "c"),  # which does not say what it takes
    ],
)
def test_code_is_called_with_what_it_asks_for(function, found) -> None:
    given = {"x": "x", "weight": "w", "eps": 0.1}
    assert called(function, given, "alone", ["a", "b", "c"]) == found


def test_a_module_is_asked_what_its_forward_takes() -> None:
    class Module:
        def forward(self, x, heads=1):
            return x, heads

        def __call__(self, *args, **named):
            return self.forward(*args, **named)

    assert called(Module(), {"x": "x", "heads": 3}, None, []) == ("x", 3)


def test_what_has_gradients() -> None:
    inputs = make_case("linear").inputs
    assert list(arrays_of(inputs)) == ["x", "weight", "bias"]
    assert list(arrays_of(make_case("embedding").inputs)) == ["weight"]


def test_a_ready_adapter_is_made_with_its_options(monkeypatch) -> None:
    """As those of other libraries are, whose modules stand aside here."""
    module = types.ModuleType(f"{ADAPTERS}.torch")
    module.Torch = lambda device="cpu", dtype="float32": Textbook(
        dtype, {"cuda": "float64"}[device]
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    found = load("torch:dtype=bfloat16,device=cuda")
    assert (found.dtype, found.accumulation) == ("bfloat16", "float64")
    with refused(ArgumentError, "tf64", "it takes device, dtype"):
        load("torch:tf64=on")


@pytest.mark.parametrize("module", ["builtin", "combining", "loading", "shared"])
def test_the_examples(module) -> None:
    found = doctest.testmod(
        importlib.import_module(f"{ADAPTERS}.{module}"),
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
    )
    assert found.attempted
    assert not found.failed
