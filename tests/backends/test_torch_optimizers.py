"""Optimizers, clipping and schedules against torch, over 100 steps.

torch rounds p - lr · g once, where the processor has such an instruction, and NumPy twice. So the
steps are equal to the bit where nothing is rounded, and elsewhere to the last places.
"""

import numpy as np
import pytest
import torch

import numixology as nx

STEPS = 100
CASES = {
    "sgd": ("SGD", {"lr": 0.1, "weight_decay": 0.01}),
    "momentum": ("SGD", {"lr": 0.1, "momentum": 0.9}),
    "nesterov": ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    "adam": ("Adam", {"lr": 3e-3}),
    "adam with decay": ("Adam", {"lr": 3e-3, "betas": (0.8, 0.99), "weight_decay": 0.1}),
    "adamw": ("AdamW", {"lr": 3e-3, "eps": 1e-6}),
}


def pairs(rng, dtype="float64"):
    """Three parameters, each in both libraries."""
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in ((3, 5), (7,), ())]
    ours = [nx.tensor(a, requires_grad=True) for a in arrays]
    return ours, [torch.tensor(a, requires_grad=True) for a in arrays]


def give_gradients(rng, ours, theirs):
    for p, q in zip(ours, theirs, strict=True):
        g = (rng.standard_normal(p.shape) * 10.0 ** rng.integers(-3, 4)).astype(p.dtype)
        p.grad, q.grad = nx.tensor(g), torch.tensor(g)


def largest(tensors):
    """The largest number of each, of the tensor's dtype."""
    return [np.max(np.abs(p.data)) for p in tensors]


def distance(ours, theirs, sizes):
    """The largest difference, in units of the last place of these sizes."""
    return max(
        float(np.max(np.abs(p.data - q.numpy(force=True))) / np.spacing(size))
        for p, q, size in zip(ours, theirs, sizes, strict=True)
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "options"), CASES.values(), ids=CASES)
def test_a_hundred_steps(name, options, dtype) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        ours, theirs = pairs(rng, dtype)
        sizes = largest(ours)
        optimizer = getattr(nx.optim, name)(ours, **options)
        torch_optimizer = getattr(torch.optim, name)(theirs, **options)
        for n in range(STEPS):
            give_gradients(rng, ours, theirs)
            if n % 7 == 3:  # as an expert that was not asked
                ours[1].grad = theirs[1].grad = None
            optimizer.step()
            torch_optimizer.step()
            sizes = np.maximum(sizes, largest(ours))
        assert distance(ours, theirs, sizes) <= (4 if name == "SGD" else 1)


@pytest.mark.parametrize("options", [{}, {"momentum": 0.5}, {"momentum": 0.5, "nesterov": True}])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_steps_of_sgd_in_which_nothing_is_rounded(dtype, options) -> None:
    rng = np.random.default_rng(0)
    start, gradients = rng.integers(-4, 5, 9).astype(dtype), rng.integers(-4, 5, (5, 9))
    ours, theirs = nx.tensor(start, requires_grad=True), torch.tensor(start, requires_grad=True)
    options = {"lr": 0.25, "weight_decay": 0.5, **options}
    optimizer, torch_optimizer = (
        nx.optim.SGD([ours], **options),
        torch.optim.SGD([theirs], **options),
    )
    for g in gradients.astype(dtype):
        ours.grad, theirs.grad = nx.tensor(g), torch.tensor(g)
        optimizer.step()
        torch_optimizer.step()
        assert np.array_equal(ours.data, theirs.numpy(force=True))


def test_clipping() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = pairs(rng)
    for most in (0.5, 20.0, 1e9):
        give_gradients(rng, ours, theirs)
        norm = nx.optim.clip_grad_norm(ours, most)
        assert norm == pytest.approx(torch.nn.utils.clip_grad_norm_(theirs, most).item(), rel=1e-15)
        gradients = [p.grad for p in ours], [p.grad for p in theirs]
        sizes = largest(gradients[0])
        assert distance(*gradients, sizes) <= 2
        nx.optim.clip_grad_value(ours, most / 9)
        torch.nn.utils.clip_grad_value_(theirs, most / 9)
        assert distance(*gradients, sizes) <= 2


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            nx.optim.cosine(0.1, STEPS, final=0.01),
            lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS, eta_min=0.01),
        ),
        (
            nx.optim.step_decay(0.1, 30),
            lambda o: torch.optim.lr_scheduler.StepLR(o, 30),
        ),
        (
            nx.optim.warmup(nx.optim.constant(0.1), 10),
            lambda o: torch.optim.lr_scheduler.LinearLR(o, start_factor=0.1, total_iters=9),
        ),
    ],
    ids=["cosine", "step_decay", "warmup"],
)
def test_schedules(ours, theirs) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = theirs(optimizer)
    for n in range(STEPS):
        assert ours(n) == pytest.approx(scheduler.get_last_lr()[0], rel=1e-13)
        optimizer.step()
        scheduler.step()
