"""Every module against the same one written with torch's own layers, state dicts moved by name."""

from functools import partial

import numpy as np
import pytest
import torch
from backends.agreement import close, compare, of_torch

import numixology as nx

SEEDS = range(4)
ACTIVATIONS = ["gelu", "gelu_tanh", "relu", "silu"]


# The torch side, with torch.nn's own layers under the same names


class TorchPerTokenLinear(torch.nn.Module):
    """One linear layer after another, each on its token."""

    def __init__(self, num_tokens, in_features, out_features, bias=True):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.empty(num_tokens, out_features, in_features))
        self.bias = torch.nn.Parameter(torch.empty(num_tokens, out_features)) if bias else None

    def forward(self, x):
        biases = [None] * len(self.weight) if self.bias is None else self.bias
        tokens = zip(x.unbind(1), self.weight, biases, strict=True)
        return torch.stack([torch.nn.functional.linear(*token) for token in tokens], 1)


def torch_linear(num_tokens):
    """What makes a linear layer for all tokens, or for each."""
    return partial(TorchPerTokenLinear, num_tokens) if num_tokens else torch.nn.Linear


class TorchResidual(torch.nn.Module):
    def __init__(self, hidden_dim, norm):
        super().__init__()
        self.norm = torch.nn.LayerNorm(hidden_dim)
        self.placement = norm

    def forward(self, x):
        if self.placement == "post":
            return self.norm(x + self.network(x))
        return x + self.network(self.norm(x))


class TorchFeedForward(TorchResidual):
    def __init__(self, hidden_dim, ff_dim, activation="gelu", bias=True, norm="pre", tokens=None):
        super().__init__(hidden_dim, norm)
        linear = torch_linear(tokens)
        self.linear1 = linear(hidden_dim, ff_dim, bias)
        self.linear2 = linear(ff_dim, hidden_dim, bias)
        self.activation = {
            "gelu": torch.nn.GELU(),
            "gelu_tanh": torch.nn.GELU(approximate="tanh"),
            "relu": torch.nn.ReLU(),
            "silu": torch.nn.SiLU(),
        }[activation]

    def network(self, h):
        return self.linear2(self.activation(self.linear1(h)))


class TorchSwiGLU(TorchResidual):
    def __init__(self, hidden_dim, ff_dim, bias=False, norm="pre", tokens=None):
        super().__init__(hidden_dim, norm)
        linear = torch_linear(tokens)
        self.w1 = linear(hidden_dim, ff_dim, bias)
        self.w2 = linear(ff_dim, hidden_dim, bias)
        self.w3 = linear(hidden_dim, ff_dim, bias)

    def network(self, h):
        return self.w2(torch.nn.functional.silu(self.w1(h)) * self.w3(h))


class TorchSelfAttention(torch.nn.Module):
    def __init__(self, hidden_dim, num_heads, bias=True):
        super().__init__()
        self.num_heads = num_heads
        self.query = torch.nn.Linear(hidden_dim, hidden_dim, bias)
        self.key = torch.nn.Linear(hidden_dim, hidden_dim, bias)
        self.value = torch.nn.Linear(hidden_dim, hidden_dim, bias)
        self.output = torch.nn.Linear(hidden_dim, hidden_dim, bias)

    def forward(self, x):
        B, T, D = x.shape

        def heads(y):
            return y.view(B, T, self.num_heads, D // self.num_heads).transpose(1, 2)

        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            y = torch.nn.functional.scaled_dot_product_attention(
                heads(self.query(x)), heads(self.key(x)), heads(self.value(x))
            )
        return self.output(y.transpose(1, 2).reshape(B, T, D))


class TorchMixer(torch.nn.Module):
    def __init__(self, hidden_dim, num_heads, mixing="rankmixer", norm="post"):
        super().__init__()
        self.num_heads, self.mixing, self.placement = num_heads, mixing, norm
        self.norm = torch.nn.LayerNorm(hidden_dim)

    def forward(self, x):
        if self.placement == "pre":
            return x + self.mix(self.norm(x))
        return self.norm(self.mix(x) if self.placement == "bare" else x + self.mix(x))

    def mix(self, x):
        B, T, D = x.shape
        H, d = self.num_heads, D // self.num_heads
        mixed = x.view(B, T, H, d).permute(0, 2, 1, 3).contiguous()  # (B, H, T, d)
        if self.mixing == "guide":
            mixed = mixed.permute(0, 2, 1, 3).contiguous()  # (B, T, H, d)
        return mixed.view(B, T, D)


class TorchBlock(torch.nn.Module):
    def __init__(
        self, hidden_dim, num_heads, ff_dim, ffn="standard", *, form="guide", tokens=None, **options
    ):
        super().__init__()
        self.form = form
        mixing = options.pop("mixing", "rankmixer")
        mixer = {"pre": "pre", "bare_mix": "bare"}.get(form, "post")
        self.mixer = TorchMixer(hidden_dim, num_heads, mixing, mixer)
        kind = TorchSwiGLU if "swiglu" in ffn else TorchFeedForward
        norm = "pre" if form in ("guide", "pre") else "post"
        own = tokens if "per_token" in ffn else None
        self.ffn = kind(hidden_dim, ff_dim, norm=norm, tokens=own, **options)

    def forward(self, x):
        s = self.mixer(x)
        if self.form == "bare_mix":
            return self.ffn.norm(x + self.ffn.network(s))
        return self.ffn(s)


class TorchHeads(torch.nn.Module):
    def __init__(self, hidden_dim, count):
        super().__init__()
        self.heads = torch.nn.ModuleList(torch.nn.Linear(hidden_dim, 1) for _ in range(count))

    def forward(self, x):
        return torch.cat([head(x.mean(1)) for head in self.heads], 1)


class Pooled(nx.nn.TaskHeads):
    """The same of ours: the mean of the tokens, then the heads."""

    def forward(self, x):
        return super().forward(nx.nn.MeanPooling()(x))


class TorchModel(torch.nn.Module):
    def __init__(self, vocab_size, num_tokens, num_layers, hidden_dim, *block, **options):
        super().__init__()
        self.token_embedding = torch.nn.Embedding(vocab_size, hidden_dim)
        self.position_embedding = torch.nn.Embedding(num_tokens, hidden_dim)
        self.blocks = torch.nn.ModuleList(
            TorchBlock(hidden_dim, *block, **options) for _ in range(num_layers)
        )

    def forward(self, ids):
        x = self.token_embedding(ids) + self.position_embedding(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return x


def randomised(module, seed):
    """Every parameter standard normal, so that norms have weights and biases of their own."""
    rng = np.random.default_rng([seed, 2])
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.tensor(rng.standard_normal(parameter.shape)))
    return module


def same_names_and_shapes(ours, theirs):
    wanted = [(name, tuple(p.shape)) for name, p in theirs.named_parameters()]
    found = [(name, p.shape) for name, p in ours.named_parameters()]
    assert sorted(found) == sorted(wanted)
    assert sorted(ours.state_dict()) == sorted(theirs.state_dict())


def agree(group, ours, theirs, x, *, seed=0, zero=()):
    """Parameters to and fro by name; then output and all gradients.

    ``zero`` names parameters whose exact gradient is zero: their rounding errors are measured
    against the largest entry of any gradient.
    """
    theirs = randomised(theirs.double(), seed)
    ours.eval()
    same_names_and_shapes(ours, theirs)
    started = ours.state_dict()
    ours.load_state_dict({name: p.numpy() for name, p in theirs.state_dict().items()})
    for name, values in ours.state_dict().items():
        np.testing.assert_array_equal(values, theirs.state_dict()[name].numpy())

    differentiable = x.dtype.kind == "f"
    for back in (False, True):
        if back:  # the parameters that ours started with, into torch
            ours.load_state_dict(started)
            theirs.load_state_dict({n: torch.from_numpy(v) for n, v in ours.state_dict().items()})
        inputs = nx.tensor(x, requires_grad=differentiable)
        inputs_torch = of_torch(x, differentiable)
        names = [name for name, _ in ours.named_parameters()]
        parameters, parameters_torch = (
            dict(ours.named_parameters()),
            dict(theirs.named_parameters()),
        )
        leaves = [parameters[name] for name in names] + [inputs] * differentiable
        leaves_torch = [parameters_torch[name] for name in names] + [inputs_torch] * differentiable
        y, y_torch = ours(inputs), theirs(inputs_torch)
        if not zero:
            compare(group, (y, leaves), (y_torch, leaves_torch), seed=seed)
            continue
        largest = max(
            float(gradient.abs().max())
            for gradient in torch.autograd.grad(y_torch.sum(), leaves_torch, retain_graph=True)
        )
        told = [n not in zero for n in [*names, "x"][: len(leaves)]]
        for chosen, scale in ((True, 0.0), (False, largest)):
            compare(
                group,
                (y, [leaf for leaf, one in zip(leaves, told, strict=True) if one == chosen]),
                (
                    y_torch,
                    [leaf for leaf, one in zip(leaves_torch, told, strict=True) if one == chosen],
                ),
                seed=seed,
                scale=scale,
            )


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5)], ids=str)
def test_linear(shape, bias):
    for seed in SEEDS:
        x = np.random.default_rng(seed).standard_normal(shape)
        agree(
            "Linear", nx.nn.Linear(5, 4, bias, rng=seed), torch.nn.Linear(5, 4, bias), x, seed=seed
        )


@pytest.mark.parametrize("eps", [1e-5, 0.1])
@pytest.mark.parametrize("shape", [(4,), (3, 6), (2, 3, 8)], ids=str)
def test_layer_norm(shape, eps):
    for seed in SEEDS:
        x = np.random.default_rng(seed).standard_normal(shape)
        ours, theirs = nx.nn.LayerNorm(shape[-1], eps), torch.nn.LayerNorm(shape[-1], eps)
        agree("LayerNorm", ours, theirs, x, seed=seed)


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_per_token_linear(bias):
    for seed in SEEDS:
        x = np.random.default_rng(seed).standard_normal((2, 3, 5))
        ours = nx.nn.PerTokenLinear(3, 5, 4, bias, rng=seed)
        agree("PerTokenLinear", ours, TorchPerTokenLinear(3, 5, 4, bias), x, seed=seed)


@pytest.mark.parametrize("eps", [1e-5, 0.1])
@pytest.mark.parametrize("shape", [(4,), (3, 6), (2, 3, 8)], ids=str)
def test_rms_norm(shape, eps):
    for seed in SEEDS:
        x = np.random.default_rng(seed).standard_normal(shape)
        ours, theirs = nx.nn.RMSNorm(shape[-1], eps), torch.nn.RMSNorm(shape[-1], eps)
        agree("RMSNorm", ours, theirs, x, seed=seed)


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_per_token_networks(norm, bias):
    for seed in SEEDS:
        x = np.random.default_rng(seed).standard_normal((2, 3, 6))
        options = dict(norm=norm, bias=bias)
        for activation in ACTIVATIONS:
            ours = nx.nn.PerTokenFeedForward(3, 6, 7, activation=activation, rng=seed, **options)
            theirs = TorchFeedForward(6, 7, activation, tokens=3, **options)
            agree("PerTokenFeedForward", ours, theirs, x, seed=seed)
        ours = nx.nn.PerTokenSwiGLU(3, 6, 7, rng=seed, **options)
        agree("PerTokenSwiGLU", ours, TorchSwiGLU(6, 7, tokens=3, **options), x, seed=seed)


def test_embedding():
    for seed in SEEDS:
        ids = np.random.default_rng(seed).integers(0, 7, (3, 4))
        agree(
            "Embedding", nx.nn.Embedding(7, 5, rng=seed), torch.nn.Embedding(7, 5), ids, seed=seed
        )


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_feed_forward(activation, bias):
    for seed in SEEDS:
        x = np.random.default_rng(seed).standard_normal((2, 3, 6))
        agree(
            f"FeedForward: {activation}",
            nx.nn.FeedForward(6, 11, activation=activation, bias=bias, rng=seed),
            TorchFeedForward(6, 11, activation, bias),
            x,
            seed=seed,
        )


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_swiglu_feed_forward(bias):
    for seed in SEEDS:
        x = np.random.default_rng(seed).standard_normal((2, 3, 6))
        ours = nx.nn.SwiGLUFeedForward(6, 11, bias=bias, rng=seed)
        agree("SwiGLUFeedForward", ours, TorchSwiGLU(6, 11, bias), x, seed=seed)


@pytest.mark.parametrize(("T", "D", "H"), [(3, 8, 2), (5, 6, 1), (4, 4, 4)])
def test_self_attention(T, D, H):
    """A constant added to every key changes no score difference: its bias has no gradient."""
    for seed in SEEDS:
        x = np.random.default_rng(seed).standard_normal((2, T, D))
        ours, theirs = nx.nn.SelfAttention(D, H, rng=seed), TorchSelfAttention(D, H)
        agree("SelfAttention", ours, theirs, x, seed=seed, zero=("key.bias",))
        ours, theirs = (
            nx.nn.SelfAttention(D, H, bias=False, rng=seed),
            TorchSelfAttention(D, H, False),
        )
        agree("SelfAttention", ours, theirs, x, seed=seed)


@pytest.mark.parametrize("mixing", ["rankmixer", "guide"])
@pytest.mark.parametrize(("T", "D", "H"), [(4, 8, 4), (3, 6, 2), (2, 12, 3), (1, 4, 4), (5, 4, 1)])
def test_token_mixer(T, D, H, mixing):
    for seed in SEEDS:
        x = np.random.default_rng(seed).standard_normal((2, T, D))
        ours = nx.nn.TokenMixer(T, D, H, mixing=mixing)
        agree(f"TokenMixer: {mixing}", ours, TorchMixer(D, H, mixing), x, seed=seed)


@pytest.mark.parametrize("mixing", ["rankmixer", "guide"])
@pytest.mark.parametrize(
    "ffn", [("standard", activation) for activation in ACTIVATIONS] + [("swiglu", "gelu")], ids=str
)
def test_block(ffn, mixing):
    kind, activation = ffn
    options = {"ffn": kind, "mixing": mixing}
    torch_options = dict(options) if kind == "swiglu" else {**options, "activation": activation}
    for seed, (T, D, H) in enumerate([(4, 8, 4), (3, 6, 2), (2, 12, 3)]):
        x = np.random.default_rng(seed).standard_normal((2, T, D))
        agree(
            f"RankMixerBlock: {kind}",
            nx.nn.RankMixerBlock(T, D, H, activation=activation, rng=seed, **options),
            TorchBlock(D, H, 4 * D, **torch_options),
            x,
            seed=seed,
        )


@pytest.mark.parametrize("ffn", ["standard", "swiglu", "per_token", "per_token_swiglu"])
@pytest.mark.parametrize("form", ["guide", "post", "pre", "bare_mix"])
def test_block_in_its_forms(form, ffn):
    for seed, (T, D, H) in enumerate([(4, 8, 4), (3, 6, 2)]):
        x = np.random.default_rng(seed).standard_normal((2, T, D))
        agree(
            f"RankMixerBlock: {ffn}, {form}",
            nx.nn.RankMixerBlock(T, D, H, ff_dim=7, ffn=ffn, norm=form, rng=seed),
            TorchBlock(D, H, 7, ffn, form=form, tokens=T),
            x,
            seed=seed,
        )


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_network_with_norm_and_residual(norm):
    class Theirs(TorchResidual):
        def __init__(self):
            super().__init__(6, norm)
            self.network = torch.nn.Linear(6, 6)

    for seed in SEEDS:
        x = np.random.default_rng(seed).standard_normal((2, 3, 6))
        ours = nx.nn.ResidualNetwork(nx.nn.Linear(6, 6, rng=seed), 6, norm=norm)
        agree("ResidualNetwork", ours, Theirs(), x, seed=seed)


def test_pooling_and_heads():
    for seed in SEEDS:
        x = np.random.default_rng(seed).standard_normal((2, 3, 6))
        ours = Pooled(6, ["finish", "skip"], rng=seed)
        agree("MeanPooling, TaskHeads", ours, TorchHeads(6, 2), x, seed=seed)


@pytest.mark.parametrize("ffn", ["standard", "swiglu"])
def test_model(ffn):
    for seed, (T, D, H) in enumerate([(4, 8, 4), (3, 6, 2)]):
        ids = np.random.default_rng(seed).integers(0, 9, (3, T))  # rows that come twice
        agree(
            f"RankMixerModel: {ffn}",
            nx.nn.RankMixerModel(9, T, D, H, 3, ff_dim=2 * D, ffn=ffn, rng=seed),
            TorchModel(9, T, 3, D, H, 2 * D, ffn),
            ids,
            seed=seed,
        )


def test_dropout_is_the_identity_in_evaluation_and_on_in_training_as_in_torch():
    x = np.ones((20, 30))
    ours, theirs = nx.nn.Dropout(0.5, rng=0), torch.nn.Dropout(0.5)
    assert ours.training and theirs.training
    assert set(np.unique(np.asarray(ours(nx.tensor(x))))) == {0.0, 2.0}
    assert set(theirs(of_torch(x)).unique().tolist()) == {0.0, 2.0}
    close(ours.eval()(nx.tensor(x)), theirs.eval()(of_torch(x)))


@pytest.mark.parametrize("cls", [nx.nn.Linear, nx.nn.Embedding], ids=lambda cls: cls.__name__)
def test_initial_values_have_torch_s_distribution(cls):
    """Uniform in ±1/√in for linear layers, standard normal for embeddings."""
    ours = cls(64, 256, rng=0)
    torch.manual_seed(0)
    theirs = getattr(torch.nn, cls.__name__)(64, 256)
    for name, p in ours.named_parameters():
        a = np.sort(np.asarray(p).ravel())
        b = np.sort(theirs.get_parameter(name).detach().double().numpy().ravel())
        deciles = np.arange(a.size // 20, a.size, a.size // 10)
        spread = b.std()
        assert np.abs(a[deciles] - b[deciles]).max() < (0.06 if a.size > 1000 else 0.4) * spread
        if cls is nx.nn.Linear:
            assert np.abs(a).max() <= 1 / np.sqrt(64)
            assert np.abs(b).max() <= 1 / np.sqrt(64)


@pytest.mark.parametrize(("T", "n", "out"), [(16, 64, 256), (8, 96, 48)])
def test_torch_s_initializer_starts_stacked_weights_too_small(T, n, out):
    """It takes the fan of (T, out, in) to be out · in; ours starts every slice as torch a layer."""
    torch.manual_seed(0)
    single = torch.nn.Linear(n, out).weight.detach().numpy().std()
    stacked = torch.empty(T, out, n)
    torch.nn.init.kaiming_uniform_(stacked, a=5**0.5)  # as torch.nn.Linear does with (out, in)
    ours = nx.nn.PerTokenLinear(T, n, out, rng=0).weight.data.std(axis=(1, 2))
    np.testing.assert_allclose(ours, single, rtol=0.05)
    theirs = stacked.numpy().std(axis=(1, 2))
    np.testing.assert_allclose(theirs, single / np.sqrt(out), rtol=0.05)


def test_every_module_is_compared():
    compared = {
        "Linear", "LayerNorm", "Embedding", "Dropout", "FeedForward", "SwiGLUFeedForward",
        "SelfAttention", "TokenMixer", "RankMixerBlock", "RankMixerModel", "PerTokenLinear",
        "RMSNorm", "PerTokenFeedForward", "PerTokenSwiGLU", "ResidualNetwork", "MeanPooling",
        "TaskHeads",
        # in test_torch_mixers.py
        "ChunkMixing", "FixedMixing", "FullMixing", "SinkhornMixing", "TokenMixerLarge",
        "TokenMixerLargeBlock",
        # in test_torch_experts.py
        "SlicedTokenizer", "GroupTokenizer", "GlobalToken", "PaddedMixing", "ReLURouter",
        "TopKRouter", "Experts", "SwiGLUExperts", "MixtureOfExperts", "SparseMoE",
        "SparsePerTokenMoE",
    }  # fmt: skip
    public = {
        name
        for name, thing in vars(nx.nn).items()
        if isinstance(thing, type) and issubclass(thing, nx.nn.Module)
    }
    assert public - {"Module"} == compared
