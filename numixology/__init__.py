"""numixology: what a RankMixer token mixer really computes, in NumPy, with its gradients."""

__version__ = "0.1.0"

from . import errors, explain, functional, nn, observe, verify
from .autograd import no_grad, primitive
from .observe import debug_shapes, educational
from .tensors import Tensor, tensor
from .transforms import grad, jacobian, jvp, vjp
from .verify import gradcheck

__all__ = [
    # Tensors
    "Tensor",
    "tensor",
    # Gradients
    "grad",
    "gradcheck",
    "jacobian",
    "jvp",
    "no_grad",
    "primitive",
    "vjp",
    # Watching
    "debug_shapes",
    "educational",
    # Rooms
    "errors",
    "explain",
    "functional",
    "nn",
    "observe",
    "verify",
    "__version__",
]
