"""Known bugs: a textbook for each mistake that kernels are known to make."""

from . import activations, contracts, linear, moving, networks, normalization
from .edges import AXES, edge_bugs
from .registry import Bug

__all__ = ["AXES", "BUGS", "FAMILIES", "Bug", "bugs_of", "edge_bugs"]

#: The modules, each with a table.
FAMILIES = moving, normalization, linear, activations, networks, contracts
#: Every known bug by its name.
BUGS: dict[str, Bug] = {bug.name: bug for family in FAMILIES for bug in family.BUGS}


def bugs_of(stage: str, dtype: str = "float64") -> list[Bug]:
    """The bugs that show first at a stage, in that format."""
    return [bug for bug in BUGS.values() if stage in bug.stages and dtype in bug.dtypes]
