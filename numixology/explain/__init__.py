"""For the reader: what every step did, drawn."""

from .flow import feed_forward_scene, mixer_scene, model_scene
from .scene import Panel, Scene
from .trace import Step, steps_of

__all__ = [
    "Panel",
    "Scene",
    "Step",
    "feed_forward_scene",
    "mixer_scene",
    "model_scene",
    "steps_of",
]
