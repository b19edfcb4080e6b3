"""Ready adapters, and how to find one's own.

``numpy64`` and ``numpy32`` are always there. Those of torch, JAX and ONNX Runtime are in modules
of their own, :mod:`.adapters.torch`, :mod:`.adapters.jax` and :mod:`.adapters.onnxruntime`, which
:func:`load` imports when one is asked for; the first two also wrap a module or a function of yours.
"""

from .builtin import Numpy
from .combining import Combined
from .loading import NAMES, load, template
from .shared import Sizes

__all__ = ["NAMES", "Combined", "Numpy", "Sizes", "load", "template"]
