"""Single layers: the activations with their slopes, and a normalized token."""

from collections.abc import Callable

import numpy as np

from ... import functional, nn
from ...array import Array
from ...tensors import Tensor, tensor
from ...text import counted
from ...transforms import grad
from ..drawing.as_text import number
from ..drawing.panels import Cell, Chart, Grid, Row, Series
from ..drawing.scene import Scene
from .limits import COMPUTED, within
from .mixing import few

__all__ = ["activations_scene", "layer_norm_scene"]

_MOST_FEATURES = 8

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "relu": functional.relu,
    "silu": functional.silu,
}


def activations_scene() -> Scene:
    """GELU, ReLU and SiLU from -3 to 2, and their slopes as the tape computes them.

    Returns:
        A :class:`.Scene` of two charts.

    Source: guide, Standard Feed Forward Architecture.

    Example:
        >>> import numixology as nx
        >>> values, slopes = nx.explain.draw("activations").panels
        >>> [series.name for series in slopes.series]
        ['gelu', 'relu', 'silu']
    """
    x = np.linspace(-3.0, 2.0, 11)
    values, slopes = [], []
    for name, activation in _ACTIVATIONS.items():
        at = tensor(x, requires_grad=True)
        y = activation(at)
        (slope,) = grad(y.sum(), at)
        values.append(Series(name, tuple(y.tolist())))
        slopes.append(Series(name, tuple(slope.tolist())))
    points = tuple(x.tolist())
    far = "All three are near 0 far to the left, and near x far to the right."
    at_0 = "ReLU jumps at 0, where 0 is taken; the others pass through 1/2 there."
    panels = (
        Chart("Activations", "x", points, "value", tuple(values), note=far),
        Chart("Their slopes", "x", points, "slope", tuple(slopes), note=at_0),
    )
    return Scene("Three activations", "Values and slopes over x.", panels)


def layer_norm_scene(hidden_dim: int = 4) -> Scene:
    """One token on its way through LayerNorm, feature by feature.

    Returns:
        A :class:`.Scene` of one grid.

    Source: Ba, Kiros and Hinton 2016, equation 4 (arXiv 1607.06450).

    Example:
        >>> import numixology as nx
        >>> print(nx.explain.panel_text(nx.explain.draw("layer-norm", hidden_dim=4).panels[0]))
        A token of 4 features
                             f1    f2   f3    f4
          x                   0     1    4     9
          minus the mean   -3.5  -2.5  0.5   5.5
          squared         12.25  6.25 0.25 30.25
          normalized         -1 -0.71 0.14  1.57
        <BLANKLINE>
          mean 3.5, variance 12.25: the last row is the second divided by the root of 12.25 + 1e-05
    """
    within(COMPUTED, hidden_dim=hidden_dim)
    norm = nn.LayerNorm(hidden_dim)
    x = np.arange(float(hidden_dim)) ** 2
    mean, variance = x.mean(), x.var()
    normalized = norm(tensor(x)).numpy()
    rows = (
        _numbers("x", x),
        _numbers("minus the mean", x - mean),
        _numbers("squared", (x - mean) ** 2),
        _numbers("normalized", normalized),
    )
    names = tuple(few([f"f{i + 1}" for i in range(hidden_dim)], _MOST_FEATURES, "..."))
    note = (
        f"mean {number(mean)}, variance {number(variance)}: the last row is the second divided by "
        f"the root of {number(variance)} + {norm.eps}"
    )
    grid = Grid(f"A token of {counted(hidden_dim, 'feature')}", rows, "matrix", names, note)
    return Scene("LayerNorm", "A token before, during and after its normalization.", (grid,))


def _numbers(name: str, values: Array) -> Row:
    shown = few(values.tolist(), _MOST_FEATURES, None)
    labels = ["..." if value is None else number(round(value, 2)) for value in shown]
    return Row(name, (tuple(map(Cell, labels)),))
