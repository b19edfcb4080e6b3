"""The gradient check: one page, ``check``, and the rooms of doubt behind it."""

from .check import gradcheck
from .reports import GradcheckReport

__all__ = ["GradcheckReport", "gradcheck"]
