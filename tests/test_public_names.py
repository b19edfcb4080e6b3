"""The names that users may rely on, and what importing them costs."""

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

import numixology as nx
from numixology.verify import conformance
from numixology.verify.conformance import adapters

#: The contract. A name may be added; none may go.
NAMES = {
    nx: """Tensor tensor grad vjp jvp jacobian no_grad primitive gradcheck debug_shapes educational
        functional nn optim training verify explain observe errors
        load save __version__""",
    nx.functional: """exp expm1 log log1p sqrt square abs sign maximum minimum clip where power tanh
        matmul einsum sum mean var max min prod cumsum concatenate stack split reshape transpose
        squeeze expand_dims broadcast_to erf relu sigmoid silu gelu softmax log_softmax logsumexp
        layer_norm linear dropout embedding attention token_mix token_revert mixing_steps
        mixing_rank mixing_condition cross_entropy
        binary_cross_entropy_with_logits mse_loss rms_norm per_token_linear""",
    nx.nn: """Module Linear LayerNorm Embedding Dropout TokenMixer FeedForward SwiGLUFeedForward
        RMSNorm PerTokenLinear PerTokenFeedForward PerTokenSwiGLU
        ResidualNetwork MeanPooling TaskHeads
        SelfAttention RankMixerBlock RankMixerModel functional_call""",
    nx.optim: """SGD Adam AdamW Optimizer clip_grad_norm clip_grad_value constant cosine step_decay
        warmup""",
    nx.training: """TASKS Task TaskModel FeatureTable TableModel generated_table read_csv auc train
        load save""",
    nx.verify: "gradcheck GradcheckReport",
    nx.explain: """Panel Scene Step feed_forward_scene mixer_scene model_scene steps_of Complexity
        complexity closed_form compare""",
    nx.Tensor: """data shape ndim dtype size grad requires_grad T view reshape permute transpose
        flatten unflatten contiguous is_contiguous stride sum mean max item numpy detach backward
        zero_grad astype""",
    nx.nn.Module: """parameters named_parameters state_dict load_state_dict zero_grad train eval
        parameter_table""",
    nx.nn.TokenMixer: "depth_to_mix forward_production",
    nx.verify.GradcheckReport: "passed verdict max_error",
    conformance: """conform STAGES KINDS PROFILES FORMATS EXIT_CODES Adapter Textbook Case Truth
        make_case cases_of truth_of Stage StageReport Comparison Diagnosis ConformanceReport
        html_report""",
    adapters: "load template",
    conformance.ConformanceReport: "verdict exit_code stages summary not_covered as_dict",
    conformance.StageReport: "outcome comparisons broken remarks detectable worst diagnosis",
}
ROOMS = [
    *(nx, nx.functional, nx.nn, nx.optim, nx.training),
    *(nx.verify, nx.explain, nx.observe, nx.errors),
    *(conformance, adapters),
]


@pytest.mark.parametrize("owner", NAMES, ids=lambda owner: owner.__name__)
def test_promised_names_exist(owner) -> None:
    for name in NAMES[owner].split():
        assert hasattr(owner, name), name
        if isinstance(owner, types.ModuleType):
            assert name in owner.__all__


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
def test_what_a_room_lists_is_there_once_and_is_no_stray(room) -> None:
    assert len(set(room.__all__)) == len(room.__all__)
    for name in room.__all__:
        thing = getattr(room, name)
        assert name == "__version__" or not name.startswith("_")
        if isinstance(thing, types.ModuleType):
            assert thing.__name__ == f"{room.__name__}.{name}"


def test_star_imports_give_what_is_listed() -> None:
    names: dict[str, object] = {}
    exec("from numixology import *", names)
    assert set(names) - {"__builtins__"} == set(nx.__all__)


def test_gradcheck_is_one_function() -> None:
    assert nx.gradcheck is nx.verify.gradcheck
    assert nx.__getattr__("verify") is nx.verify, "before and after it was loaded"


def test_the_version_is_that_of_the_distribution() -> None:
    numbers = nx.__version__.split(".")
    assert len(numbers) == 3
    assert all(part.isdecimal() for part in numbers)


def loaded(code: str) -> list[str]:
    """The modules that a fresh interpreter has loaded after running `code`."""
    package = str(Path(nx.__file__).parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys\n{code}\nprint(json.dumps(list(sys.modules)))"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        check=True,
        text=True,
        timeout=120,
    )
    return json.loads(done.stdout)


def test_importing_loads_numpy_and_the_standard_library_only() -> None:
    numpy_alone = set(loaded("import numpy"))
    added = set(loaded("import numpy, numixology")) - numpy_alone
    assert "numixology.nn" in added
    tops = {name.partition(".")[0] for name in added}
    assert tops - {"numixology", "numpy"} <= sys.stdlib_module_names
    unwanted = {"argparse", "subprocess", "unittest", "scipy", "torch", "jax", "hypothesis"}
    slow = {"asyncio", "concurrent", "json", "logging", "pathlib", "xml"}
    assert not tops & (unwanted | slow)
    assert "numpy.random" not in added  # as slow as this package
    rooms = {".".join(name.split(".")[:2]) for name in added if name.startswith("numixology.")}
    assert not rooms & {"numixology.cli", "numixology.explain", "numixology.verify"}


@pytest.mark.parametrize(
    ("code", "room"),
    [
        ("import numixology; numixology.explain.draw", "explain"),
        ("import numixology; numixology.verify.gradcheck", "verify"),
        ("from numixology import gradcheck", "verify"),
    ],
)
def test_figures_and_checks_load_when_they_are_asked_for(code: str, room: str) -> None:
    others = {"numixology.explain", "numixology.verify"} - {f"numixology.{room}"}
    names = set(loaded(code))
    assert f"numixology.{room}" in names
    assert not others & names
    assert not {"numixology.verify.suite", "numixology.verify.conformance"} & names


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'numixology' has no attribute 'gradchek'"):
        nx.gradchek  # noqa: B018
    assert set(nx.__all__) <= set(dir(nx))
    listed = "import numixology; assert {'explain', 'gradcheck', 'verify'} <= set(dir(numixology))"
    assert "numixology.verify" not in loaded(listed)
