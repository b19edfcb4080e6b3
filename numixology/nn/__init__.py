"""Modules: parameters and their names around the functions of ``functional``.

What all modules share:

- Sizes are positive integers, Python's or NumPy's.
- ``rng`` is a seed or a Generator for the initial values and the dropout masks. One Generator is
  passed down a tree of modules, so no two parts start alike. Modules in which nothing is random
  take it as well.
- ``dtype``, float64 or float32, is that of the parameters and of the input; input of the other one
  is refused, where mixing the two would widen it without a word.
- ``eps`` is the norm's, added to the variance or, in RMSNorm, the mean of the squares: 1e-5 unless
  given, and at least 0.
- A value outside its range, or an unknown word, raises an ArgumentError; heads that do not divide
  the features, and input of another shape, a ShapeError; another dtype, and input that is neither
  a tensor nor an array, a DTypeError.
"""

from .attention import SelfAttention
from .dropout import Dropout
from .embedding import Embedding
from .experts import (
    ExpertReport,
    Experts,
    MixtureOfExperts,
    SparseMoE,
    SparsePerTokenMoE,
    SwiGLUExperts,
)
from .feed_forward import (
    FeedForward,
    PerTokenFeedForward,
    PerTokenSwiGLU,
    ResidualNetwork,
    SwiGLUFeedForward,
)
from .layer_norm import LayerNorm
from .linear import Linear, PerTokenLinear
from .mixers import (
    MIXINGS,
    ChunkMixing,
    FixedMixing,
    FullMixing,
    MixingName,
    SinkhornMixing,
    SinkhornRow,
)
from .module import Module
from .padded_mixing import PaddedMixing
from .parameter_table import ParameterRow, ParameterTable
from .pooling import MeanPooling, TaskHeads
from .rankmixer import BlockOptions, RankMixerBlock, RankMixerModel
from .rms_norm import RMSNorm
from .routing import AdaptiveRegularizer, ReLURouter, TopKRouter
from .stateless import functional_call
from .token_mixer import TokenMixer
from .token_mixer_large import TokenMixerLarge, TokenMixerLargeBlock
from .tokenizers import GlobalToken, GroupTokenizer, SlicedTokenizer

__all__ = [
    # The base of all, and its tools
    "Module", "ParameterRow", "ParameterTable", "functional_call",
    # Layers
    "Dropout", "Embedding", "LayerNorm", "Linear", "PerTokenLinear", "RMSNorm",
    # RankMixer, from its parts to the model
    "TokenMixer", "FeedForward", "SwiGLUFeedForward", "PerTokenFeedForward", "PerTokenSwiGLU",
    "ResidualNetwork", "BlockOptions", "RankMixerBlock", "RankMixerModel", "MeanPooling",
    "TaskHeads",
    # TokenMixer-Large
    "TokenMixerLargeBlock", "TokenMixerLarge",
    # What else may stand for the mixing
    "MIXINGS", "MixingName", "SelfAttention", "ChunkMixing", "FullMixing", "SinkhornMixing",
    "SinkhornRow", "FixedMixing",
    # From features to tokens
    "SlicedTokenizer", "GroupTokenizer", "GlobalToken", "PaddedMixing",
    # Sparse experts
    "SparseMoE", "SparsePerTokenMoE", "MixtureOfExperts", "Experts", "SwiGLUExperts", "ReLURouter",
    "TopKRouter", "AdaptiveRegularizer", "ExpertReport",
]  # fmt: skip
