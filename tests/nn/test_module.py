"""Modules: names, state, modes, copies, and calling with other parameters."""

import copy
import pickle
from typing import Any, NamedTuple

import numpy as np
import pytest
from oracle.derivatives import assert_matches_complex_step

import numixology as nx
from numixology import nn
from numixology.errors import ArgumentError, DTypeError, ShapeError, StateDictError


class Scale(nn.Module):
    def __init__(self, features):
        self.weight = nx.tensor(np.arange(1.0, features + 1), requires_grad=True)

    def forward(self, x):
        return x * self.weight


class Stack(nn.Module):
    """Parts of every kind: alone, in a list, in a tuple, one of them twice, and a bare tensor."""

    def __init__(self):
        self.first = nn.Linear(3, 3, rng=0)
        self.shift = nx.tensor([1.0, 2.0, 3.0], requires_grad=True)
        self.listed = [nn.Linear(3, 3, bias=False, rng=1), "not a module", nn.Dropout(0.5, rng=2)]
        self.paired = (Scale(3),)
        self.again = self.first
        self.tied = nn.Linear(3, 3, rng=3)
        self.tied.weight = self.first.weight
        self.number = 5

    def forward(self, x):
        h = self.first(x) + self.shift
        h = self.listed[0](h)
        h = self.listed[2](h)
        h = self.paired[0](h)
        return self.again(h) + self.tied(h)


NAMES = [
    "shift",
    "first.weight",
    "first.bias",
    "listed.0.weight",
    "paired.0.weight",
    "again.weight",
    "again.bias",
    "tied.weight",
    "tied.bias",
]
OWN = [name for name in NAMES if name not in ("again.weight", "again.bias", "tied.weight")]
X = np.random.default_rng(0).normal(size=(2, 3))


@pytest.fixture
def stack():
    return Stack()


class TestNames:
    def test_every_parameter_once_under_its_first_name(self, stack):
        assert [name for name, _ in stack.named_parameters()] == OWN
        for (_, named), plain in zip(stack.named_parameters(), stack.parameters(), strict=True):
            assert named is plain
        assert dict(stack.named_parameters())["first.weight"] is stack.first.weight

    def test_a_state_dict_has_every_name(self, stack):
        state = stack.state_dict()
        assert list(state) == NAMES
        np.testing.assert_array_equal(state["again.weight"], state["first.weight"])

    def test_repr_shows_parts_and_parameters(self, stack):
        assert repr(Scale(2)) == "Scale(weight[2])"
        assert repr(nn.Linear(2, 3)) == "Linear(weight[3, 2], bias[3])"
        lines = repr(stack).splitlines()
        assert lines[0] == "Stack("
        assert "  (first): Linear(weight[3, 3], bias[3])" in lines
        assert "  (listed.2): Dropout(0.5)" in lines
        assert lines[-1] == ")"
        block = repr(nn.RankMixerBlock(2, 4, 2, rng=0)).splitlines()
        assert block[1:3] == [
            "  (mixer): TokenMixer(num_tokens=2, num_heads=2, mixing='rankmixer'",
            "    (norm): LayerNorm(weight[4], bias[4])",
        ]

    def test_a_module_without_forward(self):
        with pytest.raises(TypeError, match=r"Module must define forward\(\): got none; write one"):
            nn.Module()(X)


class TestCalling:
    def test_it_calls_forward_with_everything(self):
        class Sum(nn.Module):
            def forward(self, a, b, *, c):
                return a + b + c

        assert Sum()(1, 2, c=3) == 6

    def test_no_warning_inside_and_numpy_s_settings_after(self):
        class Loud(nn.Module):
            def forward(self, x, fail=False):
                if fail:
                    raise KeyError("fail")
                return np.log(x) - np.log(x)

        with np.errstate(all="raise"):
            assert np.isnan(Loud()(np.zeros(1))).all()
            with pytest.raises(KeyError):
                Loud()(np.zeros(1), fail=True)
            with pytest.raises(FloatingPointError):
                np.log(np.zeros(1))


class Twice(nn.Module):
    """A part that two modules have, under a name each, and parts in a list."""

    def __init__(self, shared):
        self.mine = shared
        self.listed = [nn.Linear(3, 3, rng=1)]
        self.listed.append(nn.Linear(3, 3, rng=2))

    def forward(self, x):
        for part in (self.mine, *self.listed, nn.LayerNorm(3)):  # the last is nobody's part
            x = part(x)
        return x


class TestSteps:
    """A part announces itself, under the name that it has in the module that calls it."""

    def steps(self, call):
        seen = []
        with nx.observe.observing(lambda name, value: seen.append((name, value))):
            result = call()
        return seen, result

    def test_each_parent_has_its_own_name_for_a_part(self):
        shared = Scale(3)

        class Other(nn.Module):
            def __init__(self):
                self.yours, self.twice = shared, Twice(shared)

            def forward(self, x):
                return self.yours(self.twice(x))

        seen, result = self.steps(lambda: Other()(X))
        assert [name for name, _ in seen] == ["mine", "listed.0", "listed.1", "twice", "yours"]
        assert seen[-1][1] is result

    def test_what_is_called_by_no_module_is_no_part(self):
        for call in (lambda: Scale(3)(X), lambda: nn.functional_call(Scale(3), {}, X)):
            assert self.steps(call)[0] == []

    def test_the_parts_of_a_functional_call_have_their_names(self):
        module = Twice(Scale(3))
        seen, _ = self.steps(lambda: nn.functional_call(module, module.state_dict(), X))
        assert [name for name, _ in seen] == ["mine", "listed.0", "listed.1"]

    def test_a_result_that_is_no_array_is_not_shown(self):
        class Pair(nn.Module):
            def forward(self, x):
                return x, None

        class Whole(nn.Module):
            def __init__(self):
                self.pair = Pair()

            def forward(self, x):
                return self.pair(x)

        assert self.steps(lambda: Whole()(X)) == ([], (X, None))

    def test_a_part_that_fails_leaves_nothing_behind(self):
        module = Twice(Scale(3))
        with pytest.raises(ShapeError):
            self.steps(lambda: module(np.zeros((2, 5))))
        assert self.steps(lambda: module.mine(X))[0] == []


class TestAssigning:
    @pytest.mark.parametrize("value", [np.ones((3, 2)), [[1.0, 2.0]] * 3, 1.0])
    def test_values_for_a_parameter_would_make_it_none(self, value):
        layer = nn.Linear(2, 3, rng=0)
        before = layer.weight
        with pytest.raises(DTypeError) as caught:
            layer.weight = value
        assert str(caught.value).startswith("weight of Linear is a parameter, and those are ")
        assert "set .weight.data = ..., or .weight = nx.t" in str(caught.value)
        assert layer.weight is before

    def test_tensors_and_nothing_may_be_assigned(self):
        layer = nn.Linear(2, 3, rng=0)
        layer.weight = nx.tensor(np.ones((3, 2)), requires_grad=True)
        layer.weight.data = np.full((3, 2), 2.0)
        layer.bias = None
        assert layer(np.ones((1, 2))).tolist() == [[4.0] * 3]
        assert list(layer.state_dict()) == ["weight"]


class TestState:
    def test_it_holds_copies(self, stack):
        state = stack.state_dict()
        for values in state.values():
            assert type(values) is np.ndarray
            values[...] = -7
        assert not any((p.data == -7).any() for p in stack.parameters())

    def test_a_round_trip(self, stack):
        other = Stack()
        state = {name: values + 1 for name, values in stack.state_dict().items()}
        parameters = list(other.parameters())
        assert other.load_state_dict(state) is None
        for name, values in other.state_dict().items():
            np.testing.assert_array_equal(values, state[name])
        for before, after in zip(parameters, other.parameters(), strict=True):
            assert before is after
            assert after.requires_grad

    def test_loaded_values_are_copies(self, stack):
        state = stack.state_dict()
        stack.load_state_dict(state)
        state["shift"][:] = 99
        assert stack.shift.tolist() == [1.0, 2.0, 3.0]

    def test_values_take_the_parameter_s_dtype(self):
        layer = nn.Linear(2, 1, rng=0, dtype="float32")
        layer.load_state_dict({"weight": [[1, 2]], "bias": nx.tensor([0.1])})
        assert layer.weight.dtype == layer.bias.dtype == np.float32
        assert layer.bias.item() == np.float32(0.1)

    def test_values_too_large_for_float32_become_infinite_without_a_warning(self):
        layer = nn.Linear(2, 1, rng=0, dtype="float32")
        layer.load_state_dict({"weight": [[1e300, np.nan]], "bias": [0.0]})
        np.testing.assert_array_equal(layer.weight.data, [[np.inf, np.nan]])

    def test_all_problems_are_listed_and_nothing_is_loaded(self, stack):
        before = stack.state_dict()
        bad = {name: values + 1 for name, values in before.items()}
        del bad["first.bias"], bad["tied.bias"]
        bad["extra"] = np.zeros(1)
        bad["shift"] = np.zeros(4)
        bad["listed.0.weight"] = "words"
        bad["paired.0.weight"] = np.zeros(3, complex)
        bad["again.bias"] = [[1.0], [1.0, 2.0]]
        with pytest.raises(StateDictError) as caught:
            stack.load_state_dict(bad)
        text = str(caught.value)
        assert text.startswith("a state dict has one entry of the right shape per parameter: got ")
        assert text.endswith("; compare its names with state_dict(); nothing was loaded")
        for problem in (
            "missing first.bias",
            "missing tied.bias",
            "unexpected extra",
            "shift of shape (4,), not (3,)",
            "listed.0.weight of dtype <U5, not float64",
            "paired.0.weight of dtype complex128, not float64",
            "again.bias of dtype object, not float64",
        ):
            assert problem in text
        for kind in (KeyError, ValueError):
            assert isinstance(caught.value, kind)
        for name, values in stack.state_dict().items():
            np.testing.assert_array_equal(values, before[name])

    def test_one_misshapen_entry_is_enough(self):
        layer = nn.Linear(2, 1, rng=0)
        before = layer.state_dict()
        with pytest.raises(StateDictError, match=r"weight of shape \(2, 1\), not \(1, 2\)"):
            layer.load_state_dict({"weight": np.zeros((2, 1)), "bias": np.ones(1)})
        np.testing.assert_array_equal(layer.bias.data, before["bias"])

    def test_a_tape_from_before_notices_the_change(self):
        layer = nn.Linear(2, 1, rng=0)
        y = layer(nx.tensor([1.0, 2.0], requires_grad=True)).sum()
        layer.load_state_dict(layer.state_dict())
        with pytest.raises(nx.errors.TapeError, match="must stay as it was"):
            y.backward()


class TestModes:
    def test_training_at_first_and_recursively_back_and_forth(self, stack):
        parts = [stack, stack.first, stack.listed[0], stack.listed[2], stack.paired[0], stack.tied]
        assert all(part.training for part in parts)
        assert stack.eval() is stack
        assert not any(part.training for part in parts)
        assert stack.train() is stack
        assert all(part.training for part in parts)
        assert not stack.train(False).training
        stack.listed[2].train()
        assert not stack.training
        assert stack.listed[2].training

    def test_one_module_s_mode_is_its_own(self):
        one, other = nn.Dropout(), nn.Dropout()
        one.eval()
        assert other.training
        assert nn.Module.training

    def test_zero_grad(self, stack):
        stack.eval()(nx.tensor(X)).sum().backward()
        assert all(p.grad is not None for p in stack.parameters())
        stack.zero_grad()
        assert all(p.grad is None for p in stack.parameters())

    def test_gradients_accumulate(self):
        layer = Scale(3)
        for _ in range(2):
            layer(nx.tensor([1.0, 2.0, 3.0])).sum().backward()
        assert layer.weight.grad.tolist() == [2.0, 4.0, 6.0]


class TestCopies:
    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
    def test_a_copy_is_equal_and_independent(self, stack, copied):
        stack.eval()
        twin = copied(stack)
        np.testing.assert_array_equal(twin(X).data, stack(X).data)
        for before, after in zip(stack.parameters(), twin.parameters(), strict=True):
            assert after is not before
            assert after.requires_grad
            after.data[...] = 0
        assert all(p.data.any() for p in stack.parameters())
        assert not twin.training
        assert twin.again is twin.first
        assert twin.tied.weight is twin.first.weight

    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
    def test_a_copy_goes_on_with_the_same_random_numbers_by_itself(self, copied):
        layer = nn.Dropout(0.5, rng=0)
        twin = copied(layer)
        x = np.ones(64)
        first = layer(x)
        np.testing.assert_array_equal(twin(x), first)
        np.testing.assert_array_equal(twin(x), layer(x))

    def test_gradients_are_copied(self):
        layer = Scale(2)
        layer(nx.tensor([1.0, 2.0])).sum().backward()
        assert copy.deepcopy(layer).weight.grad.tolist() == [1.0, 2.0]


class TestParameterTable:
    def test_the_standard_network_at_768(self):
        table = nn.FeedForward(768, rng=0).parameter_table()
        assert table.total == 4_723_968 == 8 * 768**2 + 7 * 768
        rows = {row.name: row for row in table}
        assert {name: (row.shape, row.count) for name, row in rows.items()} == {
            "norm.weight": ((768,), 768),
            "norm.bias": ((768,), 768),
            "linear1.weight": ((3072, 768), 2_359_296),
            "linear1.bias": ((3072,), 3072),
            "linear2.weight": ((768, 3072), 2_359_296),
            "linear2.bias": ((768,), 768),
        }
        name, shape, count, _ = rows["linear1.bias"]
        assert (name, shape, count) == ("linear1.bias", (3072,), 3072)
        share = {name: row.share for name, row in rows.items()}
        norm = share.pop("norm.weight") + share.pop("norm.bias")
        assert [f"{s:.3f}" for s in share.values()] == ["49.943", "0.065", "49.943", "0.016"]
        assert f"{norm:.3f}" == "0.033"
        assert sum(row.share for row in table) == pytest.approx(100, rel=1e-12)

    def test_the_swiglu_network_at_768(self):
        assert nn.SwiGLUFeedForward(768, rng=0).parameter_table().total == 7_079_424
        with_biases = nn.SwiGLUFeedForward(768, bias=True, rng=0).parameter_table()
        assert with_biases.total == 12 * 768**2 + 11 * 768

    def test_it_prints(self):
        table = nn.FeedForward(768, rng=0).parameter_table()
        assert str(table).splitlines() == [
            "parameter       shape           count      share",
            "--------------  ----------  ---------  ---------",
            "norm.weight     768               768    0.016 %",
            "norm.bias       768               768    0.016 %",
            "linear1.weight  3072 x 768  2,359,296   49.943 %",
            "linear1.bias    3072            3,072    0.065 %",
            "linear2.weight  768 x 3072  2,359,296   49.943 %",
            "linear2.bias    768               768    0.016 %",
            "total                       4,723,968  100.000 %",
        ]
        assert repr(table) == str(table)

    def test_tied_parameters_count_once(self, stack):
        table = stack.parameter_table()
        assert [row.name for row in table] == OWN
        assert table.total == 3 + 9 + 3 + 9 + 3 + 3

    def test_a_module_without_parameters(self):
        table = nn.Dropout().parameter_table()
        assert table == ()
        assert table.total == 0
        assert str(table).splitlines()[-1].split() == ["total", "0", "0.000", "%"]


class TestFunctionalCall:
    def test_arrays_for_everything_record_nothing(self, stack):
        stack.eval()
        got = nn.functional_call(stack, stack.state_dict(), X)
        assert type(got) is np.ndarray
        np.testing.assert_array_equal(got, stack(X).data)

    def test_some_parameters(self, stack):
        stack.eval()
        got = nn.functional_call(stack, {"shift": [5.0, 5.0, 5.0]}, nx.tensor(X))
        assert isinstance(got, nx.Tensor)
        stack.shift.data = np.full(3, 5.0)
        np.testing.assert_array_equal(got.data, stack(X).data)

    def test_the_module_is_not_touched(self, stack):
        before = stack.state_dict()
        weight = nx.tensor(np.eye(3), requires_grad=True)
        nn.functional_call(stack, {"listed.0.weight": weight}, nx.tensor(X)).sum().backward()
        assert weight.grad is not None
        assert stack.listed[0].weight.grad is None
        for name, values in stack.state_dict().items():
            np.testing.assert_array_equal(values, before[name])

    def test_a_tied_parameter_is_replaced_everywhere_it_is_used(self, stack):
        stack.eval()
        got = nn.functional_call(stack, {"first.weight": np.zeros((3, 3))}, X)
        want = stack.first.bias.data + stack.tied.bias.data
        np.testing.assert_array_equal(np.asarray(got), np.stack([want, want]))
        again = nn.functional_call(stack, {"tied.weight": np.zeros((3, 3))}, X)
        np.testing.assert_array_equal(np.asarray(again), np.asarray(got))

    def test_gradients_of_all_parameters_and_the_input(self, stack):
        stack.eval()
        arrays = [p.data for p in stack.parameters()]

        def call(*values):
            return nn.functional_call(stack, dict(zip(OWN, values, strict=False)), values[-1])

        assert_matches_complex_step(call, *arrays, X)

    def test_tensors_and_derivatives_of_derivatives(self):
        layer = Scale(3)
        weight = nx.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = (nn.functional_call(layer, {"weight": weight}, nx.tensor(X)) ** 3).sum()
        (first,) = nx.grad(y, weight, create_graph=True)
        (second,) = nx.grad(first.sum(), weight)
        np.testing.assert_allclose(second.data, 6 * weight.data * (X**3).sum(0))

    def test_the_mode_is_the_module_s(self):
        layer = nn.Dropout(0.5, rng=0)
        x = np.ones(64)
        assert (nn.functional_call(layer, {}, x) == 0).any()
        np.testing.assert_array_equal(nn.functional_call(layer.eval(), {}, x), x)

    def test_all_problems_are_listed(self, stack):
        with pytest.raises(StateDictError) as caught:
            nn.functional_call(
                stack, {"nobody": 1.0, "shift": np.zeros(2), "first": np.zeros(3)}, X
            )
        assert str(caught.value) == (
            "functional_call replaces parameters of the module by name: got unexpected nobody; "
            "unexpected first; shift of shape (2,), not (3,); "
            "compare the names with named_parameters()"
        )


MODULES = {
    "Linear": lambda **k: nn.Linear(4, 4, **k),
    "LayerNorm": lambda **k: nn.LayerNorm(4, **k),
    "TokenMixer": lambda **k: nn.TokenMixer(3, 4, 2, **k),
    "FeedForward": lambda **k: nn.FeedForward(4, **k),
    "SwiGLUFeedForward": lambda **k: nn.SwiGLUFeedForward(4, **k),
    "SelfAttention": lambda **k: nn.SelfAttention(4, 2, **k),
    "RankMixerBlock": lambda **k: nn.RankMixerBlock(3, 4, 2, **k),
}
CHECKED_BY = {  # the part that sees the input first
    "FeedForward": "LayerNorm",
    "SwiGLUFeedForward": "LayerNorm",
    "RankMixerBlock": "TokenMixer",
}
EVERY = {
    **MODULES,
    "Embedding": lambda **k: nn.Embedding(5, 4, **k),
    "RankMixerModel": lambda **k: nn.RankMixerModel(5, 3, 4, 2, 2, **k),
}
modules = pytest.mark.parametrize("name", MODULES)
every = pytest.mark.parametrize("name", EVERY)


def example(name, dtype="float64"):
    if name in MODULES:
        return nx.tensor(np.random.default_rng(1).normal(size=(2, 3, 4)), dtype=dtype)
    return [[0, 1, 2], [4, 4, 0]]


class TestEveryModule:
    @every
    def test_the_same_seed_makes_the_same_module(self, name):
        make = EVERY[name]
        one, same = make(rng=3).state_dict(), make(rng=np.random.default_rng(3)).state_dict()
        assert list(one) == list(same)
        for key, values in one.items():
            np.testing.assert_array_equal(values, same[key])
        if name not in ("LayerNorm", "TokenMixer"):
            other = make(rng=4).state_dict()
            fresh = make().state_dict()
            assert any((other[key] != one[key]).any() for key in one)
            assert any((fresh[key] != one[key]).any() for key in one)

    @every
    def test_float32_from_end_to_end(self, name):
        module = EVERY[name](rng=0, dtype="float32").eval()
        assert {p.dtype for p in module.parameters()} == {np.dtype(np.float32)}
        y = module(example(name, "float32"))
        assert y.dtype == np.float32
        y.sum().backward()
        assert {p.grad.dtype for p in module.parameters()} == {np.dtype(np.float32)}
        wide = EVERY[name](rng=0).eval()
        np.testing.assert_allclose(y.data, wide(example(name)).data, rtol=2e-4, atol=2e-5)

    @every
    def test_float32_in_training_too(self, name):
        module = EVERY[name](rng=0, dtype="float32")
        assert module(example(name, "float32")).dtype == np.float32

    @every
    def test_float64_unless_asked_otherwise(self, name):
        assert {p.dtype for p in EVERY[name](rng=0).parameters()} == {np.dtype(np.float64)}

    @every
    def test_every_parameter_is_a_leaf_with_a_gradient(self, name):
        module = EVERY[name](rng=0).eval()
        parameters = list(module.parameters())
        assert all(p.requires_grad for p in parameters)
        module(example(name)).sum().backward()
        assert all(p.grad.shape == p.shape for p in parameters)

    @every
    @pytest.mark.parametrize("dtype", ["int64", "bool"])
    def test_parameters_are_floating_point(self, name, dtype):
        with pytest.raises(DTypeError, match=f"parameters are float64 or float32: got {dtype}"):
            EVERY[name](rng=0, dtype=dtype)
        with pytest.raises(DTypeError, match="tensors hold float64"):
            EVERY[name](rng=0, dtype="float16")

    @modules
    def test_input_of_another_dtype(self, name):
        for mine, theirs in (("float64", "float32"), ("float32", "float64"), ("float64", "int64")):
            module = MODULES[name](rng=0, dtype=mine)
            x = np.zeros((2, 3, 4), theirs)
            for given in (x, nx.tensor(x)):
                with pytest.raises(DTypeError) as caught:
                    module(given)
                other = f", or make the module with dtype='{theirs}'" if theirs != "int64" else ""
                assert str(caught.value) == (
                    f"{CHECKED_BY.get(name, name)} has {mine} parameters and takes {mine} input: "
                    f"got {theirs}; use x.astype('{mine}'){other}"
                )
                assert isinstance(caught.value, TypeError)

    @modules
    def test_input_of_other_features(self, name):
        with pytest.raises(ShapeError) as caught:
            MODULES[name](rng=0)(nx.tensor(np.zeros((2, 3, 5))))
        text = str(caught.value)
        assert text.startswith(f"{CHECKED_BY.get(name, name)} takes x of shape (")
        assert " = 4: got (2, 3, 5); reshape the input, or make the module with other" in text

    @modules
    @pytest.mark.parametrize("x", [[[[1.0] * 4] * 3], None, 2.0])
    def test_input_that_is_no_array(self, name, x):
        name_shown = CHECKED_BY.get(name, name)
        with pytest.raises(
            DTypeError, match=f"{name_shown} takes a tensor or an array: got .*; wrap"
        ):
            MODULES[name](rng=0)(x)

    @modules
    def test_an_empty_batch(self, name):
        module = MODULES[name](rng=0)
        x = nx.tensor(np.zeros((0, 3, 4)), requires_grad=True)
        y = module(x)
        assert y.shape == (0, 3, 4)
        y.sum().backward()
        assert x.grad.shape == (0, 3, 4)
        for p in module.parameters():
            np.testing.assert_array_equal(p.grad.data, np.zeros(p.shape))

    @modules
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_nan_and_infinity_propagate_without_a_warning(self, name, value):
        module = MODULES[name](rng=0).eval()
        x = np.random.default_rng(2).normal(size=(2, 3, 4))
        x[1, 1, 2] = value
        for given in (x, nx.tensor(x)):
            y = np.asarray(module(given))
            assert np.isfinite(y[0]).all()
            assert not np.isfinite(y[1]).all()

    @modules
    def test_arrays_in_arrays_out_with_arrays_for_parameters(self, name):
        module = MODULES[name](rng=0).eval()
        x = example(name)
        got = nn.functional_call(module, module.state_dict(), x.data)
        assert type(got) is np.ndarray
        np.testing.assert_array_equal(got, module(x).data)

    @modules
    def test_complex_step_through_every_parameter_and_the_input(self, name):
        module = MODULES[name](rng=0).eval()
        rng = np.random.default_rng(4)
        names = [key for key, _ in module.named_parameters()]
        arrays = [p.data + 0.1 * rng.normal(size=p.shape) for p in module.parameters()]

        def call(*values):
            return nn.functional_call(module, dict(zip(names, values, strict=False)), values[-1])

        assert_matches_complex_step(call, *arrays, example(name).data[:1])

    @every
    @pytest.mark.parametrize("size", [0, -1, 2.0, "4", None, True])
    def test_sizes_that_are_no_positive_integers(self, name, size):
        makers = {
            "Linear": [lambda: nn.Linear(size, 4), lambda: nn.Linear(4, size)],
            "LayerNorm": [lambda: nn.LayerNorm(size)],
            "TokenMixer": [
                lambda: nn.TokenMixer(size, 4, 2),
                lambda: nn.TokenMixer(3, size, 2),
                lambda: nn.TokenMixer(3, 4, size),
            ],
            "FeedForward": [lambda: nn.FeedForward(size)],
            "SwiGLUFeedForward": [lambda: nn.SwiGLUFeedForward(size)],
            "SelfAttention": [lambda: nn.SelfAttention(size, 2), lambda: nn.SelfAttention(4, size)],
            "RankMixerBlock": [
                lambda: nn.RankMixerBlock(size, 4, 2),
                lambda: nn.RankMixerBlock(3, size, 2),
                lambda: nn.RankMixerBlock(3, 4, size),
            ],
            "Embedding": [lambda: nn.Embedding(size, 4), lambda: nn.Embedding(4, size)],
            "RankMixerModel": [
                lambda: nn.RankMixerModel(size, 3, 4, 2, 1),
                lambda: nn.RankMixerModel(5, size, 4, 2, 1),
                lambda: nn.RankMixerModel(5, 3, size, 2, 1),
                lambda: nn.RankMixerModel(5, 3, 4, size, 1),
                lambda: nn.RankMixerModel(5, 3, 4, 2, size),
            ],
        }
        names = {
            "Linear": ["in_features", "out_features"],
            "LayerNorm": ["features"],
            "TokenMixer": ["num_tokens", "hidden_dim", "num_heads"],
            "FeedForward": ["hidden_dim"],
            "SwiGLUFeedForward": ["hidden_dim"],
            "SelfAttention": ["hidden_dim", "num_heads"],
            "RankMixerBlock": ["num_tokens", "hidden_dim", "num_heads"],
            "Embedding": ["num_embeddings", "embedding_dim"],
            "RankMixerModel": ["vocab_size", "num_tokens", "hidden_dim", "num_heads", "num_layers"],
        }
        for make, argument in zip(makers[name], names[name], strict=True):
            with pytest.raises(ArgumentError) as caught:
                make()
            assert str(caught.value).startswith(f"{argument} is a positive integer: got {size!r}; ")
            assert isinstance(caught.value, ValueError)

    def test_numpy_s_integers_are_sizes(self):
        assert nn.Linear(np.int64(3), np.int32(2)).weight.shape == (2, 3)
        assert nn.FeedForward(np.int8(100)).linear1.weight.shape == (400, 100)


class Pair(NamedTuple):
    first: Any
    second: Any


def test_functional_call_of_a_module_that_holds_a_named_tuple() -> None:
    class Both(nx.nn.Module):
        def __init__(self) -> None:
            self.sizes = Pair(2, 3)
            self.layers = Pair(nx.nn.Linear(2, 1, rng=0), nx.nn.Linear(2, 1, rng=1))

        def forward(self, x):
            return self.layers.first(x) * self.layers.second(x) + self.sizes.second

    module = Both()
    names = list(module.state_dict())
    ones = {name: np.ones_like(value) for name, value in module.state_dict().items()}
    result = nx.nn.functional_call(module, ones, nx.tensor([[1.0, 2.0]]))
    assert result.tolist() == [[(1.0 + 2.0 + 1.0) ** 2 + 3]]
    assert names
    assert not np.array_equal(module.layers.first.weight.numpy(), np.ones((1, 2)))
