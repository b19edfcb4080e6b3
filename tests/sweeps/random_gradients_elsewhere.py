"""What torch and JAX say of the same functions and gradients, for random_gradients.py.

torch's gradcheck gets an autograd.Function, JAX's check_vjp the two functions as they are; both
have their default tolerances. torch moves each entry by 1e-6, JAX all of them along one direction.
"""

from typing import Any

import jax
import numpy as np
import torch
from jax.test_util import check_vjp
from sweeps.random_gradients_drawing import Vjp
from sweeps.random_gradients_mistakes import leaves, listed

torch.set_num_threads(1)
jax.config.update("jax_enable_x64", True)


def structured(like: Any, flat: list[Any]) -> Any:
    """Arrays in the structure of an output."""
    if isinstance(like, dict):
        return dict(zip(like, flat, strict=True))
    return tuple(flat) if isinstance(like, tuple) else flat[0]


def by_torch(fn: Any, vjp: Vjp, inputs: tuple[Any, ...]) -> str:
    """The verdict of torch.autograd.gradcheck in slow mode."""
    like = fn(*inputs)

    class Written(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            ctx.save_for_backward(*tensors)
            out = [
                torch.tensor(np.array(y))
                for y in leaves(fn(*(x.detach().numpy() for x in tensors)))
            ]
            return tuple(out) if len(out) > 1 else out[0]

        @staticmethod
        def backward(ctx: Any, *cts: Any) -> Any:
            arrays = [x.detach().numpy() for x in ctx.saved_tensors]
            ct = structured(like, [one.detach().numpy() for one in cts])
            found = iter(listed(vjp(ct, *arrays)))
            return tuple(
                torch.tensor(np.array(next(found))) if x.dtype.kind == "f" else None for x in arrays
            )

    tensors = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in map(np.asarray, inputs)]
    try:
        found = torch.autograd.gradcheck(Written.apply, tensors, raise_exception=False)
    except Exception:  # what the function raises beside its domain, and torch's own refusals
        return "raised"
    return "pass" if found else "fail"


def by_jax(fn: Any, vjp: Vjp, inputs: tuple[Any, ...]) -> str:
    """The verdict of jax.test_util.check_vjp."""
    floating = [i for i, x in enumerate(inputs) if np.asarray(x).dtype.kind == "f"]

    def called(*values: Any) -> list[Any]:
        new = dict(zip(floating, values, strict=True))
        return [np.asarray(new.get(i, x)) for i, x in enumerate(inputs)]

    def forward(*values: Any) -> Any:
        return fn(*called(*values))

    def both(*values: Any) -> Any:
        arrays = called(*values)
        return fn(*arrays), lambda ct: tuple(listed(vjp(ct, *arrays)))

    try:
        check_vjp(forward, both, tuple(np.asarray(inputs[i]) for i in floating))
    except AssertionError:
        return "fail"
    except Exception:  # what the function raises beside its domain, and JAX's own refusals
        return "raised"
    return "pass"
