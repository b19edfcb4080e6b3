"""numixology: what a RankMixer token mixer really computes, in NumPy, with its gradients."""

__version__ = "0.1.0"

from . import errors, functional, nn, observe
from .autograd import no_grad, primitive
from .observe import debug_shapes, educational
from .tensors import Tensor, tensor
from .transforms import grad, jacobian, jvp, vjp
