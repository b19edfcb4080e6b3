"""The training loop."""

from collections.abc import Callable, Iterator

from ..optim import Optimizer
from ..tensors import Tensor

__all__ = ["train"]


def train(loss: Callable[[], Tensor], optimizer: Optimizer, steps: int) -> Iterator[float]:
    """Go on until the optimizer has taken so many steps.

    An optimizer whose state was loaded has taken some, so a resumed training ends where the
    interrupted one would have.

    Args:
        loss: computes the loss from the parameters, on the next batch if there are several.
        optimizer: what updates them.
        steps: how many it takes in all.

    Returns:
        An iterator over the losses, each as it was before its step; taking one takes the step.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor(4.0, requires_grad=True)
        >>> descent = nx.optim.SGD([x], lr=0.25)
        >>> list(nx.training.train(lambda: x * x, descent, steps=4))
        [16.0, 4.0, 1.0, 0.25]
    """
    while optimizer.steps < steps:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        yield value.item()
