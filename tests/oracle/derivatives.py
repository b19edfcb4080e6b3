"""Derivatives found without the tape's rules, to hold the rules to."""

import numpy as np

import numixology as nx

TINY = 2.0**-66


def complex_step(fn, arrays, cotangent):
    """The gradient of ⟨cotangent, fn(*arrays)⟩ by each array, one element at a time.

    ``fn`` runs on plain complex arrays, so no rule and no tape has any part in it.
    """
    gradients = []
    for position, array in enumerate(arrays):
        gradient = np.empty(array.shape)
        for index in np.ndindex(array.shape):
            moved = [np.array(one) for one in arrays]
            moved[position] = array.astype(complex)
            moved[position][index] += 1j * TINY
            gradient[index] = (fn(*moved).imag / TINY * cotangent).sum()
        gradients.append(gradient)
    return gradients


def weights_like(shape, seed=7):
    """A cotangent with no two entries alike, and none near 0."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)


def tape(fn, arrays, cotangent=None):
    """The gradients that the tape gives for ⟨cotangent, fn(*arrays)⟩, as arrays."""
    leaves = [nx.tensor(array, requires_grad=True) for array in arrays]
    output = fn(*leaves)
    cotangent = weights_like(output.shape) if cotangent is None else cotangent
    gradients = nx.grad(output, leaves, np.asarray(cotangent, output.dtype))
    return [gradient.data for gradient in gradients]


def assert_matches_complex_step(fn, *arrays, rtol=1e-12):
    """The tape's gradients are those of complex steps.

    Each is measured by its largest entry, or by a thousandth of the largest of all, since some
    gradients are exactly 0 and computed as rounding.
    """
    arrays = [np.asarray(array, dtype=np.float64) for array in arrays]
    cotangent = weights_like(np.shape(fn(*arrays)))
    expected = complex_step(fn, arrays, cotangent)
    largest = max(np.abs(want).max(initial=0) for want in expected)
    for got, want in zip(tape(fn, arrays, cotangent), expected, strict=True):
        scale = max(np.abs(want).max(initial=0), 1e-3 * largest)
        np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * scale)


def derivatives(fn, arrays, order):
    """The value of fn, then gradients of weighted sums of gradients, up to ``order``.

    A quartic of every input is added to each sum, so that an input which has dropped out of the
    calculation has a gradient all the same.
    """
    leaves = [nx.tensor(array, requires_grad=True) for array in arrays]
    found = [fn(*leaves)]
    levels = [[found[0].data]]
    for level in range(order):
        total = sum((one * weights_like(one.shape, level)).sum() for one in found)
        total = total + sum((leaf**4).sum() for leaf in leaves)
        found = nx.grad(total, leaves, create_graph=True)
        levels.append([one.data for one in found])
    return levels


def assert_same_derivatives(fused, composed, *arrays, order=3, rtol=1e-9):
    """A fused function and its composition of primitives agree up to the given order."""
    pairs = zip(
        derivatives(fused, arrays, order), derivatives(composed, arrays, order), strict=True
    )
    for got, want in pairs:
        for one, other in zip(got, want, strict=True):
            scale = np.abs(other).max(initial=0)
            np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * scale)


def slope(fn, values, *, create_graph=False, dtype=np.float64):
    """The derivative of an elementwise function at each of the values."""
    x = nx.tensor(values, dtype=dtype, requires_grad=True)
    y = fn(x)
    (gradient,) = nx.grad(y, x, np.ones(y.shape, y.dtype), create_graph=create_graph)
    return gradient.data
