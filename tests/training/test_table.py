"""Tables: what the generated one hides in pairs of columns, and a model that finds it."""

import itertools

import numpy as np
import pytest

import numixology as nx
from numixology.training import FeatureTable, TableModel, auc, generated_table, train


def test_single_columns_of_the_generated_table_say_nothing_and_pairs_much() -> None:
    table = generated_table(40_000, rng=1)
    site, device = table.ids.T - [[0], [4]]
    age, price = table.numbers.T
    for column in (site == 1, device == 2, age > 0.5, price < -1):
        assert table.target[column].mean() == pytest.approx(0.5, abs=0.03)
    crossed = np.where((site + device) % 4 < 2, 1, -1) + np.sign(age * price)
    for value, share in ((-2, 0.018), (0, 0.5), (2, 0.982)):
        assert table.target[crossed == value].mean() == pytest.approx(share, abs=0.02)


def test_rows_keep_their_columns_together() -> None:
    table = generated_table(6, rng=0)
    chosen = table.rows(np.array([4, 1]))
    assert chosen.names == table.names
    for name in ("ids", "numbers", "target"):
        assert np.array_equal(getattr(chosen, name), getattr(table, name)[[4, 1]])


def test_mixing_finds_the_pairs_and_the_identity_does_not() -> None:
    table = generated_table(1500, rng=0)
    rows, held_out = table.rows(np.arange(1000)), table.rows(np.arange(1000, 1500))
    found = {}
    for mixing in ("rankmixer", "identity"):
        rng = np.random.default_rng(0)
        model = TableModel(rows, rng=rng, mixing=mixing)
        optimizer = nx.optim.Adam(model.parameters(), lr=0.03)
        batch = lambda m=model, r=rng: rows.rows(r.integers(1000, size=64)).loss(m)  # noqa: E731
        for _ in train(batch, optimizer, 60):
            pass
        found[mixing] = auc(model(held_out.ids, held_out.numbers), held_out.target)
    assert found["rankmixer"] > 0.75
    assert found["identity"] < 0.58


def test_a_model_may_be_of_float32_and_a_batch_empty() -> None:
    table = generated_table(6, rng=0)
    model = TableModel(table, rng=0, dtype="float32")
    assert {p.dtype for p in model.parameters()} == {np.dtype("float32")}
    table.loss(model).backward()
    expected = table.loss(TableModel(table, rng=0)).item()
    assert table.loss(model).item() == pytest.approx(expected, rel=1e-5)
    assert model(table.ids[:0], table.numbers[:0].astype("float32")).shape == (0,)


@pytest.mark.parametrize(("C", "M", "depth"), [(1, 0, 1), (0, 2, 1), (3, 4, 2), (20, 0, 3)])
def test_there_are_as_many_blocks_as_let_all_columns_meet(C, M, depth) -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(3, size=(8, C)) + 3 * np.arange(C)
    names = tuple(map(str, range(C + M)))
    table = FeatureTable(names, ids, rng.standard_normal((8, M)), 1.0 * (np.arange(8) < 4))
    model = TableModel(table, rng=0)
    assert len(model.blocks) == depth
    y = model(table.ids, table.numbers)
    assert y.shape == (8,)
    for row, column in itertools.product(range(2), range(M)):
        moved = table.numbers.copy()
        moved[row, column] += 1
        assert ((model(table.ids, moved) != y).data == (np.arange(8) == row)).all()
