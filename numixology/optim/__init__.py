"""Optimizers: what becomes of parameters once a backward has filled their gradients.

A training step is ``optimizer.zero_grad()``, a loss, ``loss.backward()`` and ``optimizer.step()``.
What all optimizers share:

- ``parameters`` are tensors, at least one and each once, such as ``module.parameters()``.
- ``lr`` is the learning rate, a number or a schedule: a function of the number of steps taken.
- ``weight_decay`` pulls every parameter towards zero.
- Parameters and moments keep the parameter's dtype.
- A value outside its range raises an ArgumentError, and a parameter that is no tensor a DTypeError.

Of torch's settings there are no others.
"""

from .adam import Adam, AdamW
from .clipping import clip_grad_norm, clip_grad_value
from .optimizer import Optimizer
from .schedules import Schedule, constant, cosine, step_decay, warmup
from .sgd import SGD

__all__ = [
    "SGD", "Adam", "AdamW", "Optimizer", "Schedule", "clip_grad_norm", "clip_grad_value",
    "constant", "cosine", "step_decay", "warmup",
]  # fmt: skip
