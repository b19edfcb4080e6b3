"""Why the gradient check takes complex steps: the error of a difference, by its step."""

import numpy as np

from ...array import Array
from ..drawing.panels import Chart, Series
from ..drawing.scene import Scene

__all__ = ["step_size_scene"]

_EXACT = 1e-17  # where no error is drawn: the axis has no zero


def step_size_scene() -> Scene:
    """The errors of central and complex differences of the exponential at 1, over steps h.

    The derivative is e. A central difference (f(x + h) - f(x - h)) / 2h loses the digits that both
    values share; a complex one, Im f(x + ih) / h, has nothing to lose.

    Returns:
        A :class:`.Scene` of one chart.

    Source: Squire and Trapp 1998, Using Complex Variables to Estimate Derivatives of Real
    Functions.

    Example:
        >>> import numixology as nx
        >>> (chart,) = nx.explain.draw("step-sizes").panels
        >>> [series.name for series in chart.series]
        ['central difference', 'complex step']
    """
    h = 10.0 ** np.arange(-15, 0)
    central = (np.exp(1 + h) - np.exp(1 - h)) / (2 * h)
    complex_step = np.imag(np.exp(1 + 1j * h)) / h
    curves = (
        Series("central difference", _errors(central)),
        Series("complex step", _errors(complex_step)),
    )
    chart = Chart(
        "Error of the derivative of exp at 1",
        "step h",
        tuple(h.tolist()),
        "relative error",
        curves,
        log_x=True,
        log_y=True,
        note="1e-17 means no error at all: a logarithmic axis has no zero",
    )
    description = (
        "Over the step, the error of a central difference first falls, then rises again; that of a "
        "complex step falls to nothing and stays there."
    )
    return Scene("Two ways to take a difference", description, (chart,))


def _errors(slope: Array) -> tuple[float, ...]:
    return tuple(np.maximum(np.abs(slope / np.e - 1), _EXACT).tolist())
