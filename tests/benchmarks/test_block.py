"""A block's training step, forward and all gradients: ratios are printed, values asserted.

Float64, one thread. Beside the engines stands the same step written by hand in NumPy, without a
tape, once with numixology's own Gaussian and once, where SciPy is installed, with SciPy's.
"""

import math

import numpy as np
import pytest
from benchmarks.timing import installed, interleaved, print_table

import numixology as nx
from numixology import numerics

SHAPES = [(2, 4, 8), (4, 8, 768), (32, 16, 256)]
EPS = 1e-5


class Problem:
    """An input, a cotangent, and a block's parameters under their names, T = H and F = 4D."""

    def __init__(self, B, T, D):
        rng = np.random.default_rng(0)
        self.B, self.T, self.D, self.H = B, T, D, T
        self.x = rng.standard_normal((B, T, D))
        self.cotangent = rng.standard_normal((B, T, D))
        self.parameters = {
            "mixer.norm.weight": 1 + 0.1 * rng.standard_normal(D),
            "mixer.norm.bias": 0.1 * rng.standard_normal(D),
            "ffn.norm.weight": 1 + 0.1 * rng.standard_normal(D),
            "ffn.norm.bias": 0.1 * rng.standard_normal(D),
            "ffn.linear1.weight": rng.standard_normal((4 * D, D)) / math.sqrt(D),
            "ffn.linear1.bias": 0.1 * rng.standard_normal(4 * D),
            "ffn.linear2.weight": rng.standard_normal((D, 4 * D)) / math.sqrt(4 * D),
            "ffn.linear2.bias": 0.1 * rng.standard_normal(D),
        }

    def chunks(self):
        """(B, T, H, d), as the mixer cuts x."""
        return self.B, self.T, self.H, self.D // self.H


# By hand: each layer is a pair of functions, forward and backward


def norm(x, weight, bias):
    h = x - x.mean(-1, keepdims=True)
    rstd = np.einsum("nd,nd->n", h, h)[:, None]
    rstd /= x.shape[-1]
    rstd += EPS
    np.sqrt(rstd, out=rstd)
    np.reciprocal(rstd, out=rstd)
    h *= rstd
    y = h * weight
    y += bias
    return y, (h, rstd)


def norm_back(dy, weight, kept):
    h, rstd = kept
    dweight, dbias = np.einsum("nd,nd->d", dy, h), dy.sum(0)
    dx = dy * weight
    along_h = np.einsum("nd,nd->n", dx, h)[:, None] / h.shape[-1]
    dx -= dx.mean(-1, keepdims=True)
    dx -= h * along_h
    dx *= rstd
    return dx, dweight, dbias


def scipy_gelu():
    special = pytest.importorskip("scipy.special")

    def gelu(x):
        cdf = special.ndtr(x)
        slope = np.square(x)
        slope *= -0.5
        np.exp(slope, out=slope)
        slope *= x
        slope /= math.sqrt(2 * math.pi)
        slope += cdf
        cdf *= x
        return cdf, slope

    return gelu


def by_hand(problem, gelu):
    """The whole step without a tape: (N, D) rows throughout, in place where nothing is kept."""
    B, T, D, H = problem.B, problem.T, problem.D, problem.H
    p = problem.parameters
    x = problem.x.reshape(B * T, D)
    dy = problem.cotangent.reshape(B * T, D)

    def mix(rows, first, second):
        parts = rows.reshape(B, first, second, D // H)
        return parts.transpose(0, 2, 1, 3).reshape(B * T, D)

    def step():
        mixed = mix(x, T, H)
        mixed += x
        z, kept1 = norm(mixed, p["mixer.norm.weight"], p["mixer.norm.bias"])
        u, kept2 = norm(z, p["ffn.norm.weight"], p["ffn.norm.bias"])
        s = u @ p["ffn.linear1.weight"].T
        s += p["ffn.linear1.bias"]
        h, slope = gelu(s)
        y = h @ p["ffn.linear2.weight"].T
        y += p["ffn.linear2.bias"]
        y += z

        found = {"ffn.linear2.weight": dy.T @ h, "ffn.linear2.bias": dy.sum(0)}
        slope *= dy @ p["ffn.linear2.weight"]
        found["ffn.linear1.weight"] = slope.T @ u
        found["ffn.linear1.bias"] = slope.sum(0)
        dz, found["ffn.norm.weight"], found["ffn.norm.bias"] = norm_back(
            slope @ p["ffn.linear1.weight"], p["ffn.norm.weight"], kept2
        )
        dz += dy
        dx, found["mixer.norm.weight"], found["mixer.norm.bias"] = norm_back(
            dz, p["mixer.norm.weight"], kept1
        )
        dx = dx + mix(dx, H, T)
        return y.reshape(B, T, D), {"x": dx.reshape(B, T, D), **found}

    return step


def by_hand_scipy(problem):
    return by_hand(problem, scipy_gelu())


def by_hand_ours(problem):
    return by_hand(problem, numerics.gelu.with_slope)


# With an engine


def of_numixology(problem):
    T, D, H = problem.T, problem.D, problem.H
    block = nx.nn.RankMixerBlock(T, D, H, dropout=0.0, rng=0)
    block.load_state_dict(problem.parameters)
    x = nx.tensor(problem.x, requires_grad=True)
    leaves = {"x": x, **dict(block.named_parameters())}

    def step():
        for leaf in leaves.values():
            leaf.zero_grad()
        y = block(x)
        y.backward(problem.cotangent)
        return np.asarray(y), {name: np.asarray(leaf.grad) for name, leaf in leaves.items()}

    return step


def of_torch(problem):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    B, T, H, d = problem.chunks()
    D = problem.D
    leaves = {
        name: torch.tensor(values, requires_grad=True)
        for name, values in {"x": problem.x, **problem.parameters}.items()
    }
    cotangent = torch.tensor(problem.cotangent)
    functional = torch.nn.functional

    def layer(kind, name, x):
        weight, bias = leaves[f"{name}.weight"], leaves[f"{name}.bias"]
        if kind == "norm":
            return functional.layer_norm(x, (D,), weight, bias, EPS)
        return functional.linear(x, weight, bias)

    def step():
        for leaf in leaves.values():
            leaf.grad = None
        x = leaves["x"]
        mixed = x.view(B, T, H, d).permute(0, 2, 1, 3).contiguous().view(B, T, D)
        z = layer("norm", "mixer.norm", x + mixed)
        h = functional.gelu(layer("linear", "ffn.linear1", layer("norm", "ffn.norm", z)))
        y = z + layer("linear", "ffn.linear2", h)
        y.backward(cotangent)
        return y.detach().numpy(), {name: leaf.grad.numpy() for name, leaf in leaves.items()}

    return step


def composed(problem, np_like, erf, leaves):
    """The block from the elementary functions that autograd and mygrad have."""
    B, T, H, d = problem.chunks()
    D = problem.D

    def norm(x, name):
        centered = x - np_like.mean(x, axis=-1, keepdims=True)
        variance = np_like.mean(centered * centered, axis=-1, keepdims=True)
        h = centered / np_like.sqrt(variance + EPS)
        return h * leaves[f"{name}.weight"] + leaves[f"{name}.bias"]

    def linear(x, name):
        return np_like.matmul(x, leaves[f"{name}.weight"].T) + leaves[f"{name}.bias"]

    x = leaves["x"]
    chunks = np_like.transpose(np_like.reshape(x, (B, T, H, d)), (0, 2, 1, 3))
    z = norm(x + np_like.reshape(chunks, (B, T, D)), "mixer.norm")
    s = linear(np_like.reshape(norm(z, "ffn.norm"), (B * T, D)), "ffn.linear1")
    h = 0.5 * s * (1 + erf(s / math.sqrt(2)))
    return z + np_like.reshape(linear(h, "ffn.linear2"), (B, T, D))


def of_autograd(problem):
    autograd = pytest.importorskip("autograd")
    numpy_like = pytest.importorskip("autograd.numpy")
    special = pytest.importorskip("autograd.scipy.special")
    leaves = {"x": problem.x, **problem.parameters}

    def step():
        pullback, y = autograd.make_vjp(
            lambda leaves: composed(problem, numpy_like, special.erf, leaves)
        )(leaves)
        return y, pullback(problem.cotangent)

    return step


def of_mygrad(problem):
    mygrad = pytest.importorskip("mygrad")
    operation = pytest.importorskip("mygrad.operation_base").Operation
    special = pytest.importorskip("scipy.special")

    class Erf(operation):
        def __call__(self, x):
            self.variables = (x,)
            return special.erf(x.data)

        def backward_var(self, grad, index, **options):
            x = self.variables[index].data
            return grad * (2 / math.sqrt(math.pi)) * np.exp(-x * x)

    def erf(x):
        return mygrad.Tensor._op(Erf, x)

    def step():
        leaves = {
            name: mygrad.tensor(values, copy=False)
            for name, values in {"x": problem.x, **problem.parameters}.items()
        }
        y = composed(problem, mygrad, erf, leaves)
        y.backward(problem.cotangent)
        return y.data, {name: leaf.grad for name, leaf in leaves.items()}

    return step


ENGINES = {
    "numpy by hand": by_hand_ours,
    "numpy by hand, scipy": by_hand_scipy,
    "numixology": of_numixology,
    "torch": of_torch,
    "autograd": of_autograd,
    "mygrad": of_mygrad,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_block_s_training_step(shape):
    problem = Problem(*shape)
    steps = installed({name: lambda f=f: f(problem) for name, f in ENGINES.items()})
    wanted, wanted_gradients = steps["numpy by hand"]()
    for name, step in steps.items():
        for _ in range(2):  # a step leaves nothing behind that changes the next
            y, gradients = step()
            assert np.abs(y - wanted).max() <= 1e-12 * np.abs(wanted).max(), name
            assert gradients.keys() == wanted_gradients.keys()
            for leaf, gradient in wanted_gradients.items():
                error = np.abs(gradients[leaf] - gradient).max() / np.abs(gradient).max()
                assert error <= 1e-12, (name, leaf, error)
    times = interleaved(steps, rounds=9)
    title = f"one block, (B, T, D) = {shape}, float64, forward and all gradients"
    print_table(title, times, "numpy by hand", "ms", 1e-3)
