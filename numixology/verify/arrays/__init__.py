"""Arrays that carry more than their numbers through NumPy: a derivative, or random roundings."""

from . import functions, matrices, ufuncs

__all__ = ["functions", "matrices", "ufuncs"]
