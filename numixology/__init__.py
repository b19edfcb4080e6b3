"""numixology: what a RankMixer token mixer really computes, in NumPy, with its gradients."""

from importlib import import_module
from typing import TYPE_CHECKING

from . import errors, functional, nn, observe, optim
from .modes import no_grad
from .observe import debug_shapes, educational
from .primitives import primitive
from .tensors import Tensor, tensor
from .transforms import grad, jacobian, jvp, vjp
from .version import __version__

if TYPE_CHECKING:
    from . import explain, training, verify
    from .training import load, save
    from .verify import gradcheck
else:  # hidden from type checkers, which would believe every misspelled name

    def __getattr__(name: str) -> object:
        """Load a room that most programs do not need, or a name in it, when it is asked for."""
        if name in ("explain", "training", "verify"):
            return import_module(f".{name}", __name__)
        if name == "gradcheck":
            return import_module(".verify", __name__).gradcheck
        if name in ("load", "save"):
            return getattr(import_module(".training", __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted(globals().keys() | set(__all__))


__all__ = [
    # Tensors
    "Tensor", "tensor",
    # Gradients
    "grad", "gradcheck", "jacobian", "jvp", "no_grad", "primitive", "vjp",
    # Files
    "load", "save",
    # Watching
    "debug_shapes", "educational",
    # Rooms
    "errors", "explain", "functional", "nn", "observe", "optim", "training", "verify",
    "__version__",
]  # fmt: skip
