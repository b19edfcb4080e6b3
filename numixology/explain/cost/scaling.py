"""Time and memory of the layers as the sequence grows, as they were once measured.

The numbers are in a file of the package, which ``tox -e scaling`` writes anew. Seconds are those of
one machine on one day; what they are compared with is only each other.
"""

import json
from os.path import dirname, join
from typing import NamedTuple

__all__ = ["Measured", "Scaling", "measured_scaling"]

# Neither importlib.resources nor pathlib: each would make importing the package noticeably slower.
_FILE = join(dirname(__file__), "data", "scaling.json")


class Measured(NamedTuple):
    """One layer's forward at one length.

    Attributes:
        num_tokens: T, the number of tokens.
        flops: by its closed form.
        seconds: the median turn.
        fastest: the fastest turn.
        peak_bytes: the most that was allocated at once, beyond input and parameters.

    Example:
        >>> import numixology as nx
        >>> first = nx.explain.measured_scaling().layers["mixer"][0]
        >>> first.num_tokens, first.flops, first.fastest <= first.seconds
        (128, 786688, True)
    """

    num_tokens: int
    flops: int
    seconds: float
    fastest: float
    peak_bytes: int


class Scaling(NamedTuple):
    """What was measured, and how.

    Attributes:
        numpy: the version of NumPy.
        dtype: of input and parameters.
        threads: how many threads NumPy had.
        batch: B, the number of sequences.
        hidden_dim: D, the number of features.
        num_heads: H, the number of heads.
        ff_dim: F, the width inside the network.
        turns: how often each layer ran at each length.
        layers: for ``"mixer"``, ``"attention"`` and ``"network"`` a :class:`.Measured` per length.

    Example:
        >>> import numixology as nx
        >>> found = nx.explain.measured_scaling()
        >>> [row.num_tokens for row in found.layers["attention"]]
        [128, 256, 512, 1024, 2048, 4096, 8192]
    """

    numpy: str
    dtype: str
    threads: int
    batch: int
    hidden_dim: int
    num_heads: int
    ff_dim: int
    turns: int
    layers: dict[str, tuple[Measured, ...]]

    @property
    def conditions(self) -> str:
        """How it was measured, as a line of text."""
        return (
            f"NumPy {self.numpy}, {self.dtype}, threads: {self.threads}, B = {self.batch}, "
            f"D = {self.hidden_dim}, H = {self.num_heads}, F = {self.ff_dim}"
        )


def measured_scaling() -> Scaling:
    """The measurements that the package carries.

    Returns:
        A :class:`.Scaling`.

    Source: guide, Memory Usage Scaling and Performance Scaling Chart.

    Example:
        >>> import numixology as nx
        >>> found = nx.explain.measured_scaling()
        >>> found.dtype, found.threads, found.hidden_dim, list(found.layers)
        ('float32', 1, 768, ['mixer', 'attention', 'network'])
    """
    with open(_FILE, encoding="utf-8") as file:
        held = json.load(file)
    layers = {
        name: tuple(Measured(**row) for row in rows) for name, rows in held.pop("layers").items()
    }
    return Scaling(**held, layers=layers)
