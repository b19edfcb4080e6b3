"""torch through the conformance kit: it passes as declared, and planted bugs are found."""

import doctest
import functools
import importlib
import pickle

import numpy as np
import pytest
import torch
from support import refused

from numixology.errors import ArgumentError, DTypeError, StateDictError, UnsupportedError
from numixology.verify.conformance import STAGES, conform, make_case
from numixology.verify.conformance.adapter import Declaration
from numixology.verify.conformance.adapters import Combined, load
from numixology.verify.conformance.adapters.torch import PROFILE, Torch, torch_module
from numixology.verify.conformance.bounds import judged, prepare
from numixology.verify.conformance.calling import answered

Ft = torch.nn.functional
#: Without networks by token, which take long and whose layers are there.
SINGLE = [one for one in STAGES if not one.startswith(("per_token_f", "per_token_s"))]
DTYPES = ["float64", "float32", "bfloat16", "float16"]
adapters = importlib.import_module("numixology.verify.conformance.adapters.torch")


#: The quick set, one case of every kind.
QUICK = {"seeds": 1, "quick": True}


def declaring(adapter, profile):
    adapter.profile = profile
    return adapter


# torch's own functions


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_passes_as_declared(dtype) -> None:
    # the cases at the sizes where kernels break in one format
    report = conform(load(f"torch:dtype={dtype}"), stages=SINGLE, seeds=1, quick=dtype != "float32")
    assert report.verdict == "pass", str(report)
    assert {one.outcome for one in report.stages} == {"pass", "known"}
    said = {text for one in report.stages for text in (*one.broken, *one.remarks)}
    said = {text for text in said if not text.startswith(("sums in ", "results below "))}
    assert said == {"negative strides do not reach this backend"}


@pytest.mark.parametrize(
    ("dtype", "profile"), [(dtype, one) for dtype in DTYPES for one in PROFILE[dtype]]
)
def test_every_profile_that_is_declared_is_needed(dtype, profile) -> None:
    rest = tuple(one for one in PROFILE[dtype] if one != profile)
    stage = {"tails": "gelu", "offsets": "layer_norm", "sums": "embedding"}[profile]
    report = conform(declaring(Torch(dtype=dtype), rest), stages=[stage], quick=True)
    assert report.verdict == "fail"
    assert report.exit_code == 1


@pytest.mark.parametrize("shape", [(1, 1, 260, 1), (1, 1, 114, 1), (260, 1, 1, 1), (67, 1, 2, 2)])
def test_torch_passes_where_one_hidden_number_is_all_that_there_is(shape) -> None:
    case = make_case(
        "block", "kernel", 47, "float32", dict(zip("BTDH", shape, strict=True)) | {"F": 1}
    )
    (one,) = prepare([case], "float32")
    backend = Torch(dtype="float32")
    results = answered(backend, case, True).results
    assert judged(one, results).failing
    assert not judged(one.under(backend.profile), results).failing


def test_what_needs_no_excuse_has_none() -> None:
    stages = ["embedding", "token_mix", "linear", "softmax"]
    report = conform(declaring(Torch(dtype="float64"), ()), stages=stages, quick=True)
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
    assert conform(adapter, stages=["linear"], quick=True).verdict == "fail"


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


VIEWS = {
    "contiguous": NUMBERS,
    "Fortran": np.asfortranarray(NUMBERS),
    "gaps": np.repeat(NUMBERS, 2, axis=-1)[..., ::2],
    "offset": NUMBERS[1:, :, 1:],
    "broadcast": np.broadcast_to(NUMBERS[:, :1], NUMBERS.shape),
    "strided": np.lib.stride_tricks.as_strided(NUMBERS, (2, 3), (4, 16)),
    "permuted": np.empty((4, 2, 3), np.float32).transpose(1, 2, 0),
    "empty": NUMBERS[..., :0],
    "reversed": NUMBERS[:, ::-1],
    "a buffer's": np.frombuffer(bytes(range(96)), np.float32).reshape(2, 3, 4),
    "odd": np.zeros(99, np.int8)[3:].view("f4"),
}
LOST = ("reversed", "a buffer's", "odd")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("view", VIEWS)
def test_arrays_arrive_as_they_lie(dtype, view) -> None:
    memory, array = adapters._Memory(torch.device("cpu"), getattr(torch, dtype)), VIEWS[view]
    kept = np.array(array)
    tensor = memory.tensor(array)
    assert (tensor.dtype, tensor.shape) == (getattr(torch, dtype), array.shape)
    np.testing.assert_array_equal(tensor.float().numpy(), torch.tensor(kept).to(tensor).float())
    if view not in LOST:
        assert tensor.stride() == tuple(step // 4 for step in array.strides)
    memory.written()
    np.testing.assert_array_equal(array, kept)


def test_the_memory_is_shared_even_if_it_is_read_only() -> None:
    memory, array = adapters._Memory(torch.device("cpu"), torch.float32), NUMBERS.copy()
    array.flags.writeable = False
    memory.tensor(array[:, 1:])[0, 0, 0] = 99
    assert array[0, 1, 0] == 99


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_written_is_seen_where_it_is(dtype) -> None:
    memory = adapters._Memory(torch.device("cpu"), getattr(torch, dtype))
    around = np.full((2, 5), 1 + 2**-20, np.float32)  # not a number of bfloat16
    around[0, 3] = np.nan
    tensor = memory.tensor(around[:, 1:3])
    tensor[1, 0] = 7
    tensor.as_strided((1,), (1,), 0)[0] = 9  # outside of what it was given
    memory.written()
    expected = np.full((2, 5), 1 + 2**-20, np.float32)
    expected[0, 3], expected[1, 1], expected[0, 0] = np.nan, 7, 9
    np.testing.assert_array_equal(around, expected)


def test_ids_are_64_bits_wide_in_any_format() -> None:
    memory = adapters._Memory(torch.device("cpu"), torch.float16)
    tensors = memory.tensors({"ids": np.arange(6, dtype=np.int32)[::2], "eps": 0.5})
    assert tensors["ids"].dtype == torch.int64
    assert tensors["ids"].tolist() == [0, 2, 4]
    assert tensors["eps"] == 0.5


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
    report = conform(adapter, quick=True)
    assert report.verdict == "pass", str(report)
    assert [one.stage for one in report.stages if one.outcome != "not covered"] == [stage]


def failing(make, names, stage, **options):
    """What the report says of the stage, which must fail."""
    report = conform(torch_module(make, names, stage, **options), stages=[stage], quick=True)
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
        (sum_of_rows, "softmax", "float32", "the output has shape (2, 3), not (2, 3, 10)"),
    ],
)
def test_broken_contracts_are_found(function, stage, dtype, says) -> None:
    found = failing(lambda sizes: Function(function), {}, stage, dtype=dtype)
    assert any(says in text for text in found.broken), found.broken


@pytest.mark.parametrize(
    ("make", "names", "says"),
    [
        (Norm, {"weight": "scale"}, "no bias of shape (10,); shift of"),
        (
            Norm,
            {},
            "no weight of shape (10,); no bias of shape (10,); scale of shape (10,) is left over",
        ),
        (lambda s: Norm(s._replace(hidden_dim=3)), NORM, "no scale of shape (10,); no shift"),
        (torch.nn.LayerNorm(7), {}, "weight of shape (7,) is left over"),
        (torch.nn.Linear, {}, "write such as torch_module(lambda sizes: Linear(sizes.hidden_dim)"),
        (torch.nn.LayerNorm, {}, "LayerNorm makes a module or a function from the sizes"),
        (lambda s: torch.nn.LayerNorm(-1), {}, 'as requires={"D": 64}'),
        (lambda s: [s], {}, "it returns list, for Sizes(batch=2"),
    ],
)
def test_a_wrong_wrapping_is_no_failure_of_the_module(make, names, says) -> None:
    adapter = torch_module(make, names, "layer_norm")
    with refused(StateDictError, says):
        conform(adapter, stages=["layer_norm"], **QUICK)


def test_a_module_for_as_many_heads_as_tokens_says_so_itself() -> None:
    def paper(sizes):
        if sizes.num_heads != sizes.tokens:
            raise ValueError("one head per token")
        return torch.nn.Identity()

    case = make_case("token_mix", dtype="float32")
    found = answered(torch_module(paper, stage="token_mix"), case, True)
    assert found.fault == "its forward raised ValueError: one head per token"


def test_names_of_no_parameter_are_refused() -> None:
    with refused(StateDictError, "got wieght"):
        torch_module(Norm, {"wieght": "scale"}, "layer_norm")


def mixing(x, num_heads):
    b, t, d = x.shape
    return x.reshape(b, t, num_heads, -1).transpose(1, 2).reshape(b, t, d)


class Silu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, ct):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return ct * s * (1 + x * torch.sigmoid(-x))


class Narrow(torch.nn.Module):
    """Made from those sizes that it has parameters for."""

    def __init__(self, hidden_dim, ff_dim):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.empty(ff_dim, hidden_dim))
        self.bias = torch.nn.Parameter(torch.empty(ff_dim))

    def forward(self, tokens):
        return Ft.linear(tokens, self.weight, self.bias)


@pytest.mark.parametrize(
    ("code", "stage"),
    [
        (lambda sizes: Ft.silu, "silu"),
        (Ft.silu, "silu"),
        (Ft.gelu, "gelu"),
        (functools.partial(Ft.gelu, approximate="tanh"), "gelu_tanh"),
        (torch.nn.SiLU, "silu"),
        (torch.nn.SiLU(), "silu"),
        (lambda sizes: torch.nn.SiLU(), "silu"),
        (Silu, "silu"),
        (Silu.apply, "silu"),
        (lambda sizes: Silu.apply, "silu"),
        (mixing, "token_mix"),
        (lambda sizes: mixing, "token_mix"),
        (Ft.linear, "linear"),
        (Ft.embedding, "embedding"),
        (lambda ids, weight: weight[ids], "embedding"),
        (lambda x, weight, bias=None: x @ weight.T + bias, "linear"),
        (Narrow, "linear"),
    ],
)
def test_code_is_understood_as_what_it_is(code, stage) -> None:
    report = conform(torch_module(code, stage=stage, dtype="float64"), stages=[stage], **QUICK)
    assert report.verdict == "pass", str(report)


def test_the_sizes_of_a_call_are_those_of_its_module() -> None:
    made = []

    def make(sizes):
        made.append(sizes.hidden_dim)
        return torch.nn.LayerNorm(sizes.hidden_dim, sizes.eps)

    adapter = torch_module(make, stage="layer_norm")
    for seed in (0, 1, 0):
        case = make_case("layer_norm", seed=seed, dtype="float32")
        assert not answered(adapter, case, True).fault
    assert made == [10, 12, 10]  # forward and backward have one module


def test_the_layout_of_parameters_reaches_a_module() -> None:
    seen = []

    class Sees(torch.nn.Linear):
        def forward(self, x):
            seen.append((x.stride(), self.weight.stride()))
            return super().forward(x)

    case = make_case("linear", "strided", dtype="float32")
    torch_module(lambda s: Sees(s.hidden_dim, s.ff_dim), stage="linear").forward(
        "linear", case.inputs
    )
    assert seen == [((60, 20, 2), (20, 2))]


def test_several_modules_are_one_adapter() -> None:
    norm, block = torch_module(Norm, NORM, "layer_norm"), torch_module(Block, BLOCK, "block")
    report = conform(Combined(norm, block, torch_module(Ft.silu, stage="silu")), **QUICK)
    assert report.verdict == "pass", str(report)
    covered = [one.stage for one in report.stages if one.outcome != "not covered"]
    assert covered == ["layer_norm", "silu", "block"]


def test_what_a_module_is_declared_to_be() -> None:
    adapter = torch_module(Norm, NORM, "layer_norm", profile=(), requires={"D": 4}, rounds="once")
    about = Declaration(adapter)
    assert (about.profile, about.requires, about.rounds) == ([], {"D": 4}, "once")
    assert about.lost == ("negative strides",)
    with refused(ArgumentError, "'dtpye'; use accumulation"):
        torch_module(Norm, NORM, dtpye="float64")


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
    assert {one.stage for one in conform(Torch(), **QUICK).stages} == STAGES.keys()
