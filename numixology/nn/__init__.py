"""Modules: parameters and their names around the functions of ``functional``."""

from .attention import SelfAttention
from .dropout import Dropout
from .embedding import Embedding
from .feed_forward import FeedForward, SwiGLUFeedForward
from .layer_norm import LayerNorm
from .linear import Linear
from .module import Module, ParameterRow, ParameterTable, functional_call
from .rankmixer import RankMixerBlock, RankMixerModel
from .token_mixer import TokenMixer

__all__ = [
    # The base of all, and its tools
    "Module",
    "ParameterRow",
    "ParameterTable",
    "functional_call",
    # Layers
    "Dropout",
    "Embedding",
    "LayerNorm",
    "Linear",
    # RankMixer, from its parts to the model
    "TokenMixer",
    "FeedForward",
    "SwiGLUFeedForward",
    "RankMixerBlock",
    "RankMixerModel",
    # The baseline
    "SelfAttention",
]
