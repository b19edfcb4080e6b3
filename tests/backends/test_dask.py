"""A gradient check spread over a cluster finds what one process finds, bit for bit."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from dask.distributed import Client

import numixology as nx


@contextmanager
def dask_cluster():
    """Two processes of one thread each on this machine, without a web page."""
    with Client(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as client:
        yield client.get_executor()


def processes():
    return ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))


EXECUTORS = {"dask": dask_cluster, "processes": processes, "threads": lambda: ThreadPoolExecutor(2)}


@pytest.fixture(scope="module", params=EXECUTORS)
def executor(request):
    with EXECUTORS[request.param]() as made:
        yield made


# Biases have no second derivatives, so only SwiGLU, which has none, is checked for them.
@pytest.mark.parametrize(("ffn", "order"), [("standard", 1), ("swiglu", 1), ("swiglu", 2)])
def test_a_block_with_all_its_parameters(executor, ffn, order):
    block = nx.nn.RankMixerBlock(3, 4, 2, ff_dim=5, ffn=ffn, rng=0).eval()
    x = np.random.default_rng(1).standard_normal((2, 3, 4))
    alone = nx.gradcheck(block, x, order=order)
    spread = nx.gradcheck(block, x, order=order, executor=executor)
    assert spread == alone
    assert spread.passed, spread
    assert spread.coordinates == x.size + block.parameter_table().total


def test_by_real_differences(executor):
    x = np.random.default_rng(2).standard_normal((3, 5))
    alone = nx.gradcheck(nx.functional.softmax, x, method="central")
    assert nx.gradcheck(nx.functional.softmax, x, method="central", executor=executor) == alone
    assert alone.passed


def test_an_error_is_found_by_workers_too(executor):
    report = nx.gradcheck(
        np.exp,
        np.linspace(-1.0, 1.0, 9),
        vjp=lambda ct, x: ct * np.exp(x) * (1 + 1e-12),
        executor=executor,
    )
    assert report.verdict == "fail"
    assert report.max_error == pytest.approx(1e-12, rel=1e-2)
