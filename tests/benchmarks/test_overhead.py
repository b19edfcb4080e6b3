"""What the tape costs for one operation, and the import: ratios are printed, values asserted."""

import subprocess
import sys
from statistics import median

import numpy as np
import pytest
from benchmarks.timing import installed, interleaved, print_table

import numixology as nx

OPERATIONS = 1000
START = np.linspace(0.5, 1.5, 8)


def chain(x):
    """A thousand small operations, a multiplication and an addition in turn."""
    y = x
    for _ in range(OPERATIONS // 2):
        y = y * 0.999 + x
    return y


def of_numixology():
    def step():
        x = nx.tensor(START, requires_grad=True)
        chain(x).sum().backward()
        return np.asarray(x.grad)

    return step


def of_torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)

    def step():
        x = torch.tensor(START, requires_grad=True)
        chain(x).sum().backward()
        return x.grad.numpy()

    return step


def of_autograd():
    autograd = pytest.importorskip("autograd")
    gradient = autograd.elementwise_grad(chain)
    return lambda: gradient(START)


def of_mygrad():
    mygrad = pytest.importorskip("mygrad")

    def step():
        x = mygrad.tensor(START)
        mygrad.sum(chain(x)).backward()
        return x.grad

    return step


def of_numpy():
    """The forward alone, on arrays: what no engine can go below."""
    return lambda: chain(START)


ENGINES = {
    "numixology": of_numixology,
    "torch": of_torch,
    "autograd": of_autograd,
    "mygrad": of_mygrad,
    "numpy, forward only": of_numpy,
}


@pytest.mark.filterwarnings("ignore")
def test_the_tape_s_cost_per_operation():
    steps = installed(ENGINES)
    slope = sum(0.999**k for k in range(OPERATIONS // 2 + 1))
    for name, step in steps.items():
        wanted = slope * START if name.startswith("numpy") else np.full(8, slope)
        np.testing.assert_allclose(step(), wanted, rtol=1e-12, err_msg=name)
    times = interleaved(steps, rounds=15)
    base = "torch" if "torch" in times else "numixology"
    title = f"{OPERATIONS} operations on 8 numbers, forward and backward"
    print_table(title, times, base, "us per op", 1e-6 * OPERATIONS)


IMPORTS = """
import sys, time
start = time.perf_counter()
import numpy
middle = time.perf_counter()
import numixology
end = time.perf_counter()
print(middle - start, end - middle, numixology.__version__)
"""


def test_the_import_above_numpy_s():
    numpy_alone, above = [], []
    for _ in range(9):
        found = subprocess.run(
            [sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True
        ).stdout.split()
        assert found[2] == nx.__version__
        numpy_alone.append(float(found[0]))
        above.append(float(found[1]))
    ratio = median(a / b for a, b in zip(above, numpy_alone, strict=True))
    print("\n\nimport                         ms")
    print(f"numpy                    {1e3 * median(numpy_alone):8.1f}")
    print(f"numixology, above numpy  {1e3 * median(above):8.1f}")
    print(f"ratio                    {ratio:8.2f}")
