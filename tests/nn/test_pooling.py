"""The mean of the tokens, and the heads of the tasks."""

import numpy as np
import pytest

import numixology as nx
from numixology import nn
from numixology.errors import ArgumentError, DTypeError, ShapeError

RNG = np.random.default_rng(41)


class TestMeanPooling:
    def test_it_is_the_mean_over_the_tokens(self):
        x = RNG.integers(-9, 9, (2, 4, 3)).astype(float)
        want = [[sum(x[b, t, i] for t in range(4)) / 4 for i in range(3)] for b in range(2)]
        np.testing.assert_array_equal(nn.MeanPooling()(nx.tensor(x)).data, want)
        assert nn.MeanPooling().state_dict() == {}

    def test_every_token_gets_its_share_of_the_gradient(self):
        x = nx.tensor(RNG.normal(size=(2, 4, 3)), requires_grad=True)
        ct = RNG.normal(size=(2, 3))
        nn.MeanPooling()(x).backward(ct)
        np.testing.assert_array_equal(x.grad.data, np.stack([ct / 4] * 4, 1))

    @pytest.mark.parametrize("shape", [(4, 3), (2, 0, 3), (1, 2, 4, 3), ()])
    def test_other_shapes(self, shape):
        with pytest.raises(ShapeError) as caught:
            nn.MeanPooling()(np.zeros(shape))
        assert str(caught.value) == (
            f"MeanPooling takes x of shape (B, T, D) with T at least 1: got {shape}; "
            "pool what a block returns"
        )

    def test_a_list_is_no_array(self):
        with pytest.raises(DTypeError, match="MeanPooling takes arrays or tensors: got list"):
            nn.MeanPooling()([[[1.0]]])


class TestTaskHeads:
    def test_a_logit_for_each_task(self):
        heads = nn.TaskHeads(3, ["finish", "skip"], rng=0)
        x = RNG.normal(size=(4, 3))
        state = heads.state_dict()
        want = [x @ state[f"heads.{k}.weight"][0] + state[f"heads.{k}.bias"] for k in (0, 1)]
        np.testing.assert_allclose(heads(nx.tensor(x)).data, np.stack(want, 1), rtol=1e-13)
        assert heads.tasks == ("finish", "skip")
        assert "finish" in repr(heads)

    def test_heads_start_differently_and_in_the_dtype(self):
        heads = nn.TaskHeads(3, ("a", "b"), rng=0, dtype="float32")
        first, second = (head.weight.data for head in heads.heads)
        assert (first != second).all()
        assert first.dtype == np.float32

    def test_a_task_has_the_gradient_of_its_head_only(self):
        heads = nn.TaskHeads(3, ["a", "b"], rng=0)
        heads(nx.tensor(RNG.normal(size=(4, 3))))[:, 0].sum().backward()
        assert heads.heads[0].weight.grad.data.any()
        assert not heads.heads[1].weight.grad.data.any()

    def test_a_head_may_be_replaced(self):
        class Tower(nn.Module):
            def __init__(self):
                self.first, self.second = nn.Linear(3, 5, rng=0), nn.Linear(5, 1, rng=1)

            def forward(self, x):
                return self.second(nx.functional.relu(self.first(x)))

        heads = nn.TaskHeads(3, ["a", "b"], rng=0)
        heads.heads[1] = Tower()
        x = RNG.normal(size=(4, 3))
        np.testing.assert_array_equal(heads(x).data[:, 1:], heads.heads[1](x).data)
        assert "heads.1.second.weight" in heads.state_dict()

    def test_names_from_anywhere(self):
        for names in (np.array(["a", "b"]), iter("ab"), {"a": 1, "b": 2}):
            assert nn.TaskHeads(3, names).tasks == ("a", "b")

    @pytest.mark.parametrize("tasks", ["click", [], ["a", "a"]])
    def test_no_list_of_different_names(self, tasks):
        with pytest.raises(ArgumentError, match="tasks is a list of at least one name, and of non"):
            nn.TaskHeads(3, tasks)

    def test_other_features(self):
        with pytest.raises(ShapeError, match=r"Linear takes x of shape \(..., in\) with in = 3"):
            nn.TaskHeads(3, ["a"], rng=0)(np.zeros((2, 4)))


def test_from_ids_to_the_loss_of_two_tasks():
    model = nn.RankMixerModel(11, 4, 8, 4, 2, ffn="per_token", norm="post", dropout=0.0, rng=0)
    pooling, heads = nn.MeanPooling(), nn.TaskHeads(8, ["finish", "skip"], rng=1)
    logits = heads(pooling(model([[1, 2, 3, 4], [5, 6, 7, 8]])))
    clicked = np.array([[1.0, 0.0], [0.0, 1.0]])
    nx.functional.binary_cross_entropy_with_logits(logits, clicked).backward()
    parameters = [*model.parameters(), *heads.parameters()]
    assert all(p.grad is not None and np.isfinite(p.grad.data).all() for p in parameters)
