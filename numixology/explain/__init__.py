"""For the reader: what every step did, drawn, and what it costs, counted."""

from .catalogue import FIGURES, Figure, draw
from .cost.closed_forms import ClosedForm, ClosedRow, Formula, closed_form, formula
from .cost.comparison import CostComparison, compare
from .cost.counting import Complexity, CountedCall, complexity
from .cost.formulas import Cost, register_cost
from .cost.published import CONFIGURATIONS, Configuration, Stack
from .cost.scaling import Measured, Scaling, measured_scaling
from .dependence import FieldAdded, add_field, cross_token_jacobian, null_space_direction
from .drawing.as_plot import chart_plot
from .drawing.as_svg import style_sheet
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
from .figures.costs import (
    attention_cost_scene,
    block_cost_scene,
    memory_scene,
    mixer_cost_scene,
    network_cost_scene,
    ratio_scene,
    scaling_memory_scene,
    scaling_time_scene,
)
from .figures.flow import (
    block_scene,
    feed_forward_scene,
    model_scene,
    parameters_scene,
    swiglu_scene,
)
from .figures.forms import forms_scene, starts_scene
from .figures.laws import (
    cycles_scene,
    heads_scene,
    jacobian_scene,
    null_space_scene,
    orders_scene,
    pre_norm_scene,
    receptive_field_scene,
    shuffle_scene,
    token_jacobian_scene,
    why_square_scene,
)
from .figures.layers import activations_scene, layer_norm_scene
from .figures.mixers import annealing_scene, revert_scene
from .figures.mixing import mixer_scene, step_scene
from .figures.published import published_scene
from .figures.shapes import batch_scene, shape_scene, strides_scene
from .figures.steps import step_size_scene
from .figures.tapes import backward_order_scene, backward_scene, tape_scene
from .figures.walk import walk_scene
from .forms import Answer, BlockForm, identify
from .trace import Step, steps_of

__all__ = [
    "CONFIGURATIONS",
    "FIGURES",
    "Answer",
    "Bar",
    "Bars",
    "BlockForm",
    "Box",
    "Cell",
    "Chart",
    "ClosedForm",
    "ClosedRow",
    "Complexity",
    "Configuration",
    "Cost",
    "CostComparison",
    "CountedCall",
    "FieldAdded",
    "Figure",
    "Formula",
    "Graph",
    "Grid",
    "Lines",
    "Measured",
    "Panel",
    "Row",
    "Scaling",
    "Scene",
    "Series",
    "Stack",
    "Step",
    "Table",
    "activations_scene",
    "annealing_scene",
    "add_field",
    "attention_cost_scene",
    "backward_scene",
    "batch_scene",
    "block_cost_scene",
    "block_scene",
    "closed_form",
    "compare",
    "complexity",
    "cross_token_jacobian",
    "cycles_scene",
    "draw",
    "feed_forward_scene",
    "formula",
    "forms_scene",
    "heads_scene",
    "identify",
    "jacobian_scene",
    "layer_norm_scene",
    "measured_scaling",
    "memory_scene",
    "mixer_cost_scene",
    "mixer_scene",
    "model_scene",
    "network_cost_scene",
    "null_space_direction",
    "null_space_scene",
    "orders_scene",
    "panel_text",
    "chart_plot",
    "parameters_scene",
    "pre_norm_scene",
    "published_scene",
    "ratio_scene",
    "receptive_field_scene",
    "register_cost",
    "revert_scene",
    "scaling_memory_scene",
    "scaling_time_scene",
    "shape_scene",
    "shuffle_scene",
    "starts_scene",
    "step_scene",
    "step_size_scene",
    "steps_of",
    "strides_scene",
    "style_sheet",
    "backward_order_scene",
    "swiglu_scene",
    "tape_scene",
    "token_jacobian_scene",
    "walk_scene",
    "why_square_scene",
]
