"""How factorizations of matrices carry a step dA.

Solving, inverses and determinants are rational functions, which complex arithmetic carries.
"""

from typing import Any

import numpy as np

from .steps import FUNCTIONS, joined, step_of, tied, value_of

__all__: list[str] = []


def _t(a: Any) -> Any:
    return np.swapaxes(a, -1, -2)


def _symmetric(a: Any) -> Any:
    """By the lower triangle, which is all that NumPy reads."""
    half = np.tril(a, -1)
    return half + _t(half) + a * np.eye(a.shape[-1])


def _slogdet(a: Any) -> Any:
    """d log |det A| = tr A⁻¹ dA."""
    sign, log = y = np.linalg.slogdet(value_of(a))
    moves = np.trace(np.linalg.solve(value_of(a), step_of(a)), axis1=-2, axis2=-1)
    return type(y)(joined(sign, 0), joined(log, moves))


def _cholesky(a: Any) -> Any:
    """L⁻¹ dL is the lower half of L⁻¹ dA L⁻ᵀ, with half its diagonal."""
    low = np.linalg.cholesky(value_of(a))
    inner = np.linalg.solve(low, _t(np.linalg.solve(low, _symmetric(step_of(a)))))
    return joined(low, low @ (np.tril(inner) - inner * np.eye(inner.shape[-1]) / 2))


def _eigh(a: Any) -> Any:
    """dw = diag Qᵀ dA Q, and Q turns by its other entries over the differences of w."""
    w, q = y = np.linalg.eigh(value_of(a))
    inner = _t(q) @ _symmetric(step_of(a)) @ q
    apart = w[..., None, :] - w[..., :, None]
    tied((apart == 0) & (np.eye(w.shape[-1]) == 0))
    turn = np.where(apart == 0, 0, inner / np.where(apart == 0, 1, apart))
    return type(y)(joined(w, np.diagonal(inner, axis1=-2, axis2=-1)), joined(q, q @ turn))


def _eigvalsh(a: Any) -> Any:
    return _eigh(a).eigenvalues


FUNCTIONS.update(
    {
        np.linalg.cholesky: _cholesky,
        np.linalg.eigh: _eigh,
        np.linalg.eigvalsh: _eigvalsh,
        np.linalg.slogdet: _slogdet,
    }
)
