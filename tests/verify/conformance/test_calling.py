"""What a backend returns is understood, or a sentence says what to return."""

import numpy as np
import pytest
from support import refused

from numixology.errors import StateDictError, UnsupportedError
from numixology.nn import Linear
from numixology.tensors import leaf
from numixology.verify.conformance import Textbook, conform, make_case
from numixology.verify.conformance.calling import answered

NORM = make_case("layer_norm", dtype="float32")
SILU = make_case("silu", dtype="float32")
IDS = make_case("embedding", dtype="float32")


#: The quick set, one case of every kind.
QUICK = {"seeds": 1, "quick": True}


class Returns(Textbook):
    """A right backend whose answers are changed before they are returned."""

    def __init__(self, output=lambda y: y, gradients=lambda g: g, dtype="float32"):
        super().__init__(dtype)
        self.output, self.gradients = output, gradients

    def forward(self, stage, inputs):
        return self.output(super().forward(stage, inputs))

    def vjp(self, stage, inputs, cotangent):
        return self.gradients(super().vjp(stage, inputs, cotangent))


def same(answer, case, dtype="float32"):
    """Whether an answer is the right one, in arrays of NumPy."""
    right = answered(Textbook(dtype), case, True).results
    assert (answer.fault, answer.refused) == ("", "")
    assert answer.results.keys() == right.keys()
    for name, array in answer.results.items():
        assert type(array) is np.ndarray
        np.testing.assert_array_equal(array, right[name])
    return True


def raising(error):
    def function(_):
        raise error

    return function


# Tensors of other libraries, as much of them as is looked at


class Torchlike:
    """A tensor of torch, which NumPy refuses while it is recorded, elsewhere or in bfloat16."""

    def __init__(self, array, dtype="torch.float32", device="cuda", recorded=True):
        self.data, self.dtype, self.device, self.recorded = array, dtype, device, recorded
        self.shape = array.shape

    def changed(self, **how):
        now = {"dtype": self.dtype, "device": self.device, "recorded": self.recorded}
        return Torchlike(self.data, **now | how)

    def detach(self):
        return self.changed(recorded=False)

    def cpu(self):
        return self.changed(device="cpu")

    def float(self):
        return self.changed(dtype="torch.float32")

    def __array__(self, dtype=None, copy=None):
        if self.recorded or self.device != "cpu" or self.dtype == "torch.bfloat16":
            raise TypeError("cannot convert it to numpy,\n use .cpu()")
        return self.data


class Exchanged:
    """What has nothing but NumPy's protocol of exchange."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __dlpack__(self, **how):
        return self.array.__dlpack__()

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


@pytest.mark.parametrize("kind", [Torchlike, Exchanged, leaf, np.asfortranarray])
def test_what_holds_numbers_is_converted(kind) -> None:
    adapter = Returns(kind, lambda g: {name: kind(array) for name, array in g.items()})
    assert same(answered(adapter, NORM, True), NORM)


class Half:
    """An array of bfloat16, as JAX has them."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, "bfloat16"

    def __array__(self, dtype=None, copy=None):
        return self.array.astype(np.float64)  # of a type that NumPy has not


@pytest.mark.parametrize("kind", [Half, lambda y: Torchlike(y, "torch.bfloat16")])
def test_bfloat16_travels_in_float32(kind) -> None:
    case = make_case("silu", dtype="bfloat16")
    adapter = Returns(kind, lambda g: {"x": kind(g["x"])}, "bfloat16")
    assert same(answered(adapter, case, True), case, "bfloat16")


# Gradients


@pytest.mark.parametrize("nothing", [None, np.zeros(3, [("float0", "V")])])
def test_what_stands_for_the_gradient_of_ids_is_left_alone(nothing) -> None:
    assert same(answered(Returns(gradients=lambda g: g | {"ids": nothing}), IDS, True), IDS)


@pytest.mark.parametrize("alone", [lambda x: x, lambda x: (x,), lambda x: [x], leaf])
def test_a_single_gradient_needs_no_name(alone) -> None:
    assert same(answered(Returns(gradients=lambda g: alone(g["x"])), SILU, True), SILU)


def test_a_gradient_called_output_is_not_the_output() -> None:
    assert same(answered(Returns(gradients=lambda g: g | {"output": None}), SILU, True), SILU)


DICT = 'return a dict, {"x": ..., "weight": ..., "bias": ...}'


@pytest.mark.parametrize(
    ("gradients", "says"),
    [
        (lambda g: None, f"its vjp returns nothing: {DICT}"),
        (lambda g: g["x"], f"its vjp returns numpy.ndarray without names: {DICT}"),
        (lambda g: tuple(g.values()), f"its vjp returns tuple without names: {DICT}"),
        (lambda g: [g["x"]], f"its vjp returns list without names: {DICT}"),
        (lambda g: 1.0, f"its vjp returns float without names: {DICT}"),
        (lambda g: {}, "the gradient of x is missing"),
        (
            lambda g: {"x": g["x"], "wieght": 1, "bias": g["bias"]},
            "the gradient of weight is missing: there is one of ['wieght']",
        ),
        (lambda g: g | {"x": None}, "the gradient of x is None: return an array of NumPy"),
        (
            lambda g: g | {"weight": np.float32(1)},
            "the gradient of weight has shape (), not (10,)",
        ),
        (
            lambda g: g | {"bias": g["bias"].astype(np.float16)},
            "the gradient of bias has dtype float16, not float32",
        ),
        (raising(KeyError("w")), "its vjp raised KeyError: 'w'"),
    ],
)
def test_gradients_at_fault_leave_the_output(gradients, says) -> None:
    found = answered(Returns(gradients=gradients), NORM, True)
    assert found.fault == says
    assert "output" in found.results


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (lambda y: None, "the output is None: return an array of NumPy"),
        (lambda y: y.tolist(), "the output is list, not a NumPy array: return an array of NumPy"),
        (lambda y: (y, None), "the output is tuple, not a NumPy array: return an array of NumPy"),
        (lambda y: y[..., 1:], "the output has shape (2, 3, 9), not (2, 3, 10)"),
        (lambda y: y.astype(float), "the output has dtype float64, not float32"),
        (lambda y: Half(y), "the output has dtype float64, not float32"),
        (raising(ValueError("a\n b")), "its forward raised ValueError: a b"),
    ],
)
def test_an_output_at_fault(output, says) -> None:
    found = answered(Returns(output), NORM, True)
    assert (found.results, found.fault) == ({}, says)


def test_what_cannot_be_converted_says_why() -> None:
    stuck = Torchlike(np.zeros((2, 3, 10)), "torch.bfloat16")
    found = answered(Returns(lambda y: stuck), NORM, False)
    assert found.fault.startswith("the output is ")
    assert "Torchlike, not a NumPy array (TypeError: cannot convert it to numpy, use .cpu())" in (
        found.fault
    )


# What is not covered


@pytest.mark.parametrize("error", [NotImplementedError("silu"), UnsupportedError("a", "b", "c")])
def test_what_is_refused_is_not_covered(error) -> None:
    found = answered(Returns(raising(error)), SILU, True)
    assert (found.results, found.fault) == ({}, "")
    assert found.refused.startswith(f"its forward raised {type(error).__name__}: ")
    found = answered(Returns(gradients=raising(error)), SILU, True)
    assert list(found.results) == ["output"]
    assert found.refused.startswith("its vjp raised ")


def test_a_refused_stage_is_no_pass() -> None:
    report = conform(Returns(raising(NotImplementedError("silu"))), stages=["silu"], **QUICK)
    assert report.verdict == "unsupported"
    report = conform(Returns(gradients=raising(NotImplementedError())), stages=["silu"], **QUICK)
    assert report.verdict == "pass"
    assert "its gradients are not covered" in report.stages[0].remarks[0]


def test_a_module_without_a_parameter_is_a_wrong_call() -> None:
    def load(y):
        Linear(2, 2).load_state_dict({})

    with refused(StateDictError, "weight"):
        answered(Returns(load), SILU, False)


# Memory


def test_a_buffer_that_is_used_again_changes_no_answer() -> None:
    class Reuses(Textbook):
        buffer = np.zeros(SILU.inputs["x"].shape, np.float32)

        def forward(self, stage, inputs):
            self.buffer[...] = super().forward(stage, inputs)
            return self.buffer

        def vjp(self, stage, inputs, cotangent):
            self.buffer[...] = super().vjp(stage, inputs, cotangent)["x"]
            return self.buffer

    assert same(answered(Reuses("float32"), SILU, True), SILU)


def test_a_backend_gets_arrays_of_its_own() -> None:
    seen = []

    class Keeps(Textbook):
        def forward(self, stage, inputs):
            seen.append(inputs["x"])
            return super().forward(stage, inputs)

    answered(Keeps("float32"), SILU, False)
    assert np.array_equal(seen[-1], SILU.inputs["x"])
    assert not np.shares_memory(seen[-1], SILU.inputs["x"])
