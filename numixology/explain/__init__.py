"""For the reader: what every step did, drawn."""

from .claims import Evidence, Finding
from .figures import FIGURES, Figure, draw
from .flow_figures import (
    block_scene,
    feed_forward_scene,
    model_scene,
    parameters_scene,
    swiglu_scene,
)
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
from .layer_figures import activations_scene, layer_norm_scene
from .mixing_figures import mixer_scene, step_scene
from .panels import Bar, Bars, Box, Cell, Chart, Graph, Grid, Lines, Panel, Row, Series, Table
from .scene import Scene
from .shape_figures import batch_scene, shape_scene, strides_scene
from .step_figures import step_size_scene
from .svg_drawing import style_sheet
from .tape_figures import backward_scene, sweep_order_scene, tape_scene
from .text_drawing import panel_text
from .trace import Step, steps_of
from .walk_figures import walk_scene

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
    "backward_scene",
    "corrections",
    "corrections_scene",
    "cycles_scene",
    "draw",
    "feed_forward_scene",
    "jacobian_scene",
    "activations_scene",
    "batch_scene",
    "block_scene",
    "layer_norm_scene",
    "mixer_scene",
    "model_scene",
    "null_space_scene",
    "orders_scene",
    "panel_text",
    "parameters_scene",
    "pre_norm_scene",
    "receptive_field_scene",
    "shuffle_scene",
    "shape_scene",
    "step_scene",
    "step_size_scene",
    "steps_of",
    "strides_scene",
    "style_sheet",
    "sweep_order_scene",
    "tape_scene",
    "token_jacobian_scene",
    "why_square_scene",
    "swiglu_scene",
    "walk_scene",
]
