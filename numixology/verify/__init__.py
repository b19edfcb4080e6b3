"""Checks that can fail: gradients against the functions they belong to, and the laws of mixing."""

from .gradients import gradcheck
from .reports import GradcheckReport

__all__ = ["GradcheckReport", "gradcheck"]
