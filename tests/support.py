"""What many tests ask: is it refused in three parts, and what is the derivative by another way?"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from numixology.errors import NumixologyError


@contextmanager
def refused(kind: type[Exception], *says: str) -> Iterator[None]:
    """The block raises an error of the package that is a `kind` and says all of `says`."""
    with pytest.raises(kind) as caught:
        yield
    error = caught.value
    assert isinstance(error, NumixologyError), f"not one of ours: {error!r}"
    invariant, received, instead = error.args
    assert (
        all(isinstance(part, str) for part in error.args) and invariant.strip() and instead.strip()
    )
    assert str(error) == f"{invariant}: got {received}; {instead}".replace(": got ;", ";")
    assert error.__cause__ is not error
    for words in says:
        assert words in str(error), f"{words!r} is not said in {str(error)!r}"


def complex_step(fn: Callable[..., Any], arrays: Sequence[np.ndarray], ct: Any) -> list[np.ndarray]:
    """The gradients of Σ ct · fn(*arrays), from the imaginary part that a tiny step leaves.

    No differences are taken, so nothing cancels. `fn` is plain NumPy and analytic.
    """
    step = 1e-30
    found = []
    for i, array in enumerate(arrays):
        gradient = np.zeros(array.shape)
        for place in np.ndindex(array.shape):
            moved = [np.asarray(one, np.complex128) for one in arrays]
            moved[i] = moved[i].copy()
            moved[i][place] += 1j * step
            gradient[place] = np.sum(ct * fn(*moved)).imag / step
        found.append(gradient)
    return found


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Values from 0.5 to 2, far from the kinks and poles at 0."""
    return np.random.default_rng([seed, *shape]).uniform(0.5, 2.0, shape)


def integers(*shape: int, seed: int = 0) -> np.ndarray:
    """Small whole numbers as floats: sums and products of them are exact."""
    return np.random.default_rng([seed, *shape]).integers(-9, 10, shape).astype(np.float64)


def ulps(got: np.ndarray, x: np.ndarray, exact: Callable, digits: int = 50) -> np.ndarray:
    """The distance of each result to the truth, in spacings of the result's dtype there."""
    errors = []
    with mp.workdps(digits):
        for g, v in zip(got, x, strict=True):
            truth = exact(mp.mpf(float(v)))
            spacing = np.spacing(np.abs(got.dtype.type(truth)))
            errors.append(float(abs(mp.mpf(float(g)) - truth) / mp.mpf(float(spacing))))
    return np.array(errors)


def around(center: float, count: int) -> np.ndarray:
    """The doubles nearest to center, count on each side."""
    return center + np.spacing(center) * np.arange(-count, count + 1)
