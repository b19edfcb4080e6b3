"""For the reader: what every step did, drawn."""

from .claims import Evidence, Finding
from .figures import FIGURES, Figure, draw
from .flow_figures import feed_forward_scene, model_scene, parameters_scene
from .guide_corrections import VERDICTS, Correction, corrections, corrections_scene
from .law_figures import (
    cycles_scene,
    jacobian_scene,
    null_space_scene,
    orders_scene,
    pre_norm_scene,
    receptive_field_scene,
    shuffle_scene,
    token_jacobian_scene,
    why_square_scene,
)
from .mixing_figures import mixer_scene, step_scene
from .panels import Bar, Bars, Box, Cell, Chart, Graph, Grid, Lines, Panel, Row, Series, Table
from .scene import Scene
from .step_figures import step_size_scene
from .svg_drawing import style_sheet
from .text_drawing import panel_text
from .trace import Step, steps_of

__all__ = [
    "FIGURES",
    "VERDICTS",
    "Bar",
    "Bars",
    "Box",
    "Cell",
    "Chart",
    "Correction",
    "Evidence",
    "Figure",
    "Finding",
    "Graph",
    "Grid",
    "Lines",
    "Panel",
    "Row",
    "Scene",
    "Series",
    "Step",
    "Table",
    "cycles_scene",
    "corrections",
    "corrections_scene",
    "draw",
    "feed_forward_scene",
    "jacobian_scene",
    "mixer_scene",
    "model_scene",
    "null_space_scene",
    "orders_scene",
    "panel_text",
    "parameters_scene",
    "pre_norm_scene",
    "receptive_field_scene",
    "shuffle_scene",
    "step_scene",
    "step_size_scene",
    "steps_of",
    "style_sheet",
    "token_jacobian_scene",
    "why_square_scene",
]
