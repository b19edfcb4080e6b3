"""How a bug of a kernel is entered into the list."""

import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from sweeps.kernels import Kernels

__all__ = ["BUGS", "Bug", "bug"]

K = TypeVar("K", bound=type[Kernels])


class Bug(NamedTuple):
    """A bug: who has it, and where."""

    name: str
    family: str  # size, memory, state or format
    stages: tuple[str, ...]
    description: str
    axis: str  # where it begins, if it is one of size
    begins: int
    formats: tuple[str, ...]
    make: type[Kernels]


BUGS: dict[str, Bug] = {}


def bug(
    family: str,
    stages: str,
    axis: str = "",
    begins: int = 0,
    formats: str = "float32 bfloat16",
) -> Callable[[K], K]:
    def enter(make: K) -> K:
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", make.__name__).lower()
        description = (make.__doc__ or "").strip()
        make.name, make.stages = name, tuple(stages.split())
        BUGS[name] = Bug(
            name, family, make.stages, description, axis, begins, tuple(formats.split()), make
        )
        return make

    return enter
