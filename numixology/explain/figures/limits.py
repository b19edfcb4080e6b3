"""How large a figure may be: what it shows is small, and so is what it computes to show it."""

import math

from ...checks import positive
from ...errors import ArgumentError
from ...nn.rankmixer import Network

__all__ = ["COMPUTED", "network_within", "within"]

#: As many numbers as a figure may compute with at once: 80 MB of float64.
COMPUTED = 10_000_000


def within(most: int, /, **sizes: int) -> None:
    """Raise unless the sizes are positive integers whose product is at most ``most``.

    Args:
        most: what can still be drawn, or computed, in a moment.
        **sizes: lengths of axes, by their names.

    Raises:
        ArgumentError: one is not a positive integer, or their product is larger.
    """
    product = math.prod(positive(**sizes))
    if product > most:
        names = " * ".join(sizes)
        raise ArgumentError(
            f"for a figure {names} is at most {most:,}", f"{product:,}", "choose smaller sizes"
        )


def network_within(
    hidden_dim: int,
    ff_dim: int | None,
    batch: int = 1,
    num_tokens: int = 1,
    ffn: Network = "standard",
) -> None:
    """Raise if a feed-forward network, or what passes through it, is too large for a figure.

    Args:
        hidden_dim: D, the number of features.
        ff_dim: F; 4D if None.
        batch, num_tokens: B and T.
        ffn: the name of the network; those of "per_token" have weights for every token.

    Raises:
        ArgumentError: a size is not a positive integer, or they are too large together.
    """
    (hidden_dim,) = positive(hidden_dim=hidden_dim)
    ff_dim = 4 * hidden_dim if ff_dim is None else ff_dim
    within(10 * COMPUTED, hidden_dim=hidden_dim, ff_dim=ff_dim)
    if ffn.startswith("per_token"):
        within(10 * COMPUTED, num_tokens=num_tokens, hidden_dim=hidden_dim, ff_dim=ff_dim)
    within(COMPUTED, batch=batch, num_tokens=num_tokens, hidden_dim=hidden_dim)
    within(COMPUTED, batch=batch, num_tokens=num_tokens, ff_dim=ff_dim)
