"""The two tasks in full: the loss after 600 steps, and the time of a run."""

import time

import pytest

import numixology as nx
from numixology.training import TASKS, TaskModel, train


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mixing", ["rankmixer", "identity", "guide"])
@pytest.mark.parametrize("name", TASKS)
def test_the_loss_falls_below_a_hundredth_or_stays_at_its_bound(name, mixing, seed) -> None:
    task, start = TASKS[name], time.process_time()
    model = TaskModel(task, rng=seed, mixing=mixing)
    optimizer = nx.optim.Adam(model.parameters(), lr=3e-3)
    for _ in train(lambda: task.loss(model), optimizer, 600):
        pass
    seconds, loss = time.process_time() - start, task.loss(model).item()
    print(f"\n{name} {mixing} seed {seed}: {loss:.6f} of {task.bound:.6f}, {seconds:.1f} s")
    if mixing == "rankmixer":
        assert loss < 0.01
    else:
        assert abs(loss - task.bound) < 1e-3
    assert seconds < 10
