"""torch through the conformance kit: it passes as declared, and planted bugs are found."""

import doctest
import importlib
import pickle

import numpy as np
import pytest
import torch
from support import refused

from numixology.errors import DTypeError, UnsupportedError
from numixology.verify.conformance import STAGES, conform, make_case
from numixology.verify.conformance.adapters import load
from numixology.verify.conformance.adapters.torch import PROFILE, Torch, torch_module

Ft = torch.nn.functional
DTYPES = ["float64", "float32", "bfloat16", "float16"]
adapters = importlib.import_module("numixology.verify.conformance.adapters.torch")


def declaring(adapter, profile):
    adapter.profile = profile
    return adapter


# torch's own functions


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_passes_as_declared(dtype) -> None:
    report = conform(load(f"torch:dtype={dtype}"))
    assert report.verdict == "pass", str(report)
    assert {one.outcome for one in report.stages} == {"pass", "known"}
    assert not [text for one in report.stages for text in (*one.broken, *one.remarks)]


@pytest.mark.parametrize(
    ("dtype", "profile"), [(dtype, one) for dtype in DTYPES for one in PROFILE[dtype]]
)
def test_every_profile_that_is_declared_is_needed(dtype, profile) -> None:
    rest = tuple(one for one in PROFILE[dtype] if one != profile)
    stage = {"tails": "gelu", "offsets": "layer_norm"}[profile]
    report = conform(declaring(Torch(dtype=dtype), rest), stages=[stage])
    assert report.verdict == "fail"
    assert report.exit_code == 1


def test_what_needs_no_excuse_has_none() -> None:
    stages = ["embedding", "token_mix", "linear", "softmax"]
    report = conform(declaring(Torch(dtype="float64"), ()), stages=stages)
    assert [one.outcome for one in report.stages] == ["pass"] * 4


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_adapter_says_what_it_is(dtype) -> None:
    adapter = pickle.loads(pickle.dumps(Torch(dtype=dtype)))
    assert (adapter.dtype, adapter.device) == (dtype, torch.device("cpu"))
    assert adapter.accumulation == ("float64" if dtype == "float64" else "float32")
    assert torch.__version__ in adapter.name
    assert "cpu" in adapter.name


def test_what_is_not_here_is_unsupported() -> None:
    if not torch.cuda.is_available():
        with refused(UnsupportedError, "'cuda'", "device=cpu"):
            load("torch:device=cuda,dtype=float32,tf32=on")
    with refused(UnsupportedError, "'abacus'"):
        load("torch:device=abacus")
    with refused(DTypeError, "'int8'"):
        load("torch:dtype=int8")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_passes_on_cuda(dtype) -> None:
    adapter = load(f"torch:device=cuda,dtype={dtype}")
    assert "TF32 off" in adapter.name
    report = conform(adapter)
    assert report.verdict == "pass", str(report)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_tf32_is_found() -> None:
    adapter = load("torch:device=cuda,dtype=float32,tf32=on")
    assert "TF32 on" in adapter.name
    assert conform(adapter, stages=["linear"]).verdict == "fail"


@pytest.mark.parametrize("on", [True, False])
def test_tf32_is_switched_and_put_back(on) -> None:
    settings = torch.backends.cuda.matmul
    before = settings.fp32_precision
    with adapters._tf32(settings, on):
        assert settings.fp32_precision == ("tf32" if on else "ieee")
    assert settings.fp32_precision == before

    class Older:
        allow_tf32 = not on

    with adapters._tf32(Older, on):
        assert Older.allow_tf32 is on
    assert Older.allow_tf32 is not on


# What is handed over

NUMBERS = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "array",
    [
        NUMBERS,
        np.asfortranarray(NUMBERS),
        np.repeat(NUMBERS, 2, axis=-1)[..., ::2],
        NUMBERS[:, ::-1],
        np.broadcast_to(NUMBERS[:, :1], NUMBERS.shape),
        NUMBERS[..., :0],
    ],
    ids=["contiguous", "Fortran", "gaps", "reversed", "broadcast", "empty"],
)
@pytest.mark.parametrize("writeable", [True, False])
def test_arrays_arrive_as_they_are(dtype, array, writeable) -> None:
    adapter = Torch(dtype=dtype)
    array = array.astype(np.float32 if dtype == "bfloat16" else dtype, order="K", subok=True)
    array = array if writeable or 0 in array.strides else array[:]
    if array.flags.writeable:
        array.flags.writeable = writeable
    tensor = adapter.tensor(array)
    assert tensor.dtype == getattr(torch, dtype)
    assert tensor.shape == array.shape
    np.testing.assert_array_equal(adapter.array(tensor), array)
    if min(array.strides) > 0 and array.size:
        assert tensor.stride() == tuple(step // array.itemsize for step in array.strides)
    if writeable and dtype != "bfloat16" and min(array.strides) > 0 and array.size:
        tensor[0, 0, 0] = 99.0
        assert array[0, 0, 0] == 99.0
        tensor[0, 0, 0] = 0.0


def test_views_with_gaps_and_without_keep_their_strides() -> None:
    wide = np.repeat(NUMBERS, 2, axis=-1)[..., ::2]
    assert Torch(dtype="float32").tensor(wide).stride() == (24, 8, 2)
    assert Torch(dtype="bfloat16").tensor(wide).stride() == (24, 8, 2)
    flat = np.broadcast_to(np.float32(1), (2, 3))
    assert Torch(dtype="float32").tensor(flat).stride() == (0, 0)
    ids = np.arange(6).reshape(2, 3)[:, ::2]
    assert Torch(dtype="float16").tensor(ids).dtype == torch.int64


# Modules


class Norm(torch.nn.Module):
    """LayerNorm, written out, with a place to go wrong."""

    def __init__(self, sizes, correction=0):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(sizes.hidden_dim))
        self.shift = torch.nn.Parameter(torch.zeros(sizes.hidden_dim))
        self.eps, self.correction = sizes.eps, correction

    def forward(self, x):
        h = x - x.mean(-1, keepdim=True)
        variance = x.var(-1, keepdim=True, correction=self.correction)
        return h / torch.sqrt(variance + self.eps) * self.scale + self.shift


class Block(torch.nn.Module):
    """A RankMixer block as somebody else would write it."""

    def __init__(self, sizes, norm=Norm):
        super().__init__()
        d, f = sizes.hidden_dim, sizes.ff_dim
        self.heads = sizes.num_heads
        self.ln1, self.ln2 = norm(sizes), norm(sizes)
        self.net = torch.nn.Sequential(
            torch.nn.Linear(d, f), torch.nn.GELU(), torch.nn.Dropout(0.5), torch.nn.Linear(f, d)
        )

    def forward(self, x):
        b, t, d = x.shape
        mixed = x.unflatten(-1, (self.heads, -1)).transpose(1, 2).reshape(b, t, d)
        y = self.ln1(x + mixed)
        return y + self.net(self.ln2(y))


NORM = {"weight": "scale", "bias": "shift"}
BLOCK = {
    "mixer.norm.weight": "ln1.scale",
    "mixer.norm.bias": "ln1.shift",
    "ffn.norm.weight": "ln2.scale",
    "ffn.norm.bias": "ln2.shift",
    "ffn.linear1.weight": "net.0.weight",
    "ffn.linear1.bias": "net.0.bias",
    "ffn.linear2.weight": "net.3.weight",
    "ffn.linear2.bias": "net.3.bias",
}


class Model(torch.nn.Module):
    def __init__(self, sizes, block=Block):
        super().__init__()
        self.words = torch.nn.Embedding(sizes.vocab_size, sizes.hidden_dim)
        self.places = torch.nn.Embedding(sizes.tokens, sizes.hidden_dim)
        self.layers = torch.nn.ModuleList(block(sizes) for _ in range(sizes.num_layers))

    def forward(self, ids):
        x = self.words(ids) + self.places(torch.arange(ids.shape[1], device=ids.device))
        for layer in self.layers:
            x = layer(x)
        return x


MODEL = {"token_embedding.weight": "words.weight", "position_embedding.weight": "places.weight"}
MODEL |= {f"blocks.i.{ours}": f"layers.i.{theirs}" for ours, theirs in BLOCK.items()}


@pytest.mark.parametrize(
    ("make", "names", "stage"),
    [
        (Norm, NORM, "layer_norm"),
        (Block, BLOCK, "block"),
        (Model, MODEL, "model"),
        (lambda s: torch.nn.LayerNorm(s.hidden_dim, s.eps), {}, "layer_norm"),
        (lambda s: torch.nn.Linear(s.hidden_dim, s.ff_dim), None, "linear"),
        (lambda s: torch.nn.Softmax(-1), {}, "softmax"),
    ],
    ids=["norm", "block", "model", "torch's norm", "torch's linear", "torch's softmax"],
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_right_module_passes(make, names, stage, dtype) -> None:
    adapter = torch_module(make, names, stage, dtype=dtype)
    report = conform(adapter)
    assert report.verdict == "pass", str(report)
    assert [one.stage for one in report.stages if one.outcome != "not covered"] == [stage]


def test_a_module_is_called_as_one_likes() -> None:
    class Mix(torch.nn.Module):
        def forward(self, x, heads):
            b, t, d = x.shape
            return (x.view(b, t, heads, -1).transpose(1, 2).reshape(b, t, d), None)

    adapter = torch_module(
        lambda sizes: Mix(), stage="token_mix", call=lambda m, p: m(p["x"], p["num_heads"])[0]
    )
    assert conform(declaring(adapter, ()), stages=["token_mix"]).stages[0].outcome == "pass"


def failing(make, names, stage, **options):
    """What the report says of the stage, which must fail."""
    report = conform(torch_module(make, names, stage, **options), stages=[stage])
    assert report.verdict == "fail", str(report)
    assert report.first_failure.stage == stage
    return report.first_failure


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_unbiased_variance_is_found(dtype) -> None:
    found = failing(lambda s: Norm(s, correction=1), NORM, "layer_norm", dtype=dtype)
    assert found.worst.outcome == "fail"
    assert {one.tensor for one in found.comparisons if one.outcome == "fail"} >= {"output", "x"}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("function", "stage"), [("quick", "gelu"), ("relu", "silu")])
def test_another_activation_is_found_in_every_format(function, stage, dtype) -> None:
    other = {"quick": lambda x: x * torch.sigmoid(1.702 * x), "relu": Ft.relu}[function]
    failing(lambda sizes: Function(other), {}, stage, dtype=dtype)


def test_it_is_found_inside_a_block_and_a_model() -> None:
    def wrong(sizes):
        return Block(sizes, lambda s: Norm(s, correction=1))

    failing(wrong, BLOCK, "block")
    failing(lambda s: Model(s, wrong), MODEL, "model")


class Detached(Norm):
    """The gradient misses the variance's part."""

    def forward(self, x):
        h = x - x.mean(-1, keepdim=True)
        variance = (h * h).mean(-1, keepdim=True).detach()
        return h / torch.sqrt(variance + self.eps) * self.scale + self.shift


class Coarse(torch.nn.Linear):
    """Products of bfloat16 numbers, declared as float32."""

    def forward(self, x):
        y = Ft.linear(x.bfloat16().float(), self.weight.bfloat16().float(), self.bias)
        return y


def test_a_wrong_gradient_is_found() -> None:
    found = failing(Detached, NORM, "layer_norm")
    wrong = {one.tensor for one in found.comparisons if one.outcome == "fail"}
    assert wrong == {"x"}


def test_coarse_products_are_found() -> None:
    failing(lambda s: Coarse(s.hidden_dim, s.ff_dim), {}, "linear")


class Function(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def across_the_batch(x):
    return Ft.softmax(x, dim=0)


def in_place(x):
    with torch.no_grad():
        x.data.mul_(0.5)
    return x * 2 * torch.sigmoid(2 * x)


def hiding_nan(x):
    return Ft.silu(torch.nan_to_num(x))


def sum_of_rows(x):
    return torch.softmax(x, -1).sum(-1)


@pytest.mark.parametrize(
    ("function", "stage", "dtype", "says"),
    [
        (across_the_batch, "softmax", "float32", "a row of the batch depends on the others"),
        (in_place, "silu", "float64", "it writes into x"),
        (in_place, "silu", "bfloat16", "it writes into x"),
        (hiding_nan, "silu", "float32", "NaN in its input does not reach its output"),
        (
            sum_of_rows,
            "softmax",
            "float32",
            "ShapeError: the output has the shape of its cotangent",
        ),
    ],
)
def test_broken_contracts_are_found(function, stage, dtype, says) -> None:
    found = failing(lambda sizes: Function(function), {}, stage, dtype=dtype)
    assert any(says in text for text in found.broken), found.broken


@pytest.mark.parametrize(
    ("make", "names", "says"),
    [
        (Norm, {"weight": "scale"}, "no bias"),
        (Norm, {}, "scale, which nothing is mapped to"),
        (lambda s: Norm(s._replace(hidden_dim=3)), NORM, "scale of shape (3,), not"),
    ],
)
def test_names_that_do_not_fit_are_listed(make, names, says) -> None:
    adapter = torch_module(make, names, "layer_norm")
    with pytest.raises(Exception, match="names maps each parameter") as caught:
        adapter.forward("layer_norm", make_case("layer_norm", dtype="float32").inputs)
    assert says in str(caught.value)
    assert any(says in text for text in failing(make, names, "layer_norm").broken)


def test_a_module_is_evaluated_and_leaves_no_trace() -> None:
    adapter = torch_module(Block, BLOCK, dtype="float64")
    case = make_case("block", seed=1)
    outputs = [adapter.forward("block", case.inputs) for _ in range(2)]
    np.testing.assert_array_equal(*outputs)  # dropout draws nothing
    assert adapter.vjp("block", case.inputs, case.cotangent).keys() == {"x", *BLOCK}


# The examples


def test_the_examples() -> None:
    flags = doctest.NUMBER if hasattr(doctest, "NUMBER") else 0
    flags |= doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    found = doctest.testmod(adapters, optionflags=flags)
    assert found.attempted > 10
    assert not found.failed


def test_every_stage_is_covered() -> None:
    assert {one.stage for one in conform(Torch(), seeds=1).stages} == STAGES.keys()
