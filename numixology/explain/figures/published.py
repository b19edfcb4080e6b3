"""The paper's published rows, and what of them follows from its formulas."""

from collections.abc import Sequence

from ..cost.published import BATCH, CONFIGURATIONS, FLOPS
from ..drawing.panels import Table
from ..drawing.scene import Scene

__all__ = ["published_scene"]

_PARAMETERS, _OPERATIONS = "2NTDF", "4NBTDF"  # the paper's, where F = kD


def published_scene(expansion: int = 4) -> Scene:
    """Published parameters and operations beside what the formulas give.

    Returns:
        A :class:`.Scene` of three tables: parameters, operations, and what follows.

    Source: RankMixer (arXiv 2507.15551).

    Example:
        >>> import numixology as nx
        >>> for row in nx.explain.draw("published").panels[2].rows:
        ...     print(" | ".join(row))
        width of a chunk, 768/16 and 1536/32 | 48 and 48 | 48 | yes
        parameters, 1B over 100M | 8.0 | 10.3 | no
        operations, 1B over 100M | 8.0 | 9.0 | no
        operations a parameter and sample, 100M | 2.00 | 4.25 | no
        operations a parameter and sample, 1B | 2.00 | 3.73 | no
        2106 G over 107 G | 19.7 | 20.7 | no
        2106 G over 1100 M | 1.9 | 1.9 | yes
    """
    models = CONFIGURATIONS.items()
    k = f"k = {expansion}"
    parameters = tuple(
        (
            name,
            f"{one.parameters / 1e6:,.0f} M",
            f"{one.count(_PARAMETERS, expansion=expansion) / 1e6:,.1f} M",
            f"{one.count(expansion=expansion):,}",
            f"{one.implied_expansion:.2f}",
        )
        for name, one in models
    )
    operations = tuple(
        (
            name,
            f"{one.flops / 1e9:,.0f} G",
            f"{one.count(_OPERATIONS, expansion=expansion, batch=BATCH) / 1e9:,.1f} G",
            f"{one.count(FLOPS, expansion=expansion, batch=BATCH) / 1e9:,.1f} G",
        )
        for name, one in models
    )
    panels = (
        Table(
            "Parameters",
            ("model", "published", f"2kLTD^2, {k}", f"counted, {k}", "k of the published"),
            parameters,
            "<>>>>",
            "No k fits both models.",
        ),
        Table(
            f"Operations of a batch of {BATCH}",
            ("model", "published", f"4kLTD^2, {k}", f"counted, {k}"),
            operations,
            "<>>>",
        ),
        Table(
            "What follows", ("what", "by the formulas", "published", "follows"), _follows(), "<>>>"
        ),
    )
    about = "What the paper publishes of its models, and what its formulas give for their sizes."
    return Scene("The paper's models", about, panels)


def _follows() -> tuple[tuple[str, str, str, str], ...]:
    """Numbers that do not depend on k, each with as many digits as are published."""
    small, large = CONFIGURATIONS.values()
    widths = [one.hidden_dim / one.num_tokens for one in (small, large)]
    times = large.count(_PARAMETERS) / small.count(_PARAMETERS)
    each = "operations a parameter and sample"
    rows = (
        ("width of a chunk, 768/16 and 1536/32", widths, 48.0, 0),
        ("parameters, 1B over 100M", [times], large.parameters / small.parameters, 1),
        ("operations, 1B over 100M", [times], large.flops / small.flops, 1),
        (f"{each}, 100M", [2.0], small.flops_per_parameter, 2),
        (f"{each}, 1B", [2.0], large.flops_per_parameter, 2),
        ("2106 G over 107 G", [2106 / 107], 20.7, 1),
        ("2106 G over 1100 M", [2106 / 1100], 1.9, 1),
    )
    return tuple(_row(*row) for row in rows)


def _row(
    what: str, given: Sequence[float], published: float, digits: int
) -> tuple[str, str, str, str]:
    said, found = f"{published:.{digits}f}", [f"{number:.{digits}f}" for number in given]
    return what, " and ".join(found), said, "yes" if set(found) == {said} else "no"
