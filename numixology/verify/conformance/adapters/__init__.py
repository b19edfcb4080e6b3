"""Ready adapters, and how to find one's own.

``numpy64`` and ``numpy32`` are always there. Those of torch, JAX and ONNX Runtime are in modules
of their own, :mod:`.adapters.torch`, :mod:`.adapters.jax` and :mod:`.adapters.onnxruntime`, which
:func:`load` imports when one is asked for; the first two also wrap a module or a function of yours.
"""

from .blank import template
from .builtin import Numpy
from .layers import Sizes
from .loading import NAMES, load

__all__ = ["NAMES", "Numpy", "Sizes", "load", "template"]
