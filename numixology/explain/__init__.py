"""For the reader: what every step did, drawn, and what it costs, counted.

``FIGURES`` has all figures by name, and ``draw`` draws them.
"""

from .catalogue import FIGURES, draw
from .cost.closed_forms import closed_form
from .cost.comparison import compare
from .cost.counting import Complexity, complexity
from .cost.formulas import Cost, register_cost
from .dependence import cross_token_jacobian, null_space_direction
from .drawing.as_text import panel_text
from .drawing.panels import (
    Bar,
    Bars,
    Box,
    Cell,
    Chart,
    Graph,
    Grid,
    Lines,
    Panel,
    Row,
    Series,
    Table,
)
from .drawing.scene import Scene
from .figures.flow import feed_forward_scene, model_scene
from .figures.mixing import mixer_scene
from .figures.tapes import backward_scene, tape_scene
from .trace import Step, steps_of

__all__ = [
    "FIGURES",
    "Bar",
    "Bars",
    "Box",
    "Cell",
    "Chart",
    "Complexity",
    "Cost",
    "Graph",
    "Grid",
    "Lines",
    "Panel",
    "Row",
    "Scene",
    "Series",
    "Step",
    "Table",
    "backward_scene",
    "closed_form",
    "compare",
    "complexity",
    "cross_token_jacobian",
    "draw",
    "feed_forward_scene",
    "mixer_scene",
    "model_scene",
    "null_space_direction",
    "panel_text",
    "register_cost",
    "steps_of",
    "tape_scene",
]
