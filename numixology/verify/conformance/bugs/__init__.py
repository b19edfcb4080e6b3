"""Known bugs: a textbook for each mistake that kernels are known to make."""

from . import activations, contracts, embeddings, linear, mixing, networks, normalization
from .registry import BUGS, Bug, bugs_of, known

__all__ = [
    "BUGS",
    "Bug",
    "bugs_of",
    "known",
    "activations",
    "contracts",
    "embeddings",
    "linear",
    "mixing",
    "networks",
    "normalization",
]
