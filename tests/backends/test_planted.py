"""The functions that torch's gradcheck is given beside ours, and that it sees the same errors."""

import pytest
import torch
from backends.agreement import close
from sweeps import in_torch, planted_errors

import numixology as nx

CASES = planted_errors.cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_libraries_compute_the_same(case):
    theirs = in_torch.FUNCTIONS[case.name](*map(torch.tensor, case.inputs))
    close(case.fn(*map(nx.tensor, case.inputs)), theirs)


def test_no_function_is_left_over():
    assert set(in_torch.FUNCTIONS) == {case.name for case in CASES}


@pytest.mark.parametrize("order", [1, 2])
def test_torch_accepts_what_is_right_and_refuses_a_large_error(order):
    case = next(case for case in CASES if case.name == "layer_norm")
    assert planted_errors.in_torch(case, order, 0, None)
    ((which, entry), *_) = planted_errors.foremost(case, order, 0)
    assert not planted_errors.in_torch(case, order, 0, (which, 0.1, entry))
    assert planted_errors.in_torch(case, order, 0, (which, 1e-6, entry))
