"""Whether a layer runs what the class of this package runs, of which formulas are known."""

from inspect import getattr_static

from ...errors import DTypeError
from ...nn import (
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    Module,
    PerTokenFeedForward,
    PerTokenLinear,
    PerTokenSwiGLU,
)
from ...nn.activation import Activation

__all__ = ["check_known"]

#: What stands under these names in every layer of the package, and in those of each token.
_PARTS: dict[str, type[Module]] = {
    "norm": LayerNorm,
    "dropout": Dropout,
    **dict.fromkeys(("activation", "silu"), Activation),
    **dict.fromkeys(("linear1", "linear2", "w1", "w2", "w3"), Linear),
    **dict.fromkeys(("query", "key", "value", "output"), Linear),
    **dict.fromkeys(("token_embedding", "position_embedding"), Embedding),
}
_PER_TOKEN: dict[str, type[Module]] = dict.fromkeys(
    ("linear1", "linear2", "w1", "w2", "w3"), PerTokenLinear
)
_INSTEAD = "count it with nx.explain.complexity"


def check_known(module: Module, known: type[Module]) -> None:
    """Raise unless a module, and its parts that are no layers with rows of their own, are known.

    A subclass may be made or shown in another way. What it runs is that of ``known``, and nothing
    was put in its place on the object.

    Args:
        module: an instance of ``known``.
        known: a class of the package.

    Raises:
        DTypeError: it runs something else.
    """
    changed = [name for name in _methods(known) if _differs(module, known, name)]
    if changed:
        raise DTypeError(
            f"closed_form knows what a {known.__name__} runs",
            f"{type(module).__name__} with its own {', '.join(changed)}",
            _INSTEAD,
        )
    parts = _PARTS | (_PER_TOKEN if known in (PerTokenFeedForward, PerTokenSwiGLU) else {})
    for name, kind in parts.items():
        if name not in vars(module):
            continue
        part = vars(module)[name]
        if not isinstance(part, kind):
            raise DTypeError(
                f"closed_form knows a {known.__name__} with {_a(kind)} as {name}",
                type(part).__name__,
                _INSTEAD,
            )
        check_known(part, kind)


def _methods(known: type[Module]) -> list[str]:
    """What runs when an instance is called, and may: all methods but those that make and show."""
    return [
        name
        for name in dir(known)
        if callable(getattr(known, name)) and (not name.startswith("__") or name == "__call__")
    ]


def _differs(module: Module, known: type[Module], name: str) -> bool:
    return getattr_static(module, name) is not getattr_static(known, name)


def _a(kind: type[Module]) -> str:
    return f"{'an' if kind is Embedding else 'a'} {kind.__name__}"
