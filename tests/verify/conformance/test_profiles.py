"""Profiles: each excuses what it describes, and little else."""

import math

import numpy as np
import pytest

from numixology import functional as F
from numixology.verify.conformance import (
    PROFILES,
    STAGES,
    Textbook,
    conform,
    make_case,
    truth_of,
)
from numixology.verify.conformance.bounds import judged as judged_in
from numixology.verify.conformance.bounds import prepare
from numixology.verify.conformance.scales import scales_of


class Tails(Textbook):
    """½ x (1 + erf(x / √2)): nothing is left of it where erf is nearly -1."""

    def gelu(self, x):
        return self.store(0.5 * x * (1 + F.erf(x / math.sqrt(2))))


class Steps(Textbook):
    """What is between the steps of an activation is written to memory too."""

    def gelu_tanh(self, x):
        cube = self.store(self.store(x * x) * x)
        inner = self.store(math.sqrt(2 / math.pi) * self.store(x + self.store(0.044715 * cube)))
        return self.store(0.5 * x * self.store(1 + self.store(F.tanh(inner))))


class Sums(Textbook):
    """Rows of gradients are added up in 16 bits, one by one."""

    def vjp(self, stage, inputs, cotangent):
        total = np.zeros(cotangent.shape[-1], np.float32)
        for row in cotangent.reshape(-1, cotangent.shape[-1]):
            total = self.format.stored(total + row)
        return {**super().vjp(stage, inputs, cotangent), "bias": total}


class Offsets(Textbook):
    """x / deviation - mean / deviation."""

    def layer_norm(self, x, weight, bias, eps):
        rstd = self.rstd(self.variance(x, self.center(x)), eps)
        return self.store(self.affine(x * rstd - self.mean(x) * rstd, weight, bias))


class Constants(Textbook):
    """Numbers that were written down in float32."""

    def rstd(self, variance, eps):
        return super().rstd(variance, float(np.float32(eps)))

    def gelu_tanh(self, x):
        root, cubic = (float(np.float32(one)) for one in (math.sqrt(2 / math.pi), 0.044715))
        return self.store(x * F.sigmoid(2 * root * (x + cubic * x * x * x)))


class Subnormals(Textbook):
    """What is below the smallest normal number is flushed to zero."""

    def forward(self, stage, inputs):
        return self._flushed(super().forward(stage, inputs))

    def vjp(self, stage, inputs, cotangent):
        found = super().vjp(stage, inputs, cotangent)
        return {name: self._flushed(one) for name, one in found.items()}

    def _flushed(self, x):
        return np.where(np.abs(x) < 2.0**self.format.lowest, np.zeros_like(x), x)


BACKENDS = {
    "tails": (Tails, "float32", ("gelu",)),
    "steps": (Steps, "bfloat16", ("gelu_tanh",)),
    "sums": (Sums, "bfloat16", ("linear", "layer_norm")),
    "offsets": (Offsets, "float32", ("layer_norm", "feed_forward", "swiglu_feed_forward")),
    "constants": (Constants, "float64", ("layer_norm", "gelu_tanh", "feed_forward", "block")),
    "subnormals": (Subnormals, "float64", ("gelu",)),
}


def judged(name, profile):
    """The outcomes of the stages that a backend's peculiarity shows in."""
    make, dtype, stages = BACKENDS[name]
    backend = make(dtype)
    backend.profile = profile
    seeds = 2 if name == "steps" else 1  # with one, rounded steps look like a lost tail
    return [one.outcome for one in conform(backend, stages=stages, seeds=seeds, quick=True).stages]


def test_every_profile_is_tried() -> None:
    assert BACKENDS.keys() == PROFILES.keys()


@pytest.mark.parametrize("name", BACKENDS)
def test_a_profile_excuses_what_it_describes(name) -> None:
    assert set(judged(name, (name,))) == {"known"}


@pytest.mark.parametrize("name", BACKENDS)
def test_the_other_profiles_do_not(name) -> None:
    """And so no profile does not either, since a profile only widens."""
    wider = {"subnormals": ("tails", "steps"), "tails": ("steps",)}.get(name, ())
    others = tuple(one for one in PROFILES if one not in (name, *wider))
    assert set(judged(name, others)) == {"fail"}


@pytest.mark.parametrize(
    ("stage", "sizes"),
    [
        ("feed_forward", {"B": 1, "T": 1, "D": 260, "F": 1}),
        ("block", {"B": 1, "T": 1, "D": 260, "H": 1, "F": 1}),
        ("block", {"B": 1, "T": 1, "D": 114, "H": 1, "F": 1}),
    ],
)
def test_where_all_hidden_numbers_lie_in_a_tail_a_network_loses_what_its_activation_does(
    stage, sizes
) -> None:
    """Its gradients are all as small as the tail, of which a rounding of the input is many."""
    (one,) = prepare([make_case(stage, "kernel", 47, "float32", sizes)], "float32")
    backend = Tails("float32")
    results = backend.vjp(stage, one.case.inputs, one.case.cotangent)
    results["output"] = backend.forward(stage, one.case.inputs)
    strict, tails = judged_in(one, results), judged_in(one.under(["tails"]), results)
    assert any("linear2.weight" in name for name in strict.failing)
    assert not tails.failing


def test_profiles_excuse_different_numbers_of_one_tensor_together() -> None:
    class Both(Constants):
        def gelu_tanh(self, x):
            y = super().gelu_tanh(x)
            return 0.5 * (y + x) - 0.5 * (x - y)  # rounds relative to x

    backend = Both("float64")
    for profile in (("tails",), ("constants",)):
        backend.profile = profile
        assert conform(backend, stages=["gelu_tanh"], quick=True).verdict == "fail"
    backend.profile = ("tails", "constants")
    report = conform(backend, stages=["gelu_tanh"], quick=True)
    assert report.verdict == "pass"
    assert "tails and constants" in {one.profile for one in report.stages[0].comparisons}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("kind", ["plain", "huge", "offset", "saturated"])
def test_scales_never_shrink(stage, kind) -> None:
    case = make_case(stage, kind, 1, "float32")
    truth = truth_of(case)
    strict = scales_of(case, truth)
    for name in PROFILES:
        wide = scales_of(case, truth, [name])
        assert wide.keys() == strict.keys()
        for tensor, scale in wide.items():
            assert scale.shape == strict[tensor].shape
            assert (scale >= strict[tensor] * (1 - 1e-12)).all()
