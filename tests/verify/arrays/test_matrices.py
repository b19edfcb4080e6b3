"""Factorizations of matrices of steps."""

import numpy as np
import pytest
from pushed import H, evaluated, expressions, is_carried, ties

from numixology.verify.arrays.steps import stepped

CARRIED = """
np.average(x, 0, weights=x**2) | np.linalg.slogdet(A)[1] | np.linalg.cholesky(S)
np.linalg.cholesky(S)[0] | np.linalg.cholesky(A + A.T + 9 * I) | np.linalg.eigvalsh(S)
np.linalg.eigh(S)[0] | np.abs(np.linalg.eigh(S)[1]) | np.linalg.eigvalsh(A)
"""


@pytest.mark.parametrize("expression", expressions(CARRIED))
def test_a_carried_step_is_the_derivative(expression: str) -> None:
    is_carried(evaluated(expression, globals()))


def test_equal_eigenvalues_are_a_tie() -> None:
    assert ties(lambda x: np.linalg.eigvalsh(np.eye(2) * x[0]), 1.0) > 0
    assert ties(lambda x: np.linalg.eigvalsh(np.diag(x)), 1.0) == 0


REFUSED = """
np.linalg.cholesky(A, upper=True) | np.linalg.eigh(A, 'U')
np.linalg.svd(A) | np.linalg.svdvals(A) | np.linalg.pinv(A) | np.linalg.qr(A) | np.linalg.eig(A)
np.linalg.lstsq(A, x)
"""


@pytest.mark.parametrize("expression", expressions(REFUSED))
def test_what_cannot_carry_a_step_raises(expression: str) -> None:
    x = stepped(np.array([1.0, 2.0]) + 1j * H)
    with pytest.raises((TypeError, np.exceptions.ComplexWarning)):
        eval(expression, globals(), {"x": x, "f": np.zeros(2), "A": np.outer(x, x)})
