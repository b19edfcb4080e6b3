"""Which RankMixer is it? The form of a block of any framework, told by questions to its outputs.

Nothing is read of the block but its outputs, and each question is an equality that holds for some
forms and for no others, whatever the weights.
"""

from .naming import identify

__all__ = ["identify"]
