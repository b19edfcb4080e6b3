"""How factorizations of matrices carry a step dA.

Solving, inverses and determinants are rational functions, which complex arithmetic carries.
"""

from typing import Any

import numpy as np

from .steps import FUNCTIONS, joined, step_of, tied, value_of

__all__: list[str] = []


def _t(a: Any) -> Any:
    return np.swapaxes(a, -1, -2)


def _symmetric(a: Any, upper: bool) -> Any:
    """By one triangle, which is all that NumPy reads."""
    half = np.triu(a, 1) if upper else np.tril(a, -1)
    return half + _t(half) + a * np.eye(a.shape[-1])


def _slogdet(a: Any) -> Any:
    """d log |det A| = tr A⁻¹ dA."""
    y = np.linalg.slogdet(value_of(a))
    moves = np.trace(np.linalg.solve(value_of(a), step_of(a)), axis1=-2, axis2=-1)
    return type(y)(joined(y[0], 0), joined(y[1], moves))


def _cholesky(a: Any, *, upper: bool = False) -> Any:
    """L⁻¹ dL is the lower half of L⁻¹ dA L⁻ᵀ, with half its diagonal."""
    y = np.linalg.cholesky(value_of(a), upper=upper)
    low = _t(y) if upper else y
    inner = np.linalg.solve(low, _t(np.linalg.solve(low, _symmetric(step_of(a), upper))))
    moves = low @ (np.tril(inner) - inner * np.eye(inner.shape[-1]) / 2)
    return joined(y, _t(moves) if upper else moves)


def _eigh(a: Any, UPLO: Any = "L") -> Any:
    """dw = diag Qᵀ dA Q, and Q turns by its other entries over the differences of w."""
    w, q = y = np.linalg.eigh(value_of(a), UPLO)
    inner = _t(q) @ _symmetric(step_of(a), UPLO.upper() == "U") @ q
    apart = w[..., None, :] - w[..., :, None]
    tied((apart == 0) & (np.eye(w.shape[-1]) == 0))
    turn = np.where(apart == 0, 0, inner / np.where(apart == 0, 1, apart))
    return type(y)(joined(w, np.diagonal(inner, axis1=-2, axis2=-1)), joined(q, q @ turn))


def _eigvalsh(a: Any, UPLO: Any = "L") -> Any:
    return _eigh(a, UPLO)[0]


FUNCTIONS.update(
    {
        np.linalg.cholesky: _cholesky,
        np.linalg.eigh: _eigh,
        np.linalg.eigvalsh: _eigvalsh,
        np.linalg.slogdet: _slogdet,
    }
)
