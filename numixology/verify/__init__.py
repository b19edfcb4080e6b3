"""Checks that can fail: gradients against the functions they belong to, and the laws of mixing."""

from .forms import identify
from .gradients import GradcheckReport, gradcheck

__all__ = ["GradcheckReport", "gradcheck", "identify"]
